from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QCoreApplication, QEvent, QObject

from napari_stria.widgets._tasks import QtTasks


def never(value: object) -> None:
    pytest.fail(f"nobody should be told {value!r}")


@pytest.fixture
def tasks(qtbot: QtBot) -> QtTasks:
    return QtTasks()


def test_the_result_comes_to_the_gui_thread(tasks: QtTasks, qtbot: QtBot) -> None:
    seen: dict[str, Any] = {}

    def work() -> int:
        seen["work"] = threading.current_thread()
        return 42

    def done(result: int) -> None:
        seen["done"] = threading.current_thread()
        seen["result"] = result

    tasks.run(work, done, never)
    qtbot.waitUntil(lambda: "result" in seen)
    assert seen["result"] == 42
    assert seen["work"] is not threading.main_thread()
    assert seen["work"].daemon
    assert seen["done"] is threading.main_thread()


def test_an_error_comes_with_its_traceback(tasks: QtTasks, qtbot: QtBot) -> None:
    seen: list[tuple[Exception, threading.Thread]] = []

    def break_down() -> int:
        raise ValueError("seven")

    tasks.run(break_down, never, lambda e: seen.append((e, threading.current_thread())))
    qtbot.waitUntil(lambda: bool(seen))
    error, thread = seen[0]
    assert isinstance(error, ValueError)
    assert "break_down" in "".join(traceback.format_exception(error))
    assert thread is threading.main_thread()


def test_posted_calls_keep_their_order_and_never_run_at_once(tasks: QtTasks, qtbot: QtBot) -> None:
    seen: list[int] = []

    def post_all() -> None:
        for i in range(50):
            tasks.post(lambda i=i: seen.append(i))  # type: ignore[misc]

    tasks.post(lambda: seen.append(-1))
    assert seen == []
    threading.Thread(target=post_all).start()
    qtbot.waitUntil(lambda: len(seen) == 51)
    assert seen == [-1, *range(50)]


def test_an_error_in_a_callback_does_not_stop_the_next_call(
    tasks: QtTasks, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException] = []

    def hook(_kind: type, error: BaseException, _where: TracebackType | None) -> None:
        told.append(error)

    monkeypatch.setattr(sys, "excepthook", hook)
    seen: list[int] = []
    tasks.post(lambda: [][0])
    tasks.post(lambda: seen.append(1))
    qtbot.waitUntil(lambda: bool(seen))
    assert [type(e) for e in told] == [IndexError]


def test_an_error_in_a_callback_does_not_end_the_program() -> None:
    """PyQt6 aborts when an exception leaves a slot and nobody has set `sys.excepthook`."""
    program = """
from qtpy.QtCore import QCoreApplication
from napari_stria.widgets._tasks import QtTasks
app = QCoreApplication([])
tasks = QtTasks()
tasks.run(lambda: 1, lambda one: one / 0, lambda error: None)
tasks.run(lambda: 1 / 0, lambda _: None, lambda error: app.quit())
app.exec()
print("still here")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout.strip() == "still here", ran.stderr
    assert ran.returncode == 0


@pytest.mark.parametrize("how", ["close", "destroy"])
def test_what_arrives_after_the_end_is_dropped(how: str, qtbot: QtBot) -> None:
    owner = QObject()
    tasks = QtTasks(owner)
    release, ended = threading.Event(), threading.Event()
    seen: list[int] = []

    def work() -> int:
        release.wait(5)
        return 1

    def watched() -> int:
        try:
            return work()
        finally:
            ended.set()

    tasks.post(lambda: seen.append(0))
    tasks.run(watched, seen.append, lambda _: seen.append(2))
    if how == "close":
        tasks.close()
    else:
        owner.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        with pytest.raises(RuntimeError):  # the Qt object is gone
            tasks.objectName()
    release.set()
    assert ended.wait(5)
    qtbot.wait(30)
    tasks.post(lambda: seen.append(3))
    tasks.run(lambda: 4, seen.append, lambda _: seen.append(5))
    qtbot.wait(30)
    assert seen == []
