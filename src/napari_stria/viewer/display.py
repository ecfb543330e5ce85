"""A virtual display for machines without a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from napari_stria.errors import StriaError

_PACKAGES = "xvfb libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 \
libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1"


class DisplayError(StriaError, RuntimeError):
    """There is no screen and no virtual one can be started."""


def has_display() -> bool:
    """Tell whether windows can be shown on a screen."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def virtual_display(width: int, height: int) -> Iterator[None]:
    """Run the block with a virtual display (Xvfb); elsewhere than on Linux there is none.

    Raises
    ------
    DisplayError
        If Xvfb is not installed or does not start.
    """
    if sys.platform != "linux":
        yield
        return
    command = shutil.which("Xvfb")
    if command is None:
        raise DisplayError(
            f"there is no screen; install a virtual one: apt-get install {_PACKAGES}"
        )
    receiving, sending = os.pipe()
    process = subprocess.Popen(  # noqa: S603
        [command, "-displayfd", str(sending), "-screen", "0", f"{width}x{height}x24",
         "-nolisten", "tcp"],
        pass_fds=[sending], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(sending)
    before = {name: os.environ.get(name) for name in ("DISPLAY", "QT_QPA_PLATFORM")}
    try:
        with os.fdopen(receiving) as number:
            display = number.readline().strip()
        if not display:
            raise DisplayError("Xvfb did not start; try `Xvfb :99` by hand to see why.")
        os.environ["DISPLAY"] = f":{display}"
        os.environ["QT_QPA_PLATFORM"] = "xcb"
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        process.terminate()
        process.wait()
