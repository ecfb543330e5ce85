from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_stria.core.section import SkippedSection
from napari_stria.widgets.section_loader import SectionPanel

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Key = Qt.Key
Bench = Any  # see conftest


def press(button: QWidget) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def tick(box: QWidget) -> None:
    """Toggle a check box by the keyboard: its text is wider than what can be clicked."""
    assert box.isEnabled()
    gui.keyClick(box, Key.Key_Space)


def type_in(panel: SectionPanel, text: str, key: Any = Key.Key_Return) -> None:
    panel.chooser.text.clear()
    gui.keyClicks(panel.chooser.text, text)
    if key is not None:
        gui.keyClick(panel.chooser.text, key)


def loaded(bench: Bench, number: int = 71, **more: Any) -> SectionPanel:
    panel: SectionPanel = bench.panel(**more)
    type_in(panel, str(number))
    assert bench.session.dataset is bench.api.datasets[number]
    panel.set_current(bench.session.stack.sections[2])
    bench.told.clear()
    return panel


def test_the_title_and_the_notes(
    sections_bench: Bench, make_dataset: Callable[..., Any], qtbot: QtBot
) -> None:
    skipped = (SkippedSection(7, 105, "it is not aligned"), SkippedSection(8, None, "torn"))
    sections_bench.api.datasets[71] = make_dataset(71, count=58, skipped=skipped, failed=True)
    panel = loaded(sections_bench)
    assert panel.header.title.text() == "Gad1 · coronal · 58 sections, 200 µm apart"
    assert "rejected" in panel.header.notes.text()
    assert "approximate, up to hundreds of µm" in panel.header.notes.text()
    assert panel.header.skipped.text() == "2 sections left out"
    assert not panel.header.reasons.isVisible()
    press(panel.header.skipped)
    assert panel.header.reasons.isVisible()
    assert panel.header.reasons.text() == "section 105: it is not aligned\nsection ?: torn"


@pytest.mark.parametrize(("number", "forward"), [(71, True), (479, False)])
def test_steps_follow_the_atlas(sections_bench: Bench, number: int, forward: bool) -> None:
    panel, session, told = (
        loaded(sections_bench, number),
        sections_bench.session,
        sections_bench.told,
    )
    stack = session.stack.sections if forward else session.stack.sections[::-1]
    assert panel.sections.current is stack[2]
    assert panel.sections.place.text() == "3 of 5"
    press(panel.sections.next)
    press(panel.sections.next)
    assert not panel.sections.next.isEnabled()
    press(panel.sections.previous)
    assert told == [("go_to", stack[3]), ("go_to", stack[4]), ("go_to", stack[3])]
    panel.set_current(stack[0])
    assert not panel.sections.previous.isEnabled()
    gui.keyClick(panel.sections.slider, Key.Key_Right)
    assert told[-1] == ("go_to", stack[1])
    assert panel.sections.number.currentText() == str(stack[1].section_number)


def test_a_section_is_picked_by_its_number(sections_bench: Bench) -> None:
    panel = loaded(sections_bench)
    gui.keyClicks(panel.sections.number, "40")
    assert [(n, s.section_number) for n, s in sections_bench.told] == [("go_to", 40)]
    assert panel.sections.slider.value() == 4


def test_the_viewer_moves_the_row_and_nothing_is_told(sections_bench: Bench) -> None:
    panel = loaded(sections_bench)
    panel.set_current(sections_bench.session.stack.sections[4])
    assert panel.sections.place.text() == "5 of 5"
    panel.set_current(None)
    assert panel.sections.number.currentIndex() == -1
    for part in (panel.sections.next, panel.sections.hide_it, panel.sections.in_3d):
        assert not part.isEnabled()
    panel.set_opacity(0.4)
    panel.set_blending("additive")
    panel.set_outlines(True)
    assert panel.display.percent.text() == "40 %"
    assert panel.display.blending.currentText() == "additive"
    assert panel.display.outlines.isChecked()
    assert sections_bench.told == []


def test_bad_sections_are_hidden_and_shown(sections_bench: Bench) -> None:
    panel, session = loaded(sections_bench), sections_bench.session
    assert not panel.sections.show_all.isEnabled()
    tick(panel.sections.hide_it)
    assert session.hidden == {1002}
    assert panel.sections.number.currentText() == "24 (hidden)"
    panel.set_current(session.stack.sections[1])
    assert not panel.sections.hide_it.isChecked()
    panel.set_current(session.stack.sections[2])
    assert panel.sections.hide_it.isChecked()
    assert panel.sections.show_all.text() == "Show &all (1)"
    press(panel.sections.show_all)
    assert session.hidden == frozenset()
    assert not panel.sections.hide_it.isChecked()


def test_what_the_viewer_is_told(sections_bench: Bench) -> None:
    panel, told = loaded(sections_bench), sections_bench.told
    press(panel.sections.in_3d)
    press(panel.sections.original)
    tick(panel.display.outlines)
    gui.keyClick(panel.display.opacity, Key.Key_Left)
    gui.keyClick(panel.display.blending, Key.Key_Down)
    section = panel.sections.current
    assert told == [
        ("show_in_3d", section),
        ("show_original", section),
        ("outlines_toggled", True),
        ("opacity_changed", 0.99),
        ("blending_changed", "additive"),
    ]
