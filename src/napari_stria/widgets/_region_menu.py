"""The context menu of regions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QMenu

from napari_stria.core.ontology import Ontology
from napari_stria.session.readout import PATH_SEPARATOR, region_path
from napari_stria.widgets._region_wishes import RegionWishes

_MASK_TIP = "A layer that is 1 in these regions, with all that is below them, and 0 elsewhere"
_OWN_TIP = "A layer that is 1 where voxels are labelled with these regions themselves"


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def copyable(ontology: Ontology, position: int) -> dict[str, str]:
    """Return what can be copied of a region, by what it is called in the menu."""
    region = ontology.at(position)
    return {
        "acronym": region.acronym,
        "name": region.name,
        "id": str(region.id),
        "path": PATH_SEPARATOR.join(region_path(ontology, position)),
    }


@dataclass(frozen=True)
class RegionFacts:
    """What the menu of some regions depends on.

    Attributes
    ----------
    ontology : Ontology
    positions : tuple of int
        Pre-order positions of the regions that the menu is about; not empty.
    surfaces : collection of int
        Positions whose surface is wanted already.
    groups : tuple of str
        What the user's groups are called.
    own_voxels : (N,) bool ndarray or None
        Whether voxels are labelled with a region itself; None where that is not known.
    """

    ontology: Ontology
    positions: tuple[int, ...]
    surfaces: Collection[int] = ()
    groups: tuple[str, ...] = ()
    own_voxels: npt.NDArray[np.bool_] | None = None

    @property
    def parts(self) -> tuple[int, ...]:
        """Positions of the regions one level below."""
        return tuple(c for p in self.positions for c in self.ontology.child_positions(p))

    @property
    def has_own_and_parts(self) -> bool:
        """Whether a region may have voxels of its own beside those of its parts."""
        return any(
            self.ontology.subtree_ends[p] > p + 1
            and (self.own_voxels is None or self.own_voxels[p])
            for p in self.positions
        )


class RegionMenu(QMenu):
    """The menu of regions; what is chosen, the owner tells.

    Parameters
    ----------
    wishes : RegionWishes
        Owner.
    facts : RegionFacts
        What the menu is about.
    """

    def __init__(self, wishes: RegionWishes, facts: RegionFacts) -> None:
        super().__init__(wishes)
        self.setToolTipsVisible(True)
        self._wishes, self._facts = wishes, facts
        chosen = facts.positions
        self._add("Go to region", lambda: wishes.go_to.emit(chosen[0]))
        self._add("Isolate", lambda: wishes.isolate.emit(chosen))
        self._add("Show all", wishes.show_all.emit)
        self.addSeparator()
        self._add_surfaces()
        self.addSeparator()
        self._add_groups()
        self.addSeparator()
        self._add_masks()
        self.addSeparator()
        self._add_copies()

    def _add(
        self, text: str, call: Callable[[], None], *, possible: bool = True, tip: str = ""
    ) -> None:
        action = self.addAction(text)
        assert action is not None
        action.setEnabled(possible)
        action.setToolTip(tip)
        action.triggered.connect(lambda _checked=False: call())

    def _add_surfaces(self) -> None:
        facts, edited = self._facts, self._wishes.surfaces_edited
        chosen, parts = facts.positions, facts.parts
        wanted = all(p in facts.surfaces for p in chosen)
        text = "Hide surface" if wanted else "Show surface"
        self._add(text, lambda: edited.emit(chosen, not wanted))
        self._add(
            "Show surfaces of the parts", lambda: edited.emit(parts, True), possible=bool(parts)
        )
        hide = self._wishes.hide_surfaces.emit
        self._add("Hide all surfaces", hide, possible=bool(facts.surfaces))

    def _add_groups(self) -> None:
        wishes, chosen = self._wishes, self._facts.positions
        self._add("New group…", lambda: wishes.new_group.emit(chosen))
        if not self._facts.groups:
            return
        submenu = self.addMenu("Add to group")
        assert submenu is not None
        for name in self._facts.groups:
            action = submenu.addAction(plain_action_text(name))
            assert action is not None
            action.triggered.connect(partial(self._add_to_group, name))

    def _add_to_group(self, name: str, _checked: bool = False) -> None:
        self._wishes.add_to_group.emit(self._facts.positions, name)

    def _add_masks(self) -> None:
        wishes, chosen = self._wishes, self._facts.positions
        self._add("Add mask layer", lambda: wishes.add_mask.emit(chosen, False), tip=_MASK_TIP)
        if self._facts.has_own_and_parts:
            own = "Add mask layer of own voxels only"
            self._add(own, lambda: wishes.add_mask.emit(chosen, True), tip=_OWN_TIP)
        self._add("Export masks…", lambda: wishes.export_masks.emit(chosen))

    def _add_copies(self) -> None:
        facts = self._facts
        for what in ("acronym", "name", "id", "path"):
            lines = [copyable(facts.ontology, p)[what] for p in facts.positions]
            self._add(f"Copy {what}", partial(copy_text, "\n".join(lines)))
        self._add("Copy volume", lambda: self._wishes.copy_volumes.emit(facts.positions))


def plain_action_text(text: str) -> str:
    """Return a text as an action shows it: an ampersand would mark a key."""
    return text.replace("&", "&&")
