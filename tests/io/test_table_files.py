"""Tables as CSV: by their own words, without loss."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.io.table_files import with_region_columns, write_table

ONTOLOGY = Ontology(
    [
        StructureRecord(3_000_000_001, None, "NA", 'the "root", really', (0, 10, 255), 7),
        StructureRecord(5, 3_000_000_001, "é", "a\nb"),
    ]
)


def test_what_the_ontology_says_comes_after_the_name() -> None:
    table = pd.DataFrame(
        {"acronym": ["NA", "é", "unlisted"], "name": ["x", "y", "z"], "voxels": [1, 2, 3]},
        index=pd.Index([3_000_000_001, 5, -7], name="id"),
    )
    wide = with_region_columns(table, ONTOLOGY)
    added = ["parent_id", "annotation_value", "color_hex", "structure_id_path"]
    assert list(wide.columns) == ["acronym", "name", *added, "voxels"]
    assert list(wide["parent_id"].astype(object)) == [pd.NA, 3_000_000_001, pd.NA]
    assert list(wide["color_hex"]) == ["#000AFF", "#A0A0A0", ""]
    assert list(wide["structure_id_path"]) == ["/3000000001/", "/3000000001/5/", ""]
    assert wide["annotation_value"].iloc[0] == 7
    assert list(table.columns) == ["acronym", "name", "voxels"]
    pd.testing.assert_frame_equal(with_region_columns(wide, ONTOLOGY), wide)


def test_cells_come_back_as_they_were(tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 1 / 3, np.nan]
    table = pd.DataFrame(
        {"name": ['a,"b"\nc', "NA", "é"], "volume_mm3": numbers},
        index=pd.Index([1, 2, 3], name="id"),
    )
    path = tmp_path / "t.csv"
    write_table(path, table, {"rule": "centre", "voxel_ap_um": 12.5})
    raw = path.read_bytes()
    assert b"\r" not in raw
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "name", "volume_mm3", "rule", "voxel_ap_um"]
    assert [row[1] for row in rows] == list(table["name"])
    assert [float(row[2]) for row in rows[:2]] == numbers[:2]
    assert [row[2:] for row in rows][2] == ["", "centre", "12.5"]
    assert list(table.columns) == ["name", "volume_mm3"]
