"""Masks as files, one a region: what is there already is kept, what is missing is made."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import raise_if_cancelled
from napari_stria.core.label_table import display_table, looked_up, needed_blocks
from napari_stria.core.labels import LabelLookup
from napari_stria.core.masks import kept_counts
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.pyramid import BlockReader, Level
from napari_stria.core.resampling import Rule, level_at
from napari_stria.core.run_index import RunIndex, index_runs
from napari_stria.core.selection import Regions
from napari_stria.core.space import Triple
from napari_stria.errors import OutputBusyError, OutputExistsError, TaskCancelled
from napari_stria.io.mask_formats import MaskFile, mask_format
from napari_stria.io.mask_targets import MaskTarget, identity, mask_targets, volume_notes
from napari_stria.io.output_folder import output_errors
from napari_stria.io.sinks import Progress

_LOOK_S = 0.1


def write_masks(
    atlas: Atlas,
    regions: Regions | Parcellation,
    folder: str | Path,
    *,
    format: str = "nrrd",  # noqa: A002  (what every library calls it)
    resolution_um: float | Triple | None = None,
    rule: Rule | None = None,
    direct: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Iterator[Path]:
    """Write one mask a region, 1 inside and 0 outside, and yield each path when it is done.

    Work is done while the paths are taken. A mask that is there already is kept and yielded: after
    an interruption the same call goes on. None is seen before it is complete. Several programs may
    write the same masks: each is written by one, and the others wait for it.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    regions : id, acronym, name, Structure, RegionGroup, ``set:ID``, or several; or Parcellation
        One file for each region, ``structure_ID``, and for each group, ``group_NAME``; a structure
        set stands for the regions that it lists. Of a parcellation, one file for each parcel,
        ``parcel_ID``, with the voxels that `parcellated_table` counts; for groups their unions.
    folder : str or Path
        Where; it is made if need be.
    format : {"nrrd", "ome-zarr"}
        ``.nrrd`` files (see `napari_stria.io.nrrd_writer`) or ``.ome.zarr`` stores of one level.
    resolution_um, rule
        See `napari_stria.core.resampling.level_at`.
    direct : bool
        Only voxels that are labelled with the regions themselves; by default their descendants
        belong to them.
    overwrite : bool
        Replace files of these names that are something else.
    progress : callable, optional
        Called with the voxels done and their total, over all masks that are made.
    cancel : threading.Event, optional
        Ends the work when it is set; masks that are complete stay.

    Yields
    ------
    Path
        Files in the order of the regions.

    Raises
    ------
    RegionNotFoundError, CoordinateError
        At once, for what the atlas lacks or cannot be resampled to.
    FormatError
        At once, for an unknown format.
    OutputExistsError
        If a file of a mask's name is there and is something else; before any is made.
    OutputError
        If they cannot be written.
    TaskCancelled
        If `cancel` was set.

    Notes
    -----
    Several masks come from one pass over the volume (`napari_stria.core.run_index`, about 6 bytes
    for 25 to 35 voxels); beyond that, memory holds a few blocks and one slab of a mask. Which mask
    a file is, it says itself: grid, regions, atlas and version, rule. The voxels of an atlas that
    states no version, such as an array in memory, are told by a digest, for which a pass is made.
    """
    level = level_at(atlas, resolution_um, rule)
    masks = _Masks(
        atlas,
        level,
        mask_targets(atlas.ontology, regions, direct=direct),
        volume_notes(atlas, level, rule),
        Path(folder).expanduser(),
        mask_format(format),
        overwrite=overwrite,
        progress=progress,
        cancel=cancel,
    )
    return masks.written()


@dataclass(frozen=True, eq=False)
class _Masks:
    """What `write_masks` was asked for."""

    atlas: Atlas
    level: Level
    targets: Sequence[MaskTarget]
    notes: dict[str, str]
    folder: Path
    kind: type[MaskFile]
    overwrite: bool
    progress: Progress | None
    cancel: Event | None

    def written(self) -> Iterator[Path]:
        # The pass over the volume counts as much as a mask.
        parts = _Parts(self.progress, math.prod(self.level.shape), len(self.targets) + 1)
        stated, runs = identity(self.atlas), None
        if stated is None:
            runs = self._indexed(None, parts)
            stated = {"volume_sha256": runs.digest()}
        files = [self._file(target, stated) for target in self.targets]
        missing = [
            i for i, file in enumerate(files) if not _is_there(file, overwrite=self.overwrite)
        ]
        volumes = self._volumes(missing, runs, parts)
        parts.finish()
        for number, file in enumerate(files):
            raise_if_cancelled(self.cancel)
            if number in volumes:
                self._write(file, volumes[number], parts)
            parts.finish()
            yield file.path

    def _write(self, file: MaskFile, mask: BlockReader, parts: _Parts) -> None:
        """Write a mask, unless another program does or did so meanwhile."""
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        while not _is_there(file, overwrite=self.overwrite):
            try:
                file.write(
                    mask, overwrite=self.overwrite, progress=parts.within, cancel=self.cancel
                )
            except OutputBusyError:
                _wait(self.cancel)
            except OutputExistsError:
                # It appeared in between: now it can be told what it is.
                if self.overwrite:
                    raise
            else:
                return

    def _file(self, target: MaskTarget, stated: dict[str, str]) -> MaskFile:
        notes = {**self.notes, **stated, **target.notes}
        path = self.folder / f"{target.stem}{self.kind.ending}"
        return self.kind(path, self.level, self.atlas.space, notes)

    def _volumes(
        self, numbers: Sequence[int], runs: RunIndex | None, parts: _Parts
    ) -> dict[int, BlockReader]:
        """Return the masks of some of the targets, by their numbers."""
        tables = {i: display_table(self.targets[i].mask, np.uint8) for i in numbers}
        lookup = LabelLookup(self.atlas.ontology)
        counts = kept_counts(self.atlas, self.level)
        if runs is None and len(tables) > 1:
            union = np.any(list(tables.values()), axis=0)
            runs = self._indexed(needed_blocks(self.level, lookup, union, counts), parts)
        if runs is None:
            return {i: looked_up(self.level, lookup, t, counts).reader for i, t in tables.items()}
        return {i: runs.reader(table) for i, table in tables.items()}

    def _indexed(self, needed: npt.NDArray[np.bool_] | None, parts: _Parts) -> RunIndex:
        lookup = LabelLookup(self.atlas.ontology)
        return index_runs(
            self.level, lookup, needed=needed, progress=parts.within, cancel=self.cancel
        )


def _wait(cancel: Event | None) -> None:
    """Let another program go on with the same mask for a moment."""
    if (cancel or Event()).wait(_LOOK_S):
        raise TaskCancelled("waiting for another program's mask was cancelled.")


class _Parts:
    """Tells how far a piece of work is that has several parts of one size."""

    def __init__(self, progress: Progress | None, size: int, parts: int) -> None:
        self._progress = progress
        self._size, self._total = size, size * parts
        self._finished = 0

    def within(self, done: int, total: int) -> None:
        """Tell how far the part under way is."""
        if self._progress is not None:
            self._progress(self._finished + self._size * done // total, self._total)

    def finish(self) -> None:
        """Go on to the next part."""
        self._finished += self._size
        self.within(0, 1)


def _is_there(file: MaskFile, *, overwrite: bool) -> bool:
    """Tell whether a mask is written already.

    Raises
    ------
    OutputExistsError
        If something else has its name, unless `overwrite`.
    """
    with output_errors(file.path):
        if not os.path.lexists(file.path):
            return False
        if file.is_written():
            return True
    if overwrite:
        return False
    raise OutputExistsError(
        f"{file.path} exists already and is another mask, or none; choose another folder or "
        "overwrite it."
    )
