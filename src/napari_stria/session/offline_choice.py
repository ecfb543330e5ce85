"""Pure: which levels of an atlas are kept offline, and what that takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from napari_stria.core.atlas import Atlas
from napari_stria.io.offline import KeptAtlas, LevelSize

LevelId = tuple[str, int]


@dataclass(frozen=True)
class Need:
    """What the chosen levels take.

    Attributes
    ----------
    to_fetch : int
        Bytes that are not on this machine yet.
    exact : bool
        False if only a bound is known.
    """

    to_fetch: int
    exact: bool


def level_id(size: LevelSize) -> LevelId:
    """Return how `keep_offline` names a level."""
    return size.volume, size.level


def default_levels(atlas: Atlas, sizes: Iterable[LevelSize]) -> frozenset[LevelId]:
    """Return what is offered: the level that the atlas is named by and all coarser ones.

    Reference images are left out; they are the larger part, and regions are read without them.
    """
    return frozenset(
        level_id(size)
        for size in sizes
        if size.volume not in atlas.templates
        # With some room: 25 um may be stored as 24.999, and a finer level is half of it.
        and all(s > r * 0.75 for s, r in zip(size.scale_um, atlas.resolution_um, strict=True))
    )


def need_of(sizes: Iterable[LevelSize], chosen: Collection[LevelId]) -> Need:
    """Return what the chosen levels take."""
    wanted = [size for size in sizes if level_id(size) in chosen]
    return Need(
        sum(max(0, size.bytes - size.kept_bytes) for size in wanted),
        all(size.exact for size in wanted),
    )


def kept_record(atlas: Atlas, kept: Sequence[KeptAtlas]) -> KeptAtlas | None:
    """Return what is kept of this very atlas and version, None if nothing is."""
    wanted = dict(atlas.opened_with)
    return next((k for k in kept if _same(dict(k.opened_with), wanted)), None)


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Compare what opens an atlas; a list read from a file stands for a tuple."""

    def plain(value: object) -> object:
        return list(value) if isinstance(value, tuple) else value

    return {k: plain(v) for k, v in one.items()} == {k: plain(v) for k, v in other.items()}
