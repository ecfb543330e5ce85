"""The regions of points that were counted, among the features of their layer."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from napari.layers import Points

COLUMNS = ("region_id", "acronym", "side")
# In the layer's metadata: the names of the columns that were written.
_WRITTEN = "stria_regions"


def write_regions(layer: Points, regions: pd.DataFrame) -> str:
    """Write the region and side of each point into a layer's features, beside those it has.

    Columns that were written before are replaced. If the layer has a column of its own with one of
    these names, it is kept, and all of ours get a number: ``region_id_1``, ``acronym_1`` and
    ``side_1``. A point that is added later has region 0 and empty texts.

    Parameters
    ----------
    layer : Points
    regions : DataFrame
        A row a point, in their order; see `napari_stria.point_regions`.

    Returns
    -------
    str
        What the columns are called, as a sentence, if they are not called as usual; else empty.
    """
    before = layer.metadata.get(_WRITTEN, ())
    others = layer.features.drop(columns=list(before), errors="ignore")
    defaults = {name: value for name, value in _defaults(layer).items() if name in others}
    names = _free_names(set(others.columns))
    ours = regions[list(COLUMNS)].set_axis(others.index).set_axis(list(names), axis=1)
    for name in names:
        is_text = isinstance(ours[name].dtype, pd.CategoricalDtype)
        if is_text and "" not in ours[name].cat.categories:
            ours[name] = ours[name].cat.add_categories("")
    layer.features = pd.concat([others, ours], axis=1)
    # Else new points would be given the region of the last one.
    layer.feature_defaults = {**_defaults(layer), **defaults, **_in_no_region(names)}
    layer.metadata[_WRITTEN] = names
    if names == COLUMNS:
        return ""
    return f"The points have features of these names; the regions are in {', '.join(names)}."


def keep_regions_from_new(layer: Points) -> None:
    """Let points that are added be in no region, as they were not counted.

    napari gives them the features of the point that was selected last.
    """
    written = layer.metadata.get(_WRITTEN, ())
    defaults = _defaults(layer)
    if not written or not set(written) <= set(defaults) == set(layer.features):
        return
    blank = _in_no_region(written)
    if any(defaults[name] != value for name, value in blank.items()):
        layer.feature_defaults = {**defaults, **blank}


def _defaults(layer: Points) -> dict[Any, Any]:
    """Return what the next point is given."""
    return {name: column.iloc[0] for name, column in layer.feature_defaults.items()}


def _in_no_region(names: Iterable[str]) -> dict[Any, Any]:
    return dict(zip(names, (0, "", ""), strict=True))


def _free_names(taken: set[Any]) -> tuple[str, ...]:
    """Return the names of our columns, numbered alike if the user has one of them."""
    for ending in chain([""], (f"_{number}" for number in count(1))):
        names = tuple(f"{name}{ending}" for name in COLUMNS)
        if not taken.intersection(names):
            return names
    raise AssertionError("numbers do not end")
