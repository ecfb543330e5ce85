"""From what a viewer shows to a `SavedView`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from napari_stria.core.space import Triple
from napari_stria.errors import StriaError
from napari_stria.io.atlas_catalog import DEFAULT_ROOT
from napari_stria.session.reopening import checked_address, reopening_arguments
from napari_stria.session.saved_view import (
    SavedCamera,
    SavedLook,
    SavedParcellation,
    SavedPlane,
    SavedRegions,
    SavedSections,
    SavedView,
)
from napari_stria.viewer.layers import pyramid_of
from napari_stria.viewer.practice import PRACTICE_ROOT, lasting_place
from napari_stria.viewer.section_layers import sections_of
from napari_stria.viewer.surface_layers import surface_of

if TYPE_CHECKING:
    import napari

    from napari_stria.core.atlas import Atlas
    from napari_stria.viewer.controller import AtlasController

# In the dock's words.
_SOURCE_NAMES = {DEFAULT_ROOT: "BrainGlobe", PRACTICE_ROOT: "Practice brain"}
# napari reads camera and sliders back from what it draws; finer than this is rounding.
_UM_DIGITS, _DEGREE_DIGITS, _ZOOM_FIGURES = 3, 4, 6


def capture(controller: AtlasController) -> SavedView:
    """Return what a viewer shows now, fit to be written down.

    Raises
    ------
    StriaError
        If no atlas is open.
    UnsupportedSourceError
        If the atlas cannot be opened again from an address.
    """
    atlas = controller.session.atlas
    if atlas is None:
        raise StriaError("there is no atlas to save a view of; open one first.")
    arguments = reopening_arguments(atlas)
    if "root" in arguments:
        arguments["root"] = lasting_place(arguments["root"])
    return SavedView(
        name=atlas.name,
        opened_with=arguments,
        plane=saved_plane(controller.viewer, _level_um(controller)),
        camera=saved_camera(controller.viewer),
        regions=_saved_regions(controller, atlas),
        looks=tuple(_saved_look(controller, role, ly) for role, ly in layers_by_role(controller)),
        sections=_saved_sections(controller),
        source=_SOURCE_NAMES.get(str(arguments.get("root")), ""),
    )


def saved_plane(viewer: napari.Viewer, level_um: Triple | None = None) -> SavedPlane:
    """Return where a viewer's sliders stand."""
    dims = viewer.dims
    offset = dims.ndim - 3
    if offset < 0:
        raise StriaError("the atlas's layers are gone from this viewer; open the atlas again.")
    ap, dv, ml = (round(float(v), _UM_DIGITS) for v in dims.point[-3:])
    first, second, third = (axis - offset for axis in dims.order if axis >= offset)
    return SavedPlane((ap, dv, ml), (first, second, third), int(dims.ndisplay), level_um)


def saved_camera(viewer: napari.Viewer) -> SavedCamera:
    """Return a viewer's camera."""
    camera = viewer.scene.camera
    z, y, x = (round(float(v), _UM_DIGITS) for v in camera.center)
    first, second, third = (round(float(v), _DEGREE_DIGITS) for v in camera.angles)
    depth, vertical, horizontal = (str(word) for word in camera.orientation)
    return SavedCamera(
        center=(z, y, x),
        zoom=float(f"{camera.zoom:.{_ZOOM_FIGURES}g}"),
        angles=(first, second, third),
        perspective=round(float(camera.perspective), _DEGREE_DIGITS),
        orientation=(depth, vertical, horizontal),
        canvas_px=canvas_px(viewer),
    )


def canvas_px(viewer: napari.Viewer) -> tuple[int, int]:
    """Return height and width of a viewer's canvas."""
    height, width = viewer.canvas.size
    return int(height), int(width)


def _level_um(controller: AtlasController) -> Triple | None:
    """Return the voxel size of the level of the annotation that is on screen."""
    atlas = controller.session.atlas
    for layer in controller.layers.annotation_layers()[:1]:
        if atlas is not None and layer.multiscale:
            return atlas.annotation.levels[int(layer.data_level)].scale_um
    return None


def _saved_regions(controller: AtlasController, atlas: Atlas) -> SavedRegions:
    session, ids = controller.session, atlas.ontology.ids
    hidden = tuple(int(i) for i in ids[session.hidden])
    shown = tuple(int(i) for i in ids[~session.hidden])
    isolated = len(shown) < len(hidden)
    return SavedRegions(
        selected=tuple(int(ids[position]) for position in session.selected),
        hidden=() if isolated else hidden,
        only=shown if isolated else None,
        surfaces=tuple(int(ids[p]) for p in sorted(controller.surfaces.session.wanted)),
        palette=session.palette,
        parcellation=_saved_parcellation(controller),
    )


def _saved_parcellation(controller: AtlasController) -> SavedParcellation | None:
    parcellation, parcel = controller.session.parcellation, controller.session.parcel
    if parcellation is None:
        return None
    return SavedParcellation(
        depth=parcellation.depth,
        set_id=parcellation.set_id,
        region_ids=() if parcellation.set_id is None else tuple(parcellation.ids.tolist()),
        groups=parcellation.groups,
        title=parcellation.title,
        selected=None if parcel is None else int(parcellation.ids[parcel]),
    )


def layers_by_role(controller: AtlasController) -> Iterator[tuple[str, Layer]]:
    """Yield our layers with what they are; of duplicates the first."""
    session, control = controller.session, controller.open_sections
    roles: dict[int, str] = {id(session.annotation): "regions"}
    roles |= {id(pyramid): f"template {name}" for name, pyramid in session.templates.items()}
    if control is not None:
        roles |= {id(p): f"sections {view}" for view, p in control.session.pyramids.items()}
    for layer in controller.viewer.layers:
        shown = pyramid_of(layer)
        shown = sections_of(layer) if shown is None else shown
        role = None if shown is None else roles.get(id(shown))
        if role is not None and (role == "regions") == isinstance(layer, Labels):
            del roles[id(shown)]
            yield role, layer
    surfaces: dict[int, Layer] = {}
    for layer in controller.surfaces.layers.layers():
        position = surface_of(layer)
        if position is not None and session.atlas is not None:
            surfaces.setdefault(int(session.atlas.ontology.ids[position]), layer)
    yield from ((f"surface {number}", surfaces[number]) for number in sorted(surfaces))


def _saved_look(controller: AtlasController, role: str, layer: Layer) -> SavedLook:
    control, surfaces = controller.open_sections, controller.surfaces.layers

    def plain(name: str) -> Any:
        return getattr(layer, name) if control is None else control.plain_look(layer, name)

    if role.startswith("surface "):
        visible = surfaces.is_seen(layer)
    else:
        visible = bool(plain("visible")) or surfaces.is_set_aside(layer)
    is_template = role.startswith("template ") and isinstance(layer, Image)
    limits = None
    if is_template and controller.layers.has_contrast(layer):
        low, high = (float(v) for v in layer.contrast_limits)
        limits = (low, high)
    return SavedLook(
        role=role,
        visible=visible,
        opacity=float(plain("opacity")),
        blending=str(layer.blending),
        contour=int(plain("contour")) if isinstance(layer, Labels) else None,
        contrast_limits=limits,
    )


def _saved_sections(controller: AtlasController) -> SavedSections | None:
    control = controller.open_sections
    if control is None or control.session.dataset is None or control.session.api is None:
        return None
    session, options = control.session, control.session.options
    assert session.dataset is not None
    assert session.api is not None
    return SavedSections(
        dataset_id=session.dataset.id,
        api=checked_address(lasting_place(session.api.base_url)),
        resolution_um=options.resolution_um,
        placement=options.placement,
        mirrored=options.mirrored,
        expression=options.expression,
        hidden=tuple(sorted(session.hidden)),
        genes=session.dataset.genes,
    )
