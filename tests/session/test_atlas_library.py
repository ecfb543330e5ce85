from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from napari_stria.errors import NetworkError, OutputError
from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.io.atlas_details import AtlasDetails
from napari_stria.io.atlas_listing import AtlasListing
from napari_stria.io.config_files import ConfigFile
from napari_stria.io.favourites import Favourites, FavouritesFile
from napari_stria.session.atlas_library import AtlasLibrary
from napari_stria.session.remembered import Remembered
from napari_stria.session.tasks import ImmediateTasks

MOUSE, RAT = "allen_mouse_25um", "whs_sd_rat_39um"


class Held(ImmediateTasks):
    """Runs what it is given only when it is told to."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))

    def release_all(self) -> None:
        while self.held:
            self.release()


class Source:
    """A root's list, details and what lies here; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.problem = ""
        self.learned: dict[str, AtlasDetails] = {}

    def fetch(self, root: str) -> AtlasListing:
        self.asked.append(("list", root))
        if self.error is not None:
            raise self.error
        return AtlasListing((AtlasEntry(MOUSE, "3.0"),), self.problem)

    def local(self) -> list[AtlasEntry]:
        return [AtlasEntry(MOUSE, "1.2", root="/home", local=True), self.rat]

    rat = AtlasEntry(RAT, "1.2", root="/home", local=True)

    def known(self, root: str) -> dict[str, AtlasDetails]:
        return self.learned

    def read(self, root: str, name: str, version: str) -> AtlasDetails:
        self.asked.append(("read", root, name, version))
        if self.error is not None:
            raise self.error
        return AtlasDetails(name, version, "Mus musculus")

    def versions(self, root: str, name: str) -> tuple[str, ...]:
        return ("2.0",)

    def library(self, tasks: Any, **more: Any) -> AtlasLibrary:
        return AtlasLibrary(tasks, self.fetch, local_atlases=self.local, details=self, **more)


def names(library: AtlasLibrary) -> list[str]:
    return [row.name for row in library.rows]


def test_local_rows_come_first_and_stay_without_a_network() -> None:
    source, tasks = Source(), Held()
    source.error = NetworkError("there is no network.")
    library = source.library(tasks)
    failures: list[Any] = []
    library.listing_failed.connect(failures.append)
    library.list_root("r")
    tasks.release(1)  # what is here; the root's list is still on its way
    assert names(library) == [MOUSE, RAT]
    assert library.listing
    tasks.release_all()
    assert failures == [source.error]
    assert not library.listing
    assert names(library) == [MOUSE, RAT]
    assert library.rows[0].preferred.version == "1.2"
    source.error = None
    library.list_root("r")
    tasks.release_all()
    assert library.rows[0].update == ("1.2", "3.0")


def test_a_list_that_was_seen_last_opens_what_is_here() -> None:
    source = Source()
    source.problem = "r could not be reached."
    library = source.library(ImmediateTasks())
    failures: list[Any] = []
    library.listing_failed.connect(failures.append)
    library.list_root("r")
    assert [str(error) for error in failures] == [source.problem]
    (mouse, _rat) = library.rows
    assert [c.version for c in mouse.copies] == ["3.0", "1.2"]
    assert (mouse.preferred.version, mouse.update) == ("1.2", None)


def test_only_the_newest_list_counts() -> None:
    source, tasks = Source(), Held()
    library = AtlasLibrary(tasks, source.fetch)
    library.list_root("a")
    library.list_root("b")
    tasks.release(1)
    library.cancel()
    assert names(library) == [MOUSE]
    library.list_root("c")
    assert names(library) == []  # never the atlases of another root
    tasks.release(0)  # of root a, late
    assert names(library) == []
    library.cancel()
    tasks.release()
    assert names(library) == []


def test_a_description_is_read_once_and_for_the_chosen_atlas_alone() -> None:
    source = Source()
    library = source.library(ImmediateTasks())
    library.list_root("r")
    assert source.asked == [("list", "r")]
    library.choose(MOUSE)
    library.choose(None)
    library.choose(MOUSE)
    assert source.asked[1:] == [("read", "r", MOUSE, "3.0")]
    assert library.chosen.now is not None
    assert library.chosen.now.versions == ("2.0",)
    assert library.rows[0].species == "Mus musculus"  # the table fills up with use
    library.choose(RAT)
    assert source.asked[2:] == [("read", "/home", RAT, "1.2")]


def test_what_was_learned_before_is_not_asked_again() -> None:
    source = Source()
    source.learned = {f"{MOUSE}/3.0": AtlasDetails(MOUSE, "3.0", "Mus musculus")}
    library = source.library(ImmediateTasks())
    library.list_root("r")
    assert library.rows[0].species == "Mus musculus"
    library.choose(MOUSE)
    assert [what for what, *_ in source.asked] == ["list"]


def test_a_description_of_an_atlas_that_is_no_longer_chosen_is_dropped() -> None:
    source, tasks = Source(), Held()
    library = source.library(tasks)
    library.list_root("r")
    tasks.release_all()
    library.choose(MOUSE)
    library.choose(RAT)
    tasks.release(0)
    assert library.chosen.now is not None
    assert (library.chosen.now.name, library.chosen.now.reading) == (RAT, True)
    source.error = NetworkError("there is no network.")
    tasks.release_all()
    assert library.chosen.now.problem is source.error


def test_another_version_on_this_machine_is_offered() -> None:
    library = Source().library(ImmediateTasks())
    library.list_root("r")
    assert "Version 1.2 is on this machine" in library.other_copy_text(MOUSE, "")
    assert library.other_copy_text(MOUSE, "1.2") == ""
    assert library.other_copy_text(RAT, "") == ""
    assert library.other_copy_text("another", "") == ""


# -- favourites -----------------------------------------------------------------------------------


def test_favourites_show_at_once_and_are_written_in_order() -> None:
    source, tasks = Source(), Held()
    library = source.library(tasks, favourites=FavouritesFile())
    library.list_root("r")
    tasks.release_all()
    library.favourites.set(MOUSE, True)
    assert library.rows[0].favourite
    library.favourites.set(MOUSE, False)
    library.favourites.set(RAT, True)
    assert len(tasks.held) == 1  # the second change waits for the first
    tasks.release()
    assert library.favourites.names == {RAT}
    tasks.release_all()
    assert FavouritesFile().read().names == {RAT}
    assert [row.favourite for row in library.rows] == [False, True]


def test_another_windows_favourites_are_kept() -> None:
    library = Source().library(ImmediateTasks(), favourites=FavouritesFile())
    library.list_root("r")
    FavouritesFile().change({RAT: True})
    library.favourites.set(MOUSE, True)
    assert library.favourites.names == {MOUSE, RAT}


def test_a_favourite_that_cannot_be_written_is_taken_back_and_said() -> None:
    class Broken(FavouritesFile):
        def change(self, wanted: Mapping[str, bool]) -> Favourites:
            raise OutputError("the disk is full.")

    library = Source().library(ImmediateTasks(), favourites=Broken())
    library.list_root("r")
    said: list[str] = []
    library.problem.connect(said.append)
    library.favourites.set(MOUSE, True)
    assert said == ["the disk is full."]
    assert library.favourites.names == frozenset()
    assert not library.rows[0].favourite


def test_without_a_file_favourites_last_as_long_as_the_window() -> None:
    library = AtlasLibrary(ImmediateTasks(), Source().fetch)
    library.list_root("r")
    library.favourites.set(MOUSE, True)
    library.refresh()
    assert library.rows[0].favourite


# -- how the list was left ------------------------------------------------------------------------


def test_the_newest_state_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Held()
    remembered = Remembered(tasks, ConfigFile("list.json"))
    for width in (50, 60, 70):
        remembered.save({"widths": {"size": width}})
    assert len(tasks.held) == 1
    tasks.release_all()
    found: list[Any] = []
    remembered.load(found.append)
    tasks.release_all()
    assert found == [{"widths": {"size": 70}}]
