"""One pass over the stored blocks of a level, in parallel and in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from threading import Event
from typing import Any

from dask.base import compute, get_scheduler
from dask.delayed import delayed

from napari_stria.core.boxes import BlockIndex
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.pyramid import Level
from napari_stria.errors import TaskCancelled

_BATCH = 32
Progress = Callable[[int, int], None]


def over_blocks(
    work: Callable[..., Any],
    level: Level,
    *shared: Any,
    blocks: Sequence[BlockIndex] | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Iterator[list[tuple[BlockIndex, Any]]]:
    """Yield the index of each stored block with what `work` made of it, some blocks at a time.

    Parameters
    ----------
    work : callable
        Called as ``work(level.reader, index, *shared)``, where dask's scheduler likes.
    level : Level
        Whose blocks.
    *shared
        Further arguments, the same for all blocks.
    blocks : sequence of block indices, optional
        Those to look at; all by default.
    scheduler : optional
        Any dask scheduler, as ``dask.compute`` takes it; None uses dask's own choice (the
        distributed client where there is one, else threads).
    progress : callable, optional
        Called with the blocks done and their total.
    cancel : threading.Event, optional
        Ends the work between blocks when it is set.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    if blocks is None:
        blocks = list(product(*(range(n) for n in level.n_blocks)))
    reader = delayed(level.reader, traverse=False)
    call = delayed(work, traverse=False)
    arguments = [delayed(value, traverse=False) for value in shared]
    for at in range(0, len(blocks), _BATCH):
        raise_if_cancelled(cancel)
        batch = blocks[at : at + _BATCH]
        tasks = [call(reader, index, *arguments) for index in batch]
        yield list(zip(batch, compute(*tasks, **_scheduling(scheduler)), strict=True))
        if progress is not None:
            progress(at + len(batch), len(blocks))


def raise_if_cancelled(cancel: Event | None) -> None:
    """Raise `TaskCancelled` if the user wants no more."""
    if cancel is not None and cancel.is_set():
        raise TaskCancelled("reading the volume was cancelled; nothing was kept of it.")


def _scheduling(scheduler: Any) -> dict[str, Any]:
    """Return how dask shall run: as asked, as configured, or else in daemon threads of ours.

    dask's own threads are waited for when the program ends, for as long as a server stalls.
    """
    if scheduler is None and get_scheduler() is None:
        return {"scheduler": "threads", "pool": _daemon_pool()}
    return {"scheduler": scheduler}


@cache
def _daemon_pool() -> DaemonPool:
    return DaemonPool(os.cpu_count() or 2)
