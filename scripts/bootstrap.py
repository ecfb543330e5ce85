"""Make ready what ``make demo`` and ``make test`` need: system libraries and ``.venv``.

A finished ``.venv`` carries a stamp that says what it was made from; with another stamp, or
without one, it is made anew. ``--system`` stops before ``.venv``. Older Pythons must be able to
load this file, to say that they are too old: hence the quoted annotations and the late import.
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "finished"
OLDEST = (3, 11)
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PIP = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
UV = (PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON)
RECENT_PIP = "pip>=25.1"  # knows dependency groups
WANTED = ("--editable", ".[all]", "--group", "dev")

# What Qt and OpenGL load, and the Debian and Ubuntu packages that bring it. Where a package was
# renamed since (libglib2.0-0t64), apt knows it by the former name too.
LIBRARIES = {
    "libEGL.so.1": ["libegl1"],
    "libGL.so.1": ["libgl1", "libgl1-mesa-dri"],
    "libX11-xcb.so.1": ["libx11-xcb1"],
    "libdbus-1.so.3": ["libdbus-1-3"],
    "libfontconfig.so.1": ["libfontconfig1", "fonts-dejavu-core"],
    "libgthread-2.0.so.0": ["libglib2.0-0"],
    "libxcb-cursor.so.0": ["libxcb-cursor0"],
    "libxcb-icccm.so.4": ["libxcb-icccm4"],
    "libxcb-image.so.0": ["libxcb-image0"],
    "libxcb-keysyms.so.1": ["libxcb-keysyms1"],
    "libxcb-randr.so.0": ["libxcb-randr0"],
    "libxcb-render-util.so.0": ["libxcb-render-util0"],
    "libxcb-shape.so.0": ["libxcb-shape0"],
    "libxcb-xkb.so.1": ["libxcb-xkb1"],
    "libxkbcommon-x11.so.0": ["libxkbcommon-x11-0"],
}


def main() -> int:
    """Make everything ready and return the exit code."""
    use_recent_python()
    try:
        with only_one_at_a_time():
            if sys.platform.startswith("linux"):
                install_system_packages()
            if "--system" not in sys.argv[1:] and not is_finished():
                make_venv()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        fail(f"{VENV} cannot be made ready ({error}).")
    return 0


def fail(sentence: str) -> NoReturn:
    """Say what is wrong and end."""
    sys.exit(f"napari-stria: {sentence}")


def run(*command: "str | Path", **options: Any) -> bool:
    """Run a command at the top of the repository and say whether it succeeded."""
    words = [str(word) for word in command]
    # It inherits the lock, which is thereby held until the last installer has ended.
    return subprocess.call(words, cwd=str(ROOT), close_fds=False, **options) == 0  # noqa: S603


def use_recent_python() -> None:
    """Go on under a Python that is recent enough, if this one is not."""
    test = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    if sys.version_info >= OLDEST:
        return
    for name in ("python3.13", "python3.12", "python3.11", "python3.14"):
        command = shutil.which(name)
        # A name that is found may still lead nowhere, such as the shim of a version manager.
        if command and run(command, "-c", test, stderr=subprocess.DEVNULL):
            os.execv(command, [command, *sys.argv])  # noqa: S606
    found = ".".join(map(str, sys.version_info[:2]))
    fail(
        f"Python 3.11 or newer is needed and this is {found}: install the packages python3.11 and "
        "python3.11-venv or a Python from https://www.python.org/downloads/, then run make again."
    )


@contextlib.contextmanager
def only_one_at_a_time() -> "Iterator[None]":
    """Let a second run wait until the first has ended."""
    with Path(__file__).open() as lock:
        with contextlib.suppress(ImportError):  # Windows has no fcntl
            import fcntl

            os.set_inheritable(lock.fileno(), True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_system_packages() -> None:
    """Install what is missing if we may; else say how to, and end."""
    lacking = missing()
    if not lacking:
        return
    if not shutil.which("apt-get"):
        # Somebody else's Linux: names and places may differ there, so say it and try.
        print(f"napari-stria: please install {', '.join(lacking)}.", file=sys.stderr)
        return
    packages = " ".join(sorted({name for names in lacking.values() for name in names}))
    install = f"apt-get install -y --no-install-recommends {packages}"
    if os.geteuid() != 0:
        fail(
            "system packages are missing; install them with this line, then run make again:\n"
            f"sudo apt-get update && sudo {install}"
        )
    print(f"Installing system packages: {packages}", flush=True)
    apt_get("update")
    if not apt_get(*install.split()[1:]) or missing():
        fail(f"`{install}` did not bring all that is needed; see what apt-get says above.")


def apt_get(*words: str) -> bool:
    """Run apt-get, quietly; a machine that has just started may be busy with its own updates."""
    return run(
        *("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *words),
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.DEVNULL,
    )


def missing() -> "dict[str, list[str]]":
    """Return what is not here, and the packages that bring it."""
    importlib.invalidate_caches()
    lacking = {name: packages for name, packages in LIBRARIES.items() if not is_loadable(name)}
    if not os.environ.get("DISPLAY") and not shutil.which("Xvfb"):
        lacking["Xvfb"] = ["xvfb"]
    if not importlib.util.find_spec("ensurepip"):
        lacking["ensurepip"] = ["python{}.{}-venv".format(*sys.version_info)]
    return lacking


def is_loadable(library: str) -> bool:
    """Say whether a shared library can be loaded."""
    with contextlib.suppress(OSError):
        return bool(ctypes.CDLL(library))
    return False


def is_finished() -> bool:
    """Say whether `.venv` is complete and made from what is wanted now."""
    return PYTHON.exists() and STAMP.is_file() and STAMP.read_text() == wanted_stamp()


def wanted_stamp() -> str:
    """Return a digest of what `.venv` is made from: dependencies, Python, place."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project.get(name) for name in ("build-system", "project", "dependency-groups")]
    text = json.dumps([parts, WANTED, sys.version_info[:2], str(VENV)])
    return hashlib.sha256(text.encode()).hexdigest()


def make_venv() -> None:
    """Make `.venv` from nothing; the stamp goes first and comes back last."""
    print("Installing napari, Qt and the tools into .venv (a minute or a few)", flush=True)
    STAMP.unlink(missing_ok=True)
    stamp = wanted_stamp()
    if not run(sys.executable, "-m", "venv", "--clear", VENV):
        fail(f"{sys.executable} could not make .venv; see what it says above.")
    if not (install_with_uv() or install_with_pip() or install_with_pip()):
        fail(
            "the Python packages could not be installed, probably because the network or the "
            "package index did not answer: see what pip says above, then run make again."
        )
    STAMP.write_text(stamp)


def install_with_uv() -> bool:
    """Install everything with uv: a sixth of pip's time, but not every machine can have it."""
    return run(*PIP, "--upgrade", "--only-binary=:all:", RECENT_PIP, "uv") and run(*UV, *WANTED)


def install_with_pip() -> bool:
    """Install everything with pip."""
    print("Installing with pip", flush=True)
    return run(*PIP, "--upgrade", RECENT_PIP) and run(*PIP, *WANTED)


if __name__ == "__main__":
    sys.exit(main())
