"""A terminology file is read back as the same ontology, whatever its names are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord, record_of
from napari_stria.io.terminology import parse_terminology
from napari_stria.io.terminology_writer import terminology_csv

# The reader takes blanks off the ends of texts, as all its sources have them.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=12).map(str.strip)
graphs = st.none() | st.integers(-(2**63), 2**63 - 1)
colors = st.tuples(*[st.integers(0, 255)] * 3)


@st.composite
def ontologies(draw: st.DrawFn) -> Ontology:
    ids = draw(st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=8, unique=True))
    values = draw(st.permutations(range(1, len(ids) + 1)))
    rows = []
    for place, identifier in enumerate(ids):
        parent = draw(st.sampled_from([None, *ids[:place]]))
        texts_of = draw(texts), draw(texts)
        numbers = draw(graphs), draw(graphs)
        rows.append(
            StructureRecord(identifier, parent, *texts_of, draw(colors), values[place], *numbers)
        )
    return Ontology(rows)


@given(ontologies())
def test_it_comes_back(ontology: Ontology) -> None:
    again = parse_terminology(terminology_csv(ontology), "here")
    assert again == ontology
    assert [record_of(s) for s in again] == [record_of(s) for s in ontology]


def test_it_is_brainglobes() -> None:
    ontology = Ontology(
        [StructureRecord(1, None, "r", "root", (1, 2, 255)), StructureRecord(2, 1, "a", "b, c")]
    )
    assert terminology_csv(ontology).decode() == (
        "identifier,parent_identifier,annotation_value,name,abbreviation,color_hex_triplet,"
        "root_identifier_path\n"
        "1,,1,root,r,#0102FF,[1]\n"
        '2,1,2,"b, c",a,#A0A0A0,"[1, 2]"\n'
    )
