"""What the demo server sends: replies, and those made from the files of its folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Any

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".conf": "text/plain; charset=utf-8",
}
_ERROR_PAGE = b"<!doctype html><title>Error</title><h1>The service is not available</h1>"


@dataclass(frozen=True)
class Reply:
    """An answer.

    Of a truncated or halted one half of the body is sent; then the connection is closed, or left
    without another word.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False
    halted: bool = False


def plain_reply(status: int, message: str = "") -> Reply:
    """Return a reply that shows its status, or a message, as text."""
    body = b"" if status in BODILESS else f"{message or status}\n".encode()
    return Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, body)


def html_reply() -> Reply:
    """Return an HTML error page that claims to be a success."""
    return Reply(HTTPStatus.OK, {"Content-Type": "text/html; charset=utf-8"}, _ERROR_PAGE)


def json_reply(content: Any) -> Reply:
    """Return a reply with JSON."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(HTTPStatus.OK, headers, json.dumps(content).encode())


def file_reply(file: Path, command: str, asked: Message) -> Reply:
    """Return a file, or what its request's headers ask for of it; see `bytes_reply`."""
    content, stat = file.read_bytes(), file.stat()
    headers = {
        "Content-Type": _CONTENT_TYPES.get(file.suffix, "application/octet-stream"),
        "ETag": f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"',
        "Last-Modified": formatdate(stat.st_mtime, usegmt=True),
    }
    return bytes_reply(content, headers, command, asked)


def bytes_reply(content: bytes, stated: dict[str, str], command: str, asked: Message) -> Reply:
    """Return a file's content, or what its request's headers ask for of it.

    Parameters
    ----------
    content : bytes
    stated : dict
        Headers of the answer; ``ETag`` and ``Last-Modified`` are compared with the request's.
    command : str
        ``GET`` or ``HEAD``.
    asked : Message
        The headers of the request: ``If-None-Match``, ``Range`` and ``If-Range`` count.
    """
    headers = {**stated, "Accept-Ranges": "bytes"}
    if asked.get("If-None-Match") == headers["ETag"]:
        return Reply(HTTPStatus.NOT_MODIFIED, headers, b"")
    is_same = asked.get("If-Range") in (None, headers["ETag"], headers["Last-Modified"])
    range_header = asked.get("Range") if command == "GET" and is_same else None
    wanted = _parse_range(range_header, len(content))
    if wanted is None:
        return Reply(HTTPStatus.OK, headers, content)
    if wanted.start >= len(content):
        headers["Content-Range"] = f"bytes */{len(content)}"
        return Reply(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, b"")
    headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{len(content)}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, headers, content[wanted.start : wanted.stop])


def find_file(folder: Path, path: str) -> Path | None:
    """Return the file of a decoded URL path; None if there is none inside the folder."""
    if not path.startswith("/") or path.endswith("/"):
        return None
    try:
        # Resolved first, so that neither dots nor links lead out of the folder.
        file = (folder / path.lstrip("/")).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None
    except (OSError, ValueError):
        return None


def _parse_range(header: str | None, size: int) -> slice | None:
    """Return the bytes that a Range header asks for; None for all of them.

    As RFC 9110 has it, what is malformed or asks for several ranges is ignored.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    first, last = match.groups()
    if first:
        stop = min(int(last) + 1, size) if last else size
        return None if last and int(last) < int(first) else slice(int(first), stop)
    if not last:
        return None
    # A suffix: the last so many bytes; none of them is out of range.
    return slice(max(size - int(last), 0), size) if int(last) else slice(size, size)
