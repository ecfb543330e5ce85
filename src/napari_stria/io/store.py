"""Where bytes come from: a folder or a server, by key.

A store never writes, answers None for a key that does not exist, and counts what it reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from napari_stria.errors import CorruptDataError, UnsupportedSourceError
from napari_stria.io.http_store import HttpOptions, HttpStore
from napari_stria.io.store_base import Store, Traffic, checked_key

__all__ = [
    "FolderStore",
    "HttpOptions",
    "HttpStore",
    "Store",
    "Traffic",
    "checked_key",
    "open_store",
]


@dataclass(frozen=True)
class FolderStore:
    """A folder on disk."""

    folder: Path
    traffic: Traffic = field(default_factory=Traffic, compare=False, repr=False)

    @property
    def uri(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def get(self, key: str) -> bytes | None:
        """Return the bytes of a file below the folder, None if there is none.

        Raises
        ------
        CorruptDataError
            If the file exists and cannot be read.
        """
        path = self.folder / checked_key(key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise CorruptDataError(f"{path} cannot be read ({error}); check the disk.") from error
        self.traffic.add(len(data))
        return data

    def version_of(self, key: str) -> str:
        """Return a digest of names, sizes and times of the file, or of all files below."""
        top = self.folder / checked_key(key)
        files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]
        digest = hashlib.sha256()
        for path in files:
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            name = path.relative_to(self.folder).as_posix()
            digest.update(f"{name}:{stat.st_size}:{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return FolderStore, (self.folder,)


def open_store(uri: str | Path, storage_options: Mapping[str, Any] | None = None) -> Store:
    """Return the store at a URL or folder.

    Parameters
    ----------
    uri : str or Path
        ``https://``, ``http://``, ``file://`` or a path.
    storage_options : mapping, optional
        The fields of `HttpOptions`, for a server.

    Raises
    ------
    UnsupportedSourceError
        For another kind of address, or options that do not exist.
    """
    text = str(uri)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    kind = scheme.group(1).lower() if scheme else "file"
    if kind in ("http", "https"):
        try:
            return HttpStore(text, HttpOptions(**(storage_options or {})))
        except TypeError as error:
            known = ", ".join(HttpOptions.__dataclass_fields__)
            raise UnsupportedSourceError(
                f"storage_options for a server are {known}; got {sorted(storage_options or {})}."
            ) from error
    if kind != "file":
        raise UnsupportedSourceError(
            f"{kind}:// addresses cannot be opened yet; use the bucket's https:// address."
        )
    path = unquote(urlsplit(text).path) if scheme else text
    return FolderStore(Path(path).expanduser().absolute())
