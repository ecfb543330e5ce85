"""Whether the picture shows the user's groups, and that it shows them as they are."""

from __future__ import annotations

from collections.abc import Callable

from napari_stria.core.groups import known_part
from napari_stria.core.parcellation import Parcellation
from napari_stria.session.atlas_session import AtlasSession


class ShownGroups:
    """Keeps an atlas session's parcellation like the user's groups, while these are what it shows.

    Parameters
    ----------
    session : AtlasSession
        Whose picture.
    made : callable
        Makes a parcellation of the groups as they are now, None without any.
    """

    def __init__(self, session: AtlasSession, made: Callable[[], Parcellation | None]) -> None:
        self._session, self._made = session, made
        self._shown = False
        session.parcellation_changed.connect(self._on_parcellation)

    def close(self) -> None:
        """Stop following the session."""
        self._session.parcellation_changed.disconnect(self._on_parcellation, missing_ok=True)

    def take_atlas(self, *, same_family: bool) -> None:
        """Show of another atlas what is shown of groups, unless their ids mean other regions."""
        session, shown, were_shown = self._session, self._session.parcellation, self._shown
        assert session.atlas is not None
        ontology = session.atlas.ontology
        if shown is not None and shown.groups:
            strange = any(known_part(ontology, g, by_acronym=True)[1] for g in shown.groups)
            if strange or not same_family:
                session.set_parcellation(None)
        # Those of the family are still to be read.
        self._shown = were_shown and same_family

    def follow(self) -> None:
        """Show the groups as they are now, if they are shown."""
        made, shown = self._made(), self._session.parcellation
        like = made is not None and made.is_made_like(shown)
        if self._shown and not like and not (made is None and shown is None):
            self._session.set_parcellation(made)
        self._shown = like or (self._shown and made is not None)

    def _on_parcellation(self, shown: Parcellation | None) -> None:
        made = self._made()
        self._shown = made is not None and made.is_made_like(shown)
