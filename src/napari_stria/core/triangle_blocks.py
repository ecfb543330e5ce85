"""The triangles that a line or a plane meets, without looking at all of a mesh."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.mesh import RegionMesh

_BLOCK = 128
_GRID_BITS = 10

F64 = npt.NDArray[np.float64]


class TriangleBlocks:
    """The triangles of a mesh in blocks of neighbours, each with the box around it.

    Making one sorts the triangles once; a line or a plane is then compared with the boxes, and
    with the triangles of the few boxes that it crosses.

    Parameters
    ----------
    mesh : RegionMesh
        At least one triangle.
    """

    def __init__(self, mesh: RegionMesh) -> None:
        triangles = mesh.vertices_um[mesh.faces]
        order = np.argsort(_z_order(triangles.mean(axis=1)), kind="stable")
        self._triangles = triangles[order]
        self._starts = np.arange(0, len(order), _BLOCK)
        self._low = np.minimum.reduceat(self._triangles.min(axis=1), self._starts)
        self._high = np.maximum.reduceat(self._triangles.max(axis=1), self._starts)

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self._triangles.nbytes + self._low.nbytes + self._high.nbytes

    def first_hit(self, start_um: npt.ArrayLike, end_um: npt.ArrayLike) -> float | None:
        """Return where a line meets the mesh first.

        Parameters
        ----------
        start_um, end_um : (3,) array_like
            Its ends, in the mesh's coordinates.

        Returns
        -------
        float or None
            0 at the start, 1 at the end; None where it meets no triangle.
        """
        start = np.asarray(start_um, dtype=np.float64)
        along = np.asarray(end_um, dtype=np.float64) - start
        near = self._of_blocks(_crosses(self._low, self._high, start, along))
        places = _hits(near.astype(np.float64), start, along)
        return float(places.min()) if places.size else None

    def near_plane(self, axis: int, at_um: float) -> npt.NDArray[np.float32]:
        """Return the triangles (K, 3, 3) of the boxes that a plane crosses.

        Parameters
        ----------
        axis : int
            The axis that the plane is perpendicular to.
        at_um : float
            Where it lies along it.
        """
        return self._of_blocks((self._low[:, axis] <= at_um) & (at_um <= self._high[:, axis]))

    def _of_blocks(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        parts = [self._triangles[s : s + _BLOCK] for s in self._starts[wanted]]
        return np.concatenate(parts) if parts else self._triangles[:0]


def _z_order(points: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return numbers that are near for points that are near: Morton's, of a grid."""
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    cells = ((points - low) / np.where(size > 0, size, 1) * (2**_GRID_BITS - 1)).astype(np.int64)
    code = np.zeros(len(points), dtype=np.int64)
    for bit in range(_GRID_BITS):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return code


def _crosses(
    low: npt.NDArray[np.float32], high: npt.NDArray[np.float32], start: F64, along: F64
) -> npt.NDArray[np.bool_]:
    """Tell which boxes a line between two points crosses (the slab method)."""
    enter, leave = np.zeros(len(low)), np.ones(len(low))
    for axis in range(3):
        if along[axis] == 0:
            leave[(start[axis] < low[:, axis]) | (start[axis] > high[:, axis])] = -1
            continue
        one = (low[:, axis] - start[axis]) / along[axis]
        other = (high[:, axis] - start[axis]) / along[axis]
        enter = np.maximum(enter, np.minimum(one, other))
        leave = np.minimum(leave, np.maximum(one, other))
    # A box may be flat and the line may graze it: rounding must not lose it.
    hit: npt.NDArray[np.bool_] = enter <= leave + 1e-6
    return hit


def _hits(triangles: F64, start: F64, along: F64) -> F64:
    """Return where a line meets triangles, from either side (Möller and Trumbore 1997)."""
    corner = triangles[:, 0]
    edge1, edge2 = triangles[:, 1] - corner, triangles[:, 2] - corner
    across = np.cross(along, edge2)
    size = np.einsum("ij,ij->i", edge1, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = start - corner
        u = np.einsum("ij,ij->i", off, across) / size
        turned = np.cross(off, edge1)
        v = turned @ along / size
        place = np.einsum("ij,ij->i", edge2, turned) / size
        # Not finite for triangles along the line, which are none of its hits.
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (place >= 0) & (place <= 1)
    hits: F64 = place[inside]
    return hits
