"""A section in a TIFF: its levels and channels, read tile by tile or strip by strip."""

from __future__ import annotations

import threading
import weakref
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import (
    CorruptDataError,
    FormatError,
    StriaError,
    UnsupportedSourceError,
)
from napari_stria.io.tiff_array import FileStamp
from napari_stria.io.tiff_descriptions import channels_of, pixel_size_of
from napari_stria.io.whole_planes import decoded_by_opencv, whole_plane

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

XY = tuple[float, float]

_MOST_CHANNELS = 64
_MOST_PIXELS = 1 << 36
_NOWHERE = 1 << 64
_PALETTE = 3  # PhotometricInterpretation of TIFF 6.0


class TiffSection:
    """Reads the picture of a TIFF with the most pixels; a `PixelSource`.

    Parameters
    ----------
    path : Path
        The file. OME-TIFF and Aperio's levels are used as they are.

    Raises
    ------
    FormatError
        If it is no TIFF or is damaged.
    UnsupportedSourceError
        If it is a stack or a film, or its compression needs a library that is missing.
    """

    def __init__(self, path: Path) -> None:
        # Loaded on use: most programs read no TIFF.
        import tifffile

        self.path = path
        self._lock = threading.Lock()
        try:
            self.stamp = FileStamp.of(path)
            self._file: TiffFile = tifffile.TiffFile(path)
        # tifffile promises nothing about what it raises for damaged files.
        except Exception as error:
            raise FormatError(
                f"{path} is not a readable TIFF file ({error}); copy it again."
            ) from error
        # An image that is only forgotten closes its file as well.
        self._closing = weakref.finalize(self, self._file.close)
        try:
            self._describe()
        except StriaError:
            self._closing()
            raise
        except Exception as error:
            self._closing()
            raise FormatError(f"{path} is damaged ({error}); copy it again.") from error

    def _describe(self) -> None:
        series = max(self._file.series, key=lambda s: np.prod(s.shape, dtype=float))
        page = series.keyframe
        axes, shape = series.axes, tuple(int(n) for n in series.shape)
        _check_axes(self.path, axes, shape)
        self.dtype = np.dtype(series.dtype).newbyteorder("=")
        if self.dtype.kind not in "buif":
            raise FormatError(
                f"{self.path} holds {self.dtype} values, which are no picture; save its real part "
                "or its magnitude."
            )
        self._palette: npt.NDArray[np.uint8] | None = None
        if page.photometric == _PALETTE and page.colormap is not None:
            self._palette = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
            self.dtype = np.dtype(np.uint8)
        self.is_rgb = self._palette is not None or (
            "S" in axes and shape[axes.index("S")] in (3, 4) and page.photometric in (2, 5, 6, 8)
        )
        count = 1 if self.is_rgb else _count(axes, shape)
        self.channels = channels_of(self._file, count, is_rgb=self.is_rgb)
        self.pixel_size_um = pixel_size_of(self._file, page)
        levels = [s for s in series.levels if s.axes == axes]
        self._by_opencv = not _has_codec(page)
        if self._by_opencv:
            _check_opencv(self.path, page, count)
            levels = levels[:1]
        for level in levels:
            _check_whole(self.path, level)
        self._levels: list[TiffPageSeries] = levels
        self._arrays: dict[int, Any] = {}
        self.shapes = [_hw(s) for s in levels]

    def read(self, level: int, channel: int | None, rows: slice, columns: slice) -> Any:
        """Return a box of a level: (h, w), or (h, w, 3) if it is RGB.

        Raises
        ------
        FormatError
            If the file is damaged, or changed since it was opened.
        """
        try:
            if FileStamp.of(self.path) != self.stamp:
                raise CorruptDataError(f"{self.path} changed since it was opened; open it again.")
            with self._lock:
                box = self._box(level, channel, rows, columns)
        except StriaError:
            raise
        except (OSError, zlib.error, ValueError, RuntimeError) as error:
            raise FormatError(f"{self.path} is damaged ({error}); copy it again.") from error
        if self._palette is not None:
            return self._palette[box]
        return box[..., :3] if self.is_rgb else box

    def _box(self, level: int, channel: int | None, rows: slice, columns: slice) -> Any:
        series = self._levels[level]
        if self._by_opencv:
            return self._opencv_plane(series, channel or 0)[rows, columns]
        wanted: list[Any] = [0] * len(series.axes)
        wanted[series.axes.index("Y")], wanted[series.axes.index("X")] = rows, columns
        if self.is_rgb and "S" in series.axes:
            wanted[series.axes.index("S")] = slice(None)
        elif not self.is_rgb:
            for axis, index in _place_of(series.axes, series.shape, channel or 0):
                wanted[axis] = index
        box = np.asarray(self._array(level)[tuple(wanted)])
        if self.is_rgb and series.axes.find("S") in range(series.axes.index("Y")):
            box = np.moveaxis(box, 0, -1)
        return box

    def _array(self, level: int) -> Any:
        """Return what is sliced of a level: the file itself where it is one piece."""
        if level not in self._arrays:
            series = self._levels[level]
            if series.dataoffset is not None:
                dtype = np.dtype(series.dtype).newbyteorder(self._file.byteorder)
                self._arrays[level] = PlainPixels(
                    self.path, int(series.dataoffset), dtype, tuple(series.shape), series.axes
                )
            else:
                import zarr

                self._arrays[level] = zarr.open_array(series.aszarr(level=0), mode="r")
        return self._arrays[level]

    def _opencv_plane(self, series: TiffPageSeries, channel: int) -> npt.NDArray[Any]:
        page = series.pages[channel if len(series.pages) > 1 else 0]
        index = 0 if page is None else int(page.index)
        key = (str(self.path), str(self.stamp), index)
        plane = whole_plane(key, lambda: decoded_by_opencv(self.path, index))
        return plane if self.is_rgb or plane.ndim == 2 else plane[..., channel]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._arrays.clear()
            self._closing()


class PlainPixels:
    """Uncompressed values in one piece of a file, sliced without reading the rest.

    Not by memory map: if the file becomes shorter, touching the rest would end the program.
    """

    def __init__(
        self, path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], axes: str
    ) -> None:
        self._path, self._offset, self._dtype = path, offset, dtype
        self._shape, self._y = shape, axes.index("Y")

    def __getitem__(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Return the values of whole numbers and slices, one an axis, rows by rows."""
        before, rows = key[: self._y], key[self._y]
        inner = self._shape[self._y + 1 :]
        row_bytes = int(np.prod(inner, dtype=np.int64)) * self._dtype.itemsize
        if any(isinstance(k, slice) for k in before):
            planes = range(*next(k for k in before if isinstance(k, slice)).indices(self._shape[0]))
            return np.stack([self[(p, *key[1:])] for p in planes])
        plane = int(np.ravel_multi_index(before, self._shape[: self._y])) if before else 0
        start, stop, _ = rows.indices(self._shape[self._y])
        with self._path.open("rb") as file:
            file.seek(self._offset + (plane * self._shape[self._y] + start) * row_bytes)
            data = file.read((stop - start) * row_bytes)
        if len(data) != (stop - start) * row_bytes:
            raise FormatError(f"{self._path} ends early; copy it again.")
        box = np.frombuffer(data, self._dtype).reshape(stop - start, *inner)
        return box[(slice(None), *key[self._y + 1 :])].astype(self._dtype.newbyteorder("="))


def _hw(series: TiffPageSeries) -> tuple[int, int]:
    return int(series.shape[series.axes.index("Y")]), int(series.shape[series.axes.index("X")])


def _others(axes: str, shape: tuple[int, ...]) -> list[int]:
    """Return the axes that make channels."""
    return [n for n, (axis, size) in enumerate(zip(axes, shape)) if axis not in "YX" and size > 1]


def _check_axes(path: Path, axes: str, shape: tuple[int, ...]) -> None:
    if "Y" not in axes or "X" not in axes or 0 in shape:
        raise FormatError(f"{path} holds no picture with rows and columns (axes {axes}).")
    if np.prod(shape, dtype=float) > _MOST_PIXELS:
        raise FormatError(f"{path} claims the shape {shape}, more than this package reads.")
    deep = [f"{n} along {a}" for a, n in zip(axes, shape) if a in "ZT" and n > 1]
    if deep:
        raise UnsupportedSourceError(
            f"{path} is a stack ({', '.join(deep)}); save one plane or a projection of it."
        )
    if len(_others(axes, shape)) > 1 and "S" not in axes:
        raise UnsupportedSourceError(f"{path} has the axes {axes}; save one picture of it.")
    if _count(axes, shape) > _MOST_CHANNELS:
        raise UnsupportedSourceError(
            f"{path} holds {_count(axes, shape)} pages, which are no channels; save one of them."
        )


def _check_whole(path: Path, series: TiffPageSeries) -> None:
    """Refuse a file that ends before its pixels do."""
    ends: list[tuple[int, Any]] = []
    if series.dataoffset is not None and series.parent is not None:
        ends.append((series.dataoffset + series.nbytes, series.parent))
    for page in series.pages:
        if page is not None:
            places = zip(page.dataoffsets, page.databytecounts)
            # Where the file is cut in what says where its pixels are, tifffile knows of none.
            ends.append((max((sum(place) for place in places), default=_NOWHERE), page.parent))
    if any(end > file.filehandle.size for end, file in ends):
        raise FormatError(f"{path} ends before its pixels do; copy it again.")


def _count(axes: str, shape: tuple[int, ...]) -> int:
    return int(np.prod([shape[n] for n in _others(axes, shape)], dtype=np.int64))


def _place_of(axes: str, shape: tuple[int, ...], channel: int) -> list[tuple[int, int]]:
    """Return the index along each of the axes that make channels."""
    others = _others(axes, shape)
    if not others:
        return []
    places = np.unravel_index(channel, [shape[n] for n in others])
    return [(axis, int(place)) for axis, place in zip(others, places, strict=True)]


def _has_codec(page: Any) -> bool:
    """Tell whether tifffile can decode a page without a library that is missing."""
    import tifffile

    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
        if page.predictor != 1:
            tifffile.TIFF.UNPREDICTORS[page.predictor]
    except (KeyError, ValueError, ImportError):
        return False
    return True


def _check_opencv(path: Path, page: Any, count: int) -> None:
    """Refuse what neither of the two libraries can decode."""
    fits = isinstance(page.index, int) and page.imagewidth * page.imagelength < 1 << 29
    if not fits or (page.samplesperpixel > 1 and count > 1):
        raise UnsupportedSourceError(
            f"{path} is compressed in a way ({page.compression.name}) that needs imagecodecs; "
            "install it with: pip install imagecodecs."
        )
