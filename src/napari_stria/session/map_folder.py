"""A folder of atlas maps: which of its files are finished, and which may be written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from napari_stria.errors import OutputExistsError
from napari_stria.io.cache import write_atomically
from napari_stria.io.output_folder import held_folder

RECORD = "maps.json"
_FORMAT = "napari-stria atlas maps"


class MapFolder:
    """The files of an export of maps; use `opened` around everything else.

    A record in the folder says what each file was made from before the first is written, and each
    appears under its name only when it is whole: a file that is there and recorded is finished.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    request : mapping
        What all files were made by, as JSON knows it.
    digests : mapping of str to str
        What each file is made from, by its name.
    images : iterable of str
        Names of pictures that the maps are of: these are never replaced, except by maps.
    """

    def __init__(
        self,
        folder: Path,
        request: Mapping[str, Any],
        digests: Mapping[str, str],
        images: Iterable[str] = (),
    ) -> None:
        self.folder = folder
        self._images = frozenset(name.casefold() for name in images)
        # As it is read back: tuples are lists there.
        self._request = json.loads(json.dumps(dict(request)))
        self._digests = dict(digests)

    def opened(self) -> AbstractContextManager[None]:
        """Hold the folder for this program alone; faults of writing are `OutputError`."""
        return held_folder(self.folder)

    def begin(self, *, overwrite: bool) -> list[str]:
        """Return the names that are not finished, and remove what has them.

        Raises
        ------
        OutputExistsError
            If the folder holds something else under a name that is needed, unless `overwrite`;
            if it holds a picture that the maps are of. Nothing is changed then.
        """
        known = self._known(overwrite=overwrite)
        recorded = self._recorded()
        pending = []
        for name, digest in self._digests.items():
            path = self.folder / name
            if path.exists() and known.get(name) == digest:
                continue
            if path.exists() and not overwrite:
                what = "another map" if name in known else "not of this export"
                raise OutputExistsError(
                    f"{path} exists and is {what}; choose another folder or use --overwrite."
                )
            if path.exists() and name.casefold() in self._images and name not in recorded:
                raise OutputExistsError(
                    f"{path} has the name of an image of the series and is no map; it is not "
                    "replaced, choose another folder."
                )
            pending.append(name)
        for name in pending:
            (self.folder / name).unlink(missing_ok=True)
        for name in self._digests:
            # What was left when a program was killed while it wrote.
            for leftover in self.folder.glob(f".{name}-????????"):
                leftover.unlink(missing_ok=True)
        write_atomically(self.folder / RECORD, self._record())
        return pending

    def write(self, name: str, data: bytes) -> None:
        """Write a file, all of it or nothing."""
        write_atomically(self.folder / name, data)

    def _recorded(self) -> frozenset[str]:
        """Return the names of all that was made here, by whatever request."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads((self.folder / RECORD).read_bytes())
            if found["format"] == _FORMAT:
                return frozenset(found["files"])
        return frozenset()

    def _known(self, *, overwrite: bool) -> Mapping[str, str]:
        """Return the recorded digests; those of another request are of no use."""
        path = self.folder / RECORD
        try:
            found = json.loads(path.read_bytes())
            ours = found["format"] == _FORMAT
            files: Mapping[str, str] = dict(found["files"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError):
            ours, files, found = False, {}, {}
        if ours and found.get("request") == self._request:
            return files
        if not overwrite:
            what = "maps that were made otherwise" if ours else f"another {RECORD}"
            raise OutputExistsError(
                f"{self.folder} holds {what}; choose another folder or use --overwrite."
            )
        return {}

    def _record(self) -> bytes:
        content = {
            "format": _FORMAT,
            "format_version": 1,
            "request": self._request,
            "files": self._digests,
        }
        return (json.dumps(content, indent=1) + "\n").encode()
