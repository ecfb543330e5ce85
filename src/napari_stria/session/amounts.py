"""How amounts of bytes, and times, are written."""

from __future__ import annotations

_MINUTE_S, _HOUR_S = 60, 3600


def bytes_text(n_bytes: int) -> str:
    """Return a size in three digits, in the units (powers of 1000) that disks are sold by."""
    value, units = float(n_bytes), ("B", "kB", "MB", "GB", "TB")
    for unit in units:
        if value < 999.5 or unit == units[-1]:
            break
        value /= 1000
    digits = 0 if unit == "B" or value >= 99.95 else 1
    return f"{value:.{digits}f} {unit}"


def duration_text(seconds: float) -> str:
    """Return about how long something takes."""
    if seconds < _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    return f"{seconds / _HOUR_S:.1f} h"


def transfer_text(done: int, total: int, bytes_per_s: float | None) -> str:
    """Return how far a transfer is, how fast it goes and how long it will take."""
    text = f"{bytes_text(done)} of {bytes_text(total)}"
    if not bytes_per_s:
        return text
    left_s = (total - done) / bytes_per_s
    return f"{text} · {bytes_text(round(bytes_per_s))}/s · {duration_text(left_s)} left"
