"""Practice histology as files: a series of images with a QuickNII file, and one OME-TIFF."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_grid import EXTENT_UM
from napari_stria.demo.practice_histology import PracticeHistology, practice_histology
from napari_stria.demo.section_geometry import F64
from napari_stria.io.cache import write_atomically

SERIES_FILE = "practice_series.json"
FLUORESCENCE_FILE = "practice_fluorescence.ome.tif"
_TARGET = "practice_mouse_50um"
_VOXEL_UM = 50.0
# AP um, rotation, shift (x, y) um; sections of one block, so that all are tilted alike.
_SECTIONS = (
    (4400.0, 4.0, (250.0, -150.0)),
    (5500.0, -3.0, (-200.0, 100.0)),
    (6600.0, 6.0, (100.0, 200.0)),
    (7700.0, -5.0, (-300.0, -100.0)),
    (8800.0, 2.0, (150.0, 250.0)),
)
_PITCH_DEG, _YAW_DEG = 5.0, -4.0
_ANCHORED = (1, 3, 5)


def practice_series(
    template: npt.NDArray[np.uint16] | None = None,
) -> tuple[PracticeHistology, ...]:
    """Return the five sections of the practice series, front to back; their numbers are 1 to 5.

    Parameters
    ----------
    template : (AP, DV, ML) uint16 ndarray, optional
        The 50 um practice template; computed if it is not given.
    """
    return tuple(
        practice_histology(
            nr,
            position_um=position_um,
            pitch_deg=_PITCH_DEG,
            yaw_deg=_YAW_DEG,
            rotation_deg=rotation_deg,
            shift_um=shift_um,
            scale=1.04,
            template=template,
        )
        for nr, (position_um, rotation_deg, shift_um) in enumerate(_SECTIONS, start=1)
    )


def practice_fluorescence(
    template: npt.NDArray[np.uint16] | None = None,
) -> PracticeHistology:
    """Return the section of the OME-TIFF: finer, fluorescent, tilted, and nowhere anchored."""
    return practice_histology(
        11,
        position_um=7200.0,
        pitch_deg=-6.0,
        yaw_deg=3.0,
        rotation_deg=-8.0,
        shift_um=(200.0, 100.0),
        warp_px=12.0,
        pixel_um=10.0,
        size=(1000, 1360),
        style="fluorescence",
        template=template,
    )


def write_practice_histology(
    folder: str | Path, template: npt.NDArray[np.uint16] | None = None
) -> Path:
    """Write the practice series into a folder.

    There are five sections as PNG, `SERIES_FILE` (QuickNII; the first, third and last section are
    anchored, by their affine truth) and `FLUORESCENCE_FILE`, which knows its pixel size.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing; files of the same names are written anew.
    template : (AP, DV, ML) uint16 ndarray, optional
        The 50 um practice template; computed if it is not given (some seconds).

    Returns
    -------
    Path
        The series' file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    slices = []
    for nr, section in enumerate(practice_series(template), start=1):
        name = f"practice_s{nr:03d}.png"
        _, data = cv2.imencode(".png", section.pixels[..., ::-1])
        write_atomically(folder / name, data.tobytes())
        slices.append(_slice_fields(section, name, nr))
    _write_ome_tiff(folder / FLUORESCENCE_FILE, practice_fluorescence(template))
    sizes = [round(EXTENT_UM[axis] / _VOXEL_UM) for axis in (2, 0, 1)]
    fields = {
        "name": "Practice histology",
        "target": _TARGET,
        "target-resolution": sizes,
        "slices": slices,
    }
    file = folder / SERIES_FILE
    write_atomically(file, json.dumps(fields, indent=1).encode())
    return file


def _slice_fields(section: PracticeHistology, name: str, nr: int) -> dict[str, object]:
    height, width = section.shape_hw
    fields: dict[str, object] = {"filename": name, "nr": nr, "width": width, "height": height}
    if nr in _ANCHORED:
        fields["anchoring"] = [*map(float, _anchoring(section).ravel())]
    return fields


def _anchoring(section: PracticeHistology) -> F64:
    """Return o, u, v (3, 3) in voxels: x to the right, y to the front, z up, from the corner."""
    height, width = section.shape_hw
    affine = section.affine
    origin = np.array(EXTENT_UM) - affine[:, 2]
    rows = np.stack([origin, -affine[:, 0] * width, -affine[:, 1] * height]) / _VOXEL_UM
    # From AP, DV, ML, which count from the front, from the top and from the right.
    return np.asarray(rows[:, [2, 0, 1]])


def _write_ome_tiff(file: Path, section: PracticeHistology) -> None:
    import io

    import tifffile

    size = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": section.pixel_um,
        "PhysicalSizeY": section.pixel_um,
        "Channel": {"Name": ["nuclei"]},
        **size,
    }
    data = io.BytesIO()
    tifffile.imwrite(
        data, section.pixels, ome=True, tile=(256, 256), compression="zlib", metadata=metadata
    )
    write_atomically(file, data.getvalue())
