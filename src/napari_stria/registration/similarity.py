"""How much two pictures of one grid tell of each other, whatever their brightness stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
_BINS = 32


@dataclass(frozen=True, eq=False)
class BinnedValues:
    """Values as places between the bins of a histogram: a value counts for its two nearest.

    Attributes
    ----------
    low : (N,) intp ndarray
        The lower of the two bins.
    weight : (N,) float64 ndarray
        How much of the value the upper one gets, 0 to 1.
    n : int
        Number of bins.
    """

    low: npt.NDArray[np.intp]
    weight: F64
    n: int


def binned(
    values: npt.ArrayLike, n: int = _BINS, limits: tuple[float, float] | None = None
) -> BinnedValues:
    """Return values (N,) in n bins between two limits (least and greatest by default)."""
    array = np.asarray(values, dtype=np.float64).ravel()
    least, greatest = limits or (float(array.min()), float(array.max()))
    width = (greatest - least) or 1.0
    place = np.clip((array - least) * ((n - 1) / width), 0, n - 1)
    low = np.minimum(place.astype(np.intp), n - 2)
    return BinnedValues(low, place - low, n)


def joint_histogram(first: BinnedValues, second: BinnedValues) -> F64:
    """Return how often values of the two come together, (first.n, second.n), sum 1."""
    total = np.zeros(first.n * second.n)
    base = first.low * second.n + second.low
    for up, first_part in ((0, 1 - first.weight), (1, first.weight)):
        for right, second_part in ((0, 1 - second.weight), (1, second.weight)):
            at = base + (up * second.n + right)
            total += np.bincount(at, first_part * second_part, total.size)
    return (total / max(len(first.low), 1)).reshape(first.n, second.n)


def mutual_information(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the mutual information of two pictures' values in nats; 0 if one is constant."""
    joint = joint_histogram(binned(first), binned(second))
    return _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint)


def normalized_information(joint: F64) -> float:
    """Return the mutual information over the mean of the two entropies, 0 to 1.

    Parameters
    ----------
    joint : (n, m) float64 ndarray
        Of `joint_histogram`.
    """
    apart = _entropy(joint.sum(0)) + _entropy(joint.sum(1))
    return 2 * (1 - _entropy(joint) / apart) if apart > 0 else 0.0


def _entropy(probabilities: F64) -> float:
    some = probabilities[probabilities > 0]
    return float(-(some * np.log(some)).sum())
