"""What is kept on this machine, and letting go of it."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

from napari_stria.io.chunk_files import CacheUsage, clear, usage
from napari_stria.io.offline import KeptAtlas, drop_kept, kept_atlases
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.tasks import Tasks


class KeptSession:
    """The atlases that are kept offline, and the cache of what was seen.

    Parameters
    ----------
    tasks : Tasks
        Reads and deletes files elsewhere.

    Attributes
    ----------
    kept : tuple of KeptAtlas
    usage : CacheUsage or None
        Of the cache of what was seen; None until it was looked up.
    busy : bool
        Whether something is being looked up or deleted.
    freed_bytes : int or None
        What the last `drop` or `clear` freed.
    message : str
        What went wrong.
    changed : Signal
        Emitted in the session's thread after any of these changed.
    freed : Signal
        `drop` or `clear` is done: what was here may not be here any more.
    """

    changed = Signal()
    freed = Signal()

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._newest = 0
        self.kept: tuple[KeptAtlas, ...] = ()
        self.usage: CacheUsage | None = None
        self.busy = False
        self.freed_bytes: int | None = None
        self.message = ""

    def refresh(self) -> None:
        """Look again at what is kept."""
        before = self.freed_bytes
        self._run(lambda: before)

    def drop(self, kept: KeptAtlas) -> None:
        """Delete what is kept of an atlas; what another kept atlas needs stays."""
        self._run(lambda: drop_kept(kept), self.freed.emit)

    def clear(self) -> None:
        """Delete what was seen; kept atlases stay."""
        self._run(clear, self.freed.emit)

    def close(self) -> None:
        """Tell nothing more."""
        self._newest += 1

    def _run(self, work: Callable[[], int | None], then: Callable[[], None] = lambda: None) -> None:
        self._newest += 1
        mine = self._newest

        def all_of_it() -> tuple[int | None, tuple[KeptAtlas, ...], CacheUsage]:
            freed = work()
            return freed, tuple(kept_atlases()), usage()

        def done(found: tuple[int | None, tuple[KeptAtlas, ...], CacheUsage]) -> None:
            if mine == self._newest:
                self.freed_bytes, self.kept, self.usage = found
                self.busy, self.message = False, ""
                self.changed.emit()
            then()

        def failed(error: Exception) -> None:
            if mine == self._newest:
                self.busy, self.message = False, sentence_of(error)
                self.changed.emit()

        self.busy = True
        self.changed.emit()
        self._tasks.run(all_of_it, done, failed)
