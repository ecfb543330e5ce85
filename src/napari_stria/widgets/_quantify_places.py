"""Asking where a table or a picture is to be written."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')
_SUFFIX = re.compile(r"\*(\.\w+)")


def ask_place(
    parent: QWidget, title: str, name: str, suffix: str, kinds: str
) -> tuple[Path | None, bool]:
    """Ask for a file.

    Parameters
    ----------
    parent : QWidget
        Before which the dialog stands.
    title : str
        Of the dialog.
    name, suffix : str
        What the file is called unless the user says otherwise; `name` is made fit for a file.
    kinds : str
        As Qt's dialogs take them.

    Returns
    -------
    path : Path or None
        None if the user thought better of it. One without suffix gets that of the chosen kind.
    replaces : bool
        Whether the user agreed to replace a file of that very name.
    """
    start = _NOT_IN_NAMES.sub("_", name) + suffix
    text, kind = QFileDialog.getSaveFileName(parent, title, start, kinds)
    path = Path(text)
    if not text or path.suffix:
        return (path if text else None), True
    # The dialog asked about another name than the one that it is given now.
    found = _SUFFIX.search(kind)
    return path.with_name(path.name + (suffix if found is None else found[1])), False
