"""Zips that were unpacked into our cache, by the SHA-256 of the zip."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    NetworkError,
    OutputError,
    ServerStatusError,
    StriaError,
    UnsupportedSourceError,
)
from napari_stria.io.cache import cache_folder, write_atomically
from napari_stria.io.safe_unzip import unzip_safely
from napari_stria.io.sinks import Downloads, FileSink, Progress, raise_if_set
from napari_stria.io.store import FolderStore, Store
from napari_stria.io.whole_folders import keep_whole, whole_files, work_folder

_log = logging.getLogger(__name__)
_MOST_BYTES = 4 << 30
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """A zip's files on disk.

    Attributes
    ----------
    folder : Path
        The files.
    sha256 : str
        Digest of the zip.
    """

    folder: Path
    sha256: str


def unpacked_zip(
    store: Store,
    key: str,
    sha256: str | None = None,
    *,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Unpacked:
    """Return the files of a zip, unpacked the first time.

    After that nothing of the zip is read: a file's size and time, or a server's entity tag, tell
    that it is the same; with `sha256` not even that is asked. A server that gives no tag is read
    again.

    Parameters
    ----------
    store : Store
        A folder, server or bucket.
    key : str
        The zip in it.
    sha256 : str, optional
        Digest that the zip must have.
    progress : callable, optional
        Called with bytes and their total: of the download, then of the unpacking.
    cancel : threading.Event, optional
        Ends the work when it is set; nothing is kept of it.

    Raises
    ------
    AtlasNotFoundError
        If there is no such file.
    CorruptDataError
        If the zip has another digest or is damaged.
    FormatError
        If it cannot be unpacked safely.
    NetworkError, OutputError, TaskCancelled
    """
    wanted = None if sha256 is None else _checked_digest(sha256)
    try:
        return _unpacked(store, key, wanted, progress, cancel)
    except StriaError:
        raise
    except OSError as error:
        raise OutputError(
            f"{store.uri}/{key} cannot be unpacked into the cache ({error}); check the disk."
        ) from error


def _unpacked(
    store: Store, key: str, sha256: str | None, progress: Progress | None, cancel: Event | None
) -> Unpacked:
    where = f"{store.uri}/{key}"
    if sha256 is not None:
        kept = _kept(sha256)
        if kept is not None:
            return kept
    with ExitStack() as held:
        # Everything is made in here, so that being stopped leaves one folder to throw away.
        work = held.enter_context(work_folder(cache_folder("zips")))
        if isinstance(store, FolderStore):
            source = _opened(store, key, held, progress, cancel)
        else:
            source = _downloaded(store, key, work / "zip", progress, cancel)
        if sha256 is not None and source.sha256 != sha256:
            raise CorruptDataError(
                f"{where} has the sha256 {source.sha256}, not the one that was given."
            )
        kept = _kept(source.sha256)
        if kept is None:
            files = work / "unpacked"
            files.mkdir()
            unzip_safely(source.zip, files, where, progress, cancel)
            _check_unchanged(source, where)
            kept = Unpacked(keep_whole(files, _place(source.sha256)), source.sha256)
    _remember(_identity(store, key), source)
    return kept


@dataclass(frozen=True)
class _Source:
    """A zip (an open file, or where it was saved), its digest, and what tells that it is the same.

    What is unpacked has to be what was looked at: a file on this machine may be replaced meanwhile.
    """

    zip: Path | BinaryIO
    sha256: str
    tag: str


def _identity(store: Store, key: str) -> str:
    return f"{store.place}/{key}"


def _tag_of(file: BinaryIO) -> str:
    stat = os.fstat(file.fileno())
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"


def _check_unchanged(source: _Source, where: str) -> None:
    if not isinstance(source.zip, Path) and _tag_of(source.zip) != source.tag:
        raise CorruptDataError(f"{where} changed while it was read; open it again.")


def _checked_digest(sha256: str) -> str:
    digest = sha256.strip().lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise UnsupportedSourceError(f"{sha256!r} is no SHA-256, which has 64 hexadecimal digits.")
    return digest


def _opened(
    store: FolderStore,
    key: str,
    held: ExitStack,
    progress: Progress | None,
    cancel: Event | None,
) -> _Source:
    """Open a file of this machine; its digest is from memory where its tag is known."""
    path = store.folder / key
    try:
        file = held.enter_context(path.open("rb"))
        tag = _tag_of(file)
        known = _known(_identity(store, key))
        if known.get("tag") == tag and _kept(known["sha256"]) is not None:
            return _Source(file, known["sha256"], tag)
        digest, done, total = hashlib.sha256(), 0, path.stat().st_size
        while piece := file.read(_PIECE_BYTES):
            raise_if_set(cancel)
            digest.update(piece)
            done += len(piece)
            if progress is not None:
                progress(done, max(done, total))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise AtlasNotFoundError(f"{path} is not a file; check the path.") from error
    except StriaError:
        raise
    except OSError as error:
        raise CorruptDataError(f"{path} cannot be read ({error}); check the disk.") from error
    return _Source(file, digest.hexdigest(), tag)


def _downloaded(
    store: Store, key: str, target: Path, progress: Progress | None, cancel: Event | None
) -> _Source:
    where = f"{store.uri}/{key}"
    assert isinstance(store, Downloads)
    known = _known(_identity(store, key))
    usable = bool(known) and _kept(known["sha256"]) is not None
    sink = FileSink(target, _MOST_BYTES, progress, cancel)
    try:
        saved = store.save(
            key,
            sink,
            cancelled=(lambda: False) if cancel is None else cancel.is_set,
            known_tag=known["tag"] if usable else "",
        )
    except ServerStatusError:
        raise
    except NetworkError as error:
        if not usable:
            raise
        _log.warning("%s cannot be asked (%s); the copy on this machine is used", where, error)
        return _Source(target, known["sha256"], known["tag"])
    finally:
        sink.close()
    if saved is None:
        raise AtlasNotFoundError(f"{where} does not exist; check the address.")
    if saved.unchanged:
        return _Source(target, known["sha256"], known["tag"])
    return _Source(target, sink.sha256, saved.tag)


def _kept(sha256: str) -> Unpacked | None:
    """Return what was unpacked, None if there is none that is whole."""
    files = whole_files(_place(sha256))
    return None if files is None else Unpacked(files, sha256)


def _place(sha256: str) -> Path:
    return cache_folder("zips") / f"{sha256}-unpacked"


def _known_file(where: str) -> Path:
    return cache_folder("zips") / f"{hashlib.sha256(where.encode()).hexdigest()[:40]}.json"


def _known(where: str) -> dict[str, Any]:
    """Return the tag and digest that an address had last; empty if it is not known."""
    try:
        found = json.loads(_known_file(where).read_text())
        return {"tag": str(found["tag"]), "sha256": _checked_digest(found["sha256"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(where: str, source: _Source) -> None:
    """Note which digest an address had; without a tag it cannot be known again."""
    if not source.tag:
        return
    content = json.dumps({"tag": source.tag, "sha256": source.sha256})
    try:
        write_atomically(_known_file(where), content.encode())
    except OSError as error:
        _log.warning("%s is looked at anew the next time: %s", where, error)
