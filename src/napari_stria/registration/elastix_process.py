"""elastix in a process of its own: started, watched, cancelled, and cleaned up after."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import ElastixMissingError, RegistrationFailedError, TaskCancelled
from napari_stria.registration.elastix_job import FAILED, NO_ELASTIX

Progress = Callable[[int, int], None]
ParameterMap = Mapping[str, Sequence[str]]

_LOOK_S = 0.1
_GRACE_S = 2.0
_HINT = (
    "check that section and template overlap and that the section is the right channel, or place "
    "it by landmarks"
)


@dataclass(frozen=True, eq=False)
class ElastixJob:
    """Two images on one grid, and what elastix shall do with them.

    Attributes
    ----------
    fixed, moving : (rows, columns) float32 ndarray
    mask : (rows, columns) bool ndarray
        Where the fixed image counts.
    spacing : float
        Edge of a pixel, in the unit of the transforms.
    origin_xy : tuple of float
        Centre of pixel (0, 0).
    stages : sequence of mappings
        elastix's parameters, a mapping for each transform; see `elastix_parameters`.
    """

    fixed: npt.NDArray[np.float32]
    moving: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    spacing: float
    origin_xy: tuple[float, float]
    stages: Sequence[ParameterMap]

    @property
    def iterations(self) -> int:
        """Iterations of all stages."""
        return sum(
            int(stage["NumberOfResolutions"][0]) * int(stage["MaximumNumberOfIterations"][0])
            for stage in self.stages
        )

    def write(self, folder: Path) -> None:
        """Write the files that `elastix_job` reads."""
        np.save(folder / "fixed.npy", self.fixed.astype(np.float32))
        np.save(folder / "moving.npy", self.moving.astype(np.float32))
        np.save(folder / "mask.npy", self.mask.astype(np.uint8))
        job = {
            "spacing": [self.spacing, self.spacing],
            "origin": list(self.origin_xy),
            "stages": [{key: list(values) for key, values in s.items()} for s in self.stages],
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


def run_elastix(
    job: ElastixJob, *, progress: Progress | None = None, cancel: Event | None = None
) -> list[dict[str, list[str]]]:
    """Run a job to its end; return elastix's transform parameters, a mapping for each stage.

    Raises
    ------
    ElastixMissingError
        If elastix is not installed.
    RegistrationFailedError
        If elastix gave up, or its process ended in any other way.
    TaskCancelled
        If `cancel` was set.
    """
    with ElastixProcess(job) as process:
        return process.wait(progress, cancel)


class ElastixProcess:
    """A running job; leaving the context ends it and removes its folder.

    Attributes
    ----------
    folder : Path
        Where its files are.
    """

    def __init__(self, job: ElastixJob) -> None:
        self._job = job
        self._temporary = tempfile.TemporaryDirectory(
            prefix="stria-elastix-", ignore_cleanup_errors=True
        )
        self.folder = Path(self._temporary.name)
        self._output: IO[bytes] | None = None
        try:
            job.write(self.folder)
            self._output = (self.folder / "process.log").open("wb")
            self._process = self._started()
        except OSError as error:
            self._clean()
            raise RegistrationFailedError(
                f"the registration could not be started ({error}); make room on the disk or in "
                "memory and try again."
            ) from error

    def _started(self) -> subprocess.Popen[bytes]:
        # -P: files of the folder that the user is in must not stand in for modules.
        module = "napari_stria.registration.elastix_job"
        return subprocess.Popen(  # noqa: S603  (this Python, a module of ours)
            [sys.executable, "-P", "-m", module, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def wait(
        self, progress: Progress | None = None, cancel: Event | None = None
    ) -> list[dict[str, list[str]]]:
        """Wait for the result; see `run_elastix`."""
        total, told = self._job.iterations, -1
        while True:
            if cancel is not None and cancel.is_set():
                raise TaskCancelled("the registration was cancelled; nothing was kept of it.")
            try:
                self._process.wait(_LOOK_S)
                break
            except subprocess.TimeoutExpired:
                pass
            done = min(self._iterations_done(), total)
            if progress is not None and done > told:
                progress(done, total)
                told = done
        result = self._result()
        if progress is not None and told < total:
            progress(total, total)
        return result

    def _iterations_done(self) -> int:
        """Count the lines of elastix's tables, one a resolution, that grow as it goes on."""
        tables = self.folder.glob("IterationInfo.*.txt")
        return sum(max(table.read_bytes().count(b"\n") - 1, 0) for table in tables)

    def _result(self) -> list[dict[str, list[str]]]:
        code = self._process.returncode
        if code == NO_ELASTIX:
            raise ElastixMissingError(
                "automatic registration needs elastix: install it with "
                f'pip install "napari-stria[elastix]" ({_last_line(self.folder / "failure.txt")}).'
            )
        if code == 0:
            try:
                result = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                result = None
            if isinstance(result, list) and len(result) == len(self._job.stages):
                return result
        said = _complaint(self.folder / "elastix.log")
        for name in ("failure.txt", "process.log", "elastix.log"):
            said = said or _last_line(self.folder / name)
        raise RegistrationFailedError(
            f"elastix {_how_it_ended(code)}: {_HINT} (last message: {said or 'none'})."
        )

    def __enter__(self) -> ElastixProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._clean()

    def _clean(self) -> None:
        if self._output is not None:
            self._output.close()
        self._temporary.cleanup()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return "found no registration" if code == FAILED else f"ended with the code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _complaint(log: Path) -> str:
    """Return what elastix's log says of an error, '' if it tells none."""
    # ITK names the object and its address before what it has to say.
    found = re.findall(r"ITK ERROR: [^:]*: (.+)", _text(log))
    return str(found[-1]).strip().rstrip(".") if found else ""


def _last_line(path: Path) -> str:
    """Return the last line that says something, '' if there is none."""
    told = [line.strip() for line in _text(path).splitlines() if any(c.isalnum() for c in line)]
    return told[-1].rstrip(".") if told else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
