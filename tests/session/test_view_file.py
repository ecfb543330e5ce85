"""Saved views as files: nothing is lost, and no file that anybody wrote does harm."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_stria as stria
from napari_stria.errors import FormatError, OutputError, UnsupportedSourceError
from napari_stria.session.reopening import known_arguments, reopening_arguments
from napari_stria.session.saved_view import (
    SavedCamera,
    SavedLook,
    SavedParcellation,
    SavedPlane,
    SavedRegions,
    SavedSections,
    SavedView,
)
from napari_stria.session.view_file import read_view, view_from_json, view_to_json, write_view

FOLDER = Path("/somewhere/views")
PLAIN = SavedView(
    name="toy_mouse_25um",
    opened_with={"name_or_uri": "toy_mouse_25um", "root": "https://host.org/atlas"},
    plane=SavedPlane((1.0, 2.0, 3.0)),
    camera=SavedCamera((0.0, 1.0, 2.0), 0.5),
)

finite = st.floats(-1e9, 1e9)
triples = st.tuples(finite, finite, finite)
ids = st.lists(st.integers(0, 2**63), unique=True, max_size=6).map(tuple)
texts = st.text(max_size=30)
groups = st.builds(
    stria.RegionGroup,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=9).filter(str.strip),
    st.lists(st.integers(1, 2**63 - 1), unique=True, min_size=1, max_size=4).map(tuple),
    st.tuples(*[st.integers(0, 255)] * 3),
)
levels = st.none() | st.builds(
    SavedParcellation,
    st.none() | st.integers(0, 99),
    st.none() | st.integers(0, 2**60),
    ids,
    st.lists(groups, max_size=3).map(tuple),
    texts,
    st.none() | st.integers(0, 2**60),
)
views = st.builds(
    SavedView,
    name=texts,
    opened_with=st.fixed_dictionaries(
        {"name_or_uri": st.just("toy_mouse_25um"), "root": st.just("https://host.org/atlas")},
        optional={"version": texts, "resolution_um": st.just((25.0, 25.0, 20.0))},
    ),
    plane=st.builds(
        SavedPlane,
        triples,
        st.permutations([0, 1, 2]).map(tuple),
        st.sampled_from([2, 3]),
        st.none() | triples,
    ),
    camera=st.builds(
        SavedCamera,
        triples,
        st.floats(1e-6, 1e6),
        st.tuples(*[st.floats(-180, 180)] * 3),
        st.floats(0, 90),
        st.tuples(*map(st.sampled_from, (["towards", "away"], ["down", "up"], ["right", "left"]))),
        st.none() | st.tuples(*[st.integers(1, 10_000)] * 2),
    ),
    regions=st.builds(
        SavedRegions, ids, ids, st.none() | ids, ids, st.sampled_from(["atlas"]), levels
    ),
    looks=st.lists(
        st.builds(
            SavedLook,
            texts,
            st.booleans(),
            st.floats(0, 1),
            texts,
            st.none() | st.integers(0, 9),
            st.none() | st.tuples(finite, finite).map(lambda pair: (min(pair), max(pair))),
        ),
        max_size=3,
    ).map(tuple),
    sections=st.none()
    | st.builds(
        SavedSections,
        st.integers(0, 2**40),
        texts,
        st.floats(1, 1000),
        st.sampled_from(["exact", "parallel"]),
        st.booleans(),
        st.booleans(),
        ids,
        st.lists(texts, max_size=2).map(tuple),
    ),
    source=texts,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def _content(view: SavedView = PLAIN) -> Any:
    return json.loads(view_to_json(view, FOLDER))


def _read(content: Any) -> SavedView:
    return view_from_json(json.dumps(content).encode(), FOLDER)


@given(views)
def test_nothing_is_lost(view: SavedView) -> None:
    text = view_to_json(view, FOLDER)
    again = view_from_json(text.encode(), FOLDER)
    assert again == replace(view, opened_with=again.opened_with)
    assert dict(again.opened_with) == dict(view.opened_with)
    assert view_to_json(again, FOLDER) == text


def _paths(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += _paths(value, (*path, key))
    return found


FULL = replace(
    PLAIN,
    regions=SavedRegions(
        (1,),
        (2,),
        (3,),
        (4,),
        parcellation=SavedParcellation(3, 5, (6,), (stria.RegionGroup("g", (7,)),), "title", 8),
    ),
    looks=(SavedLook("regions", contour=1, contrast_limits=(0.0, 1.0)),),
    sections=SavedSections(5, "https://host.org/api", hidden=(6,), genes=("Gad1",)),
)


@given(st.sampled_from(_paths(_content(FULL))), anything)
def test_any_value_in_any_place_is_taken_or_refused_in_one_sentence(
    path: tuple[Any, ...], value: Any
) -> None:
    content = _content(FULL)
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        view = _read(content)
    except (FormatError, UnsupportedSourceError) as error:
        said = str(error)
        assert said.endswith(".")
        assert "\n" not in said
        assert len(said) < 300
    else:
        numbers = [*view.plane.point_um, *view.camera.center, view.camera.zoom]
        assert all(math.isfinite(number) for number in numbers)
        assert view.camera.zoom > 0


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00\xff", b"[]", b"null", b"{", b'{"format": "napari-stria view"}', b"[" * 100_000,
        b'{"format": "another", "version": 1}',
        b'{"a": NaN}', b'{"version": 1' + b"0" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_file_that_is_no_view_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        view_from_json(raw, FOLDER)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("camera", "zoom", 0), ("camera", "zoom", float("inf")), ("camera", "zoom", True),
        ("camera", "canvas_px", [0, 100]), ("camera", "canvas_px", [100]),
        ("camera", "orientation", ["up", "down", "right"]), ("plane", "point_um", [0, 0, 1e300]),
        ("plane", "point_um", [0, 0]), ("plane", "order", [0, 0, 1]), ("plane", "ndisplay", 4),
        ("regions", "selected", [1.5]), ("regions", "selected", [-1]), ("regions", "hidden", "12"),
        ("regions", "hidden", [2**70]),
    ],
)  # fmt: skip
def test_the_message_names_the_place(part: str, name: str, value: Any) -> None:
    content = _content()
    content[part][name] = value
    text = json.dumps(content).replace("Infinity", "1e999")
    with pytest.raises(FormatError, match=f"{part}: {name}"):
        view_from_json(text.encode(), FOLDER)


def test_a_text_that_is_too_long_is_called_so() -> None:
    content = _content() | {"name": "n" * 5000}
    with pytest.raises(FormatError, match="not a text of at most 4096 letters"):
        _read(content)


def test_the_zoom_fits_what_was_seen_into_another_canvas() -> None:
    camera = replace(PLAIN.camera, zoom=0.3, canvas_px=(600, 900))
    assert camera.zoom_on((600, 900)) == camera.zoom_on((594, 905)) == 0.3
    assert camera.zoom_on((300, 900)) == pytest.approx(0.15)
    assert camera.zoom_on((900, 300)) == pytest.approx(0.1)
    assert camera.zoom_on((1200, 1800)) == pytest.approx(0.6)
    assert PLAIN.camera.zoom_on((5, 5)) == PLAIN.camera.zoom  # files of before do not say


def test_more_than_is_known_is_passed_over_and_a_newer_format_refused() -> None:
    content = _content()
    content["weather"] = {"sunny": True}
    content["camera"]["lens"] = 50
    assert _read(content).camera == PLAIN.camera
    content["version"] = 2
    with pytest.raises(UnsupportedSourceError, match="update napari-stria"):
        _read(content)


def test_an_atlas_beside_the_file_moves_with_it(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "deep" / "after"
    (before / "views").mkdir(parents=True)
    root = before / "atlases"
    view = replace(PLAIN, opened_with={"name_or_uri": "toy", "root": str(root)})
    write_view(before / "views" / "a.stria.json", view)
    after.parent.mkdir()
    before.rename(after)
    found = read_view(after / "views" / "a.stria.json")
    assert Path(found.opened_with["root"]) == after / "atlases"


def test_an_atlas_elsewhere_stays_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "one" / "two" / "views"
    folder.mkdir(parents=True)
    elsewhere = str(tmp_path / "atlases")
    view = replace(PLAIN, opened_with={"name_or_uri": "toy", "root": elsewhere})
    write_view(folder / "a.stria.json", view)
    (tmp_path / "moved").mkdir()
    moved = (folder / "a.stria.json").rename(tmp_path / "moved" / "a.stria.json")
    assert read_view(moved).opened_with["root"] == elsewhere


def test_a_view_that_cannot_be_written_leaves_the_file_before(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="another place"):
        write_view(tmp_path / "missing" / "a.stria.json", PLAIN)
    with pytest.raises(FormatError, match="cannot be read"):
        read_view(tmp_path / "missing" / "a.stria.json")


def test_what_opens_the_atlas_again(
    tmp_path: Path, write_atlas: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atlas(tmp_path / "root")
    monkeypatch.chdir(tmp_path)
    # A folder of the atlas's name must not be taken for its address.
    (tmp_path / "toy_mouse_25um").mkdir()
    atlas = stria.open_atlas("toy_mouse_25um", root="root")
    arguments = reopening_arguments(atlas)
    assert arguments["root"] == str(tmp_path / "root")
    assert arguments["version"] == "3.0"
    monkeypatch.chdir("/")
    again = stria.open_atlas(**known_arguments(arguments))
    assert again.name == atlas.name
    assert len(again.ontology) == len(atlas.ontology)


def test_an_atlas_in_memory_cannot_be_opened_again() -> None:
    rows: Any = [{"id": 1, "parent_id": None, "acronym": "root", "name": "root"}]
    atlas = stria.atlas_from_array(
        np.ones((4, 4, 4), np.uint8), stria.Ontology.from_records(rows), resolution_um=25
    )
    with pytest.raises(UnsupportedSourceError, match="no address"):
        reopening_arguments(atlas)


def test_no_secret_is_written(tmp_path: Path, write_atlas: Callable[..., Path]) -> None:
    write_atlas(tmp_path)
    atlas = stria.open_atlas("toy_mouse_25um", root=tmp_path)
    options = {
        "key": "SECRET", "headers": {"Authorization": "SECRET"}, "anon": False,
        "client_kwargs": {"endpoint_url": "https://host.org", "aws_secret_access_key": "SECRET"},
    }  # fmt: skip
    secretive = replace(atlas, opened_with={**atlas.opened_with, "storage_options": options})
    arguments = reopening_arguments(secretive)
    text = view_to_json(replace(PLAIN, opened_with=arguments), tmp_path)
    assert "SECRET" not in text
    assert "endpoint_url" in text
    for root in ("https://me:SECRET@host.org/atlas", "https://host.org/atlas?token=SECRET"):
        other = replace(atlas, opened_with={"name_or_uri": "toy_mouse_25um", "root": root})
        with pytest.raises(UnsupportedSourceError) as caught:
            reopening_arguments(other)
        assert "SECRET" not in str(caught.value)


def test_arguments_that_open_atlas_lacks_are_passed_over() -> None:
    said = {"name_or_uri": "a", "run": "rm", "cancel": "x", "storage_options": {"key": "x"}}
    found = known_arguments(said)
    assert found == {"name_or_uri": "a"}
