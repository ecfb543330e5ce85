"""How a mask is kept in a file: written, and known again."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import ClassVar

import numpy as np

from napari_stria.core.pyramid import BlockReader, Level
from napari_stria.errors import FormatError
from napari_stria.io.nrrd_header import nrrd_header
from napari_stria.io.nrrd_writer import write_nrrd
from napari_stria.io.ome_zarr_writer import write_ome_zarr
from napari_stria.io.section_volume_writer import ATTRIBUTE, volume_attributes
from napari_stria.io.sinks import Progress
from napari_stria.io.staging import staged

_CHUNKS = (128, 128, 128)


@dataclass(frozen=True, eq=False)
class MaskFile(ABC):
    """A mask's place on disk.

    Attributes
    ----------
    path : Path
        The file or store.
    level : Level
        The volume that it is a mask of.
    space : str
        Where each axis starts.
    notes : mapping of str to str
        What the file says of itself besides.
    """

    path: Path
    level: Level
    space: str
    notes: Mapping[str, str]
    ending: ClassVar[str]

    @abstractmethod
    def is_written(self) -> bool:
        """Tell whether what lies there is this very mask."""

    @abstractmethod
    def write(
        self,
        mask: BlockReader,
        *,
        overwrite: bool,
        progress: Progress | None,
        cancel: Event | None,
    ) -> None:
        """Write it, voxels done and their total being told; it appears when it is complete.

        Raises
        ------
        OutputExistsError, OutputError, TaskCancelled
            See `napari_stria.io.nrrd_writer.write_nrrd`.
        """


class NrrdMask(MaskFile):
    """A mask as one NRRD."""

    ending = ".nrrd"

    def is_written(self) -> bool:
        """Compare header and length."""
        level = self.level
        header = nrrd_header(
            level.shape,
            np.dtype(np.uint8),
            scale_um=level.scale_um,
            origin_um=level.origin_um,
            space=self.space,
            notes=self.notes,
        )
        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            if file.read(len(header)) != header:
                return False
            # gzip ends with the number of bytes that went in: a file that was cut has another.
            file.seek(-4, os.SEEK_END)
            length = int.from_bytes(file.read(4), "little")
        return length == int(np.prod(level.shape, dtype=np.int64)) % 2**32

    def write(
        self,
        mask: BlockReader,
        *,
        overwrite: bool,
        progress: Progress | None,
        cancel: Event | None,
    ) -> None:
        """See `MaskFile.write`."""
        write_nrrd(
            self.path,
            mask,
            scale_um=self.level.scale_um,
            space=self.space,
            origin_um=self.level.origin_um,
            notes=self.notes,
            overwrite=overwrite,
            progress=progress,
            cancel=cancel,
        )


class ZarrMask(MaskFile):
    """A mask as an OME-Zarr of one level; what it says of itself is in the group's attributes."""

    ending = ".ome.zarr"

    @property
    def _attributes(self) -> dict[str, object]:
        level = self.level
        grid = {"shape": level.shape, "scale_um": level.scale_um, "origin_um": level.origin_um}
        return {
            **self.notes,
            **{key: list(value) for key, value in grid.items()},
            "space": self.space,
        }

    def is_written(self) -> bool:
        """Compare attributes, and no chunk.

        A store is written aside and gets its name in one step when all of it is there, so that one
        of this name is complete, unless somebody took files out of it afterwards.
        """
        return volume_attributes(self.path) == self._attributes

    def write(
        self,
        mask: BlockReader,
        *,
        overwrite: bool,
        progress: Progress | None,
        cancel: Event | None,
    ) -> None:
        """See `MaskFile.write`."""
        voxels = int(np.prod(mask.shape, dtype=np.int64))

        def tell(done: int, total: int) -> None:
            if progress is not None:
                progress(voxels * done // total, voxels)

        with staged([self.path], overwrite=overwrite) as (place,):
            write_ome_zarr(
                place,
                [mask],
                [self.level.scale_um],
                space=self.space,
                chunks=_CHUNKS,
                name=self.path.name.removesuffix(self.ending),
                translations_um=[self.level.origin_um],
                attributes={ATTRIBUTE: self._attributes},
                progress=tell,
                cancel=cancel,
            )


_FORMATS: dict[str, type[MaskFile]] = {"nrrd": NrrdMask, "ome-zarr": ZarrMask}


def mask_format(name: str) -> type[MaskFile]:
    """Return how masks of a format are kept.

    Raises
    ------
    FormatError
        For an unknown one.
    """
    found = _FORMATS.get(name)
    if found is None:
        known = " or ".join(repr(known) for known in _FORMATS)
        raise FormatError(f"masks are written as {known}, not as {name!r}.")
    return found
