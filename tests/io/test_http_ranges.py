"""Which answers go on where a download ended."""

from __future__ import annotations

import pytest

from napari_stria.io.http_ranges import part_of_answer, range_headers, validator
from napari_stria.io.sinks import BodyPart, Held

TAG, DATE = '"abc"', "Fri, 14 Jul 2017 02:40:00 GMT"
HELD = Held(400, 1000, TAG)
REST = {"Content-Range": "bytes 400-999/1000", "ETag": TAG, "Last-Modified": DATE}


def test_a_beginning_asks_for_everything_as_it_is() -> None:
    assert range_headers(None) == {"Accept-Encoding": "identity"}


def test_a_rest_is_asked_for_under_the_condition_that_the_file_is_the_same() -> None:
    asked = range_headers(HELD)
    assert (asked["Range"], asked["If-Range"]) == ("bytes=400-", TAG)


def test_a_rest_that_fits() -> None:
    assert part_of_answer(206, REST, HELD) == BodyPart(400, 1000, TAG, DATE)
    dated = Held(400, 1000, DATE)
    assert part_of_answer(206, REST, dated) == BodyPart(400, 1000, TAG, DATE)
    unsaid = {"Content-Range": REST["Content-Range"]}
    assert part_of_answer(206, unsaid, HELD) == BodyPart(400, 1000, "", "")


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (206, {"Content-Range": "bytes 0-999/1000"}),
        (206, {"Content-Range": "bytes 400-998/1000"}),
        (206, {"Content-Range": "bytes 400-1999/2000"}),
        (206, {"Content-Range": "bytes 400-999/*"}),
        (206, {"Content-Range": ""}),
        (206, {"ETag": '"other"'}),
        (206, {"Content-Encoding": "gzip"}),
        (416, {"Content-Range": "bytes */300"}),
    ],
)
def test_what_does_not_fit_is_refused(status: int, wrong: dict[str, str]) -> None:
    assert part_of_answer(status, {**REST, **wrong}, HELD) is None


def test_a_date_that_differs_is_refused() -> None:
    assert part_of_answer(206, REST, Held(400, 1000, "Thu, 13 Jul 2017 02:40:00 GMT")) is None


def test_a_whole_file_begins_anew_whatever_was_held() -> None:
    headers = {"Content-Length": "700", "ETag": TAG, "Last-Modified": DATE}
    assert part_of_answer(200, headers, HELD) == BodyPart(0, 700, TAG, DATE)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "70", "Content-Encoding": "gzip"}])
def test_a_body_without_a_usable_length_cannot_be_gone_on_with(headers: dict[str, str]) -> None:
    assert part_of_answer(200, {**headers, "ETag": TAG}, None) == BodyPart(0, None, "", "")


def test_weak_tags_compare_nothing() -> None:
    assert validator(TAG, DATE) == TAG
    assert validator('W/"abc"', DATE) == DATE
    assert validator('W/"abc"', "") == ""
