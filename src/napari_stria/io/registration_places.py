"""What the file of a registration calls the files around it: images, and fields beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

SUFFIX = ".stria-registration.json"
MOST_BYTES = 256 << 20


def image_name(image: Path, folder: Path | None) -> str:
    """Return how a file names an image."""
    image = image.absolute()
    if folder is None:
        return image.as_posix()
    try:
        name = os.path.relpath(image, folder)
        real = os.path.realpath(folder)
        # From a link to a folder, ".." leads elsewhere than its name says.
        if real != str(folder) and not _is_same(folder / name, image):
            name = os.path.relpath(os.path.realpath(image), real)
    except ValueError:  # on another drive
        return image.as_posix()
    return PurePosixPath(*Path(name).parts).as_posix()


def _is_same(first: Path, second: Path) -> bool:
    return os.path.realpath(first) == os.path.realpath(second)


def image_path(name: str, folder: Path) -> Path:
    """Return an image's path without "..", unless links lie before it."""
    said = folder / name
    tidy = Path(os.path.normpath(said))
    if ".." not in said.parts or os.path.realpath(tidy) == os.path.realpath(said):
        return tidy
    return Path(os.path.realpath(said))


def field_start(path: Path) -> str:
    """Return what the names of the fields of a registration begin with."""
    return f"{path.name.removesuffix(SUFFIX) or path.name}.field-"


def clear_fields(path: Path, kept: set[str]) -> None:
    """Remove the fields of this registration that it names no more, nor any copy beside it."""
    start = field_start(path)
    others = list(path.parent.iterdir())
    old = {
        other.name
        for other in others
        if other.name.startswith(start)
        and other.name.endswith(".npy")
        and len(other.name) == len(start) + 16 + 4
    } - kept
    for other in others:
        if old and other != path and ".json" in other.name and other.is_file():
            old -= _named_in(other, old)
    for name in old:
        (path.parent / name).unlink(missing_ok=True)


def _named_in(file: Path, names: set[str]) -> set[str]:
    if file.stat().st_size > MOST_BYTES:
        return names
    raw = file.read_bytes()
    return {name for name in names if _as_written(name) in raw}


def _as_written(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace")
