"""What people give to the Allen API: numbers of datasets and images, and its address."""

from __future__ import annotations

import operator
from urllib.parse import urlsplit

from napari_stria.errors import DatasetNotFoundError, UnsupportedSourceError


def checked_id(value: object, what: str) -> int:
    """Return the number of a dataset, section image or the like.

    Raises
    ------
    DatasetNotFoundError
        If it is none.
    """
    number = -1
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        # No id has as many as 19 digits, and int() refuses some thousands.
        number = int(value.strip()[:19])
    elif not isinstance(value, bool | str):
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            number = -1
    if not 0 <= number < 10**18:
        raise DatasetNotFoundError(
            f"{value!r:.60} is not the number of a {what}; the institute's pages show it."
        )
    return number


def checked_url(url: object) -> str:
    """Return the API's address without a slash at its end.

    Raises
    ------
    UnsupportedSourceError
        If it does not name an HTTP or HTTPS server.
    """
    text = url if isinstance(url, str) else ""
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "?" in text or "#" in text:
        raise UnsupportedSourceError(
            f"the API's address begins with https:// or http:// and names a server; not {url!r}."
        )
    return text.strip().rstrip("/")
