"""What a zip of a stranger may hold: nothing leaves the folder or fills the disk."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_stria.errors import CorruptDataError, FormatError, OutputError, StriaError
from napari_stria.io import safe_unzip
from napari_stria.io.safe_unzip import unzip_safely


def member(name: str, *, mode: int = 0o644 | stat.S_IFREG) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    info.create_system = 3
    info.external_attr = mode << 16
    return info


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[..., Path]:
    def made(*members: tuple[zipfile.ZipInfo, bytes]) -> Path:
        path = tmp_path / "hostile.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for info, data in members:
                archive.writestr(info, data)
        return path

    return made


def unzipped(path: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    unzip_safely(path, folder, "hostile.zip")
    return folder


def assert_nothing_written(tmp_path: Path) -> None:
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "hostile.zip"]


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "C:/x", "C:x", "..\\x", "a\\x", "//server/x", "a/..", "", "."],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_paths_that_leave_the_folder(
    hostile: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    path = hostile((member("fine"), b"1"), (member(name), b"1"))
    with pytest.raises(FormatError, match="path"):
        unzipped(path, tmp_path)
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_links_and_devices(hostile: Callable[..., Path], tmp_path: Path, kind: int) -> None:
    path = hostile((member("fine"), b"1"), (member("x", mode=0o777 | kind), b"/etc/passwd"))
    with pytest.raises(FormatError, match="a link or a device"):
        unzipped(path, tmp_path)
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize("second", ["a/b", "A/B"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(hostile: Callable[..., Path], tmp_path: Path, second: str) -> None:
    path = hostile((member("a/b"), b"1"), (member(second), b"2"))
    with pytest.raises(FormatError, match="twice"):
        unzipped(path, tmp_path)
    assert_nothing_written(tmp_path)


def test_a_file_that_is_also_a_folder(hostile: Callable[..., Path], tmp_path: Path) -> None:
    path = hostile((member("a"), b"1"), (member("a/b"), b"2"))
    with pytest.raises(FormatError, match="as a file and as a folder"):
        unzipped(path, tmp_path)


def test_a_bomb_is_refused_by_what_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(10_000_000))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(safe_unzip, "_MOST_BYTES", 9_999_999)
    with pytest.raises(FormatError, match="more than an atlas has"):
        unzipped(path, tmp_path)
    assert_nothing_written(tmp_path)


def test_too_many_files(
    hostile: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_unzip, "_MOST_MEMBERS", 2)
    path = hostile(*[(member(str(i)), b"") for i in range(3)])
    with pytest.raises(FormatError, match="more than an atlas has"):
        unzipped(path, tmp_path)


def test_a_bomb_that_lies_is_stopped_by_what_comes_out(tmp_path: Path) -> None:
    """Declares 10 bytes for a megabyte, in the file's own header and in the directory."""
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(1_000_000))
    raw = path.read_bytes().replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(raw)
    with pytest.raises(StriaError) as caught:
        unzipped(path, tmp_path)
    assert isinstance(caught.value, CorruptDataError | FormatError)
    assert sum(p.stat().st_size for p in (tmp_path / "deep").rglob("*") if p.is_file()) <= 10


def test_no_room_on_the_disk(
    hostile: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_unzip, "_SPARE_BYTES", 1 << 62)
    with pytest.raises(OutputError, match="no room"):
        unzipped(hostile((member("x"), b"1")), tmp_path)
    assert_nothing_written(tmp_path)


def test_a_password_and_damage(hostile: Callable[..., Path], tmp_path: Path) -> None:
    path = hostile((member("x"), b"payload"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"payload", b"payloaD"))
    with pytest.raises(CorruptDataError, match="no whole zip"):
        unzip_safely(path, _empty(tmp_path / "1"), "hostile.zip")
    locked = bytearray(whole)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(signature) + offset] |= 1
    path.write_bytes(bytes(locked))
    with pytest.raises(FormatError, match="password"):
        unzip_safely(path, _empty(tmp_path / "2"), "hostile.zip")
    odd = bytearray(whole)
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        odd[odd.index(signature) + offset] = 97
    path.write_bytes(bytes(odd))
    with pytest.raises(FormatError, match="packed in a way"):
        unzip_safely(path, _empty(tmp_path / "3"), "hostile.zip")


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
