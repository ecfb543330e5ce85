"""The values of a registration, for those who show them; see `napari_stria.core.section_state`."""

from napari_stria.core.refinements import (
    FieldRefinement,
    MarkerRefinement,
    Refinement,
    SplineRefinement,
    refinement_map,
)
from napari_stria.core.section_landmarks import Landmarks
from napari_stria.core.section_state import (
    FIT_KINDS,
    AllenSource,
    FitKind,
    Record,
    SectionEntry,
    SectionState,
    checked_pixel_size,
)

__all__ = [
    "FIT_KINDS",
    "AllenSource",
    "FieldRefinement",
    "FitKind",
    "Landmarks",
    "MarkerRefinement",
    "Record",
    "Refinement",
    "SectionEntry",
    "SectionState",
    "SplineRefinement",
    "checked_pixel_size",
    "refinement_map",
]
