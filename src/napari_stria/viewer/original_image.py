"""A section's own pixels, unaligned, in a window of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from superqt.utils import qthrottled

from napari_stria.core.section import Section
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streamed_rgba import StreamedRgba
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.io.tiles import SectionTiles
from napari_stria.session.section_blocks import PACKED
from napari_stria.session.section_pictures import image_pyramid
from napari_stria.session.tile_gate import TileGate
from napari_stria.viewer.layers import placement
from napari_stria.widgets._tasks import QtTasks

_REFRESH_MS = 100


class OriginalImage:
    """A viewer of a section's image as it was scanned; its tiles stream as one zooms.

    Parameters
    ----------
    section : Section
        Whose image.
    tiles : SectionTiles
        Where its pixels come from; let go of with the window.
    cache, pool
        Keep and fetch the chunks.
    tell : callable
        Told what could not be fetched.

    Attributes
    ----------
    viewer : napari.Viewer
    is_open : bool
        Whether its window is.
    is_paused : bool
    """

    def __init__(
        self,
        section: Section,
        tiles: SectionTiles,
        cache: ChunkCache,
        pool: ChunkPool,
        tell: Callable[[str], Any],
    ) -> None:
        self.is_open, self.is_paused = True, False
        self._tiles = tiles
        self._tell = tell
        self._tasks = QtTasks()
        self._gate = TileGate()
        self._pyramid = ProgressivePyramid(
            image_pyramid(section, tiles, self._gate), cache=cache, pool=pool, dtype=PACKED
        )
        self._refresh = qthrottled(self._refresh_now, timeout=_REFRESH_MS)
        # Before there is a layer: its first chunks may arrive while it is being added.
        self._pyramid.changed.connect(self._on_chunk)
        self._pyramid.failed.connect(self._on_failed)
        title = f"Section {section.section_number} (image {section.image_id})"
        self.viewer = napari.Viewer(title=title)
        self._layer = self.viewer.add_image(
            [StreamedRgba(level) for level in self._pyramid.levels],
            rgb=True,
            name=str(section.image_id),
            projection_mode="none",
            metadata={"stria": {"image_id": section.image_id, "view": "image"}},
            **placement(self._pyramid),
        )
        self._layer.editable = False
        self.viewer.window.main_menu.destroyed.connect(self._ended)

    def _on_chunk(self, _level: int) -> None:
        self._tasks.post(self._redraw)

    def _redraw(self) -> None:
        self._refresh()

    def _on_failed(self, error: Exception) -> None:
        self._tasks.post(lambda: self._tell(f"{self.viewer.title}: {error}"))

    def _refresh_now(self) -> None:
        if self.is_open and self._layer in self.viewer.layers:
            self._layer.refresh(extent=False, highlight=False)

    def pause(self) -> None:
        """Ask the server for nothing more; what is there stays."""
        self.is_paused = True
        self._gate.pause()

    def resume(self) -> None:
        """Fetch again, also what failed."""
        self.is_paused = False
        self._gate.open()
        self._pyramid.resume()
        self._refresh_now()

    def _ended(self) -> None:
        """End the downloads with the window."""
        self.is_open = False
        self._gate.shut()
        self._refresh.cancel()
        self._pyramid.close()
        self._tiles.forget()
        self._tasks.close()
