"""Aligned sections as files: a folder of pictures that can be gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from napari_stria.core.section import SectionDataset, SkippedSection
from napari_stria.errors import CorruptDataError, TaskCancelled
from napari_stria.io.allen_api import AllenApi
from napari_stria.registration.chain import Placement
from napari_stria.session.export_request import ExportRequest, ExportView, exportable
from napari_stria.session.section_folder import SectionFolder
from napari_stria.session.section_plan import SectionPlan, plan_sections
from napari_stria.session.section_stream import stream_sections

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SectionExport:
    """What an export did.

    Attributes
    ----------
    path : Path
        The folder.
    written, kept : int
        Sections whose pictures were made, and those that were finished already.
    unreadable : tuple of SkippedSection
        Sections whose image could not be read; the next export of the same tries them again.
    """

    path: Path
    written: int
    kept: int
    unreadable: tuple[SkippedSection, ...]


def export_sections(
    dataset: SectionDataset,
    api: AllenApi,
    folder: str | Path,
    *,
    resolution_um: float = 25,
    view: ExportView = "image",
    placement: Placement = "exact",
    tier: int | None = None,
    mirrored: bool = False,
    space: str = "asr",
    fields: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> SectionExport:
    """Write a dataset's sections as aligned PNG pictures, with one ``metadata.json``.

    An export that was stopped, in whatever way, is gone on with by calling this again: pictures
    that are whole and of the same request are kept and their images not fetched. The metadata
    appear when all is done.

    Parameters
    ----------
    dataset : SectionDataset
        From `AllenApi.section_dataset`.
    api : AllenApi
        Where the images come from.
    folder : path
        Made if it is missing. Pictures are named ``section_<number>_<image id>.png``, expression
        pictures ``..._expr.png``.
    resolution_um, view, placement, tier, mirrored
        See `stream_sections`. Sections without an expression picture get none.
    space : str
        Where the axes of `plane_to_atlas` in the metadata start, ``asr`` as BrainGlobe's.
    fields : bool
        Also write each section's `DisplacementField`, ``..._field.npy``.
    overwrite : bool
        Replace what is in the folder and is not of the same request; what is of it is kept.
    progress : callable, optional
        Called with the number of sections done and their total.
    cancel : Event, optional
        Ends the export with `TaskCancelled` when it is set.

    Warns
    -----
    SectionSkippedWarning
        For an image that the server cannot deliver intact; the others go on.

    Raises
    ------
    OutputExistsError
        If the folder holds something else; it is left as it is.
    OutputError
        If it cannot be written.
    CorruptDataError
        If none of the images could be read.
    NetworkError
        If the server cannot be reached after all retries.
    CoordinateError, ReferenceSpaceError
        For arguments that cannot be; before anything is fetched or written.
    """
    request = ExportRequest(
        "sections",
        dataset.id,
        api.base_url,
        view,
        resolution_um,
        placement,
        mirrored,
        space,
        tier,
    )
    dataset = exportable(dataset, view=view, mirrored=mirrored)
    plans = plan_sections(dataset, request)
    target = SectionFolder(Path(folder), dataset, plans, request, fields=fields)
    with target.opened():
        pending = target.pending(overwrite=overwrite)
        steps = _Steps(len(plans), len(plans) - len(pending), progress, cancel or Event())
        todo = {plan.section.image_id for plan in pending}
        for plan in plans:
            if plan.section.image_id not in todo:
                target.write_field(plan, overwrite=overwrite)
        if not pending and target.is_complete():
            return SectionExport(target.folder, 0, len(plans), ())
        target.begin(pending)
        written = _write_pending(dataset, api, request, target, pending, steps, overwrite)
        unreadable = _unreadable(plan for plan in pending if plan not in written)
        if len(unreadable) == len(plans):
            raise CorruptDataError(
                f"none of the {len(plans)} images of dataset {dataset.id} could be read; "
                "try again later."
            )
        target.finish(unreadable)
    return SectionExport(target.folder, len(written), len(plans) - len(pending), unreadable)


class _Steps:
    """Counts sections, tells how many are done, and ends the work when that is wanted."""

    def __init__(self, total: int, done: int, progress: Progress | None, cancel: Event) -> None:
        self._total, self._done = total, done
        self._progress = progress
        self.cancel = cancel
        self.advance(0)

    def advance(self, sections: int = 1) -> None:
        """Count sections."""
        if self.cancel.is_set():
            raise TaskCancelled(
                f"the export was cancelled after {self._done} of {self._total} sections."
            )
        self._done += sections
        if self._progress is not None:
            self._progress(self._done, self._total)


def _write_pending(
    dataset: SectionDataset,
    api: AllenApi,
    request: ExportRequest,
    target: SectionFolder,
    pending: list[SectionPlan],
    steps: _Steps,
    overwrite: bool,
) -> list[SectionPlan]:
    """Fetch, warp and write sections; return those that could be read."""
    by_id = {plan.section.image_id: plan for plan in pending}
    rest = tuple(s for s in dataset.sections if s.image_id in by_id)
    stream = stream_sections(
        replace(dataset, sections=rest),
        api,
        request.resolution_um,
        request.view,
        request.placement,
        request.tier,
        mirrored=request.mirrored,
        cancelled=steps.cancel.is_set,
    )
    views = ("image", "expression") if request.view == "both" else (request.view,)
    order = [plan.section.image_id for plan in pending]
    written: list[SectionPlan] = []
    for section, image, field, *expression in stream:
        plan = by_id[section.image_id]
        images = dict(zip(views, (image, *expression), strict=True))
        target.write(plan, {name: field.warp(images[name]) for name in plan.pictures})
        target.write_field(plan, overwrite=overwrite)
        written.append(plan)
        # Those that were left out before this one are done, too.
        at = order.index(section.image_id)
        steps.advance(at + 1)
        del order[: at + 1]
    if order:
        steps.advance(len(order))
    return written


def _unreadable(plans: Iterable[SectionPlan]) -> tuple[SkippedSection, ...]:
    return tuple(
        SkippedSection(
            plan.section.image_id, plan.section.section_number, "its image could not be read"
        )
        for plan in plans
    )
