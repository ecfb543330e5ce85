"""A SectionDataSet record of the Allen Institute's API -> `SectionDataset`.

What is broken is skipped or said. Matrices are in the order of the API's pages on "image to image
synchronization"; everything is computed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_stria.core.allen_alignment import FIXED_AXIS
from napari_stria.core.section import Section, SectionDataset, SectionPlane, SkippedSection
from napari_stria.core.transforms import F64, Affine
from napari_stria.errors import (
    CorruptDataError,
    DatasetNotAlignedError,
    ReferenceSpaceError,
    SectionPlaneError,
)
from napari_stria.io.allen_fields import (
    BrokenRecord,
    Record,
    integer_of,
    integer_or_none,
    matrix_2d,
    matrix_3d,
    number_of,
    records_of,
    text_of,
    texts_of,
)
from napari_stria.io.allen_records import IDS, THICKNESSES_UM, section_record_of

# Adult mouse (P56), as it is and with left and right exchanged.
_ADULT_SPACES = (9, 10)
_PLANES: dict[int, SectionPlane] = {
    1: "coronal",
    11: "coronal",
    531107579: "coronal",
    2: "sagittal",
    7: "sagittal",
    8: "sagittal",
}
_KEPT = ("expression", "delegate", "qc_date", "red_channel", "green_channel", "blue_channel")


def dataset_of(record: Record) -> SectionDataset:
    """Return the dataset of a SectionDataSet record with its sections, alignments and the like.

    Raises
    ------
    DatasetNotAlignedError
        If the dataset has no alignment, or none of its sections can be used.
    ReferenceSpaceError
        If it was aligned to another brain than the adult mouse's.
    SectionPlaneError
        If its sections are neither coronal nor sagittal.
    CorruptDataError
        If the record is none.
    """
    try:
        dataset_id = integer_of(record, "id", IDS)
    except BrokenRecord as error:
        raise CorruptDataError(f"the server sent a dataset without a number ({error}).") from error
    to_reference, to_volume = _alignment3d(record, dataset_id)
    space = _space(record, dataset_id)
    plane = _plane(record, dataset_id)
    try:
        thickness = number_of(record, "section_thickness", THICKNESSES_UM)
    except BrokenRecord as error:
        raise DatasetNotAlignedError(
            f"dataset {dataset_id} cannot be placed: {error}; choose another one."
        ) from error
    sections: dict[int, Section] = {}
    skipped: list[SkippedSection] = []
    for image in records_of(record, "section_images"):
        try:
            found = section_of(image, plane, thickness, to_reference, to_volume)
            sections.setdefault(found.image_id, found)
        except BrokenRecord as error:
            skipped.append(_skipped(image, str(error)))
    if not sections:
        reasons = sorted({s.reason for s in skipped}) or ["it lists no section"]
        raise DatasetNotAlignedError(
            f"none of dataset {dataset_id}'s sections can be placed ({'; '.join(reasons[:3])}); "
            "choose another one."
        )
    return SectionDataset(
        id=dataset_id,
        plane=plane,
        section_thickness_um=thickness,
        reference_space_id=space,
        sections=tuple(sorted(sections.values(), key=lambda s: (s.section_number, s.image_id))),
        skipped=tuple(skipped),
        genes=texts_of(record, "genes", "acronym"),
        failed=record.get("failed") is True,
        metadata=_metadata(record),
    )


def section_of(
    record: Record, plane: SectionPlane, thickness: float, to_reference: F64, to_volume: F64
) -> Section:
    """Return the section of a SectionImage record with its alignment2d.

    Parameters
    ----------
    record : mapping
        SectionImage.
    plane : {"coronal", "sagittal"}
    thickness : float
        Of a section, in um.
    to_reference, to_volume : (3, 4) ndarray
        alignment3d's ``tvr`` and ``trv``.

    Raises
    ------
    ValueError
        If it cannot be used; the message is the reason.
    """
    box = section_record_of(record)
    if box.failed:
        raise BrokenRecord("the institute marked it as failed")
    if box.section_number is None:
        raise BrokenRecord("it has no section number")
    alignment = record.get("alignment2d")
    if not isinstance(alignment, Mapping):
        raise BrokenRecord("it is not aligned")
    section_to_volume = matrix_2d(alignment, "tsv")
    volume_to_section = matrix_2d(alignment, "tvs")
    depth = box.section_number * thickness
    linear = to_reference[:, :2] @ section_to_volume
    linear[:, 2] += to_reference[:, 2] * depth + to_reference[:, 3]
    _check_scale(linear)
    back = volume_to_section[:, :2] @ to_volume[:2]
    back[:, 3] += volume_to_section[:, 2]
    return Section(
        image_id=box.image_id,
        section_number=box.section_number,
        width=box.width,
        height=box.height,
        coordinate_um=float(linear[FIXED_AXIS[plane], 2]),
        section_to_pir=Affine(linear),
        pir_to_section=Affine(np.vstack([back, to_volume[2]])),
        slide_x=box.slide_x,
        slide_y=box.slide_y,
        pixel_size_um=box.pixel_size_um,
        tier_count=box.tier_count,
        has_expression=box.has_expression,
    )


def _check_scale(section_to_pir: F64) -> None:
    """Refuse matrices that make pixels of no size, or of more than a metre."""
    for edge in np.linalg.norm(section_to_pir[:, :2], axis=0):
        if not 1e-6 < edge < 1e6:
            raise BrokenRecord(f"its alignment makes pixels of {edge:.3g} um")


def _alignment3d(record: Record, dataset_id: int) -> tuple[F64, F64]:
    """Return ``tvr`` (volume to reference) and ``trv`` (back), (3, 4) each."""
    alignment = record.get("alignment3d")
    if not isinstance(alignment, Mapping):
        raise DatasetNotAlignedError(
            f"dataset {dataset_id} was never aligned to a reference brain; choose another one."
        )
    try:
        return matrix_3d(alignment, "tvr"), matrix_3d(alignment, "trv")
    except BrokenRecord as error:
        raise DatasetNotAlignedError(
            f"dataset {dataset_id}'s alignment is broken ({error}); choose another one."
        ) from error


def _space(record: Record, dataset_id: int) -> int:
    space = integer_or_none(record, "reference_space_id")
    if space in _ADULT_SPACES and space is not None:
        return space
    name = "no known reference space" if space is None else f"reference space {space}"
    age = text_of(record, "specimen", "donor", "age", "name")
    raise ReferenceSpaceError(
        f"dataset {dataset_id} lies in {name}{f' (age {age})' if age else ''} and not in the adult "
        "mouse's (9 or 10), so that this atlas does not fit; choose a dataset of age P56."
    )


def _plane(record: Record, dataset_id: int) -> SectionPlane:
    number = integer_or_none(record, "plane_of_section_id")
    plane = None if number is None else _PLANES.get(number)
    if plane is None:
        name = text_of(record, "plane_of_section", "name")
        said = "not given" if number is None else f"{name or 'of an unknown kind'} ({number})"
        raise SectionPlaneError(
            f"the plane of dataset {dataset_id}'s sections is {said}; "
            "choose a dataset with coronal or sagittal ones."
        )
    return plane


def _skipped(record: Record, reason: str) -> SkippedSection:
    image_id = integer_or_none(record, "id")
    number = integer_or_none(record, "section_number")
    return SkippedSection(-1 if image_id is None else image_id, number, reason)


def _metadata(record: Record) -> dict[str, Any]:
    """Return what is known beside the sections; a plain dict, so that it can be pickled."""
    known = {
        "age": text_of(record, "specimen", "donor", "age", "name"),
        "products": texts_of(record, "products", "abbreviation", "name"),
        "treatments": texts_of(record, "treatments", "name"),
        "specimen": text_of(record, "specimen", "name"),
        "specimen_id": integer_or_none(record, "specimen_id"),
        "plane_of_section_id": integer_or_none(record, "plane_of_section_id"),
        "plane_of_section": text_of(record, "plane_of_section", "name"),
        "equalization": record.get("equalization"),
        **{name: record.get(name) for name in _KEPT},
    }
    return {name: value for name, value in known.items() if value not in (None, "", ())}
