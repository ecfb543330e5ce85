"""What is asked of the Allen API, in its query language (RMA), and the envelope of its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from napari_stria.errors import CorruptDataError, ServerAnswerError, UnsupportedSourceError
from napari_stria.io.allen_checks import checked_id
from napari_stria.io.allen_fields import Record, integer_or_none
from napari_stria.io.section_images import encoded

PAGE_ROWS = 2000

_DATASET_INCLUDE = (
    "specimen(donor(age)),products,genes,treatments,plane_of_section,alignment3d,equalization,"
    "section_images(alignment2d)"
)
_SUMMARY_INCLUDE = "genes,plane_of_section,products,specimen(donor(age))"


@dataclass(frozen=True)
class Page:
    """One answer: its records, where they begin among all, and how many there are."""

    records: tuple[Record, ...]
    num_rows: int
    total_rows: int | None


def parse_page(body: bytes) -> Page:
    """Return the records of an answer.

    Raises
    ------
    CorruptDataError
        If it is no answer of this API, such as a web page or half a text, or its rows are none.
    ServerAnswerError
        If the API says that it refuses, with its own words.
    """
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = "a web page" if body.lstrip()[:1] == b"<" else "no JSON"
        raise CorruptDataError(f"the server sent {kind} where data were due.") from error
    if not isinstance(envelope, Mapping):
        raise CorruptDataError("the server sent something else than an answer of the Allen API.")
    message = envelope.get("msg")
    if envelope.get("success") is False:
        said = message if isinstance(message, str) else json.dumps(message)
        said = " ".join(said.split())[:300]
        raise ServerAnswerError(f"the Allen API refused the request: {said}")
    rows = [message] if isinstance(message, Mapping) else message
    if not isinstance(rows, list):
        raise CorruptDataError("the server's answer holds no records.")
    records = tuple(row for row in rows if isinstance(row, Mapping))
    # All records have a number. Without this, a broken answer would say that nothing was found.
    if rows and all(integer_or_none(record, "id") is None for record in records):
        raise CorruptDataError("the server's answer holds rows, but none is a record.")
    echoed = integer_or_none(envelope, "num_rows")
    total = integer_or_none(envelope, "total_rows")
    return Page(records, echoed if echoed and echoed > 0 else len(rows), total)


def dataset_path(dataset_id: int) -> str:
    """Return the request for all of a dataset's metadata."""
    return f"/data/SectionDataSet/{dataset_id}.json?{encoded({'include': _DATASET_INCLUDE})}"


def image_path(image_id: int) -> str:
    """Return the request for the metadata of one image."""
    return f"/data/SectionImage/{image_id}.json?{encoded({'include': 'alignment2d'})}"


def count_path(dataset_id: int) -> str:
    """Return the request for the number of a dataset's images."""
    return _query_path(
        f"model::SectionImage,rma::criteria,[data_set_id$eq{dataset_id}],rma::options[num_rows$eq1]"
    )


def structures_path(graph_id: int, start_row: int) -> str:
    """Return the request for the structures of a graph with their sets, from a row on."""
    return _query_path(
        f"model::Structure,rma::criteria,[graph_id$eq{graph_id}],rma::include,structure_sets,"
        f"rma::options[num_rows$eq{PAGE_ROWS}][start_row$eq{start_row}]"
        "[order$eqstructures.graph_order]"
    )


@dataclass(frozen=True)
class DatasetSearch:
    """What a search asks for; see `AllenApi.search_datasets`."""

    gene: str | None = None
    plane: str | None = None
    product: str | None = None
    specimen: int | str | None = None
    include_failed: bool = False

    def __post_init__(self) -> None:
        for name in ("gene", "plane", "product"):
            object.__setattr__(self, name, _text_or_none(name, getattr(self, name)))
        if self.gene is None and self.plane is None and self.specimen is None:
            raise UnsupportedSourceError(
                "a search needs a gene, a plane or a specimen; the whole catalogue is too large."
            )

    def path(self, start_row: int) -> str:
        """Return the request for the rows from `start_row` on, always in the order of their ids."""
        return _query_path(
            f"model::SectionDataSet,rma::criteria,{','.join(self._criteria())},"
            f"rma::include,{_SUMMARY_INCLUDE},"
            f"rma::options[num_rows$eq{PAGE_ROWS}][start_row$eq{start_row}][order$eq'id']"
        )

    def _criteria(self) -> list[str]:
        own = [] if self.include_failed else ["[failed$eq'false']"]
        if self.specimen is not None and not _is_name(self.specimen):
            own.append(f"[specimen_id$eq{checked_id(self.specimen, 'specimen')}]")
        others = []
        if self.product is not None:
            others.append(f"products[abbreviation$eq{_quoted('product', self.product)}]")
        if self.plane is not None:
            others.append(f"plane_of_section[name$il{_quoted('plane', self.plane)}]")
        if self.specimen is not None and _is_name(self.specimen):
            others.append(f"specimen[name$eq{_quoted('specimen', str(self.specimen).strip())}]")
        if self.gene is not None:
            pattern = re.sub(r"['\\\x00-\x1f\x7f]", "*", self.gene)
            # $il and not $eq, for which "gad1" would not be "Gad1".
            others.append(f"genes[acronym$il'{pattern}']")
        return ["".join(own), *others] if own else others

    def keeps(self, genes: tuple[str, ...]) -> bool:
        """Whether a row has such a gene.

        The server's wildcards stand in for characters that its quotes cannot hold, and are free to
        take ``_`` and ``%`` for wildcards too; so that the rows are looked at again here.
        """
        if self.gene is None or re.search(r"['\\\x00-\x1f\x7f*_%]", self.gene) is None:
            return True
        parts = [re.escape(part) for part in self.gene.split("*")]
        pattern = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
        return any(pattern.fullmatch(gene) for gene in genes)


def _query_path(criteria: str) -> str:
    return f"/data/query.json?{encoded({'criteria': criteria})}"


def _is_name(specimen: int | str) -> bool:
    return isinstance(specimen, str) and not specimen.strip().isdigit()


def _text_or_none(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise UnsupportedSourceError(f"the {name} to search for is a text, not {value!r}.")
    return value.strip()


def _quoted(name: str, text: str) -> str:
    """Return a text as RMA quotes it; what would end the quotation is refused."""
    if not text or re.search(r"['\\\x00-\x1f\x7f]", text):
        raise UnsupportedSourceError(f"the {name} to search for cannot be {text!r}.")
    return f"'{text}'"
