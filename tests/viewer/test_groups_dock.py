"""Groups of regions in a real napari window, as a user makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.server import DemoServer
from napari_stria.io.kept_groups import KeptGroupsFile
from napari_stria.viewer import contributions
from napari_stria.viewer.controller import controller_of
from napari_stria.viewer.mask_layers import mask_of

NAME = "practice_mouse_50um"


@pytest.fixture
def dock(viewer: Any, practice: DemoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The dock beside the practice brain."""
    monkeypatch.setattr(contributions, "sources", lambda: [("local", practice.url)])
    stria.add_atlas(viewer, stria.open_atlas(NAME, root=practice.url))
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    yield widget
    controller_of(viewer).close()


def _choose_level(panel: Any, words: str) -> None:
    box = panel.levels.box
    row = next(i for i in range(box.count()) if words in box.itemText(i))
    box.setCurrentIndex(row)
    box.activated.emit(row)


def test_from_a_selection_to_colours_and_masks(
    viewer: Any, dock: Any, wait_for: Any, settled: Callable[[], None], make_napari_viewer: Any
) -> None:
    settled()
    panel, session = dock.panel, dock.controller.session
    groups = dock.controller.groups.session
    ontology = session.atlas.ontology
    thalamus, hypothalamus = ontology.position("TH"), ontology.position("HY")
    wait_for(lambda: panel.groups.isVisible(), "the groups")
    session.select([thalamus, hypothalamus])
    panel.groups.new.click()
    wait_for(lambda: groups.names == ("TH and 1 more",), "the group")
    assert panel.minimumSizeHint().width() <= 300
    session.select([ontology.position("CTX")])
    panel.tree.new_group.emit((ontology.position("CTX"),))
    wait_for(lambda: session.table is not None, "the volumes")
    table = stria.group_table(session.atlas, groups.groups)
    shown = [panel.groups.model.index(row, 2).data() for row in range(2)]
    assert shown == [f"{mm3:.3f}" for mm3 in table["volume_mm3"]]
    # The picture shows the groups by its colours alone.
    _choose_level(panel, "My groups")
    groups.recolor("CTX", (1, 2, 3))
    colors = np.asarray(viewer.layers[f"{NAME} regions"].colormap.colors)
    part = ontology.subtree("CTX")
    cortex = np.rint(colors[part.start + 1 : part.stop + 1, :3] * 255)
    np.testing.assert_array_equal(cortex, np.tile((1, 2, 3), (part.stop - part.start, 1)))
    # Masks of regions and of groups.
    panel.tree.add_mask.emit((thalamus,), False)
    panel.groups.add_mask.emit(("CTX",))
    masks = [ly for ly in viewer.layers if mask_of(ly) is not None]
    assert [ly.name for ly in masks] == ["TH mask", "CTX mask"]
    np.testing.assert_allclose(np.asarray(masks[1].get_color(1))[:3] * 255, (1, 2, 3), atol=0.01)
    # Another atlas of the family is shown by the groups too, without masks of the one before.
    before = groups.names
    session.show(replace(session.atlas, name="practice_mouse_25um"))
    wait_for(lambda: groups.names == before, "the groups again")
    assert session.parcellation.groups == groups.known_groups()
    assert panel.levels.box.currentText().startswith("My groups")
    panel.tree.add_mask.emit((thalamus,), False)
    panel.groups.add_mask.emit(("CTX",))
    masks = [ly for ly in viewer.layers if mask_of(ly) is not None]
    # They outlive the dock; groups outlive the window.
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    QApplication.processEvents()
    viewer.dims.set_point(0, 6000.0)
    settled()
    plane = int(viewer.dims.current_step[0])
    truth = stria.structure_mask(session.atlas, "CTX")[plane].compute().sum()
    assert np.asarray(masks[1].data[0][plane]).sum() == truth > 0
    groups.delete(["TH and 1 more"])
    wait_for(lambda: KeptGroupsFile().read("practice_mouse").groups == groups.groups, "the file")
    other = make_napari_viewer()
    stria.add_atlas(other, session.atlas)
    again = controller_of(other).groups.session
    wait_for(lambda: bool(again.names), "the groups that were kept")
    assert again.groups == groups.groups
    controller_of(other).close()


def test_masks_of_regions_and_groups_are_exported(
    viewer: Any, dock: Any, wait_for: Any, settled: Callable[[], None], tmp_path: Path
) -> None:
    settled()
    panel, controller = dock.panel, dock.controller
    groups, ontology = controller.groups.session, controller.session.atlas.ontology
    thalamus, hypothalamus = ontology.position("TH"), ontology.position("HY")
    groups.create([thalamus, hypothalamus], "Inner; both")
    for asked, what, typed in (
        (panel.tree.export_masks, (thalamus, hypothalamus), "TH; HY"),
        (panel.groups.export_masks, ("Inner; both",), 'group:"Inner; both"'),
    ):
        asked.emit(what)
        form = controller.exports.dialog.form
        wait_for(lambda typed=typed, form=form: form.choices().typed == typed, "the dialog")
        assert form.choices().kind == "masks"
        assert form.choices().which == "typed"
    dialog = controller.exports.dialog
    dialog.form.place.path.setText(str(tmp_path / "masks"))
    dialog.form.place.edited.emit()
    wait_for(dialog.start.isEnabled, "what is known of the request")
    dialog.start.click()
    exports = controller.exports.session
    wait_for(lambda: exports.status.state == "done", "the masks")
    (path,) = exports.status.paths
    truth = stria.structure_mask(controller.session.atlas, groups.groups[0]).sum().compute()
    assert int(nrrd.read(str(path))[0].sum()) == truth
