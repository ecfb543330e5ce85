"""Labels of a volume that the ontology lacks: what they are called in tables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology

UNLISTED = "unlisted"
# No atlas has labels this large.
_FAR = 1 << 62


def unlisted_ids(labels: npt.NDArray[np.int64], ontology: Ontology) -> npt.NDArray[np.int64]:
    """Return what stands for labels as an id: the label, minus the label where it is a region's.

    An id depends on its label alone, not on which others there are, so that tables fit together.
    Where the volume may hold that negative number as well, one of both is moved far away.

    Parameters
    ----------
    labels : (N,) int64 ndarray
        Those that the ontology lacks; 0 stays 0, and what others become has no meaning.
    ontology : Ontology
    """
    is_id = np.isin(labels, ontology.ids)
    ids = np.where(is_id, -labels, labels)
    # Ids that are no region's value: labels that are called so are unlisted and become negative.
    turned = ontology.ids[~np.isin(ontology.ids, ontology.annotation_values)]
    if len(turned) == 0:
        return ids
    is_taken = np.isin(ids, ontology.ids) | (~is_id & np.isin(-labels, turned))
    return np.where(is_taken & (labels != 0), ids - _FAR, ids)


def unlisted_names(labels: npt.NDArray[np.int64]) -> list[str]:
    """Return the names of labels that the ontology lacks."""
    return [f"label {label}, which the ontology lacks" for label in labels.tolist()]
