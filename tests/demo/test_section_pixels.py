"""Practice sections lie where their records say; checked without any code of the package.

The formulas are written out here once more, from the API's description.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.demo.practice_sections import (
    PRACTICE_CORONAL,
    PRACTICE_CORONAL_COARSE,
    PRACTICE_SAGITTAL,
    PRACTICE_TRANSVERSE,
)

F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]
GetImage = Callable[..., npt.NDArray[np.uint8]]
GetDataset = Callable[[int], Any]

TIER = 4
# Some share their slide with others: these have offsets.
RICH = (16, 18, 25, 31, 37, 43)


def affine(row: Any, prefix: str) -> F64:
    """Return a section's (2, 3) or a volume's (3, 4) affine."""
    n = 2 if prefix in ("tsv", "tvs") else 3
    numbers = [row[f"{prefix}_{i:02d}"] for i in range(n * n + n)]
    return np.column_stack([np.reshape(numbers[: n * n], (n, n)), numbers[n * n :]])


def apply(matrix: F64, points: F64) -> F64:
    shift = matrix[:, -1].reshape(-1, *[1] * (points.ndim - 1))
    return np.asarray(np.einsum("ij,j...->i...", matrix[:, :-1], points) + shift)


def interpolate(volume: npt.NDArray[Any], index: F64) -> F64:
    """Linear in as many dimensions as the volume has, 0 outside."""
    padded = np.pad(volume.astype(float), 1)
    inside = np.stack([np.clip(i + 1, 0, n - 1.001) for i, n in zip(index, padded.shape)])
    low = np.floor(inside).astype(int)
    part = inside - low
    total = np.zeros(index.shape[1:])
    for corner in np.ndindex(*[2] * len(index)):
        weight = np.prod([f if c else 1 - f for c, f in zip(corner, part)], axis=0)
        total += weight * padded[tuple(i + c for i, c in zip(low, corner))]
    return total


def template_at(template: U16, pir: F64) -> F64:
    p, i, r = pir
    return interpolate(template, np.stack([p + 12.5, i + 12.5, 11400 - (r + 12.5)]) / 50 - 0.5)


def image_at(pixels: npt.NDArray[np.uint8], xy: F64, tier: int) -> F64:
    x, y = xy
    return interpolate(pixels.mean(axis=2), np.stack([y, x]) / 2**tier - 0.5)


def placed(dataset: Any, image: Any) -> tuple[F64, F64, float]:
    tsv, tvr = affine(image["alignment2d"], "tsv"), affine(dataset["alignment3d"], "tvr")
    return tsv, tvr, image["section_number"] * dataset["section_thickness"]


def to_pir(dataset: Any, image: Any, xy: F64) -> F64:
    tsv, tvr, s = placed(dataset, image)
    across, down = apply(tsv, xy)
    return apply(tvr, np.stack([across, down, np.full_like(across, s)]))


def section_grid(dataset: Any, image: Any, um: float) -> F64:
    """Return points of the section in pixels, um apart."""
    spacing = um / image["resolution"]
    x, y = (np.arange(spacing / 2, image[edge], spacing) for edge in ("width", "height"))
    return np.stack(np.meshgrid(x, y))


def correlation(one: F64, other: F64) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.fixture(scope="module")
def coronal(get_dataset: GetDataset) -> Any:
    return get_dataset(PRACTICE_CORONAL)


@pytest.mark.parametrize("index", RICH)
def test_coronal_sections_are_oblique_planes(
    coronal: Any, template: U16, get_image: GetImage, index: int
) -> None:
    image = coronal["section_images"][index]
    xy = section_grid(coronal, image, 25.0)
    truth = template_at(template, to_pir(coronal, image, xy))
    assert (truth > 0).mean() > 0.4
    for quality, least in ((100, 0.985), (85, 0.98)):
        pixels = get_image(image["id"], downsample=TIER, quality=quality)
        assert correlation(image_at(pixels, xy, TIER), truth) >= least


@pytest.mark.parametrize("index", RICH)
def test_coronal_sections_are_not_parallel_to_the_axes(
    coronal: Any, template: U16, get_image: GetImage, index: int
) -> None:
    image = coronal["section_images"][index]
    pixels = get_image(image["id"], downsample=TIER)
    p = to_pir(coronal, image, np.zeros((2, 1)))[0, 0]
    # The section's pixels where they are, but for p.
    xy = section_grid(coronal, image, 25.0)
    flat = to_pir(coronal, image, xy)
    flat[0] = p
    assert correlation(image_at(pixels, xy, TIER), template_at(template, flat)) <= 0.85
    # And as a parallel resampling does it: a plane of the template, pulled back.
    i, r = np.meshgrid(np.arange(0, 8000, 50.0), np.arange(0, 11400, 50.0), indexing="ij")
    plane = np.stack([np.full_like(i, p), i, r])
    across, down, _ = apply(affine(coronal["alignment3d"], "trv"), plane)
    pulled = apply(affine(image["alignment2d"], "tvs"), np.stack([across, down]))
    seen = image_at(pixels, pulled, TIER)
    assert correlation(seen, template_at(template, plane)) <= 0.85


@pytest.mark.parametrize(
    ("number", "index"),
    [(PRACTICE_CORONAL_COARSE, 6), (PRACTICE_TRANSVERSE, 1), (PRACTICE_SAGITTAL, 14)],
)
def test_other_datasets_lie_where_they_say(
    get_dataset: GetDataset, template: U16, get_image: GetImage, number: int, index: int
) -> None:
    dataset = get_dataset(number)
    image = dataset["section_images"][index]
    xy = section_grid(dataset, image, 50.0)
    truth = template_at(template, to_pir(dataset, image, xy))
    assert correlation(image_at(get_image(image["id"], downsample=5), xy, 5), truth) >= 0.98


def test_sagittal_sections_are_the_left_hemisphere(
    get_dataset: GetDataset, template: U16, get_image: GetImage
) -> None:
    dataset = get_dataset(PRACTICE_SAGITTAL)
    sections = dataset["section_images"]
    centres = [
        to_pir(dataset, image, np.array([[image["width"] / 2], [image["height"] / 2]]))[2, 0]
        for image in sections
    ]
    assert 950 < centres[0] < 1150
    assert 5450 < centres[-1] < 5700
    assert (np.diff(centres) > 0).all()
    for image in sections[4:18:4]:
        xy = section_grid(dataset, image, 50.0)
        pir = to_pir(dataset, image, xy)
        left = template_at(template, pir)
        ml_um = 11400 - (pir[2] + 12.5)
        assert ml_um[left > 0].min() > 5700
        pir[2] = 11375 - pir[2]
        right = template_at(template, pir)
        seen = image_at(get_image(image["id"], downsample=5), xy, 5)
        assert correlation(seen, left) >= 0.98
        assert correlation(seen, right) <= 0.93


def test_stored_alignments_are_rounded_and_close(get_dataset: GetDataset) -> None:
    for number in (PRACTICE_CORONAL, PRACTICE_SAGITTAL, PRACTICE_TRANSVERSE):
        dataset = get_dataset(number)
        corners = np.stack(np.meshgrid((0, 13200.0), (0, 8000.0), (0, 11400.0))).reshape(3, -1)
        tvr, trv = (affine(dataset["alignment3d"], prefix) for prefix in ("tvr", "trv"))
        assert all(v == float(f"{v:.6g}") for v in (*tvr.ravel(), *trv.ravel()))
        assert np.linalg.det(tvr[:, :3]) > 0
        np.testing.assert_allclose(apply(tvr, apply(trv, corners)), corners, atol=0.2)
        for image in dataset["section_images"]:
            if "alignment2d" not in image:
                continue
            tsv, tvs = (affine(image["alignment2d"], prefix) for prefix in ("tsv", "tvs"))
            um = np.array([[0, 11000.0, 0, 11000], [0, 0, 7500, 7500]])
            np.testing.assert_allclose(apply(tsv, apply(tvs, um)), um, atol=0.2)
            # A rigid motion times the resolution.
            rigid = tsv[:, :2] / image["resolution"]
            np.testing.assert_allclose(rigid @ rigid.T, np.eye(2), atol=1e-5)


def test_the_coronal_dataset_is_tilted_and_goes_backwards(coronal: Any) -> None:
    tvr = affine(coronal["alignment3d"], "tvr")
    pitch, yaw = np.degrees(np.arctan2(tvr[0, [1, 0]], np.linalg.norm(tvr[:, [1, 0]], axis=0)))
    assert 8 < abs(pitch) < 10
    assert 5 < abs(yaw) < 7
    scales = np.linalg.norm(tvr[:, :3], axis=0)
    assert (scales > 1.015).all()
    assert (scales < 1.065).all()
    numbers = [image["section_number"] for image in coronal["section_images"]]
    assert len(numbers) == 60
    assert set(np.diff(numbers)) == {8}
    ps = [
        to_pir(coronal, image, np.array([[image["width"] / 2], [image["height"] / 2]]))[0, 0]
        for image in coronal["section_images"]
        if "alignment2d" in image
    ]
    assert (np.diff(ps) < 0).all()
    assert ps[0] > 12000
    assert ps[-1] < 1200


@pytest.mark.parametrize(("number", "index"), [(PRACTICE_CORONAL, 31), (PRACTICE_SAGITTAL, 14)])
def test_no_shift_fits_better(
    get_dataset: GetDataset, template: U16, get_image: GetImage, number: int, index: int
) -> None:
    # Half a pixel of the tier, or of the atlases' two conventions, would be 6 um or more.
    dataset = get_dataset(number)
    image = dataset["section_images"][index]
    xy = section_grid(dataset, image, 25.0)
    seen = image_at(get_image(image["id"], downsample=3), xy, 3)
    pir = to_pir(dataset, image, xy)
    for axis in range(3):
        step = np.zeros((3, 1, 1))
        step[axis] = 25.0
        before, here, after = (
            correlation(seen, template_at(template, pir + n * step)) for n in (-1, 0, 1)
        )
        best_um = 12.5 * (before - after) / (before - 2 * here + after)
        assert abs(best_um) < 1.5, (axis, best_um)
