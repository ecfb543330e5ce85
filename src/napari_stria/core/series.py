"""A series of sections placed in an atlas as the QUINT tools write it: anchorings and markers.

An anchoring is three vectors in voxels of the target, o, u and v: pixel (x, y) of an image of
width x height, counted from its corner, lies at ``o + u * x / width + v * y / height``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.anchoring import interpolated_anchorings, planes_alone
from napari_stria.core.piecewise import PiecewiseAffine, scale_of_markers
from napari_stria.core.section_plane import AtlasFrame
from napari_stria.core.series_target import SeriesTarget
from napari_stria.core.transforms import Affine
from napari_stria.core.transforms import Sequence as TransformSequence
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


def _no_markers() -> F64:
    return np.zeros((0, 4))


@dataclass(frozen=True, eq=False)
class SeriesSlice:
    """One section of a series.

    Attributes
    ----------
    filename : str
        Its image, as the file has it.
    nr : int or float
        Its place in the series.
    width, height : int, float or None
        Size of the image in the pixels that markers count; None if the file does not say.
    anchoring : (3, 3) float64 ndarray or None
        Rows o, u, v in voxels (x, y, z) of the target; read-only. None if the section has none and
        too few others have one.
    markers : (N, 4) float64 ndarray
        VisuAlign's ``[x_old, y_old, x_new, y_new]``; read-only.
    target : SeriesTarget
        What the anchoring counts in.
    atlas_frame : AtlasFrame or None
        The box of the atlas, for `section_to_atlas`; None if the target's size in um is unknown.
    nonlinear : bool
        Whether `section_to_atlas` uses the markers.
    is_interpolated : bool
        Whether the anchoring was interpolated from the other sections; it is not written.
    layer_filenames : tuple of str
        Several images of one section, where the file has ``filenames``.
    extras : mapping
        What else the file says of the section, kept for writing.
    """

    filename: str
    nr: float
    width: float | None = None
    height: float | None = None
    anchoring: F64 | None = None
    markers: F64 = field(default_factory=_no_markers)
    target: SeriesTarget = field(default_factory=SeriesTarget)
    atlas_frame: AtlasFrame | None = None
    nonlinear: bool = True
    is_interpolated: bool = False
    layer_filenames: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        what = f"section {self.filename or self.nr!r}"
        markers = _numbers(self.markers, f"the markers of {what} are four numbers each")
        if markers.size == 0:
            markers = _no_markers()
        if markers.ndim != 2 or markers.shape[1] != 4:
            raise CoordinateError(f"the markers of {what} are four numbers each.")
        object.__setattr__(self, "markers", _read_only(markers))
        if self.anchoring is not None:
            anchoring = _numbers(self.anchoring, f"the anchoring of {what} is nine numbers")
            if anchoring.size != 9:
                raise CoordinateError(f"the anchoring of {what} is nine numbers.")
            object.__setattr__(self, "anchoring", _read_only(anchoring.reshape(3, 3)))
        for size in (self.width, self.height):
            if size is not None and not 0 < size < np.inf:
                raise CoordinateError(f"{what} needs a width and a height above 0, not {size}.")

    @property
    def size_wh(self) -> tuple[float, float]:
        """Width and height; a `CoordinateError` if the file does not say."""
        if self.width is None or self.height is None:
            raise CoordinateError(
                f"the series does not say how large {self.filename} is; give its size by with_size."
            )
        return self.width, self.height

    @property
    def placed_anchoring(self) -> F64:
        """The anchoring; a `CoordinateError` if there is none."""
        if self.anchoring is None:
            raise CoordinateError(
                f"{self.filename} has no anchoring, and too few sections have one to interpolate "
                "between; place it first."
            )
        return self.anchoring

    @property
    def refinement(self) -> PiecewiseAffine | None:
        """The map of the markers, pixels of the image -> pixels before; None without markers."""
        if not self.nonlinear or not len(self.markers):
            return None
        return PiecewiseAffine(self.markers[:, 2:], self.markers[:, :2], self.size_wh)

    @property
    def voxels_to_atlas(self) -> Affine:
        """The map from voxels (x, y, z) of the target to atlas um; raises if it is not known."""
        return self.target.voxels_to_atlas(self._frame())

    @property
    def linear_to_atlas(self) -> Affine:
        """The map of the anchoring alone, pixels (x, y) from the corner -> um (AP, DV, ML).

        Raises
        ------
        CoordinateError
            If there is no anchoring, no size, or the target is not known.
        """
        width, height = self.size_wh
        o, u, v = self.placed_anchoring
        pixels_to_voxels = Affine(np.column_stack([u / width, v / height, o]))
        return self.voxels_to_atlas @ pixels_to_voxels

    @property
    def section_to_atlas(self) -> TransformSequence:
        """The map from pixels (x, y), counted from the image's corner, to atlas um (AP, DV, ML).

        The markers' map first, if there are any, then the anchoring's; raises as
        `linear_to_atlas`.
        """
        refinement = self.refinement
        linear = self.linear_to_atlas
        return TransformSequence([linear] if refinement is None else [refinement, linear])

    def in_space(self, space: str) -> SeriesSlice:
        """Return the section with `section_to_atlas` in another space, such as ``asl``."""
        return replace(self, atlas_frame=replace(self._frame(), space=space))

    def in_frame(self, frame: AtlasFrame) -> SeriesSlice:
        """Return the section with `section_to_atlas` in um of an atlas, voxel by voxel.

        Raises
        ------
        ReferenceSpaceError
            If the atlas is of another size or other proportions than the target.
        """
        # What lies in this box already was checked there, with all that is known of the atlas.
        if self.atlas_frame is None or self.atlas_frame.extent_um != frame.extent_um:
            self.target.check_frame(frame)
        return replace(self, atlas_frame=frame)

    def with_target(self, target: SeriesTarget) -> SeriesSlice:
        """Return the section with an anchoring that counts in another target."""
        return replace(self, target=target)

    def with_section_to_atlas(self, section_to_atlas: Affine) -> SeriesSlice:
        """Return the section with the anchoring of an affine from pixels to atlas um.

        The markers stay.

        Raises
        ------
        CoordinateError
            If it is no affine from 2 to 3 coordinates, or as `linear_to_atlas`.
        """
        if not isinstance(section_to_atlas, Affine) or section_to_atlas.matrix.shape != (3, 3):
            raise CoordinateError("an anchoring is an Affine from 2 to 3 coordinates.")
        width, height = self.size_wh
        u, v, o = (self.voxels_to_atlas.inverse @ section_to_atlas).matrix.T
        return replace(self, anchoring=np.stack([o, u * width, v * height]), is_interpolated=False)

    def with_markers(self, markers: npt.ArrayLike) -> SeriesSlice:
        """Return the section with other markers (N, 4)."""
        return replace(self, markers=np.asarray(markers, dtype=np.float64))

    def with_size(self, width: float, height: float) -> SeriesSlice:
        """Return the same place for an image of another size in pixels.

        The anchoring knows no pixels; the markers are scaled.

        Raises
        ------
        CoordinateError
            If there are markers and the size is of another aspect, beyond rounding to whole
            pixels: other triangles would join the markers, which is another map.
        """
        markers = self.markers
        if len(markers):
            markers = markers * np.tile(scale_of_markers(self.size_wh, (width, height)), 2)
        return replace(self, width=width, height=height, markers=markers)

    def _frame(self) -> AtlasFrame:
        if self.atlas_frame is None:
            raise CoordinateError(
                f"the series' target {self.target.name!r} is not known, so neither is its size; "
                "read the series with atlas=, the atlas that it was anchored in."
            )
        return self.atlas_frame

    def __repr__(self) -> str:
        state = "interpolated" if self.is_interpolated else "anchored"
        state = "no anchoring" if self.anchoring is None else state
        return f"<SeriesSlice {self.nr:g} {self.filename!r}, {state}, {len(self.markers)} markers>"


@dataclass(frozen=True, eq=False)
class SectionSeries:
    """Sections in the order of their file; those without an anchoring get one by interpolation.

    Attributes
    ----------
    name : str
    target : SeriesTarget
    slices : tuple of SeriesSlice
        Missing anchorings are interpolated over `nr`, as VisuAlign does, and marked. One that is
        no plane, such as nine zeros, counts as missing; an `AnchoringWarning` names it.
    aligner : str or None
        The program that anchored them, where the file says so.
    format : str or None
        Of the file that it was read from: "quicknii", "visualign", "deepslice-json",
        "deepslice-csv" or "quicknii-xml".
    extras : mapping
        What else the file says, kept for writing.
    """

    name: str
    target: SeriesTarget
    slices: tuple[SeriesSlice, ...]
    aligner: str | None = None
    format: str | None = None
    extras: Mapping[str, Any] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slices", _with_interpolated(self.slices))

    def with_slice(self, index: int, slice_: SeriesSlice) -> SectionSeries:
        """Return the series with one section replaced; interpolated ones follow anew."""
        slices = list(self.slices)
        slices[index] = slice_
        return replace(self, slices=tuple(slices))

    def in_space(self, space: str) -> SectionSeries:
        """Return the series in another space; see `SeriesSlice.in_space`."""
        return replace(self, slices=tuple(s.in_space(space) for s in self.slices))

    def in_frame(self, frame: AtlasFrame) -> SectionSeries:
        """Return the series in um of an atlas; see `SeriesSlice.in_frame`."""
        return replace(self, slices=tuple(s.in_frame(frame) for s in self.slices))

    def __repr__(self) -> str:
        return f"<SectionSeries {self.name!r}, {len(self.slices)} sections in {self.target.name}>"


def _with_interpolated(slices: Sequence[SeriesSlice]) -> tuple[SeriesSlice, ...]:
    own = [None if s.is_interpolated else s.anchoring for s in slices]
    own = planes_alone(own, [s.filename or f"{s.nr:g}" for s in slices])
    if all(anchoring is not None for anchoring in own):
        return tuple(slices)
    # Without sizes, stretches are of whole images, which is the same where all have one size.
    sizes = [(s.width or 1.0, s.height or 1.0) for s in slices]
    found = interpolated_anchorings([s.nr for s in slices], sizes, own)
    return tuple(
        s if mine is not None else replace(s, anchoring=made, is_interpolated=made is not None)
        for s, mine, made in zip(slices, own, found, strict=True)
    )


def _numbers(values: npt.ArrayLike, sentence: str) -> F64:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CoordinateError(f"{sentence}.") from error
    if not np.isfinite(array).all():
        raise CoordinateError(f"{sentence}, all finite.")
    return array


def _read_only(array: F64) -> F64:
    array.flags.writeable = False
    return array
