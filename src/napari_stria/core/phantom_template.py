"""The reference image of the practice brain: tissue brightness, texture and shading."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_stria.core.phantom import Labels, practice_annotation
from napari_stria.core.phantom_grid import F32, LEVELS_UM, axis_mm, grid_shape, slabs
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.errors import CoordinateError

# -- template: brightness by the nearest listed ancestor ------------------------------------------
_BRIGHTNESS = {
    "root": 110, "grey": 160, "Isocortex": 215, "RSP": 230, "OLF": 240, "MOB": 255, "HPF": 190,
    "DG": 150, "CNU": 175, "PAL": 135, "CTXsp": 205, "TH": 150, "HY": 195, "MB": 165, "HB": 140,
    "CB": 245, "CBN": 150, "fiber tracts": 85, "VS": 30,
}  # fmt: skip


def _base_intensity() -> dict[int, float]:
    """Return the brightness by id: that of the tissue, and a little of each region's own."""
    tissue: dict[int, float] = {}
    for region in PRACTICE_REGIONS:
        inherited = 0.0 if region.parent_id is None else tissue[region.parent_id]
        tissue[region.id] = float(_BRIGHTNESS.get(region.acronym, inherited))
    return {number: value + (number * 7919) % 23 - 11 for number, value in tissue.items()}


def _region_intensity(labels: Labels) -> F32:
    base = _base_intensity()
    ids = np.array(sorted(base), dtype=np.uint32)
    values = np.array([0.0] + [base[int(number)] for number in ids], dtype=np.float32)
    position = np.searchsorted(ids, labels).astype(np.uint8)
    position += 1
    position[labels == 0] = 0
    return values[position]


def _block_mean(volume: npt.NDArray[np.generic], factor: int) -> F32:
    ap, dv, ml = (size // factor for size in volume.shape)
    blocks = volume.reshape(ap, factor, dv, factor, ml, factor)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))


def _texture(shape: tuple[int, int, int], seed: int) -> F32:
    """Return relative noise of three sizes (sigma 0.6, 0.2 and 0.075 mm), mean 0."""
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    # Filtering the widest noise at 200 um is some 50 times cheaper and looks the same.
    coarse = ndimage.gaussian_filter(_block_mean(noise, 4), 3.0)
    texture = ndimage.zoom(coarse, 4, order=1, grid_mode=True, mode="nearest")
    texture *= np.float32(0.09 / texture.std())
    for sigma, amount in ((4.0, 0.07), (1.5, 0.05)):
        grain = ndimage.gaussian_filter(noise, sigma, truncate=2.5)
        grain *= np.float32(amount / grain.std())
        texture += grain
    return texture


def practice_template(resolution_um: float = 50.0, *, seed: int = 20) -> npt.NDArray[np.uint16]:
    """Return a reference image of the practice brain: tissue brightness, texture and shading.

    Parameters
    ----------
    resolution_um : float
        One of `LEVELS_UM`. Coarser levels are block means of the 50 um one.
    seed : int
        Seed of the texture; the anatomy does not depend on it.

    Returns
    -------
    (AP, DV, ML) uint16 ndarray
        0 outside the brain; space ``asr``.

    Raises
    ------
    CoordinateError
        For another resolution.
    """
    if resolution_um not in LEVELS_UM:
        raise CoordinateError(
            f"the practice template exists at {LEVELS_UM} um, not at {resolution_um!r} um."
        )
    return practice_templates(seed=seed)[LEVELS_UM.index(resolution_um)]


def practice_templates(*, seed: int = 20) -> tuple[npt.NDArray[np.uint16], ...]:
    """Return `practice_template` at all of `LEVELS_UM`, computing the texture only once."""
    labels = practice_annotation(LEVELS_UM[0])
    image = ndimage.gaussian_filter(_region_intensity(labels), 0.7)
    image *= 1 + _texture(grid_shape(LEVELS_UM[0]), seed)
    (_, points), *_ = slabs(grid_shape(LEVELS_UM[0]), LEVELS_UM[0])
    ap = axis_mm(labels.shape[0], LEVELS_UM[0])[:, None, None]
    image *= 1.0 - 0.012 * (ap - 6.6)
    image *= 1.0 - 0.02 * (points.dv - 4.0) + 0.012 * points.lateral
    image[labels == 0] = 0
    finest = np.clip(np.rint(image), labels != 0, 65535).astype(np.uint16)
    factors = (round(level / LEVELS_UM[0]) for level in LEVELS_UM[1:])
    return finest, *(np.rint(_block_mean(finest, n)).astype(np.uint16) for n in factors)
