"""The package as a whole: what it exports, imports and declares."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_stria as stria

TOP = Path(__file__).resolve().parents[1]


def test_every_public_name_is_there() -> None:
    for name in stria.__all__:
        assert getattr(stria, name).__doc__
    assert set(stria.__all__) <= set(dir(stria))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        stria.nonsense  # noqa: B018


def test_importing_is_light() -> None:
    code = (
        "import sys, json, napari_stria; "
        "print(json.dumps([m for m in ('qtpy', 'PyQt6', 'napari', 'requests', 'zarr', 'numpy') "
        "if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == []


def test_the_manifest_is_valid_and_points_to_what_exists() -> None:
    manifest = PluginManifest.from_file(TOP / "src" / "napari_stria" / "napari.yaml")
    manifest.validate_imports()
    assert (TOP / "napari.yaml").read_text() == (
        TOP / "src" / "napari_stria" / "napari.yaml"
    ).read_text()


def test_errors_are_builtins_too() -> None:
    assert issubclass(stria.AtlasNotFoundError, LookupError)
    assert issubclass(stria.RegionNotFoundError, KeyError)
    assert issubclass(stria.FormatError, ValueError)
    assert issubclass(stria.NetworkError, OSError)
    assert str(stria.RegionNotFoundError("a sentence.")) == "a sentence."


def test_only_bound_methods_wait_for_qt_to_destroy_something() -> None:
    """PyQt calls a lambda or a partial that the garbage collector cleared: the program ends."""
    waiting = [
        node
        for path in (TOP / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".destroyed.connect")
    ]
    assert waiting
    assert [ast.unparse(n) for n in waiting if not isinstance(n.args[0], ast.Attribute)] == []
