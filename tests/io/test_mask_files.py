"""Masks on disk: right, whole or absent, and gone on with after any end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any

import nrrd
import numpy as np
import numpy.typing as npt
import pytest
import zarr

import napari_stria as stria
from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.resampling import level_at
from napari_stria.core.selection import RegionGroup
from napari_stria.core.structures import StructureRecord
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    OutputError,
    OutputExistsError,
    RegionNotFoundError,
    TaskCancelled,
)
from napari_stria.io.mask_files import write_masks
from napari_stria.io.staging import staged

Labels = npt.NDArray[Any]
PARENT_OF = {1: None, 2: 1, 3: 2, 4: 1, 70_000: 4}
ENDINGS = {"nrrd": ".nrrd", "ome-zarr": ".ome.zarr"}
ALL = [1, 2, 3, 4, 70_000]


def make_atlas(seed: int = 0, **change: Any) -> Atlas:
    drawn = np.random.default_rng(seed).choice(np.array([0, 0, *PARENT_OF, 99]), size=(24, 20, 16))
    rows = (
        StructureRecord(i, p, f"a{i}", f"n{i}", structure_set_ids=(7,) if i in (2, 4) else ())
        for i, p in PARENT_OF.items()
    )
    atlas = stria.atlas_from_array(
        drawn.astype(np.uint32), Ontology(rows), resolution_um=(25, 50, 25), space="asr"
    )
    return replace(atlas, **change)


def labels_of(atlas: Atlas) -> Labels:
    labels: Labels = atlas.annotation.levels[0].data.compute()
    return labels


def read(path: Path) -> Labels:
    if path.suffix == ".nrrd":
        return np.asarray(nrrd.read(str(path))[0])
    return np.asarray(zarr.open_group(path, mode="r")["s0"])


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(params=["nrrd", "ome-zarr"])
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


# -- what is written ------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [False, True])
def test_one_file_a_region(tmp_path: Path, form: str, direct: bool) -> None:
    atlas = make_atlas()
    labels = labels_of(atlas)
    below = {1: ALL, 2: [2, 3], 3: [3], 4: [4, 70_000], 70_000: [70_000]}
    paths = list(write_masks(atlas, ALL, tmp_path / "new" / "masks", format=form, direct=direct))
    assert [p.name for p in paths] == [f"structure_{i}{ENDINGS[form]}" for i in ALL]
    for identifier, path in zip(ALL, paths, strict=True):
        mask = read(path)
        assert mask.dtype == np.uint8
        ids = [identifier] if direct else below[identifier]
        np.testing.assert_array_equal(mask, np.isin(labels, ids))
    assert listed(tmp_path / "new" / "masks") == sorted(p.name for p in paths)


def test_names_sets_and_groups(tmp_path: Path) -> None:
    atlas = make_atlas()
    group = RegionGroup("L\u00e4ngs/quer: 1", (3, 70_000))
    regions = ["a3", "set:7", group, "n3", atlas.ontology["a4"]]
    paths = list(write_masks(atlas, regions, tmp_path))
    names = ["structure_3", "structure_2", "structure_4", "group_L\u00e4ngs_quer_1"]
    assert [p.name for p in paths] == [f"{name}.nrrd" for name in names]
    np.testing.assert_array_equal(read(paths[-1]), np.isin(labels_of(atlas), [3, 70_000]))
    header = nrrd.read_header(str(paths[-1]))
    assert header["stria_group"] == r"L\xe4ngs/quer: 1"
    assert header["stria_regions"] == "3 70000"
    assert list(write_masks(atlas, [], tmp_path / "none")) == []


def test_two_groups_of_one_file_name_are_refused(tmp_path: Path) -> None:
    groups = [RegionGroup("a b", (3,)), RegionGroup("A/b", (4,))]
    with pytest.raises(OutputExistsError, match="another name"):
        write_masks(make_atlas(), groups, tmp_path)


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    atlas = make_atlas(
        metadata=MappingProxyType({"version": "1.2"}),
        opened_with=MappingProxyType({"name_or_uri": "toy"}),
        name="toy_25um",
    )
    (path,) = write_masks(atlas, "a2", tmp_path, direct=True)
    header = nrrd.read_header(str(path))
    said = {key.removeprefix("stria_"): v for key, v in header.items() if "stria_" in key}
    assert len(said.pop("values_sha256")) == 64
    assert said == {
        "space": "asr",
        "resolution_um": "25 50 25",
        "atlas": "toy_25um",
        "atlas_version": "1.2",
        "rule": "stored",
        "regions": "2",
        "acronyms": "a2",
        "direct": "yes",
    }
    np.testing.assert_allclose(
        header["space directions"], [[0, 0.025, 0], [0, 0, -0.05], [0.025, 0, 0]], atol=0
    )


@pytest.mark.parametrize("rule", [None, "centre", "majority", "allensdk"])
def test_another_resolution(tmp_path: Path, form: str, rule: Any) -> None:
    atlas = make_atlas()
    paths = list(
        write_masks(atlas, [2, 4], tmp_path, format=form, resolution_um=(50, 75, 50), rule=rule)
    )
    labels = level_at(atlas, (50, 75, 50), rule or "centre").data.compute()
    for path, ids in zip(paths, ([2, 3], [4, 70_000]), strict=True):
        np.testing.assert_array_equal(read(path), np.isin(labels, ids))
    if form == "nrrd":
        assert nrrd.read_header(str(paths[0]))["stria_rule"] == (rule or "centre")


def test_a_store_is_an_ome_zarr(tmp_path: Path) -> None:
    (path,) = write_masks(make_atlas(), 2, tmp_path, format="ome-zarr")
    attributes: Any = dict(zarr.open_group(path, mode="r").attrs)
    (image,) = attributes["ome"]["multiscales"]
    (dataset,) = image["datasets"]
    scale, translation = dataset["coordinateTransformations"]
    assert scale["scale"] == [0.025, 0.05, 0.025]
    assert translation["translation"] == [0.0, 0.0, 0.0]


def test_what_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    atlas = make_atlas()
    with pytest.raises(FormatError, match="'nrrd' or 'ome-zarr', not as 'tiff'"):
        write_masks(atlas, 2, tmp_path, format="tiff")
    with pytest.raises(RegionNotFoundError):
        write_masks(atlas, [2, "nope"], tmp_path)
    with pytest.raises(CoordinateError):
        write_masks(atlas, 2, tmp_path, resolution_um=-1)
    assert listed(tmp_path) == []


# -- what is there already ------------------------------------------------------------------


def test_masks_that_are_there_are_kept(tmp_path: Path, form: str) -> None:
    (first,) = write_masks(make_atlas(), [3], tmp_path, format=form)
    before = times(tmp_path)
    paths = list(write_masks(make_atlas(), [2, 3, 4], tmp_path, format=form))
    assert [p.name.split(".")[0] for p in paths] == ["structure_2", "structure_3", "structure_4"]
    assert times(tmp_path)[first.name] == before[first.name]
    # Also with overwrite: it is what it should be.
    list(write_masks(make_atlas(), [3], tmp_path, format=form, overwrite=True))
    assert times(tmp_path)[first.name] == before[first.name]


def test_another_mask_is_not_taken_for_this_one(tmp_path: Path, form: str) -> None:
    (path,) = write_masks(make_atlas(), 2, tmp_path, format=form)
    stated: dict[str, Any] = {
        "metadata": MappingProxyType({"version": "1"}),
        "opened_with": MappingProxyType({"name_or_uri": "toy"}),
    }
    other_tree = Ontology(StructureRecord(i, None, f"a{i}", f"n{i}") for i in PARENT_OF)

    def write(atlas: Atlas, **how: Any) -> Iterator[Path]:
        return write_masks(atlas, 2, tmp_path, format=form, **how)

    others: list[Callable[..., Iterator[Path]]] = [
        partial(write, make_atlas(seed=1)),
        partial(write, make_atlas(name="b")),
        partial(write, make_atlas(space="asl")),
        partial(write, make_atlas(**stated)),
        partial(write, make_atlas(ontology=other_tree)),
        partial(write, make_atlas(), direct=True),
        partial(write, make_atlas(), resolution_um=(25, 50, 50)),
    ]
    before = times(tmp_path)
    for other in others:
        with pytest.raises(OutputExistsError, match="another mask"):
            next(other())
        assert times(tmp_path) == before
    for other in others:
        # Replaced, and then it is the one that is there.
        previous = times(tmp_path)
        assert list(other(overwrite=True)) == [path]
        assert times(tmp_path) != previous
        assert list(other()) == [path]


def test_nothing_is_made_where_one_name_is_taken(tmp_path: Path, form: str) -> None:
    taken = tmp_path / f"structure_3{ENDINGS[form]}"
    taken.write_text("mine")
    with pytest.raises(OutputExistsError, match="choose another folder"):
        list(write_masks(make_atlas(), [2, 3, 4], tmp_path, format=form))
    assert listed(tmp_path) == [taken.name]
    if form == "nrrd":
        assert len(list(write_masks(make_atlas(), [2, 3], tmp_path, overwrite=True))) == 2
        assert read(taken).any()
    else:
        with pytest.raises(OutputExistsError, match="no zarr store"):
            list(write_masks(make_atlas(), [3], tmp_path, format=form, overwrite=True))
        assert taken.read_text() == "mine"


def test_a_file_that_was_cut_is_not_taken_for_whole(tmp_path: Path) -> None:
    (path,) = write_masks(make_atlas(), 2, tmp_path)
    whole = path.read_bytes()
    for end in (0, 10, 300, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(OutputExistsError):
            next(write_masks(make_atlas(), 2, tmp_path))
    path.write_bytes(whole)
    assert next(write_masks(make_atlas(), 2, tmp_path)) == path


def test_two_resampling_rules_are_two_masks(tmp_path: Path) -> None:
    size = (50.0, 100.0, 50.0)
    centre = stria.downsample_annotation(make_atlas(), size, rule="centre")
    majority = stria.downsample_annotation(make_atlas(), size, rule="majority")
    list(write_masks(centre, 2, tmp_path))
    with pytest.raises(OutputExistsError):
        next(write_masks(majority, 2, tmp_path))


# -- how it ends ----------------------------------------------------------------------------


def test_progress_grows_to_its_total(tmp_path: Path, form: str) -> None:
    for regions in ([2], [2, 3, 4], []):
        told: list[tuple[int, int]] = []
        progress: Any = lambda *now, told=told: told.append(now)  # noqa: E731
        list(write_masks(make_atlas(), regions, tmp_path, format=form, progress=progress))
        done = [now for now, _ in told]
        assert done == sorted(done)
        assert {total for _, total in told} == {24 * 20 * 16 * (len(regions) + 1)}
        assert told[-1][0] == told[-1][1]


def test_cancelling_keeps_what_is_complete(tmp_path: Path, form: str) -> None:
    cancel = Event()
    masks = write_masks(make_atlas(), [2, 3, 4], tmp_path, format=form, cancel=cancel)
    first = next(masks)
    cancel.set()
    with pytest.raises(TaskCancelled):
        next(masks)
    assert listed(tmp_path) == [first.name]
    assert len(list(write_masks(make_atlas(), [2, 3, 4], tmp_path, format=form))) == 3
    assert len(listed(tmp_path)) == 3


def test_cancelling_within_a_mask(tmp_path: Path, form: str) -> None:
    atlas, cancel = large_atlas(), Event()
    voxels = int(np.prod(LARGE))

    def progress(done: int, total: int) -> None:
        if 2 * voxels < done < 3 * voxels:
            cancel.set()

    masks = write_masks(atlas, [1, 2], tmp_path, format=form, progress=progress, cancel=cancel)
    first = next(masks)
    with pytest.raises(TaskCancelled):
        next(masks)
    assert listed(tmp_path) == [first.name]


def test_a_folder_that_cannot_be_is_said(tmp_path: Path, form: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        list(write_masks(make_atlas(), 2, tmp_path / "file" / "masks", format=form))


# Two blocks along each axis, which are noise.
LARGE = (140, 130, 150)
_ATLAS = """
import os, resource, signal, sys
import numpy as np
import napari_stria as stria
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import OutputError
ontology = Ontology(StructureRecord(i, None, f"a{i}", f"n{i}") for i in (1, 2, 3))
drawn = np.random.default_rng(0).integers(0, 4, (140, 130, 150))
atlas = stria.atlas_from_array(drawn.astype(np.uint8), ontology, resolution_um=25)
"""
_KILLED = """
def progress(done, total):
    # In the midst of the second mask: the pass and the first are done.
    if 2 * drawn.size < done < 3 * drawn.size:
        os.kill(os.getpid(), signal.SIGKILL)
folder, form = sys.argv[1:]
for path in stria.write_masks(atlas, [1, 2, 3], folder, format=form, progress=progress):
    print(path.name, flush=True)
"""
_FULL_DISK = """
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for form in ("nrrd", "ome-zarr"):
    try:
        list(stria.write_masks(atlas, [1, 2, 3], sys.argv[1], format=form))
    except OutputError as error:
        print(error)
"""


def large_atlas() -> Atlas:
    """Return what `_ATLAS` makes."""
    ontology = Ontology(StructureRecord(i, None, f"a{i}", f"n{i}") for i in (1, 2, 3))
    drawn = np.random.default_rng(0).integers(0, 4, LARGE)
    return stria.atlas_from_array(drawn.astype(np.uint8), ontology, resolution_um=25)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _ATLAS + script, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")
def test_being_killed_leaves_no_half_file(tmp_path: Path, form: str) -> None:
    killed = run(_KILLED, str(tmp_path), form)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    names = [f"structure_{i}{ENDINGS[form]}" for i in (1, 2, 3)]
    assert killed.stdout.split() == names[:1]
    assert [name for name in listed(tmp_path) if not name.startswith(".")] == names[:1]
    before = times(tmp_path)[names[0]]
    paths = list(write_masks(large_atlas(), [1, 2, 3], tmp_path, format=form))
    # Nothing of the killed program is left, and what it had completed was not made again.
    assert [path.name for path in paths] == listed(tmp_path) == names
    assert times(tmp_path)[names[0]] == before
    labels = labels_of(large_atlas())
    for identifier, path in zip((1, 2, 3), paths, strict=True):
        np.testing.assert_array_equal(read(path), labels == identifier)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    done = run(_FULL_DISK, str(tmp_path))
    sentences = done.stdout.splitlines()
    assert len(sentences) == 2, done.stderr
    assert all("cannot be written" in sentence for sentence in sentences)
    assert listed(tmp_path) == []


# -- what is read ---------------------------------------------------------------------------


def test_a_server_is_asked_once_and_not_for_what_is_there(
    tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels
) -> None:
    root = write_atlas(tmp_path / "root")
    with DemoServer(root) as server:
        atlas = stria.open_atlas("toy_mouse_25um", root=server.url, cached=False)
        server.reset()
        paths = list(write_masks(atlas, ["CTX", "cc", "grey"], tmp_path / "masks"))
        once = server.counters.chunk_requests
        assert once == 3 * 2 * 3
        np.testing.assert_array_equal(
            read(paths[0]), np.isin(toy_labels, [688, 3_000_000_001, 182_305_689])
        )
        assert list(write_masks(atlas, ["CTX", "cc", "grey"], tmp_path / "masks")) == paths
        assert server.counters.chunk_requests == once


# -- several programs ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ENDINGS))
@pytest.mark.parametrize("overwrite", [False, True])
def test_several_programs_write_the_same_masks(tmp_path: Path, kind: str, overwrite: bool) -> None:
    atlas, begin = make_atlas(), threading.Barrier(4)

    def work(_number: int) -> list[str]:
        begin.wait()
        made = write_masks(atlas, ALL, tmp_path / "out", format=kind, overwrite=overwrite)
        return [path.name for path in made]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    names = [f"structure_{i}{ENDINGS[kind]}" for i in ALL]
    assert found == [names] * 4
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(names)


def test_waiting_for_another_program_can_be_cancelled(tmp_path: Path) -> None:
    cancel = Event()
    cancel.set()
    path = tmp_path / "structure_2.nrrd"
    masks = write_masks(make_atlas(opened_with={"a": 1}, metadata={"version": "1"}), 2, tmp_path)
    with staged([path]):
        waiting = write_masks(
            make_atlas(opened_with={"a": 1}, metadata={"version": "1"}), 2, tmp_path, cancel=cancel
        )
        with pytest.raises(TaskCancelled):
            list(waiting)
    assert list(masks) == [path]


def test_a_long_name_in_any_script_fits_and_stays_its_own(tmp_path: Path) -> None:
    names = ["\u5927" * 90, "\u5927" * 90 + "\u8111", "x" * 300]
    groups = [RegionGroup(name, (2,)) for name in names]
    for kind in ENDINGS:
        paths = list(write_masks(make_atlas(), groups, tmp_path, format=kind))
        assert len({path.name for path in paths}) == len(groups)
        assert all(len(path.name.encode()) < 130 for path in paths)
