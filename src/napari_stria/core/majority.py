"""The label that fills most of each voxel of a coarser (or any other) grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.labels import run_starts
from napari_stria.core.pyramid import BlockReader, read_box
from napari_stria.core.resampled_grid import AxisWindows, Ratios, axis_windows

Labels = npt.NDArray[Any]
Windows = tuple[AxisWindows, AxisWindows, AxisWindows]
# Sums that are kept at once.
_BINS = 1 << 21


@dataclass(frozen=True, eq=False)
class MajorityReader:
    """Reads the source voxels beneath the block asked, all of them at once, and no others.

    Attributes
    ----------
    source : BlockReader
        Labels.
    ratios : three Fractions
        Length of a voxel in source voxels along each axis; from `countable_ratios`.
    shape : tuple of int
        Voxels along each axis; each has its centre inside the source.
    chunk_shape : tuple of int
        Voxels of a whole block.
    """

    source: BlockReader
    ratios: Ratios
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        return self.source.dtype

    def read_block(self, index: BlockIndex) -> Labels | None:
        """Return a block; None if there is nothing but background beneath it."""
        box = block_box(index, self.chunk_shape, self.shape)
        ap, dv, ml = (
            axis_windows(n, ratio, part.start, part.stop)
            for n, ratio, part in zip(self.source.shape, self.ratios, box, strict=True)
        )
        beneath = tuple(slice(int(w.start[0]), int(w.stop[-1])) for w in (ap, dv, ml))
        labels = read_box(self.source, beneath)
        if not labels.any():
            return None
        return majority(labels, (ap, dv, ml))


def majority(labels: Labels, windows: Windows) -> Labels:
    """Return the label with the largest volume in each window.

    Background (0) is a label as any other. Of labels with the same volume the one at the window's
    centre is taken if it is among them, else the smallest. Volumes are whole numbers, so that
    equal ones are equal.

    Parameters
    ----------
    labels : (AP, DV, ML) integer ndarray
        It begins with the first voxel that the windows cover.
    windows : three AxisWindows
        One an axis.

    Returns
    -------
    ndarray
        One label a window, of the same type.
    """
    known, codes = _coded(labels)
    if len(known) == 1:
        shape = [len(w.start) for w in windows]
        return np.full(shape, known[0], dtype=labels.dtype)
    starts, stops, centres = (
        [getattr(w, name) - w.start[0] for w in windows] for name in ("start", "stop", "centre")
    )
    winners = _reduced(codes, starts, stops, np.minimum)
    mixed = winners != _reduced(codes, starts, stops, np.maximum)
    central = codes[np.ix_(*centres)]
    votes = _Votes(codes, windows, len(known))
    for plane in np.flatnonzero(mixed.any(axis=(1, 2))).tolist():
        at = mixed[plane]
        winners[plane][at] = votes.winners(plane, at, central[plane][at])
    return known[winners]


def _coded(labels: Labels) -> tuple[Labels, Labels]:
    """Return the labels that occur, ascending, and for each voxel its label's number there."""
    flat = np.ascontiguousarray(labels).reshape(-1)
    starts = run_starts(flat)
    known, numbers = np.unique(flat[starts], return_inverse=True)
    small = np.uint8 if len(known) <= 1 << 8 else np.uint16 if len(known) <= 1 << 16 else np.uint32
    lengths = np.diff(starts, append=flat.size)
    return known, np.repeat(numbers.astype(small), lengths).reshape(labels.shape)


def _reduced(
    codes: Labels,
    starts: list[npt.NDArray[np.int64]],
    stops: list[npt.NDArray[np.int64]],
    extreme: Callable[..., Labels],
) -> Labels:
    """Return the least or greatest code in each window, axis by axis."""
    for axis, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        out = codes.take(start, axis)
        for step in range(1, int((stop - start).max())):
            extreme(out, codes.take(np.minimum(start + step, stop - 1), axis), out=out)
        codes = out
    return codes


class _Votes:
    """Adds up how much of a window each code fills, for windows that hold several.

    Voxels are cut where windows meet: a voxel that lies in two windows is a piece of each.
    """

    def __init__(self, codes: Labels, windows: Windows, n_codes: int) -> None:
        self._planes = codes.reshape(len(codes), -1)
        self._n_codes = n_codes
        self._ap = windows[0]
        (dv, self._dv_of, dv_lengths), (ml, self._ml_of, ml_lengths) = map(_pieces, windows[1:])
        self._voxels = np.add.outer(dv * codes.shape[2], ml)
        # Below 2^53 for a whole window (`countable_ratios`), and so exact.
        self._areas = np.multiply.outer(dv_lengths, ml_lengths).astype(np.float64)

    def winners(self, plane: int, mixed: Labels, central: Labels) -> Labels:
        """Return the code that fills most of each mixed window of a plane of windows.

        Parameters
        ----------
        plane : int
            Number of the windows along AP.
        mixed : (DV, ML) bool ndarray
            Which of them hold several codes.
        central : (R,) ndarray
            The codes at their centres.
        """
        rows = np.full(mixed.shape, -1, dtype=np.int64)
        rows[mixed] = np.arange(len(central))
        row_of = rows[np.ix_(self._dv_of, self._ml_of)]
        won = np.empty_like(central)
        at_once = max(1, _BINS // self._n_codes)
        for first in range(0, len(central), at_once):
            last = min(first + at_once, len(central))
            pieces = np.nonzero((row_of >= first) & (row_of < last))
            volumes = self._volumes(plane, row_of[pieces] - first, pieces, last - first)
            most = volumes.max(axis=1)
            centre = central[first:last]
            at_centre = volumes[np.arange(len(centre)), centre] == most
            # argmax gives the first of several, which is the smallest label.
            won[first:last] = np.where(at_centre, centre, volumes.argmax(axis=1))
        return won

    def _volumes(self, plane: int, rows: Labels, pieces: Any, n_rows: int) -> Labels:
        """Return an (n_rows, codes) table of volumes; `rows` is the row of each piece."""
        n_codes, voxels, areas = self._n_codes, self._voxels[pieces], self._areas[pieces]
        table = np.zeros(n_rows * n_codes)
        beneath = int(self._ap.start[plane] - self._ap.start[0])
        for step, length in enumerate(self._ap.lengths(plane).tolist()):
            codes = self._planes[beneath + step].take(voxels)
            table += np.bincount(rows * n_codes + codes, areas * length, len(table))
        return table.reshape(n_rows, n_codes)


def _pieces(windows: AxisWindows) -> tuple[Any, Any, Any]:
    """Return the voxel, the window and the length of each piece along an axis."""
    sizes = windows.stop - windows.start
    window = np.repeat(np.arange(len(sizes)), sizes)
    voxel = np.concatenate([np.arange(a, b) for a, b in zip(windows.start, windows.stop)])
    lengths = np.concatenate([windows.lengths(j) for j in range(len(sizes))])
    return voxel - windows.start[0], window, lengths
