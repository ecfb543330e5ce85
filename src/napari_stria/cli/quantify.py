"""The command line about numbers per region: ``quantify points|image|labels|expression``."""

from __future__ import annotations

from typing import Any

from napari_stria.cli.quantify_arrays import add_arrays
from napari_stria.cli.quantify_expression import add_expression
from napari_stria.cli.quantify_points import add_points

_TEXT = (
    "Measure points, images, label images or the gene expression of a dataset in each region of an "
    "atlas. Without --output the regions with anything in them are listed, the largest numbers "
    "first."
)


def add_commands(commands: Any) -> None:
    """Add ``quantify`` to the command line's subparsers."""
    parser = commands.add_parser(
        "quantify", help="measure points, images, labels or expression by region", description=_TEXT
    )
    actions = parser.add_subparsers(title="what is measured", required=True, metavar="WHAT")
    add_points(actions)
    add_arrays(actions)
    add_expression(actions)
