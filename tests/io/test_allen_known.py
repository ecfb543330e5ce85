"""What is remembered, and for how long."""

from __future__ import annotations

import threading

import numpy as np

from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.transforms import Affine
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.allen_known import MOST_BOXES, MOST_DATASETS, KnownRecords
from napari_stria.io.allen_records import SectionRecord

TO_PIR = Affine(np.array([[0, 0, 5000.0], [0, 1, 0], [1, 0, 0]]))
FROM_PIR = Affine(np.eye(3, 4))


def section(image_id: int) -> Section:
    return Section(image_id, 1, 10, 10, 5000.0, TO_PIR, FROM_PIR)


def dataset(number: int, *image_ids: int) -> SectionDataset:
    return SectionDataset(
        id=number,
        plane="coronal",
        section_thickness_um=25.0,
        reference_space_id=9,
        sections=tuple(section(i) for i in image_ids or (10 * number, 10 * number + 1)),
    )


def box(image_id: int) -> SectionRecord:
    return SectionRecord(image_id, 0, 0, 10, 10, 7, 1.0)


def test_the_datasets_used_last_are_kept_with_their_boxes() -> None:
    known = KnownRecords(most_datasets=3)
    datasets = {n: dataset(n) for n in range(1, 6)}
    for n in (1, 2, 3):
        known.keep_dataset(datasets[n])
    assert known.dataset(1) is datasets[1]
    assert known.box(20) is datasets[2].sections[0]  # a use of 2
    known.keep_dataset(datasets[4])
    assert known.dataset(3) is None
    assert [known.box(n) for n in (30, 31)] == [None, None]
    known.keep_dataset(datasets[5])
    assert known.dataset(1) is None
    assert known.box(10) is None
    assert [n for n in datasets if known.dataset(n)] == [2, 4, 5]
    assert known.box(21) is datasets[2].sections[1]


def test_a_dataset_that_is_asked_again_replaces_the_first() -> None:
    known = KnownRecords(most_datasets=2)
    known.keep_dataset(dataset(1, 5, 6))
    newer = dataset(1, 6, 7)
    known.keep_dataset(newer)
    assert known.dataset(1) is newer
    assert known.box(5) is None
    assert known.box(6) is newer.sections[0]


def test_an_image_of_two_datasets_stays_with_the_second() -> None:
    known = KnownRecords(most_datasets=2)
    known.keep_dataset(dataset(1, 5))
    second = dataset(2, 5)
    known.keep_dataset(second)
    known.keep_dataset(dataset(3, 9))
    assert known.dataset(1) is None
    assert known.box(5) is second.sections[0]


def test_boxes_of_single_images() -> None:
    known = KnownRecords(most_boxes=2)
    for number in (1, 2):
        known.keep_box(box(number))
    assert known.box(1) == box(1)
    known.keep_box(box(3))
    assert known.box(2) is None
    assert known.box(1) == box(1)


def test_many_datasets_do_not_pile_up() -> None:
    known = AllenApi("http://127.0.0.1:1")._known

    def work(first: int) -> None:
        for n in range(first, first + 100):
            known.keep_dataset(dataset(n))
            known.box(10 * n)
            for i in range(15):
                known.keep_box(box(10**6 + 15 * n + i))

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(known._datasets) == MOST_DATASETS == 64
    assert len(known._sections) == 2 * MOST_DATASETS
    assert len(known._boxes) == MOST_BOXES
