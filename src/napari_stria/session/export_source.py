"""Which annotation an export is of: at which resolution, by which rule, in whose labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellated import check_fits, parcellated_level
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.resampling import (
    STORED,
    Rule,
    downsample_annotation,
    level_at,
    used_rule,
)
from napari_stria.core.space import Triple
from napari_stria.core.structures import StructureRecord, record_of

# A pyramid ends with the level that fits into so many voxels along each axis.
_COARSEST = 128
_AXES = ("ap", "dv", "ml")
# What the rows, masks or labels of a file are: parcels have each voxel once, unions may overlap.
PARCELS, UNIONS = "parcels", "unions"


@dataclass(frozen=True, eq=False)
class Source:
    """An annotation as an export sees it; no voxel is read by making one.

    Attributes
    ----------
    atlas : Atlas
        The atlas that was asked for.
    resolution_um : float, 3 floats or None
        None for the resolution in the atlas's name.
    rule : {"centre", "majority", "allensdk"} or None
        How voxels are made; None takes the stored level of that resolution, else ``centre``.
    parcellation : Parcellation or None
        Whose labels it has instead of the regions'; they are put in after resampling.
    """

    atlas: Atlas
    resolution_um: float | Triple | None = None
    rule: Rule | None = None
    parcellation: Parcellation | None = None

    def check(self) -> None:
        """Refuse a resolution, rule or parcellation that cannot be.

        Raises
        ------
        CoordinateError, OntologyError
        """
        _ = self.level
        if self.parcellation is not None:
            check_fits(self.parcellation, self.atlas.ontology)

    @cached_property
    def level(self) -> Level:
        """The level in the regions' labels."""
        return level_at(self.atlas, self.resolution_um, self.rule)

    @property
    def is_stored(self) -> bool:
        """Whether the level is one of the atlas's own."""
        return self._rule_of(self.level) == STORED

    @property
    def used_rule(self) -> str:
        """How the voxels are made, in one word."""
        return self._rule_of(self.level)

    def _rule_of(self, level: Level) -> str:
        return used_rule(self.atlas, level, self.rule)

    @property
    def ontology(self) -> Ontology:
        """The regions whose labels it has."""
        parcels = self.parcellation
        return self.atlas.ontology if parcels is None else _ontology_of(parcels, self.atlas)

    def counted_atlas(self) -> Atlas:
        """Return an atlas at the resolution in the regions' labels, with its counts if stored."""
        level = self.level
        if self.is_stored:
            return replace(self.atlas, resolution_um=level.scale_um)
        return downsample_annotation(self.atlas, level.scale_um, self.rule or "centre")

    def shown_atlas(self) -> Atlas:
        """Return an atlas at the resolution in the labels that are asked for."""
        atlas, parcels = self.counted_atlas(), self.parcellation
        if parcels is None:
            return atlas
        return Atlas(
            name=f"{atlas.name}, {parcels.title}",
            ontology=self.ontology,
            annotation=self.finest(),
            space=atlas.space,
            resolution_um=self.level.scale_um,
            metadata=atlas.metadata,
        )

    def finest(self) -> Multiscale:
        """Return the level alone, in the labels that are asked for."""
        return Multiscale((self._labelled(self.level),))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its labels."""
        return self.finest().levels[0].dtype

    def _labelled(self, level: Level) -> Level:
        if self.parcellation is None:
            return level
        return parcellated_level(level, self.atlas.ontology, self.parcellation)

    def pyramid(self) -> tuple[Multiscale, tuple[str, ...]]:
        """Return the level and coarser ones, each half as fine, with the rule of each."""
        levels = [self.level]
        while max(levels[-1].shape) > _COARSEST:
            ap, dv, ml = (2 * size for size in levels[-1].scale_um)
            levels.append(level_at(self.atlas, (ap, dv, ml), self.rule))
        rules = tuple(self._rule_of(level) for level in levels)
        return Multiscale(tuple(self._labelled(level) for level in levels)), rules

    def facts(self) -> dict[str, Any]:
        """Return what a file of it says: words and numbers by name."""
        atlas = self.atlas
        facts: dict[str, Any] = {"atlas": atlas.name}
        if atlas.metadata.get("version"):
            facts["atlas_version"] = str(atlas.metadata["version"])
        if self.parcellation is not None:
            facts["regions"] = self.parcellation.title
            facts["regions_are"] = PARCELS
        facts["space"] = atlas.space
        sizes = zip(_AXES, self.level.scale_um, strict=True)
        facts |= {f"voxel_{axis}_um": size for axis, size in sizes}
        return facts | {
            "rule": self.used_rule,
            "made_by": f"napari-stria {version('napari-stria')}",
        }

    def name(self) -> str:
        """Return what a file of it may be called: the atlas, the resolution and the rule."""
        name, size = self.atlas.name, size_name(self.level.scale_um)
        if not self.is_stored:
            return f"{name}_at_{size}_{self.used_rule}"
        # BrainGlobe's names end with the resolution.
        return name if name.endswith(f"_{size}") else f"{name}_at_{size}"


def notes_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return facts as texts, for headers that hold nothing else."""
    return {key: f"{v:g}" if isinstance(v, float) else str(v) for key, v in facts.items()}


def size_name(scale_um: Triple) -> str:
    """Return a voxel's size as a part of a file's name."""
    sizes = [f"{size:.6g}" for size in scale_um]
    return (sizes[0] if len(set(sizes)) == 1 else "x".join(sizes)) + "um"


def _ontology_of(parcellation: Parcellation, atlas: Atlas) -> Ontology:
    """Return the parcels as regions: with what lies above them, or groups one beside the other."""
    ontology = atlas.ontology
    if parcellation.groups:
        rows = zip(parcellation.ids, parcellation.names, parcellation.rgb, strict=True)
        return Ontology(
            StructureRecord(int(i), None, name, name, (int(rgb[0]), int(rgb[1]), int(rgb[2])))
            for i, name, rgb in rows
        )
    kept: set[int] = set()
    for identifier in parcellation.ids:
        kept.update(s.id for s in ontology.ancestors(int(identifier), include_self=True))
    return Ontology((record_of(s) for s in ontology if s.id in kept), ontology.set_names)
