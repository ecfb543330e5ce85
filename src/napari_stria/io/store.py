"""Where bytes come from: a folder, a server or a bucket, by key.

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
from napari_stria.io.store_base import (
    CHUNKS_METADATA,
    Fetched,
    Store,
    StoreBase,
    Traffic,
    checked_key,
)

__all__ = [
    "Fetched",
    "FolderStore",
    "HttpOptions",
    "HttpStore",
    "Store",
    "Traffic",
    "check_storage_options",
    "checked_key",
    "is_remote",
    "open_file",
    "open_store",
    "split_address",
]


@dataclass(frozen=True)
class FolderStore(StoreBase):
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

    def fetch(self, key: str) -> Fetched | None:
        """Return the bytes of a file below the folder and their version."""
        version = self.version_of(key)
        data = self.get(key)
        return None if data is None else Fetched(data, version)

    def get_chunk(self, key: str, edition: str) -> bytes | None:
        """Return the bytes of a chunk, None if it is not stored.

        Raises
        ------
        CorruptDataError
            If the file exists and cannot be read; or if it does not and its array's metadata are
            gone or others too, as when a drive is taken away.
        """
        data = self.get(key)
        if data is None and not self._has_edition(checked_key(key), edition):
            raise CorruptDataError(
                f"{self.folder / key} is gone with its metadata, or they changed; "
                "check the drive, then open the atlas again."
            )
        return data

    def _has_edition(self, key: str, edition: str) -> bool:
        """Tell whether metadata of this version, or any if it is empty, lie above a key."""
        parts = key.split("/")[:-1]
        above = ("/".join([*parts[:n], ""]) for n in range(len(parts), -1, -1))
        names = (f"{top}{name}".lstrip("/") for top in above for name in CHUNKS_METADATA)
        if edition:
            return any(self.version_of(name) == edition for name in names)
        return any((self.folder / name).is_file() for name in names)

    def size_of(self, key: str) -> int | None:
        """Return the size of a file below the folder in bytes, None if there is none."""
        path = self.folder / checked_key(key)
        return path.stat().st_size if path.is_file() else None

    def version_of_array(self, path: str, metadata: str) -> str:  # noqa: ARG002
        """Return the version of all files of an array: they can be looked at one by one."""
        return self.version_of(path)

    def version_of(self, key: str) -> str:
        """Return a digest of names, sizes and times of the file, or of all files below."""
        top = self.folder / checked_key(key)
        files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]
        digest = hashlib.sha256()
        for path in files:
            try:
                stat = path.stat()
            except (FileNotFoundError, NotADirectoryError):
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
        ``https://``, ``http://``, ``s3://``, ``file://`` or a path.
    storage_options : mapping, optional
        For a server the fields of `HttpOptions`; for a bucket those of s3fs (see `S3Store`).

    Raises
    ------
    UnsupportedSourceError
        For another kind of address, or options that do not exist.
    """
    check_storage_options(storage_options)
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
    if kind == "s3":
        # Loaded when it is first used: the library under it is large.
        from napari_stria.io.s3_store import S3Store

        return S3Store(text, storage_options)
    if kind != "file":
        raise UnsupportedSourceError(
            f"{kind}:// addresses cannot be opened; use an https:// or s3:// address or a folder."
        )
    path = unquote(urlsplit(text).path) if scheme else text
    return FolderStore(Path(path).expanduser().absolute())


def check_storage_options(storage_options: Mapping[str, Any] | None) -> None:
    """Refuse options that are not named ones, whatever kind of source they are for.

    Raises
    ------
    UnsupportedSourceError
        If they are something else.
    """
    given: Any = storage_options
    named = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
    if given is not None and not named:
        # What they hold is not shown: it may be a password.
        raise UnsupportedSourceError(
            "storage_options are a mapping of names (texts) to values, such as {'anon': True}; "
            f"got a {type(given).__name__}."
        )


def open_file(
    uri: str | Path, storage_options: Mapping[str, Any] | None = None
) -> tuple[Store, str]:
    """Return the store that a file lies in, and its key there.

    Parameters
    ----------
    uri : str or Path
        Address of the file.
    storage_options : mapping, optional
        See `open_store`; not used for a file on this machine.
    """
    folder, file = split_address(uri)
    return open_store(folder, storage_options if is_remote(folder) else None), file


def split_address(uri: str | Path) -> tuple[str, str]:
    """Return the folder of an address, and the name that is left."""
    folder, _, file = str(uri).rstrip("/").replace("\\", "/").rpartition("/")
    return folder or ("/" if str(uri).startswith("/") else "."), file


def is_remote(uri: str) -> bool:
    """Tell whether an address leads to another machine."""
    return "://" in uri and not uri.lower().startswith("file:")
