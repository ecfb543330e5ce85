"""A few values that are read once and written now and then, in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from napari_stria.io.config_files import ConfigContent, ConfigFile
from napari_stria.session.tasks import Tasks

_log = logging.getLogger(__name__)


class Remembered:
    """How the user left something, in a file of the user's choices.

    It is a convenience: what cannot be read or written is logged and nothing more.

    Parameters
    ----------
    tasks : Tasks
        Reads and writes in the background.
    file : ConfigFile
        Where the values are.
    """

    def __init__(self, tasks: Tasks, file: ConfigFile) -> None:
        self._tasks, self._file = tasks, file
        self._wanted: dict[str, Any] = {}
        self._writing = False

    def load(self, done: Callable[[Mapping[str, Any]], None]) -> None:
        """Read the values; `done` is given them, or nothing if there are none."""
        self._tasks.run(self._file.read, lambda content: done(content.values), _log_error)

    def save(self, values: Mapping[str, Any]) -> None:
        """Write values soon; the newest win."""
        self._wanted.update(values)
        if self._wanted and not self._writing:
            wanted, self._wanted = self._wanted, {}
            self._writing = True
            self._tasks.run(
                lambda: self._file.update(lambda held: held.update(wanted)),
                self._written,
                self._failed,
            )

    def _written(self, _content: ConfigContent) -> None:
        self._writing = False
        self.save({})

    def _failed(self, error: Exception) -> None:
        self._writing = False
        _log_error(error)


def _log_error(error: Exception) -> None:
    _log.warning("%s", error)
