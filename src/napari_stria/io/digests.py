"""Whether bytes have the digest that was promised."""

from __future__ import annotations

import hashlib
from pathlib import Path

from napari_stria.errors import AtlasNotFoundError, CorruptDataError


def check_digest(raw: bytes, digest: str | None, where: str) -> None:
    """Refuse bytes whose SHA-256 is another one; None takes any.

    Raises
    ------
    CorruptDataError
        If the digest differs.
    """
    if digest is not None and hashlib.sha256(raw).hexdigest() != digest.lower():
        raise CorruptDataError(
            f"{where} has the sha256 {hashlib.sha256(raw).hexdigest()}, not the one that was given."
        )


def check_file_digest(path: Path, digest: str | None) -> None:
    """Refuse a file whose SHA-256 is another one; None takes any and reads nothing.

    Raises
    ------
    AtlasNotFoundError
        If there is no such file.
    CorruptDataError
        If the digest differs.
    """
    if digest is None:
        return
    if not path.is_file():
        raise AtlasNotFoundError(f"{path} is not a file; check the path.")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest.lower():
        raise CorruptDataError(f"{path} has the sha256 {found}, not the one that was given.")
