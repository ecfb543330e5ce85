"""Which arguments open an atlas again, and which of them may be written down."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from napari_stria.core.atlas import Atlas
from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.allen_checks import graph_of_address
from napari_stria.io.opening import open_atlas
from napari_stria.io.s3_options import harmless_options as harmless_s3_options

# All others may hold a secret, and a server that needs them is asked about anew.
_HARMLESS_OPTIONS = frozenset(
    {
        "connect_timeout_s",
        "read_timeout_s",
        "attempts",
        "backoff_s",
        "slowest_bytes_per_s",
        "longest_pause_s",
    }
)
# How one call goes, and not which atlas it opens.
_OF_THE_CALLER = {"progress", "cancel"}
_PLACES = ("name_or_uri", "root", "terminology")


def reopening_arguments(atlas: Atlas) -> dict[str, Any]:
    """Return the arguments of `open_atlas` that open an atlas again, fit to be written down.

    Paths are absolute. Credentials are left out.

    Raises
    ------
    UnsupportedSourceError
        If the atlas has no address, or one that holds a secret.
    """
    arguments = {key: value for key, value in atlas.opened_with.items() if value is not None}
    if "name_or_uri" not in arguments:
        raise UnsupportedSourceError(
            f"{atlas.name} has no address from which it could be opened again; save it to a "
            "file and open that."
        )
    for key in _PLACES:
        if key in arguments:
            arguments[key] = _checked_place(str(arguments[key]), is_name=key == "name_or_uri")
    if "resolution_um" in arguments:
        arguments["resolution_um"] = tuple(float(v) for v in arguments["resolution_um"])
    options = harmless_options(arguments.pop("storage_options", None))
    return arguments | ({"storage_options": options} if options else {})


def _checked_place(place: str, *, is_name: bool) -> str:
    """Return an address as it may be written down; a path is made absolute, a name stays."""
    if "://" in place:
        return checked_address(place)
    if graph_of_address(place) is not None:
        return place
    if is_name and "/" not in place and "\\" not in place:
        return place
    return str(Path(place).expanduser().absolute())


def checked_address(address: str) -> str:
    """Return a URL as it may be written down.

    Raises
    ------
    UnsupportedSourceError
        If it holds a password or a signature.
    """
    parts = urlsplit(address)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UnsupportedSourceError(
            f"the address at {parts.hostname} holds more than a path, perhaps a password; it is "
            "not written into a file."
        )
    return address


def harmless_options(options: Any) -> dict[str, Any]:
    """Return the options of a store that hold no secret."""
    if not isinstance(options, Mapping):
        return {}
    of_server = {
        key: value
        for key, value in sorted(options.items())
        if key in _HARMLESS_OPTIONS and isinstance(value, bool | int | float)
    }
    return of_server | harmless_s3_options(options)


def known_arguments(opened_with: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that this version of `open_atlas` has, of those a file says."""
    known = set(inspect.signature(open_atlas).parameters) - _OF_THE_CALLER
    arguments = {key: value for key, value in opened_with.items() if key in known}
    options = harmless_options(arguments.pop("storage_options", None))
    return arguments | ({"storage_options": options} if options else {})
