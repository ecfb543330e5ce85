"""AllenSDK in an environment of its own: it needs Python 3.11 and a numpy that we cannot use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_stria.io.cache import cache_folder

VERSION = "2.16.2"
VARIABLE = "NAPARI_STRIA_ALLENSDK_PYTHON"
_PACKAGE = f"allensdk=={VERSION}"
_IS_311 = "import sys; sys.exit(sys.version_info[:2] != (3, 11))"


class PeerMissingError(RuntimeError):
    """AllenSDK cannot be measured here; the text says why."""


def peer_python() -> Path:
    """Return a Python that has AllenSDK; its environment is made when it is first needed.

    It is kept in the cache (0.8 GB) and made by uv, which brings Python 3.11 itself, else by the
    venv of a Python 3.11 that is installed. The environment variable
    ``NAPARI_STRIA_ALLENSDK_PYTHON`` names a Python that has AllenSDK already.

    Raises
    ------
    PeerMissingError
        If neither way works.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    folder = cache_folder("benchmarks") / f"allensdk-{VERSION}"
    python = folder / "bin" / "python"
    stamp = folder / "finished"
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making an environment with {_PACKAGE} (0.8 GB) in {folder}", file=sys.stderr)
        _make(folder, python)
        stamp.touch()
    return python


def _make(folder: Path, python: Path) -> None:
    uv = _uv()
    if uv is not None:
        _run(*uv, "venv", "--quiet", "--python", "3.11", folder)
        _run(*uv, "pip", "install", "--quiet", "--python", python, _PACKAGE)
        return
    _run(_python_311(), "-m", "venv", folder)
    _run(python, "-m", "pip", "install", "--quiet", _PACKAGE)


def _uv() -> Sequence[str] | None:
    if _succeeds(sys.executable, "-m", "uv", "--version"):
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    return [found] if found else None


def _python_311() -> str:
    for name in (sys.executable, shutil.which("python3.11")):
        # A name that is found may still lead nowhere, such as the shim of a version manager.
        if name and _succeeds(name, "-c", _IS_311):
            return name
    raise PeerMissingError(f"{_PACKAGE} needs Python 3.11, and there is neither it nor uv here.")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerMissingError(f"{' '.join(words)} failed: {done.stderr.strip()[-500:]}")
