"""Exports: read back by other programs, whole or absent, and nothing replaced unasked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ngff_zarr
import nrrd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

import napari_stria as stria
from napari_stria.core.pyramid import ArrayReader, Multiscale
from napari_stria.core.resampling import RULES, downsample_annotation, level_at
from napari_stria.core.selection import RegionGroup
from napari_stria.errors import (
    CoordinateError,
    CorruptDataError,
    OntologyError,
    OutputError,
    OutputExistsError,
    RegionNotFoundError,
    StriaError,
    TaskCancelled,
)
from napari_stria.session.export_kinds import (
    AnnotationExport,
    ItksnapExport,
    MaskExport,
    TableExport,
    labels_beside,
)
from napari_stria.session.export_pictures import ScreenshotExport, SliceExport
from napari_stria.session.exporting import Export, each_output, preview_export, run_export

Labels = npt.NDArray[Any]
Make = Callable[..., Export]


@pytest.fixture
def atlas(
    tmp_path_factory: pytest.TempPathFactory, write_atlas: Callable[..., Path]
) -> stria.Atlas:
    """25, 50 and 100 um; an anisotropic voxel could not be told from a swapped axis."""
    root = tmp_path_factory.mktemp("atlas")
    write_atlas(root, resolution_um=(25.0, 20.0, 10.0))
    return stria.open_atlas("toy_mouse_25um", root=root)


@pytest.fixture
def make(atlas: stria.Atlas, tmp_path: Path) -> Make:
    """Return a request of a kind, to a place of its own."""

    def made(kind: str, **more: Any) -> Export:
        if kind == "table":
            return TableExport(**{"destination": tmp_path / "t.csv", "atlas": atlas, **more})
        if kind in ("nrrd", "ome-zarr"):
            place = tmp_path / f"a.{kind.replace('-', '.')}"
            return AnnotationExport(**{"destination": place, "atlas": atlas, **more})
        if kind == "itksnap":
            place = tmp_path / "i.nrrd"
            labels = labels_beside(place)
            return ItksnapExport(**{"destination": place, "labels": labels, "atlas": atlas, **more})
        if kind == "slice":
            fields = {"destination": tmp_path / "s.png", "position_um": 200.0, "atlas": atlas}
            return SliceExport(**{**fields, **more})
        assert kind == "masks"
        fields = {"destination": tmp_path / "m", "atlas": atlas, "regions": ("CTX", "cc")}
        return MaskExport(**{**fields, **more})

    return made


KINDS = ["table", "nrrd", "ome-zarr", "itksnap", "slice", "masks"]


def _all(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def _voxels(level: Any) -> Labels:
    return np.asarray(level.data)


# -- what the files hold -----------------------------------------------------------------------


def test_a_table_has_all_columns_and_says_what_it_was_counted_on(
    make: Make, atlas: stria.Atlas, toy_labels: Labels
) -> None:
    (path,) = run_export(make("table"))
    frame = pd.read_csv(
        path,
        index_col="id",
        keep_default_na=False,
        dtype={"atlas_version": str},
    )
    assert list(frame.index) == [s.id for s in atlas.ontology]
    assert frame.loc[70_000, "voxels"] == np.count_nonzero(toy_labels == 70_000)
    table = stria.region_table(atlas)
    assert set(table.columns) <= set(frame.columns)
    volumes = frame["volume_mm3"].astype(float)
    np.testing.assert_array_equal(volumes, table["volume_mm3"])  # all digits
    row = frame.loc[688]
    assert row["parent_id"] == "8"
    assert row["color_hex"] == "#0A0B0C"
    assert row["structure_id_path"] == "/997/8/688/"
    assert frame.loc[997, "parent_id"] == ""
    facts = ["atlas", "atlas_version", "space", "voxel_ap_um", "voxel_ml_um", "rule"]
    assert list(row[facts]) == ["toy_mouse_25um", "3.0", "asr", 25.0, 10.0, "stored"]


@pytest.mark.parametrize("rule", RULES)
def test_a_table_at_a_resolution_that_is_not_stored(
    make: Make, atlas: stria.Atlas, rule: Any
) -> None:
    size = (60.0, 40.0, 30.0)
    (path,) = run_export(make("table", resolution_um=size, rule=rule))
    frame = pd.read_csv(path, index_col="id")
    expected = stria.region_table(downsample_annotation(atlas, size, rule))
    np.testing.assert_array_equal(frame["voxels"], expected["voxels"])
    np.testing.assert_array_equal(frame["centroid_ml_um"], expected["centroid_ml_um"])
    assert set(frame["rule"]) == {rule}
    assert set(frame["voxel_ap_um"]) == {60.0}


def test_a_table_of_some_regions_and_of_parcels(
    make: Make, atlas: stria.Atlas, toy_labels: Labels
) -> None:
    (path,) = run_export(make("table", regions=("cc", "CTXa")))
    assert list(pd.read_csv(path)["acronym"]) == ["cc", "CTXa"]
    groups = stria_parcels(atlas, RegionGroup("mine", (688, 70_000)))
    (path,) = run_export(make("table", parcellation=groups, overwrite=True))
    frame = pd.read_csv(path)
    mine = np.isin(toy_labels, [688, 3_000_000_001, 182_305_689, 70_000])
    assert list(frame["group"]) == ["mine"]
    assert list(frame["voxels"]) == [np.count_nonzero(mine)]
    assert set(frame["regions_are"]) == {"unions"}
    assert set(frame["regions"]) == {groups.title}


def stria_parcels(atlas: stria.Atlas, *groups: RegionGroup) -> Any:
    from napari_stria.core.parcellation import parcellation_of_groups

    return parcellation_of_groups(atlas.ontology, groups, title="My groups")


@pytest.mark.parametrize("how", ["groups", "chosen groups", "depth", "set"])
@pytest.mark.parametrize("size", [None, 50.0])
def test_a_mask_has_the_voxels_that_its_row_counts(
    make: Make, atlas: stria.Atlas, how: str, size: float | None
) -> None:
    """Groups are unions and may overlap; parcels of a depth or set have each voxel once."""
    from napari_stria.core.parcellation import parcellation_at_depth, parcellation_of_listed

    groups = (RegionGroup("grey", (8,)), RegionGroup("cortex", (688, 70_000)))
    chosen: dict[str, Any] = {
        "groups": {"parcellation": stria_parcels(atlas, *groups)},
        "chosen groups": {"regions": groups},
        "depth": {"parcellation": parcellation_at_depth(atlas.ontology, 2)},
        "set": {
            "parcellation": parcellation_of_listed(atlas.ontology, [997, 8, 688], "mine", set_id=1)
        },
    }
    more = {"regions": None, "resolution_um": size, **chosen[how]}
    (path,) = run_export(make("table", **more))
    frame = pd.read_csv(path)
    masks = [nrrd.read(str(path)) for path in run_export(make("masks", **more))]
    assert list(frame["voxels"]) == [np.count_nonzero(mask) for mask, _ in masks]
    assert max(frame["voxels"]) > 0
    total = sum(mask.astype(int) for mask, _ in masks)
    is_union = "groups" in how
    assert total.max() == (2 if is_union else 1)
    assert set(frame["regions_are"]) == {"unions" if is_union else "parcels"}
    stated = {header.get("stria_regions_are") for _, header in masks}
    assert stated == {None if is_union else "parcels"}


def test_masks_of_parcels_are_not_called_as_those_of_regions(
    make: Make, atlas: stria.Atlas
) -> None:
    from napari_stria.core.parcellation import parcellation_at_depth

    parcels = parcellation_at_depth(atlas.ontology, 0)
    request = make("masks", parcellation=parcels, regions=None)
    assert [path.name for path in request.outputs] == ["parcel_997.nrrd", "parcel_12.nrrd"]
    with pytest.raises(OntologyError, match="own voxels already"):
        preview_export(make("masks", parcellation=parcels, direct=True))


@pytest.mark.parametrize("space", ["asr", "pil"])
@pytest.mark.parametrize(
    ("size", "rule"), [(None, None), (50.0, None), *(((70.0, 40.0, 30.0), r) for r in RULES)]
)
def test_an_ome_zarr_can_be_opened_again(
    make: Make, atlas: stria.Atlas, blobs: Callable[..., Labels], space: str, size: Any, rule: Any
) -> None:
    labels = blobs((150, 40, 33)).astype(np.uint32)
    source = stria.atlas_from_array(
        labels, atlas.ontology, resolution_um=(25.0, 20.0, 10.0), space=space
    )
    request = make("ome-zarr", atlas=source, resolution_um=size, rule=rule)
    store, terminology = run_export(request)
    again = stria.open_atlas(store, terminology=terminology)
    finest = level_at(source, size, rule)
    assert again.ontology == atlas.ontology
    assert again.space == space
    assert again.resolution_um == pytest.approx(finest.scale_um)
    np.testing.assert_array_equal(_voxels(again.annotation.levels[0]), _voxels(finest))
    for number, level in enumerate(again.annotation.levels):
        ap, dv, ml = (s * 2**number for s in finest.scale_um)
        expected = level_at(source, (ap, dv, ml), rule)
        np.testing.assert_array_equal(_voxels(level), _voxels(expected))
        assert level.origin_um == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    assert max(again.annotation.levels[-1].shape) <= 128
    stated = json.loads((store / "zarr.json").read_text())["attributes"]["napari_stria"]
    stored = size is None
    assert stated["rule"] == ("stored" if stored else rule or "centre")
    assert stated["voxel_ap_um"] == pytest.approx(finest.scale_um[0])
    image = ngff_zarr.from_ngff_zarr(str(store)).images[0]
    np.testing.assert_array_equal(np.asarray(image.data), _voxels(finest))


def test_an_ome_zarr_of_parcels_has_their_regions_alone(
    make: Make, atlas: stria.Atlas, toy_labels: Labels
) -> None:
    from napari_stria.core.parcellation import parcellation_at_depth

    parcels = parcellation_at_depth(atlas.ontology, 2)
    again = _reopened(make("ome-zarr", parcellation=parcels))
    assert max(s.depth for s in again.ontology) == 2
    cortex = np.isin(toy_labels, [688, 3_000_000_001, 182_305_689])
    np.testing.assert_array_equal(_voxels(again.annotation.levels[0]) == 688, cortex)
    groups = stria_parcels(atlas, RegionGroup("bundle", (70_000,), (1, 2, 3)))
    again = _reopened(make("ome-zarr", parcellation=groups, overwrite=True))
    assert [(s.id, s.name, s.rgb_triplet) for s in again.ontology] == [(1, "bundle", (1, 2, 3))]
    np.testing.assert_array_equal(_voxels(again.annotation.levels[0]) == 1, toy_labels == 70_000)


def _reopened(request: Export) -> stria.Atlas:
    store, terminology = run_export(request)
    return stria.open_atlas(store, terminology=terminology)


def test_an_nrrd_is_read_by_pynrrd_and_opened_again(
    make: Make, atlas: stria.Atlas, toy_labels: Labels
) -> None:
    path, terminology = run_export(make("nrrd"))
    voxels, header = nrrd.read(str(path))
    np.testing.assert_array_equal(voxels, toy_labels)
    assert header["stria_rule"] == "stored"
    assert header["stria_resolution_um"] == "25 20 10"
    again = stria.open_atlas(path, terminology=terminology)
    assert (again.space, again.ontology) == ("asr", atlas.ontology)


def test_masks_are_kept_and_gone_on_with(make: Make, toy_labels: Labels, tmp_path: Path) -> None:
    (first,) = run_export(make("masks", regions=("CTX",)))
    before = first.stat()
    again, second = run_export(make("masks"))
    assert (again, second.name) == (first, "structure_70000.nrrd")
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    inside = np.isin(toy_labels, [688, 3_000_000_001, 182_305_689])
    np.testing.assert_array_equal(nrrd.read(str(first))[0], inside)
    with pytest.raises(OutputExistsError, match="another mask"):
        run_export(make("masks", direct=True))
    run_export(make("masks", direct=True, overwrite=True))
    np.testing.assert_array_equal(nrrd.read(str(first))[0], toy_labels == 688)


def test_each_mask_is_there_when_it_is_told(make: Make, atlas: stria.Atlas) -> None:
    groups = stria_parcels(atlas, RegionGroup("a b", (688,)), RegionGroup("c", (70_000,)))
    request = make("masks", parcellation=groups, regions=None)
    assert [p.name for p in request.outputs] == ["group_a_b.nrrd", "group_c.nrrd"]
    for path in each_output(request):
        assert path.is_file()
        assert path in request.existing()
    assert len(make("masks", regions=None).outputs) == len(atlas.ontology)


def test_itksnap_at_a_depth(make: Make, atlas: stria.Atlas, toy_labels: Labels) -> None:
    volume, labels, mapping = run_export(make("itksnap"))
    codes = pd.read_csv(mapping).set_index("id")["code"]
    stored = nrrd.read(str(volume))[0]
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored == codes[3_000_000_001], toy_labels == 3_000_000_001)
    assert len(labels.read_text().splitlines()) == len(atlas.ontology)
    groups = stria_parcels(atlas, RegionGroup("bundle", (70_000,), (1, 2, 3)))
    request = make("itksnap", parcellation=groups, resolution_um=50.0, overwrite=True)
    assert request.outputs == tuple(run_export(request))
    assert labels.read_text() == '1 1 2 3 1.0 1 1 "bundle"\n'
    expected = _voxels(level_at(atlas, 50.0)) == 70_000
    np.testing.assert_array_equal(nrrd.read(str(volume))[0], expected)


def test_a_picture_says_what_it_shows(make: Make, atlas: stria.Atlas) -> None:
    colors = {997: (1, 2, 3), 70_000: (9, 8, 7)}
    (path,) = run_export(make("slice", axis="dv", position_um=100.0, colors=colors))
    with Image.open(path) as picture:
        found, said = np.asarray(picture), json.loads(picture.text["napari-stria"])  # type: ignore[attr-defined]
    expected = stria.slice_image(atlas, 100.0, "DV", colors=colors)
    np.testing.assert_array_equal(found, expected)
    assert (said["axis"], said["position_um"], said["rule"]) == ("DV", 100.0, "stored")


def test_a_picture_at_a_resolution_that_is_not_stored(make: Make, atlas: stria.Atlas) -> None:
    (path,) = run_export(make("slice", axis=2, resolution_um=35.0, rule="majority", position_um=90))
    coarse = downsample_annotation(atlas, 35.0, "majority")
    with Image.open(path) as picture:
        np.testing.assert_array_equal(picture, stria.slice_image(coarse, 90.0, "ML"))


def test_a_screenshot_loses_its_alpha_alone(tmp_path: Path) -> None:
    rgba = np.arange(4 * 5 * 4, dtype=np.uint8).reshape(4, 5, 4)
    request = ScreenshotExport(destination=tmp_path / "s.png", picture=rgba, facts={"view": "ä"})
    assert preview_export(request).size.shape == (4, 5)
    (path,) = run_export(request)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(picture, rgba[..., :3])
        assert json.loads(picture.text["napari-stria"]) == {"view": "ä"}  # type: ignore[attr-defined]


# -- what must not be -------------------------------------------------------------------------


class _Watched:
    """Tells of each block that is read, and may stop or break there."""

    chunk_shape = (5, 4, 6)

    def __init__(self, labels: Labels, at: Callable[[int], None]) -> None:
        self._source = ArrayReader(labels, self.chunk_shape)
        self.shape, self.dtype = labels.shape, labels.dtype
        self.asked: list[tuple[int, ...]] = []
        self._at = at

    def read_block(self, index: tuple[int, ...]) -> Any:
        self.asked.append(index)
        self._at(len(self.asked))
        return self._source.read_block(index)


def _watched(atlas: stria.Atlas, labels: Labels, at: Callable[[int], None]) -> Any:
    reader = _Watched(labels, at)
    level = replace(atlas.annotation.levels[0], reader=reader)
    return reader, replace(atlas, annotation=Multiscale((level,)), statistics=_no_counts())


def _no_counts() -> Any:
    from napari_stria.core.atlas import MemoryStatistics

    return MemoryStatistics()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_replaced_unasked_and_nothing_is_read_before(
    make: Make, atlas: stria.Atlas, toy_labels: Labels, kind: str, tmp_path: Path
) -> None:
    reader, watched = _watched(atlas, toy_labels, lambda _count: None)
    request = make(kind, atlas=watched)
    last = request.outputs[-1]
    last.parent.mkdir(exist_ok=True)
    last.write_text("mine")
    before = _all(tmp_path)
    assert preview_export(request).existing == (last,)
    with pytest.raises(OutputExistsError, match=last.name):
        run_export(request)
    # A mask's identity needs a pass over voxels that no source vouches for.
    assert not reader.asked or kind == "masks"
    assert (_all(tmp_path), last.read_text()) == (before, "mine")
    if kind != "ome-zarr":
        assert list(run_export(replace(request, overwrite=True))) == list(request.outputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["cancel", "error"])
def test_what_is_stopped_leaves_nothing(
    make: Make, atlas: stria.Atlas, toy_labels: Labels, kind: str, how: str, tmp_path: Path
) -> None:
    cancel = threading.Event()

    def at(count: int) -> None:
        if count >= 3 and how == "cancel":
            cancel.set()
        elif count >= 3:
            raise CorruptDataError("the third block is damaged.")

    _, watched = _watched(atlas, toy_labels, at)
    error = TaskCancelled if how == "cancel" else CorruptDataError
    with pytest.raises(error):
        run_export(make(kind, atlas=watched), cancel=cancel)
    assert _all(tmp_path) in ([], ["m"])


def test_an_export_that_replaces_and_is_stopped_leaves_the_old(
    make: Make, atlas: stria.Atlas, toy_labels: Labels, tmp_path: Path
) -> None:
    (store, _) = run_export(make("ome-zarr"))
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in _all(tmp_path)}

    def at(count: int) -> None:
        if count >= 5:
            raise CorruptDataError("damaged.")

    _, watched = _watched(atlas, toy_labels, at)
    with pytest.raises(CorruptDataError):
        run_export(make("ome-zarr", atlas=watched, overwrite=True))
    after = {name: (tmp_path / name).stat().st_mtime_ns for name in _all(tmp_path)}
    assert after == before
    assert store.is_dir()


@pytest.mark.parametrize(
    ("kind", "more", "error", "words"),
    [
        ("table", {"destination": Path("x.txt")}, OutputError, r"ends with \.csv"),
        ("table", {"regions": ("nowhere",)}, RegionNotFoundError, "no region"),
        ("table", {"regions": ("cc", RegionGroup("a", (8,)))}, StriaError, "one after the other"),
        ("masks", {"regions": ()}, RegionNotFoundError, "no region is chosen"),
        ("masks", {"format": "tiff"}, StriaError, "tiff"),
        ("nrrd", {"destination": Path("x.tif")}, OutputError, r"\.nrrd or \.ome\.zarr"),
        ("nrrd", {"resolution_um": -1.0}, CoordinateError, "positive"),
        ("nrrd", {"rule": "mean"}, CoordinateError, "mean"),
        ("itksnap", {"destination": Path("x.nii")}, OutputError, r"\.nrrd"),
        ("slice", {"position_um": 1e5}, CoordinateError, "from 0 to 500 um along AP"),
        ("slice", {"axis": 3}, CoordinateError, "axes AP, DV, ML"),
        ("slice", {"destination": Path("x.jpg")}, OutputError, r"\.png"),
    ],
)
def test_requests_that_cannot_be_are_refused_in_a_sentence(
    make: Make, kind: str, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        preview_export(make(kind, **more))
    assert "\n" not in str(caught.value)


def test_a_preview_says_how_large_it_will_be(make: Make, tmp_path: Path) -> None:
    preview = preview_export(make("masks", resolution_um=(50.0, 40.0, 20.0)))
    assert preview.size.shape == (10, 6, 9)
    assert (preview.size.files, preview.size.bytes) == (2, 2 * 540)
    assert preview.free_bytes
    missing = make("table", destination=tmp_path / "no" / "t.csv")
    assert "there is no folder" in preview_export(missing).problem
    assert preview_export(make("ome-zarr")).size.bytes == 20 * 12 * 18 * 4


def test_how_far_it_is_goes_up_to_the_end(make: Make) -> None:
    for kind in KINDS:
        told: list[tuple[str, int, int]] = []
        run_export(make(kind), lambda *news: told.append(news))  # noqa: B023
        assert told
        for what in dict.fromkeys(name for name, _, _ in told):
            done = [d for name, d, _ in told if name == what]
            assert done == sorted(done)
        if kind not in ("table", "slice"):
            assert told[-1][1] == told[-1][2] > 0


# -- what no program survives -------------------------------------------------------------------

_PRELUDE = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
import napari_stria as stria
from napari_stria.core.structures import StructureRecord
from napari_stria.session.export_kinds import AnnotationExport, ItksnapExport, TableExport
from napari_stria.session.exporting import run_export
folder = Path(sys.argv[1])
regions = [StructureRecord(i, None if i == 1 else 1, f"r{i}", f"region {i}") for i in range(1, 200)]
noise = np.random.default_rng(0).integers(0, 200, (90, 80, 70)).astype(np.uint32)
atlas = stria.atlas_from_array(noise, stria.Ontology(regions), resolution_um=25.0)
requests = {
    "nrrd": AnnotationExport(atlas=atlas, destination=folder / "a.nrrd"),
    "zarr": AnnotationExport(atlas=atlas, destination=folder / "a.ome.zarr"),
    "itksnap": ItksnapExport(
        atlas=atlas, destination=folder / "i.nrrd", labels=folder / "i.txt"
    ),
    "table": TableExport(atlas=atlas, destination=folder / "t.csv"),
}
"""
_FULL = f"""{_PRELUDE}
for request in requests.values():
    request.check()  # what is loaded on use is loaded
    run_export(request)
    for path in request.outputs:
        os.system(f"rm -r {{path}}")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for kind, request in requests.items():
    try:
        run_export(request)
        print(kind, "was written")
    except stria.StriaError as error:
        print(kind, type(error).__name__, error)
print(sorted(os.listdir(folder)))
"""
_KILLED = f"""{_PRELUDE}
def killed(what, done, total):
    if total and done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)
run_export(requests[sys.argv[2]], killed)
"""


def _program(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text, *arguments],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_full_disk_leaves_nothing_and_is_said(tmp_path: Path) -> None:
    done = _program(_FULL, str(tmp_path))
    assert done.returncode == 0, done.stderr
    *told, left = done.stdout.strip().splitlines()
    assert left == "[]"
    assert [line.split()[0] for line in told] == ["nrrd", "zarr", "itksnap", "table"]
    for line in told:
        assert "OutputError" in line
        assert "cannot be written" in line
        assert "File too large" in line


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("kind", ["nrrd", "zarr"])
def test_a_killed_export_leaves_nothing_that_looks_whole(tmp_path: Path, kind: str) -> None:
    done = _program(_KILLED, str(tmp_path), kind)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert all(name.startswith(".") for name in _all(tmp_path))
    # The next one to the same place takes away what was left.
    labels = np.ones((4, 4, 4), dtype=np.uint32)
    small = stria.atlas_from_array(labels, _one_region(), resolution_um=25.0)
    place = tmp_path / ("a.nrrd" if kind == "nrrd" else "a.ome.zarr")
    run_export(AnnotationExport(atlas=small, destination=place))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        place.name,
        f"{place.name}.terminology.csv",
    ]


def _one_region() -> stria.Ontology:
    from napari_stria.core.structures import StructureRecord

    return stria.Ontology([StructureRecord(1, None, "r", "root")])
