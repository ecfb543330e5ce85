"""Which label and which side lie at points; every block that holds points is decoded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_cache import BlockCache
from napari_stria.core.block_pass import raise_if_cancelled
from napari_stria.core.boxes import BlockIndex, Box, block_box
from napari_stria.core.counting import SideRule, side_rule
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.labels import as_int64
from napari_stria.core.point_groups import PointGroups, grouped
from napari_stria.core.pyramid import ArrayReader, Level, in_slabs, read_box
from napari_stria.core.regions import chosen_level
from napari_stria.core.space import Triple
from napari_stria.core.transforms import checked_points
from napari_stria.errors import CoordinateError

Block = npt.NDArray[Any] | None
ReadBlock = Callable[[BlockIndex], Block]

LEFT, RIGHT, NEITHER = 0, 1, 2
# Decoded blocks that are kept between calls: the tiles of one plane cross the same ones.
_KEPT_BYTES = 128 << 20
_WORKERS = 4


@dataclass(frozen=True, eq=False)
class Located:
    """What lies at each of N points.

    Attributes
    ----------
    labels : (N,) int64 ndarray
        Annotation values; 0 in the background and outside the volume.
    sides : (N,) uint8 ndarray
        0 left, 1 right, 2 neither: what a hemispheres volume leaves out, and points outside.
    inside : (N,) bool ndarray
        False outside the volume and for coordinates that are not finite.
    """

    labels: npt.NDArray[np.int64]
    sides: npt.NDArray[np.uint8]
    inside: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    def put_into(self, other: Located, where: npt.NDArray[Any]) -> None:
        """Write this to some of the points of another."""
        other.labels[where], other.sides[where] = self.labels, self.sides
        other.inside[where] = self.inside


class RegionLocator:
    """Finds labels and sides at points, by the voxel of one level that holds each.

    Any threads may use one locator at the same time. It can be pickled if the level's reader can;
    what it has decoded stays behind.

    Parameters
    ----------
    atlas : Atlas
        Any atlas; only what is needed of it is kept.
    resolution_um : float or 3 floats, optional
        Which level to look in; default is the resolution in the atlas's name. Where the pyramid
        lacks it, the nearest level is taken with a `ResolutionWarning`.

    Attributes
    ----------
    level : Level
        The level of the annotation.
    rule : SideRule
        How sides are found: those of the voxels, as `region_table` counts them.
    blocks : Level
        The same level as it is read: where it is in memory, in blocks that need not be copied.
    """

    def __init__(self, atlas: Atlas, resolution_um: float | Triple | None = None) -> None:
        self.level = chosen_level(atlas, resolution_um)
        halves = atlas.hemispheres_level(self.level)
        self.rule: SideRule = side_rule(
            self.level, atlas.space, halves, atlas.midplane_index(self.level)
        )
        self._prepare()

    def _prepare(self) -> None:
        self.blocks = in_slabs(self.level)
        self._labels = BlockCache(_KEPT_BYTES)
        self._halves = BlockCache(_KEPT_BYTES // 4)

    def __getstate__(self) -> dict[str, Any]:
        return {"level": self.level, "rule": self.rule}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def locate(
        self,
        points_um: npt.ArrayLike,
        *,
        cancel: Event | None = None,
        read_block: ReadBlock | None = None,
    ) -> Located:
        """Return the label and the side at each point.

        Parameters
        ----------
        points_um : (N, 3) array_like
            Atlas coordinates in um (AP, DV, ML), corner origin: voxel i of a level covers
            ``[i * resolution, (i + 1) * resolution)``.
        cancel : threading.Event, optional
            Ends the work between blocks when it is set.
        read_block : callable, optional
            Reads a block of `level` by its index instead of its own reader, e.g. from a cache;
            None or an empty array stands for background.

        Raises
        ------
        CoordinateError
            If the points are not (N, 3).
        TaskCancelled
            If `cancel` was set.
        NetworkError, CorruptDataError
            If a block cannot be read.

        Notes
        -----
        Some 30 bytes of memory a point, and decoded blocks of up to 160 MB that are kept for the
        next call.
        """
        points = checked_points(points_um, 3)
        if points.ndim != 2:
            raise CoordinateError(f"points are rows of three coordinates, not {points.shape}.")
        # Blocks of the caller's are those of the level itself.
        level, read = (self.blocks, self._kept) if read_block is None else (self.level, read_block)
        groups = grouped(level, points, cancel=cancel)
        found = nowhere(len(points))

        def fill(index: BlockIndex, where: npt.NDArray[Any], local: npt.NDArray[Any]) -> None:
            raise_if_cancelled(cancel)
            self.look_up(level, index, read(index), local).put_into(found, where)

        self._for_each(groups, fill)
        return found

    def look_up(
        self, level: Level, index: BlockIndex, block: Block, local: npt.NDArray[Any]
    ) -> Located:
        """Return what lies at voxels of one block.

        Parameters
        ----------
        level : Level
            `level` or `blocks`, of which the block is.
        index : block index
        block : ndarray or None
            Its labels; None for background alone.
        local : (M,) ndarray of int
            See `PointGroups`.
        """
        n, chunk = len(local), level.reader.chunk_shape
        box = block_box(index, chunk, level.shape)
        shape = tuple(s.stop - s.start for s in box)
        # In a block that is cut the voxels have other places.
        at = (
            local if shape == chunk else np.ravel_multi_index(np.unravel_index(local, chunk), shape)
        )
        labels = np.zeros(n, np.int64)
        if block is not None and block.size:
            labels = as_int64(block.reshape(-1)[at])
        if self.rule.hemispheres is None:
            sides = sides_by_midplane(self.rule, local % chunk[2] + box[2].start)
        else:
            sides = sides_of_halves(self._halves_of(box).reshape(-1)[at])
        return Located(labels, sides, np.ones(n, dtype=bool))

    def _kept(self, index: BlockIndex) -> Block:
        return self._labels.get(index, self.blocks.reader.read_block)

    def _halves_of(self, box: Box) -> npt.NDArray[Any]:
        reader = self.rule.hemispheres
        assert reader is not None
        key = (*(s.start for s in box), *(s.stop for s in box))
        kept = self._halves.get(key, lambda _: read_box(reader, box))
        assert kept is not None
        return kept

    def _for_each(self, groups: PointGroups, fill: Callable[..., None]) -> None:
        """Take blocks that are not decoded a few at a time: a server answers each after a while."""
        missing = sum(index not in self._labels for index in groups.blocks)
        if isinstance(self.level.reader, ArrayReader) or missing < 2:
            for index, where, local in groups:
                fill(index, where, local)
            return
        pool = DaemonPool(_WORKERS)
        try:
            for work in [pool.submit(fill, *group) for group in groups]:
                work.result()
        finally:
            pool.shutdown(cancel_futures=True)


def nowhere(n: int) -> Located:
    """Return what lies at n points outside the volume."""
    return Located(np.zeros(n, np.int64), np.full(n, NEITHER, np.uint8), np.zeros(n, dtype=bool))


def sides_by_midplane(rule: SideRule, ml: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the sides of voxels by their ML index, where no hemispheres volume tells them."""
    near, far = (LEFT, RIGHT) if rule.near_side == "left" else (RIGHT, LEFT)
    return np.where(ml < rule.midplane, np.uint8(near), np.uint8(far))


def sides_of_halves(halves: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return sides from the values of a hemispheres volume: 1 left, 2 right, others neither."""
    sides = np.full(len(halves), NEITHER, np.uint8)
    sides[halves == 1], sides[halves == 2] = LEFT, RIGHT
    return sides
