"""The dock of numbers per region: choose what is measured, run, see a table, bars and colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QTabWidget, QVBoxLayout, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.core.parcellated import fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.session.level_choices import LevelChoice, level_choices
from napari_stria.session.quantify_rows import positions_of_rows
from napari_stria.session.quantify_session import QuantifyResult, QuantifySession
from napari_stria.widgets._choice import Choice
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._offline_text import scale_text
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_chart import ChartPage
from napari_stria.widgets._quantify_colors import ColorsBox, row_colors
from napari_stria.widgets._quantify_form import QuantifyForm
from napari_stria.widgets._quantify_places import ask_place
from napari_stria.widgets._quantify_run import RunPart
from napari_stria.widgets._quantify_table import TablePage
from napari_stria.widgets._quantify_text import choice_text
from napari_stria.widgets._region_menu import copy_text
from napari_stria.widgets._tall_scroll import TallScroll

_NO_ATLAS = "No atlas is open. Open one, and what lies in it can be measured here."
_NO_SOURCE = (
    "There is nothing to measure. Add a layer of points, labels, shapes or an image to the viewer."
)
_NOT_RUN = "Nothing was measured yet. Press Run, and the numbers of each region appear here."
_NO_BARS = "No region has a number other than 0 here. Choose another column to show."
_CSV, _PICTURES = "CSV (*.csv)", "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)"
_LEAST_TABS_PX = 320


class QuantifyPanel(QWidget):
    """The widgets of one quantify session, wired to it.

    The session may live longer than the panel, and may have numbers already.

    Parameters
    ----------
    session : QuantifySession
        What is shown and changed.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    go_to : Signal(int)
        The region at this pre-order position is to be brought into sight.
    """

    go_to = Signal(int)

    def __init__(self, session: QuantifySession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._groups: tuple[tuple[str, Parcellation], ...] = ()
        # The last ones of an atlas, and that atlas.
        self._followed: tuple[tuple[str, Parcellation], ...] = ()
        self._followed_atlas: Atlas | None = None
        # What is shown, so that it is made anew only for something else.
        self._table_key: tuple[object, ...] = ()
        self._color_key: tuple[object, ...] = ()
        self._chart_key: tuple[object, ...] = ()
        self._held: tuple[object, ...] = ()  # what the keys have the ids of
        self._build()
        self._connect_parts()
        # A session may tell of many changes at once.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        self._links = SessionLinks(self)
        self._links.connect(session.changed, self._on_changed)
        self.refresh()

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.form, self.runner, self.colors = QuantifyForm(), RunPart(), ColorsBox()
        self.table, self.chart = TablePage(), ChartPage()
        self.value = Choice("Numbers in colours and bars")
        self.value.setToolTip("Which numbers the bars and the colours of the regions show")
        label = QLabel("Sho&w")
        label.setBuddy(self.value)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.value, 1)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.table, "Table")
        self.tabs.addTab(self.chart, "Chart")
        self.tabs.setMinimumHeight(_LEAST_TABS_PX)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(4, 6, 4, 6)
        layout.setSpacing(6)
        layout.addWidget(self.form)
        layout.addWidget(self.runner)
        layout.addLayout(row)
        layout.addWidget(self.colors)
        layout.addWidget(self.tabs, 1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(TallScroll(content, self))

    def _connect_parts(self) -> None:
        session, form, colors = self._session, self.form, self.colors
        form.source_chosen.connect(session.choose)
        form.level_chosen.connect(self._on_level)
        form.sides_toggled.connect(lambda on: session.set_options(sides=on))
        form.threshold_edited.connect(lambda number: session.set_options(threshold=number))
        form.suggestion_asked.connect(session.suggest_threshold)
        form.channel_chosen.connect(lambda name: session.set_options(channel=name))
        form.voxels_chosen.connect(lambda size: session.set_options(resolution_um=size))
        self.runner.run_asked.connect(self._run)
        self.runner.cancel_asked.connect(session.cancel)
        self.value.activated.connect(lambda _row: session.show_column(self.value.value()))
        colors.toggled.connect(session.set_coloring)
        colors.palette_chosen.connect(session.set_palette)
        colors.log_toggled.connect(session.set_log_scale)
        colors.robust_toggled.connect(session.set_robust)
        self.table.chosen.connect(session.select_rows)
        self.table.entered.connect(self._on_entered)
        self.table.copy_asked.connect(lambda ids: copy_text(session.table_text(ids)))
        self.table.save_asked.connect(self._save_table)
        self.chart.wanted.connect(self._show_chart)
        self.chart.picked.connect(lambda region: session.select_rows((region,)))
        self.chart.save_asked.connect(self._save_chart)

    # -- what is shown ---------------------------------------------------------------------------

    def set_groups(self, groups: Sequence[tuple[str, Parcellation]]) -> None:
        """Offer groups of the user's own as regions: pairs of a title and a parcellation.

        While groups are what is measured, those under the same title take their place, and all
        regions if there are none any more.
        """
        self._groups, atlas = tuple(groups), self._session.atlas
        # An atlas that was just opened may have no groups yet: they are still read.
        if atlas is not None and (self._groups or atlas is self._followed_atlas):
            self._follow_groups()
            self._followed = self._groups
        self._followed_atlas = atlas if self._groups else None
        self.refresh()

    def _follow_groups(self) -> None:
        """Have the groups measured as they are now, where they are chosen as they were."""
        level = self._session.options.level
        if level is None:
            return
        title = next((title for title, made in self._followed if level.is_made_like(made)), None)
        now = next((made for name, made in self._groups if name == title), None)
        if title is not None and not level.is_made_like(now):
            self._session.set_options(level=now)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look anew at what there is: an atlas may have got structure sets meanwhile."""
        super().showEvent(event)
        self.refresh()

    def _on_changed(self) -> None:
        self._soon.start()

    def refresh(self) -> None:
        """Show the session as it is; also done soon after it told of a change."""
        session, result = self._session, self._session.result
        self.form.set_sources(session.sources, session.source)
        self.form.set_levels(self._level_choices(), session.options.level)
        self.form.set_voxels(self._voxel_choices(), session.options.resolution_um)
        self.form.set_options(session.options, session.chosen)
        why_not = self._why_not()
        self.runner.set_usable(not why_not, why_not)
        self.runner.set_running(session.running, session.progress)
        self.runner.tell(session.message, session.error)
        self.runner.set_result(self._totals(result), "" if result is None else result.stale_reason)
        self._show_columns(result)
        self.colors.show_state(session)
        self._show_table(result)
        self._show_chart()
        chosen = session.selected_ids
        self.table.set_chosen(chosen)
        self.chart.set_chosen(chosen)

    def _level_choices(self) -> tuple[LevelChoice, ...]:
        atlas = self._session.atlas
        if atlas is None:
            return ()
        groups = [g for g in self._groups if fits(g[1], atlas.ontology)]
        return level_choices(atlas.ontology, groups, self._session.options.level)

    def _voxel_choices(self) -> list[tuple[float | None, str]]:
        """Return the levels of the annotation; that in the atlas's name as None."""
        atlas = self._session.atlas
        if atlas is None:
            return []
        named = atlas.annotation.level_for_resolution(atlas.resolution_um)
        return [
            (None if level is named else level.scale_um[0], scale_text(level.scale_um))
            for level in atlas.annotation.levels
        ]

    def _totals(self, result: QuantifyResult | None) -> str:
        """Return what the numbers add up to; with whose they are, if another layer is chosen."""
        if result is None:
            return ""
        is_of_another = result.source_key != self._session.source
        return f"Of {result.source_name}: {result.totals}" if is_of_another else result.totals

    def _why_not(self) -> str:
        """Return why nothing can be measured, and what to do about it."""
        if self._session.atlas is None:
            return _NO_ATLAS
        chosen = self._session.chosen
        return _NO_SOURCE if chosen is None else chosen.note

    def _show_columns(self, result: QuantifyResult | None) -> None:
        columns = () if result is None else result.columns
        items = [(column.name, choice_text(column)) for column in columns]
        if [self.value.itemData(row) for row in range(self.value.count())] != [i[0] for i in items]:
            self.value.offer(items)
        self.value.setEnabled(bool(items))
        self.value.choose(self._session.value_column)

    def _show_table(self, result: QuantifyResult | None) -> None:
        note = "" if result is not None else self._why_not() or _NOT_RUN
        key = (None, (), note) if result is None else (id(result.table), result.columns, note)
        if key != self._table_key:
            self._table_key = key
            if result is None:
                self.table.set_table(None, (), note)
            else:
                self.table.set_table(result.table, result.columns)
        session = self._session
        self._held = (None if result is None else result.table, session.legend)
        color_key = (*key, session.coloring, id(session.legend), session.value_column)
        if color_key != self._color_key:
            self._color_key = color_key
            self.table.set_colors(row_colors(session))

    def _show_chart(self) -> None:
        """Show the bars if they can be seen; sorting them takes a moment, and drawing them more."""
        if not self.chart.isVisible():
            return
        session, top = self._session, self.chart.top.value()
        key = (*self._table_key, session.value_column, top)
        if key != self._chart_key:
            self._chart_key = key
            data = session.chart(top)
            if data is not None and data.ids:
                self.chart.show_chart(data)
            else:
                self.chart.show_chart(None, _NO_BARS if data is not None else str(key[2]))

    # -- what the user asks for ------------------------------------------------------------------

    def _run(self) -> None:
        self.form.take_typed()  # a key, or a click that takes no focus, leaves it in its field
        self._session.run()

    def _on_level(self, choice: LevelChoice) -> None:
        atlas = self._session.atlas
        if atlas is not None:
            self._session.set_options(level=choice.make(atlas.ontology))

    def _on_entered(self, region: int) -> None:
        session, result = self._session, self._session.result
        if session.atlas is None or result is None:
            return
        session.select_rows((region,))
        places = positions_of_rows(session.atlas.ontology, result.options.level, (region,))
        if places:
            self.go_to.emit(places[0])

    def _save_table(self) -> None:
        path, replaces = self._ask("Save the table", ".csv", _CSV)
        if path is not None:
            self._session.write_csv(path, overwrite=replaces)

    def _save_chart(self) -> None:
        path, replaces = self._ask("Save the chart", ".png", _PICTURES)
        if path is not None:
            self._session.write_chart(path, overwrite=replaces, top=self.chart.top.value())

    def _ask(self, title: str, suffix: str, kinds: str) -> tuple[Path | None, bool]:
        result = self._session.result
        name = "regions" if result is None else f"{result.source_name} by region"
        return ask_place(self, title, name, suffix, kinds)
