"""The command line about files of the Allen Institute: ``download-annotation``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_stria.cli.options import add_overwrite
from napari_stria.cli.output import EXIT_OK, ProgressLine, note
from napari_stria.io.allen_annotations import RESOLUTIONS_UM, VERSIONS


def add_commands(commands: Any) -> None:
    """Add ``download-annotation`` to the command line's subparsers."""
    download = commands.add_parser(
        "download-annotation",
        help="download Allen's annotation volume; goes on with what was interrupted",
    )
    download.add_argument(
        "--resolution",
        type=float,
        default=25,
        metavar="UM",
        help=f"{', '.join(map(str, RESOLUTIONS_UM))} (default: 25)",
    )
    download.add_argument(
        "--ccf-version",
        default="ccf_2017",
        metavar="NAME",
        help=f"{', '.join(VERSIONS)} (default: ccf_2017)",
    )
    download.add_argument(
        "--out", type=Path, metavar="FILE", help="file or folder (default: in the cache folder)"
    )
    download.add_argument("--base-url", metavar="URL", help="another server than Allen's")
    add_overwrite(download)
    download.set_defaults(run=_download)


def _download(arguments: argparse.Namespace) -> int:
    from napari_stria.io.allen_downloads import fetch_annotation
    from napari_stria.io.fetched_record import read_record

    line = ProgressLine("downloading the annotation, kB")
    try:
        path = fetch_annotation(
            arguments.resolution,
            arguments.out,
            version=arguments.ccf_version,
            base_url=arguments.base_url,
            overwrite=arguments.overwrite,
            progress=lambda done, total: line(-(-done // 1000), -(-total // 1000)),
        )
    except KeyboardInterrupt:
        note("what has arrived stays; the same command goes on from there")
        raise
    finally:
        line.end()
    print(path)
    record = read_record(path)
    if record is not None:
        print(f"{record.bytes / 1e6:.1f} MB, sha256 {record.sha256}")
    return EXIT_OK
