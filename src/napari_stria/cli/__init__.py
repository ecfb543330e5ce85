"""The command line: ``napari-stria COMMAND``; atlases, section datasets and the demo."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from napari_stria import __version__
from napari_stria.cli import (
    atlas,
    downloads,
    exports,
    images,
    offline,
    quantify,
    registering,
    sections,
    series,
    view,
    warping,
)
from napari_stria.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, note, settle
from napari_stria.errors import ResolutionWarning, SectionSkippedWarning, StriaError, plain_text

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a `StriaError` becomes one sentence."""
    code = _run(_parser().parse_args(argv))
    if code != EXIT_OK:
        settle()
    return code


def _run(arguments: argparse.Namespace) -> int:
    try:
        with warnings.catch_warnings():
            for category in (ResolutionWarning, SectionSkippedWarning):
                warnings.filterwarnings("always", category=category)
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
    except StriaError as error:
        note(plain_text(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        note("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); there is nobody left to tell.
        sys.stderr.close()
        return EXIT_OK
    return code


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    note(str(message))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-stria",
        description="Explore brain atlases and fetch histology sections from the command line.",
    )
    parser.add_argument("--version", action="version", version=f"napari-stria {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="open the practice brain in napari")
    demo.add_argument(
        "--headless", action="store_true", help="in a virtual display; write a picture and end"
    )
    demo.add_argument(
        "--picture", type=Path, default=Path("demo.png"), help="where the picture is written"
    )
    demo.set_defaults(run=_demo)
    atlas.add_commands(commands)
    sections.add_commands(commands)
    images.add_commands(commands)
    series.add_commands(commands)
    registering.add_commands(commands)
    warping.add_commands(commands)
    quantify.add_commands(commands)
    offline.add_commands(commands)
    downloads.add_commands(commands)
    exports.add_commands(commands)
    view.add_commands(commands)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from napari_stria.viewer.demo import run_demo

    return run_demo(headless=arguments.headless, picture=arguments.picture)
