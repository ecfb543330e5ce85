"""The command line about single images, and which datasets there are: ``image``, ``search``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.options import add_api, add_overwrite, open_api
from napari_stria.cli.output import EXIT_OK, ProgressLine, note, write_table

if TYPE_CHECKING:
    from napari_stria.io.allen_api import AllenApi, DatasetSummary


def add_commands(commands: Any) -> None:
    """Add ``image`` and ``search`` to the command line's subparsers."""
    _add_image(commands)
    _add_search(commands)


def _add_image(commands: Any) -> None:
    parser = commands.add_parser("image", help="fetch the image of a section, or a part of it")
    parser.add_argument("image", help="number of the section image")
    parser.add_argument(
        "--downsample", type=int, metavar="K", default=0, help="halve each side K times"
    )
    parser.add_argument(
        "--view",
        choices=["image", "expression", "projection"],
        default="image",
        help="which picture of the section (default: image)",
    )
    parser.add_argument(
        "--roi", type=_roi, metavar="L,T,W,H", help="left, top, width, height; full-size pixels"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=".png, .jpg or .tif (default: <number>.png)"
    )
    add_overwrite(parser)
    add_api(parser)
    parser.set_defaults(run=_image)


def _add_search(commands: Any) -> None:
    parser = commands.add_parser("search", help="find section datasets by gene")
    parser.add_argument("--gene", required=True, help="acronym; * stands for any characters")
    parser.add_argument(
        "--plane", choices=["coronal", "sagittal"], help="sections cut in this plane only"
    )
    parser.add_argument("--product", default="Mouse", help="default: Mouse; 'any' for all")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    add_api(parser)
    parser.set_defaults(run=_search)


def _roi(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not left,top,width,height in whole pixels, such as 0,0,512,512"
        )
    return numbers


def _image(arguments: argparse.Namespace) -> int:
    from napari_stria.io.allen_checks import checked_id
    from napari_stria.io.pictures import check_picture_path, write_picture

    number = checked_id(arguments.image, "section image")
    path = arguments.out or Path(f"{number}.png")
    check_picture_path(path, overwrite=arguments.overwrite)
    picture = open_api(arguments).section_image(
        number,
        downsample=arguments.downsample,
        view=arguments.view,
        roi=arguments.roi,
    )
    write_picture(path, picture)
    print(f"{picture.shape[1]} x {picture.shape[0]} pixels in {path}")
    return EXIT_OK


def _search(arguments: argparse.Namespace) -> int:
    import pandas as pd

    api = open_api(arguments)
    product = None if arguments.product.lower() == "any" else arguments.product
    found = api.search_datasets(gene=arguments.gene, plane=arguments.plane, product=product)
    columns = ["dataset", "genes", "plane", "products", "age", "thickness_um", "space", "sections"]
    frame = pd.DataFrame([_search_row(row) for row in _counted(api, found)], columns=columns)
    if found or arguments.csv is not None:
        write_table(frame, arguments.csv)
    if not found:
        note("no dataset fits; * stands for any characters of a gene's acronym.")
    return EXIT_OK


def _counted(api: AllenApi, found: list[DatasetSummary]) -> list[DatasetSummary]:
    """Return the rows with their numbers of sections, each of which is a request of its own."""
    from napari_stria.core.daemons import DaemonPool

    pool, progress = DaemonPool(api.max_concurrent), ProgressLine("counting sections")
    try:
        jobs = [pool.submit(api.section_count, row.id) for row in found]
        rows: list[DatasetSummary] = []
        for row, job in zip(found, jobs, strict=True):
            rows.append(replace(row, section_count=job.result()))
            progress(len(rows), len(jobs))
    finally:
        pool.shutdown(cancel_futures=True)
        progress.end()
    return rows


def _search_row(row: DatasetSummary) -> dict[str, Any]:
    return {
        "dataset": row.id,
        "genes": "/".join(row.genes),
        "plane": row.plane or "-",
        "products": "/".join(row.products),
        "age": row.age or "-",
        "thickness_um": row.section_thickness_um,
        "space": row.reference_space_id,
        "sections": row.section_count,
    }
