"""Numbers per region as they are shown: columns, totals, which regions are compared, colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.structures import StructureRecord
from napari_stria.session.quantify_chart import chart_data
from napari_stria.session.quantify_coloring import (
    VALUE_PALETTES,
    color_places,
    palette_rgb,
    value_legend,
    value_rgba,
)
from napari_stria.session.quantify_columns import (
    column_infos,
    default_column,
    side_column,
    split_side,
    totals_text,
)
from napari_stria.session.quantify_rows import (
    finest_rows,
    positions_of_rows,
    rows_of_positions,
    rows_with_own,
    values_of_regions,
)
from napari_stria.session.quantify_values import (
    ColumnInfo,
    QuantifyOptions,
    QuantifyResult,
    ValueLegend,
)

# id: parent; 1 > 2 > (3 > 4, 5), and 6 > 7.
TREE = {1: None, 2: 1, 3: 2, 4: 3, 5: 2, 6: 1, 7: 6}
# Points in each region itself: R3 has some beside those of R4, R7 has none.
DIRECT = {1: 0, 2: 0, 3: 2, 4: 7, 5: 1, 6: 4, 7: 0}
TOTAL = {1: 14, 2: 10, 3: 9, 4: 7, 5: 1, 6: 4, 7: 0}


@pytest.fixture
def ontology() -> stria.Ontology:
    return stria.Ontology(
        StructureRecord(i, parent, f"R{i}", f"region {i}", (20 * i, 0, i))
        for i, parent in TREE.items()
    )


def _table(rows: dict[int, dict[str, Any]] | None = None, **columns: Any) -> pd.DataFrame:
    ids = list(TREE)
    frame = pd.DataFrame(
        {
            "acronym": [f"R{i}" for i in ids],
            "name": [f"region {i}" for i in ids],
            "depth": 0,
            "count": [TOTAL[i] for i in ids],
            "count_direct": [DIRECT[i] for i in ids],
            "count_left": [TOTAL[i] // 2 for i in ids],
            "count_right": [TOTAL[i] - TOTAL[i] // 2 for i in ids],
            **columns,
        },
        index=pd.Index(ids, name="id"),
    )
    for row, cells in (rows or {}).items():
        frame.loc[row] = pd.Series({"acronym": "unlisted", "name": "", "depth": 0} | cells)
    return frame


def _result(table: pd.DataFrame, level: Any = None, *, sides: bool = True) -> QuantifyResult:
    options = QuantifyOptions(level=level, sides=sides)
    columns = column_infos(table, sides=sides)
    return QuantifyResult("points", "k", "Cells", options, table, columns, "")


# -- columns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count", ("count", "")),
        ("count_direct", ("count_direct", "")),
        ("count_unsided", ("count", "unsided")),
        ("density_left_mm3", ("density_mm3", "left")),
        ("volume_mm3_right", ("volume_mm3", "right")),
        ("fraction_above_left", ("fraction_above", "left")),
        ("left", ("left", "")),
    ],
)
def test_the_side_of_a_column(name: str, expected: tuple[str, str]) -> None:
    assert split_side(name) == expected


def test_the_columns_of_the_sides_of_a_column() -> None:
    table = pd.DataFrame(columns=["density_mm3", "density_left_mm3", "mean", "mean_right"])
    assert side_column(table, "density_mm3", "left") == "density_left_mm3"
    assert side_column(table, "mean", "right") == "mean_right"
    assert side_column(table, "mean", "left") is None
    assert side_column(table, "mean_right", "right") is None


def test_columns_have_titles_units_and_decimals() -> None:
    names = ["acronym", "name", "depth", "sum", "sum_direct", "area_mm2_left", "new_thing"]
    table = pd.DataFrame([["A", "a", 0, 1.5, 1.5, 0.1, 1]], columns=names)
    total, direct, area, other = column_infos(table, sides=True)
    assert (total.title, total.decimals) == ("Sum", 2)  # of an image with fractions
    assert direct.title == "Sum, direct"
    assert area == ColumnInfo("area_mm2_left", "Area, left", "mm²", 4, "left")
    assert other.title == "New thing"
    assert [c.name for c in column_infos(table, sides=False)] == ["sum", "sum_direct", "new_thing"]


def test_what_is_shown_first_is_what_there_is() -> None:
    both = (ColumnInfo("count", "Points"), ColumnInfo("density_mm3", "Density"))
    assert default_column("points", both) == "density_mm3"
    assert default_column("points", both[:1]) == "count"
    assert default_column("image", both) == "count"
    assert default_column("image", ()) is None


def test_totals_tell_all_that_is_in_no_region() -> None:
    table = _table(count_unsided=[2, 1, 0, 0, 0, 0, 0])
    table["depth"] = [0, 1, 2, 3, 2, 1, 2]
    table.attrs = {
        "count_total": 10_000,
        "count_background": 100,
        "count_outside": 29,
        "count_unlisted": 0,
    }
    assert totals_text("points", table) == (
        "10,000 points: 9,871 in regions, 100 in the background, 29 outside the atlas; 2 on no side"
    )


def test_totals_tell_what_could_not_be_measured() -> None:
    table = _table()
    table.attrs = {"pixels_total": 1, "left_out_pixels": 3, "sections_skipped": [1]}
    assert totals_text("image", table) == (
        "1 pixel: 1 in regions; 3 left out because they are not finite or masked; "
        "1 section could not be read"
    )


# -- rows ------------------------------------------------------------------------------------


def test_rows_stand_for_regions_and_labels_without_one_for_none(ontology: stria.Ontology) -> None:
    assert positions_of_rows(ontology, None, [7, -99, 4]) == (6, 3)
    assert rows_of_positions(ontology, None, [6, 3]) == (7, 4)
    level = parcellation_at_depth(ontology, 1)
    assert positions_of_rows(ontology, level, [6, 2, 99]) == (5, 1)
    assert rows_of_positions(ontology, level, [3, 4, 6]) == (2, 6)


def test_regions_have_the_number_of_their_row_or_parcel(ontology: stria.Ontology) -> None:
    table = _table({-99: {"count": 5}})
    np.testing.assert_array_equal(
        values_of_regions(table, "count", ontology, None), list(TOTAL.values())
    )
    level = parcellation_at_depth(ontology, 1)
    parcels = table.loc[[1, 2, 6]]
    np.testing.assert_array_equal(
        values_of_regions(parcels, "count", ontology, level), [14, 10, 10, 10, 10, 4, 4]
    )


def test_of_regions_the_finest_with_a_number_are_compared(ontology: stria.Ontology) -> None:
    table = _table({-99: {"count": 5.0}})
    finest = finest_rows(table, ColumnInfo("count", "Points"), ontology, None)
    # R6 has none below it that has some; the label without a region is in no other's way.
    assert table.index[finest].tolist() == [4, 5, 6, -99]
    direct = finest_rows(table, ColumnInfo("count_direct", "Points, direct"), ontology, None)
    assert table.index[direct].tolist() == [3, 4, 5, 6]
    means = _table(mean=[1.0, 1, 1, 0, np.nan, 2, np.nan])
    of_means = finest_rows(means, ColumnInfo("mean", "Mean", from_zero=False), ontology, None)
    assert means.index[of_means].tolist() == [4, 6]  # a mean of 0 is a mean


def test_regions_that_have_something_themselves(ontology: stria.Ontology) -> None:
    assert rows_with_own(_table(), None).tolist() == [n > 0 for n in DIRECT.values()]
    assert not rows_with_own(_table(), parcellation_at_depth(ontology, 1)).any()


# -- bars ------------------------------------------------------------------------------------


def test_the_chart_has_the_largest_of_the_finest_first(ontology: stria.Ontology) -> None:
    result = _result(_table())
    chart = chart_data(result, result.column("count"), ontology, 2)
    assert chart.ids == (4, 6)
    assert chart.names == ("R4", "R6")
    assert chart.full_names == ("region 4", "region 6")
    np.testing.assert_array_equal(chart.total, [7, 4])
    assert chart.left is not None
    assert chart.right is not None
    np.testing.assert_array_equal(chart.left + chart.right, chart.total)
    np.testing.assert_array_equal(chart.rgb, [(80, 0, 4), (120, 0, 6)])


def test_a_chart_without_sides_or_of_a_side_has_one_bar_each(ontology: stria.Ontology) -> None:
    result = _result(_table(), sides=False)
    assert chart_data(result, result.column("count"), ontology, 9).left is None
    result = _result(_table())
    assert chart_data(result, result.column("count_left"), ontology, 9).right is None


def test_the_chart_of_parcels_has_all_of_them(ontology: stria.Ontology) -> None:
    level = parcellation_at_depth(ontology, 1)
    table = _table().loc[[1, 2, 6]]
    table["count"] = [3, 10, 4]
    result = _result(table, level)
    assert chart_data(result, result.column("count"), ontology, 9).ids == (2, 6, 1)


# -- colours ---------------------------------------------------------------------------------


def _legend(result: QuantifyResult, name: str, ontology: stria.Ontology, **how: Any) -> ValueLegend:
    how = {"log_scale": False, "robust": False} | how
    legend = value_legend(result, result.column(name), ontology, "viridis", **how)
    assert legend is not None
    return legend


def test_amounts_are_coloured_from_zero_and_means_from_the_least(ontology: stria.Ontology) -> None:
    result = _result(_table(mean=[10.0, 11, 12, 13, 9, 8, 7]))
    amounts = _legend(result, "count", ontology)
    # R3 has points beside those below it, so that some voxels stand for its 9.
    assert (amounts.low, amounts.high, amounts.is_exceeded) == (0, 7, (False, True))
    means = _legend(result, "mean", ontology)
    assert (means.low, means.high) == (7, 13)


def test_a_logarithmic_scale_begins_above_zero(ontology: stria.Ontology) -> None:
    result = _result(_table())
    legend = _legend(result, "count", ontology, log_scale=True)
    assert (legend.low, legend.high, legend.log_scale) == (1, 7, True)
    places = color_places(np.array([1, np.sqrt(7), 7, 0, -1, np.nan]), legend)
    assert places.tolist() == [0, 128, 255, -1, -1, -1]


def test_extremes_are_cut_off_if_asked_and_said(ontology: stria.Ontology) -> None:
    result = _result(_table())
    legend = _legend(result, "count", ontology, robust=True)
    assert 6 < legend.high < 7
    assert legend.is_exceeded == (False, True)
    means = _result(_table(mean=np.arange(7.0)).drop(columns="count_direct"))
    low = _legend(means, "mean", ontology, robust=True)
    assert low.is_exceeded == (True, True)


def test_numbers_beyond_the_ends_have_the_ends_colours(ontology: stria.Ontology) -> None:
    result = _result(_table())
    legend = _legend(result, "count", ontology)
    assert color_places(np.array([-5.0, 0, 3.5, 7, 14]), legend).tolist() == [0, 0, 128, 255, 255]


def test_one_number_alone_has_the_high_colour(ontology: stria.Ontology) -> None:
    result = _result(_table(mean=[np.nan] * 4 + [3.0] + [np.nan] * 2))
    legend = _legend(result, "mean", ontology)
    assert color_places(np.array([3.0]), legend).tolist() == [255]
    rgba = value_rgba(result, result.column("mean"), ontology, legend)
    assert rgba.dtype == np.float32
    assert (rgba[:, 3] == 1).tolist() == [False] * 4 + [True] + [False] * 2


def test_nothing_to_colour(ontology: stria.Ontology) -> None:
    result = _result(_table(mean=np.nan))
    column = result.column("mean")
    assert value_legend(result, column, ontology, "magma", log_scale=False, robust=False) is None
    assert (value_rgba(result, column, ontology, None)[:, 3] < 1).all()


@pytest.mark.parametrize("name", VALUE_PALETTES)
def test_palettes_are_matplotlibs(name: Any) -> None:
    from matplotlib import colormaps

    rgb = palette_rgb(name)
    assert rgb.shape == (256, 3)
    assert rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb[[0, -1]] / 255, colormaps[name]([0.0, 1.0])[:, :3], atol=0.003)
