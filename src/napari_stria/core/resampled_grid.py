"""Which voxels of a grid lie under the voxels of another that begins at the same corner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_stria.core.space import AXIS_LABELS, Triple
from napari_stria.errors import CoordinateError

Index = npt.NDArray[np.int64]
Ratios = tuple[Fraction, Fraction, Fraction]
# Marks a voxel that no source voxel is taken for: it is background.
NOTHING = -1
# Sizes are taken to a millionth of a um.
_LARGEST_DENOMINATOR = 10**6
# Float64 holds whole numbers up to here; products of three lengths of this much lie below.
_LARGEST_VOLUME = 1 << 53
_LARGEST_LENGTH = 1 << 17
_MOST_VOXELS = 1 << 20


def size_ratios(source_um: Triple, target_um: Triple) -> Ratios:
    """Return the target's voxel size in source voxels along each axis, as exact fractions.

    Raises
    ------
    CoordinateError
        If a target voxel is a hundred thousand source voxels long, or more.
    """
    a, d, m = (_ratio(s, t) for s, t in zip(source_um, target_um, strict=True))
    return a, d, m


def _ratio(source_um: float, target_um: float) -> Fraction:
    ratio = _fraction(target_um) / _fraction(source_um)
    if ratio >= 100_000:
        raise CoordinateError(
            f"voxels of {target_um:g} um are too large for a volume whose voxels are "
            f"{source_um:g} um; choose a smaller size."
        )
    return ratio


def countable_ratios(ratios: Ratios) -> Ratios:
    """Return ratios whose voxels have volumes that float64 adds up exactly.

    In units of which a source voxel has the product of the denominators. They are the same ratios
    for all sizes with few decimals, else the nearest that are simple enough.
    """
    if math.prod(r.numerator for r in ratios) < _LARGEST_VOLUME:
        return ratios
    a, d, m = (r.limit_denominator(int(_LARGEST_LENGTH / max(r, Fraction(1)))) for r in ratios)
    return a, d, m


def _fraction(size_um: float) -> Fraction:
    return Fraction(size_um).limit_denominator(_LARGEST_DENOMINATOR) or Fraction(size_um)


def centred_shape(shape: tuple[int, int, int], ratios: Ratios) -> tuple[int, int, int]:
    """Return how many target voxels have their centre inside a volume.

    Raises
    ------
    CoordinateError
        If there is none, or there are more than 2^20 along an axis.
    """
    # (j + 1/2) ratio < n, in whole numbers.
    sizes = [
        -(-(2 * n * r.denominator - r.numerator) // (2 * r.numerator))
        for n, r in zip(shape, ratios, strict=True)
    ]
    return _checked_shape(sizes)


def pinned_shape(
    shape: tuple[int, int, int], source_um: Triple, target_um: Triple
) -> tuple[int, int, int]:
    """Return the shape that ``scipy.ndimage.zoom`` gives for AllenSDK's factors.

    Raises
    ------
    CoordinateError
        If it is empty, or larger than 2^20 along an axis.
    """
    pairs = zip(shape, source_um, target_um, strict=True)
    # As scipy rounds: half to even.
    return _checked_shape([round(n * float(s / t)) for n, s, t in pairs])


def _checked_shape(sizes: list[int]) -> tuple[int, int, int]:
    for size, axis in zip(sizes, AXIS_LABELS, strict=True):
        if size < 1:
            raise CoordinateError(
                f"the resolution asked leaves no voxel along {axis}; choose a finer one."
            )
        if size > _MOST_VOXELS:
            raise CoordinateError(
                f"the resolution asked makes {size} voxels along {axis}; choose a coarser one."
            )
    a, d, m = sizes
    return a, d, m


def centred_index(size: int, ratio: Fraction) -> Index:
    """Return the source voxel that holds the centre of each of `size` target voxels.

    A centre on a border belongs to the voxel that begins there.
    """
    doubled = 2 * np.arange(size, dtype=np.int64) + 1
    return doubled * ratio.numerator // (2 * ratio.denominator)


def pinned_index(n: int, size: int) -> Index:
    """Return the voxel of n that ``scipy.ndimage.zoom(order=0)`` takes for each of `size`.

    The first and the last voxel are taken for the first and the last. Where rounding carries the
    last coordinate past the end, scipy gives 0: `NOTHING` here.
    """
    numbered = np.arange(1, n + 1, dtype=np.int64)
    # scipy resizes each axis by itself, so that one numbered axis tells what it takes. A factor
    # of 1 is left out, as recent versions of scipy do themselves.
    zoomed = numbered if size == n else ndimage.zoom(numbered, _factor(n, size), order=0)
    index: Index = zoomed.astype(np.int64) - 1
    return index


def _factor(n: int, size: int) -> float:
    """Return a factor for which scipy makes `size` voxels of n; it uses the two numbers alone."""
    return size / n


@dataclass(frozen=True, eq=False)
class AxisWindows:
    """Which source voxels each target voxel of an axis covers, and how much of each.

    Attributes
    ----------
    start, stop : (J,) int64 ndarray
        First voxel that the target voxel covers, and the one after the last.
    centre : (J,) int64 ndarray
        The voxel that holds its centre.
    ratio : Fraction
        Length of a target voxel in source voxels.
    first : int
        Number of the first target voxel.
    """

    start: Index
    stop: Index
    centre: Index
    ratio: Fraction
    first: int

    def lengths(self, j: int) -> Index:
        """Return how much of each voxel in ``start[j]:stop[j]`` target voxel j covers.

        In units of which a source voxel has ``ratio.denominator``.
        """
        unit, length = self.ratio.denominator, self.ratio.numerator
        number = self.first + j
        low = np.arange(self.start[j], self.stop[j], dtype=np.int64) * unit
        lengths: Index = np.minimum(low + unit, (number + 1) * length)
        lengths -= np.maximum(low, number * length)
        return lengths


def axis_windows(n: int, ratio: Fraction, first: int, last: int) -> AxisWindows:
    """Return what target voxels ``first:last`` cover of an axis of n source voxels."""
    numbers = np.arange(first, last, dtype=np.int64)
    length, unit = ratio.numerator, ratio.denominator
    return AxisWindows(
        start=numbers * length // unit,
        stop=np.minimum(-(-(numbers + 1) * length // unit), n),
        centre=centred_index(last, ratio)[first:],
        ratio=ratio,
        first=first,
    )


def block_shape(
    source_blocks: tuple[int, ...], ratios: Ratios, shape: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Return the block shape in which a resampled volume is read.

    One block lies over one source block where these are a whole number of target voxels long,
    else over about two along each axis: less than that, and each source block would be read for
    two target blocks along each axis.
    """
    sizes = []
    for blocks, ratio, n in zip(source_blocks, ratios, shape, strict=True):
        span = Fraction(blocks) / ratio
        size = int(span) if span.denominator == 1 else math.floor(2 * span)
        sizes.append(min(max(1, size), max(blocks, 1), n))
    a, d, m = sizes
    return a, d, m
