"""Datasets in the style of Allen's records, and the formulas of its page written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.transforms import Affine

F64 = npt.NDArray[np.float64]
# Reference -> volume as recorded: oblique in all directions, scaled by some percent.
TRV = {
    "coronal": [[0.0309, 0.0328, 0.9514, 952.9], [0.0399, 0.9471, -0.0325, 1514.9],
                [-0.9771, 0.0503, 0.0311, 13150.6]],
    "sagittal": [[0.9376, -0.0145, 0.0329, 1590.0], [0.0093, 0.9518, 0.1616, 724.6],
                 [-0.0322, -0.1629, 0.9416, 1416.5]],
}  # fmt: skip


@dataclass
class Invented:
    """A dataset, and the alignments from which it was made."""

    dataset: SectionDataset
    trv: F64
    tvs: dict[int, F64] = field(default_factory=dict)

    @property
    def fixed(self) -> int:
        return 0 if self.dataset.plane == "coronal" else 2

    def position(self, pir: F64) -> float:
        """Where a point lies along the stack: the third row of trv."""
        return float(self.trv[2, :3] @ pir + self.trv[2, 3])

    def pixel(self, section: Section, pir: F64) -> F64:
        """Which pixel shows a point: tvs after the first two rows of trv."""
        x, y = self.trv[:2, :3] @ pir + self.trv[:2, 3]
        tvs = self.tvs[section.image_id]
        return np.asarray(tvs[:, :2] @ [x, y] + tvs[:, 2])

    def place(self, section: Section, x: float, y: float) -> F64:
        """Which point of the reference space a pixel shows."""
        tsv = np.linalg.inv(np.vstack([self.tvs[section.image_id], [0, 0, 1]]))
        tvr = np.linalg.inv(np.vstack([self.trv, [0, 0, 0, 1]]))
        volume = tsv @ [x, y, 1]
        s = section.section_number * self.dataset.section_thickness_um
        return np.asarray((tvr @ [volume[0], volume[1], s, 1])[:3])


def invent(
    plane: Any = "coronal",
    numbers: Sequence[int] = (100, 108, 116, 124, 140, 148),
    *,
    thickness: float = 25.0,
    trv: Any = None,
    seed: int = 0,
) -> Invented:
    rng = np.random.default_rng(seed)
    to_volume = np.asarray(TRV[plane] if trv is None else trv, dtype=float)
    made = Invented(SectionDataset(1, plane, thickness, 9, ()), to_volume)
    sections = []
    for number in numbers:
        angle, size = rng.normal(0, 0.05), rng.uniform(0.95, 1.7)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / size
        tvs = np.column_stack([turn, rng.uniform(-1500, 500, 2)])
        made.tvs[5000 + number] = tvs
        tsv = np.linalg.inv(np.vstack([tvs, [0, 0, 1]]))
        tvr = np.linalg.inv(np.vstack([to_volume, [0, 0, 0, 1]]))
        forth = tvr[:3, :3] @ np.vstack([tsv[:2, :2], [0, 0]])
        origin = tvr[:3, :3] @ [*tsv[:2, 2], number * thickness] + tvr[:3, 3]
        back = np.vstack([tvs[:, :2] @ to_volume[:2], to_volume[2:]])
        back[:2, 3] += tvs[:, 2]
        sections.append(
            Section(
                image_id=5000 + number,
                section_number=number,
                width=9000,
                height=7000,
                coordinate_um=float(origin[made.fixed]),
                section_to_pir=Affine(np.column_stack([forth, origin])),
                pir_to_section=Affine(back),
            )
        )
    space = 10 if plane == "sagittal" else 9
    made.dataset = SectionDataset(1, plane, thickness, space, tuple(sections))
    return made


@pytest.fixture(scope="session")
def invented() -> Callable[..., Invented]:
    """See `invent`."""
    return invent
