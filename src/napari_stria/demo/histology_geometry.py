"""Where practice histology lies in the practice brain, in plain numpy.

Nothing here uses the geometry of the product, so that an error there cannot cancel here. A pixel
(x, y), counted from the image's corner, goes through

1. a smooth warp, in pixels: ``w = (x, y) + d(x, y)``;
2. the image in its plane, in um: ``v = R(rotation) (flip * scale * size * (w - middle)) + shift``;
3. the plane in the brain, in um: ``pivot + vx * X + vy * Y``.

X and Y are the plane's right and down, turned by pitch about X (the lower edge goes to greater
positions) and then by yaw about Y (the right edge does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_grid import EXTENT_UM
from napari_stria.demo.section_geometry import F64, rotation

HistologyPlane = Literal["coronal", "horizontal", "sagittal"]
Pair = tuple[float, float]

# Brain axes (0 AP, 1 DV, 2 ML; space asr) of a plane's right, of its down, and the one across it.
_AXES: dict[str, tuple[int, int, int]] = {
    "coronal": (2, 1, 0),
    "horizontal": (2, 0, 1),
    "sagittal": (0, 1, 2),
}
_WAVES = 4
_MOST_CYCLES = 0.7
_STEEPEST = 0.6


@dataclass(frozen=True)
class HistologyPlace:
    """A practice section's place in the brain without its warp.

    Attributes
    ----------
    plane : {"coronal", "horizontal", "sagittal"}
    position_um : float
        Where the plane cuts the line through the brain's middle: AP, DV or ML in um, ``asr``.
    pitch_deg, yaw_deg : float
        The plane turned about its x axis, then about its y axis.
    rotation_deg : float
        The image turned in the plane, clockwise on screen.
    scale_xy : tuple of float
        Times the pixel size: above 1 for tissue that shrank.
    shift_um : tuple of float
        The image's middle in the plane, from the pivot; x right, y down.
    flipped : bool
        Whether the image is mirrored left-right about its middle first.
    """

    plane: HistologyPlane
    position_um: float
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0
    rotation_deg: float = 0.0
    scale_xy: Pair = (1.0, 1.0)
    shift_um: Pair = (0.0, 0.0)
    flipped: bool = False

    def affine(self, shape_hw: tuple[int, int], pixel_um: float) -> F64:
        """Return the (3, 3) matrix from (x, y, 1), in pixels, to (AP, DV, ML) um."""
        mirror = -1.0 if self.flipped else 1.0
        stretch = np.diag([mirror * self.scale_xy[0], self.scale_xy[1]]) * pixel_um
        in_plane = rotation(2, self.rotation_deg)[:2, :2] @ stretch
        in_plane = np.column_stack([in_plane, self.shift_um - in_plane @ _middle(shape_hw)])
        matrix = self._directions() @ in_plane
        matrix[:, 2] += self._pivot()
        return np.asarray(matrix)

    def _pivot(self) -> F64:
        pivot = np.array(EXTENT_UM) / 2
        pivot[_AXES[self.plane][2]] = self.position_um
        return pivot

    def _directions(self) -> F64:
        """Return X and Y as columns (3, 2)."""
        right, down, across = np.eye(3)[list(_AXES[self.plane])]
        pitch, yaw = np.deg2rad([self.pitch_deg, self.yaw_deg])
        y = np.cos(pitch) * down + np.sin(pitch) * across
        normal = np.cos(pitch) * across - np.sin(pitch) * down
        return np.column_stack([np.cos(yaw) * right + np.sin(yaw) * normal, y])


@dataclass(frozen=True, eq=False)
class SmoothWarp:
    """A sum of long waves without its best affine part: bends tissue, but does not move it.

    Attributes
    ----------
    cycles : (K, 2) float64 ndarray
        Cycles of each wave a pixel, along x and y.
    phases : (K,) float64 ndarray
    weights : (K, 2) float64 ndarray
        Amplitudes in pixels, along x and y.
    linear : (3, 2) float64 ndarray
        What (x, y, 1) times it takes away.
    """

    cycles: F64
    phases: F64
    weights: F64
    linear: F64

    def __call__(self, pixels_xy: npt.ArrayLike) -> F64:
        """Return where pixels (..., 2) go, in pixels (..., 2)."""
        pixels = np.asarray(pixels_xy, dtype=np.float64)
        waves = np.sin(pixels @ (2 * np.pi * self.cycles.T) + self.phases)
        lost = pixels @ self.linear[:2] + self.linear[2]
        return np.asarray(pixels + waves @ self.weights - lost)

    def gradients(self, pixels_xy: npt.ArrayLike) -> F64:
        """Return how the shift changes at pixels (..., 2): (..., 2, 2), rows d/dx and d/dy."""
        angle = 2 * np.pi * self.cycles.T
        slopes = np.cos(np.asarray(pixels_xy, dtype=np.float64) @ angle + self.phases)
        return np.asarray((slopes[..., None, :] * angle) @ self.weights - self.linear[:2])

    def inverse(self, warped_xy: npt.ArrayLike) -> F64:
        """Return the pixels (..., 2) that go to these places, to 1e-9 pixels.

        A wave nowhere moves two neighbours by more than a part of their distance, so that repeated
        substitution converges.
        """
        warped = np.asarray(warped_xy, dtype=np.float64)
        pixels = warped.copy()
        for _ in range(60):
            step = warped - self(pixels)
            pixels += step
            if step.size == 0 or np.abs(step).max() < 1e-9:
                break
        return pixels


def smooth_warp(seed: int, shape_hw: tuple[int, int], amplitude_px: float) -> SmoothWarp:
    """Return a seeded warp that moves pixels by up to about so much.

    Parameters
    ----------
    seed : int
    shape_hw : tuple of int
        Rows and columns of the image.
    amplitude_px : float
        The longest shift within the ellipse that fills the image; 0 for no warp.

    Raises
    ------
    ValueError
        If the image is too small for so much: the warp could fold.
    """
    random = np.random.default_rng([seed, 5])
    size_xy = np.array(shape_hw[::-1], dtype=np.float64)
    angles = 2 * np.pi * (np.arange(_WAVES) + random.random(_WAVES)) / _WAVES
    lengths = random.uniform(0.5 * _MOST_CYCLES, _MOST_CYCLES, _WAVES)
    cycles = np.column_stack([np.cos(angles), np.sin(angles)]) * lengths[:, None] / size_xy
    phases = random.uniform(0, 2 * np.pi, _WAVES)
    weights = random.uniform(0.5, 1, (_WAVES, 2)) * random.choice([-1, 1], (_WAVES, 2))
    plain = SmoothWarp(cycles, phases, weights, np.zeros((3, 2)))

    inside = _ellipse(shape_hw)
    design = np.column_stack([inside, np.ones(len(inside))])
    linear: F64 = np.linalg.lstsq(design, plain(inside) - inside, rcond=None)[0].astype(np.float64)
    without = SmoothWarp(cycles, phases, weights, linear)
    longest = np.linalg.norm(without(inside) - inside, axis=1).max()
    factor = amplitude_px / longest
    warp = SmoothWarp(cycles, phases, weights * factor, linear * factor)
    steepest = float(np.linalg.norm(warp.gradients(_grid(shape_hw)), 2, axis=(-2, -1)).max())
    if steepest > _STEEPEST:
        raise ValueError(
            f"a warp of {amplitude_px} pixels could fold an image of {shape_hw} pixels."
        )
    return warp


def _grid(shape_hw: tuple[int, int]) -> F64:
    """Return 1,600 points (N, 2), x and y, all over the image."""
    across = (np.arange(40) + 0.5) / 20 - 1
    grid = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    return np.asarray((1 + grid) * _middle(shape_hw))


def _ellipse(shape_hw: tuple[int, int]) -> F64:
    """Return those of the ellipse that fills the image."""
    grid, middle = _grid(shape_hw), _middle(shape_hw)
    return np.asarray(grid[np.linalg.norm(grid / middle - 1, axis=1) < 1])


def _middle(shape_hw: tuple[int, int]) -> F64:
    return np.array([shape_hw[1] / 2, shape_hw[0] / 2])
