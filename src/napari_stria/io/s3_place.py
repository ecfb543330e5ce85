"""Which server a bucket is on and who reads it, so that copies are never shared among these."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.session import Session

from napari_stria.errors import UnsupportedSourceError

_AMAZON = ".amazonaws.com"
# What says in a profile who one is, without secrets.
_READERS = (
    "aws_access_key_id", "role_arn", "credential_process", "sso_account_id", "sso_role_name",
)  # fmt: skip


def place_of(uri: str, options: Mapping[str, Any]) -> str:
    """Return an address with that of its server, where it is not Amazon's, and who reads there.

    Only files and the environment are looked at, never the network.

    Parameters
    ----------
    uri : str
        ``s3://bucket/prefix``.
    options : mapping
        See `napari_stria.io.s3_options.checked_options`.

    Raises
    ------
    UnsupportedSourceError
        If the options cannot be used.
    """
    try:
        endpoint = _endpoint(options).rstrip("/")
    except (boto.BotoCoreError, ValueError, TypeError) as error:
        raise UnsupportedSourceError(
            f"the storage_options for the bucket cannot be used ({type(error).__name__}); "
            "check their names and values."
        ) from error
    is_amazon = (urlsplit(endpoint).hostname or "").endswith(_AMAZON)
    address = uri if is_amazon else f"s3+{endpoint}/{uri.partition('://')[2]}"
    return address if options["anon"] else f"{address}#{_reader(options)}"


def _endpoint(options: Mapping[str, Any]) -> str:
    """Return the server's address, as the environment or a profile names it if the options do not.

    A client with a made-up key tells: none looks for credentials then, which may take the network.
    """
    client = options.get("client_kwargs") or {}
    stated = options.get("endpoint_url") or client.get("endpoint_url")
    if stated:
        return str(stated)
    session = Session(profile=options.get("profile"))
    region = client.get("region_name")
    no_key = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    made = session.create_client("s3", region_name=region, **no_key)
    return str(made.meta.endpoint_url)


def _reader(options: Mapping[str, Any]) -> str:
    """Return a digest of the name of the key that is used; machines with a role are one reader."""
    client = options.get("client_kwargs") or {}
    named = options.get("key") or options.get("username") or client.get("aws_access_key_id")
    who = [str(named)] if named else _configured_reader(options.get("profile"))
    return hashlib.sha256("\n".join(who).encode()).hexdigest()[:16]


def _configured_reader(profile: str | None) -> list[str]:
    key = os.environ.get("AWS_ACCESS_KEY_ID")
    if profile is None and key:
        return [key]
    try:
        said = Session(profile=profile).get_scoped_config()
    except boto.BotoCoreError:
        said = {}
    role = os.environ.get("AWS_ROLE_ARN", "")
    return [str(profile), role, *(f"{name}={said.get(name)}" for name in _READERS)]
