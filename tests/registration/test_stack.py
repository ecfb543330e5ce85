"""Which section shows a point, and where: against a loop over all sections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.errors import CoordinateError, ReferenceSpaceError
from napari_stria.registration.stack import SectionStack, section_stack

Invent = Callable[..., Any]
F64 = npt.NDArray[np.float64]
UNEVEN = (100, 108, 116, 124, 190, 198, 206, 230)


def allen_point(atlas_um: F64, space: str, mirrored: bool) -> F64:
    """p, i, r of an atlas point, by the rules on the page of facts."""
    p, i, ml = atlas_um
    r = 11387.5 - ml if space == "asr" else ml - 12.5
    return np.array([p - 12.5, i - 12.5, 11400 - r if mirrored else r])


def shown_by(made: Any, pir: F64, placement: str, hidden: set[int]) -> tuple[Any, F64] | None:
    """The section that shows a point and its pixel; None where none does."""
    sections = made.dataset.sections
    if placement == "exact":
        at = made.position(pir)
        places = [s.section_number * made.dataset.section_thickness_um for s in sections]
    else:
        at = pir[made.fixed]
        places = [made.place(s, 0, 0)[made.fixed] for s in sections]
    steps = np.diff(sorted(places))
    half = np.median(steps) / 2 if len(steps) else made.dataset.section_thickness_um / 2
    best = min(range(len(sections)), key=lambda n: abs(places[n] - at))
    if placement == "exact":
        covered = abs(places[best] - at) <= half
    else:
        covered = min(places) - half <= at <= max(places) + half
    if not covered or sections[best].image_id in hidden:
        return None
    if placement == "parallel":
        pir = pir.copy()
        pir[made.fixed] = places[best]
    return sections[best], made.pixel(sections[best], pir)


def random_points(made: Any, space: str, mirrored: bool, placement: str, n: int = 150) -> F64:
    """Atlas points around the sections, most of them where one shows something."""
    rng = np.random.default_rng(7)
    points = []
    for _ in range(n):
        section = made.dataset.sections[rng.integers(len(made.dataset.sections))]
        pir = made.place(section, *rng.uniform(0, 7000, 2))
        if placement == "parallel":
            pir[made.fixed] = made.place(section, 0, 0)[made.fixed]
        pir[made.fixed] += rng.normal(0, 200)
        r = 11400 - pir[2] if mirrored else pir[2]
        ml = 11387.5 - r if space == "asr" else r + 12.5
        points.append([pir[0] + 12.5, pir[1] + 12.5, ml])
    return np.array(points)


def compare(made: Any, stack: SectionStack, space: str, mirrored: bool, placement: str) -> int:
    """Compare point by point; return how many are shown."""
    shown = 0
    points = random_points(made, space, mirrored, placement)
    owners = stack.nearest(stack.atlas_to_position(points)[:, 0])
    for point, owner in zip(points, owners):
        pir = allen_point(point, space, mirrored)
        expected = shown_by(made, pir, placement, set(stack.hidden))
        found = None if owner < 0 else stack.sections[owner]
        if expected is None:
            assert owner == -1
            assert found is None
            continue
        section, pixel = expected
        assert found is section
        assert stack.sections[owner] is section
        np.testing.assert_allclose(stack.atlas_to_pixels[owner](point), pixel, atol=1e-6)
        shown += 1
    return shown


@pytest.mark.parametrize("placement", ["exact", "parallel"])
@pytest.mark.parametrize("space", ["asr", "asl"])
@pytest.mark.parametrize(
    ("plane", "mirrored"), [("coronal", False), ("sagittal", False), ("sagittal", True)]
)
@pytest.mark.parametrize("numbers", [UNEVEN, (171,), (50, 58)])
def test_the_stack_shows_what_a_loop_finds(
    invented: Invent,
    placement: Any,
    space: str,
    plane: str,
    mirrored: bool,
    numbers: tuple[int, ...],
) -> None:
    made = invented(plane, numbers)
    stack = section_stack(made.dataset, space, placement=placement, mirrored=mirrored)
    assert stack.axis == made.fixed
    shown = compare(made, stack, space, mirrored, placement)
    assert shown < 150
    assert shown > (10 if len(numbers) > 1 else 2)


@pytest.mark.parametrize("placement", ["exact", "parallel"])
def test_a_hidden_section_leaves_a_gap(invented: Invent, placement: Any) -> None:
    made = invented("coronal", UNEVEN)
    stack = section_stack(made.dataset, "asr", placement=placement)
    images = {5108, 5190}
    hiding = stack.hiding(images)
    assert compare(made, hiding, "asr", False, placement) > 0
    assert hiding.hidden == images
    assert stack.hidden == frozenset()
    place = stack.positions_um[stack.index_of(5108)]
    assert stack.nearest(place) == stack.index_of(5108)
    assert hiding.nearest(place) == -1
    assert hiding.hiding([]).nearest(place) == stack.index_of(5108)
    everything = stack.hiding([s.image_id for s in stack.sections])
    assert (everything.nearest(stack.positions_um) == -1).all()
    with pytest.raises(ValueError):
        stack.index_of(1)


@pytest.mark.parametrize("placement", ["exact", "parallel"])
def test_sections_stand_by_ascending_position(invented: Invent, placement: Any) -> None:
    stack = section_stack(invented("coronal", UNEVEN).dataset, "asl", placement=placement)
    assert (np.diff(stack.positions_um) > 0).all()
    numbers = [s.section_number for s in stack.sections]
    assert sorted(numbers) == list(UNEVEN)
    if placement == "exact":
        np.testing.assert_array_equal(stack.positions_um, np.array(numbers) * 25.0)
        assert stack.reach_um == 100.0
    else:
        # Their p falls as the numbers rise, up to where pixel (0, 0) of each lies.
        assert numbers[0] > numbers[-1]


def test_gaps_ends_and_half_ways(invented: Invent) -> None:
    made = invented("coronal", (100, 108, 116, 140))
    exact = section_stack(made.dataset, "asr")
    at = 25.0 * np.array([95.9, 96, 104, 103.9, 104.1, 112, 120, 120.1, 135.9, 136, 144, 144.1])
    found = [-1 if n < 0 else exact.sections[n].section_number for n in exact.nearest(at)]
    assert [found[n] for n in (0, 1, 3, 4, 6, 7, 8, 9, 10, 11)] == [
        -1, 100, 100, 108, 116, -1, -1, 140, 140, -1,
    ]  # fmt: skip
    assert found[2] in (100, 108)  # exactly half-way: one of the two, and not none
    assert found[5] in (108, 116)
    parallel = section_stack(made.dataset, "asr", placement="parallel")
    places = parallel.positions_um
    half = float(np.median(np.diff(places))) / 2
    assert parallel.reach_um == pytest.approx(half)
    inside = np.linspace(places[0] - half + 1e-3, places[-1] + half - 1e-3, 500)
    nearest = [int(np.argmin(np.abs(places - v))) for v in inside]
    np.testing.assert_array_equal(parallel.nearest(inside), nearest)
    beyond = [places[0] - half - 1e-3, places[-1] + half + 1e-3, np.nan, np.inf]
    assert (parallel.nearest(beyond) == -1).all()
    assert (exact.nearest([np.nan, -np.inf]) == -1).all()


def test_positions_of_any_shape(invented: Invent) -> None:
    stack = section_stack(invented().dataset, "asr")
    positions = np.random.default_rng(0).uniform(2400, 3800, (7, 9))
    found = stack.nearest(positions)
    assert found.shape == (7, 9)
    for at in np.ndindex(7, 9):
        assert stack.nearest(positions[at]) == found[at]


def test_what_cannot_be_is_refused(invented: Invent) -> None:
    made = invented()
    with pytest.raises(CoordinateError, match="placement"):
        section_stack(made.dataset, "asr", placement="oblique")  # type: ignore[arg-type]
    with pytest.raises(ReferenceSpaceError):
        section_stack(made.dataset, "asr", mirrored=True)
    with pytest.raises(CoordinateError):
        section_stack(made.dataset, "rsa")
    with pytest.raises(CoordinateError, match="no section"):
        section_stack(invented(numbers=()).dataset, "asr")
