"""Which options ``export`` has for what is written; one that would do nothing is refused."""

from __future__ import annotations

import argparse

from napari_stria.errors import StriaError

_VOLUME = {"depth", "set", "groups", "resolution", "rule"}
# The options of each kind, besides those of all: --out and --overwrite.
KINDS: dict[str, frozenset[str]] = {
    "table": frozenset(_VOLUME | {"region"}),
    "annotation": frozenset(_VOLUME),
    "masks": frozenset(_VOLUME | {"region", "direct", "format"}),
    "itksnap": frozenset(_VOLUME | {"labels"}),
    "picture": frozenset(_VOLUME | {"axis", "position", "colors", "plane_rule"}),
    "screenshot": frozenset({"size_factor", "window"}),
}
# Those of `add_atlas`: a saved view says itself how its atlas is opened.
_HOW_TO_OPEN = {"root", "terminology", "with_sets", "voxel_size", "sha256", "atlas_version"} | {
    "profile",
    "endpoint_url",
    "api",
}


def check_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that are not of what is written.

    Raises
    ------
    StriaError
        For the first of them.
    """
    allowed = {
        kind: options if kind == "screenshot" else options | _HOW_TO_OPEN
        for kind, options in KINDS.items()
    }
    for option in sorted(frozenset().union(*allowed.values()) - allowed[arguments.what]):
        if getattr(arguments, option) != parser.get_default(option):
            kinds = [kind for kind in KINDS if option in allowed[kind]]
            raise StriaError(
                f"--{option.replace('_', '-')} is for {_either(kinds)}, not for "
                f"{arguments.what}; leave it out."
            )


def _either(kinds: list[str]) -> str:
    *others, last = kinds
    return f"{', '.join(others)} and {last}" if others else last
