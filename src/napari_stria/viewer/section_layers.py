"""From a section session's state to napari layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from superqt.utils import qthrottled

from napari_stria.core.allen_alignment import PIR_EXTENT_UM
from napari_stria.core.section import View
from napari_stria.io.streamed_rgba import StreamedRgba
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.citation import sections_citation
from napari_stria.viewer.layers import placement

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_stria.session.section_session import SectionSession

_REFRESH_MS = 100
# Which axes are slider, rows and columns when one looks along a stack.
_ORDERS = {0: (0, 1, 2), 1: (1, 0, 2), 2: (2, 1, 0)}


def sections_of(layer: Layer) -> ProgressivePyramid | None:
    """Return the pyramid of sections that a napari layer shows, None if it shows none."""
    data = layer.data
    first = data[0] if getattr(layer, "multiscale", False) and len(data) else data
    level = first.level if isinstance(first, StreamedRgba) else None
    return None if level is None else level.pyramid


def is_regions(layer: Layer) -> bool:
    """Tell whether a layer shows the regions of an atlas."""
    return isinstance(layer, Labels) and bool(layer.metadata.get("stria", {}).get("atlas"))


class SectionLayers:
    """Shows a session's sections as napari layers and keeps them as the session says.

    The layers belong to the user: they may be renamed, restyled, duplicated or deleted (their
    downloads end).

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are shown.
    session : SectionSession
        What they show.
    """

    def __init__(self, viewer: napari.Viewer, session: SectionSession) -> None:
        self._viewer = viewer
        self._session = session
        self._fresh = False
        self._ours: dict[View, ProgressivePyramid] = {}
        self._was_mirrored = False
        self._removing = False
        self._refresh = qthrottled(self._refresh_now, timeout=_REFRESH_MS)
        session.opened.connect(self._on_opened)
        session.shown.connect(self._show)
        session.closed.connect(self._remove)
        session.chunks_changed.connect(self._refresh)
        viewer.layers.events.removed.connect(self._on_removed)
        # Before napari's own callback, which slices.
        viewer.dims.events.point.connect(self._on_point, position="first")

    def forget(self) -> None:
        """Do nothing more for a viewer whose window is gone."""
        self._refresh.cancel()

    def close(self) -> None:
        """Stop following the session and the viewer."""
        session = self._session
        for signal, slot in (
            (session.opened, self._on_opened),
            (session.shown, self._show),
            (session.closed, self._remove),
            (session.chunks_changed, self._refresh),
        ):
            signal.disconnect(slot, missing_ok=True)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.dims.events.point.disconnect(self._on_point)
        self._refresh.cancel()

    def layers(self) -> list[Image]:
        """Return the layers that show the session's sections (some may be duplicates)."""
        pyramids = list(self._session.pyramids.values())
        return [ly for ly in self._viewer.layers if sections_of(ly) in pyramids]

    # -- adding and removing ---------------------------------------------------------------

    def _on_opened(self, _dataset: Any) -> None:
        self._fresh = True
        self._was_mirrored = self._session.mirrored

    def _show(self) -> None:
        """Show the session's pyramids; layers of the ones before get the new data."""
        fresh, self._fresh = self._fresh, False
        point = self._viewer.dims.point[-3:]
        old, self._ours = self._ours, dict(self._session.pyramids)
        taken_over = self._take_over(old)
        added = [self._add(view) for view in self._ours if view not in taken_over]
        self.arrange()
        if fresh:
            self.look_along_stack()
        elif len(point) == 3:
            # Other layers may have moved the sliders, whose steps are others now.
            self._return_to(point)
        self._on_point()
        for layer in added:
            layer.visible = True
        if fresh and added:
            self._viewer.layers.selection.active = added[0]

    def _take_over(self, old: dict[View, ProgressivePyramid]) -> set[View]:
        """Give the layers of former pyramids the data of the new ones; return what is shown."""
        shown = set[View]()
        for layer in list(self._viewer.layers):
            view = next((v for v, p in old.items() if p is sections_of(layer)), None)
            if view is None:
                continue
            if view not in self._ours:
                self._take_out(layer)
                continue
            pyramid = self._ours[view]
            layer.data = [StreamedRgba(level) for level in pyramid.levels]
            at = placement(pyramid)
            layer.scale, layer.translate = at["scale"], at["translate"]
            layer.metadata = {**layer.metadata, "stria": self._metadata(view)}
            layer.editable = False
            shown.add(view)
        return shown

    def _add(self, view: View) -> Image:
        pyramid = self._ours[view]
        layer: Image = self._viewer.add_image(
            [StreamedRgba(level) for level in pyramid.levels],
            rgb=True,
            name=self._name(view),
            # Expression is bright on black: added to the image, only the signal shows.
            blending="additive" if view == "expression" else "translucent",
            projection_mode="none",
            # Adding a visible layer reads its first plane, which nobody looks at.
            visible=False,
            metadata={"stria": self._metadata(view)},
            **placement(pyramid),
        )
        layer.editable = False
        return layer

    def _return_to(self, point: Sequence[float]) -> None:
        """Put the sliders where they were; on the other side if the sections changed sides."""
        ap, dv, ml = point
        mirrored = self._session.mirrored
        if mirrored != self._was_mirrored:
            ml = PIR_EXTENT_UM[2] - ml
        self._was_mirrored = mirrored
        offset = self._viewer.dims.ndim - 3
        self._viewer.dims.set_point([offset, offset + 1, offset + 2], [ap, dv, ml])

    def arrange(self) -> None:
        """Put the sections where they belong: below the regions, above templates."""
        layers = self._viewer.layers
        for layer in self.layers():
            regions = [ly for ly in layers if is_regions(ly)]
            if regions:
                layers.move(layers.index(layer), layers.index(regions[0]))

    def _name(self, view: str) -> str:
        dataset = self._session.dataset
        assert dataset is not None
        genes = "/".join(dataset.genes)
        what = "sections" if view == "image" else view
        return " ".join(part for part in (genes, str(dataset.id), what) if part)

    def _metadata(self, view: str) -> dict[str, Any]:
        session, dataset = self._session, self._session.dataset
        assert dataset is not None
        assert session.api is not None
        return {
            "dataset": dataset.id,
            "view": view,
            "placement": session.options.placement,
            "reference_space_id": dataset.reference_space_id,
            "left_right": "mirrored" if session.mirrored else "as stored",
            "alignment": "Allen affine (alignment2d, alignment3d); approximate",
            "citation": sections_citation(dataset, session.api.base_url),
        }

    def _remove(self) -> None:
        for layer in [ly for ly in self._viewer.layers if sections_of(ly) in self._ours.values()]:
            self._take_out(layer)
        self._ours = {}

    def _take_out(self, layer: Layer) -> None:
        self._removing = True
        self._viewer.layers.remove(layer)
        self._removing = False

    def _on_removed(self, event: Any) -> None:
        """End the downloads of a pyramid that no layer shows any more."""
        pyramid = sections_of(event.value)
        if pyramid is None or any(sections_of(ly) is pyramid for ly in self._viewer.layers):
            return
        pyramid.rest()
        if pyramid in self._ours.values() and not self._removing and not self.layers():
            # The user deleted the last layer: there is nothing left to steer.
            self._session.close()

    # -- looking ---------------------------------------------------------------

    def look_along_stack(self) -> None:
        """Turn the viewer so that it shows planes along the sections; go to the middle one."""
        places = self._session.places
        if places is None:
            return
        offset = self._viewer.dims.ndim - 3
        order = [*range(offset), *(axis + offset for axis in _ORDERS[places.stack.axis])]
        self._viewer.dims.ndisplay = 2
        self._viewer.dims.order = tuple(order)
        sections = places.stack.sections
        self.go_to_point(places.point_of(sections[len(sections) // 2]))
        self._viewer.reset_view()

    def go_to_point(self, point_um: Any) -> None:
        """Move the slider along the stack to a point (AP, DV, ML) in atlas um."""
        if self._session.stack is None or self._viewer.dims.ndim < 3:  # all layers were deleted
            return
        axis = self._session.stack.axis + self._viewer.dims.ndim - 3
        self._viewer.dims.set_point(axis, float(point_um[self._session.stack.axis]))

    def _on_point(self, _event: Any = None) -> None:
        """Tell the pyramids where the sliders stand."""
        if self._viewer.dims.ndim < 3:
            return
        ap, dv, ml = (float(v) for v in self._viewer.dims.point[-3:])
        for pyramid in self._session.pyramids.values():
            pyramid.viewed_point_um = (ap, dv, ml)

    def _refresh_now(self) -> None:
        for layer in self.layers():
            if layer.visible:
                layer.refresh(extent=False, highlight=False)
