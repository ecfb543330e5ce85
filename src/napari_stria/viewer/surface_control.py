"""A viewer's surfaces: their session, their layers, and what lies under the mouse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer

from napari_stria.session.surface_session import SurfaceSession
from napari_stria.viewer.surface_layers import SurfaceLayers
from napari_stria.viewer.surface_outlines import SurfaceOutlines

if TYPE_CHECKING:
    import napari

    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.tasks import Tasks


class SurfaceControl:
    """Holds a viewer's surface session together with its layers.

    Parameters
    ----------
    viewer : napari.Viewer
        Where surfaces are shown.
    atlas_session : AtlasSession
        Whose atlas they are of.
    tasks : Tasks
        Runs work elsewhere.

    Attributes
    ----------
    session : SurfaceSession
    layers : SurfaceLayers
    """

    def __init__(self, viewer: napari.Viewer, atlas_session: AtlasSession, tasks: Tasks) -> None:
        self._viewer = viewer
        self._tasks = tasks
        self.session = SurfaceSession(atlas_session, tasks, later=self._later)
        self.layers = SurfaceLayers(viewer, atlas_session, self.session)
        self._outlines = SurfaceOutlines(viewer, atlas_session, self.session, self.layers)
        self.session.dropped.connect(self._drop)
        self.session.solid_requested.connect(self._show_in_3d)

    def _later(self, call: Callable[[], None]) -> None:
        # A timer, because Qt works off all posted calls at once, also those posted meanwhile.
        QTimer.singleShot(1, partial(self._tasks.post, call))

    def _drop(self, positions: tuple[int, ...]) -> None:
        # napari tidies its scene, which takes longer than all else, once a batch.
        with self._viewer.layers.batched_update():
            self.layers.drop(positions)
            self._outlines.update()

    def _show_in_3d(self) -> None:
        self._viewer.dims.ndisplay = 3

    def hits(
        self, start_um: npt.ArrayLike, end_um: npt.ArrayLike
    ) -> list[tuple[float, int, float]]:
        """Return which surfaces a line of sight meets.

        Parameters
        ----------
        start_um, end_um : (3,) array_like
            Its ends in world coordinates; the start is the nearer one.

        Returns
        -------
        list of (float, int, float)
            Where (0 at the start, 1 at the end), the region's pre-order position and the layer's
            opacity, the nearest first. Layers that are not visible are not met.
        """
        found = []
        for layer, surface in self.layers.seen():
            # The user may have moved the layer: the line goes into its coordinates.
            ends = [np.asarray(layer.world_to_data(end)[-3:]) for end in (start_um, end_um)]
            scale = np.asarray(layer.scale[-3:])
            place = surface.blocks.first_hit(ends[0] * scale, ends[1] * scale)
            if place is not None:
                found.append((place, surface.position, float(layer.opacity)))
        return sorted(found)

    def window_closed(self) -> None:
        """Let go of a viewer whose window is gone."""
        self.session.forget()

    def close(self) -> None:
        """Drop what is on its way and take the layers out of the viewer."""
        self.session.dropped.disconnect(self._drop, missing_ok=True)
        with self._viewer.layers.batched_update():
            self._outlines.close()
            self.layers.close()
        self.session.close()
