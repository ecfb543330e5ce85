"""Atlas layers in a real napari window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.labels import LabelLookup
from napari_stria.demo.server import DemoServer
from napari_stria.errors import StreamingArrayError
from napari_stria.viewer.layers import pyramid_of

NAME = "practice_mouse_50um"


def _labels(viewer: Any) -> Any:
    return next(ly for ly in viewer.layers if ly.name == f"{NAME} regions")


def test_layers_lie_in_atlas_micrometres(viewer: Any, shown: Any, atlas: stria.Atlas) -> None:
    finest = atlas.annotation.levels[0]
    for layer in viewer.layers:
        assert [str(u) for u in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("AP", "DV", "ML")
        # Voxel i covers [i * res, (i + 1) * res): its centre is half a voxel further.
        np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), np.array(finest.scale_um) / 2)
    assert viewer.canvas.overlays.scale_bar.visible


def test_shown_plane_is_the_finest_level_exactly(
    viewer: Any, shown: Any, atlas: stria.Atlas
) -> None:
    plane = int(viewer.dims.current_step[0])
    truth = LabelLookup(atlas.ontology).to_index(atlas.annotation.levels[0].data[plane].compute())
    picture = np.asarray(_labels(viewer).data[0][plane])
    np.testing.assert_array_equal(picture, truth)
    assert picture.any()


def test_only_what_is_looked_at_is_fetched(
    viewer: Any, shown: Any, practice: DemoServer, atlas: stria.Atlas, settled: Any
) -> None:
    finest = atlas.annotation.levels[0]
    slabs = {
        int(p.split("/s0/c/")[1].split("/")[0])
        for p in practice.counters.paths
        if "annotations_compressed.ome.zarr/s0/c/" in p
    }
    plane = int(viewer.dims.current_step[0])
    assert slabs <= {plane // finest.reader.chunk_shape[0]}
    before = practice.counters.chunk_requests
    viewer.dims.set_current_step(0, plane + 1)
    settled()
    same_slab = (plane + 1) // finest.reader.chunk_shape[0] in slabs
    assert same_slab
    assert practice.counters.chunk_requests == before


def test_colours_are_the_ontologys(viewer: Any, shown: Any, atlas: stria.Atlas) -> None:
    table = np.asarray(_labels(viewer).colormap.colors)
    np.testing.assert_allclose(table[1:-1, :3], atlas.ontology.rgb / 255, atol=1e-6)
    assert table[0, 3] == 0


def test_selecting_dims_the_rest_without_fetching(
    viewer: Any, shown: Any, practice: DemoServer, atlas: stria.Atlas
) -> None:
    practice.reset()
    shown.cancel_table()  # the table may be counted later; here only the colours matter
    subtree = atlas.ontology.subtree("RSP")
    shown.select([subtree.start])
    alpha = np.asarray(_labels(viewer).colormap.colors)[1:-1, 3]
    chosen = np.zeros(len(atlas.ontology), dtype=bool)
    chosen[subtree] = True
    assert (alpha[chosen] == 1).all()
    assert (alpha[~chosen] < 0.5).all()


def test_hide_isolate_and_show_all(viewer: Any, shown: Any, atlas: stria.Atlas) -> None:
    n = len(atlas.ontology)
    position = atlas.ontology.position("TH")
    shown.set_visible([position], False)
    alpha = np.asarray(_labels(viewer).colormap.colors)[1:-1, 3]
    assert alpha[position] == 0
    assert (alpha > 0).sum() == n - len(atlas.ontology.descendants("TH", include_self=True))
    shown.isolate([position])
    alpha = np.asarray(_labels(viewer).colormap.colors)[1:-1, 3]
    assert alpha[position] == 1
    assert (alpha > 0).sum() == len(atlas.ontology.descendants("TH", include_self=True))
    shown.show_all()
    assert (np.asarray(_labels(viewer).colormap.colors)[1:-1, 3] == 1).all()


def test_shuffled_colours_come_back(viewer: Any, shown: Any, atlas: stria.Atlas) -> None:
    layer = _labels(viewer)
    layer.new_colormap()
    np.testing.assert_allclose(
        np.asarray(layer.colormap.colors)[1:-1, :3], atlas.ontology.rgb / 255, atol=1e-6
    )


def test_canvas_shows_the_region_in_its_colour(
    viewer: Any, shown: Any, atlas: stria.Atlas, settled: Callable[[], None]
) -> None:
    """Isolate one region: the pixels on screen have its colour and no other region's."""
    for layer in viewer.layers:
        layer.visible = layer.name == f"{NAME} regions"
    _labels(viewer).opacity = 1.0
    viewer.canvas.overlays.scale_bar.visible = False
    viewer.canvas.overlays.text.visible = False
    shown.isolate([atlas.ontology.position("TH")])
    settled()
    pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3].reshape(-1, 3)
    colored = pixels[pixels.any(axis=1)]
    expected = {tuple(s.rgb_triplet) for s in atlas.ontology.descendants("TH", include_self=True)}
    assert len(colored) > 500
    off = np.min([np.abs(colored.astype(int) - e).max(axis=1) for e in expected], axis=0)
    assert (off <= 2).mean() > 0.99


def test_template_contrast_comes_from_the_coarse_level(
    viewer: Any, shown: Any, practice: DemoServer
) -> None:
    layer = next(ly for ly in viewer.layers if "template" in ly.name)
    low, high = layer.contrast_limits
    assert 0 < low < high < 65535
    fine = [p for p in practice.counters.paths if "template.ome.zarr/s0/c/" in p]
    all_fine = np.prod(pyramid_of(layer).source.levels[0].n_blocks)  # type: ignore[union-attr]
    assert len(set(fine)) < all_fine / 2


def test_sides_are_written_for_each_view(viewer: Any, shown: Any) -> None:
    text = viewer.canvas.overlays.text
    # asr: the ML axis starts on the right side of the animal, which is the left of the screen.
    assert text.visible
    assert text.text.split()[0] == "R"
    assert text.text.split()[-1] == "L"
    viewer.scene.camera.orientation2d = ("down", "left")
    assert text.text.split()[0] == "L"
    viewer.scene.camera.orientation2d = ("down", "right")
    viewer.dims.order = (1, 0, 2)
    assert text.text.split()[0] == "R"
    viewer.dims.order = (0, 2, 1)
    assert text.text == "side of the animal: top R, bottom L"
    viewer.dims.order = (2, 0, 1)
    viewer.dims.set_point(2, 1000.0)
    assert text.text == "right side of the animal"
    viewer.dims.set_point(2, 10000.0)
    assert text.text == "left side of the animal"
    viewer.dims.ndisplay = 3
    assert text.text == "the ML axis runs R ▸ L"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_every_axis_and_3d(
    viewer: Any, shown: Any, settled: Callable[[], None], order: tuple[int, ...]
) -> None:
    viewer.dims.order = order
    settled()
    assert np.ptp(viewer.screenshot(canvas_only=True, flash=False)[..., :3]) > 50
    viewer.dims.ndisplay = 3
    settled()
    assert np.ptp(viewer.screenshot(canvas_only=True, flash=False)[..., :3]) > 50


def test_a_duplicate_is_coloured_and_refreshed(
    viewer: Any, shown: Any, atlas: stria.Atlas, settled: Callable[[], None]
) -> None:
    from napari.layers import _layer_actions

    viewer.layers.selection = {_labels(viewer)}
    _layer_actions._duplicate_layer(viewer.layers)
    copy = viewer.layers[f"{NAME} regions copy"]
    assert pyramid_of(copy) is shown.annotation
    shown.select([atlas.ontology.position("TH")])
    np.testing.assert_array_equal(copy.colormap.colors, _labels(viewer).colormap.colors)
    viewer.layers.remove(_labels(viewer))
    shown.select([atlas.ontology.position("HY")])
    settled()
    assert copy.colormap.colors[atlas.ontology.position("HY") + 1, 3] == 1


def test_deleting_and_renaming_break_nothing(
    viewer: Any, shown: Any, atlas: stria.Atlas, settled: Callable[[], None]
) -> None:
    for layer in list(viewer.layers):
        layer.name = "renamed"
    shown.select([atlas.ontology.position("TH")])
    viewer.layers.clear()
    shown.select([atlas.ontology.position("HY")])
    viewer.dims.set_point(0, 1000.0)
    settled()
    assert shown.selected == (atlas.ontology.position("HY"),)


def test_saving_loads_no_volume(
    viewer: Any, shown: Any, practice: DemoServer, tmp_path: Path
) -> None:
    """napari cannot write a multiscale layer, ours or another; asking it must not load one."""
    practice.reset()
    for layer in list(viewer.layers):
        with pytest.raises(TypeError):
            layer.save(str(tmp_path / "layer.tif"))
    assert practice.counters.chunk_requests == 0
    with pytest.raises(StreamingArrayError, match="export"):
        np.asarray(_labels(viewer).data[-1])


def test_another_atlas_replaces_the_first(
    viewer: Any, shown: Any, practice: DemoServer, settled: Callable[[], None]
) -> None:
    shown.show(stria.open_atlas("practice_mouse_100um", root=practice.url))
    settled()
    assert {ly.name.split()[0] for ly in viewer.layers} == {"practice_mouse_100um"}


def test_users_napari_settings_are_left_alone(viewer: Any, shown: Any) -> None:
    from napari.settings import get_settings

    settings = get_settings()
    assert settings.experimental.async_ is False
    assert settings.appearance.layer_tooltip_visibility is False
    assert (
        settings.model_dump(exclude_defaults=True, exclude={"schema_version"}).get(
            "experimental", {}
        )
        == {}
    )


@pytest.mark.parametrize("plane", [121, 122, 123, 124])
def test_a_coarse_level_shows_the_plane_that_holds_the_point(
    viewer: Any, shown: Any, atlas: stria.Atlas, settled: Callable[[], None], plane: int
) -> None:
    """Planes 120 to 123 of 50 um lie in plane 30 of 200 um; napari alone shows 31 for the last."""
    layer = _labels(viewer)
    layer.locked_data_level = 2
    viewer.dims.set_current_step(0, plane)
    settled()
    lookup = LabelLookup(atlas.ontology)
    coarse = atlas.annotation.levels[2].data

    def truth(number: int) -> Any:
        return lookup.to_index(coarse[number].compute())

    def as_napari_slices(number: int) -> Any:
        return np.asarray(layer.data[2][:, 0:40, 0:57][number])

    np.testing.assert_array_equal(as_napari_slices(round(plane / 4)), truth(plane // 4))
    # Whoever asks a level for a plane gets that plane.
    for number in (29, 30, 31, 32):
        np.testing.assert_array_equal(np.asarray(layer.data[2][number]), truth(number))
