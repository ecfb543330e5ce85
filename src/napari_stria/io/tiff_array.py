"""The voxels of an uncompressed TIFF, read block by block where they lie in the file.

A level takes every 1st, 2nd, 4th ... voxel of the one volume in the file: from the page cache this
is as fast as a level of its own would be.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.space import Triple
from napari_stria.core.strides import strided_scale, strided_steps
from napari_stria.errors import CorruptDataError, FormatError, StriaError

# Long along ML, because a row of voxels lies in one piece in the file.
_CHUNK = (32, 64, 512)
_GAP_BYTES = 32 << 10


@dataclass(frozen=True)
class FileStamp:
    """What changes when a file does.

    Attributes
    ----------
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change.
    """

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Return the stamp of a file; raises `OSError` if there is none."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns)

    @classmethod
    def of_file(cls, file: FileIO) -> FileStamp:
        """Return the stamp of an open file."""
        stat = os.fstat(file.fileno())
        return cls(stat.st_size, stat.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.size}:{self.mtime_ns}"


@dataclass(frozen=True)
class TiffArray:
    """Every `step`-th voxel of a volume in one piece; a `napari_stria.core.pyramid.BlockReader`.

    Attributes
    ----------
    path : Path
        The file.
    stamp : FileStamp
        Of the file when it was opened.
    offset : int
        Where the voxels start in the file.
    stored_dtype : str
        Type of a voxel in the file, with its byte order (``<u4``).
    full_shape : tuple of int
        Voxels of the volume along AP, DV, ML.
    step : int
        1 for all voxels.
    """

    path: Path
    stamp: FileStamp
    offset: int
    stored_dtype: str
    full_shape: tuple[int, int, int]
    step: int = 1

    def __post_init__(self) -> None:
        voxels = int(np.prod(self.full_shape, dtype=np.int64))
        needed = self.offset + voxels * np.dtype(self.stored_dtype).itemsize
        if self.stamp.size < needed:
            raise FormatError(
                f"{self.path} ends after {self.stamp.size} of {needed} bytes; copy it again."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along AP, DV, ML."""
        return tuple(-(-n // self.step) for n in self.full_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel as it is given."""
        return np.dtype(self.stored_dtype).newbyteorder("=")

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Voxels of a block; the file has none of its own."""
        return tuple(min(c, n) for c, n in zip(_CHUNK, self.shape, strict=True))

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a copy of a block, None if it is all zeros.

        Raises
        ------
        CorruptDataError
            If the file changed since it was opened.
        """
        box = block_box(index, self.chunk_shape, self.shape)
        stored = tuple(slice(s.start * self.step, s.stop * self.step, self.step) for s in box)
        try:
            with self.path.open("rb", buffering=0) as file:
                self._check_unchanged(file)
                block = self._read(file, stored)
                # What was written meanwhile would be two versions in one block.
                self._check_unchanged(file)
        except StriaError:
            raise
        except OSError as error:
            raise CorruptDataError(f"{self.path} cannot be read ({error}).") from error
        return block if block.any() else None

    def _read(self, file: FileIO, box: tuple[slice, ...]) -> npt.NDArray[Any]:
        """Read the voxels of a box, which has its start, stop and step in the whole volume.

        Not by memory map: if a file becomes shorter, touching the rest would end the program.
        """
        planes, rows, columns = box
        _, n_rows, n_columns = self.full_shape
        itemsize = np.dtype(self.stored_dtype).itemsize
        size = [len(range(*s.indices(n))) for s, n in zip(box, self.full_shape, strict=True)]
        out = np.empty(size, dtype=self.dtype)
        wanted = range(*rows.indices(n_rows))
        # Rows that are left out cost less than asking for each of the others, if they are short.
        together = rows.step * n_columns * itemsize <= _GAP_BYTES
        starts = wanted[:1] if together else wanted
        run = np.empty(
            (wanted[-1] + 1 - wanted[0] if together else 1, n_columns), self.stored_dtype
        )
        for i, plane in enumerate(range(*planes.indices(self.full_shape[0]))):
            for j, row in enumerate(starts):
                at = (plane * n_rows + row) * n_columns
                _read_fully(file, self.offset + at * itemsize, run, self.path)
                part = run[:: rows.step, columns] if together else run[:, columns]
                out[i, j : j + len(part)] = part
        return out

    def _check_unchanged(self, file: FileIO) -> None:
        if FileStamp.of_file(file) != self.stamp:
            raise CorruptDataError(
                f"{self.path} changed since it was opened; open the atlas again."
            )


def _read_fully(file: FileIO, at: int, out: npt.NDArray[Any], path: Path) -> None:
    """Fill an array from a place of a file."""
    file.seek(at)
    rest = memoryview(out.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
    while rest:
        n = file.readinto(rest)
        if not n:
            raise CorruptDataError(f"{path} changed since it was opened; open the atlas again.")
        rest = rest[n:]


def strided_pyramid(finest: TiffArray, scale_um: Triple) -> Multiscale:
    """Return the levels that every 1st, 2nd, 4th ... voxel of a file make.

    The finest has all voxels; the outer corners of all levels coincide. Coarser levels serve
    display alone; see `napari_stria.core.strides`.
    """
    fields = (finest.path, finest.stamp, finest.offset, finest.stored_dtype, finest.full_shape)
    levels = []
    for step in strided_steps(finest.full_shape):
        a, d, m = ((step - 1) * s / 2 for s in scale_um)
        reader = TiffArray(*fields, step)
        levels.append(Level(reader, strided_scale(scale_um, step), (a, d, m)))
    return Multiscale(tuple(levels))
