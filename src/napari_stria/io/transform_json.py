"""One transformation of RFC-5 <-> one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_stria.core.field_transform import FieldInterpolation, FieldTransform
from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.spline import ThinPlateSpline, flat_spline, plain_map
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError, FormatError
from napari_stria.io.json_fields import Fields
from napari_stria.io.transform_fields import FieldStore, read_field
from napari_stria.io.transform_sampling import Box, moved_box, sampled_field

# Beyond the landmarks on all sides, of their extent.
_BEYOND = 0.2
_DEEPEST = 16
_CUBIC, _LINEAR = "bspline-cubic", "linear"


class TransformWriter:
    """Writes transformations as RFC-5's objects; their fields go to a store.

    Parameters
    ----------
    store : FieldStore
    store_name : str
        Its name beside the JSON file.
    size_px : (width, height) or None
        See `napari_stria.io.transform_files.write_transform`.
    """

    def __init__(self, store: FieldStore, store_name: str, size_px: tuple[int, int] | None) -> None:
        self._store, self._store_name = store, store_name
        self._box: Box | None = None
        if size_px is not None:
            width, height = (float(n) for n in size_px)
            if not (0 < width < np.inf and 0 < height < np.inf):
                raise CoordinateError(f"size_px is the section's width and height, not {size_px}.")
            self._box = ((0.0, 0.0), (width, height))

    def document_parts(self, transform: CoordinateTransform) -> list[dict[str, Any]]:
        """Return the JSON of a section's map, part by part."""
        return self._parts(transform, self._box)

    def _parts(self, transform: CoordinateTransform, box: Box | None) -> list[dict[str, Any]]:
        parts = transform.transforms if isinstance(transform, Sequence) else (transform,)
        written = []
        for part in parts:
            written.append(self._written(part, box))
            box = None if box is None else moved_box(part, box)
        return written

    def _written(self, transform: CoordinateTransform, box: Box | None) -> dict[str, Any]:
        """Return the JSON of a transformation that must hold in a box."""
        transform = plain_map(transform)
        if isinstance(transform, Affine):
            return {"type": "affine", "affine": transform.matrix.tolist()}
        if isinstance(transform, Sequence):
            return {"type": "sequence", "transformations": self._parts(transform, box)}
        if isinstance(transform, ThinPlateSpline) and transform.n_out == 3:
            return self._written(Sequence(flat_spline(transform)), box)
        if (transform.n_in, transform.n_out) != (2, 2):
            raise CoordinateError(f"{transform!r} is no map of the plane that could be written.")
        if isinstance(transform, FieldTransform) and _is_upright(transform.points_to_lattice):
            return self._field(transform)
        return self._sampled(transform, box)

    def _field(self, field: FieldTransform) -> dict[str, Any]:
        """Write a field that is one already: its own nodes."""
        to_points = field.points_to_lattice.inverse
        scale = np.diag(to_points.linear)
        path = self._store.add(field.displacement, scale, to_points.translation)
        interpolation = _CUBIC if field.interpolation == "cubic" else _LINEAR
        return self._displacements(path, interpolation, _field_keys(field))

    def _sampled(self, transform: CoordinateTransform, box: Box | None) -> dict[str, Any]:
        """Write any map on a lattice of its own, to be interpolated linearly."""
        box = box or _own_box(transform)
        if box is None:
            raise CoordinateError(
                f"{transform!r} does not say where it holds; give size_px, the section's width "
                "and height in pixels."
            )
        sampled = sampled_field(transform, box)
        path = self._store.add(sampled.displacement, sampled.step, sampled.first)
        exact = {**_exactly(transform), "max_error": sampled.max_error}
        if isinstance(transform, FieldTransform):
            # RFC-5's fields lie along the axes: the turned lattice's own nodes are kept beside it.
            nodes = self._store.add(transform.displacement, np.ones(2), np.zeros(2))
            exact |= {**_field_keys(transform), "path": f"{self._store_name}/{nodes}"}
        return self._displacements(path, _LINEAR, exact)

    def _displacements(
        self, path: str, interpolation: str, exact: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "type": "displacements",
            "path": f"{self._store_name}/{path}",
            "interpolation": interpolation,
            "stria": exact,
        }


def _field_keys(field: FieldTransform) -> dict[str, Any]:
    return {
        "kind": "field",
        "interpolation": field.interpolation,
        "points_to_lattice": field.points_to_lattice.matrix.tolist(),
    }


def _is_upright(affine: Affine) -> bool:
    """Tell whether a lattice lies along the axes, as RFC-5's fields do."""
    (a, b), (c, d) = affine.linear
    return bool(b == 0 and c == 0 and a > 0 and d > 0)


def _own_box(transform: CoordinateTransform) -> Box | None:
    """Return where a map holds, if it says so."""
    if isinstance(transform, PiecewiseAffine):
        width, height = transform.shape_wh
        return (0.0, 0.0), (float(width), float(height))
    if isinstance(transform, ThinPlateSpline):
        low, high = transform.moving.min(axis=0), transform.moving.max(axis=0)
        more = _BEYOND * (high - low).max()
        (x0, y0), (x1, y1) = (low - more).tolist(), (high + more).tolist()
        return (x0, y0), (x1, y1)
    return None


def _exactly(transform: CoordinateTransform) -> dict[str, Any]:
    """Return what a map is made of, so that it can be read without a loss."""
    if isinstance(transform, ThinPlateSpline):
        return {
            "kind": "thin_plate",
            "moving": transform.moving.tolist(),
            "fixed": transform.fixed.tolist(),
            "smoothing": transform.smoothing,
        }
    if isinstance(transform, PiecewiseAffine) and not _is_reversed(transform):
        return {
            "kind": "piecewise_affine",
            "moving": transform.moving_xy.tolist(),
            "fixed": transform.fixed_xy.tolist(),
            "shape_wh": list(transform.shape_wh),
        }
    return {"kind": "sampled"}


def _is_reversed(transform: PiecewiseAffine) -> bool:
    """Tell whether this is the way back through another's triangles, not its own."""
    again = PiecewiseAffine(transform.moving_xy, transform.fixed_xy, transform.shape_wh)
    return not np.array_equal(again.triangles_xy, transform.triangles_xy)


class TransformReader:
    """Reads RFC-5's transformations.

    Parameters
    ----------
    folder : Path
        That of the file, to which the paths of fields are relative.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, fields: Fields, n_in: int, depth: int = 0) -> CoordinateTransform:
        """Return a transformation of points of so many coordinates.

        Raises
        ------
        FormatError
            If it is damaged, or of a type that is not read.
        """
        if depth > _DEEPEST:
            raise FormatError(f"{fields.where} is nested too deeply; the file is damaged.")
        try:
            return self._read(fields, n_in, depth)
        except CoordinateError as error:
            raise FormatError(f"{fields.where}: {error}") from error

    def _read(self, fields: Fields, n_in: int, depth: int) -> CoordinateTransform:
        kind = fields.text("type")
        if kind == "sequence":
            return self._sequence(fields, n_in, depth)
        if kind == "bijection":
            return self.read(fields.part("forward"), n_in, depth + 1)
        if kind == "displacements":
            return self._displacements(fields, n_in)
        affine = _affine_of(kind, fields, n_in)
        if affine is None:
            raise FormatError(
                f"{fields.where} is of type {kind!r}, which is not read; rewrite it as affine, "
                "displacements or a sequence of these."
            )
        return affine

    def _sequence(self, fields: Fields, n_in: int, depth: int) -> CoordinateTransform:
        transforms: list[CoordinateTransform] = []
        for part in fields.parts("transformations"):
            transforms.append(self.read(part, n_in, depth + 1))
            n_in = transforms[-1].n_out
        return Sequence(transforms)

    def _displacements(self, fields: Fields, n_in: int) -> CoordinateTransform:
        if n_in != 2:
            raise FormatError(
                f"{fields.where}: displacements of a plane are read, not of a volume."
            )
        exact = fields.part("stria")
        kind = exact.text("kind", "")
        if kind == "thin_plate":
            moving, fixed = (exact.rows(name, 2) for name in ("moving", "fixed"))
            return ThinPlateSpline(moving, fixed, exact.number("smoothing", 0.0, low=0.0))
        if kind == "piecewise_affine":
            moved = [np.array(exact.rows(name, 2)).reshape(-1, 2) for name in ("moving", "fixed")]
            width, height = exact.numbers("shape_wh", 2)
            return PiecewiseAffine(moved[0], moved[1], (width, height))
        path = fields.text("path")
        if kind == "field":
            field, _, _ = read_field(self._folder, exact.text("path", path))
            to_lattice = Affine(exact.rows("points_to_lattice", 3))
            return FieldTransform(field, to_lattice, _interpolation(exact, fields))
        displacement, scale, first = read_field(self._folder, path)
        to_lattice = Affine(
            [[1 / scale[0], 0, -first[0] / scale[0]], [0, 1 / scale[1], -first[1] / scale[1]]]
        )
        return FieldTransform(displacement, to_lattice, _interpolation(fields))


def _interpolation(*places: Fields) -> FieldInterpolation:
    """Return how a field is interpolated, from the first place that says so."""
    found = next((text for part in places if (text := part.text("interpolation", ""))), _LINEAR)
    return "cubic" if found in (_CUBIC, "cubic") else "linear"


def _affine_of(kind: str, fields: Fields, n_in: int) -> Affine | None:
    """Return a transformation that is affine; None for other types."""
    if kind == "identity":
        return Affine.identity(n_in)
    if kind == "translation":
        return Affine(np.column_stack([np.eye(n_in), fields.numbers("translation", n_in)]))
    if kind == "scale":
        return Affine(np.column_stack([np.diag(fields.numbers("scale", n_in)), np.zeros(n_in)]))
    if kind == "rotation":
        return Affine(np.column_stack([fields.rows("rotation", n_in), np.zeros(n_in)]))
    if kind == "mapAxis":
        order = fields.wholes("mapAxis", n_in, 0, n_in - 1)
        return Affine(np.column_stack([np.eye(n_in)[list(order)], np.zeros(n_in)]))
    if kind == "affine":
        return Affine(fields.rows("affine", n_in + 1))
    return None
