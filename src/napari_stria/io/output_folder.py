"""Writing into a place: one program at a time, and its faults in one sentence."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from napari_stria.errors import OutputBusyError, OutputError, StriaError, plain_text

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Without these on Windows; there, a link is looked for before.
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_HELD_BY_ANOTHER = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})


@contextmanager
def locked(
    path: Path, wait: Callable[[], None] | None = None, *, surely: bool = False
) -> Iterator[None]:
    """Hold a lock file; it is free again when its holder is gone, however that ended.

    Parameters
    ----------
    path : Path
        The lock file.
    wait : callable, optional
        Called between two attempts while another program holds it; to raise ends the waiting.
    surely : bool
        Refuse a file system that cannot lock; by default it is written without.

    Raises
    ------
    OutputBusyError
        If another program holds it and `wait` is not given.
    OutputError
        If something else has the name of the lock file.
    """
    file = _held(path, wait, surely)
    try:
        yield
    finally:
        try:
            # Windows removes no file that is open; the lock is gone either way. What has content
            # is somebody else's.
            with suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()
        finally:
            file.close()


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors in a block that writes into an `OutputError` about a path."""
    try:
        yield
    except StriaError:
        raise
    except UnicodeEncodeError as error:
        raise OutputError(
            f"{path} cannot be written: the text {error.object[:60]!a} holds half a letter."
        ) from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}); check the folder.") from error


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Make a folder and hold it for this program alone; its faults are `OutputError`."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".napari-stria.lock"):
            yield


def open_own_file(path: Path, *, append: bool) -> BinaryIO:
    """Open a file of ours to write into it, and make it if need be; no link is followed.

    Names that can be told beforehand may be taken, by a link to a file of the user's, too.

    Parameters
    ----------
    path : Path
        The file.
    append : bool
        Go on after what is there, else empty it.

    Raises
    ------
    OutputError
        If it is a link, or no plain file.
    """
    try:
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise _not_own(path)
        handle = os.open(path, _OPEN | _BINARY | (os.O_APPEND if append else 0), 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_own(path) from error
        raise
    file = os.fdopen(handle, "ab" if append else "r+b")
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _not_own(path)
        if not append:
            file.truncate()
    except BaseException:
        file.close()
        raise
    return file


def _not_own(path: Path) -> OutputError:
    return OutputError(f"{path} is a link or no file, and is not written into; remove it.")


def _held(path: Path, wait: Callable[[], None] | None, surely: bool) -> BinaryIO:
    while True:
        file = open_own_file(path, append=True)
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                file.close()
                if wait is not None:
                    wait()
                    continue
                raise OutputBusyError(
                    f"another program writes to {path.parent} now; wait until it is done."
                ) from error
            if surely:
                file.close()
                raise OutputError(f"{path} cannot be locked ({plain_text(error)}).") from error
        # Who held it before us may have removed the file between our opening and our locking.
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
