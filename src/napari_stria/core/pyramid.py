"""Lazy image pyramids: levels that know where their voxels lie and read one block at a time."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import (
    BlockIndex,
    Box,
    block_box,
    block_counts,
    blocks_of_box,
    normalized_key,
    overlap,
)
from napari_stria.core.space import SamplingGrid, Triple
from napari_stria.errors import CoordinateError, FormatError


@runtime_checkable
class BlockReader(Protocol):
    """Reads an array block by block; must be safe to call from many threads and to pickle."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        ...

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Voxels of a whole block along each axis."""
        ...

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return the block, cut at the array's end; None if it is all zeros."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayReader:
    """Serves the blocks of an array in memory (or of any array-like with slicing)."""

    array: Any
    chunk_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(int(n) for n in self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a block of the array."""
        block = self.array[block_box(index, self.chunk_shape, self.shape)]
        if isinstance(block, da.Array):
            # One block is one task's worth of work; the caller already runs blocks in parallel.
            block = block.compute(scheduler="single-threaded")
        return np.asarray(block)


def array_reader(array: Any, chunk: int = 128) -> ArrayReader:
    """Return a reader over a numpy or dask array; dask keeps its (largest) chunk shape."""
    if isinstance(array, da.Array):
        return ArrayReader(array, tuple(int(max(c)) for c in array.chunks))
    return ArrayReader(array, tuple(min(chunk, int(n)) or 1 for n in array.shape))


def read_box(reader: BlockReader, box: Box) -> npt.NDArray[Any]:
    """Read a box of voxels, touching only the blocks that it crosses."""
    shape = tuple(s.stop - s.start for s in box)
    out = np.zeros(shape, dtype=reader.dtype)
    for index in blocks_of_box(box, reader.chunk_shape):
        block = reader.read_block(index)
        if block is None:
            continue
        target, source = overlap(box, block_box(index, reader.chunk_shape, reader.shape))
        out[target] = block[source]
    return out


class _SliceAdapter:
    """Gives a `BlockReader` the slicing that `dask.array.from_array` asks for."""

    def __init__(self, reader: BlockReader) -> None:
        self.reader = reader
        self.shape, self.dtype = reader.shape, reader.dtype
        self.ndim = len(reader.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        box, ints, steps = normalized_key(key, self.shape)
        data = read_box(self.reader, box)
        return data[tuple(0 if i else slice(None, None, st) for i, st in zip(ints, steps))]


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of a volume; nothing is read until `data` is computed.

    Attributes
    ----------
    reader : BlockReader
        Reads the stored blocks.
    scale_um : tuple of float
        Voxel size in um (AP, DV, ML).
    translation_um : tuple of float
        Centre of voxel (0, 0, 0) relative to the centre of the finest level's, as in OME-Zarr.
    origin_um : tuple of float
        Outer corner of voxel (0, 0, 0) in atlas coordinates.
    """

    reader: BlockReader
    scale_um: Triple
    translation_um: Triple
    origin_um: Triple = (0.0, 0.0, 0.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along AP, DV, ML."""
        z, y, x = self.reader.shape
        return z, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel's value."""
        return self.reader.dtype

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return len(self.reader.shape)

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the blocks along each axis, as dask writes them."""
        return tuple(
            tuple(min(c, n - i) for i in range(0, n, c))
            for n, c in zip(self.reader.shape, self.reader.chunk_shape, strict=True)
        )

    @property
    def n_blocks(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return block_counts(self.reader.shape, self.reader.chunk_shape)

    @property
    def grid(self) -> SamplingGrid:
        """The voxels' places in atlas micrometres."""
        return SamplingGrid(self.shape, self.scale_um, self.origin_um)

    @cached_property
    def data(self) -> da.Array:
        """The level as a lazy dask array, one task a stored block."""
        name = f"stria-level-{uuid.uuid4().hex}"
        array: da.Array = da.from_array(
            _SliceAdapter(self.reader), chunks=self.chunks, name=name, asarray=False, fancy=False
        )
        return array

    def __repr__(self) -> str:
        scale = " x ".join(f"{s:g}" for s in self.scale_um)
        return f"<Level {self.shape} {self.dtype} at {scale} um>"


@dataclass(frozen=True, eq=False)
class Multiscale:
    """A volume at several resolutions, the finest first."""

    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        if not self.levels:
            raise FormatError("a pyramid needs at least one level.")

    def level_for_resolution(self, resolution_um: float | Triple | None) -> Level:
        """Return the level whose voxel size is nearest to the one asked, None for the finest.

        A single number is compared with the first axis, by which BrainGlobe names its atlases;
        three numbers by their geometric mean. `matches_resolution` tells whether the answer is
        what was asked.

        Raises
        ------
        CoordinateError
            If the resolution is not a positive number, or three of them.
        """
        if resolution_um is None:
            return self.levels[0]
        triple = resolution_triple(resolution_um)
        size = _first_size if np.ndim(resolution_um) == 0 else _mean_size
        return min(self.levels, key=lambda lv: abs(math.log(size(lv.scale_um) / size(triple))))

    def __repr__(self) -> str:
        return f"<Multiscale {', '.join(repr(lv) for lv in self.levels)}>"


def _mean_size(scale_um: Triple) -> float:
    return math.prod(scale_um) ** (1 / 3)


def _first_size(scale_um: Triple) -> float:
    return scale_um[0]


def matches_resolution(level: Level, resolution_um: float | Triple) -> bool:
    """Tell whether a level has the voxel size asked, to a relative 1e-3.

    A single number is compared with the first axis, by which BrainGlobe names its atlases.
    """
    if isinstance(resolution_um, (int, float, np.number)):
        return math.isclose(level.scale_um[0], float(resolution_um), rel_tol=1e-3)
    pairs = zip(level.scale_um, resolution_triple(resolution_um), strict=True)
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in pairs)


def resolution_triple(resolution_um: float | Sequence[float]) -> Triple:
    """Return a resolution as three positive numbers in um.

    Raises
    ------
    CoordinateError
        If it is neither one positive finite number nor three of them.
    """
    try:
        values = np.broadcast_to(np.asarray(resolution_um, dtype=np.float64), 3)
    except (TypeError, ValueError):
        values = np.zeros(3)
    if not (np.all(np.isfinite(values)) and np.all(values > 0)):
        raise CoordinateError(
            f"the resolution {resolution_um!r} is not a positive number of um, or three of them."
        )
    a, d, m = (float(v) for v in values)
    return a, d, m


def single_level(reader: BlockReader, scale_um: Triple) -> Multiscale:
    """Return a pyramid of one level whose corner is the atlas origin."""
    return Multiscale((Level(reader, scale_um, (0.0, 0.0, 0.0)),))


def in_slabs(level: Level) -> Level:
    """Return a level cut so that each block is one piece of memory, where it is an array there.

    A pass over all voxels then copies nothing. Other levels are returned as they are.
    """
    reader = level.reader
    # Not of a class made from it, which may do more than cut the array.
    array = reader.array if type(reader) is ArrayReader else None
    if not (isinstance(array, np.ndarray) and array.flags.c_contiguous and array.size):
        return level
    block = math.prod(reader.chunk_shape)
    planes = min(max(block * len(array) // array.size, 1), len(array))
    return replace(level, reader=ArrayReader(array, (planes, *level.shape[1:])))
