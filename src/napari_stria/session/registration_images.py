"""The pixels of a registration's sections: opened when a section is shown, a few kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable

from napari_stria.errors import FormatError
from napari_stria.io.section_files import SectionImage, open_section_image
from napari_stria.session.errand import Errand
from napari_stria.session.registration_state import AllenSource, SectionEntry
from napari_stria.session.tasks import Tasks

# Open files and what was made of their pixels; levels in memory have a bound of their own.
_MOST_KEPT = 6


class RegistrationImages:
    """Opens images off the session's thread; the newest wish replaces the one before.

    Parameters
    ----------
    tasks : Tasks
        Runs the opening.
    open_allen : callable
        Opens a section of the Allen Institute, in another thread.
    arrived : callable
        Called in the session's thread with the entry and its image.
    failed : callable
        Called there with the entry and why it could not be opened.
    """

    def __init__(
        self,
        tasks: Tasks,
        open_allen: Callable[[AllenSource], SectionImage],
        arrived: Callable[[SectionEntry, SectionImage], None],
        failed: Callable[[SectionEntry, Exception], None],
    ) -> None:
        self._errand = Errand(tasks)
        self._open_allen = open_allen
        self._arrived, self._failed = arrived, failed
        self._kept: OrderedDict[Hashable, SectionImage] = OrderedDict()
        self._held: dict[Hashable, SectionImage] = {}  # without a file to be opened again
        self._wanted: Hashable = None  # what is being opened
        self._looked_at: Hashable = None

    def get(self, entry: SectionEntry | None) -> SectionImage | None:
        """Return the image of a section if it is open."""
        if entry is None:
            return None
        return self._held.get(entry.key) or self._kept.get(entry.key)

    def keep(self, entry: SectionEntry, image: SectionImage) -> None:
        """Keep an image; one without a file for as long as the section is there."""
        if entry.path is None and entry.allen is None:
            self._held[entry.key] = image
            return
        self._kept[entry.key] = image
        self._kept.move_to_end(entry.key)
        while len(self._kept) > _MOST_KEPT:
            # Not closed: a view may still read from it, and its file goes with the last of them.
            self._kept.popitem(last=False)

    def want(self, entry: SectionEntry | None) -> None:
        """Open the image of a section, unless it is open, being opened or nowhere.

        One that could not be opened is tried again when another section was wanted in between.
        """
        came_to = entry is not None and entry.key != self._looked_at
        self._looked_at = None if entry is None else entry.key
        if entry is None or entry.key in self._held or not self._may_be_there(entry, came_to):
            return
        if entry.key in self._kept:
            self._kept.move_to_end(entry.key)
            return
        if entry.key == self._wanted:
            return
        path, allen, self._wanted = entry.path, entry.allen, entry.key

        def arrived(image: SectionImage) -> None:
            self._wanted = None
            self.keep(entry, image)
            self._arrived(entry, image)

        def failed(error: Exception) -> None:
            self._wanted = None
            self._failed(entry, error)

        def opened(_cancelled: object) -> SectionImage:
            if path is not None:
                return open_section_image(path)
            if allen is not None:
                return self._open_allen(allen)
            raise FormatError(f"{entry.name} was a layer, which no file holds; open it again.")

        self._errand.start(opened, arrived, failed)

    @staticmethod
    def _may_be_there(entry: SectionEntry, came_to: bool) -> bool:
        """Tell whether it is worth a try."""
        is_somewhere = entry.path is not None or entry.allen is not None
        return not entry.is_missing or (came_to and is_somewhere)

    def retain(self, entries: Collection[SectionEntry]) -> None:
        """Let go of the images of all other sections."""
        keys = {entry.key for entry in entries}
        for kept in (self._kept, self._held):
            for key in kept.keys() - keys:
                del kept[key]

    def forget(self) -> None:
        """Let go of all images."""
        self._errand.cancel()
        self._wanted = self._looked_at = None
        self._kept.clear()
        self._held.clear()
