"""From which server a viewer's atlas gets its structure sets."""

from __future__ import annotations

from collections.abc import Callable

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.allen_ontology import MOUSE_GRAPH, fetch_ontology
from napari_stria.viewer.practice import PRACTICE_ROOT, lasting_place, practice_api_url
from napari_stria.viewer.settings import stria_settings


def fetch_structure_sets(atlas: Atlas, cancelled: Callable[[], bool]) -> Ontology:
    """Return the ontology of the server that sections are looked up at first, as in Preferences.

    The practice brain's is beside it on this machine, and is not kept: its address changes.
    """
    practice = lasting_place(str(atlas.opened_with.get("root", ""))) == PRACTICE_ROOT
    if practice:
        api = AllenApi(practice_api_url(), cached=False)
    else:
        api = AllenApi(stria_settings().allen_url or None)
    graph = atlas.ontology.at(0).graph_id or MOUSE_GRAPH
    return fetch_ontology(graph, api, cancelled=cancelled)
