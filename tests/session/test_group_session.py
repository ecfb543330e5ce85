"""The user's groups in an atlas session: made, changed, undone, kept, exchanged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.groups import RegionGroup
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import OutputError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.config_files import config_folder
from napari_stria.io.kept_groups import KeptGroups, KeptGroupsFile
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.group_exchange import GroupExchange
from napari_stria.session.group_session import GroupSession
from napari_stria.session.tasks import ImmediateTasks

ROWS = [
    (997, None, "root"),
    (688, 997, "CTX"),
    (669, 688, "VIS"),
    (385, 669, "VISp"),
    (409, 669, "VISl"),
    (315, 688, "MO"),
    (343, 997, "BS"),
    (549, 343, "TH"),
]
ROOT, CTX, VIS, VISP, VISL, MO, BS, TH = range(8)


def atlas(name: str = "toy_mouse_50um", rows: Sequence[Any] = ROWS) -> stria.Atlas:
    labels = np.zeros((4, 4, 6), dtype=np.uint32)
    for number, row in enumerate(rows):
        labels.reshape(-1)[number * 12 : number * 13 + 1] = row[0]
    ontology = Ontology(StructureRecord(i, p, a, f"region {a}") for i, p, a in rows)
    return stria.atlas_from_array(labels, ontology, resolution_um=1000, name=name)


class Held(ImmediateTasks):
    """Keeps what it is given until it is released."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))


class Bench:
    def __init__(self, pool: ChunkPool, tasks: ImmediateTasks | None = None) -> None:
        tasks = ImmediateTasks() if tasks is None else tasks
        self.session = AtlasSession(ImmediateTasks(), ChunkCache(10**6), pool)
        self.groups = GroupSession(self.session, tasks, KeptGroupsFile())
        self.files = GroupExchange(self.session, self.groups, tasks)
        self.said: list[str] = []
        self.told: list[str] = []
        self.groups.message.connect(self.said.append)
        self.groups.changed.connect(lambda: self.told.append("changed"))
        self.groups.rows_changed.connect(lambda: self.told.append("rows"))

    def show(self, shown: stria.Atlas | None = None) -> Bench:
        self.session.show(atlas() if shown is None else shown)
        self.told.clear()
        return self


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(workers=1)
    yield pool
    pool.close()


@pytest.fixture
def bench(pool: ChunkPool) -> Bench:
    return Bench(pool).show()


@pytest.fixture
def another(pool: ChunkPool) -> Callable[..., Bench]:
    """Make another window."""
    return lambda tasks=None: Bench(pool, tasks)


# -- making and changing ---------------------------------------------------------------------------


def test_a_group_is_made_of_regions(bench: Bench) -> None:
    assert bench.groups.create([VISP, TH]) == "VISp and 1 more"
    assert bench.groups.create([VISP]) == "VISp"
    assert bench.groups.create([VISP]) == "VISp 2"
    assert bench.groups.create([BS], " my  own ") == "my own"
    first = bench.groups.groups[0]
    assert (first.region_ids, first.acronyms) == ((385, 549), ("VISp", "TH"))
    colors = {group.rgb_triplet for group in bench.groups.groups}
    assert len(colors) == 4
    assert bench.told == ["changed", "rows"] * 4
    assert bench.groups.create([]) == ""
    assert "Select regions" in bench.said[-1]


def test_a_change_takes_back_what_was_said_of_a_refused_one(bench: Bench) -> None:
    bench.groups.create([VISP], "a")
    assert bench.said == []
    bench.groups.create([])
    assert "Select regions" in bench.said[-1]
    bench.groups.recolor("a", (1, 2, 3))
    assert bench.said[-1] == ""
    bench.groups.undo()
    assert len(bench.said) == 2


def test_what_is_done_is_undone_and_done_again(bench: Bench) -> None:
    groups = bench.groups
    groups.create([VISP], "a")
    groups.create([TH], "b")
    groups.rename("a", "c")
    groups.recolor("c", (1, 2, 3))
    groups.add_regions("c", [MO])
    groups.remove_regions("c", [VISP])
    groups.delete(["b"])
    states = [groups.groups]
    texts = []
    while groups.undo_text:
        texts.append(groups.undo_text)
        groups.undo()
        states.append(groups.groups)
    assert texts == [
        "delete b", "remove from c", "add to c", "colour of c", "rename a", "new group", "new group"
    ]  # fmt: skip
    assert states[-1] == ()
    assert len(set(states)) == 8
    for state in reversed(states[:-1]):
        groups.redo()
        assert groups.groups == state
    assert groups.redo_text == ""
    assert groups.groups == (RegionGroup("c", (315,), (1, 2, 3)),)
    groups.undo()
    groups.recolor("b", (9, 9, 9))
    assert groups.redo_text == ""  # another way was taken


def _acronyms(groups: GroupSession) -> list[str]:
    return list(groups.groups[0].acronyms)


def test_regions_are_added_once_and_removed_with_what_is_below(bench: Bench) -> None:
    groups = bench.groups
    groups.create([VISP, VISL, TH], "a")
    groups.add_regions("a", [VISP, MO])
    assert _acronyms(groups) == ["VISp", "VISl", "TH", "MO"]
    groups.remove_regions("a", [VIS])
    assert _acronyms(groups) == ["TH", "MO"]
    groups.create([CTX], "b")
    before = groups.groups
    refusals: list[tuple[Callable[[], object], str]] = [
        (lambda: groups.add_regions("a", [TH]), "already"),
        (lambda: groups.remove_regions("b", [VISP]), "does not list"),
        (lambda: groups.remove_regions("a", [ROOT]), "delete the group"),
        (lambda: groups.rename("a", "b"), "There is a group b"),
        (lambda: groups.rename("a", "  "), "needs a name"),
    ]
    for refused, said in refusals:
        refused()
        assert said in bench.said[-1]
    assert groups.groups == before
    assert groups.undo_text == "new group"
    assert groups.rename("a", "a")
    assert groups.undo_text == "new group"


def test_without_an_atlas_there_is_nothing(pool: ChunkPool) -> None:
    bench = Bench(pool)
    assert bench.groups.create([1]) == ""
    bench.groups.undo()
    bench.groups.delete(["a"])
    assert (bench.groups.rows(), bench.groups.groups, bench.groups.parcellation()) == ((), (), None)


# -- what is said of them --------------------------------------------------------------------------


def test_rows_say_volumes_of_the_union_and_what_is_shown(bench: Bench) -> None:
    bench.groups.create([VIS, VISP, TH], "a")
    bench.groups.create([MO], "b")
    rows = bench.groups.rows()
    assert [row.volumes for row in rows] == [None, None]
    bench.told.clear()
    bench.session.start_table()
    assert "rows" in bench.told
    counted = [row.volumes for row in bench.groups.rows()]
    assert [v and v.total_mm3 for v in counted] == [3 + 4 + 5 + 8, 6]  # 1 mm3 a voxel
    assert bench.session.table is not None
    truth = stria.group_table(atlas(), bench.groups.groups)["volume_mm3"]
    assert [v and v.total_mm3 for v in counted] == truth.tolist()
    bench.told.clear()
    bench.session.set_visible([VISP], False)
    assert bench.told == ["rows"]
    assert [row.shown for row in bench.groups.rows()] == [None, True]
    bench.groups.set_visible(["a"], False)
    assert [row.shown for row in bench.groups.rows()] == [False, True]
    bench.groups.isolate(["a", "b"])
    assert [row.shown for row in bench.groups.rows()] == [True, True]
    assert bench.session.hidden[BS]
    bench.groups.select(["a", "b"])
    assert bench.session.selected == (VIS, VISP, TH, MO)


def test_regions_that_the_atlas_lacks_are_said_and_stay(another: Any) -> None:
    first = another().show()
    first.groups.create([VISP, VISL, TH], "a")
    first.groups.create([VISL], "b")
    smaller = atlas("toy_mouse_10um", [row for row in ROWS if row[2] not in ("VISl", "VIS")])
    second = another().show(smaller)
    a, b = second.groups.rows()
    assert a.missing == b.missing == ("VISl (id 409)",)
    assert [smaller.ontology.at(p).acronym for p in a.positions] == ["VISp", "TH"]
    assert (b.positions, b.shown, b.volumes) == ((), False, None)
    assert [g.acronyms for g in second.groups.known_groups()] == [("VISp", "TH")]
    parcels = second.groups.parcellation()
    assert parcels is not None
    assert parcels.acronyms == ("a",)
    second.groups.recolor("a", (1, 2, 3))
    second.groups.select(["b"])
    third = another().show()
    assert third.groups.groups[0] == RegionGroup("a", (385, 409, 549), (1, 2, 3))
    assert third.groups.groups[0].acronyms == ("VISp", "VISl", "TH")
    assert third.groups.rows()[1].positions == (VISL,)


# -- keeping ---------------------------------------------------------------------------------------


def test_groups_come_back_with_the_family(bench: Bench, another: Any) -> None:
    bench.groups.create([VISP], "a")
    assert another().show(atlas("toy_mouse_10um")).groups.names == ("a",)
    assert another().show(atlas("other_rat_10um")).groups.names == ()
    bench.session.show(atlas("other_rat_10um"))
    assert not bench.groups.names
    assert bench.groups.undo_text == ""
    bench.session.show(atlas("toy_mouse_25um"))
    assert bench.groups.names == ("a",)
    bench.session.close()
    assert not bench.groups.groups


def test_two_windows_lose_nothing(another: Any) -> None:
    one, two = another().show(), another().show()
    one.groups.create([VISP], "a")
    two.groups.create([TH], "b")
    assert two.groups.names == ("b", "a")  # it learned of the other when it wrote
    two.groups.undo()
    assert two.groups.names == ("a",)
    two.groups.redo()
    one.groups.recolor("a", (1, 2, 3))
    assert set(one.groups.names) == {"a", "b"}
    one.groups.undo()
    one.groups.undo()
    assert one.groups.names == ("b",)
    assert KeptGroupsFile().read("toy_mouse").groups == two.groups.groups[:1]


def test_changes_wait_for_each_other_and_none_is_lost(another: Any) -> None:
    KeptGroupsFile().change("toy_mouse", [], [RegionGroup("kept", (343,))])
    tasks = Held()
    bench = another(tasks).show()
    assert bench.groups.create([TH], "early") == ""
    assert "still being read" in bench.said[-1]
    tasks.release()
    assert bench.groups.names == ("kept",)
    for name in "abc":
        bench.groups.create([TH], name)
    assert len(tasks.held) == 1
    tasks.release()
    assert len(tasks.held) == 1  # b and c together
    bench.groups.create([MO], "d")
    bench.session.close()  # while a change is written and another one waits
    while tasks.held:
        tasks.release()
    found = KeptGroupsFile().read("toy_mouse").groups
    assert [group.name for group in found] == ["kept", "a", "b", "c", "d"]


def test_the_last_change_comes_after_the_one_that_is_being_written(another: Any) -> None:
    tasks = Held()
    bench = another(tasks).show()
    tasks.release()
    bench.groups.create([TH], "a")
    tasks.release()
    bench.groups.rename("a", "b")
    bench.groups.rename("b", "c")
    bench.session.close()
    while tasks.held:
        tasks.release(-1)  # the worst order
    assert [group.name for group in KeptGroupsFile().read("toy_mouse").groups] == ["c"]


def test_the_last_change_is_kept_also_if_the_one_before_fails(
    another: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, calls = KeptGroupsFile.change, list[str]()

    def fail_once(*args: Any) -> KeptGroups:
        calls.append("change")
        if len(calls) == 1:
            raise OutputError("region_groups.json cannot be written (no space).")
        return change(*args)

    monkeypatch.setattr(KeptGroupsFile, "change", fail_once)
    tasks = Held()
    bench = another(tasks).show()
    tasks.release()
    bench.groups.create([TH], "a")
    bench.groups.rename("a", "b")
    bench.session.close()
    tasks.release()
    assert [group.name for group in KeptGroupsFile().read("toy_mouse").groups] == ["b"]


class HeldOutcomes(Held):
    """Works at once; what comes of it is told when it is released."""

    def run(self, work: Any, done: Any, failed: Any) -> None:
        result = work()
        super().run(lambda: result, done, failed)


def test_a_change_of_which_nothing_was_heard_yet_is_not_done_twice(another: Any) -> None:
    tasks = HeldOutcomes()
    bench = another(tasks).show()
    tasks.release()
    bench.groups.create([TH], "a")
    bench.groups.recolor("a", (1, 2, 3))
    bench.session.show(atlas("toy_mouse_10um"))  # the write has ended, which is not told yet
    while tasks.held:
        tasks.release()
    assert KeptGroupsFile().read("toy_mouse").groups == (RegionGroup("a", (549,), (1, 2, 3)),)
    assert bench.groups.groups == (RegionGroup("a", (549,), (1, 2, 3)),)


def test_the_next_atlas_reads_what_was_written_last(another: Any) -> None:
    tasks = Held()
    bench = another(tasks).show()
    tasks.release()
    bench.groups.create([TH], "a")
    bench.groups.recolor("a", (1, 2, 3))
    bench.session.show(atlas("toy_mouse_25um"))
    bench.session.show(atlas("toy_mouse_10um"))
    while tasks.held:
        tasks.release(-1)
    assert bench.groups.groups == (RegionGroup("a", (549,), (1, 2, 3)),)


_PROGRAM = """
import threading
from napari_stria.core.groups import RegionGroup
from napari_stria.io.kept_groups import KeptGroupsFile
from napari_stria.session.group_keeping import GroupKeeping

class Threads:
    def run(self, work, done, failed):
        def outcome():
            told.append((done, work()))
        threading.Thread(target=outcome, daemon=True).start()

class Late(KeptGroupsFile):
    def change(self, *args):
        threading.main_thread().join()  # writes when the program ends
        return super().change(*args)

told = []
keepings = []
for family, left in (("left", True), ("open", False)):
    keeping = GroupKeeping(Threads(), Late(), family)
    keepings.append(keeping)
    keeping.start()
    while not told:
        pass
    done, kept = told.pop()
    done(kept)
    keeping.keep((RegionGroup("a", (1,)),))
    keeping.keep((RegionGroup("b", (1,)),))
    if left:
        keeping.leave()
"""


def test_the_end_of_the_program_waits_for_the_last_changes(bench: Bench) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for family in ("left", "open"):
        assert KeptGroupsFile().read(family).groups == (RegionGroup("b", (1,)),)


def test_what_came_meanwhile_is_for_the_atlas_that_asked(another: Any) -> None:
    KeptGroupsFile().change("toy_mouse", [], [RegionGroup("kept", (343,))])
    tasks = Held()
    bench = another(tasks).show()
    bench.session.show(atlas("other_rat_10um"))
    while tasks.held:
        tasks.release()
    assert bench.groups.names == ()


def test_what_cannot_be_kept_is_said_once_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> KeptGroups:
        raise OutputError("region_groups.json cannot be written (no space).")

    with monkeypatch.context() as patch:
        patch.setattr(KeptGroupsFile, "change", fail)
        bench.groups.create([VISP], "a")
        bench.groups.create([TH], "b")
    assert bench.said == ["region_groups.json cannot be written (no space)."]
    assert bench.groups.names == ("a", "b")
    bench.groups.create([MO], "c")
    assert len(KeptGroupsFile().read("toy_mouse").groups) == 3


def test_a_damaged_file_is_said(another: Any) -> None:
    (config_folder() / "region_groups.json").write_text("{")
    bench = another().show()
    assert "set aside" in bench.said[-1]
    assert bench.groups.create([VISP]) == "VISp"


def test_closing_stops_following(bench: Bench) -> None:
    bench.groups.create([VISP], "a")
    bench.groups.close()
    bench.told.clear()
    bench.session.show(atlas())
    bench.session.show_all()
    assert bench.told == []
    assert bench.groups.groups == ()


# -- what the picture shows ------------------------------------------------------------------------


def _shown(bench: Bench) -> dict[str, tuple[int, ...]] | None:
    shown = bench.session.parcellation
    return None if shown is None else dict(zip(shown.acronyms, shown.roots))


def test_the_picture_follows_the_groups_that_it_shows(bench: Bench) -> None:
    bench.groups.create([VISP], "a")
    bench.session.set_parcellation(bench.groups.parcellation())
    bench.groups.create([BS], "b")
    bench.groups.add_regions("a", [MO])
    assert _shown(bench) == {"a": (VISP, MO), "b": (BS,)}
    bench.groups.undo()
    assert _shown(bench) == {"a": (VISP,), "b": (BS,)}
    bench.groups.delete(["a", "b"])
    assert _shown(bench) is None
    bench.session.set_parcellation(parcellation_at_depth(atlas().ontology, 1))
    bench.groups.create([VISP], "a")
    assert bench.session.parcellation is not None
    assert bench.session.parcellation.depth == 1


def test_groups_of_one_family_are_not_shown_of_another(bench: Bench) -> None:
    bench.groups.create([VISP], "a")
    bench.session.set_parcellation(bench.groups.parcellation())
    bench.session.show(atlas("toy_mouse_10um"))
    assert _shown(bench) == {"a": (VISP,)}
    bench.session.show(atlas("other_rat_10um"))
    assert _shown(bench) is None


def test_groups_stay_shown_through_the_atlases_of_a_family(another: Any) -> None:
    """Also where an atlas lacks some of their regions, and where they changed in between."""
    tasks = Held()
    bench, other = another(tasks).show(), another().show()
    tasks.release()
    bench.groups.create([VISP, VISL], "a")
    tasks.release()
    bench.session.set_parcellation(bench.groups.parcellation())
    smaller = atlas("toy_mouse_10um", [row for row in ROWS if row[2] != "VISl"])
    bench.session.show(smaller)
    tasks.release()
    assert _shown(bench) == {"a": (VISP,)}
    assert bench.session.parcellation_note == ""
    bench.session.close()
    other.session.show(atlas())
    other.groups.create([TH], "b")
    bench.session.show(atlas())
    tasks.release()
    assert _shown(bench) == {"a": (VISP, VISL), "b": (TH,)}
    # What is chosen while they are read is what is shown.
    bench.session.show(atlas("toy_mouse_25um"))
    bench.session.set_parcellation(None)
    tasks.release()
    assert _shown(bench) is None
    # All of them are deleted elsewhere.
    bench.session.set_parcellation(bench.groups.parcellation())
    other.session.show(atlas())
    other.groups.delete(["a", "b"])
    bench.session.show(atlas())
    tasks.release()
    assert _shown(bench) is None


def test_the_picture_follows_what_another_window_did(another: Any) -> None:
    one, two = another().show(), another().show()
    one.groups.create([VISP], "a")
    one.session.set_parcellation(one.groups.parcellation())
    two.groups.create([BS], "b")
    two.groups.recolor("a", (9, 9, 9))
    one.groups.create([MO], "c")  # learns of the others as it writes
    assert _shown(one) == {"a": (VISP,), "c": (MO,), "b": (BS,)}
    assert one.session.parcellation is not None
    assert one.session.parcellation.groups == one.groups.groups


def test_ids_that_mean_other_regions_are_missing_and_kept(bench: Bench, another: Any) -> None:
    """Two atlases of a user's own may have one name."""
    bench.session.show(atlas("annotation_25"))
    bench.groups.create([VISP, TH], "a")
    bench.session.set_parcellation(bench.groups.parcellation())
    human = atlas("annotation", [(997, None, "root"), (385, 997, "Amygdala"), (549, 997, "TH")])
    bench.session.show(human)
    (row,) = bench.groups.rows()
    assert row.missing == ("VISp (id 385), which is Amygdala here",)
    assert [human.ontology.at(p).acronym for p in row.positions] == ["TH"]
    assert _shown(bench) == {"a": (2,)}
    bench.groups.recolor("a", (1, 2, 3))
    (kept,) = KeptGroupsFile().read("annotation").groups
    assert kept.acronyms == ("VISp", "TH")
    assert kept.rgb_triplet == (1, 2, 3)


# -- files -----------------------------------------------------------------------------------------


def test_files_are_saved_and_opened(bench: Bench, another: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.groups.json"
    bench.groups.create([VISP, TH], "a")
    bench.groups.create([MO], "b")
    bench.files.save(path)
    assert str(path) in bench.said[-1]
    assert stria.read_region_groups(path) == bench.groups.groups
    other = another().show(atlas("other_rat_10um"))
    other.groups.create([BS], "a")
    other.files.open(path)
    assert other.groups.names == ("a", "a 2", "b")
    assert other.said[-1] == "2 of 2 groups of mine.groups.json were added."
    other.groups.undo()
    assert other.groups.names == ("a",)
    other.groups.redo()
    other.groups.rename("b", "c")
    other.files.open(path)
    assert other.groups.names == ("a", "a 2", "c", "a 3", "b")
    other.files.open(path)
    assert "1 of 2 groups" in other.said[-1]


def test_a_file_with_unknown_regions_says_which(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "mine.groups.json"
    groups = [RegionGroup("a", (385, 7), acronyms=("VISp", "gone")), RegionGroup("b", (8,))]
    stria.write_region_groups(path, groups)
    bench.files.open(path)
    assert "This atlas lacks gone (id 7) of a, id 8 of b." in bench.said[-1]
    again = tmp_path / "again.groups.json"
    bench.files.save(again)
    assert stria.read_region_groups(again) == tuple(groups)
    assert stria.read_region_groups(again)[0].acronyms == ("VISp", "gone")


def test_what_goes_wrong_with_a_file_is_said(bench: Bench, tmp_path: Path) -> None:
    bench.files.open(tmp_path / "none.groups.json")
    assert "cannot be read" in bench.said[-1]
    empty = stria.write_region_groups(tmp_path / "empty.groups.json", [])
    bench.files.open(empty)
    assert "holds no group" in bench.said[-1]
    bench.groups.create([VISP])
    bench.files.save(tmp_path / "nowhere" / "x.groups.json")
    assert "cannot be written" in bench.said[-1]


def test_a_file_that_comes_late_is_for_the_atlas_that_asked(another: Any, tmp_path: Path) -> None:
    path = stria.write_region_groups(tmp_path / "m.groups.json", [RegionGroup("a", (385,))])
    tasks = Held()
    bench = another(tasks).show()
    tasks.release()
    bench.files.open(path)
    bench.session.show(replace(atlas(), name="other_rat_10um"))
    while tasks.held:
        tasks.release()
    assert bench.groups.names == ()
