"""Small JSON files of the user's own choices, which outlive every cache."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import platformdirs

from napari_stria.errors import OutputBusyError, OutputError
from napari_stria.io.cache import write_atomically
from napari_stria.io.output_folder import locked

CONFIG_VARIABLE = "NAPARI_STRIA_CONFIG"
_log = logging.getLogger(__name__)
_MOST_S = 10.0  # nobody writes so long
_PAUSE_S = 0.01
_MAX_BYTES = 10**7


def config_folder() -> Path:
    """Return the folder of the user's choices, made if need be.

    The environment variable ``NAPARI_STRIA_CONFIG`` names another place than the system's.
    """
    top = os.environ.get(CONFIG_VARIABLE) or platformdirs.user_config_dir("napari-stria")
    folder = Path(top).expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class ConfigContent:
    """What a file holds.

    Attributes
    ----------
    values : mapping
        Empty if there is no file.
    problem : str
        One sentence if the file could not be used; else empty.
    """

    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    problem: str = ""


class ConfigFile:
    """One JSON object in the folder of the user's choices.

    Several windows and processes may change it at once: each change is made to what is on disk
    then. A file that is damaged is set aside under another name, never overwritten.

    Parameters
    ----------
    name : str
        File name, ending in ``.json``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def _path(self) -> Path:
        # A link that the user made to a file elsewhere stays one.
        return (config_folder() / self._name).resolve()

    def read(self) -> ConfigContent:
        """Return what the file holds; never raises."""
        try:
            path = self._path()
            raw = path.read_bytes() if path.exists() else None
        except OSError as error:
            return ConfigContent(problem=f"{self._name} cannot be read ({error}).")
        if raw is None:
            return ConfigContent()
        with suppress(ValueError, RecursionError):
            values = json.loads(raw) if len(raw) <= _MAX_BYTES else None
            if isinstance(values, dict):
                return ConfigContent(MappingProxyType(values))
        return ConfigContent(problem=_set_aside(path))

    def update(self, change: Callable[[dict[str, Any]], None]) -> ConfigContent:
        """Change what the file holds and return it.

        Parameters
        ----------
        change : callable
            Is given the values to change in place.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        try:
            path = self._path()
            with _locked(path):
                content = self.read()
                values = dict(content.values)
                change(values)
                text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
                write_atomically(path, (text + "\n").encode())
        except OSError as error:
            raise OutputError(f"{self._name} cannot be written ({error}).") from error
        return ConfigContent(MappingProxyType(values), content.problem)


def _set_aside(path: Path) -> str:
    """Rename a damaged file; return the sentence that says so."""
    numbers = iter(range(1, 1000))
    aside = path.with_suffix(".damaged.json")
    while aside.exists():
        aside = path.with_suffix(f".damaged-{next(numbers)}.json")
    try:
        path.rename(aside)
    except OSError as error:
        return f"{path} is damaged and cannot be set aside ({error})."
    sentence = f"{path} was damaged; it was set aside as {aside.name}, and a new one is begun."
    _log.warning("%s", sentence)
    return sentence


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file against others who change it; a lock ends with the process that had it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    until = time.monotonic() + _MOST_S

    def wait() -> None:
        if time.monotonic() > until:
            raise OutputBusyError(f"another program holds {path.name}; try again later.")
        time.sleep(_PAUSE_S)

    with locked(path.with_name(f".{path.name}.lock"), wait):
        yield
