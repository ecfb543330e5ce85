from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLabel, QPushButton

from napari_stria.session.atlas_session import TableProgress
from napari_stria.session.readout import ParcelNote, Readout, Volumes
from napari_stria.widgets._readout_text import share_text, size_text, volume_text
from napari_stria.widgets.region_readout import EMPTY_TEXT, RegionReadout

gui: Any = QtTest.QTest  # the stubs miss that its methods are static

VOLUMES = Volumes(10.500984375, 5.25715625, 5.243828125, 0.0, 0.08516769937606568, "Isocortex")
RSP = Readout(
    title="RSP",
    subtitle="Retrosplenial area",
    path=("root", "CTX", "RSP"),
    point_um=(7962.94, 1003.61, 5704.83),
    side="left",
    volumes=VOLUMES,
    table_state="ready",
    space="asr",
    counted_um=(25.0, 25.0, 25.0),
)
COMPUTING = replace(RSP, volumes=None, table_state="computing")


@pytest.fixture
def shown(qtbot: QtBot) -> RegionReadout:
    widget = RegionReadout()
    qtbot.addWidget(widget)
    widget.resize(300, 300)
    widget.show()
    return widget


def visible_text(widget: RegionReadout) -> str:
    return "\n".join(w.text() for w in widget.findChildren(QLabel) if w.isVisible())


def click(button: QPushButton) -> None:
    assert button.isVisible()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize(
    ("mm3", "text"),
    [
        (0.0, "0"),
        (10.500984375, "10.501"),
        (507.35, "507.350"),
        (0.0123456, "0.01235"),
        (1.5625e-05, "0.00001563"),
    ],
)
def test_volumes_are_written_without_exponents(mm3: float, text: str) -> None:
    assert volume_text(mm3) == text


def test_other_numbers() -> None:
    assert size_text((25.0, 25.0, 25.0)) == "25 µm"
    assert size_text((10.0, 12.5, 25.0)) == "10 × 12.5 × 25 µm"
    assert share_text(replace(VOLUMES, share_of_parent=None)) == ""


def test_without_a_readout_it_says_how_to_get_one(shown: RegionReadout) -> None:
    shown.set_readout(RSP)
    shown.set_readout(None)
    assert visible_text(shown) == EMPTY_TEXT
    assert not shown.copy_button.isVisible()


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (None, ""),
        (ParcelNote("Depth 3", "RSP"), ""),
        (ParcelNote("Depth 3", "CTX"), "part of CTX (Depth 3)"),
        (ParcelNote("Summary", ""), "in no parcel of Summary"),
        (ParcelNote("Depth 3", "RSP", True), "Depth 3"),
        (
            ParcelNote("Summary", "RSP", True, "RSPd, dorsal part", True),
            "Summary, without the parcels inside it · at the point: RSPd, dorsal part",
        ),
    ],
)
def test_the_parcel_of_a_region(shown: RegionReadout, note: ParcelNote | None, said: str) -> None:
    shown.set_readout(replace(RSP, parcel=note))
    assert (shown.level.text(), shown.level.isVisible()) == (said, bool(said))
    assert "RSP" in visible_text(shown)


def test_a_region_with_its_volumes(shown: RegionReadout) -> None:
    shown.set_readout(RSP)
    text = visible_text(shown)
    for part in (
        "RSP",
        "Retrosplenial area",
        "root › CTX › RSP",
        "8.5 % of Isocortex",
        "AP 7962.9  DV 1003.6  ML 5704.8 µm · left side",
        "counted at 25 µm · axes asr (ML starts right)",
    ):
        assert part in text.splitlines()
    values = {name: label.text() for name, label in shown.values.items() if label.isVisible()}
    assert values == {"Left": "5.257", "Right": "5.244", "Total": "10.501"}
    total = shown.values["Total"]
    assert total.toolTip() == "10.500984375 mm³"
    assert total.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    assert shown.title.font().bold()
    assert shown.title.font().pointSize() > shown.subtitle.font().pointSize()


def test_voxels_without_a_side_have_a_row_where_there_are_any(shown: RegionReadout) -> None:
    shown.set_readout(replace(RSP, volumes=replace(VOLUMES, unsided_mm3=0.25)))
    assert shown.values["Unsided"].isVisible()
    assert shown.values["Unsided"].text() == "0.25"
    shown.set_readout(RSP)
    assert not shown.values["Unsided"].isVisible()


def test_a_point_without_region_has_no_volumes(shown: RegionReadout) -> None:
    background = replace(COMPUTING, title="background", path=(), side="outside", space="asl")
    shown.set_readout(background)
    text = visible_text(shown)
    assert "outside the atlas" in text
    assert "axes asl (ML starts left)" in text
    assert "mm³" not in text
    assert "computing" not in text


def test_while_counting_no_number_is_shown(shown: RegionReadout) -> None:
    shown.set_readout(RSP)
    shown.set_readout(COMPUTING)
    shown.set_progress(TableProgress("computing", 120, 431, 23_456_789))
    assert {v.text() for n, v in shown.values.items() if n != "Unsided"} == {"…"}
    assert "10.501" not in visible_text(shown)
    assert not shown.share.isVisible()
    assert shown.values["Total"].toolTip() == ""
    assert (shown.bar.value(), shown.bar.maximum()) == (120, 431)
    assert "23.5 MB" in shown.status.text()
    shown.set_progress(TableProgress("computing"))
    assert shown.bar.maximum() == 0  # a bar without end


def test_cancelling_is_asked_once(shown: RegionReadout) -> None:
    asked: list[str] = []
    shown.cancel_requested.connect(lambda: asked.append("cancel"))
    shown.count_requested.connect(lambda: asked.append("count"))
    shown.set_readout(COMPUTING)
    shown.set_progress(TableProgress("computing", 1, 9))
    click(shown.action)
    assert asked == ["cancel"]
    shown.set_progress(TableProgress("computing", 2, 9))  # a report that was under way
    assert shown.status.text() == "cancelling…"
    assert not shown.action.isEnabled()
    shown.set_readout(replace(COMPUTING, table_state="cancelled"))
    shown.set_progress(TableProgress("cancelled"))
    assert shown.status.text() == "cancelled – select a region to count again"
    assert not shown.bar.isVisible()
    assert shown.action.text() == "Count now"
    click(shown.action)
    assert asked == ["cancel", "count"]
    shown.set_progress(TableProgress("computing"))
    assert shown.action.isEnabled()


def test_a_failure_is_told_with_a_way_out(shown: RegionReadout) -> None:
    asked: list[str] = []
    shown.count_requested.connect(lambda: asked.append("count"))
    shown.set_readout(replace(COMPUTING, table_state="failed"))
    address = "https://example.org/" + "very/" * 40
    shown.set_progress(TableProgress("failed", message=f"{address} could not be reached"))
    assert address in shown.status.text()
    assert shown.minimumSizeHint().width() < 300  # a long address widens nothing
    assert shown.status.height() > 3 * shown.fontMetrics().lineSpacing()
    assert shown.action.text() == "Try again"
    click(shown.action)
    assert asked == ["count"]
    shown.set_progress(TableProgress("ready"))
    assert not shown.progress.isVisible()


def test_counting_is_told_even_without_a_selection(shown: RegionReadout) -> None:
    shown.set_progress(TableProgress("computing", 1, 2))
    assert shown.progress.isVisible()
    shown.set_progress(TableProgress("cancelled"))
    assert not shown.progress.isVisible()


def test_copying_gives_a_table(shown: RegionReadout) -> None:
    shown.set_readout(RSP)
    click(shown.copy_button)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    names, values = (line.split("\t") for line in clipboard.text().splitlines())
    row = dict(zip(names, values, strict=True))
    assert row["region"] == "RSP"
    assert float(row["total_mm3"]) == VOLUMES.total_mm3
    assert float(row["left_mm3"]) == VOLUMES.left_mm3
    assert float(row["ml_um"]) == 5704.83
    assert row["side"] == "left"
    assert row["space"] == "asr"
