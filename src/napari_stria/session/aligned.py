"""A dataset's sections as a lazy pyramid on an atlas's grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import dask.array as da
import numpy as np

from napari_stria.core.allen_alignment import PIR_EXTENT_UM
from napari_stria.core.atlas import Atlas
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.section import SectionDataset, View
from napari_stria.core.space import SamplingGrid, Triple
from napari_stria.errors import CoordinateError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.tiles import SectionTiles
from napari_stria.registration.chain import (
    Placement,
    Refinements,
    check_atlas,
    checked_resolution,
)
from napari_stria.registration.stack import SectionStack, section_stack
from napari_stria.session.section_blocks import SectionBlocks, unpacked
from napari_stria.session.tile_gate import TileGate

# The planes between two sections show the same one; made together they cost one graph node.
_THICK = 8
SCRIPT_TILES_BYTES = 256 << 20
_COARSEST_SIDE = 64
# Divides all sides of the reference space.
_COARSEST_UM = 200.0


def stack_grid(scale_um: Triple) -> SamplingGrid:
    """Return the voxels of this size that cover Allen's reference space."""
    # A relative 1e-9, so that rounding never adds a voxel.
    shape = tuple(math.ceil(e / s * (1 - 1e-9)) for e, s in zip(PIR_EXTENT_UM, scale_um))
    return SamplingGrid((shape[0], shape[1], shape[2]), scale_um)


def _scripts_scales(resolution_um: float) -> list[Triple]:
    """Return the voxel sizes of a pyramid that halves along all axes."""
    sizes = [resolution_um]
    while max(PIR_EXTENT_UM) / (2 * sizes[-1]) >= _COARSEST_SIDE:
        sizes.append(2 * sizes[-1])
    return [(s, s, s) for s in sizes]


def viewer_scales(dataset: SectionDataset, axis: int, resolution_um: float) -> list[Triple]:
    """Return voxel sizes for a viewer: along the stack always the resolution asked.

    In the plane they go in half octaves from the images' own pixels up to a thumbnail, so that
    hardly more is fetched than a screen shows. All of them divide the reference space without a
    rest: a viewer places levels by the ratios of their shapes.
    """
    pixel = min(s.reference_pixel_um for s in dataset.sections)
    parts = [1]
    while _COARSEST_UM / parts[-1] > pixel:
        # 1, 2, 3, 4, 6, 8, 12, ...
        parts.append(2 if parts == [1] else 3 if parts == [1, 2] else 2 * parts[-2])
    planes = [[_COARSEST_UM / n] * 3 for n in reversed(parts)]
    for plane in planes:
        plane[axis] = resolution_um
    return [(a, d, m) for a, d, m in planes]


def pyramid_of_stack(
    stack: SectionStack,
    tiles: SectionTiles,
    scales_um: Sequence[Triple],
    *,
    thickness: int = 1,
    largest_pixel: float = 1.0,
    gate: TileGate | None = None,
    leave_out: bool = False,
) -> Multiscale:
    """Return a lazy pyramid of packed RGBA voxels of these sizes, the finest first."""
    levels = []
    for scale in scales_um:
        reader = SectionBlocks(
            stack,
            tiles,
            stack_grid(scale),
            thickness=thickness,
            largest_pixel=largest_pixel,
            gate=gate,
            leave_out=leave_out,
        )
        ap, dv, ml = ((own - finest) / 2 for own, finest in zip(scale, scales_um[0]))
        levels.append(Level(reader, scale, (ap, dv, ml)))
    return Multiscale(tuple(levels))


def stack_pyramid(
    dataset: SectionDataset,
    tiles: SectionTiles,
    space: str,
    resolution_um: float,
    *,
    placement: Placement = "exact",
    mirrored: bool = False,
    refinements: Refinements | None = None,
    cancelled: Callable[[], bool] | None = None,
    leave_out: bool = False,
) -> Multiscale:
    """Return a lazy pyramid of packed RGBA voxels that halves along all axes.

    Parameters
    ----------
    dataset, resolution_um, placement, mirrored, refinements
        See `aligned_stack`.
    tiles : SectionTiles
        Where the pixels come from.
    space : str
        Where the volume's axes start, e.g. ``asr``.
    leave_out : bool
        See `SectionBlocks`.
    cancelled : callable, optional
        Asked while pixels are fetched; once it returns True, reading ends with `TaskCancelled`.
    """
    size = checked_resolution(resolution_um)
    stack = section_stack(
        dataset, space, placement=placement, mirrored=mirrored, refinements=refinements
    )
    return pyramid_of_stack(
        stack,
        tiles,
        _scripts_scales(size),
        thickness=_THICK,
        gate=TileGate(cancelled),
        leave_out=leave_out,
    )


def aligned_stack(
    dataset: SectionDataset,
    api: AllenApi,
    atlas: Atlas,
    resolution_um: float = 25,
    *,
    view: View = "image",
    placement: Placement = "exact",
    mirrored: bool = False,
    refinements: Refinements | None = None,
) -> list[da.Array]:
    """Return a dataset's sections as a lazy pyramid on an atlas's grid.

    Nothing is fetched before a part is computed, and then only the tiles of the tiers that this
    part needs.

    Parameters
    ----------
    dataset : SectionDataset
        From `AllenApi.section_dataset`.
    api : AllenApi
        Where the images come from.
    atlas : Atlas
        Says where its axes start; of the Allen mouse space (13.2 x 8 x 11.4 mm).
    resolution_um : float
        Voxel size of the finest level; the others are 2, 4, ... times as coarse.
    view : {"image", "expression"}
        Which pictures.
    placement : {"exact", "parallel"}
        *exact*: a voxel shows the section nearest along the sections' normal, if it is not farther
        than half their usual distance. *parallel*: a plane shows the section nearest along its
        axis, as if the sections lay parallel to it.
    mirrored : bool
        Exchange left and right, for reference space 10 only.
    refinements : mapping of int to CoordinateTransform, optional
        By image id: a section's pixels (x, y), counted from the corner, to those that its alignment
        takes for them, e.g. a spline of landmarks; see `stream_sections`.

    Returns
    -------
    list of (AP, DV, ML, 4) uint8 dask arrays
        Red, green, blue, and alpha: 255 where a section is, else 0. Axes as the atlas's; voxel i
        covers ``[i, i + 1) * resolution_um``.

    Warns
    -----
    SectionSkippedWarning
        While parts are computed, for a section whose image the server cannot deliver intact; it is
        left out.

    Raises
    ------
    ReferenceSpaceError
        If the atlas is of another space, or a dataset is mirrored that is not stored so.
    CoordinateError
        For a resolution, view or placement that cannot be.
    """
    check_atlas(atlas)
    check_view(view)
    tiles = SectionTiles(api, view, memory=ChunkCache(SCRIPT_TILES_BYTES))
    pyramid = stack_pyramid(
        dataset,
        tiles,
        atlas.space,
        resolution_um,
        placement=placement,
        mirrored=mirrored,
        refinements=refinements,
        leave_out=True,
    )
    return [_unpacked_lazily(level.data) for level in pyramid.levels]


def _unpacked_lazily(voxels: da.Array) -> da.Array:
    chunks = (*voxels.chunks, (4,))
    rgba: da.Array = da.map_blocks(unpacked, voxels, dtype=np.uint8, chunks=chunks, new_axis=3)
    return rgba


def check_view(view: str) -> None:
    """Refuse an unknown view with a `CoordinateError`."""
    if view not in ("image", "expression"):
        raise CoordinateError(f"view must be 'image' or 'expression', not {view!r}.")
