"""Where BrainGlobe's own tools keep atlases, and which folder is their cache of parts.

The cache of version 3 atlases holds what somebody needed and as far as a download came: a chunk
that is not there says nothing.
"""

from __future__ import annotations

import configparser
import logging
import os
from pathlib import Path

CONFIG_DIR_VARIABLE = "BRAINGLOBE_CONFIG_DIR"
_CONFIG_FILE = "bg_config.conf"
_TREE = "brainglobe-atlasapi"
_log = logging.getLogger(__name__)


def brainglobe_folder() -> Path:
    """Return BrainGlobe's folder as its own configuration names it; it need not exist.

    The configuration is ``bg_config.conf`` in the folder that ``BRAINGLOBE_CONFIG_DIR`` names,
    else in ``~/.config/brainglobe``; the default is ``~/.brainglobe``.
    """
    stated = os.environ.get(CONFIG_DIR_VARIABLE)
    folder = Path(stated).expanduser() if stated else Path.home() / ".config" / "brainglobe"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(folder / _CONFIG_FILE, encoding="utf-8")
        text = parser.get("default_dirs", "brainglobe_dir", fallback="").strip()
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read (%s)", folder / _CONFIG_FILE, error)
        text = ""
    return Path(text).expanduser().absolute() if text else Path.home() / ".brainglobe"


def partial_tree() -> Path | None:
    """Return BrainGlobe's cache of version 3 atlases, None if there is none."""
    tree = brainglobe_folder() / _TREE
    return tree if is_partial_tree(tree) else None


def is_partial_tree(folder: Path) -> bool:
    """Tell whether a folder is BrainGlobe's cache of version 3 atlases, which holds parts.

    It is known by its name, by whatever path or link one comes to it, and the user's own also
    where a link alone has that name.
    """
    if not (folder / "atlases").is_dir():
        return False
    if _TREE in (folder.name, folder.resolve().name):
        return True
    try:
        return folder.samefile(brainglobe_folder() / _TREE)
    except OSError:
        return False


def partial_tree_above(path: Path) -> Path | None:
    """Return the cache of parts that a path lies in, None if it lies in none."""
    # Also as it was given: the part of a path that has the name may be a link.
    for way in (path.resolve(), path.absolute()):
        for folder in way.parents:
            if is_partial_tree(folder):
                return folder
    return None
