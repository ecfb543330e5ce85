"""``quantify points``: files of points against the practice brain's own voxels."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core.groups import RegionGroup
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.transforms import Affine
from napari_stria.io.group_files import write_region_groups
from napari_stria.io.transform_files import write_transform

NAME = "practice_mouse_100um"
UM = 100.0
Capture = pytest.CaptureFixture[str]
Volume = npt.NDArray[np.uint32]


@pytest.fixture(scope="module")
def atlas(atlas_options: list[str]) -> list[str]:
    return atlas_options


@pytest.fixture(scope="module")
def volume() -> Volume:
    return practice_annotation(UM)


@pytest.fixture(scope="module")
def points_um(volume: Volume) -> npt.NDArray[np.float64]:
    """Points all over the box, and some beyond it."""
    extent = np.array(volume.shape) * UM
    return np.random.default_rng(5).uniform(-0.02, 1.02, (4000, 3)) * extent


def _csv(folder: Path, points: Any, head: str = "ap_um,dv_um,ml_um", **more: Any) -> Path:
    path = folder / "points.csv"
    frame = pd.DataFrame(points, columns=head.split(",")).assign(**more)
    frame.to_csv(path, index=False)
    return path


def _labels(volume: Volume, points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The label at each point, -1 outside; of the practice brain they are the regions' ids."""
    index = np.floor(points / UM).astype(int)
    inside: Any = ((index >= 0) & (index < volume.shape)).all(axis=1)
    found = volume[tuple(np.where(inside[:, None], index, 0).T)].astype(np.int64)
    return np.where(inside, found, -1)


def _table(path: Path) -> Any:
    return pd.read_csv(path, index_col="id")


def test_points_are_counted_where_they_lie(
    atlas: list[str],
    volume: Volume,
    points_um: npt.NDArray[np.float64],
    tmp_path: Path,
    capsys: Capture,
) -> None:
    file, out = _csv(tmp_path, points_um), tmp_path / "counts.csv"
    assert main(["quantify", "points", str(file), *atlas, "--output", str(out)]) == 0
    table, labels = _table(out), _labels(volume, points_um)
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    assert table["count_direct"][table["count_direct"] > 0].to_dict() == dict(
        zip(ids.tolist(), counts.tolist(), strict=True)
    )
    assert table.loc[997, "count"] == counts.sum()
    # The axis starts at the right side.
    right = (labels > 0) & (points_um[:, 2] < volume.shape[2] * UM / 2)
    assert table.loc[997, "count_right"] == right.sum()
    assert table.loc[997, "volume_mm3"] == pytest.approx((volume > 0).sum() * 1e-3)
    density = table.loc[997, "count"] / table.loc[997, "volume_mm3"]
    assert table.loc[997, "density_mm3"] == pytest.approx(density)
    assert set(table["source"]) == {"points.csv"}
    assert set(table["atlas"]) == {NAME}
    shown = capsys.readouterr()
    assert shown.out.strip() == str(out)
    assert (
        f"{len(points_um)} points: {counts.sum()} in regions, {(labels == 0).sum()} in the "
        f"background, {(labels == -1).sum()} outside the atlas" in shown.err
    )
    assert f"regions of {NAME} at 100 um" in shown.err


def test_without_a_file_regions_with_points_are_listed(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    index = np.argwhere(volume == 1009)[:3]
    file = _csv(tmp_path, (index + 0.5) * UM)
    assert main(["quantify", "points", str(file), *atlas]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["id", "acronym", "name", "count"]
    assert [row.split()[0] for row in rows] == ["997", "1009"]
    assert "3 points: 3 in regions" in main_note(atlas, file, capsys)


def main_note(atlas: list[str], file: Path, capsys: Capture) -> str:
    assert main(["quantify", "points", str(file), *atlas, "--scheduler", "synchronous"]) == 0
    return capsys.readouterr().err


def test_cells_of_an_image_with_other_axes(
    atlas: list[str],
    volume: Volume,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    """Every cell lies in CTX; as voxels of an array whose axes start at posterior, left ..."""
    index = np.argwhere(np.isin(volume, [688, 315, 1009]))[::40]
    n_ap, _, n_ml = volume.shape
    lsp = np.stack([n_ml - 1 - index[:, 2], index[:, 1], n_ap - 1 - index[:, 0]], axis=1)
    markers = "".join(
        f"<Marker><MarkerX>{x}</MarkerX><MarkerY>{y}</MarkerY><MarkerZ>{z}</MarkerZ></Marker>"
        for z, y, x in lsp
    )
    noise = "<Marker><MarkerX>1</MarkerX><MarkerY>1</MarkerY><MarkerZ>1</MarkerZ></Marker>"
    file, out = tmp_path / "cells.xml", tmp_path / "out.csv"
    file.write_text(
        "<CellCounter_Marker_File><Marker_Data>"
        f"<Marker_Type><Type>1</Type>{noise}</Marker_Type>"
        f"<Marker_Type><Type>2</Type>{markers}</Marker_Type>"
        "</Marker_Data></CellCounter_Marker_File>",
        encoding="utf-8",
    )
    asked = ["quantify", "points", str(file), *atlas, "--cells-only", "--output", str(out)]
    assert main([*asked, "--voxel-um", "100", "--space", "lsp"]) == 0
    expected = pd.Series(volume[tuple(index.T)]).value_counts()
    direct = _table(out)["count_direct"]
    assert direct[direct > 0].to_dict() == expected.to_dict()
    assert "1 points were left out: not of type 2 (cell)" in capsys.readouterr().err
    # Without their size nobody knows where they are.
    assert main([*asked, "--overwrite"]) == 1
    assert "give their size" in capsys.readouterr().err


def test_each_point_gets_its_region(
    atlas: list[str], volume: Volume, points_um: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    points = points_um[:200]
    file = _csv(tmp_path, points, area=np.arange(200))
    each = tmp_path / "each.csv"
    assert main(["quantify", "points", str(file), *atlas, "--per-point", str(each)]) == 0
    frame: Any = pd.read_csv(each, keep_default_na=False)
    labels = _labels(volume, points)
    assert frame["region_id"].tolist() == np.maximum(labels, 0).tolist()
    assert ((frame["side"] == "outside") == (labels == -1)).all()
    assert np.allclose(frame[["ap_um", "dv_um", "ml_um"]], points)
    assert frame["area"].tolist() == list(range(200))


def test_depths_and_groups(
    atlas: list[str],
    volume: Volume,
    points_um: npt.NDArray[np.float64],
    tmp_path: Path,
    capsys: Capture,
) -> None:
    file, out = _csv(tmp_path, points_um), tmp_path / "out.csv"
    asked = ["quantify", "points", str(file), *atlas, "--output", str(out), "--overwrite"]
    inside = int((_labels(volume, points_um) > 0).sum())
    assert main([*asked, "--depth", "2"]) == 0
    assert _table(out)["count"].sum() == inside
    assert f"{inside} in parcels" in capsys.readouterr().err
    groups = tmp_path / "mine.groups.json"
    write_region_groups(groups, [RegionGroup("Fibers", (1009,), (1, 2, 3))])
    assert main([*asked, "--groups", str(groups)]) == 0
    table = _table(out)
    opened: Any = stria.open_atlas(NAME, root=atlas[3])
    below = [s.id for s in opened.ontology.descendants(1009)] + [1009]
    assert table["count"].tolist() == [np.isin(_labels(volume, points_um), below).sum()]
    assert set(table["parcellation"]) == {"Groups"}


def test_points_of_a_section_go_through_its_map(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    plane, size = 66, 50.0
    chain = tmp_path / "chain.json"
    to_atlas = Affine([[0, 0, plane * UM + 50], [0, size, 0], [size, 0, 0]])
    write_transform(chain, to_atlas, size_px=(228, 160), space="asr")
    rows, columns = np.mgrid[:160, :228].reshape(2, -1)
    file = _csv(tmp_path, np.stack([columns, rows], axis=1), "x_px,y_px")
    out = tmp_path / "out.csv"
    asked = ["quantify", "points", str(file), *atlas]
    assert main([*asked, "--transform", str(chain), "--output", str(out)]) == 0
    expected = pd.Series(volume[plane].ravel()).value_counts() * 4
    direct = _table(out)["count_direct"]
    assert direct[direct > 0].to_dict() == expected.drop(0).to_dict()
    assert main(asked) == 1
    assert "give the section's map to the atlas" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--unit", "mm"], "says that its points are in um, not in mm"),
        (["--unit", "um", "--voxel-um", "1"], "need no voxel size"),
        (["--space", "xyz"], "does not say where three axes start"),
        (["--cells-only"], "does not say which points are cells"),
        (["--columns", "a,b,c"], "has no column 'a'"),
        (["--transform", "absent.json"], "it is not there"),
        (["--output", "there.csv"], "exists already"),
        (["--output", "points.csv", "--overwrite"], "is what is measured"),
        (["--output", "a.csv", "--per-point", "a.csv"], "cannot hold two tables"),
        (["--per-point", "none/out.csv"], "there is no folder"),
        (["--scheduler", "moon"], "'moon' is no scheduler"),
        (["--depth", "-1"], "depth"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    atlas: list[str],
    asked: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = _csv(tmp_path, [[1.0, 2.0, 3.0]])
    (tmp_path / "there.csv").touch()
    assert main(["quantify", "points", str(file), *atlas, *asked]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("napari-stria: ")
    assert said in line


@pytest.mark.parametrize("wrong", [["--voxel-um", "1,x"], ["--voxel-um", "0"], ["--unit", "cm"]])
def test_wrong_options_are_refused_at_once(atlas: list[str], wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["quantify", "points", "p.csv", *atlas, *wrong])
    assert caught.value.code == 2


def test_a_file_without_points_is_said_to_have_none(
    atlas: list[str], tmp_path: Path, capsys: Capture
) -> None:
    file = _csv(tmp_path, np.zeros((0, 3)))
    assert main(["quantify", "points", str(file), *atlas]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "there are no points in any region" in said.err


@pytest.mark.parametrize(
    ("where", "words"),
    [("cloud", "is no scheduler"), ("tcp://127.0.0.1:9", r"napari-stria\[cluster\]")],
)
def test_a_scheduler_that_is_not_there_is_one_sentence(
    atlas: list[str],
    where: str,
    words: str,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    file = _csv(tmp_path, [[1.0, 2.0, 3.0]])
    assert main(["quantify", "points", str(file), *atlas, "--scheduler", where]) == 1
    error = capsys.readouterr().err.strip()
    assert re.search(words, error)
    assert len(error.splitlines()) == 1
