"""Areas of regions in the QUINT tools' own maps against those that are measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.atlas import Atlas
from napari_stria.core.label_measures import measure_labels
from napari_stria.core.labels import LabelLookup
from napari_stria.core.section_plane import atlas_frame
from napari_stria.core.subtree import with_descendants
from napari_stria.core.transforms import Affine, Sequence
from napari_stria.io.flat_maps import read_flat, read_label_ids
from napari_stria.registration.section_maps import atlas_map

Counts = npt.NDArray[np.float64]
LINEAR, BENT = "visualign_oblique", "visualign_nonlinear"
MAPS = [(LINEAR, nr) for nr in (1, 3, 5, 7)] + [(BENT, nr) for nr in (1, 3, 5)]
LEAST_PX = 100


@pytest.fixture(scope="module")
def atlas(real_data: Path) -> Atlas:
    return stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")


def areas(atlas: Atlas, quint: Path, folder: str, nr: int) -> tuple[Any, Any]:
    """Return the pixels of each region, without what is below it: theirs and ours."""
    ids = read_label_ids(quint / LINEAR / "atlas.label")
    theirs = read_flat(quint / folder / f"s{nr:03g}.flat", ids)
    series = stria.read_series(quint / folder / "series.json", nonlinear=folder == BENT)
    section = next(s for s in series.slices if s.nr == nr).in_frame(atlas_frame(atlas))
    # QUINT's copy of the volume is the same array, which it takes to start on the left.
    section = section.in_space("asl")
    (h, w), (width, height) = theirs.shape, section.size_wh
    to_section = Affine([[width / w, 0, 0], [0, height / h, 0]])
    to_atlas = Sequence([to_section, section.section_to_atlas])
    table = measure_labels(atlas, np.ones((h, w), dtype=bool), to_atlas, 25)
    # To the last pixel those of the exact map.
    exact = atlas_map(atlas, section.section_to_atlas, (h, w), size_px=section.size_wh)
    for array in (exact, theirs):
        positions = LabelLookup(atlas.ontology).positions(array[array != 0])
        assert positions.min() >= 0
        found = np.bincount(positions, minlength=len(atlas.ontology))
        if array is exact:
            np.testing.assert_array_equal(table["pixels_direct"], found)
    assert table.attrs["pixels_total"] == theirs.size
    return found, table["pixels_direct"].to_numpy()


def errors(theirs: Counts, ours: Counts) -> Counts:
    """Return the relative errors of regions that are large enough in their map."""
    large = theirs >= LEAST_PX
    return np.abs(ours[large] - theirs[large]) / theirs[large]


def test_areas_of_regions_are_those_of_quints_maps(real_data: Path, atlas: Atlas) -> None:
    alone = []
    for folder, nr in MAPS:
        theirs, ours = areas(atlas, real_data / "quint", folder, nr)
        alone.append(errors(theirs, ours))
        whole = errors(*(with_descendants(n, atlas.ontology) for n in (theirs, ours)))
        assert len(whole) > 90
        assert np.median(whole) < 0.02, (folder, nr)
    # Without what is below them regions are small, and VisuAlign's rounding moves many of its
    # pixels by one: of one map the median alone is 2.1 %.
    assert np.median(np.concatenate(alone)) < 0.02
