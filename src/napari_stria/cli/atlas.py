"""The command line about atlases: ``info``, ``regions`` and ``volumes``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.atlas_options import add_atlas, opened_atlas
from napari_stria.cli.groups import asked_groups
from napari_stria.cli.output import EXIT_OK, ProgressLine, write_table
from napari_stria.cli.parcels import (
    add_parcels,
    asked_parcellation,
    parcels_note,
    picked_parcels,
)

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.atlas import Atlas
    from napari_stria.core.ontology import Ontology

_REGION_HELP = "an acronym, name or pattern such as 'RSP*'; may be repeated"


def add_commands(commands: Any) -> None:
    """Add ``info``, ``regions`` and ``volumes`` to the command line's subparsers."""
    info = commands.add_parser("info", help="say what an atlas is; no voxel is read")
    add_atlas(info)
    info.set_defaults(run=_info)

    regions = commands.add_parser("regions", help="list the regions of an atlas")
    add_atlas(regions)
    regions.add_argument("--region", action="append", metavar="TEXT", help=_REGION_HELP)
    regions.add_argument(
        "--set", action="append", type=int, metavar="ID", help="a structure set; may be repeated"
    )
    regions.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    regions.set_defaults(run=_regions)

    volumes = commands.add_parser("volumes", help="count every region of an atlas")
    add_atlas(volumes)
    volumes.add_argument(
        "--region", action="append", metavar="TEXT", help=f"{_REGION_HELP}; group:NAME of --groups"
    )
    volumes.add_argument("--resolution", type=float, metavar="UM", help="voxel size to count at")
    volumes.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    add_parcels(volumes)
    volumes.set_defaults(run=_volumes)


def _info(arguments: argparse.Namespace) -> int:
    atlas = opened_atlas(arguments)
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
    ontology = opened_atlas(arguments).ontology
    frame = ontology.to_dataframe().drop(columns=["rgb_triplet", "structure_id_path"])
    frame["structure_set_ids"] = [";".join(map(str, ids)) for ids in frame["structure_set_ids"]]
    if arguments.set is not None:
        frame = frame.loc[[s.id for s in ontology.in_set(arguments.set)]]
    frame = _picked(frame, ontology, arguments.region)
    if arguments.csv is None:
        # Most sources do not know these.
        said = frame[list(_FROM_ALLEN)].replace("", None).notna().any()
        frame = frame.drop(columns=said.index[~said])
    write_table(frame, arguments.csv)
    return EXIT_OK


_FROM_ALLEN = ("graph_id", "graph_order", "structure_set_ids")


def _volumes(arguments: argparse.Namespace) -> int:
    atlas = opened_atlas(arguments)
    table, said = _counted(arguments, atlas)
    frame = table.reset_index()
    shown = [column for column in _SHOWN if column in frame]
    write_table(frame if arguments.csv else frame[shown], arguments.csv)
    size = " x ".join(f"{s:g}" for s in table.attrs["resolution_um"])
    note = f"{said}counted at {size} um; axes {atlas.space}"
    if table.attrs["unlisted_voxels"]:
        note += f"; {table.attrs['unlisted_voxels']} voxels have labels that the ontology lacks"
    print(note, file=sys.stderr)
    return EXIT_OK


def _counted(arguments: argparse.Namespace, atlas: Atlas) -> tuple[pd.DataFrame, str]:
    """Return the table that was asked for, with its attributes, and what is to be said of it."""
    from napari_stria.core.group_table import group_table
    from napari_stria.core.parcellated import parcellated_table
    from napari_stria.core.regions import region_table

    resolution, progress = arguments.resolution, ProgressLine(f"counting {atlas.name}")
    groups = asked_groups(arguments.groups, arguments.region, atlas.ontology)
    parcels = None if groups else asked_parcellation(arguments, atlas.ontology)
    if groups:
        table = frame = group_table(atlas, groups, resolution, progress=progress)
        frame = frame if arguments.csv else frame.drop(columns="name")
        said = f"{len(groups)} groups, each the union of its regions; "
    elif parcels is None:
        table = region_table(atlas, resolution, progress=progress)
        frame, said = _picked(table, atlas.ontology, arguments.region), ""
    else:
        table = parcellated_table(atlas, parcels, resolution, progress=progress)
        frame, said = picked_parcels(table, arguments.region), f"{parcels_note(parcels, table)}; "
    progress.end()
    frame.attrs = table.attrs
    return frame, said


# A terminal shows these as far as a table has them; a file has all columns.
_SHOWN = [
    "group", "id", "acronym", "name",
    "voxels", "volume_mm3", "left_mm3", "right_mm3", "unsided_mm3",
]  # fmt: skip


def _picked(frame: pd.DataFrame, ontology: Ontology, texts: list[str] | None) -> pd.DataFrame:
    """Return those rows of a table that are of the regions that were asked; all by default."""
    if not texts:
        return frame
    ids: list[int] = []
    for text in texts:
        is_pattern = any(c in text for c in "*?[")
        found = ontology.search(text) if is_pattern else [ontology[text]]
        if not found:
            from napari_stria.errors import RegionNotFoundError

            raise RegionNotFoundError(f"no region fits {text!r}; try another pattern.")
        ids += [s.id for s in found]
    return frame.loc[[i for i in dict.fromkeys(ids) if i in frame.index]]
