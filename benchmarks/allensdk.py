"""The same work by AllenSDK and by us, on the real 25 um volume in memory: time and memory.

Both sides answer from processes of their own and take turns; every call is a first one. Whatever
they answer must be equal, or nothing is written.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nrrd
import numpy as np

from benchmarks.conditions import REPEATS, conditions
from benchmarks.data import REAL
from benchmarks.page import Part, Row
from benchmarks.peer_environment import VERSION, peer_python
from benchmarks.worker import Worker
from napari_stria.core.ontology import Ontology
from napari_stria.io.cache import cache_folder
from napari_stria.io.structure_graph import parse_structure_graph

_FILES = REAL.parent / "allen_ccf_2017"
_RESOLUTION_UM = 25.0
_ISOCORTEX = 315
# The twelve large divisions of the brain and eight areas of the size that is often asked for.
_TWENTY = (
    "Isocortex", "OLF", "HPF", "CTXsp", "STR", "PAL", "TH", "HY", "MB", "P", "MY", "CB",
    "VISp", "MOp", "SSp", "AUD", "RSP", "ACA", "CA1", "DG",
)  # fmt: skip
_MISSED = "**target missed**"


@dataclass(frozen=True)
class Contest:
    """One row: which clock of a job, and how many times as fast ours must be, if at all."""

    clock: str
    what: str
    faster: float | None = None


_CONTESTS = (
    Contest("mask", "mask of Isocortex", 20),
    Contest("masks", "masks of 20 regions, the 12 large divisions and 8 areas", 10),
    Contest("picture", "picture of the slice at DV 5000 µm", 20),
    Contest("itksnap", "ITK-SNAP's labels and their description, in memory", 100),
    # No target: gzip takes most of our time here.
    Contest("itksnap_files", "the same with both files written"),
    Contest("table", "voxels of all regions", 3),
)


def measure() -> Part:
    """Return all rows of this part.

    Raises
    ------
    PeerMissingError
        If AllenSDK cannot be had.
    """
    peer = peer_python()
    ours = Path(sys.executable)
    volume, ontology = _volume(), parse_structure_graph(_graph().read_bytes(), "the graph")
    where = {"volume": str(volume), "graph": str(_graph()), "resolution_um": _RESOLUTION_UM}
    with (
        Worker(peer, "benchmarks.allensdk_peer") as theirs,
        Worker(ours, "benchmarks.allensdk_ours") as own,
    ):
        versions = theirs.ask("load", **where)["versions"]
        own.ask("load", **where)
        with tempfile.TemporaryDirectory() as folder:
            seconds = _take_turns(theirs, own, _jobs(ontology, folder))
    rows = [_time_row(contest, seconds) for contest in _CONTESTS]
    rows.append(_memory_row(peer, ours, where))
    python = versions.pop("python")
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return Part(
        f"{conditions('numpy', 'dask', 'pandas')}; theirs: Python {python}, {listed}; the Allen "
        "Institute's 25 µm annotation of 2017, uncompressed in memory on both sides",
        tuple(rows),
    )


def _graph() -> Path:
    return _FILES / "structure_graph.json"


def _volume() -> Path:
    """Return the annotation as a plain array file, which any numpy loads without more memory."""
    path = cache_folder("benchmarks") / "annotation_25.npy"
    if not path.exists():
        labels, _ = nrrd.read(str(_FILES / "annotation_25.nrrd"))
        aside = path.with_name(".annotation_25.npy")
        with aside.open("wb") as file:
            np.save(file, np.ascontiguousarray(labels))
        aside.replace(path)
    return path


def _jobs(ontology: Ontology, folder: str) -> dict[str, dict[str, Any]]:
    return {
        "table": {},
        "picture": {"axis": 1, "position_um": 5000},
        "mask": {"region": _ISOCORTEX},
        "masks": {"regions": [ontology[acronym].id for acronym in _TWENTY]},
        "itksnap": {"folder": folder},
    }


def _take_turns(
    theirs: Worker, own: Worker, jobs: dict[str, dict[str, Any]]
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the seconds of both sides by clock; who begins changes from round to round."""
    seconds: dict[str, tuple[list[float], list[float]]] = {}
    for turn in range(REPEATS):
        for job, arguments in jobs.items():
            sides = [(0, theirs), (1, own)]
            answers: list[dict[str, Any]] = [{}, {}]
            for side, worker in sides[:: 1 - 2 * (turn % 2)]:
                answers[side] = worker.ask(job, **arguments)
            _check_equal(job, answers)
            for clock in answers[0]["seconds"]:
                both = seconds.setdefault(clock, ([], []))
                for side, _ in sides:
                    both[side].append(answers[side]["seconds"][clock])
            print(f"round {turn + 1} of {REPEATS}: {job}", file=sys.stderr, flush=True)
    return seconds


def _check_equal(job: str, answers: Sequence[dict[str, Any]]) -> None:
    theirs, own = (answer["answers"] for answer in answers)
    if theirs != own:
        raise AssertionError(f"{job}: AllenSDK says {json.dumps(theirs)}, we {json.dumps(own)}")


def _time_row(contest: Contest, seconds: dict[str, tuple[list[float], list[float]]]) -> Row:
    theirs, own = (statistics.median(times) for times in seconds[contest.clock])
    ratio = theirs / own
    return Row(
        contest.what,
        _marked(f"{ratio:.3g} times as fast", met=ratio >= (contest.faster or 0)),
        f"AllenSDK {VERSION}: {theirs:.3g} s, here {own:.3g} s",
        f"at least {contest.faster:g}" if contest.faster else "",
    )


def _memory_row(peer: Path, ours: Path, where: dict[str, Any]) -> Row:
    """Return the row about the table's memory, each time in a process that does nothing else."""
    peaks: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        answers = []
        for python, module in ((peer, "allensdk_peer"), (ours, "allensdk_ours")):
            with Worker(python, f"benchmarks.{module}") as worker:
                worker.ask("load", **where)
                answers.append(worker.ask("table_memory"))
        _check_equal("table_memory", answers)
        for both, answer in zip(peaks, answers, strict=True):
            both.append(answer["mb"])
    theirs, own = (statistics.median(both) for both in peaks)
    return Row(
        "the same: peak memory above the loaded volume",
        _marked(f"{own / theirs:.2f} of AllenSDK's", met=own <= theirs / 4),
        f"AllenSDK {VERSION}: {theirs:.0f} MB, here {own:.0f} MB",
        "at most 0.25",
    )


def _marked(text: str, *, met: bool) -> str:
    return text if met else f"{text}, {_MISSED}"
