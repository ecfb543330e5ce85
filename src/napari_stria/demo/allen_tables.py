"""A little relational database in memory: rows of models, and how models are associated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Association:
    """How rows of a model lead to rows of another one.

    Attributes
    ----------
    target : str
        The other model.
    rows : mapping of int to tuple of dict
        The other model's rows by this model's id; ids without any may be absent.
    is_list : bool
        Whether there may be several; else there is one or none.
    absent_if_none : bool
        For single rows: leave the key out of an answer where there is none, instead of null.
    """

    target: str
    rows: Mapping[int, tuple[Row, ...]]
    is_list: bool
    absent_if_none: bool = False


class Tables:
    """All models of the practice API.

    Parameters
    ----------
    rows : mapping of str to list of dict
        The rows of each model; each has an id.
    """

    def __init__(self, rows: Mapping[str, list[Row]]) -> None:
        self._rows = rows
        self._by_id = {model: {int(row["id"]): row for row in some} for model, some in rows.items()}
        self._associations: dict[str, dict[str, Association]] = {model: {} for model in rows}

    @property
    def models(self) -> list[str]:
        """Their names."""
        return list(self._rows)

    def rows(self, model: str) -> list[Row]:
        """Return a model's rows by id."""
        return self._rows[model]

    def row(self, model: str, number: int) -> Row | None:
        """Return the row with an id, None if there is none."""
        return self._by_id[model].get(number)

    def fields(self, model: str) -> set[str]:
        """Return the names of a model's columns."""
        return {name for row in self._rows[model][:1] for name in row}

    def associations(self, model: str) -> dict[str, Association]:
        """Return a model's associations by name."""
        return self._associations[model]

    def refer(self, model: str, name: str, target: str) -> None:
        """Let each row lead to the one whose id is in its column ``{name}_id``."""
        rows = {
            row["id"]: (self._by_id[target][row[f"{name}_id"]],)
            for row in self._rows[model]
            if row[f"{name}_id"] is not None
        }
        self._associations[model][name] = Association(target, rows, is_list=False)

    def own(self, model: str, name: str, target: str, column: str, *, many: bool) -> None:
        """Let each row lead to the target's rows which have its id in a column."""
        found: dict[int, list[Row]] = {}
        for row in self._rows[target]:
            found.setdefault(row[column], []).append(row)
        self._associations[model][name] = Association(
            target,
            {number: tuple(some) for number, some in found.items()},
            is_list=many,
            absent_if_none=name == "alignment2d",
        )

    def link(self, model: str, name: str, target: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Let rows lead to many rows: pairs of the model's and the target's ids."""
        found: dict[int, list[Row]] = {}
        for number, other in pairs:
            found.setdefault(number, []).append(self._by_id[target][other])
        rows = {number: tuple(some) for number, some in found.items()}
        self._associations[model][name] = Association(target, rows, is_list=True)
