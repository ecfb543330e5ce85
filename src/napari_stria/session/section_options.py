"""How a section dataset is shown."""

from __future__ import annotations

from dataclasses import dataclass

from napari_stria.core.section import SectionDataset
from napari_stria.registration.chain import FLIPPED_SPACE, Placement, Refinements
from napari_stria.registration.stack import SectionStack, section_stack


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

    def mirrors(self, dataset: SectionDataset) -> bool:
        """Tell whether a dataset is shown mirrored."""
        return self.mirrored and dataset.reference_space_id == FLIPPED_SPACE

    def stack_of(
        self, dataset: SectionDataset, space: str, refinements: Refinements | None = None
    ) -> SectionStack:
        """Return a dataset's sections as they lie in an atlas whose axes start as `space` says.

        Raises
        ------
        CoordinateError
            If they cannot lie there; see `section_stack`.
        """
        return section_stack(
            dataset,
            space,
            placement=self.placement,
            mirrored=self.mirrors(dataset),
            refinements=refinements,
        )
