"""Colour tables that are taken by label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# What a label that the ontology lacks is shown in.
UNLISTED_RGB = (255, 0, 255)


def cyclic_table(name: str = "tab20", n: int = 512) -> npt.NDArray[np.float64]:
    """Return a matplotlib colour map resampled to n colours, to be taken by label modulo n.

    Returns
    -------
    (n, 4) float64 ndarray
        RGBA from 0 to 1.
    """
    from matplotlib import colormaps

    table: npt.NDArray[np.float64] = colormaps[name].resampled(n)(np.arange(n))
    return table
