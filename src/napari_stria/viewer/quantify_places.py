"""Where the data of a napari layer lie in the atlas, and why they may lie nowhere.

napari's world is atlas micrometres from the corner of the volume; see `napari_stria.viewer.layers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.transforms import Affine as LayerAffine

from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

_UM = "um"
# What napari gives a layer without a unit; beside layers in um it shows its numbers as they are.
_UNITLESS = "pixel"
_MOST_AXES = 3


@dataclass(frozen=True)
class PlaneInWorld:
    """The plane of the atlas on which layers with two axes lie.

    Attributes
    ----------
    world_to_atlas : Affine or None
        (x, y) of napari's world, which are its last and its last but one axis, to atlas um; None
        if no plane is on screen.
    text : str
        Which plane it is, in words; without one what to do to have one.
    """

    world_to_atlas: Affine | None
    text: str


def atlas_plane(viewer: napari.Viewer) -> PlaneInWorld:
    """Return the plane of the atlas that the sliders show.

    napari puts a layer with two axes along the last two of its world (DV and ML), wherever the
    first slider stands; so it lies on planes along AP alone.
    """
    dims = viewer.dims
    if dims.ndim < _MOST_AXES:
        return PlaneInWorld(None, "It has two axes: open an atlas and show the plane it lies on.")
    if dims.ndisplay != 2 or set(dims.displayed) != {dims.ndim - 2, dims.ndim - 1}:
        return PlaneInWorld(
            None, "It has two axes, DV and ML: show a plane of these in 2D, the one it lies on."
        )
    ap = float(dims.point[-3])
    to_atlas = Affine([[0.0, 0.0, ap], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    return PlaneInWorld(to_atlas, f"on the plane at AP {ap:,.0f} µm")


def unit_factors(layer: Layer) -> list[float]:
    """Return by what each axis of a layer's world is multiplied to be um.

    Raises
    ------
    CoordinateError
        If a unit is no length; what has no unit is taken as um, as napari draws it.
    """
    factors = []
    for unit in layer.units:
        if str(unit) == _UNITLESS:
            factors.append(1.0)
        elif unit.is_compatible_with(_UM):
            factors.append(float((1.0 * unit).to(_UM).magnitude))
        else:
            raise CoordinateError(f"its unit, {unit}, is no length; set the layer's units to um.")
    return factors


def obstacle(layer: Layer, plane: PlaneInWorld) -> str:
    """Return why a layer lies nowhere in the atlas, as a sentence; empty if it does."""
    if not 2 <= layer.ndim <= _MOST_AXES:
        return f"It has {layer.ndim} axes; only layers with two or three lie in an atlas."
    try:
        _index_to_world(layer)
    except CoordinateError as error:
        return f"It lies nowhere: {error}"
    if layer.ndim == 2 and plane.world_to_atlas is None:
        return plane.text
    return ""


def index_to_atlas(layer: Layer, plane: PlaneInWorld) -> Affine:
    """Return the map of a layer's own coordinates, in its axis order, to atlas um.

    Whole numbers are the centres of pixels and voxels, as napari has it. The layer must have no
    `obstacle`.
    """
    to_world = _index_to_world(layer)
    if layer.ndim == _MOST_AXES:
        return to_world
    assert plane.world_to_atlas is not None
    return plane.world_to_atlas @ Affine(to_world.matrix[::-1])


def array_to_atlas(layer: Layer, plane: PlaneInWorld) -> Affine:
    """Return the map of a layer's array to atlas um, counted from the array's corner.

    Takes (x, y) = (column, row) of an array with two axes, (axis 0, axis 1, axis 2) of one with
    three; the centre of the first pixel is at 0.5.
    """
    to_atlas = index_to_atlas(layer, plane)
    linear = to_atlas.linear
    corner = to_atlas.translation - linear @ np.full(to_atlas.n_in, 0.5)
    if layer.ndim < _MOST_AXES:
        linear = linear[:, ::-1]
    return Affine(np.column_stack([linear, corner]))


def _index_to_world(layer: Layer) -> Affine:
    """Return a layer's own coordinates -> its world in um; without the shift of napari's grid."""
    own = LayerAffine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    matrix = layer.affine.affine_matrix @ own.affine_matrix
    return Affine(np.asarray(unit_factors(layer))[:, None] * matrix[:-1])
