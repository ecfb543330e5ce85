"""Structure sets for an open atlas that came without any."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.errors import OntologyError
from napari_stria.session.atlas_session import AtlasSession, sentence_of
from napari_stria.session.errand import Errand
from napari_stria.session.tasks import Tasks

# Ids of another species' regions may be there by chance, with other acronyms.
_LEAST_SHARE = 0.5

Fetch = Callable[[Atlas, Callable[[], bool]], Ontology]


class StructureSets:
    """Fetches structure sets in the background and gives them to the session's atlas.

    Parameters
    ----------
    session : AtlasSession
        Whose atlas gets them; another atlas drops what is under way.
    tasks : Tasks
        Runs the requests elsewhere.
    fetch : callable
        Returns an ontology that has sets, for an atlas; is given a callable which tells whether it
        was cancelled.

    Attributes
    ----------
    fetching : bool
        Whether sets are under way.
    problem : str
        Why they did not come; empty if nothing went wrong.
    changed : Signal
        One of these is other than it was.
    """

    changed = Signal()

    def __init__(self, session: AtlasSession, tasks: Tasks, fetch: Fetch) -> None:
        self._session = session
        self._errand = Errand(tasks)
        self._fetch = fetch
        self.fetching = False
        self.problem = ""
        session.closed.connect(self.cancel)

    def start(self) -> None:
        """Fetch the sets of the open atlas."""
        atlas = self._session.atlas
        if atlas is None or self.fetching:
            return

        def done(ontology: Ontology) -> None:
            self._session.set_ontology(ontology)
            self._set(False)

        def failed(error: Exception) -> None:
            self._set(False, f"No structure sets: {sentence_of(error)}")

        self._set(True)
        self._errand.start(
            lambda cancelled: with_fetched_sets(atlas.ontology, self._fetch(atlas, cancelled)),
            done,
            failed,
        )

    def cancel(self) -> None:
        """Drop what is under way, and what was said."""
        self._errand.cancel()
        self._set(False)

    def _set(self, fetching: bool, problem: str = "") -> None:
        if (fetching, problem) != (self.fetching, self.problem):
            self.fetching, self.problem = fetching, problem
            self.changed.emit()


def with_fetched_sets(ontology: Ontology, fetched: Ontology) -> Ontology:
    """Return an atlas's ontology with the sets of a fetched one.

    Raises
    ------
    OntologyError
        If the two are not of the same brain, or the fetched one has no set.
    """
    if not fetched.structure_set_ids:
        raise OntologyError("the server knows the regions but no structure set; ask another one.")
    acronyms = {structure.id: structure.acronym for structure in fetched}
    shared = sum(acronyms.get(structure.id) == structure.acronym for structure in ontology)
    if shared < _LEAST_SHARE * len(ontology):
        raise OntologyError(
            f"only {shared} of this atlas's {len(ontology)} regions are among the server's; they "
            "are of another brain."
        )
    return ontology.with_sets(fetched)
