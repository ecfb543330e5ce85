"""From session state to napari layers.

World coordinates are atlas micrometres with the corner as origin: napari puts a voxel's centre at
its index, so each layer is shifted by half a voxel of its finest level, once, here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap
from superqt.utils import qthrottled

from napari_stria.core.space import AXIS_LABELS
from napari_stria.io.streamed_level import StreamedLevel
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.citation import atlas_citation

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Layer

    from napari_stria.core.atlas import Atlas
    from napari_stria.session.atlas_session import AtlasSession

_REFRESH_MS = 100
_UNIT = "um"
_OPACITY_OVER_TEMPLATE = 0.6


def pyramid_of(layer: Layer) -> ProgressivePyramid | None:
    """Return the pyramid that a napari layer shows, None if it is not one of ours."""
    data = layer.data
    first = data[0] if getattr(layer, "multiscale", False) and len(data) else data
    return first.pyramid if isinstance(first, StreamedLevel) else None


def placement(pyramid: ProgressivePyramid) -> dict[str, Any]:
    """Return the arguments that put a pyramid into atlas micrometres."""
    finest = pyramid.source.levels[0]
    return {
        # napari takes a list of one level for an array of its planes.
        "multiscale": len(pyramid.levels) > 1,
        "scale": finest.scale_um,
        "translate": [o + s / 2 for o, s in zip(finest.origin_um, finest.scale_um, strict=True)],
        "units": (_UNIT,) * 3,
        "axis_labels": AXIS_LABELS,
    }


def layer_data(pyramid: ProgressivePyramid) -> list[StreamedLevel] | StreamedLevel:
    """Return what a napari layer of a pyramid is made from."""
    return list(pyramid.levels) if len(pyramid.levels) > 1 else pyramid.levels[0]


class AtlasLayers:
    """Shows a session's atlas as napari layers and keeps them as the session says.

    The layers belong to the user: they may be renamed, duplicated (the copy is coloured and
    refreshed too) or deleted (their downloads end); nothing here holds on to them.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are shown.
    session : AtlasSession
        What they show.
    """

    def __init__(self, viewer: napari.Viewer, session: AtlasSession) -> None:
        self._viewer = viewer
        self._session = session
        self._colormap: CyclicLabelColormap | None = None
        self._contrast_due: set[int] = set()
        self._refresh = qthrottled(self._refresh_now, timeout=_REFRESH_MS)
        session.opened.connect(self._add_layers)
        session.closed.connect(self._remove_layers)
        session.colors_changed.connect(self._set_colors)
        session.chunks_changed.connect(self._refresh)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        # Before napari's own callback, which slices.
        viewer.dims.events.point.connect(self._on_point, position="first")
        for layer in viewer.layers:
            self._adopt(layer)

    def forget(self) -> None:
        """Do nothing more for a viewer whose window is gone."""
        self._refresh.cancel()

    def close(self) -> None:
        """Stop following the session and the viewer."""
        for signal, slot in (
            (self._session.opened, self._add_layers),
            (self._session.closed, self._remove_layers),
            (self._session.colors_changed, self._set_colors),
            (self._session.chunks_changed, self._refresh),
        ):
            signal.disconnect(slot, missing_ok=True)
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.dims.events.point.disconnect(self._on_point)
        self._refresh.cancel()

    # -- adding and removing ---------------------------------------------------------------

    def annotation_layers(self) -> list[Labels]:
        """Return the layers that show the annotation (the user may have duplicated it)."""
        # Converted to an image, a layer still streams but has no table of label colours.
        return [
            ly
            for ly in self._viewer.layers
            if isinstance(ly, Labels) and pyramid_of(ly) is self._session.annotation
        ]

    def _add_layers(self, atlas: Atlas) -> None:
        session = self._session
        assert session.annotation is not None
        added = []
        citation = atlas_citation(atlas)
        # Invisible at first: adding a visible layer reads plane 0, which nobody looks at.
        for number, (name, pyramid) in enumerate(session.templates.items()):
            self._contrast_due.add(id(pyramid))
            image = self._viewer.add_image(
                layer_data(pyramid),
                name=f"{atlas.name} {'template' if number == 0 else name}",
                contrast_limits=_widest_contrast(pyramid.dtype),
                projection_mode="none",
                visible=False,
                metadata={"stria": {"atlas": atlas.name, "template": name, "citation": citation}},
                **placement(pyramid),
            )
            if number == 0:
                added.append(image)
        labels = self._viewer.add_labels(
            layer_data(session.annotation),
            name=f"{atlas.name} regions",
            opacity=_OPACITY_OVER_TEMPLATE if session.templates else 1.0,
            visible=False,
            metadata={"stria": {"atlas": atlas.name, **dict(atlas.metadata), "citation": citation}},
            **placement(session.annotation),
        )
        added.append(labels)
        self._set_colors(session.color_table())
        self._to_middle(session.annotation)
        for layer in added:
            layer.visible = True
        self._viewer.layers.selection.active = labels
        self._viewer.reset_view()

    def _to_middle(self, pyramid: ProgressivePyramid) -> None:
        finest = pyramid.source.levels[0]
        middle = finest.grid.center_of([n // 2 for n in finest.shape])
        offset = self._viewer.dims.ndim - 3
        self._viewer.dims.set_point([offset, offset + 1, offset + 2], list(middle))

    def _on_point(self, _event: Any = None) -> None:
        """Tell the pyramids where the sliders stand."""
        if self._viewer.dims.ndim < 3:
            return
        ap, dv, ml = (float(v) for v in self._viewer.dims.point[-3:])
        for pyramid in (self._session.annotation, *self._session.templates.values()):
            if pyramid is not None:
                pyramid.viewed_point_um = (ap, dv, ml)

    def _remove_layers(self) -> None:
        ours = [ly for ly in self._viewer.layers if pyramid_of(ly) is not None]
        # napari tidies its scene, which takes longer than all else, once a batch.
        with self._viewer.layers.batched_update():
            for layer in ours:
                self._viewer.layers.remove(layer)
        self._contrast_due.clear()

    def _on_removed(self, event: Any) -> None:
        """End the downloads of a pyramid that no layer shows any more."""
        pyramid = pyramid_of(event.value)
        if pyramid is not None and all(pyramid_of(ly) is not pyramid for ly in self._viewer.layers):
            pyramid.rest()

    def _on_inserted(self, event: Any) -> None:
        self._adopt(event.value)

    def _adopt(self, layer: Layer) -> None:
        """Keep a layer of ours, new or duplicated, in step with the session."""
        pyramid = pyramid_of(layer)
        if pyramid is None:
            return
        layer.editable = False
        if pyramid is self._session.annotation and isinstance(layer, Labels):
            layer.events.colormap.connect(self._on_layer_colormap)
            if self._colormap is not None:
                layer.colormap = self._colormap

    # -- colours ---------------------------------------------------------------

    def _set_colors(self, table: npt.NDArray[np.float32]) -> None:
        self._colormap = CyclicLabelColormap(colors=table, name="atlas colours")
        for layer in self.annotation_layers():
            layer.colormap = self._colormap

    def _on_layer_colormap(self, event: Any) -> None:
        # napari's "shuffle colours" puts a table of its own in place of the atlas's.
        layer = event.source
        if self._colormap is not None and layer.colormap is not self._colormap:
            layer.colormap = self._colormap

    # -- refreshing ---------------------------------------------------------------

    def _refresh_now(self) -> None:
        for layer in list(self._viewer.layers):
            pyramid = pyramid_of(layer)
            if pyramid is None or not layer.visible:
                continue
            if id(pyramid) in self._contrast_due:
                self._set_contrast(layer, pyramid)
            layer.refresh(extent=False, highlight=False)

    def set_contrast(self, layer: Image, limits: tuple[float, float]) -> None:
        """Set a template's contrast, which is then not taken from its chunks any more."""
        self._contrast_due.discard(id(pyramid_of(layer)))
        layer.contrast_limits = limits

    def has_contrast(self, layer: Image) -> bool:
        """Tell whether a template's contrast was set, by its chunks or by somebody."""
        return id(pyramid_of(layer)) not in self._contrast_due

    def _set_contrast(self, layer: Image, pyramid: ProgressivePyramid) -> None:
        """Set a template's contrast from the coarse chunks that are there anyway."""
        chunks = [chunk[::2, ::2, ::2] for chunk in pyramid.cached_coarsest()]
        values = np.concatenate([c[c > 0] for c in chunks]) if chunks else np.zeros(0)
        if values.size:
            low, high = (float(v) for v in np.percentile(values, (1, 99.8)))
            layer.contrast_limits = (min(low, high * 0.9), high)
            self._contrast_due.discard(id(pyramid))


def _widest_contrast(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    return 0.0, 1.0
