"""A gate between the tiles of section images and who draws them: open, paused or shut."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.section import Section
from napari_stria.errors import TaskCancelled
from napari_stria.io.tiles import SectionTiles


class TileGate:
    """Lets tiles through; while it is paused only those that need no request.

    Parameters
    ----------
    cancelled : callable, optional
        Asked as well while tiles are fetched; once it returns True, reading ends.
    """

    def __init__(self, cancelled: Callable[[], bool] | None = None) -> None:
        self._cancelled = cancelled
        self._stop = Event()
        self._is_paused = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Elsewhere (dask's processes) nobody pauses it.
        return TileGate, (self._cancelled,)

    def pause(self) -> None:
        """End the requests under way; from now on, serve what is at hand and ask for nothing."""
        self._is_paused = True
        self._begin_anew()

    def open(self) -> None:
        """Let everything through; requests under way end and have to be asked for again."""
        self._is_paused = False
        self._begin_anew()

    def shut(self) -> None:
        """End the requests under way and let nothing through any more."""
        self._stop.set()

    def _begin_anew(self) -> None:
        before, self._stop = self._stop, Event()
        before.set()

    def read(
        self, tiles: SectionTiles, section: Section, tier: int, box: tuple[slice, slice]
    ) -> npt.NDArray[np.uint8]:
        """Read a box of a tier as `SectionTiles.read` does.

        Raises
        ------
        TaskCancelled
            If the gate is shut or paused meanwhile, or paused and the box not at hand.
        """
        stop, outer = self._stop, self._cancelled
        if self._is_paused and not tiles.tier_tiles_cached(section, tier, box):
            raise TaskCancelled("the user paused the streaming.")
        return tiles.read(
            section,
            tier,
            box,
            cancelled=lambda: stop.is_set() or (outer is not None and outer()),
        )
