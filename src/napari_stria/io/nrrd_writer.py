"""Write a volume as NRRD, slab by slab, so that it is whole or absent."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import block_box, blocks_of_box, overlap
from napari_stria.core.pyramid import BlockReader, array_reader
from napari_stria.core.space import Triple
from napari_stria.errors import TaskCancelled
from napari_stria.io.nrrd_header import nrrd_header
from napari_stria.io.parallel import in_parallel
from napari_stria.io.sinks import Progress
from napari_stria.io.staging import staged

# The fastest level: labels are long runs, which it finds as well as slower ones do.
_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS
_SLAB_BYTES = 256 << 20
_PIECE_BYTES = 4 << 20
_WORKERS = 4


def write_nrrd(
    path: str | Path,
    volume: BlockReader | npt.NDArray[Any],
    *,
    scale_um: Triple,
    space: str,
    origin_um: Triple = (0.0, 0.0, 0.0),
    notes: Mapping[str, Any] = MappingProxyType({}),
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Path:
    """Write a volume as one gzip NRRD; it appears under its name only once it is complete.

    Parameters
    ----------
    path : str or Path
        The file; its folder exists.
    volume : BlockReader or (AP, DV, ML) array
        Whole or real numbers; bool is written as uint8. Of a reader no more than a slab of blocks
        along ML is in memory, and no more than 256 MB: a thicker slab is cut, and its blocks are
        read once a cut.
    scale_um, space, origin_um, notes
        See `napari_stria.io.nrrd_header.nrrd_header`.
    overwrite : bool
        Replace a file that is there.
    progress : callable, optional
        Called with the voxels written and their total.
    cancel : threading.Event, optional
        Ends the writing when it is set; nothing is left of it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputExistsError
        If the name is taken, unless `overwrite`.
    OutputError
        If it cannot be written.
    FormatError, CoordinateError
        See `napari_stria.io.nrrd_header.nrrd_header`.
    TaskCancelled
        If `cancel` was set.

    Notes
    -----
    AP runs fastest in the file, so that ``nrrd.read`` gives (AP, DV, ML), as for Allen's files.
    """
    path = Path(path).expanduser()
    reader = volume if isinstance(volume, BlockReader) else array_reader(volume)
    header = nrrd_header(
        reader.shape,
        reader.dtype,
        scale_um=scale_um,
        space=space,
        origin_um=origin_um,
        notes=notes,
    )
    with staged([path], overwrite=overwrite) as (place,), place.open("wb") as file:
        file.write(header)
        _write_voxels(file, reader, progress, cancel)
        file.flush()
        os.fsync(file.fileno())
    return path


def _write_voxels(
    file: BinaryIO, reader: BlockReader, progress: Progress | None, cancel: Event | None
) -> None:
    # Of single bytes, repetitions alone are found as fast and packed better.
    strategy = zlib.Z_RLE if reader.dtype.itemsize == 1 else zlib.Z_DEFAULT_STRATEGY
    deflated = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP, strategy=strategy)
    done, total = 0, int(np.prod(reader.shape, dtype=np.int64))
    for start, stop in _cuts(reader):
        for piece in _pieces(_slab(reader, start, stop, cancel)):
            if cancel is not None and cancel.is_set():
                raise TaskCancelled("writing was cancelled; nothing was kept of it.")
            file.write(deflated.compress(piece.data))
            done += piece.size
            if progress is not None:
                progress(done, total)
        # Else the slab would stay in memory beside the next one.
        del piece
    file.write(deflated.flush())


def _pieces(slab: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield the voxels of a slab as they follow each other in the file."""
    # AP runs fastest: transposed, the slab is one piece in C order.
    flat = slab.T.reshape(-1)
    step = max(1, _PIECE_BYTES // flat.itemsize)
    for at in range(0, flat.size, step):
        yield flat[at : at + step]


def _slab(reader: BlockReader, start: int, stop: int, cancel: Event | None) -> npt.NDArray[Any]:
    """Read some planes along ML, in Fortran order."""
    n_ap, n_dv, _ = reader.shape
    box = (slice(0, n_ap), slice(0, n_dv), slice(start, stop))
    slab = np.zeros((n_ap, n_dv, stop - start), dtype=_stored(reader.dtype), order="F")
    indices = blocks_of_box(box, reader.chunk_shape)
    for index, block in in_parallel(reader.read_block, indices, workers=_WORKERS, cancel=cancel):
        if block is not None:
            target, source = overlap(box, block_box(index, reader.chunk_shape, reader.shape))
            slab[target] = block[source]
    return slab


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("<")


def _cuts(reader: BlockReader) -> Iterator[tuple[int, int]]:
    """Yield where slabs begin and end along ML: at blocks' borders, and between if need be."""
    n_ap, n_dv, n_ml = reader.shape
    plane_bytes = n_ap * n_dv * reader.dtype.itemsize
    chunk = reader.chunk_shape[2]
    for first in range(0, n_ml, chunk):
        end = min(first + chunk, n_ml)
        parts = -(-(end - first) * plane_bytes // _SLAB_BYTES)
        depth = -(-(end - first) // parts)
        for start in range(first, end, depth):
            yield start, min(start + depth, end)
