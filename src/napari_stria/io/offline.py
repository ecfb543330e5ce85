"""Atlases kept on this machine as a whole, so that they open without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from types import MappingProxyType
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.space import Triple
from napari_stria.errors import StriaError, TaskCancelled, UnsupportedSourceError
from napari_stria.io.offline_fetch import keep_level, keep_metadata
from napari_stria.io.offline_levels import measure, stored_levels
from napari_stria.io.offline_records import (
    KeptRecord,
    all_records,
    level_record,
    record_of,
    record_path,
    remove,
    without_stale,
)
from napari_stria.io.sinks import Progress


@dataclass(frozen=True)
class LevelSize:
    """What one level of one volume takes.

    Attributes
    ----------
    volume : str
        ``"annotation"``, ``"hemispheres"`` or a template's name.
    level : int
        Its number in the volume, 0 for the finest.
    scale_um : tuple of float
        Voxel size (AP, DV, ML).
    chunks : int
        Number of chunks, also those that are not stored.
    bytes : int
        To fetch in all, as stored.
    exact : bool
        False if the server does not say, so that `bytes` is only a bound.
    kept_bytes : int
        How much of it is on this machine already, kept or seen.
    """

    volume: str
    level: int
    scale_um: Triple
    chunks: int
    bytes: int
    exact: bool
    kept_bytes: int


@dataclass(frozen=True)
class KeptAtlas:
    """An atlas that was kept offline, or began to be.

    Attributes
    ----------
    name, version, root : str
        As it was opened; the version may be empty.
    levels : tuple of (str, int)
        Volume and level.
    bytes : int
        What it takes on disk, also where another kept atlas shares it.
    complete : bool
        False if not all chunks arrived yet.
    opened_with : mapping
        What `napari_stria.open_atlas` takes to open it.
    """

    name: str
    version: str
    root: str
    levels: tuple[tuple[str, int], ...]
    bytes: int
    complete: bool
    opened_with: Mapping[str, Any]


def offline_sizes(
    atlas: Atlas, *, progress: Progress | None = None, cancel: Event | None = None
) -> list[LevelSize]:
    """Return what each level of an atlas takes; no voxel is read.

    Parameters
    ----------
    atlas : Atlas
        From `napari_stria.open_atlas`.
    progress : callable, optional
        Called with the number of chunks whose size is known and their total.
    cancel : threading.Event, optional
        Ends it with `TaskCancelled` when it is set.

    Raises
    ------
    StriaError
        If the atlas lies on this machine already, or was opened with ``cached=False``.
    NetworkError
        If the server cannot be reached.
    """
    levels = stored_levels(atlas)
    found = measure(levels.values(), progress, cancel)
    return [
        LevelSize(
            level.volume,
            level.level,
            level.scale_um,
            level.n_chunks,
            found[level.id].total,
            found[level.id].exact,
            found[level.id].kept_bytes,
        )
        for level in levels.values()
    ]


def keep_offline(
    atlas: Atlas,
    levels: Sequence[tuple[str, int]],
    *,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> KeptAtlas:
    """Keep levels of an atlas on this machine, with all that opening it reads.

    What is kept is not dropped for something newer, unless a level of the newer is kept: then the
    levels of the older go, since only one edition of an atlas can be opened. Each chunk is decoded
    once before it is written. After an interruption of any kind, calling this again goes on where
    it ended; levels that were kept before stay kept.

    Parameters
    ----------
    atlas : Atlas
        From `napari_stria.open_atlas`.
    levels : sequence of (str, int)
        Volume and number of each level, as in `LevelSize`.
    progress : callable, optional
        Called with the bytes that are there and their total, which changes where the server did
        not say how large its chunks are.
    cancel : threading.Event, optional
        Ends it with `TaskCancelled` when it is set.

    Raises
    ------
    StriaError
        If the atlas lies on this machine already, was opened with ``cached=False`` or has no such
        level; an `UnsupportedSourceError` if `levels` are no pairs.
    NetworkError, CorruptDataError
        If a chunk cannot be had.
    OutputError
        If it cannot be written.
    """
    known = stored_levels(atlas)
    chosen = _distinct(levels)
    missing = [level for level in chosen if level not in known]
    if missing or not chosen:
        names = ", ".join(f"{volume} {number}" for volume, number in known)
        asked = f"has no levels {missing}" if missing else "was to be kept without any level"
        raise StriaError(f"{atlas.name} {asked}; it has {names}.")
    wanted = [known[level] for level in chosen]
    current = {level.id: level.group for level in known.values()}
    record = record_of(atlas).without_older(current).with_levels(map(level_record, wanted))
    # Before the first chunk, so that nothing lies on the disk of which nobody knows.
    record.write()
    try:
        metadata = keep_metadata(atlas, wanted[0].store)
        record = without_stale(replace(record, metadata={**record.metadata, **metadata}))
        record.write()
        sizes = measure(wanted, None, cancel)
        tally = _Tally(sum(sizes[level.id].total for level in wanted), progress)
        for level in wanted:
            keep_level(level, sizes[level.id], tally.add, cancel)
            record = record.with_levels([level_record(level, complete=True)])
            record.write()
    except TaskCancelled as error:
        raise TaskCancelled(
            f"keeping {atlas.name} was cancelled; what has arrived stays for the next time."
        ) from error
    return _kept(record)


def _distinct(levels: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return each level once, if they are pairs of volume and number."""
    try:
        pairs = [(volume, number) for volume, number in levels]
        if all(isinstance(volume, str) for volume, _ in pairs):
            return list(dict.fromkeys(pairs))
    # What is no pair, cannot be counted through or cannot be compared.
    except (TypeError, ValueError):
        pass
    raise UnsupportedSourceError(
        f"levels are pairs of volume and number, such as ('annotation', 0), not {levels!r}."
    )


class _Tally:
    """Adds up bytes; what came in place of a bound corrects the total."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total = 0, total
        self._progress = progress

    def add(self, n_bytes: int, expected: int) -> None:
        self._done += n_bytes
        self._total += n_bytes - expected
        if self._progress is not None:
            self._progress(self._done, self._total)


def kept_atlases() -> list[KeptAtlas]:
    """Return the atlases that are kept, complete or not, sorted by name."""
    return [_kept(record) for record in all_records()]


def drop_kept(kept: KeptAtlas) -> int:
    """Remove a kept atlas, but not what another kept one needs.

    Returns
    -------
    int
        The freed bytes; 0 if it is not kept any more.
    """
    path = record_path(kept.name, kept.version, kept.root, kept.opened_with)
    return sum(remove(record) for record in all_records() if record.path == path)


def _kept(record: KeptRecord) -> KeptAtlas:
    n_bytes, complete = record.usage()
    return KeptAtlas(
        record.name,
        record.version,
        record.root,
        tuple(level.id for level in record.levels),
        n_bytes,
        complete,
        MappingProxyType(dict(record.opened_with)),
    )
