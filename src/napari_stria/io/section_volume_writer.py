"""Write an RGBA volume as OME-Zarr 0.5 in pieces, so that it can be gone on with.

Until it is complete, the store lies in a hidden folder beside its place, together with a note of
what it is and how many of its pieces are written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from ngff_zarr.v04.zarr_metadata import OmeroChannel, OmeroWindow

from napari_stria.core.boxes import Box
from napari_stria.core.space import Triple, checked_space
from napari_stria.errors import OutputExistsError
from napari_stria.io.cache import write_atomically
from napari_stria.io.ome_zarr_writer import (
    AXES,
    corner_translation,
    create_level,
    multiscale_metadata,
)
from napari_stria.io.output_folder import locked, output_errors

CHUNK = 64
# Of the group; the rest of its attributes is OME-Zarr's.
ATTRIBUTE = "napari_stria"

_CHANNELS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"), ("alpha", "FFFFFF"))
_STATE, _STORE, _REPLACED, _LOCK = "state.json", "store", "replaced", "lock"


@dataclass(frozen=True)
class VolumeLayout:
    """What a volume is like.

    Attributes
    ----------
    name : str
        In the metadata.
    space : str
        Where each axis starts.
    shapes : sequence of (AP, DV, ML)
        Of the levels, the finest first.
    scales_um : sequence of 3 floats
        Voxel sizes.
    """

    name: str
    space: str
    shapes: Sequence[tuple[int, int, int]]
    scales_um: Sequence[Triple]


def volume_attributes(path: Path) -> Mapping[str, Any] | None:
    """Return what a complete volume says of itself; None if `path` is no such volume."""
    try:
        attributes = json.loads((path / "zarr.json").read_bytes())["attributes"][ATTRIBUTE]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return attributes if isinstance(attributes, Mapping) else None


class PartialVolume:
    """A volume that is being written; use `opened` around everything else.

    Parameters
    ----------
    path : Path
        The store that there will be, e.g. ``dataset.ome.zarr``.
    layout : VolumeLayout
    """

    def __init__(self, path: Path, layout: VolumeLayout) -> None:
        self.path = path
        self.layout = layout
        self._folder = path.with_name(f".{path.name}.partial")
        self._levels: list[zarr.Array[Any]] = []

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the volume for this program alone; faults of writing are `OutputError`."""
        with output_errors(self.path):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with locked(self._folder / _LOCK):
                    yield
            finally:
                # Stays if there is anything to go on with.
                with suppress(OSError):
                    self._folder.rmdir()

    def state(self) -> dict[str, Any] | None:
        """Return the note of what is written, None if there is nothing to go on with."""
        try:
            state = json.loads((self._folder / _STATE).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return state if isinstance(state, dict) else None

    def note(self, state: Mapping[str, Any]) -> None:
        """Replace the note of what is written."""
        write_atomically(self._folder / _STATE, json.dumps(state).encode())

    def resume(self) -> bool:
        """Open the store that was begun; False if it is not there or damaged."""
        try:
            group = zarr.open_group(self._folder / _STORE, mode="r+", zarr_format=3)
            levels = [group[f"s{i}"] for i in range(len(self.layout.shapes))]
        except Exception:  # noqa: BLE001  (zarr raises many kinds on damage; we begin anew then)
            return False
        arrays = [level for level in levels if isinstance(level, zarr.Array)]
        if [a.shape for a in arrays] != [(4, *shape) for shape in self.layout.shapes]:
            return False
        # What zarr was writing when the program was killed.
        for leftover in (self._folder / _STORE).rglob("*.partial"):
            leftover.unlink(missing_ok=True)
        self._levels = arrays
        return True

    def begin(self) -> None:
        """Create an empty store in place of what may have been begun."""
        self.clear()
        layout = self.layout
        space = checked_space(layout.space)
        shifts = [corner_translation(s, layout.scales_um[0]) for s in layout.scales_um]
        metadata = multiscale_metadata(
            layout.name, space, layout.scales_um, shifts, with_channels=True
        )
        ome = {"version": "0.5", "multiscales": [metadata], "omero": _omero()}
        group = zarr.create_group(self._folder / _STORE, zarr_format=3, attributes={"ome": ome})
        self._levels = [
            create_level(group, f"s{i}", (4, *shape), np.uint8, (4, *[CHUNK] * 3), ("c", *AXES))
            for i, shape in enumerate(layout.shapes)
        ]

    def write(self, level: int, box: Box, rgba: npt.NDArray[np.uint8]) -> None:
        """Write a box of whole chunks; `rgba` is (AP, DV, ML, 4)."""
        self._levels[level][(slice(None), *box)] = np.moveaxis(rgba, 3, 0)

    def clear(self) -> None:
        """Remove what was begun."""
        # Notes that were being written when a program was killed, too.
        for note in (self._folder / _STATE, *self._folder.glob(f".{_STATE}-*")):
            note.unlink(missing_ok=True)
        for name in (_STORE, _REPLACED):
            with suppress(FileNotFoundError):
                shutil.rmtree(self._folder / name)

    def publish(self, attributes: Mapping[str, Any], *, overwrite: bool) -> None:
        """Give the complete store its name.

        Raises
        ------
        OutputExistsError
            If the name is taken, unless `overwrite` and it is a zarr store's.
        """
        group = zarr.open_group(self._folder / _STORE, mode="r+", zarr_format=3)
        group.attrs[ATTRIBUTE] = dict(attributes)
        self.check_free(overwrite=overwrite)
        if os.path.lexists(self.path):
            self.path.rename(self._folder / _REPLACED)
        (self._folder / _STORE).rename(self.path)
        self.clear()

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse to replace what must not be replaced; see `publish`."""
        if not os.path.lexists(self.path):
            return
        if not overwrite:
            raise OutputExistsError(
                f"{self.path} exists already; choose another name or use --overwrite."
            )
        if not (self.path / "zarr.json").is_file():
            raise OutputExistsError(
                f"{self.path} is no zarr store and is not overwritten; choose another name."
            )


def _omero() -> dict[str, Any]:
    """Return how the channels are to be shown (OME-Zarr 0.5, "omero" metadata)."""
    window = OmeroWindow(min=0.0, max=255.0, start=0.0, end=255.0)
    channels = [OmeroChannel(color=color, window=window, label=name) for name, color in _CHANNELS]
    return {
        "channels": [
            {**asdict(channel), "active": channel.label != "alpha"} for channel in channels
        ],
        "rdefs": {"model": "color"},
    }
