"""Atlas maps of a whole series as files: the regions of each section, in a folder that resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from threading import Event
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.label_colors import paint_regions
from napari_stria.core.regions import chosen_level
from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.errors import CoordinateError, TaskCancelled
from napari_stria.io.flat_maps import encode_flat, read_label_ids
from napari_stria.io.label_tiff import encode_label_tiff
from napari_stria.io.pictures import encode_png
from napari_stria.registration.section_grid import checked_shape
from napari_stria.registration.section_maps import MapRule, atlas_map, map_shape
from napari_stria.session.map_folder import MapFolder

MapFormat = Literal["tif", "png", "flat"]
MapSize = Literal["own", "image"] | tuple[int, int]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SeriesMaps:
    """What an export of maps did.

    Attributes
    ----------
    folder : Path
    written, kept : tuple of str
        Names of the files that were made, and of those that were finished already.
    skipped : tuple of str
        Sections that lie nowhere: neither anchored nor between two that are.
    """

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    skipped: tuple[str, ...]


def write_series_maps(
    series: SectionSeries,
    atlas: Atlas,
    folder: str | Path,
    *,
    size: MapSize = "own",
    resolution_um: float = 25,
    rule: MapRule = "visualign",
    format: MapFormat = "tif",  # noqa: A002  (it is what users call it)
    labels: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> SeriesMaps:
    """Write the atlas's regions of each section of a series, a file a section.

    An export that was stopped, in whatever way, is gone on with by calling this again: maps that
    are whole and made from the same are kept.

    Parameters
    ----------
    series : SectionSeries
        From `read_series`; without its markers if it was read so.
    atlas : Atlas
        The one that the series is anchored in.
    folder : path
        Made if it is missing. Files have the names of the sections' images.
    size : {"own", "image"} or (width, height)
        Pixels of the maps; each shows its whole section. ``own``: about a voxel of the series'
        target a pixel, as QuickNII and VisuAlign export. ``image``: those of the section.
    resolution_um : float
        Of the annotation.
    rule : {"visualign", "centre"}
        See `atlas_map`.
    format : {"tif", "png", "flat"}
        Region ids as uint32; a picture in the atlas's colours; or QUINT's flat file, which needs
        `labels`.
    labels : path, optional
        The ITK-SNAP label file whose rows the pixels of flat files are.
    overwrite : bool
        Replace what is in the folder and was made otherwise; what was made from the same is kept.
        Images of the series are never replaced.
    progress : callable, optional
        Called with the number of sections done and their total.
    cancel : Event, optional
        Ends the export with `TaskCancelled` when it is set.

    Raises
    ------
    OutputExistsError
        If the folder holds something else; it is left as it is.
    OutputError
        If it cannot be written, or the label file lacks a region of the atlas.
    CoordinateError
        For a size or rule that cannot be, or a flat export without a label file.
    ReferenceSpaceError
        If the atlas is not the one of the series.
    """
    encode = _encoder(format, atlas, labels)
    # Once for all, so that a warning comes once.
    level_um = chosen_level(atlas, resolution_um).scale_um[0]
    request = {
        "atlas": [atlas.name, str(atlas.metadata.get("version", ""))],
        "size": size,
        "resolution_um": level_um,
        "rule": rule,
        "format": format,
        "labels": None if labels is None else Path(labels).name,
    }
    placed = [each for each in series.slices if each.anchoring is not None]
    skipped = tuple(_title(each) for each in series.slices if each.anchoring is None)
    names = _names(placed, format)
    digests = dict(zip(names, map(_digest, placed), strict=True))
    shapes = [_shape(each, size, atlas, level_um) for each in placed]
    images = [PureWindowsPath(each.filename).name for each in series.slices]
    target, stop = MapFolder(Path(folder), request, digests, images), cancel or Event()
    with target.opened():
        pending = target.begin(overwrite=overwrite)
        done = len(names) - len(pending)
        for name, each, shape in zip(names, placed, shapes, strict=True):
            if name not in pending:
                continue
            if progress is not None:
                progress(done, len(names))
            if stop.is_set():
                raise TaskCancelled(f"the maps were cancelled after {done} of {len(names)}.")
            found = atlas_map(atlas, each, shape, level_um, rule=rule, cancel=stop)
            target.write(name, encode(found))
            done += 1
        if progress is not None:
            progress(done, len(names))
    kept = tuple(name for name in names if name not in pending)
    return SeriesMaps(target.folder, tuple(pending), kept, skipped)


def _shape(
    slice_: SeriesSlice, size: MapSize, atlas: Atlas, resolution_um: float
) -> tuple[int, int]:
    """Return the rows and columns of a section's map."""
    if size == "own":
        return map_shape(slice_, atlas, resolution_um)
    if size == "image":
        width, height = (round(n) for n in slice_.size_wh)
    elif isinstance(size, str) or len(size) != 2 or min(size) < 1:
        raise CoordinateError(f"a map's size is 'own', 'image' or (width, height), not {size!r}.")
    else:
        width, height = size
    return checked_shape((height, width))


def _encoder(
    format: MapFormat,  # noqa: A002
    atlas: Atlas,
    labels: str | Path | None,
) -> Callable[[npt.NDArray[Any]], bytes]:
    """Return what makes the bytes of a file; all that can be wrong with it is found out here."""
    if format not in get_args(MapFormat):
        raise CoordinateError(f"maps are written as 'tif', 'png' or 'flat', not {format!r}.")
    if format == "tif":
        return encode_label_tiff
    if format == "png":
        return lambda found: encode_png(paint_regions(found, atlas.ontology), "atlas map")
    if labels is None:
        raise CoordinateError(
            "flat maps hold rows of a label file; give that of the atlas (ITK-SNAP's format)."
        )
    ids = read_label_ids(labels)
    return lambda found: encode_flat(found, ids)


def _title(slice_: SeriesSlice) -> str:
    return slice_.filename or f"number {slice_.nr:g}"


def _names(slices: list[SeriesSlice], format: MapFormat) -> list[str]:  # noqa: A002
    """Return a file name a section: its image's, with its number where that is not enough."""
    stems = [PureWindowsPath(each.filename).stem or f"s{each.nr:03g}" for each in slices]
    folded = [stem.casefold() for stem in stems]
    unique = [
        stem if folded.count(stem.casefold()) == 1 else f"{stem}_{number:04d}"
        for number, stem in enumerate(stems, start=1)
    ]
    return [f"{stem}.{format}" for stem in unique]


def _digest(slice_: SeriesSlice) -> str:
    """Return what a map of the section depends on, as a digest."""
    digest = hashlib.sha256(f"{slice_.width} {slice_.height} {slice_.target.shape_xyz}".encode())
    digest.update(np.ascontiguousarray(slice_.anchoring, dtype="<f8").tobytes())
    markers = slice_.markers if slice_.nonlinear else np.empty((0, 4))
    digest.update(np.ascontiguousarray(markers, dtype="<f8").tobytes())
    return digest.hexdigest()[:32]
