"""A picture of a section as its refinement bends it, made off the session's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import TaskCancelled
from napari_stria.io.section_files import SectionImage
from napari_stria.registration.plane_chain import inverse_of
from napari_stria.session.errand import Errand
from napari_stria.session.tasks import Tasks

# The lattice on which the way back is computed, in pixels of the picture; it is linear between,
# within some hundredths of a pixel of smooth bendings. Where there is no way back (folds) just the
# cells there are empty, and a picture takes no longer: `core.lattice_map` would compute each pixel.
_STEP_PX = 8


@dataclass(frozen=True, eq=False)
class WarpRequest:
    """What is to be shown.

    Attributes
    ----------
    image : SectionImage
    refining : CoordinateTransform
        Section pixels to refined section pixels, with an `inverse` or smooth.
    box_xy : ((x0, y0), (x1, y1))
        The part of refined pixel space that is looked at, in section pixels.
    pixel : float
        How many section pixels a pixel of the picture covers.
    stretch_xy : (float, float)
        Section pixels that one pixel of the image's finest level covers.
    """

    image: SectionImage
    refining: CoordinateTransform
    box_xy: tuple[tuple[float, float], tuple[float, float]]
    pixel: float
    stretch_xy: tuple[float, float] = (1.0, 1.0)

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        (x0, y0), (x1, y1) = self.box_xy
        return max(1, round((y1 - y0) / self.pixel)), max(1, round((x1 - x0) / self.pixel))

    @property
    def size_px(self) -> tuple[float, float]:
        """Width and height of the section in its pixels."""
        height, width = self.image.shape_hw
        return width * self.stretch_xy[0], height * self.stretch_xy[1]


@dataclass(frozen=True, eq=False)
class WarpedPicture:
    """A bent section.

    Attributes
    ----------
    channels : tuple of ndarray
        (h, w) each, or one (h, w, 4) uint8 of RGBA.
    request : WarpRequest
    """

    channels: tuple[npt.NDArray[Any], ...]
    request: WarpRequest


class WarpedSection:
    """Makes pictures of bent sections; of several that are asked for the last one counts.

    While one is made the newest of those that came since waits, so that a drag shows pictures all
    the way and not just at its end.

    Parameters
    ----------
    tasks : Tasks
        Runs the work elsewhere.

    Attributes
    ----------
    ready : Signal(WarpedPicture)
    failed : Signal(Exception)
    """

    ready = Signal(object)
    failed = Signal(Exception)

    def __init__(self, tasks: Tasks) -> None:
        self._errand = Errand(tasks)
        self._running = False
        self._waiting: WarpRequest | None = None

    def show(self, request: WarpRequest) -> None:
        """Ask for a picture."""
        if self._running:
            self._waiting = request
            return
        self._running = True
        self._errand.start(
            lambda cancelled: warped_picture(request, cancelled), self._done, self._broke
        )

    def cancel(self) -> None:
        """Ask for nothing any more."""
        self._errand.cancel()
        self._running, self._waiting = False, None

    def _done(self, picture: WarpedPicture) -> None:
        self._go_on()
        self.ready.emit(picture)

    def _broke(self, error: Exception) -> None:
        self._go_on()
        if not isinstance(error, TaskCancelled):
            self.failed.emit(error)

    def _go_on(self) -> None:
        self._running = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.show(waiting)


def warped_picture(
    request: WarpRequest, cancelled: Callable[[], bool] = lambda: False
) -> WarpedPicture:
    """Return a bent section.

    Raises
    ------
    StriaError
        If the pixels cannot be read.
    TaskCancelled
        If `cancelled` said so.
    """
    image = request.image
    # Coarser than the picture never; finer by less than 2.
    number = image.level_for(request.pixel / max(request.stretch_xy))
    level = image.levels[number]
    sources = _source_positions(request)
    if cancelled():
        raise TaskCancelled("warping the section was cancelled.")
    scale = np.asarray(level.scale_xy) * request.stretch_xy
    # To the index of a pixel of this level, whole at its centre.
    at = (sources / scale - 0.5).astype(np.float32)
    rows, columns = _needed(at, level.shape_hw)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return WarpedPicture(_empty(request), request)
    at -= np.array([columns.start, rows.start], dtype=np.float32)
    at[~np.isfinite(at)] = -10.0  # no way back there: outside
    count = 1 if image.is_rgb else len(image.channels)
    channels = []
    for channel in range(count):
        pixels = image.read(number, rows, columns, channel)
        if cancelled():
            raise TaskCancelled("warping the section was cancelled.")
        channels.append(_remapped(pixels, at))
    return WarpedPicture(tuple(channels), request)


def _source_positions(request: WarpRequest) -> npt.NDArray[np.float64]:
    """Return where each pixel of the picture comes from, (h, w, 2) in pixels of the section."""
    import cv2

    height, width = request.shape_hw
    (x0, y0), _ = request.box_xy
    # One more than whole steps, and the picture's pixels at known places between them.
    rows, columns = -(-height // _STEP_PX) + 1, -(-width // _STEP_PX) + 1
    x = x0 + np.arange(columns) * _STEP_PX * request.pixel
    y = y0 + np.arange(rows) * _STEP_PX * request.pixel
    # NaN where there is no way back: a fold somewhere takes no more of the picture than its cells.
    back = inverse_of(request.refining, request.size_px)
    lattice = back(np.stack(np.meshgrid(x, y), axis=-1))
    column = (np.arange(width, dtype=np.float32) + 0.5) / _STEP_PX
    row = (np.arange(height, dtype=np.float32) + 0.5) / _STEP_PX
    map_x, map_y = np.meshgrid(column, row)
    return np.stack(
        [
            cv2.remap(
                np.ascontiguousarray(lattice[..., axis]),
                map_x.astype(np.float32),
                map_y.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for axis in range(2)
        ],
        axis=-1,
    )


def _needed(at: npt.NDArray[np.float32], shape_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of the level that the picture needs."""
    finite = at[np.isfinite(at).all(axis=-1)]
    if not len(finite):
        return slice(0, 0), slice(0, 0)
    (low_x, low_y), (high_x, high_y) = finite.min(axis=0), finite.max(axis=0)
    height, width = shape_hw
    return (
        slice(min(max(0, int(low_y) - 1), height), max(0, min(height, int(high_y) + 3))),
        slice(min(max(0, int(low_x) - 1), width), max(0, min(width, int(high_x) + 3))),
    )


def _remapped(pixels: npt.NDArray[Any], at: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    import cv2

    known = pixels.dtype in (np.uint8, np.uint16, np.float32)
    source = np.ascontiguousarray(pixels if known else pixels.astype(np.float32))
    if source.ndim == 3:
        # Opaque where the section is, so that the atlas is seen around it.
        peak = {"uint8": 255, "uint16": 65535}.get(source.dtype.name, 1)
        alpha = np.full((*source.shape[:2], 1), peak, dtype=source.dtype)
        source = np.concatenate([source, alpha], axis=-1)
    # A level is read that is not much finer than the picture, so that the box stays far below the
    # 32,767 pixels along a side that OpenCV can address.
    map_x, map_y = (np.ascontiguousarray(at[..., axis]) for axis in range(2))
    warped = np.asarray(
        cv2.remap(source, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    )
    if warped.ndim == 3 and warped.dtype != np.uint8:
        warped = np.clip(warped * (255.0 / peak), 0, 255).astype(np.uint8)
    return warped


def _empty(request: WarpRequest) -> tuple[npt.NDArray[Any], ...]:
    if request.image.is_rgb:
        return (np.zeros((*request.shape_hw, 4), dtype=np.uint8),)
    dtype = request.image.dtype
    shown = dtype if dtype in (np.uint8, np.uint16, np.float32) else np.dtype(np.float32)
    return tuple(np.zeros(request.shape_hw, dtype=shown) for _ in request.image.channels)
