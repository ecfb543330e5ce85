"""What an export was asked for, and what its files say about it."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, Literal, get_args

import cv2
import numpy as np

from napari_stria.core.section import SectionDataset, SkippedSection
from napari_stria.core.space import checked_space
from napari_stria.errors import CoordinateError
from napari_stria.registration.chain import Placement, check_mirrored, check_placement

ExportView = Literal["image", "expression", "both"]

_AS_STORED = "r grows from left to right, and sections lie where the institute's alignment has them"
_MIRRORED = "r grows from left to right, and sections lie on the other side (r -> 11400 - r)"


@dataclass(frozen=True)
class ExportRequest:
    """All that the result of an export depends on; equal requests have equal results.

    Attributes
    ----------
    kind : {"sections", "volume"}
    dataset : int
    base_url : str
        Of the API.
    view : {"image", "expression", "both"}
    resolution_um : float
    placement : {"exact", "parallel"}
    mirrored : bool
    space : str
        Where the atlas's axes start.
    tier : int or None
        None for the one that suits the resolution.
    """

    kind: Literal["sections", "volume"]
    dataset: int
    base_url: str
    view: ExportView
    resolution_um: float
    placement: Placement
    mirrored: bool
    space: str
    tier: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", checked_space(self.space))
        object.__setattr__(self, "resolution_um", _checked_resolution(self.resolution_um))
        check_placement(self.placement)
        if self.view not in get_args(ExportView):
            raise CoordinateError(
                f"view must be 'image', 'expression' or 'both', not {self.view!r}."
            )
        tier = self.tier
        if tier is not None and (not isinstance(tier, (int, np.integer)) or not 0 <= tier <= 30):
            raise CoordinateError(f"tier must be a whole number of 0 to 30, not {tier!r}.")

    def as_dict(self) -> dict[str, Any]:
        """Return the request as JSON knows it."""
        return asdict(self)

    def difference(self, found: object) -> str | None:
        """Return in words how another request differs from this one, None if it does not."""
        if not isinstance(found, Mapping):
            return "it does not say how it was made"
        wanted = self.as_dict()
        changed = [
            f"{name} {found.get(name)} instead of {value}"
            for name, value in wanted.items()
            if found.get(name) != value
        ]
        return ", ".join(changed) or None


def _checked_resolution(resolution_um: float) -> float:
    try:
        value = float(resolution_um)
    except (TypeError, ValueError):
        value = math.nan
    # Finer than any scan, and coarser than a plane of four pixels.
    if not 0.1 <= value <= 4000:
        raise CoordinateError(
            f"the resolution must be a number of um from 0.1 to 4000, not {resolution_um!r}."
        )
    return value


def exportable(dataset: SectionDataset, *, view: str, mirrored: bool) -> SectionDataset:
    """Return the dataset with those sections that have the view.

    Raises
    ------
    ReferenceSpaceError
        If it cannot be mirrored.
    CoordinateError
        If no section has an expression picture and that is what is wanted.
    """
    check_mirrored(dataset, mirrored)
    if view != "expression":
        return dataset
    sections = tuple(s for s in dataset.sections if s.has_expression)
    if not sections:
        raise CoordinateError(f"dataset {dataset.id} has no expression pictures.")
    skipped = tuple(
        SkippedSection(s.image_id, s.section_number, "it has no expression picture")
        for s in dataset.sections
        if not s.has_expression
    )
    return replace(dataset, sections=sections, skipped=dataset.skipped + skipped)


def provenance(dataset: SectionDataset, request: ExportRequest) -> dict[str, Any]:
    """Return what both kinds of export say about where they come from."""
    return {
        "request": request.as_dict(),
        "dataset": {
            "id": dataset.id,
            "genes": list(dataset.genes),
            "plane": dataset.plane,
            "reference_space_id": dataset.reference_space_id,
            "section_thickness_um": dataset.section_thickness_um,
            "failed": dataset.failed,
            "metadata": _plain(dataset.metadata),
        },
        "left_right": {
            "reference_space_id": dataset.reference_space_id,
            "mirrored": request.mirrored,
            "pir": _MIRRORED if request.mirrored else _AS_STORED,
            "atlas": f"axes start at {request.space} (a/p, s/i, r/l), in um from the outer corner",
        },
        "versions": {
            "napari-stria": version("napari-stria"),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "python": platform.python_version(),
        },
    }


def skipped_records(skipped: Iterable[SkippedSection]) -> list[dict[str, Any]]:
    """Return skipped sections as JSON knows them."""
    return [asdict(s) for s in skipped]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
