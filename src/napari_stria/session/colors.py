"""The colour table that shows a selection: one row a display index, no voxel touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import UNLISTED_RGB, cyclic_table
from napari_stria.core.parcellated import parcel_labels
from napari_stria.core.parcellation import Parcellation

Palette = Literal["atlas", "tab20"]
PALETTES: tuple[Palette, ...] = get_args(Palette)
DIMMED_ALPHA = 0.25
# What a region in no parcel is shown in, unless it is selected.
NO_PARCEL_RGB, NO_PARCEL_ALPHA = (128, 128, 128), 0.4
_TAB_COLORS = 20


def resolve_color_table(
    ontology: Ontology,
    selected: Iterable[int],
    hidden: npt.NDArray[np.bool_],
    palette: Palette = "atlas",
    *,
    parcellation: Parcellation | None = None,
    parcel: int | None = None,
    value_rgba: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the colours of the display indices of `LabelLookup.to_index`.

    Parameters
    ----------
    ontology : Ontology
        N regions.
    selected : iterable of int
        Pre-order positions; they and their descendants stand out and the rest is dimmed. Empty:
        nothing is dimmed.
    hidden : (N,) bool ndarray
        Regions whose own voxels are not shown.
    palette : str
        ``atlas`` for the ontology's own colours; ``tab20`` for matplotlib's table of that name,
        resampled to 512 colours and taken by label modulo 512.
    parcellation : Parcellation, optional
        Regions have the colours of their parcels; those in none are grey.
    parcel : int, optional
        The parcel that stands out, in place of `selected`.
    value_rgba : (N, 4) float32 ndarray, optional
        Colours of the regions in place of their own or their parcels'; labels that the ontology
        lacks are grey then.

    Returns
    -------
    (N + 2, 4) float32 ndarray
        RGBA from 0 to 1. Row 0 is background, row N + 1 the labels that the ontology lacks.
    """
    n = len(ontology)
    table = np.zeros((n + 2, 4), dtype=np.float32)
    alpha = np.ones(n, dtype=np.float32)
    if value_rgba is not None:
        table[1 : n + 1, :3], alpha = value_rgba[:, :3], value_rgba[:, 3].copy()
        table[n + 1, :3], table[n + 1, 3] = _unit_rgb(NO_PARCEL_RGB), NO_PARCEL_ALPHA
    else:
        table[1 : n + 1, :3] = region_rgb(ontology, palette, parcellation)
        table[n + 1, :3], table[n + 1, 3] = _unit_rgb(UNLISTED_RGB), 1.0
        if parcellation is not None:
            alpha[parcellation.members < 0] = NO_PARCEL_ALPHA
    chosen = np.zeros(n, dtype=bool)
    if parcellation is not None and parcel is not None:
        chosen = parcellation.members == parcel
    else:
        for position in selected:
            chosen[position : ontology.subtree_ends[position]] = True
    if chosen.any():
        alpha[chosen] = 1.0
        alpha[~chosen] *= DIMMED_ALPHA
    alpha[hidden] = 0.0
    table[1 : n + 1, 3] = alpha
    return table


def region_rgb(
    ontology: Ontology, palette: Palette, parcellation: Parcellation | None = None
) -> npt.NDArray[np.float32]:
    """Return the regions' colours in pre-order, (N, 3) float32 from 0 to 1.

    With a parcellation these are the parcels' colours: in ``tab20`` by the label of a parcel modulo
    18, without the two greys of that table, which would look like no parcel.
    """
    if parcellation is not None:
        # Position -1, of regions in no parcel, takes the last one.
        grey = _unit_rgb(NO_PARCEL_RGB)[None]
        colors = np.concatenate([_parcel_rgb(ontology, palette, parcellation), grey])
        return colors[parcellation.members]
    if palette == "atlas":
        return _unit_rgb(ontology.rgb)
    table = cyclic_table(palette)
    return table[ontology.annotation_values % len(table), :3].astype(np.float32)


def _parcel_rgb(
    ontology: Ontology, palette: Palette, parcellation: Parcellation
) -> npt.NDArray[np.float32]:
    if palette == "atlas":
        return _unit_rgb(parcellation.rgb)
    table = cyclic_table(palette, _TAB_COLORS)[:, :3]
    colored: npt.NDArray[np.float32] = table[np.ptp(table, axis=1) > 0].astype(np.float32)
    return colored[parcel_labels(parcellation, ontology) % len(colored)]


def _unit_rgb(rgb: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(rgb, dtype=np.float32) / np.float32(255)
