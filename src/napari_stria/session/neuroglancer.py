"""A link that shows an atlas in neuroglancer, from its own store, at the same place.

Formats and rules are those of neuroglancer's own documentation and source
(https://neuroglancer-docs.web.app, https://github.com/google/neuroglancer, August 2026):
`python/neuroglancer/viewer_state.py` and `url_state.py` for the state, `src/datasource/zarr/ome.ts`
for OME-Zarr, `src/navigation_state.ts` for zoom, `src/data_panel_layout.ts` for panels.

**Half voxels.** In an OME-Zarr a voxel's centre is its coordinate; neuroglancer's coordinates
are counted from a voxel's lower corner. It converts each level by taking half of that level's voxel
off (`ome.ts`), so that voxel 0 of the finest level covers [-0.5, 0.5) of its axis:

    neuroglancer = ome / s            s: size of the store's finest voxel
    ome          = atlas - s / 2      atlas coordinates start at the corner of that voxel
    neuroglancer = atlas / s - 0.5

A store with another finest voxel has another half voxel, and the precomputed meshes have none:
their nm start at the corner. So each OME-Zarr source gets a transform that adds 0.5 of its own
finest voxel; then all sources agree, and the position is atlas / s.

A coarse level without a translation, as BrainGlobe wrote them until July 2026, lies off in
neuroglancer, which does not guess one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Multiscale
from napari_stria.core.space import Triple
from napari_stria.io.draco_meshes import DracoMeshes
from napari_stria.session.neuroglancer_sources import directory_url, ome_zarr_source

DEFAULT_BASE = "https://neuroglancer-demo.appspot.com/"
_GREY = "#uicontrol invlerp normalized\nvoid main() { emitGrayscale(normalized()); }"
# Neuroglancer's axes x, y, z are ML, DV, AP: a coronal plane is its plain view (xy).
_NAMES = ("z", "y", "x")
_PANELS = ("xy", "xz", "yz")
# What a panel's right and down are, in x, y, z, before it is turned (`data_panel_layout.ts`).
_PANEL_AXES = {
    "xy": ((1, 0, 0), (0, 1, 0)),
    "xz": ((1, 0, 0), (0, 0, 1)),
    "yz": ((0, 0, -1), (0, 1, 0)),
}


@dataclass(frozen=True)
class LinkView:
    """What the link shows of an atlas.

    Attributes
    ----------
    point_um : tuple of float
        (AP, DV, ML) in atlas um.
    right, down : tuple of float
        Where the screen's axes point in the atlas (AP, DV, ML), as unit vectors.
    ndisplay : int
        2 or 3.
    um_per_px : float
        Size of a screen's pixel.
    height_px : float
        Height of the canvas; for 3D.
    selected : tuple of int
        Pre-order positions; they are shown with their descendants. None: all regions.
    hidden : (N,) bool ndarray or None
        Regions whose own voxels are not shown.
    surfaces : tuple of int
        Structure ids whose surfaces are shown in 3D; none shows those of the selected regions.
    colors : (N, 3) array or None
        Colours of the regions from 0 to 1; the ontology's if there are none.
    contrast : tuple of float or None
        Values of the template that are black and white.
    """

    point_um: Triple
    right: Triple = (0.0, 0.0, 1.0)
    down: Triple = (0.0, 1.0, 0.0)
    ndisplay: int = 2
    um_per_px: float = 10.0
    height_px: float = 800.0
    selected: tuple[int, ...] = ()
    hidden: npt.NDArray[np.bool_] | None = field(default=None, compare=False)
    surfaces: tuple[int, ...] = ()
    colors: npt.NDArray[Any] | None = field(default=None, compare=False)
    contrast: tuple[float, float] | None = None


def neuroglancer_url(atlas: Atlas, view: LinkView, base: str = DEFAULT_BASE) -> str:
    """Return the link; see `neuroglancer_state`.

    Parameters
    ----------
    base : str
        Where neuroglancer runs.
    """
    state = json.dumps(neuroglancer_state(atlas, view, base), separators=(",", ":"))
    # As in neuroglancer's `url_state.py`, and without the characters that chats take for the end.
    return f"{base.rstrip('#!')}#!{quote(state, safe='~@$&*+=:;,.?/')}"


def neuroglancer_state(atlas: Atlas, view: LinkView, base: str = DEFAULT_BASE) -> dict[str, Any]:
    """Return neuroglancer's state for a view of an atlas.

    Raises
    ------
    UnsupportedSourceError
        If neuroglancer cannot read the atlas's store; the message says why.
    """
    finest = atlas.annotation.levels[0].scale_um
    layout, turned = _pose(view)
    smallest = min(finest)
    return {
        "title": atlas.name,
        "dimensions": _dimensions(finest, reverse=True),
        "position": [p / s for p, s in zip(reversed(view.point_um), reversed(finest), strict=True)],
        # In voxels for each pixel, and in voxels for the panel's height (`navigation_state.ts`).
        "crossSectionScale": view.um_per_px / smallest,
        "projectionScale": view.um_per_px * view.height_px / smallest,
        **turned,
        "layers": _layers(atlas, view, base),
        "selectedLayer": {"visible": True, "layer": "regions"},
        "layout": layout,
    }


# -- layers ---------------------------------------------------------------


def _layers(atlas: Atlas, view: LinkView, base: str) -> list[dict[str, Any]]:
    ontology = atlas.ontology
    shown = _shown_positions(ontology, view)
    colored = range(len(ontology)) if shown is None else shown
    values = ontology.annotation_values
    colors = _hex_colors(ontology, view)
    layers: list[dict[str, Any]] = []
    for name, pyramid in list(atlas.templates.items())[:1]:
        layers.append(_template(name, pyramid, view, base))
    regions: dict[str, Any] = {
        "type": "segmentation",
        "name": "regions",
        "source": _ome_zarr_layer(atlas.annotation, base),
        "segmentColors": {str(values[p]): colors[p] for p in colored},
        "selectedAlpha": 0.5 if atlas.templates else 1.0,
    }
    if shown is not None:
        regions["ignoreNullVisibleSet"] = False  # else no region would be taken for all
        regions["segments"] = [str(values[p]) for p in shown]
    layers.append(regions)
    # Beside the regions and not in their layer: there each shown region's descendants would be
    # drawn too, inside the surface of the region.
    surfaces = _surfaces(atlas, view, colors, base)
    return [*layers, *([] if surfaces is None else [surfaces])]


def _shown_positions(ontology: Ontology, view: LinkView) -> list[int] | None:
    """Return the regions whose voxels are shown; None for all."""
    shown = np.zeros(len(ontology), dtype=bool)
    for position in view.selected:
        shown[position : ontology.subtree_ends[position]] = True
    if not view.selected:
        shown[:] = True
    if view.hidden is not None:
        shown &= ~view.hidden
    return None if shown.all() else [int(p) for p in np.flatnonzero(shown)]


def _hex_colors(ontology: Ontology, view: LinkView) -> list[str]:
    rgb = ontology.rgb if view.colors is None else np.rint(np.asarray(view.colors) * 255)
    return ["#{:02x}{:02x}{:02x}".format(*(int(v) for v in row)) for row in rgb]


def _template(name: str, pyramid: Multiscale, view: LinkView, base: str) -> dict[str, Any]:
    layer: dict[str, Any] = {
        "type": "image",
        "name": name,
        "source": _ome_zarr_layer(pyramid, base),
        "opacity": 1.0,
    }
    if view.contrast is not None:
        layer["shader"] = _GREY
        layer["shaderControls"] = {"normalized": {"range": list(view.contrast)}}
    return layer


def _ome_zarr_layer(pyramid: Multiscale, base: str) -> dict[str, Any]:
    finest = pyramid.levels[0].scale_um
    half = [[*(float(row == column) for column in range(3)), 0.5] for row in range(3)]
    return {
        "url": ome_zarr_source(pyramid, base),
        # Named here, so that the store's own names of its axes do not matter.
        "transform": {"outputDimensions": _dimensions(finest), "matrix": half},
    }


def _surfaces(
    atlas: Atlas, view: LinkView, colors: Sequence[str], base: str
) -> dict[str, Any] | None:
    if not isinstance(atlas.meshes, DracoMeshes):
        return None
    ids = atlas.ontology.ids
    positions = [p for p in range(len(ids)) if int(ids[p]) in set(view.surfaces)]
    positions = positions or list(view.selected)
    if not positions:
        return None
    folder = directory_url(atlas.meshes.store, base)
    location = quote(atlas.meshes.location.strip("/"))
    return {
        "type": "segmentation",
        "name": "surfaces",
        "source": {
            "url": f"{folder}{location}/annotations.precomputed/|neuroglancer-precomputed:",
            "enableDefaultSubsources": False,
            "subsources": {"mesh": True, "properties": True},
        },
        "segments": [str(ids[p]) for p in positions],
        "segmentColors": {str(ids[p]): colors[p] for p in positions},
    }


# -- where one looks from ---------------------------------------------------------------


def _dimensions(scale_um: Triple, *, reverse: bool = False) -> dict[str, Any]:
    pairs = [(name, [size / 1e6, "m"]) for name, size in zip(_NAMES, scale_um, strict=True)]
    return dict(reversed(pairs) if reverse else pairs)


def _pose(view: LinkView) -> tuple[str, dict[str, Any]]:
    """Return the layout, and the rotation for what it shows."""
    # From AP, DV, ML to x, y, z.
    right = np.asarray(view.right, dtype=float)[::-1]
    down = np.asarray(view.down, dtype=float)[::-1]
    screen = _rotation(right, down)
    if view.ndisplay == 3:
        return "3d", {"projectionOrientation": quaternion(screen)}
    # The axis that neither rows nor columns follow names the panel.
    across = int(np.argmax(np.abs(np.cross(view.right, view.down))))
    layout = _PANELS[across]
    panel = _rotation(*(np.asarray(axis, dtype=float) for axis in _PANEL_AXES[layout]))
    return layout, {"crossSectionOrientation": quaternion(screen @ panel.T)}


def _rotation(right: npt.NDArray[Any], down: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the rotation that takes x, y, z to right, down and into the screen."""
    return np.column_stack([right, down, np.cross(right, down)]).astype(np.float64)


def quaternion(rotation: npt.NDArray[Any]) -> list[float]:
    """Return the unit quaternion (x, y, z, w) of a rotation matrix (3, 3)."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    # One of the two that mean the same, so that a view has one link.
    sign = -1.0 if w < 0 or (math.isclose(w, 0, abs_tol=1e-12) and min(x, y, z) < -0.5) else 1.0
    return [round(sign * float(v), 12) + 0.0 for v in (x, y, z, w)]
