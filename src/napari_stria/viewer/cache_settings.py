"""The cache on disk as Preferences say: its size, its folder, and clearing it."""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QCoreApplication, QObject, QTimer

from napari_stria.io.cache import CACHE_VARIABLE, cache_folder, set_cache_folder
from napari_stria.io.chunk_files import clear, set_chunk_cache_mb
from napari_stria.session.amounts import bytes_text
from napari_stria.session.atlas_session import sentence_of
from napari_stria.viewer.settings import on_settings_changed, stria_settings, untick_clear
from napari_stria.widgets._tasks import QtTasks

# Preferences tell of every letter that is typed; a folder is taken when typing rests.
_TYPING_MS = 1000


class CacheSettings(QObject):
    """Follows the settings of the cache on disk, for the whole program.

    Use `follow_cache_settings`; there is one.
    """

    def __init__(self) -> None:
        super().__init__(QCoreApplication.instance())
        self._tasks = QtTasks()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._typing.timeout.connect(self._take_folder)
        self._folder = ""  # what is in use; empty for the system's
        self._refused = ""
        self._clearing = False
        set_chunk_cache_mb(stria_settings().disk_mb)
        wanted = stria_settings().disk_folder.strip()
        if _is_usable(wanted):
            self._use(wanted)
        elif wanted:
            self._refuse(wanted)
        if stria_settings().disk_clear:
            self._untick()  # left over: nothing is deleted because a program starts
        on_settings_changed(self._follow)

    def _follow(self) -> None:
        settings = stria_settings()
        set_chunk_cache_mb(settings.disk_mb)
        if settings.disk_folder.strip() != self._folder:
            self._typing.start()
        else:
            self._typing.stop()
        if settings.disk_clear:
            self._untick()
            self._clear()

    # -- the folder -----------------------------------------------------------------------------

    def _take_folder(self) -> None:
        wanted = stria_settings().disk_folder.strip()
        if wanted == self._folder:
            return
        # Elsewhere: a folder on a network that is gone makes its caller wait.
        self._tasks.run(partial(_is_usable, wanted), partial(self._change, wanted), self._failed)

    def _failed(self, error: Exception) -> None:
        show_warning(sentence_of(error))

    def _change(self, wanted: str, usable: bool) -> None:
        if wanted != stria_settings().disk_folder.strip():
            return  # something else was typed meanwhile
        if not usable:
            self._refuse(wanted)
            return
        before = cache_folder()
        self._use(wanted)
        self._refused = ""
        if os.environ.get(CACHE_VARIABLE):
            show_info(
                f"The variable {CACHE_VARIABLE} is set and decides where the cache is: {before}."
            )
        else:
            show_info(
                f"From now on parts of atlases are kept in {cache_folder()}. What was kept before, "
                f"also atlases kept offline, stays in {before}."
            )

    def _use(self, wanted: str) -> None:
        self._folder = wanted
        set_cache_folder(Path(wanted).expanduser() if wanted else None)

    def _refuse(self, wanted: str) -> None:
        if wanted != self._refused:
            self._refused = wanted
            show_warning(
                f"{wanted} is no folder that can be written to; make it first, or choose another "
                f"one in Preferences. The cache stays in {cache_folder()}."
            )

    # -- clearing -------------------------------------------------------------------------------

    def _untick(self) -> None:
        """Untick the box; not within the change that ticked it."""
        QTimer.singleShot(0, untick_clear)

    def _clear(self) -> None:
        if self._clearing:
            return
        self._clearing = True

        def done(freed: int) -> None:
            self._clearing = False
            show_info(
                f"{bytes_text(freed)} of seen parts, and of unpacked and decoded volumes, were "
                "deleted. Atlases kept offline stay."
                if freed
                else "Nothing was there to delete."
            )

        def failed(error: Exception) -> None:
            self._clearing = False
            show_warning(f"The cache could not be cleared: {sentence_of(error)}")

        self._tasks.run(clear, done, failed)


def _is_usable(wanted: str) -> bool:
    """Return whether a folder may be used: it exists, so that no half-typed one is made."""
    if not wanted:
        return True
    try:
        path = Path(wanted).expanduser()
        return path.is_absolute() and path.is_dir() and os.access(path, os.W_OK)
    except (RuntimeError, OSError, ValueError):  # an unknown user's home, no possible path
        return False


@cache
def follow_cache_settings() -> CacheSettings:
    """Take over the settings of the cache on disk, once a program."""
    return CacheSettings()
