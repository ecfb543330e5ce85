"""A volume that can only be read as a whole -> an OME-Zarr pyramid in our cache, once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_stria.core.space import Triple
from napari_stria.core.strides import strided_scale, strided_steps
from napari_stria.errors import OutputError
from napari_stria.io.ome_zarr_writer import write_ome_zarr
from napari_stria.io.whole_folders import keep_whole, whole_files, work_folder

Flat = np.memmap[Any, Any]
_CHUNKS = (128, 128, 128)


def decode_once(
    place: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    scale_um: Triple,
    fill: Callable[[Flat], None],
    *,
    space: str,
    order: Literal["C", "F"] = "C",
) -> Path:
    """Write a volume as a pyramid of every 1st, 2nd, 4th ... voxel, unless it is there already.

    Parameters
    ----------
    place : Path
        The folder to make; it appears whole or not at all, and is made anew when a file of it is
        missing later. Its name says which file it was made of.
    shape : tuple of int
        Voxels along AP, DV, ML.
    dtype : dtype
        Of a voxel as `fill` writes it.
    scale_um : tuple of float
        Voxel size.
    fill : callable
        Writes all voxels into a flat array on disk, in the order `order`.
    space : str
        Where each axis starts.
    order : {"C", "F"}
        Whether ML or AP is the axis that runs fastest.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    OutputError
        If it cannot be written.

    Notes
    -----
    Coarser levels serve display alone; see `napari_stria.core.strides`.
    """
    kept = whole_files(place)
    if kept is not None:
        return kept
    with work_folder(place.parent) as work:
        made = work / "decoded"
        with _scratch_file(work, dtype, int(np.prod(shape, dtype=np.int64))) as flat:
            fill(flat)
            volume: npt.NDArray[Any] = flat.reshape(shape, order=order)
            steps = strided_steps(shape)
            try:
                write_ome_zarr(
                    made,
                    [da.from_array(volume[::s, ::s, ::s], chunks=_CHUNKS) for s in steps],
                    [strided_scale(scale_um, s) for s in steps],
                    space=space,
                    chunks=_CHUNKS,
                    name="volume",
                )
            except OSError as error:
                raise OutputError(
                    f"{place} cannot be written ({error}); check the disk."
                ) from error
        return keep_whole(made, place)


@contextmanager
def _scratch_file(folder: Path, dtype: np.dtype[Any], size: int) -> Iterator[Flat]:
    """Give a flat array on disk, so that a 10 um volume needs no 5 GB of memory."""
    # It has no name, so that nothing of it stays however the program ends.
    with tempfile.TemporaryFile(dir=folder) as file:
        yield np.memmap(file, dtype=dtype, mode="w+", shape=(size,))
