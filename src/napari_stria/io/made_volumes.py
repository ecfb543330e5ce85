"""Volumes that were unpacked or decoded into the cache: how much they take, and clearing them.

All of them are made again from their files when these are opened the next time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from napari_stria.io.cache import cache_folder
from napari_stria.io.legacy_folders import size_below
from napari_stria.io.whole_folders import is_work, work_folder

_KINDS = ("zips", "tiff", "ccf")


def made_bytes() -> int:
    """Return what the unpacked and decoded volumes take on disk; lists their folders."""
    return sum(_size(path) for _, path in _entries())


def clear_made() -> int:
    """Remove the unpacked and decoded volumes; return the freed bytes.

    Each goes in one step: who reads it next finds neither chunks nor metadata, which is an error,
    and never a missing chunk, which would be background. What is being made now stays.
    """
    freed = 0
    for top, path in _entries():
        size = _size(path)
        # One that cannot be moved (in use on Windows) stays as it is.
        with suppress(OSError), work_folder(top) as work:
            moved = path.rename(work / path.name)
            if moved.is_dir():
                shutil.rmtree(moved)
            freed += size
    return freed


def _entries() -> Iterator[tuple[Path, Path]]:
    """Yield each volume with the folder of its kind; nothing is made to look for them."""
    for kind in _KINDS:
        top = cache_folder() / kind
        with suppress(FileNotFoundError):
            yield from ((top, path) for path in sorted(top.iterdir()) if not is_work(path))


def _size(path: Path) -> int:
    if path.is_dir():
        return size_below(path)
    with suppress(OSError):
        return path.stat().st_size
    return 0
