"""A bucket as a store: keys below one ``s3://`` address."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from napari_stria.errors import CorruptDataError, UnsupportedSourceError
from napari_stria.io.http_requests import Cancelled, raise_if_cancelled
from napari_stria.io.s3_options import checked_options
from napari_stria.io.s3_place import place_of
from napari_stria.io.s3_requests import S3Object, S3Requests
from napari_stria.io.sinks import Saved, Sink
from napari_stria.io.store_base import Fetched, StoreBase, Traffic, checked_key

_PART_BYTES = 8 << 20
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


class S3Store(StoreBase):
    """A bucket of S3 or of a server that speaks its protocol, below one address.

    Parameters
    ----------
    uri : str
        ``s3://bucket/prefix``.
    options : mapping, optional
        What s3fs takes (``anon``, ``key``, ``secret``, ``token``, ``profile``, ``endpoint_url``,
        ``client_kwargs``, ``config_kwargs`` ...). Without credentials the bucket is read
        anonymously; without limits in ``config_kwargs`` those of `HttpOptions` hold.

    Raises
    ------
    UnsupportedSourceError
        If the address or the options make no sense; no option's value is shown.
    """

    def __init__(self, uri: str, options: Mapping[str, Any] | None = None) -> None:
        bucket, _, prefix = uri.partition("://")[2].partition("/")
        if not _BUCKET.fullmatch(bucket):
            # The bucket's place may hold a password; it is not shown.
            raise UnsupportedSourceError(
                "an address in S3 is s3://bucket/prefix, without a user name or password."
            )
        self._bucket = bucket
        self._prefix = checked_key(prefix)
        self._options = checked_options(options)
        self._requests = S3Requests(self._options)
        self._traffic = Traffic()

    def __reduce__(self) -> tuple[Any, ...]:
        return S3Store, (self.uri, self._options)

    def __repr__(self) -> str:
        return f"S3Store({self.uri!r})"

    @property
    def uri(self) -> str:
        """The address."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def anonymous(self) -> bool:
        """Whether it is read without credentials."""
        return bool(self._options["anon"])

    @cached_property
    def place(self) -> str:
        """The address with that of its server, where it is not Amazon's, and who reads there.

        Copies of what one user may read are not for others. Nothing is asked of the network.

        Raises
        ------
        UnsupportedSourceError
            If the options cannot be used.
        """
        return place_of(self.uri, self._options)

    @property
    def traffic(self) -> Traffic:
        """What was read so far."""
        return self._traffic

    def get(self, key: str) -> bytes | None:
        """Return the bytes of a key, None if there is no such key.

        Raises
        ------
        NetworkError, ServerStalledError
            If the server cannot be reached or stops sending, after all attempts.
        ServerStatusError
            If it refuses: there is no such bucket, or credentials are needed.
        CorruptDataError
            If the bytes have another checksum than the server's.
        CredentialsError
            If the credentials that were named cannot be found.
        """
        found = self._read(key)
        return None if found is None else found.data

    def fetch(self, key: str) -> Fetched | None:
        """Return the bytes of a key with its entity tag, date and digest as its version."""
        found = self._read(key)
        if found is None:
            return None
        digest = hashlib.sha256(found.data).hexdigest()
        return Fetched(found.data, f"{found.etag}|{found.modified}|{digest}")

    def size_of(self, key: str) -> int | None:
        """Return how many bytes a key holds, None if there is no such key."""
        stated = self._requests.head(self._bucket, self._key(key))
        return None if stated is None else stated.total_bytes

    def sizes_below(self, prefix: str) -> dict[str, int]:
        """Return the sizes in bytes of all keys below a folder of this store, by listing.

        Raises
        ------
        NetworkError
            As `get`; a bucket may allow reading and refuse listing.
        """
        top = f"{self._prefix}/" if self._prefix else ""
        below = self._key(prefix)
        found = self._requests.list(self._bucket, f"{below}/" if below else "")
        return {key.removeprefix(top): size for key, size in found.items()}

    def save(self, key: str, sink: Sink, cancelled: Cancelled, known_tag: str = "") -> Saved | None:
        """Pass the bytes of a key to a sink, part by part; None if there is no such key.

        Parameters
        ----------
        cancelled : callable
            Looked at between parts.
        known_tag : str
            Nothing is read if the object still has this entity tag.
        """
        stated = self._requests.head(self._bucket, self._key(key))
        if stated is None:
            return None
        if known_tag and stated.etag == known_tag:
            return Saved(known_tag, unchanged=True)
        sink.begin(stated.total_bytes)
        for start in range(0, stated.total_bytes, _PART_BYTES):
            raise_if_cancelled(cancelled)
            span = (start, min(start + _PART_BYTES, stated.total_bytes))
            part = self._read(key, span=span, etag=stated.etag)
            if part is None:
                raise CorruptDataError(f"{self.uri}/{key} was removed while it was read.")
            sink.write(part.data)
        return Saved(stated.etag)

    def _read(self, key: str, **part: Any) -> S3Object | None:
        found = self._requests.read(self._bucket, self._key(key), **part)
        if found is not None:
            self._traffic.add(len(found.data))
        return found

    def _key(self, key: str) -> str:
        return "/".join(part for part in (self._prefix, checked_key(key)) if part)
