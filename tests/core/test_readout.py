"""What the dock says of a selection: unions, shares and sides (session/readout.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core import regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.regions import region_volume
from napari_stria.core.structures import StructureRecord
from napari_stria.session.colors import resolve_color_table
from napari_stria.session.readout import midplane_side, resolve_readout, status_line, union_volumes

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
PARENTS = {10: None, 20: 10, 30: 20, 40: 10, 50: None, 60: 50, 70: 50}


def make_atlas() -> tuple[Atlas, Any]:
    ontology = Ontology(StructureRecord(i, p, f"R{i}", f"region {i}") for i, p in PARENTS.items())
    rng = np.random.default_rng(0)
    labels: npt.NDArray[Any] = rng.choice([0, 10, 20, 30, 40, 50, 60, 99], size=(7, 6, 9))
    atlas = atlas_from_array(labels.astype(np.uint8), ontology, resolution_um=25, space="asl")
    return atlas, region_table(atlas)


@given(st.lists(st.integers(0, len(PARENTS) - 1), min_size=1, max_size=5))
def test_a_selection_counts_no_voxel_twice(positions: list[int]) -> None:
    atlas, table = make_atlas()
    volumes = union_volumes(atlas, table, positions)
    regions = [atlas.ontology.at(p) for p in positions]
    assert volumes.total_mm3 == pytest.approx(region_volume(atlas, regions))
    assert volumes.left_mm3 + volumes.right_mm3 == pytest.approx(volumes.total_mm3)
    assert volumes.unsided_mm3 == 0


def test_the_share_of_the_parent() -> None:
    atlas, table = make_atlas()
    position = atlas.ontology.position("R20")
    readout = resolve_readout(atlas, [position], table, "ready")
    assert readout is not None
    assert readout.volumes is not None
    expected = table.loc[20, "voxels"] / table.loc[10, "voxels"]
    assert readout.volumes.share_of_parent == pytest.approx(expected)
    assert readout.volumes.parent_acronym == "R10"
    assert (readout.title, readout.subtitle, readout.path) == ("R20", "region 20", ("R10", "R20"))
    root = resolve_readout(atlas, [0], table, "ready")
    assert root is not None
    assert root.volumes is not None
    assert root.volumes.share_of_parent is None
    empty = resolve_readout(atlas, [atlas.ontology.position("R70")], table, "ready")
    assert empty is not None
    assert empty.volumes is not None
    assert (empty.volumes.total_mm3, empty.volumes.share_of_parent) == (0, 0)


def test_no_estimate_before_the_table_is_there() -> None:
    atlas, _ = make_atlas()
    readout = resolve_readout(atlas, [0], None, "computing")
    assert readout is not None
    assert readout.volumes is None
    assert readout.table_state == "computing"
    assert resolve_readout(atlas, [], None, "none") is None


def test_points_and_sides() -> None:
    atlas, _ = make_atlas()
    middle = 4 * 25.0  # round(9 / 2) is 4; asl starts on the left
    say: Callable[[float], str] = lambda ml: midplane_side(atlas, (10.0, 10.0, ml))  # noqa: E731
    assert [say(0.0), say(middle - 0.1), say(middle), say(224.9)] == [
        "left", "left", "right", "right",
    ]  # fmt: skip
    assert [say(-0.1), say(225.0), say(float("nan"))] == ["outside"] * 3
    assert status_line(atlas, 0, "left") == "background · left"
    assert "unlisted" in status_line(atlas, len(atlas.ontology) + 1, "left")
    index = atlas.ontology.position("R30") + 1
    assert status_line(atlas, index, "right") == "R10 › R20 › R30 · region 30 · right"


def test_colours_of_a_selection() -> None:
    atlas, _ = make_atlas()
    ontology, n = atlas.ontology, len(PARENTS)
    hidden = np.zeros(n, bool)
    plain = resolve_color_table(ontology, [], hidden)
    assert plain.shape == (n + 2, 4)
    assert plain[:, 3].tolist() == [0, *[1] * (n + 1)]
    hidden[ontology.position("R40")] = True
    chosen = resolve_color_table(ontology, [ontology.position("R20")], hidden)
    shown = {s.acronym for s, row in zip(ontology, chosen[1:]) if row[3] == 1}
    assert shown == {"R20", "R30"}
    assert chosen[ontology.position("R40") + 1, 3] == 0
    assert 0 < chosen[ontology.position("R50") + 1, 3] < 1
