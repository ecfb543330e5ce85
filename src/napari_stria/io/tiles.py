"""Section images as tiles: any box of any tier, fetched piece by piece and once only."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import numpy as np

from napari_stria.core.boxes import BlockIndex, Box, block_box, blocks_of_box, overlap
from napari_stria.core.section import Section
from napari_stria.errors import CoordinateError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.http_requests import LOOK_S, Cancelled, raise_if_cancelled
from napari_stria.io.jpeg import Rgb
from napari_stria.io.section_images import (
    ImageRequest,
    checked_downsample,
    checked_view,
    image_request,
)

# Up to here one request for the whole image is quicker than several for its tiles.
_WHOLE_PX = 512
# Negative, so that no key is that of a streamed pyramid, which counts upwards.
_numbers = itertools.count(-1, -1)

Key = tuple[int, int, int, int, int]


class SectionTiles:
    """Reads boxes of section images; safe to use from many threads.

    A tile that several threads need is fetched by one of them, while the others wait. Decoded
    tiles are kept in `memory`, the server's answers on disk through the API's cache.

    Parameters
    ----------
    api : AllenApi
        What reads images.
    view : {"image", "expression", "projection"}
    quality : int or None
        Of the JPEG that the server makes, 0 to 100; None for its best.
    tile : int
        Edge of a tile, in pixels of its tier.
    memory : ChunkCache
        Keys are tuples that begin with `number`.
    on_fetch : callable, optional
        Called with a text for a status line whenever the server is about to be asked, in the
        thread that asks.

    Attributes
    ----------
    number : int
        Unlike that of any other `SectionTiles`.
    fetched : int
        How often the server was asked.

    Raises
    ------
    CoordinateError, UnsupportedSourceError
        If the tile's size, the view or the quality cannot be.
    """

    def __init__(
        self,
        api: AllenApi,
        view: str | None = "image",
        *,
        quality: int | None = 85,
        tile: int = 256,
        memory: ChunkCache,
        on_fetch: Callable[[str], None] | None = None,
    ) -> None:
        if tile < 1:
            raise CoordinateError(f"a tile's edge is a number of pixels > 0, not {tile!r}.")
        self.number = next(_numbers)
        self.fetched = 0
        self.on_fetch = on_fetch
        self.view = checked_view(view)
        self.quality = quality
        self._api = api
        self._tile = tile
        self._memory = memory
        self._lock = threading.Lock()
        self._flights: dict[Key, Future[Rgb]] = {}
        # Refuses a quality that cannot be now, rather than at every tile.
        image_request(0, 0, quality=quality)

    def __reduce__(self) -> tuple[Any, ...]:
        # Elsewhere (dask's processes) it has a memory of its own, of the same size.
        options = {"quality": self.quality, "tile": self._tile}
        return _anywhere, (self._api, self.view, self._memory.max_bytes, options)

    def read(
        self,
        section: Section,
        tier: int,
        box: tuple[slice, slice],
        cancelled: Cancelled | None = None,
    ) -> Rgb:
        """Return a box of a section's image; asking ahead is reading without using the result.

        Parameters
        ----------
        section : Section
            Of the dataset that the API read.
        tier : int
            The image reduced by ``2 ** tier``.
        box : (slice, slice)
            Rows and columns in pixels of the tier, ``0 <= start <= stop <= size``.
        cancelled : callable, optional
            Ends the wait when it returns True.

        Returns
        -------
        (h, w, 3) uint8 ndarray
            RGB, the caller's own.

        Raises
        ------
        CoordinateError
            If the box is not inside of the tier.
        NetworkError, CorruptDataError, DatasetNotFoundError, ImageTooLargeError
            If a tile could not be read; see `AllenApi`.
        TaskCancelled
            If `cancelled` says so.
        """
        inner = _checked_box(section, tier, box)
        raise_if_cancelled(cancelled)
        height, width = (s.stop - s.start for s in inner)
        result = np.empty((height, width, 3), np.uint8)
        for index in self._blocks(section, tier, inner):
            tile = self._tile_of(section, tier, index, cancelled)
            inside, from_tile = overlap(inner, self._block_box(section, tier, index))
            result[inside] = tile[from_tile]
        return result

    def tier_tiles_cached(self, section: Section, tier: int, box: tuple[slice, slice]) -> bool:
        """Whether reading a box would ask the server for nothing: all is in memory or on disk.

        Raises
        ------
        CoordinateError
            If the box is not inside of the tier.
        """
        inner = _checked_box(section, tier, box)
        return all(
            self._key(section, tier, index) in self._memory
            or self._api.images.is_on_disk(self._request(section, tier, index))
            for index in self._blocks(section, tier, inner)
        )

    def forget(self) -> None:
        """Drop these tiles from memory."""
        self._memory.drop(lambda key: isinstance(key, tuple) and key[0] == self.number)

    def _edge(self, section: Section, tier: int) -> int:
        """Return the edge of a tier's tiles: the usual, or one that holds the whole image."""
        return _WHOLE_PX if max(section.tier_shape(tier)) <= _WHOLE_PX else self._tile

    def _blocks(self, section: Section, tier: int, box: Box) -> list[BlockIndex]:
        return list(blocks_of_box(box, (self._edge(section, tier),) * 2))

    def _block_box(self, section: Section, tier: int, index: BlockIndex) -> Box:
        return block_box(index, (self._edge(section, tier),) * 2, section.tier_shape(tier))

    def _key(self, section: Section, tier: int, index: BlockIndex) -> Key:
        return (self.number, section.image_id, tier, *index)  # type: ignore[return-value]

    def _request(self, section: Section, tier: int, index: BlockIndex) -> ImageRequest:
        rows, columns = self._block_box(section, tier, index)
        shape = section.tier_shape(tier)
        whole = (rows.stop - rows.start, columns.stop - columns.start) == shape
        step = 2**tier
        # The last tile's box reaches beyond the image by less than a pixel of the tier, and is
        # cut there, which leaves as many of them.
        roi = (
            columns.start * step,
            rows.start * step,
            (columns.stop - columns.start) * step,
            (rows.stop - rows.start) * step,
        )
        return image_request(
            section.image_id, tier, self.view, section, None if whole else roi, self.quality
        )

    def _tile_of(
        self, section: Section, tier: int, index: BlockIndex, cancelled: Cancelled | None
    ) -> Rgb:
        """Return a tile from memory, from whoever fetches it now, or fetch it."""
        key = self._key(section, tier, index)
        while True:
            kept = self._memory.get(key)
            if kept is not None:
                return kept
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    mine = self._flights[key] = Future()
            if flight is None:
                told = f"section {section.section_number}, tier {tier}"
                request = self._request(section, tier, index)
                return self._fly(mine, key, request, told, cancelled)
            found = _arrival(flight, cancelled)
            if found is not None:
                return found

    def _fly(
        self,
        flight: Future[Rgb],
        key: Key,
        request: ImageRequest,
        told: str,
        cancelled: Cancelled | None,
    ) -> Rgb:
        """Fetch a tile for all who wait for it; if that fails, each of them tries for itself."""
        try:
            # Another thread may have finished between our look at the memory and our flight.
            kept = self._memory.get(key)
            if kept is None:
                kept = self._api.images.read(request, cancelled, lambda: self._tell(told))
                kept.flags.writeable = False
                self._memory.put(key, kept)
            flight.set_result(kept)
            return kept
        finally:
            with self._lock:
                del self._flights[key]
            # Tells those who wait, unless they have their result.
            flight.cancel()

    def _tell(self, text: str) -> None:
        with self._lock:
            self.fetched += 1
        if self.on_fetch is not None:
            self.on_fetch(text)


def _anywhere(
    api: AllenApi, view: str | None, max_bytes: int, options: dict[str, Any]
) -> SectionTiles:
    return SectionTiles(api, view, memory=ChunkCache(max_bytes), **options)


def _arrival(flight: Future[Rgb], cancelled: Cancelled | None) -> Rgb | None:
    """Return what another thread fetches, None if it failed."""
    while True:
        raise_if_cancelled(cancelled)
        try:
            return flight.result(timeout=LOOK_S)
        except TimeoutError:
            continue
        except CancelledError:
            return None


def _checked_box(section: Section, tier: int, box: tuple[slice, slice]) -> Box:
    shape = section.tier_shape(checked_downsample(tier))
    good = len(box) == 2 and all(
        isinstance(s.start, int | np.integer)
        and isinstance(s.stop, int | np.integer)
        and s.step in (None, 1)
        and 0 <= s.start <= s.stop <= n
        for s, n in zip(box, shape)
    )
    if not good:
        raise CoordinateError(
            f"the box {box} is not inside of tier {tier}'s {shape[0]} x {shape[1]} pixels."
        )
    return tuple(slice(int(s.start), int(s.stop)) for s in box)
