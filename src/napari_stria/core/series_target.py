"""The volume that a series of sections is anchored in: QUINT's targets and their coordinates.

QUINT counts voxels from the outer corner: x from left to right, y from posterior to anterior, z
from inferior to superior (BrainGlobe letters ``lpi`` in the order x, y, z).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_stria.core.section_plane import AtlasFrame
from napari_stria.core.space import Triple
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError, ReferenceSpaceError

Voxels = tuple[int, int, int]

# For each atlas axis (AP, DV, ML): QUINT's axis, and the letter of an atlas that runs the same way.
_AXES = ((1, "p"), (2, "i"), (0, "l"))
_MOUSE: tuple[Voxels, Triple] = ((456, 528, 320), (11400.0, 13200.0, 8000.0))
_RAT: tuple[Voxels, Triple] = ((512, 1024, 512), (20000.0, 40000.0, 20000.0))
# VisuAlign multiplies anchorings by 2.5 for the 10 um pack: they count 25 um voxels there too.
_KNOWN = (
    (re.compile(r"ABA_Mouse_CCFv3_20(15|17)_(?P<um>10|25)um", re.I), _MOUSE, "allen_mouse_{um}um"),
    (re.compile(r"WHS_(SD_)?Rat_.*v[234].*39um", re.I), _RAT, "whs_sd_rat_39um"),
)
MOUSE_TARGET = "ABA_Mouse_CCFv3_2017_25um.cutlas"
_NAMES = {
    "allen_mouse_10um": "ABA_Mouse_CCFv3_2017_10um.cutlas",
    "whs_sd_rat_39um": "WHS_SD_Rat_v4_39um.cutlas",
}
_CCF_EXTENT_UM = (13200.0, 8000.0, 11400.0)  # AP, DV, ML
# Atlases of one brain may be written with a rounded voxel size: 39 for 39.0625 um.
_EXTENT_TOLERANCE = 0.01


@dataclass(frozen=True)
class SeriesTarget:
    """A volume that anchorings refer to.

    Attributes
    ----------
    name : str
        As the file has it, e.g. ``ABA_Mouse_CCFv3_2017_25um.cutlas``.
    shape_xyz : tuple of int or None
        Voxels that anchorings count, along x, y, z; None if the file does not say and the name is
        not known.
    extent_xyz_um : tuple of float or None
        Size of the volume in um, if the name is known.
    atlas_name : str or None
        The BrainGlobe atlas of this volume, if the name is known.
    """

    name: str = ""
    shape_xyz: Voxels | None = None
    extent_xyz_um: Triple | None = None
    atlas_name: str | None = None

    @property
    def voxel_um(self) -> Triple | None:
        """Size of the counted voxels along x, y, z in um; None if it is not known."""
        if self.shape_xyz is None or self.extent_xyz_um is None:
            return None
        x, y, z = (e / n for e, n in zip(self.extent_xyz_um, self.shape_xyz, strict=True))
        return x, y, z

    def frame(self, space: str = "asr") -> AtlasFrame | None:
        """Return the box of the volume as an atlas in this space has it; None if unknown."""
        if self.extent_xyz_um is None:
            return None
        ap, dv, ml = (self.extent_xyz_um[axis] for axis, _ in _AXES)
        return AtlasFrame((ap, dv, ml), space=space)

    def voxels_to_atlas(self, frame: AtlasFrame) -> Affine:
        """Return the map from QUINT's voxels (x, y, z) to atlas um (AP, DV, ML).

        Raises
        ------
        CoordinateError
            If it is not known how many voxels the volume has.
        ReferenceSpaceError
            If the atlas is of another size.
        """
        self._check_extent(frame)
        if self.shape_xyz is None:
            raise CoordinateError(
                f"the series' target {self.name!r} is not known, so neither is its size; read the "
                "series with atlas=, the atlas that it was anchored in."
            )
        matrix = np.zeros((3, 4))
        for row, (axis, same) in enumerate(_AXES):
            voxel = frame.extent_um[row] / self.shape_xyz[axis]
            is_same = frame.space[row] == same
            matrix[row, axis] = voxel if is_same else -voxel
            matrix[row, 3] = frame.origin_um[row] + (0.0 if is_same else frame.extent_um[row])
        return Affine(matrix)

    def check_frame(self, frame: AtlasFrame, shape: Voxels | None = None) -> None:
        """Refuse an atlas of another size, or one whose proportions are not the target's.

        Parameters
        ----------
        frame : AtlasFrame
        shape : tuple of int, optional
            Voxels (AP, DV, ML) of the atlas: the target's may be as oblong as these are. Else they
            are cubes.

        Raises
        ------
        ReferenceSpaceError
        """
        self._check_extent(frame)
        if self.shape_xyz is None:
            return
        own = np.array([self.shape_xyz[axis] for axis, _ in _AXES])
        voxel = np.asarray(frame.extent_um) / own
        of_atlas = np.ones(3) if shape is None else np.asarray(frame.extent_um) / shape
        # Sizes are rounded to whole voxels.
        allowed = 1 + _EXTENT_TOLERANCE + 1 / own.min()
        if min(np.ptp(np.log(voxel)), np.ptp(np.log(voxel / of_atlas))) <= np.log(allowed):
            return
        raise ReferenceSpaceError(
            "the series' target {} has {} x {} x {} voxels (x, y, z), which in an atlas of {:g} x "
            "{:g} x {:g} um would be distorted; open the atlas that it was anchored in.".format(
                repr(self.name), *self.shape_xyz, *frame.extent_um
            )
        )

    def _check_extent(self, frame: AtlasFrame) -> None:
        own = self.frame(frame.space)
        if own is None or np.allclose(own.extent_um, frame.extent_um, _EXTENT_TOLERANCE, 0):
            return
        sizes = (" x ".join(f"{e:g}" for e in f.extent_um) for f in (own, frame))
        raise ReferenceSpaceError(
            "the series is anchored in {} ({} um), the atlas is {} um; open an atlas of that "
            "volume{}.".format(
                self.name, *sizes, f", e.g. {self.atlas_name}" if self.atlas_name else ""
            )
        )


def known_target(name: str, resolution: Sequence[float] | None = None) -> SeriesTarget:
    """Return the target of a name, as QuickNII and DeepSlice write it.

    Parameters
    ----------
    name : str
        With or without ``.cutlas``.
    resolution : 3 whole numbers, optional
        The voxels that anchorings count, where the file says so (``target-resolution``).

    Raises
    ------
    CoordinateError
        If the resolution is something else.
    """
    shape = None if resolution is None else _shape(resolution)
    for pattern, (known_shape, extent), atlas in _KNOWN:
        if match := pattern.match(name):
            return SeriesTarget(
                name, shape or known_shape, extent, atlas.format(**match.groupdict())
            )
    return SeriesTarget(name, shape)


def target_name(frame: AtlasFrame, atlas_name: str = "") -> str:
    """Return what QUINT calls the volume of an atlas; else the atlas's own name.

    Whatever has the size of Allen's CCF lies in it, by which name and resolution ever.
    """
    own = _NAMES.get(atlas_name, atlas_name)
    is_ccf = np.allclose(frame.extent_um, _CCF_EXTENT_UM, 1e-6, 0)
    return MOUSE_TARGET if own == atlas_name and is_ccf else own


def _shape(resolution: Sequence[float]) -> Voxels:
    try:
        x, y, z = (int(n) for n in resolution)
        is_whole = (x, y, z) == tuple(resolution) and min(x, y, z) > 0
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise CoordinateError(
            f"the target's resolution is three whole numbers above 0, not {resolution!r}."
        )
    return x, y, z


def target_of_frame(target: SeriesTarget, shape: Voxels) -> SeriesTarget:
    """Return an unknown target as one of the voxels (AP, DV, ML) of the atlas that it stands for.

    What is known already stays.
    """
    if target.shape_xyz is not None:
        return target
    ap, dv, ml = shape
    return SeriesTarget(target.name, (ml, ap, dv), target.extent_xyz_um, target.atlas_name)
