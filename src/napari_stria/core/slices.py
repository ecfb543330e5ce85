"""Pictures of an annotation: one plane of it, as labels or in colours."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex, Box, block_box, blocks_of_box, overlap
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.label_colors import LabelColors, paint_chosen, paint_regions
from napari_stria.core.labels import as_int64
from napari_stria.core.palettes import cyclic_table
from napari_stria.core.pyramid import ArrayReader, BlockReader, Level
from napari_stria.core.regions import chosen_level
from napari_stria.core.space import AXIS_LABELS, Triple
from napari_stria.errors import CoordinateError

Axis = str | int | np.integer[Any]
Colors = str | LabelColors
PlaneRule = Literal["corner", "allensdk"]
_CYCLE = 512
_WORKERS = 8


def slice_labels(
    atlas: Atlas,
    position_um: float,
    axis: Axis = "AP",
    *,
    resolution_um: float | Triple | None = None,
    rule: PlaneRule = "corner",
) -> npt.NDArray[Any]:
    """Return the labels of one plane of an atlas.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    position_um : float
        Where the plane is, in um from the outer corner of the atlas; one plane of voxels is taken
        and none is interpolated.
    axis : str or int
        The axis that the plane is perpendicular to: ``AP`` or 0 (coronal), ``DV`` or 1
        (horizontal), ``ML`` or 2 (sagittal).
    resolution_um : float or 3 floats, optional
        Which level; default is the resolution in the atlas's name.
    rule : {"corner", "allensdk"}
        Which plane is taken. ``corner``: the one that holds the position; a border belongs to the
        plane that starts there. ``allensdk``: the number of the plane is the position in voxels,
        rounded half to even, as ``ReferenceSpace.get_slice_image`` of AllenSDK takes it: positions
        beyond a plane's middle give the next one.

    Returns
    -------
    (rows, columns) ndarray
        Annotation values, of the volume's own type. Rows and columns are the two other axes in the
        array's order: DV and ML for ``AP``, AP and ML for ``DV``, AP and DV for ``ML``. Only the
        blocks that the plane crosses are read.

    Raises
    ------
    CoordinateError
        If the position lies outside the atlas or rounds to a plane past its end, or there is no
        such axis or rule.
    NetworkError, CorruptDataError
        If a block cannot be read.
    """
    level = chosen_level(atlas, resolution_um)
    number = _axis_number(axis)
    index = _plane_index(level, position_um, number, rule)
    box = tuple(
        slice(index, index + 1) if i == number else slice(0, n) for i, n in enumerate(level.shape)
    )
    return _read_at_once(level.reader, box).squeeze(number)


def slice_image(
    atlas: Atlas,
    position_um: float,
    axis: Axis = "AP",
    *,
    resolution_um: float | Triple | None = None,
    colors: Colors = "atlas",
    rule: PlaneRule = "corner",
    inherit: bool = True,
) -> npt.NDArray[np.uint8]:
    """Return a picture of one plane of an atlas.

    Parameters
    ----------
    atlas, position_um, axis, resolution_um, rule
        See `slice_labels`.
    colors : str or mapping of int to (red, green, blue)
        ``atlas``: the atlas's own colours, background black, labels that the ontology lacks in
        magenta. The name of a colour map of matplotlib, such as ``tab20``: that map resampled to
        512 colours and taken by label modulo 512, background as well. A mapping of region ids to
        0..255; in it 0 is the background, and a number that is no region's id colours the voxels
        of that label. What has no colour is black.
    inherit : bool
        In a mapping, a region without a colour takes that of the nearest ancestor which has one.
        False takes the mapping as it is, as AllenSDK's ``cmap`` (where a missing id is an error).

    Returns
    -------
    (rows, columns, 3) uint8 ndarray
        Red, green, blue; rows and columns as in `slice_labels`.

    Raises
    ------
    CoordinateError
        As `slice_labels`; or if there is no such colour map, or a colour is not three whole numbers
        from 0 to 255.
    NetworkError, CorruptDataError
        If a block cannot be read.
    """
    by_label = isinstance(colors, str) and colors != "atlas"
    table = _cyclic_rgb(str(colors)) if by_label else None
    labels = slice_labels(atlas, position_um, axis, resolution_um=resolution_um, rule=rule)
    if table is not None:
        picture: npt.NDArray[np.uint8] = table[as_int64(labels) % _CYCLE]
        return picture
    if isinstance(colors, str):
        return paint_regions(labels, atlas.ontology)
    return paint_chosen(labels, atlas.ontology, colors, inherit=inherit)


def _axis_number(axis: Axis) -> int:
    if isinstance(axis, str):
        if axis in AXIS_LABELS:
            return AXIS_LABELS.index(axis)
    elif not isinstance(axis, bool):
        try:
            number = operator.index(axis)
        except TypeError:
            number = -1
        if 0 <= number < len(AXIS_LABELS):
            return number
    names = ", ".join(AXIS_LABELS)
    raise CoordinateError(f"an atlas has the axes {names} or 0, 1, 2, not {axis!r}.")


def _plane_index(level: Level, position_um: float, number: int, rule: PlaneRule) -> int:
    if rule not in get_args(PlaneRule):
        raise CoordinateError(f"a plane is found by the rule 'corner' or 'allensdk', not {rule!r}.")
    point = level.grid.center_of((0, 0, 0))
    point[number] = position_um
    index, inside = level.grid.index_of(point)
    first, scale = level.origin_um[number], level.scale_um[number]
    planes = level.shape[number]
    if not inside:
        raise CoordinateError(
            f"the position {position_um!r} um lies outside the atlas, which goes from {first:g} to "
            f"{first + planes * scale:g} um along {AXIS_LABELS[number]}."
        )
    if rule == "corner":
        return int(index[number])
    # Python rounds as numpy.around does: half to even.
    rounded = round((float(position_um) - first) / scale)
    if rounded >= planes:
        raise CoordinateError(
            f"the position {position_um!r} um rounds to the plane {rounded} along "
            f"{AXIS_LABELS[number]}, past the last one, {planes - 1}; use rule='corner'."
        )
    return rounded


def _read_at_once(reader: BlockReader, box: Box) -> npt.NDArray[Any]:
    """Read a box, several blocks at a time: a server answers each after a while."""
    if isinstance(reader, ArrayReader) and isinstance(reader.array, np.ndarray):
        # In memory there is nothing to wait for.
        return np.array(reader.array[box])
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
