"""Docks and forms: Qt through qtpy alone, no napari."""
