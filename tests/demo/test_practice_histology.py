"""Practice histology: its truth is what the pixels show, and what its files say."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_grid import EXTENT_UM
from napari_stria.core.section_plane import AtlasFrame, SectionPlacement
from napari_stria.demo.histology_files import (
    FLUORESCENCE_FILE,
    SERIES_FILE,
    practice_series,
    write_practice_histology,
)
from napari_stria.demo.histology_geometry import HistologyPlane, smooth_warp
from napari_stria.demo.practice_histology import PracticeHistology, practice_histology

Template = npt.NDArray[np.uint16]
F64 = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def annotation() -> npt.NDArray[np.uint32]:
    return practice_annotation()


@pytest.fixture(scope="module")
def tilted(template: Template) -> PracticeHistology:
    return practice_histology(
        3,
        position_um=7300,
        pitch_deg=7,
        yaw_deg=-5,
        rotation_deg=11,
        scale=(1.05, 1.1),
        shift_um=(250, -120),
        warp_px=14,
        template=template,
    )


def centres(shape_hw: tuple[int, int]) -> F64:
    rows, columns = np.mgrid[: shape_hw[0], : shape_hw[1]]
    return np.stack([columns, rows], axis=-1) + 0.5


def regions(annotation: npt.NDArray[np.uint32], points_um: F64) -> npt.NDArray[np.uint32]:
    index = np.floor(points_um / 50).astype(int)
    inside = ((index >= 0) & (index < annotation.shape)).all(axis=-1)
    index[~inside] = 0
    return np.where(inside, annotation[tuple(np.moveaxis(index, -1, 0))], 0).astype(np.uint32)


def violet(section: PracticeHistology) -> npt.NDArray[np.bool_]:
    """Where there is stained tissue: the slide is grey."""
    return np.asarray(np.ptp(section.pixels.astype(int), axis=-1) > 16)


@pytest.mark.parametrize("plane", ["coronal", "horizontal", "sagittal"])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_place_is_the_product_s(plane: HistologyPlane, flipped: bool) -> None:
    section = practice_histology(
        plane=plane,
        position_um=5000,
        pitch_deg=9,
        yaw_deg=-4,
        rotation_deg=20,
        scale=(1.1, 0.9),
        shift_um=(300, -200),
        flipped=flipped,
        size=(40, 60),
        warp_px=0,
        template=np.zeros((264, 160, 228), np.uint16),
    )
    placement = SectionPlacement(
        plane, 5000, 9, -4, 20, scale_xy=(1.1, 0.9), shift_um=(300, -200), flipped=flipped
    )
    same = placement.section_to_atlas(AtlasFrame(EXTENT_UM), (40, 60), section.pixel_size_um)
    np.testing.assert_allclose(section.affine, same.matrix, atol=1e-8)


def test_the_pixels_show_what_the_truth_says(
    tilted: PracticeHistology, annotation: npt.NDArray[np.uint32], template: Template
) -> None:
    truth = tilted.section_to_atlas_um(centres(tilted.shape_hw))
    tissue = regions(annotation, truth) > 0
    wrong = (violet(tilted) != tissue).sum() / tissue.sum()
    assert wrong < 0.03
    assert likeness(tilted, template, truth) > 0.85
    mirrored = truth * [1, 1, -1] + [0, 0, EXTENT_UM[2]]
    assert likeness(tilted, template, mirrored) < 0.6


def test_without_its_warp_the_truth_fits_worse(
    tilted: PracticeHistology, template: Template
) -> None:
    pixels = centres(tilted.shape_hw)
    straight = pixels @ tilted.affine[:, :2].T + tilted.affine[:, 2]
    truth = likeness(tilted, template, tilted.section_to_atlas_um(pixels))
    assert likeness(tilted, template, straight) < truth - 0.05


def likeness(section: PracticeHistology, template: Template, points_um: F64) -> float:
    """How well darkness within the tissue follows the template's brightness at these points."""
    tissue = violet(section)
    brightness = regions(template.astype(np.uint32), points_um)[tissue]
    darkness = -cv2.GaussianBlur(section.pixels, (0, 0), 1.5).mean(axis=-1)[tissue]
    return float(np.corrcoef(brightness, darkness)[0, 1])


@pytest.mark.parametrize("seed", range(5))
def test_a_warp_is_as_large_as_asked_and_goes_back(seed: int) -> None:
    warp = smooth_warp(seed, (480, 660), 20)
    pixels = centres((480, 660))[::8, ::8].reshape(-1, 2)
    moved = warp(pixels)
    from_middle = np.linalg.norm((pixels / [660, 480] - 0.5) * 2, axis=1)
    shifts = np.linalg.norm(moved - pixels, axis=1)[from_middle < 1]
    assert shifts.max() == pytest.approx(20, rel=0.05)
    np.testing.assert_allclose(warp.inverse(moved), pixels, atol=1e-7)
    step = np.array([0.0, 1e-4])
    slope = (warp(pixels + step) - warp(pixels - step) - 2 * step) / 2e-4
    np.testing.assert_allclose(slope, warp.gradients(pixels)[:, 1], atol=1e-7)


def test_a_warp_has_no_affine_part() -> None:
    pixels = centres((300, 400)).reshape(-1, 2)
    pixels = pixels[np.linalg.norm((pixels / [400, 300] - 0.5) * 2, axis=1) < 1]
    moved = smooth_warp(4, (300, 400), 9)(pixels)
    design = np.column_stack([pixels, np.ones(len(pixels))])
    fit = np.linalg.lstsq(design, moved, rcond=None)[0]
    np.testing.assert_allclose(fit, np.eye(3, 2), atol=0.05)


def test_a_warp_that_could_fold_is_refused() -> None:
    with pytest.raises(ValueError, match="could fold"):
        smooth_warp(1, (60, 60), 30)


def test_landmarks_are_spread_over_the_tissue(
    tilted: PracticeHistology, annotation: npt.NDArray[np.uint32]
) -> None:
    pixels = tilted.landmarks_xy
    assert 12 <= len(pixels) <= 16
    near = pixels[:, None] + np.array([[0, 0], [4, 0], [-4, 0], [0, 4], [0, -4]])
    labels = regions(annotation, tilted.section_to_atlas_um(near))
    assert (labels > 0).any(axis=1).all()
    assert np.ptp(pixels, axis=0).min() > 200
    np.testing.assert_allclose(tilted.atlas_um_to_section(tilted.landmarks_um), pixels, atol=1e-6)


def test_styles(template: Template) -> None:
    bright, dark = (
        practice_histology(2, style=style, size=(240, 330), pixel_um=40, template=template)
        for style in ("nissl", "fluorescence")
    )
    assert bright.pixels.dtype == np.uint8
    assert bright.pixels.shape == (240, 330, 3)
    assert dark.pixels.dtype == np.uint16
    assert dark.pixels.shape == (240, 330)
    corner, middle = (slice(0, 20), slice(0, 20)), (slice(100, 140), slice(100, 140))
    assert bright.pixels[middle].mean() < bright.pixels[corner].mean() - 50
    assert dark.pixels[middle].mean() > dark.pixels[corner].mean() + 1000
    again = practice_histology(2, size=(240, 330), pixel_um=40, template=template)
    np.testing.assert_array_equal(again.pixels, bright.pixels)


@pytest.fixture(scope="module")
def series_file(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Path:
    return write_practice_histology(tmp_path_factory.mktemp("histology") / "series", template)


def test_the_files_of_the_series(series_file: Path, template: Template) -> None:
    assert series_file.name == SERIES_FILE
    slices = json.loads(series_file.read_bytes())["slices"]
    assert [s["nr"] for s in slices] == [1, 2, 3, 4, 5]
    assert ["anchoring" in s for s in slices] == [True, False, True, False, True]
    for fields, section in zip(slices, practice_series(template), strict=True):
        pixels = cv2.imread(str(series_file.parent / fields["filename"]))
        assert pixels is not None
        np.testing.assert_array_equal(pixels[..., ::-1], section.pixels)
        assert (fields["height"], fields["width"]) == section.shape_hw
        if "anchoring" not in fields:
            continue
        o, u, v = np.reshape(fields["anchoring"], (3, 3))
        # A quarter along x, half along y; x to the right, y to the front, z up.
        x, y, z = 50 * (o + u / 4 + v / 2)
        height, width = section.shape_hw
        truth = section.affine @ [width / 4, height / 2, 1]
        extent_ap, extent_dv, extent_ml = EXTENT_UM
        np.testing.assert_allclose((extent_ap - y, extent_dv - z, extent_ml - x), truth)


def test_the_ome_tiff_knows_its_pixel_size(series_file: Path) -> None:
    with tifffile.TiffFile(series_file.with_name(FLUORESCENCE_FILE)) as tiff:
        pixels = tiff.asarray()
        assert pixels.shape == (1000, 1360)
        assert pixels.dtype == np.uint16
        assert 'PhysicalSizeX="10.0"' in str(tiff.ome_metadata)
