"""The practice brain: a seeded, left-right asymmetric synthetic mouse brain.

Its geometry is invented (ellipsoids, shells and half-spaces, in mm), drawn freely after a mouse
brain; nothing of it is measured, and it must not be used for science. Ids, acronyms, names and
colours of its regions are those of the Allen Mouse Brain ontology, so that everything that knows
this ontology also works with the practice brain.

Arrays are (AP, DV, ML) in the space ``asr``: index 0 is anterior, superior, right. Left and right
differ in shape, so that a lost or doubled mirroring shows up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_regions import PRACTICE_IDS
from napari_stria.errors import CoordinateError

EXTENT_UM: tuple[float, float, float] = (13200.0, 8000.0, 11400.0)
LEVELS_UM = (50.0, 100.0, 200.0)

F32 = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]
_Length = float | F32

# -- geometry: mm from the anterior, superior and middle plane ---------------------------------
# acronym, side (B both, L, R), centre (AP, DV, lateral), radii, shear (dDV/dAP, dlat/dAP, dlat/dDV)
_Triple = tuple[float, float, float]
_Blob = tuple[str, str, _Triple, _Triple, _Triple]
_STRAIGHT = (0.0, 0.0, 0.0)
_BULBS: tuple[_Blob, ...] = (
    ("MOB", "L", (2.0, 3.75, 0.95), (1.75, 1.4, 0.9), (-0.1, 0.1, 0.0)),
    ("MOB", "R", (2.1, 3.75, 0.85), (1.5, 1.25, 0.8), (-0.1, 0.1, 0.0)),
)
_HIND: tuple[_Blob, ...] = (
    ("MB", "L", (9.0, 4.3, 0.0), (1.7, 2.3, 2.3), _STRAIGHT),
    ("MB", "R", (9.0, 4.3, 0.0), (1.7, 2.3, 2.15), _STRAIGHT),
    ("IC", "L", (10.0, 2.9, 0.85), (0.75, 1.0, 0.95), _STRAIGHT),
    ("IC", "R", (9.95, 2.85, 0.9), (0.8, 1.1, 1.15), _STRAIGHT),
    ("PAG", "B", (9.2, 3.7, 0.0), (1.3, 0.75, 0.7), (0.1, 0.0, 0.0)),
    ("MY", "L", (11.3, 5.55, 0.0), (1.9, 1.45, 1.95), (0.1, -0.25, 0.0)),
    ("MY", "R", (11.3, 5.55, 0.0), (1.9, 1.45, 2.2), (0.1, -0.2, 0.0)),
    ("P", "B", (9.6, 6.0, 0.0), (1.35, 1.4, 1.9), (0.0, 0.0, -0.2)),
)
_CEREBELLUM: tuple[_Blob, ...] = (
    ("CBX", "B", (11.3, 2.75, 0.0), (1.6, 1.95, 1.6), _STRAIGHT),
    ("CBX", "L", (11.1, 3.1, 2.35), (1.25, 1.5, 1.9), (0.0, -0.3, 0.0)),
    ("CBX", "R", (11.2, 3.1, 2.2), (1.15, 1.4, 1.6), (0.0, -0.2, 0.0)),
    ("CBX", "L", (11.0, 4.6, 3.5), (0.75, 0.6, 0.5), _STRAIGHT),
    ("CBX", "R", (11.1, 4.7, 3.3), (0.6, 0.75, 0.6), _STRAIGHT),
)
_CEREBELLAR_CORE: tuple[_Blob, ...] = (
    ("fiber tracts", "B", (11.2, 3.1, 0.0), (1.0, 1.35, 0.9), _STRAIGHT),
    ("fiber tracts", "L", (11.1, 3.35, 1.9), (0.7, 0.85, 1.5), (0.0, -0.3, 0.0)),
    ("fiber tracts", "R", (11.2, 3.35, 1.8), (0.65, 0.8, 1.2), (0.0, -0.2, 0.0)),
)
_CEREBELLAR_NUCLEI: tuple[_Blob, ...] = (
    ("CBN", "L", (11.1, 3.75, 1.15), (0.6, 0.5, 0.95), _STRAIGHT),
    ("CBN", "R", (11.2, 3.8, 1.0), (0.45, 0.4, 0.65), (0.3, 0.0, 0.0)),
)
_DEEP: tuple[_Blob, ...] = (
    ("STR", "B", (4.5, 3.6, 0.0), (1.2, 1.5, 0.9), (0.3, 0.0, 0.0)),
    ("CP", "L", (5.3, 4.15, 2.45), (2.5, 1.85, 1.35), (0.3, 0.25, 0.15)),
    ("CP", "R", (5.0, 4.2, 2.35), (2.0, 1.6, 1.15), (0.15, 0.4, 0.3)),
    ("STR", "L", (4.2, 6.0, 1.3), (1.3, 0.95, 1.1), _STRAIGHT),
    ("STR", "R", (4.4, 6.0, 1.45), (1.35, 1.05, 1.2), _STRAIGHT),
    ("PAL", "L", (5.7, 5.4, 1.85), (1.1, 0.7, 0.75), (0.1, 0.4, 0.0)),
    ("PAL", "R", (5.5, 5.35, 1.6), (0.75, 0.9, 0.45), (0.0, 0.2, 0.3)),
    ("CTXsp", "R", (6.8, 5.8, 2.9), (1.6, 1.0, 0.95), (0.0, 0.0, 0.2)),
    ("BLA", "R", (6.9, 5.7, 3.1), (1.1, 0.75, 0.5), (0.0, 0.15, 0.35)),
    ("HY", "L", (6.5, 6.2, 0.0), (2.0, 1.3, 1.4), _STRAIGHT),
    ("HY", "R", (6.5, 6.2, 0.0), (2.0, 1.3, 1.25), _STRAIGHT),
    ("TH", "L", (7.0, 4.3, 0.0), (1.6, 1.3, 2.25), (0.1, 0.0, 0.0)),
    ("TH", "R", (7.0, 4.3, 0.0), (1.6, 1.3, 2.0), (0.1, 0.0, 0.0)),
)
_HIPPOCAMPUS: tuple[_Blob, ...] = (
    ("DG", "L", (7.6, 3.1, 1.15), (1.15, 0.42, 0.95), (0.15, 0.35, 0.0)),
    ("DG", "R", (7.75, 3.2, 1.35), (1.5, 0.5, 1.1), (0.2, 0.35, 0.0)),
)
_VENTRICLES: tuple[_Blob, ...] = (
    ("VL", "L", (4.9, 3.3, 1.0), (1.5, 0.85, 0.17), (0.0, 0.25, -0.35)),
    ("VL", "R", (5.0, 3.3, 1.0), (1.9, 1.0, 0.36), (0.0, 0.25, -0.35)),
    ("V3", "B", (6.6, 5.3, 0.0), (1.15, 1.75, 0.14), _STRAIGHT),
)
# Cortical areas are the cells of a power diagram on the unrolled cortex:
# acronym, then (AP, arc from the midline, weight) in mm and mm2 for left and right; None = absent.
_AREAS: tuple[tuple[str, _Triple | None, _Triple | None], ...] = (
    ("ACA", (4.4, -0.6, 0.3), (4.7, -0.6, 0.1)),
    ("MOs", (3.2, 1.5, 0.8), (2.9, 1.5, 0.2)),
    ("MOp", (4.3, 2.7, 0.2), (4.2, 2.9, 1.0)),
    ("ORB", (2.6, 5.6, 0.2), (2.4, 5.2, 0.2)),
    ("Isocortex", (4.8, 6.9, 0.0), (4.6, 6.6, 0.4)),
    ("SSp", (5.5, 3.9, 0.9), (5.9, 4.2, 0.8)),
    ("SSp-un", None, (7.2, 3.3, -0.1)),
    ("SS", (6.2, 6.0, 0.5), (6.4, 6.2, 0.0)),
    ("AUD", (7.6, 6.0, 0.2), (8.0, 6.0, 0.5)),
    ("AUDp", (7.9, 5.2, -0.1), (7.9, 5.3, 0.7)),
    ("TEa", (8.9, 6.6, 0.2), (9.0, 6.9, 0.0)),
    ("VIS", (7.5, 3.4, -0.2), (8.3, 3.9, -0.3)),
    ("VIS", (8.9, 4.9, -0.1), (9.2, 4.3, 0.0)),
    ("VISp", (9.0, 3.0, 1.9), (9.4, 2.7, 0.0)),
    ("VISli", (9.6, 5.4, 0.2), (9.0, 5.0, -0.3)),
    ("RSPagl", (8.4, 1.3, -0.5), (8.2, 1.5, 0.3)),
    ("RSPd", (8.5, 0.2, 0.3), (8.4, 0.2, 0.2)),
    ("OLF", (2.6, 7.8, 0.4), (2.6, 7.8, 0.1)),
    ("PIR", (4.5, 8.7, 1.2), (4.5, 8.5, 0.9)),
    ("PIR", (6.6, 8.6, 0.6), (6.2, 8.6, 0.2)),
    ("HPF", (8.6, 8.7, 0.8), (8.2, 8.7, 1.2)),
)
_MEAN_RADIUS_MM = 3.5
_SLAB_PLANES = 16


@dataclass(frozen=True)
class _Points:
    """Coordinates in mm that broadcast against each other: AP, DV and left-positive lateral."""

    ap: F32
    dv: F32
    lateral: F32

    @cached_property
    def out(self) -> F32:
        """Distance from the middle plane."""
        return np.abs(self.lateral)

    @cached_property
    def is_left(self) -> Mask:
        return self.lateral >= 0

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(self.ap.shape, self.dv.shape, self.lateral.shape)

    def side(self, left: float, right: float) -> F32:
        """Blend from the right to the left value, smoothly so that the midline has no step."""
        weight = 0.5 + 0.5 * np.tanh(self.lateral / 0.8)
        return np.asarray(right + (left - right) * weight, dtype=np.float32)


def _squared_radius(offsets: tuple[F32, F32, F32], radii: tuple[_Length, _Length, _Length]) -> F32:
    """Return 1 on the surface of an ellipsoid, less inside; radii may vary from place to place."""
    ap, dv, out = (
        np.square(offset / radius) for offset, radius in zip(offsets, radii, strict=True)
    )
    return np.asarray(ap + dv + out, dtype=np.float32)


def _select(where: Mask, yes: _Length, no: _Length) -> F32:
    return np.where(where, yes, no).astype(np.float32)


def _taper(p: _Points) -> F32:
    return np.asarray(1 - 0.1 * np.maximum(0, 7.2 - p.ap), dtype=np.float32)


def _cerebrum_radius(p: _Points) -> F32:
    """Squared radius in the cerebral hemispheres, 1 at their surface; pear-shaped, two lobes."""
    lobe = p.out - 1.5
    medial = np.interp(p.dv, (3.4, 5.4), (3.5, 5.0)).astype(np.float32)
    width = _select(lobe > 0, p.side(3.75, 3.6) * _taper(p), medial)
    length = _select(p.ap < 6.2, 4.5, p.side(4.45, 4.2))
    height = _select(p.dv < 4.1, 3.5, 3.15)
    return _squared_radius((p.ap - 6.2, p.dv - 4.1, lobe), (length, height, width))


def _core_radius(p: _Points) -> F32:
    """Squared radius in what the cortex wraps, 1 at the border of grey and white matter."""
    lobe = p.out - 1.9
    width = _select(lobe > 0, p.side(2.55, 2.4) * _taper(p), 3.2)
    height = _select(p.dv < 4.3, 2.4, p.side(2.4, 2.3))
    return _squared_radius((p.ap - 6.3, p.dv - 4.3, lobe), (3.35, height, width))


def _blob_radius(p: _Points, blob: _Blob) -> F32:
    _, _, (ap, dv, out), radii, (dv_ap, out_ap, out_dv) = blob
    along, down = p.ap - ap, p.dv - dv
    aside = p.out - (out + out_ap * along + out_dv * down)
    return _squared_radius((along, down - dv_ap * along, aside), radii)


def _paint(labels: Labels, where: Mask, acronym: str) -> None:
    labels[where] = PRACTICE_IDS[acronym]


def _paint_blobs(
    labels: Labels,
    p: _Points,
    blobs: tuple[_Blob, ...],
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


def _cortical_area(p: _Points, cortex: Mask) -> npt.NDArray[np.uint32]:
    """Return the area of each cortical voxel: the cell of the power diagram it lies in."""
    ap, dv, out = (np.broadcast_to(v, p.shape)[cortex] for v in (p.ap, p.dv, p.out))
    left = np.broadcast_to(p.is_left, p.shape)[cortex]
    arc = _MEAN_RADIUS_MM * np.arctan2(out, 4.3 - dv)
    best = np.full(ap.shape, np.inf, dtype=np.float32)
    area = np.zeros(ap.shape, dtype=np.uint32)
    for acronym, *seeds in _AREAS:
        for seed, here in zip(seeds, (left, ~left), strict=True):
            if seed is None:
                continue
            power = np.square(ap - seed[0]) + np.square(arc - seed[1]) - seed[2]
            nearer = here & (power < best)
            best[nearer] = power[nearer]
            area[nearer] = PRACTICE_IDS[acronym]
    return area


def _paint_retrosplenial(labels: Labels, p: _Points, cortex: Mask) -> None:
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


def _paint_hippocampus(labels: Labels, p: _Points, core: F32) -> None:
    """Paint bands under the white matter that curl down the side the further back they lie."""
    angle = np.arctan2(p.out - 0.3, 4.4 - p.dv)
    reach = 0.35 + p.side(0.62, 0.7) * (p.ap - 5.9)
    curl = (p.ap > 5.9 + 0.1 * p.out) & (p.ap < 9.6) & (angle < np.minimum(reach, 2.3))
    inner = 0.2 + 0.22 * np.clip((p.dv - 3.4) / 1.5, 0, 1)
    band = curl & (core < 0.8) & (core > inner) & (p.out > 0.12) & (p.dv < 2.7 + 1.1 * p.out)
    _paint(labels, band & (core > 0.52), "CA1")
    _paint(labels, band & (core <= 0.52) & (core > 0.45), "HIP")
    _paint(labels, band & (core <= 0.45), "CA3")
    _paint_blobs(labels, p, _HIPPOCAMPUS, within=band & (core < 0.5))


def _paint_cerebrum(labels: Labels, p: _Points) -> None:
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
    _paint_blobs(labels, p, _DEEP, within=deep)
    _paint(labels, callosum, "cc")
    _paint_hippocampus(labels, p, core)
    _paint_blobs(labels, p, _VENTRICLES, within=deep)


def _paint_slab(p: _Points) -> npt.NDArray[np.uint32]:
    labels = np.zeros(p.shape, dtype=np.uint32)
    _paint_blobs(labels, p, (("root", "B", (10.3, 4.0, 0.0), (1.4, 1.7, 2.3), _STRAIGHT),))
    _paint_blobs(labels, p, _BULBS)
    fold = np.cos(15 * np.arctan2(p.ap - 11.0, 5.0 - p.dv))
    folia = 1 + 0.07 * np.clip(4.3 - p.dv, 0, 1) * fold
    _paint_blobs(labels, p, _CEREBELLUM, ripple=folia)
    # The white matter reaches into the folds, so its surface waves five times as much.
    _paint_blobs(labels, p, _CEREBELLAR_CORE, ripple=5 * folia - 4)
    _paint_blobs(labels, p, _CEREBELLAR_NUCLEI)
    _paint_blobs(labels, p, _HIND)
    _paint_cerebrum(labels, p)
    return labels


def axis_mm(size: int, resolution_um: float) -> F32:
    """Return the voxel centres along an axis in mm."""
    return ((np.arange(size) + 0.5) * (resolution_um / 1000)).astype(np.float32)


def slabs(shape: tuple[int, int, int], resolution_um: float) -> Iterator[tuple[slice, _Points]]:
    """Yield a few planes at a time, which bounds the memory of the many intermediate masks."""
    ap, dv, ml = (axis_mm(size, resolution_um) for size in shape)
    lateral = ml - np.float32(EXTENT_UM[2] / 2000)
    for start in range(0, shape[0], _SLAB_PLANES):
        planes = slice(start, min(start + _SLAB_PLANES, shape[0]))
        yield planes, _Points(ap[planes, None, None], dv[None, :, None], lateral[None, None, :])


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


def grid_shape(resolution_um: float) -> tuple[int, int, int]:
    """Return the voxels along AP, DV, ML; `CoordinateError` if the size does not fit."""
    if not resolution_um > 0 or any(edge % resolution_um for edge in EXTENT_UM):
        raise CoordinateError(
            f"the practice brain of {EXTENT_UM} um has no whole number of voxels at "
            f"{resolution_um!r} um; use one of {LEVELS_UM}."
        )
    ap, dv, ml = (round(edge / resolution_um) for edge in EXTENT_UM)
    return ap, dv, ml
