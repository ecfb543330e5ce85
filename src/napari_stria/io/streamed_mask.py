"""Regions of a streamed annotation as a mask, made of its chunks and with none of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.io.streamed_level import StreamedLevel, StreamedView


class StreamedMask:
    """A streamed level of display indices (or a view of it), each looked up in a table when read.

    It reads as its level reads: without waiting, and what is missing is asked for. A chunk that
    the annotation has is neither fetched nor kept a second time.

    Parameters
    ----------
    indices : StreamedLevel or StreamedView
        Of an annotation; see `LabelLookup.to_index`.
    table : (N + 2,) uint8 ndarray
        1 for the indices that belong to the mask; 0 for all others.
    """

    def __init__(self, indices: StreamedLevel | StreamedView, table: npt.NDArray[np.uint8]) -> None:
        self._indices = indices
        self.table = table
        self.dtype = table.dtype
        self.shape = indices.shape
        self.ndim = indices.ndim
        self.size = indices.size

    @property
    def level(self) -> StreamedLevel | None:
        """The level, None if this is a view of one."""
        return self._indices if isinstance(self._indices, StreamedLevel) else None

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Block sizes along each axis."""
        assert isinstance(self._indices, StreamedLevel)
        return self._indices.chunks

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> StreamedMask:
        return StreamedMask(self._indices[key], self.table)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        mask = np.asarray(self.table[np.asarray(self._indices)])
        return mask if dtype is None else mask.astype(dtype, copy=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> StreamedMask:
        # A duplicated layer shows the same mask.
        return self
