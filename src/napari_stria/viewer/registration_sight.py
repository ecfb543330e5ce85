"""Where things are while a section's plane is on the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stria.core.section_plane import Orientation, SectionPlacement, atlas_frame
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.warp_sight import Sight
from napari_stria.viewer.registration_scene import Bounds, PlaneWorld, RegistrationScene, plane_axes
from napari_stria.viewer.registration_section import SectionPose

if TYPE_CHECKING:
    import napari

    from napari_stria.core.space import Triple


class PlaneSight:
    """Goes between napari's world, the plane of a section, and the atlas.

    What `napari_stria.viewer.pointing` needs of a plane on screen.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose world.
    session : RegistrationSession
        Whose plane.
    scene : RegistrationScene
        Tells whether the plane is on the canvas.

    Attributes
    ----------
    world : PlaneWorld
        Where the plane frame lies in napari's world.
    takes_clicks : bool
        Whether a click makes a landmark.
    """

    def __init__(
        self, viewer: napari.Viewer, session: RegistrationSession, scene: RegistrationScene
    ) -> None:
        self._viewer, self._session, self._scene = viewer, session, scene
        self._orientation: Orientation = "coronal"
        self.world = PlaneWorld()
        self.takes_clicks = False

    def update(self) -> bool:
        """Follow the atlas and the orientation; return whether planes lie elsewhere now."""
        atlas, placement = self._session.atlas, self._session.placement
        frame = None if atlas is None else atlas_frame(atlas)
        self._orientation = "coronal" if placement is None else placement.orientation
        world = PlaneWorld.of(frame, self._orientation)
        moved, self.world = world != self.world, world
        return moved

    @property
    def is_shown(self) -> bool:
        """Whether the plane of the section is on the canvas."""
        return self._scene.is_shown

    def plane_xy(self, position: Any) -> tuple[float, float] | None:
        """Return the place in the plane, um, of a position in napari's world."""
        if not self._scene.is_shown or self._viewer.dims.ndisplay != 2:
            return None
        return self.world.plane_xy(position)

    def point_um(self, position: Any) -> Triple | None:
        """Return the point of the atlas that is seen at a position in napari's world."""
        place, fit = self.plane_xy(position), self._session.fit
        if place is None or fit is None:
            return None
        ap, dv, ml = (float(v) for v in fit.plane_to_atlas(place))
        return ap, dv, ml

    def sides_text(self) -> str:
        """Return which side of the animal is where on the canvas."""
        left, right = self._session.side
        return f"{left}   ◂ side of the animal ▸   {right}" if left and right else ""

    def canvas(self) -> Sight:
        """Return the part of the plane that is on the canvas, and um a canvas pixel."""
        camera = self._viewer.scene.camera
        height, width = self._viewer.canvas.size
        um_per_pixel = 1.0 / max(float(camera.zoom), 1e-9)
        x, y = self.world.plane_xy(camera.center)
        half_x, half_y = width / 2 * um_per_pixel, height / 2 * um_per_pixel
        return ((x - half_x, y - half_y), (x + half_x, y + half_y)), um_per_pixel

    def pose(self) -> SectionPose | None:
        """Return where the section is seen; without an atlas in the middle of the plane."""
        entry, fit = self._session.entry, self._session.fit
        if entry is None:
            return None
        if fit is not None:
            return SectionPose(fit.pixels_to_plane, fit.refining, self.world, entry.shape_hw)
        plain = SectionPlacement("coronal", 0.0)
        placed = plain.pixels_to_plane(entry.shape_hw, entry.assumed_pixel_size_um)
        return SectionPose(placed, None, self.world, entry.shape_hw)

    def bounds(self, pose: SectionPose) -> Bounds:
        """Return the part of the world that a section covers, and its atlas around it."""
        height, width = pose.shape_hw
        corners = pose.pixels_to_plane([[0, 0], [width, 0], [0, height], [width, height]])
        corners = corners + self.world.offset_xy_um
        if self._session.atlas is not None:
            # The plane lies where the atlas's own planes are seen.
            frame = atlas_frame(self._session.atlas)
            x, y = plane_axes(self._orientation)
            low = [frame.origin_um[axis] for axis in (x, y)]
            high = [frame.origin_um[axis] + frame.extent_um[axis] for axis in (x, y)]
            corners = np.vstack([corners, low, high])
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        return (float(top), float(left)), (float(bottom), float(right))
