"""Sections in a real window: where they lie, what they cost, and what the user does with them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.core.section import Section
from napari_stria.demo.practice_sections import PRACTICE_CORONAL, PRACTICE_SAGITTAL
from napari_stria.demo.server import DemoServer
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_requests import HttpRequests
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.section_options import SectionOptions
from napari_stria.viewer.controller import AtlasController
from napari_stria.viewer.section_control import SectionControl

OPTIONS = HttpOptions(attempts=8, backoff_s=0.01, read_timeout_s=5)


@pytest.fixture
def sections(controller: AtlasController, shown: AtlasSession) -> Iterator[SectionControl]:
    """The viewer's sections, with the practice brain shown."""
    control = controller.sections
    yield control
    control.session.cancel()


@pytest.fixture
def connect(practice: DemoServer) -> Callable[[], stria.AllenApi]:
    """Make an API of the practice sections that keeps nothing on disk."""
    return lambda: stria.AllenApi(practice.allen_url, cached=False, options=OPTIONS)


@pytest.fixture
def load(
    sections: SectionControl,
    connect: Callable[[], stria.AllenApi],
    wait_for: Callable[..., None],
) -> Callable[..., None]:
    """Load a practice dataset and wait until all that the view wants is on screen."""

    def loaded(dataset_id: int = PRACTICE_CORONAL, **options: Any) -> None:
        sections.session.load(connect, dataset_id, SectionOptions(**options))
        wait_for(lambda: sections.session.loading is None, "loading")
        assert sections.session.dataset is not None
        _settle(sections, wait_for)

    return loaded


def _settle(sections: SectionControl, wait_for: Callable[..., None]) -> None:
    end = time.monotonic() + 0.4
    wait_for(lambda: time.monotonic() > end and sections.session.idle, "streaming")
    # One throttle period more, so that the last refresh has been drawn.
    _process(0.2)


def _process(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def _shown_plane(layer: Any) -> np.ndarray[Any, Any]:
    """Return the RGBA that is on screen."""
    return np.asarray(layer._slice.image.view)


def test_loading_shows_the_sections_between_template_and_regions(
    viewer: Any, sections: SectionControl, load: Any
) -> None:
    load()
    names = [layer.name for layer in viewer.layers]
    assert names == [
        "practice_mouse_50um template",
        "Gad1 990000001 sections",
        "practice_mouse_50um regions",
    ]
    layer = viewer.layers[1]
    assert layer.rgb
    assert layer.multiscale
    assert layer.visible
    assert [str(u) for u in layer.units] == ["micrometer"] * 3
    assert viewer.dims.order == (0, 1, 2)
    assert layer.metadata["stria"]["left_right"] == "as stored"
    assert _shown_plane(layer)[..., 3].max() == 255


def test_what_is_shown_is_what_scripts_compute(
    viewer: Any, sections: SectionControl, load: Any, atlas: stria.Atlas
) -> None:
    load()
    session = sections.session
    layer = sections.layers.layers()[0]
    # This level is the finest one of a script's stack.
    level = next(lv for lv in layer.data if lv.shape[:3] == (528, 320, 456))
    plane = int(viewer.dims.point[0] // 25)
    np.asarray(level[plane])
    for _ in range(200):
        QApplication.processEvents()
        if session.idle:
            break
        threading.Event().wait(0.02)
    assert session.dataset is not None
    assert session.api is not None
    script = stria.aligned_stack(session.dataset, session.api, atlas)[0][plane].compute()
    ours = np.asarray(level[plane])
    np.testing.assert_array_equal(ours[..., 3], script[..., 3])
    both = ours[..., 3] > 0
    grey = [a[..., :3].mean(axis=-1)[both] for a in (ours, script)]
    assert np.corrcoef(*grey)[0, 1] > 0.99


def test_a_sagittal_dataset_turns_the_viewer_and_lies_left(
    viewer: Any, sections: SectionControl, load: Any
) -> None:
    load(PRACTICE_SAGITTAL)
    assert viewer.dims.order == (2, 1, 0)
    # BrainGlobe's arrays start at the right: the left half is beyond the middle.
    assert viewer.dims.point[2] > 5700
    load(PRACTICE_SAGITTAL, mirrored=True)
    assert viewer.dims.point[2] < 5700
    layer = sections.layers.layers()[0]
    assert layer.metadata["stria"]["left_right"] == "mirrored"


def test_overview_and_full_zoom_cost_little_of_the_whole_image(
    viewer: Any,
    controller: AtlasController,
    practice: DemoServer,
    sections: SectionControl,
    connect: Callable[[], stria.AllenApi],
    wait_for: Any,
) -> None:
    # The strictest case: tilted so much that a plane crosses eleven sections.
    for layer in list(viewer.layers):
        layer.visible = False
    viewer.window.resize(1408, 771)
    for _ in range(50):
        QApplication.processEvents()
    assert viewer.canvas.size == pytest.approx((700, 1000), abs=40)
    api = connect()
    api.section_dataset(PRACTICE_CORONAL)
    practice.reset()  # counts pictures alone
    sections.session.load(lambda: api, PRACTICE_CORONAL, SectionOptions())
    wait_for(lambda: sections.session.dataset is not None)
    _settle(sections, wait_for)
    overview = practice.counters.bytes_sent
    layer = sections.layers.layers()[0]
    viewer.scene.camera.zoom = 1 / layer.scale[1]
    _settle(sections, wait_for)
    assert layer.data_level == 0
    looked_at = practice.counters.bytes_sent
    assert looked_at > overview
    practice.reset()
    assert sections.current is not None
    api.section_image(sections.current.image_id)
    whole = practice.counters.bytes_sent
    print(f"\noverview {overview}, with full zoom {looked_at}, whole image {whole} bytes")
    assert looked_at <= 0.05 * whole


def test_nothing_of_ours_asks_the_network_on_the_gui_thread(
    viewer: Any,
    sections: SectionControl,
    load: Any,
    wait_for: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers: list[threading.Thread] = []
    fetch = HttpRequests.fetch

    def noted(self: HttpRequests, *args: Any, **kwargs: Any) -> Any:
        callers.append(threading.current_thread())
        return fetch(self, *args, **kwargs)

    monkeypatch.setattr(HttpRequests, "fetch", noted)
    load(expression=True)
    sections.go_to(sections.session.stack.sections[10])  # type: ignore[union-attr]
    _settle(sections, wait_for)
    viewer.scene.camera.zoom *= 8
    _settle(sections, wait_for)
    sections.session.hide(sections.current.image_id)  # type: ignore[union-attr]
    sections.show_in_3d(sections.current)  # type: ignore[arg-type]
    wait_for(lambda: viewer.dims.ndisplay == 3)
    _settle(sections, wait_for)
    viewer.dims.ndisplay = 2
    assert len(callers) > 20
    assert threading.main_thread() not in callers


def test_cancel_stops_all_requests_and_resume_goes_on(
    viewer: Any,
    practice: DemoServer,
    sections: SectionControl,
    connect: Any,
    wait_for: Any,
) -> None:
    practice.faults.image_delay_s = 0.3
    sections.session.load(connect, PRACTICE_CORONAL, SectionOptions())
    wait_for(lambda: practice.counters.image_requests > 0)
    sections.session.cancel()
    assert sections.session.status.paused
    # What is under way ends; nothing follows.
    wait_for(lambda: practice.counters.active == 0)
    asked = practice.counters.image_requests
    for point in (3000.0, 5000.0, 8000.0):
        viewer.dims.set_point(0, point)
        for _ in range(30):
            QApplication.processEvents()
            threading.Event().wait(0.01)
    assert practice.counters.image_requests == asked
    practice.faults.image_delay_s = 0.0
    sections.session.resume()
    _settle(sections, wait_for)
    assert practice.counters.image_requests > asked
    layer = sections.layers.layers()[0]
    assert _shown_plane(layer)[..., 3].max() == 255


def test_with_every_fifth_request_broken_the_view_still_completes(
    viewer: Any,
    practice: DemoServer,
    sections: SectionControl,
    load: Any,
    connect: Any,
    wait_for: Any,
    atlas: stria.Atlas,
) -> None:
    chance = random.Random(5)
    lock = threading.Lock()

    def one_in(n: int) -> bool:
        with lock:
            return chance.random() < 1 / n

    faults = practice.faults
    faults.status_for = lambda path, count: (
        chance.choice((500, 429, 503)) if "/api/" in path and one_in(20) else None
    )
    faults.html_for = lambda path: "/api/" in path and one_in(25)
    faults.truncate = lambda path: "/api/" in path and one_in(25)
    faults.shorten = lambda path: "/api/" in path and one_in(25)
    faults.drop = lambda path: "/api/" in path and one_in(25)
    load()
    for number in (5, 15, 25):
        sections.go_to(sections.session.stack.sections[number])  # type: ignore[union-attr]
        _settle(sections, wait_for)
    assert not sections.session.status.error
    point = viewer.dims.point[0]
    faults.status_for = faults.html_for = None
    faults.truncate = faults.shorten = faults.drop = None
    layer = sections.layers.layers()[0]
    number = layer.data_level
    plane = int(point // 25)
    ours = np.asarray(layer.data[number][plane])
    clean_api = connect()
    from napari_stria.io.cache import ChunkCache
    from napari_stria.io.tiles import SectionTiles
    from napari_stria.session.section_blocks import SectionBlocks, unpacked

    reader = sections.session.pyramids["image"].source.levels[number].reader
    assert isinstance(reader, SectionBlocks)
    tiles = SectionTiles(clean_api, "image", quality=80, tile=192, memory=ChunkCache(1 << 28))
    clean = SectionBlocks(reader.stack, tiles, reader.grid, largest_pixel=1.7)
    rows, columns = (n // 2 // 192 for n in reader.shape[1:])
    block = clean.read_block((plane, rows, columns))
    assert block is not None
    shape = block.shape[1:]
    at = np.s_[rows * 192 : rows * 192 + shape[0], columns * 192 : columns * 192 + shape[1]]
    np.testing.assert_array_equal(ours[at], unpacked(block)[0])


def test_hiding_a_section_leaves_a_hole_and_showing_fills_it(
    viewer: Any, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load(PRACTICE_SAGITTAL)
    layer = sections.layers.layers()[0]
    before = _shown_plane(layer)[..., 3] > 0
    assert sections.current is not None
    sections.session.hide(sections.current.image_id)
    _settle(sections, wait_for)
    hidden = _shown_plane(layer)[..., 3] > 0
    assert hidden.sum() < 0.7 * before.sum()
    sections.session.show_all()
    _settle(sections, wait_for)
    np.testing.assert_array_equal(_shown_plane(layer)[..., 3] > 0, before)


def test_going_through_the_sections(
    viewer: Any, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load()
    session, places, start = sections.session, sections.session.places, sections.current
    assert start is not None
    assert places is not None
    following = places.neighbor(start, +1)
    assert following is not None
    sections.go_to(following)
    assert sections.current is following
    assert viewer.dims.point[0] == pytest.approx(places.point_of(following)[0], abs=13)
    assert places.neighbor(following, -1) is start
    seen = []
    first = [s for s in places.stack.sections if places.neighbor(s, -1) is None]
    section: Section | None = first[0]
    while section is not None:
        seen.append(places.point_of(section)[0])
        section = places.neighbor(section, +1)
    assert len(seen) == len(session.dataset)  # type: ignore[arg-type]
    assert seen == sorted(seen)


def test_options_replace_the_layers_and_keep_their_looks(
    viewer: Any, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load()
    sections.set_opacity(0.4)
    sections.set_blending("additive")
    sections.session.set_options(SectionOptions(expression=True, placement="parallel"))
    _settle(sections, wait_for)
    names = [layer.name for layer in viewer.layers]
    assert names[1:3] == ["Gad1 990000001 sections", "Gad1 990000001 expression"]
    image, expression = sections.layers.layers()
    assert image.opacity == pytest.approx(0.4)
    assert image.blending == "additive"
    assert expression.metadata["stria"]["placement"] == "parallel"
    sections.session.set_options(SectionOptions())
    assert [layer.name for layer in sections.layers.layers()] == names[1:2]


def test_a_section_in_3d_stands_on_its_own_plane(
    viewer: Any, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load()
    section = sections.current
    assert section is not None
    regions = viewer.layers["practice_mouse_50um regions"]
    looks = (regions.opacity, regions.contour)
    sections.show_in_3d(section)
    wait_for(lambda: viewer.dims.ndisplay == 3)
    layer = next(ly for ly in viewer.layers if "in 3D" in ly.name)
    assert sections.current is section
    sections.show_in_3d(section)
    _settle(sections, wait_for)
    assert len([ly for ly in viewer.layers if "in 3D" in ly.name]) == 1
    tier = round(np.log2(section.width / layer.data.shape[2]))
    corner = layer.data_to_world((0, -0.5, -0.5))
    assert sections.session.places is not None
    to_atlas = sections.session.places.section_to_atlas(section)
    np.testing.assert_allclose(corner, to_atlas((0, 0)), atol=1e-6)
    far = layer.data_to_world((0, 100 - 0.5, 50 - 0.5))
    expected = to_atlas((50 * 2**tier, 100 * 2**tier))
    np.testing.assert_allclose(far, expected, atol=1e-6)
    assert not sections.layers.layers()[0].visible
    viewer.dims.ndisplay = 2
    assert sections.current is section
    assert not [ly for ly in viewer.layers if "in 3D" in ly.name]
    assert sections.layers.layers()[0].visible
    assert (regions.opacity, regions.contour) == looks
    viewer.dims.ndisplay = 3
    assert [ly for ly in viewer.layers if "in 3D" in ly.name]
    assert regions.opacity < 0.3
    assert not sections.layers.layers()[0].visible
    sections.session.close()
    assert not [ly for ly in viewer.layers if "in 3D" in ly.name]


def test_outlines_come_with_the_sections_and_go(
    viewer: Any, sections: SectionControl, load: Any
) -> None:
    regions = viewer.layers["practice_mouse_50um regions"]
    opacity = regions.opacity
    load()
    assert sections.outlines
    assert (regions.contour, regions.opacity) == (1, 1.0)
    sections.set_outlines(False)
    assert (regions.contour, regions.opacity) == (0, opacity)


def test_blending_spares_the_expression(viewer: Any, sections: SectionControl, load: Any) -> None:
    load(expression=True)
    told: list[tuple[float, str]] = []
    sections.looks_changed.connect(lambda *looks: told.append(looks))
    sections.set_blending("opaque")
    image, expression = sections.layers.layers()
    assert (image.blending, expression.blending) == ("opaque", "additive")
    image.opacity = 0.3
    assert told[-1] == (0.3, "opaque")
    load(PRACTICE_SAGITTAL)
    # Another dataset begins with the defaults, and says so.
    assert sections.layers.layers()[0].opacity == 1.0
    assert told[-1] == (1.0, "translucent")


def test_while_paused_hiding_shows_what_is_at_hand(
    viewer: Any, practice: DemoServer, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load(PRACTICE_SAGITTAL)
    layer = sections.layers.layers()[0]
    before = _shown_plane(layer)[..., 3] > 0
    sections.session.cancel()
    practice.reset()
    sections.session.hide(sections.current.image_id)  # type: ignore[union-attr]
    _settle(sections, wait_for)
    hidden = _shown_plane(layer)[..., 3] > 0
    assert 0 < hidden.sum() < 0.7 * before.sum()
    sections.session.show_all()
    _settle(sections, wait_for)
    np.testing.assert_array_equal(_shown_plane(layer)[..., 3] > 0, before)
    assert practice.counters.requests == 0


def test_without_a_layer_nothing_is_moved(viewer: Any, sections: SectionControl, load: Any) -> None:
    load()
    section = sections.current
    assert section is not None
    viewer.layers.clear()
    assert sections.session.dataset is None
    point = viewer.dims.point
    sections.go_to(section)
    assert viewer.dims.point == point


def test_options_leave_the_sliders_where_they_are(
    viewer: Any, sections: SectionControl, load: Any
) -> None:
    load()
    viewer.dims.set_point(0, 9000.0)
    point = viewer.dims.point[0]
    for options in (
        SectionOptions(placement="parallel"),
        SectionOptions(expression=True),
        SectionOptions(resolution_um=10),
        SectionOptions(resolution_um=100),
        SectionOptions(),
    ):
        sections.session.set_options(options)
        assert viewer.dims.point[0] == pytest.approx(point, abs=options.resolution_um / 2 + 13)
        viewer.dims.set_point(0, point)
    load(PRACTICE_SAGITTAL)
    point = viewer.dims.point[2]
    sections.session.set_options(SectionOptions(mirrored=True))
    assert viewer.dims.point[2] == pytest.approx(11400 - point, abs=60)
    sections.session.set_options(SectionOptions())
    assert viewer.dims.point[2] == pytest.approx(point, abs=60)


def test_options_keep_what_the_user_did_with_the_layers(
    viewer: Any, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load()
    layer = sections.layers.layers()[0]
    layer.name = "mine"
    layer.gamma = 0.7
    copy = type(layer)(**{**layer.as_layer_data_tuple()[1], "data": layer.data, "name": "copy"})
    viewer.add_layer(copy)
    sections.session.set_options(SectionOptions(placement="parallel"))
    _settle(sections, wait_for)
    assert {ly.name for ly in sections.layers.layers()} == {"mine", "copy"}
    assert viewer.layers["mine"].gamma == 0.7
    assert viewer.layers["copy"].metadata["stria"]["placement"] == "parallel"


def test_the_original_image_streams_in_a_window_of_its_own(
    viewer: Any, practice: DemoServer, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    import napari

    load()
    section = sections.current
    assert section is not None
    sections.show_original(section)
    other = napari.current_viewer()
    assert other is not viewer
    _settle(sections, wait_for)
    layer = other.layers[0]
    # Padded a little, so that the shapes of all tiers have exact ratios.
    assert 0 <= layer.data[0].shape[1] - section.height < 64
    assert 0 <= layer.data[0].shape[2] - section.width < 64
    api = sections.session.api
    assert api is not None
    tier = layer.data_level
    whole = api.section_image(section.image_id, tier, quality=85)

    def is_sharp() -> bool:
        """Whether what is on screen is the tier, up to the noise of its tiles."""
        plane = _shown_plane(layer)[..., :3].astype(int)
        height, width = (min(a, b) for a, b in zip(plane.shape[:2], whole.shape[:2]))
        return bool(np.abs(plane[:height, :width] - whole[:height, :width]).mean() < 1.5)

    wait_for(is_sharp, "the picture")
    np.testing.assert_allclose(layer.scale[-2:], section.pixel_size_um)
    practice.faults.image_delay_s = 0.1
    sections.session.cancel()
    wait_for(lambda: practice.counters.active == 0)
    asked = practice.counters.image_requests
    other.scene.camera.zoom *= 30
    _settle(sections, wait_for)
    assert practice.counters.image_requests == asked
    sections.session.resume()
    wait_for(lambda: practice.counters.image_requests > asked)
    practice.faults.image_delay_s = 0.5
    other.scene.camera.center = (0, 100.0, 100.0)
    _process(0.2)
    other.close()
    _process(0.1)
    wait_for(lambda: practice.counters.active == 0)
    asked = practice.counters.image_requests
    _process(0.8)
    assert practice.counters.image_requests == asked


def test_another_atlas_takes_the_sections_along(
    viewer: Any,
    controller: AtlasController,
    sections: SectionControl,
    load: Any,
    atlas: stria.Atlas,
    wait_for: Any,
) -> None:
    load()
    section = sections.current
    assert section is not None
    assert sections.session.places is not None
    point = sections.session.places.point_of(section)
    labels = atlas.annotation.levels[-1].data.compute()[:, :, ::-1]
    turned = stria.atlas_from_array(labels, atlas.ontology, resolution_um=200, space="asl")
    controller.session.show(turned)
    _settle(sections, wait_for)
    assert sections.session.space == "asl"
    assert sections.layers.layers()
    now = sections.session.places.point_of(section)
    assert now[2] == pytest.approx(11400 - point[2], abs=1e-6)


def test_an_atlas_of_another_brain_takes_them_away_and_says_why(
    viewer: Any, controller: AtlasController, sections: SectionControl, load: Any, atlas: Any
) -> None:
    load()
    told: list[str] = []
    sections.session.message.connect(told.append)
    other = stria.atlas_from_array(
        np.ones((40, 30, 40), np.uint32), atlas.ontology, resolution_um=100, name="rat"
    )
    controller.session.show(other)
    assert sections.layers.layers() == []
    assert len(told) == 1
    assert "rat" in told[0]


def test_a_dataset_that_does_not_exist_leaves_the_one_before(
    viewer: Any, sections: SectionControl, load: Any, connect: Any, wait_for: Any
) -> None:
    load()
    before = sections.session.dataset
    failures: list[Exception] = []
    sections.session.loading_failed.connect(failures.append)
    sections.session.load(connect, 4711, SectionOptions())
    wait_for(lambda: bool(failures))
    assert isinstance(failures[0], stria.DatasetNotFoundError)
    assert sections.session.dataset is before
    assert sections.layers.layers()


def test_deleting_the_layer_ends_its_downloads(
    viewer: Any, practice: DemoServer, sections: SectionControl, load: Any, wait_for: Any
) -> None:
    load()
    practice.faults.image_delay_s = 0.2
    viewer.dims.set_point(0, 3000.0)
    viewer.layers.remove(sections.layers.layers()[0])
    wait_for(lambda: practice.counters.active == 0 and sections.session.idle)
    asked = practice.counters.image_requests
    viewer.dims.set_point(0, 9000.0)
    for _ in range(30):
        QApplication.processEvents()
        threading.Event().wait(0.01)
    assert practice.counters.image_requests == asked
