"""What people give to the Allen API: numbers of datasets and images, and its address."""

from __future__ import annotations

import operator
import os
import re
from urllib.parse import urlsplit

from napari_stria.errors import DatasetNotFoundError, UnsupportedSourceError

DEFAULT_URL = "https://api.brain-map.org/api/v2"
URL_VARIABLE = "NAPARI_STRIA_ALLEN_URL"

_GRAPH_ADDRESS = re.compile(r"allen:(\d{1,18})")


def default_url() -> str:
    """Return the API's address unless another is given: ``NAPARI_STRIA_ALLEN_URL``, or Allen's."""
    return os.environ.get(URL_VARIABLE) or DEFAULT_URL


def graph_of_address(address: object) -> int | None:
    """Return the structure graph that ``allen:1`` and the like name; None for other addresses."""
    match = _GRAPH_ADDRESS.fullmatch(str(address).strip())
    return None if match is None else int(match[1])


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


def checked_url(url: object, what: str = "the API's address") -> str:
    """Return an address without a slash at its end; `what` names it in the message.

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
            f"{what} begins with https:// or http:// and names a server; not {url!r}."
        )
    return text.strip().rstrip("/")
