"""Tables of sections added up: the same as one table of all their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.image_measures import measure_image
from napari_stria.core.label_measures import measure_labels
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.summed_tables import summed_tables
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

ROWS = [
    {"id": 1, "name": "root", "acronym": "root", "parent_structure_id": None},
    {"id": 2, "name": "front", "acronym": "f", "parent_structure_id": 1},
    {"id": 3, "name": "back", "acronym": "b", "parent_structure_id": 1},
]
SHAPE = (12, 10, 8)


@pytest.fixture(scope="module")
def atlas() -> stria.Atlas:
    volume = np.full(SHAPE, 2, np.uint16)
    volume[6:] = 3
    volume[:, 0] = 0
    # Two labels that the ontology lacks, each in one section alone.
    volume[2, 5, 5], volume[9, 5, 5] = 900, 800
    ontology = stria.ontology_from_structures(ROWS)
    return stria.atlas_from_array(volume, ontology, resolution_um=100, space="asr")


def _section(plane: int) -> Affine:
    """Pixels of half a voxel in the middle of a plane, one of them outside on two sides."""
    return Affine([[0, 0, plane * 100 + 50], [0, 50, 0], [50, 0, 0]])


def test_sections_together_are_what_one_pass_over_all_gives(atlas: stria.Atlas) -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 200, (3, 21, 17)).astype(np.uint8)
    planes = (2, 9, 7)
    tables: Any = [
        measure_image(atlas, image, _section(plane), threshold=90)
        for image, plane in zip(images, planes, strict=True)
    ]
    total: Any = summed_tables(iter(tables))
    # The same pixels as one image, whose map is another one in each of its thirds.
    expected: Any = measure_image(atlas, images.reshape(-1, 17), _Thirds(planes), threshold=90)
    assert total.index.tolist() == [1, 2, 3, 900, 800]
    pd.testing.assert_frame_equal(total.loc[expected.index], expected, check_exact=False)
    for name in ("pixels", "sum", "above"):
        assert np.array_equal(total.loc[expected.index, name], expected[name])
        assert total.attrs[f"{name}_total"] == expected.attrs[f"{name}_total"]
    assert total["pixels"].dtype == np.int64
    assert total.attrs["pixels_total"] == images.size
    assert total.attrs["pixels_outside"] == 3 * (21 * 17 - 20 * 16)
    assert total.attrs["threshold"] == 90
    assert total.loc[2, "mean"] != pytest.approx(np.mean([t.loc[2, "mean"] for t in tables]))


class _Thirds:
    n_in, n_out = 2, 3

    def __init__(self, planes: tuple[int, ...]) -> None:
        self.planes = np.array(planes)

    def __call__(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        xy = np.asarray(points, dtype=np.float64)
        third = np.clip(xy[..., 1] // 21, 0, 2).astype(int)
        ap = self.planes[third] * 100 + 50.0
        return np.stack([ap, (xy[..., 1] - third * 21) * 50, xy[..., 0] * 50], axis=-1)


def test_objects_add_up_and_fractions_are_made_anew(atlas: stria.Atlas) -> None:
    labels = np.zeros((2, 20, 16), np.int32)
    labels[0, 4:8, 2:6], labels[0, 12:14, 3:5], labels[1, 10:16, 8:12] = 1, 2, 7
    level = parcellation_at_depth(atlas.ontology, 1)
    tables: Any = [
        measure_labels(atlas, image, _section(plane), parcellation=level)
        for image, plane in zip(labels, (2, 4), strict=True)
    ]
    total: Any = summed_tables(tables)
    assert total.loc[2, "objects"] == 3
    assert total.loc[2, "pixels"] == 16 + 4 + 24
    covered = total.loc[2, "region_pixels"]
    assert covered == sum(t.loc[2, "region_pixels"] for t in tables)
    assert total.loc[2, "fraction"] == total.loc[2, "pixels"] / covered
    assert np.isnan(total.loc[3, "fraction"])
    assert total.attrs["parcellation"] == tables[0].attrs["parcellation"]


def test_one_table_stays_as_it_is(atlas: stria.Atlas) -> None:
    table: Any = measure_image(atlas, np.ones((20, 16)), _section(3), threshold=0.5)
    total: Any = summed_tables([table])
    pd.testing.assert_frame_equal(total, table)
    assert total.attrs == table.attrs


def test_tables_of_other_ways_are_refused(atlas: stria.Atlas) -> None:
    image = np.ones((20, 16), np.uint8)
    table: Any = measure_image(atlas, image, _section(3), threshold=1)
    with pytest.raises(CoordinateError, match="not made in one way"):
        summed_tables([table, measure_image(atlas, image, _section(3), threshold=2)])
    with pytest.raises(CoordinateError, match="not made in one way"):
        summed_tables([table, measure_image(atlas, image, _section(3))])
    with pytest.raises(CoordinateError, match="there is no table"):
        summed_tables([])
    with pytest.raises(CoordinateError, match="'median' is no amount"):
        summed_tables([table.assign(median=1.0)])
