"""Stored zarr arrays, read chunk by chunk from any `Store`.

The usual chunk (zarr v3, little-endian bytes, at most one compressor) is fetched and decoded here
directly: in real atlases zarr-python's own path costs several times the decompression itself
(`docs/performance.md`). Anything else (sharding, zarr v2, other codecs) goes through zarr-python.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.errors import CorruptDataError, FormatError, StriaError
from napari_stria.io.codecs import COMPRESSORS, decompress
from napari_stria.io.store import Store
from napari_stria.io.zarr_bridge import ZarrStore, corrupt_chunk

_MAX_CHUNK_BYTES = 2 << 30
_MAX_CHUNKS = 50_000_000
_NUMERIC = frozenset(
    ["bool", *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64))]
)


@dataclass(frozen=True)
class ZarrArray:
    """One stored array; a `napari_stria.core.pyramid.BlockReader`.

    Attributes
    ----------
    store : Store
        Where it lies.
    path : str
        Its key in the store.
    shape, chunk_shape : tuple of int
    dtype_name : str
        For example ``uint32``, as numpy names it.
    compressor : str or None
        Name of the one compressor of a plainly stored array.
    plain : bool
        Whether chunks can be decoded here; else zarr-python reads them.
    chunk_prefix, separator : str
        How chunk keys are written: ``c/0/1/2`` has the prefix ``c`` and the separator ``/``.
    big_endian : bool
        Byte order of a plainly stored array.
    fill_value : float
        Value of chunks that are not stored.
    metadata_name : str
        Name of the array's metadata file.
    edition : str
        Version of that file when it was read; kept chunks of another edition are not used.
    """

    store: Store
    path: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    dtype_name: str
    fill_value: float | int = 0
    plain: bool = True
    compressor: str | None = None
    chunk_prefix: str = "c"
    separator: str = "/"
    big_endian: bool = False
    metadata_name: str = "zarr.json"
    edition: str = ""

    def __post_init__(self) -> None:
        _check_size(self)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        return np.dtype(self.dtype_name)

    def chunk_key(self, index: BlockIndex) -> str:
        """Return the key of a chunk in the store."""
        name = self.separator.join(
            [*([self.chunk_prefix] if self.chunk_prefix else []), *(str(i) for i in index)]
        )
        return f"{self.path}/{name}" if self.path else name

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a chunk cut at the array's end, None if it is not stored and the fill is 0.

        Raises
        ------
        CorruptDataError
            If the stored bytes are not this chunk.
        NetworkError
            If they cannot be fetched.
        """
        box = block_box(index, self.chunk_shape, self.shape)
        cut = tuple(slice(0, s.stop - s.start) for s in box)
        key = self.chunk_key(index)
        if not self.plain:
            return self._read_by_zarr(key, box)
        block = self._read_chunk(key)
        if block is None:
            if self.fill_value == 0:
                return None
            return np.full([c.stop for c in cut], self.fill_value, dtype=self.dtype)
        # A view would keep the whole chunk in memory for the part that lies in the array.
        return block if block.shape == tuple(c.stop for c in cut) else block[cut].copy()

    def _read_chunk(self, key: str) -> npt.NDArray[Any] | None:
        while True:
            raw = self.store.get_chunk(key, self.edition)
            try:
                return None if raw is None else self._decoded(raw, key)
            except CorruptDataError:
                # A copy may be damaged where the original is not.
                if not self.store.drop_chunk(key, self.edition):
                    raise

    def _decoded(self, raw: bytes, key: str) -> npt.NDArray[Any]:
        stored = self.dtype.newbyteorder(">" if self.big_endian else "<")
        size = math.prod(self.chunk_shape) * stored.itemsize
        try:
            data = raw if self.compressor is None else decompress(self.compressor, raw, size)
        except ValueError as error:
            raise corrupt_chunk(self.store, key, f"cannot be decompressed: {error}") from error
        if len(data) != size:
            raise corrupt_chunk(self.store, key, f"has {len(data)} bytes where {size} belong")
        out = np.frombuffer(data, dtype=stored).reshape(self.chunk_shape)
        return out if stored == self.dtype else out.astype(self.dtype)

    @cached_property
    def _zarr(self) -> Any:
        # zarr-python reads the metadata again, which may be others by now.
        store = ZarrStore(self.store, self.edition)
        try:
            array: Any = zarr.open_array(store=store, path=self.path, mode="r")
        except StriaError:
            raise
        except Exception as error:
            raise self._changed() from error
        stored = (array.shape, array.shards or array.chunks, array.dtype.newbyteorder("="))
        if stored != (self.shape, self.chunk_shape, self.dtype):
            raise self._changed()
        return array

    def _changed(self) -> CorruptDataError:
        where = f"{self.store.uri}/{self.path}"
        return CorruptDataError(f"{where} changed while it was open; open it again.")

    def _read_by_zarr(self, key: str, box: tuple[slice, ...]) -> npt.NDArray[Any]:
        array = self._zarr
        while True:
            try:
                found = np.asarray(array[box])
                break
            except CorruptDataError:
                if not self.store.drop_chunk(key, self.edition):
                    raise
            except StriaError:
                raise
            except Exception as error:
                if not self.store.drop_chunk(key, self.edition):
                    what = f"cannot be decoded: {error}"
                    raise corrupt_chunk(self.store, self.path, what) from error
        if found.dtype.newbyteorder("=") != self.dtype:
            raise self._changed()
        return found.astype(self.dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        values = tuple(getattr(self, name) for name in self.__dataclass_fields__)
        return ZarrArray, values


def _check_size(array: ZarrArray) -> None:
    """Refuse shapes that would make us allocate without bound."""
    dims = (*array.shape, *array.chunk_shape)
    if len(array.shape) != len(array.chunk_shape) or not dims or min(dims) < 1:
        raise FormatError(
            f"{array.path} declares the shape {array.shape} in chunks "
            f"{array.chunk_shape}, which cannot be; the store is damaged."
        )
    chunk_bytes = math.prod(array.chunk_shape) * array.dtype.itemsize
    chunks = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunk_shape, strict=True))
    if chunk_bytes > _MAX_CHUNK_BYTES or chunks > _MAX_CHUNKS:
        raise FormatError(
            f"{array.path} declares {chunks} chunks of {chunk_bytes} bytes, "
            "more than this package reads; the store is damaged or not an atlas."
        )


def read_json(store: Store, key: str) -> dict[str, Any] | None:
    """Return a JSON object of a store, None if the key does not exist.

    Raises
    ------
    FormatError
        If the bytes are not a JSON object (an HTML error page, for example).
    """
    found = _read_versioned_json(store, key)
    return None if found is None else found[0]


def _read_versioned_json(store: Store, key: str) -> tuple[dict[str, Any], str] | None:
    found = store.fetch(key)
    if found is None:
        return None
    try:
        value = json.loads(found.data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{store.uri}/{key} is not JSON; check the address.") from error
    if not isinstance(value, dict):
        raise FormatError(f"{store.uri}/{key} is not a JSON object; check the address.")
    return value, found.version


def read_array(store: Store, path: str) -> ZarrArray:
    """Read an array's metadata; no chunk is touched.

    Raises
    ------
    FormatError
        If there is no zarr array of numbers at the path.
    """
    found = _read_versioned_json(store, f"{path}/zarr.json".lstrip("/"))
    if found is None:
        found = _read_versioned_json(store, f"{path}/.zarray".lstrip("/"))
        if found is None:
            raise FormatError(f"{store.uri}/{path} is not a zarr array (it has no zarr.json).")
        return _v2_array(store, path, *found)
    try:
        return _v3_array(store, path, *found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{store.uri}/{path}/zarr.json is incomplete: {error!r}.") from error


def _v3_array(store: Store, path: str, meta: dict[str, Any], edition: str) -> ZarrArray:
    dtype = meta["data_type"]
    if dtype not in _NUMERIC:
        raise FormatError(f"{store.uri}/{path} holds {dtype!r}, not numbers.")
    if meta["chunk_grid"]["name"] != "regular":
        raise FormatError(f"{store.uri}/{path} has an irregular chunk grid, which is not read.")
    codecs = [(c["name"], c.get("configuration") or {}) for c in meta["codecs"]]
    names = [name for name, _ in codecs]
    plain = names[:1] == ["bytes"] and (
        len(names) == 1 or (len(names) == 2 and names[1] in COMPRESSORS)
    )
    encoding = meta.get("chunk_key_encoding", {"name": "default"})
    default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if default else ".")
    endian = codecs[0][1].get("endian", "little") if plain else "little"
    return ZarrArray(
        store=store,
        path=path,
        shape=tuple(int(n) for n in meta["shape"]),
        chunk_shape=tuple(int(n) for n in meta["chunk_grid"]["configuration"]["chunk_shape"]),
        dtype_name=dtype,
        fill_value=_fill_value(meta.get("fill_value"), dtype),
        plain=plain,
        compressor=names[1] if plain and len(names) == 2 else None,
        chunk_prefix="c" if default else "",
        separator=str(separator),
        big_endian=endian == "big",
        edition=edition,
    )


def _fill_value(value: Any, dtype: str) -> float | int:
    """Return a fill value; whole numbers stay exact, and zarr writes NaN and infinity as text."""
    if value is None or value is False:
        return 0
    return float(value) if dtype.startswith("float") else int(value)


def _v2_array(store: Store, path: str, meta: dict[str, Any], edition: str) -> ZarrArray:
    try:
        dtype = np.dtype(meta["dtype"])
        return ZarrArray(
            store=store,
            path=path,
            shape=tuple(int(n) for n in meta["shape"]),
            chunk_shape=tuple(int(n) for n in meta["chunks"]),
            dtype_name=dtype.newbyteorder("=").name,
            fill_value=_fill_value(meta.get("fill_value"), dtype.name),
            plain=False,
            chunk_prefix="",
            separator=str(meta.get("dimension_separator", ".")),
            metadata_name=".zarray",
            edition=edition,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{store.uri}/{path}/.zarray is incomplete: {error!r}.") from error
