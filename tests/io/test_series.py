"""Files of series: every format read, written and read again; odd and broken ones; images."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.atlas import atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import Affine
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    OutputExistsError,
    ReferenceSpaceError,
    UnsupportedSourceError,
)
from napari_stria.io.series import read_series, write_series
from napari_stria.io.series_images import images_of

MOUSE = "ABA_Mouse_CCFv3_2017_25um.cutlas"
# Numbers that have no short form, as programs write them.
FIRST = [0.1 + 0.2, 300.00000000000006, 319.5, 456.25, 1e-17, -0.0, 2 / 3, 0.125, -320.0]
SECOND = [1.5, 290.0, 318.0, 455.0, 0.0, 1.0, 0.0, 0.5, -319.0]
MARKERS = [[100.1, 200.2, 110.3, 190.4], [500.0, 300.0, 510.0, 310.0]]

QUICKNII = {
    "name": "Größe",
    "target": MOUSE,
    "target-resolution": [456.0, 528.0, 320.0],
    "slices": [
        {"filename": "a_s001.png", "nr": 1, "width": 1000, "height": 800, "anchoring": FIRST},
        {"filename": "a_s002.png", "nr": 2, "width": 1000, "height": 800},
        {"filename": "a_s004.png", "nr": 4, "width": 900, "height": 700, "anchoring": SECOND},
    ],
}
VISUALIGN = {
    **QUICKNII,
    "made by": {"whom": ["me", 1.5, None]},
    "slices": [
        {**QUICKNII["slices"][0], "markers": MARKERS, "note": "cut"},  # type: ignore[dict-item]
        *QUICKNII["slices"][1:],
    ],
}
DEEPSLICE = {
    "name": "",
    "target": MOUSE,
    "aligner": "DeepSlice",
    "slices": [
        {
            "filename": "a_s001.jpg",
            "anchoring": FIRST,
            "height": 800,
            "width": 1000,
            "nr": 1,
            "markers": [],
        },
        {
            "filename": "a_s005.jpg",
            "anchoring": SECOND,
            "height": 801,
            "width": 1001,
            "nr": 5,
            "markers": [],
        },
    ],
}
COLUMNS = ["Filenames", "ox", "oy", "oz", "ux", "uy", "uz", "vx", "vy", "vz", "width", "height"]


def saved(folder: Path, values: Any, name: str = "series.json") -> Path:
    path = folder / name
    text = values if isinstance(values, str) else json.dumps(values)
    path.write_text(text, encoding="utf-8")
    return path


def csv_file(folder: Path, rows: list[list[Any]], columns: list[str] | None = None) -> Path:
    path = folder / "series.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns or [*COLUMNS, "nr", "bad_section"], *rows])
    return path


def plain(slice_: SeriesSlice) -> Mapping[str, Any]:
    """What a file should keep of a section."""
    real = None if slice_.is_interpolated else slice_.anchoring
    return {
        "names": (slice_.filename, slice_.layer_filenames),
        "numbers": (slice_.nr, slice_.width, slice_.height),
        "anchoring": None if real is None else real.tolist(),
        "markers": slice_.markers.tolist(),
        "extras": dict(slice_.extras),
    }


def assert_same(found: SectionSeries, expected: SectionSeries) -> None:
    assert found.target == expected.target
    assert [plain(s) for s in found.slices] == [plain(s) for s in expected.slices]
    for mine, theirs in zip(found.slices, expected.slices, strict=True):
        assert mine.is_interpolated == theirs.is_interpolated
        np.testing.assert_array_equal(
            mine.linear_to_atlas.matrix, theirs.linear_to_atlas.matrix, err_msg=mine.filename
        )


@pytest.mark.parametrize(
    ("values", "kind"),
    [(QUICKNII, "quicknii"), (VISUALIGN, "visualign"), (DEEPSLICE, "deepslice-json")],
)
def test_json_round_trips(values: dict[str, Any], kind: str, tmp_path: Path) -> None:
    series = read_series(saved(tmp_path, values))
    assert (series.format, series.name) == (kind, values["name"])
    assert series.slices[0].placed_anchoring.ravel().tolist() == FIRST
    out = write_series(series, tmp_path / "out.json")
    again = read_series(out)
    assert (again.name, again.aligner, again.extras) == (series.name, series.aligner, series.extras)
    assert_same(again, series)
    # Another program finds the very values, and nothing invented.
    assert json.loads(out.read_text(encoding="utf-8")) == values


def test_one_section_edited_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    series = read_series(saved(tmp_path, VISUALIGN))
    moved = series.slices[1].with_section_to_atlas(
        Affine([[0, 0.5, 6000], [12.5, 0, 100], [0, 12.5, 50]])
    )
    out = write_series(series.with_slice(1, moved), tmp_path / "out.json")
    again = read_series(out)
    assert not again.slices[1].is_interpolated
    np.testing.assert_array_equal(again.slices[1].placed_anchoring, moved.placed_anchoring)
    rows = json.loads(out.read_text(encoding="utf-8"))["slices"]
    assert [rows[0], rows[2]] == [VISUALIGN["slices"][0], VISUALIGN["slices"][2]]  # type: ignore[index]
    assert "markers" not in rows[1]


def test_markers_left_out_are_written_all_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path, VISUALIGN)
    linear = read_series(path, nonlinear=False)
    assert linear.slices[0].refinement is None
    assert read_series(path).slices[0].refinement is not None
    out = write_series(linear, tmp_path / "out.json")
    assert json.loads(out.read_text(encoding="utf-8")) == VISUALIGN


def test_interpolated_places_are_not_written(tmp_path: Path) -> None:
    series = read_series(saved(tmp_path, QUICKNII))
    assert [s.is_interpolated for s in series.slices] == [False, True, False]
    for name in ("out.json", "out.csv"):
        again = read_series(write_series(series, tmp_path / name))
        assert_same(again, series)
        assert again.slices[1].is_interpolated


def test_deepslice_csv_round_trips(tmp_path: Path) -> None:
    rows = [
        ["a_s001.jpg", *FIRST, 1000, 800, 1, "False"],
        ["b, c.jpg", *SECOND, 1001, 801, 5, "True"],
    ]
    series = read_series(csv_file(tmp_path, rows))
    assert series.format == "deepslice-csv"
    assert series.target.name == MOUSE
    assert [s.nr for s in series.slices] == [1, 5]
    assert dict(series.slices[1].extras) == {"bad_section": "True"}
    out = write_series(series, tmp_path / "out.csv")
    assert_same(read_series(out), series)
    with out.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [float(found[0][c]) for c in COLUMNS[1:10]] == FIRST
    assert (found[1]["Filenames"], found[1]["width"], found[1]["nr"]) == ("b, c.jpg", "1001", "5")
    # What one format holds, the others hold too.
    for kind in ("quicknii", "visualign", "deepslice-json", "deepslice-csv"):
        other = write_series(series, tmp_path / f"{kind}.txt", format=kind)
        assert_same(read_series(other), series)


def test_a_csv_may_lack_sizes_and_use_semicolons(tmp_path: Path) -> None:
    path = csv_file(tmp_path, [["x_s017.jpg", *FIRST]], COLUMNS[:10])
    path.write_text(path.read_text().replace(",", ";"))
    (section,) = read_series(path).slices
    assert (section.nr, section.width) == (17, None)
    with pytest.raises(CoordinateError, match=r"how large x_s017\.jpg is"):
        _ = section.section_to_atlas
    assert section.with_size(10, 10).section_to_atlas([0, 0]).shape == (3,)


def test_a_csv_has_no_place_for_markers(tmp_path: Path) -> None:
    series = read_series(saved(tmp_path, VISUALIGN))
    with pytest.raises(UnsupportedSourceError, match=r"a_s001\.png has markers"):
        write_series(series, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


RAT = "WHS_SD_Rat_v4_39um.cutlas"


@pytest.mark.parametrize(
    ("target", "resolution"),
    [
        (RAT, None),
        (MOUSE.replace("25", "10"), None),
        (MOUSE, [912, 1056, 640]),
        ("mine", [4, 5, 6]),
        ("", 0),
    ],
)
def test_a_csv_says_any_target_but_the_mouse(target: str, resolution: Any, tmp_path: Path) -> None:
    values = {**DEEPSLICE, "target": target, "target-resolution": resolution}
    series = read_series(saved(tmp_path, values))
    again = read_series(write_series(series, tmp_path / "out.csv"))
    assert again.target == series.target
    assert [plain(s) for s in again.slices] == [plain(s) for s in series.slices]
    assert [s.atlas_frame for s in again.slices] == [s.atlas_frame for s in series.slices]
    # Each row says it: a file of two cannot be placed.
    text = (tmp_path / "out.csv").read_text()
    head, first, *others = text.splitlines()
    first = first.rpartition(",")[0] + ",7 7 7"
    (tmp_path / "out.csv").write_text("\n".join([head, first, *others]))
    with pytest.raises(FormatError, match="several targets"):
        read_series(tmp_path / "out.csv")
    (tmp_path / "out.csv").write_text(f"{head}\n{first} 7\n")
    with pytest.raises(FormatError, match="three whole numbers"):
        read_series(tmp_path / "out.csv")


def test_a_csv_of_the_mouse_is_as_deepslice_writes_it(tmp_path: Path) -> None:
    out = write_series(read_series(saved(tmp_path, DEEPSLICE)), tmp_path / "out.csv")
    assert out.read_text().splitlines()[0] == ",".join([*COLUMNS, "nr"])


def test_a_csv_whose_target_was_said_is_written_as_one(tmp_path: Path) -> None:
    path = csv_file(tmp_path, [["x_s1.jpg", *FIRST, 10, 10, 1, ""]])
    rat = read_series(path, target=RAT)
    assert_same(read_series(write_series(rat, tmp_path / "out.csv")), rat)


def test_a_csv_may_have_blanks_after_its_commas(tmp_path: Path) -> None:
    path = csv_file(tmp_path, [['"b, c.jpg"', *FIRST, 1000, 800, 3, "x y"]])
    path.write_text(path.read_text().replace('"""', '"').replace(",", ", ").replace(",  ", ", "))
    assert ", ox, oy" in path.read_text()
    (section,) = read_series(path).slices
    assert (section.filename, section.nr, section.size_wh) == ("b, c.jpg", 3, (1000, 800))
    assert section.placed_anchoring.ravel().tolist() == FIRST
    assert dict(section.extras) == {"bad_section": "x y"}


def test_an_anchoring_of_zeros_is_none(tmp_path: Path) -> None:
    rows = [dict(row) for row in QUICKNII["slices"]]  # type: ignore[call-overload]
    rows[1]["anchoring"] = [0] * 9
    with pytest.warns(stria.AnchoringWarning, match=r"a_s002\.png"):
        series = read_series(saved(tmp_path, {**QUICKNII, "slices": rows}))
    assert_same(series, read_series(saved(tmp_path, QUICKNII)))
    out = write_series(series, tmp_path / "out.json")
    assert json.loads(out.read_text(encoding="utf-8")) == QUICKNII


def test_the_target_can_be_said(tmp_path: Path) -> None:
    path = csv_file(tmp_path, [["x_s1.jpg", *FIRST, 10, 10, 1, ""]])
    rat = read_series(path, target="WHS_Rat_v4_39um.cutlas")
    assert rat.target.atlas_name == "whs_sd_rat_39um"
    # (512 - 319.5) voxels of 39.0625 um below the top.
    corner = rat.slices[0].section_to_atlas([0, 0])
    np.testing.assert_allclose(corner[1], (512 - 319.5) * 39.0625)


def test_the_space_is_asked_or_the_atlass(tmp_path: Path) -> None:
    path = saved(tmp_path, QUICKNII)
    right = read_series(path).slices[0].section_to_atlas([100, 100])
    left = read_series(path, space="asl").slices[0].section_to_atlas([100, 100])
    np.testing.assert_allclose(left, right * [1, 1, -1] + [0, 0, 11400])
    ontology = Ontology([StructureRecord(1, None, "root", "root")])
    voxels = np.zeros((132, 80, 114), np.uint8)
    atlas = atlas_from_array(voxels, ontology, resolution_um=100, space="asl")
    np.testing.assert_allclose(
        read_series(path, atlas=atlas).slices[0].section_to_atlas([100, 100]), left
    )
    with pytest.raises(ReferenceSpaceError):
        read_series(path, atlas=atlas_from_array(voxels, ontology, resolution_um=50))
    with pytest.raises(CoordinateError):
        read_series(path, space="xyz")
    # An unknown target counts the voxels of the atlas that is given.
    mine = saved(tmp_path, {**DEEPSLICE, "target": "mine.cutlas"})
    with pytest.raises(CoordinateError, match=r"mine\.cutlas"):
        _ = read_series(mine).slices[0].section_to_atlas
    unknown = read_series(mine, atlas=atlas)
    corner = unknown.slices[0].section_to_atlas([0, 0])
    np.testing.assert_allclose(corner, [(132 - 300) * 100, (80 - 319.5) * 100, 30], atol=1e-6)
    # What it counted is written, and read again in this atlas, but in no other.
    out = write_series(unknown, tmp_path / "out.json")
    assert_same(read_series(out, atlas=atlas), unknown)
    other = atlas_from_array(np.zeros((200, 200, 40), np.uint8), ontology, resolution_um=50)
    with pytest.raises(ReferenceSpaceError, match=r"mine\.cutlas.*114 x 132 x 80"):
        read_series(out, atlas=other)


def test_odd_files_are_read(tmp_path: Path) -> None:
    values = {
        "target": MOUSE,
        "slices": [
            {"filenames": ["r_s003.png", "g_s003.png"], "anchoring": FIRST, "markers": 0},
            {"filename": "no number.png", "width": 0, "height": None, "anchoring": []},
            {"filename": "x.png", "nr": "7", "anchoring": SECOND, "markers": None},
        ],
    }
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(values).encode())
    series = read_series(path)
    assert [s.nr for s in series.slices] == [3, 2, 7]
    assert series.slices[0].layer_filenames == ("r_s003.png", "g_s003.png")
    assert series.slices[1].is_interpolated
    assert [len(s.markers) for s in series.slices] == [0, 0, 0]
    rows = json.loads(write_series(series, tmp_path / "out.json").read_text())["slices"]
    assert rows[0] == {"filenames": ["r_s003.png", "g_s003.png"], "nr": 3, "anchoring": FIRST}
    assert rows[1] == {"filename": "no number.png", "nr": 2}


def broken(**changes: Any) -> dict[str, Any]:
    first, *others = QUICKNII["slices"]
    return {**QUICKNII, "slices": [*others, {**first, **changes}]}  # type: ignore[dict-item]


XML = f"""<?xml version='1.0' encoding='UTF-8'?>
<series name="A &amp; B" first="1" last="2" target="{MOUSE}">
  <slice filename="a_s001.png" nr="1" width="1000" height="800" anchoring="{{}}"/>
  <slice filename="a_s002.png" nr="2" width="1000" height="800"/>
</series>
"""


def test_quicknii_xml_is_read(tmp_path: Path) -> None:
    pairs = [f"{name}={number!r}" for name, number in zip(COLUMNS[1:10], FIRST, strict=True)]
    for joint in ("&", "&amp;"):
        series = read_series(saved(tmp_path, XML.format(joint.join(pairs)), "series.xml"))
        assert (series.name, series.format) == ("A & B", "quicknii-xml")
        assert dict(series.extras) == {"first": "1", "last": "2"}
        first, second = series.slices
        assert first.placed_anchoring.ravel().tolist() == FIRST
        assert (first.nr, first.size_wh) == (1, (1000, 800))
        assert second.anchoring is None
    # It is gone on with as JSON.
    again = read_series(write_series(series, tmp_path / "out.json"))
    assert [plain(s) for s in again.slices] == [plain(s) for s in series.slices]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("<series>", "not an XML file"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><series/>", "document type"),
        ("<other/>", "no series of QuickNII"),
        ("<series><slice filename='a.png' anchoring='ox=1'/></series>", r"section 1 \(a.png\)"),
        ("", "is empty"),
        ("{", "not a JSON file"),
        ("[]", "no series"),
        ({"slices": 3}, "no series"),
        ({"slices": [3]}, "section 1 is not"),
        (broken(anchoring=FIRST[:8]), r"section 3 \(a_s001.png\).*nine numbers"),
        (broken(anchoring=[*FIRST[:8], "x"]), r"section 3 \(a_s001.png\).*nine numbers"),
        (broken(anchoring=[*FIRST[:8], float("nan")]), r"section 3 \(a_s001.png\).*finite"),
        (broken(anchoring=[*FIRST[:8], 10**400]), r"section 3 \(a_s001.png\).*nine numbers"),
        (broken(width=10**400), r"section 3 \(a_s001.png\).*finite"),
        (broken(anchoring="ox=1"), r"section 3 \(a_s001.png\).*nine numbers"),
        (broken(markers=[[1, 2, 3]]), r"section 3 \(a_s001.png\).*four numbers"),
        (broken(markers=[[1, 2, 3, 4], [1]]), r"section 3 \(a_s001.png\).*four numbers"),
        (broken(width=-4), r"section 3 \(a_s001.png\).*above 0"),
        (broken(height="tall"), r"section 3 \(a_s001.png\).*finite"),
        (broken(nr=[]), r"section 3 \(a_s001.png\).*nr"),
        (broken(filename=5), "section 3.*file names"),
        ({**QUICKNII, "target-resolution": [456, 528]}, "three whole numbers"),
        ({**QUICKNII, "target-resolution": [456, 528, 0.5]}, "three whole numbers"),
        ("Filenames,ox\na,1\n", "no column oy"),
        (",".join(COLUMNS) + "\na.png,1,2,3\n", r"section 1 \(a.png\).*cells"),
        (",".join(COLUMNS[:10]) + "\na.png" + ",1" * 8 + ",x\n", r"section 1 \(a.png\)"),
        (",".join(COLUMNS[:10]) + "\na.png" + ",1" * 8 + ",nan\n", r"section 1 \(a.png\)"),
    ],
)
def test_broken_files_are_named_in_one_sentence(values: Any, words: str, tmp_path: Path) -> None:
    path = saved(tmp_path, values, "bad file.json")
    with pytest.raises(FormatError, match=words) as caught:
        read_series(path)
    assert "bad file.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_or_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_series(tmp_path / "none.json")
    series = read_series(saved(tmp_path, QUICKNII))
    with pytest.raises(UnsupportedSourceError, match="quicknii"):
        write_series(series, tmp_path / "a.json", format="xml")
    with pytest.raises(UnsupportedSourceError, match="give the format"):
        write_series(series, tmp_path / "a.dat")


def test_a_file_that_is_there_stays_unless_told(tmp_path: Path) -> None:
    path = saved(tmp_path, QUICKNII)
    before = path.read_bytes()
    series = read_series(path)
    with pytest.raises(OutputExistsError):
        write_series(series, path)
    assert path.read_bytes() == before
    named = replace(series, name="new")
    write_series(named, path, overwrite=True)
    assert read_series(path).name == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["series.json"]


def test_images_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("a_s001.png", "A_S002.PNG", "c_s003.ome.tif", "d.tif", "d.jpg", "e.txt"):
        (tmp_path / name).touch()
    (tmp_path / "f.png").mkdir()
    names = [
        *("C:\\slides\\a_s001.png", "a_s002.png", "old/c_s003.png"),
        *("d.png", "d.jpg", "e.png", "f.png", ""),
    ]
    rows = [{"filename": name, "nr": i, "anchoring": FIRST} for i, name in enumerate(names)]
    series = read_series(saved(tmp_path, {"target": MOUSE, "slices": rows}))
    found = [None if p is None else p.name for p in images_of(series, tmp_path)]
    assert found[:3] == ["a_s001.png", "A_S002.PNG", "c_s003.ome.tif"]
    # Of two with another suffix neither is taken.
    assert found[3:] == [None, "d.jpg", None, None, None]
    with pytest.raises(FormatError, match="cannot be listed"):
        images_of(series, tmp_path / "none")


# -- real files ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "visualign_oblique/series.json",
        "visualign_nonlinear/series.json",
        "deepslice_71717640/alignment.json",
    ],
)
def test_real_series_round_trip(name: str, real_data: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(real_data / "quint" / name, tmp_path / "series.json"))
    series = stria.read_series(path)
    written = json.loads(stria.write_series(series, tmp_path / "out.json").read_text())
    assert written == json.loads(path.read_text())
    if series.format == "deepslice-json":
        table = stria.read_series(stria.write_series(series, tmp_path / "out.csv"))
        assert_same(table, series)


def test_a_real_series_of_deepslice(real_data: Path) -> None:
    folder = real_data / "quint" / "deepslice_71717640"
    series = stria.read_series(folder / "alignment.json")
    assert (len(series.slices), series.aligner) == (467, "DeepSlice")
    images = images_of(series, folder / "images")
    assert sum(image is not None for image in images) == 24
    # From the back of the brain to its front.
    depths = [s.section_to_atlas(np.array(s.size_wh) / 2)[0] for s in series.slices]
    assert depths[0] > 13000 > 2000 > depths[-1]
    assert (np.diff(depths) < 0).mean() > 0.95
