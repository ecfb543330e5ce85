"""The command line about saved views: ``view``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Add ``view`` to the command line's subparsers."""
    view = commands.add_parser("view", help="open a saved view in napari")
    view.add_argument("file", type=Path, metavar="FILE", help="a view, NAME.stria.json")
    view.add_argument(
        "--headless", action="store_true", help="in a virtual display; write a picture and end"
    )
    view.add_argument(
        "--picture", type=Path, default=Path("view.png"), help="where the picture is written"
    )
    view.set_defaults(run=_view)


def _view(arguments: argparse.Namespace) -> int:
    # Loaded when it is first used: the other commands need no window.
    from napari_stria.viewer.view_window import run_view

    return run_view(arguments.file, headless=arguments.headless, picture=arguments.picture)
