"""Cells as cellfinder keeps them in YAML.

``CellCounter_Marker_File: true`` and ``candidate_cells``, a list with ``x``, ``y``, ``z``, ``type``
and ``metadata`` of each (brainglobe-utils, ``brainglobe_utils.IO.cells``); positions as in its XML.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from napari_stria.errors import FormatError
from napari_stria.io.cell_files import Cells

_MARK = "CellCounter_Marker_File"
_AXES = {"z": 0, "y": 1, "x": 2}
_MISSING = float("nan")


def cells_from_yaml(path: Path) -> Cells:
    """Read the cells of a YAML file, event by event.

    Raises
    ------
    FormatError
        If it is none, or a cell has no position or type; the message names the line.

    Notes
    -----
    Of what ``metadata`` says, single values become columns; lists and deeper ones are left out.
    """
    import yaml  # type: ignore[import-untyped]

    with path.open("rb") as file:
        try:
            return _YamlReader(path.name, yaml).read(file)
        except yaml.YAMLError as error:
            # Without the snippet that spans several lines.
            mark = getattr(error, "problem_mark", None)
            line = "" if mark is None else f", line {mark.line + 1}"
            raise FormatError(
                f"{path.name}{line} is not YAML; correct it or copy it again."
            ) from error


class _YamlReader:
    """What is read of cells while the events of a YAML text pass by.

    Events in place of values: a file of a million cells never is in memory as texts and mappings,
    and an alias, with which a small text may stand for a huge one, is refused.
    """

    def __init__(self, where: str, yaml: Any) -> None:
        self._where, self._yaml = where, yaml
        self.voxels, self.types = array("d"), array("q")
        self._metadata: dict[str, dict[int, Any]] = defaultdict(dict)
        self._is_cells = False
        self._events: Iterator[Any] = iter(())

    def read(self, file: Any) -> Cells:
        # The parser in C, where PyYAML was built with it: ten times as fast.
        loader = getattr(self._yaml, "CSafeLoader", self._yaml.SafeLoader)
        self._events = self._yaml.parse(file, Loader=loader)
        has_list = False
        for key, value in self._pairs(self._first()):
            if key == _MARK:
                self._is_cells = _plain(value) is True
            elif key == "candidate_cells":
                has_list = True
                self._read_list(value)
            else:
                self._skip(value)
        if not self._is_cells or not has_list:
            raise FormatError(
                f"{self._where} holds no cells of cellfinder ({_MARK}, candidate_cells); choose "
                "another file."
            )
        n = len(self.types)
        columns = {
            name: [cells.get(row) for row in range(n)] for name, cells in self._metadata.items()
        }
        return Cells.of_lists(self.voxels, self.types, pd.DataFrame(columns, index=range(n)))

    def _first(self) -> Any:
        """Return the event with which the document's value begins."""
        yaml = self._yaml
        before = (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.StreamEndEvent)
        return next((e for e in self._events if not isinstance(e, before)), None)

    def _pairs(self, start: Any) -> Iterator[tuple[str, Any]]:
        """Yield each key of a mapping with the event that begins its value, to be taken first."""
        if not isinstance(start, self._yaml.MappingStartEvent):
            raise self._error(start, "here should be names and values")
        for event in self._events:
            if isinstance(event, self._yaml.MappingEndEvent):
                return
            if not isinstance(event, self._yaml.ScalarEvent):
                raise self._error(event, "a name should be a plain text")
            yield event.value, next(self._events)

    def _read_list(self, start: Any) -> None:
        if _plain(start) is None and isinstance(start, self._yaml.ScalarEvent):
            return  # nothing was found
        if not isinstance(start, self._yaml.SequenceStartEvent):
            raise self._error(start, "candidate_cells should be a list")
        for event in self._events:
            if isinstance(event, self._yaml.SequenceEndEvent):
                return
            self._read_cell(event)

    def _read_cell(self, start: Any) -> None:
        position, type_ = [_MISSING] * 3, None
        for key, value in self._pairs(start):
            if key in _AXES:
                position[_AXES[key]] = self._number(value)
            elif key == "type":
                type_ = int(self._number(value))
            elif key == "metadata" and isinstance(value, self._yaml.MappingStartEvent):
                self._read_metadata(value)
            else:
                self._skip(value)
        if type_ is None or not np.isfinite(position).all():
            raise self._error(start, "this cell lacks one of x, y, z and type")
        self.voxels.extend(position)
        self.types.append(type_)

    def _read_metadata(self, start: Any) -> None:
        row = len(self.types)
        for key, value in self._pairs(start):
            if isinstance(value, self._yaml.ScalarEvent):
                self._metadata[key][row] = _plain(value)
            else:
                self._skip(value)

    def _number(self, event: Any) -> float:
        value = _plain(event)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise self._error(event, "here should be a number")
        return value

    def _skip(self, event: Any) -> None:
        """Pass over a value, however deep it is."""
        yaml, depth = self._yaml, 0
        while True:
            if isinstance(event, yaml.AliasEvent):
                raise self._error(event, "it refers to another part, which no file of cells does")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            event = next(self._events)

    def _error(self, event: Any, what: str) -> FormatError:
        mark = getattr(event, "start_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        return FormatError(f"{self._where}{line}: {what}; correct it or choose another.")


_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def _plain(event: Any) -> Any:
    """Return the value of a scalar: a number, true or false, None, or else its text."""
    text = getattr(event, "value", None)
    if not isinstance(text, str) or event.style in ("'", '"'):
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
