"""Writing into a place: one program at a time, and its faults in one sentence."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from napari_stria.errors import OutputError, StriaError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD_BY_ANOTHER = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; it is free again when its holder is gone, however that ended.

    Raises
    ------
    OutputError
        If another program holds it. File systems that cannot lock are written without.
    """
    file = _held(path)
    try:
        yield
    finally:
        try:
            # Windows removes no file that is open; the lock is gone either way.
            with suppress(OSError):
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
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}); check the folder.") from error


def _held(path: Path) -> BinaryIO:
    while True:
        file = path.open("ab")
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                file.close()
                raise OutputError(
                    f"another program writes to {path.parent} now; wait until it is done."
                ) from error
        # Who held it before us may have removed the file between our opening and our locking.
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
