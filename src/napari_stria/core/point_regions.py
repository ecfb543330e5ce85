"""The region and the side of each point."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.labels import LabelLookup
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.point_pass import in_parts, looked_up, over_points
from napari_stria.core.region_locator import NEITHER, RegionLocator
from napari_stria.core.space import Triple
from napari_stria.core.unlisted import UNLISTED, unlisted_ids, unlisted_names

# Points that are sorted before blocks are read: some 30 bytes each.
_HELD = 1 << 22
SIDES = ("left", "right", "unsided", "outside")
_OUTSIDE = NEITHER + 1


def point_regions(
    atlas: Atlas,
    points_um: Any,
    resolution_um: float | Triple | None = None,
    *,
    parcellation: Parcellation | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the region and the side of each point, as `count_points` counts them.

    Parameters
    ----------
    atlas, points_um, resolution_um, scheduler, progress, cancel
        See `count_points`.
    parcellation : Parcellation, optional
        The parcel of each point in place of its region; made from the atlas's ontology.

    Returns
    -------
    DataFrame
        A row a point, in their order: ``region_id`` (int64; 0 in the background, outside the volume
        and, at a parcellation, in no parcel), ``acronym`` and ``name`` (categories in pre-order;
        empty where the id is 0) and ``side`` (``left``, ``right``, ``unsided`` or ``outside``). A
        label that the ontology lacks is named as in `region_table`.

    Raises
    ------
    CoordinateError, OntologyError, NetworkError, CorruptDataError, TaskCancelled
        See `count_points`.
    """
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    locator = RegionLocator(atlas, resolution_um)
    # Number 0 is the background, and what lies outside.
    numbers: dict[int, int] = {0: 0}
    codes, sides = [np.zeros(0, np.int32)], [np.zeros(0, np.int8)]
    for part in over_points(
        _coded, locator, in_parts(points_um), held=_HELD, ordered=True,
        scheduler=scheduler, progress=progress, cancel=cancel,
    ):  # fmt: skip
        codes.append(np.zeros(part.n, np.int32))
        sides.append(np.full(part.n, _OUTSIDE, np.int8))
        for where, (code, labels, side) in part.found:
            known = [numbers.setdefault(label, len(numbers)) for label in labels.tolist()]
            codes[-1][where] = np.array(known, dtype=np.int32)[code]
            sides[-1][where] = side
    labels = np.array(list(numbers), dtype=np.int64)
    return _frame(_named(atlas, labels, parcellation), np.concatenate(codes), np.concatenate(sides))


def _coded(
    locator: RegionLocator, index: BlockIndex, places: list[npt.NDArray[Any]]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Return the (K,) labels of a block's points, for each its number in them, and the sides."""
    found = list(looked_up(locator, index, places))
    codes, labels = pd.factorize(np.concatenate([part.labels for part in found]))
    sides = np.concatenate([part.sides for part in found])
    return codes.astype(np.int32), labels, sides.astype(np.int8)


def _named(
    atlas: Atlas, labels: npt.NDArray[np.int64], parcellation: Parcellation | None
) -> pd.DataFrame:
    """Return order, id, acronym and name of labels; 0 and no text for those without a region."""
    ontology = atlas.ontology
    positions = LabelLookup(ontology).positions(labels)
    if parcellation is not None:
        rows = np.where(positions >= 0, parcellation.members[positions], -1)
        ids, acronyms, names = parcellation.ids, parcellation.acronyms, parcellation.names
        rest = np.zeros(len(labels), dtype=bool)
    else:
        rows = positions
        ids = ontology.ids
        acronyms = tuple(s.acronym for s in ontology)
        names = tuple(s.name for s in ontology)
        rest = (positions < 0) & (labels != 0)
    texts = iter(unlisted_names(labels[rest]))
    return pd.DataFrame(
        {
            "order": np.where(rest, len(ids), rows),
            "id": np.where(rest, unlisted_ids(labels, ontology), np.where(rows >= 0, ids[rows], 0)),
            "acronym": [
                UNLISTED if other else acronyms[row] if row >= 0 else ""
                for row, other in zip(rows.tolist(), rest.tolist(), strict=True)
            ],
            "name": [
                next(texts) if other else names[row] if row >= 0 else ""
                for row, other in zip(rows.tolist(), rest.tolist(), strict=True)
            ],
        }
    )


def _frame(
    named: pd.DataFrame, codes: npt.NDArray[np.int32], sides: npt.NDArray[np.int8]
) -> pd.DataFrame:
    def category(column: str) -> Any:
        # Two regions may share a name.
        texts = list(dict.fromkeys(named.sort_values("order", kind="stable")[column]))
        number = {text: i for i, text in enumerate(texts)}
        small = np.min_scalar_type(-len(texts))
        table = np.array([number[text] for text in named[column]], dtype=small)
        return from_codes(table[codes], categories=texts)

    # pandas-stubs knows no categories of texts alone.
    from_codes: Any = pd.Categorical.from_codes
    return pd.DataFrame(
        {
            "region_id": named["id"].to_numpy()[codes],
            "acronym": category("acronym"),
            "name": category("name"),
            "side": from_codes(sides, categories=list(SIDES)),
        }
    )
