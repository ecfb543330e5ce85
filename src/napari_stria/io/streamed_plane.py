"""A streamed volume of one plane as a viewer of 2D images sees it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.io.streamed_level import StreamedLevel
from napari_stria.io.streamed_rgba import StreamedRgba


class StreamedPlane:
    """The only plane of a streamed level (1, H, W), or of packed colour as (H, W, 4).

    Parameters
    ----------
    volume : StreamedLevel or StreamedRgba
        What is read, without waiting.
    """

    def __init__(self, volume: StreamedLevel | StreamedRgba) -> None:
        self._volume = volume
        self.dtype = volume.dtype
        self.shape = volume.shape[1:]
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)

    @property
    def level(self) -> StreamedLevel:
        """The level that is shown."""
        level = self._volume.level if isinstance(self._volume, StreamedRgba) else self._volume
        assert level is not None
        return level

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Block sizes along each axis."""
        return self._volume.chunks[1:]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        return self._volume[(0, *keys)]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.asarray(self._volume[0], dtype=dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> StreamedPlane:
        # A duplicated layer shows the same pyramid.
        return self
