"""An annotation as ITK-SNAP takes it: labels of 16 bits, and a description of each.

ITK-SNAP's labels go up to 65,535, the ids of the Allen atlas to 600 million. Numbers and texts are
those of AllenSDK's ``ReferenceSpace.export_itksnap_labels``; it drops labels that the ontology
lacks, which have numbers of their own here.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from threading import Event
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress
from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import UNLISTED_RGB
from napari_stria.core.pyramid import BlockReader, Level, in_slabs
from napari_stria.core.recoded import RecodedReader, labels_of_blocks
from napari_stria.core.regions import UNLISTED
from napari_stria.core.run_index import RunIndex, index_runs
from napari_stria.errors import OutputError

LARGEST_CODE = np.iinfo(np.uint16).max
_ONE_LINE = str.maketrans("\r\n", "  ")


class ItksnapLabels(NamedTuple):
    """What ITK-SNAP is given.

    Attributes
    ----------
    codes : Level
        uint16, 0 is background; made block by block when it is read, from an index of the runs of
        equal labels: 6 bytes a run, about 18 MB for the Allen atlas at 25 um.
    descriptions : DataFrame
        A row a label with the columns of ITK-SNAP's label file: ``IDX`` (its code), ``-R-``,
        ``-G-``, ``-B-``, ``-A-`` (opacity), ``VIS``, ``MSH`` (shown, also in 3D) and ``LABEL``.
    mapping : DataFrame
        In the same order ``code``, ``id`` (the region's; of a label that the ontology lacks the
        label), ``acronym`` and ``name``.
    """

    codes: Level
    descriptions: pd.DataFrame
    mapping: pd.DataFrame

    def array(self) -> npt.NDArray[np.uint16]:
        """Return the codes of the whole volume in memory."""
        # Made by us instead of dask, which would join blocks: most of the time is memory's.
        out = np.empty(self.codes.shape, dtype=np.uint16)
        pool = DaemonPool(os.cpu_count() or 2)
        try:
            indices = product(*(range(n) for n in self.codes.n_blocks))
            work = [pool.submit(_fill, out, self.codes.reader, index) for index in indices]
            for filled in work:
                filled.result()
        finally:
            pool.shutdown(cancel_futures=True)
        return out


def _fill(out: npt.NDArray[np.uint16], reader: BlockReader, index: BlockIndex) -> None:
    block = reader.read_block(index)
    box = block_box(index, reader.chunk_shape, reader.shape)
    out[box] = 0 if block is None else block


@dataclass(frozen=True)
class _Entry:
    """A label and what is said of it."""

    label: int
    id: int
    acronym: str
    name: str
    text: str
    rgb: tuple[int, int, int]


def itksnap_labels(
    atlas: Atlas,
    level: Level,
    *,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> ItksnapLabels:
    """Return an annotation in labels that ITK-SNAP can hold, and what they are.

    If any region of the ontology, with voxels or without, has an annotation value above 65,535,
    all regions are sorted by acronym (by the characters' code points; regions that share one stay
    in pre-order) and get 1 to N. Else the values stay, and the rows are in pre-order.

    A label that the ontology lacks has a row of its own at the end, in magenta and called
    ``unlisted`` with its number. Where values are replaced, it gets the next code after the
    regions', by size. Else it stays, unless it is above 65,535 or below 0: such labels get the
    smallest codes that are free.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    level : Level
        Its annotation, at any resolution; see `napari_stria.core.resampling.level_at`.
    progress, cancel
        Of the pass over the level; see `napari_stria.core.block_pass.over_blocks`.

    Raises
    ------
    OutputError
        If there are more than 65,535 labels.
    TaskCancelled
        If `cancel` was set.
    """
    ontology = atlas.ontology
    lookup = LabelLookup(ontology)
    level = in_slabs(level)
    runs = index_runs(level, lookup, progress=progress, cancel=cancel)
    unlisted = _unlisted(level, runs, lookup, cancel)
    count = len(ontology) + len(unlisted)
    if count > LARGEST_CODE:
        raise OutputError(
            f"ITK-SNAP holds at most {LARGEST_CODE} labels, and {atlas.name} has {count}; "
            "export its regions at a coarser depth of the hierarchy."
        )
    entries = _region_entries(ontology)
    if ontology.annotation_values.max() > LARGEST_CODE:
        entries.sort(key=lambda entry: entry.acronym)
        entries += map(_unlisted_entry, unlisted)
        codes = np.arange(1, count + 1)
    else:
        entries += map(_unlisted_entry, unlisted)
        codes = _kept_codes(np.array([entry.label for entry in entries]))
    labels = np.array([entry.label for entry in entries], dtype=np.int64)
    order = np.argsort(labels)
    labels, sorted_codes = labels[order], codes[order].astype(np.uint16)
    reader: BlockReader
    if unlisted:
        reader = RecodedReader(level.reader, labels, sorted_codes)
    else:
        table = np.zeros(len(ontology) + 2, dtype=np.uint16)
        table[1:-1] = sorted_codes[np.searchsorted(labels, ontology.annotation_values)]
        reader = runs.reader(table)
    return ItksnapLabels(
        replace(level, reader=reader), _descriptions(entries, codes), _mapping(entries, codes)
    )


def description_text(descriptions: pd.DataFrame) -> str:
    """Return the text of a label file: values apart by blanks, the last one in quotes."""
    text: str = descriptions.to_csv(
        sep=" ", index=False, header=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"
    )
    return text


def _unlisted(level: Level, runs: RunIndex, lookup: LabelLookup, cancel: Event | None) -> list[int]:
    """Return the labels that the ontology lacks, ascending; the index knows in which blocks."""
    blocks = [i for i, block in runs.blocks.items() if lookup.unlisted_index in block.present]
    labels = labels_of_blocks(level, blocks, cancel=cancel)
    return [int(label) for label in labels[lookup.positions(labels) < 0]]


def _region_entries(ontology: Ontology) -> list[_Entry]:
    return [
        _Entry(s.annotation_value, s.id, s.acronym, s.name, s.acronym, s.rgb_triplet)
        for s in ontology
    ]


def _unlisted_entry(label: int) -> _Entry:
    name = f"label {label}, which the ontology lacks"
    return _Entry(label, label, UNLISTED, name, f"{UNLISTED} {label}", UNLISTED_RGB)


def _kept_codes(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the labels, those that do not fit replaced by the smallest free numbers."""
    fit = (labels > 0) & (labels <= LARGEST_CODE)
    free = np.setdiff1d(np.arange(1, LARGEST_CODE + 1), labels[fit])
    codes = labels.copy()
    codes[~fit] = free[: np.count_nonzero(~fit)]
    return codes


def _descriptions(entries: Sequence[_Entry], codes: npt.NDArray[np.int64]) -> pd.DataFrame:
    rgb = np.array([entry.rgb for entry in entries], dtype=np.int64)
    return pd.DataFrame(
        {
            "IDX": codes,
            "-R-": rgb[:, 0],
            "-G-": rgb[:, 1],
            "-B-": rgb[:, 2],
            "-A-": 1.0,
            "VIS": 1,
            "MSH": 1,
            # A label's description is one line.
            "LABEL": [entry.text.translate(_ONE_LINE) for entry in entries],
        }
    )


def _mapping(entries: Sequence[_Entry], codes: npt.NDArray[np.int64]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "code": codes,
            "id": [entry.id for entry in entries],
            "acronym": [entry.acronym for entry in entries],
            "name": [entry.name for entry in entries],
        }
    )
