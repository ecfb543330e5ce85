"""What a line of sight through the 3D view meets first: a surface, or a voxel of a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.viewer.layers import AtlasLayers
    from napari_stria.viewer.surface_control import SurfaceControl

_STEPS = 400
# What is fainter stands around other things and is seen through.
_SEEN_THROUGH = 0.2

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Met:
    """What is under the mouse: a point of the atlas, or the surface of a region.

    Attributes
    ----------
    point_um : tuple of float or None
        (AP, DV, ML).
    surface : int or None
        Pre-order position of the region.
    """

    point_um: tuple[float, float, float] | None = None
    surface: int | None = None


class LineOfSight:
    """Looks along mouse events of a viewer in 3D.

    Parameters
    ----------
    session : AtlasSession
        Knows which voxels are visible.
    layers : AtlasLayers
        The volumes.
    surfaces : SurfaceControl
        The surfaces.
    """

    def __init__(
        self, session: AtlasSession, layers: AtlasLayers, surfaces: SurfaceControl
    ) -> None:
        self._session = session
        self._layers = layers
        self._surfaces = surfaces

    def first(self, event: Any) -> Met | None:
        """Return what is met first; what is very faint only where nothing else is met."""
        start, end = self._ends(event)
        voxel_um = self._voxel_um
        found = []
        for place, position, opacity in self._surfaces.hits(start, end):
            found.append((opacity < _SEEN_THROUGH, place, Met(surface=position)))
        voxel = self._first_voxel(event)
        if voxel is not None:
            point, opacity = voxel
            along = end - start
            # A surface lies on the outside of its own voxels.
            place = float((point - start) @ along / (along @ along))
            place += voxel_um / float(np.linalg.norm(along))
            ap, dv, ml = (float(v) for v in point)
            found.append((opacity < _SEEN_THROUGH, place, Met((ap, dv, ml))))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

    @property
    def _voxel_um(self) -> float:
        assert self._session.atlas is not None
        return max(self._session.atlas.annotation.levels[0].scale_um)

    def _ends(self, event: Any) -> tuple[F64, F64]:
        """Return the ends of the line, both outside the atlas."""
        assert self._session.atlas is not None
        finest = self._session.atlas.annotation.levels[0]
        size = np.linalg.norm(np.multiply(finest.shape, finest.scale_um))
        middle = np.asarray(event.position[-3:], dtype=np.float64)
        to_atlas = np.linalg.norm(middle - finest.grid.center_of([n // 2 for n in finest.shape]))
        along = np.asarray(event.view_direction[-3:], dtype=np.float64)
        along *= (size + to_atlas) / np.linalg.norm(along)
        return middle - along, middle + along

    def _first_voxel(self, event: Any) -> tuple[F64, float] | None:
        """Return the first visible voxel on the line, with how opaque its layer is."""
        layer = next((ly for ly in self._layers.annotation_layers() if ly.visible), None)
        if layer is None:
            return None
        start, end = layer.get_ray_intersections(
            event.position, event.view_direction, list(event.dims_displayed)
        )
        if start is None or end is None:
            return None
        ends = np.array([layer.data_to_world(start), layer.data_to_world(end)])
        steps = np.linspace(0, 1, _STEPS)[:, None]
        alpha = self._session.color_table()[:, 3]
        for point in ends[0] * (1 - steps) + ends[1] * steps:
            found = self._session.annotation and self._session.annotation.sample(point)
            if found and alpha[int(found[0])] > 0:
                return point[-3:], float(layer.opacity)
        return None
