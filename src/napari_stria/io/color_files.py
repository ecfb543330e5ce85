"""Colours of regions from a JSON file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from napari_stria.errors import FormatError

Rgb = tuple[int, int, int]
_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")
_MAX_BYTES = 10**7


def read_colors(path: Path) -> dict[int, Rgb]:
    """Read colours by region id.

    Parameters
    ----------
    path : Path
        A JSON object: ids as texts; colours as three numbers of 0 to 255, or as ``"#RRGGBB"``.

    Returns
    -------
    dict of int to (red, green, blue)

    Raises
    ------
    FormatError
        If it is not that, or there is no such file.
    """
    try:
        raw = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
        content = json.loads(raw)
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}); check its name.") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON file of colours.") from error
    if not isinstance(content, dict):
        raise FormatError(f'{path} holds no colours by id; write {{"385": [8, 133, 140]}}.')
    return {_id(key, path): _rgb(value, key, path) for key, value in content.items()}


def _id(key: str, path: Path) -> int:
    if not key.strip().isdecimal() or len(key) > 18:
        raise FormatError(f"{path}: {key!r} is no region's id; give whole numbers.")
    return int(key)


def _rgb(value: Any, key: str, path: Path) -> Rgb:
    if isinstance(value, str) and (match := _HEX.fullmatch(value.strip())):
        number = int(match.group(1), 16)
        return number >> 16, number >> 8 & 255, number & 255
    if isinstance(value, list) and len(value) == 3:
        whole = all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        if whole and all(0 <= v <= 255 for v in value):
            return value[0], value[1], value[2]
    raise FormatError(
        f"{path}: the colour {value!r} of {key} is neither three numbers of 0 to 255 nor #RRGGBB."
    )
