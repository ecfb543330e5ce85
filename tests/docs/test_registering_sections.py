"""The page about registering sections: its code in order, and how true what it finds is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_stria as stria
from napari_stria.demo.histology_files import practice_series
from napari_stria.demo.template_file import load_template

PAGE = Path(__file__).resolve().parents[2] / "docs" / "registering_sections.md"


def test_the_page_does_what_it_says(
    run_page: Callable[[Path, Path], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("itk")
    monkeypatch.chdir(tmp_path)
    names = run_page(PAGE, tmp_path).names
    first, second, *_ = practice_series(load_template(tmp_path / "practice"))

    # Anchorings are the truth without the warp, whose amplitude is 8 pixels of 20 um.
    away = np.linalg.norm(names["middle"] - first.section_to_atlas_um([[330, 240]]))
    assert away < 8 * 20 * 1.1
    assert names["regions"].shape == (480, 660)
    assert {path.name for path in (tmp_path / "maps").glob("*.tif")} == {
        f"practice_s00{number}.tif" for number in range(1, 6)
    }
    for name in ("edited.json", "edited.csv", "for_visualign.json"):
        again = stria.read_series(tmp_path / name, atlas=names["atlas"]).slices
        anchored = [s.filename for s in again if not s.is_interpolated]
        assert anchored == [f"practice_s00{number}.png" for number in (1, 3, 5)]

    assert abs(names["placement"].position_um - 5500) < 200
    assert abs(names["placement"].pitch_deg - 5) < 3
    assert abs(names["placement"].yaw_deg + 4) < 3
    assert names["template"].max() > 0

    points = second.landmarks_xy
    errors = {
        name: np.median(np.linalg.norm(found - second.landmarks_um, axis=1))
        for name, found in {
            "spline": names["section_to_atlas"](points),
            "affine": names["plane_to_atlas"](names["affine"](points)),
            "registered": stria.read_transform(
                tmp_path / "registered" / "practice_s002_chain.json"
            )(points),
        }.items()
    }
    assert errors["spline"] < errors["affine"] < 60
    assert errors["registered"] < 200
    assert names["spline"].rms_um < 1e-6
    np.testing.assert_allclose(names["again"](points), names["section_to_atlas"](points), atol=1e-6)
    assert tifffile.imread(tmp_path / "warped.tif").shape == (160, 228, 3)
    assert np.asarray(names["warped"]).shape == (320, 456, 3)
    assert (names["labels"] > 0).mean() > 0.2
    assert "a suggestion" in capsys.readouterr().err
