"""Requests to a bucket through s3fs, and what their failures mean."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from aiohttp import ClientError as TransferError
from botocore import exceptions as boto
from s3fs import S3FileSystem

from napari_stria.errors import (
    CorruptDataError,
    CredentialsError,
    NetworkError,
    ServerBusyError,
    ServerStalledError,
    ServerStatusError,
    StriaError,
    UnsupportedSourceError,
)
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_transfer import MOST_BYTES

T = TypeVar("T")
_STALLED = (boto.ReadTimeoutError, boto.ConnectTimeoutError, TimeoutError)
# What may happen while a body arrives.
_BROKEN_BODY = (
    *_STALLED,
    boto.HTTPClientError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    boto.FlexibleChecksumError,
    TransferError,
    ConnectionError,
)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
)
_MISSING = ("NoSuchKey", "404")
_THROTTLED = ("SlowDown", "RequestTimeout", "RequestLimitExceeded", "Throttling")


@dataclass(frozen=True)
class S3Object:
    """A whole object, or a part of one, with what the server says of it."""

    data: bytes
    etag: str
    modified: str
    total_bytes: int


class _FileSystem(S3FileSystem):  # type: ignore[misc]
    """s3fs as it is, except that it does not repeat: that would multiply with ours."""

    retries = 1


@lru_cache(maxsize=16)
def _connected(pickled: bytes, process: int) -> _FileSystem:  # noqa: ARG001
    """Return the client for pickled options; stores with the same options share it.

    A process that was forked makes its own: threads do not come along.
    """
    try:
        system = _FileSystem(
            **pickle.loads(pickled),  # noqa: S301  (our own, never read from anywhere)
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        system.connect()
    except _NO_CREDENTIALS as error:
        raise CredentialsError(
            "the credentials for the bucket cannot be had; give key and secret, a profile, or "
            "anon=True."
        ) from error
    except (boto.BotoCoreError, TypeError, ValueError, KeyError) as error:
        raise UnsupportedSourceError(
            "the storage_options for the bucket cannot be used "
            f"({type(error).__name__}); check their names and values."
        ) from error
    return system


class S3Requests:
    """Asks a bucket's server; safe to use from many threads.

    Parameters
    ----------
    options : mapping
        See `checked_options`.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        config = options["config_kwargs"]
        retries = dict(config.get("retries") or {})
        more = int(retries.pop("max_attempts", HttpOptions().attempts - 1))
        self._attempts = max(int(retries.get("total_max_attempts", more + 1)), 1)
        self._read_timeout_s = float(config["read_timeout"])
        # All attempts are made here, of requests and of bodies: one number bounds both.
        retries["total_max_attempts"] = 1
        self._pickled = pickle.dumps({**options, "config_kwargs": {**config, "retries": retries}})

    def _client(self) -> _FileSystem:
        return _connected(self._pickled, os.getpid())

    def read(
        self, bucket: str, key: str, span: tuple[int, int] | None = None, etag: str | None = None
    ) -> S3Object | None:
        """Return an object, None if the bucket has none of that name.

        Parameters
        ----------
        bucket, key : str
        span : tuple of int, optional
            First byte and the one after the last, instead of all.
        etag : str, optional
            Fails if the object is another one than this.

        Raises
        ------
        NetworkError, ServerStatusError, ServerStalledError, CorruptDataError
        """
        extra: dict[str, Any] = {} if etag is None else {"IfMatch": etag}
        if span is not None:
            extra["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        where = f"s3://{bucket}/{key}"
        return self._run(lambda fs: self._get(fs, where, Bucket=bucket, Key=key, **extra), where)

    def head(self, bucket: str, key: str) -> S3Object | None:
        """Return what the server says of an object, without its data; None if there is none."""

        async def said(fs: _FileSystem) -> S3Object:
            return _described(await fs._call_s3("head_object", Bucket=bucket, Key=key), b"")

        return self._run(said, f"s3://{bucket}/{key}")

    def list(self, bucket: str, prefix: str) -> dict[str, int]:
        """Return the sizes in bytes of all objects whose key starts with a prefix."""
        found: dict[str, int] = {}

        async def pages(fs: _FileSystem) -> None:
            more: dict[str, str] = {}
            while True:
                page = await fs._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
                found.update({o["Key"]: int(o["Size"]) for o in page.get("Contents", ())})
                if not page.get("IsTruncated"):
                    return
                more = {"ContinuationToken": page["NextContinuationToken"]}

        self._run(pages, f"s3://{bucket}/{prefix}")
        return found

    def _run(self, ask: Callable[[_FileSystem], Awaitable[T]], where: str) -> T | None:
        """Return what s3fs's own thread finds, after as many attempts as may mend it."""
        for attempt in range(1, self._attempts + 1):
            try:
                return self._run_once(ask, where)
            except _Repeatable as failure:
                if attempt == self._attempts:
                    raise failure.error from failure.__cause__
                time.sleep(HttpOptions().backoff_s * 2.0 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _run_once(self, ask: Callable[[_FileSystem], Awaitable[T]], where: str) -> T | None:
        """Wait for what s3fs's own thread does; None for what does not exist."""
        fs = self._client()

        async def asked() -> T:
            return await ask(fs)

        try:
            # Not by fsspec's sync(), which turns every TimeoutError into one of its own.
            return asyncio.run_coroutine_threadsafe(asked(), fs.loop).result()
        except (StriaError, _Repeatable):
            raise
        except Exception as error:
            problem = _problem(error, where)
            if problem is None:
                return None
            if isinstance(problem, CredentialsError):
                # The next one looks for them again: the user may log in meanwhile.
                _connected.cache_clear()
            if _may_pass(problem):
                raise _Repeatable(problem) from error
            raise problem from error

    async def _get(self, fs: _FileSystem, where: str, **arguments: Any) -> S3Object:
        answer = await fs._call_s3("get_object", **arguments)
        length = int(answer["ContentLength"])
        if length > MOST_BYTES:
            raise CorruptDataError(f"{where} holds {length} bytes, more than a file of an atlas.")
        # A server that sends a byte now and then keeps no single read waiting.
        longest_s = self._read_timeout_s + length / HttpOptions().slowest_bytes_per_s
        try:
            data = await asyncio.wait_for(answer["Body"].read(), longest_s)
        except _BROKEN_BODY as error:
            raise _Repeatable(_broken(error, where)) from error
        finally:
            answer["Body"].close()
        if len(data) != length:
            raise _Repeatable(NetworkError(f"{where} broke off before its end; try again later."))
        return _described(answer, data)


def _described(answer: Mapping[str, Any], data: bytes) -> S3Object:
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return S3Object(
        data=data,
        etag=str(answer.get("ETag", "")),
        modified=str(answer.get("LastModified", "")),
        total_bytes=int(total if total.isdecimal() else answer["ContentLength"]),
    )


class _Repeatable(Exception):  # noqa: N818  (never leaves `S3Requests`)
    """Carries an error that another attempt may mend."""

    def __init__(self, error: StriaError) -> None:
        super().__init__(str(error))
        self.error = error


def _broken(error: BaseException, where: str) -> StriaError:
    if isinstance(error, _STALLED):
        return _stalled(where)
    if isinstance(error, boto.FlexibleChecksumError):
        return CorruptDataError(f"{where} arrived with another checksum than the server's.")
    return NetworkError(f"{where} broke off before its end; try again later.")


def _stalled(where: str) -> ServerStalledError:
    return ServerStalledError(f"{where} stopped sending; the server is stalled, try again later.")


def _problem(error: Exception, where: str) -> StriaError | None:
    """Return what a failed request means; None: there is no such object.

    Nothing of the exception's own text is passed on: it may name keys.
    """
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if isinstance(answer, dict) and "Error" in answer:
        return _refusal(answer, where)
    if isinstance(error, _STALLED):
        return _stalled(where)
    if isinstance(error, _NO_CREDENTIALS):
        return CredentialsError(
            f"no credentials were found for {where}; give key and secret, a profile, or anon=True."
        )
    if isinstance(error, boto.ParamValidationError | boto.UnknownEndpointError | ValueError):
        return UnsupportedSourceError(
            f"{where} cannot be asked for ({type(error).__name__}); check the bucket's name and "
            "the storage_options."
        )
    if isinstance(error, boto.BotoCoreError | TransferError | OSError):
        return NetworkError(f"{where} cannot be reached; check the network and the address.")
    return NetworkError(f"{where} cannot be read ({type(error).__name__}); try again later.")


def _may_pass(problem: StriaError) -> bool:
    """Tell whether another attempt may mend what failed: a server in trouble, or the way there."""
    if isinstance(problem, ServerStatusError):
        return isinstance(problem, ServerBusyError)
    return isinstance(problem, NetworkError) and not isinstance(problem, CredentialsError)


def _refusal(answer: Mapping[str, Any], where: str) -> StriaError | None:
    code = str(answer["Error"].get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING or (status == 404 and code != "NoSuchBucket"):
        return None
    if code == "NoSuchBucket":
        bucket = where.removeprefix("s3://").partition("/")[0]
        return ServerStatusError(f"there is no bucket {bucket!r}; check the address.")
    if status in (401, 403):
        return ServerStatusError(
            f"{where} answered {status}; check the name, or give credentials that may read it: "
            "storage_options (key and secret, or a profile) in a script or napari's console, "
            "--profile on the command line."
        )
    if code == "PreconditionFailed" or status == 412:
        return CorruptDataError(f"{where} changed while it was read; open it again.")
    if code in _THROTTLED or status is None or status == 429 or status >= 500:
        return ServerBusyError(f"{where} answered {status or code}; try again later.")
    return ServerStatusError(f"{where} answered {status} ({code}); check the address.")
