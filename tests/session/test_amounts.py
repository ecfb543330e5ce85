"""How amounts of bytes, and times, are written."""

from __future__ import annotations

import pytest

from napari_stria.session.amounts import bytes_text, duration_text, transfer_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_815_000_000, "4.8 GB"),
        (2 * 10**15, "2000 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert bytes_text(size) == text


def test_durations() -> None:
    assert [duration_text(s) for s in (0.2, 59, 61, 5400)] == ["1 s", "59 s", "1 min", "1.5 h"]


def test_transfers() -> None:
    assert transfer_text(1000, 4000, None) == "1.0 kB of 4.0 kB"
    assert transfer_text(1000, 4000, 1500.0) == "1.0 kB of 4.0 kB · 1.5 kB/s · 2 s left"
