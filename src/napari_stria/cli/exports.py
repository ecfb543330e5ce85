"""The command line about files of an atlas: ``mask``, ``slice``, ``downsample`` and ``export``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from napari_stria.cli.atlas_options import add_atlas, opened_atlas
from napari_stria.cli.export_kinds import KINDS, check_options
from napari_stria.cli.export_options import (
    DEFAULT_FORMAT,
    add_masks,
    add_out,
    add_plane,
    add_regions,
    add_sets,
    add_voxels,
    check_rule,
    check_together,
    chosen_colors,
    chosen_parcellation,
    chosen_regions,
    needed,
)
from napari_stria.cli.output import EXIT_OK, ProgressLine, note
from napari_stria.errors import StriaError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.session.exporting import Export

_LARGEST_FACTOR = 8
_EXPORT_TEXT = (
    "Write files of an atlas. Only --what screenshot takes a saved view instead of an atlas: the "
    "file NAME.stria.json that the viewer saved."
)


def add_commands(commands: Any) -> None:
    """Add ``mask``, ``slice``, ``downsample`` and ``export`` to the command line's subparsers."""
    mask = commands.add_parser("mask", help="write masks of regions, one file each")
    add_atlas(mask)
    add_regions(mask)
    add_sets(
        mask,
        "masks of the regions that a structure set lists",
        "masks of the groups in a file, each a union",
    )
    add_masks(mask)
    add_voxels(mask)
    add_out(mask, "FOLDER", "made if it is missing; masks that are there are kept")
    mask.set_defaults(run=_mask)

    picture = commands.add_parser("slice", help="write a picture of one plane of an atlas")
    add_atlas(picture)
    add_plane(picture, required=True)
    picture.add_argument("--resolution", type=float, metavar="UM", help="voxel size of the level")
    picture.add_argument(
        "--rule",
        choices=["corner", "allensdk"],
        default="corner",
        help="which plane a position means (default: corner, the one that holds it)",
    )
    add_out(picture, "FILE.png", "the picture")
    picture.set_defaults(run=_slice)

    downsample = commands.add_parser("downsample", help="write an annotation with other voxels")
    add_atlas(downsample)
    add_voxels(downsample, required=True)
    add_out(downsample, "FILE", "FILE.nrrd or FILE.ome.zarr; its terminology.csv comes beside it")
    downsample.set_defaults(run=_downsample)
    _add_export(commands)


def _add_export(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="write a table, annotation, masks, ITK-SNAP files or a picture",
        description=_EXPORT_TEXT,
    )
    add_atlas(export)
    export.add_argument("--what", choices=list(KINDS), required=True, help="what is written")
    parcels = export.add_mutually_exclusive_group()
    parcels.add_argument(
        "--depth",
        type=int,
        metavar="N",
        help="regions down to this depth, each voxel in one of them",
    )
    add_sets(
        parcels,
        "the regions of a structure set, each voxel in one of them at most",
        "the groups in a file: each a union in tables and masks; in volumes of labels and pictures "
        "a voxel is in one of them",
    )
    add_regions(export)
    add_masks(export)
    add_voxels(export)
    add_plane(export, required=False)
    export.add_argument(
        "--plane-rule",
        choices=["corner", "allensdk"],
        help="picture: which plane a position means (default: corner, the one that holds it)",
    )
    export.add_argument("--labels", type=Path, metavar="FILE", help="itksnap: label descriptions")
    export.add_argument(
        "--size-factor", type=int, metavar="N", help="screenshot: N times the pixels (default: 1)"
    )
    export.add_argument(
        "--window", action="store_true", help="screenshot: the window and not only the canvas"
    )
    add_out(export, "PATH", "file, store or folder")
    export.set_defaults(run=partial(_export, export))


# -- the commands ----------------------------------------------------------------------------


def _mask(arguments: argparse.Namespace) -> int:
    from napari_stria.session.export_kinds import MaskExport

    check_rule(arguments)
    atlas = opened_atlas(arguments)
    listed = [] if arguments.set is None else atlas.ontology.in_set(arguments.set)
    return _run(
        MaskExport(
            **_common(arguments, atlas),
            regions=(*chosen_regions(arguments, atlas), *listed),
            format=arguments.format or DEFAULT_FORMAT,
            direct=arguments.direct,
        )
    )


def _slice(arguments: argparse.Namespace) -> int:
    from napari_stria.session.export_pictures import SliceExport

    colors = chosen_colors(arguments.colors)
    request = SliceExport(
        destination=arguments.out,
        overwrite=arguments.overwrite,
        atlas=opened_atlas(arguments),
        resolution_um=arguments.resolution,
        axis=arguments.axis,
        position_um=arguments.position,
        plane_rule=arguments.rule,
        colors=colors,
    )
    if arguments.rule == "allensdk" and not request.source.is_stored:
        # AllenSDK, too, would have to make such a level first.
        request = replace(request, rule="allensdk")
    return _run(request)


def _downsample(arguments: argparse.Namespace) -> int:
    from napari_stria.session.export_kinds import AnnotationExport

    arguments.rule = arguments.rule or "centre"
    return _run(AnnotationExport(**_common(arguments, opened_atlas(arguments))))


def _export(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    check_options(parser, arguments)
    if arguments.what == "screenshot":
        return _screenshot(arguments)
    check_together(arguments)
    return _run(_request(arguments, opened_atlas(arguments)))


def _request(arguments: argparse.Namespace, atlas: Atlas) -> Export:
    from napari_stria.session import export_kinds, export_pictures

    common = _common(arguments, atlas)
    parcels = common["parcellation"] = chosen_parcellation(arguments, atlas)
    regions = None if parcels is not None else chosen_regions(arguments, atlas) or None
    if arguments.what == "table":
        return export_kinds.TableExport(**common, regions=regions)
    if arguments.what == "masks":
        return export_kinds.MaskExport(
            **common,
            regions=regions,
            format=arguments.format or DEFAULT_FORMAT,
            direct=arguments.direct,
        )
    if arguments.what == "itksnap":
        labels = arguments.labels or export_kinds.labels_beside(arguments.out)
        return export_kinds.ItksnapExport(**common, labels=labels)
    if arguments.what == "annotation":
        return export_kinds.AnnotationExport(**common)
    return export_pictures.SliceExport(
        **common,
        axis=needed(arguments.axis, "--axis", "a picture"),
        position_um=needed(arguments.position, "--position", "a picture"),
        plane_rule=arguments.plane_rule or "corner",
        colors=chosen_colors(arguments.colors),
    )


def _common(arguments: argparse.Namespace, atlas: Atlas) -> dict[str, Any]:
    return {
        "destination": arguments.out,
        "overwrite": arguments.overwrite,
        "atlas": atlas,
        "resolution_um": arguments.resolution,
        "rule": arguments.rule,
    }


def _screenshot(arguments: argparse.Namespace) -> int:
    factor = 1 if arguments.size_factor is None else arguments.size_factor
    if not 1 <= factor <= _LARGEST_FACTOR:
        raise StriaError(f"--size-factor is a whole number from 1 to {_LARGEST_FACTOR}.")
    # Loaded when it is first used: the other exports need no window.
    from napari_stria.viewer.view_picture import save_view_picture

    path, problem = save_view_picture(
        Path(arguments.atlas),
        arguments.out,
        factor=factor,
        window=arguments.window,
        overwrite=arguments.overwrite,
    )
    print(path)
    if problem:
        note(problem)
    return EXIT_OK


# -- running ---------------------------------------------------------------------------------


class _Progress:
    """A progress line that begins anew with each thing that is done."""

    def __init__(self) -> None:
        self._what = ""
        self._line = ProgressLine("")

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what, self._line = what, ProgressLine(what)
        if total:
            self._line(done, total)

    def end(self) -> None:
        self._line.end()


def _run(request: Export) -> int:
    """Run an export and print each path when it is there."""
    from napari_stria.session.exporting import each_output

    progress, cancel = _Progress(), Event()
    written = 0
    try:
        for path in each_output(request, progress, cancel):
            progress.end()
            print(path, flush=True)
            written += 1
    except KeyboardInterrupt:
        cancel.set()  # for the threads that read
        if written:
            note(f"{written} files are whole; run the same command again to go on.")
        raise
    finally:
        progress.end()
    return EXIT_OK
