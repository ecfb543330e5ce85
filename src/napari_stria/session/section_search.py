"""Looking for section datasets by gene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from psygnal import Signal

from napari_stria.io.allen_api import AllenApi, DatasetSummary
from napari_stria.session.errand import Errand
from napari_stria.session.section_session import Connect
from napari_stria.session.tasks import Tasks

# Counting sections takes a small request for each dataset; of long lists only the first are.
_MOST_COUNTED = 20


@dataclass(frozen=True)
class SearchResult:
    """What a search found, or how far it is.

    Attributes
    ----------
    state : {"none", "searching", "ready", "failed"}
    text : str
        What was looked for, in words.
    datasets : tuple of DatasetSummary
    message : str
        Why it failed.
    """

    state: Literal["none", "searching", "ready", "failed"] = "none"
    text: str = ""
    datasets: tuple[DatasetSummary, ...] = ()
    message: str = ""


class SectionSearch:
    """Searches section datasets in the background.

    Parameters
    ----------
    tasks : Tasks
        Runs the requests elsewhere.

    Attributes
    ----------
    result : SearchResult
    changed : Signal(SearchResult)
        Emitted in the session's thread; again when the sections of the datasets were counted.
    """

    changed = Signal(SearchResult)

    def __init__(self, tasks: Tasks) -> None:
        self._errand = Errand(tasks)
        self.result = SearchResult()

    def find(self, connect: Connect, gene: str, plane: str | None = None) -> None:
        """Search by gene (``*`` stands for any letters) and plane; replaces a search under way."""
        text = f"{gene}, {plane}" if plane else gene

        def work(cancelled: Callable[[], bool]) -> tuple[AllenApi, list[DatasetSummary]]:
            api = connect()
            return api, api.search_datasets(gene=gene, plane=plane, cancelled=cancelled)

        def done(outcome: tuple[AllenApi, list[DatasetSummary]]) -> None:
            api, found = outcome
            self._set(SearchResult("ready", text, tuple(found)))
            if found:
                self._count(api)

        def failed(error: Exception) -> None:
            self._set(SearchResult("failed", text, message=str(error)))

        self._set(SearchResult("searching", text))
        self._errand.start(work, done, failed)

    def _count(self, api: AllenApi) -> None:
        datasets = self.result.datasets

        def work(cancelled: Callable[[], bool]) -> tuple[DatasetSummary, ...]:
            counted = [
                d
                if d.section_count is not None
                else replace(d, section_count=api.section_count(d.id, cancelled=cancelled))
                for d in datasets[:_MOST_COUNTED]
            ]
            return (*counted, *datasets[_MOST_COUNTED:])

        def done(counted: tuple[DatasetSummary, ...]) -> None:
            self._set(replace(self.result, datasets=counted))

        def failed(error: Exception) -> None:
            # The list is of use without the counts.
            self._set(replace(self.result, message=f"sections could not be counted: {error}"))

        self._errand.start(work, done, failed)

    def cancel(self) -> None:
        """Drop a search under way; what was found stays."""
        self._errand.cancel()
        if self.result.state == "searching":
            self._set(SearchResult())

    def _set(self, result: SearchResult) -> None:
        self.result = result
        self.changed.emit(result)
