"""The plugin's page in napari's Preferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari.settings import get_plugin_settings

_PLUGIN = "napari-stria"


@dataclass(frozen=True)
class StriaSettings:
    """What the user set, as declared in ``napari.yaml``.

    Attributes
    ----------
    cache_mb : int
        Bound of the decoded chunks kept in memory.
    workers : int
        Threads that fetch and decode.
    root : str
        Where atlases are looked up first; empty for BrainGlobe's public bucket.
    allen_url : str
        Where sections are looked up first; empty for the public Allen API.
    files_url : str
        Where Allen's annotation is downloaded; empty for the institute's server.
    images_mb : int
        Bound of the section images kept on disk.
    disk_mb : int
        Bound of the seen parts of atlases kept on disk; 0 keeps none.
    disk_folder : str
        Where all that is kept lies; empty for the system's cache folder.
    disk_clear : bool
        The user ticked the box that deletes what was seen.
    """

    cache_mb: int = 1024
    workers: int = 8
    root: str = ""
    allen_url: str = ""
    files_url: str = ""
    images_mb: int = 2048
    disk_mb: int = 4096
    disk_folder: str = ""
    disk_clear: bool = False


def stria_settings() -> StriaSettings:
    """Return the present settings; the defaults where napari does not know the plugin."""
    try:
        settings = get_plugin_settings(_PLUGIN)
        streaming, sections, disk = settings.streaming, settings.sections, settings.disk
    except (KeyError, AttributeError):
        return StriaSettings()
    return StriaSettings(
        cache_mb=int(streaming.cache_mb),
        workers=int(streaming.workers),
        root=str(streaming.root or ""),
        allen_url=str(sections.url or ""),
        files_url=str(sections.files_url or ""),
        images_mb=int(sections.images_mb),
        disk_mb=int(disk.size_mb),
        disk_folder=str(disk.folder or ""),
        disk_clear=bool(disk.clear_now),
    )


def on_settings_changed(call: Callable[[], None]) -> None:
    """Run a call whenever the user changes one of the settings."""
    try:
        settings = get_plugin_settings(_PLUGIN)
        groups = (settings.streaming, settings.sections, settings.disk)
    except (KeyError, AttributeError):
        return
    for group in groups:
        group.events.connect(lambda _event=None: call())


def untick_clear() -> None:
    """Untick the box that deletes what was seen: it was taken notice of."""
    get_plugin_settings(_PLUGIN).disk.clear_now = False
