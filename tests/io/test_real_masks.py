"""Masks of the real annotation against AllenSDK's figures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.atlas import Atlas
from napari_stria.core.selection import selection_mask

# Of the uint8 mask in C order, computed with AllenSDK 2.16.2 (`make_structure_mask([315])`).
ISOCORTEX_SHA256 = "e277071e322680fba67766b76e90c614ef41ce25d0c81bfb34586ba8320a6407"


@pytest.fixture(scope="module")
def golden(real_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())
    return content


@pytest.fixture(scope="module")
def atlas(real_data: Path) -> Atlas:
    return stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")


def test_the_mask_of_the_isocortex(golden: dict[str, Any], atlas: Atlas) -> None:
    stated = golden["mask_315"]
    assert selection_mask(atlas.ontology, 315).sum() == stated["n_descendants_incl"]
    mask = stria.structure_mask(atlas, ["Isocortex"]).compute()
    assert list(mask.shape) == stated["shape"]
    assert mask.sum() == stated["voxels"]
    digest = hashlib.sha256(mask.astype(stated["dtype"]).tobytes()).hexdigest()
    assert digest == ISOCORTEX_SHA256


def test_every_golden_volume(golden: dict[str, Any], atlas: Atlas) -> None:
    voxels_of = {v["id"]: v["voxels"] for v in golden["volumes"].values()}
    masks = stria.structure_masks(atlas, voxels_of)
    assert {region: int(mask.sum()) for region, mask in masks} == voxels_of


def test_masks_as_files(golden: dict[str, Any], atlas: Atlas, tmp_path: Path) -> None:
    wanted = {name: golden["volumes"][name] for name in ("RSP", "VISp")}
    paths = list(stria.write_masks(atlas, wanted, tmp_path))
    assert [p.name for p in paths] == [f"structure_{v['id']}.nrrd" for v in wanted.values()]
    for path, stated in zip(paths, wanted.values(), strict=True):
        mask, header = nrrd.read(str(path))
        assert mask.dtype == np.uint8
        assert mask.sum() == stated["voxels"]
        millimetres = abs(np.linalg.det(header["space directions"])) * mask.sum()
        assert millimetres == pytest.approx(stated["mm3"], rel=1e-12)
        # BrainGlobe's array starts on the right, and left is where L grows.
        assert header["space directions"][2, 0] > 0


def test_a_mask_of_a_downsampled_atlas(golden: dict[str, Any], atlas: Atlas) -> None:
    stated = golden["downsample"]["[75, 75, 75]"]
    coarse = stria.downsample_annotation(atlas, 75, rule="allensdk")
    mask = stria.structure_mask(coarse, 315).compute()
    assert list(mask.shape) == stated["shape"]
    assert mask.sum() == stated["total_voxels_315"]


def test_the_coverage_of_a_region_by_a_part_of_it(golden: dict[str, Any], atlas: Atlas) -> None:
    voxels = {name: golden["volumes"][name]["voxels"] for name in ("Isocortex", "VISp")}
    report = stria.validate_regions(atlas, "VISp", "Isocortex")
    assert report.uncovered_voxels == voxels["Isocortex"] - voxels["VISp"]
    assert report.beyond_voxels == 0
    # Where AllenSDK's uint8 wraps to 255.
    report = stria.validate_regions(atlas, "Isocortex", "VISp")
    assert report.beyond_voxels == voxels["Isocortex"] - voxels["VISp"]
    assert report.uncovered_voxels == 0
