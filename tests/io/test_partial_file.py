"""What a download that outlives its program keeps, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_stria.errors import CorruptDataError, OutputError, TaskCancelled
from napari_stria.io.partial_file import Origin, PartialFile
from napari_stria.io.sinks import BodyPart, Held, ResumingSink

URL = "http://server/file"
WHOLE = BodyPart(0, 10, '"tag"', "a date")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


def begun(target: Path, *pieces: bytes, part: BodyPart = WHOLE) -> PartialFile:
    sink = PartialFile(target, URL, b"0123")
    sink.begin_part(part)
    for piece in pieces:
        sink.write(piece)
    return sink


def test_it_is_a_sink_that_resumes(target: Path) -> None:
    sink = begun(target, b"012", b"345")
    assert isinstance(sink, ResumingSink)
    assert sink.held() == Held(6, 10, '"tag"')
    assert not sink.is_whole
    sink.close()
    # Another program finds the same.
    after = PartialFile(target, URL)
    assert after.origin == Origin(URL, 10, '"tag"', "a date")
    assert after.held() == Held(6, 10, '"tag"')
    after.begin_part(BodyPart(6, 10, '"tag"', "a date"))
    after.write(b"6789")
    after.settle()
    assert after.resumed
    assert after.is_whole
    after.finish(target)
    assert target.read_bytes() == b"0123456789"
    assert [p.name for p in target.parent.iterdir()] == ["file"]


def test_what_another_address_brought_is_not_held(target: Path) -> None:
    begun(target, b"012345").close()
    assert PartialFile(target, "http://server/other").held() is None


@pytest.mark.parametrize("part", [BodyPart(0, None, '"tag"', ""), BodyPart(0, 10, "", "")])
def test_without_a_length_or_a_tag_nothing_is_held(target: Path, part: BodyPart) -> None:
    assert begun(target, b"0123", part=part).held() is None


def test_a_body_that_begins_otherwise_leaves_what_is_there(target: Path) -> None:
    sink = begun(target, b"01234")
    sink.begin_part(WHOLE)
    with pytest.raises(CorruptDataError, match="something else"):
        sink.write(b"<h")
    assert sink.held() == Held(5, 10, '"tag"')
    sink.begin_part(WHOLE)
    sink.write(b"01")
    with pytest.raises(CorruptDataError, match="something else"):
        sink.write(b"xx")
    sink.close()


def test_more_than_was_stated_is_refused(target: Path) -> None:
    sink = begun(target, b"0123456789")
    with pytest.raises(CorruptDataError, match="more than the 10 bytes"):
        sink.write(b"x")
    sink.close()


def test_nothing_is_taken_after_closing(target: Path) -> None:
    sink = begun(target, b"0123")
    sink.close()
    with pytest.raises(TaskCancelled):
        sink.write(b"4567")
    with pytest.raises(TaskCancelled):
        sink.begin_part(WHOLE)
    assert sink.path.read_bytes() == b"0123"


NOTES = [
    "", "{}", "[]", '{"url": "u", "total": "x"}', "\x00", "[" * 65_000,
    '{"url": "http://server/file", "total": 1e999, "etag": "a", "modified": ""}',
]  # fmt: skip


@pytest.mark.parametrize("note", NOTES)
def test_a_note_that_cannot_be_read_is_none(target: Path, note: str) -> None:
    begun(target, b"0123").close()
    target.with_name("file.part.json").write_text(note)
    sink = PartialFile(target, URL)
    assert sink.origin == Origin(URL)
    assert sink.held() is None


def test_forgetting_removes_everything(target: Path) -> None:
    sink = begun(target, b"0123")
    sink.forget()
    assert list(target.parent.iterdir()) == []
    assert sink.held() is None


@pytest.mark.parametrize("part", [WHOLE, BodyPart(4, 10, '"tag"', "")])
def test_no_link_is_followed(target: Path, part: BodyPart) -> None:
    mine = target.with_name("mine")
    mine.write_text("my data")
    target.with_name("file.part").symlink_to(mine)
    sink = PartialFile(target, URL)
    sink.begin_part(part)
    with pytest.raises(OutputError, match=r"file\.part is a link .* remove it"):
        sink.write(b"0123")
    sink.close()
    assert sink.held() is None
    assert mine.read_text() == "my data"
