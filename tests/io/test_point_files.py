"""Files of points: every kind, its axes and units, and what is wrong in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria.errors import CoordinateError, FormatError, UnsupportedSourceError
from napari_stria.io.point_files import read_points

# As brainglobe-utils 0.11 writes them.
XML = """<?xml version="1.0" encoding="UTF-8"?>
<CellCounter_Marker_File>
  <Image_Properties>
    <Image_Filename>placeholder.tif</Image_Filename>
  </Image_Properties>
  <Marker_Data>
    <Current_Type>1</Current_Type>
    <Marker_Type>
      <Type>1</Type>
      <Marker>
        <MarkerX>275</MarkerX>
        <MarkerY>1165</MarkerY>
        <MarkerZ>867</MarkerZ>
      </Marker>
    </Marker_Type>
    <Marker_Type>
      <Type>2</Type>
      <Marker>
        <MarkerX>3</MarkerX>
        <MarkerY>2</MarkerY>
        <MarkerZ>1</MarkerZ>
      </Marker>
      <Marker>
        <MarkerX>522</MarkerX>
        <MarkerY>241</MarkerY>
        <MarkerZ>507</MarkerZ>
      </Marker>
    </Marker_Type>
  </Marker_Data>
</CellCounter_Marker_File>
"""
YAML = """brainglobe_utils_version: 0.11.2
CellCounter_Marker_File: true
num_candidates: 3
candidate_cells:
  - x: 275
    y: 1165
    z: 867
    type: 1
    metadata: {}
  - x: 3
    y: 2
    z: 1
    type: 2
    metadata:
      score: 0.472
      note: a b
      seen: true
      where:
        - 1
        - 2
  - x: 522
    y: 241
    z: 507
    type: 2
    metadata: {}
"""
SAVED_CELLS = ",x,y,z,type,score,note\n0,275,1165,867,1,,\n1,3,2,1,2,0.472,a b\n2,522,241,507,2,,\n"
ZYX = [[867, 1165, 275], [1, 2, 3], [507, 241, 522]]


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# -- cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"), [("cells.xml", XML), ("cells.yml", YAML), ("cells.YAML", YAML)]
)
def test_cells_are_voxels_whose_centres_are_half_a_voxel_on(
    tmp_path: Path, name: str, text: str
) -> None:
    points = read_points(_write(tmp_path, name, text), voxel_um=(5, 2, 2), space="PSL")
    assert np.array_equal(points.coordinates, np.array(ZYX) + 0.5)
    assert (points.unit, points.voxel_um, points.space) == ("voxel", (5.0, 2.0, 2.0), "psl")
    assert points.features["type"].tolist() == [1, 2, 2]
    assert points.name == name
    assert not points.dropped


@pytest.mark.parametrize(
    ("name", "text"), [("c.xml", XML), ("c.yml", YAML), ("c.csv", SAVED_CELLS)]
)
def test_cells_alone(tmp_path: Path, name: str, text: str) -> None:
    points = read_points(_write(tmp_path, name, text), voxel_um=10, cells_only=True)
    assert np.array_equal(points.coordinates, np.array(ZYX[1:]) + 0.5)
    assert dict(points.dropped) == {"not of type 2 (cell)": 1}
    assert points.features.index.tolist() == [0, 1]
    assert set(points.features["type"]) == {2}


def test_metadata_of_cells_become_columns(tmp_path: Path) -> None:
    features: Any = read_points(_write(tmp_path, "c.yml", YAML)).features
    assert list(features) == ["type", "score", "note", "seen"]
    assert features.loc[1].tolist() == [2, 0.472, "a b", True]
    assert features.loc[0].isna().tolist() == [False, True, True, True]
    bare = read_points(_write(tmp_path, "c.yml", YAML), features=False).features
    assert list(bare) == ["type"]


def test_cells_that_brainglobe_saved_as_csv_are_the_same(tmp_path: Path) -> None:
    points = read_points(_write(tmp_path, "cells.csv", SAVED_CELLS), unit="voxel")
    assert np.array_equal(points.coordinates, np.array(ZYX) + 0.5)
    assert list(points.features) == ["type", "score", "note"]


@pytest.mark.parametrize("name", ["empty.xml", "empty.yml"])
def test_a_file_without_cells_has_none(tmp_path: Path, name: str) -> None:
    xml = "<CellCounter_Marker_File><Marker_Data/></CellCounter_Marker_File>"
    text = xml if name.endswith("xml") else "CellCounter_Marker_File: true\ncandidate_cells: []\n"
    points = read_points(_write(tmp_path, name, text), voxel_um=1)
    assert points.coordinates.shape == (0, 3)
    assert len(points) == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<MarkerY>241</MarkerY>", "", "line 27: this marker lacks one of"),
        ("<MarkerY>241<", "<MarkerY>many<", "line 25: 'many' is no number"),
        ("<MarkerY>241<", "<MarkerY>inf<", "'inf' is no number"),
        ("<Type>2</Type>", "", "these markers have no type"),
        ("</Marker_Data>", "", "is not a whole XML file"),
        ("<CellCounter_Marker_File>", "<!DOCTYPE a []><CellCounter_Marker_File>", "document type"),
        ("CellCounter_Marker_File", "kml", "it holds 'kml' and no cells"),
    ],
)
def test_damaged_xml_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = _write(tmp_path, "cells.xml", XML.replace(old, new))
    with pytest.raises(FormatError, match=said):
        read_points(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    y: 2\n", "", "line 10: this cell lacks one of"),
        ("y: 241", "y: a lot", r"line 22: here should be a number"),
        ("y: 241", "y: 'a", "line .* is not YAML"),
        ("    type: 1\n", "", "lacks one of"),
        ("File: true", "File: false", "holds no cells of cellfinder"),
        ("candidate_cells", "cells", "holds no cells of cellfinder"),
        ("num_candidates: 3", "a: &a [1]\nb: *a", "refers to another part"),
        (YAML, "just a text", "here should be names and values"),
        (YAML, "", "here should be names and values"),
    ],
)
def test_damaged_yaml_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = _write(tmp_path, "cells.yml", YAML.replace(old, new))
    with pytest.raises(FormatError, match=said):
        read_points(path)


# -- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "unit", "expected"),
    [
        ("ap_um,dv_um,ml_um", "um", [[1, 2, 3], [4, 5, 6]]),
        ("AP (µm);DV (µm);ML (µm)", "um", [[1, 2, 3], [4, 5, 6]]),
        ("ap_mm\tdv_mm\tml_mm", "um", [[1000, 2000, 3000], [4000, 5000, 6000]]),
        ("x_um,y_um,z_um", "um", [[3, 2, 1], [6, 5, 4]]),
        ("ap (um), dv (um), ml (um)", "um", [[1, 2, 3], [4, 5, 6]]),
        ("x [px],y [px],z [px]", "voxel", [[3.5, 2.5, 1.5], [6.5, 5.5, 4.5]]),
        (
            "coordinate_atlas_axis_0,coordinate_atlas_axis_1,coordinate_atlas_axis_2",
            "voxel",
            [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]],
        ),
    ],
)
def test_names_of_columns_say_axes_and_unit(
    tmp_path: Path, head: str, unit: str, expected: Any
) -> None:
    delimiter = max(",;\t", key=head.count)
    rows = [delimiter.join(row) for row in ("123", "456")]
    points = read_points(_write(tmp_path, "points.csv", "\n".join(["\ufeff" + head, *rows]) + "\n"))
    assert points.unit == unit
    assert np.array_equal(points.coordinates, expected)


def test_all_points_of_cellfinder_are_voxels_of_the_atlas(tmp_path: Path) -> None:
    names = [f"coordinate_{kind}_axis_{axis}" for kind in ("raw", "atlas") for axis in range(3)]
    text = ",".join([*names, "structure_name", "hemisphere"])
    text += '\n900,800,700,12,34,56,"Basic cell groups, and regions",right\n'
    points = read_points(_write(tmp_path, "all_points.csv", text), voxel_um=25)
    assert points.coordinates.tolist() == [[12.5, 34.5, 56.5]]
    assert points.features["structure_name"].tolist() == ["Basic cell groups, and regions"]
    raw = read_points(tmp_path / "all_points.csv", columns=names[:3], unit="voxel")
    assert raw.coordinates.tolist() == [[900.5, 800.5, 700.5]]


def test_points_that_napari_saved(tmp_path: Path) -> None:
    from napari_builtins.io import napari_write_points  # type: ignore[import-untyped]

    data = np.array([[1.25, 2, 3], [4, 5, 6]])
    path = napari_write_points(str(tmp_path / "points.csv"), data, {})
    points = read_points(path, unit="um")
    assert np.array_equal(points.coordinates, data)
    assert points.features.shape == (2, 0)
    path = napari_write_points(str(tmp_path / "section.csv"), data[:, :2], {})
    # A section's maps take (x, y), napari keeps (row, column) of pixel centres.
    section = read_points(path, unit="voxel")
    assert np.array_equal(section.coordinates, data[:, 1::-1] + 0.5)


def test_of_points_with_more_axes_the_columns_are_given(tmp_path: Path) -> None:
    path = _write(tmp_path, "p.csv", "index,axis-0,axis-1,axis-2,axis-3\n0,1,20,30,40\n")
    points = read_points(path, unit="um", columns=["axis-1", "axis-2", "axis-3"])
    assert points.coordinates.tolist() == [[20, 30, 40]]


@pytest.mark.parametrize("features", [True, False])
def test_cells_alone_of_a_table(tmp_path: Path, features: bool) -> None:
    text = "ap_um,dv_um,ml_um,type,kind\n1,2,3,2,a\n4,5,6,1,b\n"
    points = read_points(_write(tmp_path, "p.csv", text), cells_only=True, features=features)
    assert points.coordinates.tolist() == [[1, 2, 3]]
    assert points.dropped == {"not of type 2 (cell)": 1}
    assert list(points.features) == (["type", "kind"] if features else ["type"])


def test_an_array_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([[1, 2, 3]], dtype=np.uint16))
    assert read_points(tmp_path / "p.npy", unit="mm").coordinates.tolist() == [[1000, 2000, 3000]]
    np.save(tmp_path / "p.npy", np.zeros((3, 4)))
    with pytest.raises(FormatError, match=r"should hold \(N, 3\) or \(N, 2\) numbers"):
        read_points(tmp_path / "p.npy", unit="um")
    np.save(tmp_path / "p.npy", np.array([["a", "b", "c"]], dtype=object))
    with pytest.raises(FormatError, match="no array of numpy"):
        read_points(tmp_path / "p.npy", unit="um")


def test_pixels_may_count_from_the_corner(tmp_path: Path) -> None:
    path = _write(tmp_path, "qupath.csv", "x (px),y (px)\n10.25,20.5\n")
    assert read_points(path, counted_from="corner").coordinates.tolist() == [[10.25, 20.5]]
    assert read_points(path).coordinates.tolist() == [[10.75, 21.0]]


def test_points_of_a_section_become_pixels(tmp_path: Path) -> None:
    path = _write(tmp_path, "qupath.csv", "x_um,y_um\n10,20\n")
    # Maps of sections take pixels: um alone would lead elsewhere in silence.
    with pytest.raises(CoordinateError, match="give the size of a pixel"):
        read_points(path)
    for size, expected in ((0.5, [20.0, 40.0]), ((0.5, 2), [20.0, 10.0])):
        points = read_points(path, voxel_um=size)
        assert (points.unit, points.voxel_um) == ("voxel", None)
        assert points.coordinates.tolist() == [expected]
    with pytest.raises(CoordinateError, match="leave the space out"):
        read_points(path, voxel_um=0.5, space="asr")
    pixels = _write(tmp_path, "pixels.csv", "x_px,y_px\n10,20\n")
    with pytest.raises(CoordinateError, match="leave the size of a pixel out"):
        read_points(pixels, voxel_um=0.5)
    bare = _write(tmp_path, "bare.csv", "x,y\n10,20\n")
    with pytest.raises(CoordinateError, match="does not say the unit"):
        read_points(bare, voxel_um=0.5)


def test_tables_longer_than_a_piece_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_stria.io.point_tables._ROWS_A_PIECE", 4)
    rows = [f"{n},{n + 1},{n + 2},cell {n}" for n in range(10)]
    points = read_points(_write(tmp_path, "p.csv", "\n".join(["ap_um,dv_um,ml_um,kind", *rows])))
    assert points.coordinates[:, 0].tolist() == list(range(10))
    assert points.features["kind"].tolist() == [f"cell {n}" for n in range(10)]
    # A cell may span lines, and empty lines are none.
    rows[2], rows[7] = '2,3,4,"two\nlines"\n', "7,?,9,"
    path = _write(tmp_path, "p.csv", "\n".join(["ap_um,dv_um,ml_um,kind", *rows]))
    with pytest.raises(FormatError, match=r"p.csv, line 11: '\?' is no number \(dv_um\)"):
        read_points(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ap_um,dv_um,ml_um\n1,2,3\n4,,6\n", r"line 3: there is no number \(dv_um\)"),
        ("ap_um,dv_um,ml_um\n1,2,3\n4,5\n", r"line 3: there is no number \(ml_um\)"),
        ("ap_um,dv_um,ml_um\n1,2,nan\n", "line 2: 'nan' is no number"),
        ("ap_um,dv_um,ml_um\n1,2,3\n4,5,6,7\n", "is not a CSV file"),
        ("ap_um,dv_um,ml_um\n4,5,6,7\n", "is not a CSV file"),
        ("1,2,3\n4,5,6\n", "has no columns ap, dv, ml"),
        ("", "has no columns .*none at all"),
        ("ap_um,dv_um,ml_mm\n", "has no columns"),
        ("ap_um,dv_um,ml_um,AP (um)\n", "has the columns 'ap_um' and 'AP"),
        ("x_um,y_um,z_um,x_px,y_px,z_px\n1,2,3,1,2,3\n", r"in several units \(um, voxel\)"),
        ("ap_um, dv_um, ml_um\n1, 2, ?\n", r"line 2: '\?' is no number \(ml_um\)"),
        ("x,y,z,x\n1,2,3,4\n", "several columns 'x'"),
        ("x_px,y_px,z_um\n1,2,3\n", r"'z_um' in another unit; .*--columns"),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,1,2,3,4\n", r"points with 4 axes .*--columns"),
    ],
)
def test_bad_tables_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        read_points(_write(tmp_path, "points.csv", text))


def test_what_nobody_says_is_asked_for(tmp_path: Path) -> None:
    path = _write(tmp_path, "points.csv", "ap,dv,ml\n1,2,3\n")
    with pytest.raises(CoordinateError, match="does not say the unit"):
        read_points(path)
    assert read_points(path, voxel_um=25).unit == "voxel"
    with pytest.raises(CoordinateError, match="no voxel size"):
        read_points(path, unit="um", voxel_um=25)
    with pytest.raises(CoordinateError, match="which points are cells"):
        read_points(path, unit="um", cells_only=True)
    named = _write(tmp_path, "named.csv", "ap_um,dv_um,ml_um\n1,2,3\n")
    with pytest.raises(CoordinateError, match="in um, not in mm"):
        read_points(named, unit="mm")
    with pytest.raises(FormatError, match="has no column 'a'"):
        read_points(named, columns=["a", "b", "c"])
    with pytest.raises(CoordinateError, match="no columns to choose"):
        read_points(_write(tmp_path, "c.xml", XML), columns=["x", "y", "z"])


@pytest.mark.parametrize("wrong", [0, -1, (1, 2), (1, 2, np.nan), "x"])
def test_a_voxel_has_a_size(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(CoordinateError, match="a voxel's size"):
        read_points(_write(tmp_path, "c.xml", XML), voxel_um=wrong)


@pytest.mark.parametrize("wrong", ["as", "asa", "xyz", "asrl"])
def test_axes_have_three_letters(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(CoordinateError, match="where three axes start"):
        read_points(_write(tmp_path, "c.xml", XML), space=wrong)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSourceError, match="save it as CSV"):
        read_points(_write(tmp_path, "points.docx", ""))
    with pytest.raises(FormatError, match="cannot be read"):
        read_points(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is not a CSV file"):
        read_points(tmp_path / "binary.csv")
