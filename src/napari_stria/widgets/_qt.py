"""The names that qtpy moves or gives to what its bindings call differently."""

# No stubs know these under qtpy: one place says so, instead of every import.
from qtpy.QtCore import Signal, Slot  # type: ignore[attr-defined]
from qtpy.QtGui import QShortcut  # type: ignore[attr-defined]

__all__ = ["QShortcut", "Signal", "Slot"]
