#!/usr/bin/env python3
"""Draw the pairs that people are asked about: `python scripts/corpus/draw.py` writes dataset/draw.csv.

Half of the pairs are of the open stories and half of the layers, of each stance as many as of any other. The draw is
frozen: it is made once, and a later one would be another file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from onrecord import audit

SEED = 20261125
PAIRS = 150  # of each tier
TIERS = {"open": "stories/*/*.json", "layer": "layers/*/*/*.json"}


def gold(files: Iterable[Path]) -> dict[str, str]:
    """The stance of every judged pair of article files."""
    found: dict[str, str] = {}
    for file in files:
        article = json.loads(file.read_text("utf-8"))
        for statement in article.get("statements", ()):
            for target in article["judged"] if "stances" in statement else ():
                pair = statement["stances"].get(target, {"label": "unrelated"})
                found[f"{article['story']}.{article['id']}.{statement['id']}.{target}"] = pair["label"]
    return found


def main() -> int:
    dataset = Path("dataset")
    rows = [
        f"{pair},{tier}\n"
        for tier, files in TIERS.items()
        for pair in audit.draw(gold(sorted(dataset.glob(files))), PAIRS, SEED)
    ]
    (dataset / audit.DRAW).write_text("".join(["id,tier\n", *rows]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
