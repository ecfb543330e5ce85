"""How well a section fits to a plane of an atlas, at a coarse resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from threading import Event
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import (
    binary_closing,
    binary_fill_holes,
    binary_opening,
    map_coordinates,
)

from napari_stria.core.atlas import Atlas
from napari_stria.core.coarse_volume import CoarseVolume, coarse_volume
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError
from napari_stria.registration.plane_pose import PADDED
from napari_stria.registration.similarity import (
    BinnedValues,
    binned,
    joint_histogram,
    normalized_information,
)
from napari_stria.registration.tissue import background_level, tissue_mask

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pair = tuple[float, float]

_BINS = 20
# Of the section's size, added where its edge is background.
_MARGIN = 0.15
# Above this part of tissue an edge of the image cuts the section.
_CUT = 0.1
# Pixels over which sparse signal is joined; which powers brighten it, and when that is needed.
_CLOSING = 8
_LEAST_POWER = 0.1
_SPARSE_POWER = 0.5


@dataclass(frozen=True, eq=False)
class CoarseSection:
    """A section at the resolution of a search.

    Attributes
    ----------
    grey : (h, w) float32 ndarray
        With a margin of background where the image's edge is background.
    tissue : (h, w) bool ndarray
    middle_um : (h, w, 2) float64 ndarray
        Each pixel's centre (x, y), in um from the image's middle.
    noise : float
        By how much the image's edges differ from the background.
    """

    grey: F32
    tissue: Mask
    middle_um: F64
    noise: float = 0.0

    def evened(self) -> CoarseSection:
        """Return the section with sparse signal made visible, as where few cells are stained.

        Unchanged if its typical tissue is bright enough. Else differences from the background are
        raised to a power that makes it mid-grey, and the tissue is all that lies between signal.
        """
        contrast = np.abs(self.grey - np.float32(background_level(self.grey)))
        largest = max(float(contrast.max()), 1e-6)
        signal = np.pad(contrast > 2 * self.noise + 1e-3 * largest, _CLOSING)
        closed = binary_fill_holes(binary_closing(signal, iterations=_CLOSING))
        tissue = binary_opening(closed, iterations=2)[_CLOSING:-_CLOSING, _CLOSING:-_CLOSING]
        if not tissue.any():
            return self
        typical = float(np.clip(np.median(contrast[tissue]) / largest, 1e-6, 0.99))
        power = max(math.log(0.5) / math.log(typical), _LEAST_POWER)
        if power > _SPARSE_POWER:
            return self
        even = np.asarray((contrast / largest) ** power, dtype=np.float32)
        return CoarseSection(even, np.asarray(tissue), self.middle_um, self.noise)


def coarse_section(grey: F32, pixel_size_um: Pair, voxel_um: float) -> CoarseSection:
    """Return a section in square pixels of about a voxel's size."""
    rows, columns = grey.shape
    width, height = columns * pixel_size_um[0], rows * pixel_size_um[1]
    small = max(round(width / voxel_um), 8), max(round(height / voxel_um), 8)
    image: F32 = np.asarray(cv2.resize(grey, small, interpolation=cv2.INTER_AREA), np.float32)
    tissue = tissue_mask(image)
    x, y = width / small[0], height / small[1]
    edges = (tissue[0], tissue[-1], tissue[:, 0], tissue[:, -1])
    sizes = (small[1], small[1], small[0], small[0])
    top, bottom, left, right = (
        0 if edge.mean() > _CUT else round(_MARGIN * n)
        for edge, n in zip(edges, sizes, strict=True)
    )
    pad = ((top, bottom), (left, right))
    background = np.float32(background_level(grey))
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    noise = float(np.quantile(np.abs(rim - background), 0.98))
    image = np.pad(image, pad, constant_values=background)
    at_y = (np.arange(image.shape[0]) - top + 0.5) * y - height / 2
    at_x = (np.arange(image.shape[1]) - left + 0.5) * x - width / 2
    centres = np.stack(np.meshgrid(at_x, at_y), axis=-1)
    return CoarseSection(image, np.pad(tissue, pad), centres, noise)


class PlaneScore(Protocol):
    """Tells how well a section fits where a map puts it."""

    def __call__(self, middle_to_atlas: Affine) -> float:
        """Return the similarity for a map from um (x, y) from the image's middle to atlas um."""
        ...


class TemplateScore:
    """Normalised mutual information of the section's and the template's brightness.

    Parameters
    ----------
    section : CoarseSection
    template : CoarseVolume
        Means.
    """

    def __init__(self, section: CoarseSection, template: CoarseVolume) -> None:
        self._points = section.middle_um.reshape(-1, 2)
        self._section = binned(section.grey, _BINS)
        self._volume = template.values
        self._to_index = template.atlas_to_index
        some = template.values[template.values > 0]
        self._limits = (0.0, float(np.percentile(some, 99.5)) if some.size else 1.0)

    def __call__(self, middle_to_atlas: Affine) -> float:
        """See `PlaneScore`."""
        at = (self._to_index @ middle_to_atlas)(self._points).T
        values = map_coordinates(self._volume, at, order=1, mode="constant")
        there: BinnedValues = binned(values, _BINS, self._limits)
        return normalized_information(joint_histogram(self._section, there))


class RegionScore:
    """How much of the section's brightness its regions explain, for atlases without template.

    The part of the variance that lies between the regions (the correlation ratio), less what as
    many random regions would explain. It does not mind which region is bright.

    Parameters
    ----------
    section : CoarseSection
    regions : CoarseVolume
        Small whole numbers, 0 beyond the brain.
    """

    def __init__(self, section: CoarseSection, regions: CoarseVolume) -> None:
        self._points = section.middle_um.reshape(-1, 2)
        self._values = section.grey.ravel().astype(np.float64)
        self._total = float(self._values.var()) or 1.0
        self._volume = np.pad(regions.values, 1)
        self._to_index = PADDED @ regions.atlas_to_index
        self._n = int(regions.values.max(initial=0)) + 1

    def __call__(self, middle_to_atlas: Affine) -> float:
        """See `PlaneScore`."""
        at = np.rint((self._to_index @ middle_to_atlas)(self._points)).astype(np.intp)
        ap, dv, ml = np.clip(at, 0, np.array(self._volume.shape) - 1).T
        region = self._volume[ap, dv, ml]
        counts = np.bincount(region, minlength=self._n)
        sums = np.bincount(region, self._values, self._n)
        there = counts > 0
        n, k = len(region), int(there.sum())
        between = float((sums[there] ** 2 / counts[there]).sum()) / n - self._values.mean() ** 2
        left = 1 - between / self._total
        return float(1 - left * (n - 1) / max(n - k, 1))


@dataclass(frozen=True, eq=False)
class PlaneFit:
    """What a section is compared with.

    Attributes
    ----------
    score : PlaneScore
    brain : CoarseVolume
        Above 0 in the brain.
    """

    score: PlaneScore
    brain: CoarseVolume


def plane_fit(
    section: CoarseSection,
    atlas: Atlas,
    voxel_um: float,
    *,
    template: str | None = None,
    cancel: Event | None = None,
) -> PlaneFit:
    """Return how a section is compared with an atlas: with a template, or else with its regions.

    Parameters
    ----------
    section : CoarseSection
    atlas : Atlas
    voxel_um : float
        The largest voxel that is compared.
    template : str, optional
        The first by default.
    cancel : threading.Event, optional

    Raises
    ------
    CoordinateError
        If the atlas has no such template.
    TaskCancelled
        If `cancel` was set.
    """
    if template is not None and template not in atlas.templates:
        raise CoordinateError(
            f"{atlas.name} has no template {template!r}; it has {sorted(atlas.templates)}."
        )
    labels = coarse_volume(atlas.annotation, voxel_um, "middle", cancel=cancel)
    # Small numbers in place of ids; 0 stays 0, since it is the least and is put in front.
    _, numbers = np.unique(np.append(labels.values.ravel(), 0), return_inverse=True)
    regions = replace(labels, values=numbers[:-1].reshape(labels.values.shape).astype(np.intp))
    if not atlas.templates:
        return PlaneFit(RegionScore(section, regions), regions)
    name = template or next(iter(atlas.templates))
    image = coarse_volume(atlas.templates[name], voxel_um, "mean", cancel=cancel)
    return PlaneFit(TemplateScore(section, image), regions)
