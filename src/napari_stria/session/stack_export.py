"""Aligned sections as a volume: an OME-Zarr pyramid that can be gone on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from napari_stria.core.daemons import DaemonPool
from napari_stria.core.section import SectionDataset, SkippedSection, View
from napari_stria.errors import OutputExistsError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.section_volume_writer import PartialVolume, volume_attributes
from napari_stria.registration.chain import Placement
from napari_stria.session.aligned import check_view
from napari_stria.session.export_request import (
    ExportRequest,
    exportable,
    provenance,
    skipped_records,
)
from napari_stria.session.stack_bricks import StackBricks


@dataclass(frozen=True)
class StackExport:
    """What an export did.

    Attributes
    ----------
    path : Path
        The store.
    written, kept : int
        Bricks that were made, and those that were finished already.
    unreadable : tuple of SkippedSection
        Sections that the volume lacks, because their image could not be read.
    """

    path: Path
    written: int
    kept: int
    unreadable: tuple[SkippedSection, ...]


def export_stack(
    dataset: SectionDataset,
    api: AllenApi,
    path: str | Path,
    *,
    resolution_um: float = 25,
    view: View = "image",
    placement: Placement = "exact",
    mirrored: bool = False,
    space: str = "asr",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cancel: Event | None = None,
) -> StackExport:
    """Write a dataset's sections as an RGBA volume, OME-Zarr 0.5 with axes c, z, y, x.

    Its levels are those of `aligned_stack`. They are made brick by brick, the coarsest level
    first, in memory that does not depend on the volume's size. An export that was stopped, in
    whatever way, is gone on with by calling this again. The store takes its name when it is
    complete; until then it is a hidden folder beside it.

    Parameters
    ----------
    dataset : SectionDataset
        From `AllenApi.section_dataset`.
    api : AllenApi
        Where the images come from.
    path : path
        The store, e.g. ``gad1.ome.zarr``.
    resolution_um, view, placement, mirrored
        See `aligned_stack`.
    space : str
        Where the volume's axes start, ``asr`` as BrainGlobe's.
    overwrite : bool
        Replace the store if there is one of another request, and what was begun of another.
    progress : callable, optional
        Called with the number of bricks done and their total.
    cancel : Event, optional
        Ends the export with `TaskCancelled` when it is set.

    Warns
    -----
    SectionSkippedWarning
        For an image that the server cannot deliver intact. The volume is made without it, also
        when it is gone on with.

    Raises
    ------
    OutputExistsError, OutputError, CorruptDataError, NetworkError, CoordinateError,
    ReferenceSpaceError
        As `export_sections`.
    """
    check_view(view)
    request = ExportRequest(
        "volume", dataset.id, api.base_url, view, resolution_um, placement, mirrored, space
    )
    # Sections without the view stay in the stack, where they show nothing.
    shown = exportable(dataset, view=view, mirrored=mirrored)
    bricks = StackBricks(dataset, api, request, cancel or Event())
    volume = PartialVolume(Path(path), bricks.layout)
    with volume.opened():
        found = volume_attributes(volume.path)
        if found is not None and request.difference(found.get("request")) is None:
            volume.clear()
            return StackExport(volume.path, 0, len(bricks), _skipped(found.get("unreadable")))
        volume.check_free(overwrite=overwrite)
        kept = _resumed(volume, request, bricks, overwrite=overwrite)
        _write_bricks(volume, request, bricks, kept, progress)
        unreadable = bricks.unreadable
        attributes = {
            **provenance(dataset, request),
            "sections": [
                {"image_id": s.image_id, "section_number": s.section_number}
                for s in shown.sections
                if s.image_id not in {u.image_id for u in unreadable}
            ],
            "skipped": skipped_records(shown.skipped),
            "unreadable": skipped_records(unreadable),
        }
        volume.publish(attributes, overwrite=overwrite)
    return StackExport(volume.path, len(bricks) - kept, kept, unreadable)


def _resumed(
    volume: PartialVolume, request: ExportRequest, bricks: StackBricks, *, overwrite: bool
) -> int:
    """Open what was begun or begin; return how many bricks are finished."""
    state = volume.state()
    difference = None if state is None else request.difference(state.get("request"))
    if difference is not None and not overwrite:
        raise OutputExistsError(
            f"another export to {volume.path} was begun ({difference}); finish that one, choose "
            "another name or use --overwrite."
        )
    done = 0 if state is None or difference is not None else state.get("done")
    if isinstance(done, int) and 0 < done <= len(bricks) and volume.resume():
        assert state is not None
        bricks.hide(_skipped(state.get("unreadable")))
        return done
    volume.begin()
    return 0


def _write_bricks(
    volume: PartialVolume,
    request: ExportRequest,
    bricks: StackBricks,
    done: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    pool = DaemonPool(bricks.workers)
    try:
        while True:
            if progress is not None:
                progress(done, len(bricks))
            if done == len(bricks):
                return
            rgba = bricks.read(done, pool)
            if rgba is None:
                # A section turned out to be unreadable: the coarsest level, in which all of them
                # are, is made anew without it. Finer ones hardly ever come to this.
                done = 0 if bricks.in_coarsest(done) else done
            else:
                volume.write(*bricks.places[done], rgba)
                done += 1
            volume.note(
                {
                    "request": request.as_dict(),
                    "done": done,
                    "unreadable": skipped_records(bricks.unreadable),
                }
            )
    finally:
        bricks.stop()
        pool.shutdown(cancel_futures=True)


def _skipped(records: object) -> tuple[SkippedSection, ...]:
    """Return sections that an earlier export noted; see `skipped_records`."""
    rows = records if isinstance(records, list) else []
    return tuple(
        SkippedSection(r["image_id"], r.get("section_number"), str(r.get("reason")))
        for r in rows
        if isinstance(r, dict) and isinstance(r.get("image_id"), int)
    )
