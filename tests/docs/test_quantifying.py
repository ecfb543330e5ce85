"""The page about numbers per region: its code in order, on the practice brain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tifffile

from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.practice import write_practice_root
from napari_stria.demo.practice_sections import PRACTICE_FAILED
from napari_stria.demo.server import DemoServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quantifying.md"
NAME = "practice_mouse_100um"
Volume = npt.NDArray[np.uint32]
PLANES = (50, 66)


def _all_points(volume: Volume) -> npt.NDArray[np.int64]:
    """Write voxels of cells as cellfinder does, some of them outside the atlas."""
    index = np.random.default_rng(2).integers(-2, np.array(volume.shape) + 2, (500, 3))
    names = [f"coordinate_atlas_axis_{axis}" for axis in range(3)]
    pd.DataFrame(index, columns=names).assign(hemisphere="?").to_csv("all_points.csv", index=False)
    return index


def _cells() -> None:
    rest = "<MarkerY>1500</MarkerY><MarkerZ>900</MarkerZ>"
    markers = "".join(f"<Marker><MarkerX>{2000 + n}</MarkerX>{rest}</Marker>" for n in range(30))
    types = "".join(f"<Marker_Type><Type>{kind}</Type>{markers}</Marker_Type>" for kind in (1, 2))
    text = f"<CellCounter_Marker_File><Marker_Data>{types}</Marker_Data></CellCounter_Marker_File>"
    Path("cells.xml").write_text(text, encoding="utf-8")


def _labels(volume: Volume) -> npt.NDArray[np.uint16]:
    labels = np.zeros(volume.shape, np.uint16)
    labels[40:60, 30:50, 20:40], labels[40:60, 30:50, 70:80] = 1, 2
    tifffile.imwrite("labels_25um.tif", labels)
    return labels


def _slides(volume: Volume) -> None:
    """Write sections that show whole planes, their segmentations of half the size, and a series."""
    Path("slides").mkdir()
    n_ap, n_dv, n_ml = volume.shape
    slices = []
    for number, plane in enumerate(PLANES, 1):
        image = (volume[plane] % 251).astype(np.uint8)
        cv2.imwrite(f"slides/mouse_s{number:03d}.png", image.repeat(2, 0).repeat(2, 1))
        tifffile.imwrite(f"slides/seg_s{number:03d}.tif", np.where(image > 100, 255, 0))
        anchoring = [n_ml, n_ap - plane - 0.5, n_dv, -n_ml, 0, 0, 0, 0, -n_dv]
        slices.append(
            {"filename": f"mouse_s{number:03d}.png", "nr": number, "width": 2 * n_ml,
             "height": 2 * n_dv, "anchoring": anchoring}
        )  # fmt: skip
    values = {"name": "", "target": "x.cutlas", "target-resolution": [n_ml, n_ap, n_dv]}
    text = json.dumps({**values, "slices": slices})
    Path("slides/series.json").write_text(text, encoding="utf-8")


def _here(text: str, api: str) -> str:
    """Return the page with the practice brain and its server in place of Allen's."""
    for old, new in (
        ('"allen_mouse_25um")', f'"{NAME}", root="root")'),
        ("--atlas allen_mouse_25um", f"--atlas {NAME} --root root --api {api}"),
        ("stria.AllenApi()", f"stria.AllenApi({api!r})"),
        ("79556706", str(PRACTICE_FAILED)),
        ("voxel_um=25)", "voxel_um=100)"),
        ("--voxel-um 25 ", "--voxel-um 100 "),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def test_the_page_does_what_it_says(
    run_page: Callable[[Path, Path], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_practice_root(Path("root"))
    volume = practice_annotation(100.0)
    index, labels = _all_points(volume), _labels(volume)
    _cells()
    _slides(volume)
    with DemoServer(tmp_path / "served") as server:
        page = tmp_path / "page.md"
        page.write_text(_here(PAGE.read_text(encoding="utf-8"), server.allen_url), encoding="utf-8")
        names = run_page(page, tmp_path).names
    inside = ((index >= 0) & (index < volume.shape)).all(axis=1)
    under = volume[tuple(index[inside].T)]
    assert names["table"].loc[997, "count"] == (under > 0).sum()
    assert names["where"] == {
        "background": (under == 0).sum(), "outside": (~inside).sum(), "total": 500
    }  # fmt: skip
    assert names["by_division"]["count"].sum() == (under > 0).sum()
    assert len(names["each"]) == 500
    assert names["in_atlas"].tolist()[0] == [900.5 * 5 + 150, 1500.5 * 2 + 100, 2000.5 * 2 + 250]
    assert dict(names["found"].dropped) == {"not of type 2 (cell)": 30}
    objects, labelled = names["objects"], (labels > 0) & (volume > 0)
    assert objects.loc[997, "pixels"] == labelled.sum()
    assert objects.loc[997, "volume_mm3"] == pytest.approx(labelled.sum() * 1e-3)
    assert objects.attrs["objects_total"] == 2
    assert names["signal"].loc[997, "above"] == labelled.sum()
    written: Any = pd.read_csv("signal.csv", index_col="id")
    assert written.loc[997, "pixels"] == 4 * (volume[list(PLANES)] > 0).sum()
    assert sorted(path.name for path in Path("each").iterdir()) == [
        "mouse_s001.csv", "mouse_s002.csv"
    ]  # fmt: skip
    marked = (volume[PLANES[0]] % 251 > 100) & (volume[PLANES[0]] > 0)
    assert names["first"].loc[997, "pixels"] == marked.sum()
    assert names["strongest"].is_monotonic_decreasing
    assert Path("expression.csv").is_file()
    assert "30 points: " in capsys.readouterr().err


def test_the_page_names_every_column() -> None:
    """What a table may have is on the page; see `napari_stria.core.summed_tables`."""
    from napari_stria.core import summed_tables

    text = PAGE.read_text(encoding="utf-8")
    for name in (*summed_tables.AMOUNTS, *summed_tables.RATIOS):
        assert f"`{name}`" in text, name
