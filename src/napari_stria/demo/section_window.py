"""Which pixels of a section an image download asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_stria.demo.practice_sections import SectionPlan
from napari_stria.demo.section_geometry import F64


@dataclass(frozen=True)
class Window:
    """A rectangle of a section at one tier of its pyramid.

    Attributes
    ----------
    tier : int
        Pixels are 2**tier full-resolution pixels wide.
    left, top : int
        Corner in full-resolution pixels, from the corner of the section's box.
    width, height : int
        In pixels of the tier.
    """

    tier: int
    left: int
    top: int
    width: int
    height: int

    @property
    def step(self) -> int:
        """Edge of a pixel in full-resolution pixels."""
        return int(2**self.tier)

    @property
    def xs(self) -> F64:
        """The columns' centres in full-resolution pixels; corner convention."""
        return np.asarray(self.left + (np.arange(self.width) + 0.5) * self.step)

    @property
    def ys(self) -> F64:
        """The rows' centres in full-resolution pixels."""
        return np.asarray(self.top + (np.arange(self.height) + 0.5) * self.step)

    def part(self, rows: slice, columns: slice) -> Window:
        """Return the window of some of the rows and columns."""
        return replace(
            self,
            left=self.left + columns.start * self.step,
            top=self.top + rows.start * self.step,
            width=columns.stop - columns.start,
            height=rows.stop - rows.start,
        )

    def inside(self, section: SectionPlan) -> tuple[slice, slice]:
        """Return the rows and columns that reach into the section's box."""
        rows = _overlap(self.top, self.height, section.height, self.step)
        return rows, _overlap(self.left, self.width, section.width, self.step)

    def strips(self, rows: int) -> list[slice]:
        """Return slices of so many rows, which cover all of them."""
        starts = range(0, self.height, rows)
        return [slice(start, min(start + rows, self.height)) for start in starts]


def _overlap(first: int, count: int, size: int, step: int) -> slice:
    start = min(max(-first // step, 0), count)
    stop = min(max(-((first - size) // step), start), count)
    return slice(start, stop)
