"""Series of sections from files of QuickNII, VisuAlign and DeepSlice, and to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import atlas_frame
from napari_stria.core.series import SectionSeries
from napari_stria.core.series_target import known_target, target_of_frame
from napari_stria.core.space import checked_space
from napari_stria.errors import FormatError, UnsupportedSourceError
from napari_stria.io import deepslice_csv, quicknii_xml, series_json
from napari_stria.io.json_fields import read_bounded
from napari_stria.io.staging import staged

SERIES_FORMATS = ("quicknii", "visualign", "deepslice-json", "deepslice-csv")
_MOST_BYTES = 256 << 20


def read_series(
    path: str | PathLike[str],
    nonlinear: bool = True,
    space: str = "asr",
    *,
    target: str | None = None,
    atlas: Atlas | None = None,
) -> SectionSeries:
    """Read a series: QuickNII, VisuAlign or DeepSlice JSON, DeepSlice CSV, or QuickNII XML.

    Parameters
    ----------
    path : path-like
        The file. What it holds decides, not its name.
    nonlinear : bool
        Whether `SeriesSlice.section_to_atlas` uses VisuAlign's markers. Without, they are kept for
        writing all the same.
    space : str
        Where the axes of the atlas start that `SeriesSlice.section_to_atlas` leads to; BrainGlobe's
        atlases are ``asr``, Allen's NRRD is ``asl``.
    target : str, optional
        What the sections were anchored in, in place of what the file says. DeepSlice's CSV does not
        say: without, it is its mouse, ``ABA_Mouse_CCFv3_2017_25um.cutlas``. An XML may not say
        either: without, it is unknown.
    atlas : Atlas, optional
        The atlas that the series was anchored in; its space and size are taken. A target that is
        not known and without ``target-resolution`` counts its finest voxels.

    Returns
    -------
    SectionSeries
        In the file's order; sections without an anchoring get an interpolated one, if at least two
        have one. An anchoring that is no plane, such as nine zeros, is none; an `AnchoringWarning`
        names the section.

    Raises
    ------
    FormatError
        If the file cannot be read or is no such series; the message names the section.
    ReferenceSpaceError
        If the atlas is of another size or other proportions than the target.
    CoordinateError
        For a bad space.
    """
    path, space = Path(path).expanduser(), checked_space(space)
    raw = read_bounded(path, _MOST_BYTES, "a series")
    if not raw.removeprefix(b"\xef\xbb\xbf").strip():
        raise FormatError(f"{path.name} is empty; choose another file, or copy it again.")
    series = _parser_of(raw)(raw, path.name)
    if target is not None:
        series = _with_target(series, target)
    if atlas is not None:
        frame = atlas_frame(atlas)
        shape = atlas.annotation.levels[0].shape
        known = target_of_frame(series.target, shape)
        known.check_frame(frame, shape)
        slices = tuple(replace(s, target=known, atlas_frame=frame) for s in series.slices)
        series = replace(series, target=known, slices=slices)
    elif series.target.extent_xyz_um is not None:
        series = series.in_space(space)
    if not nonlinear:
        series = replace(series, slices=tuple(replace(s, nonlinear=False) for s in series.slices))
    return series


def write_series(
    series: SectionSeries,
    path: str | PathLike[str],
    format: str | None = None,  # noqa: A002  (as the other writers of the world call it)
    *,
    overwrite: bool = False,
) -> Path:
    """Write a series; the file is whole or as it was.

    Parameters
    ----------
    series : SectionSeries
        Interpolated anchorings are left out, so that the next program interpolates too. Markers
        are written whether `SeriesSlice.nonlinear` is set or not.
    path : path-like
        The file; its folder exists.
    format : {"quicknii", "visualign", "deepslice-json", "deepslice-csv"}, optional
        By default CSV for the suffix ``.csv``, and for ``.json`` the kind of JSON that the series
        was read from. QuickNII's JSON may hold markers too; it passes over them. A CSV names
        any target but DeepSlice's mouse in two columns of ours, which other programs pass over.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UnsupportedSourceError
        For an unknown format, or markers that a CSV has no place for.
    OutputExistsError
        If the file is there and `overwrite` is not set.
    OutputError
        If it cannot be written.
    """
    path = Path(path).expanduser()
    chosen = _format_of(series, path) if format is None else format
    if chosen not in SERIES_FORMATS:
        raise UnsupportedSourceError(
            f"a series is written as {', '.join(SERIES_FORMATS)}, not as {chosen!r}."
        )
    if chosen == "deepslice-csv":
        text = deepslice_csv.series_to_csv(series)
    else:
        text = series_json.series_to_json(series, chosen)
    with staged([path], overwrite=overwrite) as (place,):
        # Half a letter, which UTF-8 lacks, becomes its JSON escape.
        place.write_bytes(text.encode("utf-8", "backslashreplace"))
    return path


def _parser_of(raw: bytes) -> Callable[[bytes, str], SectionSeries]:
    first = raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"<":
        return quicknii_xml.series_from_xml
    is_json = first in (b"{", b"[")
    return series_json.series_from_json if is_json else deepslice_csv.series_from_csv


def _format_of(series: SectionSeries, path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return "deepslice-csv"
    if suffix != ".json":
        raise UnsupportedSourceError(
            f"{path.name} ends neither in .json nor in .csv; give the format."
        )
    if series.format in ("visualign", "deepslice-json"):
        return series.format
    return "visualign" if any(len(s.markers) for s in series.slices) else "quicknii"


def _with_target(series: SectionSeries, name: str) -> SectionSeries:
    target = known_target(name)
    slices = tuple(
        replace(s.with_target(target), atlas_frame=target.frame()) for s in series.slices
    )
    return replace(series, target=target, slices=slices)
