"""The API's synchronisation services: from pixels to the reference space and back.

They compute, in float64, with the alignments as the records have them, so that whoever does the
same arithmetic gets the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_stria.demo.allen_tables import Row, Tables
from napari_stria.demo.section_geometry import alignment_matrix


def image_to_reference(tables: Tables, image: int, x: float, y: float) -> dict[str, Any] | str:
    """Return the envelope with p, i, r um (as x, y, z) of a pixel; or why there is none.

    Parameters
    ----------
    tables : Tables
    image : int
        SectionImage id.
    x, y : float
        Full-resolution pixels in the section's box.
    """
    row = tables.row("SectionImage", image)
    if row is None:
        return f"there is no SectionImage {image}."
    dataset = tables.row("SectionDataSet", row["data_set_id"])
    plane = _aligned(tables, "SectionImage", "alignment2d", row["id"])
    volume = _aligned(tables, "SectionDataSet", "alignment3d", row["data_set_id"])
    if dataset is None or plane is None or volume is None:
        return f"SectionImage {image} is not aligned."
    across, down = alignment_matrix(plane, "tsv") @ (x, y, 1.0)
    s_um = row["section_number"] * dataset["section_thickness"]
    p, i, r = (float(v) for v in alignment_matrix(volume, "tvr") @ (across, down, s_um, 1.0))
    return {"success": True, "id": image, "msg": {"image_to_reference": {"x": p, "y": i, "z": r}}}


def reference_to_image(
    tables: Tables, space: int, pir: tuple[float, float, float], datasets: list[int]
) -> dict[str, Any]:
    """Return the envelope with the nearest aligned section, and the pixel, in each dataset.

    Datasets that do not exist, are not aligned or belong to another reference space get a sync
    without section, as the API's failed ones are.

    Parameters
    ----------
    tables : Tables
    space : int
        ReferenceSpace id.
    pir : tuple of float
        In um.
    datasets : list of int
    """
    syncs = [{"image_sync": _sync(tables, space, pir, dataset)} for dataset in datasets]
    return {"success": True, "id": space, "msg": syncs}


def _sync(tables: Tables, space: int, pir: tuple[float, float, float], number: int) -> Row:
    failed = {"section_image_id": None, "section_number": None, "x": None, "y": None}
    dataset = tables.row("SectionDataSet", number)
    volume = _aligned(tables, "SectionDataSet", "alignment3d", number)
    sections = [
        image
        for image in tables.associations("SectionDataSet")["section_images"].rows.get(number, ())
        if _aligned(tables, "SectionImage", "alignment2d", image["id"]) is not None
    ]
    if dataset is None or volume is None or not sections or dataset["reference_space_id"] != space:
        return {"section_data_set_id": str(number), **failed}
    across, down, s_um = alignment_matrix(volume, "trv") @ np.array([*pir, 1.0])
    wanted = s_um / dataset["section_thickness"]
    nearest = min(sections, key=lambda image: abs(image["section_number"] - wanted))
    plane = _aligned(tables, "SectionImage", "alignment2d", nearest["id"])
    assert plane is not None
    x, y = alignment_matrix(plane, "tvs") @ (across, down, 1.0)
    return {
        "section_data_set_id": str(number),
        "section_image_id": nearest["id"],
        "section_number": nearest["section_number"],
        "x": float(x),
        "y": float(y),
    }


def _aligned(tables: Tables, model: str, name: str, number: int) -> Row | None:
    found = tables.associations(model)[name].rows.get(number, ())
    return found[0] if found else None
