"""``volumes`` of larger regions: by depth and by structure set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.practice import practice_root
from napari_stria.demo.server import DemoServer

NAME = "practice_mouse_100um"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(practice_root(tmp_path_factory.mktemp("practice")))


def _counted(root: str, target: Path, *asked: str) -> Any:
    assert main(["volumes", NAME, "--root", root, "--csv", str(target), *asked]) == 0
    return pd.read_csv(target, index_col="id")


def test_volumes_of_a_depth(root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = _counted(root, tmp_path / "depth.csv", "--depth", "3")
    assert frame["voxels"].sum() == np.count_nonzero(practice_annotation(100.0))
    atlas = stria.open_atlas(NAME, root=root)
    regions: Any = stria.region_table(atlas)
    assert frame.loc[688, "voxels"] == regions.loc[688, "voxels"]
    assert (frame["depth"] <= 3).all()
    said = capsys.readouterr().err
    assert f"Depth 3: {len(frame)} parcels, each voxel in one; 0 voxels in none" in said
    assert "counted at 100 x 100 x 100 um" in said


def test_volumes_of_a_set_that_the_api_knows(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DemoServer(tmp_path) as server:
        frame = _counted(
            root, tmp_path / "set.csv", "--set", "167587189", "--api", server.allen_url
        )
        assert len(frame) == 28
        said = capsys.readouterr().err
        assert "Brain – Summary Structures: 28 parcels" in said
        rest = np.count_nonzero(practice_annotation(100.0)) - int(frame["voxels"].sum())
        assert rest > 0
        assert f"; {rest} voxels in none" in said
        assert main(["volumes", NAME, "--root", root, "--set", "5", "--api", server.allen_url]) == 1
        assert "no region is in a structure set 5" in capsys.readouterr().err
        # An atlas that has sets asks nobody.
        ontology = tmp_path / "ontology.json"
        stria.write_ontology(ontology, stria.fetch_ontology(1, stria.AllenApi(server.allen_url)))
    again = _counted(root, tmp_path / "again.csv", "--set", "2", "--with-sets", str(ontology))
    assert len(again) == 12


def test_some_parcels_are_picked_by_name_or_pattern(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["volumes", NAME, "--root", root, "--depth", "4"]
    assert main([*asked, "--region", "cerebral*", "--region", "TH"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[1] for row in rows] == ["CTX", "CNU", "TH"]
    # Deeper than the parcels: the name is known to the atlas, and no parcel here.
    assert main([*asked, "--region", "RSPd"]) == 1
    assert "parcels of Depth 4 fits 'RSPd'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--depth", "3", "--set", "2"], ["--depth", "x"], ["--set", "Summary"]]
)
def test_levels_exclude_each_other_and_are_numbers(root: str, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["volumes", NAME, "--root", root, *wrong])


def test_a_negative_depth_is_one_sentence(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["volumes", NAME, "--root", root, "--depth", "-1"]) == 1
    assert "the depth -1 is no whole number" in capsys.readouterr().err


def test_every_command_finds_the_regions_of_a_set(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DemoServer(tmp_path) as server:
        asked = [NAME, "--root", root, "--set", "2", "--api", server.allen_url]
        assert main(["regions", *asked, "--csv", str(tmp_path / "regions.csv")]) == 0
        assert len(pd.read_csv(tmp_path / "regions.csv")) == 12
        assert main(["mask", *asked, "--out", str(tmp_path / "masks")]) == 0
        assert len(list((tmp_path / "masks").glob("structure_*.nrrd"))) == 12
        table = tmp_path / "table.csv"
        assert main(["export", *asked, "--what", "table", "--out", str(table)]) == 0
        assert len(pd.read_csv(table)) == 12
