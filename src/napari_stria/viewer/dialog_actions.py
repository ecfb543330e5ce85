"""Entries of a dock's menu that open a dialog over the dock's window."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QMenu, QWidget


def add_dialog_action(
    menu: QMenu, text: str, tip: str, show: Callable[[QWidget | None], object]
) -> None:
    """Add an entry that opens a dialog.

    Parameters
    ----------
    menu : QMenu
        A menu button's.
    text, tip : str
        What it is called, and what is said of it.
    show : callable
        Opens the dialog, given the window that it belongs to.
    """
    action = menu.addAction(text)
    assert action is not None
    action.setToolTip(tip)

    def shown() -> None:
        button = menu.parentWidget()
        show(None if button is None else button.window())

    action.triggered.connect(shown)
