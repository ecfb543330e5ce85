"""Which stores neuroglancer can read, and what it calls them.

It runs in a browser and reads without credentials: https servers and public buckets
(https://neuroglancer-docs.web.app/datasource, `src/kvstore/url.ts` for the syntax).
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from napari_stria.core.pyramid import Multiscale
from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.http_store import HttpStore
from napari_stria.io.zarr_array import ZarrArray

# `src/datasource/zarr/index.rst`
_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32")


def ome_zarr_source(pyramid: Multiscale, base: str) -> str:
    """Return neuroglancer's URL of a stored pyramid.

    Raises
    ------
    UnsupportedSourceError
        If it cannot read it; the message says why.
    """
    array: Any = pyramid.levels[0].reader
    if not isinstance(array, ZarrArray):
        raise UnsupportedSourceError(
            "neuroglancer reads OME-Zarr from a server; this atlas is no OME-Zarr."
        )
    if array.dtype_name not in _DTYPES:
        raise UnsupportedSourceError(f"neuroglancer does not read {array.dtype_name} values.")
    group = array.path.rpartition("/")[0]
    kind = "zarr3" if array.metadata_name == "zarr.json" else "zarr2"
    folder = directory_url(array.store, base)
    return f"{folder}{quote(group)}{'/' if group else ''}|{kind}:"


def directory_url(store: Any, base: str) -> str:
    """Return neuroglancer's URL of a store, with a slash at its end.

    Raises
    ------
    UnsupportedSourceError
        If it cannot read it; the message says why.
    """
    for wrapped in ("upstream", "inner"):  # beside BrainGlobe's folder; with copies on disk
        store = getattr(store, wrapped, store)
    if str(store.uri).startswith("s3://"):
        if not store.anonymous:
            raise UnsupportedSourceError(
                "neuroglancer reads buckets without credentials; this one was opened with some."
            )
        _check_server(store.place.removeprefix("s3+"), base)
        return f"{_quoted(store.place)}/"
    if isinstance(store, HttpStore):
        if store.options.headers:
            raise UnsupportedSourceError(
                "neuroglancer reads public servers; this one was asked with headers of its own."
            )
        _check_server(store.url, base)
        return f"{_quoted(store.url)}/"
    raise UnsupportedSourceError(
        "neuroglancer reads servers and buckets; this atlas is on this machine."
    )


def _quoted(url: str) -> str:
    """Return a URL whose path has no character that separates parts of neuroglancer's own."""
    scheme, _, rest = url.rstrip("/").partition("://")
    return f"{scheme}://{quote(unquote(rest), safe='/:')}"


def _check_server(url: str, base: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UnsupportedSourceError(
            "neuroglancer reads public servers; this address holds more than a path."
        )
    if _is_private(parts.hostname or ""):
        raise UnsupportedSourceError(
            f"neuroglancer reads public servers; {parts.hostname} is reached from here alone."
        )
    if parts.scheme == "http" and base.startswith("https:"):
        raise UnsupportedSourceError(
            "browsers do not let neuroglancer read http:// addresses; this server needs https://."
        )


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
