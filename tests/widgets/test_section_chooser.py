from __future__ import annotations

from typing import Any

import pytest
from qtpy import QtTest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_stria.errors import NetworkError
from napari_stria.widgets._dataset_model import ID, SECTIONS
from napari_stria.widgets._section_query import parsed_query
from napari_stria.widgets.section_loader import SectionPanel

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Key = Qt.Key
Bench = Any  # see conftest


def press(button: QWidget) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def type_in(panel: SectionPanel, text: str, key: Any = Key.Key_Return) -> None:
    panel.chooser.text.clear()
    gui.keyClicks(panel.chooser.text, text)
    if key is not None:
        gui.keyClick(panel.chooser.text, key)


def rows(panel: SectionPanel, column: int = ID) -> list[str]:
    order = panel.chooser.results.view.order
    return [order.index(row, column).data() for row in range(order.rowCount())]


@pytest.mark.parametrize("text", ["71", " 71 "])
@pytest.mark.parametrize("button", [False, True])
def test_digits_are_loaded(sections_bench: Bench, text: str, button: bool) -> None:
    panel = sections_bench.panel()
    type_in(panel, text, None if button else Key.Key_Enter)
    if button:
        press(panel.chooser.search)
    assert sections_bench.api.asked == [("connect", "allen"), ("dataset", 71)]
    assert sections_bench.session.dataset.id == 71
    assert panel.shown.isVisible()
    assert not panel.chooser.isVisible()


def test_a_gene_is_searched_and_a_row_loaded(sections_bench: Bench) -> None:
    panel = sections_bench.panel()
    panel.chooser.plane.setCurrentText("coronal")
    type_in(panel, "Gad*")
    assert ("search", "Gad*", "coronal") in sections_bench.api.asked
    assert rows(panel) == ["71", "479", "8"]
    assert rows(panel, SECTIONS) == ["58", "20", "7"]
    assert not panel.stream.load.isEnabled()
    gui.keyClick(panel.chooser.text, Key.Key_Down)
    view = panel.chooser.results.view
    assert panel.focusWidget() is view
    gui.keyClick(view, Key.Key_Down)
    gui.keyClick(view, Key.Key_Return)
    assert sections_bench.session.dataset.id == 479


def test_the_load_button_loads_the_row_or_the_typed_id(sections_bench: Bench) -> None:
    panel = sections_bench.panel()
    assert not panel.stream.load.isEnabled()
    type_in(panel, "Gad1")
    panel.chooser.results.view.enter()
    press(panel.stream.load)
    assert sections_bench.session.dataset.id == 71
    press(panel.header.change)
    type_in(panel, "479", None)  # the row was found for another text
    assert panel.chooser.results.view.dataset() is None
    press(panel.stream.load)
    assert sections_bench.session.dataset.id == 479
    assert not panel.header.change.isChecked()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "Type the id of a dataset"),
        ("   ", "Type the id of a dataset"),
        ("-5", "whole number"),
        ("3.5", "whole number"),
        ("9" * 30, "as many digits"),
        ("**", "at least one letter"),
        ("Gad1, Gad2", "one gene"),
    ],
)
def test_bad_input_gets_one_sentence(sections_bench: Bench, text: str, hint: str) -> None:
    panel = sections_bench.panel()
    type_in(panel, text)
    assert hint in panel.chooser.hint.text.text()
    assert panel.chooser.hint.text.text().count(". ") == 0
    assert sections_bench.api.asked == []
    gui.keyClicks(panel.chooser.text, "x")
    assert not panel.chooser.hint.isVisible()


@pytest.mark.parametrize("gene", ["Gad1", "1500015O10Rik", "H2-K1", "Gad*", "mCG4331_1"])
def test_genes(gene: str) -> None:
    assert parsed_query(f" {gene} ").gene == gene


def test_nothing_found_and_failed(sections_bench: Bench) -> None:
    panel, api = sections_bench.panel(), sections_bench.api
    results = panel.chooser.results
    assert len(results.note.text().splitlines()) == 2
    api.found = []
    type_in(panel, "Gda1")
    assert results.note.isVisible()
    assert "Nothing found for Gda1" in results.note.text()
    api.error = NetworkError("the server could not be reached.")
    type_in(panel, "Gad1")
    assert results.message.text.text() == "the server could not be reached."
    assert not results.note.isVisible()
    api.error = None
    press(results.message.retry)
    assert api.asked[-1] == ("search", "Gad1", None)
    assert not results.message.isVisible()


def test_sources(sections_bench: Bench) -> None:
    panel, api = sections_bench.panel(), sections_bench.api
    assert not panel.chooser.source.folder.isVisible()
    type_in(panel, "Gad1")
    edit = panel.chooser.source.box.lineEdit()
    assert edit is not None
    edit.selectAll()
    gui.keyClicks(edit, "http://127.0.0.1:8000/api/v2")
    panel.chooser.results.view.enter()
    gui.keyClick(panel.chooser.results.view, Key.Key_Return)
    assert ("connect", "allen") in api.asked[-2:]  # where the row was found
    press(panel.header.change)
    gui.keyClick(edit, Key.Key_Return)
    sections_bench.qtbot.waitUntil(lambda: rows(panel) == [])
    type_in(panel, "71")
    assert api.asked[-2:] == [("connect", "http://127.0.0.1:8000/api/v2"), ("dataset", 71)]


def test_the_practice_sections(sections_bench: Bench) -> None:
    panel = sections_bench.panel()
    press(panel.chooser.results.example)
    assert sections_bench.api.asked == [("connect", "practice"), ("dataset", 71)]
    assert panel.chooser.source.label() == "Practice sections"
    assert sections_bench.session.dataset.id == 71


def test_without_practice_sections(sections_bench: Bench) -> None:
    assert not sections_bench.panel(example=None).chooser.results.example.isVisible()
