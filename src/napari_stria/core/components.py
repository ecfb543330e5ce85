"""Connected pixels of a mask that is looked at in parts: which parts of objects belong together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import Box, overlap

Numbers = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
_LOW, _HIGH = 0, 1


@dataclass(frozen=True, eq=False)
class TilePieces:
    """The pieces of objects in one part of a mask, as its neighbours have to know them.

    Attributes
    ----------
    box : tuple of slice
        Which part of the mask.
    count : int
        Pieces in it.
    faces : tuple of (ndarray or None, ndarray or None)
        For each axis the numbers (1 to `count`, 0 where there is nothing) of the first and of the
        last pixels along it; None for a face without a piece.
    """

    box: Box
    count: int
    faces: tuple[tuple[Numbers | None, Numbers | None], ...]


def tile_pieces(mask: npt.NDArray[np.bool_], box: Box) -> tuple[Numbers, TilePieces]:
    """Return numbers, from 1, of the connected pixels of one part of a mask.

    Parameters
    ----------
    mask : bool ndarray
        The part.
    box : tuple of slice
        Where it lies in the whole.

    Returns
    -------
    numbers : int32 ndarray of the mask's shape
        0 outside objects. Pixels with a common edge (voxels with a common face) are connected, as
        in `scipy.ndimage.label`.
    pieces : TilePieces
        For `ComponentJoiner`.
    """
    from scipy import ndimage

    numbers = np.zeros(mask.shape, dtype=np.int32)
    count = int(ndimage.label(mask, output=numbers))
    faces = tuple(
        (_face(numbers, axis, 0), _face(numbers, axis, -1)) for axis in range(numbers.ndim)
    )
    return numbers, TilePieces(box, count, faces)


def _face(numbers: Numbers, axis: int, at: int) -> Numbers | None:
    face = np.take(numbers, at, axis=axis)
    return face if face.any() else None


class ComponentJoiner:
    """Joins the pieces of objects across the borders of the parts that a mask was cut into.

    Only faces whose other side has not come yet are kept.

    Parameters
    ----------
    shape : tuple of int
        Of the whole mask. The parts must fill it and may come in any order.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._count = 0
        self._pairs: list[I64] = []
        self._waiting: dict[tuple[int, int, int], list[_Face]] = defaultdict(list)

    @property
    def n_waiting(self) -> int:
        """How many faces wait for their other side."""
        return sum(len(faces) for faces in self._waiting.values())

    def add(self, pieces: TilePieces) -> int:
        """Take the pieces of one part.

        Returns
        -------
        int
            What their numbers grow by: pieces of all parts have numbers of their own, from 1.
        """
        offset = self._count
        self._count += pieces.count
        for axis, faces in enumerate(pieces.faces):
            along = pieces.box[axis]
            lateral = (*pieces.box[:axis], *pieces.box[axis + 1 :])
            for end, place, border in (
                (_LOW, along.start, 0),
                (_HIGH, along.stop, self._shape[axis]),
            ):
                if place != border:
                    self._meet((axis, place, end), _Face(lateral, faces[end], offset))
        return offset

    def _meet(self, key: tuple[int, int, int], face: _Face) -> None:
        axis, place, end = key
        across = (axis, place, _HIGH if end == _LOW else _LOW)
        for other in self._waiting[across]:
            self._pairs.extend(face.touching(other))
        left = [other for other in self._waiting.pop(across) if other.open_px]
        if left:
            self._waiting[across] = left
        if face.open_px:
            self._waiting[key].append(face)

    def objects(self) -> I64:
        """Return the number of the object that each piece belongs to.

        Returns
        -------
        (N + 1,) int64 ndarray
            By the piece's number; objects are numbered from 1 in the order of their first pieces.
            The first entry stands for no piece and is 0.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = self._count + 1
        pairs = np.concatenate([np.zeros((2, 0), np.int64), *self._pairs], axis=1)
        graph = coo_array((np.ones(pairs.shape[1], dtype=np.int8), (pairs[0], pairs[1])), (n, n))
        _, found = connected_components(graph, directed=False)
        # In the order in which they come, whatever scipy's is; nothing joins with 0.
        _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return np.asarray(rank[inverse])


class _Face:
    """One side of a part, and how many of its pixels have not met their neighbours."""

    def __init__(self, lateral: Box, numbers: Numbers | None, offset: int) -> None:
        self.lateral = lateral
        self.numbers = numbers
        self.offset = offset
        self.open_px = int(np.prod([s.stop - s.start for s in lateral], dtype=np.int64))

    def touching(self, other: _Face) -> list[I64]:
        """Return pairs (2, k) of pieces that touch; both faces have met there then."""
        mine, theirs = overlap(self.lateral, other.lateral)
        shape = [s.stop - s.start for s in mine]
        if any(n <= 0 for n in shape):
            return []
        met = int(np.prod(shape, dtype=np.int64))
        self.open_px -= met
        other.open_px -= met
        if self.numbers is None or other.numbers is None:
            return []
        a, b = self.numbers[mine], other.numbers[theirs]
        both = (a != 0) & (b != 0)
        pairs = np.stack([a[both].astype(np.int64), b[both].astype(np.int64)])
        pairs = np.unique(pairs, axis=1)
        return [pairs + np.array([[self.offset], [other.offset]])] if pairs.size else []
