"""A dataset's aligned volume in pieces that fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, Box, block_box, blocks_of_box, overlap
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.section import Section, SectionDataset, SkippedSection, View
from napari_stria.errors import (
    CorruptDataError,
    SectionSkippedWarning,
    ServerStatusError,
    TaskCancelled,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.section_volume_writer import CHUNK, VolumeLayout
from napari_stria.io.tiles import SectionTiles
from napari_stria.session.aligned import SCRIPT_TILES_BYTES, stack_pyramid
from napari_stria.session.export_request import ExportRequest
from napari_stria.session.section_blocks import PACKED, UNREADABLE, SectionBlocks, unpacked
from napari_stria.session.section_stream import MOST_REFUSALS

# Of the planes of a brick; a whole number of chunks, and of the blocks that are resampled at once.
_BRICK_EDGE = 256
assert _BRICK_EDGE % CHUNK == 0
_SETTLE_S = 2.0


class StackBricks:
    """The volume brick by brick, the coarsest level's first.

    Parameters
    ----------
    dataset : SectionDataset
    api : AllenApi
    request : ExportRequest
    cancel : Event
        Ends reading with `TaskCancelled` when it is set.

    Attributes
    ----------
    layout : VolumeLayout
    places : list of (int, box)
        Level and voxels of each brick; whole chunks.
    unreadable : tuple of SkippedSection
        Sections that are left out.
    workers : int
        So many requests may run at a time.
    """

    def __init__(
        self, dataset: SectionDataset, api: AllenApi, request: ExportRequest, cancel: Event
    ) -> None:
        view: View = "expression" if request.view == "expression" else "image"
        self._dataset, self._cancel = dataset, cancel
        self._shown = {s.image_id for s in dataset.sections if view == "image" or s.has_expression}
        self._stopped = Event()
        self._tiles = _WatchedTiles(api, view, memory=ChunkCache(SCRIPT_TILES_BYTES))
        self.workers = api.max_concurrent
        pyramid = stack_pyramid(
            dataset,
            self._tiles,
            request.space,
            request.resolution_um,
            placement=request.placement,
            mirrored=request.mirrored,
            cancelled=self._is_ended,
        )
        self._readers = [_section_blocks(level.reader) for level in pyramid.levels]
        name = f"dataset {dataset.id}, {view}"
        self.layout = VolumeLayout(
            f"{name} ({'/'.join(dataset.genes)})" if dataset.genes else name,
            request.space,
            [level.shape for level in pyramid.levels],
            [level.scale_um for level in pyramid.levels],
        )
        self.places: list[tuple[int, Box]] = [
            (level, block_box(index, shape, reader.shape))
            for level, reader in reversed(list(enumerate(self._readers)))
            for shape in [_brick_shape(reader)]
            for index in blocks_of_box(tuple(slice(0, n) for n in reader.shape), shape)
        ]
        self.unreadable: tuple[SkippedSection, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def in_coarsest(self, number: int) -> bool:
        """Whether a brick is of the coarsest level."""
        return self.places[number][0] == len(self._readers) - 1

    def hide(self, unreadable: Sequence[SkippedSection]) -> None:
        """Leave sections out.

        Raises
        ------
        CorruptDataError
            If that leaves none.
        """
        self.unreadable += tuple(unreadable)
        ids = {s.image_id for s in self.unreadable}
        if ids >= self._shown:
            raise CorruptDataError(
                f"none of the {len(ids)} images of dataset {self._dataset.id} could be read; "
                "try again later."
            )
        for reader in self._readers:
            reader.stack = reader.stack.hiding(ids)

    def read(self, number: int, pool: DaemonPool) -> npt.NDArray[np.uint8] | None:
        """Return a brick (AP, DV, ML, 4); None if a section had to be left out on the way."""
        level, box = self.places[number]
        reader = self._readers[level]
        jobs: list[tuple[BlockIndex, Future[Any]]] = [
            (index, pool.submit(reader.read_block, index))
            for index in blocks_of_box(box, reader.chunk_shape)
        ]
        out = np.zeros([s.stop - s.start for s in box], dtype=PACKED)
        try:
            for index, job in jobs:
                block = job.result()
                if block is not None:
                    into, part = overlap(box, block_box(index, reader.chunk_shape, reader.shape))
                    out[into] = block[part]
        except BaseException as error:
            ended = isinstance(error, TaskCancelled | _UnreadableSectionError)
            if ended and self._tiles.failed and not self._cancel.is_set():
                # The others end soon, too; none must see the state that we set then.
                wait([job for _, job in jobs])
                self._leave_out()
                return None
            self.stop()
            # The program may end now, and must not while a thread is in OpenCV.
            wait([job for _, job in jobs], timeout=_SETTLE_S)
            if ended:
                raise TaskCancelled(
                    f"the export was cancelled after {number} of {len(self)} bricks."
                ) from None
            raise
        return unpacked(out)

    def stop(self) -> None:
        """End what is still being read."""
        self._stopped.set()

    def _is_ended(self) -> bool:
        return self._cancel.is_set() or self._stopped.is_set() or bool(self._tiles.failed)

    def _leave_out(self) -> None:
        failed = self._tiles.failed
        self._tiles.failed = {}
        for section, error in failed.values():
            warnings.warn(
                f"section {section.section_number} (image {section.image_id}) is left out: {error}",
                SectionSkippedWarning,
                stacklevel=4,
            )
        self.hide(
            [
                SkippedSection(s.image_id, s.section_number, "its image could not be read")
                for s, _ in failed.values()
            ]
        )


class _UnreadableSectionError(CorruptDataError):
    """The image of a section cannot be read."""


class _WatchedTiles(SectionTiles):
    """Notes the sections whose tiles cannot be read, by image id."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.failed: dict[int, tuple[Section, Exception]] = {}

    def read(
        self,
        section: Section,
        tier: int,
        box: tuple[slice, slice],
        cancelled: Callable[[], bool] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Return a box of a section's image, as `SectionTiles.read`."""
        try:
            return super().read(section, tier, box, cancelled)
        except UNREADABLE as error:
            if isinstance(error, ServerStatusError) and len(self.failed) >= MOST_REFUSALS - 1:
                raise  # so many at once mean that it is the server
            self.failed[section.image_id] = (section, error)
            raise _UnreadableSectionError(str(error)) from error


def _section_blocks(reader: object) -> SectionBlocks:
    assert isinstance(reader, SectionBlocks)
    return reader


def _brick_shape(reader: SectionBlocks) -> tuple[int, ...]:
    axis = reader.stack.axis
    return tuple(CHUNK if a == axis else _BRICK_EDGE for a in range(3))
