"""elastix in its own process: what it finds, and how it may end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.errors import ElastixMissingError, RegistrationFailedError, TaskCancelled
from napari_stria.registration.elastix_parameters import affine_of, stages
from napari_stria.registration.elastix_process import (
    ElastixJob,
    ElastixProcess,
    ParameterMap,
    run_elastix,
)


def picture(right: float = 0, down: float = 0) -> npt.NDArray[np.float32]:
    """Spots, moved by some pixels."""
    y, x = np.mgrid[:80, :100].astype(float)
    places = ((30, 25, 8, 1.0), (62, 30, 6, 0.6), (48, 55, 10, 0.8), (75, 60, 5, 0.4))
    spots = [
        a * np.exp(-((x - right - i) ** 2 + (y - down - j) ** 2) / s**2) for i, j, s, a in places
    ]
    return np.asarray(np.sum(spots, axis=0), dtype=np.float32)


@pytest.fixture
def job() -> ElastixJob:
    """Fixed and moving differ by 4 pixels along x and 3 along -y."""
    return ElastixJob(
        picture(), picture(right=4, down=-3), np.ones((80, 100), np.bool_), 0.05, (1.0, 2.0),
        stages("affine", 60, 1000.0),
    )  # fmt: skip


def folder_of(process: ElastixProcess) -> Path:
    assert process.folder.is_dir()
    return process.folder


def test_it_maps_the_fixed_image_to_the_moving_one(
    job: ElastixJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files of the folder that the user is in do not stand in for modules.
    (tmp_path / "itk.py").write_text("raise ImportError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    told: list[tuple[int, int]] = []
    found = run_elastix(job, progress=lambda *done: told.append(done))
    whole = affine_of(found[1]) @ affine_of(found[0])
    middle_um = [(1.0 + 50 * 0.05) * 1000, (2.0 + 40 * 0.05) * 1000]
    np.testing.assert_allclose(whole(middle_um) - middle_um, [4 * 50, -3 * 50], atol=30)
    assert told == sorted(set(told))
    assert told[-1] == (job.iterations, job.iterations) == (420, 420)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_process_that_is_killed_is_an_error_here(job: ElastixJob) -> None:
    with ElastixProcess(job) as process:
        folder = folder_of(process)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(RegistrationFailedError, match=r"ended by SIGKILL.*landmarks"):
            process.wait()
    assert not folder.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_crash_in_the_midst_tells_the_last_message(job: ElastixJob) -> None:
    with ElastixProcess(replace(job, stages=stages("affine", 100_000, 1000.0))) as process:

        def crash(done: int, _total: int) -> None:
            if done:
                os.kill(process.pid, signal.SIGSEGV)

        with pytest.raises(RegistrationFailedError, match=r"SIGSEGV.*last message: [^)]+\)"):
            process.wait(crash)


def test_cancel_in_the_midst_leaves_nothing(job: ElastixJob) -> None:
    cancel = Event()
    with ElastixProcess(replace(job, stages=stages("affine", 100_000, 1000.0))) as process:
        folder = folder_of(process)
        with pytest.raises(TaskCancelled):
            process.wait(lambda done, _: cancel.set() if done else None, cancel)
    assert not folder.exists()
    # The process was waited for, so its number is free.
    with pytest.raises(OSError):
        os.kill(process.pid, 0)


def test_without_elastix_the_error_names_what_to_install(
    job: ElastixJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "itk.py").write_text("raise ImportError('no ITK here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ElastixMissingError, match=r'pip install "napari-stria\[elastix\]".*no ITK'):
        run_elastix(job)


def _with(parameters: Sequence[ParameterMap], **changed: str) -> list[ParameterMap]:
    return [{**one, **{key: [value] for key, value in changed.items()}} for one in parameters]


def test_what_elastix_says_is_told(job: ElastixJob) -> None:
    # No part of the samples can be more than all of them.
    wrong = replace(job, stages=_with(job.stages, RequiredRatioOfValidSamples="1.1"))
    with pytest.raises(RegistrationFailedError, match="found no registration") as caught:
        run_elastix(wrong)
    assert "(last message: Too many samples map outside moving image buffer" in str(caught.value)


def test_a_job_without_a_caller_ends_and_takes_its_folder_along(
    job: ElastixJob, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    job.write(folder)
    command = [sys.executable, "-m", "napari_stria.registration.elastix_job", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=120)
    assert done.returncode != 0
    assert not folder.exists()
