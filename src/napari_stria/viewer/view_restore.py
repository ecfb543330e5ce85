"""From a `SavedView` to what a viewer shows: now for the atlas, later for its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.layers.base._base_constants import Blending

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import (
    Parcellation,
    parcellation_at_depth,
    parcellation_of_groups,
    parcellation_of_listed,
    parcellation_of_set,
)
from napari_stria.errors import RegionNotFoundError, StriaError
from napari_stria.session.saved_view import (
    SavedCamera,
    SavedParcellation,
    SavedPlane,
    SavedRegions,
    SavedView,
)
from napari_stria.viewer.view_capture import canvas_px, layers_by_role

if TYPE_CHECKING:
    import napari

    from napari_stria.viewer.controller import AtlasController

_MOST_NAMED = 5
# Layers that come after the atlas, and whose absence is told of by what loads them.
_LATER = ("sections ", "surface ")


def restore_plane(viewer: napari.Viewer, plane: SavedPlane, camera: SavedCamera) -> None:
    """Turn the sliders and the camera as they were saved.

    On a canvas of another size the zoom is another one too, so that all that was seen is seen.
    """
    offset = viewer.dims.ndim - 3
    if offset < 0:  # all our layers were deleted
        return
    # In 2D first: what follows the plane does not while there is none.
    viewer.dims.ndisplay = 2
    viewer.dims.order = (*range(offset), *(axis + offset for axis in plane.order))
    viewer.dims.set_point([offset, offset + 1, offset + 2], list(plane.point_um))
    viewer.dims.ndisplay = plane.ndisplay
    # Last, because napari resets the camera when axes are exchanged.
    now = viewer.scene.camera
    now.orientation = camera.orientation
    now.perspective = camera.perspective
    now.angles = camera.angles
    now.zoom = camera.zoom_on(canvas_px(viewer))
    now.center = camera.center


def restore_regions(controller: AtlasController, saved: SavedRegions) -> list[str]:
    """Select, hide and colour regions as they were saved; return what cannot be, in words."""
    session = controller.session
    assert session.atlas is not None
    ontology = session.atlas.ontology
    lost: list[str] = []
    try:
        session.set_palette(saved.palette)  # type: ignore[arg-type]  # it checks the name
    except StriaError as error:
        lost.append(str(error).rstrip("."))
    lost += _restore_parcellation(controller, saved.parcellation)
    selected, unknown = _positions(ontology, saved.selected)
    named = saved.hidden if saved.only is None else saved.only
    shown_or_hidden, others = _positions(ontology, named)
    hidden = np.zeros(len(ontology), dtype=bool)
    hidden[shown_or_hidden] = True
    _hide(controller, hidden if saved.only is None else ~hidden)
    session.select(selected)
    _restore_parcel(controller, saved.parcellation)
    wanted, without = _positions(ontology, saved.surfaces)
    if wanted:
        controller.surfaces.session.show(wanted)
    missing = list(dict.fromkeys([*unknown, *others, *without]))
    if missing:
        lost.append(f"the atlas has no region {_named(missing)}")
    return lost


def _restore_parcellation(
    controller: AtlasController, saved: SavedParcellation | None
) -> list[str]:
    """Show regions as they were saved; return what cannot be, in words."""
    session = controller.session
    assert session.atlas is not None
    try:
        session.set_parcellation(_parcellation(session.atlas.ontology, saved))
    except StriaError as error:
        session.set_parcellation(None)
        return [f"all regions are shown ({str(error).rstrip('.')})"]
    return []


def _parcellation(ontology: Ontology, saved: SavedParcellation | None) -> Parcellation | None:
    if saved is None:
        return None
    if saved.depth is not None:
        return parcellation_at_depth(ontology, saved.depth)
    if saved.groups:
        return parcellation_of_groups(ontology, saved.groups, title=saved.title)
    if saved.set_id is None:
        return None
    if saved.set_id in ontology.structure_set_ids:
        return parcellation_of_set(ontology, saved.set_id)
    # As the set was then: this atlas came without sets.
    return parcellation_of_listed(ontology, saved.region_ids, saved.title, set_id=saved.set_id)


def _restore_parcel(controller: AtlasController, saved: SavedParcellation | None) -> None:
    """Select the parcel that was clicked; its roots with all below them may be more."""
    parcellation = controller.session.parcellation
    if parcellation is None or saved is None or saved.selected is None:
        return
    found = np.flatnonzero(parcellation.ids == saved.selected)
    if len(found):
        controller.session.select_parcel(int(found[0]))


def _positions(ontology: Ontology, ids: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the pre-order positions of ids, and the ids that are not there."""
    found, missing = [], []
    for structure_id in ids:
        try:
            found.append(ontology.position(structure_id))
        except RegionNotFoundError:
            missing.append(structure_id)
    return found, missing


def _named(ids: list[int]) -> str:
    more = len(ids) - _MOST_NAMED
    return ", ".join(map(str, ids[:_MOST_NAMED])) + (f" and {more} others" if more > 0 else "")


def _hide(controller: AtlasController, hidden: Any) -> None:
    """Hide just these regions.

    The session hides a region with its descendants, so that the tree is gone down level by level.
    """
    session = controller.session
    assert session.atlas is not None
    depths = session.atlas.ontology.depths
    for depth in range(int(depths.max()) + 1):
        wrong = (depths == depth) & (session.hidden != hidden)
        for visible in (True, False):
            positions = np.flatnonzero(wrong & (hidden != visible))
            if len(positions):
                session.set_visible([int(p) for p in positions], visible)


def restore_looks(controller: AtlasController, view: SavedView, *, outlines: bool) -> list[str]:
    """Make our layers look as they were saved; return what cannot be, in words.

    Parameters
    ----------
    outlines : bool
        Also how regions are filled; sections that are to come set outlines of their own first.
    """
    ours = dict(layers_by_role(controller))
    saved = {look.role: look for look in view.looks}
    for role, look in saved.items():
        layer = ours.get(role)
        if layer is None or role.startswith("surface "):
            continue
        if isinstance(layer, Labels) and outlines:
            layer.contour = look.contour or 0
        if outlines or not isinstance(layer, Labels):
            layer.opacity = look.opacity
        if look.blending in {str(b) for b in Blending}:
            layer.blending = look.blending
        if look.contrast_limits is not None and role.startswith("template "):
            controller.layers.set_contrast(layer, look.contrast_limits)
        layer.visible = look.visible
    for role, layer in ours.items():
        # A layer that was deleted before the view was saved.
        if saved and role not in saved and not role.startswith(_LATER):
            controller.viewer.layers.remove(layer)
    return [
        f"the atlas has no {role}"
        for role in saved
        if role not in ours and not role.startswith(_LATER)
    ]


def restore_surface_looks(controller: AtlasController, view: SavedView) -> None:
    """Make the surfaces that are there look as they were saved."""
    saved = {look.role: look for look in view.looks}
    for role, layer in layers_by_role(controller):
        if role.startswith("surface ") and role in saved:
            layer.opacity = saved[role].opacity
            controller.surfaces.layers.set_seen(layer, saved[role].visible)
