"""The command line about series of sections that other programs placed: ``series``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.atlas_options import add_atlas, opened_atlas
from napari_stria.cli.options import add_overwrite
from napari_stria.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    ProgressLine,
    note,
    run_cancellable,
    write_table,
)
from napari_stria.errors import StriaError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.section_plane import SectionPlacement
    from napari_stria.core.series import SectionSeries, SeriesSlice

_FORMATS = ("quicknii", "visualign", "deepslice-csv", "deepslice-json")
_FILE = "JSON of QuickNII, VisuAlign or DeepSlice, DeepSlice's CSV, or QuickNII's XML"


def add_commands(commands: Any) -> None:
    """Add ``series`` to the command line's subparsers."""
    parser = commands.add_parser(
        "series", help="series of sections placed by QuickNII, VisuAlign or DeepSlice"
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    _add_info(actions)
    _add_convert(actions)
    _add_maps(actions)


def _add_info(actions: Any) -> None:
    parser = actions.add_parser("info", help="list the sections and where they lie")
    parser.add_argument("file", type=Path, help=_FILE)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    add_atlas(parser, option=True, required=False)
    add_overwrite(parser)
    parser.set_defaults(run=_info)


def _add_convert(actions: Any) -> None:
    parser = actions.add_parser("convert", help="write a series in another program's format")
    parser.add_argument("file", type=Path, help=_FILE)
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="default: the JSON that was read, or DeepSlice's for .csv",
    )
    parser.add_argument(
        "--linear", action="store_true", help="drop the markers, for which a CSV has no place"
    )
    add_overwrite(parser)
    parser.set_defaults(run=_convert)


def _add_maps(actions: Any) -> None:
    parser = actions.add_parser("maps", help="write the atlas's regions of each section")
    parser.add_argument("file", type=Path, help=_FILE)
    parser.add_argument("folder", type=Path, help="of the maps, one a section")
    add_atlas(parser, option=True)
    parser.add_argument(
        "--resolution", type=float, metavar="UM", default=25.0, help="of the atlas (default: 25)"
    )
    parser.add_argument(
        "--size",
        type=_size,
        default="own",
        metavar="SIZE",
        help="own (default): about a voxel a pixel, as VisuAlign exports; image: as the section's "
        "image; or W,H",
    )
    parser.add_argument(
        "--linear", action="store_true", help="leave the markers out: the anchorings alone"
    )
    parser.add_argument(
        "--rule",
        choices=["visualign", "centre"],
        default="visualign",
        help="which voxel a pixel shows: as VisuAlign rounds (default), or that at its centre",
    )
    parser.add_argument(
        "--format",
        choices=["tif", "png", "flat"],
        default="tif",
        help="region ids (default), a picture in the atlas's colours, or QUINT's flat file",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="for flat: the ITK-SNAP label file"
    )
    add_overwrite(parser)
    parser.set_defaults(run=_maps)


def _size(text: str) -> str | tuple[int, int]:
    if text in ("own", "image"):
        return text
    try:
        width, height = (int(part) for part in text.split(","))
    except ValueError:
        width = height = 0
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give own, image, or width and height such as 456,320"
        )
    return width, height


def _info(arguments: argparse.Namespace) -> int:
    import pandas as pd

    from napari_stria.io.free_places import check_free

    if arguments.csv is not None:
        _check_other(arguments.csv, arguments.file)
        check_free(arguments.csv, overwrite=arguments.overwrite)
    series = _read(arguments.file, _atlas_if_asked(arguments))
    print(f"{arguments.file.name}: {len(series.slices)} sections, {series.format}")
    print(f"  target: {series.target.name or '-'}")
    if series.aligner:
        print(f"  aligner: {series.aligner}")
    write_table(pd.DataFrame([_row(each) for each in series.slices]), arguments.csv)
    if series.slices and series.slices[0].atlas_frame is None:
        note("the target is not known; give --atlas NAME to see where the sections lie.")
    return EXIT_OK


def _check_other(out: Path, file: Path) -> None:
    """Refuse to write over what is read."""
    if out.exists() and file.exists() and out.samefile(file):
        raise StriaError(f"{out} is the series itself and is not replaced; choose another name.")


def _atlas_if_asked(arguments: argparse.Namespace) -> Atlas | None:
    return None if arguments.atlas is None else opened_atlas(arguments)


def _read(file: Path, atlas: Atlas | None = None, *, linear: bool = False) -> SectionSeries:
    from napari_stria.io.series import read_series

    return read_series(file, nonlinear=not linear, atlas=atlas)


def _row(slice_: SeriesSlice) -> dict[str, Any]:
    state = "interpolated" if slice_.is_interpolated else "anchored"
    row: dict[str, Any] = {
        "nr": f"{slice_.nr:g}",
        "file": slice_.filename or "-",
        "size": "-" if slice_.width is None else f"{slice_.width:g}x{slice_.height:g}",
        "place": "-" if slice_.anchoring is None else state,
        "markers": len(slice_.markers),
    }
    place = _placement(slice_)
    return row | {
        "plane": "-" if place is None else place.orientation,
        "position_um": "-" if place is None else f"{place.position_um:.1f}",
        "pitch_deg": "-" if place is None else f"{place.pitch_deg:.2f}",
        "yaw_deg": "-" if place is None else f"{place.yaw_deg:.2f}",
        "rotation_deg": "-" if place is None else f"{place.rotation_deg:.2f}",
        "pixel_um": "-" if place is None else "{:.4g}x{:.4g}".format(*place.scale_xy),
    }


def _placement(slice_: SeriesSlice) -> SectionPlacement | None:
    """Return where a section lies, None if nobody knows."""
    from napari_stria.core.section_plane import placement_of

    if slice_.anchoring is None or slice_.atlas_frame is None or slice_.width is None:
        return None
    width, height = slice_.size_wh
    # With pixels of 1 um, what the anchoring stretches them by is their size.
    return placement_of(
        slice_.linear_to_atlas, slice_.atlas_frame, (round(height), round(width)), (1.0, 1.0)
    )


def _convert(arguments: argparse.Namespace) -> int:
    from napari_stria.io.series import write_series

    _check_other(arguments.out, arguments.file)
    series = _read(arguments.file)
    if arguments.linear:
        bare = tuple(each.with_markers(()) for each in series.slices)
        series = replace(series, slices=bare)
    write_series(series, arguments.out, arguments.format, overwrite=arguments.overwrite)
    print(arguments.out)
    return EXIT_OK


def _maps(arguments: argparse.Namespace) -> int:
    from napari_stria.session.series_maps import write_series_maps

    if arguments.format == "flat" and arguments.labels is None:
        raise StriaError("--format flat needs --labels, the atlas's label file (ITK-SNAP).")
    series = _read(arguments.file, linear=arguments.linear)
    atlas = opened_atlas(arguments)
    progress = ProgressLine(f"maps of {arguments.file.name}")
    try:
        done = run_cancellable(
            lambda cancel: write_series_maps(
                series,
                atlas,
                arguments.folder,
                size=arguments.size,
                resolution_um=arguments.resolution,
                rule=arguments.rule,
                format=arguments.format,
                labels=arguments.labels,
                overwrite=arguments.overwrite,
                progress=progress,
                cancel=cancel,
            )
        )
    except KeyboardInterrupt:
        of = f" after {progress.done} of {progress.total} maps" if progress.total else ""
        note(f"interrupted{of}; run the same command again to go on.")
        return EXIT_INTERRUPTED
    finally:
        progress.end()
    kept = f" ({len(done.kept)} were there already)" if done.kept else ""
    print(f"{len(done.written) + len(done.kept)} maps in {done.folder}{kept}")
    if done.skipped:
        note(f"{len(done.skipped)} sections lie nowhere and have none: {', '.join(done.skipped)}.")
    return EXIT_OK
