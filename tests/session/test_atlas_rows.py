from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.io.atlas_details import AtlasDetails
from napari_stria.session.atlas_row_texts import (
    NAME,
    RESOLUTION,
    SIZE,
    SPECIES,
    STAR,
    VERSION,
    WHERE,
    cell_text,
    details_text,
    details_tip,
    matches,
    name_key,
    sort_key,
    update_text,
)
from napari_stria.session.atlas_rows import (
    AtlasCopy,
    AtlasRow,
    merge_rows,
    named_resolution_um,
    named_species,
    version_key,
)

ROOT, HOME = "https://public.example", "/home/u/.brainglobe"
MOUSE, RAT = "allen_mouse_25um", "whs_sd_rat_39um"


@dataclass(frozen=True)
class Kept:
    name: str
    version: str
    root: str = ROOT
    bytes: int = 1000
    complete: bool = True
    opened_with: Mapping[str, Any] = field(default_factory=dict)


def local(name: str, version: str, **more: Any) -> AtlasEntry:
    return AtlasEntry(name, version, root=HOME, local=True, **more)


def only(rows: list[AtlasRow]) -> AtlasRow:
    (row,) = rows
    return row


# -- merging --------------------------------------------------------------------------------------


def test_each_version_on_this_machine_can_be_chosen() -> None:
    versions = [local(MOUSE, "1.2", size_bytes=10), local(MOUSE, "1.10", size_bytes=20)]
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")], versions, root=ROOT))
    assert [c.version for c in row.versions()] == ["3.0", "1.10", "1.2"]
    assert row.copy_of("1.2") == AtlasCopy("1.2", HOME, "local", 10)
    assert row.here is not None
    assert row.here.version == "1.10"
    # The same when the folder itself is what is listed.
    row = only(merge_rows(versions, versions, root=HOME))
    assert [(c.version, c.root) for c in row.versions()] == [("1.10", ""), ("1.2", "")]
    assert row.preferred.version == "1.10"


def test_one_row_knows_both_versions() -> None:
    row = only(
        merge_rows(
            [AtlasEntry(MOUSE, "3.0")],
            [local(MOUSE, "1.2", species="Mus musculus", size_bytes=512_000_000)],
            root=ROOT,
        )
    )
    assert [(c.version, c.root, c.place) for c in row.copies] == [
        ("3.0", "", "online"),
        ("1.2", HOME, "local"),
    ]
    assert row.update == ("1.2", "3.0")
    assert row.place == "local"
    assert row.preferred.version == "3.0"
    assert row.species == "Mus musculus"
    assert update_text(row) == f"{MOUSE} 1.2 is on this machine; 3.0 is available."
    texts = [cell_text(row, column) for column in range(STAR, WHERE + 1)]
    assert texts == ["☆", MOUSE, "Mus musculus", "25", "1.2 → 3.0", "512 MB", "on this machine"]


def test_without_a_network_what_is_here_opens() -> None:
    rows = merge_rows(
        [], [local(MOUSE, "1.2")], [Kept(MOUSE, "3.0", complete=False), Kept(RAT, "1.4")], root=ROOT
    )
    mouse, rat = rows
    # A whole older one rather than a part of the newest, which may lack what is looked at.
    assert (mouse.preferred.version, mouse.preferred.root) == ("1.2", HOME)
    assert mouse.update is None
    assert (rat.preferred.version, rat.place) == ("1.4", "kept")
    part = only(merge_rows([], [], [Kept(MOUSE, "3.0", complete=False)], root=ROOT))
    assert (part.preferred.version, part.place) == ("3.0", "part")


@pytest.mark.parametrize(("here", "opens"), [("2.9", "online"), ("3.0", "local"), ("3.1", "local")])
def test_the_newest_that_works_is_preferred(here: str, opens: str) -> None:
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")], [local(MOUSE, here)]))
    assert row.preferred.place == opens
    assert (row.update is not None) is (opens == "online")


def test_what_was_kept_is_found_through_its_own_root() -> None:
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")], kept=[Kept(MOUSE, "3.0")], root=ROOT))
    assert row.preferred.place == "online"  # the same address: what was kept of it is used
    assert [c.place for c in row.versions()] == ["kept"]  # one version of one root, once
    assert (row.place, row.here.size_bytes if row.here else 0) == ("kept", 1000)
    other = only(
        merge_rows([AtlasEntry(MOUSE, "3.0")], kept=[Kept(MOUSE, "3.0", "s3://x")], root=ROOT)
    )
    assert {c.root for c in other.versions()} == {"", "s3://x"}


def test_a_folder_that_is_listed_lies_here() -> None:
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0", local=True)], root="/data/mirror"))
    assert (row.place, row.preferred.root, row.online) == ("local", "", None)
    assert [c.place for c in row.versions(["1.2"])] == ["local", "local"]


def test_a_typed_version_finds_its_copy() -> None:
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")], [local(MOUSE, "1.2")], root=ROOT))
    assert row.copy_of("") is row.preferred
    assert row.copy_of("1_2") == AtlasCopy("1.2", HOME, "local")
    assert row.copy_of("2.0") == AtlasCopy("2.0", "", "online")
    assert [c.version for c in row.versions(["2.0", "1.2", "3.0"])] == ["3.0", "2.0", "1.2", "1.2"]


def test_the_source_is_believed_before_the_name() -> None:
    details = {f"{MOUSE}/3.0": AtlasDetails(MOUSE, "3.0", "Mus musculus", (25.0, 10.0, 10.0))}
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")], details=details))
    assert (row.species, row.resolution_um) == ("Mus musculus", (25.0, 10.0, 10.0))
    assert cell_text(row, RESOLUTION) == "25 × 10 × 10"
    plain = only(merge_rows([AtlasEntry(MOUSE, "3.0")], favourites={MOUSE}))
    assert (plain.species, plain.resolution_um, plain.named_um) == ("mouse", None, 25.0)
    assert plain.favourite
    assert cell_text(plain, STAR) == "★"


@pytest.mark.parametrize(
    ("name", "species", "named"),
    [
        ("allen_mouse_25um", "mouse", 25.0),
        ("admba_3d_p14_mouse_16.752um", "mouse", 16.752),
        ("kim_dev_mouse_e11-5_mri-adc_31.5um", "mouse", 31.5),
        ("whs_sd_swc_female_rat_39um", "rat", 39.0),
        ("nadkarni_mri_mouselemur_91um", "mouselemur", 91.0),
        ("african_molerat_20um", "molerat", 20.0),
        ("allen_cord_20um", None, 20.0),  # a cord is no animal
        ("perens_multimodal_lsfm_25um", None, 25.0),
        ("my atlas", None, None),
        ("", None, None),
    ],
)
def test_what_a_name_says(name: str, species: str | None, named: float | None) -> None:
    assert named_species(name) == species
    assert named_resolution_um(name) == named


def test_versions_are_compared_by_their_numbers() -> None:
    ordered = ["", "beta", "0.9", "1.2", "1.10", "3.0", "3.0.1", "10.0"]
    assert sorted(ordered, key=version_key) == ordered
    assert version_key("1_2") == version_key("1.2") == version_key("v1.2")[1:]


# -- texts ----------------------------------------------------------------------------------------


def test_what_is_unknown_is_not_made_up() -> None:
    row = only(merge_rows([AtlasEntry("thing", "")]))
    assert [cell_text(row, c) for c in (SPECIES, RESOLUTION, VERSION, SIZE)] == ["–"] * 4
    assert details_text(row, None) == ""
    assert [sort_key(row, c) for c in (SPECIES, RESOLUTION, VERSION, SIZE)] == [None] * 4


def test_details_in_a_line_and_in_full() -> None:
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")]))
    said = AtlasDetails(MOUSE, "3.0", "Mus musculus", (25.0,) * 3, (528, 320, 456), "asr", False)
    learned = only(merge_rows([AtlasEntry(MOUSE, "3.0")], details={f"{MOUSE}/3.0": said}))
    assert details_text(row, None) == "mouse · 25 µm"
    assert details_text(learned, said) == "Mus musculus · 25 µm · asymmetric · 528 × 320 × 456"
    assert "308 MB" in details_tip(said)  # 528 · 320 · 456 · 4 bytes


def test_each_word_is_looked_for_in_all_columns() -> None:
    row = only(merge_rows([AtlasEntry(MOUSE, "3.0")], [local(MOUSE, "1.2")]))
    assert matches(row, ["mouse", "25"])
    assert matches(row, ["machine", "3.0"])
    assert matches(row, [])
    assert not matches(row, ["mouse", "rat"])


def test_numbers_in_names_sort_as_numbers() -> None:
    names = ["a_mouse_2.5um", "a_mouse_25um", "a_mouse_100um", "a_mouse_x", "B_mouse_1um"]
    rows = merge_rows([AtlasEntry(name, "1") for name in reversed(names)])
    assert [row.name for row in sorted(rows, key=name_key)] == names
    by_size = [sort_key(row, RESOLUTION) for row in rows]
    assert sorted(v for v in by_size if v is not None) == [1.0, 2.5, 25.0, 100.0]
    assert sort_key(rows[0], NAME) == name_key(rows[0])
