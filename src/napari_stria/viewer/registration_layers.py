"""The atlas on the plane of a section: its reference image and the outlines of its regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap

from napari_stria.core.section_plane import atlas_frame
from napari_stria.session.plane_window import plane_request
from napari_stria.viewer.registration_scene import UNITS, PlaneWorld, put_layer

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.section_plane import SectionPlacement
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.plane_stream import PlanePicture, PlaneStream
    from napari_stria.session.registration_session import RegistrationSession

TEMPLATE_NAME = "atlas template (plane)"
REGIONS_NAME = "atlas regions (plane)"


class PlaneLayers:
    """Two layers of what a plane stream shows.

    Parameters
    ----------
    stream : PlaneStream
        Its pictures are shown.
    atlas_session : AtlasSession
        Its colours are the regions'.

    Attributes
    ----------
    template : napari.layers.Image
    regions : napari.layers.Labels
    """

    def __init__(self, stream: PlaneStream, atlas_session: AtlasSession) -> None:
        self._stream = stream
        self._atlas_session = atlas_session
        self._world = PlaneWorld()
        self._asked: tuple[Atlas, SectionPlacement] | None = None
        self._shown: PlanePicture | None = None
        self._limits: tuple[float, float] | None = None
        self._colormap: CyclicLabelColormap | None = None
        self.template = Image(
            np.zeros((2, 2), np.float32),
            name=TEMPLATE_NAME,
            units=UNITS,
            contrast_limits=(0, 1),
            metadata={"stria": {"registration": "template"}},
        )
        self.regions = Labels(
            np.zeros((2, 2), np.uint16),
            name=REGIONS_NAME,
            units=UNITS,
            metadata={"stria": {"registration": "regions"}},
        )
        self.regions.contour = 1
        self.regions.editable = False
        self.regions.events.colormap.connect(self._on_colormap)
        atlas_session.colors_changed.connect(self._set_colors)
        atlas_session.opened.connect(self._on_opened)
        self._on_opened(atlas_session.atlas)

    @property
    def all(self) -> list[Layer]:
        """The layers, the lowest first."""
        return [self.template, self.regions]

    def ask(self, session: RegistrationSession) -> None:
        """Ask the stream for the plane of a session's section, unless it was asked for."""
        atlas, fit, placement = session.atlas, session.fit, session.placement
        if atlas is None or fit is None or placement is None:
            self._stream.rest()
            self._asked = None
            return
        wanted = (atlas, placement.plane_only())
        if self._asked is None or self._asked[0] is not atlas or self._asked[1] != wanted[1]:
            self._asked = wanted
            voxel_um = min(atlas.annotation.levels[0].scale_um)
            self._stream.show(plane_request(atlas_frame(atlas), fit.plane_to_atlas, voxel_um))

    def show(self, world: PlaneWorld) -> None:
        """Show the stream's picture as it is now, with the plane at this place."""
        picture = self._stream.picture
        moved, self._world = world != self._world, world
        if picture is not self._shown or moved:
            self._shown = picture
            self._draw(picture)

    def _draw(self, picture: PlanePicture | None) -> None:
        if picture is None:
            self.regions.data = np.zeros((2, 2), np.uint16)
            self.template.data = np.zeros((2, 2), np.float32)
            return
        x, y = picture.first_center_xy_um
        left, top = self._world.offset_xy_um
        at: dict[str, Any] = {
            "scale": (picture.pixel_um,) * 2,
            "translate": (y + top, x + left),
        }
        _put(self.regions, picture.labels, at)
        if picture.template is None:  # also where the atlas before had one
            self.template.data = np.zeros((2, 2), np.float32)
        else:
            _put(self.template, picture.template, at)
            limits = self._stream.contrast_limits
            # Once for an atlas: later ones are the user's.
            if limits is not None and limits != self._limits:
                self._limits = limits
                self.template.contrast_limits = limits

    # -- colours --------------------------------------------------------------------------------

    def _on_opened(self, atlas: Any) -> None:
        if atlas is not None:
            self._set_colors(self._atlas_session.color_table())

    def _set_colors(self, table: Any) -> None:
        self._colormap = CyclicLabelColormap(colors=table, name="atlas colours")
        self.regions.colormap = self._colormap

    def _on_colormap(self, _event: Any) -> None:
        # napari's "shuffle colours" puts a table of its own in place of the atlas's.
        if self._colormap is not None and self.regions.colormap is not self._colormap:
            self.regions.colormap = self._colormap

    def close(self) -> None:
        """Stop following the atlas's colours."""
        session = self._atlas_session
        session.colors_changed.disconnect(self._set_colors, missing_ok=True)
        session.opened.disconnect(self._on_opened, missing_ok=True)


def _put(layer: Layer, data: Any, at: dict[str, Any]) -> None:
    layer.data = data
    put_layer(layer, **at)
