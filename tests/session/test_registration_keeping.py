"""Where a registration is kept: nobody's work is replaced, nothing is lost, no window waits."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria.io.cache import cache_folder
from napari_stria.io.registration_files import RegistrationDocument, write_registration
from napari_stria.session import registration_user_file
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.tasks import ImmediateTasks

SUFFIX = ".stria-registration.json"
Started = tuple[RegistrationSession, list[str]]


class Later(ImmediateTasks):
    """Runs at once, or keeps what it is given."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []
        self.is_holding = False

    def run(self, work: Any, done: Any, failed: Any) -> None:
        if self.is_holding:
            self.held.append((work, done, failed))
        else:
            super().run(work, done, failed)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Started]]:
    """Return a session that keeps in a cache of its own, and what it says."""
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(tmp_path / "cache"))
    sessions = []

    def started(tasks: ImmediateTasks | None = None) -> Started:
        session = RegistrationSession(tasks or ImmediateTasks())
        sessions.append(session)
        said: list[str] = []
        session.failed.connect(said.append)
        return session, said

    yield started
    for session in sessions:
        session.close()


def add(session: RegistrationSession, name: str = "a") -> None:
    session.add_array(np.zeros((6, 8)), name)


def size_in(file: Path) -> object:
    return json.loads(file.read_text())["sections"][0].get("pixel_size_um")


def test_saving_again_replaces_nobody_elses_file(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    session, said = start()
    add(session)
    file = tmp_path / f"a{SUFFIX}"
    session.save_as(file)
    file.write_text("somebody else's")
    session.save()
    assert "another program" in said[-1]
    assert session.is_conflict
    assert file.read_text() == "somebody else's"
    session.save_as(file)  # the user said so
    assert session.is_saved
    assert not session.is_conflict


def test_what_changes_while_it_is_opened_is_not_replaced(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    file = tmp_path / f"a{SUFFIX}"
    other, _ = start()
    add(other)
    other.save_as(file)
    tasks = Later()
    session, said = start(tasks)
    tasks.is_holding = True
    session.open_file(file)
    work, done, _ = tasks.held.pop()
    found = work()
    other.set_pixel_size(7, 7)
    tasks.is_holding = False
    done(found)
    session.set_pixel_size(3, 3)
    assert size_in(file) == [7, 7]
    assert "another program" in said[-1]


def test_a_file_that_failed_is_tried_again_with_the_next_change(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    session, said = start()
    add(session)
    file = tmp_path / "folder" / f"a{SUFFIX}"
    file.parent.mkdir()
    session.save_as(file)
    file.unlink()
    file.parent.rmdir()
    session.set_pixel_size(2, 2)
    session.set_pixel_size(3, 3)
    assert len(said) == 1  # once a cause
    assert not session.is_saved
    assert not session.is_conflict
    (kept,) = cache_folder("registrations").glob(f"*{SUFFIX}")
    assert size_in(kept) == [3, 3]
    file.parent.mkdir()
    session.set_pixel_size(4, 4)
    assert size_in(file) == [4, 4]
    assert session.is_saved
    assert not kept.exists()


def test_saving_elsewhere_waits_for_no_writing(
    start: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = Later()
    session, _ = start(tasks)
    add(session)
    one, two = (tmp_path / f"{name}{SUFFIX}" for name in ("one", "two"))
    session.save_as(one)
    begun, go_on = threading.Event(), threading.Event()
    write = write_registration

    def slow(path: Path, document: RegistrationDocument) -> Path:
        begun.set()
        assert go_on.wait(20)
        return write(path, document)

    tasks.is_holding = True
    session.set_pixel_size(2, 2)
    monkeypatch.setattr(registration_user_file, "write_registration", slow)
    work, done, _ = tasks.held.pop()
    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(20)
    session.save_as(two)  # would wait without end
    assert session.path == two
    assert not session.is_saved
    go_on.set()
    thread.join()
    tasks.is_holding = False
    done(None)
    assert size_in(one) == size_in(two) == [2, 2]
    assert session.is_saved


def test_a_name_that_is_no_text_is_refused(start: Callable[..., Started], tmp_path: Path) -> None:
    session, said = start()
    session.open_image(tmp_path / os.fsdecode(b"a\xff.png"))
    assert "rename it" in said[-1]
    for wrong in (1e-10, 1e13):
        add(session)
        session.set_pixel_size(wrong, 1.0)
        assert "a pixel is larger" in said[-1]


def test_what_lacks_its_bending_says_so(start: Callable[..., Started], tmp_path: Path) -> None:
    session, said = start()
    add(session, "a")
    add(session, "b")
    file = tmp_path / f"a{SUFFIX}"
    session.save_as(file)
    values = json.loads(file.read_text())
    values["sections"][0]["refinement"] = {
        "kind": "field", "displacement_xy": "gone.npy", "pixels_to_lattice": [1, 0, 0, 0, 1, 0]
    }  # fmt: skip
    file.write_text(json.dumps(values))
    other, said = start()
    other.open_file(file)
    assert len(other.sections) == 2
    assert "gone.npy" in said[-1]


def test_the_oldest_that_nobody_recovered_makes_room(start: Callable[..., Started]) -> None:
    worked, _ = start()
    add(worked, "in use")
    folder = cache_folder("registrations")
    (mine,) = folder.glob(f"*{SUFFIX}")
    os.utime(mine, ns=(0, 0))
    for number in range(1, 200):
        path = folder / f"unsaved-{number}{SUFFIX}"
        if path != mine:
            path.write_text("{}")
            os.utime(path, ns=(0, 10**9 * (2 if number != 77 else 1)))
    session, said = start()
    add(session, "newest")
    assert said == []
    assert "newest" in (folder / f"unsaved-77{SUFFIX}").read_text()
    assert "in use" in mine.read_text()


def test_what_another_window_works_on_is_not_discarded(start: Callable[..., Started]) -> None:
    session, _ = start()
    add(session)
    session.close()
    (one, _), (two, said) = start(), start()
    one.look_for_unsaved()
    two.look_for_unsaved()
    one.recover(one.recoverable[0])
    kept = two.recoverable[0]
    two.discard(kept)
    assert kept.path.exists()
    assert "another program" in said[-1]
    assert not two.recoverable
