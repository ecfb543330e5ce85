"""What is written down beside a file that was fetched, and whether the file is still that one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_stria.io.cache import write_atomically

_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Fetched:
    """What is written down beside a file that was fetched (``NAME.json``).

    Attributes
    ----------
    url : str
    bytes : int
    sha256 : str
    etag, last_modified : str
        As the server stated them; may be empty.
    date : str
        When it came, in UTC.
    """

    url: str
    bytes: int
    sha256: str
    etag: str = ""
    last_modified: str = ""
    date: str = ""


def read_record(path: Path) -> Fetched | None:
    """Return what is written down beside a file; None if there is nothing that can be read."""
    try:
        with record_path(path).open("rb") as file:
            return Fetched(**json.loads(file.read(_MOST_BYTES)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def write_record(path: Path, record: Fetched) -> None:
    """Write down beside a file where it came from."""
    text = json.dumps(asdict(record), indent=2)
    write_atomically(record_path(path), f"{text}\n".encode())


def record_path(path: Path) -> Path:
    """Return where the record of a file lies."""
    return path.with_name(f"{path.name}.json")


def problem_of(path: Path, url: str) -> str:
    """Return why a file is not the one that was fetched from an address; empty if it is.

    All of it is read.
    """
    record = read_record(path)
    if record is None:
        return "exists, and nothing beside it says where it came from"
    if record.url != url:
        return f"was fetched from {record.url}"
    with path.open("rb") as file:
        found = (path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    if found != (record.bytes, record.sha256):
        return f"is not what was fetched: its sha256 is not the one in {record_path(path).name}"
    return ""
