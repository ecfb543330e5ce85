"""What may be said about how a bucket is read: s3fs's options, checked before anything is asked."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.http_options import HttpOptions

_CREDENTIALS = ("key", "secret", "token", "username", "password", "profile")
_CLIENT_CREDENTIALS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_MAPPINGS = ("client_kwargs", "config_kwargs", "s3_additional_kwargs")
# These cannot be pickled or make s3fs wait for an event loop of its caller.
_NOT_OURS = frozenset({"self", "kwargs", "session", "asynchronous", "loop"})
_HARMLESS = ("anon", "endpoint_url")
_HARMLESS_OF_CLIENT = ("endpoint_url", "region_name")
_CONNECTIONS = 32


def checked_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options with which s3fs is called: those given, and our defaults.

    Without any word of credentials a bucket is read anonymously. Time-outs and attempts are those
    of `HttpOptions` unless ``config_kwargs`` has its own.

    Raises
    ------
    UnsupportedSourceError
        For options that s3fs does not know, or that contradict each other; no value of theirs is
        shown.
    """
    given = {k: v for k, v in (options or {}).items() if v is not None}
    unknown = sorted(set(given) - _known())
    if unknown:
        raise UnsupportedSourceError(
            f"storage_options for a bucket are those of s3fs (anon, key, secret, token, profile, "
            f"endpoint_url, client_kwargs ...); it has no {', '.join(map(repr, unknown))}."
        )
    for name in _MAPPINGS:
        if not isinstance(given.get(name, {}), Mapping):
            raise UnsupportedSourceError(f"the storage option {name} is a mapping of options.")
    _check_sense(given)
    given.setdefault("anon", not _has_credentials(given))
    given["config_kwargs"] = _with_limits(given.get("config_kwargs", {}))
    try:
        pickle.dumps(given)
    except Exception as error:
        raise UnsupportedSourceError(
            "storage_options for a bucket are texts, numbers and mappings of these."
        ) from error
    return given


def harmless_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what may be written down of the options: nothing that gives access to anything."""
    given = options or {}
    kept: dict[str, Any] = {k: given[k] for k in _HARMLESS if given.get(k) is not None}
    client = given.get("client_kwargs") or {}
    of_client = {k: client[k] for k in _HARMLESS_OF_CLIENT if client.get(k) is not None}
    return kept | ({"client_kwargs": of_client} if of_client else {})


@cache
def _known() -> frozenset[str]:
    # Loaded when it is first used: it takes most of a second.
    from s3fs import S3FileSystem

    names = frozenset(inspect.signature(S3FileSystem.__init__).parameters)
    return names - _NOT_OURS | {"profile"}


def _has_credentials(given: Mapping[str, Any]) -> bool:
    return any(name in given for name in _CREDENTIALS) or any(
        given.get("client_kwargs", {}).get(name) for name in _CLIENT_CREDENTIALS
    )


def _check_sense(given: Mapping[str, Any]) -> None:
    endpoints = (given.get("endpoint_url"), given.get("client_kwargs", {}).get("endpoint_url"))
    for endpoint in (e for e in endpoints if e is not None):
        parts = urlsplit(str(endpoint))
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise UnsupportedSourceError(
                "the storage option endpoint_url is the https:// or http:// address of a server, "
                "without user name and password."
            )
    if not isinstance(given.get("anon", True), bool):
        raise UnsupportedSourceError("the storage option anon is True or False.")
    if given.get("anon") and _has_credentials(given):
        raise UnsupportedSourceError(
            "anon=True reads without credentials; leave it out, or the credentials."
        )
    key = "key" in given or "username" in given
    secret = "secret" in given or "password" in given
    if key != secret or ("token" in given and not key):
        raise UnsupportedSourceError(
            "the storage options key and secret belong together (with a token, if there is one)."
        )


def _with_limits(config: Mapping[str, Any]) -> dict[str, Any]:
    usual = HttpOptions()
    return {
        "connect_timeout": usual.connect_timeout_s,
        "read_timeout": usual.read_timeout_s,
        "retries": {"mode": "standard", "total_max_attempts": usual.attempts},
        "max_pool_connections": _CONNECTIONS,
        **config,
    }
