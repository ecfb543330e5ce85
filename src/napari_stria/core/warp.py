"""Pull-back resampling of images: whole or by tile, of any size and type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.core.opencv_pixels import OpenCvImage, channel_parts, rounded
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import CoordinateError

Interpolation = Literal["nearest", "linear", "cubic", "area", "lanczos"]
BorderMode = Literal["constant", "replicate", "reflect", "wrap", "reflect_101", "transparent"]
Fill = float | tuple[float, ...]
Image = npt.NDArray[Any]
# Rows and columns of the output -> x and y in the input; pixel centres lie at whole numbers.
MapOfTile = Callable[[slice, slice], tuple[npt.NDArray[Any], npt.NDArray[Any]]]

_INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_LINEAR,
    "lanczos": cv2.INTER_LANCZOS4,
}
_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "reflect_101": cv2.BORDER_REFLECT_101,
    "transparent": cv2.BORDER_TRANSPARENT,
}
_TILE = 512
# OpenCV's remap keeps coordinates in 16 bits.
_LARGEST_SIDE = 32_000
# What the widest kernel (Lanczos) reaches beyond a point, and to spare.
_MARGIN = 8


def warp(
    image: npt.ArrayLike,
    output_to_input: CoordinateTransform,
    shape: tuple[int, int],
    *,
    interpolation: Interpolation = "linear",
    border_mode: BorderMode = "constant",
    c: Fill = 0,
) -> Image:
    """Resample an image onto a regular grid.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array_like
        Boolean, integer or floating; of any size.
    output_to_input : CoordinateTransform
        Maps (column, row) of the output to (x, y) of the image. In both, whole numbers are pixel
        centres.
    shape : (rows, columns)
        Of the output.
    interpolation : {"nearest", "linear", "cubic", "area", "lanczos"}
        *area* averages over the pixels that fall into one of the output, where these are larger.
    border_mode : str
        What lies outside the image: `c` (*constant* and *transparent*), or the image continued
        (*replicate*, *reflect*, *reflect_101*, *wrap*).
    c : float or tuple of float
        Value outside, one or one a channel.

    Returns
    -------
    (rows, columns) or (rows, columns, C) ndarray
        Of the image's dtype.

    Raises
    ------
    CoordinateError
        For an image, mode or interpolation that cannot be.
    """
    if output_to_input.n_in != 2 or output_to_input.n_out != 2:
        raise CoordinateError("warping an image needs a map from two to two coordinates.")

    def map_of_tile(rows: slice, columns: slice) -> tuple[Image, Image]:
        grid = np.empty((rows.stop - rows.start, columns.stop - columns.start, 2))
        grid[..., 0] = np.arange(columns.start, columns.stop)
        grid[..., 1] = np.arange(rows.start, rows.stop)[:, None]
        mapped = output_to_input(grid)
        return mapped[..., 0], mapped[..., 1]

    return warp_by_map(
        image, map_of_tile, shape, interpolation=interpolation, border_mode=border_mode, c=c
    )


def warp_by_map(
    image: npt.ArrayLike,
    map_of_tile: MapOfTile,
    shape: tuple[int, int],
    *,
    interpolation: Interpolation = "linear",
    border_mode: BorderMode = "constant",
    c: Fill = 0,
) -> Image:
    """Resample an image onto a grid whose map is made tile by tile; see `warp`."""
    source = np.asarray(image)
    if source.ndim not in (2, 3) or 0 in source.shape:
        raise CoordinateError(
            f"an image is (H, W) or (H, W, C) and not empty; this one is {source.shape}."
        )
    mode = "reflect_101" if border_mode == "reflect101" else border_mode  # type: ignore[comparison-overlap]
    if interpolation not in get_args(Interpolation) or mode not in get_args(BorderMode):
        raise CoordinateError(
            f"interpolation must be one of {', '.join(_INTERPOLATIONS)} and border_mode one of "
            f"{', '.join(_BORDERS)}; got {interpolation!r} and {border_mode!r}."
        )
    if source.dtype.kind not in "biuf":
        raise CoordinateError(f"an image of {source.dtype} cannot be resampled.")
    fill = _fill(c, 1 if source.ndim == 2 else source.shape[2])
    if source.dtype.kind != "f" and np.isnan(fill).any():
        raise CoordinateError(f"c cannot be {c!r} in an image of {source.dtype}.")
    if interpolation == "area":
        source, map_of_tile = _reduced(source, map_of_tile, shape)
    prepared = OpenCvImage.of(source, interpolation, fill)
    out = prepared.empty(shape)
    for rows, columns in _tiles(shape):
        x, y = (np.asarray(m, dtype=np.float32) for m in map_of_tile(rows, columns))
        _remap(prepared, x, y, out[rows, columns], _INTERPOLATIONS[interpolation], mode)
    return prepared.restored(out, np.asarray(image).ndim)


def _fill(c: Fill, channels: int) -> npt.NDArray[np.float64]:
    try:
        return np.broadcast_to(np.asarray(c, dtype=np.float64), channels)
    except ValueError as error:
        raise CoordinateError(
            f"c must be one number or one for each of the {channels} channels, not {c!r}."
        ) from error


def _tiles(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for row in range(0, shape[0], _TILE):
        for column in range(0, shape[1], _TILE):
            yield (
                slice(row, min(row + _TILE, shape[0])),
                slice(column, min(column + _TILE, shape[1])),
            )


def _reduced(
    source: Image, map_of_tile: MapOfTile, shape: tuple[int, int]
) -> tuple[Image, MapOfTile]:
    """Average blocks of pixels until a pixel is as large as one of the output."""
    area = _pixel_area(map_of_tile, shape)
    wanted = int(math.sqrt(area)) if np.isfinite(area) else 1
    if wanted < 2:
        return source, map_of_tile
    down, across = (min(wanted, n) for n in source.shape[:2])
    exact = source.dtype in (np.uint8, np.uint16, np.float32)
    small_type = source.dtype.itemsize <= 2
    work: Any = source if exact else source.astype(np.float32 if small_type else np.float64)
    pad = [-n % f for n, f in zip(source.shape[:2], (down, across), strict=True)]
    padded = cv2.copyMakeBorder(work, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // across, padded.shape[0] // down)
    small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    small = small.reshape(size[1], size[0], *source.shape[2:])

    def reduced_map(rows: slice, columns: slice) -> tuple[Image, Image]:
        x, y = map_of_tile(rows, columns)
        return (x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5

    return rounded(small, source.dtype.newbyteorder("=")), reduced_map


def _pixel_area(map_of_tile: MapOfTile, shape: tuple[int, int]) -> float:
    """Return how many pixels of the image fall into one in the middle of the output."""
    rows, columns = (slice(max(n // 2 - 1, 0), min(max(n // 2 - 1, 0) + 2, n)) for n in shape)
    x, y = map_of_tile(rows, columns)
    across = complex(x[0, -1] - x[0, 0], y[0, -1] - y[0, 0])
    down = complex(x[-1, 0] - x[0, 0], y[-1, 0] - y[0, 0])
    # Of a single row or column only one step is known; the other is taken to be as long.
    if shape[0] == 1:
        down = across * 1j
    elif shape[1] == 1:
        across = down * 1j
    return abs((across.conjugate() * down).imag)


def _remap(
    prepared: OpenCvImage, x: Image, y: Image, out: Image, interpolation: int, mode: str
) -> None:
    """Resample into one tile of the output."""
    height, width = prepared.pixels.shape[:2]
    rows, columns = slice(0, height), slice(0, width)
    if mode in ("constant", "replicate", "transparent"):
        x, columns_x = _near(x, width)
        y, rows_y = _near(y, height)
        columns, rows = columns_x, rows_y
        if mode != "replicate" and _outside(x, y, width, height):
            return
    if max(rows.stop - rows.start, columns.stop - columns.start) > _LARGEST_SIDE:
        _remap_parts(prepared, x, y, out, interpolation, mode)
        return
    source = prepared.pixels[rows, columns]
    local_x, local_y = x - np.float32(columns.start), y - np.float32(rows.start)
    for part in channel_parts(source.shape[2]):
        target = np.ascontiguousarray(out[..., part])
        cv2.remap(
            np.ascontiguousarray(source[..., part]),
            local_x,
            local_y,
            interpolation,
            dst=target,
            borderMode=_BORDERS[mode],
            borderValue=prepared.fill[part],
        )
        out[..., part] = target


def _near(values: Image, size: int) -> tuple[Image, slice]:
    """Return coordinates not far outside an image, and the part of its axis that they need."""
    near = np.clip(values, -2 * _MARGIN, size + 2 * _MARGIN)
    # Even, so that halves are rounded to the same pixel as without the cut.
    start = int(np.clip(math.floor(near.min()) - _MARGIN, 0, size - 1)) // 2 * 2
    stop = int(np.clip(math.ceil(near.max()) + _MARGIN, start + 1, size))
    return near, slice(start, stop)


def _outside(x: Image, y: Image, width: int, height: int) -> bool:
    """Tell whether a tile lies wholly outside the image, so that its fill is right already."""
    return bool(
        x.max() < -_MARGIN
        or y.max() < -_MARGIN
        or x.min() > width + _MARGIN
        or y.min() > height + _MARGIN
    )


def _remap_parts(
    prepared: OpenCvImage, x: Image, y: Image, out: Image, interpolation: int, mode: str
) -> None:
    """Resample a tile in four parts, for each of which a smaller piece of the image is enough."""
    if mode not in ("constant", "replicate", "transparent"):
        raise CoordinateError(
            f"border mode {mode!r} works for images of up to {_LARGEST_SIDE} px a side; "
            "use constant or replicate."
        )
    middle_row, middle_column = (n // 2 for n in x.shape)
    for rows in (slice(0, middle_row), slice(middle_row, None)):
        for columns in (slice(0, middle_column), slice(middle_column, None)):
            if x[rows, columns].size == x.size:
                raise CoordinateError("the map jumps across more than 32,000 px within a pixel.")
            if x[rows, columns].size:
                at = (rows, columns)
                _remap(prepared, x[at], y[at], out[at], interpolation, mode)
