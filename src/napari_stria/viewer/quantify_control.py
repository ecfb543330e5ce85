"""A viewer's numbers per region: their session, its sources, and what is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Points
from superqt.utils import qthrottled

from napari_stria.session.quantify_session import QuantifySession
from napari_stria.viewer.quantify_features import keep_regions_from_new, write_regions
from napari_stria.viewer.quantify_layers import MeasuredLayers
from napari_stria.viewer.quantify_legend import CanvasLegend
from napari_stria.viewer.quantify_places import PlaneInWorld, atlas_plane
from napari_stria.viewer.quantify_sections import dataset_offer, section_offer, section_plane
from napari_stria.viewer.quantify_sources import Offer, layer_offers

if TYPE_CHECKING:
    import napari
    import pandas as pd

    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.viewer.registration_control import RegistrationControl
    from napari_stria.viewer.section_control import SectionControl
    from napari_stria.widgets._tasks import QtTasks

_REFRESH_MS = 100


class QuantifyControl:
    """Holds a viewer's quantify session together with what the viewer has to be measured.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layers are measured.
    atlas_session : AtlasSession
        In whose atlas.
    tasks : QtTasks
        Runs the work elsewhere.

    Attributes
    ----------
    session : QuantifySession
    """

    def __init__(self, viewer: napari.Viewer, atlas_session: AtlasSession, tasks: QtTasks) -> None:
        self._viewer, self._tasks, self._atlas_session = viewer, tasks, atlas_session
        self.session = QuantifySession(tasks, atlas_session)
        self._sections: SectionControl | None = None
        self._registration: RegistrationControl | None = None
        self._offers: dict[str, Offer] = {}
        self._written: pd.DataFrame | None = None
        self._legend: CanvasLegend | None = None
        self._refresh = qthrottled(self.refresh_sources, timeout=_REFRESH_MS)
        self._layers = MeasuredLayers(viewer)
        self._layers.changed.connect(self._look_again)
        self._layers.edited.connect(self._on_edited)
        self.session.changed.connect(self._show)
        atlas_session.opened.connect(self._look_again)
        atlas_session.closed.connect(self._look_again)
        self.refresh_sources()

    def follow(
        self, sections: SectionControl | None, registration: RegistrationControl | None
    ) -> None:
        """Offer the Allen dataset that is shown and the section that is registered, too."""
        self._leave_parts()
        self._sections, self._registration = sections, registration
        for signal in self._signals_of_parts():
            signal.connect(self._look_again)
        self._look_again()

    def _signals_of_parts(self) -> list[Any]:
        found = []
        if self._sections is not None:
            session = self._sections.session
            found += [session.opened, session.closed, session.shown, session.sections_changed]
        if self._registration is not None:
            found += [self._registration.session.changed, self._registration.shown_changed]
        return found

    def _leave_parts(self) -> None:
        for signal in self._signals_of_parts():
            signal.disconnect(self._look_again, missing_ok=True)

    # -- what there is to measure -----------------------------------------------------------------

    def _look_again(self, _news: object = None) -> None:
        self._refresh()

    def refresh_sources(self) -> None:
        """Offer what the viewer has now."""
        offers = {offer.source.key: offer for offer in self._find_offers()}
        before, self._offers = self._offers, offers
        moved = [k for k, o in offers.items() if k in before and o.place != before[k].place]
        same = list(offers) == list(before) and all(o.is_like(before[k]) for k, o in offers.items())
        if not same:
            self.session.set_sources(offer.source for offer in offers.values())
        for key in moved:
            self.session.source_changed(key)

    def _find_offers(self) -> list[Offer]:
        sections, registration = self._sections, self._registration
        found = [
            None if registration is None else section_offer(registration.session),
            None if sections is None else dataset_offer(sections.session),
        ]
        others = [offer for offer in found if offer is not None]
        return [*layer_offers(self._viewer, self._plane()), *others]

    def _plane(self) -> PlaneInWorld:
        """Return the plane on screen: the atlas's own, or that of a section."""
        registration = self._registration
        if registration is not None and registration.is_shown:
            return section_plane(registration.session, registration.sight)
        if self._atlas_session.atlas is None:
            return PlaneInWorld(None, "It has two axes: open an atlas and show its plane.")
        return atlas_plane(self._viewer)

    def _on_edited(self, key: str) -> None:
        layer = self._layers.find(key)
        if isinstance(layer, Points):
            keep_regions_from_new(layer)
        self.session.source_changed(key)

    # -- what is shown of the numbers -------------------------------------------------------------

    def _show(self) -> None:
        """Show the session as it is."""
        self._write_features()
        self._show_legend()

    def _write_features(self) -> None:
        """Give the points that were counted their regions, beside the features they have."""
        features, result = self.session.point_features, self.session.result
        if features is None or result is None or features is self._written:
            return
        self._written = features
        layer = self._layers.find(result.source_key)
        if not isinstance(layer, Points) or result.is_stale:
            return
        if len(layer.data) == len(features):
            message = write_regions(layer, features)
            if message:
                self.session.tell(message)

    def _show_legend(self) -> None:
        legend = self.session.legend
        if legend is not None and self._legend is None:
            self._legend = CanvasLegend(self._viewer)
        if self._legend is not None:
            self._legend.set_legend(legend)

    # -- end ------------------------------------------------------------------------------------

    def dock_closed(self) -> None:
        """Give the regions their own colours again: nothing says any more what others mean."""
        # Soon, because the dock goes with the window too, and then nothing is to be shown.
        self._tasks.post(lambda: self.session.set_coloring(False))

    def window_closed(self) -> None:
        """Let go of a viewer whose window is gone, and of its legend with it."""
        self._refresh.cancel()
        self._legend = None
        self.session.changed.disconnect(self._show, missing_ok=True)
        self._atlas_session.opened.disconnect(self._look_again, missing_ok=True)
        self._atlas_session.closed.disconnect(self._look_again, missing_ok=True)
        self._leave_parts()
        self.session.close()

    def close(self) -> None:
        """Give the regions their own colours again and let go of the viewer."""
        self._layers.close()
        if self._legend is not None:
            self._legend.hide()
            self._legend.deleteLater()
        self.window_closed()
