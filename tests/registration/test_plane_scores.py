"""What a section is compared with, and how it is made comparable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.coarse_volume import CoarseVolume
from napari_stria.core.transforms import Affine
from napari_stria.registration.plane_scores import RegionScore, TemplateScore, coarse_section

DISC = (np.mgrid[:90, :120][0] - 45) ** 2 + (np.mgrid[:90, :120][1] - 60) ** 2 < 35**2


def noisy(inside: float, outside: float) -> npt.NDArray[np.float32]:
    noise = np.random.default_rng(1).normal(0, 0.01, DISC.shape)
    return np.asarray(np.where(DISC, inside, outside) + noise, dtype=np.float32)


def test_pixels_lie_about_the_middle_and_background_is_added_where_it_goes_on() -> None:
    section = coarse_section(noisy(0.8, 0.1), (20.0, 10.0), 20.0)
    # 45 rows and 120 columns with a margin all around.
    assert section.grey.shape == (45 + 2 * 7, 120 + 2 * 18)
    np.testing.assert_allclose(section.middle_um.mean(axis=(0, 1)), 0, atol=1e-9)
    np.testing.assert_allclose(section.middle_um[0, 0], [-1200 - 360 + 10, -450 - 140 + 10])
    cut = coarse_section(noisy(0.8, 0.1)[20:], (20.0, 20.0), 20.0)
    assert cut.grey.shape == (70 + 10, 120 + 2 * 18)


def test_sparse_signal_becomes_visible_tissue_and_other_images_stay() -> None:
    dense = coarse_section(noisy(0.8, 0.1), (20.0, 20.0), 20.0)
    assert dense.evened() is dense
    random = np.random.default_rng(2)
    cells = np.where(DISC & (random.random(DISC.shape) < 0.2), 0.004, 0).astype(np.float32)
    cells[45, 60] = 1
    sparse = coarse_section(cells, (20.0, 20.0), 20.0).evened()
    assert sparse.tissue.sum() == pytest.approx(DISC.sum(), rel=0.1)
    assert sparse.grey[sparse.grey > 0].min() > 0.3


@pytest.mark.parametrize("inverted", [False, True])
def test_scores_are_best_in_the_right_place_whatever_is_bright(inverted: bool) -> None:
    volume = np.zeros((9, 30, 30), np.float32)
    volume[4, 5:20, 8:25], volume[4, 9:12, 12:20] = 2, 3
    section_grey = volume[4] / 3
    section = coarse_section(1 - section_grey if inverted else section_grey, (100.0, 100.0), 100.0)
    coarse = CoarseVolume(volume, (100.0, 100.0, 100.0), (0.0, 0.0, 0.0))
    regions = CoarseVolume(volume.astype(np.intp), coarse.scale_um, coarse.origin_um)

    def place(ap: float, dv: float) -> Affine:
        return Affine([[0, 0, ap], [0, 1, dv], [1, 0, 1500.0]])

    for score in (TemplateScore(section, coarse), RegionScore(section, regions)):
        right = score(place(450.0, 1500.0))
        # Values between two bins count for both, so that not all is explained.
        assert right > 0.8
        assert right > score(place(450.0, 1700.0)) + 0.1
        assert score(place(150.0, 1500.0)) == pytest.approx(0, abs=1e-6)
