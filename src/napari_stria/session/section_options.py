"""How a section dataset is shown."""

from __future__ import annotations

from dataclasses import dataclass

from napari_stria.registration.chain import Placement


@dataclass(frozen=True)
class SectionOptions:
    """How a dataset is shown.

    Attributes
    ----------
    resolution_um : float
        Distance of the planes; within a plane the images' own pixels are reached by zooming.
    expression : bool
        Show the expression pictures as a second layer.
    placement : {"exact", "parallel"}
        See `aligned_stack`.
    mirrored : bool
        Exchange left and right; applies to reference space 10 only.
    """

    resolution_um: float = 25.0
    expression: bool = False
    placement: Placement = "exact"
    mirrored: bool = False
