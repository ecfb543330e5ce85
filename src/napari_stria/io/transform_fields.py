"""Vector fields beside a file of transformations: OME-Zarr groups as RFC-5 has them."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_stria.errors import FormatError
from napari_stria.io.json_fields import Fields
from napari_stria.io.ome_zarr_writer import create_level

F64 = npt.NDArray[np.float64]
VERSION = "0.6rc0"
_CHUNK = 512
_MOST_VALUES = 1 << 28


class FieldStore:
    """A zarr group of displacement fields; made with the first of them.

    Parameters
    ----------
    place : Path
        The group's folder.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._group: zarr.Group | None = None
        self._count = 0

    @property
    def is_empty(self) -> bool:
        """Whether no field was added, so that there is no group."""
        return self._group is None

    def add(self, displacement: F64, step: F64, first: F64) -> str:
        """Write a field and return its path in the store.

        Parameters
        ----------
        displacement : (rows, columns, 2) float64 ndarray
            What is added to (x, y) in a node.
        step, first : (2,) array_like
            From node to node, and the first node (x, y).
        """
        if self._group is None:
            self._group = zarr.create_group(self._place, zarr_format=3)
        name = f"field{self._count}"
        self._count += 1
        field = self._group.create_group(name, attributes={"ome": _metadata(name, step, first)})
        # RFC-5: the components first, then the axes of the input in its order, here x and y.
        values = np.ascontiguousarray(displacement.transpose(2, 1, 0))
        chunks = (2, *(min(_CHUNK, n) for n in values.shape[1:]))
        create_level(field, "s0", values.shape, np.float64, chunks, ("c", "x", "y"))[...] = values
        return name


def _metadata(name: str, step: F64, first: F64) -> dict[str, Any]:
    axes = [
        {"name": "c", "type": "displacement", "discrete": True},
        {"name": "x", "type": "space"},
        {"name": "y", "type": "space"},
    ]
    placed = {
        "type": "sequence",
        "input": {"path": "s0"},
        "output": {"name": "section"},
        "transformations": [
            {"type": "scale", "scale": [1.0, *(float(s) for s in step)]},
            {"type": "translation", "translation": [0.0, *(float(f) for f in first)]},
        ],
    }
    image = {
        "name": name,
        "coordinateSystems": [{"name": "section", "axes": axes}],
        "datasets": [{"path": "s0", "coordinateTransformations": [placed]}],
    }
    return {"version": VERSION, "multiscales": [image]}


def read_field(folder: Path, path: str) -> tuple[F64, tuple[float, ...], tuple[float, ...]]:
    """Read a displacement field of the plane.

    Parameters
    ----------
    folder : Path
        Where the file lies that names the field.
    path : str
        The field's group, relative to it.

    Returns
    -------
    displacement : (rows, columns, 2) float64 ndarray
    step, first : (x, y)
        From node to node, and the first node.

    Raises
    ------
    FormatError
        If it is missing or no such field.
    """
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise FormatError(f"the field {path!r} does not lie beside its file; move it there.")
    try:
        group = zarr.open_group(folder / parts, mode="r")
        fields = Fields(dict(group.attrs), path).part("ome")
        image = fields.parts("multiscales")[0]
        dataset = image.parts("datasets")[0]
        array = group[dataset.text("path")]
    except (FileNotFoundError, KeyError, IndexError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} is no displacement field ({error}); copy it anew.") from error
    order = _order(image, path)
    scale, translation = _placed(dataset.parts("coordinateTransformations"), path)
    if not isinstance(array, zarr.Array) or array.ndim != 3 or array.shape[order[0]] != 2:
        raise FormatError(f"{path} holds no displacements of a plane (two for each node).")
    if math.prod(array.shape) > _MOST_VALUES or array.dtype.kind not in "fiu":
        raise FormatError(f"{path} holds no displacements of a plausible size and type.")
    values = np.asarray(array[...], dtype=np.float64).transpose(order[2], order[1], order[0])
    x, y = order[1], order[2]
    return values, (scale[x], scale[y]), (translation[x], translation[y])


def _order(image: Fields, path: str) -> tuple[int, int, int]:
    """Return which axes of the array are the components, the first and the second coordinate."""
    systems = image.parts("coordinateSystems")
    kinds = [axis.text("type", "") for axis in systems[-1].parts("axes")] if systems else []
    if len(kinds) != 3 or kinds.count("displacement") != 1:
        raise FormatError(f"{path} has no axis of displacements beside two others.")
    component = kinds.index("displacement")
    first, second = (axis for axis in range(3) if axis != component)
    return component, first, second


def _placed(transforms: list[Fields], path: str) -> tuple[list[float], list[float]]:
    """Return scale and translation of the lattice, three of each."""
    scale, translation = [1.0] * 3, [0.0] * 3
    if len(transforms) != 1:
        raise FormatError(f"{path} does not say once where its nodes lie.")
    only = transforms[0]
    parts = only.parts("transformations") if only.text("type") == "sequence" else [only]
    for part in parts:
        kind = part.text("type")
        if kind == "scale":
            by = part.numbers("scale", 3, low=1e-12)
            scale = [a * b for a, b in zip(scale, by, strict=True)]
            translation = [a * b for a, b in zip(translation, by, strict=True)]
        elif kind == "translation":
            more = part.numbers("translation", 3)
            translation = [a + b for a, b in zip(translation, more, strict=True)]
        elif kind != "identity":
            raise FormatError(
                f"{path} places its nodes by {kind!r}; scale and translation are read."
            )
    return scale, translation
