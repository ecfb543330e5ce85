"""An annotation as one file: NRRD, or an OME-Zarr pyramid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.space import Triple
from napari_stria.errors import OutputError
from napari_stria.io.nrrd_writer import write_nrrd

NRRD, OME_ZARR = ".nrrd", ".ome.zarr"
# As BrainGlobe's; small volumes are one chunk.
_CHUNK = 128
# Beside ``ome`` in the attributes of a store.
ATTRIBUTE = "napari_stria"


def is_store(path: Path) -> bool:
    """Tell whether a volume is an OME-Zarr by its name; else it is an NRRD.

    Raises
    ------
    OutputError
        If the name is neither's.
    """
    name = path.name.lower()
    if name.endswith(".zarr"):
        return True
    if name.endswith(NRRD):
        return False
    raise OutputError(f"{path} cannot be written: a volume's name ends with {NRRD} or {OME_ZARR}.")


def terminology_beside(path: Path) -> Path:
    """Return where the regions of an annotation are written: ``FILE.terminology.csv``.

    With the whole name, so that an NRRD and a store of one name can lie side by side.
    """
    return path.with_name(f"{path.name}.terminology.csv")


def write_labels(
    path: Path,
    pyramid: Multiscale,
    *,
    name: str,
    space: str,
    notes: Mapping[str, Any],
    progress: Callable[[int, int], None] | None = None,
    cancel: Event | None = None,
) -> None:
    """Write an annotation block by block.

    Parameters
    ----------
    path : Path
        ``.ome.zarr`` for all levels, ``.nrrd`` for the finest.
    pyramid : Multiscale
        Its levels, the finest first.
    name : str
        Of the image, in the store's metadata.
    space : str
        Where each axis starts.
    notes : mapping of str to str
        What the file says besides: NRRD key/value pairs, or attributes of the store.
    progress : callable, optional
        Called with what is done and of how much.
    cancel : Event, optional
        Ends the writing when it is set.

    Raises
    ------
    OutputError
        For another ending.
    TaskCancelled
        If `cancel` was set.

    Notes
    -----
    A store's translations put the outer corner of each level where the level has it in the
    atlas (OME-Zarr counts them between voxel centres, from that of the finest level).
    """
    if not is_store(path):
        finest = pyramid.levels[0]
        write_nrrd(
            path,
            finest.reader,
            scale_um=finest.scale_um,
            space=space,
            origin_um=finest.origin_um,
            notes={str(k): str(v) for k, v in notes.items()},
            progress=progress,
            cancel=cancel,
        )
        return
    # Loaded when it is first used: ngff-zarr takes a second.
    from napari_stria.io.ome_zarr_writer import write_ome_zarr

    levels = pyramid.levels
    write_ome_zarr(
        path,
        [level.reader for level in levels],
        [level.scale_um for level in levels],
        space=space,
        chunks=(_CHUNK, _CHUNK, _CHUNK),
        name=name,
        translations_um=[_translation(level, levels[0]) for level in levels],
        attributes={ATTRIBUTE: dict(notes)},
        progress=progress,
        cancel=cancel,
    )


def _translation(level: Level, finest: Level) -> Triple:
    ap, dv, ml = (
        corner + (size - first) / 2
        for corner, size, first in zip(
            level.origin_um, level.scale_um, finest.scale_um, strict=True
        )
    )
    return ap, dv, ml
