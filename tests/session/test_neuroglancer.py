"""Links to neuroglancer: the same voxels at the same place, or a reason why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import napari_stria as stria
from napari_stria.core.pyramid import Multiscale
from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.cached_store import CachedStore
from napari_stria.io.draco_meshes import DracoMeshes
from napari_stria.io.http_store import HttpOptions, HttpStore
from napari_stria.io.peer_store import PeerStore
from napari_stria.io.s3_store import S3Store
from napari_stria.io.store import FolderStore
from napari_stria.session.citation import atlas_citation, citation_text
from napari_stria.session.neuroglancer import DEFAULT_BASE, LinkView, neuroglancer_state

ROOT = "https://brainglobe.s3.us-west-2.amazonaws.com/atlas"
LINES = {"AP": (1.0, 0.0, 0.0), "DV": (0.0, 1.0, 0.0), "ML": (0.0, 0.0, 1.0)}
MIDDLE = LinkView((250.0, 150.0, 225.0))


def _moved(pyramid: Multiscale, store: Any) -> Multiscale:
    levels: list[Any] = [
        replace(level, reader=replace(level.reader, store=store))  # type: ignore[type-var]
        for level in pyramid.levels
    ]
    return Multiscale(tuple(levels))


def _elsewhere(atlas: stria.Atlas, store: Any) -> stria.Atlas:
    """Return an atlas as if its store lay at another address; nothing is read from there."""
    return replace(
        atlas,
        annotation=_moved(atlas.annotation, store),
        templates={name: _moved(p, store) for name, p in atlas.templates.items()},
        meshes=DracoMeshes(store, "annotation-sets/toy-annotation/3_0"),
    )


@pytest.fixture
def local(tmp_path: Path, write_atlas: Callable[..., Path]) -> stria.Atlas:
    """An atlas in a folder, with BrainGlobe's layout and millimetres."""
    template = np.ones((20, 12, 18), np.uint16)
    write_atlas(tmp_path, template=template, resolution_um=(25.0, 20.0, 10.0))
    return stria.open_atlas("toy_mouse_25um", root=tmp_path)


@pytest.fixture
def public(local: stria.Atlas) -> stria.Atlas:
    """The same, as if it lay in BrainGlobe's bucket."""
    return _elsewhere(local, HttpStore(ROOT))


def _layer(state: dict[str, Any], name: str) -> dict[str, Any]:
    return next(layer for layer in state["layers"] if layer["name"] == name)


def _global_um(layer: dict[str, Any], ome_um: Sequence[float]) -> dict[str, float]:
    """Return where neuroglancer puts a point of an OME-Zarr's coordinates, by name of axis, in um.

    As its `ome.ts` and coordinate transforms have it: the coordinate is divided by the finest
    voxel, then the source's matrix is applied, whose last column is in units of the output.
    """
    transform = layer["source"]["transform"]
    scales = [size * 1e6 for size, _unit in transform["outputDimensions"].values()]
    point = np.array([*(p / s for p, s in zip(ome_um, scales, strict=True)), 1.0])
    moved = np.asarray(transform["matrix"]) @ point * scales
    return dict(zip(transform["outputDimensions"], (float(v) for v in moved), strict=True))


def test_stores_around_the_servers_do_not_count(local: stria.Atlas, tmp_path: Path) -> None:
    server = HttpStore(ROOT)
    around = PeerStore(FolderStore(tmp_path), CachedStore(server), ROOT)
    state = neuroglancer_state(_elsewhere(local, around), MIDDLE)
    assert state == neuroglancer_state(_elsewhere(local, server), MIDDLE)


def test_sources_are_named_in_neuroglancers_syntax(public: stria.Atlas) -> None:
    state = neuroglancer_state(public, replace(MIDDLE, selected=(1,)))
    regions, surfaces = _layer(state, "regions"), _layer(state, "surfaces")
    place = f"{ROOT}/annotation-sets/toy-annotation/3_0"
    assert regions["source"]["url"] == f"{place}/annotations_compressed.ome.zarr/|zarr3:"
    assert (
        _layer(state, "toy")["source"]["url"] == f"{ROOT}/templates/toy/1/template.ome.zarr/|zarr3:"
    )
    precomputed = f"{place}/annotations.precomputed/|neuroglancer-precomputed:"
    assert surfaces["source"]["url"] == precomputed
    assert [layer["type"] for layer in state["layers"]] == [
        "image", "segmentation", "segmentation",
    ]  # fmt: skip


def test_a_voxel_covers_in_neuroglancer_what_it_covers_here(public: stria.Atlas) -> None:
    state = neuroglancer_state(public, MIDDLE)
    for layer, pyramid in (
        (_layer(state, "regions"), public.annotation),
        (_layer(state, "toy"), public.templates["toy"]),
    ):
        for level in pyramid.levels:
            # The corner of the level's voxel 0 in OME coordinates: half its voxel below its centre.
            corner_ome = [
                t - s / 2 for t, s in zip(level.translation_um, level.scale_um, strict=True)
            ]
            found = _global_um(layer, corner_ome)
            assert found == pytest.approx(dict(zip("zyx", level.origin_um, strict=True)), abs=1e-9)


def test_templates_and_regions_of_other_voxels_meet_at_their_corner(public: stria.Atlas) -> None:
    """A template whose finest voxels are others has another half voxel."""
    coarse = Multiscale(
        tuple(
            replace(level, translation_um=(0.0, 0.0, 0.0), origin_um=(0.0, 0.0, 0.0))
            for level in public.templates["toy"].levels[1:2]
        )
    )
    state = neuroglancer_state(replace(public, templates={"toy": coarse}), MIDDLE)
    for layer, finest in (
        (_layer(state, "regions"), public.annotation.levels[0]),
        (_layer(state, "toy"), coarse.levels[0]),
    ):
        half = [-s / 2 for s in finest.scale_um]
        assert list(_global_um(layer, half).values()) == pytest.approx([0, 0, 0], abs=1e-9)


def test_the_position_is_the_point_in_voxels(public: stria.Atlas) -> None:
    state = neuroglancer_state(public, replace(MIDDLE, um_per_px=5.0, height_px=600.0))
    sizes = {name: size * 1e6 for name, (size, unit) in state["dimensions"].items()}
    assert list(sizes) == ["x", "y", "z"]
    assert list(sizes.values()) == pytest.approx([10, 20, 25])
    assert [p * s for p, s in zip(state["position"], sizes.values(), strict=True)] == pytest.approx(
        [225.0, 150.0, 250.0]
    )
    # In smallest voxels (10 um).
    assert state["crossSectionScale"] == pytest.approx(0.5)
    assert state["projectionScale"] == pytest.approx(300)


@pytest.mark.parametrize(
    ("down", "right", "layout"),
    [
        ("DV", "ML", "xy"), ("AP", "ML", "xz"), ("DV", "AP", "yz"), ("AP", "DV", "yz"),
        ("ML", "DV", "xy"), ("ML", "AP", "xz"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_the_screens_axes_are_those_of_the_viewer(
    public: stria.Atlas, down: str, right: str, layout: str, flip: float
) -> None:
    def vector(name: str, sign: float = 1.0) -> Any:
        return tuple(sign * v for v in LINES[name])

    view = replace(MIDDLE, down=vector(down), right=vector(right, flip))
    state = neuroglancer_state(public, view)
    assert state["layout"] == layout
    # What a panel shows to the right and down (`data_panel_layout.ts`), turned by the state's own.
    panel = {
        "xy": Rotation.identity(),
        "xz": Rotation.from_euler("x", 90, degrees=True),
        "yz": Rotation.from_euler("y", 90, degrees=True),
    }[layout]
    turned = Rotation.from_quat(state["crossSectionOrientation"]) * panel
    assert turned.apply((1, 0, 0))[::-1] == pytest.approx(vector(right, flip), abs=1e-9)
    assert turned.apply((0, 1, 0))[::-1] == pytest.approx(vector(down), abs=1e-9)


def test_plain_planes_need_no_turn(public: stria.Atlas) -> None:
    coronal = neuroglancer_state(public, MIDDLE)
    assert coronal["crossSectionOrientation"] == [0, 0, 0, 1]
    horizontal = neuroglancer_state(public, replace(MIDDLE, down=LINES["AP"]))
    assert horizontal["crossSectionOrientation"] == [0, 0, 0, 1]


def test_in_3d_it_looks_from_the_same_side(public: stria.Atlas) -> None:
    turn = Rotation.from_euler("xyz", (20, -30, 40), degrees=True)
    right, down = (tuple(turn.apply(v)[::-1]) for v in ((1, 0, 0), (0, 1, 0)))
    state = neuroglancer_state(public, replace(MIDDLE, ndisplay=3, right=right, down=down))
    assert state["layout"] == "3d"
    found = Rotation.from_quat(state["projectionOrientation"])
    assert (found * turn.inv()).magnitude() == pytest.approx(0, abs=1e-9)


def test_selected_regions_come_with_their_parts_and_colours(public: stria.Atlas) -> None:
    ontology = public.ontology
    cortex = ontology.position(688)
    hidden = np.zeros(len(ontology), bool)
    hidden[ontology.position(182_305_689)] = True
    state = neuroglancer_state(public, replace(MIDDLE, selected=(cortex,), hidden=hidden))
    regions, surfaces = _layer(state, "regions"), _layer(state, "surfaces")
    assert set(regions["segments"]) == {"688", "3000000001"}
    assert regions["segmentColors"]["688"] == "#0a0b0c"
    assert set(regions["segmentColors"]) == {"688", "3000000001"}
    # A surface holds its parts; they are not drawn again within it.
    assert surfaces["segments"] == ["688"]


def test_nothing_selected_is_all_and_everything_hidden_is_nothing(public: stria.Atlas) -> None:
    regions = _layer(neuroglancer_state(public, MIDDLE), "regions")
    assert "segments" not in regions
    assert len(regions["segmentColors"]) == len(public.ontology)
    hidden = np.ones(len(public.ontology), bool)
    regions = _layer(neuroglancer_state(public, replace(MIDDLE, hidden=hidden)), "regions")
    assert regions["segments"] == []
    assert regions["ignoreNullVisibleSet"] is False


def test_the_link_holds_the_state(public: stria.Atlas) -> None:
    link = stria.neuroglancer_link(public, point_um=(1, 2, 3), regions=["CTX"])
    assert link.startswith(DEFAULT_BASE + "#!")
    fragment = link.partition("#!")[2]
    assert not set(fragment) & set("\"{}[]#' ")
    state = json.loads(unquote(fragment))
    assert state["position"] == pytest.approx([0.3, 0.1, 0.04])
    assert "688" in _layer(state, "regions")["segments"]
    other = stria.neuroglancer_link(public, base="https://ng.example.org/v/")
    assert other.startswith("https://ng.example.org/v/#!")


def _refused(atlas: stria.Atlas, words: str, **options: Any) -> None:
    with pytest.raises(UnsupportedSourceError, match=words):
        stria.neuroglancer_link(atlas, **options)


def test_what_neuroglancer_cannot_reach_is_said(local: stria.Atlas, public: stria.Atlas) -> None:
    _refused(local, "on this machine")
    for host in ("127.0.0.1:8000", "localhost", "192.168.1.5", "lab.local"):
        _refused(_elsewhere(local, HttpStore(f"http://{host}/atlas")), "from here alone")
    plain = _elsewhere(local, HttpStore("http://host.org/atlas"))
    _refused(plain, "https://")
    assert stria.neuroglancer_link(plain, base="http://ng.example.org/")
    token = HttpOptions(headers={"Authorization": "SECRET"})
    _refused(_elsewhere(local, HttpStore(ROOT, token)), "headers")
    secret = {"key": "a", "secret": "b"}
    _refused(_elsewhere(local, S3Store("s3://bucket/atlas", secret)), "without credentials")
    loopback = {"anon": True, "endpoint_url": "http://127.0.0.1:5000"}
    _refused(_elsewhere(local, S3Store("s3://bucket/atlas", loopback)), "from here alone")


def test_public_buckets_are_read_as_such(local: stria.Atlas) -> None:
    def place(store: Any) -> str:
        state = neuroglancer_state(_elsewhere(local, store), MIDDLE)
        return str(_layer(state, "regions")["source"]["url"])

    rest = "/annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr/|zarr3:"
    assert place(S3Store("s3://brainglobe/atlas")) == f"s3://brainglobe/atlas{rest}"
    own = S3Store("s3://bucket/a b", {"anon": True, "endpoint_url": "https://s3.host.org"})
    assert place(own) == f"s3+https://s3.host.org/bucket/a%20b{rest}"
    assert place(CachedStore(HttpStore(ROOT))) == f"{ROOT}{rest}"


def test_an_array_is_no_ome_zarr() -> None:
    rows: Any = [{"id": 1, "parent_id": None, "acronym": "root", "name": "root"}]
    atlas = stria.atlas_from_array(
        np.ones((4, 4, 4), np.uint8), stria.Ontology.from_records(rows), resolution_um=25
    )
    _refused(atlas, "no OME-Zarr")


def test_citations_say_what_the_source_says(public: stria.Atlas) -> None:
    assert atlas_citation(public) == "The source of toy_mouse_25um states no citation."
    cited = replace(public, metadata={**public.metadata, "citation": "Somebody et al. 2020"})
    text = citation_text(cited, None)
    assert "Somebody et al. 2020" in text
    assert "version 3.0" in text
    assert "napari-stria" in text
    assert "Sections" not in text
