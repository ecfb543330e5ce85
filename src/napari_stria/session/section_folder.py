"""A folder of aligned sections: which of its files are finished, and which may be written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.section import SectionDataset, SkippedSection
from napari_stria.errors import OutputExistsError
from napari_stria.io.cache import write_atomically
from napari_stria.io.output_folder import held_folder
from napari_stria.io.pictures import encode_png
from napari_stria.session.export_request import ExportRequest, provenance, skipped_records
from napari_stria.session.section_plan import SectionPlan

METADATA = "metadata.json"
_PARTIAL = ".metadata.json.partial"
_FORMAT = "napari-stria aligned sections"
_OWN_NAME = re.compile(r"section_\d+_\d+(?:(?:_expr)?\.png|_field\.npy)")


class SectionFolder:
    """The files of an export; use `opened` around everything else.

    Each file appears under its name only when it is whole. The metadata are ``metadata.json`` when
    all is done, and have a hidden name before, so that a folder is complete exactly if it has them.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    dataset : SectionDataset
    plans : sequence of SectionPlan
        The sections, all of one request.
    request : ExportRequest
    fields : bool
        Whether fields are written too.
    """

    def __init__(
        self,
        folder: Path,
        dataset: SectionDataset,
        plans: Sequence[SectionPlan],
        request: ExportRequest,
        *,
        fields: bool,
    ) -> None:
        self.folder = folder
        self._dataset, self._plans, self._request = dataset, plans, request
        self._fields = fields

    def opened(self) -> AbstractContextManager[None]:
        """Hold the folder for this program alone; faults of writing are `OutputError`."""
        return held_folder(self.folder)

    def pending(self, *, overwrite: bool) -> list[SectionPlan]:
        """Return the sections whose pictures are not finished; nothing is changed by this.

        Raises
        ------
        OutputExistsError
            If the folder holds something else under a name that is needed, unless `overwrite`.
        """
        if not overwrite:
            self._check_request()
        for plan in self._plans if self._fields else ():
            self._wanted(plan.field_name, plan.field_state(self._path(plan.field_name)), overwrite)
        return [
            plan
            for plan in self._plans
            if any(
                self._wanted(name, plan.picture_state(self._path(name), view), overwrite)
                for view, name in plan.pictures.items()
            )
        ]

    def begin(self, pending: Iterable[SectionPlan]) -> None:
        """Mark the folder as incomplete, and remove what is not of this request.

        Parameters
        ----------
        pending : iterable of SectionPlan
            As `pending` returned them.
        """
        old = self._record(METADATA) or self._record(_PARTIAL)
        if self._record(METADATA) is not None:
            # Its list of files must outlive it, for the case that we are stopped here.
            self._path(METADATA).replace(self._path(_PARTIAL))
        ours = {name for plan in self._plans for name in (*plan.pictures.values(), plan.field_name)}
        unfinished = {name for plan in pending for name in plan.pictures.values()}
        for name in {*_file_names(old)} - ours | unfinished:
            self._path(name).unlink(missing_ok=True)
        self._remove_temporary()
        write_atomically(self._path(_PARTIAL), self._metadata(self._plans, self._dataset.skipped))

    def write(self, plan: SectionPlan, pictures: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Write a section's aligned pictures, by view."""
        for view, name in plan.pictures.items():
            png = encode_png(pictures[view], plan.picture_text(view))
            write_atomically(self._path(name), png)

    def write_field(self, plan: SectionPlan, *, overwrite: bool) -> None:
        """Write a section's field if fields are wanted and this one is not finished."""
        path = self._path(plan.field_name)
        if self._fields and self._wanted(path.name, plan.field_state(path), overwrite):
            write_atomically(path, plan.field_bytes())

    def is_complete(self) -> bool:
        """Whether the metadata say that all sections are there; clears what else is left then."""
        found = self._record(METADATA)
        if found is None:
            return False
        wanted = json.loads(self._metadata(self._plans, self._dataset.skipped))
        complete = {**found, "versions": None} == {**wanted, "versions": None}
        if complete:
            self._remove_temporary()
            self._path(_PARTIAL).unlink(missing_ok=True)
        return complete

    def finish(self, unreadable: Sequence[SkippedSection]) -> None:
        """Write the metadata: the export is complete."""
        missing = {s.image_id for s in unreadable}
        plans = [plan for plan in self._plans if plan.section.image_id not in missing]
        content = self._metadata(plans, (*self._dataset.skipped, *unreadable))
        write_atomically(self._path(METADATA), content)
        self._path(_PARTIAL).unlink(missing_ok=True)

    def _remove_temporary(self) -> None:
        """Remove what `write_atomically` left when a program was killed."""
        for pattern in (".section_*-????????", f".*{METADATA}*-????????"):
            for leftover in self.folder.glob(pattern):
                leftover.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _metadata(self, plans: Iterable[SectionPlan], skipped: Iterable[SkippedSection]) -> bytes:
        content = {
            "format": _FORMAT,
            "format_version": 1,
            **provenance(self._dataset, self._request),
            "sections": [plan.record(fields=self._fields) for plan in plans],
            "skipped": skipped_records(skipped),
        }
        return (json.dumps(content, indent=1) + "\n").encode()

    def _record(self, name: str) -> dict[str, Any] | None:
        """Return what an export noted in the folder; None if there is nothing of ours."""
        try:
            content = json.loads(self._path(name).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        ours = isinstance(content, dict) and content.get("format") == _FORMAT
        return content if ours else None

    def _check_request(self) -> None:
        found = self._record(METADATA) or self._record(_PARTIAL)
        if found is not None:
            difference = self._request.difference(found.get("request"))
            if difference is not None:
                raise OutputExistsError(
                    f"{self.folder} holds another export ({difference}); choose another folder or "
                    "use --overwrite."
                )
        elif self._path(METADATA).exists():
            raise _other(self._path(METADATA))

    def _wanted(self, name: str, state: str, overwrite: bool) -> bool:
        if state == "other" and not overwrite:
            raise _other(self._path(name))
        return state != "finished"


def _other(path: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{path} exists and is not of this export; choose another folder or use --overwrite."
    )


def _file_names(record: Mapping[str, Any] | None) -> list[str]:
    """Return the files that a record lists; only names that an export gives."""
    sections = (record or {}).get("sections")
    names = []
    for section in sections if isinstance(sections, list) else []:
        files = section.get("files") if isinstance(section, dict) else None
        names += list(files.values()) if isinstance(files, dict) else []
    return [name for name in names if isinstance(name, str) and _OWN_NAME.fullmatch(name)]
