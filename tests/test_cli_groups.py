"""Groups of regions on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core import group_table as module
from napari_stria.demo.practice import practice_root

NAME = "practice_mouse_100um"
group_table: Callable[..., Any] = module.group_table  # pandas-stubs knows the type of no cell
GONE = stria.RegionGroup("Gone", (999_999,), acronyms=("far",))
BRAIN_STEM = stria.RegionGroup("Inner brain", (549, 1097))
CORTEX = stria.RegionGroup("Cortex", (688, 999_998), acronyms=("CTX", "lost"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(practice_root(tmp_path_factory.mktemp("practice")))


@pytest.fixture
def groups(tmp_path: Path) -> str:
    path = tmp_path / "mine.groups.json"
    return str(stria.write_region_groups(path, [BRAIN_STEM, CORTEX, GONE]))


def test_volumes_of_groups(
    root: str, groups: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "volumes.csv"
    command = ["volumes", NAME, "--root", root, "--groups", groups]
    assert main([*command, "--csv", str(target)]) == 0
    said = capsys.readouterr().err
    assert "group Cortex: this atlas lacks lost (id 999998)" in said
    assert "group Gone: this atlas lacks far (id 999999)" in said
    assert "2 groups, each the union of its regions" in said
    found: Any = pd.read_csv(target).set_index("group")
    known = stria.RegionGroup("Cortex", (688,))
    truth = group_table(stria.open_atlas(NAME, root=root), [BRAIN_STEM, known])
    assert found["voxels"].to_dict() == truth["voxels"].to_dict()
    np.testing.assert_allclose(found["volume_mm3"], truth["volume_mm3"], rtol=1e-12)
    assert main([*command, "--region", "group:Inner brain"]) == 0
    shown = capsys.readouterr().out
    assert "Inner brain" in shown
    assert "Cortex" not in shown


def test_what_is_not_there_is_said(
    root: str, groups: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["volumes", NAME, "--root", root]
    only_gone = stria.write_region_groups(tmp_path / "gone.groups.json", [GONE])
    for more, sentence in (
        (["--region", "group:Cortex"], "give its file too: --groups FILE"),
        (["--groups", groups, "--region", "group:Mine"], "there are 'Inner brain', 'Cortex'"),
        (["--groups", groups, "--region", "TH"], "'TH' is no group"),
        (["--groups", str(tmp_path / "none.json")], "cannot be read"),
        (["--groups", str(only_gone)], "no group with a region of this atlas"),
    ):
        assert main([*command, *more]) == 1
        assert sentence in capsys.readouterr().err


def test_masks_of_a_named_group(root: str, groups: str, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    named = ["--groups", groups, "--region", "group:Inner brain", "--region", "CTX"]
    assert main(["mask", NAME, "--root", root, *named, "--out", str(out)]) == 0
    atlas = stria.open_atlas(NAME, root=root)
    sums = sorted(int(nrrd.read(str(path))[0].sum()) for path in out.glob("*.nrrd"))
    truth = [stria.structure_mask(atlas, each) for each in (BRAIN_STEM, "CTX")]
    assert sums == sorted(int(mask.sum().compute()) for mask in truth)
