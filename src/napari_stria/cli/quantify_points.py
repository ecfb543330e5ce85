"""``quantify points``: how many points of a file lie in each region."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.atlas_options import opened_atlas
from napari_stria.cli.output import EXIT_OK, note
from napari_stria.cli.quantify_maps import asked_transform
from napari_stria.cli.quantify_tables import (
    add_measure,
    asked_level,
    check_outputs,
    deliver,
    measured,
    numbers,
)

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.point_set import PointSet
    from napari_stria.core.transforms import F64

_SHOWN = (
    "count", "count_direct", "count_left", "count_right", "count_unsided", "density_mm3",
)  # fmt: skip


def add_points(actions: Any) -> None:
    """Add ``points`` to the subparsers of ``quantify``."""
    parser = actions.add_parser(
        "points", help="count points (cells) in each region, and their density"
    )
    parser.add_argument(
        "file", type=Path, help="CSV, cellfinder's XML or YAML, napari's Points as CSV, or .npy"
    )
    parser.add_argument(
        "--unit", choices=["um", "mm", "voxel"], help="of the points, where the file does not say"
    )
    parser.add_argument(
        "--voxel-um",
        type=numbers("size of a voxel"),
        metavar="A,B,C",
        help="of points in voxels: their size along the file's axes (z,y,x), or one for all; of "
        "a section's points in um: the size of its pixels (x,y)",
    )
    parser.add_argument(
        "--space",
        metavar="ASR",
        help="where each axis of the file starts, e.g. psl (default: as in the atlas)",
    )
    parser.add_argument(
        "--image-shape",
        type=numbers("shape", int),
        metavar="A,B,C",
        help="voxels of the image that the points were found in, about which --space turns "
        "(default: the atlas's box)",
    )
    parser.add_argument(
        "--columns",
        metavar="A,B,C",
        help="of a CSV: the columns of the coordinates, in the order of its axes",
    )
    parser.add_argument(
        "--counted-from",
        choices=["centre", "corner"],
        default="centre",
        help="where voxel 0 has the coordinate 0 (default: centre)",
    )
    parser.add_argument(
        "--transform",
        type=Path,
        metavar="FILE",
        help="a map from there to the atlas: NGFF transformations (RFC-5), JSON",
    )
    parser.add_argument(
        "--cells-only", action="store_true", help="of typed markers, those of type 2 (cells) alone"
    )
    parser.add_argument(
        "--per-point", type=Path, metavar="OUT.csv", help="write the region of each point as well"
    )
    add_measure(parser)
    parser.set_defaults(run=_points)


def _points(arguments: argparse.Namespace) -> int:
    from napari_stria.core.point_counts import count_points
    from napari_stria.io.point_files import read_points

    check_outputs(arguments, arguments.per_point)
    found = read_points(
        arguments.file,
        voxel_um=arguments.voxel_um,
        space=arguments.space,
        unit=arguments.unit,
        columns=None if arguments.columns is None else arguments.columns.split(","),
        counted_from=arguments.counted_from,
        cells_only=arguments.cells_only,
        features=arguments.per_point is not None,
    )
    for reason, number in found.dropped.items():
        note(f"{number} points were left out: {reason}")
    atlas = opened_atlas(arguments)
    to_atlas = asked_transform(arguments.transform, atlas.space)
    points_um = found.points_um(atlas, to_atlas, image_shape=arguments.image_shape)
    options = {
        "atlas": atlas,
        "points_um": points_um,
        "resolution_um": arguments.resolution,
        "parcellation": asked_level(arguments, atlas.ontology),
    }
    table = measured(arguments, f"counting {found.name}", count_points, **options)
    if arguments.per_point is not None:
        _write_points(arguments, found, points_um, options)
    deliver(
        arguments,
        atlas,
        table,
        source=found.name,
        amount="count",
        shown=_SHOWN,
        sort_by="count",
    )
    return EXIT_OK


def _write_points(
    arguments: argparse.Namespace, found: PointSet, points_um: F64, options: dict[str, Any]
) -> None:
    """Write a row a point: where it lies, what the file says of it, and its region."""
    import pandas as pd

    from napari_stria.core.point_regions import point_regions
    from napari_stria.io.staging import staged

    regions: pd.DataFrame = measured(
        arguments, f"regions of {found.name}", point_regions, **options
    )
    places = pd.DataFrame(points_um, columns=["ap_um", "dv_um", "ml_um"])
    others = found.features.drop(columns=[*places, *regions], errors="ignore")
    frame = pd.concat([part.reset_index(drop=True) for part in (places, regions, others)], axis=1)
    with staged([arguments.per_point], overwrite=arguments.overwrite) as (place,):
        # By its name: a table of ten million rows is written piece by piece.
        frame.to_csv(place, index=False, lineterminator="\n")
    print(arguments.per_point)
