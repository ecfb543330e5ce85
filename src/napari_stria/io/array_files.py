"""Arrays that are measured, out of files: pixels of sections, and volumes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_stria.errors import FormatError, UnsupportedSourceError, plain_text
from napari_stria.io.section_files import SectionImage, open_section_image

VOLUME_SUFFIXES = (".zarr", ".nrrd", ".tif", ".tiff", ".npy")
BRIGHTNESS = "brightness"
_COLOURS = ("red", "green", "blue", BRIGHTNESS)


@dataclass(frozen=True)
class OpenedVolume:
    """A volume out of a file.

    Attributes
    ----------
    data : (n0, n1, n2) numpy or dask array
    space : str or None
        Where its axes start, where the file says so.
    """

    data: Any
    space: str | None = None


# -- sections ------------------------------------------------------------------------------------


class SectionPixels:
    """One channel of a section's file as an array that is read box by box.

    Any threads may read at once; a copy in another process opens the file again.

    Attributes
    ----------
    path : Path
    channel : int
        Of an RGB image 0, 1, 2, or 3 for the mean of these.
    shape : (int, int)
    dtype : dtype
    chunks : (int, int)
        Boxes of this shape are read well.
    """

    ndim = 2
    chunks = (2048, 2048)

    def __init__(self, path: Path, channel: int, image: SectionImage) -> None:
        self.path, self.channel = path, channel
        is_mean = image.is_rgb and _COLOURS[channel] == BRIGHTNESS
        self.shape, self.dtype = image.shape_hw, np.dtype(np.float64) if is_mean else image.dtype
        self._image: SectionImage | None = image
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_image": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __getitem__(self, box: tuple[slice, slice]) -> Any:
        with self._lock:
            if self._image is None:
                self._image = open_section_image(self.path)
            image = self._image
        if not image.is_rgb:
            return image.read(0, *box, channel=self.channel)
        rgb = image.read(0, *box)
        if _COLOURS[self.channel] == BRIGHTNESS:
            return rgb.mean(axis=-1, dtype=np.float64)
        return rgb[..., self.channel]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._image is not None:
                self._image.close()
            self._image = None


def open_section_pixels(
    path: str | PathLike[str], channel: str | None = None
) -> SectionPixels | np.ndarray[Any, Any]:
    """Open one channel of a section's image: TIFF, OME-TIFF, PNG, JPEG, BMP or ``.npy``.

    Parameters
    ----------
    path : path-like
    channel : str, optional
        Its name, or its number from 0; of an RGB image red, green, blue, or brightness for the
        mean of the three. May be left out if there is one alone.

    Returns
    -------
    SectionPixels or (H, W) ndarray
        What `napari_stria.measure_image` and `napari_stria.measure_labels` take.

    Raises
    ------
    FormatError, UnsupportedSourceError
        If it cannot be read as a picture, or has no such channel; see `open_section_image`.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".npy":
        return _numpy(path, 2, channel)
    image = open_section_image(path)
    try:
        names = _COLOURS if image.is_rgb else tuple(c.name for c in image.channels)
        number = _channel(names, channel, image.name)
    except FormatError:
        image.close()
        raise
    return SectionPixels(path, number, image)


def open_section_labels(
    path: str | PathLike[str], channel: str | None = None
) -> SectionPixels | np.ndarray[Any, Any]:
    """Open a section's label image or mask: as `open_section_pixels`, but a palette's numbers.

    Many programs colour labels in a PNG by a palette. Its numbers are the labels, not its colours.

    Raises
    ------
    FormatError, UnsupportedSourceError
        See `open_section_pixels`.
    """
    path = Path(path).expanduser()
    if channel is None and path.suffix.lower() == ".png":
        from napari_stria.io.section_picture import palette_numbers

        numbers = palette_numbers(path)
        if numbers is not None:
            return numbers
    return open_section_pixels(path, channel)


def _channel(names: tuple[str, ...], said: str | None, where: str) -> int:
    if said is None and len(names) == 1:
        return 0
    # By name first: channels may be called by numbers.
    if said in names:
        return names.index(str(said))
    if said is not None and said.isdecimal() and int(said) < len(names):
        return int(said)
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
    what = "several channels" if said is None else f"no channel {said}"
    raise FormatError(f"{where} has {what}; choose one of {known}.")


# -- volumes -------------------------------------------------------------------------------------


def open_volume(path: str | PathLike[str], channel: str | None = None) -> OpenedVolume:
    """Open a volume: OME-Zarr or a zarr array, NRRD, a stack in a TIFF, or ``.npy``.

    Parameters
    ----------
    path : path-like
        A file or folder; a zarr also by its https:// or s3:// address.
    channel : str, optional
        Of a TIFF with several, from 0.

    Returns
    -------
    OpenedVolume
        Lazy where the format allows it: zarr, and what is stored in one piece. A compressed NRRD or
        TIFF is in memory as a whole.

    Raises
    ------
    FormatError
        If it cannot be read as a volume.
    UnsupportedSourceError
        For another kind of file.

    Notes
    -----
    The axes of an NRRD are taken with the fastest one first, which is (AP, DV, ML) in Allen's and
    this package's files; what it says of directions is not used.
    """
    text = str(path)
    suffix = Path(text.rstrip("/")).suffix.lower()
    if suffix not in VOLUME_SUFFIXES:
        known = ", ".join(VOLUME_SUFFIXES)
        raise UnsupportedSourceError(
            f"{text} is none of the volumes that are read ({known}); if it is a section, give the "
            "map that places it in the atlas."
        )
    if suffix == ".zarr":
        return _zarr(text, channel)
    file = Path(path).expanduser()
    if suffix == ".npy":
        return OpenedVolume(_numpy(file, 3, channel))
    try:
        data = _nrrd(file, channel) if suffix == ".nrrd" else _tiff(file, channel)
    except OSError as error:
        raise FormatError(
            f"{file} cannot be read ({plain_text(error)}); choose another file."
        ) from error
    return OpenedVolume(_checked(data, 3, file))


def _zarr(uri: str, channel: str | None) -> OpenedVolume:
    from napari_stria.io.bare_array import read_annotation
    from napari_stria.io.store import open_store

    _no_channels(uri, channel)
    # An array without a voxel size is one all the same; its map says where it lies.
    found = read_annotation(open_store(uri.rstrip("/")), "", (1.0, 1.0, 1.0))
    return OpenedVolume(found.pyramid.levels[0].data, found.space)


def _numpy(path: Path, axes: int, channel: str | None) -> np.ndarray[Any, Any]:
    _no_channels(path, channel)
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise FormatError(
            f"{path} cannot be read ({plain_text(error)}); choose another file."
        ) from error
    except (ValueError, EOFError) as error:
        raise FormatError(f"{path} is no array of numpy (.npy); choose another.") from error
    return _checked(data, axes, path)


def _nrrd(path: Path, channel: str | None) -> Any:
    import nrrd

    _no_channels(path, channel)
    try:
        return nrrd.read(str(path))[0]
    except (nrrd.NRRDError, ValueError, KeyError, EOFError) as error:
        raise FormatError(
            f"{path} is not a readable NRRD file ({error}); copy it again."
        ) from error


def _tiff(path: Path, channel: str | None) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            sizes = [np.prod(series.shape, dtype=float) for series in file.series]
            number = int(np.argmax(sizes))
            series = file.series[number]
            axes = series.axes
            in_place = series.dataoffset is not None and series.keyframe.is_memmappable
            data = None if in_place else series.asarray()
        # Outside: the map of the file outlives the reader.
        data = tifffile.memmap(path, mode="r", series=number) if data is None else data
    except OSError:
        raise
    # tifffile promises nothing about what it raises for damaged files.
    except Exception as error:
        raise FormatError(
            f"{path} is not a readable TIFF file ({error}); copy it again."
        ) from error
    used = [n for n, size in enumerate(data.shape) if size > 1 or axes[n] in "YX"]
    names = "".join(axes[n] for n in used)
    data = data.reshape([data.shape[n] for n in used])
    place = next((n for n, name in enumerate(names) if name in "CS"), None)
    if place is None:
        _no_channels(path, channel)
        return data
    count = data.shape[place]
    return np.take(data, _channel(tuple(map(str, range(count))), channel, path.name), axis=place)


def _no_channels(where: object, channel: str | None) -> None:
    if channel is not None:
        raise FormatError(f"{where} has no channels; leave the channel out.")


def _checked(data: Any, axes: int, path: Path) -> np.ndarray[Any, Any]:
    """Return an array with so many axes of numbers.

    Raises
    ------
    FormatError
        If it is none.
    """
    if not isinstance(data, np.ndarray):
        raise FormatError(f"{path} holds several arrays; save one of them alone.")
    if data.dtype.kind not in "buif" or data.ndim != axes or data.size == 0:
        what = f"{data.dtype} of shape {data.shape}"
        kind = "a section (rows, columns)" if axes == 2 else "a volume of three axes"
        raise FormatError(f"{path} should hold {kind} of numbers, not {what}.")
    return data
