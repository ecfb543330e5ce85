"""Colours by region id from a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_stria.errors import FormatError
from napari_stria.io.color_files import read_colors


def test_numbers_and_hexadecimal_digits(tmp_path: Path) -> None:
    path = tmp_path / "colors.json"
    path.write_text('{"385": [8, 133, 140], "0": "#FF0001", "3000000001": "00ff10"}')
    assert read_colors(path) == {
        385: (8, 133, 140),
        0: (255, 0, 1),
        3_000_000_001: (0, 255, 16),
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "no colours by id"),
        ({"VISp": [1, 2, 3]}, "'VISp' is no region's id"),
        ({"-1": [1, 2, 3]}, "no region's id"),
        ({"1": [1, 2]}, "three numbers of 0 to 255"),
        ({"1": [1, 2, 256]}, "three numbers"),
        ({"1": [1, 2, True]}, "three numbers"),
        ({"1": [1, 2, 3.5]}, "three numbers"),
        ({"1": "red"}, "#RRGGBB"),
        ({"1": None}, "of 1 is neither"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "colors.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=words):
        read_colors(path)


def test_what_is_no_json_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "colors.json"
    with pytest.raises(FormatError, match="cannot be read"):
        read_colors(path)
    path.write_bytes(b"\xff{")
    with pytest.raises(FormatError, match="no JSON file of colours"):
        read_colors(path)
