"""The practice datasets as records of the Allen API: its models, fields and associations."""

from __future__ import annotations

from functools import cache
from typing import Any

from napari_stria.demo.allen_structures import associate_structures, structure_rows
from napari_stria.demo.allen_tables import Row, Tables
from napari_stria.demo.practice_sections import (
    PLANS,
    TIER_COUNT,
    DatasetPlan,
    SectionPlan,
    plan_sections,
)
from napari_stria.demo.section_geometry import alignment_fields, invert

PRACTICE_CATALOGUE = range(990001001, 990001121)
"""Ids of datasets that are rows of a list and nothing else: no images, no alignment."""

_GENE_NAMES = {
    "Gad1": "glutamate decarboxylase 1 (practice data, not measured)",
    "Pdyn": "prodynorphin (practice data, not measured)",
    "Pvalb": "parvalbumin (practice data with faults, not measured)",
}
_FIRST_GENE = 990900001
_FIRST_SPECIMEN = 990800001
_ADULT, _DEVELOPING = 1, 3
_PLANES = {1: "coronal", 2: "sagittal", 6: "transverse"}
_SPACES = {6: "P4 Brain", 9: "P56 Brain", 10: "P56 Brain, L/R Flipped"}
_AGES = {"P4": 4, "P56": 56}
_CATALOGUE_ACRONYMS = [f"Pcat{n:03d}" for n in range(1, len(PRACTICE_CATALOGUE) + 1)]
_ACRONYMS = [*_GENE_NAMES, *_CATALOGUE_ACRONYMS]
_GENE_IDS = {acronym: _FIRST_GENE + n for n, acronym in enumerate(_ACRONYMS)}


@cache
def practice_tables() -> Tables:
    """Return all records; they must not be changed."""
    tables = Tables(
        {
            "SectionDataSet": [*map(_dataset, PLANS), *map(_catalogue_dataset, PRACTICE_CATALOGUE)],
            "SectionImage": _of_sections(_section_image),
            "Alignment2d": _of_sections(_alignment2d, only_aligned=True),
            "Alignment3d": [_alignment3d(plan) for plan in PLANS if plan.is_registered],
            "Equalization": [_equalization(plan) for plan in PLANS],
            "Gene": [_gene(acronym) for acronym in _ACRONYMS],
            "Probe": [_probe(acronym) for acronym in _ACRONYMS],
            "Orientation": [{"id": 2, "name": "Antisense"}],
            "Treatment": [{"id": 1, "name": "ISH"}],
            "Product": _products(),
            "PlaneOfSection": [{"id": number, "name": name} for number, name in _PLANES.items()],
            "ReferenceSpace": [{"id": number, "name": name} for number, name in _SPACES.items()],
            **_specimens(),
            **structure_rows(),
        }
    )
    _associate(tables)
    associate_structures(tables)
    return tables


def _associate(tables: Tables) -> None:
    for name, model in (
        ("plane_of_section", "PlaneOfSection"),
        ("reference_space", "ReferenceSpace"),
        ("specimen", "Specimen"),
    ):
        tables.refer("SectionDataSet", name, model)
    tables.refer("Specimen", "donor", "Donor")
    tables.refer("Donor", "age", "Age")
    tables.refer("Probe", "gene", "Gene")
    tables.refer("Probe", "orientation", "Orientation")
    tables.refer("SectionImage", "data_set", "SectionDataSet")
    images = tables.associations("SectionImage")
    images["section_data_set"] = images["data_set"]
    for name, model, column, many in (
        ("section_images", "SectionImage", "data_set_id", True),
        ("alignment3d", "Alignment3d", "aligned_id", False),
        ("equalization", "Equalization", "section_data_set_id", False),
    ):
        tables.own("SectionDataSet", name, model, column, many=many)
    tables.own("SectionImage", "alignment2d", "Alignment2d", "section_image_id", many=False)
    tables.own("Gene", "probes", "Probe", "gene_id", many=True)
    _link_genes_and_products(tables)


def _link_genes_and_products(tables: Tables) -> None:
    datasets = [row["id"] for row in tables.rows("SectionDataSet")]
    acronyms = [*(plan.gene for plan in PLANS), *_CATALOGUE_ACRONYMS]
    genes = list(zip(datasets, (_GENE_IDS[acronym] for acronym in acronyms), strict=True))
    products = dict.fromkeys(datasets, _ADULT)
    products |= {plan.id: _DEVELOPING for plan in PLANS if plan.age != "P56"}
    tables.link("SectionDataSet", "genes", "Gene", genes)
    tables.link("SectionDataSet", "probes", "Probe", genes)
    tables.link("SectionDataSet", "products", "Product", products.items())
    tables.link("SectionDataSet", "treatments", "Treatment", ((number, 1) for number in datasets))
    tables.link("Gene", "section_data_sets", "SectionDataSet", ((g, d) for d, g in genes))
    of_genes = dict.fromkeys((gene, products[dataset]) for dataset, gene in genes)
    tables.link("Gene", "products", "Product", of_genes)


def _dataset(plan: DatasetPlan) -> Row:
    fixed = {"red_channel": None, "green_channel": None, "blue_channel": None, "weight": None}
    return {
        "id": plan.id,
        "name": None,
        "delegate": False,
        "expression": True,
        "failed": plan.failed,
        "failed_facet": 734881840,
        "plane_of_section_id": plan.plane_id,
        "qc_date": "2026-01-01T00:00:00Z",
        "reference_space_id": plan.space_id,
        "rnaseq_design_id": None,
        "section_thickness": plan.thickness_um,
        "specimen_id": _specimen_id(plan.id),
        "sphinx_id": None,
        "storage_directory": "/practice/",
        **fixed,
    }


def _catalogue_dataset(number: int) -> Row:
    """Return every third one as sagittal, every tenth as failed."""
    sagittal = number % 3 == 0
    plan = DatasetPlan(
        number,
        plane_id=2 if sagittal else 1,
        space_id=10 if sagittal else 9,
        failed=number % 10 == 0,
    )
    return _dataset(plan)


def _of_sections(make: Any, *, only_aligned: bool = False) -> list[Row]:
    return [
        make(plan, section)
        for plan in PLANS
        for section in plan_sections(plan)
        if section.is_aligned or not only_aligned
    ]


def _section_image(plan: DatasetPlan, section: SectionPlan) -> Row:
    empty = ("isi_experiment_id", "lims1_id", "ophys_experiment_id", "projection_function")
    return {
        "id": section.id,
        "data_set_id": plan.id,
        "section_number": section.number,
        "x": section.x,
        "y": section.y,
        "width": section.width,
        "height": section.height,
        "image_width": section.slide[0],
        "image_height": section.slide[1],
        "resolution": plan.resolution_um,
        "tier_count": TIER_COUNT,
        "failed": section.failed,
        "expression": True,
        "expression_path": f"/practice/{section.id}_expression.aff",
        "path": f"/practice/{section.id}.aff",
        "image_type": "Primary",
        "annotated": False,
        "axes": None,
        "bits_per_component": 8,
        "number_of_components": 3,
        "specimen_id": _specimen_id(plan.id),
        "structure_id": None,
        **dict.fromkeys(empty),
    }


def _alignment2d(_plan: DatasetPlan, section: SectionPlan) -> Row:
    return {
        "id": section.id + 500_000_000,
        "section_image_id": section.id,
        **alignment_fields("tsv", section.tsv),
        **alignment_fields("tvs", invert(section.tsv)),
    }


def _alignment3d(plan: DatasetPlan) -> Row:
    return {
        "id": plan.id + 500_000_000,
        "aligned_id": plan.id,
        "aligned_type": "DataSet",
        **alignment_fields("trv", invert(plan.tvr)),
        **alignment_fields("tvr", plan.tvr),
    }


def _equalization(plan: DatasetPlan) -> Row:
    values = {"lower": 0.0, "upper": 255.0, "mean": 80.0, "std_dev": 60.0}
    windows = {f"{c}_{name}": v for c in ("red", "green", "blue") for name, v in values.items()}
    return {"id": plan.id + 600_000_000, "section_data_set_id": plan.id, **windows}


def _gene(acronym: str) -> Row:
    return {
        "id": _GENE_IDS[acronym],
        "acronym": acronym,
        "name": _GENE_NAMES.get(acronym, f"practice gene {acronym} (invented)"),
        "original_symbol": acronym,
        "alias_tags": None,
        "entrez_id": None,
        "homologene_id": None,
        "organism_id": 2,
    }


def _probe(acronym: str) -> Row:
    return {
        "id": _GENE_IDS[acronym],
        "gene_id": _GENE_IDS[acronym],
        "name": f"practice probe of {acronym}",
        "orientation_id": 2,
        "probe_type": "RNA",
    }


def _products() -> list[Row]:
    fixed = {"resource": "practice data", "species": "Mouse", "tags": None}
    return [
        {"id": _ADULT, "name": "Mouse Brain", "abbreviation": "Mouse", **fixed},
        {"id": _DEVELOPING, "name": "Developing Mouse Brain", "abbreviation": "DevMouse", **fixed},
    ]


def _specimen_id(dataset_id: int) -> int:
    return dataset_id - 990_000_000 + _FIRST_SPECIMEN


def _specimens() -> dict[str, list[Row]]:
    """Return a specimen and a donor, with the same id, for each dataset; and the ages."""
    ages = {plan.id: plan.age for plan in PLANS} | dict.fromkeys(PRACTICE_CATALOGUE, "P56")
    people = [(_specimen_id(dataset), age) for dataset, age in ages.items()]
    donor = {"organism_id": 2, "sex": "M", "strain": "practice", "transgenic_mouse_id": None}
    return {
        "Specimen": [
            {"id": number, "name": f"practice-{number}", "donor_id": number, "failed": False}
            for number, _ in people
        ],
        "Donor": [
            {"id": number, "name": f"practice-{number}", "age_id": _AGES[age], **donor}
            for number, age in people
        ],
        "Age": [
            {"id": days, "name": name, "days": days, "embryonic": False, "organism_id": 2}
            for name, days in _AGES.items()
        ],
    }
