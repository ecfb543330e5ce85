"""How much memory a process takes, as Linux counts it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

_WAKE_BYTES = 320 << 20


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


def wake_memory() -> None:
    """Touch and free as much memory as a job needs.

    A virtual machine gives idle memory back to its host within seconds, and to have 160 MB again
    takes up to a second: with it a call would be measured by how long its process slept before.
    """
    # By numpy, because it asks for the same large pages as the arrays of the jobs.
    np.full(_WAKE_BYTES, 1, dtype=np.uint8)


def _status_mb(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
