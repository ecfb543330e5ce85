"""The expression view of practice sections: black, with a coloured disc at each cell body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from napari_stria.demo.practice_sections import DatasetPlan, SectionPlan
from napari_stria.demo.section_geometry import F64
from napari_stria.demo.section_tissue import U8
from napari_stria.demo.section_window import Window
from napari_stria.demo.template_planes import F32, TemplatePlanes

_RADIUS_UM = 5.0
_BRIGHTEST = 330.0
_MIDDLE_R_UM = 5687.5
_CELL_TIER = 4
_CELL = 2**_CELL_TIER
_TILE = 1024
_STRIP_PIXELS = 256


@dataclass(frozen=True)
class _Discs:
    """Discs in full-resolution pixels of the section's box.

    Attributes
    ----------
    x, y : (N,) float64 ndarray
        Centres.
    colours : (N, 3) float32 ndarray
        Blue, green, red; 0 to 255.
    """

    x: F64
    y: F64
    colours: F32


def render_expression(
    planes: TemplatePlanes, plan: DatasetPlan, section: SectionPlan, window: Window
) -> U8:
    """Return the pixels of a window that lies inside the section's box.

    Discs lie in square cells of 16 pixels, one at most in each and none across a border. How many
    cells have one depends on the place: more in bright regions, three times more on the left.

    Parameters
    ----------
    planes : TemplatePlanes
    plan : DatasetPlan
    section : SectionPlan
        One of the plan's.
    window : Window

    Returns
    -------
    (height, width, 3) uint8 ndarray
        Blue, green, red. Each tier is the box average of the discs.
    """
    pixels = np.empty((window.height, window.width, 3), dtype=np.uint8)
    radius = _RADIUS_UM / plan.resolution_um
    for rows in window.strips(max(_STRIP_PIXELS // window.step, 1)):
        part = window.part(rows, slice(0, window.width))
        if part.tier < _CELL_TIER:
            pixels[rows] = _stamp(_discs(planes, section, part, radius), radius, part)
        else:
            pixels[rows] = _average(planes, section, part, radius)
    return pixels


def _average(planes: TemplatePlanes, section: SectionPlan, window: Window, radius: float) -> U8:
    """Render pixels that are whole cells: how much of each is covered is known beforehand."""
    factor = window.step // _CELL
    columns = (window.left + _CELL // 2) // _CELL + np.arange(window.width * factor)
    rows = (window.top + _CELL // 2) // _CELL + np.arange(window.height * factor)
    active, strength, _ = _cells(planes, section, rows, columns)
    covered = np.pi * radius**2 / _CELL**2
    colours = _colours(strength) * (active * np.float32(covered))[..., None]
    blocks = colours.reshape(window.height, factor, window.width, factor, 3)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3))), dtype=np.uint8)


def _discs(planes: TemplatePlanes, section: SectionPlan, window: Window, radius: float) -> _Discs:
    columns = _cell_range(window.left, window.width * window.step)
    rows = _cell_range(window.top, window.height * window.step)
    active, strength, (jitter_x, jitter_y) = _cells(planes, section, rows, columns)
    row, column = np.nonzero(active)
    # Half a pixel more than the radius is drawn, and stays in the cell.
    room = _CELL - 2 * radius - 1
    return _Discs(
        x=columns[column] * _CELL + radius + 0.5 + room * jitter_x[row, column],
        y=rows[row] * _CELL + radius + 0.5 + room * jitter_y[row, column],
        colours=_colours(strength[row, column]),
    )


def _cell_range(first: int, size: int) -> npt.NDArray[np.intp]:
    return np.arange(first // _CELL, (first + size - 1) // _CELL + 1)


def _cells(
    planes: TemplatePlanes,
    section: SectionPlan,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
) -> tuple[npt.NDArray[np.bool_], F32, tuple[F32, F32]]:
    """Return which cells have a disc, how strong each is, and where in its cell it lies."""
    xs, ys = ((cells + 0.5) * _CELL for cells in (columns, rows))
    brightness = planes.sample(section.to_reference, xs, ys) / np.float32(_BRIGHTEST)
    to_r = section.to_reference[2]
    r_um = to_r[0] * xs[None, :] + to_r[1] * ys[:, None] + to_r[2]
    side = 0.6 + 0.3 * np.tanh((_MIDDLE_R_UM - r_um) / 300)
    picked = (rows[:, None] + section.id * 7) % _TILE, (columns[None, :] + section.id * 13) % _TILE
    chance, spread, jitter_x, jitter_y = (plane[picked] for plane in _chances())
    active = (brightness > 0) & (chance < brightness**2 * side)
    strength = np.clip(brightness * 0.7 + spread * 0.4, 0, 1).astype(np.float32)
    return active, strength, (jitter_x, jitter_y)


@cache
def _chances() -> F32:
    """Return four independent draws from [0, 1) for each of 1024 x 1024 cells."""
    return np.random.default_rng(17).random((4, _TILE, _TILE), dtype=np.float32)


def _colours(strength: F32) -> F32:
    """Return blue, green, red from weak (blue) through green to strong (red)."""
    peaks = np.array([0.25, 0.5, 0.75], dtype=np.float32)
    ramp = np.clip(1.5 - np.abs(4 * (strength[..., None] - peaks)), 0, 1)
    return np.asarray(ramp * np.float32(255))


def _stamp(discs: _Discs, radius: float, window: Window) -> U8:
    """Add the discs up: every full-resolution pixel goes into its pixel of the window."""
    # The pixels whose centre may be nearer than the radius and half a pixel.
    reach = np.arange(-int(radius + 1), int(radius + 1) + 1)
    x_first, y_first = np.floor(discs.x), np.floor(discs.y)
    x_away, y_away = (
        (reach + 0.5 - (centre - first)[:, None]).astype(np.float32)
        for centre, first in ((discs.x, x_first), (discs.y, y_first))
    )
    away = np.sqrt(np.square(x_away)[:, None, :] + np.square(y_away)[:, :, None])
    covered = np.clip(np.float32(radius + 0.5) - away, 0, 1)
    column = (x_first.astype(np.int32)[:, None] + reach - window.left) // window.step
    row = (y_first.astype(np.int32)[:, None] + reach - window.top) // window.step
    inside = ((row >= 0) & (row < window.height))[:, :, None] & (covered > 0)
    inside &= ((column >= 0) & (column < window.width))[:, None, :]
    target = (row[:, :, None] * window.width + column[:, None, :])[inside]
    disc = np.nonzero(inside)[0]
    weights = covered[inside] / window.step**2
    size = window.height * window.width
    sums = [np.bincount(target, weights * colour[disc], size) for colour in discs.colours.T]
    image = np.stack(sums, axis=-1).reshape(window.height, window.width, 3)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
