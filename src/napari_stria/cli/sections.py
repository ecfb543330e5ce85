"""The command line about section datasets: ``sections`` lists and exports them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.options import add_api, add_overwrite, open_api
from napari_stria.cli.output import EXIT_INTERRUPTED, EXIT_OK, ProgressLine, note, write_table
from napari_stria.errors import CoordinateError

if TYPE_CHECKING:
    from napari_stria.core.section import SectionDataset, SkippedSection


def add_commands(commands: Any) -> None:
    """Add ``sections`` to the command line's subparsers."""
    parser = commands.add_parser(
        "sections", help="list a section dataset, or export its sections aligned to the atlas"
    )
    parser.add_argument("dataset", help="number of the dataset, e.g. 79556706")
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="a folder for pictures, or a FILE.ome.zarr"
    )
    parser.add_argument(
        "--resolution",
        type=float,
        metavar="UM",
        default=25.0,
        help="pixel or voxel size of what is written (default: 25)",
    )
    parser.add_argument(
        "--view",
        choices=["image", "expression", "both"],
        default="image",
        help="which pictures to write (default: image)",
    )
    parser.add_argument(
        "--placement",
        choices=["exact", "parallel"],
        default="exact",
        help="in the sections' own planes, or in planes parallel to the atlas's axes",
    )
    parser.add_argument(
        "--tier", type=int, metavar="N", help="use images reduced by 2^N (pictures only)"
    )
    parser.add_argument(
        "--mirrored",
        action="store_true",
        help="exchange left and right, for sagittal sections of reference space 10",
    )
    axes = parser.add_mutually_exclusive_group()
    axes.add_argument("--space", metavar="ASR", help="where the atlas's axes start (default: asr)")
    axes.add_argument("--atlas", metavar="NAME", help="an atlas from which to take the axes")
    parser.add_argument("--root", help="URL or folder of the atlases (default: BrainGlobe's)")
    parser.add_argument(
        "--fields", action="store_true", help="also write displacement fields, .npy"
    )
    add_overwrite(parser)
    add_api(parser)
    parser.set_defaults(run=_sections)


def _sections(arguments: argparse.Namespace) -> int:
    if arguments.out is None:
        _print_dataset(open_api(arguments).section_dataset(arguments.dataset))
        return EXIT_OK
    as_volume = arguments.out.suffix.lower() == ".zarr"
    if as_volume and (arguments.fields or arguments.tier is not None):
        raise CoordinateError(
            "--fields and --tier are for folders of pictures; a volume takes each level from the "
            "tier that suits it."
        )
    progress = ProgressLine(f"dataset {arguments.dataset}")
    try:
        return (_export_stack if as_volume else _export_sections)(arguments, progress)
    except KeyboardInterrupt:
        of = f" after {progress.done} of {progress.total} steps" if progress.total else ""
        note(f"interrupted{of}; run the same command again to go on.")
        return EXIT_INTERRUPTED
    finally:
        progress.end()


def _space(arguments: argparse.Namespace) -> str:
    """Return where the atlas's axes start."""
    if arguments.atlas is None:
        return arguments.space or "asr"
    from napari_stria.io.opening import open_atlas
    from napari_stria.registration.chain import check_atlas

    atlas = open_atlas(arguments.atlas, root=arguments.root)
    check_atlas(atlas)
    return atlas.space


def _request(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what both kinds of export are asked for."""
    return {
        "resolution_um": arguments.resolution,
        "view": arguments.view,
        "placement": arguments.placement,
        "mirrored": arguments.mirrored,
        "space": _space(arguments),
        "overwrite": arguments.overwrite,
    }


def _export_sections(arguments: argparse.Namespace, progress: ProgressLine) -> int:
    from napari_stria.session.section_export import export_sections

    api = open_api(arguments)
    done = export_sections(
        api.section_dataset(arguments.dataset),
        api,
        arguments.out,
        tier=arguments.tier,
        fields=arguments.fields,
        progress=progress,
        **_request(arguments),
    )
    progress.end()
    kept = f" ({done.kept} were there already)" if done.kept else ""
    print(f"{done.written + done.kept} sections in {done.path}{kept}")
    _note_unreadable(done.unreadable, "the same command tries them again")
    return EXIT_OK


def _export_stack(arguments: argparse.Namespace, progress: ProgressLine) -> int:
    from napari_stria.session.stack_export import export_stack

    api = open_api(arguments)
    done = export_stack(
        api.section_dataset(arguments.dataset),
        api,
        arguments.out,
        progress=progress,
        **_request(arguments),
    )
    progress.end()
    print(f"volume in {done.path}" + ("" if done.written else " (it was complete already)"))
    _note_unreadable(done.unreadable, "remove the volume to try them again")
    return EXIT_OK


def _note_unreadable(unreadable: tuple[SkippedSection, ...], how: str) -> None:
    if unreadable:
        names = ", ".join(str(s.image_id) for s in unreadable)
        note(f"{len(unreadable)} images could not be read ({names}); {how}.")


def _print_dataset(dataset: SectionDataset) -> None:
    import pandas as pd

    facts = {
        "gene": "/".join(dataset.genes) or "-",
        "plane": dataset.plane,
        "reference space": dataset.reference_space_id,
        "section thickness": f"{dataset.section_thickness_um:g} um",
        "age": dataset.metadata.get("age") or "-",
        "failed": "yes" if dataset.failed else None,
        "sections": f"{len(dataset)}, one every {dataset.spacing_um:g} um",
    }
    print(f"dataset {dataset.id}")
    for name, value in facts.items():
        if value is not None:
            print(f"  {name}: {value}")
    rows = [
        {
            "number": s.section_number,
            "image": s.image_id,
            "coordinate_um": f"{s.coordinate_um:.1f}",
            "width": s.width,
            "height": s.height,
            "pixel_um": f"{s.pixel_size_um:g}",
            "expression": "yes" if s.has_expression else "no",
        }
        for s in dataset.sections
    ]
    write_table(pd.DataFrame(rows))
    for skipped in dataset.skipped:
        number = "-" if skipped.section_number is None else skipped.section_number
        print(f"skipped: section {number}, image {skipped.image_id}: {skipped.reason}")
