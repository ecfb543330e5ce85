"""Keeping an atlas on this machine, as a session does it; with a real server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.demo.counters import is_chunk_path
from napari_stria.demo.server import DemoServer
from napari_stria.io.offline import KeptAtlas, LevelSize, kept_atlases
from napari_stria.session import offline_session
from napari_stria.session.kept_session import KeptSession
from napari_stria.session.offline_choice import default_levels, kept_record, need_of
from napari_stria.session.offline_session import OfflineSession
from napari_stria.session.offline_source import is_offline
from napari_stria.session.rate import Rate
from napari_stria.session.tasks import ImmediateTasks

NAME = "practice_mouse_100um"
NAMED = {("annotation", 1), ("annotation", 2)}  # 100 and 200 um; level 0 has 50 um


class HeldTasks(ImmediateTasks):
    """Runs what it is given only when it is told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append(lambda: ImmediateTasks.run(self, work, done, failed))


@pytest.fixture
def practice_atlas(practice: DemoServer) -> stria.Atlas:
    """The practice brain, named by its middle level."""
    return stria.open_atlas(NAME, root=practice.url)


@pytest.fixture
def session(practice_atlas: stria.Atlas) -> OfflineSession:
    session = OfflineSession(ImmediateTasks())
    session.take(practice_atlas)
    return session


@pytest.fixture
def measured(session: OfflineSession, practice: DemoServer) -> OfflineSession:
    session.measure()
    practice.reset()
    return session


def state(session: OfflineSession) -> str:
    return session.status.state


def stop_after_some(session: OfflineSession) -> None:
    """Cancel as soon as something has arrived, but not all."""

    def look() -> None:
        status = session.status
        if status.state == "fetching" and 0 < status.done < status.total and not status.ending:
            session.cancel()

    session.changed.connect(look)


# -- pure ------------------------------------------------------------------------------------------


def _size(volume: str, level: int, um: float, n_bytes: int = 100, kept: int = 0) -> LevelSize:
    return LevelSize(volume, level, (um, um, um), 8, n_bytes, True, kept)


def test_the_named_level_and_coarser_ones_are_offered(practice_atlas: stria.Atlas) -> None:
    template = next(iter(practice_atlas.templates))
    sizes = [
        *(_size("annotation", i, um) for i, um in enumerate((50.0, 99.999, 200.0))),
        *(_size("hemispheres", i, um) for i, um in enumerate((50.0, 100.0))),
        _size(template, 1, 100.0),
    ]
    assert default_levels(practice_atlas, sizes) == NAMED | {("hemispheres", 1)}


def test_what_is_here_need_not_be_fetched() -> None:
    sizes = [_size("annotation", 0, 25), _size("annotation", 1, 50, 80, 30)]
    sizes.append(replace(_size("template", 0, 25, 7), exact=False))
    need = need_of(sizes, {("annotation", 0), ("annotation", 1)})
    assert (need.to_fetch, need.exact) == (150, True)
    assert need_of(sizes, {("template", 0)}) == replace(need, to_fetch=7, exact=False)
    assert need_of([_size("annotation", 0, 25, 10, 30)], {("annotation", 0)}).to_fetch == 0


def test_a_kept_atlas_is_known_by_what_opens_it(practice_atlas: stria.Atlas) -> None:
    opened = dict(practice_atlas.opened_with)
    kept = KeptAtlas(NAME, "1.0", "root", (("annotation", 1),), 5, True, opened)
    as_read = {k: list(v) if isinstance(v, tuple) else v for k, v in opened.items()}
    other = replace(kept, opened_with=opened | {"root": "https://elsewhere.example"})
    assert kept_record(practice_atlas, [other, replace(kept, opened_with=as_read)]) is not None
    assert kept_record(practice_atlas, [other]) is None


def test_a_rate_counts_from_where_it_started_and_forgets() -> None:
    seconds = [0.0]
    rate = Rate(lambda: seconds[0])
    assert rate.per_s is None
    for passed, amount in ((0.0, 5000), (0.1, 6000)):
        seconds[0] = passed
        rate.note(amount)
    assert rate.per_s is None  # too early to tell
    seconds[0] = 2.0
    rate.note(7000)
    assert rate.per_s == pytest.approx(1000)
    for step in range(3, 40):
        seconds[0] = float(step)
        rate.note(7000 + 10 * (step - 2))
    assert rate.per_s == pytest.approx(10)


# -- measuring -------------------------------------------------------------------------------------


def test_sizes_are_those_of_the_files(session: OfflineSession, practice_folder: Path) -> None:
    states: list[str] = []
    session.changed.connect(lambda: states.append(session.status.state))
    session.measure()
    assert states[0] == "measuring"
    assert states[-1] == "measured"
    found = {(s.volume, s.level): s for s in session.sizes}
    store = next(practice_folder.glob("annotation-sets/*/*/annotations_compressed.ome.zarr"))
    levels = sorted(p.parent for p in store.glob("*/zarr.json"))
    for number, folder in enumerate(levels):
        stored = sum(p.stat().st_size for p in (folder / "c").rglob("*") if p.is_file())
        assert found["annotation", number].bytes == stored
        assert found["annotation", number].exact
    assert session.chosen == NAMED
    assert session.need.to_fetch == sum(found[level].bytes for level in NAMED)
    assert session.free_bytes is not None
    assert session.fits


def test_a_folder_needs_no_keeping(practice_folder: Path) -> None:
    session = OfflineSession(ImmediateTasks())
    session.take(stria.open_atlas(NAME, root=practice_folder))
    session.measure()
    assert state(session) == "failed"
    assert "on this machine already" in session.status.message
    assert not session.status.can_retry


def test_a_server_that_is_gone_can_be_tried_again(
    session: OfflineSession, practice: DemoServer
) -> None:
    practice.faults.status_for = lambda path, _: 403 if is_chunk_path(path) else None
    practice.stop()
    session.measure()
    assert state(session) == "failed"
    assert session.status.can_retry
    assert "network" in session.status.message


def test_what_was_asked_for_another_atlas_is_dropped(practice_atlas: stria.Atlas) -> None:
    tasks = HeldTasks()
    session = OfflineSession(tasks)
    session.take(practice_atlas)
    session.measure()
    assert session.take(replace(practice_atlas, name="another"))
    tasks.held.pop()()
    assert state(session) == "none"
    assert session.sizes == ()


def test_measuring_can_be_stopped(practice_atlas: stria.Atlas) -> None:
    tasks = HeldTasks()
    session = OfflineSession(tasks)
    session.take(practice_atlas)
    session.measure()
    session.cancel()
    assert session.status.ending
    tasks.held.pop()()
    assert state(session) == "none"
    session.measure()
    tasks.held.pop()()
    assert state(session) == "measured"


# -- fetching --------------------------------------------------------------------------------------


def test_what_is_chosen_is_kept(measured: OfflineSession, practice: DemoServer) -> None:
    news: list[tuple[str, int, int]] = []
    measured.changed.connect(
        lambda: news.append((measured.status.state, measured.status.done, measured.status.total))
    )
    measured.start()
    assert state(measured) == "done"
    counts = [done for state, done, _ in news if state == "fetching"]
    assert counts == sorted(counts)
    assert news[-1][1] == news[-1][2] > 0
    (kept,) = kept_atlases()
    assert (kept.name, kept.complete, set(kept.levels)) == (NAME, True, NAMED)
    assert measured.need.to_fetch == 0
    before = practice.counters.chunk_requests
    measured.choose(NAMED)
    measured.start()
    assert state(measured) == "done"
    assert practice.counters.chunk_requests == before


def test_stopping_and_going_on(measured: OfflineSession, practice: DemoServer) -> None:
    stop_after_some(measured)
    measured.choose({("annotation", 0)})
    whole = measured.need.to_fetch
    measured.start()
    assert state(measured) == "cancelled"
    assert 0 < measured.need.to_fetch < whole
    # The table says what has arrived.
    arrived = next(s for s in measured.sizes if (s.volume, s.level) == ("annotation", 0))
    assert 0 < arrived.kept_bytes < arrived.bytes
    assert measured.need.to_fetch == arrived.bytes - arrived.kept_bytes
    (kept,) = kept_atlases()
    assert not kept.complete
    fetched = {p for p in practice.counters.paths if is_chunk_path(p)}
    again = OfflineSession(ImmediateTasks())
    again.take(measured.atlas)
    again.measure()
    assert again.chosen == {("annotation", 0)}  # as it was begun
    assert 0 < again.need.to_fetch < whole
    practice.reset()
    again.start()
    assert state(again) == "done"
    rest = {p for p in practice.counters.paths if is_chunk_path(p)}
    assert rest
    # Those under way when it was stopped may not have been kept.
    assert len(rest) < len(fetched | rest)
    assert kept_atlases()[0].complete


def test_a_server_that_fails_half_way(measured: OfflineSession, practice: DemoServer) -> None:
    practice.faults.status_for = lambda path, _: 403 if path.endswith("/1/1") else None
    measured.choose({("annotation", 0)})
    measured.start()
    assert state(measured) == "failed"
    assert measured.status.can_retry
    assert "403" in measured.status.message
    practice.faults.status_for = None
    measured.start()
    assert state(measured) == "done"


def test_what_does_not_fit_is_not_begun(
    measured: OfflineSession, practice: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A full disk cannot be had in a test.
    free = SimpleNamespace(free=measured.need.to_fetch - 1)
    monkeypatch.setattr(offline_session, "shutil", SimpleNamespace(disk_usage=lambda _path: free))
    measured.start()
    assert state(measured) == "failed"
    assert "free some room" in measured.status.message
    assert practice.counters.chunk_requests == 0
    measured.measure()
    assert not measured.fits


def test_another_atlas_waits_while_one_is_fetched(
    practice_atlas: stria.Atlas, practice: DemoServer
) -> None:
    tasks = HeldTasks()
    session = OfflineSession(tasks)
    session.take(practice_atlas)
    session.measure()
    tasks.held.pop()()
    session.start()
    session.choose(())
    assert session.chosen == NAMED
    assert not session.take(replace(practice_atlas, name="another"))
    tasks.held.pop()()
    assert state(session) == "done"
    assert session.take(replace(practice_atlas, name="another"))
    assert state(session) == "none"


def test_closing_tells_nobody(practice_atlas: stria.Atlas) -> None:
    tasks = HeldTasks()
    session = OfflineSession(tasks)
    session.take(practice_atlas)
    session.measure()
    told: list[None] = []
    session.changed.connect(lambda: told.append(None))
    session.close()
    tasks.held.pop()()
    assert told == []


# -- what is kept ----------------------------------------------------------------------------------


def test_kept_atlases_and_the_cache_are_let_go_of(
    measured: OfflineSession, practice_atlas: stria.Atlas, practice: DemoServer
) -> None:
    measured.start()
    seen = np.asarray(practice_atlas.annotation.levels[0].data[100])
    session = KeptSession(ImmediateTasks())
    session.refresh()
    (kept,) = session.kept
    assert session.usage is not None
    assert session.usage.bytes > 0
    session.clear()
    assert (session.freed_bytes or 0) > 0
    assert session.usage.bytes == 0
    assert session.kept == (kept,)
    again = np.asarray(practice_atlas.annotation.levels[0].data[100])
    np.testing.assert_array_equal(again, seen)  # fetched anew
    practice.reset()
    np.asarray(practice_atlas.annotation.levels[1].data[50])
    assert practice.counters.chunk_requests == 0  # kept
    session.drop(kept)
    assert len(session.kept) == 0
    assert (session.freed_bytes or 0) > 0


def test_an_atlas_says_that_its_server_is_gone(
    measured: OfflineSession, practice: DemoServer, practice_atlas: stria.Atlas
) -> None:
    assert not is_offline(practice_atlas)
    measured.start()
    root = practice.url
    practice.stop()
    offline = stria.open_atlas(NAME, root=root)
    assert is_offline(offline)
    plane = np.asarray(offline.annotation.levels[1].data[50])
    assert plane.any()
