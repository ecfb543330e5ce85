"""Points as somebody measured them, and where they lie in an atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from brainglobe_space import AnatomicalSpace

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import AtlasFrame, atlas_frame
from napari_stria.core.space import Triple, checked_space
from napari_stria.core.transforms import F64, Affine, CoordinateTransform
from napari_stria.errors import CoordinateError

PointUnit = Literal["um", "mm", "voxel"]
POINT_UNITS: tuple[PointUnit, ...] = get_args(PointUnit)
_AXIS_OF = {letter: axis for axis, pair in enumerate(("ap", "si", "rl")) for letter in pair}


def checked_axes(space: str) -> str:
    """Return where the axes of a file start, in small letters; here they may come in any order.

    Raises
    ------
    CoordinateError
        If the letters are not one each of a/p, s/i and r/l.
    """
    letters = str(space).lower()
    if sorted(_AXIS_OF.get(letter, -1) for letter in letters) != [0, 1, 2]:
        raise CoordinateError(
            f"{space!r} does not say where three axes start; give one letter each of a/p, s/i and "
            "r/l in the order of the file's axes, such as asr or psl."
        )
    return letters


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points out of a file, in its own axes.

    Attributes
    ----------
    coordinates : (N, 3) or (N, 2) float64 ndarray
        Along the axes of an array: (axis 0, 1, 2), which is (z, y, x) or (AP, DV, ML). Two are
        (x, y) of a section. In `unit`, counted from the outer corner of the first voxel, so that
        the centre of voxel i is at i + 0.5.
    unit : {"um", "voxel"}
    voxel_um : tuple of float or None
        Size of a voxel along each axis, where `unit` is "voxel" and somebody said it.
    space : str or None
        Where each axis starts, e.g. ``psl``; None: as in the atlas.
    features : DataFrame
        What else is said of each point; a row a point, from 0.
    dropped : mapping of str to int
        What was left out of the file: why, and how many.
    name : str
        What to call them.

    Raises
    ------
    CoordinateError
        If the coordinates are no such array, or unit or space are none.
    """

    coordinates: F64
    unit: Literal["um", "voxel"] = "um"
    voxel_um: Triple | None = None
    space: str | None = None
    features: pd.DataFrame = field(default_factory=pd.DataFrame)
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    name: str = ""

    def __post_init__(self) -> None:
        coordinates = np.asarray(self.coordinates, dtype=np.float64)
        if coordinates.ndim != 2 or coordinates.shape[1] not in (2, 3):
            raise CoordinateError(
                f"points are rows of two or three coordinates, not {coordinates.shape}."
            )
        if self.unit not in ("um", "voxel"):
            raise CoordinateError(f"points are in um or voxels, not in {self.unit!r}.")
        object.__setattr__(self, "coordinates", coordinates)
        if self.space is not None:
            object.__setattr__(self, "space", checked_axes(self.space))

    def __len__(self) -> int:
        return len(self.coordinates)

    def points_um(
        self,
        atlas: Atlas,
        to_atlas: CoordinateTransform | None = None,
        *,
        image_shape: Sequence[int] | None = None,
    ) -> F64:
        """Return where the points lie in an atlas.

        Parameters
        ----------
        atlas : Atlas
            Their axes are turned into its axes.
        to_atlas : CoordinateTransform, optional
            A map into the atlas that is applied last. It takes um where the size of a voxel is
            known, else voxels, counted from the corner; from a section it takes pixels (x, y).
        image_shape : (int, int, int), optional
            Voxels of the image that the points were found in, in its own axes. Axes that run the
            other way in the atlas are turned about it; without, about the atlas's own box.

        Returns
        -------
        (N, 3) float64 ndarray
            Atlas um (AP, DV, ML).

        Raises
        ------
        CoordinateError
            If the voxel size, the map or the shape is missing that this takes, or the map does not
            take such points.
        """
        axes = self.coordinates.shape[1]
        if to_atlas is None and axes != 3:
            raise CoordinateError(
                f"{self.name or 'the file'} has points of a section (x, y); give the section's map "
                "to the atlas."
            )
        if to_atlas is not None and (to_atlas.n_in, to_atlas.n_out) != (axes, 3):
            raise CoordinateError(
                f"the map takes points of {to_atlas.n_in} coordinates to {to_atlas.n_out}; those "
                f"of {self.name or 'the file'} have {axes} and shall get 3."
            )
        points = self.coordinates if axes == 2 else self._in_axes_of(atlas, to_atlas, image_shape)
        return points if to_atlas is None else to_atlas(points)

    def _in_axes_of(
        self,
        atlas: Atlas,
        to_atlas: CoordinateTransform | None,
        image_shape: Sequence[int] | None,
    ) -> F64:
        """Return points of a volume along the atlas's axes, in um or in what the map takes."""
        if self.unit == "voxel" and self.voxel_um is None and to_atlas is None:
            raise CoordinateError(
                f"the points of {self.name or 'the file'} are voxels; give their size along the "
                "three axes of the file in um (voxel_um)."
            )
        size = np.array(self.voxel_um or (1.0, 1.0, 1.0))
        is_voxels = self.unit == "voxel"
        points = self.coordinates * size if is_voxels else self.coordinates
        space, own = self.space or atlas.space, checked_space(atlas.space)
        frame = atlas_frame(atlas) if to_atlas is None else None
        # What is counted from an outer corner is counted from that of the atlas's box.
        corner = np.zeros(3) if frame is None else np.array(frame.origin_um)
        if space == own:
            return points + corner if is_voxels and corner.any() else points
        extent = _extent(space, own, size, frame, image_shape)
        turn = AnatomicalSpace(space, shape=extent).transformation_matrix_to(own)
        turned: F64 = Affine(turn)(points) + corner
        return turned


def _extent(
    space: str,
    own: str,
    size_um: npt.NDArray[np.float64],
    frame: AtlasFrame | None,
    image_shape: Sequence[int] | None,
) -> Triple:
    """Return how long the axes of a file are, about which they are turned.

    Raises
    ------
    CoordinateError
        If an axis is to be turned and nobody knows it.
    """
    if image_shape is not None:
        shape = np.array(image_shape, dtype=np.float64)
        if shape.shape != (3,) or not (shape > 0).all():
            raise CoordinateError(
                f"an image has three numbers of voxels along its axes, not {tuple(image_shape)!r}."
            )
        x, y, z = (shape * size_um).tolist()
        return x, y, z
    if frame is not None:
        x, y, z = (frame.extent_um[_AXIS_OF[letter]] for letter in space)
        return x, y, z
    if not set(space) <= set(own):
        raise CoordinateError(
            f"axes that start at {space!r} run the other way than the atlas's {own!r}; give the "
            "shape of the image too, about which they are turned (image_shape)."
        )
    return 0.0, 0.0, 0.0
