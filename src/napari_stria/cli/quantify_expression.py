"""``quantify expression``: the gene expression of an Allen dataset in each region."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_stria.cli.atlas_options import opened_atlas
from napari_stria.cli.options import open_api
from napari_stria.cli.output import EXIT_INTERRUPTED, EXIT_OK, note
from napari_stria.cli.quantify_tables import (
    add_measure,
    asked_level,
    check_outputs,
    deliver,
    measured,
)

_SHOWN = (
    "pixels", "expression_density", "expression_intensity", "expression_energy",
    "expression_energy_left", "expression_energy_right",
)  # fmt: skip


def add_expression(actions: Any) -> None:
    """Add ``expression`` to the subparsers of ``quantify``."""
    parser = actions.add_parser(
        "expression", help="expression density, intensity and energy of an Allen dataset"
    )
    parser.add_argument("dataset", help="number of the dataset, e.g. 79556706")
    parser.add_argument(
        "--tier",
        type=int,
        metavar="N",
        help="use images reduced by 2^N (default: pixels of nearly 4 um)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="VALUE",
        help="a pixel expresses if its expression view is brighter, 0 to 254",
    )
    parser.add_argument(
        "--intensity",
        choices=["auto", "dark", "bright"],
        default="auto",
        help="what is strong in the images: dark stains or bright ones (default: as its records "
        "say, else dark)",
    )
    parser.add_argument(
        "--mirrored",
        action="store_true",
        help="exchange left and right, for sagittal sections of reference space 10",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="keep each section there, to go on later"
    )
    add_measure(parser)
    parser.set_defaults(run=_expression)


def _expression(arguments: argparse.Namespace) -> int:
    from napari_stria.core.expression import DEFAULT_THRESHOLD
    from napari_stria.session.expression_table import expression_table

    check_outputs(arguments)
    api = open_api(arguments)
    atlas = opened_atlas(arguments)
    dataset = api.section_dataset(arguments.dataset)
    said = arguments.threshold
    try:
        table = measured(
            arguments,
            f"dataset {dataset.id}",
            expression_table,
            dataset=dataset,
            api=api,
            atlas=atlas,
            tier=arguments.tier,
            resolution_um=arguments.resolution,
            threshold=DEFAULT_THRESHOLD if said is None else said,
            intensity=arguments.intensity,
            parcellation=asked_level(arguments, atlas.ontology),
            mirrored=arguments.mirrored,
            folder=arguments.folder,
        )
    except KeyboardInterrupt:
        if arguments.folder is None:
            raise
        note(f"interrupted; run the same command again to go on from {arguments.folder}.")
        return EXIT_INTERRUPTED
    genes = "/".join(dataset.genes)
    deliver(
        arguments,
        atlas,
        table,
        source=f"dataset {dataset.id}{f' ({genes})' if genes else ''}",
        amount="pixels",
        shown=_SHOWN,
        sort_by="expression_energy",
    )
    return EXIT_OK
