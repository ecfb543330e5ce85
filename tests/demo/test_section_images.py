"""Downloads of section images: their parameters, tiers, textures and the expression view."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.demo.practice_sections import (
    PRACTICE_BROKEN_IMAGE,
    PRACTICE_CORONAL,
    PRACTICE_SAGITTAL,
    PRACTICE_UNREGISTERED,
    TIER_COUNT,
)
from napari_stria.demo.server import DemoServer

GetImage = Callable[..., npt.NDArray[np.uint8]]


@pytest.fixture(scope="module")
def sections(get_dataset: Callable[[int], Any]) -> Any:
    return get_dataset(PRACTICE_CORONAL)["section_images"]


@pytest.fixture(scope="module")
def section(sections: Any) -> Any:
    """In the middle of the brain, on a slide with others."""
    found = sections[31]
    assert found["x"] > 0
    assert found["y"] > 0
    assert found["image_width"] > found["x"] + found["width"]
    return found


def box_mean(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    rows, columns = (size // 2 * 2 for size in pixels.shape[:2])
    even = pixels[:rows, :columns].astype(float)
    blocks = even.reshape(rows // 2, 2, columns // 2, 2, 3)
    return np.asarray(blocks.mean(axis=(1, 3)))


def region(section: Any, tier: int, *, at: tuple[int, int], size: int) -> dict[str, int]:
    """Ask for a square of the section: corner relative to its box and size, full-resolution."""
    left, top = at
    edge = size // 2**tier
    corner = {"left": section["x"] + left, "top": section["y"] + top}
    return {"downsample": tier, **corner, "width": edge, "height": edge}


def difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


@pytest.mark.parametrize("tier", [3, 6])
def test_the_default_is_the_sections_box(section: Any, get_image: GetImage, tier: int) -> None:
    pixels = get_image(section["id"], downsample=tier)
    size = (-(-section["height"] // 2**tier), -(-section["width"] // 2**tier))
    assert pixels.shape == (*size, 3)


def test_the_corner_is_the_slides_and_the_size_the_tiers(section: Any, get_image: GetImage) -> None:
    whole = get_image(section["id"], downsample=3)
    part = get_image(section["id"], **region(section, 3, at=(1600, 800), size=2048))
    assert part.shape == (256, 256, 3)
    assert difference(part, whole[100:356, 200:456]) < 1.5
    # Half a pixel off would be seen.
    assert difference(part, whole[100:356, 201:457]) > 2 * difference(part, whole[100:356, 200:456])


@pytest.mark.parametrize("view", [None, "expression"])
@pytest.mark.parametrize("tier", range(TIER_COUNT - 1))
def test_each_tier_is_the_average_of_the_finer_one(
    section: Any, get_image: GetImage, tier: int, view: str | None
) -> None:
    more = {} if view is None else {"view": view}
    size = 256 * 2 ** min(tier + 1, 4)
    fine = get_image(section["id"], **region(section, tier, at=(1024, 1024), size=size), **more)
    asked = region(section, tier + 1, at=(1024, 1024), size=size)
    coarse = get_image(section["id"], **asked, **more)
    assert coarse.mean() > 2
    assert difference(box_mean(fine), coarse) < 2.5
    assert abs(float(fine.mean()) - float(coarse.mean())) < 0.5


def test_what_is_outside_the_box_is_blank(section: Any, get_image: GetImage) -> None:
    pixels = get_image(section["id"], downsample=4, left=-1600, top=-1600, width=700, height=600)
    x, y = (section[axis] / 16 + 100 for axis in "xy")
    inside = get_image(section["id"], downsample=4)
    rows, columns = inside.shape[:2]
    first, start = round(y), round(x)
    assert pixels[: first - 1].max() < 10
    assert pixels[:, : start - 1].max() < 10
    assert pixels[first + rows + 1 :].max(initial=0) < 10
    assert pixels[:, start + columns + 1 :].max(initial=0) < 10
    assert difference(pixels[first : first + rows, start : start + columns], inside) < 4
    beyond = get_image(section["id"], downsample=2, left=10**5, top=0, width=64, height=32)
    assert beyond.shape == (32, 64, 3)
    assert beyond.max() == 0


def test_tissue_is_bright_textured_and_coloured(section: Any, get_image: GetImage) -> None:
    pixels = get_image(section["id"], **region(section, 0, at=(3000, 800), size=256)).astype(float)
    blue, green, red = pixels.mean(axis=(0, 1))
    assert min(blue, green, red) > 60
    assert blue > red + 2 > green + 4
    fine = pixels.mean(axis=2)
    assert 1.5 < (fine[:, 1:] - fine[:, :-1]).std() < 15


@pytest.mark.parametrize("tier", [1, 3])
def test_files_have_a_realistic_size(get: Callable[..., Any], section: Any, tier: int) -> None:
    path = f"/image_download/{section['id']}"
    best, usual = (len(get(path, downsample=tier, **more).body) for more in ({}, {"quality": 85}))
    assert get(path, downsample=tier, quality=100).body == get(path, downsample=tier).body
    size = section["width"] * section["height"] / 4**tier
    assert 0.3 < best / size < 0.8
    assert usual < best / 3


def test_sections_differ_in_texture_and_brightness(sections: Any, get_image: GetImage) -> None:
    one, other = (
        get_image(image["id"], **region(image, 0, at=(3000, 800), size=256)).mean(axis=2)
        for image in sections[31:33]
    )
    one, other = (fine - np.roll(fine, 1, axis=1) for fine in (one, other))
    assert abs(np.corrcoef(one[:, 1:].ravel(), other[:, 1:].ravel())[0, 1]) < 0.1


def test_expression_is_denser_on_the_left_and_in_bright_regions(
    section: Any, get_image: GetImage
) -> None:
    tissue = get_image(section["id"], downsample=4).mean(axis=2)
    discs = get_image(section["id"], downsample=4, view="expression").max(axis=2)
    columns = discs.shape[1]
    # x grows with r: the left side comes first.
    left, right = discs[:, : columns // 2], discs[:, columns // 2 :]
    assert left.mean() > 2 * right.mean()
    bright, dark = tissue > 110, (tissue > 20) & (tissue < 70)
    assert bright.any()
    assert discs[bright].mean() > 2 * discs[dark].mean()
    assert discs[tissue < 1].mean() < 1


def test_discs_are_ten_micrometres_wide(section: Any, get_image: GetImage) -> None:
    asked = region(section, 0, at=(1500, 1500), size=512)
    pixels = get_image(section["id"], view="expression", **asked)
    lit = pixels.max(axis=2) > 100
    # Each lit cell of 16 pixels holds one disc.
    cells = lit[4:484, 4:484].sum() / max(
        sum(
            lit[row : row + 16, column : column + 16].any()
            for row in range(4, 484, 16)
            for column in range(4, 484, 16)
        ),
        1,
    )
    assert 12 < cells < 40
    assert np.ptp(pixels[lit].mean(axis=0)) > 10
    assert (pixels.max(axis=2) < 20).mean() > 0.7


def test_other_views_and_numbers_are_refused(get: Callable[..., Any], section: Any) -> None:
    path = f"/section_image_download/{section['id']}"
    assert get(path, downsample=TIER_COUNT - 1).status == 200
    for wrong in (
        {"downsample": TIER_COUNT},
        {"downsample": -1},
        {"quality": 101},
        {"width": 0},
        {"width": "wide"},
        {"left": "1.5"},
        {"view": "tumor"},
        {"width": 60000, "height": 60000},
    ):
        answer = get(path, **wrong)
        assert (answer.status, answer.headers["Content-Type"][:5]) == (400, "text/"), wrong
    assert get("/section_image_download/123").status == 404


def test_one_image_is_broken_for_ever(get: Callable[..., Any]) -> None:
    for tier in (3, 4):
        answer = get(f"/section_image_download/{PRACTICE_BROKEN_IMAGE}", downsample=tier)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.body.startswith(b"<!doctype html>")


def test_sections_without_alignment_have_images(
    get_dataset: Callable[[int], Any], get_image: GetImage, sections: Any
) -> None:
    unregistered = get_dataset(PRACTICE_UNREGISTERED)["section_images"][0]
    (unaligned,) = [image for image in sections if "alignment2d" not in image]
    for image in (unregistered, unaligned):
        assert get_image(image["id"], downsample=5).mean() > 20


def test_downloads_at_once_are_the_same(allen: DemoServer, get: Callable[..., Any]) -> None:
    path = "/section_image_download/990100030"
    answers: list[bytes] = []

    def download() -> None:
        answers.append(get(path, downsample=4).body)

    threads = [threading.Thread(target=download) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert allen.counters.image_requests >= 4


def test_a_big_section_comes_whole(get_dataset: Callable[[int], Any], get_image: GetImage) -> None:
    image = get_dataset(PRACTICE_SAGITTAL)["section_images"][12]
    pixels = get_image(image["id"], downsample=1, quality=60)
    assert pixels.shape == (-(-image["height"] // 2), -(-image["width"] // 2), 3)
    # Strips leave no seams.
    steps = np.abs(np.diff(pixels[:, 2500:3500].astype(float).mean(axis=(1, 2))))
    assert steps.max() < 6
