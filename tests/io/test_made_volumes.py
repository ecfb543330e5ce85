"""Volumes that were unpacked or decoded into the cache: counted, cleared, and never half there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_stria import open_atlas
from napari_stria.core.atlas import Atlas
from napari_stria.errors import CorruptDataError
from napari_stria.io.cache import cache_folder
from napari_stria.io.chunk_files import clear, usage
from napari_stria.io.whole_folders import work_folder

Open = Callable[[], Atlas]


@pytest.fixture
def zipped(tmp_path: Path, toy_labels: Any, csv_of: Any, toy_rows: Any) -> Open:
    """Opens a zip of a zarr array."""
    array = zarr.create_array(
        store=str(tmp_path / "a.zarr"), shape=toy_labels.shape, dtype="u4", chunks=(8, 8, 8)
    )
    array[...] = toy_labels
    (tmp_path / "structures.csv").write_text(csv_of(toy_rows))
    archive = shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "a.zarr")
    csv = tmp_path / "structures.csv"
    return lambda: open_atlas(archive, terminology=csv, resolution_um=25)


@pytest.fixture
def decoded(tmp_path: Path, toy_labels: Any, toy_rows: Any, write_legacy: Any) -> Open:
    """Opens a folder whose TIFF is compressed."""
    folder = write_legacy(tmp_path / "toy_mouse_25um_v1.2", toy_labels, rows=toy_rows)
    tifffile.imwrite(folder / "annotation.tiff", toy_labels, compression="zlib")
    return lambda: open_atlas(folder)


def labels_of(atlas: Atlas) -> Any:
    return np.asarray(atlas.annotation.levels[0].data)


@pytest.mark.parametrize("kind", ["zipped", "decoded"])
def test_what_was_cleared_is_never_read_as_background(
    kind: str, toy_labels: Any, request: pytest.FixtureRequest
) -> None:
    opener: Open = request.getfixturevalue(kind)
    assert usage().made_bytes == 0
    atlas = opener()
    made = usage().made_bytes
    assert made > 0
    with work_folder(cache_folder("zips")) as work:  # what is being made now
        (work / "half").write_bytes(b"1234")
        assert clear() == made
        assert (work / "half").exists()
    assert usage().made_bytes == 0
    with pytest.raises(CorruptDataError, match="open the atlas again"):
        labels_of(atlas)
    np.testing.assert_array_equal(labels_of(opener()), toy_labels)
    assert usage().made_bytes == made


def test_nothing_is_made_to_look(private_places: Path) -> None:
    assert usage().made_bytes == 0
    assert clear() == 0
    assert not any((private_places / "cache" / kind).exists() for kind in ("zips", "tiff", "ccf"))
