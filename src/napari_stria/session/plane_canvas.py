"""One streamed volume on one plane, painted as its blocks come, coarse ones first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas_plane import level_for_pixel
from napari_stria.core.block_sampling import Sampling
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.oblique import PlaneGrid, VoxelInterpolation, new_sampling
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.plane_picture import PlaneRequest

Wanted = tuple[int, BlockIndex]


class PlaneCanvas:
    """Paints a plane from decoded blocks; used in one thread at a time, never waits.

    Parameters
    ----------
    pyramid : ProgressivePyramid
        Whose blocks.
    request : PlaneRequest
        Which plane.
    interpolation : {"nearest", "linear"}
        See `napari_stria.core.oblique.sample_points`.

    Raises
    ------
    CoordinateError
        If the plane cannot be; see `napari_stria.core.oblique.sample_plane`.
    """

    def __init__(
        self,
        pyramid: ProgressivePyramid,
        request: PlaneRequest,
        interpolation: VoxelInterpolation = "nearest",
    ) -> None:
        self._pyramid = pyramid
        self._interpolation = interpolation
        self._grid = PlaneGrid(
            request.plane_to_atlas, request.shape, request.pixel_um, request.center_xy_um
        )
        self._middle_um = request.plane_to_atlas(request.center_xy_um)
        self._layers: dict[int, _LevelOnPlane] = {}
        levels = pyramid.source.levels
        self._target = levels.index(level_for_pixel(pyramid.source, request.pixel_um))
        self._add(self._target)
        while self._target < pyramid.coarsest and not pyramid.affords_blocks(
            self._target, len(self._layers[self._target].sampling.blocks)
        ):
            del self._layers[self._target]
            self._target += 1
            self._add(self._target)
        self.take_arrived()
        if not self.is_final:
            # Only now: where all is decoded, as it mostly is while a plane is moved, coarser levels
            # would be computed for nothing.
            for number in range(self._target + 1, len(levels)):
                self._add(number)
            self.take_arrived()

    def _add(self, number: int) -> None:
        level = self._pyramid.source.levels[number]
        sampling = new_sampling(
            level, self._grid.tiles(), self._grid.n, self._interpolation, self._pyramid.dtype
        )
        middle = (self._middle_um - level.origin_um) / level.scale_um / level.reader.chunk_shape
        self._layers[number] = _LevelOnPlane(sampling, middle)

    @property
    def is_final(self) -> bool:
        """Whether all of the level that is aimed at is painted."""
        return not self._layers[self._target].waiting

    @property
    def is_awaiting(self) -> bool:
        """Whether something may still come: it was neither painted nor has it failed."""
        return any(not self._pyramid.block_failed(*wanted) for wanted in self._missing())

    @property
    def has_failed(self) -> bool:
        """Whether something that is missing could not be read lately."""
        return any(self._pyramid.block_failed(*wanted) for wanted in self._missing())

    @property
    def has_picture(self) -> bool:
        """Whether anything is painted, or nothing is to be."""
        return self.is_final or any(layer.painted for layer in self._layers.values())

    @property
    def resolution_um(self) -> float:
        """Voxel size of the coarsest level that may be seen."""
        number = self._target if self.is_final else max(self._layers)
        return max(self._pyramid.source.levels[number].scale_um)

    def _missing(self) -> list[Wanted]:
        return [(number, i) for number, layer in self._layers.items() for i in layer.waiting]

    def wanted(self) -> list[Wanted]:
        """Return the blocks that the picture needs: coarse levels first, from the middle."""
        numbers = [self._target] if self.is_final else sorted(self._layers, reverse=True)
        return [(number, index) for number in numbers for index in self._layers[number].blocks]

    def take_arrived(self) -> bool:
        """Paint the blocks that were decoded since the last call; tell whether there were any."""
        changed = False
        for number, layer in self._layers.items():
            arrived = False
            for index in list(layer.waiting):
                block = self._pyramid.block(number, index)
                if block is not None:
                    layer.sampling.put(index, block)
                    layer.waiting.discard(index)
                    layer.painted = arrived = True
            if arrived:
                layer.sampling.finish()
                changed = True
        return changed

    def picture(self) -> npt.NDArray[Any]:
        """Return what is known, (rows, columns); 0 where nothing is."""
        target = self._layers[self._target].sampling
        if self.is_final:
            return target.out.reshape(self._grid.shape)
        out = np.zeros_like(target.out)
        for number in sorted(self._layers, reverse=True):
            sampling = self._layers[number].sampling
            np.copyto(out, sampling.out, where=sampling.known)
        return out.reshape(self._grid.shape)


class _LevelOnPlane:
    """A level's part: its blocks, those near the picture's middle first, and which are missing."""

    def __init__(self, sampling: Sampling, middle: npt.NDArray[np.float64]) -> None:
        self.sampling = sampling
        self.painted = False
        self.blocks = sorted(
            sampling.blocks, key=lambda index: float(np.sum((np.add(index, 0.5) - middle) ** 2))
        )
        self.waiting = set(self.blocks)
