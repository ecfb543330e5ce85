"""The regions of the practice brain: facts of the Allen Mouse Brain ontology."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PracticeRegion:
    """One region of the practice brain; `parent_id` is None for the root alone.

    Attributes
    ----------
    id : int
        Identifier, which is also the value of the region's own voxels.
    parent_id : int or None
        Identifier of the region one level up.
    acronym, name : str
    rgb_triplet : tuple of int
        Colour, three values of 0 to 255.
    """

    id: int
    parent_id: int | None
    acronym: str
    name: str
    rgb_triplet: tuple[int, int, int]


# id | parent | acronym | colour | name, in the order of the Allen ontology.
_REGION_TABLE = """\
997||root|FFFFFF|root
8|997|grey|BFDAE3|Basic cell groups and regions
567|8|CH|B0F0FF|Cerebrum
688|567|CTX|B0FFB8|Cerebral cortex
695|688|CTXpl|70FF70|Cortical plate
315|695|Isocortex|70FF71|Isocortex
500|315|MO|1F9D5A|Somatomotor areas
985|500|MOp|1F9D5A|Primary motor area
993|500|MOs|1F9D5A|Secondary motor area
453|315|SS|188064|Somatosensory areas
322|453|SSp|188064|Primary somatosensory area
182305689|322|SSp-un|188064|Primary somatosensory area, unassigned
247|315|AUD|019399|Auditory areas
1002|247|AUDp|019399|Primary auditory area
669|315|VIS|08858C|Visual areas
385|669|VISp|08858C|Primary visual area
312782574|669|VISli|08858C|Laterointermediate area
31|315|ACA|40A666|Anterior cingulate area
714|315|ORB|248A5E|Orbital area
254|315|RSP|1AA698|Retrosplenial area
894|254|RSPagl|1AA698|Retrosplenial area, lateral agranular part
879|254|RSPd|1AA698|Retrosplenial area, dorsal part
886|254|RSPv|1AA698|Retrosplenial area, ventral part
542|886|RSPv1|1AA698|Retrosplenial area, ventral part, layer 1
430|886|RSPv2/3|1AA698|Retrosplenial area, ventral part, layer 2/3
687|886|RSPv5|1AA698|Retrosplenial area, ventral part, layer 5
541|315|TEa|15B0B3|Temporal association areas
698|695|OLF|9AD2BD|Olfactory areas
507|698|MOB|9AD2BD|Main olfactory bulb
961|698|PIR|6ACBBA|Piriform area
1089|695|HPF|7ED04B|Hippocampal formation
1080|1089|HIP|7ED04B|Hippocampal region
375|1080|CA|7ED04B|Ammon's horn
382|375|CA1|7ED04B|Field CA1
463|375|CA3|7ED04B|Field CA3
726|1080|DG|7ED04B|Dentate gyrus
703|688|CTXsp|8ADA87|Cortical subplate
295|703|BLA|9DE79C|Basolateral amygdalar nucleus
623|567|CNU|98D6F9|Cerebral nuclei
477|623|STR|98D6F9|Striatum
485|477|STRd|98D6F9|Striatum dorsal region
672|485|CP|98D6F9|Caudoputamen
803|623|PAL|8599CC|Pallidum
343|8|BS|FF7080|Brain stem
1129|343|IB|FF7080|Interbrain
549|1129|TH|FF7080|Thalamus
1097|1129|HY|E64438|Hypothalamus
313|343|MB|FF64FF|Midbrain
339|313|MBsen|FF7AFF|Midbrain, sensory related
4|339|IC|FF7AFF|Inferior colliculus
323|313|MBmot|FF90FF|Midbrain, motor related
795|323|PAG|FF90FF|Periaqueductal gray
1065|343|HB|FF9B88|Hindbrain
771|1065|P|FF9B88|Pons
354|1065|MY|FF9BCD|Medulla
512|8|CB|F0F080|Cerebellum
528|512|CBX|F0F080|Cerebellar cortex
519|512|CBN|F0F080|Cerebellar nuclei
1009|997|fiber tracts|CCCCCC|fiber tracts
983|1009|lfbs|CCCCCC|lateral forebrain bundle system
776|983|cc|CCCCCC|corpus callosum
73|997|VS|AAAAAA|ventricular systems
81|73|VL|AAAAAA|lateral ventricle
129|73|V3|AAAAAA|third ventricle
"""


def _parse_region(line: str) -> PracticeRegion:
    number, parent, acronym, colour, name = line.split("|")
    red, green, blue = bytes.fromhex(colour)
    return PracticeRegion(
        int(number), int(parent) if parent else None, acronym, name, (red, green, blue)
    )


PRACTICE_REGIONS: tuple[PracticeRegion, ...] = tuple(
    _parse_region(line) for line in _REGION_TABLE.splitlines()
)
PRACTICE_IDS = {region.acronym: region.id for region in PRACTICE_REGIONS}
