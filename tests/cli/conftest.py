"""The practice brain for commands that need an atlas, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_stria.demo.practice import practice_root


@pytest.fixture(scope="session")
def atlas_options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a command is told to take the practice brain at 100 um; the root comes last."""
    root: Path = practice_root(tmp_path_factory.mktemp("practice"))
    return ["--atlas", "practice_mouse_100um", "--root", str(root)]
