"""Which masks are to be written: what each is of, what it is called, and what it says of itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.pyramid import Level
from napari_stria.core.resampling import used_rule
from napari_stria.core.selection import (
    RegionGroup,
    RegionLike,
    Regions,
    each_region,
    selected_positions,
    selection_mask,
)
from napari_stria.errors import OntologyError, OutputExistsError

# A file's name may have 255 bytes; what is written aside is called by it and 50 bytes more.
_LONGEST_BYTES = 100
_DIGITS = 8


@dataclass(frozen=True, eq=False)
class MaskTarget:
    """One mask that shall be a file.

    Attributes
    ----------
    stem : str
        Its name without ending: ``structure_315``, ``parcel_315``, or ``group_`` and the name of a
        group.
    mask : (N,) bool ndarray
        Its regions in pre-order.
    notes : mapping of str to str
        What of it does not follow from the volume.
    """

    stem: str
    mask: npt.NDArray[np.bool_]
    notes: Mapping[str, str]


def mask_targets(
    ontology: Ontology, regions: Regions | Parcellation, *, direct: bool
) -> list[MaskTarget]:
    """Return what to write for regions: one mask a region or group, each once.

    A structure set stands for the regions that it lists. Of a parcellation there are the parcels,
    each with its own voxels as in `parcellated_table`; of one of groups, the groups' unions.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    OntologyError
        For a parcellation of another ontology, or `direct` with parcels.
    OutputExistsError
        If two groups would get one name.
    """
    if isinstance(regions, Parcellation):
        check_fits(regions, ontology)
        if not regions.groups:
            return _parcel_targets(ontology, regions, direct=direct)
        regions = regions.groups
    found: dict[str, MaskTarget] = {}
    for region in each_region(regions):
        for target in _targets_of(ontology, region, direct=direct):
            # Some file systems do not tell capitals.
            other = found.setdefault(target.stem.casefold(), target)
            if other.notes != target.notes:
                raise OutputExistsError(
                    f"the masks of two groups would both be called {target.stem!r}; "
                    "give one of the groups another name."
                )
    return list(found.values())


def _targets_of(ontology: Ontology, region: RegionLike, *, direct: bool) -> list[MaskTarget]:
    if isinstance(region, RegionGroup):
        stem = f"group_{_safe(region.name)}"
        return [_target(ontology, stem, region, direct=direct, group=region.name)]
    chosen = [ontology.at(position) for position in selected_positions(ontology, region)]
    return [_target(ontology, f"structure_{s.id}", s, direct=direct) for s in chosen]


def _target(
    ontology: Ontology, stem: str, region: RegionLike, *, direct: bool, **notes: str
) -> MaskTarget:
    chosen = [ontology.at(position) for position in selected_positions(ontology, region)]
    mask = selection_mask(ontology, region, direct=direct)
    return MaskTarget(
        stem,
        mask,
        {
            **notes,
            "regions": " ".join(str(s.id) for s in chosen),
            "acronyms": " ".join(s.acronym for s in chosen),
            "direct": "yes" if direct else "no",
            # An ontology that was changed puts other voxels into a region of the same id.
            "values_sha256": _digest_of_values(ontology.annotation_values[mask]),
        },
    )


def _parcel_targets(ontology: Ontology, parcels: Parcellation, *, direct: bool) -> list[MaskTarget]:
    if direct:
        raise OntologyError(
            "masks of parcels hold the parcels' own voxels already; direct is for masks of regions "
            "and groups, so leave it out."
        )
    targets = []
    for number, (identifier, acronym) in enumerate(zip(parcels.ids, parcels.acronyms, strict=True)):
        mask = parcels.members == number
        notes = {
            "parcellation": parcels.title,
            "regions_are": "parcels",
            "regions": str(identifier),
            "acronyms": acronym,
            "values_sha256": _digest_of_values(ontology.annotation_values[mask]),
        }
        # Not as the mask of the whole region is called: at depth 3 the root has but what is left.
        targets.append(MaskTarget(f"parcel_{identifier}", mask, notes))
    return targets


def _digest_of_values(values: npt.NDArray[np.int64]) -> str:
    return hashlib.sha256(np.sort(values).astype("<i8").tobytes()).hexdigest()


def _safe(name: str) -> str:
    """Return a name as a part of a file's name on any system."""
    safe = re.sub(r"[^\w-]+", "_", name).strip("_") or "unnamed"
    raw = safe.encode()
    if len(raw) <= _LONGEST_BYTES:
        return safe
    # Cut at a letter's border; names that begin alike stay apart.
    kept = raw[: _LONGEST_BYTES - _DIGITS - 1].decode(errors="ignore").rstrip("_")
    return f"{kept}_{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"


def volume_notes(atlas: Atlas, level: Level, rule: str | None) -> dict[str, str]:
    """Return what a file says of the volume that it was made of.

    Parameters
    ----------
    atlas : Atlas
        Whose.
    level : Level
        The volume.
    rule : str or None
        How it was resampled; None where that was not said.
    """
    return {"atlas": atlas.name, "rule": used_rule(atlas, level, rule)}


def identity(atlas: Atlas) -> dict[str, str] | None:
    """Return what tells an atlas's voxels from those of others, as its source says it.

    None for arrays, resampled atlases and sources without a version: their voxels must be looked
    at.
    """
    if not atlas.opened_with:
        return None
    stated = {"atlas_version": "version", "volume_sha256": "sha256"}
    found = {note: str(atlas.metadata.get(key) or "") for note, key in stated.items()}
    return {note: value for note, value in found.items() if value} or None
