"""Pages of the documentation, run block by block."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from napari_stria.cli import main

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page and what its code left.

    Attributes
    ----------
    folder : Path
        Where it was run.
    names : dict
        What its Python code defined.
    """

    folder: Path
    names: dict[str, Any]


@dataclass(frozen=True)
class _Block:
    language: str
    code: str
    line: int


def _blocks(page: Path) -> Iterator[_Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield _Block(found[1], found[2], text.count("\n", 0, found.start(2)))


def _run(page: Path, folder: Path) -> Page:
    """Run all blocks of a page in the working folder, in order; none may be of another language."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in _blocks(page):
        if block.language == "python":
            # With the page's own line numbers, so that a traceback leads to it.
            code = compile("\n" * block.line + block.code, str(page), "exec")
            exec(code, names)
        else:
            assert block.language == "sh", f"{page}:{block.line}: a block that nothing runs"
            for command in block.code.replace("\\\n", " ").splitlines():
                words = shlex.split(command, comments=True)
                if words:
                    assert words[0] == "napari-stria"
                    assert main(words[1:]) == 0, command
    return Page(folder, names)


@pytest.fixture(scope="session")
def run_page() -> Callable[[Path, Path], Page]:
    """See `_run`."""
    return _run
