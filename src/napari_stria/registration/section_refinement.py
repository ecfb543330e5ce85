"""What a section that was registered by hand differs by from its dataset's own alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.registration.chain import FLIPPED_SPACE, pir_to_atlas
from napari_stria.registration.plane_chain import PlaneChain, plane_chain


@dataclass(frozen=True, eq=False)
class SectionRefinement:
    """A refinement of one section, as `refinements` of `aligned_stack` takes it.

    Attributes
    ----------
    pixels_to_pixels : CoordinateTransform
        The section's pixels (x, y) to those that its own alignment takes for them.
    off_plane_um : float
        How far the plane that it was registered to is from the one of its own alignment, at most,
        over the section's corners. Exact only if this is 0: a stack's sections stay in their
        planes, and what is refined is the place within.
    """

    pixels_to_pixels: CoordinateTransform
    off_plane_um: float


def section_refinement(
    dataset: SectionDataset, section: Section, section_to_atlas: CoordinateTransform, space: str
) -> SectionRefinement:
    """Return what takes a section's own alignment to another map of it.

    Each pixel is taken to the one that the section's own alignment has at the same atlas point, so
    that the alignment after the refinement is the given map. Points beside the section's own plane
    are seen along its normal.

    Parameters
    ----------
    dataset, section
        One of its sections.
    section_to_atlas : CoordinateTransform
        The section's pixels (x, y) to atlas um (AP, DV, ML): an affine, or a `Sequence` that ends
        with one.
    space : str
        Where the atlas's axes start, e.g. ``asr``.

    Raises
    ------
    CoordinateError
        If the map does not put the section into a plane.
    """
    chain = plane_chain(section_to_atlas)
    # A section of space 10 may have been registered on either side; the refinement is of pixels
    # and holds for both.
    sides = (False, True) if dataset.reference_space_id == FLIPPED_SPACE else (False,)
    found = [_refinement(section, chain, space, mirrored=mirrored) for mirrored in sides]
    return min(found, key=lambda refinement: refinement.off_plane_um)


def _refinement(
    section: Section, chain: PlaneChain, space: str, *, mirrored: bool
) -> SectionRefinement:
    to_atlas = pir_to_atlas(space, mirrored=mirrored)
    pixels = Affine(section.pir_to_section.matrix[:2]) @ to_atlas.inverse @ chain.plane
    own = to_atlas @ section.section_to_pir
    normal = np.cross(*own.linear.T)
    corners = np.array([[x, y] for x in (0, section.width) for y in (0, section.height)], float)
    placed = chain.plane(corners if chain.bending is None else chain.bending(corners))
    off = (placed - own.translation) @ (normal / np.linalg.norm(normal))
    return SectionRefinement(
        pixels if chain.bending is None else Sequence([chain.bending, pixels]),
        float(np.abs(off).max()),
    )
