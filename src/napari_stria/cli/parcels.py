"""Options with which ``volumes`` counts larger regions: of a depth, a structure set, or groups."""

from __future__ import annotations

import argparse
import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.ontology import Ontology
    from napari_stria.core.parcellation import Parcellation


def add_parcels(
    parser: argparse.ArgumentParser,
    groups_help: str = "count the groups in a file, each as a union",
) -> None:
    """Add ``--depth``, ``--set`` and ``--groups``."""
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument(
        "--depth",
        type=int,
        metavar="N",
        help="the regions of this depth and above (the root is at 0), each voxel in one",
    )
    levels.add_argument(
        "--set",
        type=int,
        metavar="ID",
        help="count the regions of a structure set, e.g. 167587189 (Allen's summary structures)",
    )
    levels.add_argument("--groups", type=Path, metavar="FILE", help=groups_help)


def asked_parcellation(arguments: argparse.Namespace, ontology: Ontology) -> Parcellation | None:
    """Return the parcellation that `add_parcels` asked for; None for regions and groups."""
    from napari_stria.core.parcellation import parcellation_at_depth, parcellation_of_set

    if arguments.depth is not None:
        return parcellation_at_depth(ontology, arguments.depth)
    if arguments.set is not None:
        return parcellation_of_set(ontology, arguments.set)
    return None


def parcels_note(parcels: Parcellation, table: pd.DataFrame) -> str:
    """Return what is to be known of a table of parcels."""
    rest = table.attrs["voxels_in_no_parcel"]
    return f"{parcels.title}: {len(parcels)} parcels, each voxel in one; {rest} voxels in none"


def picked_parcels(frame: pd.DataFrame, texts: list[str] | None) -> pd.DataFrame:
    """Return the rows of the parcels whose acronym or name fits a text or pattern; all by default.

    Raises
    ------
    RegionNotFoundError
        If no parcel fits one of the texts.
    """
    if not texts:
        return frame
    kept: list[int] = []
    for text in texts:
        wanted = text.lower()
        found = [
            row
            for row, words in enumerate(zip(frame["acronym"], frame["name"], strict=True))
            if any(fnmatch.fnmatchcase(str(word).lower(), wanted) for word in words)
        ]
        if not found:
            from napari_stria.errors import RegionNotFoundError

            raise RegionNotFoundError(
                f"none of the {len(frame)} parcels of {frame.attrs['parcellation']} fits {text!r}."
            )
        kept += found
    return frame.iloc[list(dict.fromkeys(kept))]
