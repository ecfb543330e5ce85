"""Where a registration is kept, and what was not saved."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from napari_stria.errors import StriaError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.registration_files import RegistrationDocument
from napari_stria.io.registration_places import SUFFIX
from napari_stria.session.registration_filing import RegistrationFiling
from napari_stria.session.registration_opening import found_images, open_document
from napari_stria.session.registration_slots import (
    Unsaved,
    discard_unsaved,
    unsaved_registrations,
)
from napari_stria.session.tasks import Tasks

Paths = str | PathLike[str]


class RegistrationSaving(RegistrationFiling):
    """Says where each change is written, and brings back what was not saved.

    Parameters
    ----------
    tasks, autosave, api
        See `RegistrationFiling`.

    Attributes
    ----------
    recoverable : tuple of Unsaved
        Registrations that were not saved when their program ended; see `look_for_unsaved`.
    """

    def __init__(self, tasks: Tasks, autosave: Path | None, api: AllenApi | None) -> None:
        super().__init__(tasks, autosave, api)
        self.recoverable: tuple[Unsaved, ...] = ()

    @property
    def path(self) -> Path | None:
        """The file of this registration; None until it was saved."""
        return self._keeping.path

    @property
    def is_saved(self) -> bool:
        """Whether the user's file holds all that was done."""
        return self._keeping.is_saved

    @property
    def suggested_path(self) -> Path | None:
        """Where to save it: beside the first image that is a file."""
        first = next((entry.path for entry in self.sections if entry.path is not None), None)
        return self.path or (None if first is None else first.with_name(first.stem + SUFFIX))

    @property
    def is_conflict(self) -> bool:
        """Whether another program wrote the file, which is left as it is since."""
        return self._keeping.is_conflict

    def save(self) -> None:
        """Write the registration to its file now, unless another program changed that."""
        self._keeping.save()

    def save_as(self, path: Paths) -> None:
        """Keep the registration in a file from now on; each change is written there.

        What is there is replaced, also what another program wrote.
        """
        self._keeping.save_as(Path(path).expanduser().absolute())
        self.changed.emit()

    def relocate(self, folder: Paths) -> None:
        """Look for missing images in another folder, by their names."""
        place, entries = Path(folder).expanduser().absolute(), self.sections
        self._open(
            "Looking for images",
            lambda _: found_images(entries, place),
            self._take_images,
        )

    def _take_images(self, looked: tuple[dict[int, Path], str]) -> None:
        found, message = looked
        if not found and not message:
            message = "None of the missing images is in this folder; choose another one."
        if message:
            self.failed.emit(message)
        if not found:
            return
        records = [
            r.with_entry(path=found[n], is_missing=False) if n in found else r
            for n, r in enumerate(self._board.records)
        ]
        self._do(lambda: self._board.revise_all(records))

    def look_for_unsaved(self) -> None:
        """Look in the background for registrations that were not saved; see `recoverable`."""

        def found(unsaved: tuple[Unsaved, ...]) -> None:
            self.recoverable = unsaved
            self.changed.emit()

        self._tasks.run(unsaved_registrations, found, self._fail)

    def recover(self, unsaved: Unsaved) -> None:
        """Open a registration that was not saved; it has no place until it is saved."""

        def opened(document: RegistrationDocument) -> None:
            try:
                self._keeping.adopt(unsaved.path)
            except StriaError as error:
                self._fail(error)
                return
            self.recoverable = tuple(u for u in self.recoverable if u != unsaved)
            self._show_document(document)

        self._open(f"Opening {unsaved.name}", lambda _: open_document(unsaved.path), opened)

    def discard(self, unsaved: Unsaved) -> None:
        """Forget a registration that was not saved, unless another window works on it."""
        try:
            discard_unsaved(unsaved.path)
        except StriaError as error:
            self._fail(error)
        self.recoverable = tuple(u for u in self.recoverable if u != unsaved)
        self.changed.emit()
