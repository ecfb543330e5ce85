"""``napari-stria series info | convert | maps``, in this process and as a program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tifffile
from PIL import Image

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core.label_colors import paint_regions
from napari_stria.io.flat_maps import read_flat

NAME = "toy_mouse_25um"
# The toy atlas: 20 x 12 x 18 voxels along AP, DV, ML.
SERIES: dict[str, Any] = {
    "name": "toy",
    "target": NAME,
    "target-resolution": [18, 20, 12],
    "slices": [
        {
            "filename": "a_s001.png",
            "nr": 1,
            "width": 180,
            "height": 120,
            "anchoring": [0, 13.5, 12, 18, 0, 0, 0, 0, -12],
        },
        {"filename": "a_s002.png", "nr": 2, "width": 180, "height": 120},
        {
            "filename": "a_s003.png",
            "nr": 3,
            "width": 180,
            "height": 120,
            "anchoring": [0, 7.5, 12, 18, 0, 0, 0, 0, -12],
            "markers": [[60, 60, 90, 60]],
        },
    ],
}
Run = Callable[..., tuple[int, list[str], str]]
Labels = npt.NDArray[Any]


@pytest.fixture
def root(tmp_path: Path, write_atlas: Callable[..., Path]) -> Path:
    return write_atlas(tmp_path / "root")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "toy.json"
    path.write_text(json.dumps(SERIES), encoding="utf-8")
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an action; return its code, the lines it prints, and its errors."""

    def ran(*arguments: object) -> tuple[int, list[str], str]:
        code = main(["series", *map(str, arguments)])
        streams = capsys.readouterr()
        return code, streams.out.splitlines(), streams.err

    return ran


def atlas_of(root: Path) -> list[object]:
    return ["--atlas", NAME, "--root", root]


def plane(labels: Labels, y: int) -> Labels:
    """The coronal plane of a QUINT voxel y, seen with x from left to right."""
    return np.asarray(labels[19 - y, :, ::-1])


# info


def test_info_without_the_atlas(run: Run, series: Path) -> None:
    code, lines, error = run("info", series)
    assert code == 0
    assert lines[0] == "toy.json: 3 sections, visualign"
    assert lines[1] == f"  target: {NAME}"
    assert [line.split()[3] for line in lines[3:]] == ["anchored", "interpolated", "anchored"]
    assert "give --atlas" in error


def test_a_series_is_not_written_over(run: Run, series: Path, tmp_path: Path) -> None:
    before = series.read_bytes()
    for words in (("info", series, "--csv", series), ("convert", series, series)):
        code, _, error = run(*words, "--overwrite")
        assert code == 1
        assert "is the series itself" in error
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    code, _, error = run("info", series, "--csv", taken)
    assert (code, taken.read_text()) == (1, "mine")
    assert "exists already" in error
    assert run("info", series, "--csv", taken, "--overwrite")[0] == 0
    assert taken.read_text() != "mine"
    assert series.read_bytes() == before


def test_maps_never_replace_the_images(run: Run, series: Path, root: Path) -> None:
    image = series.with_name("a_s001.png")
    image.write_bytes(b"histology")
    words = ["maps", series, series.parent, *atlas_of(root), "--format", "png", "--overwrite"]
    code, _, error = run(*words)
    assert code == 1
    assert "name of an image of the series" in error
    assert image.read_bytes() == b"histology"
    image.unlink()
    assert run(*words)[0] == 0
    # What was made here is a map, however it was made.
    assert run(*words, "--size", "20,10")[0] == 0


def test_maps_that_are_too_large_are_refused(run: Run, series: Path, root: Path) -> None:
    folder = series.parent / "maps"
    code, _, error = run("maps", series, folder, *atlas_of(root), "--size", "1000000,1000000")
    assert code == 1
    assert "too large" in error
    assert not folder.exists()


def test_info_says_where_sections_lie(run: Run, series: Path, root: Path, tmp_path: Path) -> None:
    csv = tmp_path / "a.csv"
    code, lines, error = run("info", series, "--csv", csv, *atlas_of(root))
    assert (code, len(lines), error) == (0, 2, "")
    table = pd.read_csv(csv)
    assert table["position_um"].tolist() == [162.5, 237.5, 312.5]
    assert table["place"].tolist() == ["anchored", "interpolated", "anchored"]
    assert table["markers"].tolist() == [0, 0, 1]
    assert table["size"].tolist() == ["180x120"] * 3
    assert set(table["plane"]) == {"coronal"}
    assert set(table["pixel_um"]) == {"2.5x2.5"}
    # Left to right as QUINT has it is against ``asr``: a turn and a flip.
    assert table[["pitch_deg", "yaw_deg"]].to_numpy().tolist() == [[0, 0]] * 3


def test_info_of_what_is_no_series(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"slices": 7}')
    code, lines, error = run("info", path)
    assert (code, lines) == (1, [])
    assert error.startswith("napari-stria: ")
    assert error.count("\n") == 1
    assert run("info", tmp_path / "none.json")[0] == 1


# convert


@pytest.mark.parametrize("format_", ["quicknii", "visualign", "deepslice-json", "deepslice-csv"])
def test_convert_keeps_the_anchorings(run: Run, series: Path, tmp_path: Path, format_: str) -> None:
    out = tmp_path / ("out.csv" if format_ == "deepslice-csv" else "out.json")
    asked = ["convert", series, out, "--format", format_]
    asked += ["--linear"] if format_ == "deepslice-csv" else []
    assert run(*asked)[:2] == (0, [str(out)])
    before, after = (stria.read_series(path).slices for path in (series, out))
    by_name = {s.filename: s for s in after if not s.is_interpolated}
    assert set(by_name) == {"a_s001.png", "a_s003.png"}
    for each in (before[0], before[2]):
        found = by_name[each.filename]
        assert found.anchoring is not None
        assert each.anchoring is not None
        np.testing.assert_array_equal(found.anchoring, each.anchoring)
        assert found.markers.tolist() == ([] if "--linear" in asked else each.markers.tolist())
    code, lines, error = run(*asked)
    assert (code, lines) == (1, [])
    assert "exists" in error
    assert run(*asked, "--overwrite")[0] == 0


def test_markers_are_not_lost_untold(run: Run, series: Path, tmp_path: Path) -> None:
    code, _, error = run("convert", series, tmp_path / "out.csv")
    assert code == 1
    assert "markers" in error
    assert not (tmp_path / "out.csv").exists()


# maps


def test_maps_are_the_atlas_s_planes(
    run: Run, series: Path, root: Path, tmp_path: Path, toy_labels: Labels
) -> None:
    out = tmp_path / "maps"
    asked = (
        "maps",
        series,
        out,
        *atlas_of(root),
        "--size",
        "18,12",
        "--linear",
        "--rule",
        "centre",
    )
    code, lines, error = run(*asked)
    assert (code, lines, error) == (0, [f"3 maps in {out}"], "")
    for nr, y in ((1, 13), (2, 10), (3, 7)):
        found = tifffile.imread(out / f"a_s00{nr}.tif")
        assert found.dtype == np.uint32
        np.testing.assert_array_equal(found, plane(toy_labels, y))
    series.write_text(json.dumps(SERIES).replace("13.5", "14.5"))
    code, _, error = run(*asked)
    assert code == 1
    assert "a_s001.tif exists and is another map" in error
    assert run(*asked, "--overwrite")[0] == 0
    np.testing.assert_array_equal(tifffile.imread(out / "a_s001.tif"), plane(toy_labels, 14))


def test_markers_move_what_a_map_shows(run: Run, series: Path, root: Path, tmp_path: Path) -> None:
    linear, bent = tmp_path / "linear", tmp_path / "bent"
    asked = [*atlas_of(root), "--size", "image"]
    run("maps", series, linear, *asked, "--linear")
    run("maps", series, bent, *asked)
    before, after = (tifffile.imread(folder / "a_s003.tif") for folder in (linear, bent))
    assert before.shape == (120, 180)
    # The marker's point went from x = 60 to x = 90.
    np.testing.assert_array_equal(after[60, 90], before[60, 60])
    assert (after != before).any()
    np.testing.assert_array_equal(
        tifffile.imread(linear / "a_s001.tif"), tifffile.imread(bent / "a_s001.tif")
    )


def test_the_tools_own_size_and_the_rule(
    run: Run, series: Path, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps"
    assert run("maps", series, out, *atlas_of(root))[0] == 0
    # floor(|u|) + 1 and floor(|v|) + 1 voxels.
    assert tifffile.imread(out / "a_s001.tif").shape == (13, 19)
    code, _, error = run("maps", series, out, *atlas_of(root), "--rule", "centre")
    assert code == 1
    assert "made otherwise" in error


def test_pictures_in_the_atlass_colours(
    run: Run, series: Path, root: Path, tmp_path: Path, toy_labels: Labels
) -> None:
    out = tmp_path / "maps"
    asked = [*atlas_of(root), "--size", "18,12", "--linear", "--rule", "centre", "--format", "png"]
    assert run("maps", series, out, *asked)[0] == 0
    ontology = stria.open_atlas(NAME, root=root).ontology
    with Image.open(out / "a_s001.png") as picture:
        np.testing.assert_array_equal(picture, paint_regions(plane(toy_labels, 13), ontology))


def test_flat_maps_need_their_label_file(
    run: Run, series: Path, root: Path, tmp_path: Path, toy_labels: Labels
) -> None:
    out = tmp_path / "maps"
    asked = [
        "maps",
        series,
        out,
        *atlas_of(root),
        "--size",
        "18,12",
        "--linear",
        "--rule",
        "centre",
    ]
    asked += ["--format", "flat"]
    code, _, error = run(*asked)
    assert (code, out.exists()) == (1, False)
    assert "--labels" in error
    ids = np.unique(np.append(toy_labels, 0)).astype(np.int64)
    labels = tmp_path / "toy.label"
    labels.write_text("".join(f'{i} 0 0 0 1 1 1 "r"\n' for i in ids))
    assert run(*asked, "--labels", labels)[0] == 0
    np.testing.assert_array_equal(read_flat(out / "a_s001.flat", ids), plane(toy_labels, 13))


def test_maps_are_gone_on_with(run: Run, series: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    asked = ("maps", series, out, *atlas_of(root))
    assert run(*asked)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tif")}
    (out / "a_s002.tif").unlink()
    (out / ".a_s002.tif-abcdefgh").write_bytes(b"half")
    assert run(*asked)[1] == [f"3 maps in {out} (2 were there already)"]
    after = {path: path.stat().st_mtime_ns for path in out.glob("*.tif")}
    assert {path.name for path in out.iterdir()} == {
        "maps.json", "a_s001.tif", "a_s002.tif", "a_s003.tif"
    }  # fmt: skip
    changed = [path.name for path in before if after[path] != before[path]]
    assert changed == ["a_s002.tif"]


def test_what_else_is_in_the_folder_is_left(
    run: Run, series: Path, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps"
    out.mkdir()
    (out / "a_s002.tif").write_bytes(b"mine")
    code, _, error = run("maps", series, out, *atlas_of(root))
    assert code == 1
    assert "not of this export" in error
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"a_s002.tif": b"mine"}


@pytest.mark.parametrize("size", ["18", "0,5", "x,y", "mine"])
def test_a_size_that_cannot_be(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["series", "maps", "a.json", "b", "--atlas", NAME, "--size", size])
    assert ended.value.code == 2
    assert "is no size" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    series: Path, root: Path, tmp_path: Path, toy_labels: Labels
) -> None:
    many = dict(SERIES, slices=[
        {**SERIES["slices"][0], "nr": n, "filename": f"s{n:04d}.png"} for n in range(3000)
    ])  # fmt: skip
    series.write_text(json.dumps(many))
    out = tmp_path / "maps"
    command = ["maps", series, out, *atlas_of(root), "--size", "18,12", "--rule", "centre"]
    program = subprocess.Popen(
        [sys.executable, "-m", "napari_stria.cli", "series", *map(str, command)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    until = time.monotonic() + 60
    while not (out / "s0003.tif").exists() and time.monotonic() < until:
        assert program.poll() is None, program.communicate()
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, error = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "run the same command again to go on" in error
    done = sorted(out.glob("s*.tif"))
    assert 3 < len(done) < 3000
    for path in (done[0], done[-1]):
        np.testing.assert_array_equal(tifffile.imread(path), plane(toy_labels, 13))
