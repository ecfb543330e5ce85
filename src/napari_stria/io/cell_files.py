"""Cells as cellfinder and ImageJ's Cell Counter keep them in XML.

``<CellCounter_Marker_File>`` has a ``<Marker_Type>`` for each type, with ``<Type>2</Type>`` and
markers ``<Marker><MarkerX/><MarkerY/><MarkerZ/></Marker>`` (brainglobe-utils,
``brainglobe_utils.IO.cells``). Positions are voxels of the image that the cells were found in: x
along its last axis, z along its first.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any, NamedTuple, Self
from xml.parsers import expat

import numpy as np
import pandas as pd

from napari_stria.core.transforms import F64
from napari_stria.errors import FormatError

CELL = 2
"""The type of what was found to be a cell; 1 is what was not, or not looked at yet."""
_ROOT = "CellCounter_Marker_File"
_AXES = {"MarkerZ": 0, "MarkerY": 1, "MarkerX": 2}
_MISSING = float("nan")


class Cells(NamedTuple):
    """What a file of cells holds.

    Attributes
    ----------
    voxels_zyx : (N, 3) float64 ndarray
        Voxels as the file counts them.
    types : (N,) int64 ndarray
    metadata : DataFrame
        Single values that are said of each cell; no columns if there are none.
    """

    voxels_zyx: F64
    types: Any
    metadata: pd.DataFrame

    @classmethod
    def of_lists(
        cls, voxels: array[float], types: array[int], metadata: pd.DataFrame | None = None
    ) -> Self:
        """Return the cells whose numbers follow each other in lists."""
        said = pd.DataFrame(index=range(len(types))) if metadata is None else metadata
        zyx = np.array(voxels, dtype=np.float64).reshape(-1, 3)
        return cls(zyx, np.array(types, dtype=np.int64), said)


def cells_from_xml(path: Path) -> Cells:
    """Read the cells of an XML file, piece by piece.

    Raises
    ------
    FormatError
        If it is none, or a cell has no position; the message names the line.
    """
    reader = _XmlReader(path.name)
    with path.open("rb") as file:
        reader.read(file)
    return Cells.of_lists(reader.voxels, reader.types)


class _XmlReader:
    """What is read of markers while their elements pass by."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.voxels, self.types = array("d"), array("q")
        self._path: list[str] = []
        self._text: list[str] = []
        self._position = [_MISSING] * 3
        self._type: int | None = None
        self._n_of_type = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        # No such file has entities of its own, which could grow without bound.
        parser.StartDoctypeDeclHandler = self._refuse

    def read(self, file: Any) -> None:
        try:
            self._parser.ParseFile(file)
        except expat.ExpatError as error:
            raise FormatError(
                f"{self._where} is not a whole XML file ({error}); copy it again."
            ) from error

    def _refuse(self, *declared: Any) -> None:
        del declared
        raise self._error("it declares a document type, which no file of cells does")

    def _error(self, what: str) -> FormatError:
        line = self._parser.CurrentLineNumber
        return FormatError(f"{self._where}, line {line}: {what}; correct it or choose another.")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        del attributes
        if not self._path and tag != _ROOT:
            raise self._error(f"it holds {tag!r} and no cells of cellfinder ({_ROOT})")
        self._path.append(tag)
        self._text.clear()
        if tag == "Marker":
            self._position = [_MISSING] * 3
        elif tag == "Marker_Type":
            self._type, self._n_of_type = None, 0

    def _end(self, tag: str) -> None:
        self._path.pop()
        if tag in _AXES:
            self._position[_AXES[tag]] = self._number(tag)
        elif tag == "Marker":
            if not np.isfinite(self._position).all():
                raise self._error("this marker lacks one of MarkerX, MarkerY and MarkerZ")
            self.voxels.extend(self._position)
            self._n_of_type += 1
        elif tag == "Type" and self._path[-1] == "Marker_Type":
            self._type = int(self._number(tag))
        elif tag == "Marker_Type":
            if self._type is None and self._n_of_type:
                raise self._error("these markers have no type")
            self.types.extend([self._type or 0] * self._n_of_type)

    def _number(self, tag: str) -> float:
        text = "".join(self._text).strip()
        try:
            value = float(text)
        except ValueError:
            value = _MISSING
        if not np.isfinite(value):
            raise self._error(f"{text!r} is no number ({tag})")
        return value
