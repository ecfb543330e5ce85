"""Streaming sections keeps the window as quick as a layer in memory does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.demo.server import DemoServer
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.section_options import SectionOptions
from napari_stria.viewer.controller import AtlasController, shared_cache

STEPS = 6
ROUNDS = 3


def _longest_gap(act: Callable[[], None]) -> float:
    """Return the longest time between two turns of the event loop while something is done."""
    gaps: list[float] = []
    last = time.perf_counter()

    def beat() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now

    timer = QTimer()
    timer.setInterval(2)
    timer.timeout.connect(beat)
    timer.start()
    last = time.perf_counter()
    act()
    timer.stop()
    return max(gaps)


def _process_events(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.001)


def test_gaps_are_those_of_an_in_memory_layer(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    wait_for: Callable[..., None],
) -> None:
    sections = controller.sections
    sections.session.load(
        lambda: stria.AllenApi(practice.allen_url, cached=False),
        PRACTICE_CORONAL,
        SectionOptions(),
    )
    wait_for(lambda: sections.session.dataset is not None)
    wait_for(lambda: sections.session.idle)
    for layer in viewer.layers:
        layer.visible = False
    streamed_layer = sections.layers.layers()[0]
    level = streamed_layer.data[streamed_layer.data_level]
    scale = [25.0, 8000 / level.shape[1], 11400 / level.shape[2]]
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 255, (1, *level.shape[1:]), dtype=np.uint8)
    memory = viewer.add_image(
        np.broadcast_to(planes, (528, *level.shape[1:])),
        rgb=True,
        scale=scale,
        translate=[s / 2 for s in scale],
        units=("um",) * 3,
        projection_mode="none",
        visible=False,
    )

    def scroll(start: float) -> None:
        for step in range(STEPS):
            viewer.dims.set_point(0, start + 200 * step)
            _process_events(0.2)

    # The server draws its pictures in this very process: let it do so before, once.
    streamed_layer.visible = True
    for turn in range(ROUNDS):
        scroll(2500.0 + 2500 * turn)
        wait_for(lambda: sections.session.idle)
    streamed_layer.visible = False
    practice.faults.image_delay_s = 0.3
    in_memory: list[float] = []
    streamed: list[float] = []
    for turn in range(ROUNDS):
        start = 2500.0 + 2500 * turn
        for layer, gaps in ((memory, in_memory), (streamed_layer, streamed)):
            shared_cache().drop(lambda _key: True)
            layer.visible = True
            viewer.layers.selection.active = layer
            _process_events(0.3)
            gaps.append(_longest_gap(lambda start=start: scroll(start)))  # type: ignore[misc]
            layer.visible = False
    assert statistics.median(streamed) <= 2 * statistics.median(in_memory), (streamed, in_memory)
