"""One section's expression: its two images, and what they add up to by region and side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.expression import (
    EXPRESSING,
    PIXELS,
    STRENGTH,
    ExpressionRule,
    expressing_pixels,
    stain_intensity,
)
from napari_stria.core.lattice_map import LatticeMap
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.region_tally import RegionTally, merged, tally
from napari_stria.core.section import Section
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, Sequence
from napari_stria.errors import StriaError, TaskCancelled
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.section_images import image_request
from napari_stria.session.section_blocks import UNREADABLE

Cancelled = Callable[[], bool]

# Pixels whose coordinates are in memory at once.
_STRIP_PIXELS = 1 << 19


@dataclass(frozen=True, eq=False)
class SectionJob:
    """A section, and where its pixels lie.

    Attributes
    ----------
    section : Section
    tier : int
        Its images are reduced by ``2 ** tier``.
    to_atlas : Affine
        Full-resolution pixels (x, y), counted from the corner, to atlas um.
    refinement : CoordinateTransform or None
        The section's pixels to those that `to_atlas` takes for them.
    rule : ExpressionRule
        How they are read.
    """

    section: Section
    tier: int
    to_atlas: Affine
    refinement: CoordinateTransform | None
    rule: ExpressionRule

    @property
    def pixels(self) -> int:
        """Pixels of each of its images."""
        return math.prod(self.section.tier_shape(self.tier))


@dataclass(frozen=True, eq=False)
class SectionOutcome:
    """What came of a section: its sums, or why one of its images cannot be read."""

    tally: RegionTally | None = None
    error: StriaError | None = None


def section_outcome(
    api: AllenApi, job: SectionJob, locator: RegionLocator, cancelled: Cancelled | None = None
) -> SectionOutcome:
    """Fetch a section's images and add them up; what dask's tasks run.

    Parameters
    ----------
    api : AllenApi
        Where the images come from.
    job : SectionJob
        Which section.
    locator : RegionLocator
        Which region is where.
    cancelled : callable, optional
        Ends the work with `TaskCancelled` when it returns True.

    Returns
    -------
    SectionOutcome
        With the error, if the server cannot deliver one of the images intact.

    Raises
    ------
    NetworkError
        If the server cannot be reached.
    StriaError
        If the atlas cannot be read.
    """
    try:
        # One after the other, so that only one is in memory with its colours.
        mask = expressing_pixels(_image(api, job, "expression", cancelled), job.rule.threshold)
        strength = stain_intensity(_image(api, job, "image", cancelled), job.rule.intensity)
    except UNREADABLE as error:
        return SectionOutcome(error=error)
    return SectionOutcome(section_tally(mask, strength, job, locator, cancelled))


def _image(
    api: AllenApi, job: SectionJob, view: str, cancelled: Cancelled | None
) -> npt.NDArray[np.uint8]:
    # By the section's own box: an API that came from another process knows no dataset.
    request = image_request(job.section.image_id, job.tier, view, job.section)
    return api.images.read(request, cancelled)


def section_tally(
    mask: npt.NDArray[np.bool_],
    strength: npt.NDArray[np.uint8],
    job: SectionJob,
    locator: RegionLocator,
    cancelled: Cancelled | None = None,
) -> RegionTally:
    """Add up a section's pixels by the region and side in which each pixel's centre lies.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Expressing pixels of the job's tier.
    strength : (H, W) uint8 ndarray
        Intensity of all pixels.
    job, locator, cancelled
        See `section_outcome`.

    Returns
    -------
    RegionTally
        Of ``pixels``, ``expressing_pixels`` and ``expressing_intensity``.
    """
    places = _Places(job)
    height, width = mask.shape
    rows = max(_STRIP_PIXELS // width, 1)
    parts = []
    for start in range(0, height, rows):
        if cancelled is not None and cancelled():
            raise TaskCancelled("measuring the expression was cancelled.")
        strip = slice(start, min(start + rows, height))
        located = locator.locate(places.strip(strip))
        shown = mask[strip].ravel()
        strong = np.where(shown, strength[strip].ravel(), np.uint8(0))
        parts.append(tally(located, **{PIXELS: 1, EXPRESSING: shown, STRENGTH: strong}))
    return merged(parts)


class _Places:
    """Where the pixel centres of a section's tier lie in the atlas."""

    def __init__(self, job: SectionJob) -> None:
        self._shape = job.section.tier_shape(job.tier)
        step = 2.0**job.tier
        # Column c of a tier has its centre at x = (c + 0.5) * step.
        centres = Affine([[step, 0.0, step / 2], [0.0, step, step / 2]])
        self._affine = None if job.refinement is not None else job.to_atlas @ centres
        self._bent = None
        if job.refinement is not None:
            self._bent = LatticeMap(Sequence([centres, job.refinement, job.to_atlas]), self._shape)

    def strip(self, rows: slice) -> F64:
        """Return the atlas points (AP, DV, ML) of some rows: (N, 3) um, row by row."""
        columns = slice(0, self._shape[1])
        if self._affine is None:
            assert self._bent is not None
            return self._bent.tile(rows, columns).reshape(-1, 3)
        along_x, along_y = self._affine.linear.T
        row = np.arange(rows.start, rows.stop)[:, None] * along_y + self._affine.translation
        column = np.arange(self._shape[1])[:, None] * along_x
        return np.asarray((row[:, None, :] + column[None, :, :]).reshape(-1, 3))
