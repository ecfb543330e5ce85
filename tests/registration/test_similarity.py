"""Mutual information, against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stria.registration.similarity import (
    binned,
    joint_histogram,
    mutual_information,
    normalized_information,
)


def test_values_count_for_their_two_nearest_bins() -> None:
    first = binned([0.0, 10.0, 2.5], 5)
    second = binned([0.0, 0.0, 4.0], 2, limits=(0.0, 4.0))
    expected = np.zeros((5, 2))
    expected[0, 0] = expected[4, 0] = expected[1, 1] = 1 / 3
    np.testing.assert_allclose(joint_histogram(first, second), expected, atol=1e-12)
    between = joint_histogram(binned([1.5], 5, (0.0, 4.0)), binned([3.0], 5, (0.0, 4.0)))
    assert between[1, 3] == between[2, 3] == 0.5


def test_what_two_pictures_tell_of_each_other() -> None:
    random = np.random.default_rng(1)
    picture = random.integers(0, 4, 40_000).astype(float)
    assert mutual_information(picture, picture) == pytest.approx(np.log(4), abs=0.01)
    assert mutual_information(picture, 7 - 2 * picture) == pytest.approx(np.log(4), abs=0.01)
    assert mutual_information(picture, random.permutation(picture)) < 0.01
    assert mutual_information(picture, np.zeros(40_000)) == pytest.approx(0, abs=1e-9)


def test_normalized_information_is_one_for_one_to_one_and_zero_for_nothing() -> None:
    assert normalized_information(np.eye(4)[::-1] / 4) == pytest.approx(1)
    assert normalized_information(np.full((4, 4), 1 / 16)) == pytest.approx(0, abs=1e-12)
    assert normalized_information(np.array([[1.0]])) == 0
