"""What an NRRD says of a volume of ours: where each voxel lies in the animal, and what it is.

Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.pyramid import resolution_triple
from napari_stria.core.space import Triple, checked_space
from napari_stria.errors import CoordinateError, FormatError

# Before every key of ours.
PREFIX = "stria_"
SPACE_KEY = f"{PREFIX}space"

UM_PER_MM = 1000.0
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
# Where an axis goes in left-posterior-superior coordinates, by the letter of where it starts.
TOWARDS = {
    "a": (0, 1, 0),
    "p": (0, -1, 0),
    "s": (0, 0, -1),
    "i": (0, 0, 1),
    "r": (1, 0, 0),
    "l": (-1, 0, 0),
}
_TYPES = {
    "b1": "uint8", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "f4": "float", "f8": "double",
}  # fmt: skip


def nrrd_header(
    shape: Sequence[int],
    dtype: np.dtype[Any],
    *,
    scale_um: Triple,
    space: str,
    origin_um: Triple = (0.0, 0.0, 0.0),
    notes: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the header of a gzip NRRD, up to its first byte of voxels.

    Parameters
    ----------
    shape : sequence of int
        Voxels along AP, DV, ML; AP runs fastest in the file, as in Allen's.
    dtype : dtype
        Of a voxel; bool is written as uint8.
    scale_um : tuple of float
        Voxel size.
    space : str
        Where each axis starts, e.g. ``asr``.
    origin_um : tuple of float
        Outer corner of voxel (0, 0, 0) in atlas coordinates.
    notes : mapping, optional
        Further key/value pairs; ``stria_`` is put before each key. Text that is not ASCII is
        escaped as in Python.

    Returns
    -------
    bytes
        Left-posterior-superior millimetres. Their origin is the outer corner at which the atlas
        begins; ``space origin`` is the centre of voxel (0, 0, 0), as the format has it.

    Raises
    ------
    FormatError
        If it has not three axes, or NRRD has no such type or key.
    CoordinateError
        For a bad space, voxel size or origin.
    """
    kind = _TYPES.get(f"{dtype.kind}{dtype.itemsize}")
    if kind is None or len(shape) != 3 or min(shape) < 1:
        raise FormatError(
            f"a volume of the shape {tuple(shape)} and type {dtype} cannot be an NRRD; "
            "give whole or real numbers along AP, DV, ML."
        )
    letters = checked_space(space)
    scale, origin = resolution_triple(scale_um), _three(origin_um)
    towards = np.array([TOWARDS[letter] for letter in letters], dtype=np.float64)
    directions = towards * np.reshape(scale, (3, 1)) / UM_PER_MM
    center = towards.T @ (origin + np.divide(scale, 2)) / UM_PER_MM
    lines = [
        "NRRD0005",
        f"type: {kind}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(int(n)) for n in shape)}",
        f"space directions: {' '.join(_vector(row) for row in directions)}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        'space units: "mm" "mm" "mm"',
        f"space origin: {_vector(center)}",
    ]
    own = {"space": letters, "resolution_um": " ".join(f"{s:.9g}" for s in scale)}
    lines += [_pair(key, value) for key, value in {**own, **(notes or {}), **own}.items()]
    return ("\n".join(lines) + "\n\n").encode("ascii")


def _three(origin_um: Sequence[float]) -> npt.NDArray[np.float64]:
    origin = np.asarray(origin_um, dtype=np.float64)
    if origin.shape != (3,) or not np.isfinite(origin).all():
        raise CoordinateError(f"the origin {origin_um} um is no place; give three numbers.")
    return origin


def _vector(values: npt.NDArray[np.float64]) -> str:
    # Adding 0 makes -0.0 plain 0.0.
    return f"({','.join(repr(float(v) + 0.0) for v in values)})"


def _pair(key: str, value: Any) -> str:
    if not _KEY.fullmatch(key):
        raise FormatError(f"{key!r} cannot be a key of an NRRD; use letters, digits and _.")
    text = " ".join(str(value).split()).encode("ascii", "backslashreplace").decode()
    return f"{PREFIX}{key}:={text}"
