"""Where a section lies in an atlas: its plane, and its image in this plane.

The plane's frame is 2D in um: x right and y down as napari shows the atlas, origin at the pivot,
where the plane cuts the line through the atlas's middle. Coronal: x along ML, y along DV;
sagittal: x along AP, y along DV; horizontal: x along ML, y along AP; each in index order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.space import Triple, checked_space
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
Pair = tuple[float, float]
Orientation = Literal["coronal", "horizontal", "sagittal"]

# Atlas axes (0 AP, 1 DV, 2 ML) of the plane's x, of its y, and the one across it.
_AXES: dict[Orientation, tuple[int, int, int]] = {
    "coronal": (2, 1, 0),
    "horizontal": (2, 0, 1),
    "sagittal": (0, 1, 2),
}
# sin of the angle between a plane and an axis (or two pixel directions) that counts as parallel.
_PARALLEL = 1e-6
# What the file of a registration takes.
_FARTHEST = 1e12


@dataclass(frozen=True)
class AtlasFrame:
    """The box that an atlas fills.

    Attributes
    ----------
    extent_um : tuple of float
        Its size along AP, DV, ML in um.
    origin_um : tuple of float
        Its outer corner in atlas um.
    space : str
        Where each axis starts, e.g. ``asr``.
    """

    extent_um: Triple
    origin_um: Triple = (0.0, 0.0, 0.0)
    space: str = "asr"

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", checked_space(self.space))
        numbers = (*self.extent_um, *self.origin_um)
        if len(numbers) != 6 or not np.isfinite(numbers).all() or min(self.extent_um) <= 0:
            raise CoordinateError(
                f"an atlas frame needs three sizes above 0 um and a corner, not {self}."
            )

    @property
    def middle_um(self) -> Triple:
        """The middle of the box in atlas um (AP, DV, ML)."""
        ap, dv, ml = (o + e / 2 for o, e in zip(self.origin_um, self.extent_um, strict=True))
        return ap, dv, ml


def atlas_frame(atlas: Atlas) -> AtlasFrame:
    """Return the box that an atlas's finest annotation fills."""
    level = atlas.annotation.levels[0]
    ap, dv, ml = (n * s for n, s in zip(level.shape, level.scale_um, strict=True))
    o_ap, o_dv, o_ml = level.origin_um
    return AtlasFrame((ap, dv, ml), (float(o_ap), float(o_dv), float(o_ml)), atlas.space)


def orientation_axis(orientation: Orientation) -> int:
    """Return the atlas axis that planes of an orientation lie across: 0 AP, 1 DV, 2 ML."""
    return _axes(orientation)[2]


def _axes(orientation: Orientation) -> tuple[int, int, int]:
    if orientation not in _AXES:
        raise CoordinateError(f"an orientation is one of {', '.join(_AXES)}, not {orientation!r}.")
    return _AXES[orientation]


@dataclass(frozen=True)
class SectionPlacement:
    """A section's place in an atlas; with orientation and flip, any affine from 2D to 3D.

    Attributes
    ----------
    orientation : {"coronal", "horizontal", "sagittal"}
        What the plane is near to.
    position_um : float
        Where the plane cuts the line through the atlas's middle: AP, DV or ML in atlas um.
    pitch_deg : float
        The plane turned about its x axis, within 90 degrees: positive moves its lower edge to
        greater positions.
    yaw_deg : float
        Then turned about its own y axis, within 90 degrees: positive moves its right edge to
        greater positions.
    rotation_deg : float
        The image turned in the plane, clockwise on screen.
    scale_xy : tuple of float
        Factors of the pixel size along the image's x and y, above 0.
    shear : float
        How far the image's y axis leans to its right, in um per um.
    shift_um : tuple of float
        The image's middle in the plane's frame (x, y).
    flipped : bool
        Whether the image is mirrored left-right about its middle first.

    Raises
    ------
    CoordinateError
        If a number is not finite, a scale not above 0, or the plane turned by 90 degrees or more.
    """

    orientation: Orientation
    position_um: float
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0
    rotation_deg: float = 0.0
    scale_xy: Pair = (1.0, 1.0)
    shear: float = 0.0
    shift_um: Pair = (0.0, 0.0)
    flipped: bool = False

    def __post_init__(self) -> None:
        _axes(self.orientation)
        _checked_pair("scale_xy", self.scale_xy, above_zero=True)
        _checked_pair("shift_um", self.shift_um)
        for name in ("position_um", "pitch_deg", "yaw_deg", "rotation_deg", "shear"):
            if not abs(getattr(self, name)) <= _FARTHEST:
                value = getattr(self, name)
                raise CoordinateError(f"{name} is at most {_FARTHEST:g} either way, not {value!r}.")
        if max(abs(self.pitch_deg), abs(self.yaw_deg)) >= 90:
            raise CoordinateError(
                f"a {self.orientation} plane is turned by less than 90 degrees, not by "
                f"{self.pitch_deg:g} and {self.yaw_deg:g}; choose another orientation."
            )

    @classmethod
    def in_the_middle(cls, frame: AtlasFrame, orientation: Orientation = "coronal") -> Self:
        """Return the plane through the middle of an atlas, nothing turned."""
        return cls(orientation, frame.middle_um[orientation_axis(orientation)])

    def plane_only(self) -> SectionPlacement:
        """Return the same plane with the image at its defaults: equal for equal planes."""
        return SectionPlacement(self.orientation, self.position_um, self.pitch_deg, self.yaw_deg)

    def plane_to_atlas(self, frame: AtlasFrame) -> Affine:
        """Return the map from the plane's (x, y) in um to atlas um; its columns are orthonormal."""
        pivot = np.array(frame.middle_um)
        pivot[orientation_axis(self.orientation)] = self.position_um
        columns = _directions(self.orientation, self.pitch_deg, self.yaw_deg)
        return Affine(np.column_stack([columns, pivot]))

    def pixels_to_plane(self, shape_hw: tuple[int, int], pixel_size_um: Pair) -> Affine:
        """Return the map from pixels (x, y), counted from the image's corner, to the plane.

        The size of a pixel (x, y) in um is the one before `scale_xy`.
        """
        size_x, size_y = _checked_pair("pixel_size_um", pixel_size_um, above_zero=True)
        scale_x, scale_y = self.scale_xy
        sin, cos = _sin_cos(self.rotation_deg)
        linear = np.array([[cos, -sin], [sin, cos]]) @ [[1.0, self.shear], [0.0, 1.0]]
        linear = linear * [scale_x * size_x, scale_y * size_y]
        if self.flipped:
            linear[:, 0] *= -1
        return Affine(np.column_stack([linear, self.shift_um - linear @ _middle(shape_hw)]))

    def section_to_atlas(
        self, frame: AtlasFrame, shape_hw: tuple[int, int], pixel_size_um: Pair
    ) -> Affine:
        """Return the map from pixels (x, y), counted from the image's corner, to atlas um."""
        return self.plane_to_atlas(frame) @ self.pixels_to_plane(shape_hw, pixel_size_um)


def placement_of(
    section_to_atlas: Affine,
    frame: AtlasFrame,
    shape_hw: tuple[int, int],
    pixel_size_um: Pair,
    orientation: Orientation | None = None,
) -> SectionPlacement:
    """Return the placement whose `SectionPlacement.section_to_atlas` is this map, to rounding.

    Parameters
    ----------
    section_to_atlas : Affine
        Pixels (x, y), counted from the image's corner, to atlas um (AP, DV, ML).
    frame : AtlasFrame
        The atlas's box.
    shape_hw : tuple of int
        Rows and columns of the image.
    pixel_size_um : tuple of float
        Width and height of a pixel in um; what the map adds to it becomes `scale_xy`.
    orientation : {"coronal", "horizontal", "sagittal"}, optional
        By default the one which the plane is nearest to.

    Raises
    ------
    CoordinateError
        If the map is not from 2D to 3D, flattens the image to a line, or gives a plane that is
        parallel to the axis of the orientation asked.
    """
    if section_to_atlas.n_in != 2 or section_to_atlas.n_out != 3:
        raise CoordinateError(
            f"a section's place is a map from 2 to 3 coordinates, not from "
            f"{section_to_atlas.n_in} to {section_to_atlas.n_out}."
        )
    size_x, size_y = _checked_pair("pixel_size_um", pixel_size_um, above_zero=True)
    linear = section_to_atlas.linear
    normal = _normal(linear)
    near = orientation or _nearest(normal)
    x_axis, y_axis, across = _axes(near)
    if abs(normal[across]) < _PARALLEL:
        raise CoordinateError(
            f"this plane is parallel to the axis that {near} planes lie across; choose "
            "another orientation."
        )
    normal = normal * np.sign(normal[across])
    yaw = math.atan2(-normal[x_axis], math.hypot(normal[y_axis], normal[across]))
    pitch = math.atan2(-normal[y_axis], normal[across])
    middle = section_to_atlas(_middle(shape_hw))
    pivot = np.array(frame.middle_um)
    pivot[across] += normal @ (middle - pivot) / normal[across]
    columns = _directions(near, math.degrees(pitch), math.degrees(yaw))
    in_plane = columns.T @ linear
    flipped = bool(np.linalg.det(in_plane) < 0)
    (a, b), (c, d) = (in_plane * [-1.0 if flipped else 1.0, 1.0]).tolist()
    # First column: length and direction are the scale and the rotation; the rest is the shear.
    length_x = math.hypot(a, c)
    length_y = (a * d - b * c) / length_x
    shift_x, shift_y = (columns.T @ (middle - pivot)).tolist()
    return SectionPlacement(
        orientation=near,
        position_um=float(pivot[across]),
        pitch_deg=math.degrees(pitch),
        yaw_deg=math.degrees(yaw),
        rotation_deg=math.degrees(math.atan2(c, a)),
        scale_xy=(length_x / size_x, length_y / size_y),
        shear=(a * b + c * d) / length_x / length_y,
        shift_um=(shift_x, shift_y),
        flipped=flipped,
    )


def _directions(orientation: Orientation, pitch_deg: float, yaw_deg: float) -> F64:
    """Return the plane's x and y as columns (3, 2) of atlas directions."""
    x_axis, y_axis, across = _axes(orientation)
    sin_pitch, cos_pitch = _sin_cos(pitch_deg)
    sin_yaw, cos_yaw = _sin_cos(yaw_deg)
    columns = np.zeros((3, 2))
    columns[[x_axis, y_axis, across], 0] = cos_yaw, -sin_yaw * sin_pitch, sin_yaw * cos_pitch
    columns[[y_axis, across], 1] = cos_pitch, sin_pitch
    return columns


def _sin_cos(degrees: float) -> Pair:
    """Return sine and cosine, exact at whole quarter turns."""
    turns, rest = divmod(degrees, 90.0)
    sin, cos = math.sin(math.radians(rest)), math.cos(math.radians(rest))
    for _ in range(int(turns % 4)):
        sin, cos = cos, -sin
    return sin, cos


def _normal(linear: F64) -> F64:
    """Return the unit normal of the plane that two columns span."""
    lengths = np.linalg.norm(linear, axis=0)
    if lengths.min() > 0:
        normal = np.cross(*(linear / lengths).T)
        length = float(np.linalg.norm(normal))
        if length > _PARALLEL:
            return np.asarray(normal / length)
    raise CoordinateError("this map flattens the section to a line or a point.")


def _nearest(normal: F64) -> Orientation:
    return max(_AXES, key=lambda orientation: abs(normal[_AXES[orientation][2]]))


def _middle(shape_hw: tuple[int, int]) -> F64:
    """Return the image's middle (x, y) in pixels from its corner."""
    if len(shape_hw) != 2 or min(shape_hw) < 1:
        raise CoordinateError(f"an image has rows and columns, not the shape {shape_hw}.")
    return np.array([shape_hw[1] / 2, shape_hw[0] / 2])


def _checked_pair(name: str, pair: Pair, *, above_zero: bool = False) -> Pair:
    x, y = pair if len(pair) == 2 else (math.nan, math.nan)
    if not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST) or (above_zero and min(x, y) <= 0):
        least = " above 0" if above_zero else ""
        raise CoordinateError(f"{name} needs two finite numbers{least} (x, y), not {pair}.")
    return float(x), float(y)
