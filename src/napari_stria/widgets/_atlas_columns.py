"""Which columns of the list of atlases are seen, and how wide they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from napari_stria.session.atlas_row_texts import (
    NAME,
    RESOLUTION,
    SIZE,
    SPECIES,
    STAR,
    VERSION,
    WHERE,
)

KEYS = ("star", "name", "species", "resolution", "version", "size", "where")
_LEAST_IMPORTANT = (SIZE, SPECIES, WHERE, RESOLUTION)  # the first one goes first
_IN_WORDS = (SPECIES, RESOLUTION, WHERE, SIZE)  # the last one is cut off first
_NARROWEST_NAME = 160
_NARROWEST = 20
_WIDEST = 600


class AtlasColumns:
    """Fits columns to the room there is.

    Columns that the user has neither shown nor hidden go when there is no room for them. The
    names get the room that is left.

    Attributes
    ----------
    widths : dict of int to int
        Columns that the user made wider or narrower, in pixels.
    chosen : dict of int to bool
        Columns that the user showed or hid.
    """

    def __init__(self) -> None:
        self.widths: dict[int, int] = {}
        self.chosen: dict[int, bool] = {}

    def set_width(self, column: int, width: int) -> None:
        """Take the width that the user gave a column."""
        self.widths[column] = min(max(width, _NARROWEST), _WIDEST)

    def fitted(self, natural: Mapping[int, int], room: int) -> dict[int, int]:
        """Return the width of each column that is seen.

        Parameters
        ----------
        natural : mapping of int to int
            What the texts of each column need.
        room : int
            What there is.
        """
        widths = {c: self.widths.get(c, w) for c, w in natural.items() if self.chosen.get(c, True)}
        name = min(natural[NAME], _NARROWEST_NAME)
        widths.pop(NAME, None)
        for column in _LEAST_IMPORTANT:
            if name + sum(widths.values()) <= room:
                break
            if column not in self.chosen:
                widths.pop(column, None)
        return widths | {NAME: max(name, room - sum(widths.values()))}

    def left_out(self, seen: Collection[int]) -> tuple[int, ...]:
        """Return the columns that there was no room for, which the user did not hide."""
        return tuple(c for c in _IN_WORDS if c not in seen and self.chosen.get(c, True))

    def state(self) -> dict[str, Any]:
        """Return what can be remembered."""
        return {
            "widths": {KEYS[c]: w for c, w in self.widths.items()},
            "columns": {KEYS[c]: shown for c, shown in self.chosen.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what was remembered; what makes no sense is left out."""
        widths, chosen = state.get("widths"), state.get("columns")
        if isinstance(widths, dict):
            for key, width in widths.items():
                if key in KEYS and type(width) is int and KEYS.index(key) != NAME:
                    self.set_width(KEYS.index(key), width)
        if isinstance(chosen, dict):
            for key, shown in chosen.items():
                if key in KEYS and isinstance(shown, bool) and KEYS.index(key) in CHOICES:
                    self.chosen[KEYS.index(key)] = shown


CHOICES = (STAR, SPECIES, RESOLUTION, VERSION, SIZE, WHERE)
