"""Values out of a JSON file that anybody may have written, each checked and named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from napari_stria.core.space import Triple
from napari_stria.errors import FormatError, plain_text

T = TypeVar("T")

_FARTHEST = 1e12
_LARGEST_ID = 2**63
_LONGEST_TEXT = 4096
_MOST_VALUES = 1_000_000
_WIDEST = 16


def is_whole_text(text: str) -> bool:
    """Tell whether a text can be written: JSON can spell halves of letters, UTF-8 cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def read_bounded(path: Path, most_bytes: int, what: str) -> bytes:
    """Return a file's bytes; `what` says what it should hold, e.g. ``a series``.

    Raises
    ------
    FormatError
        If it cannot be read, or is larger than such a file can be.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise FormatError(f"{path.name} is too large for {what}; choose another file.")
        return path.read_bytes()
    except OSError as error:
        reason = plain_text(error)
        raise FormatError(f"{path} cannot be read ({reason}); choose another file.") from error


def parse_json(raw: bytes, where: str, *, constants: bool = False) -> Mapping[str, Any]:
    """Return the object that a JSON text holds.

    `constants`: with NaN and Infinity, which Python's programs write; `Fields` takes none for a
    number.

    Raises
    ------
    FormatError
        If it is none.
    """

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        found = json.loads(raw.decode("utf-8-sig"), parse_constant=None if constants else refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not a JSON file; choose another one.") from error
    if not isinstance(found, dict):
        raise FormatError(f"{where} is not a JSON object; choose another file.")
    return found


class Fields:
    """An object of the file; its values are asked for by name and type.

    Names that nobody asks for are passed over, so that a file may say more than this version reads.

    Parameters
    ----------
    values : mapping
        The object.
    where : str
        What the file and the object are called in messages.

    Attributes
    ----------
    where : str
    """

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise FormatError(f"{where} is not a JSON object; the file is damaged.")
        self._values = values
        self.where = where

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def part(self, name: str) -> Fields:
        """Return an object within this one; an empty one if it is not there."""
        found = self._values.get(name)
        return Fields({} if found is None else found, f"{self.where}: {name}")

    def parts(self, name: str) -> list[Fields]:
        """Return a list of objects; empty if it is not there."""
        return [
            Fields(value, f"{self.where}: {name}[{number}]")
            for number, value in enumerate(self._list(name))
        ]

    def text(self, name: str, default: str | None = None, choices: tuple[str, ...] = ()) -> str:
        """Return a text, one of `choices` if there are any."""
        return self._text(name, self._values.get(name, default), choices)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def number(
        self,
        name: str,
        default: float | None = None,
        low: float = -_FARTHEST,
        high: float = _FARTHEST,
    ) -> float:
        """Return a finite number between two bounds."""
        return self._number(name, self._values.get(name, default), low, high)

    def numbers(
        self, name: str, count: int, low: float = -_FARTHEST, high: float = _FARTHEST
    ) -> tuple[float, ...]:
        """Return so many finite numbers."""
        return self._counted(name, count, lambda value: self._number(name, value, low, high))

    def rows(self, name: str, width: int | None = None) -> list[tuple[float, ...]]:
        """Return a list of lists of finite numbers, all of one length; empty if it is not there."""
        found = []
        for row in self._list(name):
            if not isinstance(row, list) or len(row) != (width or len(row)) or len(row) > _WIDEST:
                raise self._wrong(name, row, "a list of lists of numbers, all of one length")
            width = len(row)
            found.append(tuple(self._number(name, v, -_FARTHEST, _FARTHEST) for v in row))
        return found

    def triple(self, name: str, low: float = -_FARTHEST, high: float = _FARTHEST) -> Triple:
        """Return three finite numbers."""
        first, second, third = self.numbers(name, 3, low, high)
        return first, second, third

    def whole(self, name: str, low: int = 0, high: int = _LARGEST_ID) -> int:
        """Return a whole number between two bounds."""
        return self._whole(name, self._values.get(name), low, high)

    def ids(self, name: str) -> tuple[int, ...]:
        """Return ids, each once, in the file's order; none if they are not there."""
        found = [self._whole(name, value, 0, _LARGEST_ID) for value in self._list(name)]
        return tuple(dict.fromkeys(found))

    def wholes(self, name: str, count: int, low: int, high: int) -> tuple[int, ...]:
        """Return so many whole numbers between two bounds."""
        return self._counted(name, count, lambda value: self._whole(name, value, low, high))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return texts; none if they are not there."""
        return tuple(self._text(name, value) for value in self._list(name))

    def choices(self, name: str, allowed: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """Return as many texts as there are tuples in `allowed`, each one of its own."""
        found = self._counted(name, len(allowed), lambda value: self._text(name, value))
        for value, choices in zip(found, allowed, strict=True):
            self._text(name, value, choices)
        return found

    def order(self, name: str) -> tuple[int, int, int]:
        """Return the numbers 0, 1 and 2 in the file's order."""
        first, second, third = self._counted(name, 3, lambda value: self._whole(name, value, 0, 2))
        if {first, second, third} != {0, 1, 2}:
            raise self._wrong(name, [first, second, third], "0, 1 and 2 in some order")
        return first, second, third

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object as it is; empty if it is not there."""
        found = self._values.get(name)
        if found is not None and not isinstance(found, dict):
            raise self._wrong(name, found, "an object")
        return dict(found or {})

    # -- checks ---------------------------------------------------------------

    def _list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > _MOST_VALUES:
            raise self._wrong(name, value, "a list")
        return value

    def _counted(self, name: str, count: int, check: Callable[[Any], T]) -> tuple[T, ...]:
        values = self._list(name)
        if len(values) != count:
            raise self._wrong(name, values, f"a list of {count}")
        return tuple(check(value) for value in values)

    def _text(self, name: str, value: Any, choices: tuple[str, ...] = ()) -> str:
        if not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        if len(value) > _LONGEST_TEXT:
            raise self._wrong(name, value, f"a text of at most {_LONGEST_TEXT} letters")
        if not is_whole_text(value):
            raise self._wrong(name, value, "a text of whole letters")
        if choices and value not in choices:
            raise self._wrong(name, value, f"one of {', '.join(choices)}")
        return value

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        # True is an int in Python, and json reads 1e999 as infinity.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, value, "a number")
        if not low <= value <= high or not math.isfinite(value):
            raise self._wrong(name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def _whole(self, name: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(name, value, f"a whole number from {low} to {high}")
        return value

    def _wrong(self, name: str, value: Any, wanted: str) -> FormatError:
        said = repr(value)
        said = said if len(said) <= 60 else f"{said[:57]}..."
        return FormatError(f"{self.where}: {name} is {said}, not {wanted}; mend the file.")
