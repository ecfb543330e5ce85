"""The command line about registered images: ``warp`` resamples one onto the atlas's grid."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stria.cli.atlas_options import add_atlas, opened_atlas
from napari_stria.cli.channels import add_channel, channel_of
from napari_stria.cli.options import add_overwrite
from napari_stria.cli.output import EXIT_OK
from napari_stria.errors import StriaError, plain_text

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.transforms import CoordinateTransform
    from napari_stria.io.section_files import SectionImage

IMAGE_HELP = "TIFF, OME-TIFF, PNG or JPEG"


def add_commands(commands: Any) -> None:
    """Add ``warp`` to the command line's subparsers."""
    parser = commands.add_parser("warp", help="resample a registered image onto the atlas's grid")
    parser.add_argument("image", type=Path, help=IMAGE_HELP)
    parser.add_argument("out", type=Path, help=".tif or .png")
    parser.add_argument(
        "--chain",
        type=Path,
        required=True,
        metavar="FILE",
        help="the image's map to the atlas: NGFF transformations (RFC-5), JSON",
    )
    add_atlas(parser, option=True)
    add_channel(parser, "one of several, by its name or from 0 (default: all)")
    add_resolution(parser)
    add_overwrite(parser)
    parser.set_defaults(run=_warp)


def add_resolution(parser: argparse.ArgumentParser) -> None:
    """Add ``--resolution``."""
    parser.add_argument(
        "--resolution",
        type=float,
        metavar="UM",
        default=25.0,
        help="pixel size of the warped image (default: 25)",
    )


def _warp(arguments: argparse.Namespace) -> int:
    from napari_stria.io.free_places import check_free
    from napari_stria.io.image_files import check_image_path
    from napari_stria.io.section_files import open_section_image
    from napari_stria.io.transform_files import read_transform

    check_image_path(arguments.out)
    check_free(arguments.out, overwrite=arguments.overwrite)
    try:
        chain = read_transform(arguments.chain)
    except FileNotFoundError as error:
        raise StriaError(f"{arguments.chain} is not there; give the file of a chain.") from error
    except OSError as error:
        raise StriaError(
            f"{arguments.chain} cannot be read ({plain_text(error)}); give the file of a chain."
        ) from error
    if (chain.n_in, chain.n_out) != (2, 3):
        raise StriaError(f"{arguments.chain} is no map from a section to an atlas.")
    with closing(open_section_image(arguments.image)) as image:
        atlas = opened_atlas(arguments)
        # Again: now it is known which way the atlas's axes go.
        chain = read_transform(arguments.chain, space=atlas.space)
        data = encode_warped(
            arguments.out,
            image,
            chain,
            atlas,
            resolution_um=arguments.resolution,
            channel=channel_of(image, arguments.channel),
        )
    write_warped(arguments.out, data, overwrite=arguments.overwrite)
    print(arguments.out)
    return EXIT_OK


def encode_warped(
    path: Path,
    image: SectionImage,
    chain: CoordinateTransform,
    atlas: Atlas,
    *,
    resolution_um: float,
    channel: int | None = None,
) -> bytes:
    """Warp the level of an image that suits a resolution, and return the bytes of its file.

    Parameters
    ----------
    path : Path
        Its suffix says in which format.
    image : SectionImage
    chain : CoordinateTransform
        Pixels (x, y) of the image, counted from its corner, to atlas um.
    atlas : Atlas
    resolution_um : float
    channel : int, optional
        All by default.
    """
    from napari_stria.io.image_files import encode_image
    from napari_stria.registration.section_warp import warp_section

    height, width = image.shape_hw
    middle = np.array([width / 2, height / 2])
    steps = chain(middle + np.array([[1.0, 0.0], [0.0, 1.0]])) - chain(middle)
    pixel_um = float(np.linalg.norm(steps, axis=1).max())
    level = image.level_for(resolution_um / pixel_um)
    warped = warp_section(
        _pixels(image, level, channel),
        chain,
        atlas,
        resolution_um,
        size_px=(width, height),
    )
    return encode_image(path, np.asarray(warped), resolution_um, is_rgb=image.is_rgb)


def write_warped(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write the file of a warped image, all of it or nothing."""
    from napari_stria.io.staging import staged

    with staged([path], overwrite=overwrite) as (place,):
        place.write_bytes(data)


def _pixels(image: SectionImage, level: int, channel: int | None) -> np.ndarray[Any, Any]:
    """Return a level with all channels, or one of them."""
    if image.is_rgb or channel is not None or len(image.channels) == 1:
        return image.read(level, channel=channel)
    planes = [image.read(level, channel=number) for number in range(len(image.channels))]
    return np.stack(planes, axis=-1)
