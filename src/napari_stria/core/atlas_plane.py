"""Pictures of any plane of an atlas, for scripts: its labels and its reference image."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.oblique import VoxelInterpolation, sample_plane
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import CoordinateError


def level_for_pixel(volume: Multiscale, pixel_um: float) -> Level:
    """Return the coarsest level whose voxels are no larger than a pixel, else the finest."""
    fitting = [lv for lv in volume.levels if max(lv.scale_um) <= pixel_um * (1 + 1e-3)]
    return max(fitting, key=lambda lv: max(lv.scale_um), default=volume.levels[0])


def annotation_plane(
    atlas: Atlas,
    plane_to_atlas: CoordinateTransform,
    shape: tuple[int, int],
    pixel_um: float,
    *,
    center_xy_um: tuple[float, float] = (0.0, 0.0),
    cancel: Event | None = None,
) -> npt.NDArray[Any]:
    """Return the labels of an atlas on any plane.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    plane_to_atlas : CoordinateTransform
        Maps (x, y) um in the plane to atlas um (AP, DV, ML).
    shape : (rows, columns)
        Of the picture.
    pixel_um : float
        Side of a pixel. The coarsest level is taken whose voxels are no larger, else the finest.
    center_xy_um : (x, y)
        The middle of the picture, in the plane.
    cancel : threading.Event, optional
        Ends the work between blocks when it is set.

    Returns
    -------
    (rows, columns) ndarray
        Annotation values, of the volume's own type, at the pixels' centres; 0 outside. Only the
        blocks that the plane crosses are read.

    Raises
    ------
    CoordinateError, TaskCancelled, NetworkError, CorruptDataError
        See `napari_stria.core.oblique.sample_plane`.
    """
    level = level_for_pixel(atlas.annotation, pixel_um)
    return sample_plane(
        level, plane_to_atlas, shape, pixel_um=pixel_um, center_xy_um=center_xy_um, cancel=cancel
    )


def template_plane(
    atlas: Atlas,
    plane_to_atlas: CoordinateTransform,
    shape: tuple[int, int],
    pixel_um: float,
    *,
    name: str | None = None,
    center_xy_um: tuple[float, float] = (0.0, 0.0),
    interpolation: VoxelInterpolation = "linear",
    cancel: Event | None = None,
) -> npt.NDArray[np.float32]:
    """Return a reference image of an atlas on any plane.

    Parameters
    ----------
    atlas, plane_to_atlas, shape, pixel_um, center_xy_um, cancel
        See `annotation_plane`.
    name : str, optional
        Which template; default is the first.
    interpolation : {"nearest", "linear"}
        See `napari_stria.core.oblique.sample_points`.

    Returns
    -------
    (rows, columns) float32 ndarray
        The template's values at the pixels' centres; 0 outside.

    Raises
    ------
    CoordinateError
        If the atlas has no (such) template, and as `annotation_plane`.
    TaskCancelled, NetworkError, CorruptDataError
        See `napari_stria.core.oblique.sample_plane`.
    """
    if not atlas.templates:
        raise CoordinateError(f"{atlas.name} has no template; use annotation_plane.")
    wanted = next(iter(atlas.templates)) if name is None else name
    if wanted not in atlas.templates:
        known = ", ".join(atlas.templates)
        raise CoordinateError(f"{atlas.name} has no template {wanted!r}, only {known}.")
    picture = sample_plane(
        level_for_pixel(atlas.templates[wanted], pixel_um),
        plane_to_atlas,
        shape,
        pixel_um=pixel_um,
        center_xy_um=center_xy_um,
        interpolation=interpolation,
        cancel=cancel,
    )
    return picture.astype(np.float32, copy=False)
