"""Annotations at any resolution: levels and atlases that are resampled where they are read.

Three rules say which label a voxel of the new grid gets. All begin at the same corner as the
source, and none makes a label that the source lacks.

``centre``
    The label at the voxel's centre (of the voxel that begins there, if it lies on a border). The
    volume has as many voxels as have their centre inside the source.
``majority``
    The label that fills most of the voxel, background among them; of equal ones that at the centre,
    else the smallest. The same grid as ``centre``.
``allensdk``
    What ``ReferenceSpace.downsample`` of AllenSDK 2.16 gives, bit for bit, that is
    ``scipy.ndimage.zoom(order=0)``: the first and last voxels of an axis are taken for the first
    and last, so that what lies between is up to half a target voxel from its place; where rounding
    carries the last coordinate past the end, the last plane is background.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from napari_stria.core.atlas import Atlas, MemoryStatistics
from napari_stria.core.majority import MajorityReader
from napari_stria.core.picked_blocks import PickedReader
from napari_stria.core.pyramid import (
    BlockReader,
    Level,
    Multiscale,
    matches_resolution,
    resolution_triple,
)
from napari_stria.core.regions import chosen_level
from napari_stria.core.resampled_grid import (
    block_shape,
    centred_index,
    centred_shape,
    countable_ratios,
    pinned_index,
    pinned_shape,
    size_ratios,
)
from napari_stria.core.space import Triple
from napari_stria.errors import CoordinateError

Rule = Literal["centre", "majority", "allensdk"]
RULES: tuple[Rule, ...] = get_args(Rule)
# What a level is called that was taken as it is.
STORED = "stored"
Resolution = float | Triple


def resample_level(level: Level, resolution_um: Resolution, rule: Rule) -> Level:
    """Return a level on another grid; nothing is read until it is.

    A block of it reads the source blocks beneath and no others, one after the other (``majority``:
    all that lies beneath one block at once).

    Parameters
    ----------
    level : Level
        Labels, or sides (hemispheres).
    resolution_um : float or 3 floats
        Voxel size of the result, coarser or finer.
    rule : {"centre", "majority", "allensdk"}
        Which label a voxel gets; see `napari_stria.core.resampling`.

    Raises
    ------
    CoordinateError
        If the resolution is not a positive number or three, leaves no voxel or makes more than 2^20
        along an axis, or there is no such rule.
    """
    _check_rule(rule)
    target = resolution_triple(resolution_um)
    reader = _reader(level, target, rule)
    a, d, m = (
        c + (t - s) / 2
        for c, t, s in zip(level.translation_um, target, level.scale_um, strict=True)
    )
    return Level(reader, target, (a, d, m), level.origin_um)


def _reader(level: Level, target: Triple, rule: Rule) -> BlockReader:
    source = level.reader
    ratios = size_ratios(level.scale_um, target)
    if rule == "allensdk":
        shape = pinned_shape(level.shape, level.scale_um, target)
        ap, dv, ml = map(pinned_index, level.shape, shape)
    else:
        shape = centred_shape(level.shape, ratios)
        ap, dv, ml = map(centred_index, shape, ratios)
    blocks = block_shape(source.chunk_shape, ratios, shape)
    if rule == "majority":
        return MajorityReader(source, countable_ratios(ratios), shape, blocks)
    return PickedReader(source, (ap, dv, ml), blocks)


def level_at(
    atlas: Atlas, resolution_um: Resolution | None = None, rule: Rule | None = None
) -> Level:
    """Return the annotation at any resolution, resampled where it is not stored.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    resolution_um : float or 3 floats, optional
        Voxel size; one number is the size along all three axes, also where the atlas's own differ.
        Default is the resolution in the atlas's name.
    rule : {"centre", "majority", "allensdk"}, optional
        How voxels are made from the level in the atlas's name, unless it is the one that is asked
        for. By default a stored level of the resolution is taken, else ``centre``.

    Raises
    ------
    CoordinateError
        See `resample_level`.
    """
    if rule is not None:
        _check_rule(rule)
    own = chosen_level(atlas, None)
    if resolution_um is None:
        return own
    wanted = resolution_triple(resolution_um)
    if rule is None:
        stored = atlas.annotation.level_for_resolution(wanted)
        if matches_resolution(stored, wanted):
            return stored
    elif all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(own.scale_um, wanted)):
        return own
    return resample_level(own, wanted, rule or "centre")


def used_rule(atlas: Atlas, level: Level, rule: str | None) -> str:
    """Return how a level's voxels were made, in one word.

    Parameters
    ----------
    atlas : Atlas
        Whose.
    level : Level
        What `level_at` gave for it.
    rule : str or None
        The rule that was asked for.

    Returns
    -------
    str
        ``stored``, or the rule.
    """
    if any(level is own for own in atlas.annotation.levels):
        return STORED
    return rule or "centre"


def downsample_annotation(
    atlas: Atlas,
    resolution_um: Resolution,
    rule: Rule = "centre",
    *,
    from_resolution_um: Resolution | None = None,
) -> Atlas:
    """Return an atlas whose annotation is resampled to another resolution; no voxel is read.

    It is an `Atlas` as any other: it can be counted, shown and exported. It has one level. The
    ontology, templates and surfaces are the source's; a hemispheres volume is resampled by the same
    rule on the same grid. It shares no counts with the source, and keeps its own in memory. It
    cannot be opened again from an address (`Atlas.opened_with` is empty).

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    resolution_um : float or 3 floats
        Voxel size, coarser or finer than the source's.
    rule : {"centre", "majority", "allensdk"}
        Which label a voxel gets; see `napari_stria.core.resampling`.
    from_resolution_um : float or 3 floats, optional
        Which level is resampled; default is the resolution in the atlas's name.

    Returns
    -------
    Atlas
        Its ``metadata`` are the source's and say by ``resampled_from``, ``resampled_from_um``,
        ``resampled_to_um`` and ``resampling_rule`` what was done.

    Raises
    ------
    CoordinateError
        If the resolution or rule cannot be; see `resample_level`.

    Warns
    -----
    ResolutionWarning
        If there is no level at `from_resolution_um`; the nearest one is taken.
    """
    source = chosen_level(atlas, from_resolution_um)
    level = _alone(resample_level(source, resolution_um, rule))
    sizes = level.scale_um if len(set(level.scale_um)) > 1 else level.scale_um[:1]
    size = " x ".join(f"{s:g}" for s in sizes)
    said = {
        "resampled_from": atlas.name,
        "resampled_from_um": source.scale_um,
        "resampled_to_um": level.scale_um,
        "resampling_rule": rule,
    }
    return replace(
        atlas,
        name=f"{atlas.name} at {size} um ({rule})",
        annotation=Multiscale((level,)),
        resolution_um=level.scale_um,
        hemispheres=_resampled_halves(atlas, source, level, rule),
        midplane_um=source.origin_um[2] + atlas.midplane_index(source) * source.scale_um[2],
        metadata=MappingProxyType({**atlas.metadata, **said}),
        statistics=MemoryStatistics(),
        opened_with=MappingProxyType({}),
    )


def _resampled_halves(atlas: Atlas, source: Level, level: Level, rule: Rule) -> Multiscale | None:
    """Return the hemispheres on the grid of a level that is resampled from the source."""
    halves = atlas.hemispheres_level(source)
    if halves is None:
        return None
    if halves.shape == source.shape:
        return Multiscale((_alone(resample_level(halves, level.scale_um, rule)),))
    # On a grid of their own: each voxel has the side that its centre has.
    ap, dv, ml = (
        np.minimum(centred_index(n, ratio), last - 1)
        for n, ratio, last in zip(
            level.shape, size_ratios(halves.scale_um, level.scale_um), halves.shape, strict=True
        )
    )
    reader = PickedReader(halves.reader, (ap, dv, ml), level.reader.chunk_shape)
    return Multiscale((replace(level, reader=reader),))


def _alone(level: Level) -> Level:
    """Return a level as the only one of a pyramid, from whose first voxel offsets are counted."""
    return replace(level, translation_um=(0.0, 0.0, 0.0))


def _check_rule(rule: str) -> None:
    if rule not in RULES:
        raise CoordinateError(
            f"there is no rule {rule!r} for resampling; use one of {', '.join(RULES)}."
        )
