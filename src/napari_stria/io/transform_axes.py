"""What the axes of a file of transformations are: their names, and which way they go."""

from __future__ import annotations

from napari_stria.errors import FormatError
from napari_stria.io.json_fields import Fields

# Names of axes, casefolded, in the order of our coordinates. Arrays of atlases are (z, y, x).
_ORDERS = (("x", "y"), ("u", "v"), ("ap", "dv", "ml"), ("z", "y", "x"), ("p", "i", "r"))
_PAIRS = ("ap", "si", "rl")
# RFC-4's words, by the letter that says where an axis starts.
_ORIENTATIONS = {
    "a": "anterior-to-posterior",
    "p": "posterior-to-anterior",
    "s": "superior-to-inferior",
    "i": "inferior-to-superior",
    "r": "right-to-left",
    "l": "left-to-right",
}


def orientation_of(letter: str) -> dict[str, str]:
    """Return RFC-4's orientation of an axis that starts where this letter says."""
    return {"type": "anatomical", "value": _ORIENTATIONS[letter]}


def space_of_systems(fields: Fields) -> str | None:
    """Return the letters of the axes that say which way they go; None without three of them."""
    letters = {words: letter for letter, words in _ORIENTATIONS.items()}
    for system in fields.parts("coordinateSystems"):
        by_pair: dict[str, str] = {}
        for axis in system.parts("axes"):
            orientation = axis.part("orientation") if "orientation" in axis else None
            letter = letters.get(orientation.text("value", "")) if orientation else None
            if letter is not None:
                by_pair[next(pair for pair in _PAIRS if letter in pair)] = letter
        if len(by_pair) == len(_PAIRS):
            return "".join(by_pair[pair] for pair in _PAIRS)
    return None


def axes_of(fields: Fields, chosen: Fields, end: str) -> list[int]:
    """Return which of our coordinates each axis of a transformation's input or output is."""
    wanted = chosen.part(end).text("name")
    for system in fields.parts("coordinateSystems"):
        if system.text("name") != wanted:
            continue
        names = [axis.text("name").casefold() for axis in system.parts("axes")]
        for order in _ORDERS:
            if sorted(names) == sorted(order):
                return [order.index(name) for name in names]
        known = " or ".join(f"({', '.join(order)})" for order in _ORDERS)
        raise FormatError(
            f"{system.where} has the axes ({', '.join(names)}), of which it is not known which is "
            f"which; name them {known}."
        )
    raise FormatError(f"{chosen.where}: its {end} {wanted!r} is no coordinate system of the file.")
