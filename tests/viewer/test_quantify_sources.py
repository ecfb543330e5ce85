"""What napari layers offer to be measured, and where they lie: without a window."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.transforms import Affine as LayerAffine

from napari_stria.core.transforms import Affine
from napari_stria.errors import StriaError
from napari_stria.session.quantify_values import QuantifySource
from napari_stria.viewer.quantify_places import PlaneInWorld, array_to_atlas, atlas_plane
from napari_stria.viewer.quantify_sources import layer_offer, layer_offers

AP = 5300.0
PLANE = PlaneInWorld(
    Affine([[0.0, 0.0, AP], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), "on the plane at AP 5,300 µm"
)
NOWHERE = PlaneInWorld(None, "It has two axes: open an atlas.")
UM, MM = ("um",) * 3, ("mm",) * 3


def layer_source(layer: Any, plane: PlaneInWorld) -> QuantifySource:
    return layer_offer(layer, plane).source


@pytest.fixture
def turned() -> dict[str, Any]:
    """Everything that napari lets one do with a layer in space."""
    return {
        "scale": (25.0, 10.0, 12.0),
        "translate": (100.0, -50.0, 7.0),
        "rotate": (10, 20, 30),
        "shear": (0.1, 0.0, -0.2),
        "affine": LayerAffine(scale=(1, 2, 1), rotate=(0, 5, 0), translate=(3, 4, 5)),
    }


def test_points_lie_where_napari_draws_them(turned: dict[str, Any]) -> None:
    data = np.random.default_rng(1).uniform(-5, 50, (200, 3))
    layer = Points(data, units=UM, **turned)
    source = layer_source(layer, NOWHERE)
    assert (source.kind, source.note, source.name) == ("points", "", layer.name)
    points = source.load().data
    np.testing.assert_allclose(points, [layer.data_to_world(p) for p in data])


def test_millimetres_are_converted_and_numbers_without_unit_are_micrometres() -> None:
    data = np.array([[5.3, 2.0, 1.25]])
    in_mm = layer_source(Points(data, units=MM), NOWHERE).load()
    np.testing.assert_allclose(in_mm.data, 1000 * data)
    plain = layer_source(Points(1000 * data), NOWHERE).load()
    np.testing.assert_allclose(plain.data, 1000 * data)


def test_a_unit_that_is_no_length_is_told() -> None:
    source = layer_source(Points(np.zeros((1, 3)), units=("s", "um", "um")), NOWHERE)
    assert "second" in source.note
    with pytest.raises(StriaError, match="second"):
        source.load()


def test_voxels_count_from_the_corner(turned: dict[str, Any]) -> None:
    data = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    layer = Labels(data, units=MM, **turned)
    loaded = layer_source(layer, NOWHERE).load()
    assert loaded.data is data
    assert loaded.to_atlas is not None
    for index in np.ndindex(data.shape):
        corner_counted = np.asarray(index) + 0.5
        world = 1000 * np.asarray(layer.data_to_world(index))
        np.testing.assert_allclose(loaded.to_atlas(corner_counted), world)


def test_pixels_are_x_and_y_on_the_plane_of_the_sliders() -> None:
    layer = Image(np.zeros((4, 6)), scale=(10, 20), translate=(100, 200), rotate=30, units=UM[:2])
    source = layer_source(layer, PLANE)
    assert source.name == f"{layer.name} (on the plane at AP 5,300 µm)"
    to_atlas = source.load().to_atlas
    assert to_atlas is not None
    assert to_atlas.n_in == 2
    for row, column in np.ndindex(4, 6):
        dv, ml = layer.data_to_world((row, column))
        np.testing.assert_allclose(to_atlas([column + 0.5, row + 0.5]), [AP, dv, ml])


def test_two_axes_without_a_plane_lie_nowhere() -> None:
    source = layer_source(Image(np.zeros((4, 6))), NOWHERE)
    assert source.note == NOWHERE.text
    with pytest.raises(StriaError, match="two axes"):
        source.load()


def test_two_dimensional_points_lie_on_the_plane() -> None:
    source = layer_source(Points([[2000.0, 3000.0]]), PLANE)
    np.testing.assert_allclose(source.load().data, [[AP, 2000.0, 3000.0]])


@pytest.mark.parametrize(
    ("order", "ndisplay", "is_shown"),
    [((0, 1, 2), 2, True), ((0, 2, 1), 2, True), ((1, 0, 2), 2, False), ((0, 1, 2), 3, False)],
)
def test_the_plane_is_the_one_on_screen(
    order: tuple[int, ...], ndisplay: int, is_shown: bool
) -> None:
    viewer = ViewerModel()
    viewer.add_labels(np.zeros((8, 9, 10), np.uint8), scale=(50.0,) * 3, translate=(25.0,) * 3)
    viewer.dims.set_point(0, 225.0)
    viewer.dims.order, viewer.dims.ndisplay = order, ndisplay
    plane = atlas_plane(viewer)
    assert plane.text
    if is_shown:
        assert plane.world_to_atlas is not None
        np.testing.assert_allclose(plane.world_to_atlas([30.0, 20.0]), [225.0, 20.0, 30.0])
    else:
        assert plane.world_to_atlas is None


def test_no_plane_without_a_volume() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 4)))
    assert atlas_plane(viewer).world_to_atlas is None


def test_of_several_levels_the_finest_is_measured() -> None:
    levels = [np.ones((8, 8, 8), np.uint8), np.ones((4, 4, 4), np.uint8)]
    loaded = layer_source(Labels(levels, multiscale=True), NOWHERE).load()
    assert loaded.data.shape == (8, 8, 8)


def test_lazy_arrays_stay_lazy() -> None:
    lazy = da.zeros((8, 8, 8), dtype=np.uint8)
    assert layer_source(Labels(lazy), NOWHERE).load().data is lazy


def test_colours_are_channels() -> None:
    pixels = np.zeros((5, 6, 3), np.uint8)
    source = layer_source(Image(pixels, rgb=True), PLANE)
    assert set(source.channels) == {"red", "green", "blue", "brightness"}
    assert source.load().data.shape == (5, 6, 3)
    assert layer_source(Image(pixels[..., 0]), PLANE).channels == ()


def test_ellipses_have_exactly_their_area() -> None:
    box = np.array([[0.0, 0], [0, 20], [10, 20], [10, 0]])
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    layer = Shapes([box @ turn.T], shape_type="ellipse", scale=(2, 3))
    (polygon,) = layer_source(layer, PLANE).load().data
    assert (polygon[:, 0] == AP).all()
    y, x = polygon[:, 1], polygon[:, 2]
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    np.testing.assert_allclose(area, np.pi * 5 * 10 * 6, rtol=1e-6)


def test_polygons_and_rectangles_are_measured_and_lines_are_not() -> None:
    square = np.array([[7.0, 0, 0], [7, 0, 5], [7, 5, 5], [7, 5, 0]])
    layer = Shapes(ndim=3)
    layer.add([square, square + 1], shape_type=["rectangle", "polygon"])
    layer.add(square[:2], shape_type="line")
    source = layer_source(layer, NOWHERE)
    assert source.name == f"{layer.name} (without 1 line)"
    assert [p.tolist() for p in source.load().data] == [square.tolist(), (square + 1).tolist()]
    lines = Shapes([square[:2]], shape_type="line")
    assert "no area" in layer_source(lines, NOWHERE).note


def test_an_empty_layer_says_so() -> None:
    assert "no points" in layer_source(Points(ndim=3), NOWHERE).note


def test_more_than_three_axes_lie_nowhere() -> None:
    assert "4 axes" in layer_source(Image(np.zeros((2, 2, 2, 2))), PLANE).note


def test_layers_of_ours_are_not_offered_and_the_topmost_comes_first() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 4, 4)), name="template", metadata={"stria": {"atlas": "a"}})
    viewer.add_points(np.zeros((1, 3)), name="cells")
    viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="spots")
    viewer.add_vectors(np.zeros((1, 2, 3)), name="vectors")
    assert [offer.source.name for offer in layer_offers(viewer, NOWHERE)] == ["spots", "cells"]


def test_a_source_keeps_its_key_when_its_layer_is_renamed() -> None:
    layer = Points(np.zeros((1, 3)), name="cells")
    before = layer_source(layer, NOWHERE)
    layer.name = "others"
    after = layer_source(layer, NOWHERE)
    assert (after.key, after.name) == (before.key, "others")
    assert layer_source(Points(np.zeros((1, 3))), NOWHERE).key != before.key


def test_a_source_does_not_keep_its_layer() -> None:
    layer = Points(np.zeros((1, 3)))
    source, known = layer_source(layer, NOWHERE), weakref.ref(layer)
    del layer
    gc.collect()
    assert known() is None
    with pytest.raises(StriaError, match="deleted"):
        source.load()


def test_the_points_that_are_loaded_do_not_follow_the_layer() -> None:
    layer = Points(np.zeros((2, 3)))
    points = layer_source(layer, NOWHERE).load().data
    layer.data = layer.data + 100
    assert (points == 0).all()


def test_an_affine_on_the_grid_of_a_volume_is_exact() -> None:
    layer = Labels(np.zeros((3, 3, 3), np.uint8), scale=(25,) * 3, translate=(12.5,) * 3, units=UM)
    expected = np.column_stack([25 * np.eye(3), np.zeros(3)])
    np.testing.assert_array_equal(array_to_atlas(layer, NOWHERE).matrix, expected)
