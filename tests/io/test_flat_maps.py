"""Flat maps: pixels are rows of a label file; the QUINT tools' own maps come back byte for byte."""

from pathlib import Path

import numpy as np
import pytest

from napari_stria.errors import FormatError, OutputError
from napari_stria.io.flat_maps import encode_flat, read_flat, read_label_ids

LABELS = """# a note
    0     0    0    0        0  0  0    "Clear Label"
997\t255\t255\t255\t1\t1\t1\t"root"
   526157192  38 143  69  1 1 1  "Frontal pole, layer 5"
"""


@pytest.fixture
def label_file(tmp_path: Path) -> Path:
    path = tmp_path / "atlas.label"
    path.write_text(LABELS, encoding="utf-8")
    return path


def test_a_map_goes_out_and_back(label_file: Path, tmp_path: Path) -> None:
    ids = read_label_ids(label_file)
    assert ids.tolist() == [0, 997, 526157192]
    labels = np.array([[0, 997, 0, 997], [526157192, 0, 0, 0]], dtype=np.uint32)
    data = encode_flat(labels, ids)
    # A byte a pixel; width 4, height 2.
    assert data == bytes([1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 1, 0, 1, 2, 0, 0, 0])
    (tmp_path / "a.flat").write_bytes(data)
    np.testing.assert_array_equal(read_flat(tmp_path / "a.flat", ids), labels)
    np.testing.assert_array_equal(read_flat(tmp_path / "a.flat"), [[0, 1, 0, 1], [2, 0, 0, 0]])


def test_of_an_id_that_is_there_twice_the_first_row_is_taken() -> None:
    ids = np.array([0, 7, 5, 7, 5])
    data = encode_flat(np.array([[7, 5]]), ids)
    assert data[-2:] == bytes([1, 2])


def test_the_tools_own_maps_byte_for_byte(real_data: Path) -> None:
    folder = real_data / "quint" / "visualign_oblique"
    ids = read_label_ids(folder / "atlas.label")
    assert len(ids) > 256
    for file in sorted(folder.glob("*.flat")):
        assert encode_flat(read_flat(file, ids), ids) == file.read_bytes()


def test_a_region_that_the_label_file_lacks_is_named(label_file: Path) -> None:
    with pytest.raises(OutputError, match=r"lacks 1 ids of the map \(8\)"):
        encode_flat(np.array([[0, 8, 997]]), read_label_ids(label_file))


@pytest.mark.parametrize("text", ["", "997 1 1 1\n", "0 0\nabc 1\n"])
def test_what_is_no_label_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.label"
    path.write_text(text)
    with pytest.raises(FormatError, match="no label file"):
        read_label_ids(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_label_ids(tmp_path / "none.label")


@pytest.mark.parametrize("cut", [0, 5, -1])
def test_a_cut_map(tmp_path: Path, cut: int) -> None:
    data = encode_flat(np.zeros((3, 4), np.uint32), np.array([0]))
    path = tmp_path / "a.flat"
    path.write_bytes(data[:cut])
    with pytest.raises(FormatError, match="not whole"):
        read_flat(path)
    path.write_bytes(data[:-1] + b"\x09")
    with pytest.raises(FormatError, match="the row 9"):
        read_flat(path, np.array([0]))
