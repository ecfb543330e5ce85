"""Where the session meets napari: layers, mouse, menus and the dock."""
