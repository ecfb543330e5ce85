"""``napari-stria mask | slice | downsample | export``, in this process and as a program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core.resampling import downsample_annotation
from napari_stria.demo.practice import practice_root
from napari_stria.session.saved_view import SavedCamera, SavedPlane, SavedRegions, SavedView
from napari_stria.session.view_file import write_view

NAME = "toy_mouse_25um"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory, write_atlas: Callable[..., Path]) -> str:
    folder = tmp_path_factory.mktemp("root")
    write_atlas(folder)
    return str(folder)


@pytest.fixture
def atlas(root: str) -> stria.Atlas:
    return stria.open_atlas(NAME, root=root)


@pytest.fixture
def run(root: str, capsys: Captured) -> Callable[..., tuple[int, list[str], str]]:
    """Run a command about the toy atlas; return its code, the lines it prints, and its errors."""

    def ran(command: str, *arguments: object) -> tuple[int, list[str], str]:
        code = main([command, NAME, "--root", root, *map(str, arguments)])
        streams = capsys.readouterr()
        return code, streams.out.splitlines(), streams.err

    return ran


Run = Callable[..., tuple[int, list[str], str]]


def test_masks_are_written_and_gone_on_with(run: Run, toy_labels: Any, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    asked = ("--region", "CTX", "--region", "cc, extra", "--out", out)
    names = [out / f"structure_{i}.nrrd" for i in (688, 70_000, 12)]
    assert run("mask", *asked) == (0, [str(path) for path in names], "")
    inside = np.isin(toy_labels, [688, 3_000_000_001, 182_305_689])
    np.testing.assert_array_equal(nrrd.read(str(names[0]))[0], inside)
    before = [path.stat().st_mtime_ns for path in names]
    names[1].unlink()
    assert run("mask", *asked)[:2] == (0, [str(path) for path in names])
    after = [path.stat().st_mtime_ns for path in names]
    assert (after[0], after[2]) == (before[0], before[2])
    code, said, error = run("mask", *asked, "--direct")
    assert (code, said) == (1, [])
    assert "another mask" in error
    assert run("mask", *asked, "--direct", "--overwrite")[0] == 0
    np.testing.assert_array_equal(nrrd.read(str(names[0]))[0], toy_labels == 688)


def test_masks_of_groups_at_another_resolution(
    run: Run, atlas: stria.Atlas, tmp_path: Path
) -> None:
    groups = tmp_path / "groups.json"
    stria.write_region_groups(groups, [stria.RegionGroup("my bundle", (1009, 8))])
    asked = ("--groups", groups, "--resolution", "40,30,20", "--rule", "majority")
    code, (path,), _ = run("mask", *asked, "--format", "ome-zarr", "--out", tmp_path / "m")
    assert (code, Path(path).name) == (0, "group_my_bundle.ome.zarr")
    import zarr

    stored = zarr.open_array(Path(path) / "s0", mode="r")
    coarse = downsample_annotation(atlas, (40.0, 30.0, 20.0), "majority")
    regions = [s.annotation_value for i in (1009, 8) for s in _with_parts(atlas, i)]
    expected = np.isin(np.asarray(coarse.annotation.levels[0].data), regions)
    np.testing.assert_array_equal(np.asarray(stored[...]), expected)


def _with_parts(atlas: stria.Atlas, region: int) -> list[Any]:
    return list(atlas.ontology.descendants(region, include_self=True))


@pytest.mark.parametrize("axis", ["1", "DV", "dv"])
def test_a_slice_in_the_atlass_colours(
    run: Run, atlas: stria.Atlas, tmp_path: Path, axis: str
) -> None:
    out = tmp_path / "a.png"
    assert run("slice", "--axis", axis, "--position", 130, "--out", out)[:2] == (0, [str(out)])
    with Image.open(out) as picture:
        np.testing.assert_array_equal(picture, stria.slice_image(atlas, 130.0, "DV"))


@pytest.mark.parametrize(("size", "rule"), [(50, "corner"), (50, "allensdk"), (40, "allensdk")])
def test_a_slice_by_a_rule_and_in_ones_own_colours(
    run: Run, atlas: stria.Atlas, tmp_path: Path, size: float, rule: Any
) -> None:
    colors = tmp_path / "colors.json"
    colors.write_text('{"997": [1, 2, 3], "70000": "#0A0B0C"}')
    out = tmp_path / "a.png"
    asked = ("--axis", 0, "--position", 130, "--resolution", size, "--rule", rule)
    assert run("slice", *asked, "--colors", colors, "--out", out)[0] == 0
    source = atlas if size == 50 else downsample_annotation(atlas, size, "allensdk")
    chosen = {997: (1, 2, 3), 70_000: (10, 11, 12)}
    expected = stria.slice_image(source, 130.0, resolution_um=size, rule=rule, colors=chosen)
    with Image.open(out) as picture:
        np.testing.assert_array_equal(picture, expected)
        said = json.loads(picture.text["napari-stria"])  # type: ignore[attr-defined]
    assert said["rule"] == ("stored" if size == 50 else "allensdk")
    assert said["plane_rule"] == rule


@pytest.mark.parametrize("rule", [None, "majority", "allensdk"])
def test_downsampled_annotations_can_be_opened_again(
    run: Run, atlas: stria.Atlas, tmp_path: Path, rule: Any
) -> None:
    asked = ("--resolution", "60", *(() if rule is None else ("--rule", rule)))
    expected = downsample_annotation(atlas, 60.0, rule or "centre").annotation.levels[0].data
    for name in ("a.nrrd", "a.ome.zarr"):
        code, (volume, terminology), _ = run("downsample", *asked, "--out", tmp_path / name)
        assert (code, volume) == (0, str(tmp_path / name))
        again = stria.open_atlas(volume, terminology=terminology)
        assert (again.space, again.ontology) == ("asr", atlas.ontology)
        np.testing.assert_array_equal(np.asarray(again.annotation.levels[0].data), expected)


def test_a_named_rule_is_used_where_a_level_is_stored(
    run: Run, atlas: stria.Atlas, tmp_path: Path
) -> None:
    run("downsample", "--resolution", 50, "--rule", "majority", "--out", tmp_path / "a.nrrd")
    expected = downsample_annotation(atlas, 50.0, "majority").annotation.levels[0].data
    np.testing.assert_array_equal(nrrd.read(str(tmp_path / "a.nrrd"))[0], expected)


def test_exports_of_every_kind(run: Run, atlas: stria.Atlas, tmp_path: Path) -> None:
    depth = ("--depth", 1)
    assert run("export", "--what", "table", *depth, "--out", tmp_path / "t.csv")[0] == 0
    assert list(pd.read_csv(tmp_path / "t.csv")["acronym"]) == [
        "root", "grey", "fiber tracts", "extra"
    ]  # fmt: skip
    labels = tmp_path / "l.label"
    code, said, _ = run(
        "export", "--what", "itksnap", "--out", tmp_path / "i.nrrd", "--labels", labels
    )
    assert (code, said) == (
        0, [str(tmp_path / "i.nrrd"), str(labels), str(tmp_path / "l.mapping.csv")]
    )  # fmt: skip
    assert len(labels.read_text().splitlines()) == len(atlas.ontology)
    code, (store, terminology), _ = run(
        "export", "--what", "annotation", *depth, "--out", tmp_path / "d.ome.zarr"
    )
    again = stria.open_atlas(store, terminology=terminology)
    assert max(s.depth for s in again.ontology) == 1
    place = ("--axis", "ML", "--position", 100)
    assert run("export", "--what", "picture", *place, "--out", tmp_path / "p.png")[0] == 0
    code, said, _ = run("export", "--what", "masks", "--region", "cc", "--out", tmp_path / "m")
    assert said == [str(tmp_path / "m" / "structure_70000.nrrd")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mask", "--out", "m"], "no region is chosen"),
        (["mask", "--region", "VISq", "--out", "m"], "no region has the acronym"),
        (["mask", "--set", "5", "--api", "http://127.0.0.1:1", "--out", "m"], "cannot be reached"),
        (["mask", "--groups", "none.json", "--out", "m"], "none.json"),
        (["slice", "--axis", "AP", "--position", "1e6", "--out", "a.png"], "outside the atlas"),
        (["slice", "--axis", "AP", "--position", "1", "--out", "a.jpg"], "ends with .png"),
        (
            ["slice", "--axis", "AP", "--position", "1", "--colors", "jet5", "--out", "a.png"],
            "no colour map 'jet5'",
        ),
        (["downsample", "--resolution", "0", "--out", "a.nrrd"], "positive number"),
        (["downsample", "--resolution", "50", "--out", "a.tif"], ".nrrd or .ome.zarr"),
        (["export", "--what", "picture", "--out", "a.png"], "a picture needs --axis"),
        (
            ["export", "--what", "annotation", "--region", "cc", "--out", "a.nrrd"],
            "--region is for table and masks, not for annotation",
        ),
        (["export", "--what", "table", "--out", "no/a.csv"], "there is no folder"),
        (
            ["export", "--what", "table", "--format", "ome-zarr", "--out", "a.csv"],
            "--format is for",
        ),
        (["export", "--what", "table", "--direct", "--out", "a.csv"], "--direct is for masks"),
        (["export", "--what", "table", "--axis", "AP", "--out", "a.csv"], "--axis is for picture"),
        (["export", "--what", "itksnap", "--direct", "--out", "a.nrrd"], "not for itksnap"),
        (["export", "--what", "masks", "--window", "--out", "m"], "--window is for screenshot"),
        (
            ["export", "--what", "table", "--labels", "x", "--out", "a.csv"],
            "--labels is for",
        ),
        (["export", "--what", "table", "--size-factor", "1", "--out", "a.csv"], "--size-factor is"),
        (["export", "--what", "screenshot", "--out", "a.png"], "--root is for"),
        (["export", "--what", "masks", "--rule", "centre", "--out", "m"], "give that size"),
        (["mask", "--region", "cc", "--rule", "majority", "--out", "m"], "give that size"),
        (
            ["export", "--what", "masks", "--region", "cc", "--set", "5", "--out", "m"],
            "cannot be given with --set",
        ),
        (
            ["export", "--what", "masks", "--depth", "1", "--direct", "--out", "m"],
            "own voxels already",
        ),
        (["export", "--what", "table", "--depth", "-1", "--out", "a.csv"], "depth"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(
    run: Run, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, error = run(*arguments)
    assert (code, said) == (1, [])
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked(run: Run, tmp_path: Path) -> None:
    commands: list[tuple[Any, ...]] = [
        ("slice", "--axis", 0, "--position", 1, "--out", tmp_path / "a.png"),
        ("downsample", "--resolution", 50, "--out", tmp_path / "a.nrrd"),
        ("export", "--what", "table", "--out", tmp_path / "a.csv"),
    ]
    for command, *arguments in commands:
        arguments[-1].write_text("mine")
        code, _, error = run(command, *arguments)
        assert (code, arguments[-1].read_text()) == (1, "mine")
        assert "exists already" in error
        assert run(command, *arguments, "--overwrite")[0] == 0


def test_depths_sets_and_groups_have_one_number_each(
    run: Run, atlas: stria.Atlas, tmp_path: Path, capsys: Captured
) -> None:
    """``volumes``, a table and the masks of the same groups or depth agree."""
    groups = tmp_path / "g.json"
    stria.write_region_groups(
        groups, [stria.RegionGroup("grey", (8,)), stria.RegionGroup("cortex", (688, 70_000))]
    )
    for asked in (("--groups", groups), ("--depth", 2)):
        option = asked[0].strip("-")
        files = {name: tmp_path / f"{option}_{name}.csv" for name in ("volumes", "table")}
        assert run("volumes", *asked, "--csv", files["volumes"])[0] == 0
        assert run("export", "--what", "table", *asked, "--out", files["table"])[0] == 0
        counts = {name: list(pd.read_csv(path)["voxels"]) for name, path in files.items()}
        code, paths, _ = run("export", "--what", "masks", *asked, "--out", tmp_path / option)
        assert code == 0
        counts["masks"] = [int(nrrd.read(path)[0].sum()) for path in paths]
        assert counts["volumes"] == counts["table"] == counts["masks"]


def test_a_picture_by_allensdks_plane(run: Run, atlas: stria.Atlas, tmp_path: Path) -> None:
    out = tmp_path / "p.png"
    asked = ("--what", "picture", "--axis", "AP", "--position", 140, "--out", out)
    assert run("export", *asked, "--plane-rule", "allensdk")[0] == 0
    with Image.open(out) as picture:
        found = np.asarray(picture)
    np.testing.assert_array_equal(found, stria.slice_image(atlas, 140.0, "AP", rule="allensdk"))
    assert not np.array_equal(found, stria.slice_image(atlas, 140.0, "AP"))


def test_the_help_says_what_a_screenshot_takes(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--what screenshot takes a saved view instead of an atlas" in said
    assert "--plane-rule {corner,allensdk}" in said
    assert "each a union in tables and masks" in said


# -- as programs -------------------------------------------------------------------------------

_SLOW = """
import sys, time
from napari_stria.core import pyramid
read = pyramid.ArrayReader.read_block
from napari_stria.io import zarr_array
whole = zarr_array.ZarrArray.read_block
count = 0
def slow(self, index):
    global count
    count += 1
    if count == 3:
        print("reading", file=sys.stderr, flush=True)
    if count >= 3:
        time.sleep(0.5)
    return whole(self, index)
zarr_array.ZarrArray.read_block = slow
from napari_stria.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("name", ["a.nrrd", "a.ome.zarr"])
def test_an_interrupted_program_leaves_nothing(root: str, tmp_path: Path, name: str) -> None:
    program = subprocess.Popen(
        [
            sys.executable, "-c", _SLOW, "downsample", NAME, "--root", root,
            "--resolution", "30", "--out", str(tmp_path / name),
        ],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stderr is not None
    assert program.stderr.readline() == "reading\n"
    assert any(tmp_path.iterdir())  # begun, under a hidden name
    program.send_signal(signal.SIGINT)
    said, error = program.communicate(timeout=60)
    assert (program.returncode, said) == (130, "")
    assert "interrupted" in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def _without_screen() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="a view without a screen needs Xvfb")
def test_a_screenshot_of_a_saved_view(tmp_path: Path) -> None:
    practice = practice_root(tmp_path / "practice")
    view = SavedView(
        name="practice_mouse_100um",
        opened_with={"name_or_uri": "practice_mouse_100um", "root": str(practice)},
        plane=SavedPlane((5050.0, 3050.0, 4050.0), (1, 0, 2)),
        camera=SavedCamera((0.0, 6600.0, 5700.0), 0.05),
        regions=SavedRegions(selected=(254,)),
    )
    write_view(tmp_path / "a.stria.json", view)
    out = tmp_path / "a.png"
    command = [
        sys.executable, "-m", "napari_stria.cli", "export", str(tmp_path / "a.stria.json"),
        "--what", "screenshot", "--size-factor", "2", "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=_without_screen(), timeout=300
    )
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    with Image.open(out) as picture:
        assert picture.size[0] > 1000
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 20


def test_a_screenshot_without_any_screen_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    view = SavedView("a", {"name_or_uri": "a"}, SavedPlane((0.0, 0.0, 0.0), (0, 1, 2)), SavedCamera((0.0, 0.0, 0.0), 1.0))  # fmt: skip  # noqa: E501
    write_view(tmp_path / "a.stria.json", view)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("napari_stria.viewer.display.shutil.which", lambda _name: None)
    asked = ["export", str(tmp_path / "a.stria.json"), "--what", "screenshot", "--out"]
    assert main([*asked, str(tmp_path / "a.png")]) == 1
    assert "there is no screen" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
    # Before any window: what cannot be written.
    (tmp_path / "a.png").write_text("mine")
    assert main([*asked, str(tmp_path / "a.png")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*asked, str(tmp_path / "b.png"), "--size-factor", "99"]) == 1
    assert "--size-factor" in capsys.readouterr().err


def test_the_paths_come_as_the_masks_do(root: str, tmp_path: Path) -> None:
    """Each is printed when it is there, for a program that reads them."""
    command = [
        sys.executable, "-m", "napari_stria.cli", "mask", NAME, "--root", root,
        "--region", "CTX", "--region", "cc", "--out", str(tmp_path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        paths = [Path(line.strip()) for line in program.stdout if Path(line.strip()).is_file()]
    assert program.returncode == 0
    assert [path.name for path in paths] == ["structure_688.nrrd", "structure_70000.nrrd"]
