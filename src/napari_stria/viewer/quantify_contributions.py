"""What ``napari.yaml`` points to for numbers per region: the dock and its practice cells."""

from __future__ import annotations

import napari
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.session.group_session import PARCELLATION_TITLE
from napari_stria.viewer.contributions import open_practice_brain
from napari_stria.viewer.controller import controller_of
from napari_stria.viewer.docks import show_dock
from napari_stria.viewer.practice import PRACTICE_ATLAS
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets.quantify_panel import QuantifyPanel

_CELLS_NAME = "practice cells"
_CELL_VOXELS = 1.5
_PRACTICE_UM = 50.0


class QuantifyDock(QWidget):
    """The *Quantify* dock: numbers per region from whatever lies in the atlas.

    Closing it gives the regions their own colours again; the numbers stay for when it is opened
    again.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._controller = controller = controller_of(napari_viewer)
        self.control = control = controller.quantify
        self.panel = panel = QuantifyPanel(control.session)
        self.practice = QPushButton("&Try the practice cells", self)
        self.practice.setToolTip("Open a small atlas with cells to count; needs no network")
        self.practice.clicked.connect(self._open_practice)
        self._links = SessionLinks(self)
        self._links.connect(controller.session.opened, self._offer_practice)
        self._links.connect(controller.session.closed, self._offer_practice)
        self._links.connect(controller.session.opening_changed, self._offer_practice)
        self._links.connect(controller.session.ontology_changed, self._on_ontology)
        self._links.connect(controller.groups.session.changed, self._offer_groups)
        panel.go_to.connect(controller.go_to)
        self._offer_practice()
        self._offer_groups()
        control.refresh_sources()
        # Without this napari pushes a dock's content to its top.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)
        layout.addWidget(self.practice)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """End the colouring when the dock is closed: napari takes its content out then."""
        super().changeEvent(event)
        is_moved = event is not None and event.type() == QEvent.Type.ParentChange
        if is_moved and self.parent() is None:
            self.control.dock_closed()

    def _offer_practice(self, _news: object = None) -> None:
        session = self._controller.session
        self.practice.setVisible(session.atlas is None and session.opening is None)

    def _offer_groups(self) -> None:
        parcellation = self._controller.groups.session.parcellation()
        offered = [] if parcellation is None else [(PARCELLATION_TITLE, parcellation)]
        self.panel.set_groups(offered)

    def _on_ontology(self, _ontology: object) -> None:
        self.panel.refresh()

    def _open_practice(self) -> None:
        open_practice_cells(self._controller.viewer)


def open_practice_cells(viewer: napari.Viewer) -> None:
    """Open the practice brain and a layer of cells to count in it, with the dock."""
    # Loaded on use: few need it.
    from napari_stria.demo.practice_cells import practice_cells

    viewer = getattr(viewer, "__wrapped__", viewer)
    session = controller_of(viewer).session

    def add(_atlas: Atlas | None = None) -> None:
        """Add the cells when their atlas is there."""
        if session.atlas is None or session.atlas.name != PRACTICE_ATLAS:
            return
        session.opened.disconnect(add, missing_ok=True)
        if _CELLS_NAME not in viewer.layers:
            # In voxels, as detections are: napari shows the points of one voxel's plane at a time.
            viewer.add_points(
                practice_cells() / _PRACTICE_UM - 0.5,
                scale=(_PRACTICE_UM,) * 3,
                translate=(_PRACTICE_UM / 2,) * 3,
                units=("um",) * 3,
                name=_CELLS_NAME,
                size=_CELL_VOXELS,
                border_width=0,
                face_color="white",
            )

    session.opened.connect(add)
    if session.atlas is None or session.atlas.name != PRACTICE_ATLAS:
        open_practice_brain(viewer)
    show_dock(viewer, "Quantify")
    add()
