"""Records of the Allen Institute's API -> values: images and the rows of a search.

The names of fields are those of the API's data model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_stria.io.allen_fields import (
    BrokenRecord,
    Record,
    integer_of,
    integer_or_none,
    number_of,
    text_of,
    texts_of,
)

# What is plausible, so that no arithmetic with a broken record takes for ever or fills the memory.
IDS = (0, math.inf)
THICKNESSES_UM = (0.1, 10_000.0)
_PIXELS = (1, 10**6)
_TIERS = (1, 31)
_PIXEL_SIZES_UM = (0.01, 50.0)
_LAST_SECTION = 10**7 - 1


@dataclass(frozen=True)
class SectionRecord:
    """Where the image of one section lies in its slide, as far as requests need it.

    Attributes
    ----------
    image_id : int
        SectionImage id.
    slide_x, slide_y, width, height : int
        The section's box in the slide's image, in full-resolution pixels.
    tier_count : int
        Tiers of the image.
    pixel_size_um : float
        Size of a full-resolution pixel as scanned.
    section_number, dataset_id : int or None
        Where the section belongs, if the record says.
    failed, has_expression : bool
        Whether the institute marked it as failed, and whether there is an expression view.
    """

    image_id: int
    slide_x: int
    slide_y: int
    width: int
    height: int
    tier_count: int
    pixel_size_um: float
    section_number: int | None = None
    dataset_id: int | None = None
    failed: bool = False
    has_expression: bool = False


@dataclass(frozen=True)
class DatasetSummary:
    """A row of a search.

    Attributes
    ----------
    id : int
        SectionDataSet id.
    genes : tuple of str
        Acronyms.
    plane : str or None
        The plane's name in the API's words.
    products : tuple of str
        Abbreviations, or names where there is none.
    section_thickness_um : float or None
    age : str or None
        Such as ``P56``.
    failed : bool
    reference_space_id : int or None
        9 and 10: adult mouse.
    section_count : int or None
        None unless it was counted, which takes a request of its own.
    """

    id: int
    genes: tuple[str, ...] = ()
    plane: str | None = None
    products: tuple[str, ...] = ()
    section_thickness_um: float | None = None
    age: str | None = None
    failed: bool = False
    reference_space_id: int | None = None
    section_count: int | None = None


def section_record_of(record: Record) -> SectionRecord:
    """Return the box of a SectionImage record.

    Raises
    ------
    ValueError
        If a number is missing or cannot be; the message is the reason.
    """
    return SectionRecord(
        image_id=integer_of(record, "id", IDS),
        slide_x=integer_of(record, "x"),
        slide_y=integer_of(record, "y"),
        width=integer_of(record, "width", _PIXELS),
        height=integer_of(record, "height", _PIXELS),
        tier_count=integer_of(record, "tier_count", _TIERS),
        pixel_size_um=number_of(record, "resolution", _PIXEL_SIZES_UM),
        section_number=_section_number(record),
        dataset_id=integer_or_none(record, "data_set_id"),
        failed=record.get("failed") is True,
        has_expression=record.get("expression") is True or bool(record.get("expression_path")),
    )


def _section_number(record: Record) -> int | None:
    number = integer_or_none(record, "section_number")
    if number is not None and not abs(number) <= _LAST_SECTION:
        raise BrokenRecord(f"section_number is {number}")
    return number


def summary_of(record: Record) -> DatasetSummary | None:
    """Return a search's row, None for a record without an id."""
    dataset_id = integer_or_none(record, "id")
    if dataset_id is None:
        return None
    try:
        thickness = number_of(record, "section_thickness", THICKNESSES_UM)
    except BrokenRecord:
        thickness = None
    return DatasetSummary(
        id=dataset_id,
        genes=texts_of(record, "genes", "acronym"),
        plane=text_of(record, "plane_of_section", "name"),
        products=texts_of(record, "products", "abbreviation", "name"),
        section_thickness_um=thickness,
        age=text_of(record, "specimen", "donor", "age", "name"),
        failed=record.get("failed") is True,
        reference_space_id=integer_or_none(record, "reference_space_id"),
    )
