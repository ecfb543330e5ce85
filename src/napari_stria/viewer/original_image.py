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
from napari_stria.viewer.layers import placement
from napari_stria.widgets._tasks import QtTasks

_REFRESH_MS = 100


def show_original(
    section: Section,
    tiles: SectionTiles,
    cache: ChunkCache,
    pool: ChunkPool,
    tell: Callable[[str], Any],
) -> napari.Viewer:
    """Open a viewer of a section's image as it was scanned; its tiles stream as one zooms.

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
    """
    title = f"Section {section.section_number} (image {section.image_id})"
    viewer = napari.Viewer(title=title)
    pyramid = ProgressivePyramid(
        image_pyramid(section, tiles), cache=cache, pool=pool, dtype=PACKED
    )
    layer = viewer.add_image(
        [StreamedRgba(level) for level in pyramid.levels],
        rgb=True,
        name=str(section.image_id),
        projection_mode="none",
        metadata={"stria": {"image_id": section.image_id, "view": tiles.view}},
        **placement(pyramid),
    )
    layer.editable = False
    tasks = QtTasks()

    def refresh() -> None:
        if layer in viewer.layers:
            layer.refresh(extent=False, highlight=False)

    soon = qthrottled(refresh, timeout=_REFRESH_MS)

    def ended() -> None:
        soon.cancel()
        pyramid.close()
        tiles.forget()
        tasks.close()

    def arrived(_level: int) -> None:
        def redraw() -> None:
            soon()

        tasks.post(redraw)

    def failed(error: Exception) -> None:
        tasks.post(lambda: tell(str(error)))

    pyramid.changed.connect(arrived)
    pyramid.failed.connect(failed)
    viewer.window.main_menu.destroyed.connect(ended)
    return viewer
