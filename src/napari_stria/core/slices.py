"""Pictures of an annotation: one plane of it, as labels or in colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex, Box, block_box, blocks_of_box, overlap
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import UNLISTED_RGB, cyclic_table
from napari_stria.core.pyramid import BlockReader, Level
from napari_stria.core.regions import chosen_level
from napari_stria.core.space import AXIS_LABELS, Triple
from napari_stria.errors import CoordinateError

Colors = str | Mapping[int, Sequence[int]]
_CYCLE = 512
_WORKERS = 8


def slice_labels(
    atlas: Atlas,
    position_um: float,
    axis: str = "AP",
    *,
    resolution_um: float | Triple | None = None,
) -> npt.NDArray[Any]:
    """Return the labels of one plane of an atlas.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    position_um : float
        Where the plane is, in um from the outer corner of the atlas; the voxels that hold this
        position are taken, none is interpolated.
    axis : str
        The axis that the plane is perpendicular to: ``AP`` (coronal), ``DV`` (horizontal) or
        ``ML`` (sagittal).
    resolution_um : float or 3 floats, optional
        Which level; default is the resolution in the atlas's name.

    Returns
    -------
    (rows, columns) ndarray
        Annotation values, of the volume's own type. Rows and columns are the two other axes in the
        array's order: DV and ML for ``AP``, AP and ML for ``DV``, AP and DV for ``ML``. Only the
        blocks that the plane crosses are read.

    Raises
    ------
    CoordinateError
        If the position lies outside the atlas or there is no such axis.
    NetworkError, CorruptDataError
        If a block cannot be read.
    """
    level = chosen_level(atlas, resolution_um)
    number, index = _axis_number(axis), _plane_index(level, position_um, _axis_number(axis))
    box = tuple(
        slice(index, index + 1) if i == number else slice(0, n) for i, n in enumerate(level.shape)
    )
    return _read_at_once(level.reader, box).squeeze(number)


def slice_image(
    atlas: Atlas,
    position_um: float,
    axis: str = "AP",
    *,
    resolution_um: float | Triple | None = None,
    colors: Colors = "atlas",
) -> npt.NDArray[np.uint8]:
    """Return a picture of one plane of an atlas.

    Parameters
    ----------
    atlas, position_um, axis, resolution_um
        See `slice_labels`.
    colors : str or mapping of int to (red, green, blue)
        ``atlas``: the atlas's own colours, background black, labels that the ontology lacks in
        magenta. The name of a colour map of matplotlib, such as ``tab20``: that map resampled to
        512 colours and taken by label modulo 512, background as well. A mapping of region ids to
        0..255: a region without a colour takes that of the nearest ancestor which has one, else it
        is black.

    Returns
    -------
    (rows, columns, 3) uint8 ndarray
        Red, green, blue; rows and columns as in `slice_labels`.

    Raises
    ------
    CoordinateError
        If the position lies outside the atlas, or there is no such axis or colour map.
    RegionNotFoundError
        If a colour is given for an id that the ontology lacks.
    NetworkError, CorruptDataError
        If a block cannot be read.
    """
    by_label = isinstance(colors, str) and colors != "atlas"
    table = _cyclic_rgb(str(colors)) if by_label else _region_rgb(atlas.ontology, colors)
    labels = slice_labels(atlas, position_um, axis, resolution_um=resolution_um)
    index = labels % _CYCLE if by_label else LabelLookup(atlas.ontology).to_index(labels)
    picture: npt.NDArray[np.uint8] = table[index]
    return picture


def _axis_number(axis: str) -> int:
    if axis not in AXIS_LABELS:
        raise CoordinateError(f"an atlas has the axes {', '.join(AXIS_LABELS)}, not {axis!r}.")
    return AXIS_LABELS.index(axis)


def _plane_index(level: Level, position_um: float, number: int) -> int:
    point = level.grid.center_of((0, 0, 0))
    point[number] = position_um
    index, inside = level.grid.index_of(point)
    if not inside:
        first = level.origin_um[number]
        end = first + level.shape[number] * level.scale_um[number]
        raise CoordinateError(
            f"the position {position_um!r} um lies outside the atlas, which goes from {first:g} to "
            f"{end:g} um along {AXIS_LABELS[number]}."
        )
    return int(index[number])


def _read_at_once(reader: BlockReader, box: Box) -> npt.NDArray[Any]:
    """Read a box, several blocks at a time: a server answers each after a while."""
    out = np.zeros([s.stop - s.start for s in box], dtype=reader.dtype)
    pool = DaemonPool(_WORKERS)
    try:
        work = [
            pool.submit(partial(_paste, reader, index, box, out))
            for index in blocks_of_box(box, reader.chunk_shape)
        ]
        for pasted in work:
            pasted.result()
    finally:
        pool.shutdown(cancel_futures=True)
    return out


def _paste(reader: BlockReader, index: BlockIndex, box: Box, out: npt.NDArray[Any]) -> None:
    block = reader.read_block(index)
    if block is not None:
        target, source = overlap(box, block_box(index, reader.chunk_shape, reader.shape))
        out[target] = block[source]


def _cyclic_rgb(name: str) -> npt.NDArray[np.uint8]:
    try:
        table = cyclic_table(name, _CYCLE)
    except KeyError as error:
        raise CoordinateError(
            f"matplotlib has no colour map {name!r}; 'atlas' shows the atlas's own colours."
        ) from error
    return np.rint(table[:, :3] * 255).astype(np.uint8)


def _region_rgb(ontology: Ontology, colors: Colors) -> npt.NDArray[np.uint8]:
    """Return the colours of the display indices of `LabelLookup.to_index`."""
    table = np.zeros((len(ontology) + 2, 3), dtype=np.uint8)
    if isinstance(colors, str):
        table[1:-1] = ontology.rgb
        table[-1] = UNLISTED_RGB
        return table
    chosen = {ontology.position(int(region)): rgb for region, rgb in colors.items()}
    # Positions are in pre-order: what lies deeper comes later and paints over.
    for position in sorted(chosen):
        table[1 + position : 1 + ontology.subtree_ends[position]] = _checked_rgb(chosen[position])
    return table


def _checked_rgb(rgb: Sequence[int]) -> npt.NDArray[np.uint8]:
    values = np.asarray(rgb)
    if (
        values.shape != (3,)
        or values.dtype.kind not in "iu"
        or not np.all((values >= 0) & (values < 256))
    ):
        raise CoordinateError(f"a colour is three whole numbers from 0 to 255, not {rgb!r}.")
    return values.astype(np.uint8)
