"""What lies beside a fetched file, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_stria.io.fetched_record import (
    Fetched,
    problem_of,
    read_record,
    record_path,
    write_record,
)


def test_it_comes_back(tmp_path: Path) -> None:
    record = Fetched("http://server/file", 3, "abc")
    write_record(tmp_path / "file", record)
    assert read_record(tmp_path / "file") == record


@pytest.mark.parametrize("raw", [b"", b"[]", b"[" * 65_000, b'{"url": 1', b'{"more": 1}', b"\xff"])
def test_what_cannot_be_read_is_none(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    record_path(file).write_bytes(raw)
    assert read_record(file) is None
    assert "nothing beside it" in problem_of(file, "http://server/file")
