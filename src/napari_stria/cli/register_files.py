"""The files that ``register`` writes: all of them or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_stria.errors import OutputError


class RegisterFiles:
    """What a registration writes into a folder, named after its image."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.registration = folder / f"{stem}.stria-registration.json"
        self.chain = folder / f"{stem}_chain.json"
        self.fields = folder / f"{stem}_chain.fields.zarr"
        self.warped = folder / f"{stem}_warped.tif"
        self._folder = folder

    @property
    def all(self) -> tuple[Path, ...]:
        """The places of all files."""
        return self.registration, self.chain, self.fields, self.warped

    def check(self, *, overwrite: bool) -> None:
        """Refuse places that cannot or must not be written."""
        from napari_stria.io.free_places import check_free

        there = next(p for p in (self._folder, *self._folder.absolute().parents) if p.exists())
        if not there.is_dir():
            raise OutputError(f"{there} is a file, no folder; choose another --out.")
        for path in self.all if self._folder.is_dir() else ():
            check_free(path, overwrite=overwrite)

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Remove what a block wrote that did not come to its end."""
        self._folder.mkdir(parents=True, exist_ok=True)
        before = self._there()
        try:
            yield
        except BaseException:
            for path in self._there() - before:
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise

    def _there(self) -> set[Path]:
        from napari_stria.io.registration_places import field_start

        bent = field_start(self.registration)
        return {p for p in self._folder.iterdir() if p in self.all or p.name.startswith(bent)}
