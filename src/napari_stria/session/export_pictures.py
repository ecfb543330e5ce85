"""Exports of pictures: a plane of the annotation, and what a viewer shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.slices import Axis, Colors, PlaneRule, slice_image
from napari_stria.core.space import AXIS_LABELS
from napari_stria.errors import CoordinateError
from napari_stria.io.cache import write_atomically
from napari_stria.io.pictures import encode_png
from napari_stria.io.staging import staged
from napari_stria.session.atlas_export import AtlasExport
from napari_stria.session.exporting import Export, ExportSize, Job, check_suffix


@dataclass(frozen=True, eq=False, kw_only=True)
class SliceExport(AtlasExport):
    """One plane of the annotation as a PNG file, a pixel a voxel.

    Attributes
    ----------
    position_um : float
        Where the plane is, from the outer corner of the atlas.
    axis : str
        The axis that it is perpendicular to: ``AP``, ``DV`` or ``ML``.
    colors : str or mapping
        See `napari_stria.slice_image`.
    plane_rule : {"corner", "allensdk"}
        Which plane a position means.
    """

    position_um: float
    axis: Axis = "AP"
    colors: Colors = "atlas"
    plane_rule: PlaneRule = "corner"

    def check(self) -> None:
        """See `Export.check`."""
        super().check()
        check_suffix(self.destination, ".png", "a picture")
        number, level = self._axis_number(), self.source.level
        point = level.grid.center_of((0, 0, 0))
        point[number] = self.position_um
        if not level.grid.index_of(point)[1]:
            first, count = level.origin_um[number], level.shape[number]
            raise CoordinateError(
                f"the position {self.position_um:g} um lies outside the atlas, which goes from "
                f"{first:g} to {first + count * level.scale_um[number]:g} um along "
                f"{AXIS_LABELS[number]}."
            )

    def size(self) -> ExportSize:
        """Return rows and columns."""
        number = self._axis_number()
        shape = tuple(n for i, n in enumerate(self.source.level.shape) if i != number)
        return ExportSize(shape, bytes=3 * int(np.prod(shape)))

    def write(self, job: Job) -> Iterator[Path]:
        """Read the plane, colour it and write it."""
        job.doing("Reading the plane")
        axis = AXIS_LABELS[self._axis_number()]
        picture = slice_image(
            self.source.shown_atlas(),
            self.position_um,
            axis,
            colors=self.colors,
            rule=self.plane_rule,
        )
        facts = self.source.facts() | {
            "axis": axis,
            "position_um": self.position_um,
            "plane_rule": self.plane_rule,
            "colors": self.colors if isinstance(self.colors, str) else "chosen",
        }
        yield from _written(self, picture, facts, job)

    def _axis_number(self) -> int:
        axis = self.axis
        if isinstance(axis, str) and axis.upper() in AXIS_LABELS:
            return AXIS_LABELS.index(axis.upper())
        if isinstance(axis, int) and not isinstance(axis, bool) and 0 <= axis < len(AXIS_LABELS):
            return axis
        raise CoordinateError(
            f"an atlas has the axes {', '.join(AXIS_LABELS)} (0, 1, 2), not {axis!r}."
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class ScreenshotExport(Export):
    """What a viewer showed, as a PNG file.

    Attributes
    ----------
    picture : (rows, columns, 3 or 4) uint8 ndarray
        Taken in the viewer's thread; an alpha channel is left out.
    facts : mapping
        What the file says besides.
    """

    picture: npt.NDArray[np.uint8]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """See `Export.check`."""
        check_suffix(self.destination, ".png", "a picture")

    def size(self) -> ExportSize:
        """Return rows and columns."""
        rows, columns = self.picture.shape[:2]
        return ExportSize((rows, columns), bytes=3 * rows * columns)

    def write(self, job: Job) -> Iterator[Path]:
        """Write the picture."""
        yield from _written(self, np.ascontiguousarray(self.picture[..., :3]), self.facts, job)


def _written(
    request: Export, picture: npt.NDArray[np.uint8], facts: Mapping[str, Any], job: Job
) -> tuple[Path, ...]:
    job.doing("Writing the picture")
    with staged(request.outputs, overwrite=request.overwrite) as (place,):
        write_atomically(place, encode_png(picture, json.dumps(dict(facts))))
        job.check()
    return request.outputs
