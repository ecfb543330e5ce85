"""The files that ``quantify image`` and ``quantify labels`` measure, each with its map."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_stria.cli.quantify_maps import asked_maps, asked_transform
from napari_stria.errors import ReferenceSpaceError, StriaError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.transforms import CoordinateTransform


@dataclass(frozen=True, eq=False)
class MeasuredArray:
    """An array out of a file, and where it lies.

    Attributes
    ----------
    name : str
        Of the file.
    data : array
        What `measure_image` and `measure_labels` take.
    to_atlas : CoordinateTransform or None
        None: on the grid of the annotation.
    """

    name: str
    data: Any
    to_atlas: CoordinateTransform | None


class MeasuredFiles:
    """Opens one file after the other.

    Parameters
    ----------
    arguments : Namespace
        With ``file``, ``channel`` and what `add_maps` added.
    atlas : Atlas
        Where the maps lead to.
    are_labels : bool
        Whether the numbers of a PNG with a palette count, not its colours.

    Attributes
    ----------
    files : list of str

    Raises
    ------
    StriaError
        If a map cannot be read, or nothing says where each of several files lies.
    """

    def __init__(
        self, arguments: argparse.Namespace, atlas: Atlas, *, are_labels: bool = False
    ) -> None:
        self._are_labels = are_labels
        self._atlas, self._channel = atlas, arguments.channel
        self._transform = asked_transform(arguments.transform, atlas.space)
        self._map_of = asked_maps(arguments, atlas)
        self.files: list[str] = arguments.file
        if self._map_of is None and len(self.files) > 1:
            raise StriaError(
                "several files need --registration or --series, which say where each of them lies."
            )

    @contextmanager
    def opened(self, file: str) -> Iterator[MeasuredArray]:
        """Give the array of a file with its map; the file is closed again."""
        from napari_stria.io.array_files import (
            SectionPixels,
            open_section_labels,
            open_section_pixels,
        )

        transform = self._transform
        if self._map_of is None and (transform is None or transform.n_in == 3):
            yield self._volume(file)
            return
        path = Path(file).expanduser()
        with ExitStack() as stack:
            open_pixels = open_section_labels if self._are_labels else open_section_pixels
            pixels = open_pixels(path, self._channel)
            if isinstance(pixels, SectionPixels):
                stack.enter_context(closing(pixels))
            height, width = pixels.shape
            if self._map_of is not None:
                transform = self._map_of(path, (height, width))
            yield MeasuredArray(path.name, pixels, transform)

    def _volume(self, file: str) -> MeasuredArray:
        from napari_stria.io.array_files import open_volume

        opened, own = open_volume(file, self._channel), self._atlas.space
        if self._transform is None and opened.space not in (None, own):
            raise ReferenceSpaceError(
                f"the axes of {file} start at {opened.space!r}, those of the atlas at {own!r}; "
                "turn the volume, or give the map to the atlas (--transform)."
            )
        return MeasuredArray(Path(file.rstrip("/")).name, opened.data, self._transform)
