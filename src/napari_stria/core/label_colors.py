"""The colours of labels: an atlas's own, or those of a mapping."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.labels import LabelLookup, as_int64, run_starts
from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import UNLISTED_RGB
from napari_stria.errors import CoordinateError

LabelColors = Mapping[int, Sequence[int]]
_LARGEST = np.iinfo(np.int64).max


def paint_regions(labels: npt.NDArray[Any], ontology: Ontology) -> npt.NDArray[np.uint8]:
    """Return labels in the atlas's colours.

    Background is black; a label that the ontology lacks is `UNLISTED_RGB`.

    Parameters
    ----------
    labels : (...) integer ndarray
        Annotation values.
    ontology : Ontology
        The regions.

    Returns
    -------
    (..., 3) uint8 ndarray
        Red, green, blue.
    """
    table = np.zeros((len(ontology) + 2, 3), dtype=np.uint8)
    table[1:-1] = ontology.rgb
    table[-1] = UNLISTED_RGB
    return _painted(labels, LabelLookup(ontology), table, {})


def paint_chosen(
    labels: npt.NDArray[Any], ontology: Ontology, colors: LabelColors, *, inherit: bool
) -> npt.NDArray[np.uint8]:
    """Return labels in the colours of a mapping; what has none is black.

    Parameters
    ----------
    labels, ontology
        See `paint_regions`.
    colors : mapping of int to (red, green, blue)
        By region id. 0 is the background; another number that is no region's id is a label.
    inherit : bool
        A region without a colour takes that of the nearest ancestor which has one.

    Returns
    -------
    (..., 3) uint8 ndarray
        Red, green, blue.

    Raises
    ------
    CoordinateError
        If a key is no whole number or a colour not three of 0 to 255.
    """
    table = np.zeros((len(ontology) + 2, 3), dtype=np.uint8)
    regions: dict[int, npt.NDArray[np.uint8]] = {}
    others: dict[int, npt.NDArray[np.uint8]] = {}
    known = frozenset(ontology.ids.tolist())
    for key, rgb in colors.items():
        number, color = _checked_key(key), _checked_rgb(rgb)
        if number in known:
            regions[ontology.position(number)] = color
        else:
            others[number] = color
    # Positions are in pre-order: what lies deeper comes later and paints over.
    for position in sorted(regions):
        end = ontology.subtree_ends[position] if inherit else position + 1
        table[1 + position : 1 + end] = regions[position]
    return _painted(labels, LabelLookup(ontology), table, others)


def _painted(
    labels: npt.NDArray[Any],
    lookup: LabelLookup,
    table: npt.NDArray[np.uint8],
    others: Mapping[int, npt.NDArray[np.uint8]],
) -> npt.NDArray[np.uint8]:
    """Paint runs of equal labels by display index (see `LabelLookup`), and others by label."""
    flat = np.ascontiguousarray(labels).reshape(-1)
    starts = run_starts(flat)
    of_run = as_int64(flat[starts])
    index = lookup.positions(of_run).astype(np.intp) + 1
    index[(index == 0) & (of_run != 0)] = lookup.unlisted_index
    if others:
        keys = np.array(sorted(others), dtype=np.int64)
        slot = np.minimum(np.searchsorted(keys, of_run), len(keys) - 1)
        index = np.where(keys[slot] == of_run, len(table) + slot, index)
        table = np.concatenate([table, [others[int(k)] for k in keys]])
    # Taking rows by index is several times faster than repeating them or indexing with brackets.
    lengths = np.diff(starts, append=flat.size)
    painted = np.take(table, np.repeat(index, lengths), axis=0)
    return painted.reshape(*labels.shape, 3)


def _checked_key(key: Any) -> int:
    try:
        number = operator.index(key)
    except TypeError:
        number = -1
    if not 0 <= number <= _LARGEST:
        raise CoordinateError(f"colours are given by region id or label, not by {key!r}.")
    return number


def _checked_rgb(rgb: Any) -> npt.NDArray[np.uint8]:
    try:
        values = np.asarray(rgb)
    except ValueError:
        values = np.zeros(0)
    if (
        values.shape != (3,)
        or values.dtype.kind not in "iu"
        or not np.all((values >= 0) & (values < 256))
    ):
        raise CoordinateError(f"a colour is three whole numbers from 0 to 255, not {rgb!r}.")
    return values.astype(np.uint8)
