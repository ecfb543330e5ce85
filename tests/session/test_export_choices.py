"""From what is typed and chosen to a request, and back from what was remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_stria as stria
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import CoordinateError, RegionNotFoundError, StriaError
from napari_stria.session.export_choices import (
    ExportChoices,
    ExportScene,
    choices_from,
    request_of,
    suggested_name,
)
from napari_stria.session.export_kinds import (
    AnnotationExport,
    ItksnapExport,
    MaskExport,
    TableExport,
)
from napari_stria.session.export_pictures import ScreenshotExport, SliceExport
from napari_stria.session.typed_values import resolution_of, typed_regions

ROWS = [
    (1, None, "root", "root"),
    (2, 1, "VIS", "Visual areas"),
    (3, 2, "VISp", "Visual area, primary"),
    (4, 1, "fiber tracts", "fiber tracts"),
    (5, 1, "HY", "Hypothalamus"),
]


@pytest.fixture
def atlas() -> stria.Atlas:
    ontology = stria.Ontology(StructureRecord(i, p, a, n) for i, p, a, n in ROWS)
    labels = np.zeros((6, 5, 4), dtype=np.uint32)
    labels[2:4, 2, 1] = 3
    return stria.atlas_from_array(labels, ontology, resolution_um=25.0, name="toy_25um")


@pytest.fixture
def scene(atlas: stria.Atlas) -> ExportScene:
    parcels = parcellation_at_depth(atlas.ontology, 1)
    return ExportScene(atlas, (2, 4), parcels, ("AP", 60.0), (10, 20), (30, 40))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("  ", None),
        ("25", 25.0),
        ("25 µm", 25.0),
        ("12.5um", 12.5),
        ("25 × 20 × 20 µm", (25.0, 20.0, 20.0)),
        ("25,20,20", (25.0, 20.0, 20.0)),
        ("25 20 20", (25.0, 20.0, 20.0)),
        ("25x20 x 20", (25.0, 20.0, 20.0)),
    ],
)
def test_sizes_as_they_are_typed(text: str, value: Any) -> None:
    assert resolution_of(text) == value


@pytest.mark.parametrize(
    "text", ["abc", "12,5", "0", "-3", "nan", "inf", "1 2 3 4", "25 mm", "x", "25x"]
)
def test_what_is_no_size_is_said(text: str) -> None:
    with pytest.raises(CoordinateError, match="no resolution; give one number"):
        resolution_of(text)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        size = resolution_of(text)
    except CoordinateError:
        return
    assert size is None or np.all(np.asarray(size) > 0)


@pytest.mark.parametrize(
    ("text", "acronyms"),
    [
        ("VISp", ["VISp"]),
        ("VISp, HY", ["VISp", "HY"]),
        ("VISp HY", ["VISp", "HY"]),
        ("VISp;HY\nVIS", ["VISp", "HY", "VIS"]),
        ("fiber tracts", ["fiber tracts"]),
        ("fiber tracts HY", None),
        ("fiber tracts, HY", ["fiber tracts", "HY"]),
        ("Visual area, primary", ["VISp"]),
        ("Visual area, primary; HY", ["VISp", "HY"]),
        ("VIS*", ["VIS", "VISp"]),
        ("VIS*, HY, VISp", ["VIS", "VISp", "HY", "VISp"]),
        ("3, 5", ["VISp", "HY"]),
    ],
)
def test_regions_as_they_are_typed(
    atlas: stria.Atlas, text: str, acronyms: list[str] | None
) -> None:
    if acronyms is None:
        with pytest.raises(RegionNotFoundError):
            typed_regions(text, atlas.ontology)
        return
    found = typed_regions(text, atlas.ontology)
    assert [atlas.ontology[region].acronym for region in found] == acronyms


def test_groups_are_typed_by_their_name(atlas: stria.Atlas, scene: ExportScene) -> None:
    groups = stria.RegionGroup("Inner, both", (3, 5)), stria.RegionGroup("B", (2,))
    found = typed_regions("group:Inner, both; group:B, HY", atlas.ontology, groups)
    assert found == (*groups, "HY")
    masks = ExportChoices("masks", which="typed", typed="group:B", destination="/x/m")
    request = request_of(masks, replace(scene, groups=groups))
    assert [path.name for path in request.outputs] == ["group_B.nrrd"]
    with pytest.raises(RegionNotFoundError, match="group"):
        request_of(masks, scene)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "type acronyms"),
        (" ; ", "type acronyms"),
        ("VISq", "did you mean"),
        ("Visual are", "'Visual are'; did you mean"),
        ("XYZ*", r"'XYZ\*'"),
        ("HY, Foo", "'Foo'"),
    ],
)
def test_regions_that_are_not_there_are_said(atlas: stria.Atlas, text: str, words: str) -> None:
    with pytest.raises(RegionNotFoundError, match=words):
        typed_regions(text, atlas.ontology)


@pytest.mark.parametrize(
    ("choices", "kind", "fields"),
    [
        (ExportChoices("table", which="selected"), TableExport, {"regions": (3, 5)}),
        (ExportChoices("table"), TableExport, {"regions": None, "parcellation": None}),
        (
            ExportChoices("masks", "ome-zarr", "typed", "HY", direct=True, overwrite=True),
            MaskExport,
            {"regions": ("HY",), "format": "ome-zarr", "direct": True, "overwrite": True},
        ),
        (
            ExportChoices("annotation", resolution="50", rule="majority"),
            AnnotationExport,
            {"resolution_um": 50.0, "rule": "majority"},
        ),
        (
            ExportChoices("itksnap", destination="/x/a.nrrd"),
            ItksnapExport,
            {"labels": Path("/x/a.labels.txt"), "rule": None},
        ),
        (
            ExportChoices("slice", axis="ML", position_um=30.0, colors="tab20"),
            SliceExport,
            {"axis": "ML", "position_um": 30.0, "colors": "tab20"},
        ),
    ],
)
def test_what_is_chosen_becomes_a_request(
    scene: ExportScene, choices: ExportChoices, kind: type, fields: dict[str, Any]
) -> None:
    choices = ExportChoices(**{**vars(choices), "destination": choices.destination or "/x/a.csv"})
    request = request_of(choices, scene)
    assert type(request) is kind
    assert {name: getattr(request, name) for name in fields} == fields


def test_parcels_are_those_that_are_shown(scene: ExportScene) -> None:
    request = request_of(ExportChoices("table", which="parcels", destination="/x/a.csv"), scene)
    assert isinstance(request, TableExport)
    assert request.parcellation is scene.parcellation


def test_a_screenshot_is_as_large_as_it_will_be(scene: ExportScene) -> None:
    shot = ExportChoices("screenshot", factor=3, destination="/x/a.png")
    assert request_of(shot, ExportScene(canvas_px=(10, 20))).size().shape == (30, 60)
    whole = ExportChoices("screenshot", factor=3, window=True, destination="/x/a.png")
    assert request_of(whole, scene).size().shape == (30, 40)
    picture = np.ones((2, 3, 4), dtype=np.uint8)
    taken = request_of(shot, scene, picture)
    assert isinstance(taken, ScreenshotExport)
    assert taken.picture is picture
    assert taken.facts["atlas"] == "toy_25um"


def test_what_is_missing_is_said(scene: ExportScene) -> None:
    with pytest.raises(StriaError, match="choose where"):
        request_of(ExportChoices(destination="  "), scene)
    with pytest.raises(StriaError, match="open an atlas"):
        request_of(ExportChoices(destination="/x/a.csv"), ExportScene())
    nothing = ExportScene(scene.atlas)
    with pytest.raises(RegionNotFoundError, match="select some in the tree"):
        request_of(ExportChoices(which="selected", destination="/x/a.csv"), nothing)


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        (ExportChoices("table"), "toy_25um_regions.csv"),
        (ExportChoices("table", which="parcels"), "toy_25um_depth_1_regions.csv"),
        (ExportChoices("masks", resolution="50"), "toy_25um_at_50um_centre_masks"),
        (ExportChoices("annotation", "ome-zarr"), "toy_25um_annotation.ome.zarr"),
        (
            ExportChoices("annotation", resolution="50 25 25", rule="allensdk"),
            "toy_25um_at_50x25x25um_allensdk_annotation.nrrd",
        ),
        (ExportChoices("itksnap", resolution="nonsense"), "toy_25um_itksnap.nrrd"),
        (ExportChoices("slice", axis="DV", position_um=37.5), "toy_25um_DV_37.5um.png"),
        (ExportChoices("screenshot"), "toy_25um_screenshot.png"),
    ],
)
def test_names_say_resolution_and_rule(
    scene: ExportScene, choices: ExportChoices, name: str
) -> None:
    assert suggested_name(choices, scene) == name


def test_names_are_no_paths(atlas: stria.Atlas) -> None:
    labels = np.ones((2, 2, 2), dtype=np.uint8)
    odd = stria.atlas_from_array(labels, atlas.ontology, resolution_um=1.0, name="a/b:c")
    for kind in ("table", "masks", "annotation", "slice", "screenshot"):
        name = suggested_name(ExportChoices(kind), ExportScene(odd))
        assert not set("/\\:") & set(name)


def test_choices_are_remembered() -> None:
    choices = ExportChoices(
        "masks", "ome-zarr", "typed", "VISp", direct=True, resolution="50", rule="majority"
    )
    kept = choices.remembered()
    assert "overwrite" not in kept
    assert choices_from(kept) == choices


json_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))


@given(st.dictionaries(st.sampled_from(list(vars(ExportChoices()))), json_values))
def test_whatever_was_remembered_makes_choices(values: dict[str, Any]) -> None:
    choices = choices_from(values)
    assert choices.kind in ("table", "masks", "annotation", "itksnap", "slice", "screenshot")
    assert 1 <= choices.factor <= 8
    assert choices.overwrite is False
