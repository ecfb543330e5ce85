"""Answers to queries: which rows match, in what order, how many, and what they include."""

from __future__ import annotations

import random
import re
from typing import Any

from napari_stria.demo.allen_tables import Association, Row, Tables
from napari_stria.demo.rma_syntax import Branch, Filter, Query, RmaError, merge

_DEFAULT_ROWS = 50
_OPTIONS = ("start_row", "num_rows", "order", "count")
_ORDER = re.compile(r"(?:\w+\.)?(\w+)(?:[$+ ](asc|desc))?")
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def answer_query(tables: Tables, query: Query, *, row_cap: int, seed: int) -> dict[str, Any]:
    """Return the envelope with a page of the matching rows.

    Parameters
    ----------
    tables : Tables
    query : Query
    row_cap : int
        Most rows of a page; who asks for more gets so many without being told.
    seed : int
        Rows of an answer that is only a page, and for which no order was asked, are shuffled by
        it.

    Returns
    -------
    dict
        The API's envelope. With ``count$eqfalse`` its total_rows is that of the page.

    Raises
    ------
    RmaError
        If the query asks for what does not exist.
    """
    check_model(tables, query.model)
    unknown = [name for name in query.options if name not in _OPTIONS]
    if unknown:
        raise RmaError(f"unknown option {unknown[0]!r}; use one of {', '.join(_OPTIONS)}.")
    # An include may have filters, which select as criteria do; without any it selects nothing.
    criteria = merge(query.criteria, _selecting(query.include))
    check_branch(tables, query.model, query.criteria)
    check_branch(tables, query.model, query.include)
    rows = [row for row in tables.rows(query.model) if _matches(tables, query.model, row, criteria)]
    start, count = _page(query.options, len(rows), row_cap)
    order = query.options.get("order")
    if order is not None:
        rows = _ordered(tables, query.model, rows, order)
    elif count < len(rows):
        random.Random(seed).shuffle(rows)
    page = [shown(tables, query.model, row, query.include) for row in rows[start : start + count]]
    counted = query.options.get("count", "true") != "false"
    return envelope(page, start_row=start, total_rows=len(rows) if counted else len(page))


def envelope(rows: list[Row], *, start_row: int = 0, total_rows: int) -> dict[str, Any]:
    """Return the API's envelope around rows."""
    return {
        "success": True,
        "id": 0,
        "start_row": start_row,
        "num_rows": len(rows),
        "total_rows": total_rows,
        "msg": rows,
    }


def error_envelope(message: str) -> dict[str, Any]:
    """Return the API's envelope of an error, which comes with status 200."""
    empty = {"start_row": 0, "num_rows": 0, "total_rows": 0}
    return {"success": False, "id": 0, **empty, "msg": message}


def shown(tables: Tables, model: str, row: Row, include: Branch) -> Row:
    """Return a copy of a row with the associated rows that are included."""
    result = dict(row)
    for name, inner in include.associations:
        association = tables.associations(model)[name]
        found = [
            shown(tables, association.target, other, inner)
            for other in _related(association, row)
            if _matches(tables, association.target, other, Branch(inner.filters))
        ]
        if association.is_list:
            result[name] = found
        elif found or not association.absent_if_none:
            result[name] = found[0] if found else None
    return result


def check_model(tables: Tables, model: str) -> None:
    """Raise `RmaError` for a model that does not exist."""
    if model not in tables.models:
        raise RmaError(f"unknown model {model!r}; there are {', '.join(tables.models)}.")


def check_branch(tables: Tables, model: str, branch: Branch) -> None:
    """Raise `RmaError` for a field or an association that does not exist."""
    fields = tables.fields(model)
    for item in branch.filters:
        if item.field not in fields:
            raise RmaError(f"{model} has no field {item.field!r}; it has {sorted(fields)}.")
    known = tables.associations(model)
    for name, inner in branch.associations:
        if name not in known:
            raise RmaError(f"{model} has no association {name!r}; it has {sorted(known)}.")
        check_branch(tables, known[name].target, inner)


def _related(association: Association, row: Row) -> tuple[Row, ...]:
    return association.rows.get(row["id"], ())


def _selecting(include: Branch) -> Branch:
    """Return those parts of an include that have filters."""
    inner = ((name, _selecting(branch)) for name, branch in include.associations)
    kept = tuple((name, branch) for name, branch in inner if branch != Branch())
    return Branch(include.filters, kept)


def _matches(tables: Tables, model: str, row: Row, branch: Branch) -> bool:
    if not all(_passes(row[item.field], item) for item in branch.filters):
        return False
    known = tables.associations(model)
    return all(
        any(
            _matches(tables, known[name].target, other, inner)
            for other in _related(known[name], row)
        )
        for name, inner in branch.associations
    )


def _passes(actual: Any, wanted: Filter) -> bool:
    if wanted.operator is None:
        return actual is not None
    if actual is None or wanted.values == ("null",):
        is_null = actual is None
        return wanted.values == ("null",) and is_null == (wanted.operator == "eq")
    if wanted.operator in ("il", "li"):
        flags = re.IGNORECASE if wanted.operator == "il" else 0
        pattern = ".*".join(re.escape(part) for part in wanted.values[0].split("*"))
        return re.fullmatch(pattern, str(actual), flags) is not None
    values = [_converted(value, actual, wanted.field) for value in wanted.values]
    if wanted.operator == "in":
        return actual in values
    return _compare(actual, wanted.operator, values[0])


def _compare(actual: Any, operator: str, value: Any) -> bool:
    results = {
        "eq": actual == value,
        "ne": actual != value,
        "gt": actual > value,
        "lt": actual < value,
        "ge": actual >= value,
        "le": actual <= value,
    }
    return bool(results[operator])


def _converted(text: str, like: Any, name: str) -> Any:
    """Return a query's text as the type of a column."""
    if isinstance(like, bool):
        if text.lower() not in _BOOLEANS:
            raise RmaError(f"field {name!r} is true or false, not {text!r}.")
        return _BOOLEANS[text.lower()]
    if isinstance(like, int | float):
        try:
            return float(text)
        except ValueError:
            raise RmaError(f"field {name!r} is a number, not {text!r}.") from None
    return text


def _page(options: dict[str, str], matching: int, row_cap: int) -> tuple[int, int]:
    start = _whole(options.get("start_row", "0"), "start_row")
    asked = options.get("num_rows", str(_DEFAULT_ROWS))
    count = matching if asked == "all" else _whole(asked, "num_rows")
    return start, min(count, row_cap)


def _whole(text: str, name: str) -> int:
    if not text.isdecimal():
        raise RmaError(f"option {name!r} is a whole number from 0, not {text!r}.")
    return int(text)


def _ordered(tables: Tables, model: str, rows: list[Row], order: str) -> list[Row]:
    match = _ORDER.fullmatch(order)
    if match is None or match[1] not in tables.fields(model):
        raise RmaError(f"{model} cannot be ordered by {order!r}; use e.g. 'id' or 'id$desc'.")
    name = match[1]
    # Rows of equal value stay by id, nulls come last.
    return sorted(
        rows,
        key=lambda row: (
            (row[name] is not None, row[name])
            if match[2] == "desc"
            else (row[name] is None, row[name])
        ),
        reverse=match[2] == "desc",
    )
