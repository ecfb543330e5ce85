"""What is known of datasets and images without asking again: those that were used last."""

from __future__ import annotations

import threading
from collections import OrderedDict

from napari_stria.core.section import Section, SectionDataset
from napari_stria.io.allen_records import SectionRecord

MOST_DATASETS = 64
MOST_BOXES = 4096


class KnownRecords:
    """Datasets with their sections, and boxes of single images; safe to use from many threads.

    Parameters
    ----------
    most_datasets, most_boxes : int
        So many are kept; of the boxes, those that came without their dataset.
    """

    def __init__(self, most_datasets: int = MOST_DATASETS, most_boxes: int = MOST_BOXES) -> None:
        self._most_datasets, self._most_boxes = most_datasets, most_boxes
        self._lock = threading.Lock()
        self._datasets: OrderedDict[int, SectionDataset] = OrderedDict()
        # By image: the dataset that it is kept with, and the section.
        self._sections: dict[int, tuple[int, Section]] = {}
        self._boxes: OrderedDict[int, SectionRecord] = OrderedDict()

    def dataset(self, dataset_id: int) -> SectionDataset | None:
        """Return a dataset, None if it is not known any more."""
        with self._lock:
            found = self._datasets.get(dataset_id)
            if found is not None:
                self._datasets.move_to_end(dataset_id)
            return found

    def keep_dataset(self, dataset: SectionDataset) -> None:
        """Keep a dataset, in place of an older one of its number."""
        with self._lock:
            if dataset.id in self._datasets:
                self._forget(self._datasets.pop(dataset.id))
            self._datasets[dataset.id] = dataset
            for section in dataset.sections:
                self._sections[section.image_id] = (dataset.id, section)
            while len(self._datasets) > self._most_datasets:
                self._forget(self._datasets.popitem(last=False)[1])

    def box(self, image_id: int) -> Section | SectionRecord | None:
        """Return where an image lies in its slide; this is a use of its dataset too."""
        with self._lock:
            if image_id in self._sections:
                dataset_id, section = self._sections[image_id]
                self._datasets.move_to_end(dataset_id)
                return section
            if image_id in self._boxes:
                self._boxes.move_to_end(image_id)
            return self._boxes.get(image_id)

    def keep_box(self, box: SectionRecord) -> None:
        """Keep the box of a single image."""
        with self._lock:
            self._boxes[box.image_id] = box
            self._boxes.move_to_end(box.image_id)
            while len(self._boxes) > self._most_boxes:
                self._boxes.popitem(last=False)

    def _forget(self, dataset: SectionDataset) -> None:
        for section in dataset.sections:
            # Another dataset may have claimed the image meanwhile.
            if self._sections.get(section.image_id, (None,))[0] == dataset.id:
                del self._sections[section.image_id]
