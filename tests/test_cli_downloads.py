"""``napari-stria download-annotation``, in this process and as one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_stria.cli import main
from napari_stria.demo.annotation_files import ARCHIVE_PREFIX, annotation_nrrd
from napari_stria.demo.server import DemoServer
from napari_stria.io.fetched_record import read_record

NAME = "annotation_100.nrrd"
PATIENCE_S = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    path = tmp_path / "served" / ARCHIVE_PREFIX[1:] / "annotation/ccf_2017" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(annotation_nrrd(100))
    with DemoServer(tmp_path / "served") as running:
        yield running


def arguments(server: DemoServer, *more: str) -> list[str]:
    said = ["download-annotation", "--resolution", "100", "--base-url", server.archive_url]
    return [*said, *more]


def test_the_file_its_length_and_its_digest_are_said(
    server: DemoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.nrrd"
    for _ in range(2):
        assert main(arguments(server, "--out", str(out))) == 0
        record = read_record(out)
        assert record is not None
        assert capsys.readouterr().out == f"{out}\n0.1 MB, sha256 {record.sha256}\n"
    assert server.counters.requests == 1
    out.write_bytes(b"mine")
    assert main(arguments(server, "--out", str(out))) == 1
    assert "overwrite it" in capsys.readouterr().err
    assert main(arguments(server, "--out", str(out), "--overwrite")) == 0


def test_without_a_file_it_lies_in_the_cache(
    server: DemoServer, private_places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(server)) == 0
    path = Path(capsys.readouterr().out.splitlines()[0])
    assert path.is_relative_to(private_places / "cache")
    assert path.name == NAME


@pytest.mark.parametrize("wrong", [("--resolution", "30"), ("--ccf-version", "ccf_1999")])
def test_what_does_not_exist(
    server: DemoServer, wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(server, *wrong)) == 1
    said = capsys.readouterr().err
    assert wrong[1] in said
    assert said.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither Ctrl-C for one nor pty")
def test_an_interrupted_download_goes_on(server: DemoServer, tmp_path: Path) -> None:
    import pty

    out = tmp_path / NAME
    command = [sys.executable, "-m", "napari_stria.cli", *arguments(server, "--out", str(out))]
    server.faults.halt = lambda path: True
    # A terminal, for the line that tells how far it is.
    ours, theirs = pty.openpty()
    program = subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    said = b""
    while b"kB [" not in said:
        said += os.read(ours, 1000)
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=PATIENCE_S)
    said += os.read(ours, 10_000)
    os.close(ours)
    assert program.returncode == 130
    assert b"the same command goes on from there" in said
    assert b"Traceback" not in said
    part = out.with_name(f"{NAME}.part").stat().st_size
    assert part > 0
    assert not out.exists()
    server.faults.halt = None
    server.reset()
    again = subprocess.run(command, timeout=PATIENCE_S, capture_output=True, check=True, text=True)
    assert again.stdout.startswith(f"{out}\n")
    assert again.stderr == ""
    record = read_record(out)
    assert record is not None
    assert server.counters.bytes_sent == record.bytes - part
