"""Records -> values: the matrices, what is skipped and why, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria.core.allen_alignment import pir_to_xy, xy_to_pir
from napari_stria.core.section import SectionDataset
from napari_stria.errors import (
    CorruptDataError,
    DatasetNotAlignedError,
    ReferenceSpaceError,
    SectionPlaneError,
    StriaError,
)
from napari_stria.io.allen_dataset import dataset_of
from napari_stria.io.allen_records import summary_of

Row = dict[str, Any]
# Not a rigid motion: every entry of a matrix is in its place or the numbers differ.
TSV = np.array([[1.049, 0.03, 1700.0], [-0.04, 1.05, 2200.0]])
TVR = np.array(
    [[0.02, 0.01, -1.02, 13400.0], [0.03, 1.05, 0.01, -1770.0], [1.06, -0.04, 0.001, -950.0]]
)


def inverse(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    square = np.vstack([matrix, [0.0] * (matrix.shape[1] - 1) + [1.0]])
    return np.asarray(np.linalg.inv(square)[:-1])


def fields(name: str, matrix: np.ndarray[Any, Any]) -> dict[str, float]:
    """As the API orders them: the linear part by rows, then the translation."""
    numbers = [*matrix[:, :-1].ravel(), *matrix[:, -1]]
    return {f"{name}_{i:02d}": float(n) for i, n in enumerate(numbers)}


def image(number: int, **changes: Any) -> Row:
    return {
        "id": 1000 + number,
        "data_set_id": 7,
        "section_number": number,
        "x": 10,
        "y": 20,
        "width": 9728,
        "height": 7064,
        "image_width": 10000,
        "image_height": 8000,
        "resolution": 1.05,
        "tier_count": 6,
        "failed": False,
        "expression": False,
        "expression_path": None,
        "alignment2d": {**fields("tsv", TSV), **fields("tvs", inverse(TSV))},
        **changes,
    }


def dataset(**changes: Any) -> Row:
    return {
        "id": 7,
        "plane_of_section_id": 1,
        "plane_of_section": {"id": 1, "name": "coronal"},
        "section_thickness": 25.0,
        "reference_space_id": 9,
        "failed": False,
        "specimen_id": 55,
        "specimen": {"name": "x-1", "donor": {"age": {"name": "P56"}}},
        "products": [{"id": 1, "name": "Mouse Brain", "abbreviation": "Mouse"}],
        "genes": [{"acronym": "Gad1"}, {"acronym": "Gad2"}],
        "treatments": [{"name": "ISH"}],
        "equalization": {"red_lower": 0.0},
        "alignment3d": {**fields("tvr", TVR), **fields("trv", inverse(TVR))},
        "section_images": [image(145), image(137, expression_path="/x.aff")],
        **changes,
    }


def with_fields(record: Row, name: str, **changes: Any) -> Row:
    record = copy.deepcopy(record)
    record[name] = {**record[name], **changes}
    return record


def test_a_whole_record() -> None:
    found = dataset_of(dataset())
    assert (found.id, found.plane, found.section_thickness_um) == (7, "coronal", 25.0)
    assert (found.reference_space_id, found.failed, found.genes) == (9, False, ("Gad1", "Gad2"))
    assert [s.section_number for s in found.sections] == [137, 145]
    assert found.skipped == ()
    section = found.sections[0]
    assert (section.image_id, section.slide_x, section.slide_y) == (1137, 10, 20)
    assert (section.width, section.height, section.tier_count) == (9728, 7064, 6)
    assert section.pixel_size_um == 1.05
    assert [s.has_expression for s in found.sections] == [True, False]
    assert found.metadata["age"] == "P56"
    assert found.metadata["products"] == ("Mouse",)
    assert found.metadata["treatments"] == ("ISH",)
    assert (found.metadata["specimen"], found.metadata["specimen_id"]) == ("x-1", 55)
    assert found.metadata["plane_of_section"] == "coronal"
    assert found.metadata["equalization"] == {"red_lower": 0.0}


@pytest.mark.parametrize(("plane_id", "axis"), [(1, 0), (11, 0), (531107579, 0), (2, 2), (7, 2)])
def test_pixels_and_reference_micrometres(plane_id: int, axis: int) -> None:
    found = dataset_of(dataset(plane_of_section_id=plane_id))
    assert found.plane == ("coronal" if axis == 0 else "sagittal")
    pixels = np.random.default_rng(0).uniform(0, 9000, (50, 2))
    for section in found.sections:
        depth = section.section_number * 25.0
        known = xy_to_pir(np.column_stack([pixels, np.full(50, depth)]).T, TSV, TVR).T
        np.testing.assert_allclose(section.section_to_pir(pixels), known, rtol=0, atol=1e-8)
        back = section.pir_to_section(known)
        np.testing.assert_allclose(back[:, :2], pixels, rtol=0, atol=1e-6)
        np.testing.assert_allclose(back[:, 2], depth, rtol=0, atol=1e-6)
        elsewhere = np.random.default_rng(1).uniform(0, 8000, (50, 3))
        expected = pir_to_xy(elsewhere.T, inverse(TSV), inverse(TVR)).T
        np.testing.assert_allclose(section.pir_to_section(elsewhere), expected, rtol=0, atol=1e-8)
        assert section.coordinate_um == section.section_to_pir([0.0, 0.0])[axis]
        assert section.section_to_pir.matrix.dtype == np.float64


def test_recorded_answers_of_the_api(real_data: Path) -> None:
    seen = 0
    for path in sorted((real_data / "allen_sync/xy_to_pir").glob("*.json")):
        case = json.loads(path.read_text())
        tsv, tvr = np.array(case["affine_2d"]), np.array(case["affine_3d"])
        row = dataset(
            plane_of_section_id=1 if case["axis"] == "coronal" else 2,
            section_thickness=case["section_thickness"],
            alignment3d={**fields("tvr", tvr), **fields("trv", inverse(tvr))},
            section_images=[
                image(
                    case["section_number"],
                    alignment2d={**fields("tsv", tsv), **fields("tvs", inverse(tsv))},
                )
            ],
        )
        (section,) = dataset_of(row).sections
        pir = section.section_to_pir([case["x"], case["y"]])
        np.testing.assert_allclose(pir, [case["p"], case["i"], case["r"]], rtol=0, atol=1e-9)
        seen += 1
    assert seen > 10


def test_a_real_record(real_data: Path) -> None:
    folder = real_data / "sections/71717640"
    (row,) = json.loads((folder / "SectionDataSet.json").read_text())["msg"]
    row["section_images"] = json.loads((folder / "SectionImage.json").read_text())["msg"]
    found = dataset_of(row)
    assert [s.image_id for s in found.sections] == [71661855, 71661903]
    assert found.spacing_um == (289 - 137) * 25.0
    section = found.section(71661855)
    case = json.loads(
        (real_data / "allen_sync/pir_to_xy/71717640_10000_5000_10300.json").read_text()
    )
    x, y, _ = section.pir_to_section([case["p"], case["i"], case["r"]])
    np.testing.assert_allclose([x, y], [case["x"], case["y"]], rtol=0, atol=1e-9)
    assert section.tier_shape(3) == (883, 1216)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"failed": True}, "failed"),
        ({"alignment2d": None}, "not aligned"),
        ({"alignment2d": []}, "not aligned"),
        ({"width": None}, "width is missing"),
        ({"height": 0}, "height"),
        ({"width": "wide"}, "width"),
        ({"width": 10.5}, "width"),
        ({"x": True}, "x is True"),
        ({"resolution": 0.0}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"resolution": float("inf")}, "resolution"),
        ({"tier_count": 0}, "tier_count"),
        ({"tier_count": 32}, "tier_count"),
        ({"tier_count": 10**9}, "tier_count"),
        ({"resolution": 0.009}, "resolution"),
        ({"resolution": 50.1}, "resolution"),
        ({"width": 10**6 + 1}, "width"),
        ({"height": 10**9}, "height"),
        ({"section_number": 10**7}, "section_number"),
        ({"section_number": -(10**7)}, "section_number"),
        ({"width": 10**400}, "width"),
        ({"section_number": None}, "section number"),
        ({"alignment2d": {**fields("tsv", TSV)}}, "tvs_00 is missing"),
        (
            {"alignment2d": {**fields("tsv", TSV * [[0, 0, 1]]), **fields("tvs", inverse(TSV))}},
            "tsv flattens",
        ),
        (
            {"alignment2d": {**fields("tsv", TSV), **fields("tvs", inverse(TSV)), "tsv_04": "x"}},
            "tsv_04",
        ),
        *(
            (
                {
                    "alignment2d": {
                        **fields("tsv", TSV),
                        **fields("tvs", inverse(TSV)),
                        "tvs_05": odd,
                    }
                },
                "tvs_05",
            )
            for odd in (float("inf"), float("nan"), 1e300)
        ),
        (
            {
                "alignment2d": {
                    **fields("tsv", TSV * [[1e-200, 1e-200, 1]]),
                    **fields("tvs", inverse(TSV)),
                }
            },
            "pixels of",
        ),
    ],
)
def test_a_section_that_cannot_be_used_is_skipped(changes: Row, reason: str) -> None:
    bad = image(129, **changes)
    found = dataset_of(dataset(section_images=[image(137), bad, image(145)]))
    assert [s.section_number for s in found.sections] == [137, 145]
    (skipped,) = found.skipped
    assert skipped.image_id == 1129
    assert reason in skipped.reason
    assert skipped.section_number == changes.get("section_number", 129)


@pytest.mark.parametrize(
    "changes",
    [
        {"tier_count": 31},
        {"tier_count": 1},
        {"resolution": 0.01},
        {"resolution": 50},
        {"width": 10**6, "height": 1},
        {"section_number": 10**7 - 1},
        {"section_number": -(10**7) + 1},
    ],
)
def test_the_last_numbers_that_are_plausible(changes: Row) -> None:
    found = dataset_of(dataset(section_images=[image(137, **changes)]))
    assert found.skipped == ()


def test_a_missing_alignment_is_the_same_as_null() -> None:
    bad = image(129)
    del bad["alignment2d"]
    found = dataset_of(dataset(section_images=[bad, image(137)]))
    assert [s.reason for s in found.skipped] == ["it is not aligned"]


def test_a_record_without_an_id_and_rows_that_are_none() -> None:
    found = dataset_of(dataset(section_images=[image(1, id=None), None, 5, image(2), image(2)]))
    assert len(found.sections) == 1
    assert [s.image_id for s in found.skipped] == [-1]


def test_a_failed_dataset_is_flagged() -> None:
    assert dataset_of(dataset(failed=True)).failed


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"alignment3d": None}, DatasetNotAlignedError, ["7", "never aligned"]),
        ({"section_images": []}, DatasetNotAlignedError, ["7", "no section"]),
        ({"section_images": None}, DatasetNotAlignedError, ["no section"]),
        ({"section_images": [image(1, failed=True)]}, DatasetNotAlignedError, ["failed"]),
        ({"section_thickness": None}, DatasetNotAlignedError, ["section_thickness"]),
        ({"section_thickness": -1}, DatasetNotAlignedError, ["section_thickness"]),
        ({"section_thickness": 0.09}, DatasetNotAlignedError, ["section_thickness"]),
        ({"section_thickness": 10_001}, DatasetNotAlignedError, ["section_thickness"]),
        (
            {"reference_space_id": 6, "specimen": {"donor": {"age": {"name": "P4"}}}},
            ReferenceSpaceError,
            ["space 6", "P4", "choose"],
        ),
        ({"reference_space_id": None}, ReferenceSpaceError, ["no known"]),
        ({"reference_space_id": None, "specimen": None}, ReferenceSpaceError, ["no known"]),
        ({"plane_of_section_id": None, "plane_of_section": None}, SectionPlaneError, ["not given"]),
        (
            {"plane_of_section_id": 6, "plane_of_section": {"name": "transverse"}},
            SectionPlaneError,
            ["transverse", "6"],
        ),
        ({"plane_of_section_id": 99, "plane_of_section": None}, SectionPlaneError, ["99"]),
        ({"id": None}, CorruptDataError, ["id"]),
    ],
)
def test_a_dataset_that_cannot_be_used(
    changes: Row, error: type[StriaError], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        dataset_of(dataset(**changes))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"tvr_00": None}, {"trv_11": float("nan")}, {"tvr_03": "a"}])
def test_a_broken_alignment_of_the_dataset(changes: Row) -> None:
    with pytest.raises(DatasetNotAlignedError, match=next(iter(changes))):
        dataset_of(with_fields(dataset(), "alignment3d", **changes))


def test_an_alignment_that_flattens_space() -> None:
    zeros = dict.fromkeys(fields("tvr", TVR), 0.0)
    with pytest.raises(DatasetNotAlignedError, match="flattens"):
        dataset_of(with_fields(dataset(), "alignment3d", **zeros))


def test_associations_that_are_missing_or_odd() -> None:
    row = dataset()
    for name in ("specimen", "products", "genes", "treatments", "equalization", "plane_of_section"):
        del row[name]
    found = dataset_of(row)
    assert found.genes == ()
    assert set(found.metadata) == {"specimen_id", "plane_of_section_id"}
    odd = dataset_of(dataset(genes=[{"acronym": None}, {}, None], products="x", specimen=[1]))
    assert odd.genes == ()
    assert "age" not in odd.metadata


def test_a_dataset_can_be_pickled() -> None:
    found = dataset_of(dataset())
    copied: SectionDataset = pickle.loads(pickle.dumps(found))
    assert copied.sections[0].section_to_pir == found.sections[0].section_to_pir
    assert copied.metadata == found.metadata


def test_rows_of_a_search() -> None:
    found = summary_of(dataset())
    assert found is not None
    assert (found.id, found.genes, found.plane) == (7, ("Gad1", "Gad2"), "coronal")
    assert (found.products, found.age, found.failed) == (("Mouse",), "P56", False)
    assert (found.section_thickness_um, found.reference_space_id) == (25.0, 9)
    assert found.section_count is None
    assert summary_of({}) is None
    bare = summary_of({"id": 3, "plane_of_section": None, "section_thickness": None})
    assert bare is not None
    odd = summary_of({"id": 3, "section_thickness": 1e6})
    assert odd is not None
    assert odd.section_thickness_um is None
    assert (bare.plane, bare.section_thickness_um, bare.age, bare.genes) == (None, None, None, ())
