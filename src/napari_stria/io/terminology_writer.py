"""An ontology as BrainGlobe's ``terminology.csv``."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import Structure

_COLUMNS = (
    "identifier",
    "parent_identifier",
    "annotation_value",
    "name",
    "abbreviation",
    "color_hex_triplet",
    "root_identifier_path",
)
# Beside BrainGlobe's own, as Allen's tables call them; only where the regions have them.
_NUMBERS = ("graph_id", "graph_order")


def terminology_csv(ontology: Ontology) -> bytes:
    """Return an ontology as a terminology file, one row a region in pre-order.

    `napari_stria.io.terminology.parse_terminology` reads it back, with graphs' numbers where the
    regions have them. Structure sets have no place in the format (BrainGlobe atlas API, version 3);
    `napari_stria.write_ontology` keeps them.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    numbers = [n for n in _NUMBERS if any(getattr(region, n) is not None for region in ontology)]
    writer.writerow((*_COLUMNS, *numbers))
    for region in ontology:
        writer.writerow((*_cells(region), *(getattr(region, n) for n in numbers)))
    return text.getvalue().encode()


def _cells(region: Structure) -> tuple[Any, ...]:
    return (
        region.id,
        region.parent_id,
        region.annotation_value,
        region.name,
        region.acronym,
        color_hex(region.rgb_triplet),
        json.dumps(list(region.structure_id_path)),
    )


def color_hex(rgb: tuple[int, int, int]) -> str:
    """Return a colour as ``#RRGGBB``."""
    red, green, blue = rgb
    return f"#{red:02X}{green:02X}{blue:02X}"
