"""Texture of the practice sections: noise that looks the same at all tiers of a pyramid."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

# Standard deviation that each tier adds to the next coarser one, relative to the brightness.
_AMOUNTS = (0.032, 0.04, 0.042, 0.036, 0.026, 0.016, 0.012)
_TILE = 512


@cache
def _tile(tier: int) -> F32:
    """Return noise whose 2 x 2 blocks average to 0, so that the next tier knows nothing of it."""
    noise = np.random.default_rng([71, tier]).standard_normal((_TILE, _TILE), dtype=np.float32)
    blocks = noise.reshape(_TILE // 2, 2, _TILE // 2, 2)
    blocks -= blocks.mean(axis=(1, 3), keepdims=True)
    tile = blocks.reshape(_TILE, _TILE)
    return np.asarray(tile * np.float32(_AMOUNTS[tier] / tile.std()))


def texture(seed: int, tier: int, row: int, column: int, shape: tuple[int, int]) -> F32:
    """Return relative noise, mean 0, for a part of a section.

    Parameters
    ----------
    seed : int
        The section; each looks different.
    tier : int
        Level of the pyramid. It has the noise of this tier and all coarser ones, and so is about
        the box average of the finer tiers.
    row, column : int
        First pixel, in pixels of the tier from the corner of the section's box.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    (rows, columns) float32 ndarray
    """
    if tier >= len(_AMOUNTS):
        return np.zeros(shape, dtype=np.float32)
    rows, columns = shape
    top, left = (row - 1) // 2, (column - 1) // 2
    below, right = (row + rows) // 2 + 1, (column + columns) // 2 + 1
    coarse = texture(seed, tier + 1, top, left, (below - top, right - left))
    size = (2 * (right - left), 2 * (below - top))
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    first, start = row - 2 * top, column - 2 * left
    fine = fine[first : first + rows, start : start + columns]
    # Even shifts: blocks of 2 x 2 pixels stay blocks.
    down, aside = 2 * (seed * 97 % 251), 2 * (seed * 61 % 241)
    picked = _tile(tier)[(np.arange(row, row + rows) + down) % _TILE]
    return fine + picked[:, (np.arange(column, column + columns) + aside) % _TILE]
