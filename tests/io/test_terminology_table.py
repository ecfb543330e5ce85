"""Terminology files as tables: nothing rounded, renamed or lost."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_stria import read_terminology
from napari_stria.demo.server import DemoServer
from napari_stria.errors import AtlasNotFoundError, CorruptDataError, FormatError, NetworkError

TEXT = """identifier,parent_identifier,annotation_value,name,abbreviation,root_identifier_path
997,,997,root,root,[997]
9007199254740993,997,3000000001,"Area ""X"", part",NA,"[997, 9007199254740993]"
50073,9007199254740993.0,182305689,null,12,"[997, 9007199254740993, 50073]"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "terminology.csv"
    path.write_text(TEXT)
    return path


def test_numbers_are_exact_and_texts_stay(file: Path) -> None:
    frame = read_terminology(file)
    assert list(frame.columns) == TEXT.splitlines()[0].split(",")
    assert frame["identifier"].dtype == frame["annotation_value"].dtype == np.int64
    assert frame["parent_identifier"].dtype == "Int64"
    assert frame["identifier"].tolist() == [997, 9007199254740993, 50073]
    assert frame["annotation_value"].tolist() == [997, 3_000_000_001, 182_305_689]
    assert frame["parent_identifier"].isna().tolist() == [True, False, False]
    assert frame["parent_identifier"][2] == 9007199254740993
    assert frame["name"].tolist() == ["root", 'Area "X", part', "null"]
    assert frame["abbreviation"].tolist() == ["root", "NA", "12"]
    assert frame["abbreviation"].str.startswith("1").tolist() == [False, False, True]


def test_it_is_pandas_own_table_where_that_is_exact(
    toy_rows: Any, csv_of: Any, tmp_path: Path
) -> None:
    text = csv_of(toy_rows)
    (tmp_path / "structures.csv").write_text(text, encoding="utf-8-sig")
    frame = read_terminology(tmp_path / "structures.csv")
    expected = pd.read_csv(io.StringIO(text))
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)


def test_over_http_and_s3(file: Path, s3_server: Any) -> None:
    expected = read_terminology(file)
    with DemoServer(file.parent) as server:
        found = read_terminology(f"{server.url}/terminology.csv")
        pd.testing.assert_frame_equal(found, expected)
        with pytest.raises(AtlasNotFoundError, match="does not exist"):
            read_terminology(f"{server.url}/nothing.csv")
    uri = f"s3://{s3_server.public_bucket}/tables/terminology.csv"
    s3_server.put(uri, file.read_bytes())
    found = read_terminology(uri, storage_options=s3_server.anonymous_options)
    pd.testing.assert_frame_equal(found, expected)
    with pytest.raises(NetworkError):
        read_terminology("http://127.0.0.1:9/t.csv", storage_options={"attempts": 1})


def test_digests_and_files_that_are_no_tables(file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(read_terminology(file, sha256=digest.upper())) == 3
    with pytest.raises(CorruptDataError, match="sha256"):
        read_terminology(file, sha256="0" * 64)
    for content in (b"", b'a,b\n1,2,3,4\n1\n"', b"\xff\xfe\x00"):
        file.write_bytes(content)
        with pytest.raises(FormatError, match="is not a CSV file"):
            read_terminology(file)
