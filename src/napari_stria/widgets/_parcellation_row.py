"""One line in which it is chosen what regions are shown as."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellated import fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.level_choices import LevelChoice, level_choices
from napari_stria.session.structure_sets import StructureSets
from napari_stria.widgets._level_box import LevelBox
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._notices import BusyRow, MessageRow

LOAD_TEXT = "Load structure sets from the Allen API…"
_LOAD_TIP = (
    "Structure sets are lists of regions that the Allen Institute keeps, such as its summary "
    "structures or the layers of the cortex. This atlas came without them."
)
_TIP = (
    "Show, click and measure regions as larger ones: those at one depth of the tree, or those of a "
    "structure set. The mouse wheel steps through them."
)


class ParcellationRow(QWidget):
    """Chooses the level of a session's regions, and fetches structure sets where there are none.

    Parameters
    ----------
    session : AtlasSession
        Whose regions; may live longer.
    sets : StructureSets, optional
        Fetches structure sets; without it this is not offered.
    parent : QWidget, optional
        Owner.
    """

    def __init__(
        self,
        session: AtlasSession,
        sets: StructureSets | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._sets = session, sets
        self._groups: tuple[tuple[str, Parcellation], ...] = ()
        self._choices: tuple[LevelChoice, ...] = ()
        self._rows: dict[int, LevelChoice] = {}
        self._load_row: int | None = None
        self._asked = False  # for sets, so that it is said what came
        self._build()
        links = self._links = SessionLinks(self)
        for signal in (session.opened, session.closed, session.parcellation_changed):
            links.connect(signal, self._show)
        links.connect(session.ontology_changed, self._on_ontology)
        if sets is not None:
            links.connect(sets.changed, self._show_sets)
            self.busy.cancel.clicked.connect(lambda _checked=False: sets.cancel())
            self.message.retry.clicked.connect(lambda _checked=False: self._load())
        self._show()
        self._show_sets()

    def _build(self) -> None:
        self.box = LevelBox(self)
        self.box.setAccessibleName("Level of regions")
        self.box.setToolTip(_TIP)
        self.box.activated.connect(self._choose)
        label = QLabel("&Level", self)
        label.setToolTip(_TIP)
        label.setBuddy(self.box)
        self.busy, self.message = BusyRow(self), MessageRow(self)
        line = QHBoxLayout()
        line.addWidget(label)
        line.addWidget(self.box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.busy)
        layout.addWidget(self.message)
        self.busy.show_text(None)

    # -- what is shown ----------------------------------------------------------------------------

    def set_groups(self, groups: Sequence[tuple[str, Parcellation]]) -> None:
        """Offer groups of the user's own: pairs of a title and a parcellation of the open atlas.

        What the session shows stays.
        """
        self._groups = tuple(groups)
        self._show()

    @property
    def choices(self) -> tuple[LevelChoice, ...]:
        """What is offered."""
        return self._choices

    @property
    def _ontology(self) -> Ontology | None:
        return None if self._session.atlas is None else self._session.atlas.ontology

    def _show(self, _news: object = None) -> None:
        ontology, parcellation = self._ontology, self._session.parcellation
        self.setVisible(ontology is not None)
        if ontology is None:
            self._groups, self._choices = (), ()
            return
        fitting = [g for g in self._groups if fits(g[1], ontology)]
        choices = level_choices(ontology, fitting, parcellation)
        wants_sets = self._sets is not None and not ontology.structure_set_ids
        if choices != self._choices or wants_sets == (self._load_row is None):
            self._fill(choices, wants_sets)
        self._choices = choices
        self._rows = dict(zip(self._rows, choices, strict=True))
        for row, choice in self._rows.items():
            if choice.makes(parcellation):
                self.box.setCurrentIndex(row)
                self.box.setToolTip(f"{choice.text}\n{choice.tip}\n\n{_TIP}")
        self.message.show_text(self._session.parcellation_note, error=False)

    def _fill(self, choices: Sequence[LevelChoice], wants_sets: bool) -> None:
        self.box.clear()
        self._rows, self._load_row = {}, None
        kind = None
        for choice in choices:
            if kind is not None and choice.kind != kind:
                self.box.insertSeparator(self.box.count())
            kind = choice.kind
            self._rows[self.box.count()] = choice
            self.box.addItem(choice.text)
            self.box.setItemData(self.box.count() - 1, choice.tip, Qt.ItemDataRole.ToolTipRole)
        if wants_sets:
            self.box.insertSeparator(self.box.count())
            self._load_row = self.box.add_deliberate(LOAD_TEXT, _LOAD_TIP)

    def _on_ontology(self, ontology: Ontology) -> None:
        self._show()
        if self._asked:
            self._asked = False
            self.message.show_text(_loaded_text(ontology), error=False)

    def _show_sets(self) -> None:
        sets = self._sets
        if sets is None:
            return
        self.busy.show_text("Fetching structure sets…" if sets.fetching else None)
        if sets.problem:
            self.message.show_text(sets.problem, error=True)
        elif sets.fetching:
            self.message.show_text("", error=False)

    # -- what the user does -----------------------------------------------------------------------

    def _choose(self, row: int) -> None:
        ontology, choice = self._ontology, self._rows.get(row)
        if ontology is None:
            return
        if choice is None:  # the last one, which is no level
            self._show()
            self._load()
        elif not choice.makes(self._session.parcellation):
            self._session.set_parcellation(choice.make(ontology))

    def _load(self) -> None:
        if self._sets is not None:
            self._asked = True
            self._sets.start()


def _loaded_text(ontology: Ontology) -> str:
    count = len(ontology.structure_set_ids)
    text = f"{count} structure sets are in the list now."
    lacking = 0 if ontology.matched is None else len(ontology) - ontology.matched
    return f"{text} {lacking} regions of this atlas are unknown to the server." if lacking else text
