"""Keeping one atlas on this machine: what there is, what is chosen, and how far it is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.errors import NetworkError, StriaError, TaskCancelled
from napari_stria.io.cache import cache_folder
from napari_stria.io.offline import (
    KeptAtlas,
    LevelSize,
    keep_offline,
    kept_atlases,
    offline_sizes,
)
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.newest import Newest
from napari_stria.session.offline_choice import (
    LevelId,
    Need,
    default_levels,
    kept_record,
    level_id,
    need_of,
)
from napari_stria.session.rate import Rate
from napari_stria.session.tasks import Tasks

OfflineState = Literal["none", "measuring", "measured", "fetching", "cancelled", "failed", "done"]


@dataclass(frozen=True)
class OfflineStatus:
    """How far keeping an atlas is.

    Attributes
    ----------
    state : {"none", "measuring", "measured", "fetching", "cancelled", "failed", "done"}
    done, total : int
        Sizes asked for while it measures, else bytes; 0 of 0 where that is not known yet.
    bytes_per_s : float or None
    message : str
        Why it failed.
    can_retry : bool
        Whether trying again may help.
    ending : bool
        It was told to stop, and what is under way comes to its end.
    """

    state: OfflineState = "none"
    done: int = 0
    total: int = 0
    bytes_per_s: float | None = None
    message: str = ""
    can_retry: bool = False
    ending: bool = False


class OfflineSession:
    """Measures and fetches the levels of one atlas at a time; changed through its methods alone.

    Parameters
    ----------
    tasks : Tasks
        Runs the work elsewhere.

    Attributes
    ----------
    atlas : Atlas or None
    sizes : tuple of LevelSize
        Empty until they were measured.
    chosen : frozenset of (str, int)
        Volume and number of each level that shall be kept.
    free_bytes : int or None
        Room on the disk when it was measured.
    status : OfflineStatus
    changed : Signal
        Emitted in the session's thread after any of these changed.
    kept : Signal
        Something was added to what is kept, perhaps not all that was chosen.
    """

    changed = Signal()
    kept = Signal()

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._cancel = Event()  # of the newest work; what older work brings is dropped
        self._reset(None)

    def _reset(self, atlas: Atlas | None) -> None:
        self.atlas = atlas
        self.sizes: tuple[LevelSize, ...] = ()
        self.chosen: frozenset[LevelId] = frozenset()
        self.free_bytes: int | None = None
        self.status = OfflineStatus()
        self._left: tuple[frozenset[LevelId], int] | None = None

    # -- what it is about ---------------------------------------------------------------------

    def take(self, atlas: Atlas | None) -> bool:
        """Be about another atlas, unless one is being fetched now; return whether it is."""
        if atlas is self.atlas:
            return True
        if self.status.state == "fetching":
            return False
        self._cancel.set()
        self._cancel = Event()
        self._reset(atlas)
        self.changed.emit()
        return True

    def choose(self, levels: Iterable[LevelId]) -> None:
        """Choose the levels to keep; not while they are fetched."""
        if self.status.state == "fetching":
            return
        known = {level_id(size) for size in self.sizes}
        self.chosen = frozenset(levels) & known
        if self.status.state == "done":
            self._set(OfflineStatus("measured"))
        else:
            self.changed.emit()

    @property
    def need(self) -> Need:
        """What the chosen levels take; after a stop, what is left of them."""
        need = need_of(self.sizes, self.chosen)
        if self._left is not None and self._left[0] == self.chosen:
            return Need(min(need.to_fetch, self._left[1]), need.exact)
        return need

    @property
    def fits(self) -> bool:
        """Whether there is room for what the chosen levels take."""
        return self.free_bytes is None or self.need.to_fetch <= self.free_bytes

    # -- measuring ------------------------------------------------------------------------------

    def measure(self) -> None:
        """Ask how large the levels are, unless that or the fetching is under way."""
        atlas = self.atlas
        if atlas is None or self.status.state in ("measuring", "fetching"):
            return
        cancel = self._begin("measuring")

        def work() -> tuple[list[LevelSize], int, KeptAtlas | None]:
            sizes = offline_sizes(atlas, progress=self._reporter(cancel), cancel=cancel)
            return sizes, _free_bytes(), kept_record(atlas, kept_atlases())

        def done(outcome: tuple[list[LevelSize], int, KeptAtlas | None]) -> None:
            if cancel is not self._cancel:
                return
            sizes, self.free_bytes, record = outcome
            self.sizes = tuple(sizes)
            known = {level_id(size) for size in sizes}
            before = frozenset() if record is None else frozenset(record.levels) & known
            self.chosen = before or default_levels(atlas, sizes)
            self._set(OfflineStatus("measured"))

        self._tasks.run(work, done, lambda error: self._stopped(cancel, error))

    # -- fetching ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Fetch what is chosen and not there yet; also goes on with what was stopped."""
        atlas, levels = self.atlas, sorted(self.chosen)
        if atlas is None or not levels or self.status.state in ("measuring", "fetching"):
            return
        need, chosen = self.need, self.chosen
        cancel = self._begin("fetching")

        def work() -> tuple[KeptAtlas, int]:
            _check_room(need)
            kept = keep_offline(atlas, levels, progress=self._reporter(cancel), cancel=cancel)
            return kept, _free_bytes()

        def done(outcome: tuple[KeptAtlas, int]) -> None:
            if cancel is not self._cancel:
                return
            _, self.free_bytes = outcome
            self.sizes = tuple(
                replace(size, kept_bytes=size.bytes) if level_id(size) in chosen else size
                for size in self.sizes
            )
            total = self.status.total
            self._set(OfflineStatus("done", total, total))
            self.kept.emit()
            self._look_again()

        self._tasks.run(work, done, lambda error: self._stopped(cancel, error))

    def cancel(self) -> None:
        """End measuring or fetching; what has arrived stays."""
        if self.status.state in ("measuring", "fetching"):
            self._cancel.set()
            self._set(replace(self.status, ending=True))

    def close(self) -> None:
        """End what is under way and tell nobody."""
        self._cancel.set()
        self._cancel = Event()
        self._reset(None)

    # -- news (from the work's thread, told in the session's) --------------------------------------

    def _begin(self, state: OfflineState) -> Event:
        self._cancel = Event()
        if state == "measuring":
            self.sizes, self.chosen = (), frozenset()
        self._left = None
        self._rate = Rate()
        self._set(OfflineStatus(state))
        return self._cancel

    def _reporter(self, cancel: Event) -> Callable[[int, int], None]:
        """Return a progress callback of one piece of work, safe in any thread."""

        def tell(done: int, total: int) -> None:
            if cancel is self._cancel and self.status.state in ("measuring", "fetching"):
                self._rate.note(done)
                self._set(
                    replace(self.status, done=done, total=total, bytes_per_s=self._rate.per_s)
                )

        return Newest(self._tasks, tell)

    def _stopped(self, cancel: Event, error: Exception) -> None:
        if cancel is not self._cancel:
            return
        was = self.status
        if was.state == "fetching" and was.total:
            self._left = self.chosen, max(0, was.total - was.done)
        if not isinstance(error, TaskCancelled):
            can_retry = isinstance(error, NetworkError) or not isinstance(error, StriaError)
            news = OfflineStatus("failed", message=sentence_of(error), can_retry=can_retry)
        else:
            news = OfflineStatus("cancelled" if was.state == "fetching" else "none")
        self._set(replace(news, done=was.done, total=was.total))
        if was.state == "fetching":
            self.kept.emit()
            self._look_again()

    def _look_again(self) -> None:
        """Find out what has arrived, without a word of it; the sizes themselves are known."""
        atlas = self.atlas
        if atlas is None:
            return
        cancel = self._cancel = Event()

        def work() -> tuple[list[LevelSize], int]:
            return offline_sizes(atlas, cancel=cancel), _free_bytes()

        def done(outcome: tuple[list[LevelSize], int]) -> None:
            if cancel is self._cancel:
                sizes, self.free_bytes = outcome
                self.sizes, self._left = tuple(sizes), None
                self.changed.emit()

        # A server that is gone is told of already; then what was known before stays.
        self._tasks.run(work, done, lambda _error: None)

    def _set(self, status: OfflineStatus) -> None:
        self.status = status
        self.changed.emit()


def _free_bytes() -> int:
    """Return the room on the disk where kept atlases lie."""
    return shutil.disk_usage(cache_folder()).free


def _check_room(need: Need) -> None:
    free = _free_bytes()
    if need.to_fetch > free:
        raise StriaError(
            f"{need.to_fetch / 1e6:.1f} MB are to be fetched and {free / 1e6:.1f} MB are free on "
            "the disk; free some room or choose fewer levels."
        )
