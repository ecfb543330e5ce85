"""The dialog over its session; what a server would say is given, to see each state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

from napari_stria.errors import NetworkError, OutputExistsError
from napari_stria.session import annotation_download
from napari_stria.session.annotation_download import Annotation, AnnotationDownload, DownloadStatus
from napari_stria.widgets._annotation_download import AnnotationDialog

Held = Any  # `HeldTasks` of conftest


class World:
    """What the server and the disk would say."""

    def __init__(self) -> None:
        self.bytes: int | Exception | None = 3_742_325
        self.outcome: Path | Exception = Path("/kept/annotation_25.nrrd")
        self.asked: list[tuple[float, str]] = []
        self.fetched: list[dict[str, Any]] = []

    def annotation_bytes(self, resolution_um: float, *, version: str, base_url: str) -> int | None:
        self.asked.append((resolution_um, version))
        assert base_url == "https://server/files"
        if isinstance(self.bytes, Exception):
            raise self.bytes
        return self.bytes

    def fetch_annotation(self, resolution_um: float, path: Path | None, **more: Any) -> Path:
        self.fetched.append({"resolution_um": resolution_um, "path": path, **more})
        more["progress"](100, 400)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(annotation_download, "annotation_bytes", world.annotation_bytes)
    monkeypatch.setattr(annotation_download, "fetch_annotation", world.fetch_annotation)
    return world


@pytest.fixture
def session(waiting: Held, world: World) -> AnnotationDownload:
    return AnnotationDownload(waiting, lambda: "https://server/files")


@pytest.fixture
def dialog(session: AnnotationDownload, qtbot: QtBot) -> AnnotationDialog:
    dialog = AnnotationDialog(session)
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    return dialog


def test_the_size_is_shown_as_far_as_the_server_says_it(
    dialog: AnnotationDialog, waiting: Held, world: World
) -> None:
    assert dialog.amount.text() == "asking server…"
    waiting.release()
    assert dialog.amount.text() == "3.7 MB from server"
    world.bytes = None
    dialog.resolution.setCurrentIndex(0)
    waiting.release()
    assert dialog.amount.text() == "server does not say"
    assert not dialog.ask_again.isVisible()
    world.bytes = NetworkError("the server is gone.")
    dialog.version.setCurrentIndex(0)
    waiting.release()
    assert dialog.amount.text() == "not known: the server is gone."
    world.bytes = 1000
    dialog.ask_again.click()
    waiting.release()
    assert dialog.amount.text() == "1.0 kB from server"
    assert world.asked == [
        (25, "ccf_2017"), (10, "ccf_2017"), (10, "ccf_2022"), (10, "ccf_2022"),
    ]  # fmt: skip


def test_a_download_and_its_opening(
    dialog: AnnotationDialog, waiting: Held, world: World, qtbot: QtBot
) -> None:
    waiting.release()
    assert not dialog.open_it.isEnabled()
    dialog.path.setText("/tmp/mine.nrrd")
    dialog.start.click()
    assert dialog.progress.text() == "Waiting for the server…"
    assert not dialog.form.isEnabled()
    waiting.release()
    (asked,) = world.fetched
    assert asked["path"] == Path("/tmp/mine.nrrd").absolute()
    assert asked["base_url"] == "https://server/files"
    assert not asked["overwrite"]
    assert "/kept/annotation_25.nrrd" in dialog.progress.text()
    assert not dialog.start.isEnabled()
    with qtbot.waitSignal(dialog.open_requested) as asked_for:
        dialog.open_it.click()
    assert asked_for.args == [world.outcome]
    dialog.resolution.setCurrentIndex(3)  # another one is to be fetched
    assert dialog.start.isEnabled()
    assert not dialog.open_it.isEnabled()


def test_how_far_it_is(dialog: AnnotationDialog, session: AnnotationDownload) -> None:
    session._set(DownloadStatus("fetching", 1_000_000, 4_000_000, 500_000.0))
    assert dialog.progress.text().startswith(
        "1.0 MB of 4.0 MB · 500 kB/s · 6 s left\nYou may close"
    )
    assert (dialog.bar.value(), dialog.bar.maximum()) == (250, 1000)
    assert dialog.cancel.isEnabled()
    session._set(DownloadStatus("fetching", 4, 4))
    assert "to see that it is whole" in dialog.progress.text()
    session._set(DownloadStatus("fetching", 1, 4, ending=True))
    assert "what has arrived stays" in dialog.progress.text()
    assert not dialog.cancel.isEnabled()
    session._set(DownloadStatus("cancelled", 1_000_000, 4_000_000))
    assert dialog.progress.text().startswith("Stopped after 1.0 MB of 4.0 MB.")
    assert "Resume goes on" in dialog.progress.text()
    assert dialog.start.text() == "Res&ume"
    assert not dialog.bar.isVisible()


def test_a_file_that_is_there_is_replaced_when_that_is_ticked(
    dialog: AnnotationDialog, waiting: Held, world: World
) -> None:
    waiting.release()
    world.outcome = OutputExistsError("/tmp/a exists; overwrite it.")
    dialog.start.click()
    waiting.release()
    assert dialog.message.text.text() == "/tmp/a exists; overwrite it."
    assert not dialog.message.retry.isVisible()
    assert not dialog.start.isEnabled()
    dialog.replace.setChecked(True)
    dialog.start.click()
    waiting.release()
    assert [f["overwrite"] for f in world.fetched] == [False, True]
    # What was said about one place does not hold for another.
    dialog.path.setText("/tmp/b")
    dialog.path.editingFinished.emit()
    assert not dialog.replace.isChecked()
    assert not dialog.replace.isVisible()


def test_a_failure_can_be_tried_again(
    dialog: AnnotationDialog, waiting: Held, world: World
) -> None:
    waiting.release()
    world.outcome = NetworkError("the server is gone.")
    dialog.start.click()
    waiting.release()
    assert dialog.message.text.text() == "the server is gone."
    dialog.message.retry.click()
    assert len(waiting.held) == 1


def test_choosing_a_place(
    dialog: AnnotationDialog, session: AnnotationDownload, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def choose(parent: Any, title: str, name: str, *rest: Any, **more: Any) -> tuple[str, str]:
        names.append(name)
        return "/tmp/there.nrrd", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    dialog.choose.click()
    assert names == ["annotation_25.nrrd"]
    assert session.wanted == Annotation(25, "ccf_2017", Path("/tmp/there.nrrd").absolute())


def test_another_dialog_shows_what_goes_on(
    dialog: AnnotationDialog, session: AnnotationDownload, waiting: Held, qtbot: QtBot
) -> None:
    dialog.resolution.setCurrentIndex(2)
    dialog.path.setText("/tmp/x.nrrd")
    dialog.start.click()
    dialog.close()
    again = AnnotationDialog(session)
    qtbot.addWidget(again)
    again.show()
    assert again.resolution.currentData() == 50
    assert again.path.text() == str(Path("/tmp/x.nrrd").absolute())
    assert again.bar.isVisible()
    assert session.status.state == "fetching"


def test_every_key_is_used_once(dialog: AnnotationDialog) -> None:
    buttons = [dialog.choose, dialog.ask_again, dialog.replace, dialog.start, dialog.cancel]
    texts = [b.text() for b in (*buttons, dialog.open_it, dialog.close_it)]
    texts += ["&Version", "&Resolution", "&File", "Res&ume"]
    keys = [text.partition("&")[2][0].lower() for text in texts]
    assert len(set(keys)) == len(keys)
    assert dialog.bar.accessibleName()
