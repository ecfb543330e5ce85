"""How each kind of source is measured; called in another thread.

What measures is imported there, too, so that opening a viewer does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import numpy as np
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.counting import Progress
from napari_stria.errors import CoordinateError, TaskCancelled
from napari_stria.session.quantify_keeping import expression_folder
from napari_stria.session.quantify_values import (
    ExpressionData,
    QuantifyOptions,
    QuantifySource,
    SourceData,
)

BRIGHTNESS = "brightness"


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of a source: a row a region, of points also a row a point, and its remark."""

    table: pd.DataFrame
    features: pd.DataFrame | None = None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class _Run:
    atlas: Atlas
    source: QuantifySource
    options: QuantifyOptions
    progress: Progress
    cancel: Event

    @property
    def common(self) -> dict[str, Any]:
        """What every measure is told."""
        return {
            "parcellation": self.options.level,
            "progress": self.progress,
            "cancel": self.cancel,
        }


def measure(
    atlas: Atlas,
    source: QuantifySource,
    options: QuantifyOptions,
    progress: Progress,
    cancel: Event,
) -> Measured:
    """Load a source and measure it.

    Raises
    ------
    TaskCancelled
        If `cancel` is set meanwhile.
    StriaError
        What else is wrong with the data or the options.
    """
    # Colours and bars come next, in a thread that must not wait for a large library.
    import matplotlib as mpl  # noqa: F401

    run = _Run(atlas, source, options, progress, cancel)
    data = source.load()
    if cancel.is_set():
        raise TaskCancelled("cancelled before anything was measured.")
    return replace(_MEASURES[source.kind](run, data), remark=data.remark)


def _points(run: _Run, data: SourceData) -> Measured:
    from napari_stria.core.point_counts import count_points
    from napari_stria.core.point_regions import point_regions

    where = (run.atlas, data.data, run.options.resolution_um)
    table = count_points(*where, **run.common)
    features = point_regions(*where, parcellation=run.options.level, cancel=run.cancel)
    return Measured(table, features)


def _labels(run: _Run, data: SourceData) -> Measured:
    from napari_stria.core.label_measures import measure_labels

    resolution_um = run.options.resolution_um
    return Measured(
        measure_labels(run.atlas, data.data, data.to_atlas, resolution_um, **run.common)
    )


def _shapes(run: _Run, data: SourceData) -> Measured:
    from napari_stria.core.polygons import measure_polygons

    resolution_um = run.options.resolution_um
    return Measured(
        measure_polygons(run.atlas, data.data, resolution_um=resolution_um, **run.common)
    )


def _image(run: _Run, data: SourceData) -> Measured:
    from napari_stria.core.image_measures import measure_image

    options = run.options
    image = channel_of(data.data, run.source.channels, options.channel)
    return Measured(
        measure_image(
            run.atlas,
            image,
            data.to_atlas,
            options.resolution_um,
            threshold=options.threshold,
            **run.common,
        )
    )


def _expression(run: _Run, data: SourceData) -> Measured:
    from napari_stria.session.expression_table import expression_table

    found: ExpressionData = data.data
    return Measured(
        expression_table(
            found.dataset,
            found.api,
            run.atlas,
            tier=run.options.tier,
            resolution_um=run.options.resolution_um,
            mirrored=found.mirrored,
            refinements=found.refinements,
            folder=expression_folder() if found.api.cached else None,
            **run.common,
        )
    )


_MEASURES: dict[str, Callable[[_Run, SourceData], Measured]] = {
    "points": _points,
    "labels": _labels,
    "shapes": _shapes,
    "image": _image,
    "expression": _expression,
}


def channel_of(image: Any, channels: tuple[str, ...], name: str | None) -> Any:
    """Return one channel of an image; what has none is returned as it is.

    Parameters
    ----------
    image : numpy or dask array
        With channels along its last axis if there are names of any; an alpha channel may follow.
    channels : tuple of str
        Their names. ``brightness`` is none of the axis but the mean of red, green and blue.
    name : str, optional
        Which one; default is the first.

    Raises
    ------
    CoordinateError
        If there is no such channel.
    """
    if not channels:
        return image
    name = channels[0] if name is None else name
    if name not in channels:
        known = ", ".join(channels)
        raise CoordinateError(f"the image has no channel {name!r}; choose one of {known}.")
    if name == BRIGHTNESS:
        return _lazy(image)[..., :3].mean(axis=-1, dtype=np.float64)
    return image[..., [c for c in channels if c != BRIGHTNESS].index(name)]


def _lazy(image: Any) -> Any:
    """Return a dask array, so that a mean of channels is never there as a whole."""
    import dask.array as da

    if not isinstance(image, np.ndarray):
        return image
    return da.from_array(image, chunks=(*("auto",) * (image.ndim - 1), -1), name=False)
