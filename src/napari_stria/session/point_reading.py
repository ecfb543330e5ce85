"""The region and side at a point, from chunks that stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from napari_stria.core.atlas import Atlas
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.space import Side
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.readout import midplane_side, side_of_value, status_line

Point = tuple[float, float, float]


class PointReading:
    """Reads points of one open atlas; a clicked one waits for its chunk of the finest level.

    Parameters
    ----------
    atlas : Atlas
        What is read.
    annotation : ProgressivePyramid
        Its display indices.
    halves : ProgressivePyramid or None
        Its hemispheres; None where the midplane parts the sides.
    """

    def __init__(
        self, atlas: Atlas, annotation: ProgressivePyramid, halves: ProgressivePyramid | None
    ) -> None:
        self._atlas = atlas
        self._annotation = annotation
        self._halves = halves
        self._pyramids = [annotation] if halves is None else [annotation, halves]
        self.awaited: Point | None = None

    def ask(self, point_um: Sequence[float]) -> None:
        """Begin to wait for a point, in place of one before."""
        ap, dv, ml = (float(v) for v in point_um)
        self.awaited = (ap, dv, ml)
        for pyramid in self._pyramids:
            pyramid.forgive(point_um)
            pyramid.fetch_at(point_um)

    def answer(self) -> tuple[Point, int] | Literal["failed"] | None:
        """Return the awaited point and its display index; None while it is not there.

        ``"failed"`` if it could not be read. An answer ends the waiting.
        """
        point = self.awaited
        if point is None:
            return None
        if any(p.has_failed(point) for p in self._pyramids):
            self.awaited = None
            return "failed"
        if not all(p.knows(point) for p in self._pyramids):
            return None
        self.awaited = None
        found = self._annotation.sample(point)
        return point, 0 if found is None else int(found[0])

    def describe(
        self, point_um: Sequence[float], parcellation: Parcellation | None = None
    ) -> str | None:
        """Return what the status bar says of a point, from what is decoded; None if nothing is."""
        found = self._annotation.sample(point_um)
        side = self.side_at(point_um)
        if found is None or side == "outside":
            return None
        return status_line(self._atlas, int(found[0]), side, parcellation)

    def refine(self, point_um: Sequence[float]) -> None:
        """Fetch the finest chunk under a point, unless a clicked one is awaited."""
        if self.awaited is None:
            for pyramid in self._pyramids:
                pyramid.fetch_at(point_um)

    def side_at(self, point_um: Sequence[float]) -> Side:
        """Return the side of the animal on which a point lies, as far as it is decoded."""
        if self._halves is None:
            return midplane_side(self._atlas, point_um)
        found = self._halves.sample(point_um)
        return "outside" if found is None else side_of_value(found[0])
