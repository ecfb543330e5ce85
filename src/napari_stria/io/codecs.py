"""Decompression of one chunk whose size is known: never more, never less.

A chunk that is cut short or belongs to another array must not pass for data, and a hostile one
must not fill the memory, so each format's own statement of its size is compared before decoding.
"""

from __future__ import annotations

import zlib

import numcodecs

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOSC_HEADER = 16
COMPRESSORS = frozenset({"zstd", "gzip", "blosc"})


def decompress(compressor: str, raw: bytes, size: int) -> bytes:
    """Return the `size` bytes that a compressed chunk holds.

    Parameters
    ----------
    compressor : {"zstd", "gzip", "blosc"}
    raw : bytes
        The stored chunk.
    size : int
        Bytes that it must have when it is decoded.

    Raises
    ------
    ValueError
        If the bytes are damaged, cut short, or decode to another size.
    """
    try:
        if compressor == "gzip":
            data = _gunzip(raw, size)
        elif compressor == "zstd":
            _expect(zstd_content_size(raw), size)
            data = bytes(numcodecs.Zstd().decode(raw))
        else:
            _check_blosc_header(raw, size)
            data = bytes(numcodecs.Blosc().decode(raw))
    except (RuntimeError, zlib.error) as error:
        raise ValueError(str(error)) from error
    _expect(len(data), size)
    return data


def _expect(found: int | None, size: int) -> None:
    if found is not None and found != size:
        raise ValueError(f"it holds {found} bytes where {size} belong")


def _gunzip(raw: bytes, size: int) -> bytes:
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    data = decoder.decompress(raw, size + 1)
    if len(data) > size:
        raise ValueError(f"it holds more than the {size} bytes that belong")
    if not decoder.eof:
        # The checksum at the end was not reached, or there is none.
        data += decoder.decompress(decoder.unconsumed_tail, 1)
        if not decoder.eof:
            raise ValueError("it is cut short")
    return data


def zstd_content_size(raw: bytes) -> int | None:
    """Return the size that a zstd frame says it decodes to, None if it does not say.

    Frame header as in RFC 8878, section 3.1.1.1.

    Raises
    ------
    ValueError
        If it is not a zstd frame.
    """
    if raw[:4] != _ZSTD_MAGIC or len(raw) < 6:
        raise ValueError("it is not a zstd frame")
    descriptor = raw[4]
    single_segment = bool(descriptor & 0x20)
    length = (int(single_segment), 2, 4, 8)[descriptor >> 6]
    at = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    if length == 0:
        return None
    value = int.from_bytes(raw[at : at + length], "little")
    return value + 256 if length == 2 else value


def _check_blosc_header(raw: bytes, size: int) -> None:
    """Compare both sizes in a blosc header; its decoder reads past the end of a short buffer."""
    if len(raw) < _BLOSC_HEADER:
        raise ValueError("it is cut short")
    _expect(int.from_bytes(raw[4:8], "little"), size)
    if int.from_bytes(raw[12:16], "little") != len(raw):
        raise ValueError("it is cut short")
