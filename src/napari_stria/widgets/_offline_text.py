"""How keeping an atlas offline is written."""

from __future__ import annotations

from napari_stria.core.space import Triple
from napari_stria.io.offline import KeptAtlas, LevelSize
from napari_stria.session.amounts import bytes_text, transfer_text
from napari_stria.session.offline_choice import Need
from napari_stria.session.offline_session import OfflineStatus


def scale_text(scale_um: Triple) -> str:
    """Write a voxel's size, once if it is the same along all axes."""
    sizes = [f"{s:.4g}" for s in scale_um]
    return f"{sizes[0] if len(set(sizes)) == 1 else ' × '.join(sizes)} µm"


def level_size_text(size: LevelSize) -> str:
    """Write what a level takes in all."""
    return bytes_text(size.bytes) if size.exact else f"at most {bytes_text(size.bytes)}"


def here_text(size: LevelSize) -> str:
    """Write how much of a level is on this machine."""
    if size.kept_bytes <= 0:
        return "nothing yet"
    return "all of it" if size.kept_bytes >= size.bytes else bytes_text(size.kept_bytes)


def need_text(need: Need, free_bytes: int | None, *, fits: bool) -> str:
    """Write what is to be fetched, and whether there is room for it."""
    amount = bytes_text(need.to_fetch) if need.exact else f"at most {bytes_text(need.to_fetch)}"
    if need.to_fetch == 0:
        amount = "nothing, all of it is here"
    text = f"To fetch: {amount}"
    if free_bytes is None:
        return text
    room = f"{text} · free on the disk: {bytes_text(free_bytes)}"
    return room if fits else f"{room}. This does not fit; free some room or tick fewer levels."


def progress_text(status: OfflineStatus) -> str:
    """Write how far the fetching is, how fast it goes and how long it will take."""
    if status.ending:
        return "Stopping; what has arrived stays…"
    if not status.total:
        return "Fetching…"
    return transfer_text(status.done, status.total, status.bytes_per_s)


def levels_text(kept: KeptAtlas) -> str:
    """Write of which volumes how many levels are kept."""
    counts: dict[str, int] = {}
    for volume, _ in kept.levels:
        counts[volume] = counts.get(volume, 0) + 1
    return ", ".join(f"{volume} ({_plural(n, 'level')})" for volume, n in counts.items())


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
