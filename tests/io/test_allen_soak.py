"""A dataset and all its images from a server that breaks every fifth request."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_stria.core.section import SectionDataset
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.demo.server import DemoServer
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import body_of_file
from napari_stria.io.http_store import HttpOptions

OVERVIEW = 6


class Chaos:
    """Breaks a share of the requests, each in one way, by chance."""

    WAYS = ("drop", "500", "429", "html", "shorten", "truncate", "late")

    def __init__(self, share: float, seed: int) -> None:
        self.broken: Counter[str] = Counter()
        self._share, self._random = share, random.Random(seed)
        self._lock, self._mine = threading.Lock(), threading.local()

    def install(self, server: DemoServer) -> None:
        faults = server.faults
        faults.drop = self._choose  # asked first of all
        faults.status_for = lambda path, nth: {"500": 500, "429": 429}.get(self._mine.way)
        faults.html_for = lambda path: self._is("html")
        faults.shorten = lambda path: self._is("shorten")
        faults.truncate = lambda path: self._is("truncate")

    def _choose(self, path: str) -> bool:
        with self._lock:
            bad = self._random.random() < self._share
            way = self._random.choice(self.WAYS) if bad else "none"
            self.broken[way] += 1
        self._mine.way = way
        if way == "late":
            time.sleep(0.02)
        return way == "drop"

    def _is(self, way: str) -> bool:
        return bool(self._mine.way == way)


def same(one: SectionDataset, other: SectionDataset) -> bool:
    return one.skipped == other.skipped and all(
        (a.image_id, a.section_to_pir, a.pir_to_section)
        == (b.image_id, b.section_to_pir, b.pir_to_section)
        for a, b in zip(one.sections, other.sections, strict=True)
    )


def test_a_fifth_of_all_requests_fails(tmp_path: Path) -> None:
    with DemoServer(tmp_path) as server:
        slow = HttpOptions(read_timeout_s=120.0)
        clean = AllenApi(server.allen_url, cached=False, options=slow)
        dataset = clean.section_dataset(PRACTICE_CORONAL)
        bodies: list[bytes | None] = []
        images: dict[int, npt.NDArray[np.uint8]] = {}
        for section in dataset.sections:
            number = section.image_id
            url = f"{server.allen_url}/section_image_download/{number}?downsample={OVERVIEW}"
            bodies.append(clean._requests.fetch(url, lambda answer: answer.body))
            images[number] = clean.section_image(number, OVERVIEW)

        chaos = Chaos(0.2, seed=1)
        chaos.install(server)
        api = AllenApi(server.allen_url, options=HttpOptions(attempts=12, backoff_s=0.001))
        assert same(api.section_dataset(PRACTICE_CORONAL), dataset)
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda number: api.section_image(number, OVERVIEW), images))
    for image, known in zip(found, images.values(), strict=True):
        assert np.array_equal(image, known)
    kept = [body_of_file(path.read_bytes()) for path in cache_folder("sections").iterdir()]
    assert None not in kept
    assert Counter(kept) == Counter(bodies)
    assert sum(chaos.broken.values()) - chaos.broken["none"] >= 8
    assert len(chaos.broken) >= 6
