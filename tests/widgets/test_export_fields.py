"""The fields of the export dialog, by keys."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest

from napari_stria.widgets._export_fields import SizeField

gui: Any = QtTest.QTest  # the stubs miss that its methods are static


@pytest.mark.parametrize("typed", ["1", "10", "5", "25 x 2"])
def test_what_is_typed_is_not_completed_to_a_size_that_is_offered(qtbot: QtBot, typed: str) -> None:
    field = SizeField()
    qtbot.addWidget(field)
    field.addItems(["25 µm", "50 µm", "100 µm", "25 x 20 x 20 µm"])
    field.choose("")
    with qtbot.waitExposed(field):
        field.show()
    # Completion needs an active window, which a screen without a window manager does not give.
    assert field.completer() is None
    line = field.lineEdit()
    assert line is not None
    gui.keyClicks(line, typed)
    assert field.currentText() == typed
