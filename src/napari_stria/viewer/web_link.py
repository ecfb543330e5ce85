"""A link to neuroglancer for what a viewer shows, or for an atlas alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stria.core.atlas import Atlas
from napari_stria.core.space import Triple
from napari_stria.errors import StriaError
from napari_stria.session.neuroglancer import DEFAULT_BASE, LinkView, neuroglancer_url

if TYPE_CHECKING:
    import napari

    from napari_stria.viewer.controller import AtlasController

_WHOLE_VIEW_PX = 600.0


def neuroglancer_link(
    viewer_or_atlas: napari.Viewer | Atlas,
    *,
    point_um: Sequence[float] | None = None,
    regions: Iterable[int | str] | None = None,
    base: str = DEFAULT_BASE,
) -> str:
    """Return a link that shows an atlas in neuroglancer, which reads it from its own store.

    Parameters
    ----------
    viewer_or_atlas : napari.Viewer or Atlas
        A viewer gives its plane, zoom, selection and colours to the link.
    point_um : sequence of 3 floats, optional
        (AP, DV, ML) in atlas um; default is where the viewer's sliders stand, else the middle.
    regions : iterable of int or str, optional
        Ids or acronyms of the regions to show; default are the selected ones, else all.
    base : str
        Where neuroglancer runs.

    Returns
    -------
    str

    Raises
    ------
    UnsupportedSourceError
        If neuroglancer cannot read the atlas's store; the message says why.
    RegionNotFoundError
        If there is no such region.
    """
    if isinstance(viewer_or_atlas, Atlas):
        atlas, view = viewer_or_atlas, view_of_atlas(viewer_or_atlas)
    else:
        # Loaded when it is first used: an atlas alone needs no napari.
        from napari_stria.viewer.controller import controller_of

        controller = controller_of(viewer_or_atlas)
        if controller.session.atlas is None:
            raise StriaError("there is no atlas to link to; open one first.")
        atlas, view = controller.session.atlas, view_of_viewer(controller)
    changes: dict[str, Any] = {}
    if point_um is not None:
        ap, dv, ml = (float(v) for v in point_um)
        changes["point_um"] = (ap, dv, ml)
    if regions is not None:
        changes["selected"] = tuple(atlas.ontology.position(region) for region in regions)
    return neuroglancer_url(atlas, LinkView(**{**vars(view), **changes}), base)


def view_of_atlas(atlas: Atlas) -> LinkView:
    """Return the coronal plane in the middle of an atlas, as a whole."""
    grid = atlas.annotation.levels[0].grid
    size = [n * s for n, s in zip(grid.shape, grid.scale_um, strict=True)]
    ap, dv, ml = (float(o + s / 2) for o, s in zip(grid.origin_um, size, strict=True))
    return LinkView((ap, dv, ml), um_per_px=max(size) / _WHOLE_VIEW_PX, height_px=_WHOLE_VIEW_PX)


def view_of_viewer(controller: AtlasController) -> LinkView:
    """Return what a viewer shows."""
    # As above.
    from napari_stria.viewer.view_capture import layers_by_role

    viewer, session = controller.viewer, controller.session
    assert session.atlas is not None
    if viewer.dims.ndim < 3:
        return view_of_atlas(session.atlas)
    camera = viewer.scene.camera
    right, down = _screen_axes(viewer)
    ap, dv, ml = (float(v) for v in viewer.dims.point[-3:])
    if viewer.dims.ndisplay == 3:
        for axis, value in zip(viewer.dims.displayed, camera.center, strict=True):
            if axis == viewer.dims.ndim - 3:
                ap = float(value)
            elif axis == viewer.dims.ndim - 2:
                dv = float(value)
            else:
                ml = float(value)
    contrast, ids = None, session.atlas.ontology.ids
    first = f"template {next(iter(session.templates), '')}"
    for role, layer in layers_by_role(controller):
        if role == first and controller.layers.has_contrast(layer):
            low, high = (float(v) for v in layer.contrast_limits)
            contrast = (low, high)
    return LinkView(
        point_um=(ap, dv, ml),
        right=right,
        down=down,
        ndisplay=int(viewer.dims.ndisplay),
        um_per_px=1 / float(camera.zoom),
        height_px=float(viewer.canvas.size[0]),
        selected=session.selected,
        hidden=session.hidden,
        surfaces=tuple(int(ids[p]) for p in sorted(controller.surfaces.session.wanted)),
        colors=session.color_table()[1:-1, :3],
        contrast=contrast,
    )


def _screen_axes(viewer: napari.Viewer) -> tuple[Triple, Triple]:
    """Return where the screen's right and down point in the atlas (AP, DV, ML)."""
    dims, camera = viewer.dims, viewer.scene.camera
    shown = [axis - (dims.ndim - 3) for axis in dims.displayed]
    if len(shown) == 3:
        into, down = np.zeros(3), np.zeros(3)
        into[shown], down[shown] = camera.view_direction, -np.asarray(camera.up_direction)
        # Neuroglancer cannot mirror: right is what makes x, y, z of the screen right-handed.
        # The order (AP, DV, ML) is its z, y, x, which turns the sign of the product.
        right = np.cross(into, down)
        return _triple(right), _triple(down)
    vertical, horizontal = camera.orientation2d
    right, down = np.zeros(3), np.zeros(3)
    right[shown[1]] = 1.0 if str(horizontal) == "right" else -1.0
    down[shown[0]] = 1.0 if str(vertical) == "down" else -1.0
    return _triple(right), _triple(down)


def _triple(vector: Any) -> Triple:
    first, second, third = (float(v) for v in vector)
    return first, second, third
