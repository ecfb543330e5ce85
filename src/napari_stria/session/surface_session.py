"""Which regions' surfaces are wanted, and how they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.surface_cache import Surface, SurfaceCache, read_surface
from napari_stria.session.surface_request import SurfaceRequest
from napari_stria.session.tasks import Tasks

_AT_ONCE = 4
_KEPT_BYTES = 256 << 20


class SurfaceSession:
    """The surfaces of an atlas session; changed through its methods alone, in one thread.

    Parameters
    ----------
    session : AtlasSession
        Whose atlas they are of; another atlas drops them.
    tasks : Tasks
        Fetches them elsewhere, at most four at once.
    cache : SurfaceCache, optional
        Keeps those that were shown before.
    later : callable, optional
        Calls what it gets in a later turn of the event loop: one surface is shown a turn, as each
        costs whoever shows it a while. Without it all that are ready are shown at once.

    Attributes
    ----------
    shown : dict of int to Surface
        By pre-order position, in the order in which they came.
    missing : set of int
        Regions of which the atlas is known to have no surface.
    failed : dict of int to Exception
        Regions whose surface could not be read; `retry` asks again.
    changed : Signal
        What is wanted, missing or under way is other than it was.
    arrived : Signal(Surface)
    dropped : Signal(tuple of int)
        Surfaces that were shown are not wanted any more: all that go together.
    solid : bool
        Whether they are seen as such now: a plane shows their outlines instead.
    solid_changed : Signal(bool)
    solid_requested : Signal
        The user wants to see them in 3D.
    message : Signal(str, bool)
        A sentence for the user, and whether asking again may help.
    """

    changed = Signal()
    arrived = Signal(Surface)
    dropped = Signal(tuple)
    solid_changed = Signal(bool)
    solid_requested = Signal()
    message = Signal(str, bool)

    def __init__(
        self,
        session: AtlasSession,
        tasks: Tasks,
        cache: SurfaceCache | None = None,
        later: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._session = session
        self._tasks = tasks
        self._cache = SurfaceCache(_KEPT_BYTES) if cache is None else cache
        self._later = later
        self._generation = 0
        self._feeding = False
        self._turn_due = False
        self.solid = False
        self._atlas: Atlas | None = None
        self._forget()
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        if session.atlas is not None:
            self._on_opened(session.atlas)

    def _forget(self) -> None:
        self._generation += 1
        self._cache.clear()
        self._atlas = None
        self._queue: deque[int] = deque()
        self._running: set[int] = set()
        self._requests: dict[int, SurfaceRequest] = {}
        self._ready: deque[Surface] = deque()
        self.shown: dict[int, Surface] = {}
        self.missing: set[int] = set()
        self.failed: dict[int, Exception] = {}

    # -- the atlas ---------------------------------------------------------------

    def _on_opened(self, atlas: Atlas) -> None:
        self._forget()
        self._atlas = atlas
        if atlas.meshes is None:
            self.missing = set(range(len(atlas.ontology)))
        self.changed.emit()

    def _on_closed(self) -> None:
        gone = tuple(self.shown)
        self._forget()
        if gone:
            self.dropped.emit(gone)
        self.changed.emit()

    def forget(self) -> None:
        """Let go of everything and tell nobody."""
        self._forget()

    def close(self) -> None:
        """Stop following the atlas session."""
        self._forget()
        self._session.opened.disconnect(self._on_opened, missing_ok=True)
        self._session.closed.disconnect(self._on_closed, missing_ok=True)

    # -- what is asked for ---------------------------------------------------------------

    @property
    def wanted(self) -> frozenset[int]:
        """Positions of the regions whose surface is shown or on its way."""
        return frozenset(self.shown) | frozenset(self._requests)

    @property
    def pending(self) -> int:
        """How many are on their way."""
        return len(self._requests)

    @property
    def more_ready(self) -> bool:
        """Whether more are read and are shown next, one a turn."""
        return bool(self._ready)

    def show(self, positions: Iterable[int]) -> None:
        """Ask for surfaces of regions by pre-order position, not of their descendants."""
        if self._atlas is None:
            return
        request = SurfaceRequest()
        for position in dict.fromkeys(int(p) for p in positions):
            if position in self.shown or position in self._requests:
                continue
            self.failed.pop(position, None)
            kept = self._cache.get(position)
            if position in self.missing:
                request.missing.append(position)
            elif kept is not None:
                self._requests[position] = request
                request.awaited.add(position)
                self._ready.append(kept)
            else:
                self._await(position, request)
        self.changed.emit()
        if not request.awaited:
            self._tell(request)
        self._show_ready()
        self._feed()

    def hide(self, positions: Iterable[int]) -> None:
        """Want surfaces no more; what is on its way is dropped."""
        unwanted, gone = set(positions), []
        self._ready = deque(s for s in self._ready if s.position not in unwanted)
        for position in unwanted:
            request = self._requests.pop(position, None)
            if request is not None:
                self._settle(position, request)
            if position in self._queue:
                self._queue.remove(position)
            if self.shown.pop(position, None) is not None:
                gone.append(position)
        if gone:
            self.dropped.emit(tuple(gone))
        self.changed.emit()

    def hide_all(self) -> None:
        """Want no surface any more."""
        self.hide(self.wanted)

    def cancel(self) -> None:
        """Drop what is on its way; what is shown stays."""
        self.hide(frozenset(self._requests))

    def set_solid(self, solid: bool) -> None:
        """Take note of whether what shows them is in 3D."""
        if solid != self.solid:
            self.solid = solid
            self.solid_changed.emit(solid)

    def retry(self) -> None:
        """Ask again for those that failed."""
        self.show(tuple(self.failed))

    # -- how they come ---------------------------------------------------------------

    def _await(self, position: int, request: SurfaceRequest) -> None:
        request.awaited.add(position)
        self._requests[position] = request
        # One that was dropped while it was read is taken when it comes.
        if position not in self._running:
            self._queue.append(position)

    def _feed(self) -> None:
        # Tasks may answer at once; then the loop below goes on, not one within the other.
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._queue and len(self._running) < _AT_ONCE:
                self._start(self._queue.popleft())
        finally:
            self._feeding = False

    def _start(self, position: int) -> None:
        assert self._atlas is not None
        self._running.add(position)
        mine = self._generation
        self._tasks.run(
            partial(read_surface, self._atlas, position),
            partial(self._on_read, mine, position),
            partial(self._on_failed, mine, position),
        )

    def _on_read(self, generation: int, position: int, surface: Surface | None) -> None:
        if generation != self._generation:
            return
        self._running.discard(position)
        if surface is None:
            self.missing.add(position)
            request = self._requests.pop(position, None)
            if request is not None:
                request.missing.append(position)
                self._settle(position, request)
            self.changed.emit()
        else:
            self._cache.put(surface)
            if position in self._requests:
                self._ready.append(surface)
                self._show_ready()
        self._feed()

    def _on_failed(self, generation: int, position: int, error: Exception) -> None:
        if generation != self._generation:
            return
        self._running.discard(position)
        request = self._requests.pop(position, None)
        if request is not None:
            self.failed[position] = error
            request.failed.append(position)
            self._settle(position, request)
        self.changed.emit()
        self._feed()

    def _show_ready(self) -> None:
        """Show what is ready: one a turn of the event loop, or everything at once."""
        if self._later is None:
            while self._ready:
                self._show_next()
        elif self._ready and not self._turn_due:
            self._turn_due = True
            self._later(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_due = False
        try:
            if self._ready:
                self._show_next()
        finally:
            self._show_ready()

    def _show_next(self) -> None:
        surface = self._ready.popleft()
        request = self._requests.pop(surface.position)
        self.shown[surface.position] = surface
        self.arrived.emit(surface)
        self._settle(surface.position, request)
        self.changed.emit()

    def _settle(self, position: int, request: SurfaceRequest) -> None:
        request.awaited.discard(position)
        if not request.awaited:
            self._tell(request)

    def _tell(self, request: SurfaceRequest) -> None:
        """Say once what a request did not bring."""
        if self._atlas is None:
            return
        if said := request.sentences(self._atlas, self.failed):
            self.message.emit(said, bool(request.failed))
