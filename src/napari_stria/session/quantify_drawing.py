"""Bars of the regions with the largest numbers, on any axes of matplotlib's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_stria.session.quantify_values import ChartData

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HALF = 0.4
_PALER = 0.55
_GREY = np.array([0.35])


def draw_bars(axes: Axes, chart: ChartData) -> None:
    """Draw a bar a region, the largest on top; where there are sides, right is paler below left.

    What the two are stands above the axes, where there are no bars.

    Parameters
    ----------
    axes : matplotlib Axes
        Empty ones.
    chart : ChartData
    """
    from matplotlib.patches import Patch

    places = np.arange(len(chart.names))
    rgb = chart.rgb / 255
    edge: dict[str, Any] = {"edgecolor": "0.5", "linewidth": 0.5}  # white regions on white
    if chart.left is None or chart.right is None:
        axes.barh(places, chart.total, 2 * _HALF, color=rgb, **edge)
    else:
        axes.barh(places - _HALF / 2, chart.left, _HALF, color=rgb, **edge)
        axes.barh(places + _HALF / 2, chart.right, _HALF, color=_paler(rgb), **edge)
        greys = {"left": _GREY, "right": _paler(_GREY)}
        sides = [Patch(color=str(float(grey[0])), label=side) for side, grey in greys.items()]
        axes.legend(
            handles=sides,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=len(sides),
            handlelength=1,
            handletextpad=0.3,
            columnspacing=0.8,
            borderpad=0,
            borderaxespad=0.3,
            frameon=False,
        )
    axes.set_yticks(places, chart.names, parse_math=False)  # a $ is a $
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel(f"{chart.title} ({chart.unit})" if chart.unit else chart.title)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _paler(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return colours nearer to white; half transparent ones would take those of the ground."""
    return 1 - _PALER * (1 - rgb)
