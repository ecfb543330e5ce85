"""Queries in the language of the Allen API (RMA), read into values.

``model::SectionDataSet[id$eq1],rma::criteria,[failed$eqfalse],genes[acronym$eq'Gad1'],
rma::include,specimen(donor(age)),rma::options[num_rows$eq50][order$eq'id']``
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

OPERATORS = ("eq", "ne", "il", "li", "gt", "lt", "ge", "le", "in")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_QUOTED = re.compile(r"'([^']*)'")
_PLAIN = re.compile(r"[^\[\],']+")


class RmaError(ValueError):
    """A query cannot be understood or answered; the message is for whoever wrote it."""


@dataclass(frozen=True)
class Filter:
    """``[field$eqvalue]``; without operator the field only has to be there.

    Attributes
    ----------
    field : str
    operator : str or None
        One of `OPERATORS`.
    values : tuple of str
        One, or several for ``in``.
    """

    field: str
    operator: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Branch:
    """Filters of a model's rows, and branches for its associations.

    Attributes
    ----------
    filters : tuple of Filter
    associations : tuple of (str, Branch)
        Names of associations, with what is asked of them.
    """

    filters: tuple[Filter, ...] = ()
    associations: tuple[tuple[str, Branch], ...] = ()


@dataclass(frozen=True)
class Query:
    """What is asked for.

    Attributes
    ----------
    model : str
    criteria : Branch
    include : Branch
    options : dict of str to str
        E.g. ``start_row``, ``num_rows``, ``order``, ``count``.
    """

    model: str
    criteria: Branch = Branch()
    include: Branch = Branch()
    options: dict[str, str] = field(default_factory=dict)


def parse_query(text: str) -> Query:
    """Read a whole query, ``model::`` and its clauses.

    Raises
    ------
    RmaError
        Says where the text stops to make sense.
    """
    reader = _Reader(text)
    reader.expect("model::")
    model = reader.name()
    criteria, include = Branch(reader.filters()), Branch()
    options: dict[str, str] = {}
    while reader.accept(","):
        reader.expect("rma::")
        clause = reader.name()
        if clause == "options":
            reader.accept(",")
            options |= _as_options(reader.filters())
            continue
        if clause not in ("criteria", "include"):
            raise RmaError(f"unknown clause rma::{clause}; use criteria, include or options.")
        if not reader.accept(","):
            reader.fail("a comma")
        branch = reader.branch()
        if clause == "criteria":
            criteria = merge(criteria, branch)
        else:
            include = merge(include, branch)
    reader.finish()
    return Query(model, criteria, include, options)


def parse_branch(text: str) -> Branch:
    """Read criteria or an include on their own, e.g. ``[id$eq1],genes(probes)``; may be empty."""
    if not text:
        return Branch()
    reader = _Reader(text)
    branch = reader.branch()
    reader.finish()
    return branch


def merge(first: Branch, second: Branch) -> Branch:
    """Return the filters and associations of both."""
    return Branch(first.filters + second.filters, first.associations + second.associations)


def _as_options(filters: tuple[Filter, ...]) -> dict[str, str]:
    for item in filters:
        if item.operator != "eq":
            raise RmaError(f"option {item.field!r} needs $eq.")
    return {item.field: item.values[0] for item in filters}


class _Reader:
    """Recursive descent over a query's text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def fail(self, wanted: str) -> None:
        rest = self._text[self._at : self._at + 20]
        found = f"{rest!r}" if rest else "the end"
        raise RmaError(f"expected {wanted} at character {self._at}, found {found}.")

    def accept(self, literal: str) -> bool:
        if not self._text.startswith(literal, self._at):
            return False
        self._at += len(literal)
        return True

    def expect(self, literal: str) -> None:
        if not self.accept(literal):
            self.fail(repr(literal))

    def finish(self) -> None:
        if self._at < len(self._text):
            self.fail("the end")

    def name(self) -> str:
        return self._match(_NAME, "a name")

    def branch(self) -> Branch:
        """Read ``[..][..],name[..](..),...`` up to the end, a bracket or the next clause."""
        found = self._item()
        while self._text.startswith(",", self._at) and not self._text.startswith(
            ",rma::", self._at
        ):
            self._at += 1
            found = merge(found, self._item())
        return found

    def _item(self) -> Branch:
        if self._text.startswith("[", self._at):
            return Branch(self.filters())
        name = self.name()
        inner = Branch(self.filters())
        if self.accept("("):
            inner = merge(inner, self.branch())
            self.expect(")")
        return Branch(associations=((name, inner),))

    def filters(self) -> tuple[Filter, ...]:
        found: list[Filter] = []
        while self.accept("["):
            found.append(self._filter())
            self.expect("]")
        return tuple(found)

    def _filter(self) -> Filter:
        name = self.name()
        if not self.accept("$"):
            return Filter(name)
        for operator in OPERATORS:
            if self.accept(operator):
                return Filter(name, operator, self._values(operator))
        self.fail(f"an operator ({', '.join(f'${operator}' for operator in OPERATORS)})")
        raise AssertionError("unreachable")

    def _values(self, operator: str) -> tuple[str, ...]:
        values = [self._value()]
        while operator == "in" and self.accept(","):
            values.append(self._value())
        return tuple(values)

    def _value(self) -> str:
        if self._text.startswith("'", self._at):
            return self._match(_QUOTED, "the closing quote")
        value = self._match(_PLAIN, "a value")
        if " " in value:
            raise RmaError(f"{value!r} has a space and must be quoted: '{value}'.")
        return value

    def _match(self, pattern: re.Pattern[str], wanted: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            self.fail(wanted)
            raise AssertionError("unreachable")
        self._at = match.end()
        return match[match.lastindex or 0]
