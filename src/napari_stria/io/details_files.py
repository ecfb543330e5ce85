"""What was learned of atlases, kept on disk: one small file a root."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_stria.io.atlas_details import (
    AtlasDetails,
    details_key,
    parse_details,
    published_versions,
    read_details,
)
from napari_stria.io.cache import cache_folder, write_atomically
from napari_stria.io.store import Store, open_store

_log = logging.getLogger(__name__)
_FIELDS = ("species", "shape", "orientation", "symmetric", "citation", "atlas_link")
_writing = threading.Lock()


class DetailsShelf:
    """Details of atlases by root: what is known without asking, and what is asked for.

    A version of an atlas does not change once it is published, so its details are read once. A
    file that cannot be read or written costs a request, not an answer: that is logged.

    Parameters
    ----------
    store_of : callable
        Opens a root as the user chose it, which may be the word for one; called in the thread
        that reads.
    """

    def __init__(self, store_of: Callable[[str], Store] = open_store) -> None:
        self._store_of = store_of

    def known(self, root: str) -> dict[str, AtlasDetails]:
        """Return what was learned of a root's atlases, by `details_key`."""
        try:
            raw = _file_of(root).read_bytes()
            return {key: _details(key, found) for key, found in json.loads(raw).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError, AttributeError) as error:
            _log.warning("what was learned of atlases cannot be read: %s", error)
            return {}

    def read(self, root: str, name: str, version: str) -> AtlasDetails:
        """Read the details of one version of an atlas and keep them.

        Raises
        ------
        AtlasNotFoundError, FormatError, NetworkError
            See `napari_stria.io.atlas_details.read_details`.
        """
        details = read_details(self._store_of(root), name, version)
        self._keep(root, details)
        return details

    def versions(self, root: str, name: str) -> tuple[str, ...]:
        """Return the versions that a root has, where it can be listed; see `published_versions`."""
        return published_versions(self._store_of(root), name)

    def _keep(self, root: str, details: AtlasDetails) -> None:
        with _writing:
            known = self.known(root) | {details_key(details.name, details.version): details}
            content = {key: _manifest(each) for key, each in sorted(known.items())}
            try:
                write_atomically(_file_of(root), json.dumps(content, indent=1).encode())
            except OSError as error:
                _log.warning("what was learned of atlases cannot be kept: %s", error)


def _file_of(root: str) -> Path:
    digest = hashlib.sha256(root.encode()).hexdigest()[:24]
    return cache_folder("details") / f"{digest}.json"


def _manifest(details: AtlasDetails) -> dict[str, Any]:
    """Return details in the words of a manifest, so that one parser checks both."""
    kept = {key: value for key, value in asdict(details).items() if key in _FIELDS}
    return kept | {"resolution": details.resolution_um}


def _details(key: str, found: Any) -> AtlasDetails:
    name, _, version = key.rpartition("/")
    with suppress(AttributeError):
        return parse_details(name, version, found)
    raise ValueError(f"{key} is no JSON object.")
