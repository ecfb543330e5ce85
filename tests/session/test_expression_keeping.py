"""Sums of sections in a folder: gone on with after any end, and never mixed with others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

import napari_stria as stria
from napari_stria.core.pyramid import read_box
from napari_stria.core.section import SectionDataset
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.demo.server import DemoServer
from napari_stria.errors import CoordinateError, OutputError, SectionSkippedWarning, TaskCancelled
from napari_stria.io.http_options import HttpOptions

OPTIONS: dict[str, Any] = {"tier": 5, "resolution_um": 200}
Measure = Callable[..., pd.DataFrame]


@pytest.fixture
def dataset(practice_api: stria.AllenApi) -> SectionDataset:
    """Four coronal sections."""
    whole = practice_api.section_dataset(PRACTICE_CORONAL)
    return replace(whole, sections=whole.sections[6::16])


@pytest.fixture
def measure(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> Measure:
    """The table of the four sections, in a folder or not."""

    def table(folder: Path | None = None, **more: Any) -> pd.DataFrame:
        options = {**OPTIONS, **more}
        used = options.pop("dataset", dataset)
        atlas = options.pop("atlas", practice_atlas)
        return stria.expression_table(used, practice_api, atlas, folder=folder, **options)

    return table


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("expression_*.json"))


def test_nothing_is_fetched_again(
    practice: DemoServer, measure: Measure, dataset: SectionDataset, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    first = measure(folder)
    assert first.attrs["sections_resumed"] == 0
    assert len(files_of(folder)) == len(dataset) == 4
    assert all(file.stat().st_size < 20_000 for file in files_of(folder))
    practice.reset()
    told: list[tuple[int, int]] = []
    again = measure(folder, progress=lambda *numbers: told.append(numbers))
    assert practice.counters.image_requests == 0
    assert told == [(4, 4)]
    assert again.attrs["sections_resumed"] == 4
    pd.testing.assert_frame_equal(again, first)
    pd.testing.assert_frame_equal(again, measure())


def test_parcels_come_from_the_same_files(
    practice: DemoServer, measure: Measure, practice_atlas: stria.Atlas, tmp_path: Path
) -> None:
    measure(tmp_path)
    practice.reset()
    parcels = stria.parcellation_at_depth(practice_atlas.ontology, 2)
    table = measure(tmp_path, parcellation=parcels)
    assert practice.counters.image_requests == 0
    pd.testing.assert_frame_equal(table, measure(parcellation=parcels))


def test_a_cancelled_run_goes_on(practice: DemoServer, measure: Measure, tmp_path: Path) -> None:
    cancel = Event()

    def stop_after_two(done: int, _total: int) -> None:
        if done == 2:
            cancel.set()

    with pytest.raises(TaskCancelled):
        measure(tmp_path, cancel=cancel, progress=stop_after_two)
    assert len(files_of(tmp_path)) == 2
    practice.reset()
    table = measure(tmp_path)
    assert practice.counters.image_requests == 4
    assert table.attrs["sections_resumed"] == 2
    pd.testing.assert_frame_equal(table, measure())


def test_what_was_killed_goes_on(
    practice: DemoServer, measure: Measure, dataset: SectionDataset, tmp_path: Path
) -> None:
    program = f"""
        import os, signal
        from dataclasses import replace
        import napari_stria as stria

        def die(done, total):
            if done == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        api = stria.AllenApi({practice.allen_url!r}, cached=False)
        dataset = api.section_dataset({PRACTICE_CORONAL})
        dataset = replace(dataset, sections=dataset.sections[6::16])
        atlas = stria.open_atlas("practice_mouse_50um", root={practice.url!r})
        stria.expression_table(
            dataset, api, atlas, folder={str(tmp_path)!r}, progress=die, tier=5, resolution_um=200
        )
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(files_of(tmp_path)) == 2
    practice.reset()
    table = measure(tmp_path)
    assert practice.counters.image_requests == 2 * (len(dataset) - 2)
    pd.testing.assert_frame_equal(table, measure())


def shorter(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def other_numbers(raw: bytes) -> bytes:
    found = json.loads(raw)
    found["sums"]["sides"]["expressing_pixels"][0][0] += 1
    return json.dumps(found).encode()


def of_another_request(raw: bytes) -> bytes:
    return json.dumps({**json.loads(raw), "request": "0" * 64}).encode()


def no_sums(raw: bytes) -> bytes:
    return json.dumps({**json.loads(raw), "sums": [1, 2, 3]}).encode()


@pytest.mark.parametrize(
    "broken",
    [shorter, other_numbers, of_another_request, no_sums, lambda _: b"", lambda _: b"[[" * 99_999],
)
def test_a_file_that_is_damaged_or_foreign_is_made_anew(
    practice: DemoServer, measure: Measure, tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    first = measure(tmp_path)
    before = {file: file.read_bytes() for file in files_of(tmp_path)}
    victim = files_of(tmp_path)[1]
    victim.write_bytes(broken(before[victim]))
    practice.reset()
    again = measure(tmp_path)
    assert practice.counters.image_requests == 2
    assert again.attrs["sections_resumed"] == 3
    pd.testing.assert_frame_equal(again, first)
    assert {file: file.read_bytes() for file in files_of(tmp_path)} == before


def test_another_request_does_not_mix(
    practice: DemoServer,
    measure: Measure,
    dataset: SectionDataset,
    practice_atlas: stria.Atlas,
    tmp_path: Path,
) -> None:
    measure(tmp_path)
    first = dataset.sections[0]
    nudged = stria.Affine(first.section_to_pir.matrix + 1e-9 * np.eye(3))
    lies_otherwise = replace(first, section_to_pir=nudged)
    corners = np.array([[0, 0], [6000, 0], [0, 4000], [6000, 4000], [2000, 1000.0]])
    spline = ThinPlateSpline(corners, corners + 1)
    changes: list[tuple[dict[str, Any], int]] = [
        ({"tier": 4}, 4),
        ({"threshold": 20}, 4),
        ({"intensity": "bright"}, 4),
        ({"resolution_um": 100}, 4),
        ({"atlas": replace(practice_atlas, metadata={"version": "9.9"})}, 4),
        ({"dataset": replace(dataset, sections=(lies_otherwise, *dataset.sections[1:]))}, 1),
        ({"refinements": {first.image_id: spline}}, 1),
        ({"refinements": {first.image_id: ThinPlateSpline(corners, corners + 2)}}, 1),
    ]
    for change, new in changes:
        practice.reset()
        measure(tmp_path, **change)
        assert practice.counters.image_requests == 2 * new, change


def test_a_refinement_is_known_again_by_its_numbers(
    practice: DemoServer, measure: Measure, dataset: SectionDataset, tmp_path: Path
) -> None:
    image = dataset.sections[0].image_id
    corners = np.array([[0, 0], [6000, 0], [0, 4000], [6000, 4000], [2000, 1000.0]])

    def spline(by: float) -> ThinPlateSpline:
        return ThinPlateSpline(corners, corners + by)

    used = spline(3)
    measure(tmp_path, refinements={image: used})
    # The one that has computed its weights, and one that has not.
    for same in (used, spline(3)):
        practice.reset()
        measure(tmp_path, refinements={image: same})
        assert practice.counters.image_requests == 0
    measure(tmp_path, refinements={image: spline(3.0000001)})
    assert practice.counters.image_requests == 2


def test_a_refinement_that_nobody_can_tell_is_not_kept(
    measure: Measure, dataset: SectionDataset, tmp_path: Path
) -> None:
    class Odd:
        n_in = n_out = 2

        def __init__(self) -> None:
            self.how = Event().wait

        def __call__(self, points: Any) -> Any:
            return np.asarray(points, dtype=float)

    with pytest.raises(CoordinateError, match="leave the folder out"):
        measure(tmp_path, refinements={dataset.sections[0].image_id: Odd()})


def test_an_atlas_without_a_version_is_known_by_its_voxels(
    practice: DemoServer, measure: Measure, practice_atlas: stria.Atlas, tmp_path: Path
) -> None:
    level = practice_atlas.annotation.level_for_resolution(200)
    voxels = read_box(level.reader, tuple(slice(0, n) for n in level.shape))

    def atlas(array: Any) -> stria.Atlas:
        return stria.atlas_from_array(
            array, practice_atlas.ontology, resolution_um=200, space="asr"
        )

    first = measure(tmp_path, atlas=atlas(voxels))
    practice.reset()
    pd.testing.assert_frame_equal(measure(tmp_path, atlas=atlas(voxels.copy())), first)
    assert practice.counters.image_requests == 0
    other = voxels.copy()
    other[30, 20, 20] += 1
    measure(tmp_path, atlas=atlas(other))
    assert practice.counters.image_requests == 8


def test_an_atlas_that_was_rebuilt_under_its_version_is_another(
    practice: DemoServer, measure: Measure, practice_atlas: stria.Atlas, tmp_path: Path
) -> None:
    level = practice_atlas.annotation.level_for_resolution(200)
    voxels = read_box(level.reader, tuple(slice(0, n) for n in level.shape))
    root = {"id": 997, "acronym": "root", "name": "root", "structure_id_path": [997]}
    stated = {
        "name": "my_mouse", "citation": "", "atlas_link": "", "species": "Mus musculus",
        "symmetric": True, "resolution": [200.0] * 3, "orientation": "asr", "version": "1.0",
        "shape": voxels.shape, "additional_references": [],
    }  # fmt: skip
    folder = tmp_path / "my_mouse_200um_v1.0"
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps(stated))
    (folder / "structures.json").write_text(json.dumps([{**root, "rgb_triplet": [1, 2, 3]}]))
    for second, labels in enumerate((voxels, voxels[::-1])):
        tifffile.imwrite(folder / "annotation.tiff", labels.astype(np.uint32))
        os.utime(folder / "annotation.tiff", (second, second))
        for images in (8, 0):
            practice.reset()
            measure(tmp_path / "kept", atlas=stria.open_atlas(folder))
            assert practice.counters.image_requests == images


def test_two_at_once_do_no_harm(measure: Measure, tmp_path: Path) -> None:
    tables: list[pd.DataFrame] = []
    both = [Thread(target=lambda: tables.append(measure(tmp_path))) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len(tables) == 2
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert [p for p in tmp_path.iterdir() if p not in files_of(tmp_path)] == []
    pd.testing.assert_frame_equal(measure(tmp_path), tables[0])


def test_a_section_that_failed_is_tried_again(
    practice: DemoServer, practice_atlas: stria.Atlas, dataset: SectionDataset, tmp_path: Path
) -> None:
    api = stria.AllenApi(
        practice.allen_url, options=HttpOptions(attempts=1, backoff_s=0.01), cached=False
    )
    bad = str(dataset.sections[1].image_id)
    practice.faults.status_for = lambda path, _n: 500 if path.endswith(bad) else None
    with pytest.warns(SectionSkippedWarning, match=bad):
        partly = stria.expression_table(dataset, api, practice_atlas, folder=tmp_path, **OPTIONS)
    assert partly.attrs["sections"] == 3
    practice.faults.status_for = None
    practice.reset()
    whole = stria.expression_table(dataset, api, practice_atlas, folder=tmp_path, **OPTIONS)
    assert whole.attrs["sections"] == 4
    assert practice.counters.image_requests == 2


def test_a_folder_that_cannot_be_is_said(measure: Measure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError):
        measure(tmp_path / "file")
