"""Cells to count in the practice brain: places of labelled cells, as a detection gives them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_grid import EXTENT_UM

PRACTICE_CELLS = 20_000
# Where cells are dense: share of all, centre (AP, DV, ML) and spread in mm. The left side, from
# 5.7 mm on, has more of them.
_CLUSTERS = (
    (0.16, (5.3, 4.15, 8.1), (1.0, 0.8, 0.6)),
    (0.07, (5.0, 4.2, 3.4), (0.9, 0.7, 0.5)),
    (0.12, (7.0, 4.3, 6.9), (0.7, 0.6, 0.8)),
    (0.07, (7.0, 4.3, 4.6), (0.7, 0.6, 0.8)),
    (0.10, (7.6, 3.1, 6.9), (0.6, 0.3, 0.5)),
    (0.08, (6.5, 6.2, 5.7), (0.9, 0.6, 0.7)),
    (0.13, (11.2, 3.0, 5.7), (0.8, 0.9, 1.6)),
    (0.07, (2.0, 3.75, 6.5), (0.8, 0.7, 0.5)),
)
_EVERYWHERE = (6.8, 4.2, 5.7), (2.6, 1.5, 2.2)


def practice_cells(n: int = PRACTICE_CELLS, seed: int = 0) -> npt.NDArray[np.float64]:
    """Return places of cells in the practice brain's volume, some of them beside the brain.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of the random numbers: the same seed gives the same cells.

    Returns
    -------
    (n, 3) float64 ndarray
        (AP, DV, ML) in um from the corner of the volume.
    """
    rng = np.random.default_rng(seed)
    shares = np.array([share for share, _, _ in _CLUSTERS])
    centers = np.array([center for _, center, _ in _CLUSTERS] + [_EVERYWHERE[0]])
    spreads = np.array([spread for _, _, spread in _CLUSTERS] + [_EVERYWHERE[1]])
    cells = np.zeros((0, 3))
    while len(cells) < n:
        kinds = rng.choice(len(centers), n, p=[*shares, 1 - shares.sum()])
        drawn = 1000 * rng.normal(centers[kinds], spreads[kinds])
        inside = ((drawn >= 0) & (drawn < EXTENT_UM)).all(axis=1)
        cells = np.concatenate([cells, drawn[inside]])
    return cells[:n]
