"""What every source of atlases has to do, with one small asymmetric atlas.

The atlas is written by zarr-python, tifffile, pynrrd, DracoPy and by hand, and what is expected
of it is computed from whole arrays: no code of the package is on that side. It is opened while its
voxels are out of reach; only then do they come back.
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import DracoPy
import nrrd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tifffile
import zarr

from napari_stria import atlas_from_array, open_atlas, region_at, slice_labels
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas, MemoryStatistics
from napari_stria.core.pyramid import Multiscale
from napari_stria.demo.server import DemoServer
from napari_stria.io.cache import cache_folder

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Array = npt.NDArray[Any]
Row = tuple[int, int | None, str, str]
NAME = "toy_mouse_30um"
GREY = (160, 160, 160)
BIG, UNLISTED, EMPTY = 3_000_000_001, 4_000_000_007, 12
BOX = (slice(3, 9), slice(4, 8), slice(1, 6))
MESH_FACES = [
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
    (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
]  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The atlas: three unequal axes, a region on one side only, a label without row."""

    scale_um: tuple[float, float, float]
    labels: Array
    template: Array
    rows: tuple[Row, ...]
    hemispheres: Array | None

    @property
    def colors(self) -> dict[int, tuple[int, int, int]]:
        return {r[0]: (10 + i, 200 - i, 3 * i) for i, r in enumerate(self.rows)}

    def path(self, identifier: int | None) -> list[int]:
        parents = {r[0]: r[1] for r in self.rows}
        return [] if identifier is None else [*self.path(parents[identifier]), identifier]

    def terminology(self) -> str:
        columns = "identifier,parent_identifier,annotation_value,name,abbreviation"
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*columns.split(","), "color_hex_triplet", "root_identifier_path"])
        for identifier, parent, acronym, name in self.rows:
            color = "#{:02X}{:02X}{:02X}".format(*self.colors[identifier])
            path = json.dumps(self.path(identifier))
            parent_cell = "" if parent is None else parent
            writer.writerow([identifier, parent_cell, identifier, name, acronym, color, path])
        return text.getvalue()

    def structures_csv(self) -> str:
        """As BrainGlobe's pandas wrote it: sorted by name, parents as floats, no colours."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["acronym", "id", "name", "structure_id_path", "parent_structure_id"])
        for identifier, parent, acronym, name in sorted(self.rows, key=lambda r: r[3]):
            path = "/" + "/".join(map(str, self.path(identifier))) + "/"
            parent_cell = "" if parent is None else f"{parent}.0"
            writer.writerow([acronym, identifier, name, path, parent_cell])
        return text.getvalue()

    def box_um(self) -> tuple[Array, Array]:
        """Corners of the box that the one-sided region fills."""
        low, high = (np.array([getattr(s, end) for s in BOX]) for end in ("start", "stop"))
        return low * self.scale_um, high * self.scale_um

    def mesh(self) -> tuple[Array, Array]:
        """Its surface: vertices in um (AP, DV, ML), triangles seen from outside."""
        low, high = self.box_um()
        choose = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], dtype=bool)
        return np.where(choose, high, low), np.array(MESH_FACES)


def _hemispheres(shape: Sequence[int]) -> Array:
    """Sides whose border is not the middle plane, with a gap that belongs to neither."""
    _, y, x = np.indices(shape)
    border = 7 + y // 5
    return np.select([x < border, x > border + 1], [2, 1], 0).astype(np.uint8)


@pytest.fixture(params=["anisotropic, with hemispheres", "isotropic, symmetric"])
def scene(
    request: pytest.FixtureRequest, blobs: Callable[..., Array], toy_rows: tuple[Row, ...]
) -> Scene:
    shape = (22, 14, 19)
    labels = blobs(shape, seed=5).astype(np.uint32)
    labels[labels == BIG] = 0
    labels[BOX] = BIG
    labels[15:18, 2:11, 12:17] = UNLISTED
    template = np.random.default_rng(6).integers(0, 60_000, shape, dtype=np.uint16)
    if request.param.startswith("anisotropic"):
        return Scene((30.0, 25.0, 20.0), labels, template, toy_rows, _hemispheres(shape))
    return Scene((30.0, 30.0, 30.0), labels, template, toy_rows, None)


def _nothing() -> None:
    pass


@dataclass
class Prepared:
    """What opens the atlas, and how its voxels are put out of reach and back."""

    arguments: Mapping[str, Any]
    hide: Callable[[], None] = _nothing
    show: Callable[[], None] = _nothing
    extra: dict[str, Any] = field(default_factory=dict)


def _hide_chunks(folder: Path) -> Callable[[], None]:
    """Rename all folders of chunks below a folder; return what names them back."""
    hidden = [p for p in sorted(folder.rglob("c")) if p.is_dir()]
    assert hidden
    for path in hidden:
        path.rename(path.with_name("hidden"))

    def back() -> None:
        for path in hidden:
            path.with_name("hidden").rename(path)

    return back


def _hide_in_chunks(folder: Path) -> Callable[[], None]:
    """Overwrite chunks by as many other bytes; return what brings them back."""
    raws = {p: p.read_bytes() for c in folder.rglob("c") for p in c.rglob("*") if p.is_file()}
    assert raws
    for path, raw in raws.items():
        path.write_bytes(b"x" * len(raw))

    def back() -> None:
        for path, raw in raws.items():
            path.write_bytes(raw)

    return back


def _call(functions: Sequence[Callable[[], None]]) -> None:
    for function in functions:
        function()


def _stored_chunks(
    arguments: Mapping[str, Any], folder: Path, *, in_place: bool = False, **extra: Any
) -> Prepared:
    """Return a source whose chunks lie below a folder; `in_place` keeps their names and sizes."""
    prepared = Prepared(arguments, extra=extra)

    def hide() -> None:
        prepared.show = _hide_in_chunks(folder) if in_place else _hide_chunks(folder)

    prepared.hide = hide
    return prepared


class SourceContract:
    """The contract. A class below declares what its format lacks."""

    space: ClassVar[str] = "asr"
    has_colors: ClassVar[bool] = True
    has_template: ClassVar[str | None] = None
    has_hemispheres: ClassVar[bool] = False
    has_meshes: ClassVar[bool] = False
    opens_again: ClassVar[bool] = True
    steps: ClassVar[tuple[int, ...]] = (1,)  # a volume without levels of its own, small as it is

    @pytest.fixture
    def prepared(self, scene: Scene, tmp_path: Path) -> Prepared:
        raise NotImplementedError

    @pytest.fixture
    def atlas(self, prepared: Prepared) -> Atlas:
        prepared.hide()
        opened = self.open(prepared)
        prepared.show()
        return opened

    def open(self, prepared: Prepared) -> Atlas:
        return open_atlas(**prepared.arguments)

    # -- what is expected -------------------------------------------------------------

    def sides(self, scene: Scene, step: int) -> dict[str, Array]:
        """Which voxels are left, right and neither."""
        if self.has_hemispheres and scene.hemispheres is not None:
            volume = scene.hemispheres[::step, ::step, ::step]
            return {"left": volume == 1, "right": volume == 2, "unsided": volume == 0}
        shape = scene.labels[::step, ::step, ::step].shape
        first_half = np.indices(shape)[2] < {1: 10, 2: 5}[step]  # 9.5 is rounded to even
        right = first_half if self.space[2] == "r" else ~first_half
        return {"left": ~right, "right": right}

    def table(self, scene: Scene, step: int = 1) -> pd.DataFrame:
        """The table of every `step`-th voxel, by one mask a region."""
        labels, scales = scene.labels[::step, ::step, ::step], np.multiply(scene.scale_um, step)
        sides, voxel_mm3 = self.sides(scene, step), np.prod(scales) / 1e9
        ids = [row[0] for row in scene.rows]
        below = {i: [j for j in ids if i in scene.path(j)] for i in ids} | {UNLISTED: [UNLISTED]}
        rows = {}
        for identifier, members in below.items():
            mask = np.isin(labels, members)
            row: dict[str, Any] = {"voxels": mask.sum()}
            row["voxels_direct"] = (labels == identifier).sum()
            row["volume_mm3"] = mask.sum() * voxel_mm3
            for side, where in sides.items():
                row[f"{side}_mm3"] = (mask & where).sum() * voxel_mm3
            index = np.argwhere(mask)
            for a, (axis, scale) in enumerate(zip(("ap", "dv", "ml"), scales)):
                some = len(index) > 0
                row[f"centroid_{axis}_um"] = (index[:, a].mean() + 0.5) * scale if some else np.nan
                row[f"bbox_{axis}_min_um"] = index[:, a].min() * scale if some else np.nan
                row[f"bbox_{axis}_max_um"] = (index[:, a].max() + 1) * scale if some else np.nan
            rows[identifier] = row
        return pd.DataFrame.from_dict(rows, orient="index").sort_index()

    def check_table(self, atlas: Atlas, scene: Scene, step: int = 1) -> None:
        wanted = tuple(np.multiply(scene.scale_um, step).tolist())
        found = region_table(atlas, wanted if step > 1 else None, scheduler="synchronous")
        expected = self.table(scene, step)
        assert set(expected.columns) == set(found.columns) - {"acronym", "name", "depth"}
        pd.testing.assert_frame_equal(
            found.sort_index()[expected.columns], expected,
            check_names=False, check_dtype=False, rtol=1e-13,
        )  # fmt: skip
        unlisted = scene.labels[::step, ::step, ::step] == UNLISTED
        assert found.attrs["unlisted_voxels"] == unlisted.sum()

    # -- the contract -----------------------------------------------------------------

    def test_every_voxel_and_where_it_lies(self, atlas: Atlas, scene: Scene) -> None:
        assert atlas.space == self.space
        assert atlas.resolution_um == scene.scale_um
        for level in atlas.annotation.levels:
            step = round(level.scale_um[0] / scene.scale_um[0])
            assert level.scale_um == pytest.approx(np.multiply(scene.scale_um, step))
            assert level.origin_um == (0, 0, 0)
            shift = np.multiply(scene.scale_um, (step - 1) / 2)
            assert level.translation_um == pytest.approx(shift)
            np.testing.assert_array_equal(
                level.data.compute(scheduler="synchronous"), scene.labels[::step, ::step, ::step]
            )
        assert atlas.annotation.levels[0].shape == scene.labels.shape
        assert atlas.annotation.level_for_resolution(scene.scale_um) is atlas.annotation.levels[0]

    def test_the_region_table(self, atlas: Atlas, scene: Scene) -> None:
        self.check_table(atlas, scene)
        table = region_table(atlas)
        assert table.loc[EMPTY, "voxels"] == 0
        near, far = ("right", "left") if self.space[2] == "r" else ("left", "right")
        assert table.loc[BIG, f"{near}_mm3"] > 0
        assert table.loc[BIG, f"{far}_mm3"] == 0

    def test_the_table_of_a_coarser_level(self, atlas: Atlas, scene: Scene) -> None:
        sizes_um = [level.scale_um[0] for level in atlas.annotation.levels]
        assert sizes_um == [step * scene.scale_um[0] for step in self.steps]
        for step in self.steps:
            self.check_table(atlas, scene, step)

    def test_planes(self, atlas: Atlas, scene: Scene) -> None:
        for number, (axis, scale) in enumerate(zip(("AP", "DV", "ML"), scene.scale_um)):
            for index in (0, 5, scene.labels.shape[number] - 1):
                expected = scene.labels.take(index, axis=number)
                for within in (0.0, 0.99):
                    found = slice_labels(atlas, (index + within) * scale, axis)
                    np.testing.assert_array_equal(found, expected)

    def test_regions_at_points(self, atlas: Atlas, scene: Scene) -> None:
        rng = np.random.default_rng(7)
        index = rng.integers(0, scene.labels.shape, (60, 3))
        within = rng.random((60, 3))
        within[:10] = 0  # on the corner that belongs to the voxel
        expected = scene.labels[tuple(index.T)].astype(np.int64)
        np.testing.assert_array_equal(region_at(atlas, (index + within) * scene.scale_um), expected)
        end = np.multiply(scene.labels.shape, scene.scale_um)
        outside = np.stack([[-1e-6, 5.0, 5.0], end])
        assert region_at(atlas, outside).tolist() == [0, 0]

    def test_the_regions(self, atlas: Atlas, scene: Scene) -> None:
        found = {
            s.id: (s.parent and s.parent.id, s.acronym, s.name, s.rgb_triplet)
            for s in atlas.ontology
        }
        colors = scene.colors if self.has_colors else dict.fromkeys(scene.colors, GREY)
        assert found == {i: (parent, a, n, colors[i]) for i, parent, a, n in scene.rows}
        assert set(atlas.ontology.annotation_values) == set(found)

    def test_it_travels_to_another_process(self, atlas: Atlas, scene: Scene) -> None:
        def travelled(volume: Multiscale | None) -> Multiscale | None:
            if volume is None:
                return None
            copies = [pickle.loads(pickle.dumps(level.reader)) for level in volume.levels]
            return Multiscale(tuple(replace(v, reader=r) for v, r in zip(volume.levels, copies)))

        annotation = travelled(atlas.annotation)
        assert annotation is not None
        other = replace(
            atlas,
            annotation=annotation,
            hemispheres=travelled(atlas.hemispheres),
            statistics=MemoryStatistics(),
        )
        self.check_table(other, scene)

    def test_it_opens_again(self, atlas: Atlas, scene: Scene, prepared: Prepared) -> None:
        if not self.opens_again:
            assert atlas.opened_with == {}
            return
        # Secrets are not kept; whoever opens it again has them.
        secrets = prepared.extra.get("secrets", {})
        options, text = secrets.get("storage_options", {}), repr(dict(atlas.opened_with))
        assert not any(str(options[k]) in text for k in ("key", "secret") if k in options)
        again = open_atlas(**{**json.loads(json.dumps(dict(atlas.opened_with))), **secrets})
        assert again.name == atlas.name
        assert again.resolution_um == atlas.resolution_um
        assert again.opened_with == atlas.opened_with
        assert again.ontology == atlas.ontology
        self.check_table(again, scene)

    def test_its_template(self, atlas: Atlas, scene: Scene) -> None:
        assert list(atlas.templates) == ([self.has_template] if self.has_template else [])
        for template in atlas.templates.values():
            np.testing.assert_array_equal(
                template.levels[0].data.compute(scheduler="synchronous"), scene.template
            )
            assert template.levels[0].scale_um == scene.scale_um
            assert template.levels[0].origin_um == (0, 0, 0)

    def test_a_mesh_keeps_its_side(self, atlas: Atlas, scene: Scene) -> None:
        if not self.has_meshes:
            assert atlas.meshes is None or atlas.meshes.read(BIG) is None
            return
        assert atlas.meshes is not None
        assert atlas.meshes.read(EMPTY) is None
        mesh = atlas.meshes.read(BIG)
        assert mesh is not None
        low, high = scene.box_um()
        np.testing.assert_allclose(mesh.vertices_um.min(axis=0), low, atol=0.02)
        np.testing.assert_allclose(mesh.vertices_um.max(axis=0), high, atol=0.02)
        a, b, c = (mesh.vertices_um[mesh.faces[:, i]].astype(np.float64) for i in range(3))
        volume_um3 = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
        # Positive where the triangles are seen from outside.
        assert volume_um3 == pytest.approx(np.prod(high - low), rel=1e-3)


# -- writers --------------------------------------------------------------------------


@pytest.fixture
def serve() -> Iterator[Callable[[Path], DemoServer]]:
    """Serve folders on loopback for as long as a test runs."""
    running: list[DemoServer] = []

    def start(folder: Path) -> DemoServer:
        running.append(DemoServer(folder).__enter__())
        return running[-1]

    yield start
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture
def root(scene: Scene, tmp_path: Path, write_atlas: Callable[..., Path]) -> Path:
    """The atlas in BrainGlobe's version 3 layout."""
    return _write_root(write_atlas, tmp_path / "root", scene)


def _write_root(write_atlas: Callable[..., Path], folder: Path, scene: Scene, **names: str) -> Path:
    write_atlas(
        folder,
        scene.labels,
        name=NAME,
        resolution_um=scene.scale_um,
        csv=scene.terminology(),
        hemispheres=scene.hemispheres,
        template=scene.template,
        manifest={"name": "toy", "terminology": _component("terminologies", "terminology")}
        | {"annotation_set": _component("annotation-sets", "annotation") | {"template": _TEMPLATE}},
        n_levels=2,
        chunks=(16, 8, 16),
        **names,
    )
    _write_draco(folder / "annotation-sets/toy-annotation/3_0/annotations.precomputed/mesh", scene)
    return folder


_TEMPLATE = {"name": "toy-template", "version": "1", "location": "/templates/toy/1"}


def _component(folder: str, kind: str) -> dict[str, Any]:
    return {"name": f"toy-{kind}", "version": "3.0", "location": f"/{folder}/toy-{kind}/3_0"}


def _write_draco(folder: Path, scene: Scene) -> None:
    """As neuroglancer has it: nm, x (ML) first, triangles that turn with the axes."""
    folder.mkdir(parents=True)
    info = {
        "@type": "neuroglancer_multilod_draco",
        "vertex_quantization_bits": 16,
        "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
        "lod_scale_multiplier": 1.0,
    }
    (folder / "info").write_text(json.dumps(info))
    vertices, faces = scene.mesh()
    points = np.ascontiguousarray(vertices[:, ::-1] * 1000.0)
    raw = DracoPy.encode(points, np.ascontiguousarray(faces[:, ::-1]), quantization_bits=16)
    (folder / str(BIG)).write_bytes(raw)


@pytest.fixture
def legacy(scene: Scene, tmp_path: Path, write_legacy: Callable[..., Path]) -> Path:
    """The atlas as a folder of BrainGlobe's version 2."""
    folder = write_legacy(
        tmp_path / "home" / f"{NAME}_v1.2",
        scene.labels,
        rows=scene.rows,
        colors=scene.colors,
        resolution_um=scene.scale_um,
        template=scene.template,
        hemispheres=scene.hemispheres,
    )
    vertices, faces = scene.mesh()
    lines = [f"v {a} {d} {m}" for a, d, m in vertices]
    lines += ["f {} {} {}".format(*(face + 1)) for face in faces]
    (folder / "meshes").mkdir()
    (folder / "meshes" / f"{BIG}.obj").write_text("\n".join([*lines, ""]))
    return folder


# -- the sources ----------------------------------------------------------------------


class ByName(SourceContract):
    has_template = "toy-template"
    steps = (1, 2)
    has_hemispheres = True
    has_meshes = True


class TestNameInFolder(ByName):
    @pytest.fixture
    def prepared(self, root: Path) -> Prepared:
        return _stored_chunks({"name_or_uri": NAME, "root": root}, root)


class TestOldFileNames(ByName):
    """The names of early 2026."""

    has_meshes = False  # not written: their own names are tested with the meshes

    @pytest.fixture
    def prepared(self, scene: Scene, tmp_path: Path, write_atlas: Callable[..., Path]) -> Prepared:
        names = {"annotation_file": "annotation.ome.zarr", "terminology_file": "structures.csv"}
        template = "anatomical_template.ome.zarr"
        root = _write_root(write_atlas, tmp_path / "old", scene, template_file=template, **names)
        shutil.rmtree(root / "annotation-sets/toy-annotation/3_0/annotations.precomputed")
        return _stored_chunks({"name_or_uri": NAME, "root": root}, root)


class TestNameOverHttp(ByName):
    @pytest.fixture
    def prepared(self, root: Path, serve: Callable[[Path], DemoServer]) -> Prepared:
        server = serve(root)
        return _stored_chunks({"name_or_uri": NAME, "root": server.url}, root, server=server)

    def test_opening_asks_for_no_chunk(self, atlas: Atlas, prepared: Prepared) -> None:
        assert prepared.extra["server"].counters.chunk_requests == 0


@pytest.fixture(scope="module")
def uploaded() -> dict[str, str]:
    """What the S3 server has already: a hundred small files take their time."""
    return {}


@pytest.fixture
def in_bucket(
    root: Path, scene: Scene, uploaded: dict[str, str], request: pytest.FixtureRequest
) -> Callable[[bool], Prepared]:
    """Put the root into a bucket of the S3 server, which is anybody's or its owner's."""
    server = request.getfixturevalue("s3_server")

    def put(public: bool) -> Prepared:
        bucket = server.public_bucket if public else server.private_bucket
        uri = f"s3://{bucket}/sources-{len(set(scene.scale_um))}"
        if uri not in uploaded:
            uploaded[uri] = server.upload(root, uri)
        options = server.anonymous_options if public else server.storage_options
        secrets = {} if public else {"storage_options": options}
        return Prepared({"root": uri, "storage_options": options}, extra={"secrets": secrets})

    return put


def check_no_chunk_read(atlas: Atlas, root: Path, times: int = 1) -> None:
    """Check that an atlas just opened read no more than its metadata, so many times."""
    files = [p for p in root.rglob("*") if p.is_file() and "c" not in p.parts]
    reader: Any = atlas.annotation.levels[0].reader
    assert 0 < reader.store.traffic.bytes <= times * sum(p.stat().st_size for p in files)


class TestNameInBucket(ByName):
    @pytest.fixture
    def prepared(self, in_bucket: Callable[[bool], Prepared]) -> Prepared:
        found = in_bucket(True)
        return replace(found, arguments={**found.arguments, "name_or_uri": NAME})

    def test_opening_reads_no_chunk(self, atlas: Atlas, root: Path) -> None:
        check_no_chunk_read(atlas, root)


class TestNameInPrivateBucket(ByName):
    @pytest.fixture
    def prepared(self, in_bucket: Callable[[bool], Prepared]) -> Prepared:
        found = in_bucket(False)
        return replace(found, arguments={**found.arguments, "name_or_uri": NAME})

    def test_opening_reads_no_chunk(self, atlas: Atlas, root: Path) -> None:
        check_no_chunk_read(atlas, root)


class ByAddress(SourceContract):
    """Two addresses: nothing tells of templates, hemispheres or meshes."""

    annotation = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"
    terminology = "terminologies/toy-terminology/3_0/terminology.csv"
    steps = (1, 2)

    def addresses(self, top: str) -> dict[str, Any]:
        return {
            "name_or_uri": f"{top}/{self.annotation}",
            "terminology": f"{top}/{self.terminology}",
        }


class TestAddressInFolder(ByAddress):
    @pytest.fixture
    def prepared(self, root: Path) -> Prepared:
        return _stored_chunks(self.addresses(str(root)), root)


class TestAddressOverHttp(ByAddress):
    @pytest.fixture
    def prepared(self, root: Path, serve: Callable[[Path], DemoServer]) -> Prepared:
        return _stored_chunks(self.addresses(serve(root).url), root)


class TestAddressInBucket(ByAddress):
    @pytest.fixture
    def prepared(self, in_bucket: Callable[[bool], Prepared]) -> Prepared:
        found = in_bucket(True)
        arguments = dict(found.arguments)
        return replace(found, arguments={**self.addresses(arguments.pop("root")), **arguments})

    def test_opening_reads_no_chunk(self, atlas: Atlas, root: Path) -> None:
        check_no_chunk_read(atlas, root)


class TestZippedZarr(SourceContract):
    """The layout of 2025: one bare array in a zip."""

    has_colors = False

    @pytest.fixture
    def prepared(self, scene: Scene, tmp_path: Path) -> Prepared:
        folder, archive = tmp_path / "25um.zarr", tmp_path / "25um.zarr.zip"
        stored = zarr.create_array(
            store=str(folder), shape=scene.labels.shape, dtype="uint32", chunks=(8, 8, 8)
        )
        stored[...] = scene.labels
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                file.write(path, path.relative_to(folder).as_posix())
        (tmp_path / "structures.csv").write_text(scene.structures_csv())
        arguments: dict[str, Any] = {
            "name_or_uri": archive,
            "terminology": tmp_path / "structures.csv",
            "resolution_um": scene.scale_um,
        }
        open_atlas(**arguments)  # unpacks it, once
        return Prepared(arguments)

    def test_opening_reads_no_chunk(self, atlas: Atlas, tmp_path: Path) -> None:
        # As a group that it might be, and as the array that it is.
        check_no_chunk_read(atlas, tmp_path / "25um.zarr", times=2)


def _hidden_in_place(path: Path) -> Callable[[], None]:
    """Overwrite a TIFF's voxels by zeros so that nobody notices; return what brings them back."""
    raw, stat = path.read_bytes(), path.stat()
    with tifffile.TiffFile(path) as file:
        start = file.series[0].dataoffset
        assert start is not None
        end = start + file.series[0].nbytes

    def write(data: bytes) -> None:
        path.write_bytes(data)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    write(raw[:start] + bytes(end - start) + raw[end:])
    return lambda: write(raw)


class Legacy(SourceContract):
    """BrainGlobe's versions 1 and 2."""

    has_template = "reference"
    has_hemispheres = True
    has_meshes = True

    def arguments(self, folder: Path) -> dict[str, Any]:
        raise NotImplementedError

    @pytest.fixture
    def prepared(self, legacy: Path) -> Prepared:
        prepared = Prepared(self.arguments(legacy))

        def hide() -> None:
            backs = [_hidden_in_place(path) for path in legacy.glob("*.tiff")]
            prepared.show = lambda: _call(backs)

        prepared.hide = hide
        return prepared


class TestLegacyFolder(Legacy):
    def arguments(self, folder: Path) -> dict[str, Any]:
        return {"name_or_uri": folder}


class TestLegacyRoot(Legacy):
    def arguments(self, folder: Path) -> dict[str, Any]:
        return {"name_or_uri": NAME, "root": folder.parent}


class TestCompressedLegacyFolder(TestLegacyFolder):
    """A layout that cannot be mapped: it is decoded once, into our cache."""

    @pytest.fixture
    def prepared(self, legacy: Path) -> Prepared:
        for path in legacy.glob("*.tiff"):
            volume = tifffile.imread(path)
            tifffile.imwrite(path, volume, compression="zlib", photometric="minisblack")
        arguments = self.arguments(legacy)
        open_atlas(**arguments)  # decodes them, once
        return _stored_chunks(arguments, cache_folder("tiff"), in_place=True)


def _partial_copy(root: Path, tree: Path) -> Path:
    """Copy a root as an interrupted download leaves it: every second chunk is missing."""
    shutil.copytree(root, tree)
    chunks = [p for top in sorted(tree.rglob("c")) for p in sorted(top.rglob("*")) if p.is_file()]
    for path in chunks[::2]:
        path.unlink()
    return tree


class TestPartialHome(ByName):
    """BrainGlobe's own cache as a root: what it lacks comes from the server."""

    @pytest.fixture
    def prepared(
        self,
        root: Path,
        private_places: Path,
        serve: Callable[[Path], DemoServer],
        monkeypatch: pytest.MonkeyPatch,
    ) -> Prepared:
        tree = _partial_copy(root, private_places / "brainglobe" / "brainglobe-atlasapi")
        server = serve(root)
        monkeypatch.setenv("NAPARI_STRIA_ROOT", server.url)
        prepared = Prepared({"name_or_uri": NAME, "root": tree}, extra={"server": server})

        def hide() -> None:
            backs = [_hide_chunks(root), _hide_chunks(tree)]
            prepared.show = lambda: _call(backs)

        prepared.hide = hide
        return prepared


class TestPublicRootBesideHome(TestPartialHome):
    """No root is given: the public one, with BrainGlobe's cache beside it."""

    @pytest.fixture
    def atlas(self, prepared: Prepared) -> Atlas:
        prepared.hide()
        opened = open_atlas(NAME)
        prepared.show()
        return opened

    def test_chunks_that_are_here_are_not_fetched(
        self, atlas: Atlas, scene: Scene, prepared: Prepared
    ) -> None:
        self.check_table(atlas, scene)
        tree = prepared.arguments["root"]
        asked = [p.lstrip("/") for p in prepared.extra["server"].counters.paths if "/c/" in p]
        assert asked
        assert not [path for path in asked if (tree / path).is_file()]


class TestCustomHome(ByName):
    """An atlas that was packaged on this machine: complete, without any server."""

    @pytest.fixture
    def prepared(
        self, root: Path, private_places: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Prepared:
        tree = private_places / "brainglobe" / "brainglobe-atlasapi"
        shutil.copytree(root, tree)
        listed = tree / "atlases" / "last_versions.conf"
        listed.rename(tree / "atlases" / "custom_atlases.conf")
        shutil.move(tree / "templates" / "toy", tree / "templates" / "toy-template")
        manifest = tree / "atlases" / NAME / "3_0" / "manifest.json"
        text = manifest.read_text().replace("/templates/toy/1", "/templates/toy-template/1")
        manifest.write_text(text)
        monkeypatch.setenv("NAPARI_STRIA_ROOT", "http://127.0.0.1:9")  # nobody listens there
        return _stored_chunks({"name_or_uri": NAME}, tree)


class TestAllenNrrd(SourceContract):
    """Allen's files: their ML axis starts on the left, and the graph is all they come with."""

    space = "asl"

    @pytest.fixture
    def prepared(self, scene: Scene, tmp_path: Path) -> Prepared:
        header = {"space dimension": 3, "space directions": np.diag(scene.scale_um)}
        nrrd.write(str(tmp_path / "annotation_30.nrrd"), scene.labels, header=header)
        nodes = [
            {"id": i, "parent_structure_id": parent, "acronym": a, "name": n,
             "color_hex_triplet": "{:02X}{:02X}{:02X}".format(*scene.colors[i])}
            for i, parent, a, n in scene.rows
        ]  # fmt: skip
        (tmp_path / "graph.json").write_text(json.dumps({"success": True, "msg": nodes}))
        arguments: dict[str, Any] = {
            "name_or_uri": tmp_path / "annotation_30.nrrd",
            "terminology": tmp_path / "graph.json",
        }
        open_atlas(**arguments)  # decodes it, once
        return _stored_chunks(arguments, cache_folder("ccf"), in_place=True)


class TestArray(SourceContract):
    """Arrays in memory: there is nothing to open."""

    has_template = "template"
    opens_again = False

    @pytest.fixture
    def prepared(self, scene: Scene) -> Prepared:
        frame = pd.DataFrame(
            [(i, a, n, parent, scene.colors[i]) for i, parent, a, n in scene.rows],
            columns=["id", "acronym", "name", "parent_id", "rgb_triplet"],
        )
        return Prepared({}, extra={"scene": scene, "frame": frame})

    def open(self, prepared: Prepared) -> Atlas:
        scene = prepared.extra["scene"]
        return atlas_from_array(
            scene.labels,
            prepared.extra["frame"],
            resolution_um=scene.scale_um,
            space=self.space,
            template=scene.template,
        )
