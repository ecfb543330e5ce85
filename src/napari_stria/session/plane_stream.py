"""A plane through an atlas, painted while it is turned and moved: live, and never waited for."""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.errors import CoordinateError, NetworkError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession, sentence_of
from napari_stria.session.atlas_streams import AtlasStreams
from napari_stria.session.newest import Newest
from napari_stria.session.plane_painting import (
    Limits,
    PlanePainting,
    PlaneSource,
    contrast_limits,
)
from napari_stria.session.plane_picture import PlanePicture, PlaneRequest
from napari_stria.session.tasks import Tasks

__all__ = ["PlanePicture", "PlaneRequest", "PlaneStream"]

_CACHE_BYTES = 1 << 30
_UNREADABLE = "Part of this plane could not be read; ask for it again."


class PlaneStream:
    """The plane that was asked for last, as good as it is known.

    All is done in other threads: finding the blocks that the plane crosses, fetching and painting.
    One picture is painted at a time; of what is asked for meanwhile the newest alone comes next. So
    a plane that is moved quickly is followed by as many pictures as the machine can paint.

    Parameters
    ----------
    tasks : Tasks
        Runs the painting elsewhere and brings pictures to the session's thread.
    cache : ChunkCache, optional
        Keeps decoded chunks; may be shared. Default is one of its own of 1 GB.
    pool : ChunkPool, optional
        Fetches them; may be shared. Default is one of its own.

    Attributes
    ----------
    picture : PlanePicture or None
        The latest one. While a plane is moved it may answer an earlier request (`.request`).
    contrast_limits : tuple of float or None
        For the template; known with its first picture, and the same from then on.
    changed : Signal
        There is another picture, or none; or `is_busy` is other than it was.
    failed : Signal(str)
        A sentence for the user, once for each kind of error until a picture is whole or `retry`;
        what is there of the picture stays.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(
        self, tasks: Tasks, cache: ChunkCache | None = None, pool: ChunkPool | None = None
    ) -> None:
        self._tasks = tasks
        self._cache = ChunkCache(_CACHE_BYTES) if cache is None else cache
        self._owns_pool = pool is None
        self._pool = ChunkPool() if pool is None else pool
        self._shared: AtlasSession | None = None
        self._news = Newest(tasks, self._paint_soon)
        self._told: set[type[Exception]] = set()
        self._error: Exception | None = None
        # Guards what follows it, which working threads read too.
        self._lock = Lock()
        self._source: PlaneSource | None = None
        self._wanted: PlaneRequest | None = None
        self._painting: PlanePainting | None = None
        self._is_due = self._is_painting = self._was_busy = False
        self.picture: PlanePicture | None = None
        self.contrast_limits: Limits | None = None

    # -- the atlas ---------------------------------------------------------------

    def share(self, session: AtlasSession | None) -> None:
        """Use the decoded chunks of an atlas session where it shows the same atlas.

        Nothing that is on screen there is then fetched again.
        """
        if self._shared is not None:
            self._shared.opened.disconnect(self._on_session_opened, missing_ok=True)
            self._shared.closed.disconnect(self._on_session_closed, missing_ok=True)
        self._shared = session
        if session is not None:
            session.opened.connect(self._on_session_opened)
            session.closed.connect(self._on_session_closed)
        self._take_again()

    def _on_session_opened(self, atlas: Atlas) -> None:
        if self._source is not None and self._source.atlas is atlas:
            self._take_again()

    def _on_session_closed(self) -> None:
        if self._source is not None and self._source.is_borrowed:
            self._take_again()

    def _take_again(self) -> None:
        if self._source is not None:
            self.set_atlas(self._source.atlas, template=self._source.template_name)

    def set_atlas(self, atlas: Atlas | None, *, template: str | None = None) -> None:
        """Show planes of an atlas, in place of the one before; None for no more.

        Parameters
        ----------
        atlas : Atlas or None
            Whose planes; the plane that was asked for last is shown of it.
        template : str, optional
            Which reference image; default is the first one.

        Raises
        ------
        CoordinateError
            If the atlas has no such template.
        """
        if atlas is not None and template is not None and template not in atlas.templates:
            raise CoordinateError(f"{atlas.name} has no template {template!r}.")
        old = self._source
        self._release()
        if atlas is not None:
            source = self._source_of(atlas, template)
            with self._lock:
                self._source = source
        self._forget_errors()
        if old is None or old.atlas is not atlas or old.template_name != template:
            self.contrast_limits = None
            if self.picture is not None:
                self.picture = None
                self.changed.emit()
        self._paint_soon()

    def _source_of(self, atlas: Atlas, template: str | None) -> PlaneSource:
        shared = self._shared
        if shared is not None and shared.atlas is atlas and shared.annotation is not None:
            source = PlaneSource(atlas, shared.annotation, shared.templates, template)
        else:
            own = AtlasStreams(atlas, self._tasks, self._cache, self._pool)
            source = PlaneSource(atlas, own.annotation, own.templates, template, own)
        for pyramid in source.pyramids:
            pyramid.changed.connect(self._on_chunk)
            pyramid.failed.connect(self._on_failed)
        return source

    def _release(self) -> None:
        with self._lock:
            source, self._source, self._painting = self._source, None, None
        if source is None:
            return
        for pyramid in source.pyramids:
            pyramid.changed.disconnect(self._on_chunk, missing_ok=True)
            pyramid.failed.disconnect(self._on_failed, missing_ok=True)
        source.close()

    # -- asking ---------------------------------------------------------------

    def show(self, request: PlaneRequest) -> None:
        """Show a plane, in place of what was asked for before; returns at once."""
        if request != self._wanted:
            self._wanted = request
            self._paint_soon()

    def rest(self) -> None:
        """Fetch nothing more until a plane is asked for again; the picture stays."""
        with self._lock:
            self._wanted = self._painting = None
            if self._source is not None:
                self._source.forget_blocks()

    def retry(self) -> None:
        """Ask again for what failed."""
        self._forget_errors()
        for pyramid in [] if self._source is None else self._source.pyramids:
            pyramid.retry()
        self._paint_soon()

    @property
    def is_busy(self) -> bool:
        """Whether a better picture is on its way."""
        with self._lock:
            if self._source is None or self._wanted is None:
                return False
            picture, painting = self.picture, self._painting
            if picture is not None and picture.is_final and picture.request is self._wanted:
                return False
            return self._is_painting or self._is_due or (painting is not None and painting.awaits)

    def close(self) -> None:
        """End all of it and tell nothing more."""
        self._wanted = self.picture = None
        self._was_busy = False
        self._release()
        self.share(None)
        if self._owns_pool:
            self._pool.close()

    # -- painting ---------------------------------------------------------------

    def _paint_soon(self) -> None:
        with self._lock:
            if self._source is None or self._wanted is None:
                return
            self._is_due = True
            if self._is_painting:
                return
            self._is_painting, self._is_due = True, False
        self._tasks.run(self._paint, self._painted, self._broke)

    def _paint(self) -> _Painted | None:
        """Paint what is known of the newest request; in a working thread."""
        with self._lock:
            source, request, painting = self._source, self._wanted, self._painting
        if source is None or request is None:
            return None
        is_new = painting is None or painting.request is not request
        if painting is None or is_new:
            painting = PlanePainting(source, request)
        with self._lock:
            if self._source is not source or self._wanted is None:
                return None
            self._painting = painting
            # In place of what a former plane still had queued.
            painting.ask()
        # Also when it is new: nobody tells what arrived just before it was asked for.
        is_news = painting.take_arrived() or is_new
        picture = painting.picture() if is_news and painting.has_picture else None
        limits = self.contrast_limits
        if limits is None and picture is not None:
            limits = contrast_limits(source, picture)
        return _Painted(source, picture, limits, painting.has_failed)

    def _painted(self, painted: _Painted | None) -> None:
        if painted is None or painted.source is not self._source:
            self._go_on(is_news=False)
            return
        if painted.picture is not None:
            self.picture = painted.picture
            self.contrast_limits = painted.limits
            if painted.picture.is_final:
                self._forget_errors()
        if painted.has_failed:
            self._tell(self._error or NetworkError(_UNREADABLE))
        self._go_on(is_news=painted.picture is not None)

    def _broke(self, error: Exception) -> None:
        self._tell(error)
        self._go_on(is_news=False)

    def _go_on(self, *, is_news: bool) -> None:
        """Paint again if that is due, and tell what is new."""
        with self._lock:
            self._is_painting = False
            is_due, self._is_due = self._is_due, False
        if is_due:
            self._paint_soon()
        was_busy, self._was_busy = self._was_busy, self.is_busy
        if is_news or was_busy != self._was_busy:
            self.changed.emit()

    def _forget_errors(self) -> None:
        self._told.clear()
        self._error = None

    def _tell(self, error: Exception) -> None:
        if self._source is not None and type(error) not in self._told:
            self._told.add(type(error))
            self.failed.emit(sentence_of(error))

    # -- called in the pool's threads -------------------------------------------

    def _on_chunk(self, _level: int) -> None:
        self._news()

    def _on_failed(self, error: Exception) -> None:
        # Told once the plane turns out to lack the block: the pyramid may be another view's too.
        self._error = error


class _Painted(NamedTuple):
    """A picture, if there is another one; what it is of, the template's contrast, what failed."""

    source: PlaneSource
    picture: PlanePicture | None
    limits: Limits | None
    has_failed: bool
