"""Bars in the size and the colours of a dock, drawn in any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_stria.session.quantify_drawing import draw_bars
from napari_stria.session.quantify_values import ChartData
from napari_stria.widgets._quantify_text import elided

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_PX, _TOP_PX, _BOTTOM_PX = 20, 8, 44
_LEGEND_PX = 16  # above the bars, where there are sides
_RIGHT_PX, _GAP_PX, _TEXT_PX = 14, 8, 11
_LABEL_SHARE = 0.36
_CHARACTER_PX = 6.3
_FEWEST_CHARACTERS = 22  # below that, acronyms alone
_TICK_PX, _MOST_TICKS = 90, 6
_ABOVE, _BELOW = -0.6, 0.4  # of the first and the last bar, in bars
_POINTS = 72.0  # an inch
_GREY = "#808080"


@dataclass(frozen=True)
class BarLook:
    """How bars are drawn.

    Attributes
    ----------
    width, height : int
        In pixels of the widget.
    ratio : float
        Pixels of the screen a pixel of the widget.
    text, back : str
        Colours of the texts and of the ground, as ``#rrggbb``.
    chosen : frozenset of int
        Regions whose names are bold.
    """

    width: int
    height: int
    ratio: float
    text: str
    back: str
    chosen: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class BarPicture:
    """Bars as pixels.

    Attributes
    ----------
    rgba : (height, width, 4) uint8 ndarray
        In pixels of the screen.
    data : ChartData
        What is drawn.
    look : BarLook
    labels : tuple of str
        The names beside the bars, from top to bottom.
    """

    rgba: npt.NDArray[np.uint8]
    data: ChartData
    look: BarLook
    labels: tuple[str, ...]

    def row_at(self, y: float) -> int | None:
        """Return the bar at a height, in pixels of the widget from its top; None for none."""
        top, rows = _top_px(self.data), len(self.data.ids)
        inside = self.look.height - top - _BOTTOM_PX
        row = round((y - top) / inside * (rows - _ABOVE - 1 + _BELOW) + _ABOVE)
        return row if 0 <= row < rows and top <= y <= top + inside else None


def least_height(data: ChartData) -> int:
    """Return the height in pixels that bars take."""
    return _top_px(data) + _BOTTOM_PX + _ROW_PX * len(data.ids)


def _top_px(data: ChartData) -> int:
    has_sides = data.left is not None and data.right is not None
    return _TOP_PX + (_LEGEND_PX if has_sides else 0)


def draw_picture(data: ChartData, look: BarLook) -> BarPicture:
    """Draw bars with matplotlib, which takes about a tenth of a second."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 100.0
    size = look.width * look.ratio / dpi, look.height * look.ratio / dpi
    figure = Figure(figsize=size, dpi=dpi, facecolor=look.back)
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    axes = figure.add_subplot()
    draw_bars(axes, data)
    axes.set_ylim(len(data.ids) - 1 + _BELOW, _ABOVE)  # all bars as high, however few there are
    _label(axes, data, look)
    _take_theme(axes, look, points=_TEXT_PX * look.ratio * _POINTS / dpi)
    _place(axes, canvas.get_renderer(), look, _top_px(data))
    canvas.draw()
    labels = tuple(label.get_text() for label in axes.get_yticklabels())
    return BarPicture(np.array(canvas.buffer_rgba(), dtype=np.uint8), data, look, labels)


def _label(axes: Axes, data: ChartData, look: BarLook) -> None:
    room = int(_LABEL_SHARE * look.width / _CHARACTER_PX)
    names = data.names
    if room >= _FEWEST_CHARACTERS:
        pairs = zip(data.names, data.full_names, strict=True)
        names = tuple(a if a == n else f"{a}  {n}" for a, n in pairs)
    shown = [elided(name, room) for name in names]
    axes.set_yticks(np.arange(len(names)), shown, parse_math=False)  # a $ is a $
    for label, region in zip(axes.get_yticklabels(), data.ids, strict=True):
        label.set_fontweight("bold" if region in look.chosen else "normal")
    axes.margins(x=0.03)
    axes.xaxis.set_major_formatter("{x:,.4g}")
    axes.locator_params(axis="x", nbins=max(2, min(_MOST_TICKS, look.width // _TICK_PX)))


def _take_theme(axes: Axes, look: BarLook, points: float) -> None:
    text = look.text
    axes.set_facecolor(look.back)
    axes.tick_params(colors=text, labelcolor=text, labelsize=points, length=3)
    axes.tick_params(axis="y", length=0, pad=4)
    axes.xaxis.label.set(color=text, fontsize=points)
    axes.grid(axis="x", color=_GREY, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(_GREY)
    legend = axes.get_legend()
    if legend is not None:
        for label in (legend.get_title(), *legend.get_texts()):
            label.set(color=text, fontsize=points)


def _place(axes: Axes, renderer: Any, look: BarLook, top: int) -> None:
    """Leave as much room beside the bars as the widest name takes."""
    widths = [label.get_window_extent(renderer).width for label in axes.get_yticklabels()]
    left = min(max(widths, default=0.0) / look.ratio + _GAP_PX, 0.6 * look.width)
    width = max(1.0, look.width - _RIGHT_PX - left)
    height = look.height - top - _BOTTOM_PX
    box = np.array([left, _BOTTOM_PX, width, height]) / ([look.width, look.height] * 2)
    axes.set_position(tuple(box))
