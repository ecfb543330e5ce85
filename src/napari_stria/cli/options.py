"""Options that several commands about sections share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_stria.io.allen_api import AllenApi


def add_bucket(parser: argparse.ArgumentParser) -> None:
    """Add ``--profile`` and ``--endpoint-url``, for s3:// addresses."""
    parser.add_argument(
        "--profile", metavar="NAME", help="for s3://: credentials of your AWS files (default: none)"
    )
    parser.add_argument(
        "--endpoint-url", metavar="URL", help="for s3://: a server other than Amazon's"
    )


def bucket_options(arguments: argparse.Namespace) -> dict[str, str] | None:
    """Return the storage options that `add_bucket` asked for; None if there are none."""
    said = {"profile": arguments.profile, "endpoint_url": arguments.endpoint_url}
    return {k: v for k, v in said.items() if v is not None} or None


def sizes_um(text: str) -> float | tuple[float, ...]:
    """Read a voxel size: one number, or three with commas between them (AP, DV, ML)."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no voxel size; give one number of um, or AP,DV,ML such as 25,20,20"
        ) from error
    return values[0] if len(values) == 1 else values


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
