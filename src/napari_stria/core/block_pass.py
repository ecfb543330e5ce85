"""One pass over the stored blocks of a level, or other tasks, parallel and in bounded memory."""

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
    reader, *rest = (passed_once(value) for value in (level.reader, *shared))
    tasks = [(reader, index, *rest) for index in blocks]
    at = 0
    for found in over_tasks(work, tasks, scheduler=scheduler, cancel=cancel):
        yield list(zip(blocks[at : at + len(found)], found, strict=True))
        at += len(found)
        if progress is not None:
            progress(at, len(blocks))


def over_tasks(
    work: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    batch: int = _BATCH,
    scheduler: Any = None,
    cancel: Event | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Yield what `work` made of each task, as many at a time as are in a batch.

    Parameters
    ----------
    work : callable
        Called with the values of a task, where dask's scheduler likes.
    tasks : sequence of tuples
        The arguments of each call. Some may be dask's own, and are then computed beside it.
    batch : int
        How many tasks dask is given at once.
    scheduler, cancel
        See `over_blocks`.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    call = delayed(work, traverse=False)
    for at in range(0, len(tasks), batch):
        raise_if_cancelled(cancel)
        yield compute(*(call(*task) for task in tasks[at : at + batch]), **_scheduling(scheduler))


def passed_once(value: Any) -> Any:
    """Return a value as tasks take it that share it: it is sent to a worker once a batch."""
    return delayed(value, traverse=False)


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
