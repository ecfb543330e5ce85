"""``docs/performance.md``: one table of all parts; a part that is not run keeps its figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
_HEAD = """\
# Performance

Written by `make bench`, which measures everything anew (about 20 minutes); `make bench
ARGS=atlas`, `planes`, `points` or `allensdk` measures one part and leaves the others' figures. The
public 25 µm data are looked for beside the repository, in `../shared/real`. Seconds depend on the
machine: compare the ratios, whose sides took turns in one run.

BrainGlobe's look-up of a point is measured where `NAPARI_STRIA_BRAINGLOBE_PYTHON` names a Python
that has brainglobe-atlasapi; with pandas 2, since under pandas 3 its version 3.0.2 does not read
the Allen terminology.

Against AllenSDK every call is a first one, on the volume in memory: a new `ReferenceSpace` there, a
new `Atlas` here, nothing counted or kept from the call before, lazy results computed; and both must
give the same bytes and counts. Right before a call its process touches and frees 320 MB, because
virtual machines get memory that slept back from their host slowly. AllenSDK is installed from PyPI
into an environment of its own in the cache (0.8 GB), unless `NAPARI_STRIA_ALLENSDK_PYTHON` names a
Python that has it.
"""
_TABLE_HEAD = "| part | what | measured | against | target |\n|---|---|---|---|---|"
_ROW = re.compile(r"\| *(.*?) *\| *(.*?) *\| *(.*?) *\| *(.*?) *\| *(.*?) *\|")
_CONDITIONS = re.compile(r"- `(\w+)`: (.*)")


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, against what, and what it should be."""

    what: str
    measured: str
    against: str
    target: str = ""


@dataclass(frozen=True)
class Part:
    """The rows of one part, and when and with which versions they were measured."""

    conditions: str
    rows: tuple[Row, ...]


def written(parts: Mapping[str, Part]) -> str:
    """Return the page."""
    rows = [
        f"| {name} | {row.what} | {row.measured} | {row.against} | {row.target} |"
        for name, part in parts.items()
        for row in part.rows
    ]
    conditions = [f"- `{name}`: {part.conditions}" for name, part in parts.items()]
    return "\n".join([_HEAD, *conditions, "", _TABLE_HEAD, *rows, ""])


def read(lines: Iterable[str]) -> dict[str, Part]:
    """Return the parts of a page that `written` made."""
    conditions: dict[str, str] = {}
    rows: dict[str, list[Row]] = {}
    for line in lines:
        if found := _CONDITIONS.fullmatch(line):
            conditions[found[1]] = found[2]
        elif (found := _ROW.fullmatch(line)) and found[1] in conditions:
            rows.setdefault(found[1], []).append(Row(*found.groups()[1:]))
    return {name: Part(text, tuple(rows.get(name, ()))) for name, text in conditions.items()}
