"""Where a measurement that was broken off finds what it had already."""

from __future__ import annotations

import logging
from pathlib import Path

from napari_stria.io.cache import cache_folder

_log = logging.getLogger(__name__)
# Files of a few kB, one a section.
_MOST_FILES = 5000


def expression_folder() -> Path | None:
    """Return the folder of the cache with the sums of sections, of which the oldest are dropped.

    None where nothing can be kept; then a run begins anew.
    """
    try:
        folder = cache_folder("expression")
        files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_MOST_FILES:]:
            path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("sums of sections are not kept: %s", error)
        return None
    return folder
