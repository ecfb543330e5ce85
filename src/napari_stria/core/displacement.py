"""Displacement fields: where each pixel of a regular plane is found in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from napari_stria.core.transforms import Affine
from napari_stria.core.warp import BorderMode, Fill, Interpolation, warp_by_map
from napari_stria.errors import CoordinateError, FormatError

F32 = npt.NDArray[np.float32]


class DisplacementField:
    """For each pixel of an output plane, how far off its place in an image lies.

    The pixel in (row, column) shows the image at x = column + delta_x, y = row + delta_y; whole
    numbers are pixel centres. A field that is affine (`from_affine`) is kept as its six numbers.

    Parameters
    ----------
    delta_x, delta_y : (rows, columns) array_like
        In pixels of the image; kept as float32.
    plane_to_pir : Affine, optional
        Where the output plane lies: (column, row) to p, i, r in um of the Allen reference space.

    Raises
    ------
    CoordinateError
        If the two are not planes of one shape, or hold values that are not finite.
    """

    # Multiplying by a numpy number is ours to do, not numpy's pixel by pixel.
    __array_ufunc__ = None

    def __init__(
        self,
        delta_x: npt.ArrayLike,
        delta_y: npt.ArrayLike,
        *,
        plane_to_pir: Affine | None = None,
    ) -> None:
        # Copies, because a field is a value; too large numbers are found below.
        with np.errstate(over="ignore"):
            x, y = (np.array(d, dtype=np.float32) for d in (delta_x, delta_y))
        if x.ndim != 2 or x.shape != y.shape or 0 in x.shape:
            raise CoordinateError(
                f"delta_x and delta_y must be planes of one shape, not {x.shape} and {y.shape}."
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise CoordinateError("a displacement field must hold finite numbers only.")
        self._deltas: tuple[F32, F32] | None = _frozen(x, y)
        self._affine: Affine | None = None
        self._shape = (x.shape[0], x.shape[1])
        self.plane_to_pir = plane_to_pir

    @classmethod
    def from_affine(
        cls,
        output_to_input: Affine,
        shape: tuple[int, int],
        *,
        plane_to_pir: Affine | None = None,
    ) -> DisplacementField:
        """Return the field of an affine map (column, row) -> (x, y) of a plane of this shape."""
        if output_to_input.n_in != 2 or output_to_input.n_out != 2:
            raise CoordinateError("a displacement field maps two coordinates to two.")
        if len(shape) != 2 or min(shape) < 1:
            raise CoordinateError(f"a displacement field needs rows and columns, not {shape}.")
        field = cls.__new__(cls)
        field._deltas, field._affine = None, output_to_input
        field._shape = (int(shape[0]), int(shape[1]))
        field.plane_to_pir = plane_to_pir
        return field

    @classmethod
    def from_transform(cls, f_x: npt.ArrayLike, f_y: npt.ArrayLike) -> DisplacementField:
        """Return the field whose pixels show the image at x = f_x, y = f_y (rows, columns)."""
        x, y = (np.asarray(f, dtype=np.float64) for f in (f_x, f_y))
        if x.ndim != 2 or x.shape != y.shape:
            raise CoordinateError(
                f"f_x and f_y must be planes of one shape, not {x.shape} and {y.shape}."
            )
        return cls(x - np.arange(x.shape[1]), y - np.arange(y.shape[0])[:, None])

    @classmethod
    def from_file(cls, path: str | Path) -> DisplacementField:
        """Read a ``.npy`` file of shape (rows, columns, 2), as `save` and atldld write it.

        Raises
        ------
        FormatError
            If it is no such file.
        """
        try:
            # Mapped, so that a header which claims more than the file holds takes no memory.
            array = open_memmap(Path(path), mode="r")
        except FileNotFoundError:
            raise
        except (OSError, ValueError, EOFError) as error:
            raise FormatError(f"{path} is not a .npy file of numbers ({error}).") from error
        if array.ndim != 3 or array.shape[2] != 2:
            raise FormatError(
                f"{path} holds no displacement field: it should have the shape (rows, columns, 2)."
            )
        if array.dtype.kind not in "iuf":
            raise FormatError(f"{path} holds {array.dtype}, a displacement field holds numbers.")
        try:
            return cls(array[..., 0], array[..., 1])
        except CoordinateError as error:
            raise FormatError(f"{path} holds no displacement field: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the field as a ``.npy`` file, float32 (rows, columns, 2): delta_x, delta_y."""
        with Path(path).open("wb") as file:
            np.save(file, np.stack([self.delta_x, self.delta_y], axis=2), allow_pickle=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the output plane."""
        return self._shape

    @property
    def output_to_input(self) -> Affine | None:
        """The map (column, row) -> (x, y) in float64 where the field is affine, else None."""
        return self._affine

    @property
    def delta_x(self) -> F32:
        """Displacement along x in pixels of the image, (rows, columns) float32."""
        return self._planes()[0]

    @property
    def delta_y(self) -> F32:
        """Displacement along y in pixels of the image, (rows, columns) float32."""
        return self._planes()[1]

    def _planes(self) -> tuple[F32, F32]:
        if self._deltas is None:
            rows, columns = (slice(0, n) for n in self._shape)
            x, y = self._map_of_tile(rows, columns)
            x -= np.arange(self._shape[1])
            y -= np.arange(self._shape[0])[:, None]
            self._deltas = _frozen(x.astype(np.float32), y.astype(np.float32))
        return self._deltas

    def _map_of_tile(self, rows: slice, columns: slice) -> tuple[Any, Any]:
        column = np.arange(columns.start, columns.stop, dtype=np.float64)
        row = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None]
        if self._affine is None:
            at = (rows, columns)
            return column + self.delta_x[at], row + self.delta_y[at]
        (xc, xr, x0), (yc, yr, y0) = self._affine.matrix
        return xc * column + (xr * row + x0), yc * column + (yr * row + y0)

    @property
    def transformation(self) -> tuple[F32, F32]:
        """Where each output pixel lies in the image: x and y, (rows, columns) float32."""
        x, y = self._map_of_tile(*(slice(0, n) for n in self._shape))
        return x.astype(np.float32), y.astype(np.float32)

    @property
    def norm(self) -> F32:
        """Length of each displacement in pixels, (rows, columns) float32."""
        return np.hypot(self.delta_x, self.delta_y)

    def warp(
        self,
        image: npt.ArrayLike,
        interpolation: Interpolation = "linear",
        border_mode: BorderMode = "constant",
        c: Fill = 0,
    ) -> npt.NDArray[Any]:
        """Resample an image onto the output plane.

        Parameters
        ----------
        image : (H, W) or (H, W, C) array_like
            The image (of the tier) that the field was made for; boolean, integer or floating.
        interpolation, border_mode, c
            See `napari_stria.core.warp.warp`.

        Returns
        -------
        (rows, columns) or (rows, columns, C) ndarray
            Of the image's dtype.
        """
        return warp_by_map(
            image,
            self._map_of_tile,
            self._shape,
            interpolation=interpolation,
            border_mode=border_mode,
            c=c,
        )

    def __mul__(self, factor: float) -> DisplacementField:
        """Return the field with every displacement multiplied by a number."""
        if not isinstance(factor, (int, float, np.number)):
            return NotImplemented
        if not np.isfinite(factor):
            raise CoordinateError(f"a displacement cannot be multiplied by {factor}.")
        return DisplacementField(
            self.delta_x * factor, self.delta_y * factor, plane_to_pir=self.plane_to_pir
        )

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DisplacementField):
            return NotImplemented
        return (
            self._shape == other._shape
            and np.array_equal(self.delta_x, other.delta_x)
            and np.array_equal(self.delta_y, other.delta_y)
        )

    def __hash__(self) -> int:
        return hash(self._shape)

    def __repr__(self) -> str:
        return f"<DisplacementField {self._shape[0]} x {self._shape[1]}>"


def _frozen(x: F32, y: F32) -> tuple[F32, F32]:
    for plane in (x, y):
        plane.flags.writeable = False
    return x, y
