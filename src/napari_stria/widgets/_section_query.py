"""What a user typed: the id of a dataset, a gene, or neither."""

from __future__ import annotations

import re
from dataclasses import dataclass

EMPTY_HINT = "Type the id of a dataset, such as 71717640, or a gene, such as Gad1."


@dataclass(frozen=True)
class Query:
    """A dataset to load or a gene to look for; else a hint what to type.

    Attributes
    ----------
    dataset_id : int or None
    gene : str
    hint : str
        One sentence, if it is neither.
    """

    dataset_id: int | None = None
    gene: str = ""
    hint: str = ""


def parsed_query(text: str) -> Query:
    """Return what a text asks for: digits are an id, anything else is a gene."""
    text = text.strip()
    if not text:
        return Query(hint=EMPTY_HINT)
    if text.isascii() and text.isdigit():
        if len(text) > 18:
            return Query(hint=f"No dataset's id has as many digits as {text[:20]}…; check it.")
        return Query(dataset_id=int(text))
    if re.fullmatch(r"[+-]?\d+(?:[.,]\d*)?", text):
        return Query(hint=f"The id of a dataset is a whole number above 0, not {text}.")
    if not text.strip("*"):
        return Query(hint="Type at least one letter of the gene beside the *.")
    if re.search(r"[\s,;]", text):
        return Query(hint="Type one gene without spaces; * stands for any letters, as in Gad*.")
    return Query(gene=text)
