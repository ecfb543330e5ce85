"""The practice datasets: which sections there are, where they lie, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from napari_stria.demo.section_geometry import (
    F64,
    box_centre,
    section_to_reference,
    section_to_volume,
    volume_to_reference,
)

PRACTICE_CORONAL = 990000001
"""Gad1, 60 coronal sections of 25 um, one every 200 um; tilted by 9 and 6 degrees."""
PRACTICE_SAGITTAL = 990000002
"""Pdyn, 23 sagittal sections of the left hemisphere, reference space 10; tilted by 2 degrees."""
PRACTICE_CORONAL_COARSE = 990000003
"""Gad1 once more, 12 coronal sections seen from the front: s grows with p, x with -r."""
PRACTICE_DEVELOPING = 990000011
"""Age P4, reference space 6: must not be shown on an adult atlas."""
PRACTICE_UNREGISTERED = 990000012
"""Has no alignment3d (the key is there and null)."""
PRACTICE_WITHOUT_PLANE = 990000013
"""plane_of_section_id is null; the sections are coronal and aligned."""
PRACTICE_TRANSVERSE = 990000014
"""plane_of_section_id 6; aligned, tilted by 2 degrees."""
PRACTICE_UNUSABLE = 990000015
"""Each of its sections has failed or has no alignment2d (the key is absent)."""
PRACTICE_FAILED = 990000016
"""The dataset as a whole has failed quality control."""

_PER_DATASET = 100_000
_FIRST_DATASET = 990_000_000
TIER_COUNT = 7


def image_id(dataset_id: int, index: int) -> int:
    """Return the id of a dataset's section: they count from its first, e.g. 990100001."""
    return _FIRST_DATASET + (dataset_id - _FIRST_DATASET) * _PER_DATASET + index + 1


PRACTICE_FAILED_IMAGE = image_id(PRACTICE_CORONAL, 21)
"""A section of the first coronal dataset with ``failed`` true."""
PRACTICE_UNALIGNED_IMAGE = image_id(PRACTICE_CORONAL, 40)
"""A section of the first coronal dataset without alignment2d."""
PRACTICE_BROKEN_IMAGE = image_id(PRACTICE_CORONAL_COARSE, 4)
"""Its downloads always answer 200 with an HTML page, as those of Allen's 101322758 do."""


@dataclass(frozen=True)
class SectionPlan:
    """One section: a box in a slide image, and where it lies.

    Attributes
    ----------
    id, number : int
        SectionImage id; index of the physical section in the specimen.
    x, y, width, height : int
        The section's box in its slide image, full-resolution pixels.
    slide : tuple of int
        Width and height of the slide image.
    failed, is_aligned : bool
        Whether its record says failed; whether it has an alignment2d record.
    tsv : (2, 3) float64 ndarray
        The section's place; images are rendered by it also where the record is missing.
    to_reference : (3, 3) float64 ndarray
        From (x, y, 1), pixels in the box, to (p, i, r) um.
    """

    id: int
    number: int
    x: int
    y: int
    width: int
    height: int
    slide: tuple[int, int]
    failed: bool
    is_aligned: bool
    tsv: F64
    to_reference: F64


@dataclass(frozen=True)
class DatasetPlan:
    """What a practice dataset is like; the defaults are those of a flawless coronal one.

    Attributes
    ----------
    id : int
    axes : str
        One of `napari_stria.demo.section_geometry.AXES`.
    numbers : range
        The section numbers.
    resolution_um, thickness_um : float
    box : tuple of int
        Width and height of a section in pixels; each section differs from it a little.
    centre_pir : tuple of float
        Where the middle section has its centre.
    tilts : tuple of float
        Degrees about p, i and r.
    turn_degrees : float
        How far sections are turned on their slides, at most.
    gene, age : str
    plane_id, space_id : int
        The record's plane (None: null) and reference space.
    failed, is_registered : bool
        Whether its record says failed; whether it has an alignment3d record.
    failed_at, unaligned_at : frozenset of int
        Which sections, counted from 0, are so.
    """

    id: int
    axes: str = "coronal"
    numbers: range = range(211, 331, 40)
    resolution_um: float = 1.63
    thickness_um: float = 25.0
    box: tuple[int, int] = (6600, 4400)
    centre_pir: tuple[float, float, float] = (6700.0, 3950.0, 5650.0)
    tilts: tuple[float, float, float] = (0.0, 0.6, 1.0)
    turn_degrees: float = 3.0
    gene: str = "Pvalb"
    age: str = "P56"
    plane_id: int | None = 1
    space_id: int = 9
    failed: bool = False
    is_registered: bool = True
    failed_at: frozenset[int] = frozenset()
    unaligned_at: frozenset[int] = frozenset()

    @property
    def tvr(self) -> F64:
        """From the volume's (X, Y, s) to (p, i, r), all um; (3, 4)."""
        middle = self.numbers[0] + (len(self.numbers) - 1) * self.numbers.step / 2
        centre = np.array(self.centre_pir)
        return volume_to_reference(self.axes, self.tilts, middle * self.thickness_um, centre)


PLANS: tuple[DatasetPlan, ...] = (
    DatasetPlan(
        PRACTICE_CORONAL,
        numbers=range(15, 495, 8),
        tilts=(0.0, 6.0, 9.0),
        gene="Gad1",
        failed_at=frozenset({21}),
        unaligned_at=frozenset({40}),
    ),
    DatasetPlan(
        PRACTICE_SAGITTAL,
        axes="sagittal",
        numbers=range(12, 196, 8),
        resolution_um=1.049,
        box=(12400, 6800),
        centre_pir=(6700.0, 3950.0, 3330.0),
        tilts=(1.4, -1.5, 0.5),
        turn_degrees=1.5,
        gene="Pdyn",
        plane_id=2,
        space_id=10,
        failed_at=frozenset({6}),
    ),
    DatasetPlan(
        PRACTICE_CORONAL_COARSE,
        axes="coronal from the front",
        numbers=range(163, 355, 16),
        resolution_um=1.049,
        box=(10200, 6800),
        gene="Gad1",
    ),
    DatasetPlan(PRACTICE_DEVELOPING, thickness_um=20.0, age="P4", space_id=6),
    DatasetPlan(PRACTICE_UNREGISTERED, is_registered=False),
    DatasetPlan(PRACTICE_WITHOUT_PLANE, plane_id=None),
    DatasetPlan(
        PRACTICE_TRANSVERSE, axes="transverse", box=(6600, 8200), tilts=(1.5, 0.0, 1.5), plane_id=6
    ),
    DatasetPlan(
        PRACTICE_UNUSABLE,
        numbers=range(191, 351, 40),
        failed_at=frozenset({0, 2}),
        unaligned_at=frozenset({1, 3}),
    ),
    DatasetPlan(PRACTICE_FAILED, failed=True),
)


@cache
def plan_sections(plan: DatasetPlan) -> tuple[SectionPlan, ...]:
    """Return the sections of a dataset, by number."""
    return tuple(_plan_section(plan, index) for index in range(len(plan.numbers)))


def _plan_section(plan: DatasetPlan, index: int) -> SectionPlan:
    chance = np.random.default_rng([plan.id, index])
    width, height = (edge + int(chance.integers(-40, 40)) for edge in plan.box)
    s_um = plan.numbers[index] * plan.thickness_um
    # Blocks are tilted, slides are not: the box follows the brain from section to section.
    centre = box_centre(plan.tvr, s_um, np.array(plan.centre_pir)) + chance.uniform(-120, 120, 2)
    degrees = chance.uniform(-plan.turn_degrees, plan.turn_degrees)
    tsv = section_to_volume(plan.resolution_um, degrees, (width, height), centre)
    # Every third section shares its slide with others.
    x, y, right, below = chance.integers(200, 900, 4).tolist() if index % 3 == 1 else (0, 0, 0, 0)
    return SectionPlan(
        id=image_id(plan.id, index),
        number=plan.numbers[index],
        x=x,
        y=y,
        width=width,
        height=height,
        slide=(x + width + right, y + height + below),
        failed=index in plan.failed_at,
        is_aligned=index not in plan.unaligned_at,
        tsv=tsv,
        to_reference=section_to_reference(tsv, plan.tvr, s_um),
    )


def practice_images() -> Iterator[tuple[DatasetPlan, SectionPlan]]:
    """Yield every section with its dataset."""
    for plan in PLANS:
        for section in plan_sections(plan):
            yield plan, section
