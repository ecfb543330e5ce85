"""Which atlas a command is about."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_stria.cli.options import add_api, add_bucket, bucket_options, open_api, sizes_um
from napari_stria.cli.output import ProgressLine, note
from napari_stria.errors import VoxelSizeMissingError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.ontology import Ontology


def add_atlas(
    parser: argparse.ArgumentParser, *, option: bool = False, required: bool = True
) -> None:
    """Add which atlas is meant, as the first argument or ``--atlas``, and how it is reached."""
    text = (
        "a name such as allen_mouse_25um, or the address of an annotation: an OME-Zarr, a "
        "zarr array or a zip of one, Allen's NRRD"
    )
    if option:
        parser.add_argument("--atlas", metavar="ATLAS", required=required, help=text)
    else:
        parser.add_argument("atlas", help=text)
    parser.add_argument(
        "--root", help="https:// or s3:// address or folder of the atlases (default: BrainGlobe's)"
    )
    parser.add_argument(
        "--terminology",
        help="with an address: that of the terminology.csv (or structure graph), or allen:1",
    )
    parser.add_argument(
        "--with-sets",
        metavar="ONTOLOGY",
        help="structure sets for an atlas that has none: allen:1, or the file of an ontology",
    )
    parser.add_argument(
        "--voxel-size",
        type=sizes_um,
        metavar="UM",
        help="of an array that does not state it; one number, or AP,DV,ML",
    )
    parser.add_argument("--sha256", metavar="HEX", help="digest that a zip or NRRD must have")
    add_bucket(parser)
    add_api(parser)
    parser.add_argument("--atlas-version", help="version of the atlas (default: the newest)")


def opened_atlas(arguments: argparse.Namespace) -> Atlas:
    """Open the atlas that `add_atlas` asked for.

    The structure sets that ``--set`` needs are looked up in the Allen API if the atlas has none.

    Raises
    ------
    StriaError
        See `napari_stria.open_atlas`.
    """
    from napari_stria.io.opening import open_atlas

    progress = ProgressLine(f"opening {arguments.atlas}")
    try:
        atlas = open_atlas(
            arguments.atlas,
            root=arguments.root,
            terminology=arguments.terminology,
            version=arguments.atlas_version,
            resolution_um=arguments.voxel_size,
            sha256=arguments.sha256,
            storage_options=bucket_options(arguments),
            progress=progress,
        )
    except VoxelSizeMissingError as error:
        raise VoxelSizeMissingError(
            f"{arguments.atlas} does not say its voxel size; give it, e.g. --voxel-size 25."
        ) from error
    finally:
        progress.end()
    if arguments.with_sets is not None:
        return _with_sets(atlas, arguments.with_sets)
    if getattr(arguments, "set", None) is not None and not atlas.ontology.structure_set_ids:
        return replace(atlas, ontology=_with_fetched_sets(arguments, atlas.ontology))
    return atlas


def _with_fetched_sets(arguments: argparse.Namespace, ontology: Ontology) -> Ontology:
    from napari_stria.io.allen_ontology import MOUSE_GRAPH, fetch_ontology
    from napari_stria.session.structure_sets import with_fetched_sets

    graph = ontology.at(0).graph_id or MOUSE_GRAPH
    return with_fetched_sets(ontology, fetch_ontology(graph, open_api(arguments)))


def _with_sets(atlas: Atlas, source: str) -> Atlas:
    from napari_stria.io.ontology_files import read_ontology

    ontology = atlas.ontology.with_sets(read_ontology(source))
    note(f"{ontology.matched} of {len(ontology)} regions are in {source}.")
    return replace(atlas, ontology=ontology)
