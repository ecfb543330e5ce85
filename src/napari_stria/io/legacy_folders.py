"""Folders of BrainGlobe's version 1 and 2 atlases: ``NAME_vX.Y``, each with its volumes."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

ANNOTATION_FILE, METADATA_FILE = "annotation.tiff", "metadata.json"
_log = logging.getLogger(__name__)
_FOLDER_NAME = re.compile(r"(?P<name>.+)_v(?P<version>\d+\.\d+)")


@dataclass(frozen=True)
class LegacyFolder:
    """A folder that is named as an atlas of version 1 or 2.

    Attributes
    ----------
    path : Path
    name : str
        For example ``allen_mouse_25um``.
    version : str
        For example ``1.2``.
    """

    path: Path
    name: str
    version: str

    @property
    def order(self) -> tuple[int, ...]:
        """Sorts versions by age."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def size_bytes(self) -> int:
        """What all its files take on disk."""
        return size_below(self.path)


def parse_folder_name(path: Path) -> LegacyFolder | None:
    """Return the name and version that a folder is named by, None if it is not named so."""
    match = _FOLDER_NAME.fullmatch(path.name)
    return None if match is None else LegacyFolder(path, match["name"], match["version"])


def is_legacy_folder(path: Path) -> bool:
    """Tell whether a folder holds an atlas of version 1 or 2, whatever it is named."""
    return (path / METADATA_FILE).is_file() and (path / ANNOTATION_FILE).is_file()


def legacy_folders(root: Path) -> list[LegacyFolder]:
    """Return the atlases in a root, sorted by name and age; empty if it has none.

    A folder that is named as an atlas and lacks its files is left out, with a warning in the log.
    """
    if not root.is_dir():
        return []
    found = []
    for path in root.iterdir():
        folder = parse_folder_name(path)
        if folder is None or not path.is_dir():
            continue
        if is_legacy_folder(path):
            found.append(folder)
        else:
            _log.warning("%s lacks files of an atlas; it is left out", path)
    return sorted(found, key=lambda folder: (folder.name, folder.order))


def size_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for top, _, files in os.walk(folder):
        for file in files:
            try:
                total += (Path(top) / file).stat().st_size
            # Gone since it was listed.
            except OSError:
                continue
    return total
