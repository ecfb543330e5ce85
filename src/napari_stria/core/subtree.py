"""Sums of regions with all that is below them in the hierarchy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology


def with_descendants(direct: npt.NDArray[Any], ontology: Ontology) -> npt.NDArray[Any]:
    """Add what is below every region to it.

    Parameters
    ----------
    direct : (N, ...) ndarray
        Values of the regions alone, in pre-order.
    ontology : Ontology
        N regions.

    Returns
    -------
    (N, ...) ndarray
        Whole numbers are exact. Of others each sum is made of its own terms alone, so that a branch
        with nothing in it is 0 and not what is left of a difference.
    """
    total = direct.copy()
    for depth in range(int(ontology.depths.max()), 0, -1):
        at = np.flatnonzero(ontology.depths == depth)
        np.add.at(total, ontology.parents[at], total[at])
    return total
