"""Points in a file's own axes, brought into an atlas's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.point_set import PointSet
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

ROWS = [{"id": 1, "name": "root", "acronym": "root", "parent_structure_id": None}]
SHAPE, SIZE = (6, 5, 4), (30.0, 20.0, 10.0)


def _atlas(space: str = "asr") -> stria.Atlas:
    ontology = stria.ontology_from_structures(ROWS)
    return stria.atlas_from_array(
        np.ones(SHAPE, np.uint8), ontology, resolution_um=SIZE, space=space
    )


def test_voxels_of_the_atlas_are_at_its_voxel_centres() -> None:
    points = PointSet(np.array([[0.5, 1.5, 2.5]]), "voxel", SIZE)
    assert points.points_um(_atlas()).tolist() == [[15.0, 30.0, 25.0]]


def test_um_of_the_atlas_stay_as_they_are() -> None:
    points = PointSet(np.array([[1.0, 2.0, -3.0]]), space="asr")
    assert points.points_um(_atlas()) is points.coordinates


@pytest.mark.parametrize("space", ["psl", "lsa", "ial", "rip", "asl"])
def test_other_axes_show_the_same_voxel(space: str) -> None:
    """A marked voxel of an array is found where the array, turned as a whole, has it."""
    from brainglobe_space import AnatomicalSpace

    axis_of = {letter: axis for axis, pair in enumerate(("ap", "si", "rl")) for letter in pair}
    shape = tuple(SHAPE[axis_of[letter]] for letter in space)
    size = tuple(SIZE[axis_of[letter]] for letter in space)
    image = np.arange(np.prod(shape)).reshape(shape)
    turned = AnatomicalSpace(space, shape=shape).map_stack_to("asr", image)
    index = np.argwhere(image >= 0)
    points = PointSet(
        np.asarray(index + 0.5, np.float64), "voxel", (size[0], size[1], size[2]), space
    )
    found = points.points_um(_atlas())
    where = tuple((found / SIZE).astype(int).T)
    assert np.array_equal(turned[where], image[tuple(index.T)])
    assert np.allclose(found / SIZE % 1, 0.5)


def test_a_smaller_image_is_turned_about_itself() -> None:
    points = PointSet(np.array([[0.5, 0.5, 0.5]]), "voxel", (10.0, 10.0, 10.0), "psl")
    found = points.points_um(_atlas(), image_shape=(3, 2, 1))
    assert found.tolist() == [[25.0, 5.0, 5.0]]


def test_a_map_comes_last() -> None:
    twice = Affine(np.eye(3, 4) * 2)
    voxels = PointSet(np.array([[0.5, 1.5, 2.5]]), "voxel")
    assert twice([[1.0, 2.0, 3.0]]).tolist() == [[2.0, 4.0, 6.0]]
    assert voxels.points_um(_atlas(), twice).tolist() == [[1.0, 3.0, 5.0]]
    um = PointSet(np.array([[0.5, 1.5, 2.5]]), "voxel", (10.0, 20.0, 30.0))
    assert um.points_um(_atlas(), twice).tolist() == [[10.0, 60.0, 150.0]]
    turned = PointSet(um.coordinates, "voxel", um.voxel_um, "sar")
    assert turned.points_um(_atlas(), twice).tolist() == [[60.0, 10.0, 150.0]]
    other_way = PointSet(um.coordinates, "voxel", um.voxel_um, "psr")
    with pytest.raises(CoordinateError, match="give the shape of the image too"):
        other_way.points_um(_atlas(), twice)
    found = other_way.points_um(_atlas(), twice, image_shape=(4, 4, 4))
    assert found.tolist() == [[70.0, 60.0, 150.0]]


def test_points_of_a_section_need_its_map() -> None:
    points = PointSet(np.array([[10.5, 20.5]]), "voxel", name="cells.csv")
    with pytest.raises(CoordinateError, match="points of a section"):
        points.points_um(_atlas())
    section = Affine(np.array([[0, 0, 90], [0, 2, 0], [2, 0, 0]]))
    assert points.points_um(_atlas(), section).tolist() == [[90.0, 41.0, 21.0]]
    with pytest.raises(CoordinateError, match="takes points of 3 coordinates"):
        points.points_um(_atlas(), Affine.identity(3))


def test_a_voxel_needs_its_size() -> None:
    with pytest.raises(CoordinateError, match="give their size"):
        PointSet(np.zeros((1, 3)), "voxel").points_um(_atlas())
    with pytest.raises(CoordinateError, match="three numbers of voxels"):
        PointSet(np.zeros((1, 3)), "voxel", SIZE, "psl").points_um(_atlas(), image_shape=(1, 2))


@pytest.mark.parametrize(
    "wrong", [{"coordinates": np.zeros(3)}, {"coordinates": np.zeros((2, 4))}, {"unit": "mm"},
              {"space": "abc"}]
)  # fmt: skip
def test_points_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CoordinateError):
        PointSet(**{"coordinates": np.zeros((1, 3)), **wrong})
