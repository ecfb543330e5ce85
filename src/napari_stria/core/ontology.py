"""The regions of an atlas: what is asked of them, and ontologies made from others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_stria.core.hierarchy import Hierarchy
from napari_stria.core.ontology_maps import (
    StructureField,
    found_by_id,
    found_by_text,
    mapping,
    positions_in_sets,
)
from napari_stria.core.ontology_table import table_of
from napari_stria.core.ontology_voxels import VolumeReport, assigned, volume_report
from napari_stria.core.region_search import search_structures
from napari_stria.core.structures import (
    Structure,
    StructureRecord,
    record_of,
    record_with_sets,
)
from napari_stria.errors import FormatError, RegionNotFoundError

if TYPE_CHECKING:
    from napari_stria.core.selection import Regions


class Ontology(Hierarchy):
    """The regions of an atlas in pre-order, so that a region with its descendants is a slice.

    Parameters
    ----------
    records : iterable of StructureRecord
        One row a region, in any order; siblings keep the order of their rows. A row whose parent
        is not among them becomes a further root. Rows with id 0 are left out, because 0 is the
        background of every annotation volume; their children become roots.
    set_names : mapping of int to str, optional
        Names of the structure sets that the rows refer to, by set id.

    Attributes
    ----------
    ids, annotation_values, parents, depths, subtree_ends, rgb
        Arrays of N regions in pre-order; see `napari_stria.core.hierarchy.Hierarchy`, which also
        has what leads up and down the hierarchy.
    set_names : mapping of int to str
        Names of the structure sets, for those that have one.
    matched : int or None
        How many regions got their sets from another ontology, where `with_sets` made this one.

    Raises
    ------
    OntologyError
        If there is no row, an id or annotation value is given twice, or parents form a cycle.

    Notes
    -----
    Where the methods of AllenSDK's StructureTree and ReferenceSpace are (`o` is an ontology):

    ========================================  ==================================================
    ``get_structures_by_name/acronym/id``     ``o.by_name``, ``o.by_acronym``, ``o.by_id``
    ``get_structures_by_set_id``              ``o.in_set``
    ``get_structure_sets``                    ``o.structure_set_ids``, ``o.set_names``
    ``value_map(f, g)``                       ``o.mapping(f, g)``
    ``get_name_map``                          ``o.mapping("id", "name")``
    ``get_id_acronym_map``                    ``o.mapping("acronym", "id")``
    ``get_colormap``                          ``o.color_map()``
    ``get_ancestor_id_map``                   ``o.ancestor_map()``
    ``structure_descends_from``               ``o.descends_from``
    ``has_overlaps``                          ``o.overlaps``
    ``parents``, ``children``                 ``o.parent``, ``o.children``
    ``ancestors``, ``descendants``            the same, with ``include_self=True``
    ``node_ids``, ``nodes``                   ``o.ids``, ``list(o)``
    ``filter_nodes(f)``                       ``[s for s in o if f(s)]``
    ``clean_structures``                      `napari_stria.clean_structures`
    ``ReferenceSpace.remove_unassigned``      ``o.without_unassigned(region_table(atlas))``
    ========================================  ==================================================
    """

    def __init__(
        self, records: Iterable[StructureRecord], set_names: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(records)
        self.set_names: Mapping[int, str] = dict(sorted((set_names or {}).items()))
        self.matched: int | None = None
        self._sets: dict[int, list[int]] = {}
        for position, structure in enumerate(self._structures):
            for set_id in structure.structure_set_ids:
                self._sets.setdefault(set_id, []).append(position)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> Ontology:
        """Build an ontology from mappings with the fields of `StructureRecord`."""
        return cls(StructureRecord(**record) for record in records)

    def __repr__(self) -> str:
        return f"<Ontology of {len(self)} regions, root {self._structures[0].acronym!r}>"

    # -- several regions at once ---------------------------------------------------------------

    def by_name(self, names: str | Iterable[str]) -> list[Structure]:
        """Return the regions of some full names, in their order; all that share a name.

        Raises
        ------
        RegionNotFoundError
            With the names that no region has, and those that are near.
        """
        return self._at(found_by_text("name", names, self._by_name))

    def by_acronym(self, acronyms: str | Iterable[str]) -> list[Structure]:
        """Return the regions of some acronyms, in their order; all that share one. Case matters.

        Raises
        ------
        RegionNotFoundError
            With the acronyms that no region has, and those that are near.
        """
        return self._at(found_by_text("acronym", acronyms, self._by_acronym))

    def by_id(self, ids: int | Iterable[int]) -> list[Structure]:
        """Return the regions of some ids, in their order.

        Raises
        ------
        RegionNotFoundError
            With the ids that no region has.
        """
        return self._at(found_by_id(ids, self._position_of_id))

    def in_set(self, structure_set_ids: int | Iterable[int]) -> list[Structure]:
        """Return the regions that a structure set lists, or any of several; in pre-order.

        Raises
        ------
        RegionNotFoundError
            If no region is in one of the sets.
        """
        return self._at(positions_in_sets(structure_set_ids, self._sets))

    @property
    def structure_set_ids(self) -> tuple[int, ...]:
        """Ids of the structure sets that list a region of this ontology, ascending."""
        return tuple(sorted(self._sets))

    def search(self, text: str) -> list[Structure]:
        """Find regions by a part of the name or acronym, by an id, or by a pattern.

        With ``*``, ``?`` or ``[`` the text is a shell pattern that the whole acronym or name must
        match, and the answer is in pre-order; else the best answers come first (exact acronym,
        start of an acronym, anything else). Case does not matter.
        """
        return search_structures(self._structures, text)

    def overlaps(self, regions: Regions) -> frozenset[int]:
        """Return the ids of those regions of a selection that hold others of it.

        Parameters
        ----------
        regions
            See `napari_stria.core.selection.selected_positions`; with none the answer is empty.
        """
        # A selection is of regions of an ontology, so that its module stands above this one.
        from napari_stria.core.selection import selected_positions

        chosen = np.array(sorted(selected_positions(self, regions)), dtype=np.intp)
        running = np.zeros(len(self) + 1, dtype=np.int64)
        running[chosen + 1] = 1
        np.cumsum(running, out=running)
        within = running[self.subtree_ends[chosen]] - running[chosen + 1]
        return frozenset(int(i) for i in self.ids[chosen[within > 0]])

    # -- from one field to another ---------------------------------------------------------------

    def mapping(self, key: StructureField, value: StructureField) -> dict[Any, Any]:
        """Return one entry a region: from a field of it, or a function of it, to another.

        Parameters
        ----------
        key, value : str or callable
            The name of a field of `Structure` (``id``, ``acronym``, ``name``, ``rgb_triplet``,
            ``graph_order``, ``parent_id``, ...), or what makes the entry of a `Structure`.

        Raises
        ------
        AmbiguousRegionError
            If two regions have the same key; it names them.
        OntologyError
            If a region has no such field.

        Examples
        --------
        >>> ontology.mapping("acronym", "id")["VISp"]  # doctest: +SKIP
        385
        >>> ontology.mapping("id", lambda region: region.name.lower())[385]  # doctest: +SKIP
        'primary visual area'
        """
        return mapping(self._structures, key, value)

    def color_map(self) -> dict[int, tuple[int, int, int]]:
        """Return the colour of each region by id, three values of 0 to 255."""
        return {s.id: s.rgb_triplet for s in self._structures}

    def ancestor_map(self) -> dict[int, tuple[int, ...]]:
        """Return the ids from each region up to its root, the region itself first, by its id."""
        return {s.id: s.structure_id_path[::-1] for s in self._structures}

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a region in pre-order, indexed by id.

        Columns: id, acronym, name, parent_id (missing for a root), depth, annotation_value,
        rgb_triplet, structure_id_path; graph_id and graph_order (missing where the source does
        not say), structure_set_ids. Names of sets have no place in it.
        """
        return table_of(self)

    # -- with a volume, with another ontology ---------------------------------------------------

    def without_unassigned(self, table: pd.DataFrame) -> tuple[Ontology, tuple[Structure, ...]]:
        """Return the ontology without the regions that have no voxel, and those regions.

        This one stays as it is. A region whose descendants have voxels stays.

        Parameters
        ----------
        table : DataFrame
            The `napari_stria.region_table` of an atlas with this ontology.

        Raises
        ------
        FormatError
            If the table lacks regions or counts, or no region has a voxel.
        """
        stay = assigned(self, table)
        if not stay.any():
            raise FormatError(
                "no region has a voxel in this table, so that nothing would be left; is it of "
                "another volume?"
            )
        kept = (record_of(s) for s, stays in zip(self._structures, stay, strict=True) if stays)
        removed = tuple(s for s, stays in zip(self._structures, stay, strict=True) if not stays)
        return Ontology(kept, self.set_names), removed

    def validate(self, table: pd.DataFrame) -> VolumeReport:
        """Return how the ontology fits to a volume: what one of them has and the other has not.

        Parameters
        ----------
        table : DataFrame
            The `napari_stria.region_table` of an atlas with this ontology.

        Raises
        ------
        FormatError
            If the table lacks regions or counts.
        """
        return volume_report(self, table)

    def with_sets(self, other: Ontology) -> Ontology:
        """Return this ontology with the structure sets and graph fields of another one.

        Atlases of BrainGlobe have none; `napari_stria.fetch_ontology` has the Allen Institute's.
        A region is the same in both if its id is, and its acronym or name. One that the other
        ontology lacks has none of these afterwards. How many are in both is `matched` of what is
        returned.

        Raises
        ------
        RegionNotFoundError
            If no region is in both.
        """
        theirs = [other.same_region(structure) for structure in self._structures]
        matched = sum(structure is not None for structure in theirs)
        if not matched:
            raise RegionNotFoundError(
                "the two ontologies have no region in common; are they of one species?"
            )
        pairs = zip(self._structures, theirs, strict=True)
        result = Ontology((record_with_sets(mine, its) for mine, its in pairs), other.set_names)
        result.matched = matched
        return result

    def _at(self, positions: Iterable[int]) -> list[Structure]:
        return [self._structures[p] for p in positions]
