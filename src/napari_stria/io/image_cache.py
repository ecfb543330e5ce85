"""Which section images are kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import FileCache, size_bound

SIZE_VARIABLE = "NAPARI_STRIA_IMAGE_CACHE_MB"
DEFAULT_MB = 2048.0


def cache_bytes(megabytes: float | None = None) -> int:
    """Return the bound of the cache: as given, else ``NAPARI_STRIA_IMAGE_CACHE_MB``, else 2 GiB.

    Raises
    ------
    UnsupportedSourceError
        If it is no number of megabytes.
    """
    return size_bound(megabytes, SIZE_VARIABLE, DEFAULT_MB)


class ImageCache(FileCache):
    """Bodies of section images, in the cache folder's ``sections``.

    Parameters
    ----------
    max_bytes : int
        The bound. Each process that writes may exceed it by an eighth for a while.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, _sections_folder, suffix=".image", kind="images")

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageCache, (self.max_bytes,)


def _sections_folder() -> Path:
    return cache_folder("sections")
