"""Which sections a registration has: opening them, going through them, their pixel size."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.registration_state import SectionEntry
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._number_row import NumberField
from napari_stria.widgets._qt import Signal

_NO_LAYERS = "No image layer in this viewer"


class SectionsPart(QWidget):
    """Buttons that open, a list of sections, and the current one's pixel size.

    It keeps nothing: it is told what to show, and tells what the user wants.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    image_asked, series_asked, file_asked, images_asked : Signal
        A section image, a series, a registration, or the folder of missing images is wanted.
    layer_asked : Signal(str)
        The image layer of this name is wanted as a section.
    allen_asked : Signal
        The section that the Sections dock shows is wanted.
    save_asked : Signal(bool)
        The registration is to be saved; True for a file that is asked for.
    section_asked : Signal(int)
        The section at this place is wanted.
    remove_asked : Signal(int)
        The section at this place is to go.
    size_edited : Signal(float, float)
        The pixel size along x and y in um.
    opacity_edited : Signal(float)
        How opaque the section is, 0 to 1.
    """

    image_asked = Signal()
    series_asked = Signal()
    file_asked = Signal()
    images_asked = Signal()
    layer_asked = Signal(str)
    allen_asked = Signal()
    save_asked = Signal(bool)
    section_asked = Signal(int)
    remove_asked = Signal(int)
    size_edited = Signal(float, float)
    opacity_edited = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._allen = ""
        self._size = (0.0, 0.0)  # of a pixel, exactly
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._build_files())
        layout.addLayout(self._build_steps())
        layout.addWidget(self.find_images)
        layout.addLayout(self._build_size())
        layout.addLayout(self._build_opacity())
        self._connect()
        self.set_layers(())
        self.set_sections((), -1)

    # -- building -------------------------------------------------------------------------------

    def _build_files(self) -> QGridLayout:
        self.open_image = QPushButton("Open &section…", self)
        self.open_image.setToolTip("Add a TIFF, OME-TIFF, PNG or JPEG of a section")
        self.use_layer = QPushButton("Use la&yer", self)
        self.use_layer.setToolTip(
            "Take an image layer of this viewer, or the Allen section it shows"
        )
        self.layers = QMenu(self.use_layer)
        self.use_layer.setMenu(self.layers)
        self.open_series = QPushButton("Open s&eries…", self)
        self.open_series.setToolTip("QuickNII, VisuAlign or DeepSlice: JSON or CSV")
        self.open_file = QPushButton("Open &registration…", self)
        self.open_file.setToolTip("Go on with a registration that was saved")
        self.save = QPushButton("Sa&ve", self)
        self.save.setToolTip("Write the registration to its file")
        self.save_as = QPushButton("Save &as…", self)
        self.save_as.setToolTip("Write the registration to another file")
        grid = QGridLayout()
        grid.setSpacing(4)
        for at, button in enumerate((self.open_image, self.use_layer, self.open_series)):
            grid.addWidget(button, 0, 2 * at, 1, 2)
        for at, button in enumerate((self.open_file, self.save, self.save_as)):
            grid.addWidget(button, 1, 2 * at, 1, 2)
        return grid

    def _build_steps(self) -> QHBoxLayout:
        self.previous, self.next = QPushButton("◂", self), QPushButton("▸", self)
        for button, word in ((self.previous, "previous"), (self.next, "next")):
            button.setToolTip(f"Go to the {word} section")
            button.setAccessibleName(f"Go to the {word} section")
            button.setMaximumWidth(32)
        self.names = Choice("Section to go to", parent=self)
        self.names.setToolTip("Go to a section; those that follow their neighbours are marked")
        self.place = QLabel(self)
        self.remove = QPushButton("Remove", self)
        self.remove.setToolTip("Take this section out of the registration; its file stays")
        self.find_images = QPushButton("Find missing &images…", self)
        self.find_images.setToolTip("Name the folder in which the missing images are now")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.previous)
        row.addWidget(self.names, 1)
        row.addWidget(self.place)
        row.addWidget(self.next)
        row.addWidget(self.remove)
        return row

    def _build_size(self) -> QHBoxLayout:
        label = QLabel("Pi&xel, µm", self)
        self.size_x, self.size_y = NumberField(self), NumberField(self)
        for field, axis in ((self.size_x, "x"), (self.size_y, "y")):
            field.setKeyboardTracking(False)
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            field.setDecimals(4)
            # Nobody steps through pixel sizes, and all digits are to be seen.
            field.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
            field.setRange(0.0, 10_000.0)
            field.setSpecialValueText("?")
            field.setAccessibleName(f"Pixel size along {axis}")
            field.setToolTip(f"µm that one pixel covers along {axis}; ? if unknown")
            field.setMinimumWidth(112)
        label.setBuddy(self.size_x)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(label)
        for field, axis in ((self.size_x, "x"), (self.size_y, "y")):
            row.addSpacing(4)
            row.addWidget(QLabel(axis, self))
            row.addWidget(field, 1)
        return row

    def _build_opacity(self) -> QHBoxLayout:
        self.opacity = QSlider(Qt.Orientation.Horizontal, self)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(100)
        self.opacity.setMinimumWidth(48)
        self.opacity.setAccessibleName("Opacity of the section")
        self.opacity.setToolTip("See the atlas through the section")
        label = QLabel("&Opacity", self)
        label.setBuddy(self.opacity)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(label)
        row.addWidget(self.opacity, 1)
        return row

    def _connect(self) -> None:
        for button, signal in (
            (self.open_image, self.image_asked),
            (self.open_series, self.series_asked),
            (self.open_file, self.file_asked),
            (self.find_images, self.images_asked),
        ):
            button.clicked.connect(lambda _checked=False, signal=signal: signal.emit())
        self.save.clicked.connect(lambda: self.save_asked.emit(False))
        self.save_as.clicked.connect(lambda: self.save_asked.emit(True))
        self.previous.clicked.connect(lambda: self._step(-1))
        self.next.clicked.connect(lambda: self._step(1))
        self.names.activated.connect(self.section_asked)
        self.remove.clicked.connect(lambda: self.remove_asked.emit(self.names.currentIndex()))
        self.size_x.valueChanged.connect(self._sized)
        self.size_y.valueChanged.connect(self._sized)
        self.opacity.valueChanged.connect(lambda value: self.opacity_edited.emit(value / 100))

    # -- what is shown --------------------------------------------------------------------------

    def set_layers(self, names: Sequence[str]) -> None:
        """Offer image layers of the viewer as sections."""
        self._names = tuple(names)
        self._fill_layers()

    def set_allen(self, name: str) -> None:
        """Offer the section that the Sections dock shows; empty for none."""
        self._allen = name
        self._fill_layers()

    def _fill_layers(self) -> None:
        self.layers.clear()
        if self._allen:
            action = self.layers.addAction(f"{self._allen} (shown in Sections)")
            assert action is not None
            action.triggered.connect(lambda _on=False: self.allen_asked.emit())
        for name in self._names:
            action = self.layers.addAction(name.replace("&", "&&"))
            assert action is not None
            action.triggered.connect(lambda _on=False, name=name: self.layer_asked.emit(name))
        if not self._names and not self._allen:
            nothing = self.layers.addAction(_NO_LAYERS)
            assert nothing is not None
            nothing.setEnabled(False)

    def set_sections(
        self, entries: Sequence[SectionEntry], index: int, marks: Sequence[str] = ()
    ) -> None:
        """Show which sections there are, and which is the current one (-1 for none)."""
        texts = [entry.name for entry in entries]
        for at, mark in enumerate(marks):
            texts[at] += f" {mark}" if mark else ""
        if texts != [self.names.itemText(at) for at in range(self.names.count())]:
            self.names.offer(list(enumerate(texts)))
        with quiet(self.names):
            self.names.setCurrentIndex(index)
        count = len(entries)
        self.place.setText(f"{index + 1} of {count}" if index >= 0 else "")
        self.previous.setEnabled(index > 0)
        self.next.setEnabled(0 <= index < count - 1)
        for part in (self.previous, self.names, self.place, self.next, self.remove):
            part.setVisible(count > 0)
        self.find_images.setVisible(any(entry.is_missing for entry in entries))
        self._set_size(entries[index] if 0 <= index < count else None)

    def _set_size(self, entry: SectionEntry | None) -> None:
        x, y = (0.0, 0.0) if entry is None else entry.pixel_size_um or (0.0, 0.0)
        self._size = x, y
        for field, value in ((self.size_x, x), (self.size_y, y)):
            if round(value, field.decimals()) != field.value():
                field.show_number(value)
            field.setEnabled(entry is not None)
        self.opacity.setEnabled(entry is not None)

    def set_file(self, *, has_sections: bool, has_path: bool, is_saved: bool) -> None:
        """Show whether there is something to save."""
        self.save.setEnabled(has_sections and not (has_path and is_saved))
        self.save_as.setEnabled(has_sections)

    def set_opacity(self, opacity: float) -> None:
        """Show how opaque the section is. Emits nothing."""
        with quiet(self.opacity):
            self.opacity.setValue(round(100 * opacity))

    # -- what the user does ---------------------------------------------------------------------

    def _step(self, step: int) -> None:
        self.section_asked.emit(self.names.currentIndex() + step)

    def _sized(self) -> None:
        # What is shown is rounded: only a number that was edited becomes what is shown.
        x, y = (
            exact if round(exact, field.decimals()) == field.value() else float(field.value())
            for exact, field in zip(self._size, (self.size_x, self.size_y), strict=True)
        )
        # Pixels are square unless somebody says otherwise: the first number is both.
        if x > 0 or y > 0:
            self.size_edited.emit(x or y, y or x)
