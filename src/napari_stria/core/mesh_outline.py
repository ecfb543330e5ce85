"""Where a plane cuts triangles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def plane_outline(
    triangles_um: npt.NDArray[np.float32], axis: int, at_um: float
) -> npt.NDArray[np.float32]:
    """Return where triangles cross a plane.

    Parameters
    ----------
    triangles_um : (K, 3, 3) float32 ndarray
        Corners (AP, DV, ML), for example of `TriangleBlocks.near_plane`.
    axis : int
        The axis that the plane is perpendicular to: 0 AP, 1 DV, 2 ML.
    at_um : float
        Where the plane lies along it.

    Returns
    -------
    (S, 2, 3) float32 ndarray
        Both ends of each piece of the outline, (AP, DV, ML) in um.
    """
    # A corner counts as above or below, never as on the plane: then each triangle that is
    # crossed has one corner alone on its side, and two crossed edges.
    above = triangles_um[:, :, axis] >= at_um
    count = above.sum(axis=1)
    cut = (count > 0) & (count < 3)
    crossed, sides = triangles_um[cut].astype(np.float64), above[cut]
    lonely = np.where(count[cut] == 1, sides.argmax(axis=1), (~sides).argmax(axis=1))
    rows = np.arange(len(crossed))
    tip = crossed[rows, lonely]
    ends = []
    for step in (1, 2):
        foot = crossed[rows, (lonely + step) % 3]
        share = (at_um - tip[:, axis]) / (foot[:, axis] - tip[:, axis])
        point = tip + share[:, None] * (foot - tip)
        point[:, axis] = at_um
        ends.append(point)
    return np.stack(ends, axis=1).astype(np.float32)
