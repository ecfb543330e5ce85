"""Which file is the image of a section, where several may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_stria.errors import FormatError
from napari_stria.io.series_images import find_images


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _found(folder: Path, *names: str, below: bool = True) -> list[str | None]:
    paths = find_images(names, folder, below=below).paths
    return [None if path is None else path.relative_to(folder).as_posix() for path in paths]


def test_the_very_path_comes_first(tmp_path: Path) -> None:
    _touch(tmp_path, "s001.png", "brainA/s001.png", "brainB/s001.png", "a/b/s001.png")
    names = ("brainA/s001.png", "brainB\\s001.png", "s001.png", "a/b/s001.png")
    assert _found(tmp_path, *names) == [
        "brainA/s001.png", "brainB/s001.png", "s001.png", "a/b/s001.png"
    ]  # fmt: skip
    # Also by the end of a path of another machine, and without the folders below.
    assert _found(tmp_path, "C:\\x\\brainA\\s001.png", "/y/brainB/s001.png") == [
        "brainA/s001.png", "brainB/s001.png"
    ]  # fmt: skip
    assert _found(tmp_path, "brainA/s001.png", below=False) == ["brainA/s001.png"]


def test_no_other_place_of_the_machine_is_looked_at(tmp_path: Path) -> None:
    _touch(tmp_path, "out.png", "in/a.png")
    names = ("../out.png", str(tmp_path / "out.png"), "")
    assert _found(tmp_path / "in", *names) == [None] * 3


def test_letters_count_before_their_case(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png", "A.png", "b.PNG")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("these files have one name here")
    assert _found(tmp_path, "a.png", "A.png", "b.png") == ["a.png", "A.png", "b.PNG"]


def test_two_sections_never_share_a_file(tmp_path: Path) -> None:
    _touch(tmp_path, "s001.png", "x/c.png", "y/c.png", "d.tif")
    names = ["brainA/s001.png", "brainB/s001.png", "c.png", "D.png", "D.png", "none.png"]
    found = find_images(names, tmp_path, below=True)
    assert found.ambiguous == ("brainA/s001.png", "brainB/s001.png", "c.png")
    # The same name twice is the same image.
    assert found.paths == (None, None, None, tmp_path / "d.tif", tmp_path / "d.tif", None)
    only = find_images(["s001.png", "brainB/s001.png"], tmp_path, below=True)
    assert only.paths == (tmp_path / "s001.png", None)
    assert only.ambiguous == ("brainB/s001.png",)
    with pytest.raises(FormatError, match="cannot be listed"):
        find_images(names, tmp_path / "none")
