"""The practice brain's server: one a process, and the word that stands for its address."""

from __future__ import annotations

import threading
from typing import Any

from napari_stria.io.cache import cache_folder

# Its port is another one each time, so that only this word can be kept.
PRACTICE_ROOT = "practice brain"
PRACTICE_ATLAS = "practice_mouse_50um"
_servers: list[Any] = []
_serving = threading.Lock()


def practice_url() -> str:
    """Serve the practice brain on loopback, once a process, and return its root.

    It is built in the cache first, which takes some seconds: call this off the GUI thread.
    """
    from napari_stria.demo.practice import practice_root
    from napari_stria.demo.server import DemoServer

    with _serving:
        if not _servers:
            server = DemoServer(practice_root(cache_folder("practice")))
            server.start()
            _servers.append(server)
    return str(_servers[0].url)


def practice_api_url() -> str:
    """Return the base URL of the practice sections; see `practice_url`."""
    return f"{practice_url()}/api/v2"


def resolved_root(root: str) -> str:
    """Return the address of a source in the dock's list."""
    return practice_url() if root == PRACTICE_ROOT else root


def lasting_place(address: str) -> str:
    """Return what stands for an address when it is kept: the practice server's is its word."""
    for server in _servers:
        if address in (str(server.url), f"{server.url}/api/v2"):
            return PRACTICE_ROOT
    return address
