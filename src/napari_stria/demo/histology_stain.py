"""What practice histology looks like: stain, grain, uneven light and small damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_stria.demo.section_geometry import F64
from napari_stria.demo.section_texture import texture

Style = Literal["nissl", "fluorescence"]
F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U8OrU16 = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_VOXEL_UM = 50.0
_BRIGHTEST = 330.0
_STRIP_ROWS = 256
_CELL_UM = 6.0
# Cresyl violet: how strongly red, green and blue are absorbed; the slide's own colour.
_ABSORBED = (0.95, 1.25, 0.55)
_SLIDE = (243.0, 241.0, 240.0)
_CAMERA_OFFSET = 180.0
_FLUORESCENCE = 5200.0


def sampled_template(
    template: npt.NDArray[np.uint16], to_atlas_um: Callable[[F64], F64], shape_hw: tuple[int, int]
) -> F32:
    """Return the template at the pixels' centres, trilinear, 0 outside; about 0 to 1.

    Parameters
    ----------
    template : (AP, DV, ML) uint16 ndarray
        Space ``asr``, 50 um.
    to_atlas_um : callable
        From pixels (N, 2), counted from the corner, to (AP, DV, ML) um (N, 3).
    shape_hw : tuple of int

    Returns
    -------
    (H, W) float32 ndarray
    """
    height, width = shape_hw
    volume = np.pad(np.asarray(template), 1).astype(np.float32)
    image = np.empty(shape_hw, dtype=np.float32)
    for top in range(0, height, _STRIP_ROWS):
        rows, columns = np.mgrid[top : min(top + _STRIP_ROWS, height), 0:width]
        pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
        # Index 1 of the padded volume is the centre of the first voxel.
        index = to_atlas_um(pixels).T / _VOXEL_UM + 0.5
        strip = ndimage.map_coordinates(volume, index, order=1, mode="constant")
        image[top : top + len(rows)] = strip.reshape(rows.shape)
    return np.asarray(image / np.float32(_BRIGHTEST))


def stained(density: F32, pixel_um: float, seed: int, style: Style) -> U8OrU16:
    """Return the picture of a section.

    Parameters
    ----------
    density : (H, W) float32 ndarray
        Of cells, 0 to 1; 0 where there is no tissue.
    pixel_um : float
    seed : int
    style : {"nissl", "fluorescence"}

    Returns
    -------
    (H, W, 3) uint8 or (H, W) uint16 ndarray
        Violet cells on a bright slide (red, green, blue), or bright nuclei in the dark.
    """
    random = np.random.default_rng([seed, 9])
    tissue = np.clip(density / 0.35, 0, 1)
    grain = 1 + 4 * _grain(density.shape, pixel_um, seed)
    grain += 0.12 * _cells(density.shape, pixel_um, random)
    amount = np.clip(density * grain, 0, 1.3)
    kept, doubled = _damage(density, pixel_um, random)
    light = _light(density.shape, random)
    if style == "fluorescence":
        return _fluorescence(amount * doubled * kept, tissue * kept, light, random)
    if style != "nissl":
        raise ValueError(f'a style is "nissl" or "fluorescence", not {style!r}.')
    absorbed = (0.06 * tissue + 0.62 * amount) * doubled * kept + _dust(density.shape, random)
    slide = np.asarray(_SLIDE, dtype=np.float32) * light[..., None]
    picture = slide * np.power(10.0, -absorbed[..., None] * np.array(_ABSORBED, dtype=np.float32))
    picture += random.standard_normal(picture.shape, dtype=np.float32) * 1.5
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def _fluorescence(nuclei: F32, tissue: F32, light: F32, random: np.random.Generator) -> U16:
    signal = (_FLUORESCENCE * nuclei**1.3 + 160 * tissue) * light + _CAMERA_OFFSET
    noise = np.sqrt(signal) * 1.5 * random.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(signal + noise), 0, 65535), dtype=np.uint16)


def _cells(shape: tuple[int, ...], pixel_um: float, random: np.random.Generator) -> F32:
    """Return noise of the size of cells, or of a pixel if that is larger; mean 0, deviation 1."""
    noise = _blurred(random.standard_normal(shape, dtype=np.float32), _CELL_UM / pixel_um)
    return np.asarray((noise - noise.mean()) / noise.std())


def _grain(shape: tuple[int, ...], pixel_um: float, seed: int) -> F32:
    tier = int(np.clip(round(np.log2(max(pixel_um, 1))), 0, 5))
    return texture(seed, tier, 0, 0, (shape[0], shape[1]))


def _light(shape: tuple[int, ...], random: np.random.Generator) -> F32:
    """Return a lamp that is out of centre and darker towards the corners; about 0.8 to 1."""
    y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    x0, y0 = random.uniform(-0.35, 0.35, 2).astype(np.float32)
    squared = np.square(x[None, :] - x0) + np.square(y[:, None] - y0)
    return np.asarray(1 - 0.07 * squared, dtype=np.float32)


def _damage(density: F32, pixel_um: float, random: np.random.Generator) -> tuple[F32, F32]:
    """Return what is left of the tissue after a tear and a hole, and how thick folds make it."""
    kept = np.ones(density.shape, dtype=np.float32)
    thick = np.ones(density.shape, dtype=np.float32)
    border = _border_points(density)
    if len(border) == 0:
        return kept, thick
    middle = border.mean(axis=0)
    tear, fold, hole = border[random.choice(len(border), 3)]
    wedge = [tear + 0.08 * (tear - middle) + side for side in _aside(middle - tear, 90 / pixel_um)]
    wedge.append(tear + 0.22 * (middle - tear))
    cv2.fillPoly(kept, [np.rint(wedge).astype(np.int32)], 0.0, cv2.LINE_AA)
    place = hole + random.uniform(0.3, 0.5) * (middle - hole)
    cv2.circle(kept, _whole(place), max(round(110 / pixel_um), 1), 0.0, -1, cv2.LINE_AA)
    ends = [fold + part * (middle - fold) for part in (-0.05, 0.3)]
    cv2.line(thick, _whole(ends[0]), _whole(ends[1]), 1.6, max(round(130 / pixel_um), 1))
    blur = 30 / pixel_um
    return _blurred(kept, blur), _blurred(thick, blur)


def _border_points(density: F32) -> F64:
    """Return points (N, 2) of the tissue's longest outline, x and y."""
    tissue = (density > 0.05).astype(np.uint8)
    outlines, _ = cv2.findContours(tissue, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(outlines, key=len, default=np.empty((0, 1, 2)))
    return np.asarray(longest, dtype=np.float64).reshape(-1, 2)


def _aside(direction: F64, length: float) -> tuple[F64, F64]:
    normal = np.array([-direction[1], direction[0]]) / max(float(np.hypot(*direction)), 1e-9)
    return normal * length, -normal * length


def _dust(shape: tuple[int, ...], random: np.random.Generator) -> F32:
    dust = np.zeros(shape, dtype=np.float32)
    for _ in range(7):
        place = random.random(2) * shape[::-1]
        radius = max(round(float(random.uniform(0.002, 0.005)) * shape[1]), 1)
        cv2.circle(dust, _whole(place), radius, float(random.uniform(0.2, 0.6)), -1, cv2.LINE_AA)
    return _blurred(dust, 0.7)


def _whole(place: F64) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))


def _blurred(image: F32, sigma: float) -> F32:
    # Less than this the kernel is a single pixel.
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.4)), dtype=np.float32)
