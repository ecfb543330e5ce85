"""The page about groups: its code in order, its file, and its numbers, on the real annotation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nrrd
import pandas as pd
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "groups_and_masks.md"
RSP_VOXELS = 672_063


def test_the_page_does_what_it_says(
    run_page: Callable[[Path, Path], Any],
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    # The atlas is read from this machine; what is neither Python nor a command is not run.
    text = text.replace(f"```json\n{shown}```\n", "")
    root = real_data / "brainglobe"
    text = text.replace('"allen_mouse_25um")', f'"allen_mouse_25um", root={str(root)!r})')
    text = text.replace("allen_mouse_25um --groups", f"allen_mouse_25um --root {root} --groups")
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = run_page(page, tmp_path).names
    written = (tmp_path / "mine.groups.json").read_text(encoding="utf-8")
    assert json.loads(written) == json.loads(shown)
    assert written == shown
    table, volume = names["table"], names["volume"]
    assert table.loc["Retrosplenial", "voxels"] == RSP_VOXELS
    assert table.loc["Visual", "volume_mm3"] == pytest.approx(volume, rel=1e-12)
    assert pd.read_csv(tmp_path / "v.csv")["group"].tolist() == ["Visual"]
    (path,) = (tmp_path / "masks").glob("*.nrrd")
    assert int(nrrd.read(str(path))[0].sum()) == table.loc["Visual", "voxels"]
    assert "2 groups" in capsys.readouterr().err
