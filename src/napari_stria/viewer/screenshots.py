"""Pictures of a viewer that show what is there, and not what is still on its way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer

from napari_stria.errors import StriaError

if TYPE_CHECKING:
    import napari

    from napari_stria.viewer.controller import AtlasController

Picture = npt.NDArray[np.uint8]
_STEP_MS = 30
# Longer than the pause after which layers show what has arrived.
_REST_S = 0.25
_PATIENCE_S = 120.0
_BAR_PX = 150.0


def pictures(
    controller: AtlasController,
    *,
    factor: int,
    window: bool,
    taken: Callable[[], None] | None = None,
) -> Iterator[Picture | None]:
    """Yield None while something is on its way, and at last the picture.

    A picture of more pixels than the screen has needs finer levels, which are asked for only when
    it is taken: so it is taken until nothing new comes. Let the window work between two steps.

    Parameters
    ----------
    controller : AtlasController
        Whose viewer it is.
    factor : int
        How many times larger than on screen; of the canvas alone.
    window : bool
        The whole window instead of the canvas.
    taken : callable, optional
        Called at once when a picture is taken, before the user can go on: what it shows is what
        the viewer shows then. The last call is of the picture that is yielded.

    Yields
    ------
    (rows, columns, 4) uint8 ndarray or None

    Raises
    ------
    StriaError
        If something does not arrive within two minutes.
    """
    end = time.monotonic() + _PATIENCE_S
    with ExitStack() as stack:
        news = _News(controller, stack)
        while True:
            for _ in _resting(controller, end):
                yield None
            news.came = False
            picture = _taken(controller, factor, window)
            if taken is not None:
                taken()
            for _ in _resting(controller, end):
                yield None
            if not news.came:
                yield picture
                return


class _News:
    """Notes that something has arrived."""

    def __init__(self, controller: AtlasController, stack: ExitStack) -> None:
        self.came = False
        sections = controller.open_sections
        signals = [controller.session.chunks_changed, controller.surfaces.session.arrived]
        if sections is not None:
            signals.append(sections.session.chunks_changed)
        for signal in signals:
            signal.connect(self._note)
            stack.callback(signal.disconnect, self._note, missing_ok=True)

    def _note(self, *_news: object) -> None:
        self.came = True


def _resting(controller: AtlasController, end: float) -> Iterator[None]:
    """Yield until nothing is on its way for a moment."""
    since = time.monotonic()
    while True:
        now = time.monotonic()
        if not _is_idle(controller):
            since = now
        elif now - since > _REST_S:
            return
        if now > end:
            raise StriaError(
                "what the picture shows did not all arrive in time; try again, or a smaller size."
            )
        yield


def _is_idle(controller: AtlasController) -> bool:
    sections, surfaces = controller.open_sections, controller.surfaces.session
    return (
        controller.session.idle
        and not surfaces.pending
        and (sections is None or sections.session.idle)
    )


def _taken(controller: AtlasController, factor: int, window: bool) -> Picture:
    viewer = controller.viewer
    if window:
        picture: Any = viewer.screenshot(canvas_only=False, flash=False)
    elif factor == 1:
        picture = viewer.screenshot(canvas_only=True, flash=False)
    else:
        with _enlarged(viewer, factor):
            picture = viewer.screenshot(scale=float(factor), canvas_only=True, flash=False)
    return np.asarray(picture, dtype=np.uint8)


@contextmanager
def _enlarged(viewer: napari.Viewer, factor: int) -> Iterator[None]:
    """Let a canvas that is larger by a factor show what the present one shows, writing included.

    napari's own factor enlarges the canvas alone: it would show more around the same picture.
    """
    camera, overlays = viewer.scene.camera, viewer.canvas.overlays
    writing = [overlays.scale_bar, overlays.text]
    sizes = [overlay.font_size for overlay in writing]
    zoom, length = camera.zoom, overlays.scale_bar.length
    try:
        if length is None:
            overlays.scale_bar.length = _bar_length(zoom)
        for overlay, size in zip(writing, sizes, strict=True):
            overlay.font_size = size * factor
        camera.zoom = zoom * factor
        yield
    finally:
        camera.zoom = zoom
        overlays.scale_bar.length = length
        for overlay, size in zip(writing, sizes, strict=True):
            overlay.font_size = size


def _bar_length(zoom: float) -> float:
    """Return about how long napari makes a scale bar, in world units: 1, 2 or 5 times 10^k."""
    longest = _BAR_PX / zoom
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest)


def _nobody(_outcome: object) -> None:
    """Tell nobody."""


class PictureTaking:
    """Takes one picture while the window goes on.

    Parameters
    ----------
    steps : iterator
        From `pictures`.
    done, failed : callable
        Told the outcome, unless `stop` was called.
    """

    def __init__(
        self,
        steps: Iterator[Picture | None],
        done: Callable[[Picture], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._steps, self._done, self._failed = steps, done, failed
        self._timer = QTimer()
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._step)
        self._timer.start()

    def _step(self) -> None:
        # The window may come to another turn within a step, e.g. while it draws.
        self._timer.stop()
        try:
            picture = next(self._steps)
        except Exception as error:  # noqa: BLE001  (told; one that leaves a slot ends the program)
            self._failed(error)
            return
        if picture is None:
            self._timer.start()
        else:
            self._done(picture)

    def stop(self) -> None:
        """Take no picture any more, and tell nobody."""
        self._timer.stop()
        self._done, self._failed = _nobody, _nobody
