"""Options that several commands about sections share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_stria.io.allen_api import AllenApi


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help="replace what is something else")


def add_api(parser: argparse.ArgumentParser) -> None:
    """Add ``--api``."""
    parser.add_argument("--api", metavar="URL", help="address of the Allen API")


def open_api(arguments: argparse.Namespace) -> AllenApi:
    """Return the API that is asked for; nothing is fetched."""
    from napari_stria.io.allen_api import AllenApi

    return AllenApi() if arguments.api is None else AllenApi(arguments.api)
