"""A level of a streaming pyramid as a viewer sees it: an array that is sliced and read lazily."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import Box, normalized_key
from napari_stria.core.pyramid import Level
from napari_stria.errors import StreamingArrayError

if TYPE_CHECKING:
    from napari_stria.io.streaming import ProgressivePyramid


def whole_box(shape: Sequence[int]) -> Box:
    """Return the box of all voxels of a shape."""
    return tuple(slice(0, n) for n in shape)


def padded_shapes(levels: Sequence[Level]) -> list[tuple[int, ...]]:
    """Return level shapes whose ratios are exactly the ratios of the voxel sizes.

    A viewer places a coarse level by the ratio of the shapes; where a side is odd that ratio is
    not the true one, and the coarse picture would be stretched by up to a voxel. The extra voxels
    are background. Where that would take more than 64 of them the true shapes are kept.
    """
    shapes = [list(level.shape) for level in levels]
    for axis in range(3):
        finest = levels[0].scale_um[axis]
        factors = [Fraction(lv.scale_um[axis] / finest).limit_denominator(64) for lv in levels]
        step = math.lcm(*(f.numerator for f in factors))
        reach = max(math.ceil(s[axis] * f) for s, f in zip(shapes, factors, strict=True))
        padded = -(-reach // step) * step
        if padded - levels[0].shape[axis] > 64:
            continue
        for shape, factor in zip(shapes, factors, strict=True):
            shape[axis] = int(padded / factor)
    return [tuple(s) for s in shapes]


class StreamedLevel:
    """One level of a `ProgressivePyramid`, as a viewer sees it: an array that reads lazily.

    Slicing returns a view; ``np.asarray`` of a view reads, without waiting. The whole level is
    refused, because that would load a volume: scripts use ``atlas.annotation.levels[i].data``.
    """

    def __init__(self, pyramid: ProgressivePyramid, number: int, shape: tuple[int, ...]) -> None:
        self.pyramid = pyramid
        self.number = number
        self.shape = shape
        self.dtype = pyramid.dtype
        self.ndim = len(shape)
        self.size = math.prod(shape)

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Block sizes along each axis; the last one reaches to the padded end."""
        level = self.pyramid.source.levels[self.number]
        return tuple(
            (*sizes[:-1], sizes[-1] + padded - true)
            for sizes, padded, true in zip(level.chunks, self.shape, level.shape, strict=True)
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> StreamedView:
        none = (False,) * self.ndim
        return StreamedView(self, whole_box(self.shape), none, none).at(key, by_slider=False)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        raise StreamingArrayError(
            "this layer streams and never holds a whole volume; export it, or compute "
            "atlas.annotation.levels[i].data in Python."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> StreamedLevel:
        # A duplicated layer shows the same pyramid.
        return self


class StreamedView:
    """A box of a streamed level; read by ``np.asarray``."""

    def __init__(
        self,
        level: StreamedLevel,
        box: Box,
        dropped: tuple[bool, ...],
        by_slider: tuple[bool, ...],
    ) -> None:
        self._level = level
        self._box = box
        self._dropped = dropped
        self._by_slider = by_slider
        self.dtype = level.dtype
        self.shape = tuple(
            s.stop - s.start for s, gone in zip(box, dropped, strict=True) if not gone
        )
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)

    def __getitem__(self, key: Any) -> StreamedView:
        # napari's slicer takes the displayed part of a level first and the sliders' planes of that
        # view then; nobody else has a reason to. A plane taken of the level itself is exact.
        return self.at(key, by_slider=True)

    def at(self, key: Any, *, by_slider: bool) -> StreamedView:
        """Return a part of this view; `by_slider` says what its single planes were chosen by."""
        box, ints, steps = normalized_key(key, self.shape)
        if any(step != 1 for step in steps):
            raise IndexError("a streamed view is sliced with steps of 1 only")
        inner = iter(zip(box, ints, strict=True))
        new_box, dropped, planes = [], [], []
        for s, gone, plane in zip(self._box, self._dropped, self._by_slider, strict=True):
            if gone:
                new_box.append(s)
                dropped.append(True)
                planes.append(plane)
                continue
            part, is_int = next(inner)
            new_box.append(slice(s.start + part.start, s.start + part.stop))
            dropped.append(is_int)
            planes.append(is_int and by_slider)
        return StreamedView(self._level, tuple(new_box), tuple(dropped), tuple(planes))

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        pyramid = self._level.pyramid
        data = pyramid.read_planes(self._level.number, self._box, self._by_slider)
        data = np.asarray(data[tuple(0 if gone else slice(None) for gone in self._dropped)])
        return data.astype(self.dtype if dtype is None else dtype, copy=False)
