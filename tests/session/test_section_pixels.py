"""A section's image as pyramids and 2D layers that are read without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.section_arrays import array_section_image
from napari_stria.io.section_files import SectionImage, open_section_image
from napari_stria.io.streamed_plane import StreamedPlane
from napari_stria.io.streamed_rgba import StreamedRgba
from napari_stria.session.section_pixels import SectionPixels
from napari_stria.session.tasks import ImmediateTasks

SHAPE = (700, 901)


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(workers=2)
    yield pool
    pool.close()


@pytest.fixture
def streamed(pool: ChunkPool) -> Iterator[Callable[[SectionImage], SectionPixels]]:
    made: list[SectionPixels] = []

    def stream(image: SectionImage) -> SectionPixels:
        made.append(SectionPixels(image, ImmediateTasks(), ChunkCache(10**8), pool))
        return made[-1]

    yield stream
    for pixels in made:
        pixels.close()


def _read(plane: Any, pool: ChunkPool, key: Any) -> Any:
    """Read until all that was asked for has arrived."""
    np.asarray(plane[key])
    end = time.monotonic() + 30
    while pool.pending:
        assert time.monotonic() < end
        time.sleep(0.002)
    return np.asarray(plane[key])


def test_colours_of_a_file_come_as_they_are(
    tmp_path: Path, pool: ChunkPool, streamed: Callable[[SectionImage], SectionPixels]
) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "section.png"), rgb[..., ::-1])
    pixels = streamed(open_section_image(tmp_path / "section.png"))
    levels = [StreamedPlane(StreamedRgba(level)) for level in pixels.pyramids[0].levels]
    assert levels[0].ndim == 3
    assert len(levels) == 2
    # What a viewer does: ratios of shapes are those of the levels.
    assert levels[0].shape[0] == 2 * levels[1].shape[0]
    box = (slice(100, 650), slice(20, 880))
    got = _read(levels[0], pool, box)
    np.testing.assert_array_equal(got[..., :3], rgb[box])
    assert (got[..., 3] == 255).all()


def test_each_channel_is_a_plane_of_its_own(
    pool: ChunkPool, streamed: Callable[[SectionImage], SectionPixels]
) -> None:
    both = np.random.default_rng(2).integers(0, 4000, (2, *SHAPE), dtype=np.uint16)
    image = array_section_image(both, (1.0, 1.0), name="two")
    pixels, told = streamed(image), list[Any]()
    pixels.contrast_found.connect(lambda *news: told.append(news))
    assert len(pixels.pyramids) == 2
    for channel, pyramid in enumerate(pixels.pyramids):
        plane = StreamedPlane(pyramid.levels[0])
        assert plane.dtype == np.uint16
        got = _read(plane, pool, (slice(0, 700), slice(0, 901)))
        np.testing.assert_array_equal(got, both[channel])
    pixels.find_contrast()
    assert [channel for channel, _, _ in told] == [0, 1]
    assert all(0 <= low < high <= 4000 for _, low, high in told)


def test_a_flat_image_gets_a_contrast_too(
    streamed: Callable[[SectionImage], SectionPixels],
) -> None:
    pixels, told = streamed(array_section_image(np.full((50, 50), 7), None, name="flat")), []
    pixels.contrast_found.connect(lambda *news: told.append(news))
    pixels.find_contrast()
    assert told == [(0, 7.0, 8.0)]
