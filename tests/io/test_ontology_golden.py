"""The real ontology and annotation, against figures of AllenSDK 2.16.2."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria.core.ontology import Ontology
from napari_stria.core.regions import region_table
from napari_stria.io.allen_ccf import open_allen_ccf
from napari_stria.io.ontology_files import read_ontology, write_ontology


@pytest.fixture
def golden(real_data: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())
    return figures


@pytest.fixture
def ontology(real_data: Path) -> Ontology:
    return read_ontology(real_data / "allen_ccf_2017/structure_graph.json")


def test_up_and_down(ontology: Ontology, golden: dict[str, Any]) -> None:
    cases = golden["edge_cases"]
    assert len(ontology) == golden["n_structures_tree"]
    assert ontology.descends_from(315, 315) == cases["structure_descends_from(315,315)"]
    assert [list(ontology.ancestor_map()[385])] == cases["ancestor_ids([385])"]
    below = [s.id for s in ontology.descendants(385, include_self=True)]
    assert below[:3] == cases["descendant_ids([385])[0][:3]"]
    assert len(ontology.descendants(315)) + 1 == golden["mask_315"]["n_descendants_incl"]


def test_fields_of_the_graph(ontology: Ontology) -> None:
    # The region that AllenSDK's notebook shows; its numbers of the order are of an older graph.
    (region,) = ontology.by_name("Dorsal auditory area")
    assert (region.id, region.acronym, region.graph_id) == (1011, "AUDd", 1)
    assert region.structure_id_path == (997, 8, 567, 688, 695, 315, 247, 1011)
    assert region.rgb_triplet == (1, 147, 153)
    assert [s.graph_order for s in ontology] == list(range(len(ontology)))


def test_every_form_gives_the_same(real_data: Path, ontology: Ontology, tmp_path: Path) -> None:
    terminologies = real_data / "brainglobe/terminologies"
    table = read_ontology(terminologies / "allen_mouse-terminology/3_0/terminology.csv")
    assert table.ancestor_map() == ontology.ancestor_map()
    assert table.color_map() == ontology.color_map()
    assert table.with_sets(ontology) == ontology
    assert table.with_sets(ontology).matched == len(ontology)
    written = write_ontology(tmp_path / "ontology.json", ontology)
    assert read_ontology(written) == ontology


def test_the_same_regions_stay(real_data: Path, golden: dict[str, Any]) -> None:
    folder = real_data / "allen_ccf_2017"
    atlas = open_allen_ccf(folder / "annotation_25.nrrd", folder / "structure_graph.json")
    table = region_table(atlas)
    kept, removed = atlas.ontology.without_unassigned(table)
    expected = golden["remove_unassigned"]
    assert (len(kept), len(kept) + len(removed)) == (expected["survivors"], expected["total"])
    # AllenSDK's ids, ascending, as 64-bit numbers.
    digest = hashlib.sha256(np.sort(kept.ids).tobytes()).hexdigest()
    assert digest == expected["ids_sha256"]
    report = atlas.ontology.validate(table)
    assert not report.unlisted
    assert report.without_voxels == removed
    # The notebook's case: this layer is drawn finer here.
    assert 12997 in {s.id for s in removed}
