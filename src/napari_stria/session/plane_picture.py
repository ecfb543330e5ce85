"""What is asked of a plane through an atlas, and the picture that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.core.transforms import CoordinateTransform

# What `region_ids` gives where the ontology lacks a voxel's label.
UNLISTED = -1


@dataclass(frozen=True)
class PlaneRequest:
    """A picture of a plane.

    Attributes
    ----------
    plane_to_atlas : CoordinateTransform
        Maps (x, y) um in the plane to atlas um (AP, DV, ML); x goes right, y down.
    pixel_um : float
        Side of a pixel.
    shape : (rows, columns)
        Of the picture.
    center_xy_um : (x, y)
        The middle of the picture, in the plane.
    """

    plane_to_atlas: CoordinateTransform
    pixel_um: float
    shape: tuple[int, int]
    center_xy_um: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class PlanePicture:
    """An answer to a request, as good as it is known.

    Attributes
    ----------
    request : PlaneRequest
        What it answers.
    labels : (rows, columns) ndarray of uint16 (uint32 with more than 65,534 regions)
        Display indices as the atlas layer has them (`LabelLookup.to_index`), so that the same
        colour table shows them: 0 is background, p + 1 the region at pre-order position p.
    template : (rows, columns) float32 ndarray or None
        The reference image, linear between voxels; None where the atlas has none.
    is_final : bool
        Whether all of it comes from the level that fits the pixels (or the memory for chunks).
    resolution_um : float
        Voxel size of the coarsest level that may be seen in `labels`.
    """

    request: PlaneRequest
    labels: npt.NDArray[Any]
    template: npt.NDArray[np.float32] | None
    is_final: bool
    resolution_um: float

    @property
    def pixel_um(self) -> float:
        """Side of a pixel."""
        return self.request.pixel_um

    @property
    def center_xy_um(self) -> tuple[float, float]:
        """The middle of the picture, in the plane."""
        return self.request.center_xy_um

    @property
    def first_center_xy_um(self) -> tuple[float, float]:
        """The centre of pixel (row 0, column 0) in the plane: (x, y) of a layer's ``translate``."""
        (x, y), (rows, columns) = self.center_xy_um, self.labels.shape
        return x - (columns - 1) / 2 * self.pixel_um, y - (rows - 1) / 2 * self.pixel_um

    def region_ids(self, ontology: Ontology) -> npt.NDArray[np.int64]:
        """Return the regions' ids, (rows, columns).

        Parameters
        ----------
        ontology : Ontology
            The atlas's.

        Returns
        -------
        (rows, columns) int64 ndarray
            0 in the background and outside; `UNLISTED` for labels that the ontology lacks.
        """
        table = np.concatenate([[0], ontology.ids, [UNLISTED]]).astype(np.int64)
        ids: npt.NDArray[np.int64] = table[self.labels]
        return ids
