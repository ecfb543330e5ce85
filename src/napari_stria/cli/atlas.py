"""The command line about atlases: ``info``, ``regions`` and ``volumes``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.options import add_bucket, bucket_options, sizes_um
from napari_stria.cli.output import EXIT_OK, ProgressLine, write_table
from napari_stria.errors import VoxelSizeMissingError

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.atlas import Atlas

_REGION_HELP = "an acronym, name or pattern such as 'RSP*'; may be repeated"


def add_commands(commands: Any) -> None:
    """Add ``info``, ``regions`` and ``volumes`` to the command line's subparsers."""
    info = commands.add_parser("info", help="say what an atlas is; no voxel is read")
    _atlas_arguments(info)
    info.set_defaults(run=_info)

    regions = commands.add_parser("regions", help="list the regions of an atlas")
    _atlas_arguments(regions)
    regions.add_argument("--region", action="append", metavar="TEXT", help=_REGION_HELP)
    regions.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    regions.set_defaults(run=_regions)

    volumes = commands.add_parser("volumes", help="count every region of an atlas")
    _atlas_arguments(volumes)
    volumes.add_argument("--region", action="append", metavar="TEXT", help=_REGION_HELP)
    volumes.add_argument("--resolution", type=float, metavar="UM", help="voxel size to count at")
    volumes.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    volumes.set_defaults(run=_volumes)


def _atlas_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "atlas",
        help="a name such as allen_mouse_25um, or the address of an annotation: an OME-Zarr, a "
        "zarr array or a zip of one, Allen's NRRD",
    )
    parser.add_argument(
        "--root", help="https:// or s3:// address or folder of the atlases (default: BrainGlobe's)"
    )
    parser.add_argument(
        "--terminology", help="with an address: that of the terminology.csv (or structure graph)"
    )
    parser.add_argument(
        "--voxel-size",
        type=sizes_um,
        metavar="UM",
        help="of an array that does not state it; one number, or AP,DV,ML",
    )
    parser.add_argument("--sha256", metavar="HEX", help="digest that a zip or NRRD must have")
    add_bucket(parser)
    parser.add_argument("--atlas-version", help="version of the atlas (default: the newest)")


def _opened(arguments: argparse.Namespace) -> Atlas:
    from napari_stria.io.opening import open_atlas

    progress = ProgressLine(f"opening {arguments.atlas}")
    try:
        return open_atlas(
            arguments.atlas,
            root=arguments.root,
            terminology=arguments.terminology,
            version=arguments.atlas_version,
            resolution_um=arguments.voxel_size,
            sha256=arguments.sha256,
            storage_options=bucket_options(arguments),
            progress=progress,
        )
    except VoxelSizeMissingError as error:
        raise VoxelSizeMissingError(
            f"{arguments.atlas} does not say its voxel size; give it, e.g. --voxel-size 25."
        ) from error
    finally:
        progress.end()


def _info(arguments: argparse.Namespace) -> int:
    atlas = _opened(arguments)
    print(f"{atlas.name}: {len(atlas.ontology)} regions, axes {atlas.space} (AP, DV, ML)")
    for level in atlas.annotation.levels:
        size = " x ".join(f"{s:g}" for s in level.scale_um)
        chunk = " x ".join(str(c) for c in level.reader.chunk_shape)
        print(f"  annotation {size} um: {level.shape} {level.dtype}, chunks {chunk}")
    for name, template in atlas.templates.items():
        sizes = ", ".join(f"{lv.scale_um[0]:g}" for lv in template.levels)
        print(f"  template {name}: {sizes} um")
    for key, value in atlas.metadata.items():
        print(f"  {key}: {value}")
    return EXIT_OK


def _regions(arguments: argparse.Namespace) -> int:
    atlas = _opened(arguments)
    frame = atlas.ontology.to_dataframe().drop(columns=["rgb_triplet", "structure_id_path"])
    write_table(_picked(frame, atlas, arguments.region), arguments.csv)
    return EXIT_OK


def _volumes(arguments: argparse.Namespace) -> int:
    from napari_stria.core.regions import region_table

    atlas = _opened(arguments)
    progress = ProgressLine(f"counting {atlas.name}")
    table = region_table(atlas, arguments.resolution, progress=progress)
    progress.end()
    frame = _picked(table, atlas, arguments.region).reset_index()
    shown = [column for column in _SHOWN if column in frame]
    write_table(frame if arguments.csv else frame[shown], arguments.csv)
    size = " x ".join(f"{s:g}" for s in table.attrs["resolution_um"])
    note = f"counted at {size} um; axes {atlas.space}"
    if table.attrs["unlisted_voxels"]:
        note += f"; {table.attrs['unlisted_voxels']} voxels have labels that the ontology lacks"
    print(note, file=sys.stderr)
    return EXIT_OK


# A terminal shows these as far as a table has them; a file has all columns.
_SHOWN = [
    "id", "acronym", "name", "voxels", "volume_mm3", "left_mm3", "right_mm3", "unsided_mm3",
]  # fmt: skip


def _picked(frame: pd.DataFrame, atlas: Atlas, texts: list[str] | None) -> pd.DataFrame:
    """Return the rows of the regions that were asked; all of them by default."""
    if not texts:
        return frame
    ids: list[int] = []
    for text in texts:
        is_pattern = any(c in text for c in "*?[")
        found = atlas.ontology.search(text) if is_pattern else [atlas.ontology[text]]
        if not found:
            from napari_stria.errors import RegionNotFoundError

            raise RegionNotFoundError(f"no region fits {text!r}; try another pattern.")
        ids += [s.id for s in found]
    return frame.loc[list(dict.fromkeys(ids))]
