"""Allen's annotation volumes as files: fetched once, gone on with, and known again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    OutputExistsError,
    ServerBusyError,
    ServerStatusError,
    TaskCancelled,
)
from napari_stria.io.allen_annotations import AnnotationFile, downloads_url
from napari_stria.io.cache import cache_folder
from napari_stria.io.fetched_record import Fetched, problem_of, write_record
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_store import HttpStore
from napari_stria.io.output_folder import locked, output_errors
from napari_stria.io.partial_file import PartialFile
from napari_stria.io.sinks import Progress
from napari_stria.io.whole_nrrd import checked_annotation

_OPTIONS = HttpOptions(connect_timeout_s=10.0, read_timeout_s=30.0, attempts=5, backoff_s=0.5)
_LOOK_S = 0.1


def annotation_bytes(
    resolution_um: float = 25, *, version: str = "ccf_2017", base_url: str | None = None
) -> int | None:
    """Return how long an annotation volume is; None if the server does not say.

    Raises
    ------
    AtlasNotFoundError
        If the server has no such file.
    CoordinateError, UnsupportedSourceError, NetworkError
        See `fetch_annotation`.
    """
    file = _file(resolution_um, version, base_url)
    try:
        found = HttpStore(file.base_url, _OPTIONS).size_of(file.key)
    except ServerBusyError:
        raise
    except ServerStatusError:
        return None
    if found is None:
        raise _not_there(file)
    return found


def fetch_annotation(
    resolution_um: float = 25,
    path: str | Path | None = None,
    *,
    version: str = "ccf_2017",
    base_url: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Path:
    """Download Allen's annotation volume, unless it is there already, and return its path.

    A download that breaks off, is cancelled or is killed is gone on with when the same is asked
    again, as long as the server has the same file. It takes its name when it was read to its end
    and is whole; beside it ``NAME.json`` says where it came from, its length and its SHA-256.
    Several programs may ask for the same file: one fetches it and the others wait.

    Parameters
    ----------
    resolution_um : float
        10, 25, 50 or 100.
    path : str or Path, optional
        The file, or a folder that exists; default is a folder of this package's cache, which no
        clearing takes.
    version : str
        ``ccf_2015``, ``ccf_2016``, ``ccf_2017`` or ``ccf_2022``; not each has every resolution.
    base_url : str, optional
        Where ``annotation/<version>`` is. Default is ``NAPARI_STRIA_ALLEN_DOWNLOADS`` of the
        environment, else Allen's server.
    overwrite : bool
        Replace a file that is another one or was changed. A file that is what was asked for is
        never fetched again; remove it for that.
    progress : callable, optional
        Called with the bytes that are there and their total, from another thread.
    cancel : threading.Event, optional
        Ends the download when it is set; what came stays for the next time.

    Returns
    -------
    Path
        The NRRD file, for `open_allen_ccf`.

    Raises
    ------
    AtlasNotFoundError
        If the server has no such file.
    CoordinateError, UnsupportedSourceError
        If there is no such resolution, version or kind of address.
    OutputExistsError
        If the path holds another file, and `overwrite` is not set.
    OutputError
        If the file cannot be written, or the disk has no room for it.
    NetworkError
        If the server cannot be reached, or refuses.
    CorruptDataError
        If the server sends something else.
    TaskCancelled
        If `cancel` was set.
    """
    file = _file(resolution_um, version, base_url)
    target = _target(path, file)
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock"), lambda: _wait(cancel)):
            if not _is_there(target, file, overwrite):
                _download(file, target, progress, cancel)
            elif progress is not None:
                progress(target.stat().st_size, target.stat().st_size)
    return target


def _file(resolution_um: float, version: str, base_url: str | None) -> AnnotationFile:
    return AnnotationFile(resolution_um, version, base_url or downloads_url())


def _target(path: str | Path | None, file: AnnotationFile) -> Path:
    if path is None:
        host = urlsplit(file.base_url).hostname or ""
        server = f"{host}-{hashlib.sha256(file.base_url.encode()).hexdigest()[:8]}"
        return cache_folder("annotations", server, file.version) / file.name
    target = Path(path).expanduser().absolute()
    return target / file.name if target.is_dir() else target


def _wait(cancel: Event | None) -> None:
    """Let another program go on with the same file for a moment."""
    if (cancel or Event()).wait(_LOOK_S):
        raise TaskCancelled("waiting for another program's download was cancelled.")


def _is_there(target: Path, file: AnnotationFile, overwrite: bool) -> bool:
    """Tell whether a path holds the file already.

    Raises
    ------
    OutputExistsError
        If it holds another one, which may not be replaced.
    """
    if not target.exists():
        return False
    problem = problem_of(target, file.url)
    if problem and not overwrite:
        raise OutputExistsError(
            f"{target} {problem}; remove it, overwrite it or choose another path."
        )
    return not problem


def _download(
    file: AnnotationFile, target: Path, progress: Progress | None, cancel: Event | None
) -> None:
    part = PartialFile(target, file.url, b"NRRD", progress)
    try:
        sha256 = _whole(file, part, cancel)
        origin = part.origin
        record = Fetched(
            url=file.url,
            bytes=part.path.stat().st_size,
            sha256=sha256,
            etag=origin.etag,
            last_modified=origin.modified,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        # First, because a file without it would not be known again.
        write_record(target, record)
        part.finish(target)
    finally:
        part.close()


def _whole(file: AnnotationFile, part: PartialFile, cancel: Event | None) -> str:
    """Fetch what is missing of a file and return the digest of the whole."""
    is_second = False
    while True:
        was_whole = part.is_whole
        if not was_whole:
            _fetch_rest(file, part, cancel)
        try:
            return checked_annotation(part.path, file.url, file.resolution_um, cancel)
        except CorruptDataError:
            part.forget()
            # Parts that do not fit: the server may have put another file there in between.
            if is_second or not (was_whole or part.resumed):
                raise
            is_second = True


def _fetch_rest(file: AnnotationFile, part: PartialFile, cancel: Event | None) -> None:
    stopped = cancel or Event()
    try:
        saved = HttpStore(file.base_url, _OPTIONS).save(file.key, part, stopped.is_set)
    except TaskCancelled as error:
        raise TaskCancelled(
            "the download was cancelled; it goes on where it ended when it is asked anew."
        ) from error
    if saved is None:
        raise _not_there(file)
    part.settle()


def _not_there(file: AnnotationFile) -> AtlasNotFoundError:
    return AtlasNotFoundError(
        f"{file.url} does not exist; try another resolution or version, or check the address."
    )
