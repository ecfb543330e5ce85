"""Asking for files of a registration: images, series, registrations, and where to save."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_stria.io.registration_places import SUFFIX
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.widgets._qt import Signal

IMAGES = (
    "Section images (*.tif *.tiff *.btf *.svs *.ndpi *.scn *.qptiff *.png *.jpg *.jpeg *.bmp);;"
    "All files (*)"
)
SERIES = "Series (*.json *.csv);;All files (*)"
_Answer = Literal["save", "replace", "elsewhere", "cancel"]
REGISTRATIONS = f"Registrations (*{SUFFIX});;All files (*)"


class FileWishes(QObject):
    """Asks the user for places and passes them on to a session.

    Parameters
    ----------
    session : RegistrationSession
        What opens and writes.
    parent : QWidget
        Owner of the dialogs.

    Attributes
    ----------
    begun : Signal
        Something is being opened or written: what failed before is over.
    """

    begun = Signal()

    def __init__(self, session: RegistrationSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._widget = session, parent
        self._to_open: list[Path] = []  # images that were chosen together

    # -- opening --------------------------------------------------------------------------------

    def open_images(self) -> None:
        """Ask for images and open them one after another."""
        paths, _ = QFileDialog.getOpenFileNames(self._widget, "Open section", "", IMAGES)
        if paths:
            self.begun.emit()
            self._to_open = [Path(path) for path in paths]
            self.open_next()

    def open_next(self) -> None:
        """Open the next of several images: the session opens one at a time."""
        if self._to_open and not self._session.busy:
            self._session.open_image(self._to_open.pop(0))

    def cancel(self) -> None:
        """End what is being opened or computed, and open no more."""
        self._to_open.clear()
        self._session.cancel()

    def open_series(self) -> None:
        """Ask for a series and open it in place of all sections."""
        path, _ = QFileDialog.getOpenFileName(self._widget, "Open series", "", SERIES)
        if path and self._may_replace():
            self.begun.emit()
            self._session.open_series(Path(path))

    def open_file(self) -> None:
        """Ask for a registration and open it in place of all sections."""
        title = "Open registration"
        path, _ = QFileDialog.getOpenFileName(self._widget, title, "", REGISTRATIONS)
        if path and self._may_replace():
            self.begun.emit()
            self._session.open_file(Path(path))

    def recover(self) -> None:
        """Open the newest registration that was not saved."""
        if self._session.recoverable:
            self.begun.emit()
            self._session.recover(self._session.recoverable[0])

    def find_images(self) -> None:
        """Ask for the folder in which missing images are now."""
        folder = QFileDialog.getExistingDirectory(self._widget, "Folder of the missing images")
        if folder:
            self.begun.emit()
            self._session.relocate(Path(folder))

    def _may_replace(self) -> bool:
        """Ask whether sections may go that are in no file."""
        session = self._session
        if not session.sections or session.is_saved:
            return True
        return self._asked(
            "Replace the sections",
            "The sections that are open are not saved in a file of yours. Open the other file in "
            "their place?",
        )

    # -- keeping --------------------------------------------------------------------------------

    def save(self, ask: bool) -> None:
        """Save the registration in its file, or in another one that is asked for."""
        known = self._session.path
        if known is not None and not ask:
            answer = self._asked_on_conflict(known) if self._session.is_conflict else "save"
            if answer in ("save", "replace"):
                self.begun.emit()
                self._session.save() if answer == "save" else self._session.save_as(known)
            if answer != "elsewhere":
                return
        start = str(self._session.suggested_path or f"sections{SUFFIX}")
        title = "Save registration"
        path, _ = QFileDialog.getSaveFileName(self._widget, title, start, REGISTRATIONS)
        if path:
            self.begun.emit()
            self._session.save_as(Path(path if path.endswith(SUFFIX) else path + SUFFIX))

    def remove(self, index: int) -> None:
        """Take a section out if the user means it: that cannot be undone."""
        name = self._session.sections[index].name
        text = (
            f"Take {name} out of the registration? Its place and landmarks are forgotten, which "
            "cannot be undone; its file stays."
        )
        if self._asked("Remove section", text):
            self._session.remove_section(index)

    def _asked_on_conflict(self, known: Path) -> _Answer:
        """Ask what becomes of a file that another program changed."""
        box = QMessageBox(self._widget)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Save registration")
        box.setText(f"{known.name} was changed by another program.")
        box.setInformativeText("Replace it by what is shown here, or save this in another file?")
        replace = box.addButton("&Replace", QMessageBox.ButtonRole.DestructiveRole)
        elsewhere = box.addButton("Save &as...", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(elsewhere)
        box.exec()
        answers: dict[object, _Answer] = {replace: "replace", elsewhere: "elsewhere"}
        answer = answers.get(box.clickedButton(), "cancel")
        box.deleteLater()
        return answer

    def _asked(self, title: str, text: str) -> bool:
        answer = QMessageBox.question(self._widget, title, text)
        return bool(answer == QMessageBox.StandardButton.Yes)
