"""Which atlases the user likes best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_stria.io.config_files import ConfigContent, ConfigFile

_KEY = "favourites"


@dataclass(frozen=True)
class Favourites:
    """Names of atlases, and one sentence if the file could not be used."""

    names: frozenset[str] = frozenset()
    problem: str = ""


class FavouritesFile:
    """``favourites.json`` in the folder of the user's choices."""

    def __init__(self) -> None:
        self._file = ConfigFile("favourites.json")

    def read(self) -> Favourites:
        """Return the favourites; never raises."""
        return _favourites(self._file.read())

    def change(self, wanted: Mapping[str, bool]) -> Favourites:
        """Add the names that are mapped to True, drop the others named; return what is there now.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """

        def edit(values: dict[str, Any]) -> None:
            names = set(_names(values)) | {name for name, on in wanted.items() if on}
            values[_KEY] = sorted(names - {name for name, on in wanted.items() if not on})

        return _favourites(self._file.update(edit))


def _favourites(content: ConfigContent) -> Favourites:
    return Favourites(_names(content.values), content.problem)


def _names(values: Mapping[str, Any]) -> frozenset[str]:
    found = values.get(_KEY)
    names = found if isinstance(found, list) else []
    return frozenset(name for name in names if isinstance(name, str))
