"""Mask layers in a real napari window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.server import DemoServer
from napari_stria.errors import RegionNotFoundError, StriaError
from napari_stria.viewer.mask_layers import add_mask_layer, mask_of

NAME = "practice_mouse_50um"


def _truth(atlas: stria.Atlas, regions: Any, *, direct: bool = False) -> Any:
    return stria.structure_mask(atlas, regions, direct=direct)


def test_a_mask_is_exact_in_um_and_costs_no_download(
    viewer: Any, shown: Any, atlas: stria.Atlas, practice: DemoServer, settled: Callable[[], None]
) -> None:
    before = practice.counters.chunk_requests
    layer = add_mask_layer(viewer, ["CTX", "TH"])
    own = add_mask_layer(viewer, "CTX", direct=True)
    group = add_mask_layer(viewer, stria.RegionGroup("Mine", (549,), (10, 20, 30)))
    settled()
    assert [ly.name for ly in viewer.layers[2:]] == [
        "CTX, TH mask", "CTX mask (own voxels)", "Mine mask"
    ]  # fmt: skip
    assert practice.counters.chunk_requests == before
    plane = int(viewer.dims.current_step[0])
    for shows, regions, direct in ((layer, ["CTX", "TH"], False), (own, "CTX", True)):
        picture = np.asarray(shows.data[0][plane])
        truth = _truth(atlas, regions, direct=direct)[plane].compute()
        np.testing.assert_array_equal(picture[tuple(slice(n) for n in truth.shape)], truth)
        assert picture.dtype == np.uint8
        assert picture.sum() == truth.sum()
    regions = viewer.layers[f"{NAME} regions"]
    assert [str(u) for u in layer.units] == ["micrometer"] * 3
    np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), regions.data_to_world((0, 0, 0)))
    np.testing.assert_allclose(layer.scale, regions.scale)
    assert not layer.editable
    assert layer.metadata["stria"]["mask"] == [688, 549]
    rgb = np.array(atlas.ontology["CTX"].rgb_triplet) / 255
    np.testing.assert_allclose(np.asarray(layer.get_color(1))[:3], rgb, atol=1e-3)
    np.testing.assert_allclose(np.asarray(group.get_color(1))[:3], np.array([10, 20, 30]) / 255)
    assert viewer.layers.selection.active is regions  # clicks are about the regions as before
    # Another plane: the mask and the annotation share what is fetched.
    viewer.dims.set_point(0, 2000.0)
    settled()
    paths = [p for p in practice.counters.paths if "/c/" in p and "annotations" in p]
    assert len(paths) == len(set(paths))
    plane = int(viewer.dims.current_step[0])
    truth = _truth(atlas, ["CTX", "TH"])[plane].compute()
    assert np.asarray(layer.data[0][plane]).sum() == truth.sum() > 0


def test_a_mask_streams_when_the_regions_are_gone_and_rests_when_it_goes(
    viewer: Any, shown: Any, atlas: stria.Atlas, practice: DemoServer, settled: Callable[[], None]
) -> None:
    layer = add_mask_layer(viewer, "TH")
    viewer.layers.remove(viewer.layers[f"{NAME} regions"])
    viewer.dims.set_point(0, 9000.0)
    settled()
    plane = int(viewer.dims.current_step[0])
    truth = _truth(atlas, "TH")[plane].compute()
    assert np.asarray(layer.data[0][plane]).sum() == truth.sum()
    practice.faults.chunk_delay_s = 0.3
    viewer.dims.set_point(0, 4000.0)
    QApplication.processEvents()
    viewer.layers.clear()
    running, before = practice.counters.active, practice.counters.chunk_requests
    settled()
    assert practice.counters.chunk_requests - before <= running + 8  # what had started
    assert not shown._cache._pins


def test_masks_are_seen_in_3d_and_go_with_the_atlas(
    viewer: Any,
    controller: Any,
    shown: Any,
    atlas: stria.Atlas,
    practice: DemoServer,
    settled: Callable[[], None],
) -> None:
    from napari.layers import _layer_actions

    layer = add_mask_layer(viewer, "TH")
    viewer.layers.selection = {layer}
    _layer_actions._duplicate_layer(viewer.layers)
    copy = viewer.layers["TH mask copy"]
    assert mask_of(copy) is mask_of(layer)
    viewer.layers.remove(layer)
    for other in viewer.layers:
        other.visible = other is copy
    copy.opacity = 1.0
    viewer.canvas.overlays.scale_bar.visible = False
    viewer.canvas.overlays.text.visible = False
    viewer.dims.ndisplay = 3
    settled()
    pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3].reshape(-1, 3)
    colored = pixels[pixels.any(axis=1)].astype(float)
    assert len(colored) > 500
    # Light and shade, but of one hue.
    rgb = np.array(atlas.ontology["TH"].rgb_triplet, dtype=float)
    along = colored @ rgb / np.linalg.norm(colored, axis=1) / np.linalg.norm(rgb)
    assert (along > 0.97).mean() > 0.95
    shown.set_palette("tab20")
    assert np.abs(np.asarray(copy.get_color(1))[:3] * 255 - rgb).max() > 10
    # Of parcels too, but not where the user chose a colour.
    own = add_mask_layer(viewer, "TH")
    red = {None: (0.0,) * 4, 0: (0.0,) * 4, 1: (1.0, 0.0, 0.0, 1.0)}
    own.colormap = DirectLabelColormap(color_dict=red)
    shown.set_palette("atlas")
    shown.set_parcellation(stria.parcellation_at_depth(atlas.ontology, 1))
    parcel = shown.region_colors()[atlas.ontology.position("TH")]
    np.testing.assert_allclose(np.asarray(copy.get_color(1))[:3], parcel, atol=1e-3)
    assert np.abs(parcel * 255 - rgb).max() > 10
    np.testing.assert_array_equal(own.get_color(1), (1, 0, 0, 1))
    viewer.dims.ndisplay = 2
    shown.show(stria.open_atlas(NAME, root=practice.url))
    assert [mask_of(ly) for ly in viewer.layers] == [None, None]
    controller.close()
    with pytest.raises(StriaError):
        controller.masks.add("TH")


def test_what_cannot_be_masked_is_said(viewer: Any, controller: Any, atlas: stria.Atlas) -> None:
    with pytest.raises(StriaError, match="no atlas is open"):
        add_mask_layer(viewer, "TH")
    controller.session.show(atlas)
    with pytest.raises(RegionNotFoundError, match="no region has the acronym"):
        add_mask_layer(viewer, "nothing")
    assert len(viewer.layers) == 2
