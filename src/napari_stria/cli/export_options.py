"""Options of the commands that export: which regions, which voxels, in which colours."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.groups import asked_groups, read_groups, split_texts
from napari_stria.cli.options import sizes_um
from napari_stria.errors import StriaError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.parcellation import Parcellation
    from napari_stria.core.selection import RegionLike

_RULES = ("centre", "majority", "allensdk")
DEFAULT_FORMAT = "nrrd"
_AXES = {"0": "AP", "1": "DV", "2": "ML"}


def add_regions(parser: argparse.ArgumentParser) -> None:
    """Add ``--region``."""
    parser.add_argument(
        "--region",
        action="append",
        metavar="TEXT",
        help="an acronym, name, id, pattern such as 'RSP*' or group:NAME of --groups; may be "
        "repeated",
    )


def add_sets(parser: Any, set_help: str, groups_help: str) -> None:
    """Add ``--set`` and ``--groups`` to a parser or group of options."""
    parser.add_argument("--set", type=int, metavar="ID", help=set_help)
    parser.add_argument("--groups", type=Path, metavar="FILE", help=groups_help)


def add_voxels(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add ``--resolution`` and ``--rule``."""
    parser.add_argument(
        "--resolution",
        type=sizes_um,
        metavar="UM",
        required=required,
        help="voxel size, one number or AP,DV,ML"
        + ("" if required else " (default: the atlas's own)"),
    )
    parser.add_argument(
        "--rule",
        choices=_RULES,
        help="how voxels of another --resolution are made (default: "
        + ("centre)" if required else "the stored level, else centre)"),
    )


def add_out(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """Add ``--out`` and ``--overwrite``."""
    parser.add_argument("--out", type=Path, metavar=metavar, required=True, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def add_masks(parser: argparse.ArgumentParser) -> None:
    """Add ``--direct`` and ``--format``."""
    parser.add_argument(
        "--direct",
        action="store_true",
        help="masks of the own voxels of regions and groups, without those of the regions in them",
    )
    parser.add_argument(
        "--format", choices=["nrrd", "ome-zarr"], help=f"of masks (default: {DEFAULT_FORMAT})"
    )


def add_plane(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add ``--axis``, ``--position`` and ``--colors``."""
    parser.add_argument(
        "--axis",
        type=_axis,
        required=required,
        metavar="AXIS",
        help="that the plane is perpendicular to: AP, DV or ML, or 0, 1 or 2",
    )
    parser.add_argument(
        "--position",
        type=float,
        required=required,
        metavar="UM",
        help="of the plane, from the outer corner of the atlas",
    )
    parser.add_argument(
        "--colors",
        metavar="COLORS",
        help="atlas (default), tab20, or FILE.json with colours by region id: "
        '{"385": [8, 133, 140]}',
    )


def _axis(text: str) -> str:
    name = _AXES.get(text, text.upper())
    if name not in _AXES.values():
        raise argparse.ArgumentTypeError(f"{text!r} is no axis; give AP, DV or ML, or 0, 1 or 2")
    return name


# -- what was asked for ----------------------------------------------------------------------


def chosen_regions(arguments: argparse.Namespace, atlas: Atlas) -> tuple[RegionLike, ...]:
    """Return the regions of ``--region`` and the groups of ``--groups``, each once."""
    from napari_stria.session.typed_values import typed_regions

    regions: list[RegionLike] = []
    named, texts = split_texts(arguments.region)
    for text in texts:
        regions += typed_regions(text, atlas.ontology)
    regions += asked_groups(arguments.groups, named, atlas.ontology)
    return tuple(dict.fromkeys(regions))


def chosen_parcellation(arguments: argparse.Namespace, atlas: Atlas) -> Parcellation | None:
    """Return the parcels of ``--depth``, ``--set`` or ``--groups``; None for the regions."""
    from napari_stria.core import parcellation

    named, others = split_texts(arguments.region)
    if arguments.depth is not None:
        return parcellation.parcellation_at_depth(atlas.ontology, arguments.depth)
    if arguments.set is not None:
        return parcellation.parcellation_of_set(atlas.ontology, arguments.set)
    if arguments.groups is not None and not named and not others:
        groups = read_groups(arguments.groups, atlas.ontology)
        return parcellation.parcellation_of_groups(
            atlas.ontology, groups, title=arguments.groups.stem
        )
    return None


def check_together(arguments: argparse.Namespace) -> None:
    """Refuse options of ``export`` that do nothing together, before an atlas is opened.

    Raises
    ------
    StriaError
        If regions are named beside ``--depth`` or ``--set``, if ``--direct`` is given for these,
        which have their own voxels anyway, or ``--rule`` without ``--resolution``.
    """
    option = "--depth" if arguments.depth is not None else "--set"
    if arguments.depth is not None or arguments.set is not None:
        if arguments.region:
            raise StriaError(f"--region cannot be given with {option}; leave one of them out.")
        if arguments.direct:
            raise StriaError(
                f"--direct is for regions and groups; masks with {option} hold a region's own "
                "voxels already, so leave it out."
            )
    check_rule(arguments)


def check_rule(arguments: argparse.Namespace) -> None:
    """Refuse ``--rule`` without ``--resolution``.

    Raises
    ------
    StriaError
        If it is given so.
    """
    if arguments.rule is not None and arguments.resolution is None:
        raise StriaError(
            "--rule says how voxels of another size are made; give that size: --resolution UM."
        )


def chosen_colors(text: str | None) -> str | Mapping[int, Sequence[int]]:
    """Return the name of a palette (by default the atlas's), or the colours of a JSON file."""
    if text is None:
        return "atlas"
    if not text.lower().endswith(".json"):
        return text
    from napari_stria.io.color_files import read_colors

    return read_colors(Path(text))


def needed(value: Any, option: str, what: str) -> Any:
    """Return the value of an option that only one of several exports needs.

    Raises
    ------
    StriaError
        If it was not given.
    """
    if value is None:
        raise StriaError(f"{what} needs {option}.")
    return value
