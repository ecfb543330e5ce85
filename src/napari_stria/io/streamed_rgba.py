"""Streamed voxels of packed colour as a viewer of RGBA images sees them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import normalized_key
from napari_stria.io.streamed_level import StreamedLevel, StreamedView

_CHANNELS = 4


class StreamedRgba:
    """A streamed level (or a view of it) of packed uint32, with an axis of four uint8 more.

    Parameters
    ----------
    packed : StreamedLevel or StreamedView
        Red is the lowest byte, alpha the highest.
    """

    def __init__(self, packed: StreamedLevel | StreamedView) -> None:
        self._packed = packed
        self.dtype = np.dtype(np.uint8)
        self.shape = (*packed.shape, _CHANNELS)
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)

    @property
    def level(self) -> StreamedLevel | None:
        """The level, None if this is a view of one."""
        return self._packed if isinstance(self._packed, StreamedLevel) else None

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Block sizes along each axis."""
        assert isinstance(self._packed, StreamedLevel)
        return (*self._packed.chunks, (_CHANNELS,))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> StreamedRgba | npt.NDArray[np.uint8]:
        box, ints, steps = normalized_key(key, self.shape)
        spatial = tuple(
            s.start if is_int else slice(s.start, s.stop, step)
            for s, is_int, step in zip(box[:-1], ints[:-1], steps[:-1], strict=True)
        )
        inner = StreamedRgba(self._packed[spatial])
        if ints[-1] or box[-1] != slice(0, _CHANNELS) or steps[-1] != 1:
            channels = box[-1].start if ints[-1] else slice(box[-1].start, box[-1].stop, steps[-1])
            return np.asarray(np.asarray(inner)[..., channels])
        return inner

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        # Not ascontiguousarray, which makes an array of one axis of a single voxel.
        packed = np.asarray(np.asarray(self._packed), dtype="<u4", order="C")
        rgba = packed.reshape(*packed.shape, 1).view(np.uint8)
        return rgba if dtype is None else rgba.astype(dtype, copy=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> StreamedRgba:
        # A duplicated layer shows the same pyramid.
        return self
