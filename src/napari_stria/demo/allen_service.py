"""The practice sections behind the routes of the Allen API."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from napari_stria.demo.allen_images import ImageService
from napari_stria.demo.allen_records import practice_tables
from napari_stria.demo.allen_structures import structure_graph
from napari_stria.demo.allen_sync import image_to_reference, reference_to_image
from napari_stria.demo.replies import Reply, json_reply
from napari_stria.demo.rma_answers import (
    answer_query,
    check_branch,
    check_model,
    envelope,
    error_envelope,
    shown,
)
from napari_stria.demo.rma_syntax import Query, RmaError, parse_branch, parse_query

API_PREFIX = "/api/v2"

_OPTIONS = ("start_row", "num_rows", "order", "count")
_Asked = Mapping[str, str]


class AllenService:
    """Answers what the Allen API answers, for the practice sections.

    Parameters
    ----------
    folder : Path
        The practice root, for its template.

    Attributes
    ----------
    row_cap : int
        Most rows of one answer; who asks for more gets so many without being told.
    """

    def __init__(self, folder: Path) -> None:
        self.row_cap = 2000
        self._folder = folder
        self._lock = threading.Lock()
        self._images: ImageService | None = None
        self._queries = itertools.count(1)
        self._routes: list[tuple[re.Pattern[str], Callable[..., Reply]]] = [
            (re.compile(r"/data/query\.json"), self._query),
            (re.compile(r"/data/([A-Za-z]\w*)/query\.json"), self._model_query),
            (re.compile(r"/data/([A-Za-z]\w*)/(\d+)\.json"), self._by_id),
            (re.compile(r"/structure_graph_download/(\d+)\.json"), self._structure_graph),
            (re.compile(r"/(?:section_)?image_download/(\d+)"), self._image),
            (re.compile(r"/image_to_reference/(\d+)\.json"), self._to_reference),
            (re.compile(r"/reference_to_image/(\d+)\.json"), self._to_image),
        ]

    def reply(self, path: str, query: str) -> Reply | None:
        """Return the answer to a request, None if the path is no route of the API.

        Parameters
        ----------
        path : str
            Decoded, with or without ``/api/v2``.
        query : str
            What follows the question mark, still encoded.
        """
        for route, answer in self._routes:
            match = route.fullmatch(path.removeprefix(API_PREFIX))
            if match is not None:
                asked = dict(parse_qsl(query, keep_blank_values=True))
                try:
                    return answer(asked, *match.groups())
                except RmaError as error:
                    return json_reply(error_envelope(str(error)))
        return None

    def _query(self, asked: _Asked) -> Reply:
        text = asked.get("criteria", asked.get("q"))
        if text is None:
            raise RmaError("a query needs criteria= or q=.")
        return self._answer(parse_query(text), asked)

    def _model_query(self, asked: _Asked, model: str) -> Reply:
        criteria = parse_branch(asked.get("criteria", ""))
        return self._answer(Query(model, criteria, parse_branch(asked.get("include", ""))), asked)

    def _answer(self, query: Query, asked: _Asked) -> Reply:
        more = {name: asked[name].strip("'") for name in _OPTIONS if name in asked}
        whole = Query(query.model, query.criteria, query.include, query.options | more)
        seed = next(self._queries)
        content = answer_query(practice_tables(), whole, row_cap=self.row_cap, seed=seed)
        return json_reply(content)

    def _by_id(self, asked: _Asked, model: str, number: str) -> Reply:
        tables = practice_tables()
        check_model(tables, model)
        include = parse_branch(asked.get("include", ""))
        check_branch(tables, model, include)
        row = tables.row(model, int(number))
        rows = [] if row is None else [shown(tables, model, row, include)]
        return json_reply(envelope(rows, total_rows=len(rows)))

    def _structure_graph(self, _asked: _Asked, number: str) -> Reply:
        roots = structure_graph(int(number))
        return json_reply(envelope(roots, total_rows=len(roots)))

    def _image(self, asked: _Asked, number: str) -> Reply:
        with self._lock:
            if self._images is None:
                self._images = ImageService(self._folder)
        return self._images.reply(int(number), asked)

    def _to_reference(self, asked: _Asked, number: str) -> Reply:
        x, y = (_number(asked, name) for name in ("x", "y"))
        return _sync_reply(image_to_reference(practice_tables(), int(number), x, y))

    def _to_image(self, asked: _Asked, number: str) -> Reply:
        p, i, r = (_number(asked, name) for name in ("x", "y", "z"))
        texts = asked.get("section_data_set_ids", "").split(",")
        if not all(text.isdecimal() for text in texts):
            raise RmaError("section_data_set_ids needs ids, with commas between them.")
        datasets = [int(text) for text in texts]
        return _sync_reply(reference_to_image(practice_tables(), int(number), (p, i, r), datasets))


def _sync_reply(content: dict[str, Any] | str) -> Reply:
    return json_reply(error_envelope(content) if isinstance(content, str) else content)


def _number(asked: _Asked, name: str) -> float:
    try:
        return float(asked[name])
    except (KeyError, ValueError):
        raise RmaError(f"{name} needs a number, not {asked.get(name)!r}.") from None
