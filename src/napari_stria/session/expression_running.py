"""Many sections, one task each: in threads of ours or wherever dask likes, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from dask.base import compute, get_scheduler
from dask.delayed import delayed

from napari_stria.core.daemons import DaemonPool
from napari_stria.core.region_locator import RegionLocator
from napari_stria.errors import TaskCancelled
from napari_stria.io.allen_api import AllenApi
from napari_stria.session.expression_section import SectionJob, SectionOutcome, section_outcome

Outcomes = Generator[tuple[SectionJob, SectionOutcome], None, None]

# Sections that are fetched and added up at a time, by the pixels of each of their images.
_MOST_PIXELS = 100_000_000
_MOST_SECTIONS = 6
# Sections that dask is given at a time.
_BATCH = 16
_OWN_THREADS = (None, "threads", "threading")


@dataclass
class SectionRun:
    """Works on sections; iterate to get each outcome in the order of the jobs.

    Attributes
    ----------
    api : AllenApi
    locator : RegionLocator
        Both go where the tasks are.
    scheduler : optional
        Any dask scheduler, as ``dask.compute`` takes it. None is dask's own choice where it has
        one (a distributed client), else threads here, as ``"threads"`` is.
    cancel : threading.Event or None
        Ends everything with `TaskCancelled`: in threads at once, elsewhere before the next 16
        sections.
    """

    api: AllenApi
    locator: RegionLocator
    scheduler: Any = None
    cancel: Event | None = None
    _stopped: Event = field(default_factory=Event, repr=False)

    def outcomes(self, jobs: Sequence[SectionJob]) -> Outcomes:
        """Yield each section with what came of it.

        Raises
        ------
        TaskCancelled
            If `cancel` was set.
        NetworkError, StriaError
            See `section_outcome`.
        """
        in_threads = isinstance(self.scheduler, str | None) and self.scheduler in _OWN_THREADS
        if in_threads and (self.scheduler is not None or get_scheduler() is None):
            return self._in_threads(jobs)
        return self._by_dask(jobs)

    def _ended(self) -> bool:
        return self._stopped.is_set() or (self.cancel is not None and self.cancel.is_set())

    def _raise_if_ended(self) -> None:
        if self._ended():
            raise TaskCancelled("measuring the expression was cancelled.")

    def _in_threads(self, jobs: Sequence[SectionJob]) -> Outcomes:
        pool = DaemonPool(min(_MOST_SECTIONS, self.api.max_concurrent))
        waiting: deque[tuple[SectionJob, Future[SectionOutcome]]] = deque()
        rest = deque(jobs)
        try:
            while rest or waiting:
                self._raise_if_ended()
                while rest and (not waiting or self._has_room(waiting, rest[0])):
                    job = rest.popleft()
                    task = pool.submit(section_outcome, self.api, job, self.locator, self._ended)
                    waiting.append((job, task))
                job, task = waiting.popleft()
                yield job, task.result()
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)

    @staticmethod
    def _has_room(waiting: deque[tuple[SectionJob, Any]], following: SectionJob) -> bool:
        held = sum(job.pixels for job, _ in waiting) + following.pixels
        return len(waiting) < _MOST_SECTIONS and held <= _MOST_PIXELS

    def _by_dask(self, jobs: Sequence[SectionJob]) -> Outcomes:
        api, locator = (delayed(each, traverse=False) for each in (self.api, self.locator))
        call = delayed(section_outcome, traverse=False)
        for start in range(0, len(jobs), _BATCH):
            self._raise_if_ended()
            batch = jobs[start : start + _BATCH]
            tasks = [call(api, delayed(job, traverse=False), locator) for job in batch]
            yield from zip(batch, compute(*tasks, scheduler=self.scheduler), strict=True)
