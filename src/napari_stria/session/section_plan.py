"""What an export makes of each section: its field, its files and what these say of themselves."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_stria.core.displacement import DisplacementField
from napari_stria.core.section import Section, SectionDataset
from napari_stria.errors import CoordinateError, CorruptDataError, FormatError
from napari_stria.io.pictures import read_png_text
from napari_stria.registration.chain import pir_to_atlas, section_field
from napari_stria.session.export_request import ExportRequest

FileState = Literal["missing", "damaged", "other", "finished"]

_MOST_PIXELS = 1 << 30


@dataclass(frozen=True, eq=False)
class SectionPlan:
    """One section of an export.

    Attributes
    ----------
    section : Section
    tier : int
    field : DisplacementField
    request : ExportRequest
    """

    section: Section
    tier: int
    field: DisplacementField
    request: ExportRequest

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"section_{self.section.section_number:04d}_{self.section.image_id}"

    @property
    def pictures(self) -> dict[str, str]:
        """File names by view."""
        names = {}
        if self.request.view != "expression":
            names["image"] = f"{self.stem}.png"
        if self.request.view != "image" and self.section.has_expression:
            names["expression"] = f"{self.stem}_expr.png"
        return names

    @property
    def field_name(self) -> str:
        """Name of the field's file."""
        return f"{self.stem}_field.npy"

    @property
    def matrices(self) -> dict[str, list[list[float]]]:
        """The plane's maps; (column, row, 1) to pixels of the tier, and to um."""
        to_tier, to_pir = self.field.output_to_input, self.field.plane_to_pir
        assert to_tier is not None
        assert to_pir is not None
        return {
            "plane_to_tier_pixels": to_tier.matrix.tolist(),
            "plane_to_pir": to_pir.matrix.tolist(),
        }

    def picture_text(self, view: str) -> str:
        """Return what a picture says of itself, as JSON in ASCII."""
        said = {
            "request": self.request.as_dict(),
            "image_id": self.section.image_id,
            "section_number": self.section.section_number,
            "view": view,
            "tier": self.tier,
            **self.matrices,
        }
        return json.dumps(said)

    def picture_state(self, path: Path, view: str) -> FileState:
        """Return whether a file is this section's finished picture."""
        try:
            text = read_png_text(path)
        except FileNotFoundError:
            return "missing"
        except CorruptDataError:
            return "damaged"
        return "finished" if _says_the_same(text, self.picture_text(view)) else "other"

    def field_state(self, path: Path) -> FileState:
        """Return whether a file holds this section's field."""
        try:
            found = DisplacementField.from_file(path)
        except FileNotFoundError:
            return "missing"
        except FormatError:
            return "damaged"
        same = found.shape == self.field.shape and all(
            np.allclose(a, b, rtol=1e-5, atol=1e-3)
            for a, b in ((found.delta_x, self.field.delta_x), (found.delta_y, self.field.delta_y))
        )
        return "finished" if same else "other"

    def field_bytes(self) -> bytes:
        """Return the field's file, as `DisplacementField.save` writes it."""
        file = BytesIO()
        deltas = np.stack([self.field.delta_x, self.field.delta_y], axis=2)
        np.save(file, deltas, allow_pickle=False)
        return file.getvalue()

    def record(self, *, fields: bool) -> dict[str, Any]:
        """Return the section's entry in the metadata; `plane_to_atlas` is for (column, row, 1)."""
        section, to_pir = self.section, self.field.plane_to_pir
        assert to_pir is not None
        # The field's plane is mirrored already where that was asked.
        to_atlas = pir_to_atlas(self.request.space) @ to_pir
        return {
            "image_id": section.image_id,
            "section_number": section.section_number,
            "coordinate_um": section.coordinate_um,
            "width": section.width,
            "height": section.height,
            "tier": self.tier,
            "shape": list(self.field.shape),
            "files": self.pictures | ({"field": self.field_name} if fields else {}),
            **self.matrices,
            "plane_to_atlas": to_atlas.matrix.tolist(),
        }


def plan_sections(dataset: SectionDataset, request: ExportRequest) -> tuple[SectionPlan, ...]:
    """Return what is to be made, the highest section number first.

    Raises
    ------
    CoordinateError
        If the sections cannot be placed so, or the pictures would be too large.
    """
    plans = []
    for section in reversed(dataset.sections):
        tier = section.tier_for(request.resolution_um) if request.tier is None else request.tier
        field = section_field(
            dataset,
            section,
            resolution_um=request.resolution_um,
            tier=tier,
            placement=request.placement,
            mirrored=request.mirrored,
        )
        if math.prod(field.shape) > _MOST_PIXELS:
            raise CoordinateError(
                f"a picture of {field.shape[1]} x {field.shape[0]} pixels is too large; "
                "choose a coarser resolution."
            )
        plans.append(SectionPlan(section, int(tier), field, request))
    return tuple(plans)


def _says_the_same(found: str | None, wanted: str) -> bool:
    try:
        a, b = json.loads(found or "null"), json.loads(wanted)
    except ValueError:
        return False
    if not isinstance(a, dict) or a.keys() != b.keys():
        return False
    return all(
        _close(a[key], value) if key.startswith("plane_to") else a[key] == value
        for key, value in b.items()
    )


def _close(found: Any, wanted: npt.ArrayLike) -> bool:
    # Matrices from another machine may differ in their last digits.
    try:
        return np.allclose(np.asarray(found, dtype=np.float64), wanted, rtol=1e-9, atol=1e-6)
    except (TypeError, ValueError):
        return False
