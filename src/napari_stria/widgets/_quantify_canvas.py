"""The bar chart on screen: drawn in another thread, painted and clicked here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import (
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QShowEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_stria.errors import plain_text
from napari_stria.session.quantify_values import ChartData
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_picture import BarLook, BarPicture, draw_picture, least_height
from napari_stria.widgets._quantify_text import exact_text, tick_text
from napari_stria.widgets._tasks import QtTasks

_THEME = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
_WAIT_TEXT = "Getting the chart ready…"


class BarCanvas(QWidget):
    """Bars of regions, the largest on top, in the colours of the theme.

    matplotlib takes a second to load and a tenth of a second to draw, longer than a window may
    stand still: it works in another thread, and what it drew last is shown meanwhile.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    picture : BarPicture or None
        What is seen; None until the first one is drawn.
    picked : Signal(object)
        The bar of a region was clicked, by its id.
    failed : Signal(str)
        Why it could not be drawn, as a sentence.
    """

    picked = Signal(object)
    failed = Signal(str)
    _data: ChartData | None = None  # events arrive while the widget is made

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture: BarPicture | None = None
        self._image = QImage()
        self._chosen: frozenset[int] = frozenset()
        self._is_drawing, self._is_due = False, False
        self._tasks = QtTasks(self)
        self._links = SessionLinks(self)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Bar chart of the regions with the largest numbers")

    # -- what is shown ---------------------------------------------------------------------------

    def show_bars(self, data: ChartData, chosen: Iterable[int]) -> None:
        """Show numbers, as soon as they are drawn; the names of chosen regions are bold."""
        self._data, self._chosen = data, frozenset(chosen)
        self.setMinimumHeight(least_height(data))
        pairs = zip(data.names, data.total, strict=True)
        self.setAccessibleDescription(", ".join(f"{n} {tick_text(float(v))}" for n, v in pairs))
        self._draw()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Ask for little width."""
        return QSize(120, self.minimumHeight())

    def _look(self) -> BarLook:
        palette = self.palette()
        return BarLook(
            width=max(1, self.width()),
            height=max(1, self.height(), self.minimumHeight()),
            ratio=self.devicePixelRatioF(),
            text=palette.color(QPalette.ColorRole.WindowText).name(),
            back=palette.color(QPalette.ColorRole.Window).name(),
            chosen=self._chosen,
        )

    def _draw(self) -> None:
        """Draw what is to be seen now, unless it is seen or on its way."""
        data = self._data
        if data is None or not self.isVisible():
            return
        if self._is_drawing:
            self._is_due = True
            return
        look, shown = self._look(), self.picture
        if shown is None or (shown.data, shown.look) != (data, look):
            self._is_drawing = True
            done, failed = (self._links.guarded(m) for m in (self._on_drawn, self._on_failed))
            self._tasks.run(partial(draw_picture, data, look), done, failed)

    def _on_drawn(self, picture: BarPicture) -> None:
        self.picture = picture
        height, width = picture.rgba.shape[:2]
        pixels = picture.rgba.tobytes()
        kind = QImage.Format.Format_RGBA8888
        self._image = QImage(pixels, width, height, 4 * width, kind).copy()
        self._image.setDevicePixelRatio(picture.look.ratio)
        self.update()
        self._next()

    def _on_failed(self, error: Exception) -> None:
        self.failed.emit(f"The chart cannot be drawn: {plain_text(error)}")
        self._next()

    def _next(self) -> None:
        self._is_drawing, due = False, self._is_due
        self._is_due = False
        if due:
            self._draw()

    # -- Qt's ------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the picture, or that it is on its way."""
        painter = QPainter(self)
        if self.picture is None:
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), _WAIT_TEXT)
        else:
            painter.drawImage(0, 0, self._image)
        painter.end()
        if self.picture is not None and self.picture.look.ratio != self.devicePixelRatioF():
            self._draw()  # on another screen

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Draw what changed meanwhile."""
        super().showEvent(event)
        self._draw()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in _THEME:
            self._draw()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Draw in another size."""
        super().resizeEvent(event)
        self._draw()

    # -- the mouse -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Pick the bar at this height, also by its name."""
        row = self._row_at(event)
        is_left = event is not None and event.button() == Qt.MouseButton.LeftButton
        if is_left and row is not None and self.picture is not None:
            self.picked.emit(self.picture.data.ids[row])

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Say what the bar under the mouse is."""
        row, picture = self._row_at(event), self.picture
        self.setToolTip("" if row is None or picture is None else bar_tip(picture.data, row))

    def _row_at(self, event: QMouseEvent | None) -> int | None:
        if event is None or self.picture is None:
            return None
        return self.picture.row_at(float(event.pos().y()))


def bar_tip(data: ChartData, row: int) -> str:
    """Return what a bar says: the region and its numbers."""
    lines = [data.names[row], data.full_names[row]]
    for title, values in ((data.title, data.total), ("left", data.left), ("right", data.right)):
        if values is not None:
            lines.append(f"{title}: {exact_text(float(values[row]))} {data.unit}".rstrip())
    return "\n".join(lines)
