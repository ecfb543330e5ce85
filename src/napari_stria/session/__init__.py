"""Evented state and the controllers that change it: no Qt, no napari."""
