"""Lets zarr-python read what we do not decode ourselves: sharding, zarr v2, other codecs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import zarr.abc.store as zarr_store
from zarr.core.buffer import Buffer, BufferPrototype

from napari_stria.errors import CorruptDataError
from napari_stria.io.store import Store

_METADATA = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})


def corrupt_chunk(store: Store, key: str, what: str) -> CorruptDataError:
    """Return the error for bytes that are not the chunk they should be."""
    return CorruptDataError(f"the chunk {store.uri}/{key} {what}; it is damaged or not a chunk.")


class ZarrStore(zarr_store.Store):
    """Lets zarr-python read from a `Store`; our store blocks, so each call has a thread."""

    def __init__(self, store: Store, edition: str) -> None:
        super().__init__(read_only=True)
        self._source = store
        self._edition = edition

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZarrStore) and other._source == self._source

    async def get(
        self,
        key: str,
        prototype: BufferPrototype,
        byte_range: zarr_store.ByteRequest | None = None,
    ) -> Buffer | None:
        """Return an object, or the part asked for."""
        data = await asyncio.to_thread(self._read, key)
        if data is None:
            return None
        if not data:
            # zarr-python takes an empty object for a chunk of fill values.
            raise corrupt_chunk(self._source, key, "is empty")
        return prototype.buffer.from_bytes(_ranged(data, byte_range))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, zarr_store.ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return parts of objects."""
        return [await self.get(key, prototype, wanted) for key, wanted in key_ranges]

    async def exists(self, key: str) -> bool:
        """Tell whether an object exists."""
        return await asyncio.to_thread(self._read, key) is not None

    def _read(self, key: str) -> bytes | None:
        if key.rpartition("/")[2] in _METADATA:
            return self._source.get(key)
        return self._source.get_chunk(key, self._edition)

    async def set(self, key: str, value: Buffer) -> None:  # noqa: ARG002
        """Refuse."""
        raise PermissionError("an atlas is never written to")

    async def delete(self, key: str) -> None:  # noqa: ARG002
        """Refuse."""
        raise PermissionError("an atlas is never written to")

    async def list(self) -> AsyncIterator[str]:
        """Refuse."""
        raise PermissionError("an atlas's keys are not listed")
        yield ""

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:  # noqa: ARG002
        """Refuse."""
        raise PermissionError("an atlas's keys are not listed")
        yield ""

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:  # noqa: ARG002
        """Refuse."""
        raise PermissionError("an atlas's keys are not listed")
        yield ""


def _ranged(data: bytes, wanted: zarr_store.ByteRequest | None) -> bytes:
    if isinstance(wanted, zarr_store.RangeByteRequest):
        return data[wanted.start : wanted.end]
    if isinstance(wanted, zarr_store.OffsetByteRequest):
        return data[wanted.offset :]
    if isinstance(wanted, zarr_store.SuffixByteRequest):
        return data[-wanted.suffix :]
    return data
