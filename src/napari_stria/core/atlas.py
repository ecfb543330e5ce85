"""An atlas: lazy volumes, their ontology and where they lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from napari_stria.core.counting import LabelStatistics
from napari_stria.core.labels import check_label_dtype
from napari_stria.core.mesh import MeshSource
from napari_stria.core.ontology import Ontology
from napari_stria.core.ontology_table import records_of_table
from napari_stria.core.pyramid import (
    Level,
    Multiscale,
    array_reader,
    resolution_triple,
    single_level,
)
from napari_stria.core.space import Triple, checked_space, midplane_index
from napari_stria.errors import CoordinateError, FormatError


class StatisticsStore(Protocol):
    """Keeps the counts of a level, so that they are made once."""

    def get(self, level: int) -> LabelStatistics | None:
        """Return the counts of a level, None if they were not made yet."""
        ...

    def put(self, level: int, statistics: LabelStatistics) -> None:
        """Keep the counts of a level."""
        ...


class MemoryStatistics(dict[int, LabelStatistics]):
    """Keeps counts for as long as the atlas lives."""

    def put(self, level: int, statistics: LabelStatistics) -> None:
        """Keep the counts of a level."""
        self[level] = statistics


@dataclass(frozen=True, eq=False)
class Atlas:
    """A brain atlas; opening one reads no voxel.

    Attributes
    ----------
    name : str
        As BrainGlobe names it, e.g. ``allen_mouse_25um``, or what the source is called.
    ontology : Ontology
        The regions.
    annotation : Multiscale
        Labels (AP, DV, ML), the finest level first.
    space : str
        Where each axis starts: ``asr`` starts at anterior, superior, right.
    resolution_um : tuple of float
        The resolution in the atlas's name; the one at which volumes are counted by default.
    templates : mapping of str to Multiscale
        Reference images by name; may be empty.
    hemispheres : Multiscale or None
        1 = left, 2 = right; None where the midplane parts the sides.
    midplane_um : float or None
        ML coordinate at which the sides meet, where no hemispheres volume tells them; None where
        it is in the middle of each level, by BrainGlobe's rule.
    metadata : mapping
        What the source says of itself (citation, species, link, version ...).
    statistics : StatisticsStore
        Counts made so far.
    meshes : MeshSource or None
        Surfaces of the regions, where the source has any.
    opened_with : mapping
        Arguments of `napari_stria.open_atlas` that open the same atlas and version again, without
        secrets; empty where there are none (arrays).
    """

    name: str
    ontology: Ontology
    annotation: Multiscale
    space: str
    resolution_um: Triple
    templates: Mapping[str, Multiscale] = field(default_factory=lambda: MappingProxyType({}))
    hemispheres: Multiscale | None = None
    midplane_um: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    statistics: StatisticsStore = field(default_factory=MemoryStatistics, repr=False)
    meshes: MeshSource | None = None
    opened_with: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", checked_space(self.space))
        for level in self.annotation.levels:
            if level.ndim != 3:
                raise FormatError(f"an annotation has 3 axes (AP, DV, ML), not {level.ndim}.")
            check_label_dtype(level.dtype)

    def midplane_index(self, level: Level) -> int:
        """Return the first ML index of the far side in a level of this atlas."""
        n, scale, origin = level.shape[2], level.scale_um[2], level.origin_um[2]
        if self.midplane_um is None:
            return midplane_index(n)
        # The first voxel whose centre is not on the near side.
        return min(max(math.ceil((self.midplane_um - origin) / scale - 0.5), 0), n)

    def hemispheres_level(self, level: Level) -> Level | None:
        """Return the hemispheres level that matches a level of the annotation."""
        if self.hemispheres is None:
            return None
        return self.hemispheres.level_for_resolution(level.scale_um)

    def __repr__(self) -> str:
        return f"<Atlas {self.name!r}, {len(self.ontology)} regions, {self.space}>"


def atlas_from_array(
    array: Any,
    ontology: Ontology | pd.DataFrame,
    *,
    resolution_um: float | Sequence[float],
    space: str = "asl",
    name: str = "array",
    template: Any = None,
) -> Atlas:
    """Make an atlas of a label volume in memory (or a lazy dask array).

    Parameters
    ----------
    array : (AP, DV, ML) array_like of integers
        0 is background, other values are the regions' annotation values.
    ontology : Ontology or DataFrame
        The regions; a DataFrame has the columns of `Ontology.to_dataframe`.
    resolution_um : float or 3 floats
        Voxel size in um.
    space : str
        Where each axis starts; the default is the Allen Institute's (the ML axis starts left).
    name : str
        What to call it.
    template : array_like of the same shape, optional
        A reference image.

    Raises
    ------
    FormatError
        If the array has not three axes or does not hold whole numbers.
    CoordinateError
        For a bad resolution or space.
    """
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        array = np.asarray(array)
    if array.ndim != 3 or 0 in array.shape:
        raise FormatError(f"an annotation has 3 axes (AP, DV, ML), not the shape {array.shape}.")
    scale = resolution_triple(resolution_um)
    templates = {}
    if template is not None:
        if tuple(template.shape) != tuple(array.shape):
            raise CoordinateError(
                f"the template is {template.shape} where the annotation is {array.shape}."
            )
        templates["template"] = single_level(array_reader(template), scale)
    if isinstance(ontology, pd.DataFrame):
        ontology = ontology_from_dataframe(ontology)
    return Atlas(
        name=name,
        ontology=ontology,
        annotation=single_level(array_reader(array), scale),
        space=space,
        resolution_um=scale,
        templates=MappingProxyType(templates),
    )


def ontology_from_dataframe(frame: pd.DataFrame) -> Ontology:
    """Return the ontology of a table with the columns of `Ontology.to_dataframe`.

    Raises
    ------
    FormatError
        If one of id, acronym, name and parent_id is missing, or a cell is not what it should be.
    """
    return Ontology(records_of_table(frame))
