"""Processes that are asked for one piece of work at a time, in lines of JSON.

A contender lives in a process of its own, because it may need other packages than we have. Both
ends of the talk are here; nothing is imported that AllenSDK's environment might lack.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.memory import wake_memory

TOP = Path(__file__).resolve().parents[1]
Job = Callable[..., "dict[str, Any]"]


def serve(jobs: Mapping[str, Job]) -> None:
    """Do the jobs that come in on stdin, until it ends; an error ends the process."""
    # Whatever a package prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        wake_memory()
        answer = jobs[asked.pop("job")](**asked)
        # The garbage of one job must not burden the next.
        gc.collect()
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """A contender's process; use it as a context manager.

    Parameters
    ----------
    python : str or Path
        The interpreter that has the contender's packages.
    module : str
        Which calls `serve`.
    """

    def __init__(self, python: str | Path, module: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            cwd=TOP, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a job; RuntimeError if the process ended without one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"job": job, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended while it was asked for {job}; see above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate()
