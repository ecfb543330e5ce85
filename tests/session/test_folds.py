"""Whether a map turns a part of a section over, also where only two landmarks say so."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stria.core.spline import ThinPlateSpline
from napari_stria.session.registration_fit import folds

SHAPE = (30_000, 30_000)
FRAME = np.array([[0, 0], [30_000, 0], [0, 30_000], [30_000, 30_000], [15_000, 15_000]], float)


@pytest.mark.parametrize("gap", [50, 200, 600, 1500])
def test_two_landmarks_that_are_exchanged_fold_a_section(gap: float) -> None:
    rng = np.random.default_rng(int(gap))
    for _ in range(10):
        first, angle = rng.uniform(5000, 25_000, 2), rng.uniform(0, 2 * np.pi)
        second = first + gap * np.array([np.cos(angle), np.sin(angle)])
        moving = np.vstack([FRAME, first, second])
        assert folds(ThinPlateSpline(moving, np.vstack([FRAME, second, first])), SHAPE)
        assert not folds(ThinPlateSpline(moving, moving + 30.0), SHAPE)


def test_three_landmarks_are_enough_to_look_between() -> None:
    corners = FRAME[:3]
    assert not folds(ThinPlateSpline(corners, corners + 5), SHAPE)
