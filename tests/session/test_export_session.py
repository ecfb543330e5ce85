"""The state of exports: looked at, running, cancelled, failed, done."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from napari_stria.errors import StriaError, TaskCancelled
from napari_stria.session.export_session import ExportSession, ExportStatus
from napari_stria.session.exporting import Export, ExportSize, Job
from napari_stria.session.tasks import ImmediateTasks


class HeldTasks(ImmediateTasks):
    """Runs what it is given only when it is told to."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))


@dataclass(frozen=True, eq=False, kw_only=True)
class Note(Export):
    """Writes a word; tells and does what a test wants before."""

    before: Callable[[Job], None] = lambda _job: None
    refused: str = ""

    def check(self) -> None:
        if self.refused:
            raise StriaError(self.refused)

    def size(self) -> ExportSize:
        return ExportSize((1,))

    def write(self, job: Job) -> Iterator[Path]:
        progress = job.doing("Writing")
        progress(1, 2)
        self.before(job)
        job.check()
        self.destination.write_text("word")
        yield self.destination


@pytest.fixture
def tasks() -> HeldTasks:
    return HeldTasks()


@pytest.fixture
def session(tasks: HeldTasks) -> ExportSession:
    return ExportSession(tasks)


@pytest.fixture
def heard(session: ExportSession) -> list[ExportStatus]:
    heard: list[ExportStatus] = []
    session.changed.connect(lambda: heard.append(session.status))
    return heard


def _states(heard: list[ExportStatus]) -> list[str]:
    return list(dict.fromkeys(status.state for status in heard))


def test_an_export_from_start_to_end(
    session: ExportSession, tasks: HeldTasks, heard: list[ExportStatus], tmp_path: Path
) -> None:
    session.start(lambda: Note(destination=tmp_path / "a"))
    assert session.status.state == "running"
    tasks.release()
    assert session.status == ExportStatus("done", paths=(tmp_path / "a",))
    assert _states(heard) == ["running", "done"]
    assert ("Writing", 1, 2) in [(s.what, s.done, s.total) for s in heard]
    session.forget()
    assert session.status == ExportStatus()


def test_only_one_runs_at_a_time(session: ExportSession, tasks: HeldTasks, tmp_path: Path) -> None:
    session.start(lambda: Note(destination=tmp_path / "a"))
    session.start(lambda: Note(destination=tmp_path / "b"))
    assert len(tasks.held) == 1
    session.forget()
    session.fail(StriaError("no."))
    assert not session.wait("Waiting", lambda: None)
    assert session.status.state == "running"


def test_cancelling(session: ExportSession, tasks: HeldTasks, tmp_path: Path) -> None:
    session.start(lambda: Note(destination=tmp_path / "a", before=lambda _job: session.cancel()))
    tasks.release()
    assert session.status == ExportStatus("cancelled")
    assert not (tmp_path / "a").exists()
    session.cancel()  # there is nothing to cancel
    assert session.status == ExportStatus("cancelled")


def test_it_says_that_it_is_stopping(session: ExportSession, tasks: HeldTasks) -> None:
    session.start(lambda: Note(destination=Path("a")))
    session.cancel()
    assert session.status.state == "running"
    assert session.status.ending


@pytest.mark.parametrize(
    ("error", "message"),
    [(StriaError("it is full."), "it is full."), (ValueError("odd"), "ValueError: odd")],
)
def test_what_failed_is_said_in_a_sentence(
    session: ExportSession, tasks: HeldTasks, error: Exception, message: str, tmp_path: Path
) -> None:
    def fails(_job: Job) -> None:
        raise error

    session.start(lambda: Note(destination=tmp_path / "a", before=fails))
    tasks.release()
    assert session.status == ExportStatus("failed", message=message)


def test_a_request_that_cannot_be_made_fails(session: ExportSession, tasks: HeldTasks) -> None:
    def make() -> Export:
        raise StriaError("choose where.")

    session.start(make)
    tasks.release()
    assert session.status.message == "choose where."


def test_the_newest_look_counts(session: ExportSession, tasks: HeldTasks, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("there")
    seen: list[Any] = []
    session.previewed.connect(lambda: seen.append((session.preview, session.problem)))
    session.look(lambda: Note(destination=tmp_path / "a"))
    session.look(lambda: Note(destination=tmp_path / "b"))
    tasks.release(1)
    tasks.release(0)
    ((preview, problem),) = seen
    assert (preview.existing, problem) == ((tmp_path / "b",), "")
    session.look(lambda: Note(destination=tmp_path / "b", refused="not this one."))
    tasks.release()
    assert (session.preview, session.problem) == (None, "not this one.")


def test_what_is_made_ready_first(session: ExportSession, tasks: HeldTasks, tmp_path: Path) -> None:
    stopped: list[int] = []
    assert session.wait("Waiting", lambda: stopped.append(1))
    assert session.status == ExportStatus("running", "Waiting")
    session.start(lambda: Note(destination=tmp_path / "a"))
    tasks.release()
    assert session.status.state == "done"
    assert session.wait("Waiting", lambda: stopped.append(1))
    session.cancel()
    assert (session.status, stopped) == (ExportStatus("cancelled"), [1])
    assert session.wait("Waiting", lambda: stopped.append(2))
    session.fail(StriaError("no picture."))
    assert session.status == ExportStatus("failed", message="no picture.")


def test_a_closed_session_ends_the_work_and_tells_nobody(
    session: ExportSession, tasks: HeldTasks, heard: list[ExportStatus], tmp_path: Path
) -> None:
    session.start(lambda: Note(destination=tmp_path / "a"))
    session.close()
    heard.clear()
    tasks.release()
    assert (heard, session.status) == ([], ExportStatus())
    assert not (tmp_path / "a").exists()


def test_news_from_a_thread_are_few(tmp_path: Path) -> None:
    posted: list[Callable[[], None]] = []

    class Posting(HeldTasks):
        def post(self, call: Callable[[], None]) -> None:
            posted.append(call)

    tasks = Posting()
    session = ExportSession(tasks)

    def many(job: Job) -> None:
        progress = job.doing("Counting")
        for done in range(1000):
            progress(done, 1000)
        thread = threading.Thread(target=lambda: progress(1000, 1000))
        thread.start()
        thread.join()
        raise TaskCancelled("enough.")

    session.start(lambda: Note(destination=tmp_path / "a", before=many))
    work, *_ = tasks.held[0]
    with pytest.raises(TaskCancelled):
        work()
    assert len(posted) == 1
    posted[0]()
    assert (session.status.what, session.status.done) == ("Counting", 1000)


@pytest.mark.parametrize("end", ["session.close()", "sys.exit(0)"])
def test_the_end_of_a_session_or_program_leaves_nothing_half(end: str, tmp_path: Path) -> None:
    program = f"""
import sys, threading
from pathlib import Path
import numpy as np
import napari_stria as stria
from napari_stria.core.pyramid import ArrayReader
from napari_stria.core.structures import StructureRecord
from napari_stria.session.export_kinds import AnnotationExport
from napari_stria.session.export_session import ExportSession
reading, go_on = threading.Event(), threading.Event()
read = ArrayReader.read_block
def held(self, index):
    reading.set()
    go_on.wait()
    return read(self, index)
ArrayReader.read_block = held
class Threads:
    def run(self, work, done, failed):
        threading.Thread(target=work, daemon=True).start()
    def post(self, call):
        pass
threading.excepthook = lambda _args: None
labels = np.ones((40, 40, 40), dtype=np.uint32)
regions = stria.Ontology([StructureRecord(1, None, "r", "root")])
atlas = stria.atlas_from_array(labels, regions, resolution_um=25.0)
folder = Path(sys.argv[1])
session = ExportSession(Threads())
session.start(lambda: AnnotationExport(atlas=atlas, destination=folder / "a.nrrd"))
assert reading.wait(60)
assert any(folder.iterdir())  # begun, under a hidden name
cancel = session._run.cancel
threading.Thread(target=lambda: (cancel.wait(), go_on.set()), daemon=True).start()
{end}
assert not any(folder.iterdir())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, list(tmp_path.iterdir())) == (0, []), done.stderr
