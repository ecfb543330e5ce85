"""Surfaces from both of BrainGlobe's layouts, written here by DracoPy and trimesh themselves."""

from __future__ import annotations

import json
import pickle
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import DracoPy
import numpy as np
import numpy.typing as npt
import pytest
import trimesh

import napari_stria as stria
from napari_stria.core.mesh import RegionMesh
from napari_stria.demo.server import DemoServer
from napari_stria.io.draco_meshes import DracoMeshes
from napari_stria.io.obj_meshes import ObjMeshes
from napari_stria.io.store import Fetched, FolderStore

SET = "annotation-sets/toy-annotation/3_0"
NAME = "toy_mouse_25um"
IDENTITY = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
# Voxels i0 to i1 of an asymmetric box at 25 um: it lies on the side where ML starts.
BOX = ((3, 9), (2, 5), (1, 7))
LOW, HIGH = np.array([75.0, 50.0, 25.0]), np.array([225.0, 125.0, 175.0])
Points = npt.NDArray[np.float64]


def box(low: Points = LOW, high: Points = HIGH) -> tuple[Points, npt.NDArray[np.int64]]:
    """Corners of a box and its triangles, seen from outside where the axes are right-handed."""
    made = trimesh.creation.box(bounds=[low, high])
    return np.asarray(made.vertices), np.asarray(made.faces)


def volume(points: npt.NDArray[Any], faces: npt.NDArray[Any]) -> float:
    a, b, c = (points[faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def manifest(
    cell: Sequence[float], origin: Sequence[float], places: Sequence[Any], sizes: Sequence[int]
) -> bytes:
    """One level of fragments, as neuroglancer's page of the format lists the fields."""
    head = struct.pack("<6fI4fI", *cell, *origin, 1, max(cell), 0, 0, 0, len(places))
    positions = np.array(places, dtype="<u4").T.tobytes()
    return head + positions + np.array(sizes, dtype="<u4").tobytes()


def write_info(folder: Path, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    info = {"@type": "neuroglancer_multilod_draco", "vertex_quantization_bits": 16}
    info |= {"transform": IDENTITY, "lod_scale_multiplier": 1.0} | more
    (folder / "info").write_text(json.dumps(info))


def write_mesh(
    folder: Path, number: int, points_um: Points, faces: npt.NDArray[Any], level: int = 0
) -> bytes:
    """Write as BrainGlobe's packaging does: XYZ in nm, the cube round it is the one cell."""
    stored = (points_um[:, [2, 1, 0]] * 1000).astype(np.float32)
    low = stored.min(axis=0)
    edge = float((stored.max(axis=0) - low).max())
    raw: bytes = DracoPy.encode(
        stored, faces[:, [2, 1, 0]].astype(np.uint32), quantization_bits=16,
        compression_level=level, quantization_range=edge, quantization_origin=low.tolist(),
    )  # fmt: skip
    (folder / str(number)).write_bytes(raw)
    (folder / f"{number}.index").write_bytes(
        manifest([edge] * 3, low.tolist(), [[0, 0, 0]], [len(raw)])
    )
    return raw


@pytest.fixture
def root(tmp_path: Path, write_atlas: Callable[..., Path]) -> Path:
    """An atlas with a mesh of region 688, by the writer's present names."""
    root = write_atlas(tmp_path / "root")
    folder = root / SET / "annotations.precomputed" / "mesh"
    write_info(folder)
    write_mesh(folder, 688, *box())
    return root


@pytest.fixture
def meshes(root: Path) -> DracoMeshes:
    return DracoMeshes(FolderStore(root), SET)


@pytest.fixture
def folder(root: Path) -> Path:
    return root / SET / "annotations.precomputed" / "mesh"


def check_box(mesh: RegionMesh | None) -> None:
    assert mesh is not None
    assert mesh.vertices_um.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    np.testing.assert_allclose(mesh.vertices_um.min(axis=0), LOW, atol=0.01)
    np.testing.assert_allclose(mesh.vertices_um.max(axis=0), HIGH, atol=0.01)
    # Not turned inside out by the change of axes.
    assert volume(mesh.vertices_um, mesh.faces) == pytest.approx(np.prod(HIGH - LOW), rel=1e-3)


@pytest.mark.parametrize("level", [0, 1, 7])
def test_draco_is_read_in_um_by_array_axes(meshes: DracoMeshes, folder: Path, level: int) -> None:
    write_mesh(folder, 8, *box(), level=level)
    check_box(meshes.read(8))


def test_marching_cubes_of_voxels_end_at_their_outer_borders(
    meshes: DracoMeshes, folder: Path
) -> None:
    from skimage import measure

    voxels = np.zeros((20, 12, 18), dtype=np.float32)
    voxels[tuple(slice(*ends) for ends in BOX)] = 1
    find: Any = measure.marching_cubes
    points, faces, _, _ = find(voxels, 0.5)
    write_mesh(folder, 8, (points + 0.5) * 25.0, faces)
    mesh = meshes.read(8)
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices_um.min(axis=0), LOW, atol=0.01)
    np.testing.assert_allclose(mesh.vertices_um.max(axis=0), HIGH, atol=0.01)


@pytest.mark.parametrize("space", ["asr", "asl"])
def test_a_surface_lies_on_the_side_of_its_voxels(
    tmp_path: Path, write_atlas: Callable[..., Path], space: str
) -> None:
    labels = np.zeros((20, 12, 18), dtype=np.uint32)
    labels[tuple(slice(*ends) for ends in BOX)] = 688
    root = write_atlas(tmp_path / space, labels, manifest={"orientation": space})
    folder = root / SET / "annotations.precomputed" / "mesh"
    write_info(folder)
    write_mesh(folder, 688, *box())
    atlas = stria.open_atlas(NAME, root=root)
    mesh, row = stria.read_mesh(atlas, "CTX"), stria.region_table(atlas).loc[688]
    for axis, name in enumerate(("ap", "dv", "ml")):
        assert mesh.vertices_um[:, axis].min() == pytest.approx(
            row[f"bbox_{name}_min_um"], abs=0.01
        )
        assert mesh.vertices_um[:, axis].max() == pytest.approx(
            row[f"bbox_{name}_max_um"], abs=0.01
        )
    near = "right" if space == "asr" else "left"
    assert row[f"{near}_mm3"] == row["volume_mm3"] > 0


def test_nothing_is_asked_before_a_mesh_is_wanted(root: Path) -> None:
    with DemoServer(root) as server:
        atlas = stria.open_atlas(NAME, root=server.url, cached=False)
        assert not [p for p in server.counters.paths if "precomputed" in p]
        before = server.counters.requests
        check_box(stria.read_mesh(atlas, "CTX"))
        assert server.counters.requests - before == 3  # info, index, mesh
        check_box(stria.read_mesh(atlas, 688))
        assert server.counters.requests - before == 5
        assert server.counters.paths.count(f"/{SET}/annotations.precomputed/mesh/info") == 1


def test_what_was_read_is_there_without_the_server(root: Path) -> None:
    with DemoServer(root) as server:
        atlas = stria.open_atlas(NAME, root=server.url)
        check_box(stria.read_mesh(atlas, "CTX"))
    check_box(stria.read_mesh(atlas, "CTX"))


def test_a_region_without_mesh_says_so(meshes: DracoMeshes, root: Path) -> None:
    assert meshes.read(8) is None
    atlas = stria.open_atlas(NAME, root=root)
    with pytest.raises(stria.MeshNotFoundError, match=r"^grey has no mesh in this atlas\.$"):
        stria.read_mesh(atlas, "grey")
    with pytest.raises(LookupError):
        stria.read_mesh(atlas, 8)
    with pytest.raises(stria.RegionNotFoundError):
        stria.read_mesh(atlas, "nowhere")


def test_an_atlas_without_meshes(tmp_path: Path, write_atlas: Callable[..., Path]) -> None:
    atlas = stria.open_atlas(NAME, root=write_atlas(tmp_path))
    with pytest.raises(stria.MeshNotFoundError):
        stria.read_mesh(atlas, 688)


def test_a_server_that_stalls_holds_nobody_who_has_an_answer(root: Path) -> None:
    stalled, go = threading.Event(), threading.Event()

    class Stalls(FolderStore):
        """Stalls the first who asks for the folder."""

        def fetch(self, key: str) -> Fetched | None:
            if not stalled.is_set():
                stalled.set()
                assert go.wait(20)
            return super().fetch(key)

    meshes = DracoMeshes(Stalls(root), SET)
    first = threading.Thread(target=meshes.read, args=(688,))
    first.start()
    try:
        assert stalled.wait(20)
        check_box(meshes.read(688))
    finally:
        go.set()
        first.join(20)


def test_the_older_folder_name(root: Path) -> None:
    old = root / SET / "annotation.precomputed"
    (root / SET / "annotations.precomputed").rename(old)
    check_box(DracoMeshes(FolderStore(root), SET).read(688))


def test_without_an_index_the_mesh_is_taken_as_it_is(meshes: DracoMeshes, folder: Path) -> None:
    (folder / "688.index").unlink()
    check_box(meshes.read(688))


def test_the_transform_of_the_folder_is_applied(folder: Path, meshes: DracoMeshes) -> None:
    # Stored in um, with x turned round: that mirrors once more.
    write_info(folder, transform=[-1000.0, 0, 0, 450e3, 0, 1000, 0, 0, 0, 0, 1000, 0])
    points, faces = box()
    write_mesh(folder, 688, points * [1, 1, -1] / 1000 + [0, 0, 0.45], faces[:, ::-1])
    check_box(meshes.read(688))


def test_fragments_are_placed_by_their_index(folder: Path, meshes: DracoMeshes) -> None:
    """Two cells along z (AP), each with its half of the box in quantized coordinates."""
    half = (HIGH[0] - LOW[0]) / 2
    cell = np.array([HIGH[2] - LOW[2], HIGH[1] - LOW[1], half]) * 1000
    unit, faces = box(np.zeros(3), np.ones(3))
    raw = DracoPy.encode((unit * 65535).astype(np.uint32), faces.astype(np.uint32))
    (folder / "688").write_bytes(raw + raw)
    index = manifest(
        cell.tolist(), (LOW[::-1] * 1000).tolist(), [[0, 0, 0], [0, 0, 1]], [len(raw)] * 2
    )
    (folder / "688.index").write_bytes(index)
    mesh = meshes.read(688)
    assert mesh is not None
    assert len(mesh.faces) == 24
    check_box(mesh)


def test_it_can_be_pickled(meshes: DracoMeshes) -> None:
    check_box(meshes.read(688))
    check_box(pickle.loads(pickle.dumps(meshes)).read(688))


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def claim(method: int, faces: int) -> bytes:
    """The start of a mesh that claims many triangles, and nothing after it."""
    start = b"DRACO\x02\x02\x01" + bytes([method, 0, 0]) + b"\x00" * method
    return start + varint(faces) + varint(min(3 * faces, 2**32 - 1)) + b"\x00" * 40


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", stria.CorruptDataError),
        (b"<html>not here</html>", stria.CorruptDataError),
        (b"DRACO", stria.CorruptDataError),
        (b"DRACO\x02\x02\x01\x01\x00\x00", stria.CorruptDataError),
        (b"DRACO\x02\x02\x01\x01\x00\x00" + b"\xff" * 50, stria.CorruptDataError),
        (claim(0, 1_000_000_000), stria.CorruptDataError),
        (claim(1, 1_000_000_000), stria.CorruptDataError),
        (claim(0, 1_000_000), stria.CorruptDataError),
        (b"DRACO\x01\x01\x01\x01\x00\x00" + b"\x00" * 50, stria.FormatError),
        (DracoPy.encode(np.eye(3, dtype=np.float32)), stria.FormatError),
    ],
)
def test_what_is_no_mesh_is_refused(
    meshes: DracoMeshes, folder: Path, raw: bytes, error: type[Exception]
) -> None:
    (folder / "688").write_bytes(raw)
    (folder / "688.index").unlink()
    with pytest.raises(error, match="mesh/688"):
        meshes.read(688)


def test_any_cut_and_any_byte_gives_a_mesh_or_an_error(meshes: DracoMeshes, folder: Path) -> None:
    whole = write_mesh(folder, 688, *box(), level=1)
    (folder / "688.index").unlink()
    refused = 0
    for at in range(len(whole)):
        for raw in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xA5]) + whole[at + 1 :]):
            (folder / "688").write_bytes(raw)
            try:
                meshes.read(688)
            except (stria.CorruptDataError, stria.FormatError):
                refused += 1
    assert refused > len(whole)


def test_a_mesh_that_its_index_does_not_fit_is_refused(meshes: DracoMeshes, folder: Path) -> None:
    raw = (folder / "688").read_bytes()
    (folder / "688").write_bytes(raw + b"more")
    with pytest.raises(stria.CorruptDataError, match="index says"):
        meshes.read(688)
    (folder / "688").write_bytes(raw)
    (folder / "688.index").write_bytes(b"\x00" * 30)
    with pytest.raises(stria.CorruptDataError, match=r"688\.index is no mesh index"):
        meshes.read(688)


def test_coordinates_that_fit_no_cell_are_refused(meshes: DracoMeshes, folder: Path) -> None:
    size = len((folder / "688").read_bytes())
    (folder / "688.index").write_bytes(manifest([9e5] * 3, [1e3, 0, 0], [[0, 0, 0]], [size]))
    with pytest.raises(stria.FormatError, match="placed neither"):
        meshes.read(688)


def test_points_outside_any_brain_are_refused(meshes: DracoMeshes, folder: Path) -> None:
    points, faces = box()
    write_mesh(folder, 688, points * 1e6, faces)
    with pytest.raises(stria.CorruptDataError, match="in no brain"):
        meshes.read(688)


@pytest.mark.parametrize(
    "more",
    [
        {"@type": "neuroglancer_legacy_mesh"},
        {"sharding": {"@type": "neuroglancer_uint64_sharded_v1"}},
        {"vertex_quantization_bits": 12},
        {"transform": [1, 2, 3]},
        {"transform": [0] * 12},
        {"transform": None},
    ],
)
def test_folders_of_another_kind_are_refused(
    meshes: DracoMeshes, folder: Path, more: dict[str, Any]
) -> None:
    write_info(folder, **more)
    with pytest.raises(stria.FormatError, match="mesh/info"):
        meshes.read(688)


def test_a_damaged_copy_is_fetched_again(root: Path, folder: Path) -> None:
    class Copies(FolderStore):
        """Keeps one damaged copy, until it is told to drop it."""

        damaged = True

        def get_chunk(self, key: str, edition: str) -> bytes | None:
            assert edition == self.version_of(f"{SET}/annotations.precomputed/mesh/info")
            return b"DRACO" if Copies.damaged and key.endswith("/688") else self.get(key)

        def drop_chunk(self, key: str, edition: str) -> bool:
            was, Copies.damaged = Copies.damaged, False
            return was

    check_box(DracoMeshes(Copies(root), SET).read(688))
    assert not Copies.damaged


# -- version 1 and 2 -----------------------------------------------------------------------------


def test_obj_keeps_points_and_their_order(tmp_path: Path) -> None:
    points, faces = box()
    made = trimesh.Trimesh(np.repeat(points, 2, axis=0), faces * 2, process=False)
    export: Any = trimesh.exchange.obj.export_obj
    (tmp_path / "688.obj").write_text(export(made, include_normals=True))
    mesh = ObjMeshes(tmp_path).read(688)
    check_box(mesh)
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices_um, made.vertices)
    np.testing.assert_array_equal(mesh.faces, made.faces)


def test_obj_with_a_normal_for_each_corner_is_not_split(tmp_path: Path) -> None:
    corners = "v 0 0 0\nv 100 0 0\nv 100 100 0\nv 0 100 50\n"
    normals = "vn 0 0 1\nvn 0 1 0\nvn 1 0 0\n"
    text = f"mtllib x.mtl\no a\n{corners}{normals}usemtl y\nf 1//1 2//2 3//3\r\nf 1//3 3//1 4//2\n"
    (tmp_path / "7.obj").write_text(text)
    mesh = ObjMeshes(tmp_path).read(7)
    assert mesh is not None
    assert mesh.vertices_um.tolist() == [[0, 0, 0], [100, 0, 0], [100, 100, 0], [0, 100, 50]]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_missing_obj_is_no_mesh(tmp_path: Path) -> None:
    assert ObjMeshes(tmp_path).read(688) is None
    assert ObjMeshes(tmp_path / "nowhere").read(688) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "v 0 0 0\nv 1 0 0\nv 1 1 0\n",
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 9\n",
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nf 0 1 2\n",
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\nf 1 2",
        "v 0 0 nan\nv 1 0 0\nv 1 1 0\nf 1 2 3\n",
        "v 0 0 1e30\nv 1 0 0\nv 1 1 0\nf 1 2 3\n",
        "v a b c\nf 1 2 3\n",
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1.5 2 3\n",
    ],
)
def test_a_damaged_obj_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "688.obj").write_text(text)
    with pytest.raises(stria.CorruptDataError, match=r"688\.obj"):
        ObjMeshes(tmp_path).read(688)
