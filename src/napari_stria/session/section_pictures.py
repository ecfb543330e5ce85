"""One section as a picture of its own: on its oblique plane, or in its own pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.section import Section, View
from napari_stria.core.transforms import Affine
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.tiles import SectionTiles
from napari_stria.session.section_blocks import PACKED, packed
from napari_stria.session.tile_gate import TileGate

# What graphics cards hold along a side of a 3D texture, at the least.
_LARGEST_SIDE = 2048
_EDGE = 256
# Of a hundred; what it loses is not seen, and the server's best takes five times the bytes.
QUALITY = 80


@dataclass(frozen=True, eq=False)
class SectionPicture:
    """A section's picture and where it lies.

    Attributes
    ----------
    section : Section
    view : {"image", "expression"}
    pixels : (H, W, 3) uint8 ndarray
    pixels_to_atlas : Affine
        (column, row), whole numbers at pixel centres, to (AP, DV, ML) in atlas um.
    """

    section: Section
    view: View
    pixels: npt.NDArray[np.uint8]
    pixels_to_atlas: Affine


def fetch_picture(
    api: AllenApi,
    section: Section,
    section_to_atlas: Affine,
    view: View = "image",
    *,
    cancelled: Callable[[], bool] | None = None,
) -> SectionPicture:
    """Fetch a section at the finest tier that fits a 3D texture (2,048 px a side)."""
    tier = 0
    while max(section.tier_shape(tier)) > _LARGEST_SIDE and tier < section.tier_count - 1:
        tier += 1
    pixels = api.section_image(
        section.image_id, downsample=tier, view=view, quality=QUALITY, cancelled=cancelled
    )
    matrix = np.eye(2, 3) * 2.0**tier
    matrix[:, 2] = 0.5 * 2.0**tier
    return SectionPicture(section, view, pixels, section_to_atlas @ Affine(matrix))


class TierBlocks:
    """Reads a tier of a section's image block by block, as a volume of one plane.

    A `core.pyramid.BlockReader` of packed RGBA (1, H, W).
    """

    dtype = PACKED

    def __init__(self, section: Section, tier: int, tiles: SectionTiles, gate: TileGate) -> None:
        self._section = section
        self._tier = tier
        self._tiles = tiles
        self._gate = gate
        self.shape: tuple[int, ...] = (1, *section.tier_shape(tier))
        self.chunk_shape = tuple(min(_EDGE, n) for n in self.shape)

    def read_block(self, index: BlockIndex) -> npt.NDArray[np.uint32] | None:
        """Return a block of packed pixels."""
        _, rows, columns = block_box(index, self.chunk_shape, self.shape)
        return packed(self._gate.read(self._tiles, self._section, self._tier, (rows, columns)))[
            None
        ]


def image_pyramid(section: Section, tiles: SectionTiles, gate: TileGate) -> Multiscale:
    """Return a section's own pixels as a pyramid of its tiers, in um of the scanned slide."""
    size = section.pixel_size_um
    levels = []
    for tier in range(section.tier_count):
        scale = (size, size * 2**tier, size * 2**tier)
        shift = (0.0, (scale[1] - size) / 2, (scale[2] - size) / 2)
        levels.append(Level(TierBlocks(section, tier, tiles, gate), scale, shift))
    return Multiscale(tuple(levels))
