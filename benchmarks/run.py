"""``make bench``: measure, print one table and write it to ``docs/performance.md``.

Ratios and counts are compared, not seconds: contenders are interleaved in one run, medians of five.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import allensdk, atlas, planes, points
from benchmarks.data import REAL
from benchmarks.page import PAGE, Part, read, written
from benchmarks.peer_environment import PeerMissingError

PARTS: dict[str, Callable[[], Part]] = {
    "atlas": atlas.measure,
    "planes": planes.measure,
    "points": points.measure,
    "allensdk": allensdk.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    known_parts = f"{' or '.join(PARTS)}; all by default"
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], metavar="PART", help=known_parts)
    wanted = parser.parse_args().part or list(PARTS)
    if not REAL.exists():
        print(f"the public data are not at {REAL}; nothing was measured", file=sys.stderr)
        return 1
    known = read(PAGE.read_text(encoding="utf-8").splitlines()) if PAGE.exists() else {}
    for name in wanted:
        try:
            known[name] = PARTS[name]()
        except PeerMissingError as error:
            print(f"{name} was not measured: {error}", file=sys.stderr)
    page = written({name: known[name] for name in PARTS if name in known})
    print(page)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
