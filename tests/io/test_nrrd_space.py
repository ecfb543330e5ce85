"""Where the voxels of an NRRD lie: ours, Allen's, and those of other programs."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import CoordinateError
from napari_stria.io.nrrd_space import origin_of, space_of
from napari_stria.io.nrrd_writer import write_nrrd

SPACES = ["".join(letters) for letters in product("ap", "si", "rl")]
REGIONS = Ontology([StructureRecord(1, None, "r", "root"), StructureRecord(2, 1, "a", "a")])
VOLUME = np.zeros((4, 5, 6), np.uint16)
VOLUME[1, 1, 1] = 2


def _written(path: Path, space: str, **options: Any) -> Path:
    return write_nrrd(path, VOLUME, scale_um=(10.0, 20.0, 30.0), space=space, **options)


def _resaved(path: Path) -> Path:
    """Save as other programs do, which drop what they do not know."""
    data, header = nrrd.read(str(path))
    plain = {k: v for k, v in header.items() if not k.startswith("stria_")}
    other = path.with_name("resaved.nrrd")
    nrrd.write(str(other), data, plain)
    return other


@pytest.mark.parametrize("space", SPACES)
def test_what_we_wrote_lies_where_it_lay(tmp_path: Path, space: str) -> None:
    path = _written(tmp_path / "a.nrrd", space, origin_um=(1000.0, 0.0, 33.3))
    atlas = stria.open_allen_ccf(path, REGIONS)
    assert atlas.space == space
    assert [level.origin_um for level in atlas.annotation.levels] == [(1000.0, 0.0, 33.3)]
    center = stria.region_table(atlas).loc[2, ["centroid_ap_um", "centroid_dv_um"]]
    assert list(center) == [1015.0, 30.0]


@pytest.mark.parametrize("space", SPACES)
def test_directions_tell_the_space_of_other_programs_files(tmp_path: Path, space: str) -> None:
    path = _resaved(_written(tmp_path / "a.nrrd", space, origin_um=(1000.0, 0.0, 0.0)))
    atlas = stria.open_allen_ccf(path, REGIONS)
    assert atlas.space == space
    # Where other programs' coordinates begin is not known.
    assert atlas.annotation.levels[0].origin_um == (0.0, 0.0, 0.0)


LPS = "left-posterior-superior"
DIAGONAL = np.diag([25.0, 25.0, 25.0])
ALONG = np.array([[0, 25.0, 0], [0, 0, -25.0], [25.0, 0, 0]])


@pytest.mark.parametrize(
    ("space", "directions", "letters"),
    [
        (LPS, ALONG, "asr"),
        ("LPS", ALONG, "asr"),
        ("right-anterior-superior", ALONG, "psl"),
        ("RAS", ALONG, "psl"),
        ("left-anterior-superior", ALONG, "psr"),
        # Allen's, and files whose axes are others than they should be.
        (LPS, DIAGONAL, "asl"),
        (None, ALONG, "asl"),
        ("scanner-xyz", ALONG, "asl"),
        (LPS, ALONG + 5, "asl"),
        (LPS, ALONG[::-1], "asl"),
        (LPS, np.zeros((3, 3)), "asl"),
        (LPS, np.full((3, 3), np.nan), "asl"),
        (LPS, None, "asl"),
    ],
)
def test_only_directions_that_can_be_are_believed(
    space: str | None, directions: Any, letters: str
) -> None:
    header = {"space directions": directions, "space origin": np.zeros(3)}
    if space is not None:
        header["space"] = space
    assert space_of(header, "here") == letters
    assert origin_of(header, (25.0, 25.0, 25.0)) == (0.0, 0.0, 0.0)


def test_a_space_that_is_given_counts(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.nrrd", "asr")
    as_stated, other = (stria.open_allen_ccf(path, REGIONS, space=s) for s in (None, "asl"))
    assert (as_stated.space, other.space) == ("asr", "asl")
    sides = [stria.region_table(a).loc[2, ["left_mm3", "right_mm3"]] for a in (as_stated, other)]
    assert list(sides[0]) == list(sides[1])[::-1]
    with pytest.raises(CoordinateError):
        stria.open_allen_ccf(path, REGIONS, space="xyz")


def test_an_atlas_in_another_space_cannot_be_opened_by_its_address(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.nrrd", "asr")
    graph = stria.write_ontology(tmp_path / "g.json", REGIONS)
    assert stria.open_allen_ccf(path, graph, space="asr").opened_with
    assert not stria.open_allen_ccf(path, graph, space="asl").opened_with
