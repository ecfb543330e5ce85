"""The practice brain's surfaces and sides on disk, read by nothing of the product."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import DracoPy
import numpy as np
import pytest
import zarr

from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_IDS, PRACTICE_REGIONS
from napari_stria.demo import practice, practice_meshes
from napari_stria.demo.practice_meshes import WITHOUT_MESH, surface_of

SET = "annotation-sets/practice_mouse-annotation/1_0"


@pytest.fixture(scope="module")
def practice_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return practice.practice_root(tmp_path_factory.mktemp("practice"))


@pytest.fixture(scope="module")
def folder(practice_folder: Path) -> Path:
    return practice_folder / SET / "annotations.precomputed"


def read(folder: Path, acronym: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """As BrainGlobe reads: nm -> um, XYZ -> ZYX, triangles turned."""
    mesh: Any = DracoPy.decode((folder / "mesh" / str(PRACTICE_IDS[acronym])).read_bytes())
    return mesh.points[:, [2, 1, 0]] / 1000, mesh.faces[:, [2, 1, 0]].astype(int)


def volume_mm3(points: np.ndarray[Any, Any], faces: np.ndarray[Any, Any]) -> float:
    a, b, c = (points[faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6e9)


def subtree(acronym: str) -> list[int]:
    ids = [PRACTICE_IDS[acronym]]
    for region in PRACTICE_REGIONS:
        if region.parent_id in ids:
            ids.append(region.id)
    return ids


@pytest.mark.parametrize("acronym", ["root", "TH", "CP", "SSp-un", "Isocortex", "BLA", "VL"])
def test_a_surface_encloses_its_region_with_descendants(folder: Path, acronym: str) -> None:
    mask = np.isin(practice_annotation(100.0), subtree(acronym))
    points, faces = read(folder, acronym)
    where = np.nonzero(mask)
    np.testing.assert_allclose(points.min(axis=0), [100 * w.min() for w in where], atol=1)
    np.testing.assert_allclose(points.max(axis=0), [100 * (w.max() + 1) for w in where], atol=1)
    # Closed, seen from outside; only edges and corners are cut off.
    assert volume_mm3(points, faces) == pytest.approx(mask.sum() * 1e-3, rel=0.08)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    assert set(count % 2) == {0}


def test_a_box_of_voxels_ends_at_their_outer_borders() -> None:
    mask = np.zeros((9, 8, 7), dtype=bool)
    mask[2:5, 0:3, 4:7] = True  # at two borders of the volume, and closed there
    points, faces = surface_of(mask, 100.0)
    np.testing.assert_array_equal(points.min(axis=0), [200, 0, 400])
    np.testing.assert_array_equal(points.max(axis=0), [500, 300, 700])
    assert volume_mm3(points, faces) > 0


def test_left_and_right_differ_in_the_surfaces_as_in_the_voxels(folder: Path) -> None:
    points, _ = read(folder, "BLA")  # on the right alone: where ML starts
    assert points[:, 2].max() < 5700
    points, _ = read(folder, "CP")
    left, right = points[points[:, 2] > 5700], points[points[:, 2] < 5700]
    assert np.ptp(left[:, 0]) > np.ptp(right[:, 0]) + 500


def test_every_region_with_voxels_but_one_has_a_mesh(folder: Path) -> None:
    labels = practice_annotation(100.0)
    expected = {
        region.id
        for region in PRACTICE_REGIONS
        if region.acronym not in WITHOUT_MESH and np.isin(labels, subtree(region.acronym)).any()
    }
    names = {path.name for path in (folder / "mesh").iterdir()} - {"info"}
    assert names == {f"{i}{end}" for i in expected for end in ("", ".index")}
    assert sorted(WITHOUT_MESH) == ["V3"]
    assert (labels == PRACTICE_IDS["V3"]).any()


def test_info_and_index_are_neuroglancers(folder: Path) -> None:
    assert json.loads((folder / "mesh" / "info").read_text()) == {
        "@type": "neuroglancer_multilod_draco",
        "vertex_quantization_bits": 16,
        "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
        "lod_scale_multiplier": 1,
    }
    raw = (folder / "mesh" / "549").read_bytes()
    index = (folder / "mesh" / "549.index").read_bytes()
    *cell_and_origin, levels, scale, x, y, z, fragments = struct.unpack_from("<6fI4fI", index)
    assert (levels, fragments, x, y, z) == (1, 1, 0, 0, 0)
    assert struct.unpack_from("<4I", index, 48) == (0, 0, 0, len(raw))
    assert len(index) == 64
    points = DracoPy.decode(raw).points
    np.testing.assert_allclose(cell_and_origin[3:], points.min(axis=0), atol=20)
    np.testing.assert_allclose(cell_and_origin[:3], [np.ptp(points, axis=0).max()] * 3, atol=20)
    assert scale == cell_and_origin[0]


def test_segments_are_named(folder: Path) -> None:
    inline = json.loads((folder / "segment_properties" / "info").read_text())["inline"]
    names = dict(zip(inline["ids"], inline["properties"][0]["values"]))
    assert names["549"] == "TH: (Thalamus)"
    assert len(names) == len(PRACTICE_REGIONS)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_hemispheres_part_where_brainglobe_parts(practice_folder: Path, level: int) -> None:
    group = zarr.open_group(practice_folder / SET / "hemispheres.ome.zarr", mode="r")
    array = group[f"s{level}"]
    assert isinstance(array, zarr.Array)
    sides = np.asarray(array[...])
    half = (114, 57, 28)[level]
    assert sides.dtype == np.uint8
    assert set(np.unique(sides[..., :half])) == {2}  # right: where the axis starts
    assert set(np.unique(sides[..., half:])) == {1}
    assert sides.shape == practice_annotation((50.0, 100.0, 200.0)[level]).shape


def test_the_fingerprint_follows_the_meshes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = practice._fingerprint()
    changed = tmp_path / "practice_meshes.py"
    changed.write_text(Path(str(practice_meshes.__file__)).read_text() + "# more\n")
    monkeypatch.setattr(practice_meshes, "__file__", str(changed))
    assert practice._fingerprint() != before
