"""Sums by label and side, as any part of a measurement gives them, and how they become a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.labels import LabelLookup
from napari_stria.core.parcellated import check_fits, depths_of_parcels
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.region_locator import Located
from napari_stria.core.row_sums import bin_sums, check_sum, checked_weights
from napari_stria.core.subtree import with_descendants
from napari_stria.core.unlisted import UNLISTED, unlisted_ids, unlisted_names

_SIDES = 3
Number = int | float


@dataclass(frozen=True, eq=False)
class RegionTally:
    """Sums over points or pixels by label and side; small, and can be pickled.

    Attributes
    ----------
    labels : (K,) int64 ndarray
        Annotation values, ascending; with 0, the background, where it occurs.
    sums : mapping of str to (K, 3) ndarray
        For each name what lies left, right and on neither side: int64, or float64 where what was
        added up has fractions.
    outside : mapping of str to int or float
        For each name what lies outside the volume.
    """

    labels: npt.NDArray[np.int64]
    sums: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    outside: Mapping[str, Number] = field(default_factory=dict)


def tally(located: Located, /, **weights: Any) -> RegionTally:
    """Add up weights by label and side.

    Parameters
    ----------
    located : Located
        What lies at N points.
    **weights : (N,) array_like, or 1
        What to add up, by name; 1 counts the points. Whole numbers are added exactly as int64,
        True counts as 1, others are added as float64.

    Raises
    ------
    CoordinateError
        If weights are not one number a point.
    FormatError
        If whole numbers are too large to be added up as int64.
    """
    chosen = {name: checked_weights(name, values, len(located)) for name, values in weights.items()}
    rows = _Rows(located)
    sums, outside = {}, {}
    for name, values in chosen.items():
        sums[name], outside[name] = rows.summed(values)
    return RegionTally(rows.labels, sums, outside)


class _Rows:
    """The row of each point in a table by label and side; those outside come last."""

    def __init__(self, located: Located) -> None:
        codes, known = pd.factorize(located.labels)
        order = np.argsort(known)
        rank = np.empty(len(known), dtype=np.intp)
        rank[order] = np.arange(len(known))
        rows = rank[codes] * _SIDES
        rows += located.sides
        rows[~located.inside] = _SIDES * len(known)
        used = np.bincount(rows, minlength=_SIDES * len(known) + 1)
        self._counts = used
        # A label that only points outside have (0) is none of the volume's.
        self._kept = used[:-1].reshape(-1, _SIDES).any(axis=1)
        self._rows = rows
        self.labels: npt.NDArray[np.int64] = known[order][self._kept].astype(np.int64)

    def summed(self, values: npt.NDArray[Any] | None) -> tuple[npt.NDArray[Any], Number]:
        """Return (K, 3) sums and what is outside; None counts the points."""
        if values is None:
            total: npt.NDArray[Any] = self._counts.astype(np.int64)
        else:
            total = bin_sums(self._rows, values, len(self._counts))
        return total[:-1].reshape(-1, _SIDES)[self._kept], total[-1].item()


def merged(tallies: Iterable[RegionTally]) -> RegionTally:
    """Add up tallies of disjoint parts; one without names adds nothing.

    Raises
    ------
    ValueError
        If they are of different names.
    FormatError
        If whole numbers are too large to be added up as int64.
    """
    parts = [t for t in tallies if t.sums]
    if not parts:
        return RegionTally(np.zeros(0, np.int64))
    names = list(parts[0].sums)
    if any(set(t.sums) != set(names) for t in parts):
        raise ValueError("only tallies of the same names can be added up")
    labels, at = np.unique(np.concatenate([t.labels for t in parts]), return_inverse=True)
    sums, outside = {}, {}
    for name in names:
        rows = np.concatenate([t.sums[name] for t in parts])
        check_sum(rows)
        sums[name] = np.zeros((len(labels), _SIDES), dtype=rows.dtype)
        np.add.at(sums[name], at, rows)
        outside[name] = sum(t.outside[name] for t in parts)
    return RegionTally(labels, sums, outside)


def tally_frame(
    atlas: Atlas, found: RegionTally, parcellation: Parcellation | None = None
) -> pd.DataFrame:
    """Return the table of a tally: a row a region, or a row a parcel.

    Parameters
    ----------
    atlas : Atlas
        Where it was made.
    found : RegionTally
        From `tally` or `merged`.
    parcellation : Parcellation, optional
        Made from the atlas's ontology.

    Returns
    -------
    DataFrame
        Indexed by region id, in pre-order: ``acronym``, ``name``, ``depth`` and for each name NAME
        of the tally ``NAME`` (with descendants), ``NAME_direct`` (without), ``NAME_left``,
        ``NAME_right`` and, where the atlas has a hemispheres volume, ``NAME_unsided`` (all three
        with descendants). A label that the ontology lacks has a row of its own at the end, as in
        `region_table`. At a parcellation the rows are those of `parcellated_table`, without such
        labels. ``attrs`` holds ``atlas``, ``space`` and for each name ``NAME_background``,
        ``NAME_outside``, ``NAME_unlisted``, at a parcellation ``NAME_in_no_parcel``, and
        ``NAME_total``: what these, and the rows (at regions: the roots), add up to.

    Raises
    ------
    OntologyError
        If the parcellation belongs to another ontology.
    """
    positions = LabelLookup(atlas.ontology).positions(found.labels)
    if parcellation is None:
        frame, parts = _region_frame(atlas, found, positions)
    else:
        check_fits(parcellation, atlas.ontology)
        frame, parts = _parcel_frame(atlas, found, positions, parcellation)
        frame.attrs["parcellation"] = parcellation.title
    for part, rows in (
        ("background", found.labels == 0), ("unlisted", _unlisted(found, positions)), *parts,
    ):  # fmt: skip
        for name, sums in found.sums.items():
            frame.attrs[f"{name}_{part}"] = sums[rows].sum().item()
    for name, sums in found.sums.items():
        frame.attrs[f"{name}_outside"] = found.outside[name]
        frame.attrs[f"{name}_total"] = sums.sum().item() + found.outside[name]
    return frame


Mask = npt.NDArray[np.bool_]
Parts = list[tuple[str, Mask]]


def _unlisted(found: RegionTally, positions: npt.NDArray[np.int32]) -> Mask:
    result: Mask = (positions < 0) & (found.labels != 0)
    return result


def _region_frame(
    atlas: Atlas, found: RegionTally, positions: npt.NDArray[np.int32]
) -> tuple[pd.DataFrame, Parts]:
    ontology = atlas.ontology
    columns: dict[str, Any] = {}
    rest = _unlisted(found, positions)
    for name, sums in found.sums.items():
        direct = _placed(sums, positions, len(ontology))
        total = with_descendants(direct, ontology)
        both = (np.concatenate([rows, sums[rest]]) for rows in (total, direct))
        columns |= _family(atlas, name, *both)
    labels = found.labels[rest]
    frame = pd.DataFrame(
        {
            "acronym": [s.acronym for s in ontology] + [UNLISTED] * len(labels),
            "name": [s.name for s in ontology] + unlisted_names(labels),
            "depth": np.concatenate([ontology.depths, np.zeros(len(labels), np.int32)]),
            **columns,
        },
        index=pd.Index(np.concatenate([ontology.ids, unlisted_ids(labels, ontology)]), name="id"),
    )
    frame.attrs = {"atlas": atlas.name, "space": atlas.space}
    return frame, []


def _parcel_frame(
    atlas: Atlas,
    found: RegionTally,
    positions: npt.NDArray[np.int32],
    parcellation: Parcellation,
) -> tuple[pd.DataFrame, Parts]:
    parcels = np.where(positions >= 0, parcellation.members[positions], -1)
    at_root = np.where(parcellation.is_root[positions], parcels, -1)
    columns: dict[str, Any] = {}
    for name, sums in found.sums.items():
        both = (_placed(sums, rows, len(parcellation)) for rows in (parcels, at_root))
        columns |= _family(atlas, name, *both)
    frame = pd.DataFrame(
        {
            "acronym": list(parcellation.acronyms),
            "name": list(parcellation.names),
            "depth": depths_of_parcels(parcellation, atlas.ontology),
            **columns,
        },
        index=pd.Index(parcellation.ids, name="id"),
    )
    frame.attrs = {"atlas": atlas.name, "space": atlas.space}
    return frame, [("in_no_parcel", (positions >= 0) & (parcels < 0))]


def _placed(sums: npt.NDArray[Any], rows: npt.NDArray[np.int32], n: int) -> npt.NDArray[Any]:
    """Add up sums in n rows; those of row -1 are left out."""
    total = np.zeros((n, _SIDES), dtype=sums.dtype)
    kept = rows >= 0
    np.add.at(total, rows[kept], sums[kept])
    return total


def _family(
    atlas: Atlas, name: str, total: npt.NDArray[Any], direct: npt.NDArray[Any]
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of one name from its (rows, 3) sums."""
    columns = {
        name: total.sum(axis=1),
        f"{name}_direct": direct.sum(axis=1),
        f"{name}_left": total[:, 0],
        f"{name}_right": total[:, 1],
    }
    if atlas.hemispheres is not None:
        columns[f"{name}_unsided"] = total[:, 2]
    return columns
