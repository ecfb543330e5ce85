"""How much memory a process takes, as Linux counts it."""

from __future__ import annotations

import re
from pathlib import Path


def resident_mb() -> float:
    """Return the resident size of this process now, in MB."""
    return _status_mb("VmRSS")


def peak_mb() -> float:
    """Return the largest resident size of this process so far, in MB."""
    # getrusage's count also holds what the parent had when it started us.
    return _status_mb("VmHWM")


def forget_peak() -> None:
    """Let `peak_mb` begin anew at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _status_mb(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
