"""Sections of the dataset that is shown, registered anew: taken from it, and given back to it."""

from __future__ import annotations

from psygnal import Signal

from napari_stria.core.section import Section
from napari_stria.errors import StriaError
from napari_stria.registration.section_refinement import SectionRefinement, section_refinement
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.registration_state import AllenSource, SectionState
from napari_stria.session.section_session import SectionSession

# Nearer than this to its own plane a section was turned within that plane alone.
_OWN_PLANE_UM = 1.0
# What the chain of a section is made of.
_Registered = tuple[SectionState, tuple[float, float] | None]


class RegisteredDataset:
    """Links a viewer's registration with its dataset of sections.

    What is applied is each section's place within its own plane, from landmarks and splines too;
    the planes stay the dataset's, because a stack has one section for each place along it. See
    `napari_stria.registration.section_refinement`.

    Parameters
    ----------
    registration : RegistrationSession
    sections : SectionSession

    Attributes
    ----------
    changed : Signal
        Anything below is other than it was.
    begun : Signal
        A section is being opened or applied: what failed before is over.
    """

    changed = Signal()
    begun = Signal()

    def __init__(self, registration: RegistrationSession, sections: SectionSession) -> None:
        self._registration, self._sections = registration, sections
        # By image id: what was applied, to tell whether the section was changed since.
        self._applied: dict[int, tuple[_Registered, SectionRefinement]] = {}
        registration.changed.connect(self._tell)
        sections.sections_changed.connect(self._tell)
        sections.shown.connect(self._tell)
        sections.closed.connect(self._forget)

    def _tell(self) -> None:
        self.changed.emit()

    def _forget(self) -> None:
        self._applied.clear()
        self.changed.emit()

    # -- from the dataset -----------------------------------------------------------------------

    def register(self, section: Section) -> None:
        """Go to a section of the dataset in the registration; else open it at its alignment."""
        dataset, api = self._sections.dataset, self._sections.api
        if dataset is None or api is None:
            return
        self.begun.emit()
        source = AllenSource(dataset.id, section.image_id)
        known = [entry.allen for entry in self._registration.sections]
        if source in known:
            self._registration.go_to(known.index(source))
            return
        self._registration.open_allen(
            api, dataset, section.image_id, mirrored=self._sections.mirrored
        )

    def name_of(self, section: Section | None) -> str:
        """Return what a section of the dataset is called; empty for none."""
        dataset = self._sections.dataset
        if section is None or dataset is None:
            return ""
        return f"Allen section {section.section_number} of dataset {dataset.id}"

    # -- and back -------------------------------------------------------------------------------

    @property
    def _section(self) -> Section | None:
        """The registration's current section, if it is one of the dataset's."""
        entry, dataset = self._registration.entry, self._sections.dataset
        if entry is None or entry.allen is None or dataset is None:
            return None
        if entry.allen.dataset_id != dataset.id:
            return None
        return next((s for s in dataset.sections if s.image_id == entry.allen.image_id), None)

    @property
    def is_applied(self) -> bool:
        """Whether the dataset shows the current section as it was registered."""
        section = self._section
        return section is not None and section.image_id in self._sections.refinements

    @property
    def is_current(self) -> bool:
        """Whether it does so as the section is registered now."""
        section = self._section
        if section is None or not self.is_applied:
            return False
        applied = self._applied.get(section.image_id)
        return applied is not None and applied[0] == self._registered

    @property
    def _registered(self) -> _Registered:
        entry = self._registration.entry
        return self._registration.state, None if entry is None else entry.pixel_size_um

    @property
    def can_apply(self) -> bool:
        """Whether the current section is one of the dataset's and not shown as it is now."""
        has_chain = self._registration.section_to_atlas is not None
        return self._section is not None and has_chain and not self.is_current

    @property
    def text(self) -> str:
        """What the dataset shows of the current section, in a sentence or two; else empty."""
        section = self._section
        if section is None:
            return ""
        if not self.is_applied:
            return "The dataset shows this section by its own alignment."
        if not self.is_current:
            return "The dataset shows this section as it was before; apply it again."
        off = self._applied[section.image_id][1].off_plane_um
        shown = "The dataset shows this section as it is registered"
        if off <= _OWN_PLANE_UM:
            return f"{shown}."
        return (
            f"{shown}, but in its own plane: tilt and position, which move it by up to {off:.0f} "
            "µm out of that, are left out."
        )

    def apply(self) -> None:
        """Show the current section in the dataset by its chain; `failed` says why it cannot be."""
        section, dataset = self._section, self._sections.dataset
        chain, registered = self._registration.section_to_atlas, self._registered
        if section is None or dataset is None or chain is None:
            return
        self.begun.emit()
        fit = self._registration.fit
        if fit is not None and fit.is_folded:
            self._registration.failed.emit(
                "The section folds over itself, so that it cannot be shown in the dataset; move or "
                "disable landmarks that cross."
            )
            return
        try:
            found = section_refinement(dataset, section, chain, self._sections.space)
            self._sections.refine(section.image_id, found.pixels_to_pixels)
        except StriaError as error:
            self._registration.failed.emit(sentence_of(error))
            return
        self._applied[section.image_id] = (registered, found)
        self.changed.emit()

    def take_off(self) -> None:
        """Show the current section by the dataset's own alignment again."""
        section = self._section
        if section is not None:
            self._applied.pop(section.image_id, None)
            self._sections.refine(section.image_id, None)
