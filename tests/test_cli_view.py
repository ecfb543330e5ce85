"""``napari-stria view``: a saved view as a program shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from napari_stria.cli import main
from napari_stria.demo.practice import practice_root
from napari_stria.session.saved_view import SavedCamera, SavedPlane, SavedRegions, SavedView
from napari_stria.session.view_file import write_view


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="a view without a screen needs Xvfb")
def test_a_view_without_a_screen(tmp_path: Path) -> None:
    root = practice_root(tmp_path / "practice")
    view = SavedView(
        name="practice_mouse_100um",
        opened_with={"name_or_uri": "practice_mouse_100um", "root": str(root)},
        plane=SavedPlane((5050.0, 3050.0, 4050.0), (1, 0, 2)),
        camera=SavedCamera((0.0, 6600.0, 5700.0), 0.05),
        regions=SavedRegions(selected=(254,)),
    )
    write_view(tmp_path / "a.stria.json", view)
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    picture = tmp_path / "view.png"
    done = subprocess.run(
        [
            sys.executable, "-m", "napari_stria.cli", "view", str(tmp_path / "a.stria.json"),
            "--headless", "--picture", str(picture),
        ],
        check=False, capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "practice_mouse_100um at AP" in done.stdout
    assert "RSP selected" in done.stdout
    assert picture.stat().st_size > 20_000


@pytest.mark.parametrize("text", [None, "{}", "not json"])
def test_a_file_that_is_no_view_opens_no_window(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.stria.json"
    if text is not None:
        path.write_text(text)
    assert main(["view", str(path)]) == 1
    streams = capsys.readouterr()
    assert "choose another" in streams.err
    assert len(streams.err.strip().splitlines()) == 1
