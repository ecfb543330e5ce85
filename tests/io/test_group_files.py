"""Region groups as files: nothing is lost, and no file that anybody wrote does harm."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_stria as stria
from napari_stria.errors import (
    FormatError,
    OutputError,
    OutputExistsError,
    UnsupportedSourceError,
)
from napari_stria.io.group_files import groups_from_json, groups_to_json

VISUAL = stria.RegionGroup("Visual", (385, 409), (8, 133, 140), acronyms=("VISp", "VISl"))
PLAIN = stria.RegionGroup("Mein Kortex – ñ 大脑", (2**62,))

names = st.text(min_size=1, max_size=30).filter(lambda text: text.split())


@st.composite
def group_lists(draw: st.DrawFn) -> list[stria.RegionGroup]:
    made = {}
    for name in draw(st.lists(names, max_size=4)):
        ids = draw(st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=5, unique=True))
        acronyms = draw(st.just([]) | st.lists(st.text(), min_size=len(ids), max_size=len(ids)))
        rgb = draw(st.tuples(*[st.integers(0, 255)] * 3))
        group = stria.RegionGroup(name, tuple(ids), rgb, tuple(acronyms))
        made[group.name] = group
    return list(made.values())


@given(group_lists(), st.text())
def test_what_is_written_is_read_again_exactly(groups: list[stria.RegionGroup], name: str) -> None:
    text = groups_to_json(groups, name)
    again = groups_from_json(text.encode("utf-8", "backslashreplace"))
    assert list(again) == groups
    assert [g.acronyms for g in again] == [g.acronyms for g in groups]
    assert groups_to_json(again, name) == text


def test_a_file_is_made_to_be_read(tmp_path: Path) -> None:
    path = stria.write_region_groups(tmp_path / "mine.groups.json", [VISUAL, PLAIN])
    assert path.read_text(encoding="utf-8") == (
        "{\n"
        ' "format": "napari-stria region groups",\n'
        ' "version": 1,\n'
        ' "groups": [\n'
        '  {"name": "Visual", "regions": [385, 409], "acronyms": ["VISp", "VISl"],'
        ' "rgb": [8, 133, 140]},\n'
        '  {"name": "Mein Kortex – ñ 大脑", "regions": [4611686018427387904],'
        ' "rgb": [160, 160, 160]}\n'
        " ]\n"
        "}\n"
    )
    assert stria.read_region_groups(path) == (VISUAL, PLAIN)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.groups.json"]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode  # others may read it


def test_an_atlas_names_its_regions_and_loses_none_that_it_lacks(tmp_path: Path) -> None:
    ontology = stria.Ontology.from_records(
        [{"id": 385, "parent_id": None, "acronym": "VISp", "name": "Primary visual area"}]
    )
    labels = np.full((2, 2, 2), 385, np.uint32)
    atlas = stria.atlas_from_array(labels, ontology, resolution_um=25, name="toy_mouse_25um")
    group = stria.RegionGroup("mine", (385, 7), acronyms=("", "gone"))
    path = stria.write_region_groups(tmp_path / "a.groups.json", [group], atlas=atlas)
    assert json.loads(path.read_text())["atlas"] == "toy_mouse_25um"
    again = stria.read_region_groups(path)
    assert again == (group,)
    assert again[0].acronyms == ("VISp", "gone")


def test_a_file_is_replaced_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.groups.json"
    stria.write_region_groups(path, [VISUAL])
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
        stria.write_region_groups(path, [PLAIN])
    assert path.read_bytes() == before
    stria.write_region_groups(path, [PLAIN], overwrite=True)
    assert stria.read_region_groups(path) == (PLAIN,)
    with pytest.raises(OutputError, match="cannot be written"):
        stria.write_region_groups(tmp_path / "nowhere" / "a.groups.json", [PLAIN])
    with pytest.raises(FormatError, match="several groups called 'Visual'"):
        stria.write_region_groups(path, [VISUAL, VISUAL], overwrite=True)
    assert stria.read_region_groups(path) == (PLAIN,)


def document(**changed: Any) -> dict[str, Any]:
    content = json.loads(groups_to_json([VISUAL]))
    return {**content, **changed}


def group(**changed: Any) -> dict[str, Any]:
    values = {"name": "a", "regions": [1], "acronyms": ["A"], "rgb": [1, 2, 3], **changed}
    return document(groups=[{k: v for k, v in values.items() if v is not None}])


@pytest.mark.parametrize(
    "content",
    [
        document(groups=[{"name": "a", "regions": [1], "rgb": [1, 2, 3], "note": "later"}]),
        document(later={"x": 1}),
        group(rgb=None),
        group(acronyms=None),
        group(regions=[1, 2], acronyms=["A"]),  # a region was added by hand
        group(regions=[1, 1], acronyms=["A", "A"]),
    ],
)
def test_what_is_more_or_less_than_we_write_is_read(content: dict[str, Any]) -> None:
    groups = groups_from_json(json.dumps(content).encode())
    assert [g.name for g in groups] in (["a"], ["Visual"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "not a JSON object"),
        ({}, "holds no region groups"),
        (document(format="napari-stria view"), "holds no region groups"),
        (document(version="1"), "version"),
        (document(version=0), "version"),
        (document(groups={"a": [1]}), "not a list"),
        (document(groups=[[1, 2]]), "not a JSON object"),
        (group(name=None), "name is None, not a text"),
        (group(name=" "), "needs a name"),
        (group(name="x" * 5000), "at most 4096"),
        (group(regions=None, acronyms=None), "give their ids"),
        (group(regions=[]), "give their ids"),
        (group(regions=["VISp"]), "not a whole number"),
        (group(regions=[1.0]), "not a whole number"),
        (group(regions=[True]), "not a whole number"),
        (group(regions=[0]), "above 0"),
        (group(regions=[-5]), "not a whole number"),
        (group(regions=[2**70]), "not a whole number"),
        (group(regions=385), "not a list"),
        (group(rgb=[1, 2]), "not a list of 3"),
        (group(rgb=[1, 2, 300]), "from 0 to 255"),
        (group(rgb="red"), "not a list"),
        (group(acronyms=[7]), "not a text"),
        (document(groups=document()["groups"] * 2), "several groups called 'Visual'"),
    ],
)
def test_what_is_wrong_is_said(content: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.groups.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=said) as caught:
        stria.read_region_groups(path)
    assert "bad.groups.json" in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe{", b"[" * 100_000, b'{"version": NaN}', b'{"a": 1' + b"0" * 5000]
)
def test_what_is_no_json_is_said(raw: bytes) -> None:
    with pytest.raises(FormatError, match="not a JSON"):
        groups_from_json(raw)


def test_a_newer_version_says_so() -> None:
    with pytest.raises(UnsupportedSourceError, match="newer version"):
        groups_from_json(json.dumps(document(version=2)).encode())


def test_a_file_that_is_huge_or_not_there_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.groups.json"
    with path.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(FormatError, match="too large"):
        stria.read_region_groups(path)
    missing = tmp_path / "none.groups.json"
    with pytest.raises(FormatError, match=re.escape(f"{missing} cannot be read")):
        stria.read_region_groups(missing)
    with pytest.raises(FormatError, match="cannot be read"):
        stria.read_region_groups(tmp_path)


HALF = "x\ud800"


@pytest.mark.parametrize(
    "group",
    [
        {"name": HALF, "regions": [2]},
        {"name": None, "regions": [2]},
        {"name": "a", "regions": [2], "acronyms": [HALF]},
        {"name": "a", "regions": [2], "acronyms": [None]},
    ],
)
def test_texts_that_cannot_be_written_are_not_read(group: dict[str, Any]) -> None:
    head = {"format": "napari-stria region groups", "version": 1}
    with pytest.raises(FormatError, match="not a text"):
        groups_from_json(json.dumps({**head, "groups": [group]}).encode())


def test_the_users_folder_is_meant_by_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    path = stria.write_region_groups("~/mine.groups.json", [VISUAL])
    assert path == tmp_path / "mine.groups.json"
    assert stria.read_region_groups("~/mine.groups.json") == (VISUAL,)
