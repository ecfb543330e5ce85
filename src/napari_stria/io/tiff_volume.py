"""A TIFF of a volume -> a pyramid: read in place, or decoded once where that cannot be."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_stria.core.pyramid import Multiscale
from napari_stria.core.space import Triple
from napari_stria.errors import FormatError, UnsupportedSourceError
from napari_stria.io.cache import cache_folder
from napari_stria.io.ome_zarr import read_ome_zarr
from napari_stria.io.sinks import Progress, raise_if_set
from napari_stria.io.store import FolderStore
from napari_stria.io.tiff_array import FileStamp, TiffArray, strided_pyramid

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

    from napari_stria.io.decoded_volume import Flat

_MAX_VOXELS = 1 << 36


def open_tiff_volume(
    path: Path,
    shape: tuple[int, int, int],
    kinds: str,
    scale_um: Triple,
    *,
    space: str,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Multiscale:
    """Open a volume in one TIFF file.

    Voxels in one uncompressed piece, as BrainGlobe wrote them, are not touched. Any other layout
    is decoded into the cache the first time, page by page. Coarser levels serve display alone;
    counting uses the finest unless another is asked for (`napari_stria.core.strides` says how far
    they are off).

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Voxels along AP, DV, ML that it must have.
    kinds : str
        Kinds of numbers that it may have, as numpy's letters (``iu``).
    scale_um : tuple of float
        Voxel size.
    space : str
        Where each axis starts.
    progress : callable, optional
        Called with the bytes decoded and their total.
    cancel : threading.Event, optional
        Ends the decoding when it is set; nothing is kept of it.

    Raises
    ------
    FormatError
        If it is no TIFF, has another shape or kind of numbers, or is damaged.
    UnsupportedSourceError
        If its compression needs a library that is not installed.
    TaskCancelled
        If `cancel` was set.
    """
    with _opened(path) as (stamp, byte_order, series):
        dtype = np.dtype(series.dtype).newbyteorder(byte_order)
        _check(path, series.shape, dtype, shape, kinds)
        if series.dataoffset is not None:
            array = TiffArray(path, stamp, int(series.dataoffset), dtype.str, shape)
            return strided_pyramid(array, scale_um)
        # Loaded on use: writing OME-Zarr takes libraries that reading it does not.
        from napari_stria.io.decoded_volume import decode_once

        text = f"{path.resolve()}|{stamp}|{shape}|{scale_um}|{space}"
        store = decode_once(
            cache_folder("tiff") / hashlib.sha256(text.encode()).hexdigest()[:32],
            shape,
            dtype.newbyteorder("="),
            scale_um,
            lambda flat: _decode_pages(path, series, flat, progress, cancel),
            space=space,
        )
    return read_ome_zarr(FolderStore(store), "").pyramid


@contextmanager
def _opened(path: Path) -> Iterator[tuple[FileStamp, Literal["<", ">"], TiffPageSeries]]:
    # Loaded on use: most sources need no TIFF.
    import tifffile

    file: TiffFile | None = None
    try:
        try:
            stamp = FileStamp.of(path)
            file = tifffile.TiffFile(path)
            series = file.series[0]
        # tifffile promises nothing about what it raises for damaged files.
        except Exception as error:
            raise FormatError(f"{path} is not a readable TIFF file: {error}.") from error
        yield stamp, file.byteorder, series
    finally:
        if file is not None:
            file.close()


def _check(
    path: Path,
    found: tuple[int, ...],
    dtype: np.dtype[Any],
    shape: tuple[int, int, int],
    kinds: str,
) -> None:
    # tifffile leaves out axes of one voxel.
    if [n for n in found if n != 1] != [n for n in shape if n != 1]:
        raise FormatError(
            f"{path} has the shape {tuple(found)} where metadata.json says {shape}; "
            "one of them belongs to another atlas."
        )
    if dtype.kind not in kinds:
        raise FormatError(f"{path} holds {dtype}, which such a volume does not; check the file.")
    if np.prod(shape, dtype=float) > _MAX_VOXELS:
        raise FormatError(f"{path} claims {shape} voxels, more than this package reads.")


def _decode_pages(
    path: Path,
    series: TiffPageSeries,
    flat: Flat,
    progress: Progress | None,
    cancel: Event | None,
) -> None:
    pages = [page for page in series.pages if page is not None]
    if not pages or flat.size % len(pages):
        raise FormatError(f"{path} lacks pages; copy it again.")
    size = flat.size // len(pages)
    for number, page in enumerate(pages):
        raise_if_set(cancel)
        voxels = _decoded(path, page)
        if voxels.size != size:
            raise FormatError(f"{path} has a page of {voxels.size} voxels where {size} belong.")
        flat[number * size : (number + 1) * size] = voxels.reshape(-1)
        if progress is not None:
            progress((number + 1) * size * flat.itemsize, flat.nbytes)


def _decoded(path: Path, page: Any) -> Any:
    try:
        return page.asarray()
    except (OSError, zlib.error) as error:
        raise FormatError(f"{path} is damaged ({error}); copy it again.") from error
    # tifffile promises nothing about what it raises for damaged files.
    except Exception as error:
        if "imagecodecs" in str(error):
            raise UnsupportedSourceError(
                f"{path} is compressed in a way that needs imagecodecs; "
                "install it with: pip install imagecodecs."
            ) from error
        raise FormatError(f"{path} is damaged ({error}); copy it again.") from error
