"""From section pixels to atlas micrometres: the chain of an Allen dataset's alignments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from napari_stria.core.allen_alignment import FIXED_AXIS, PIR_EXTENT_UM, parallel_plane
from napari_stria.core.atlas import Atlas
from napari_stria.core.displacement import DisplacementField
from napari_stria.core.lattice_map import LatticeMap
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.space import checked_space
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError, ReferenceSpaceError
from napari_stria.registration.plane_chain import beside_section, inverse_of, rough_inverse

Placement = Literal["exact", "parallel"]
# By image id: pixels (x, y) of a section to the pixels that its alignment takes for them.
Refinements = Mapping[int, CoordinateTransform]

# Allen's micrometres are 0 at the centre of the first 25 um voxel, the atlas's at its corner.
PIR_VOXEL_CENTER_UM = 12.5
# Reference space 10 is space 9 with left and right exchanged.
FLIPPED_SPACE = 10
_LETTERS_OF_PIR = "asl"
# Atlases of the same space are cut at whole voxels, of up to 100 um.
_EXTENT_TOLERANCE_UM = 100.0
_FINEST_UM, _COARSEST_UM = 0.1, 4000.0


def pir_to_atlas(space: str, *, mirrored: bool = False) -> Affine:
    """Return the map from Allen's p, i, r to atlas micrometres.

    Parameters
    ----------
    space : str
        Where the atlas's axes start, e.g. ``asr`` for BrainGlobe's arrays.
    mirrored : bool
        Exchange left and right first, r -> 11400 - r: what the institute does to show sagittal
        sections (space 10, the left half of the brain) on its atlas of the right half.

    Returns
    -------
    Affine
        (p, i, r) in um to (AP, DV, ML) in um with the corner as origin.
    """
    matrix = np.zeros((3, 4))
    for axis, (letter, own) in enumerate(zip(checked_space(space), _LETTERS_OF_PIR, strict=True)):
        extent = PIR_EXTENT_UM[axis]
        same = letter == own
        matrix[axis, axis] = 1.0 if same else -1.0
        matrix[axis, 3] = PIR_VOXEL_CENTER_UM if same else extent - PIR_VOXEL_CENTER_UM
    to_atlas = Affine(matrix)
    return to_atlas @ mirror_pir() if mirrored else to_atlas


def mirror_pir() -> Affine:
    """Return the exchange of left and right between reference spaces 9 and 10.

    ``r -> 11400 - r``, as the institute's documentation has it; r is 0 at the centre of a voxel, so
    this is 25 um off an exact reflection of the volume (far below what the alignment is good for).
    """
    matrix = np.eye(3, 4)
    matrix[2, 2], matrix[2, 3] = -1.0, PIR_EXTENT_UM[2]
    return Affine(matrix)


def section_to_atlas(section: Section, space: str, *, mirrored: bool = False) -> Affine:
    """Return the map from a section's pixels (x, y) to atlas micrometres (AP, DV, ML)."""
    return pir_to_atlas(space, mirrored=mirrored) @ section.section_to_pir


def check_mirrored(dataset: SectionDataset, mirrored: bool) -> None:
    """Refuse to mirror what is not stored mirrored.

    Raises
    ------
    ReferenceSpaceError
        If a dataset of another space than 10 shall be mirrored.
    """
    if mirrored and dataset.reference_space_id != FLIPPED_SPACE:
        raise ReferenceSpaceError(
            f"dataset {dataset.id} lies in reference space {dataset.reference_space_id}; only "
            "space 10 (sagittal sections) can be mirrored. Leave mirrored off."
        )


def check_atlas(atlas: Atlas) -> None:
    """Refuse an atlas that is not of the space which Allen's sections lie in.

    Raises
    ------
    ReferenceSpaceError
        If its extent is not 13.2 x 8 x 11.4 mm.
    """
    finest = atlas.annotation.levels[0]
    extent = [o + n * s for o, n, s in zip(finest.origin_um, finest.shape, finest.scale_um)]
    if any(abs(e - p) > _EXTENT_TOLERANCE_UM for e, p in zip(extent, PIR_EXTENT_UM, strict=True)):
        size = " x ".join(f"{e:g}" for e in extent)
        raise ReferenceSpaceError(
            f"Allen's sections lie in the adult mouse space of 13200 x 8000 x 11400 um, the atlas "
            f"{atlas.name!r} is {size} um; open an atlas of that space, e.g. allen_mouse_25um."
        )


def exact_plane(
    dataset: SectionDataset, section: Section, resolution_um: float
) -> tuple[tuple[int, int], Affine]:
    """Return a regular grid on the plane in which a section really lies.

    Its rows and columns are those of the axis-parallel plane of the same name, at the voxel
    centres of an atlas of this resolution; the third coordinate follows the section's tilt.

    Returns
    -------
    shape : (rows, columns)
        Coronal: along i and r; sagittal: along p and i.
    plane_to_pir : Affine
        (column, row) to p, i, r in um.
    """
    fixed = FIXED_AXIS[dataset.plane]
    shape, flat = parallel_plane(dataset.plane, 0.0, resolution_um)
    matrix = np.array(flat.matrix)
    # Voxel centres of an atlas that starts at the corner; at 25 um these are multiples of 25.
    matrix[:, 2] = resolution_um / 2 - PIR_VOXEL_CENTER_UM
    matrix[fixed] = 0.0
    *weights, offset = section.pir_to_section.matrix[2]
    if abs(weights[fixed]) < 0.1:
        raise CoordinateError(
            f"the sections of dataset {dataset.id} are called {dataset.plane} but lie across that "
            "plane; show one in 3D instead."
        )
    position = section.section_number * dataset.section_thickness_um
    in_plane = np.asarray(weights) @ matrix + np.array([0.0, 0.0, offset - position])
    matrix[fixed] = -in_plane / weights[fixed]
    return shape, Affine(matrix)


def tier_pixels(pixels: Affine, tier: int) -> Affine:
    """Return a map to full-resolution pixel coordinates as one to pixel indices of a tier.

    Full-resolution coordinates count from the corner of the image; in a tier, whole numbers are
    pixel centres, as in every array.
    """
    matrix = pixels.matrix / 2.0**tier
    matrix[:, -1] -= 0.5
    return Affine(matrix)


def checked_resolution(resolution_um: float) -> float:
    """Return a resolution in um; a `CoordinateError` unless it is a number from 0.1 to 4000."""
    try:
        value = float(resolution_um)
    except (TypeError, ValueError):
        value = math.nan
    if not _FINEST_UM <= value <= _COARSEST_UM or isinstance(resolution_um, str):
        raise CoordinateError(
            f"the resolution is a number of um from {_FINEST_UM:g} to {_COARSEST_UM:g}, not "
            f"{resolution_um!r}."
        )
    return value


def check_placement(placement: str) -> None:
    """Refuse an unknown placement with a `CoordinateError`."""
    if placement not in get_args(Placement):
        raise CoordinateError(f"placement must be 'exact' or 'parallel', not {placement!r}.")


def check_refinements(dataset: SectionDataset, refinements: Refinements) -> None:
    """Refuse refinements of other images, and what is no map of the plane.

    Raises
    ------
    CoordinateError
        If there is such a one.
    """
    for image_id, refinement in refinements.items():
        dataset.section(image_id)
        if (refinement.n_in, refinement.n_out) != (2, 2):
            raise CoordinateError(
                f"the refinement of image {image_id} must map pixels to pixels, not {refinement!r}."
            )


def raw_pixels(section: Section, refinement: CoordinateTransform) -> CoordinateTransform:
    """Return the map from where an alignment finds a point to the pixel that shows it.

    As ``section_to_atlas`` is the alignment after the refinement, this is the refinement's inverse.
    """
    return inverse_of(refinement, (section.width, section.height))


def section_field(
    dataset: SectionDataset,
    section: Section,
    *,
    resolution_um: float,
    tier: int,
    placement: Placement = "exact",
    detection_xy: tuple[float, float] = (0.0, 0.0),
    mirrored: bool = False,
    refinement: CoordinateTransform | None = None,
) -> DisplacementField:
    """Return the field that warps a tier of a section's image onto a regular plane.

    Parameters
    ----------
    dataset, section
        What is placed.
    resolution_um : float
        Sampling of the plane.
    tier : int
        The image is reduced by ``2 ** tier``.
    placement : {"exact", "parallel"}
        *exact*: the plane in which the section lies, see `exact_plane`. *parallel*: the
        axis-parallel plane through pixel `detection_xy`, as atldld has it.
    detection_xy : tuple of float
        Full-resolution pixel (x, y).
    mirrored : bool
        See `pir_to_atlas`; changes where the plane lies, not the picture.
    refinement : CoordinateTransform, optional
        The section's pixels (x, y) to those that its alignment takes for them.
    """
    check_placement(placement)
    check_mirrored(dataset, mirrored)
    resolution_um = checked_resolution(resolution_um)
    if placement == "exact":
        shape, plane_to_pir = exact_plane(dataset, section, resolution_um)
        to_pixels = Affine(section.pir_to_section.matrix[:2]) @ plane_to_pir
        pixels_to_tier = tier_pixels(Affine.identity(2), tier)
    else:
        fixed = FIXED_AXIS[dataset.plane]
        coordinate = float(section.section_to_pir(detection_xy)[fixed])
        shape, plane_to_pir = parallel_plane(dataset.plane, coordinate, resolution_um)
        to_pixels = Affine(section.pir_to_section.matrix[:2]) @ plane_to_pir
        # atldld's convention: a reduction does not move pixel centres.
        pixels_to_tier = Affine(np.eye(2, 3) / 2.0**tier)
    where = mirror_pir() @ plane_to_pir if mirrored else plane_to_pir
    if refinement is None:
        return DisplacementField.from_affine(pixels_to_tier @ to_pixels, shape, plane_to_pir=where)
    chain = Sequence([to_pixels, raw_pixels(section, refinement), pixels_to_tier])
    places = LatticeMap(chain, shape).whole()
    lost = ~np.isfinite(places).all(axis=-1)
    if lost.any():
        size = (section.width, section.height)
        roughly = rough_inverse(refinement, size) @ to_pixels
        places[lost] = pixels_to_tier(beside_section(roughly(np.argwhere(lost)[:, ::-1]), size))
    rows, columns = (np.arange(n) for n in shape)
    return DisplacementField(
        places[..., 0] - columns, places[..., 1] - rows[:, None], plane_to_pir=where
    )
