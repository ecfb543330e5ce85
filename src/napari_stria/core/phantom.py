"""The practice brain: a seeded, left-right asymmetric synthetic mouse brain.

Its geometry is invented (ellipsoids, shells and half-spaces, in mm), drawn freely after a mouse
brain; nothing of it is measured, and it must not be used for science. Ids, acronyms, names and
colours of its regions are those of the Allen Mouse Brain ontology, so that everything that knows
this ontology also works with the practice brain.

Arrays are (AP, DV, ML) in the space ``asr``: index 0 is anterior, superior, right. Left and right
differ in shape, so that a lost or doubled mirroring shows up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_grid import F32, Mask, Points, grid_shape, slabs
from napari_stria.core.phantom_regions import PRACTICE_IDS
from napari_stria.core.phantom_shapes import (
    AREAS,
    BULBS,
    CEREBELLAR_CORE,
    CEREBELLAR_NUCLEI,
    CEREBELLUM,
    DEEP,
    HIND,
    HIPPOCAMPUS,
    STRAIGHT,
    VENTRICLES,
    Blob,
)

Labels = npt.NDArray[np.uint32]
_Length = float | F32
_MEAN_RADIUS_MM = 3.5


def _squared_radius(offsets: tuple[F32, F32, F32], radii: tuple[_Length, _Length, _Length]) -> F32:
    """Return 1 on the surface of an ellipsoid, less inside; radii may vary from place to place."""
    ap, dv, out = (
        np.square(offset / radius) for offset, radius in zip(offsets, radii, strict=True)
    )
    return np.asarray(ap + dv + out, dtype=np.float32)


def _select(where: Mask, yes: _Length, no: _Length) -> F32:
    return np.where(where, yes, no).astype(np.float32)


def _taper(p: Points) -> F32:
    return np.asarray(1 - 0.1 * np.maximum(0, 7.2 - p.ap), dtype=np.float32)


def _cerebrum_radius(p: Points) -> F32:
    """Squared radius in the cerebral hemispheres, 1 at their surface; pear-shaped, two lobes."""
    lobe = p.out - 1.5
    medial = np.interp(p.dv, (3.4, 5.4), (3.5, 5.0)).astype(np.float32)
    width = _select(lobe > 0, p.side(3.75, 3.6) * _taper(p), medial)
    length = _select(p.ap < 6.2, 4.5, p.side(4.45, 4.2))
    height = _select(p.dv < 4.1, 3.5, 3.15)
    return _squared_radius((p.ap - 6.2, p.dv - 4.1, lobe), (length, height, width))


def _core_radius(p: Points) -> F32:
    """Squared radius in what the cortex wraps, 1 at the border of grey and white matter."""
    lobe = p.out - 1.9
    width = _select(lobe > 0, p.side(2.55, 2.4) * _taper(p), 3.2)
    height = _select(p.dv < 4.3, 2.4, p.side(2.4, 2.3))
    return _squared_radius((p.ap - 6.3, p.dv - 4.3, lobe), (3.35, height, width))


def _blob_radius(p: Points, blob: Blob) -> F32:
    _, _, (ap, dv, out), radii, (dv_ap, out_ap, out_dv) = blob
    along, down = p.ap - ap, p.dv - dv
    aside = p.out - (out + out_ap * along + out_dv * down)
    return _squared_radius((along, down - dv_ap * along, aside), radii)


def _paint(labels: Labels, where: Mask, acronym: str) -> None:
    labels[where] = PRACTICE_IDS[acronym]


def _paint_blobs(
    labels: Labels,
    p: Points,
    blobs: tuple[Blob, ...],
    *,
    within: Mask | None = None,
    ripple: F32 | float = 1.0,
) -> None:
    """Paint ellipsoids, later over earlier ones; `ripple` scales the squared radius."""
    for blob in blobs:
        acronym, side, (ap, _, _), (r_ap, _, _), _ = blob
        if p.ap.min() > ap + 1.2 * r_ap or p.ap.max() < ap - 1.2 * r_ap:
            continue
        inside = _blob_radius(p, blob) * ripple < 1
        if side != "B":
            inside &= p.is_left if side == "L" else ~p.is_left
        if within is not None:
            inside &= within
        _paint(labels, inside, acronym)


def _cortical_area(p: Points, cortex: Mask) -> npt.NDArray[np.uint32]:
    """Return the area of each cortical voxel: the cell of the power diagram it lies in."""
    ap, dv, out = (np.broadcast_to(v, p.shape)[cortex] for v in (p.ap, p.dv, p.out))
    left = np.broadcast_to(p.is_left, p.shape)[cortex]
    arc = _MEAN_RADIUS_MM * np.arctan2(out, 4.3 - dv)
    best = np.full(ap.shape, np.inf, dtype=np.float32)
    area = np.zeros(ap.shape, dtype=np.uint32)
    for acronym, *seeds in AREAS:
        for seed, here in zip(seeds, (left, ~left), strict=True):
            if seed is None:
                continue
            power = np.square(ap - seed[0]) + np.square(arc - seed[1]) - seed[2]
            nearer = here & (power < best)
            best[nearer] = power[nearer]
            area[nearer] = PRACTICE_IDS[acronym]
    return area


def _paint_retrosplenial(labels: Labels, p: Points, cortex: Mask) -> None:
    """Paint the ventral part on the medial wall, layered by the distance from the midline."""
    depth = p.side(0.95, 1.05)
    wall = cortex & (p.ap > p.side(6.5, 6.8)) & (p.out < depth)
    wall &= (p.dv > 1.55 + 0.15 * p.out) & (p.dv < 3.2)
    for acronym, edge in (
        ("RSPv", 1.1),
        ("RSPv5", p.side(0.75, 0.85)),
        ("RSPv2/3", p.side(0.5, 0.42)),
        ("RSPv1", p.side(0.28, 0.22)),
    ):
        _paint(labels, wall & (p.out < edge), acronym)


def _paint_hippocampus(labels: Labels, p: Points, core: F32) -> None:
    """Paint bands under the white matter that curl down the side the further back they lie."""
    angle = np.arctan2(p.out - 0.3, 4.4 - p.dv)
    reach = 0.35 + p.side(0.62, 0.7) * (p.ap - 5.9)
    curl = (p.ap > 5.9 + 0.1 * p.out) & (p.ap < 9.6) & (angle < np.minimum(reach, 2.3))
    inner = 0.2 + 0.22 * np.clip((p.dv - 3.4) / 1.5, 0, 1)
    band = curl & (core < 0.8) & (core > inner) & (p.out > 0.12) & (p.dv < 2.7 + 1.1 * p.out)
    _paint(labels, band & (core > 0.52), "CA1")
    _paint(labels, band & (core <= 0.52) & (core > 0.45), "HIP")
    _paint(labels, band & (core <= 0.45), "CA3")
    _paint_blobs(labels, p, HIPPOCAMPUS, within=band & (core < 0.5))


def _paint_cerebrum(labels: Labels, p: Points) -> None:
    radius, core = _cerebrum_radius(p), _core_radius(p)
    # The brain stem lies between the hemispheres' hind ends, under their roof.
    stem = (labels != 0) & (p.ap > 7) & (p.dv > 2.1)
    inside = (radius < 1) & ~stem
    cortex = inside & (core >= 1)
    labels[cortex] = _cortical_area(p, cortex)
    _paint_retrosplenial(labels, p, cortex)
    white = inside & (core < 1)
    deep = (radius < 1) & ((core < 0.82) | (p.dv > 5))
    _paint(labels, white, "fiber tracts")
    callosum = white & (core > p.side(0.8, 0.83)) & (p.dv < 3.9) & (p.ap < 8.9)
    _paint_blobs(labels, p, DEEP, within=deep)
    _paint(labels, callosum, "cc")
    _paint_hippocampus(labels, p, core)
    _paint_blobs(labels, p, VENTRICLES, within=deep)


def _paint_slab(p: Points) -> npt.NDArray[np.uint32]:
    labels = np.zeros(p.shape, dtype=np.uint32)
    _paint_blobs(labels, p, (("root", "B", (10.3, 4.0, 0.0), (1.4, 1.7, 2.3), STRAIGHT),))
    _paint_blobs(labels, p, BULBS)
    fold = np.cos(15 * np.arctan2(p.ap - 11.0, 5.0 - p.dv))
    folia = 1 + 0.07 * np.clip(4.3 - p.dv, 0, 1) * fold
    _paint_blobs(labels, p, CEREBELLUM, ripple=folia)
    # The white matter reaches into the folds, so its surface waves five times as much.
    _paint_blobs(labels, p, CEREBELLAR_CORE, ripple=5 * folia - 4)
    _paint_blobs(labels, p, CEREBELLAR_NUCLEI)
    _paint_blobs(labels, p, HIND)
    _paint_cerebrum(labels, p)
    return labels


def practice_annotation(resolution_um: float = 50.0) -> npt.NDArray[np.uint32]:
    """Return the practice brain's regions, sampled at the voxel centres of a resolution.

    Parameters
    ----------
    resolution_um : float
        Edge of a voxel in um; each edge of `EXTENT_UM` must be a whole number of them.

    Returns
    -------
    (AP, DV, ML) uint32 ndarray
        Region ids, 0 outside the brain; space ``asr``.

    Raises
    ------
    CoordinateError
        If the extent is not a whole number of voxels.
    """
    shape = grid_shape(resolution_um)
    labels = np.empty(shape, dtype=np.uint32)
    for planes, points in slabs(shape, resolution_um):
        labels[planes] = _paint_slab(points)
    return labels
