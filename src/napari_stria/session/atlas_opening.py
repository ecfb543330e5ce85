"""Opening an atlas in the background; the newest request replaces the one before."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.session.tasks import Tasks


class AtlasOpening:
    """Opens one atlas at a time.

    Parameters
    ----------
    tasks : Tasks
        Runs the opening elsewhere.

    Attributes
    ----------
    name : str or None
        What is being opened.
    opened : Signal(Atlas)
        Emitted while `name` still says what is being opened.
    changed : Signal(object)
        Carries `name`.
    failed : Signal(Exception)
    """

    opened = Signal(object)
    changed = Signal(object)
    failed = Signal(Exception)

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._generation = 0
        self.name: str | None = None

    def start(self, opener: Callable[[], Atlas], name: str) -> None:
        """Open an atlas; a later call, `cancel` or `forget` drops its result."""
        self._generation += 1
        mine = self._generation
        self._set(name)

        def done(atlas: Atlas) -> None:
            if mine == self._generation:
                # Told first: who hears that the opening ended may ask what it brought.
                self.opened.emit(atlas)
                self._set(None)

        def failed(error: Exception) -> None:
            if mine == self._generation:
                self._set(None)
                self.failed.emit(error)

        self._tasks.run(opener, done, failed)

    def cancel(self) -> None:
        """Drop what is being opened, if anything is."""
        self.forget()
        self._set(None)

    def forget(self) -> None:
        """Drop what is being opened, and tell nobody."""
        self._generation += 1

    def _set(self, name: str | None) -> None:
        self.name = name
        self.changed.emit(name)
