"""Annotations as files: which they are by their name, and where their voxels lie."""

from __future__ import annotations

from pathlib import Path

import nrrd
import numpy as np
import pytest

from napari_stria.core.pyramid import Level, Multiscale, array_reader
from napari_stria.errors import OutputError
from napari_stria.io.annotation_files import is_store, terminology_beside, write_labels
from napari_stria.io.ome_zarr import read_ome_zarr
from napari_stria.io.store import open_store

LABELS = np.arange(1, 4 * 6 * 8 + 1, dtype=np.uint32).reshape(4, 6, 8)


@pytest.mark.parametrize(
    ("name", "store"),
    [("a.nrrd", False), ("A.NRRD", False), ("a.ome.zarr", True), ("b.zarr", True)],
)
def test_the_name_says_which_it_is(name: str, store: bool) -> None:
    assert is_store(Path("x") / name) is store
    assert terminology_beside(Path("x") / name) == Path("x") / f"{name}.terminology.csv"


@pytest.mark.parametrize("name", ["a", "a.nii.gz", "a.tif", "nrrd"])
def test_other_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.nrrd or \.ome\.zarr"):
        is_store(tmp_path / name)


def test_levels_that_begin_elsewhere_stay_where_they_are(tmp_path: Path) -> None:
    corner = (100.0, -20.0, 5.0)
    no_shift = (0.0, 0.0, 0.0)
    levels = tuple(
        Level(array_reader(LABELS[::n, ::n, ::n]), (25.0 * n, 20.0 * n, 10.0 * n), no_shift, corner)
        for n in (1, 2)
    )
    for name in ("a.ome.zarr", "a.nrrd"):
        write_labels(
            tmp_path / name, Multiscale(levels), name="a", space="asr", notes={"rule": "centre"}
        )
    found = read_ome_zarr(open_store(str(tmp_path / "a.ome.zarr")), "")
    assert found.space == "asr"
    for level, expected in zip(found.pyramid.levels, levels, strict=True):
        assert level.origin_um == pytest.approx(corner)
        assert level.scale_um == pytest.approx(expected.scale_um)
        np.testing.assert_array_equal(np.asarray(level.data), np.asarray(expected.data))
    voxels, header = nrrd.read(str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(voxels, LABELS)
    # Left-posterior-superior millimetres of the first voxel's centre.
    np.testing.assert_allclose(header["space origin"], [0.01, 0.1125, 0.01])
    assert header["stria_rule"] == "centre"
