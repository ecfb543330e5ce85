"""A series of the QUINT tools as sections of a registration, and back without loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_stria.core.section_plane import AtlasFrame, placement_of
from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.core.series_target import known_target, target_name
from napari_stria.errors import CoordinateError, FormatError, StriaError
from napari_stria.io.registration_files import SeriesHead
from napari_stria.session.registration_fit import resolve_fit
from napari_stria.session.registration_interpolation import SAID_SIZE, said_size_wh
from napari_stria.session.registration_state import (
    FieldRefinement,
    MarkerRefinement,
    Record,
    Refinement,
    SectionEntry,
    SectionState,
    SplineRefinement,
)

# What is kept of a section's own numbers, beside what else its series says of it.
_ANCHORING, _MARKERS, _REST = "anchoring", "markers", "rest"
_SAME = 1e-9
_LATTICE_STEPS = 8

Images = Callable[[SeriesSlice], Path | None]
Sizes = Callable[[Path], tuple[int, int]]


def series_head(series: SectionSeries) -> SeriesHead:
    """Return what a series says of itself as a whole."""
    return SeriesHead(
        series.name,
        series.target.name,
        series.target.shape_xyz,
        series.aligner,
        series.format,
        series.extras,
    )


def series_frame(series: SectionSeries) -> AtlasFrame | None:
    """Return the box that a series' places count in; None if its target is not known."""
    return next((s.atlas_frame for s in series.slices if s.atlas_frame is not None), None)


def records_of_series(
    series: SectionSeries, frame: AtlasFrame, images: Images, size_of: Sizes, *, nonlinear: bool
) -> tuple[Record, ...]:
    """Return the sections of a series, each in its plane.

    Parameters
    ----------
    series : SectionSeries
    frame : AtlasFrame
        The atlas's box, which must be of the target's size.
    images : callable
        Returns the image of a section, None if it is not there.
    size_of : callable
        Returns rows and columns of an image. They count, not what the series says (DeepSlice
        says the size that it worked at), except for sections with markers, which count pixels of
        the size that is said: their image is stretched.
    nonlinear : bool
        Use VisuAlign's markers; without, they are kept for writing.

    Raises
    ------
    FormatError
        If a section's size is neither said nor to be seen, or its anchoring is no plane.
    ReferenceSpaceError
        If the atlas is of another size than the target.
    """
    return tuple(
        _record(slice_.in_frame(frame), frame, images(slice_), size_of, nonlinear=nonlinear)
        for slice_ in series.slices
    )


def _record(
    slice_: SeriesSlice, frame: AtlasFrame, path: Path | None, size_of: Sizes, *, nonlinear: bool
) -> Record:
    said = slice_
    shape = _shape_hw(slice_, path, size_of)
    if (slice_.width, slice_.height) != (shape[1], shape[0]):
        slice_ = slice_.with_size(shape[1], shape[0])
    entry = SectionEntry(
        Path(slice_.filename).name or f"section {slice_.nr:g}",
        slice_.nr,
        shape,
        path=path,
        is_missing=path is None,
        filename=slice_.filename,
        extras=_extras(said, shape, nonlinear=nonlinear),
    )
    state = SectionState(
        refinement=MarkerRefinement(slice_.markers) if nonlinear and len(slice_.markers) else None,
        is_interpolated=slice_.is_interpolated or slice_.anchoring is None,
        is_placed=slice_.anchoring is not None and not slice_.is_interpolated,
    )
    if slice_.anchoring is None:
        return Record(entry, state)
    linear = slice_.linear_to_atlas
    # The size at which the section lies unscaled in the atlas: nobody measured another.
    x_um, y_um = (float(v) for v in np.linalg.norm(linear.linear, axis=0))
    try:
        placement = placement_of(linear, frame, shape, (x_um, y_um))
    except CoordinateError as error:
        raise FormatError(f"the anchoring of {slice_.filename} is no plane: {error}") from error
    return Record(replace(entry, pixel_size_um=(x_um, y_um)), replace(state, placement=placement))


def _shape_hw(slice_: SeriesSlice, path: Path | None, size_of: Sizes) -> tuple[int, int]:
    """Return rows and columns that a section's pixels are counted in."""
    width, height = slice_.width, slice_.height
    is_said = width is not None and height is not None
    if path is not None and not (is_said and len(slice_.markers)):
        try:
            return size_of(path)
        except StriaError:
            # A broken image is told of when it is shown; the place stays.
            if not is_said:
                raise
    if width is None or height is None:
        raise FormatError(
            f"the series does not say how large {slice_.filename} is, and the image is not "
            "there; open the series with the folder of its images."
        )
    return max(1, round(height)), max(1, round(width))


def _extras(slice_: SeriesSlice, shape_hw: tuple[int, int], *, nonlinear: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    width, height = slice_.width, slice_.height
    if width is not None and height is not None and (height, width) != shape_hw:
        kept[SAID_SIZE] = [width, height]
    if slice_.anchoring is not None and not slice_.is_interpolated:
        kept[_ANCHORING] = slice_.anchoring.ravel().tolist()
    if not nonlinear and len(slice_.markers):
        kept[_MARKERS] = slice_.markers.tolist()
    if slice_.layer_filenames:
        kept["filenames"] = list(slice_.layer_filenames)
    if slice_.extras:
        kept[_REST] = dict(slice_.extras)
    return kept


# -- back ---------------------------------------------------------------


def series_of_records(
    records: Sequence[Record], frame: AtlasFrame, head: SeriesHead | None, atlas_name: str = ""
) -> SectionSeries:
    """Return the sections as a series; what was not changed has the very numbers that it had.

    Sections that follow their neighbours get no anchoring. A refinement that is no VisuAlign
    markers becomes markers that agree with it in its landmarks (a spline) or on a lattice (a
    field); between them VisuAlign goes straight. `inexact` lists such sections.

    Raises
    ------
    ReferenceSpaceError
        If the atlas is of another size than the series' target.
    """
    head = head or SeriesHead(target=target_name(frame, atlas_name))
    target = known_target(head.target, head.target_resolution)
    if target.shape_xyz is None:
        # 25 um voxels, as QUINT counts them in targets of its own.
        ap, dv, ml = (max(1, round(extent / 25.0)) for extent in frame.extent_um)
        target = replace(target, shape_xyz=(ml, ap, dv))
    empty = SeriesSlice("", 0.0, target=target, atlas_frame=frame)
    slices = tuple(_slice(record, frame, empty) for record in records)
    return SectionSeries(head.name, target, slices, head.aligner, head.format, head.extras)


def inexact(records: Sequence[Record], frame: AtlasFrame) -> tuple[str, ...]:
    """Return the names of sections whose refinement VisuAlign's markers cannot hold exactly."""
    return tuple(
        r.entry.name
        for r in records
        if (fit := resolve_fit(r, frame)) is not None
        and isinstance(fit.refinement, SplineRefinement | FieldRefinement)
    )


def _slice(record: Record, frame: AtlasFrame, empty: SeriesSlice) -> SeriesSlice:
    entry, extras = record.entry, record.entry.extras
    height, width = entry.shape_hw
    layers = tuple(str(name) for name in extras.get("filenames", ()))
    slice_ = replace(
        empty,
        filename=entry.filename or entry.name,
        nr=int(entry.nr) if float(entry.nr).is_integer() else entry.nr,
        width=width,
        height=height,
        layer_filenames=layers,
        extras=extras.get(_REST, {}),
    )
    fit = resolve_fit(record, frame)
    refinement = None if fit is None else fit.refinement
    markers = _markers(refinement, entry.shape_hw, extras.get(_MARKERS, []))
    slice_ = slice_.with_markers(markers)
    # Without markers nothing counts pixels: the size is as it was said.
    said = (width, height) if len(markers) else said_size_wh(entry)
    if fit is None or record.state.is_interpolated or not record.state.is_placed:
        return replace(slice_, width=said[0], height=said[1])
    made = slice_.with_section_to_atlas(fit.plane_to_atlas @ fit.pixels_to_plane)
    kept = np.array(extras.get(_ANCHORING, np.full(9, np.nan)), dtype=np.float64).reshape(3, 3)
    if np.allclose(
        made.placed_anchoring, kept, _SAME, _SAME * float(np.abs(made.placed_anchoring).max())
    ):
        made = replace(made, anchoring=kept)
    return replace(made, width=said[0], height=said[1])


def _markers(
    refinement: Refinement | None, shape_hw: tuple[int, int], kept: list[list[float]]
) -> Any:
    """Return VisuAlign's markers of a refinement; those of the file where there is none."""
    if refinement is None:
        return np.array(kept, dtype=np.float64).reshape(-1, 4)
    if isinstance(refinement, MarkerRefinement):
        return refinement.markers
    if isinstance(refinement, SplineRefinement):
        return np.hstack([refinement.fixed_xy, refinement.moving_xy])
    from napari_stria.session.registration_state import refinement_map

    height, width = shape_hw
    steps = np.linspace(0, 1, _LATTICE_STEPS + 1)
    new = np.stack(np.meshgrid(steps * width, steps * height), axis=-1).reshape(-1, 2)
    return np.hstack([refinement_map(refinement, shape_hw)(new), new])
