"""A dataset's sections one after the other, each with the field that aligns it."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_stria.core.daemons import DaemonPool
from napari_stria.core.displacement import DisplacementField
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.transforms import CoordinateTransform, checked_points
from napari_stria.errors import (
    CoordinateError,
    SectionSkippedWarning,
    ServerStatusError,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.registration.chain import (
    Placement,
    Refinements,
    check_refinements,
    checked_resolution,
    section_field,
)
from napari_stria.session.section_blocks import UNREADABLE

Pixels = npt.NDArray[np.uint8]
StreamView = Literal["image", "expression", "both"]

# A tier of 1 pixel at the most.
_MOST_TIERS = 16
# So many images in a row that the server refuses mean that it is the server.
MOST_REFUSALS = 3
# Images fetched ahead of the one that the caller works on, by the pixels that they may hold.
_AHEAD_PIXELS = 100_000_000
_MOST_AHEAD = 6


def stream_sections(
    dataset: SectionDataset,
    api: AllenApi,
    resolution_um: float = 25,
    view: StreamView = "image",
    placement: Placement = "exact",
    tier: int | None = None,
    detection_xy: tuple[float, float] = (0, 0),
    *,
    mirrored: bool = False,
    refinements: Refinements | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Fetch a dataset's sections, each with the field that warps it onto a plane in the atlas.

    Parameters
    ----------
    dataset : SectionDataset
        From `AllenApi.section_dataset`.
    api : AllenApi
        Where the images come from; the next ones are fetched while the caller works.
    resolution_um : float
        Sampling of the planes.
    view : {"image", "expression", "both"}
        Which pictures.
    placement : {"exact", "parallel"}
        *exact*: the plane in which the section lies. *parallel*: atldld's axis-parallel plane
        through pixel `detection_xy`; equal to `parallel_displacement`.
    tier : int, optional
        The images are reduced by ``2 ** tier``; by default as far as the resolution allows.
    detection_xy : tuple of float
        Full-resolution pixel (x, y) by which the parallel plane is chosen.
    mirrored : bool
        Exchange left and right in `plane_to_pir`, for reference space 10 only.
    refinements : mapping of int to CoordinateTransform, optional
        By image id: a section's pixels (x, y), counted from the corner, to those that its alignment
        takes for them, e.g. a spline of landmarks. The section then lies where
        ``Sequence([refinement, section_to_atlas(...)])`` says, and its field follows.
    cancelled : callable, optional
        Asked while images are fetched; once it returns True, the next one is `TaskCancelled`.

    Yields
    ------
    section : Section
        The highest section number first.
    image : (H, W, 3) uint8 ndarray
        RGB, of the tier; the expression picture with ``view="expression"``.
    field : DisplacementField
        ``field.warp(image)`` is the aligned picture, ``field.plane_to_pir`` says where it lies.
    expression : (H, W, 3) uint8 ndarray
        With ``view="both"`` only; black for a section without one.

    Warns
    -----
    SectionSkippedWarning
        For an image that the server cannot deliver intact; the others go on.

    Raises
    ------
    NetworkError
        If the server cannot be reached after all retries, or refuses three images in a row.
    CoordinateError, ReferenceSpaceError
        For arguments that cannot be; before anything is fetched.
    """
    if view not in ("image", "expression", "both"):
        raise CoordinateError(f"view must be 'image', 'expression' or 'both', not {view!r}.")
    if tier is not None and not (isinstance(tier, (int, np.integer)) and 0 <= tier <= _MOST_TIERS):
        raise CoordinateError(f"tier must be a whole number, 0 to {_MOST_TIERS}, not {tier!r}.")
    checked_points(detection_xy, 2)
    checked_resolution(resolution_um)
    check_refinements(dataset, refinements or {})
    field = partial(_field, dataset, resolution_um, placement, tier, detection_xy, mirrored)
    plan = [
        (section, field(section, (refinements or {}).get(section.image_id)))
        for section in reversed(dataset.sections)
    ]
    return _stream(plan, api, view, cancelled)


def _field(
    dataset: SectionDataset,
    resolution_um: float,
    placement: Placement,
    tier: int | None,
    detection_xy: tuple[float, float],
    mirrored: bool,
    section: Section,
    refinement: CoordinateTransform | None,
) -> tuple[int, DisplacementField]:
    suitable = section.tier_for(resolution_um) if tier is None else int(tier)
    return suitable, section_field(
        dataset,
        section,
        resolution_um=resolution_um,
        tier=suitable,
        placement=placement,
        detection_xy=detection_xy,
        mirrored=mirrored,
        refinement=refinement,
    )


def _stream(
    plan: list[tuple[Section, tuple[int, DisplacementField]]],
    api: AllenApi,
    view: StreamView,
    cancelled: Callable[[], bool] | None,
) -> Iterator[tuple[Any, ...]]:
    stopped = Event()

    def ended() -> bool:
        return stopped.is_set() or (cancelled is not None and cancelled())

    pool = DaemonPool(min(_MOST_AHEAD, api.max_concurrent))
    waiting: deque[_Waiting] = deque()
    rest = iter(plan)
    in_a_row = 0
    try:
        while True:
            while len(waiting) < _MOST_AHEAD and sum(w.pixels for w in waiting) <= _AHEAD_PIXELS:
                found = next(rest, None)
                if found is None:
                    break
                section, (tier, field) = found
                job = pool.submit(_fetch, api, section, tier, view, ended)
                waiting.append(_Waiting(section, field, job, math.prod(section.tier_shape(tier))))
            if not waiting:
                return
            first = waiting.popleft()
            section = first.section
            try:
                image, *expression = first.job.result()
                in_a_row = 0
            except UNREADABLE as error:
                in_a_row += isinstance(error, ServerStatusError)
                if in_a_row >= MOST_REFUSALS:
                    raise
                warnings.warn(
                    f"section {section.section_number} (image {section.image_id}) is left out: "
                    f"{error}",
                    SectionSkippedWarning,
                    stacklevel=2,
                )
                continue
            yield section, image, first.field, *expression
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Waiting:
    """A section whose image is being fetched."""

    section: Section
    field: DisplacementField
    job: Future[tuple[Pixels, ...]]
    pixels: int


def _fetch(
    api: AllenApi, section: Section, tier: int, view: StreamView, ended: Callable[[], bool]
) -> tuple[Pixels, ...]:
    def image(which: str) -> Pixels:
        if which == "expression" and not section.has_expression:
            return np.zeros((*section.tier_shape(tier), 3), dtype=np.uint8)
        return api.section_image(section.image_id, downsample=tier, view=which, cancelled=ended)

    return tuple(image(v) for v in (("image", "expression") if view == "both" else (view,)))
