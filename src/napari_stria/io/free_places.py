"""Whether something may be written to a place."""

from __future__ import annotations

import os
from pathlib import Path

from napari_stria.errors import OutputError, OutputExistsError

_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


def check_free(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a place that nothing can be written to, or nothing may.

    Raises
    ------
    OutputExistsError
        If it is taken, unless `overwrite` and it is a file, or a zarr store where one shall be.
    OutputError
        If its folder is missing.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}.")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise taken(path)
    if _is_store_name(path) and not _is_store(path):
        raise OutputExistsError(
            f"{path} is no zarr store and is not overwritten; choose another name."
        )
    if path.is_dir() and not _is_store_name(path):
        raise OutputExistsError(f"{path} is a folder and is not overwritten; choose another name.")


def taken(path: Path) -> OutputExistsError:
    """Return the error about a name that is taken."""
    return OutputExistsError(f"{path} exists already; choose another name or overwrite it.")


def _is_store_name(path: Path) -> bool:
    return path.suffix.lower() == ".zarr"


def _is_store(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)
