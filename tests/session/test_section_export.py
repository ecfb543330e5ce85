"""Exports of aligned sections: right, complete or visibly not, and gone on with after any end."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import ngff_zarr
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import zarr

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.displacement import DisplacementField
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.section import SectionDataset
from napari_stria.core.transforms import Affine
from napari_stria.demo import practice_sections as practice
from napari_stria.demo.counters import Faults
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    CoordinateError,
    CorruptDataError,
    NetworkError,
    OutputError,
    OutputExistsError,
    ReferenceSpaceError,
    SectionSkippedWarning,
    TaskCancelled,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.output_folder import locked
from napari_stria.io.pictures import encode_png, read_png_text
from napari_stria.registration.chain import section_to_atlas
from napari_stria.session.aligned import aligned_stack
from napari_stria.session.section_export import export_sections
from napari_stria.session.section_stream import stream_sections
from napari_stria.session.stack_export import export_stack

# Three sections; whole-dataset flags do not matter here.
SMALL = practice.PRACTICE_FAILED
UM = 200.0
Tree = dict[str, bytes]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def server(running: DemoServer) -> Iterator[DemoServer]:
    running.reset()
    yield running
    running.faults = Faults()


@pytest.fixture
def api(server: DemoServer) -> AllenApi:
    options = HttpOptions(attempts=2, backoff_s=0.01)
    return AllenApi(server.allen_url, options=options, cached=False)


@pytest.fixture
def small(api: AllenApi) -> SectionDataset:
    return api.section_dataset(SMALL)


def tree(folder: Path) -> Tree:
    """All files below a folder, hidden ones too."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def picture(path: Path) -> npt.NDArray[np.uint8]:
    bgr = cv2.imread(str(path))
    assert bgr is not None
    return np.asarray(bgr[..., ::-1], dtype=np.uint8)


def metadata(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metadata.json").read_text())
    return content


def fetched(server: DemoServer) -> set[int]:
    paths = server.counters.paths
    return {int(p.rpartition("/")[2]) for p in paths if "image_download" in p}


# Folders of pictures


@pytest.mark.parametrize("placement", ["exact", "parallel"])
def test_pictures_are_what_the_fields_warp(
    api: AllenApi, small: SectionDataset, tmp_path: Path, placement: Any
) -> None:
    steps: list[tuple[int, int]] = []
    done = export_sections(
        small,
        api,
        tmp_path,
        resolution_um=UM,
        view="both",
        placement=placement,
        fields=True,
        progress=lambda *step: steps.append(step),
    )
    assert (done.written, done.kept, done.unreadable) == (3, 0, ())
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    rows = {row["image_id"]: row for row in metadata(tmp_path)["sections"]}
    for section, image, field, expression in stream_sections(small, api, UM, "both", placement):
        row = rows[section.image_id]
        stem = f"section_{section.section_number:04d}_{section.image_id}"
        assert row["files"] == {
            "image": f"{stem}.png",
            "expression": f"{stem}_expr.png",
            "field": f"{stem}_field.npy",
        }
        assert np.array_equal(picture(tmp_path / f"{stem}.png"), field.warp(image))
        assert np.array_equal(picture(tmp_path / f"{stem}_expr.png"), field.warp(expression))
        assert DisplacementField.from_file(tmp_path / f"{stem}_field.npy") == field
        assert row["shape"] == list(field.shape)
        assert np.allclose(row["plane_to_pir"], field.plane_to_pir.matrix)
    assert len(tree(tmp_path)) == 3 * 3 + 1


@pytest.mark.parametrize("space", ["asr", "psl", "ail"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_metadata_say_where_each_pixel_lies(
    api: AllenApi, tmp_path: Path, space: str, mirrored: bool
) -> None:
    dataset = api.section_dataset(practice.PRACTICE_SAGITTAL)
    few = replace(dataset, sections=dataset.sections[:2])
    export_sections(few, api, tmp_path, resolution_um=UM, space=space, mirrored=mirrored, tier=5)
    found = metadata(tmp_path)
    assert found["left_right"]["mirrored"] is mirrored
    assert found["left_right"]["reference_space_id"] == 10
    assert found["request"]["space"] == space
    assert found["request"]["base_url"] == api.base_url
    assert {s["image_id"] for s in found["skipped"]} == {s.image_id for s in dataset.skipped}
    points = np.array([[0.0, 0.0], [10, 20], [30, 60]])
    for row in found["sections"]:
        assert row["tier"] == 5
        in_tier = Affine(row["plane_to_tier_pixels"])(points)
        section = dataset.section(row["image_id"])
        assert row["coordinate_um"] == section.coordinate_um
        # Written out once more: whole numbers are centres of the tier's pixels.
        to_atlas = section_to_atlas(section, space, mirrored=mirrored)
        wanted = to_atlas((in_tier + 0.5) * 2**5)
        # The practice alignments and their inverses are rounded as the institute's are.
        assert np.abs(Affine(row["plane_to_atlas"])(points) - wanted).max() < 1.0


def test_one_view_only(api: AllenApi, small: SectionDataset, tmp_path: Path) -> None:
    export_sections(small, api, tmp_path / "a", resolution_um=UM, view="image")
    export_sections(small, api, tmp_path / "b", resolution_um=UM, view="expression")
    both = {*tree(tmp_path / "a"), *tree(tmp_path / "b")} - {"metadata.json"}
    assert len(both) == 6
    assert sum(name.endswith("_expr.png") for name in both) == 3


def test_sections_without_expression_get_no_picture_of_it(
    api: AllenApi, small: SectionDataset, tmp_path: Path
) -> None:
    first = without_expression(small, 0)
    export_sections(first, api, tmp_path / "a", resolution_um=UM, view="both")
    assert sum(n.endswith("_expr.png") for n in tree(tmp_path / "a")) == 2
    export_sections(first, api, tmp_path / "b", resolution_um=UM, view="expression")
    assert len(metadata(tmp_path / "b")["sections"]) == 2
    assert "no expression" in metadata(tmp_path / "b")["skipped"][-1]["reason"]
    none = without_expression(without_expression(first, 1), 2)
    with pytest.raises(CoordinateError, match="no expression pictures"):
        export_sections(none, api, tmp_path / "c", view="expression")
    assert not (tmp_path / "c").exists()


def without_expression(dataset: SectionDataset, index: int) -> SectionDataset:
    sections = list(dataset.sections)
    sections[index] = replace(sections[index], has_expression=False)
    return replace(dataset, sections=tuple(sections))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"resolution_um": 0}, CoordinateError),
        ({"resolution_um": float("nan")}, CoordinateError),
        ({"resolution_um": 0.11}, CoordinateError),
        ({"view": "nissl"}, CoordinateError),
        ({"placement": "oblique"}, CoordinateError),
        ({"tier": -1}, CoordinateError),
        ({"space": "rsa"}, CoordinateError),
        ({"mirrored": True}, ReferenceSpaceError),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    api: AllenApi,
    small: SectionDataset,
    server: DemoServer,
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        export_sections(small, api, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())
    assert server.counters.image_requests == 0


def test_a_finished_folder_is_left_alone(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path
) -> None:
    export_sections(small, api, tmp_path, resolution_um=UM)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    server.reset()
    done = export_sections(small, api, tmp_path, resolution_um=UM, overwrite=True)
    assert (done.written, done.kept) == (0, 3)
    assert server.counters.image_requests == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == times
    # Fields need no image either.
    export_sections(small, api, tmp_path, resolution_um=UM, fields=True)
    assert server.counters.image_requests == 0
    assert len(tree(tmp_path)) == 7
    assert "field" in metadata(tmp_path)["sections"][0]["files"]


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(
        {
            "empty": b"",
            "cut": data[:half],
            "flipped": data[:half] + bytes([data[half] ^ 16]) + data[half + 1 :],
            "page": b"<html>Sorry</html>",
        }[how]
    )


@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "page", "gone"])
def test_damaged_pictures_are_made_again(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path, how: str
) -> None:
    export_sections(small, api, tmp_path, resolution_um=UM, fields=True)
    whole = tree(tmp_path)
    victim = small.sections[1]
    stem = f"section_{victim.section_number:04d}_{victim.image_id}"
    for name in (f"{stem}.png", f"{stem}_field.npy"):
        if how == "gone":
            (tmp_path / name).unlink()
        elif how != "flipped" or name.endswith("png"):
            damage(tmp_path / name, how)
    # As killed programs leave them.
    (tmp_path / f".{stem}.png-abcd1234").write_bytes(b"half")
    (tmp_path / ".metadata.json.partial").write_bytes(b'{"format')
    server.reset()
    done = export_sections(small, api, tmp_path, resolution_um=UM, fields=True)
    assert (done.written, done.kept) == (1, 2)
    assert fetched(server) == {victim.image_id}
    assert tree(tmp_path) == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resolution_um": 400.0}, "resolution_um 200.0 instead of 400.0"),
        ({"view": "both"}, "view image instead of both"),
        ({"placement": "parallel"}, "placement exact instead of parallel"),
        ({"tier": 6}, "tier None instead of 6"),
        ({"space": "psl"}, "space asr instead of psl"),
    ],
)
def test_a_changed_request_overwrites_nothing_unless_told(
    api: AllenApi, small: SectionDataset, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    folder, fresh = tmp_path / "a", tmp_path / "b"
    options = {"resolution_um": UM, **change}
    export_sections(small, api, folder, resolution_um=UM)
    (folder / "notes.txt").write_text("mine")
    before = tree(folder)
    with pytest.raises(OutputExistsError, match=words) as caught:
        export_sections(small, api, folder, **options)
    assert str(caught.value).count(".") <= 3
    assert tree(folder) == before
    export_sections(small, api, folder, overwrite=True, **options)
    export_sections(small, api, fresh, **options)
    assert tree(folder) == tree(fresh) | {"notes.txt": b"mine"}


def test_overwriting_removes_what_the_other_export_lists_and_nothing_else(
    api: AllenApi, small: SectionDataset, tmp_path: Path
) -> None:
    other = api.section_dataset(practice.PRACTICE_CORONAL_COARSE)
    few = replace(other, sections=other.sections[:2])
    export_sections(few, api, tmp_path / "out", resolution_um=UM)
    # A list of files that somebody has tampered with.
    content = metadata(tmp_path / "out")
    content["sections"][0]["files"]["more"] = "../mine.txt"
    (tmp_path / "out" / "metadata.json").write_text(json.dumps(content))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=f"dataset {other.id} instead of {SMALL}"):
        export_sections(small, api, tmp_path / "out", resolution_um=UM)
    export_sections(small, api, tmp_path / "out", resolution_um=UM, overwrite=True)
    assert len(tree(tmp_path / "out")) == 4
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("what", ["picture", "edited", "metadata"])
def test_files_of_others_are_not_touched(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path, what: str
) -> None:
    first = small.sections[0]
    name = f"section_{first.section_number:04d}_{first.image_id}.png"
    rgb = np.full((40, 57, 3), 200, np.uint8)
    if what == "picture":
        cv2.imwrite(str(tmp_path / name), rgb)
    elif what == "edited":
        (tmp_path / name).write_bytes(encode_png(rgb, '{"request": 1}'))
    else:
        (tmp_path / "metadata.json").write_text('{"of": "atldld"}')
    before = tree(tmp_path)
    with pytest.raises(OutputExistsError, match="is not of this export"):
        export_sections(small, api, tmp_path, resolution_um=UM)
    assert tree(tmp_path) == before
    assert server.counters.image_requests == 0
    export_sections(small, api, tmp_path, resolution_um=UM, overwrite=True)
    assert len(metadata(tmp_path)["sections"]) == 3
    assert read_png_text(tmp_path / name) != '{"request": 1}'


def test_unreadable_images_are_said_and_tried_again(
    api: AllenApi, server: DemoServer, tmp_path: Path
) -> None:
    dataset = api.section_dataset(practice.PRACTICE_CORONAL_COARSE)
    bad = practice.PRACTICE_BROKEN_IMAGE
    steps: list[tuple[int, int]] = []
    with pytest.warns(SectionSkippedWarning, match=str(bad)):
        done = export_sections(
            dataset, api, tmp_path, resolution_um=UM, progress=lambda *s: steps.append(s)
        )
    assert steps[-1] == (12, 12)
    assert [s.image_id for s in done.unreadable] == [bad]
    assert metadata(tmp_path)["skipped"][-1]["image_id"] == bad
    assert bad not in {s["image_id"] for s in metadata(tmp_path)["sections"]}
    assert len(tree(tmp_path)) == 12
    server.reset()
    with pytest.warns(SectionSkippedWarning, match=str(bad)):
        again = export_sections(dataset, api, tmp_path, resolution_um=UM)
    assert (again.written, again.kept) == (0, 11)
    assert fetched(server) == {bad}


def test_no_readable_image_is_an_error(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path
) -> None:
    server.faults.html_for = lambda path: "image_download" in path
    with (
        pytest.warns(SectionSkippedWarning),
        pytest.raises(CorruptDataError, match="none of the 3 images"),
    ):
        export_sections(small, api, tmp_path / "a", resolution_um=UM)
    assert not (tmp_path / "a" / "metadata.json").exists()
    with (
        pytest.warns(SectionSkippedWarning),
        pytest.raises(CorruptDataError, match="none of the 3 images"),
    ):
        export_stack(small, api, tmp_path / "a.ome.zarr", resolution_um=UM)
    assert not (tmp_path / "a.ome.zarr").exists()


def test_a_broken_network_ends_it_and_the_next_call_goes_on(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path
) -> None:
    last = small.sections[0].image_id
    server.faults.drop = lambda path: path.endswith(str(last))
    with pytest.raises(NetworkError, match="cannot be reached"):
        export_sections(small, api, tmp_path, resolution_um=UM)
    assert sorted(n for n in tree(tmp_path) if n.endswith(".png")) == sorted(
        f"section_{s.section_number:04d}_{s.image_id}.png" for s in small.sections[1:]
    )
    assert not (tmp_path / "metadata.json").exists()
    server.faults.drop = None
    server.reset()
    assert export_sections(small, api, tmp_path, resolution_um=UM).kept == 2
    assert fetched(server) == {last}


@pytest.mark.parametrize("kind", ["sections", "stack"])
def test_cancelling_ends_a_wait_soon(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path, kind: str
) -> None:
    export: Any = export_sections if kind == "sections" else export_stack
    options = HttpOptions(attempts=20, backoff_s=0.1, read_timeout_s=0.3)
    patient = AllenApi(server.allen_url, options=options, cached=False)
    server.faults.stall = lambda path: "image" in path
    cancel = threading.Event()
    timer = threading.Timer(0.3, cancel.set)
    timer.start()
    with pytest.raises(TaskCancelled):
        export(small, patient, tmp_path / "a.zarr", resolution_um=UM, cancel=cancel)
    timer.join()
    server.faults.stall = None
    export(small, api, tmp_path / "a.zarr", resolution_um=UM)


def test_one_program_at_a_time(api: AllenApi, small: SectionDataset, tmp_path: Path) -> None:
    with (
        locked(tmp_path / ".napari-stria.lock"),
        pytest.raises(OutputError, match="another program"),
    ):
        export_sections(small, api, tmp_path, resolution_um=UM)
    export_sections(small, api, tmp_path, resolution_um=UM)
    assert len(tree(tmp_path)) == 4


def test_what_cannot_be_written_is_said(
    api: AllenApi, small: SectionDataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export_sections(small, api, tmp_path / "file" / "folder")
    with pytest.raises(OutputError, match="cannot be written"):
        export_stack(small, api, tmp_path / "file" / "a.ome.zarr")


# Killed at every moment


class Killed(BaseException):
    """Stands for SIGKILL: from then on, nothing is written or tidied up any more."""


class Mortal:
    """Lets a program live for so many changes of the disk."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left, self._lock = 10**9, threading.Lock()
        for owner, name in (
            (Path, "replace"),
            (Path, "rename"),
            (Path, "unlink"),
            (Path, "mkdir"),
            (Path, "rmdir"),
            (os, "fsync"),
            (shutil, "rmtree"),
        ):
            patch.setattr(owner, name, self._mortal(getattr(owner, name)))

    def _mortal(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with self._lock:
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return real(*args, **options)

        return call


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    with pytest.MonkeyPatch.context() as patch:
        yield Mortal(patch)


def test_killed_at_every_moment_sections(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path, mortal: Mortal
) -> None:
    def export(folder: Path) -> None:
        export_sections(small, api, folder, resolution_um=UM, fields=True)

    export(tmp_path / "whole")
    whole = tree(tmp_path / "whole")
    for moment in range(1000):
        folder = tmp_path / f"{moment}"
        try:
            mortal.left = moment
            export(folder)
        except Killed:
            mortal.left = 10**9
        else:
            break
        left = {n: d for n, d in tree(folder).items() if not n.startswith(".")}
        # Whatever has its name is whole; the metadata come last.
        assert left.items() <= whole.items()
        assert "metadata.json" not in left or left.keys() == whole.keys()
        server.reset()
        export(folder)
        assert tree(folder) == whole
        # Requests of the killed one may still come in, but none for a finished picture.
        finished = {int(n[:-4].rpartition("_")[2]) for n in left if n.endswith(".png")}
        assert not fetched(server) & finished
    assert moment > 20


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_every_moment_stack(
    api: AllenApi, small: SectionDataset, tmp_path: Path, mortal: Mortal, overwrite: bool
) -> None:
    def export(path: Path, resolution_um: float = 100.0) -> None:
        export_stack(small, api, path, resolution_um=resolution_um, overwrite=overwrite)

    export(tmp_path / "whole.ome.zarr")
    whole = tree(tmp_path / "whole.ome.zarr")
    old: Tree = {}
    if overwrite:
        export(tmp_path / "old.ome.zarr", UM)
        old = tree(tmp_path / "old.ome.zarr")
    moments = 0
    for moment in range(0, 1000, 11 if overwrite else 7):
        folder = tmp_path / f"{moment}"
        folder.mkdir()
        path = folder / "a.ome.zarr"
        if overwrite:
            shutil.copytree(tmp_path / "old.ome.zarr", path)
        try:
            mortal.left = moment
            export(path)
        except Killed:
            mortal.left = 10**9
        else:
            break
        moments += 1
        assert not path.exists() or tree(path) in (whole, old)
        export(path)
        assert tree(path) == whole
        assert [p.name for p in folder.iterdir()] == ["a.ome.zarr"]
        shutil.rmtree(folder)
    assert moments > 5


# Volumes


@pytest.fixture
def atlas() -> Atlas:
    labels = practice_annotation(100.0)
    table = pd.DataFrame(
        [
            {"id": int(i), "acronym": str(i), "name": str(i), "parent_id": None}
            for i in np.unique(labels)
            if i
        ]
    )
    return atlas_from_array(labels, table, resolution_um=100.0, space="psl")


@pytest.mark.parametrize("placement", ["exact", "parallel"])
@pytest.mark.parametrize("view", ["image", "expression"])
def test_the_volume_is_the_aligned_stack(
    api: AllenApi, small: SectionDataset, atlas: Atlas, tmp_path: Path, placement: Any, view: Any
) -> None:
    path = tmp_path / "a.ome.zarr"
    steps: list[tuple[int, int]] = []
    done = export_stack(
        small,
        api,
        path,
        resolution_um=100.0,
        view=view,
        placement=placement,
        space="psl",
        progress=lambda *step: steps.append(step),
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.ome.zarr"]
    assert steps == [(n, done.written) for n in range(done.written + 1)]
    wanted = aligned_stack(small, api, atlas, 100.0, view=view, placement=placement)
    read = ngff_zarr.from_ngff_zarr(str(path))
    assert len(read.images) == len(wanted) == 2
    for index, (image, level) in enumerate(zip(read.images, wanted)):
        assert image.dims == ("c", "z", "y", "x")
        size = 0.1 * 2**index
        assert image.scale == pytest.approx({"c": 1.0, "z": size, "y": size, "x": size})
        shift = (size - 0.1) / 2
        assert image.translation == pytest.approx({"c": 0, "z": shift, "y": shift, "x": shift})
        values = np.asarray(image.data)
        assert values.any()
        assert np.array_equal(np.moveaxis(values, 0, 3), level.compute())


def test_the_volume_says_what_it_is(api: AllenApi, small: SectionDataset, tmp_path: Path) -> None:
    export_stack(small, api, tmp_path / "a.ome.zarr", resolution_um=UM, space="psl")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    ome: Any = group.attrs["ome"]
    axes = ome["multiscales"][0]["axes"]
    assert axes[0] == {"name": "c", "type": "channel"}
    assert [a["unit"] for a in axes[1:]] == ["millimeter"] * 3
    assert [a["orientation"]["value"] for a in axes[1:]] == [
        "posterior-to-anterior",
        "superior-to-inferior",
        "left-to-right",
    ]
    assert [c["label"] for c in ome["omero"]["channels"]] == ["red", "green", "blue", "alpha"]
    said: Any = group.attrs["napari_stria"]
    assert said["request"]["resolution_um"] == UM
    assert len(said["sections"]) == 3
    assert said["left_right"]["mirrored"] is False


def test_a_finished_volume_is_left_alone_and_another_not_overwritten(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path
) -> None:
    path = tmp_path / "a.ome.zarr"
    export_stack(small, api, path, resolution_um=UM)
    whole = tree(tmp_path)
    server.reset()
    assert export_stack(small, api, path, resolution_um=UM).written == 0
    assert server.counters.image_requests == 0
    with pytest.raises(OutputExistsError, match="exists already"):
        export_stack(small, api, path, resolution_um=100.0)
    assert tree(tmp_path) == whole
    export_stack(small, api, path, resolution_um=100.0, overwrite=True)
    assert tree(tmp_path) != whole
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    with pytest.raises(OutputExistsError, match="no zarr store"):
        export_stack(small, api, tmp_path / "folder", resolution_um=UM, overwrite=True)
    assert (tmp_path / "folder" / "mine").read_text() == "mine"
    with pytest.raises(CoordinateError, match="view must be"):
        export_stack(small, api, path, view="both")  # type: ignore[arg-type]


def stop_after(api: AllenApi, dataset: SectionDataset, path: Path, bricks: int) -> None:
    cancel = threading.Event()

    def progress(done: int, total: int) -> None:
        if done == bricks:
            cancel.set()

    with pytest.raises(TaskCancelled):
        export_stack(dataset, api, path, resolution_um=100.0, progress=progress, cancel=cancel)


def test_a_begun_volume_of_another_request_is_kept(
    api: AllenApi, small: SectionDataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.ome.zarr"
    stop_after(api, small, path, 3)
    begun = tree(tmp_path)
    with pytest.raises(OutputExistsError, match="placement exact instead of parallel"):
        export_stack(small, api, path, resolution_um=100.0, placement="parallel")
    assert tree(tmp_path) == begun
    assert export_stack(small, api, path, resolution_um=100.0).kept == 3
    stop_after(api, small, tmp_path / "b.ome.zarr", 3)
    export_stack(small, api, tmp_path / "b.ome.zarr", resolution_um=UM, overwrite=True)


@pytest.mark.parametrize("what", ["state", "number", "group", "level", "leftover"])
def test_damaged_beginnings(
    api: AllenApi, small: SectionDataset, tmp_path: Path, what: str
) -> None:
    export_stack(small, api, tmp_path / "whole.ome.zarr", resolution_um=100.0)
    path, partial = tmp_path / "a.ome.zarr", tmp_path / ".a.ome.zarr.partial"
    stop_after(api, small, path, 3)
    if what == "state":
        (partial / "state.json").write_bytes(b'{"requ')
    elif what == "number":
        state = json.loads((partial / "state.json").read_text())
        (partial / "state.json").write_text(json.dumps(state | {"done": 10**6}))
    elif what == "group":
        (partial / "store" / "zarr.json").write_bytes(b"")
    elif what == "level":
        shutil.rmtree(partial / "store" / "s0")
    else:
        (partial / "store" / "s0" / "c.0123abcd.partial").write_bytes(b"half")
    done = export_stack(small, api, path, resolution_um=100.0)
    assert done.kept == (3 if what == "leftover" else 0)
    assert tree(path) == tree(tmp_path / "whole.ome.zarr")
    assert not partial.exists()


def test_an_unreadable_section_is_left_out_of_the_whole_volume(
    api: AllenApi, server: DemoServer, tmp_path: Path
) -> None:
    dataset = api.section_dataset(practice.PRACTICE_CORONAL_COARSE)
    bad = dataset.section(practice.PRACTICE_BROKEN_IMAGE)
    with pytest.warns(SectionSkippedWarning, match=str(bad.image_id)) as caught:
        done = export_stack(dataset, api, tmp_path / "a.ome.zarr", resolution_um=100.0)
    assert len(caught) == 1
    assert [s.image_id for s in done.unreadable] == [bad.image_id]
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    said: Any = group.attrs["napari_stria"]
    assert [s["image_id"] for s in said["unreadable"]] == [bad.image_id]
    # The gap is as wide as one section, in both levels.
    middle = np.array([bad.width / 2, bad.height / 2])
    for index, um in enumerate((100.0, 200.0)):
        at = tuple((section_to_atlas(bad, "asr")(middle) // um).astype(int))
        level: Any = group[f"s{index}"]
        assert level[(3, *at)] == 0
        assert level[(3, at[0] - int(400 // um), *at[1:])] == 255
    server.reset()
    assert export_stack(dataset, api, tmp_path / "a.ome.zarr", resolution_um=100.0).written == 0
    assert server.counters.image_requests == 0


def test_a_section_that_breaks_later_is_left_out_from_there(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path
) -> None:
    path = tmp_path / "a.ome.zarr"
    stop_after(api, small, path, 2)
    bad = small.sections[1].image_id
    server.faults.html_for = lambda asked: asked.endswith(str(bad))
    with pytest.warns(SectionSkippedWarning, match=str(bad)):
        done = export_stack(small, api, path, resolution_um=100.0)
    assert done.kept == 2
    assert [s.image_id for s in done.unreadable] == [bad]


def test_a_broken_network_ends_a_volume_and_the_next_call_goes_on(
    api: AllenApi, small: SectionDataset, server: DemoServer, tmp_path: Path
) -> None:
    path = tmp_path / "a.ome.zarr"
    stop_after(api, small, path, 2)
    server.faults.drop = lambda asked: "image" in asked
    with pytest.raises(NetworkError):
        export_stack(small, api, path, resolution_um=100.0)
    assert not path.exists()
    server.faults.drop = None
    assert export_stack(small, api, path, resolution_um=100.0).kept == 2
