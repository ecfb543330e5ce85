"""What a registration says of its sections: which there are and where each lies; values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from napari_stria.core.refinements import Refinement
from napari_stria.core.section_landmarks import Landmarks
from napari_stria.core.section_plane import SectionPlacement
from napari_stria.errors import CoordinateError

FitKind = Literal["none", "rigid", "similarity", "affine", "thin_plate"]
FIT_KINDS: tuple[FitKind, ...] = get_args(FitKind)

XY = tuple[float, float]


@dataclass(frozen=True)
class SectionState:
    """Where a section lies, as far as it was said.

    Attributes
    ----------
    placement : SectionPlacement or None
        None until an atlas says how large it is.
    landmarks : Landmarks
    fit_kind : {"none", "rigid", "similarity", "affine", "thin_plate"}
        What is fitted to the landmarks now; "none" shows the placement.
    refinement : Refinement or None
        Pixels to pixels, before the placement.
    is_interpolated : bool
        It follows its neighbours of the series, until it is placed itself.
    is_placed : bool
        Somebody said where it lies.
    """

    placement: SectionPlacement | None = None
    landmarks: Landmarks = field(default_factory=Landmarks)
    fit_kind: FitKind = "none"
    refinement: Refinement | None = None
    is_interpolated: bool = False
    is_placed: bool = False


@dataclass(frozen=True)
class AllenSource:
    """A section image of the Allen API."""

    dataset_id: int
    image_id: int


@dataclass(frozen=True)
class SectionEntry:
    """A section of the registration, whether its pixels are there or not.

    Attributes
    ----------
    name : str
    nr : float
        Its place in the series.
    shape_hw : (int, int)
        Rows and columns of the section's pixels, which all points are counted in.
    pixel_size_um : (float, float) or None
        Along x and y; None where nobody knows.
    path : Path or None
        The image's file.
    allen : AllenSource or None
        Where else the pixels come from.
    is_missing : bool
        Its pixels cannot be had: the file is gone, or it was a layer.
    filename : str
        What the series that it came from calls its image; empty if it came from none.
    extras : mapping
        What else that series says of it, kept for writing it back.
    """

    name: str
    nr: float
    shape_hw: tuple[int, int]
    pixel_size_um: XY | None = None
    path: Path | None = None
    allen: AllenSource | None = None
    is_missing: bool = False
    filename: str = ""
    extras: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def key(self) -> tuple[str, Path | None, AllenSource | None]:
        """What tells its pixels from those of another section."""
        return self.name, self.path, self.allen

    @property
    def assumed_pixel_size_um(self) -> XY:
        """The pixel size, or one at which the section is as wide as a mouse brain."""
        return self.pixel_size_um or (assumed_pixel_um(self.shape_hw),) * 2


# A coronal section of a mouse brain, to have something on screen before the size is known.
_ASSUMED_WIDTH_UM = 10_000.0


def assumed_pixel_um(shape_hw: tuple[int, int]) -> float:
    """Return a pixel size at which the longer side of a section is as long as a mouse brain's."""
    return _ASSUMED_WIDTH_UM / max(*shape_hw, 1)


# What the file of a registration takes.
PIXEL_SIZES_UM = (1e-9, 1e12)


def checked_pixel_size(x_um: float, y_um: float) -> XY:
    """Return a pixel size.

    Raises
    ------
    CoordinateError
        If it is not two numbers within `PIXEL_SIZES_UM`.
    """
    low, high = PIXEL_SIZES_UM
    if not all(low <= v <= high for v in (x_um, y_um)):
        raise CoordinateError(
            f"a pixel is larger than 0 um along x and y ({low:g} to {high:g}), not "
            f"{(x_um, y_um)!r}."
        )
    return float(x_um), float(y_um)


@dataclass(frozen=True)
class Record:
    """A section with what is said of it: what one step of undo changes."""

    entry: SectionEntry
    state: SectionState = field(default_factory=SectionState)

    def with_state(self, **changes: Any) -> Record:
        """Return it with other values of its state."""
        return replace(self, state=replace(self.state, **changes))

    def with_entry(self, **changes: Any) -> Record:
        """Return it with other values of its entry."""
        return replace(self, entry=replace(self.entry, **changes))
