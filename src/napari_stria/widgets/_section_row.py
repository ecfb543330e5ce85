"""Going from section to section, and hiding bad ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_stria.core.section import Section
from napari_stria.session.section_session import SectionSession
from napari_stria.widgets._qt import Signal


class SectionRow(QWidget):
    """Shows which section is current, and asks for another one.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    current : Section or None
    step_requested : Signal
        -1 or +1: the neighbour along the atlas's axis is wanted.
    section_requested : Signal
        A section was picked.
    hide_requested : Signal
        Image id, and whether it shall be hidden.
    show_all_requested : Signal
        No section shall be hidden.
    show_in_3d, show_original : Signal
        The current section is wanted so.
    register_asked : Signal
        The current section is to be registered.
    """

    step_requested = Signal(int)
    section_requested = Signal(object)
    hide_requested = Signal(int, bool)
    show_all_requested = Signal()
    show_in_3d = Signal(object)
    show_original = Signal(object)
    register_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.current: Section | None = None
        self._given: Section | None = None  # may come before the sections do
        self._sections: tuple[Section, ...] = ()
        self._hidden: Collection[int] = frozenset()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._build_steps())
        layout.addLayout(self._build_number())
        layout.addLayout(self._build_buttons())
        self._connect()
        self.set_current(None)

    # -- building --------------------------------------------------------------------------------

    def _build_steps(self) -> QHBoxLayout:
        self.previous, self.next = QPushButton("Previo&us", self), QPushButton("Ne&xt", self)
        self.previous.setToolTip("Go to the section before, along the atlas's axis")
        self.next.setToolTip("Go to the section after, along the atlas's axis")
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setPageStep(5)
        self.slider.setMinimumWidth(60)
        self.slider.setToolTip("Go through the sections in the order of the atlas's axis")
        self.slider.setAccessibleName("Place of the section among all")
        row = QHBoxLayout()
        row.addWidget(self.previous)
        row.addWidget(self.slider, 1)
        row.addWidget(self.next)
        return row

    def _build_number(self) -> QHBoxLayout:
        self.number = QComboBox(self)
        self.number.setAccessibleName("Section number to go to")
        self.number.setToolTip("Go to the section of this number; type it to find it in the list")
        self.number.setMinimumContentsLength(10)
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.number.setSizeAdjustPolicy(policy)
        label = QLabel("Go &to section", self)
        label.setBuddy(self.number)
        self.place = QLabel(self)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.number, 1)
        row.addWidget(self.place)
        return row

    def _build_buttons(self) -> QGridLayout:
        self.hide_it = QCheckBox("Hide this s&ection", self)
        self.hide_it.setToolTip("Leave a damaged section out of the stack")
        self.show_all = QPushButton("Show &all", self)
        self.show_all.setToolTip("Show the hidden sections again")
        self.in_3d = QPushButton("Show in &3D", self)
        self.in_3d.setToolTip("Show this section's picture on its plane in 3D")
        self.original = QPushButton("Ori&ginal image", self)
        self.original.setToolTip("Show this section as it was scanned, not aligned")
        self.register = QPushButton("Register t&his section", self)
        self.register.setToolTip("Correct where this section lies, in the Registration dock")
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.addWidget(self.hide_it, 0, 0)
        grid.addWidget(self.show_all, 0, 1)
        grid.addWidget(self.in_3d, 1, 0)
        grid.addWidget(self.original, 1, 1)
        grid.addWidget(self.register, 2, 0, 1, 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _connect(self) -> None:
        self.previous.clicked.connect(lambda: self.step_requested.emit(-1))
        self.next.clicked.connect(lambda: self.step_requested.emit(1))
        self.slider.valueChanged.connect(self._pick)
        self.number.activated.connect(self._pick)
        self.hide_it.clicked.connect(self._hide)
        self.show_all.clicked.connect(lambda: self.show_all_requested.emit())
        self.in_3d.clicked.connect(lambda: self.show_in_3d.emit(self.current))
        self.original.clicked.connect(lambda: self.show_original.emit(self.current))
        self.register.clicked.connect(lambda: self.register_asked.emit(self.current))

    # -- what is shown ----------------------------------------------------------------------------

    def set_sections(self, sections: Sequence[Section]) -> None:
        """Offer these sections, in the order of the atlas's axis."""
        self._sections = tuple(sections)
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setRange(0, max(0, len(sections) - 1))
            self.number.clear()
            self.number.addItems([str(s.section_number) for s in sections])
        self.set_hidden(self._hidden)

    def set_hidden(self, image_ids: Collection[int]) -> None:
        """Say which sections are hidden."""
        self._hidden = image_ids
        with QSignalBlocker(self.number):
            for i, section in enumerate(self._sections):
                mark = " (hidden)" if section.image_id in image_ids else ""
                self.number.setItemText(i, f"{section.section_number}{mark}")
        count = len(image_ids)
        self.show_all.setText(f"Show &all ({count})" if count else "Show &all")
        self.show_all.setEnabled(count > 0)
        self.set_current(self._given)

    def set_current(self, section: Section | None) -> None:
        """Show which section is current, telling nobody; None for none."""
        self._given = section
        ids = [s.image_id for s in self._sections]
        at = ids.index(section.image_id) if section is not None and section.image_id in ids else -1
        self.current = None if at < 0 else section
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.number.setCurrentIndex(at)
            self.slider.setValue(max(at, 0))
        self.place.setText("" if at < 0 else f"{at + 1} of {len(ids)}")
        self.hide_it.setChecked(at >= 0 and ids[at] in self._hidden)
        self.previous.setEnabled(at > 0)
        self.next.setEnabled(0 <= at < len(ids) - 1)
        for part in (self.hide_it, self.in_3d, self.original, self.register):
            part.setEnabled(at >= 0)

    # -- what the user does ------------------------------------------------------------------------

    def _pick(self, at: int) -> None:
        if 0 <= at < len(self._sections):
            self.section_requested.emit(self._sections[at])

    def _hide(self, hidden: bool) -> None:
        if self.current is not None:
            self.hide_requested.emit(self.current.image_id, hidden)


def in_order(session: SectionSession) -> tuple[Section, ...]:
    """Return a session's sections so that the next one is its `neighbor` of step 1."""
    places = session.places
    if places is None:
        return ()
    sections = places.stack.sections
    forward = not sections or places.neighbor(sections[0], -1) is None
    return sections if forward else sections[::-1]
