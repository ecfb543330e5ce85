"""The command line about one's own sections: ``register`` places an image in an atlas."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stria.cli.atlas_options import add_atlas, opened_atlas
from napari_stria.cli.channels import add_channel, channel_of
from napari_stria.cli.options import add_overwrite
from napari_stria.cli.output import EXIT_OK, ProgressLine, note, run_cancellable
from napari_stria.cli.register_files import RegisterFiles
from napari_stria.cli.warping import IMAGE_HELP, add_resolution, encode_warped, write_warped
from napari_stria.errors import CoordinateError, StriaError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.section_plane import AtlasFrame, SectionPlacement
    from napari_stria.core.section_state import Record
    from napari_stria.io.section_files import SectionImage
    from napari_stria.session.section_registering import RegisteredSection


def add_commands(commands: Any) -> None:
    """Add ``register`` to the command line's subparsers."""
    parser = commands.add_parser("register", help="place your own section in an atlas by itself")
    parser.add_argument("image", type=Path, help=IMAGE_HELP)
    add_atlas(parser, option=True)
    parser.add_argument(
        "--pixel-size",
        type=_pixel_size,
        metavar="UM",
        help="one number, or X,Y (default: as the file says)",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="a .stria-registration.json that has the image: begin where it lies there",
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="search the plane, also with --start; without one it is searched anyway",
    )
    parser.add_argument(
        "--orientation",
        choices=["coronal", "horizontal", "sagittal"],
        default="coronal",
        help="of the planes that are searched (default: coronal)",
    )
    parser.add_argument(
        "--kind",
        choices=["none", "affine", "bspline"],
        default="affine",
        help="what elastix fits in the plane (default: affine); none: the plane search alone",
    )
    add_channel(parser, "compared with the atlas: its name, or from 0 (default: the mean of all)")
    add_resolution(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="default: <image>-registration, beside it"
    )
    add_overwrite(parser)
    parser.set_defaults(run=_register)


def _pixel_size(text: str) -> tuple[float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0 < value < np.inf for value in values):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no pixel size; give um, one number or X,Y such as 0.65,0.65"
        )
    return values[0], values[-1]


# -- register --------------------------------------------------------------------------------


def _register(arguments: argparse.Namespace) -> int:
    from napari_stria.io.section_files import open_section_image

    with closing(open_section_image(arguments.image)) as image:
        return _register_image(arguments, image)


def _register_image(arguments: argparse.Namespace, image: SectionImage) -> int:
    from napari_stria.io.output_folder import output_errors
    from napari_stria.session.section_registering import register_section

    start = None if arguments.start is None else _started(arguments.start, image, arguments.image)
    pixel_size = _known_pixel_size(arguments, image, start)
    channel = channel_of(image, arguments.channel)
    stem = arguments.image.stem.removesuffix(".ome")
    folder = arguments.out or arguments.image.with_name(f"{stem}-registration")
    files = RegisterFiles(folder, stem)
    files.check(overwrite=arguments.overwrite)
    atlas = opened_atlas(arguments)
    record = _record(arguments, image, pixel_size, start, atlas)
    _check_grid(record, atlas, arguments.resolution)
    progress = _Steps()
    try:
        found = run_cancellable(
            lambda cancel: register_section(
                record,
                image,
                atlas,
                search=arguments.search or start is None,
                kind=arguments.kind,
                channel=channel,
                progress=progress,
                cancel=cancel,
            )
        )
    finally:
        progress.end()
    _say(found)
    with output_errors(folder):
        _write(arguments, files, image, atlas, found)
    return EXIT_OK


def _record(
    arguments: argparse.Namespace,
    image: SectionImage,
    pixel_size: tuple[float, float],
    start: _Start | None,
    atlas: Atlas,
) -> Record:
    """Return the section as it begins: as the start has it, or in the middle of the atlas."""
    from napari_stria.core.section_plane import SectionPlacement, atlas_frame
    from napari_stria.core.section_state import Record, SectionEntry, SectionState
    from napari_stria.session.registration_fit import moved_to_frame

    entry = SectionEntry(image.name, 1, image.shape_hw, pixel_size, path=arguments.image.absolute())
    frame = atlas_frame(atlas)
    if start is not None:
        record = Record(entry, start.record.state)
        return moved_to_frame(record, start.frame or frame, frame)
    middle = SectionPlacement.in_the_middle(frame, arguments.orientation)
    return Record(entry, SectionState(middle))


def _check_grid(record: Record, atlas: Atlas, resolution_um: float) -> None:
    """Refuse a resolution at which the section could not be written, before any work."""
    from napari_stria.core.section_plane import atlas_frame
    from napari_stria.registration.section_grid import section_grid

    assert record.state.placement is not None  # see `_record`
    section_grid(record.state.placement.plane_to_atlas(atlas_frame(atlas)), atlas, resolution_um)


class _Steps:
    """A progress line that says what is being done."""

    def __init__(self) -> None:
        self._line: ProgressLine | None = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self.end()
            self._line, self._what = ProgressLine(what), what
        if self._line is not None:
            self._line(done, total)

    def end(self) -> None:
        if self._line is not None:
            self._line.end()


@dataclass(frozen=True)
class _Start:
    """What a registration says of an image, and the box of the atlas that it counts in."""

    record: Record
    frame: AtlasFrame | None


def _started(file: Path, image: SectionImage, path: Path) -> _Start:
    """Return what a registration says of an image.

    Raises
    ------
    StriaError
        If it does not have the image, or the image has no place in it or another size.
    """
    from napari_stria.io.registration_files import read_registration

    document = read_registration(file)
    for text in document.notes:
        note(text)
    records = document.records
    same = [r for r in records if r.entry.path is not None and _is_same(r.entry.path, path)]
    same = same or [r for r in records if r.entry.name == path.name]
    if not same or same[0].state.placement is None:
        raise StriaError(f"{file} does not say where {path.name} lies; leave --start out.")
    if same[0].entry.shape_hw != image.shape_hw:
        raise StriaError(
            f"{file} has {path.name} in another size than the file; leave --start out."
        )
    return _Start(same[0], document.frame)


def _is_same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _known_pixel_size(
    arguments: argparse.Namespace, image: SectionImage, start: _Start | None
) -> tuple[float, float]:
    said: tuple[float, float] | None = arguments.pixel_size
    before = None if start is None else start.record.entry.pixel_size_um
    # A placement counts in the pixel size that it was made with.
    if said is not None and before is not None and said != before:
        raise CoordinateError(
            "--start has another pixel size than --pixel-size; leave one of them out."
        )
    found = before or said or image.pixel_size_um
    if found is None:
        raise CoordinateError(f"{image.name} does not say its pixel size; give --pixel-size UM.")
    return found


def _say(found: RegisteredSection) -> None:
    assert found.record.state.placement is not None
    print(_place_text(found.record.state.placement))
    if found.candidates:
        scores = ", ".join(
            f"{c.score:.3f} at {c.placement.position_um:.0f}" for c in found.candidates
        )
        print(f"  plane search: {scores} um")
        if found.candidates[0].looks_mirrored:
            note("the section fits far better mirrored left-right; check its sides.")
    if found.fit is not None:
        before, after = found.fit.similarity_before, found.fit.similarity_after
        print(f"  similarity (mutual information): {before:.3f} before, {after:.3f} after")
        if found.fit.folds:
            note("the B-spline folded the section and was left out; the affine part is kept.")
    note("an automatic result is a suggestion: look at it before you use it.")


def _place_text(place: SectionPlacement) -> str:
    side = {"coronal": "AP", "horizontal": "DV", "sagittal": "ML"}[place.orientation]
    return (
        f"{place.orientation} at {side} {place.position_um:.0f} um, pitch {place.pitch_deg:.1f}, "
        f"yaw {place.yaw_deg:.1f}, rotation {place.rotation_deg:.1f} degrees, "
        "scale {:.3f} x {:.3f}".format(*place.scale_xy)
    )


def _write(
    arguments: argparse.Namespace,
    files: RegisterFiles,
    image: SectionImage,
    atlas: Atlas,
    found: RegisteredSection,
) -> None:
    from napari_stria.core.section_plane import atlas_frame
    from napari_stria.io.registration_files import RegistrationDocument, write_registration
    from napari_stria.io.transform_files import write_transform

    height, width = image.shape_hw
    document = RegistrationDocument(
        (found.record,), 0, atlas_frame(atlas), atlas.name, atlas.opened_with
    )
    warped = encode_warped(
        files.warped, image, found.section_to_atlas, atlas, resolution_um=arguments.resolution
    )
    with files.all_or_none():
        write_transform(
            files.chain,
            found.section_to_atlas,
            size_px=(width, height),
            space=atlas.space,
            overwrite=arguments.overwrite,
        )
        write_warped(files.warped, warped, overwrite=arguments.overwrite)
        # Last: whoever finds it finds the others too.
        write_registration(files.registration, document)
    for path in (files.chain, files.warped, files.registration):
        print(path)
