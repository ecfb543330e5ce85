"""A quiet line that says that an atlas is shown without its server."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QWidget

from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.offline_source import is_offline
from napari_stria.widgets._links import SessionLinks

NOTE = "offline: showing what was kept"


class OfflineNote(QLabel):
    """Is seen only while a session's atlas is shown without its server.

    Parameters
    ----------
    session : AtlasSession
        Whose atlas it is about.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, session: AtlasSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setToolTip("The server could not be reached; parts that were not seen are missing.")
        self.setContentsMargins(6, 2, 6, 0)
        self._links = SessionLinks(self)
        for signal in (session.opened, session.closed, session.chunks_changed, session.message):
            self._links.connect(signal, self._update)
        self._update()

    def _update(self, *_news: object) -> None:
        atlas = self._session.atlas
        offline = atlas is not None and is_offline(atlas)
        self.setText(NOTE if offline else "")
        self.setVisible(offline)
