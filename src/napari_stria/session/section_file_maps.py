"""Where the images of files lie, as a registration or a series of another program says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from os import PathLike
from pathlib import Path

from napari_stria.core.atlas import Atlas
from napari_stria.core.piecewise import scale_of_markers
from napari_stria.core.section_plane import atlas_frame
from napari_stria.core.section_state import Record
from napari_stria.core.series import SeriesSlice
from napari_stria.core.transforms import Affine, CoordinateTransform
from napari_stria.core.transforms import Sequence as TransformSequence
from napari_stria.errors import CoordinateError, FormatError
from napari_stria.io.registration_files import read_registration
from napari_stria.io.series import read_series
from napari_stria.session.registration_fit import moved_to_frame, resolve_fit

Shape = tuple[int, int]
MapOf = Callable[[Path, Shape], CoordinateTransform]
"""Returns the map of an image, pixels (x, y) from its corner to atlas um, by its file and shape."""

# The number of a section in the names of QUINT's files, e.g. mouse_s012_Segmentation.png.
_NUMBER = re.compile(r"_s(\d+)(?!\d)", re.IGNORECASE)


def maps_of_registration(path: str | PathLike[str], atlas: Atlas) -> MapOf:
    """Return what finds the map of an image in a registration of this package.

    Parameters
    ----------
    path : path-like
        A ``.stria-registration.json``.
    atlas : Atlas
        The atlas that the maps lead to.

    Returns
    -------
    callable
        Takes the file of an image and its (rows, columns). The image may be a segmentation of the
        registered one, or larger or smaller than it. It raises a `FormatError` if the registration
        does not have it or does not say where it lies, and a `CoordinateError` if it is of other
        proportions.

    Raises
    ------
    FormatError
        If the file is no registration, or something that belongs to it is missing.
    """
    path = Path(path).expanduser()
    document, frame = read_registration(path), atlas_frame(atlas)
    if document.notes:
        # Something is shown without its bending, which may do for a look, not for numbers.
        raise FormatError(document.notes[0])
    records = [moved_to_frame(r, document.frame or frame, frame) for r in document.records]
    names = [(r.entry.name, r.entry.filename) for r in records]
    numbers = [r.entry.nr for r in records]

    def map_of(image: Path, shape_hw: Shape) -> CoordinateTransform:
        same = [n for n, r in enumerate(records) if _is_same(r.entry.path, image)]
        number = same[0] if len(same) == 1 else _found(image, names, numbers, path.name)
        return _registered(records[number], shape_hw, atlas, path.name)

    return map_of


def _is_same(path: Path | None, image: Path) -> bool:
    return path is not None and path.resolve() == image.resolve()


def _registered(record: Record, shape_hw: Shape, atlas: Atlas, where: str) -> CoordinateTransform:
    fit = resolve_fit(record, atlas_frame(atlas))
    if fit is None or not (record.state.is_placed or record.state.is_interpolated):
        raise FormatError(
            f"{where} does not say where {record.entry.name} lies; place it there first."
        )
    if fit.is_folded:
        raise FormatError(
            f"{record.entry.name} folds over itself in {where}, so that nothing can be measured in "
            "it; correct its landmarks first."
        )
    height, width = shape_hw
    own_h, own_w = record.entry.shape_hw
    if (own_h, own_w) == shape_hw:
        return fit.section_to_atlas
    try:
        across, down = scale_of_markers((own_w, own_h), (width, height))
    except CoordinateError as error:
        raise CoordinateError(
            f"{record.entry.name} has {own_w} x {own_h} pixels in {where}, the image that is "
            f"measured {width} x {height}, which is another shape; give an image of its shape."
        ) from error
    smaller = Affine([[1 / across, 0, 0], [0, 1 / down, 0]])
    return TransformSequence([smaller, fit.section_to_atlas])


def maps_of_series(path: str | PathLike[str], atlas: Atlas, *, nonlinear: bool = True) -> MapOf:
    """Return what finds the map of an image in a series of QuickNII, VisuAlign or DeepSlice.

    Parameters
    ----------
    path : path-like
        See `napari_stria.read_series`.
    atlas : Atlas
        The atlas that the series was anchored in.
    nonlinear : bool
        Whether VisuAlign's markers count.

    Returns
    -------
    callable
        As that of `maps_of_registration`. Anchorings know no pixels: an image may have any size,
        with markers one of the same proportions.

    Raises
    ------
    FormatError
        If the file is no series.
    ReferenceSpaceError
        If the atlas is none that the series can be anchored in.
    """
    path = Path(path).expanduser()
    slices: Sequence[SeriesSlice] = read_series(path, nonlinear=nonlinear, atlas=atlas).slices
    names = [(s.filename, *s.layer_filenames) for s in slices]
    numbers = [s.nr for s in slices]

    def map_of(image: Path, shape_hw: Shape) -> CoordinateTransform:
        slice_ = slices[_found(image, names, numbers, path.name)]
        height, width = shape_hw
        return slice_.with_size(width, height).section_to_atlas

    return map_of


# -- names ---------------------------------------------------------------------------------------


def _found(
    image: Path, names: Sequence[Iterable[str]], numbers: Sequence[float], where: str
) -> int:
    """Return the number of the section that an image is of: by its name, or by ``_s012`` in it.

    Raises
    ------
    FormatError
        If there is none, or several.
    """
    own = _keys(image.name)
    for rank, key in enumerate(own):
        fits = [
            n
            for n, texts in enumerate(names)
            if any(_keys(text)[rank] == key for text in texts if text)
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise FormatError(
                f"{where} has {len(fits)} sections called as {image.name}; rename the images."
            )
    said = _NUMBER.findall(image.name)
    fits = [n for n, nr in enumerate(numbers) if said and nr == int(said[-1])]
    if len(fits) != 1:
        raise FormatError(
            f"{where} has no section called {image.name} or of a number as in _s012; name the "
            "image as there."
        )
    return fits[0]


def _keys(name: str) -> tuple[Hashable, ...]:
    """Return a file's name as it is, in small letters, and without what follows the dot."""
    last = name.replace("\\", "/").rpartition("/")[2]
    stem = Path(last).stem
    stem = stem[:-4] if stem.lower().endswith(".ome") else stem
    return last, last.casefold(), stem.casefold()
