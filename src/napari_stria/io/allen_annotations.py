"""Which annotation volumes the Allen Institute offers, and where."""

from __future__ import annotations

import os
from dataclasses import dataclass

from napari_stria.errors import CoordinateError, UnsupportedSourceError
from napari_stria.io.allen_checks import checked_url

# AllenSDK asks the same server without encryption.
DEFAULT_URL = "https://download.alleninstitute.org/informatics-archive/current-release/mouse_ccf"
URL_VARIABLE = "NAPARI_STRIA_ALLEN_DOWNLOADS"
VERSIONS = ("ccf_2015", "ccf_2016", "ccf_2017", "ccf_2022")
RESOLUTIONS_UM = (10, 25, 50, 100)


def downloads_url(preferred: str = "") -> str:
    """Return where Allen's files are: as the environment says, else as preferred, else Allen's.

    The environment variable is ``NAPARI_STRIA_ALLEN_DOWNLOADS``.
    """
    return os.environ.get(URL_VARIABLE) or preferred or DEFAULT_URL


@dataclass(frozen=True)
class AnnotationFile:
    """One of Allen's annotation volumes.

    Attributes
    ----------
    resolution_um : float
    version : str
    base_url : str

    Raises
    ------
    CoordinateError
        If there is no such resolution.
    UnsupportedSourceError
        If there is no such version, or the address is none.
    """

    resolution_um: float
    version: str
    base_url: str

    def __post_init__(self) -> None:
        if self.resolution_um not in RESOLUTIONS_UM:
            known = ", ".join(map(str, RESOLUTIONS_UM))
            raise CoordinateError(
                f"Allen's annotation comes at {known} um, not at {self.resolution_um!r}."
            )
        if self.version not in VERSIONS:
            raise UnsupportedSourceError(
                f"there is no annotation {self.version!r}; use {', '.join(VERSIONS)}."
            )
        address = checked_url(self.base_url, "the address of Allen's downloads")
        object.__setattr__(self, "base_url", address)

    @property
    def name(self) -> str:
        """Of the file."""
        return f"annotation_{self.resolution_um:g}.nrrd"

    @property
    def key(self) -> str:
        """Where it is, below the base."""
        return f"annotation/{self.version}/{self.name}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.base_url}/{self.key}"
