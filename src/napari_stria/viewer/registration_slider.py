"""The slider along the brain as the position of a section's plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from superqt.utils import qdebounced

if TYPE_CHECKING:
    import napari

    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.registration_session import RegistrationSession

_SETTLE_MS = 600
# napari moves a slider to the next plane of the atlas, half a voxel away at the most.
_HALF_A_STEP = 0.5001


class PlaneSlider:
    """Joins the AP slider of a viewer with the position of a coronal plane.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose slider.
    session : RegistrationSession
        Whose plane.
    atlas_session : AtlasSession
        Its layers move the sliders while they come and go, which is no wish of the user's.
    """

    def __init__(
        self, viewer: napari.Viewer, session: RegistrationSession, atlas_session: AtlasSession
    ) -> None:
        self._viewer, self._session, self._atlases = viewer, session, atlas_session
        self._is_deaf = False
        self._is_shown = False
        self._stood_um: float | None = None  # when it was looked at last
        self._settle = qdebounced(session.settle, timeout=_SETTLE_MS)
        self._range: Any = None  # of that slider then
        viewer.dims.events.point.connect(self._on_point)
        viewer.dims.events.range.connect(self._on_range)

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Take no move of the slider for the user's."""
        was, self._is_deaf = self._is_deaf, True
        try:
            yield
        finally:
            self._is_deaf = was

    def follow(self, *, is_shown: bool) -> None:
        """Put the slider where the plane is, if the plane is on the canvas."""
        self._is_shown = is_shown
        axis, placement = self._axis(), self._session.placement
        if axis is not None and placement is not None:
            self._viewer.dims.set_point(axis, placement.position_um)
            self._look(axis)

    def _look(self, axis: int) -> None:
        """Take where the slider is now as known."""
        dims = self._viewer.dims
        self._stood_um, self._range = float(dims.point[axis]), dims.range[axis]

    def _axis(self) -> int | None:
        """Return the axis whose slider is the plane's position: AP, of coronal planes."""
        placement, dims = self._session.placement, self._viewer.dims
        if placement is None or placement.orientation != "coronal" or dims.ndim < 3:
            return None
        return int(dims.ndim) - 3 if self._is_shown else None

    def _on_point(self, _event: Any = None) -> None:
        axis, placement = self._axis(), self._session.placement
        if self._is_deaf or axis is None or placement is None:
            return
        dims = self._viewer.dims
        position, step = float(dims.point[axis]), float(dims.range[axis].step)
        is_moved = position != self._stood_um and dims.range[axis] == self._range
        self._look(axis)
        if not is_moved or self._is_atlas_changing():
            return
        if abs(position - placement.position_um) > _HALF_A_STEP * step:
            self._session.place(position_um=position, merge=True)
            self._settle()

    def _is_atlas_changing(self) -> bool:
        """Tell whether layers of an atlas come or go, of which the registration hears last."""
        mine, theirs = self._session.atlas, self._atlases.atlas
        if mine is None or theirs is None:
            return mine is not theirs
        return mine.annotation is not theirs.annotation  # its ontology may become another

    def _on_range(self, _event: Any = None) -> None:
        """Take no point that another range brings for the user's: layers come or go."""
        axis = self._axis()
        if axis is not None:
            self._look(axis)

    def forget(self) -> None:
        """Do nothing more for a viewer whose window is gone."""
        self._settle.cancel()

    def close(self) -> None:
        """Let go of the viewer."""
        self._viewer.dims.events.point.disconnect(self._on_point)
        self._viewer.dims.events.range.disconnect(self._on_range)
