"""The command line about what is kept on this machine: ``offline`` and ``cache``."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from napari_stria.cli.options import add_bucket, bucket_options
from napari_stria.cli.output import EXIT_OK, ProgressLine, note
from napari_stria.errors import StriaError

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.core.space import Triple
    from napari_stria.io.offline import KeptAtlas, LevelSize


def add_commands(commands: Any) -> None:
    """Add ``offline`` and ``cache`` to the command line's subparsers."""
    offline = commands.add_parser("offline", help="keep atlases on this machine")
    actions = offline.add_subparsers(title="actions", required=True, metavar="ACTION")
    keep = actions.add_parser("keep", help="fetch levels of an atlas, to be used without a network")
    keep.add_argument(
        "atlas", help="a name such as allen_mouse_25um, or the address of an annotation OME-Zarr"
    )
    keep.add_argument("--root", help="URL of the atlases (default: BrainGlobe's)")
    keep.add_argument("--terminology", help="address of the terminology.csv, with an address")
    keep.add_argument("--atlas-version", help="version of the atlas (default: the newest)")
    keep.add_argument(
        "--level",
        type=float,
        action="append",
        metavar="UM",
        help="voxel size to keep; may be repeated (default: that in the name, and coarser ones)",
    )
    keep.add_argument("--template", action="store_true", help="keep the reference images too")
    add_bucket(keep)
    keep.set_defaults(run=_keep)
    listed = actions.add_parser("list", help="list the atlases that are kept")
    listed.set_defaults(run=_list)
    drop = actions.add_parser("drop", help="remove an atlas that is kept")
    drop.add_argument("atlas", help="its name, as 'offline list' gives it")
    drop.add_argument("--atlas-version", help="only this version of it")
    drop.set_defaults(run=_drop)

    cache = commands.add_parser("cache", help="what was seen or made of atlases, on the disk")
    ways = cache.add_subparsers(title="actions", required=True, metavar="ACTION")
    ways.add_parser("info", help="say how much it is and where").set_defaults(run=_info)
    ways.add_parser("clear", help="remove it; atlases kept offline stay").set_defaults(run=_clear)


def _keep(arguments: argparse.Namespace) -> int:
    from napari_stria.io.offline import keep_offline, offline_sizes
    from napari_stria.io.opening import open_atlas

    atlas = open_atlas(
        arguments.atlas,
        root=arguments.root,
        terminology=arguments.terminology,
        version=arguments.atlas_version,
        storage_options=bucket_options(arguments),
    )
    looking = ProgressLine(f"looking at {atlas.name}, parts")
    sizes = offline_sizes(atlas, progress=looking)
    looking.end()
    chosen = _chosen(atlas, sizes, arguments.level, arguments.template)
    _show(sizes, chosen)
    _check_room(size for size in sizes if (size.volume, size.level) in chosen)
    line = ProgressLine(f"keeping {atlas.name}, kB")
    try:
        kept = keep_offline(
            atlas,
            chosen,
            progress=lambda done, total: line(-(-done // 1000), -(-total // 1000)),
        )
    except KeyboardInterrupt:
        note("what has arrived stays; the same command goes on from there")
        raise
    finally:
        line.end()
    print(f"{kept.name} is kept: {_megabytes(kept.bytes)}")
    return EXIT_OK


def _chosen(
    atlas: Atlas, sizes: Sequence[LevelSize], levels_um: list[float] | None, template: bool
) -> list[tuple[str, int]]:
    """Return the levels that are asked for: of regions and sides, of reference images if wanted."""
    scales = _scales(atlas, sizes, levels_um)
    return [
        (size.volume, size.level)
        for size in sizes
        if size.scale_um in scales and (template or size.volume not in atlas.templates)
    ]


def _scales(atlas: Atlas, sizes: Sequence[LevelSize], levels_um: list[float] | None) -> set[Triple]:
    """Return the voxel sizes that are asked for; all volumes of an atlas have the same."""
    known = {size.scale_um for size in sizes}
    if levels_um is None:
        named = atlas.annotation.level_for_resolution(atlas.resolution_um).scale_um
        return {s for s in known if all(a >= b * 0.99 for a, b in zip(s, named, strict=True))}
    found = set()
    for asked in levels_um:
        fitting = {s for s in known if abs(s[0] - asked) <= 1e-3 * asked}
        if not fitting:
            there = ", ".join(f"{s[0]:g}" for s in sorted(known))
            raise StriaError(f"{atlas.name} has no level of {asked:g} um; it has {there} um.")
        found |= fitting
    return found


def _show(sizes: Iterable[LevelSize], chosen: Sequence[tuple[str, int]]) -> None:
    """Write what each level takes, and which of them are to be kept."""
    for size in sizes:
        mark = "*" if (size.volume, size.level) in chosen else " "
        voxel = " x ".join(f"{s:g}" for s in size.scale_um)
        amount = ("" if size.exact else "at most ") + _megabytes(size.bytes)
        here = f", {_megabytes(size.kept_bytes)} of it here already" if size.kept_bytes else ""
        print(f" {mark} {size.volume}, {voxel} um: {amount}{here}")


def _check_room(sizes: Iterable[LevelSize]) -> None:
    from napari_stria.io.cache import cache_folder

    # A bound is no reason to refuse.
    needed = sum(size.bytes - size.kept_bytes for size in sizes if size.exact)
    free = shutil.disk_usage(cache_folder()).free
    if needed > free:
        raise StriaError(
            f"{_megabytes(needed)} are to be fetched and {_megabytes(free)} are free on the disk; "
            "free some of it or choose fewer levels."
        )


def _list(arguments: argparse.Namespace) -> int:
    del arguments
    from napari_stria.io.offline import kept_atlases

    kept = kept_atlases()
    for atlas in kept:
        state = "" if atlas.complete else ", incomplete"
        print(f"{_named(atlas)}: {_megabytes(atlas.bytes)}{state}, from {atlas.root}")
        for volume, number in atlas.levels:
            print(f"  {volume}, level {number}")
    if not kept:
        print("no atlas is kept; 'napari-stria offline keep NAME' keeps one")
    return EXIT_OK


def _drop(arguments: argparse.Namespace) -> int:
    from napari_stria.io.offline import drop_kept, kept_atlases

    version = arguments.atlas_version
    every = kept_atlases()
    found = [k for k in every if k.name == arguments.atlas and version in (None, k.version)]
    if not found:
        names = ", ".join(_named(kept) for kept in every) or "none"
        raise StriaError(f"{arguments.atlas} is not kept; these are: {names}.")
    for kept in found:
        print(f"{_named(kept)} is removed: {_megabytes(drop_kept(kept))} freed")
    return EXIT_OK


def _info(arguments: argparse.Namespace) -> int:
    del arguments
    from napari_stria.io.chunk_files import usage
    from napari_stria.io.offline import kept_atlases

    used = usage()
    bound = f"of {_megabytes(used.max_bytes)}" if used.max_bytes else "and no more is kept"
    print(f"folder: {used.folder}")
    print(f"seen parts of atlases: {_megabytes(used.bytes)} {bound}, {used.files} files")
    print(f"unpacked and decoded volumes: {_megabytes(used.made_bytes)}")
    print(f"atlases kept offline: {len(kept_atlases())}")
    return EXIT_OK


def _clear(arguments: argparse.Namespace) -> int:
    del arguments
    from napari_stria.io.chunk_files import clear

    print(f"{_megabytes(clear())} freed")
    return EXIT_OK


def _named(kept: KeptAtlas) -> str:
    return f"{kept.name} {kept.version}".rstrip()


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
