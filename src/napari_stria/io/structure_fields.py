"""Fields of a region as files and servers write them: numbers, paths, colours, sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Rgb = tuple[int, int, int]

GREY: Rgb = (160, 160, 160)
_LARGEST = 2**63


def whole_number(value: Any) -> int:
    """Return a whole number; some files have ids as 997.0.

    Raises
    ------
    ValueError
        If it is none, or larger than any id.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool)
    # Written so that NaN and infinity fail too.
    if not good or not abs(value) < _LARGEST or int(value) != value:
        raise ValueError(f"{value!r:.60} is not a whole number below 2^63")
    return int(value)


def whole_or_none(value: Any) -> int | None:
    """Return a whole number, None for None.

    Raises
    ------
    ValueError
        If it is something else.
    """
    return None if value is None else whole_number(value)


def path_ids(value: Any) -> list[int]:
    """Return the ids of a path, ``/997/8/`` or a list of them.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(value, str):
        return [int(step) for step in value.split("/") if step]
    if not isinstance(value, Sequence):
        raise ValueError(f"the path {value!r:.60} is neither a list nor a text such as /997/8/")
    return [whole_number(step) for step in value]


def rgb_of(value: Any) -> Rgb:
    """Return a colour, of three numbers or of hexadecimal digits; grey for None or no digits.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if value is None:
        return GREY
    if not isinstance(value, str):
        red, green, blue = (whole_number(v) for v in value)
        return red, green, blue
    digits = value.strip().removeprefix("#")
    if not digits:
        return GREY
    # The Allen API drops leading zeros of some colours ("9B0" for "0009B0").
    if not re.fullmatch(r"[0-9A-Fa-f]{1,6}", digits):
        raise ValueError(f"the colour {value!r:.60} is not six hexadecimal digits")
    number = int(digits, 16)
    return number >> 16, number >> 8 & 255, number & 255


def set_ids(node: Mapping[str, Any]) -> list[int]:
    """Return the ids of a region's structure sets, stated as ids, as records, or as both.

    They are in the order of a set of them, which is AllenSDK's order.

    Raises
    ------
    ValueError, TypeError, KeyError
        If they are something else.
    """
    ids = [whole_number(i) for i in node.get("structure_set_ids") or ()]
    ids += [whole_number(each["id"]) for each in node.get("structure_sets") or ()]
    return list(set(ids))


def set_names(node: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of sets that a region's records of them have, by id.

    Raises
    ------
    ValueError, TypeError, KeyError
        If they are something else.
    """
    named = [each for each in node.get("structure_sets") or () if each.get("name")]
    return {whole_number(each["id"]): str(each["name"]).strip() for each in named}
