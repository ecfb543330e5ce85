"""Section images that are no files: arrays in memory, and images of the Allen API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_stria.core.section import Section
from napari_stria.errors import FormatError
from napari_stria.io.section_files import Channel, SectionImage
from napari_stria.io.tiles import SectionTiles

XY = tuple[float, float]
_MOST_CHANNELS = 64


def array_section_image(
    array: Any,
    pixel_size_um: XY | None = None,
    *,
    name: str = "array",
    rgb: bool | None = None,
) -> SectionImage:
    """Return an array as a section's image; only what is looked at is taken of a lazy one.

    Parameters
    ----------
    array : (H, W), (H, W, 3), (H, W, 4) or (C, H, W) array_like, or a sequence of levels
        numpy, dask or zarr; of several levels the finest first, as napari has them.
    pixel_size_um : (float, float), optional
        Of the finest level along x and y.
    name : str
        What to call it.
    rgb : bool, optional
        Whether the last axis holds colours; by default if it is 3 or 4 long.

    Raises
    ------
    FormatError
        If it is no such array.
    """
    levels = list(array) if isinstance(array, list | tuple) else [array]
    # Lists of numbers are one array.
    if not all(hasattr(level, "shape") for level in levels):
        levels = [np.asarray(array)]
    return SectionImage(_ArraySource(levels, pixel_size_um, rgb), name)


def allen_section_image(tiles: SectionTiles, section: Section) -> SectionImage:
    """Return an image of the Allen API, tier by tier as it is looked at.

    Pixels are counted as the API does, from the corner of the section's box; the size of a pixel
    is the one in the reference space.
    """
    return SectionImage(_AllenSource(tiles, section), f"image {section.image_id}")


class _ArraySource:
    """Boxes of arrays; a `napari_stria.io.section_files.PixelSource`."""

    def __init__(self, levels: Sequence[Any], pixel_size_um: XY | None, rgb: bool | None) -> None:
        shape = tuple(int(n) for n in levels[0].shape)
        self.is_rgb = len(shape) == 3 and (shape[2] in (3, 4) if rgb is None else rgb)
        is_many = len(shape) == 3 and not self.is_rgb
        if len(shape) not in (2, 3) or 0 in shape or (is_many and shape[0] > _MOST_CHANNELS):
            raise FormatError(f"a section is (H, W), (H, W, 3) or (C, H, W), not {shape}.")
        if self.is_rgb and shape[2] < 3:
            raise FormatError(f"colours have three values a pixel, not the shape {shape}.")
        self._levels, self._is_many, self.pixel_size_um = list(levels), is_many, pixel_size_um
        self.dtype: np.dtype[Any] = np.dtype(levels[0].dtype)
        if self.dtype.kind not in "buif":
            raise FormatError(f"a section holds numbers, not {self.dtype}.")
        count = shape[0] if is_many else 1
        self.channels = tuple(Channel(f"channel {n + 1}") for n in range(count))
        at = slice(1, 3) if is_many else slice(0, 2)
        self.shapes = [(int(lv.shape[at][0]), int(lv.shape[at][1])) for lv in levels]

    def read(self, level: int, channel: int | None, rows: slice, columns: slice) -> Any:
        data = self._levels[level]
        if self.is_rgb:
            return np.asarray(data[rows, columns, :3])
        if self._is_many:
            return np.asarray(data[channel or 0, rows, columns])
        return np.asarray(data[rows, columns])

    def close(self) -> None:
        """Nothing is open."""


class _AllenSource:
    """Tiers of a section image; a `napari_stria.io.section_files.PixelSource`."""

    is_rgb = True
    channels = (Channel("RGB"),)
    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, tiles: SectionTiles, section: Section) -> None:
        self._tiles, self._section = tiles, section
        self.shapes = [section.tier_shape(tier) for tier in range(section.tier_count)]
        edges = np.linalg.norm(section.section_to_pir.linear, axis=0)
        self.pixel_size_um: XY | None = (float(edges[0]), float(edges[1]))

    def read(self, level: int, channel: int | None, rows: slice, columns: slice) -> Any:  # noqa: ARG002
        return self._tiles.read(self._section, level, (rows, columns))

    def close(self) -> None:
        """Do nothing: the tiles belong to whoever made them."""
