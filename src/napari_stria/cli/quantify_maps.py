"""Which map to the atlas the arrays and points of ``quantify`` have, as its options say it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_stria.errors import StriaError, plain_text

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.transforms import CoordinateTransform
    from napari_stria.session.section_file_maps import MapOf


def add_maps(parser: argparse.ArgumentParser) -> None:
    """Add ``--transform``, ``--registration``, ``--series`` and ``--linear``."""
    maps = parser.add_mutually_exclusive_group()
    maps.add_argument(
        "--transform",
        type=Path,
        metavar="FILE",
        help="the map of a section or a volume to the atlas: NGFF transformations (RFC-5), JSON",
    )
    maps.add_argument(
        "--registration",
        type=Path,
        metavar="FILE",
        help="a .stria-registration.json that has the images",
    )
    maps.add_argument(
        "--series",
        type=Path,
        metavar="FILE",
        help="a series of QuickNII, VisuAlign or DeepSlice that has the images, by their names or "
        "numbers (_s012)",
    )
    parser.add_argument(
        "--linear", action="store_true", help="of a series: leave VisuAlign's markers out"
    )


def asked_transform(path: Path | None, space: str) -> CoordinateTransform | None:
    """Return the map in a file; None without one.

    Raises
    ------
    StriaError
        If it is no such file, or does not lead into an atlas of this space.
    """
    from napari_stria.io.transform_files import read_transform

    if path is None:
        return None
    try:
        chain = read_transform(path, space=space)
    except OSError as error:
        if isinstance(error, StriaError):
            raise
        reason = "it is not there" if isinstance(error, FileNotFoundError) else plain_text(error)
        raise StriaError(
            f"{path} cannot be read ({reason}); give the file of a transformation."
        ) from error
    if chain.n_out != 3:
        raise StriaError(f"{path} leads to {chain.n_out} coordinates, and so to no atlas.")
    return chain


def asked_maps(arguments: argparse.Namespace, atlas: Atlas) -> MapOf | None:
    """Return what finds the map of each image of ``--registration`` or ``--series``."""
    from napari_stria.session.section_file_maps import maps_of_registration, maps_of_series

    if arguments.registration is not None:
        return maps_of_registration(arguments.registration, atlas)
    if arguments.series is not None:
        return maps_of_series(arguments.series, atlas, nonlinear=not arguments.linear)
    return None
