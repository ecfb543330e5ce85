"""The plugin's docks in a window: one of each, however it is asked for."""

from __future__ import annotations

import napari
from npe2 import PluginManager

_PLUGIN = "napari-stria"


def show_dock(viewer: napari.Viewer, title: str) -> None:
    """Bring a dock of the plugin to the front; it is made if the window has none yet.

    Parameters
    ----------
    viewer : napari.Viewer
    title : str
        The dock's ``display_name`` in ``napari.yaml``.
    """
    # Plugins are given a proxy of the viewer.
    viewer = getattr(viewer, "__wrapped__", viewer)
    plugins = PluginManager.instance()
    docks = viewer.window.dock_widgets
    # What napari calls a dock from its menu, and from `add_plugin_dock_widget`.
    names = [
        f"{title} ({owner})" for owner in (plugins.get_manifest(_PLUGIN).display_name, _PLUGIN)
    ]
    for name in names:
        if name in docks:
            dock = docks[name].parentWidget()
            dock.show()
            dock.raise_()
            return
    (make,) = (
        widget.get_callable()
        for widget in plugins.iter_widgets()
        if (widget.plugin_name, widget.display_name) == (_PLUGIN, title)
    )
    viewer.window.add_dock_widget(make(viewer), name=names[0], tabify=True)
