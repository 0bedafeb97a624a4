#!/usr/bin/env python3
"""Quartiles of PolNeAR's prose: what gates.json holds invented stories to.

    ONRECORD_CORPORA=FOLDER python scripts/corpus/polnear_prose.py

prints the first quartile, median and third quartile of each measure over its articles, as `prose-*` gates.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from onrecord import check, formats, prose
from onrecord.model import Article

COMPARTMENTS = ("train", "dev", "test")


def articles(corpora: Path) -> Iterator[Article]:
    """The articles of the three compartments, with their first annotator's statements."""
    units, _ = formats.find([corpora / "polnear/data" / name for name in COMPARTMENTS])
    for unit in units:
        for admitted in check.admit(formats.read(unit)):
            yield from admitted.articles


def quartiles(corpora: Path) -> dict[str, tuple[float, float, float]]:
    """First quartile, median, third quartile of each measure over articles."""
    counted = [prose.sums(article) for article in articles(corpora)]
    values = {name: [prose.figure(name, sums) for sums in counted] for name in prose.MEASURES}
    found = {name: statistics.quantiles([v for v in some if v is not None], n=4) for name, some in values.items()}
    return {name: (low, middle, high) for name, (low, middle, high) in found.items()}


def main() -> int:
    for name, (low, middle, high) in quartiles(Path(os.environ["ONRECORD_CORPORA"])).items():
        print(f'  "{name}": {{"least": {round(low)}, "most": {round(high)}}}, median {middle:.1f}')
    return 0


if __name__ == "__main__":
    sys.exit(main())
