"""What the measures of ``quantify`` share: their options, and how a table is told or written."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from napari_stria.cli.atlas_options import add_atlas
from napari_stria.cli.options import add_overwrite
from napari_stria.cli.output import ProgressLine, note, run_cancellable, write_table
from napari_stria.cli.parcels import add_parcels, asked_parcellation
from napari_stria.errors import StriaError

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.atlas import Atlas
    from napari_stria.core.ontology import Ontology
    from napari_stria.core.parcellation import Parcellation

T = TypeVar("T")

_SCHEDULERS = ("threads", "processes", "synchronous")
_TITLE = "Groups"


# -- options -------------------------------------------------------------------------------------


def add_measure(parser: argparse.ArgumentParser) -> None:
    """Add the atlas, the level of regions, where the table goes, and who computes."""
    add_atlas(parser, option=True)
    parser.add_argument(
        "--resolution",
        type=float,
        metavar="UM",
        help="voxel size of the annotation that tells the regions (default: the atlas's own)",
    )
    add_parcels(parser, "the groups in a file, each pixel or point in one of them at most")
    parser.add_argument(
        "--output", type=Path, metavar="TABLE.csv", help="write all rows and columns to a CSV file"
    )
    add_overwrite(parser)
    parser.add_argument(
        "--scheduler",
        metavar="WHERE",
        help="who computes: threads (default), processes, synchronous, or the address of a dask "
        "cluster such as tcp://host:8786",
    )


def numbers(what: str, kind: type = float) -> Callable[[str], tuple[Any, ...]]:
    """Return what reads one number or several, with commas between them, for ``argparse``."""

    def read(text: str) -> tuple[Any, ...]:
        try:
            values = tuple(kind(part) for part in text.split(","))
        except ValueError:
            values = ()
        if not values or not all(0 < value < float("inf") for value in values):
            raise argparse.ArgumentTypeError(
                f"{text!r} is no {what}; give numbers above 0 with commas between them"
            )
        return values

    return read


def asked_level(arguments: argparse.Namespace, ontology: Ontology) -> Parcellation | None:
    """Return the parcels of ``--depth``, ``--set`` or ``--groups``; None for regions."""
    if arguments.groups is None:
        return asked_parcellation(arguments, ontology)
    from napari_stria.cli.groups import read_groups
    from napari_stria.core.parcellation import parcellation_of_groups

    groups = read_groups(arguments.groups, ontology)
    return parcellation_of_groups(ontology, groups, title=_TITLE)


def check_outputs(arguments: argparse.Namespace, *more: Path | None) -> None:
    """Refuse places that are taken, or that are what is measured, before any work."""
    from napari_stria.io.free_places import check_free

    places = [path for path in (arguments.output, *more) if path is not None]
    if len({path.absolute() for path in places}) < len(places):
        raise StriaError(f"{places[0]} cannot hold two tables; give each a name of its own.")
    files = getattr(arguments, "file", [])
    for path in places:
        for file in map(Path, files if isinstance(files, list) else [files]):
            if path.exists() and file.exists() and path.samefile(file):
                raise StriaError(f"{path} is what is measured; choose another name for the table.")
        check_free(path, overwrite=arguments.overwrite)


# -- work ----------------------------------------------------------------------------------------


@contextmanager
def asked_scheduler(arguments: argparse.Namespace) -> Iterator[Any]:
    """Give the dask scheduler that ``--scheduler`` names, None for the usual threads.

    Raises
    ------
    StriaError
        If there is no such scheduler, or the cluster does not answer.
    """
    said = arguments.scheduler
    if said is None or said in _SCHEDULERS:
        yield said
        return
    if "://" not in said:
        raise StriaError(
            f"{said!r} is no scheduler; give {', '.join(_SCHEDULERS)} or an address such as "
            "tcp://host:8786."
        )
    try:
        client_of = importlib.import_module("distributed").Client
    except ImportError as error:
        raise StriaError(
            "a dask cluster needs the package distributed; pip install 'napari-stria[cluster]', or "
            "leave --scheduler out."
        ) from error
    try:
        client = client_of(said)
    except (OSError, ValueError) as error:
        raise StriaError(f"the dask cluster at {said} does not answer; check it.") from error
    with client:
        yield client


def measured(
    arguments: argparse.Namespace, label: str, work: Callable[..., T], **options: Any
) -> T:
    """Run a measure so that it shows its progress and ends at Ctrl+C.

    Parameters
    ----------
    arguments : Namespace
        Of `add_measure`.
    label : str
        What the progress line says.
    work : callable
        Called with `options` and ``scheduler``, ``progress`` and ``cancel``.
    """
    progress = ProgressLine(label)

    def run(cancel: Event) -> T:
        return work(scheduler=scheduler, progress=progress, cancel=cancel, **options)

    try:
        with asked_scheduler(arguments) as scheduler:
            return run_cancellable(run)
    finally:
        progress.end()


# -- results -------------------------------------------------------------------------------------


def deliver(
    arguments: argparse.Namespace,
    atlas: Atlas,
    table: pd.DataFrame,
    *,
    source: str,
    amount: str,
    shown: Sequence[str],
    sort_by: str,
    also: Sequence[str] = (),
) -> None:
    """Write a table as a file, or the rows with anything in them to stdout; say what lies where.

    Parameters
    ----------
    arguments : Namespace
        Of `add_measure`.
    atlas : Atlas
    table : DataFrame
        As `tally_frame` makes them.
    source : str
        What was measured.
    amount : str
        The column that says whether there is anything in a row.
    shown : sequence of str
        Which columns a terminal shows, as far as the table has them.
    sort_by : str
        The column whose largest values come first there.
    also : sequence of str
        Further amounts of which is said where they lie.
    """
    if arguments.output is not None:
        write_measures(arguments.output, atlas, table, source, overwrite=arguments.overwrite)
        print(arguments.output)
    else:
        found = table[table[amount] > 0].sort_values(sort_by, ascending=False, kind="stable")
        frame = found.reset_index()
        if found.empty:
            rows = "parcel" if "parcellation" in table.attrs else "region"
            note(f"there are no {_plural(amount)} in any {rows}")
        else:
            write_table(frame[[c for c in ("id", "acronym", "name", *shown) if c in frame]])
    for name in (amount, *also):
        note(totals_text(table, name))
    if left_out := int(table.attrs.get("left_out_pixels", 0)):
        note(f"{left_out} pixels were left out: they are not finite or masked")
    note(f"regions of {atlas.name} at {_size_text(table.attrs['resolution_um'])} um")


def write_measures(
    path: Path, atlas: Atlas, table: pd.DataFrame, source: str, *, overwrite: bool
) -> None:
    """Write a table as CSV that says in each row what was measured where, all of it or nothing."""
    from napari_stria.io.staging import staged
    from napari_stria.io.table_files import write_table as write_csv

    facts: dict[str, Any] = {"source": source, "atlas": atlas.name}
    if atlas.metadata.get("version"):
        facts["atlas_version"] = str(atlas.metadata["version"])
    if "parcellation" in table.attrs:
        facts["parcellation"] = table.attrs["parcellation"]
    facts |= {
        "space": atlas.space,
        "resolution_um": _size_text(table.attrs["resolution_um"]),
        "made_by": f"napari-stria {version('napari-stria')}",
    }
    with staged([path], overwrite=overwrite) as (place,):
        write_csv(place, table, facts)


def _size_text(scale_um: Any) -> str:
    sizes = tuple(scale_um)
    return f"{sizes[0]:g}" if len(set(sizes)) == 1 else " ".join(f"{s:g}" for s in sizes)


def totals_text(table: pd.DataFrame, name: str) -> str:
    """Return where all of something lies, e.g. "10 points: 7 in regions, 2 in the background"."""
    attrs = table.attrs
    total = attrs[f"{name}_total"]
    places = {
        "of labels that the ontology lacks": attrs.get(f"{name}_unlisted", 0),
        "in no parcel": attrs.get(f"{name}_in_no_parcel", 0),
        "in the background": attrs[f"{name}_background"],
        "outside the atlas": attrs[f"{name}_outside"],
    }
    rows = "parcels" if "parcellation" in attrs else "regions"
    inside = total - sum(places.values())
    parts = [f"{inside} in {rows}", *(f"{n} {where}" for where, n in places.items() if n)]
    return f"{total} {_plural(name)}: {', '.join(parts)}"


def _plural(amount: str) -> str:
    return "points" if amount == "count" else amount
