"""Tables of objects: a row a region, or a row an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.labels import LabelLookup
from napari_stria.core.object_places import PlacedObjects
from napari_stria.core.object_shares import OUTSIDE, ObjectShares
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.point_regions import SIDES
from napari_stria.core.region_locator import NEITHER, Located
from napari_stria.core.region_tally import RegionTally, merged, tally, tally_frame
from napari_stria.core.unlisted import UNLISTED, unlisted_ids, unlisted_names

_SUFFIXES = ("", "_left", "_right", "_unsided")
# Name of the size of objects in 2D and 3D, and how much of it a um2 or um3 is.
SIZES = {2: ("area_mm2", 1e-6), 3: ("volume_mm3", 1e-9)}


def measured_frame(
    atlas: Atlas,
    shares: ObjectShares,
    objects: PlacedObjects,
    ndim: int,
    parcellation: Parcellation | None,
    covered: RegionTally | None = None,
) -> pd.DataFrame:
    """Return the table of objects by region; see `measure_labels`.

    Parameters
    ----------
    atlas : Atlas
    shares : ObjectShares
        What of them lies where.
    objects : PlacedObjects
        Where each counts.
    ndim : {2, 3}
        Whether their size is an area or a volume.
    parcellation : Parcellation, optional
    covered : RegionTally, optional
        ``region_pixels``: all pixels of the array. Without it there are no columns of pixels.
    """
    name, per_unit = SIZES[ndim]
    zero: dict[str, Any] = {"objects": 0, "pixels": 0, name: 0.0, "region_pixels": 0}
    sides = np.where(shares.sides == OUTSIDE, np.uint8(NEITHER), shares.sides)
    rows = Located(shares.labels, sides, shares.sides != OUTSIDE)
    parts = [
        tally(objects.located, objects=1),
        tally(rows, pixels=shares.pixels, **{name: shares.size * per_unit}),
    ]
    if covered is None:
        del zero["pixels"], zero["region_pixels"]
    else:
        parts.append(covered)
    frame = tally_frame(atlas, merged(_filled(part, zero) for part in parts), parcellation)
    for suffix in _SUFFIXES if covered is not None else ():
        if f"pixels{suffix}" in frame:
            whole = frame[f"region_pixels{suffix}"]
            frame[f"fraction{suffix}"] = frame[f"pixels{suffix}"] / whole.where(whole > 0)
    return frame


def _filled(part: RegionTally, zero: Mapping[str, int | float]) -> RegionTally:
    """Return a tally of these names alone, in their order, with zeros for those that it lacks."""
    shape = (len(part.labels), 3)
    return RegionTally(
        part.labels,
        {
            name: part.sums.get(name, np.zeros(shape, np.asarray(value).dtype))
            for name, value in zero.items()
        },
        {name: part.outside.get(name, value) for name, value in zero.items()},
    )


def object_frame(
    atlas: Atlas,
    objects: PlacedObjects,
    ndim: int,
    parcellation: Parcellation | None,
    *,
    has_pixels: bool = True,
) -> pd.DataFrame:
    """Return a row an object; see `object_regions`.

    Parameters
    ----------
    atlas : Atlas
    objects : PlacedObjects
        With centroids.
    ndim : {2, 3}
        Whether their size is an area or a volume.
    parcellation : Parcellation, optional
    has_pixels : bool
        Whether there is a column of pixels.
    """
    name, per_unit = SIZES[ndim]
    sides = np.where(objects.located.inside, objects.located.sides, OUTSIDE)
    columns: dict[str, Any] = {"pixels": objects.pixels} if has_pixels else {}
    columns[name] = objects.size * per_unit
    for axis, letters in enumerate(("ap", "dv", "ml")):
        columns[f"centroid_{letters}_um"] = objects.centroid_um[:, axis]
    columns |= _regions_of(atlas, objects.located.labels, parcellation)
    columns["side"] = pd.Categorical.from_codes(sides.astype(np.int8), pd.Index(SIDES))
    frame = pd.DataFrame(columns, index=pd.Index(objects.objects, name="object"))
    frame.attrs = {"atlas": atlas.name, "space": atlas.space}
    return frame


def _regions_of(
    atlas: Atlas, labels: npt.NDArray[np.int64], parcellation: Parcellation | None
) -> dict[str, Any]:
    """Return id, acronym and name of the region, or of the parcel, that each label stands for."""
    ontology = atlas.ontology
    positions = LabelLookup(ontology).positions(labels)
    if parcellation is None:
        rest = np.unique(labels[(positions < 0) & (labels != 0)])
        ids = np.concatenate([ontology.ids, unlisted_ids(rest, ontology), [0]])
        acronyms = [s.acronym for s in ontology] + [UNLISTED] * len(rest) + [""]
        names = [*(s.name for s in ontology), *unlisted_names(rest), ""]
        # Sorted, so that a label's place in them is its number.
        rows = np.where(positions >= 0, positions, len(ontology) + np.searchsorted(rest, labels))
        rows[labels == 0] = len(ids) - 1
    else:
        # -1, in no parcel, takes the last one.
        rows = np.where(positions >= 0, parcellation.members[positions], -1)
        ids = np.append(parcellation.ids, 0)
        acronyms, names = [*parcellation.acronyms, ""], [*parcellation.names, ""]
    return {
        "region_id": ids[rows].astype(np.int64),
        "acronym": _category(acronyms, rows),
        "name": _category(names, rows),
    }


def _category(texts: list[str], rows: npt.NDArray[np.int32]) -> pd.Categorical:
    """Return the texts of rows; the categories are those that occur, in the order of the rows."""
    of_row = np.array(texts, dtype=object)
    return pd.Categorical(of_row[rows], categories=list(dict.fromkeys(of_row[np.sort(rows)])))
