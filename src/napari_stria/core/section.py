"""Sections of a brain and the dataset they belong to: values, without any image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

SectionPlane = Literal["coronal", "sagittal"]
View = Literal["image", "expression"]


@dataclass(frozen=True, eq=False, repr=False)
class Section:
    """One section image of an Allen dataset and where it lies.

    Attributes
    ----------
    image_id : int
        SectionImage id.
    section_number : int
        Index of the physical section within the specimen.
    width, height : int
        Size of the section's box in full-resolution pixels.
    coordinate_um : float
        Where pixel (0, 0) lies along the dataset's axis: p of a coronal, r of a sagittal section.
        This is the plane that an axis-parallel placement assumes.
    section_to_pir : Affine
        Full-resolution pixels (x, y), counted from the box's corner, to p, i, r in um.
    pir_to_section : Affine
        p, i, r in um to x, y and section_number * section_thickness in um, which need not be this
        section's own.
    slide_x, slide_y : int
        Where the box lies in the slide's image, in full-resolution pixels.
    pixel_size_um : float
        Size of a pixel as scanned; in the reference space it differs by some percent, see
        `reference_pixel_um`.
    tier_count : int
        Tiers of the image; tier k is reduced by ``2 ** k``.
    has_expression : bool
        Whether there is an expression view.
    """

    image_id: int
    section_number: int
    width: int
    height: int
    coordinate_um: float
    section_to_pir: Affine
    pir_to_section: Affine
    slide_x: int = 0
    slide_y: int = 0
    pixel_size_um: float = 1.0
    tier_count: int = 7
    has_expression: bool = False

    @cached_property
    def reference_pixel_um(self) -> float:
        """Mean edge of a full-resolution pixel in the reference space, in um."""
        edges = np.linalg.norm(self.section_to_pir.linear, axis=0)
        return float(math.sqrt(edges[0] * edges[1]))

    def tier_shape(self, tier: int) -> tuple[int, int]:
        """Return (height, width) of a tier."""
        return math.ceil(self.height / 2**tier), math.ceil(self.width / 2**tier)

    def tier_for(self, resolution_um: float) -> int:
        """Return the coarsest tier whose pixels are not larger than the resolution.

        Raises
        ------
        CoordinateError
            If the resolution is not a positive number.
        """
        if not (math.isfinite(resolution_um) and resolution_um > 0):
            raise CoordinateError(f"the resolution must be a number of um > 0: {resolution_um!r}.")
        # A relative 1e-9, so that rounding never costs a tier.
        tier = math.floor(math.log2(resolution_um / self.reference_pixel_um) + 1e-9)
        return min(max(tier, 0), self.tier_count - 1)

    def __repr__(self) -> str:
        size = f"{self.width} x {self.height} px"
        return f"<Section {self.section_number}, image {self.image_id}, {size}>"


@dataclass(frozen=True)
class SkippedSection:
    """A section that cannot be used, and why."""

    image_id: int
    section_number: int | None
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class SectionDataset:
    """A series of sections of one brain; metadata only.

    Attributes
    ----------
    id : int
        SectionDataSet id.
    plane : {"coronal", "sagittal"}
    section_thickness_um : float
        Distance between consecutive section numbers.
    reference_space_id : int
        9: adult mouse; 10: the same with left and right exchanged.
    sections : tuple of Section
        By ascending section number.
    skipped : tuple of SkippedSection
        What the dataset lists beside them.
    genes : tuple of str
        Acronyms.
    failed : bool
        Whether the institute marked the whole dataset as failed.
    metadata : mapping
        ``age``, ``products``, ``treatments``, ``specimen`` and the like, where known.
    """

    id: int
    plane: SectionPlane
    section_thickness_um: float
    reference_space_id: int
    sections: tuple[Section, ...]
    skipped: tuple[SkippedSection, ...] = ()
    genes: tuple[str, ...] = ()
    failed: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sections)

    @property
    def spacing_um(self) -> float:
        """Usual distance between neighbours (the median), in um along the stack."""
        numbers = [s.section_number for s in self.sections]
        steps = np.diff(numbers)
        return float(np.median(steps) if len(steps) else 1.0) * self.section_thickness_um

    def section(self, image_id: int) -> Section:
        """Return the section of an image.

        Raises
        ------
        CoordinateError
            If the dataset has no such section.
        """
        for section in self.sections:
            if section.image_id == image_id:
                return section
        raise CoordinateError(f"dataset {self.id} has no section image {image_id}.")

    def __repr__(self) -> str:
        genes = f", {'/'.join(self.genes)}" if self.genes else ""
        return f"<SectionDataset {self.id}{genes}, {self.plane}, {len(self)} sections>"
