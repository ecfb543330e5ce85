"""Whether regions tile a part of space: what of it they leave out, and where they go beyond it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event
from typing import Any, TypeGuard

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress, over_blocks
from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.label_table import display_table, looked_up
from napari_stria.core.labels import LabelLookup
from napari_stria.core.masks import kept_counts, structure_mask
from napari_stria.core.pyramid import BlockReader, Level, array_reader, read_box
from napari_stria.core.regions import chosen_level
from napari_stria.core.selection import Regions, each_region, selection_mask
from napari_stria.core.space import Triple
from napari_stria.errors import CoordinateError

Volume = npt.NDArray[Any] | da.Array
Domain = Regions | Volume
_UM3_PER_MM3 = 1e9


@dataclass(frozen=True)
class CoverageReport:
    """How regions cover a domain.

    Attributes
    ----------
    overlapping_ids : tuple of int
        Those of the regions that hold others of them, ascending.
    uncovered_voxels, beyond_voxels : int
        Voxels of the domain that no region covers, and of the regions outside the domain.
    uncovered_mm3, beyond_mm3 : float
        The same as volumes.
    resolution_um : tuple of float
        Voxel size at which they were counted.
    """

    overlapping_ids: tuple[int, ...]
    uncovered_voxels: int
    beyond_voxels: int
    uncovered_mm3: float
    beyond_mm3: float
    resolution_um: Triple

    @property
    def is_tiling(self) -> bool:
        """Whether the regions fill the domain exactly, and none lies within another."""
        return not (self.overlapping_ids or self.uncovered_voxels or self.beyond_voxels)


def check_coverage(
    atlas: Atlas,
    regions: Regions,
    domain: Domain,
    *,
    direct: bool = False,
    resolution_um: float | Triple | None = None,
) -> da.Array:
    """Compare regions with a part of space, voxel by voxel.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    regions : id, acronym, name, Structure, RegionGroup, ``set:ID``, or several of them
        What shall cover the domain.
    domain : (AP, DV, ML) array of bool or whole numbers, dask array, or regions
        The part of space: where the array is not 0; of regions with their descendants.
    direct : bool
        Of `regions`, only voxels that are labelled with the regions themselves.
    resolution_um : float or 3 floats, optional
        Which level; default is the resolution in the atlas's name.

    Returns
    -------
    (AP, DV, ML) dask array of int8
        1 where the domain is not covered, -1 where the regions go beyond it, 0 elsewhere.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    CoordinateError
        If a domain array has another shape than the level, or no such numbers.
    """
    level = chosen_level(atlas, resolution_um)
    if isinstance(domain, da.Array):
        # Left to dask, which makes each chunk of the domain once, whatever its shape.
        _check_domain(domain, level)
        covered = structure_mask(atlas, regions, direct=direct, resolution_um=level.scale_um)
        inside = (domain != 0).rechunk(covered.chunks).astype(np.int8)
        difference: da.Array = inside - covered.astype(np.int8)
        return difference
    return _compared(atlas, level, regions, domain, direct=direct).data


def validate_regions(
    atlas: Atlas,
    regions: Regions,
    domain: Domain,
    *,
    direct: bool = False,
    resolution_um: float | Triple | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> CoverageReport:
    """Report whether regions tile a part of space: all of it, nothing else, and none twice.

    Parameters
    ----------
    atlas, regions, domain, direct, resolution_um
        See `check_coverage`.
    scheduler, progress, cancel
        See `napari_stria.core.block_pass.over_blocks`.

    Raises
    ------
    RegionNotFoundError, CoordinateError
        See `check_coverage`.
    TaskCancelled
        If `cancel` was set.
    """
    regions = each_region(regions)
    level = chosen_level(atlas, resolution_um)
    compared = _compared(atlas, level, regions, domain, direct=direct)
    batches = over_blocks(_signs, compared, scheduler=scheduler, progress=progress, cancel=cancel)
    counts = np.sum([signs for batch in batches for _, signs in batch], axis=0)
    uncovered, beyond = (int(n) for n in counts)
    mm3 = level.grid.voxel_volume_um3 / _UM3_PER_MM3
    return CoverageReport(
        overlapping_ids=tuple(sorted(atlas.ontology.overlaps(regions))),
        uncovered_voxels=uncovered,
        beyond_voxels=beyond,
        uncovered_mm3=uncovered * mm3,
        beyond_mm3=beyond * mm3,
        resolution_um=level.scale_um,
    )


def _signs(reader: BlockReader, index: BlockIndex) -> tuple[int, int]:
    """Return how many voxels of a block are 1 and how many are -1."""
    block = reader.read_block(index)
    if block is None:
        return 0, 0
    return int(np.count_nonzero(block > 0)), int(np.count_nonzero(block < 0))


@dataclass(frozen=True, eq=False)
class _DomainReader:
    """Serves a domain minus a mask, block by block; the blocks are the mask's."""

    mask: BlockReader
    domain: BlockReader

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mask.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int8)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.mask.chunk_shape

    def read_block(self, index: BlockIndex) -> npt.NDArray[np.int8] | None:
        inside = read_box(self.domain, block_box(index, self.chunk_shape, self.shape)) != 0
        covered = self.mask.read_block(index)
        # As int8, -1 is -1: unsigned masks would wrap to 255.
        difference = inside.astype(np.int8)
        if covered is not None:
            difference -= covered.astype(np.int8)
        return difference if difference.any() else None


def _compared(
    atlas: Atlas, level: Level, regions: Regions, domain: Domain, *, direct: bool
) -> Level:
    """Return the lazy level of `check_coverage`."""
    ontology, lookup = atlas.ontology, LabelLookup(atlas.ontology)
    covered = selection_mask(ontology, regions, direct=direct)
    counts = kept_counts(atlas, level)
    if _is_volume(domain):
        mask = looked_up(level, lookup, display_table(covered), counts)
        return replace(level, reader=_DomainReader(mask.reader, _domain_reader(domain, level)))
    inside = selection_mask(ontology, domain)
    difference = inside.astype(np.int8) - covered.astype(np.int8)
    return looked_up(level, lookup, display_table(difference, np.int8), counts)


def _is_volume(domain: Domain) -> TypeGuard[Volume]:
    # A list of ids may be an array, too, but has one axis.
    return getattr(domain, "ndim", 0) > 1


def _domain_reader(domain: Volume, level: Level) -> BlockReader:
    _check_domain(domain, level)
    # In the level's blocks, so that of a lazy domain no more is made than a block needs.
    return array_reader(domain.rechunk(level.chunks) if isinstance(domain, da.Array) else domain)


def _check_domain(domain: Volume, level: Level) -> None:
    if tuple(domain.shape) != level.shape:
        raise CoordinateError(
            f"the domain is {tuple(domain.shape)} where the annotation is {level.shape} at "
            f"{level.scale_um} um; give one of that shape, or another resolution_um."
        )
    if domain.dtype.kind not in "biu":
        raise CoordinateError(
            f"a domain holds True and False or 1 and 0, not {domain.dtype}; "
            "compare the image with a threshold first."
        )
