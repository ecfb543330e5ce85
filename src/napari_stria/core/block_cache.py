"""Decoded blocks that are kept for a while, so that one that is asked for again is there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex

Block = npt.NDArray[Any] | None


class BlockCache:
    """The blocks that were asked for last, up to a number of bytes; any threads may ask.

    Two threads that ask for one block at the same time wait for one read.

    Parameters
    ----------
    max_bytes : int
        What the kept blocks may take together; the newest is kept in any case.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._blocks: OrderedDict[BlockIndex, Future[Block]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __contains__(self, index: BlockIndex) -> bool:
        with self._lock:
            return index in self._blocks

    def get(self, index: BlockIndex, read: Callable[[BlockIndex], Block]) -> Block:
        """Return a block, by `read` if it is not kept.

        Returns
        -------
        ndarray or None
            None for a block of zeros alone.
        """
        with self._lock:
            kept = self._blocks.get(index)
            if kept is not None:
                self._blocks.move_to_end(index)
            else:
                mine: Future[Block] = Future()
                self._blocks[index] = mine
        if kept is not None:
            return kept.result()
        try:
            block = read(index)
        except BaseException as error:
            with self._lock:
                del self._blocks[index]
            mine.set_exception(error)
            raise
        mine.set_result(block)
        with self._lock:
            self._bytes += _size(block)
            self._drop_oldest()
        return block

    def _drop_oldest(self) -> None:
        for index in list(self._blocks)[:-1]:
            if self._bytes <= self._max_bytes:
                return
            # What is being read now has no size yet, and somebody waits for it.
            if self._blocks[index].done():
                self._bytes -= _size(self._blocks.pop(index).result())


def _size(block: Block) -> int:
    # A view takes nothing of its own: it is a part of an array that lives elsewhere.
    return 0 if block is None or not _owns(block) else int(block.nbytes)


def _owns(block: npt.NDArray[Any]) -> bool:
    base = block
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base.nbytes <= block.nbytes
