"""When, where and how often it was measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

REPEATS = 5


def conditions(*packages: str) -> str:
    """Return the date, the machine, versions of packages and the number of repetitions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {versions}; medians of {REPEATS}"
    )
