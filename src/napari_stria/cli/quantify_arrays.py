"""``quantify image`` and ``quantify labels``: arrays out of files, measured in each region."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.atlas_options import opened_atlas
from napari_stria.cli.output import EXIT_OK
from napari_stria.cli.quantify_maps import add_maps
from napari_stria.cli.quantify_sources import MeasuredArray, MeasuredFiles
from napari_stria.cli.quantify_tables import (
    add_measure,
    asked_level,
    check_outputs,
    deliver,
    measured,
    write_measures,
)
from napari_stria.errors import OutputExistsError

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.atlas import Atlas

_FILES = (
    "sections (TIFF, OME-TIFF, PNG, JPEG, .npy) with --transform, --registration or --series; or "
    "one volume (OME-Zarr, NRRD, TIFF, .npy), without a map on the grid of the annotation"
)
_IMAGE_SHOWN = (
    "pixels", "area_mm2", "volume_mm3", "mean", "mean_left", "mean_right", "fraction_above",
)  # fmt: skip
_LABELS_SHOWN = (
    "objects", "objects_left", "objects_right", "pixels", "area_mm2", "volume_mm3", "fraction",
)  # fmt: skip


def add_arrays(actions: Any) -> None:
    """Add ``image`` and ``labels`` to the subparsers of ``quantify``."""
    image = actions.add_parser(
        "image", help="measure the brightness of images in each region, and how much is bright"
    )
    _add_files(image)
    image.add_argument(
        "--threshold", type=float, metavar="VALUE", help="also tell how many pixels are above it"
    )
    add_measure(image)
    image.set_defaults(run=_image)

    labels = actions.add_parser(
        "labels", help="count objects of label images or masks in each region, and their size"
    )
    _add_files(labels)
    labels.add_argument(
        "--mask",
        action="store_true",
        help="all values but 0 are one: objects are the pieces that hang together",
    )
    labels.add_argument(
        "--per-object", type=Path, metavar="OUT.csv", help="write the region of each object as well"
    )
    add_measure(labels)
    labels.set_defaults(run=_labels)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="+", help=_FILES)
    add_maps(parser)
    parser.add_argument(
        "--channel", metavar="N|NAME", help="which one, of an image with several, by name or from 0"
    )
    parser.add_argument(
        "--per-section",
        type=Path,
        metavar="FOLDER",
        help="write a table of each file too; the main table is of all together",
    )


def _mask(data: Any) -> Any:
    """Return where an array is not 0, still read piece by piece; NaN is no part of a mask."""
    from napari_stria.core.pixel_tiles import array_of_pixels

    array = array_of_pixels(data)
    return (array > 0) | (array < 0) if array.dtype.kind == "f" else array != 0


# -- the measures --------------------------------------------------------------------------------


def _image(arguments: argparse.Namespace) -> int:
    from napari_stria.core.image_measures import measure_image

    check_outputs(arguments)
    atlas = opened_atlas(arguments)

    def work(source: MeasuredArray, **options: Any) -> pd.DataFrame:
        return measure_image(
            atlas,
            source.data,
            source.to_atlas,
            arguments.resolution,
            threshold=arguments.threshold,
            **options,
        )

    table = _of_all(arguments, atlas, work)
    _deliver(arguments, atlas, table, _IMAGE_SHOWN, "mean")
    return EXIT_OK


def _labels(arguments: argparse.Namespace) -> int:
    from napari_stria.core.label_measures import measure_labels, object_regions

    check_outputs(arguments, arguments.per_object)
    atlas = opened_atlas(arguments)
    objects: list[pd.DataFrame] = []

    def work(source: MeasuredArray, **options: Any) -> pd.DataFrame:
        data = _mask(source.data) if arguments.mask else source.data
        where = (atlas, data, source.to_atlas, arguments.resolution)
        if arguments.per_object is not None:
            rows = object_regions(*where, **options).reset_index()
            rows.insert(0, "file", source.name)
            objects.append(rows)
        return measure_labels(*where, **options)

    table = _of_all(arguments, atlas, work, are_labels=True)
    if arguments.per_object is not None:
        _write_objects(arguments, objects)
    _deliver(arguments, atlas, table, _LABELS_SHOWN, "pixels", ("objects",))
    return EXIT_OK


def _of_all(
    arguments: argparse.Namespace,
    atlas: Atlas,
    work: Callable[..., pd.DataFrame],
    *,
    are_labels: bool = False,
) -> pd.DataFrame:
    """Return the table of all files together; write those of each where that is asked."""
    from napari_stria.core.summed_tables import summed_tables

    sources = MeasuredFiles(arguments, atlas, are_labels=are_labels)
    level = asked_level(arguments, atlas.ontology)
    places = _section_places(arguments, sources.files)

    def tables() -> Iterator[pd.DataFrame]:
        for number, file in enumerate(sources.files):
            of = f" ({number + 1}/{len(sources.files)})" if len(sources.files) > 1 else ""
            with sources.opened(file) as source:
                table = measured(
                    arguments,
                    f"measuring {source.name}{of}",
                    lambda source=source, **options: work(source, **options),
                    parcellation=level,
                )
            if places:
                write_measures(
                    places[number], atlas, table, source.name, overwrite=arguments.overwrite
                )
            yield table

    return summed_tables(tables())


def _section_places(arguments: argparse.Namespace, files: list[str]) -> list[Path]:
    """Return where the table of each file goes; none if they are not asked for.

    Raises
    ------
    StriaError
        If two tables would have one place, or one is taken, before any work.
    """
    from napari_stria.io.free_places import check_free
    from napari_stria.io.output_folder import output_errors

    if arguments.per_section is None:
        return []
    folder: Path = arguments.per_section
    places = [folder / f"{Path(file.rstrip('/')).stem}.csv" for file in files]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise OutputExistsError(f"two files would both be written to {twice}; rename one of them.")
    others = (arguments.output, getattr(arguments, "per_object", None))
    taken = {path.resolve() for path in others if path is not None}
    both = next((place for place in places if place.resolve() in taken), None)
    if both is not None:
        raise OutputExistsError(
            f"{both} would hold the table of a section and another one; give that another name."
        )
    with output_errors(folder):
        folder.mkdir(exist_ok=True)
    for place in places:
        check_free(place, overwrite=arguments.overwrite)
    return places


def _write_objects(arguments: argparse.Namespace, objects: list[pd.DataFrame]) -> None:
    import pandas as pd

    from napari_stria.io.staging import staged

    with staged([arguments.per_object], overwrite=arguments.overwrite) as (place,):
        pd.concat(objects).to_csv(place, index=False, lineterminator="\n")
    print(arguments.per_object)


def _deliver(
    arguments: argparse.Namespace,
    atlas: Atlas,
    table: pd.DataFrame,
    shown: tuple[str, ...],
    sort_by: str,
    also: tuple[str, ...] = (),
) -> None:
    names = [Path(file.rstrip("/")).name for file in arguments.file]
    source = names[0] if len(names) == 1 else f"{len(names)} sections, {names[0]} to {names[-1]}"
    deliver(
        arguments,
        atlas,
        table,
        source=source,
        amount="pixels",
        shown=shown,
        sort_by=sort_by,
        also=also,
    )
