"""Write volumes as OME-Zarr 0.5 pyramids, laid out as BrainGlobe's version 3 stores.

The group's metadata is built with ngff-zarr's model. The arrays are written with zarr-python,
because ngff-zarr cuts the chunk shape of a level to the level's size, which BrainGlobe does not.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Literal, cast

import dask.array as da
import numpy as np
import numpy.typing as npt
import zarr
from ngff_zarr.rfc4 import AnatomicalOrientation, AnatomicalOrientationValues
from ngff_zarr.v04.zarr_metadata import Axis, Dataset, Scale, Translation
from ngff_zarr.v05.zarr_metadata import Metadata
from zarr.codecs import BytesCodec, ZstdCodec

from napari_stria.core.boxes import Box, block_box, block_counts
from napari_stria.core.pyramid import BlockReader, read_box
from napari_stria.core.space import DIRECTIONS, Triple, checked_space
from napari_stria.errors import CoordinateError, TaskCancelled
from napari_stria.io.parallel import in_parallel

AXES: tuple[Literal["z", "y", "x"], ...] = ("z", "y", "x")
_UM_PER_MM = 1000.0
_WORKERS = 4
# Of the bricks that are read and not written yet.
_BUFFER_BYTES = 256 << 20
Volume = npt.NDArray[Any] | da.Array | BlockReader


def write_ome_zarr(
    path: Path,
    levels: Sequence[Volume],
    scales_um: Sequence[Triple],
    *,
    space: str = "asr",
    chunks: tuple[int, int, int] = (64, 64, 64),
    name: str,
    translations_um: Sequence[Triple] | None = None,
    attributes: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Event | None = None,
) -> None:
    """Write a pyramid; the store appears under its name only once it is complete.

    Parameters
    ----------
    path : Path
        The store to create, e.g. ``annotations_compressed.ome.zarr``; its parent is created too.
    levels : sequence of (AP, DV, ML) arrays or BlockReader
        The finest first, written as ``s0``, ``s1`` ... Dask arrays are computed chunk by chunk;
        of a reader no more than a few blocks are in memory.
    scales_um : sequence of 3 floats
        Voxel size of each level in um.
    space : str
        Where each axis starts, e.g. ``asr``: anterior, superior, right.
    chunks : tuple of int
        Chunk shape of every level. Chunks that hold only zeros are not stored.
    name : str
        Name of the image in the metadata.
    translations_um : sequence of 3 floats, optional
        Centre of each level's first voxel relative to that of the finest, in um. By default
        ``(scale - finest scale) / 2``: the outer corners of all levels coincide.
    attributes : mapping, optional
        Further attributes of the group, beside ``ome``.
    progress : callable, optional
        Called with the number of parts written and their total.
    cancel : Event, optional
        Ends the writing when it is set; nothing is left.

    Raises
    ------
    FileExistsError
        If `path` exists; it is left as it is.
    CoordinateError
        If the numbers of levels, scales and translations differ, a level has not three axes, or
        `space` is no space.
    TaskCancelled
        If `cancel` was set.

    Notes
    -----
    The format is OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5) with the anatomical
    orientations of its RFC-4, in zarr v3 without sharding.
    """
    if translations_um is None:
        translations_um = [corner_translation(scale, scales_um[0]) for scale in scales_um]
    _check(levels, scales_um, translations_um)
    metadata = multiscale_metadata(name, checked_space(space), scales_um, translations_um)
    parts = [_parts(level, chunks) for level in levels]
    step = _steps(sum(len(boxes) for boxes in parts), progress, cancel)
    with _complete_or_absent(Path(path)) as folder:
        ome = {"version": "0.5", "multiscales": [metadata]}
        group = zarr.create_group(
            folder, zarr_format=3, attributes={**(attributes or {}), "ome": ome}
        )
        for index, (level, boxes) in enumerate(zip(levels, parts, strict=True)):
            target = create_level(group, f"s{index}", level.shape, level.dtype, chunks, AXES)
            for _ in _written(target, level, boxes, cancel):
                step()


def _steps(
    total: int, progress: Callable[[int, int], None] | None, cancel: Event | None
) -> Callable[[], None]:
    """Return what counts parts, tells how many are written, and ends the work if that is wanted."""
    done = -1

    def step() -> None:
        nonlocal done
        done += 1
        if cancel is not None and cancel.is_set():
            raise TaskCancelled("writing was cancelled; nothing was kept of it.")
        if progress is not None:
            progress(done, total)

    step()
    return step


def corner_translation(scale: Triple, finest: Triple) -> Triple:
    """Return the centre of a level's first voxel relative to the finest's, for equal corners."""
    z, y, x = ((own - first) / 2 for own, first in zip(scale, finest, strict=True))
    return z, y, x


def _check(levels: Sequence[Any], scales: Sequence[Any], translations: Sequence[Any]) -> None:
    if not len(levels) == len(scales) == len(translations) or not levels:
        raise CoordinateError(
            f"{len(levels)} levels need as many scales and translations, at least one; "
            f"there are {len(scales)} and {len(translations)}."
        )
    for level in levels:
        if len(level.shape) != 3:
            raise CoordinateError(f"a level has 3 axes (AP, DV, ML), not the shape {level.shape}.")


def multiscale_metadata(
    name: str,
    space: str,
    scales_um: Sequence[Triple],
    translations_um: Sequence[Triple],
    *,
    with_channels: bool = False,
) -> dict[str, Any]:
    """Return the entry of ``multiscales`` for the levels s0, s1 ...

    Parameters
    ----------
    name, space, scales_um, translations_um
        See `write_ome_zarr`.
    with_channels : bool
        Whether an axis ``c`` of channels comes before the three of space.
    """
    axes = [
        Axis(
            name=axis,
            type="space",
            unit="millimeter",
            orientation=AnatomicalOrientation(
                value=AnatomicalOrientationValues(DIRECTIONS[letter])
            ),
        )
        for axis, letter in zip(AXES, space, strict=True)
    ]
    more = 1 if with_channels else 0
    if with_channels:
        axes.insert(0, Axis(name="c", type="channel"))
    datasets = [
        # The order matters: a reader applies scale, then translation.
        Dataset(
            f"s{index}",
            [
                Scale([1.0] * more + _millimetres(scale)),
                Translation([0.0] * more + _millimetres(shift)),
            ],
        )
        for index, (scale, shift) in enumerate(zip(scales_um, translations_um, strict=True))
    ]
    model = Metadata(axes=axes, datasets=datasets, coordinateTransformations=None, name=name)
    fields = ("name", "axes", "datasets")
    return {field: _plain(value) for field, value in asdict(model).items() if field in fields}


def _millimetres(values_um: Triple) -> list[float]:
    return [float(value) / _UM_PER_MM for value in values_um]


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: enumerations as their text, no empty fields."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, AnatomicalOrientationValues) else value


def _parts(level: Volume, chunks: tuple[int, int, int]) -> list[Box]:
    """Return the boxes in which a level is written; whole chunks, and of a reader whole blocks.

    So that no chunk is written twice, and blocks that fit the chunks are read once.
    """
    whole = tuple(slice(0, int(n)) for n in level.shape)
    if not isinstance(level, BlockReader):
        return [whole]
    brick = [c * max(1, -(-b // c)) for c, b in zip(chunks, level.chunk_shape, strict=True)]
    counts = block_counts(level.shape, brick)
    return [block_box(index, brick, level.shape) for index in np.ndindex(*counts)]


def _written(
    target: zarr.Array[Any], level: Volume, boxes: Sequence[Box], cancel: Event | None
) -> Iterator[None]:
    """Write a level, yielding after each of its parts."""
    if isinstance(level, da.Array):
        # Whole chunks, so that two workers never write to the same one and each is made once.
        da.store(level.rechunk(target.chunks), cast("Any", target), lock=False)
        yield
    elif isinstance(level, BlockReader):
        # Written by this thread alone: when it stops, nothing goes on writing behind it.
        for box, data in _read_parts(level, boxes, cancel):
            if data.any():
                target[box] = data
            yield
    else:
        target[...] = level
        yield


def _read_parts(
    reader: BlockReader, boxes: Sequence[Box], cancel: Event | None
) -> Iterator[tuple[Box, npt.NDArray[Any]]]:
    """Yield the boxes of a volume with their voxels, read by several threads."""
    first = boxes[0] if boxes else ()
    size = max(1, int(np.prod([s.stop for s in first])) * reader.dtype.itemsize)
    # Each thread may have two of them ready or under way.
    workers = max(1, min(_WORKERS, _BUFFER_BYTES // (2 * size)))
    return in_parallel(partial(read_box, reader), boxes, workers=workers, cancel=cancel)


def create_level(
    group: zarr.Group,
    path: str,
    shape: Sequence[int],
    dtype: npt.DTypeLike,
    chunks: tuple[int, ...],
    axes: Sequence[str],
) -> zarr.Array[Any]:
    """Create the array of a level; chunks that hold only zeros will not be stored."""
    return group.create_array(
        path,
        shape=tuple(shape),
        dtype=np.dtype(dtype).newbyteorder("="),
        chunks=chunks,
        serializer=BytesCodec(endian="little"),
        compressors=ZstdCodec(level=0, checksum=False),
        fill_value=0,
        dimension_names=axes,
        config={"write_empty_chunks": False},
    )


@contextmanager
def _complete_or_absent(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` that takes its name at the end, or vanishes on an error."""
    _refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        _publish(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _publish(partial: Path, path: Path) -> None:
    # Renaming would quietly replace an empty folder made in the meantime, and fails on a full one.
    _refuse_existing(path)
    try:
        partial.rename(path)
    except OSError:
        _refuse_existing(path)
        raise


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists already; remove it or choose another name.")
