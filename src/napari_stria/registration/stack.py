"""A dataset's sections as a stack in an atlas: which section shows a point, and where in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_stria.core.allen_alignment import FIXED_AXIS
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.transforms import F64, Affine, CoordinateTransform
from napari_stria.errors import CoordinateError
from napari_stria.registration.chain import (
    Placement,
    Refinements,
    check_mirrored,
    check_placement,
    check_refinements,
    pir_to_atlas,
    raw_pixels,
)

# Rounding of stored alignments: a plane that lies exactly half-way belongs to somebody.
_SLACK_UM = 1e-6


@dataclass(frozen=True, eq=False)
class SectionStack:
    """Sections in the order in which they lie in an atlas.

    Attributes
    ----------
    axis : int
        Axis of the atlas (AP 0, DV 1, ML 2) along which the sections are stacked.
    sections : tuple of Section
        By ascending position.
    positions_um : (N,) float64 ndarray
        Along the sections' normal (exact) or along the axis (parallel).
    reach_um : float
        Half the usual distance between neighbours; farther off nothing is shown.
    atlas_to_position : Affine
        Atlas um (AP, DV, ML) to the position of a point, 3 -> 1.
    atlas_to_pixels : tuple of Affine
        For each section: atlas um to its full-resolution pixels (x, y), 3 -> 2.
    bridges_gaps : bool
        Whether a point between two sections is shown however far these are (parallel).
    hidden : frozenset of int
        Image ids that are not shown.
    refined_to_raw : mapping
        By image id, of the sections that are refined: from the pixels that `atlas_to_pixels` gives
        to those that show the point.
    """

    axis: int
    sections: tuple[Section, ...]
    positions_um: F64
    reach_um: float
    atlas_to_position: Affine
    atlas_to_pixels: tuple[Affine, ...]
    bridges_gaps: bool
    hidden: frozenset[int] = frozenset()
    refined_to_raw: Mapping[int, CoordinateTransform] = field(default_factory=dict)

    def nearest(self, positions_um: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the index of the section that shows each position, -1 for none."""
        points = np.asarray(positions_um, dtype=np.float64)
        places = self.positions_um
        right = np.clip(np.searchsorted(places, points), 1, max(len(places) - 1, 1))
        right = np.minimum(right, len(places) - 1)
        left = np.maximum(right - 1, 0)
        nearer_left = points - places[left] <= places[right] - points
        index = np.where(nearer_left, left, right)
        reach = self.reach_um + _SLACK_UM
        if self.bridges_gaps:
            shown = (points >= places[0] - reach) & (points <= places[-1] + reach)
        else:
            shown = np.abs(points - places[index]) <= reach
        if self.hidden:
            visible = np.array([s.image_id not in self.hidden for s in self.sections])
            shown &= visible[index]
        return np.where(shown, index, -1)

    def index_of(self, image_id: int) -> int:
        """Return the place of an image in the stack; ValueError if it is not there."""
        return [s.image_id for s in self.sections].index(image_id)

    def hiding(self, image_ids: Collection[int]) -> SectionStack:
        """Return the stack with these images hidden, and no others."""
        return replace(self, hidden=frozenset(image_ids))


def section_stack(
    dataset: SectionDataset,
    space: str,
    *,
    placement: Placement = "exact",
    mirrored: bool = False,
    refinements: Refinements | None = None,
) -> SectionStack:
    """Return a dataset's sections as a stack in an atlas.

    Parameters
    ----------
    dataset : SectionDataset
        With at least one section.
    space : str
        Where the atlas's axes start.
    placement : {"exact", "parallel"}
        *exact*: a point is shown by the section nearest along the sections' normal, unless it is
        farther off than half their usual distance. *parallel*: by the one whose `coordinate_um` is
        nearest along the axis.
    mirrored : bool
        See `pir_to_atlas`.
    refinements : mapping of int to CoordinateTransform, optional
        By image id: a section's pixels (x, y) to those that its alignment takes for them.

    Raises
    ------
    CoordinateError
        For a dataset without sections, an unknown space or placement, or a refinement of an image
        that is not in it.
    ReferenceSpaceError
        If a dataset of another space than 10 shall be mirrored.
    """
    check_placement(placement)
    check_mirrored(dataset, mirrored)
    check_refinements(dataset, refinements or {})
    if not dataset.sections:
        raise CoordinateError(f"dataset {dataset.id} has no section that could be placed.")
    atlas_to_pir = pir_to_atlas(space, mirrored=mirrored).inverse
    axis = FIXED_AXIS[dataset.plane]
    if placement == "exact":
        places = [s.section_number * dataset.section_thickness_um for s in dataset.sections]
        to_pixels = [Affine(s.pir_to_section.matrix[:2]) for s in dataset.sections]
        # The alignment of the volume is the same for all sections.
        to_position = Affine(dataset.sections[0].pir_to_section.matrix[2:])
    else:
        places = [s.coordinate_um for s in dataset.sections]
        to_pixels = [_held_fixed(s, axis) for s in dataset.sections]
        to_position = Affine(np.eye(3, 4)[axis : axis + 1])
    order = np.argsort(places, kind="stable")
    positions = np.asarray(places, dtype=np.float64)[order]
    steps = np.diff(positions)
    steps = steps[steps > 0]
    spacing = float(np.median(steps)) if len(steps) else dataset.section_thickness_um
    return SectionStack(
        axis=axis,
        sections=tuple(dataset.sections[i] for i in order),
        positions_um=positions,
        reach_um=spacing / 2,
        atlas_to_position=to_position @ atlas_to_pir,
        atlas_to_pixels=tuple(to_pixels[i] @ atlas_to_pir for i in order),
        bridges_gaps=placement == "parallel",
        refined_to_raw={
            image_id: raw_pixels(dataset.section(image_id), refinement)
            for image_id, refinement in (refinements or {}).items()
        },
    )


def _held_fixed(section: Section, axis: int) -> Affine:
    """Return pir -> pixels with one coordinate held at the section's own."""
    matrix = np.array(section.pir_to_section.matrix[:2])
    matrix[:, 3] += matrix[:, axis] * section.coordinate_um
    matrix[:, axis] = 0.0
    return Affine(matrix)
