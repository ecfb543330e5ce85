"""The colour table that shows a selection: one row a display index, no voxel touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import UNLISTED_RGB, cyclic_table

Palette = Literal["atlas", "tab20"]
PALETTES: tuple[Palette, ...] = get_args(Palette)
DIMMED_ALPHA = 0.25


def resolve_color_table(
    ontology: Ontology,
    selected: Iterable[int],
    hidden: npt.NDArray[np.bool_],
    palette: Palette = "atlas",
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

    Returns
    -------
    (N + 2, 4) float32 ndarray
        RGBA from 0 to 1. Row 0 is background, row N + 1 the labels that the ontology lacks.
    """
    n = len(ontology)
    table = np.zeros((n + 2, 4), dtype=np.float32)
    table[1 : n + 1, :3] = region_rgb(ontology, palette)
    table[n + 1, :3] = np.array(UNLISTED_RGB, dtype=np.float32) / 255
    chosen = np.zeros(n, dtype=bool)
    for position in selected:
        chosen[position : ontology.subtree_ends[position]] = True
    table[1 : n + 1, 3] = np.where(chosen | ~chosen.any(), 1.0, DIMMED_ALPHA)
    table[n + 1, 3] = 1.0
    table[1 : n + 1, 3][hidden] = 0.0
    return table


def region_rgb(ontology: Ontology, palette: Palette) -> npt.NDArray[np.float32]:
    """Return the regions' colours in pre-order, (N, 3) float32 from 0 to 1."""
    if palette == "atlas":
        return ontology.rgb.astype(np.float32) / np.float32(255)
    colors = cyclic_table(palette)
    return colors[ontology.annotation_values % len(colors), :3].astype(np.float32)
