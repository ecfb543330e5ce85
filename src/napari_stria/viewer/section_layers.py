"""From a section session's state to napari layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from superqt.utils import qthrottled

from napari_stria.io.streamed_rgba import StreamedRgba
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.viewer.layers import placement

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_stria.session.section_session import SectionSession

_REFRESH_MS = 100
_LOOKS = ("opacity", "blending", "visible", "gamma")
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
        self._ours: list[ProgressivePyramid] = []
        self._looks: dict[str, dict[str, Any]] = {}
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

    def _show(self) -> None:
        """Add the layers of the session's pyramids, in place of those of the ones before."""
        fresh, self._fresh = self._fresh, False
        self._keep_looks()
        self._remove()
        added = []
        for view, pyramid in self._session.pyramids.items():
            layer = self._viewer.add_image(
                [StreamedRgba(level) for level in pyramid.levels],
                rgb=True,
                name=self._name(view),
                # Expression is bright on black: added to the image, only the signal shows.
                blending="additive" if view == "expression" else "translucent_no_depth",
                projection_mode="none",
                # Adding a visible layer reads its first plane, which nobody looks at.
                visible=False,
                metadata={"stria": self._metadata(view)},
                **placement(pyramid),
            )
            layer.editable = False
            self._ours.append(pyramid)
            added.append((layer, view))
        self.arrange()
        if fresh:
            self.look_along_stack()
        self._on_point()
        for layer, view in added:
            looks = {"visible": True, **self._looks.get(view, {})}
            for name, value in looks.items():
                setattr(layer, name, value)
        if added:
            self._viewer.layers.selection.active = added[0][0]

    def _keep_looks(self) -> None:
        """Remember how the user styled the layers that are about to be replaced."""
        for layer in self._viewer.layers:
            if sections_of(layer) in self._ours:
                view = layer.metadata.get("stria", {}).get("view", "image")
                self._looks[view] = {name: getattr(layer, name) for name in _LOOKS}

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
        return {
            "dataset": dataset.id,
            "view": view,
            "placement": session.options.placement,
            "reference_space_id": dataset.reference_space_id,
            "left_right": "mirrored" if session.mirrored else "as stored",
            "alignment": "Allen affine (alignment2d, alignment3d); approximate",
        }

    def _remove(self) -> None:
        for layer in [ly for ly in self._viewer.layers if sections_of(ly) in self._ours]:
            self._viewer.layers.remove(layer)
        self._ours.clear()

    def _on_removed(self, event: Any) -> None:
        """End the downloads of a pyramid that no layer shows any more."""
        pyramid = sections_of(event.value)
        if pyramid is not None and all(
            sections_of(ly) is not pyramid for ly in self._viewer.layers
        ):
            pyramid.rest()

    # -- looking ---------------------------------------------------------------

    def look_along_stack(self) -> None:
        """Turn the viewer so that it shows planes along the sections; go to the middle one."""
        session = self._session
        if session.stack is None:
            return
        offset = self._viewer.dims.ndim - 3
        order = [*range(offset), *(axis + offset for axis in _ORDERS[session.stack.axis])]
        self._viewer.dims.ndisplay = 2
        self._viewer.dims.order = tuple(order)
        sections = session.stack.sections
        self.go_to_point(session.point_of(sections[len(sections) // 2]))
        self._viewer.reset_view()

    def go_to_point(self, point_um: Any) -> None:
        """Move the slider along the stack to a point (AP, DV, ML) in atlas um."""
        assert self._session.stack is not None
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
