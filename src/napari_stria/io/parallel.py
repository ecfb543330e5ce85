"""Many small waits at a time: requests in daemon threads, few of them queued."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from threading import Event
from typing import TypeVar

from napari_stria.core.daemons import DaemonPool
from napari_stria.errors import TaskCancelled

T = TypeVar("T")
R = TypeVar("R")
# How long the caller's thread waits without looking whether it was cancelled.
_LOOK_S = 0.05


def in_parallel(
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int = 8,
    cancel: Event | None = None,
) -> Iterator[tuple[T, R]]:
    """Yield each item with what `work` made of it, in the order in which they are ready.

    Items are taken as they are needed, so that there may be millions. What is under way when the
    iteration ends goes on in its thread, unheard.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    Exception
        The first that `work` raised.
    """
    pool = DaemonPool(workers)
    rest = iter(items)
    waiting: dict[Future[R], T] = {}
    try:
        while True:
            for item in islice(rest, 2 * workers - len(waiting)):
                waiting[pool.submit(work, item)] = item
            if not waiting:
                return
            if cancel is not None and cancel.is_set():
                raise TaskCancelled("this was cancelled.")
            for future in wait(waiting, _LOOK_S, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)
