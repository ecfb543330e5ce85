from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QAbstractItemModel, QModelIndex, Qt

from napari_stria.core.ontology import Ontology
from napari_stria.widgets._ontology_model import POSITION_ROLE, OntologyModel, check_states
from napari_stria.widgets._region_filter import RegionFilter

CTX, RSP, RSPD, VIS, BS = 1, 2, 3, 5, 6
Role = Qt.ItemDataRole
Check = Qt.CheckState


@pytest.fixture
def model(ontology: Ontology, qtbot: QtBot) -> OntologyModel:
    model = OntologyModel()
    model.set_ontology(ontology)
    return model


def rows(model: QAbstractItemModel, parent: QModelIndex | None = None) -> Iterator[QModelIndex]:
    """All indices of column 0, parents before children."""
    parent = QModelIndex() if parent is None else parent
    for row in range(model.rowCount(parent)):
        index = model.index(row, 0, parent)
        yield index
        yield from rows(model, index)


def acronyms(model: QAbstractItemModel) -> list[str]:
    return [str(i.data()) for i in rows(model)]


def test_it_keeps_the_contract_of_qt_models(
    deep_ontology: Ontology, qtmodeltester: Any, qtbot: QtBot
) -> None:
    model = OntologyModel()
    qtmodeltester.check(model)
    model.set_ontology(deep_ontology)
    qtmodeltester.check(model)


def test_the_filter_keeps_the_contract_of_qt_models(
    deep_ontology: Ontology, qtmodeltester: Any, qtbot: QtBot
) -> None:
    model = OntologyModel()
    model.set_ontology(deep_ontology)
    proxy = RegionFilter(model)
    proxy.set_text("12")
    assert 0 < len(acronyms(proxy)) < len(deep_ontology)
    qtmodeltester.check(proxy)


def test_the_tree_is_the_ontology_in_pre_order(
    deep_ontology: Ontology, model: OntologyModel
) -> None:
    model.set_ontology(deep_ontology)
    found = list(rows(model))
    assert [i.internalId() for i in found] == list(range(len(deep_ontology)))
    assert [i.data(POSITION_ROLE) for i in found] == list(range(len(deep_ontology)))
    for position, index in enumerate(found):
        assert index.data() == deep_ontology.at(position).acronym
        assert index.siblingAtColumn(1).data() == deep_ontology.at(position).name
        assert model.position_of(index.parent()) == deep_ontology.parents[position]
        assert model.index_of(position) == index


def test_what_a_row_shows(model: OntologyModel) -> None:
    index = model.index_of(RSPD)
    tip = index.data(Role.ToolTipRole)
    for part in ("RSPd", "Retrosplenial area, dorsal part", "879", "root › CTX › RSP › RSPd"):
        assert part in tip
    image = index.data(Role.DecorationRole).pixmap(12, 12).toImage()
    color = image.pixelColor(image.width() // 2, image.height() // 2)
    # A screen of 16 bits rounds to 8 steps.
    assert np.allclose(color.getRgb()[:3], (26, 166, 152), atol=8)
    assert index.siblingAtColumn(1).data(Role.CheckStateRole) is None
    assert model.headerData(1, Qt.Orientation.Horizontal) == "Name"


def test_check_states_agree_with_a_loop(deep_ontology: Ontology) -> None:
    random = np.random.default_rng(3)
    for share in (0.0, 0.02, 0.5, 0.98, 1.0):
        hidden = random.random(len(deep_ontology)) < share
        expected = []
        for position in range(len(deep_ontology)):
            below = [
                hidden[p]
                for p in range(len(deep_ontology))
                if deep_ontology.at(position).id in deep_ontology.at(p).structure_id_path
            ]
            expected.append(0 if all(below) else 1 if any(below) else 2)
        assert check_states(deep_ontology, hidden).tolist() == expected


def test_hiding_is_shown_and_told_to_the_views(model: OntologyModel) -> None:
    told: list[int] = []

    def note(first: QModelIndex, last: QModelIndex, roles: list[int]) -> None:
        assert first.parent() == last.parent()
        assert [Role(r) for r in roles] == [Role.CheckStateRole]
        told.extend(
            model.position_of(first.siblingAtRow(row)) for row in range(first.row(), last.row() + 1)
        )

    model.dataChanged.connect(note)
    hidden = np.zeros(9, dtype=bool)
    hidden[RSP:VIS] = True
    model.set_hidden(hidden)
    states = [i.data(Role.CheckStateRole) for i in rows(model)]
    full, part, none = Check.Checked, Check.PartiallyChecked, Check.Unchecked
    assert states == [part, part, none, none, none, full, full, full, full]
    assert sorted(told) == [0, 1, 2, 3, 4]
    hidden[:] = True  # the session changes its array in place
    assert model.index_of(BS).data(Role.CheckStateRole) == full


def test_editing_a_check_box_asks_and_changes_nothing(model: OntologyModel) -> None:
    asked: list[tuple[int, bool]] = []
    model.visibility_edited.connect(lambda p, v: asked.append((p, v)))
    index = model.index_of(RSP)
    assert model.flags(index) & Qt.ItemFlag.ItemIsUserCheckable
    assert model.setData(index, Check.Unchecked.value, Role.CheckStateRole)
    assert model.setData(index, Check.Checked, Role.CheckStateRole)
    assert asked == [(RSP, False), (RSP, True)]
    assert index.data(Role.CheckStateRole) == Check.Checked
    assert not model.setData(index, "other", Role.EditRole)
    assert not model.setData(model.index_of(RSP, 1), Check.Unchecked, Role.CheckStateRole)
    assert len(asked) == 2


def test_the_filter_shows_what_is_found_with_its_ancestors(model: OntologyModel) -> None:
    proxy = RegionFilter(model)
    proxy.set_text(" dorsal ")
    assert acronyms(proxy) == ["root", "CTX", "RSP", "RSPd"]
    assert proxy.found == (RSPD,)
    assert proxy.index_of(RSPD).data(Role.FontRole).bold()
    assert proxy.index_of(RSP).data(Role.FontRole) is None
    assert not proxy.index_of(VIS).isValid()
    proxy.set_text("rsp?")
    assert acronyms(proxy) == ["root", "CTX", "RSP", "RSPd", "RSPv"]
    proxy.set_text("nothing like it")
    assert acronyms(proxy) == []
    proxy.set_text("")
    assert len(acronyms(proxy)) == 9


def test_the_search_runs_once_for_a_text(
    deep_ontology: Ontology, model: OntologyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    search = Ontology.search

    def counted(self: Ontology, text: str) -> object:
        asked.append(text)
        return search(self, text)

    monkeypatch.setattr(Ontology, "search", counted)
    proxy = RegionFilter(model)
    model.set_ontology(deep_ontology)
    proxy.set_text("region 2")
    list(rows(proxy))
    assert asked == ["region 2"]


def test_the_filter_follows_another_ontology(deep_ontology: Ontology, model: OntologyModel) -> None:
    proxy = RegionFilter(model)
    proxy.set_text("r3")
    assert acronyms(proxy) == []
    model.set_ontology(deep_ontology)
    assert "r3" in acronyms(proxy)
    assert len(acronyms(proxy)) < len(deep_ontology)
    model.set_ontology(None)
    assert acronyms(proxy) == []
    assert proxy.found == ()


def test_a_large_ontology_is_there_at_once(qtbot: QtBot, deep_ontology: Ontology) -> None:
    model = OntologyModel()
    model.set_ontology(deep_ontology)
    assert not model.canFetchMore(QModelIndex())
    assert len(list(rows(model))) == len(deep_ontology)
