from __future__ import annotations

from typing import Any

import pytest
from qtpy import QtTest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QPushButton, QWidget

from napari_stria.errors import DatasetNotFoundError, NetworkError, ReferenceSpaceError
from napari_stria.session.section_options import SectionOptions
from napari_stria.session.section_streaming import StreamStatus
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


# -- options --------------------------------------------------------------------------------------


def test_options_go_with_the_load_and_change_what_is_shown(sections_bench: Bench) -> None:
    panel, session = sections_bench.panel(), sections_bench.session
    assert panel.options.options() == SectionOptions()
    box = panel.options.resolution.native
    assert [box.itemText(i) for i in range(box.count())] == ["10 µm", "25 µm", "50 µm", "100 µm"]
    gui.keyClick(box, Key.Key_Down)
    type_in(panel, "71")
    assert session.options == SectionOptions(resolution_um=50.0)
    gui.keyClick(panel.options.placement.native, Key.Key_Down)
    gui.keyClick(panel.options.expression.native, Key.Key_Down)
    assert session.options == SectionOptions(50.0, expression=True, placement="parallel")
    assert set(session.pyramids) == {"image", "expression"}


def test_only_space_10_can_be_mirrored(sections_bench: Bench) -> None:
    panel, session = sections_bench.panel(), sections_bench.session
    assert not panel.options.mirrored.enabled
    assert "left half" in panel.options.mirrored.native.toolTip()
    type_in(panel, "71")
    assert not panel.options.mirrored.enabled
    assert "Space 10" not in panel.header.notes.text()
    press(panel.header.change)
    type_in(panel, "479")
    assert "left half" in panel.header.notes.text()
    tick(panel.options.mirrored.native)
    assert session.mirrored
    assert "mirrored to the right" in panel.header.notes.text()
    press(panel.header.change)
    type_in(panel, "71")
    assert not panel.options.options().mirrored


def test_options_that_cannot_be_are_taken_back(
    sections_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, session = loaded(sections_bench), sections_bench.session

    def refuse(_options: SectionOptions) -> None:
        raise ReferenceSpaceError("it cannot be shown so.")

    monkeypatch.setattr(session, "set_options", refuse)
    gui.keyClick(panel.options.resolution.native, Key.Key_Down)
    assert panel.options.options() == SectionOptions()
    assert panel.notice.text.text() == "it cannot be shown so."
    assert not panel.notice.retry.isVisible()


# -- loading --------------------------------------------------------------------------------------


def test_a_load_that_fails_is_tried_again(sections_bench: Bench) -> None:
    panel, api = sections_bench.panel(), sections_bench.api
    api.error = NetworkError("the server could not be reached.")
    type_in(panel, "71")
    assert panel.notice.text.text() == "the server could not be reached."
    assert not panel.shown.isVisible()
    api.error = None
    press(panel.notice.retry)
    assert sections_bench.session.dataset.id == 71
    assert not panel.notice.isVisible()
    press(panel.header.change)
    api.error = DatasetNotFoundError("the server knows no section dataset 12345.")
    type_in(panel, "12345")
    assert panel.notice.text.text() == str(api.error)
    assert sections_bench.session.dataset.id == 71  # stays
    sections_bench.session.message.emit("the atlas is of another space.")
    assert panel.notice.text.text() == "the atlas is of another space."
    assert not panel.notice.retry.isVisible()


def test_a_picture_for_3d_that_fails_is_asked_again(sections_bench: Bench) -> None:
    panel, session, told = loaded(sections_bench), sections_bench.session, sections_bench.told
    panel.show_in_3d.connect(lambda s: session.loading_changed.emit("section 24"))
    press(panel.sections.in_3d)
    session.loading_failed.emit(NetworkError("gone."))
    assert panel.notice.text.text() == "gone."
    press(panel.notice.retry)
    assert [name for name, *_ in told] == ["show_in_3d", "show_in_3d"]


def status(bench: Bench, *args: Any, **more: Any) -> None:
    bench.session._streaming.status = StreamStatus(*args, **more)
    bench.session.status_changed.emit(bench.session.status)


def test_the_bar_counts_what_is_left(sections_bench: Bench, monkeypatch: Any) -> None:
    panel = loaded(sections_bench)
    rows = panel.stream
    assert rows.text.text() == "Everything in view is there."
    assert not rows.bar.isVisible()
    assert not rows.cancel.isEnabled()
    status(sections_bench, 12, "section 32, tier 4")
    assert rows.text.text() == "fetching section 32, tier 4: 12 left"
    assert (rows.bar.maximum(), rows.bar.value()) == (12, 0)
    status(sections_bench, 3, "section 32, tier 4")
    assert (rows.bar.maximum(), rows.bar.value()) == (12, 9)
    assert rows.cancel.isEnabled()
    # The last one still counts as pending when it is told.
    sections_bench.qtbot.waitUntil(lambda: not rows.bar.isVisible())
    assert rows.text.text() == "Everything in view is there."


def test_cancel_pauses_and_resume_goes_on(sections_bench: Bench) -> None:
    panel, session = loaded(sections_bench), sections_bench.session
    status(sections_bench, 12, "section 32, tier 4")
    press(panel.stream.cancel)
    assert session.status.paused
    assert panel.stream.text.text().startswith("Paused")
    assert not panel.stream.bar.isVisible()
    press(panel.stream.resume)
    assert not session.status.paused
    assert not panel.stream.resume.isVisible()


def test_what_failed_is_fetched_again(sections_bench: Bench) -> None:
    panel, session = loaded(sections_bench), sections_bench.session
    status(sections_bench, error="the server stalled.")
    assert panel.stream.error.text.text() == "the server stalled."
    assert panel.stream.error.text.textInteractionFlags() & (
        Qt.TextInteractionFlag.TextSelectableByMouse
    )
    again: list[int] = []
    session.chunks_changed.connect(lambda: again.append(1))
    press(panel.stream.error.retry)
    assert again == [1]
    assert not panel.stream.error.isVisible()


# -- reachable ------------------------------------------------------------------------------------


def test_tab_reaches_everything_and_everything_says_what_it_is(sections_bench: Bench) -> None:
    panel = loaded(sections_bench)
    press(panel.header.change)
    wanted = {
        w
        for w in panel.findChildren(QWidget)
        if w.isVisible()
        and w.isEnabled()
        and w.focusPolicy() & Qt.FocusPolicy.TabFocus
        and w.focusProxy() is None
        and not (isinstance(w.parent(), QComboBox))
    }
    panel.chooser.source.box.setFocus()
    seen: set[QWidget] = set()
    for _ in range(60):
        focused = panel.focusWidget()
        assert focused is not None
        seen.add(focused)
        gui.keyClick(focused, Key.Key_Tab)
    assert wanted <= seen | {panel.chooser.source.box, panel.chooser.source.box.lineEdit()}
    for button in panel.findChildren(QPushButton):
        if button.isVisible():
            assert button.toolTip(), button.text()
    for box in [w for w in wanted if isinstance(w, QComboBox)]:
        assert box.accessibleName()


@pytest.mark.parametrize("number", [None, 71, 479])
def test_it_fits_a_narrow_dock(sections_bench: Bench, number: int | None) -> None:
    panel = sections_bench.panel()
    panel.resize(300, 800)
    sections_bench.api.error = NetworkError("https://example.org/" + "very-long-" * 20)
    type_in(panel, "71")
    assert panel.minimumSizeHint().width() <= 300
    sections_bench.api.error = None
    if number is not None:
        type_in(panel, str(number))
        status(sections_bench, error="https://example.org/" + "very-long-" * 20)
    sections_bench.qtbot.wait(20)
    assert panel.minimumSizeHint().width() <= 300
    for button in panel.findChildren(QPushButton):
        if button.isVisible():
            assert button.width() >= button.sizeHint().width(), button.text()
