"""How servers are spoken to: time-outs, retries, headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_stria.errors import UnsupportedSourceError


@dataclass(frozen=True)
class HttpOptions:
    """How a server is spoken to.

    Attributes
    ----------
    connect_timeout_s, read_timeout_s : float
        How long to wait for the connection, and for the next bytes.
    attempts : int
        How often a request is tried in all.
    backoff_s : float
        Pause before the second attempt; doubled for each further one.
    headers : mapping
        Sent with every request (for example a token).
    slowest_bytes_per_s : float
        A transfer slower than this for longer than `read_timeout_s` counts as stalled.
    longest_pause_s : float
        No pause is longer, whatever the server asks for (``Retry-After``).
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 15.0
    attempts: int = 4
    backoff_s: float = 0.25
    # It may hold a token, which is not shown.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    slowest_bytes_per_s: float = 256.0
    longest_pause_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "read_timeout_s", "attempts"):
            if getattr(self, name) <= 0:
                raise UnsupportedSourceError(
                    f"the storage option {name} is larger than 0, not {getattr(self, name)}."
                )
        for name in ("backoff_s", "slowest_bytes_per_s", "longest_pause_s"):
            if getattr(self, name) < 0:
                raise UnsupportedSourceError(
                    f"the storage option {name} is not below 0; got {getattr(self, name)}."
                )
