"""The practice brain's regions as structures of the Allen API, with structure sets.

Ids, names and places in the hierarchy are facts of the Allen ontology; which set lists which region
is cut down to the practice regions, and the order of the graph is counted among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari_stria.core.phantom_regions import PRACTICE_IDS, PRACTICE_REGIONS, PracticeRegion
from napari_stria.demo.allen_tables import Row, Tables

PRACTICE_GRAPH = 1
"""The graph that the practice regions are of."""

_ONTOLOGY = 1
_COARSE = ("Isocortex", "OLF", "HPF", "CTXsp", "STR", "PAL", "TH", "HY", "MB", "P", "MY", "CB")
_CORTEX = ("MOp", "MOs", "SSp-un", "AUDp", "VISp", "VISli", "ACA", "ORB", "RSPagl", "RSPd", "RSPv",
           "TEa")  # fmt: skip
_BELOW_CORTEX = ("MOB", "PIR", "CA1", "CA3", "DG", "BLA", "CP", "PAL", "TH", "HY", "IC", "PAG", "P",
                 "MY", "CBX", "CBN")  # fmt: skip
# id, name, description, and the acronyms of its structures.
_SETS: tuple[tuple[int, str, str, tuple[str, ...]], ...] = (
    (2, "Mouse - Coarse", "Structures at a coarse level", _COARSE),
    (3, "Mouse - Areas", "Structures at an areal level", (*_CORTEX, "MOB", "PIR", "CA", "DG")),
    # No practice region is in this one, so that no structure's record names it.
    (4, "Human - Coarse", "Structures of another species", ()),
    (
        167587189,
        "Brain – Summary Structures",
        "Structures of a middle level that do not overlap",
        _CORTEX + _BELOW_CORTEX,
    ),
    (687527670, "Brain - Major Divisions", "Major divisions of the brain", _COARSE),
    (688152357, "Isocortex", "Summary structures of the isocortex", _CORTEX),
    (691663206, "Mouse Brain - Has Surface Mesh", "All of them", tuple(PRACTICE_IDS)),
)


def structure_rows() -> dict[str, list[Row]]:
    """Return the rows of the models Structure and StructureSet."""
    sets = [{"id": i, "name": name, "description": text} for i, name, text, _ in _SETS]
    return {"Structure": _structures(), "StructureSet": sets}


def associate_structures(tables: Tables) -> None:
    """Let structures lead to their sets, and sets to their structures."""
    pairs = [
        (set_id, PRACTICE_IDS[acronym]) for set_id, _, _, acronyms in _SETS for acronym in acronyms
    ]
    tables.link("Structure", "structure_sets", "StructureSet", ((r, s) for s, r in pairs))
    tables.link("StructureSet", "structures", "Structure", pairs)


def structure_graph(graph_id: int) -> list[dict[str, Any]]:
    """Return the roots of a graph, each structure with its children in it; none if unknown."""
    if graph_id != PRACTICE_GRAPH:
        return []
    nodes: dict[int, dict[str, Any]] = {}
    roots: list[dict[str, Any]] = []
    for row in _structures():
        fields = ("id", "atlas_id", "ontology_id", "acronym", "name", "color_hex_triplet",
                  "graph_order", "st_level", "hemisphere_id", "parent_structure_id")  # fmt: skip
        node = {name: row[name] for name in fields} | {"children": []}
        nodes[row["id"]] = node
        parent = row["parent_structure_id"]
        (roots if parent is None else nodes[parent]["children"]).append(node)
    return roots


def _structures() -> list[Row]:
    paths = dict(_paths())
    return [_structure(order, region, paths) for order, region in enumerate(PRACTICE_REGIONS)]


def _paths() -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield each region's id, and the ids from the root to it."""
    found: dict[int | None, tuple[int, ...]] = {None: ()}
    for region in PRACTICE_REGIONS:
        found[region.id] = (*found[region.parent_id], region.id)
        yield region.id, found[region.id]


def _structure(order: int, region: PracticeRegion, paths: dict[int, tuple[int, ...]]) -> Row:
    path = paths[region.id]
    return {
        "id": region.id,
        "acronym": region.acronym,
        "name": region.name,
        "safe_name": region.name.replace(",", ""),
        "color_hex_triplet": bytes(region.rgb_triplet).hex().upper(),
        "depth": len(path) - 1,
        "graph_id": PRACTICE_GRAPH,
        "graph_order": order,
        "hemisphere_id": 3,
        "ontology_id": _ONTOLOGY,
        "parent_structure_id": region.parent_id,
        "st_level": len(path) - 1,
        "structure_id_path": f"/{'/'.join(map(str, path))}/",
        "weight": 8690,
        "atlas_id": None,
        "failed": False,
        "failed_facet": 734881840,
        "neuro_name_structure_id": None,
        "neuro_name_structure_id_path": None,
        "sphinx_id": order + 1,
        "structure_name_facet": 0,
    }
