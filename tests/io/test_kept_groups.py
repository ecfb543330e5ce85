"""The user's own groups, which several windows may change."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_stria.core.groups import RegionGroup
from napari_stria.io.config_files import config_folder
from napari_stria.io.kept_groups import KeptGroupsFile, atlas_family

A, B, C = (RegionGroup(name, (number,)) for number, name in enumerate("ABC", 1))


@pytest.fixture
def path(private_places: Path) -> Path:
    return config_folder() / "region_groups.json"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("allen_mouse_25um", "allen_mouse"),
        ("allen_mouse_10um", "allen_mouse"),
        ("perens_lsfm_mouse_20um", "perens_lsfm_mouse"),
        ("whs_sd_rat_39um", "whs_sd_rat"),
        ("toy_12.5um", "toy"),
        ("allen_mouse_bluebrain_barrels_10um", "allen_mouse_bluebrain_barrels"),
        ("array", "array"),
        ("annotation_25", "annotation"),
        ("annotation_10", "annotation"),
        ("atlas_v3", "atlas_v3"),
        ("_10um", "_10um"),
    ],
)
def test_a_family_is_the_name_without_the_resolution(name: str, family: str) -> None:
    assert atlas_family(name) == family


def test_groups_are_kept_by_family(path: Path) -> None:
    kept = KeptGroupsFile()
    assert kept.read("allen_mouse").groups == ()
    assert not path.exists()
    assert kept.change("allen_mouse", [], [A, B]).groups == (A, B)
    kept.change("rat", [], [C])
    assert KeptGroupsFile().read("allen_mouse").groups == (A, B)
    assert KeptGroupsFile().read("rat").groups == (C,)


def test_what_another_window_did_meanwhile_stays(path: Path) -> None:
    KeptGroupsFile().change("m", [], [A])
    KeptGroupsFile().change("m", [A], [A, B])
    assert KeptGroupsFile().change("m", [A], [C]).groups == (C, B)  # deletes A, adds C


def test_many_windows_lose_nothing(path: Path) -> None:
    groups = [RegionGroup(f"g{i}", (i,)) for i in range(1, 13)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda g: KeptGroupsFile().change("m", [], [g]), groups))
    assert set(KeptGroupsFile().read("m").groups) == set(groups)


def test_what_is_no_group_is_said_and_stays(path: Path) -> None:
    good = {"name": "A", "regions": [1], "rgb": [160, 160, 160]}
    bad = [{"name": "x"}, 7, {"name": "A", "regions": [9]}]
    path.write_text(json.dumps({"families": {"m": [good, *bad], "n": "?"}, "later": 1}))
    kept = KeptGroupsFile().read("m")
    assert kept.groups == (A,)
    assert "3 of the groups" in kept.problem
    assert KeptGroupsFile().change("m", [A], [A, B]).groups == (A, B)
    content = json.loads(path.read_text())
    assert content["families"]["m"][2:] == bad
    assert content["families"]["n"] == "?"
    assert content["later"] == 1


def test_a_damaged_file_is_set_aside(path: Path) -> None:
    path.write_text("{")
    assert "set aside" in KeptGroupsFile().read("m").problem
    assert KeptGroupsFile().change("m", [], [A]).groups == (A,)
    path.write_text(json.dumps({"families": [1]}))
    assert KeptGroupsFile().change("m", [], [A]).groups == (A,)
