"""Asking a server for the rest of a file, and whether its answer is that rest (RFC 9110, 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from napari_stria.io.sinks import BodyPart, Held

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
# What a body weighs in transit would not be what it weighs on disk.
_AS_IT_IS = {"Accept-Encoding": "identity"}


def range_headers(held: Held | None) -> dict[str, str]:
    """Return the headers that ask for what lies behind the bytes that are held.

    The server sends the whole file instead if it has another one now, or knows no ranges.
    """
    if held is None:
        return dict(_AS_IT_IS)
    return {**_AS_IT_IS, "Range": f"bytes={held.n_bytes}-", "If-Range": held.tag}


def part_of_answer(status: int, headers: Mapping[str, str], held: Held | None) -> BodyPart | None:
    """Return which part of a file an answer brings.

    None if it does not go on where the held bytes end: the server has another file, or answers
    wrongly; then the file is to be asked for from its beginning.
    """
    encoded = headers.get("Content-Encoding", "identity") != "identity"
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if status == HTTPStatus.OK:
        length = headers.get("Content-Length", "")
        if encoded or not length.isdecimal():
            # Its bytes cannot be counted, so that there is nothing to go on with.
            return BodyPart(0, None, "", "")
        return BodyPart(0, int(length), etag, modified)
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if held is None or match is None or encoded:
        return None
    first, last, total = (int(number) for number in match.groups())
    # Not every server minds If-Range; such a one may still say which file it sends.
    stated = etag if is_strong(held.tag) else modified
    is_rest = (first, last, total) == (held.n_bytes, held.total - 1, held.total)
    return BodyPart(first, total, etag, modified) if is_rest and stated in ("", held.tag) else None


def is_strong(tag: str) -> bool:
    """Tell whether an entity tag stands for bytes, and not just for what they mean."""
    return tag.startswith('"')


def validator(etag: str, modified: str) -> str:
    """Return what a server is to compare before it sends a rest; empty if there is nothing."""
    return etag if is_strong(etag) else modified
