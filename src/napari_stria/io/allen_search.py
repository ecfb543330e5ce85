"""Answers of many pages, whatever the server makes of pages; searches for datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from napari_stria.io.allen_fields import integer_or_none
from napari_stria.io.allen_queries import DatasetSearch, Page
from napari_stria.io.allen_records import DatasetSummary, summary_of

_MOST_PAGES = 1000

PageOf = Callable[[str], Page | None]


def each_page(path_of: Callable[[int], str], page_of: PageOf) -> Iterator[Page]:
    """Yield the pages of an answer, up to the first that brings no record which is new.

    Parameters
    ----------
    path_of : callable
        Makes the request for the rows from a number on.
    page_of : callable
        Asks the server for a path; None if that does not exist.
    """
    seen: set[int | None] = {None}
    start = 0
    for _ in range(_MOST_PAGES):
        page = page_of(path_of(start))
        if page is None:
            return
        ids = {integer_or_none(record, "id") for record in page.records}
        # Nothing new: past the end, or a server that sends the same page for ever.
        if ids <= seen:
            return
        seen |= ids
        yield page
        # What the server says that it sent, which may be less than was asked.
        start += page.num_rows
        if page.total_rows is not None and start >= page.total_rows:
            return


def search_rows(search: DatasetSearch, page_of: PageOf) -> list[DatasetSummary]:
    """Return the rows of all pages of a search, by ascending id and each once.

    Parameters
    ----------
    search : DatasetSearch
    page_of : callable
        Asks the server for a path; None if that does not exist.
    """
    found: dict[int, DatasetSummary] = {}
    for page in each_page(search.path, page_of):
        for row in map(summary_of, page.records):
            if row is not None:
                found.setdefault(row.id, row)
    return sorted((row for row in found.values() if search.keeps(row.genes)), key=lambda r: r.id)
