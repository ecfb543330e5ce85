"""Sections added up: those that are in the folder, then the others; which cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from napari_stria.core.block_pass import Progress
from napari_stria.core.region_tally import RegionTally, merged
from napari_stria.core.section import Section
from napari_stria.errors import SectionSkippedWarning, ServerStatusError, StriaError
from napari_stria.session.expression_keeping import ExpressionFiles
from napari_stria.session.expression_running import SectionRun
from napari_stria.session.expression_section import SectionJob
from napari_stria.session.section_stream import MOST_REFUSALS


@dataclass
class SectionSums:
    """Adds up a dataset's sections.

    Attributes
    ----------
    tasks : SectionRun
        What measures those that are not in the folder.
    files : ExpressionFiles or None
        The folder.
    n_sections : int
        How many there are.
    progress : callable or None
        Called with the sections that are done and their total.
    measured, resumed : int
        How many were added up; how many of these came from the folder.
    skipped : list of dict
        ``image_id``, ``section_number`` and ``reason`` of those that cannot be read.
    """

    tasks: SectionRun
    files: ExpressionFiles | None
    n_sections: int
    progress: Progress | None
    measured: int = 0
    resumed: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)

    def total(self, jobs: Sequence[SectionJob]) -> RegionTally:
        """Return the sums of all sections that can be read.

        Raises
        ------
        StriaError
            If none can, or the server refuses three in a row; see `SectionRun.outcomes`.
        """
        total, missing = merged([]), []
        for job in jobs:
            kept = None if self.files is None else self.files.get(job)
            if kept is None:
                missing.append(job)
            else:
                total = merged([total, kept])
                self.measured += 1
        self.resumed = self.measured
        self._report()
        for found in self._new(missing):
            total = merged([total, found])
        return total

    def _new(self, jobs: Sequence[SectionJob]) -> Iterator[RegionTally]:
        in_a_row = 0
        error: StriaError | None = None
        with closing(self.tasks.outcomes(jobs)) as outcomes:
            for job, outcome in outcomes:
                if outcome.tally is not None:
                    in_a_row = 0
                    self.measured += 1
                    if self.files is not None:
                        self.files.put(job, outcome.tally)
                    yield outcome.tally
                elif (error := outcome.error) is not None:
                    in_a_row += isinstance(error, ServerStatusError)
                    if in_a_row >= MOST_REFUSALS:
                        raise error
                    self._skip(job.section, error)
                self._report()
        if error is not None and not self.measured:
            raise error

    def _skip(self, section: Section, error: StriaError) -> None:
        self.skipped.append(
            {
                "image_id": section.image_id,
                "section_number": section.section_number,
                "reason": str(error),
            }
        )
        warnings.warn(
            f"section {section.section_number} (image {section.image_id}) is left out: {error}",
            SectionSkippedWarning,
            # As of the line that called `expression_table`.
            stacklevel=5,
        )

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(self.measured + len(self.skipped), self.n_sections)
