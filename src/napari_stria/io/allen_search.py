"""Searches for datasets: page after page, whatever the server makes of pages."""

from __future__ import annotations

from collections.abc import Callable

from napari_stria.io.allen_queries import DatasetSearch, Page
from napari_stria.io.allen_records import DatasetSummary, summary_of

_MOST_PAGES = 1000


def search_rows(
    search: DatasetSearch, page_of: Callable[[str], Page | None]
) -> list[DatasetSummary]:
    """Return the rows of all pages of a search, by ascending id and each once.

    Parameters
    ----------
    search : DatasetSearch
    page_of : callable
        Asks the server for a path; None if that does not exist.
    """
    found: dict[int, DatasetSummary] = {}
    start = 0
    for _ in range(_MOST_PAGES):
        page = page_of(search.path(start))
        if page is None:
            break
        rows = [row for row in map(summary_of, page.records) if row is not None]
        fresh = {row.id: row for row in rows if row.id not in found}
        # Nothing new: past the end, or a server that sends the same page for ever.
        if not fresh:
            break
        found.update(fresh)
        # What the server says that it sent, which may be less than was asked.
        start += page.num_rows
        if page.total_rows is not None and start >= page.total_rows:
            break
    return sorted((row for row in found.values() if search.keeps(row.genes)), key=lambda r: r.id)
