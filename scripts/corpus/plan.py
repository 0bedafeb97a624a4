#!/usr/bin/env python3
"""Draw the briefs of the open corpus from its premises: `python scripts/corpus/plan.py` writes dataset/briefs/plan.json.

A premise (dataset/briefs/premises.json) gives a story's event and questions, and its day. The seed draws the rest: which
kind of source takes which stance, the outlets with their writer instructions and days, what phenomena the story must
hold, and names to choose from. Cells of source type and stance are dealt from shuffled packs of all that the scheme
allows, so over the corpus each comes equally often and none can be told from the other.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import chain, islice
from pathlib import Path

from onrecord.model import LABELS, NEVER, TAG_STANCE

SEED = 20261125
BRIEFS = Path("dataset/briefs")
INSTRUCTIONS = ("WIRE", "DAILY", "TABLOID", "TRADE", "LOCAL", "BROADCAST", "STATE")
OUTLETS = 3
AFFIRM, DENY, OPEN, RELAY = 5, 5, 6, 2  # cells a story; OPEN: doubt and decline, each of its own tag
NAMES = 16
PHENOMENA = (
    "a holder is sarcastic (tag sarcasm)",
    "a statement about the same matter at another time, which therefore settles nothing (time-shift)",
    "a headline that says more than the article's sources do (headline-overreach)",
    "a holder corrects himself or herself within one quote (self-correction)",
    "a target's event presupposed in a quote about something else (presupposition)",
    "a conditional: what would follow if the event had taken place (conditional)",
    "a rhetorical question that presses a stance",
    "a factive cue over a worded inner holder ('the minutes confirm that Bell told them ...')",
    "an outer link that rejects what the inner holder claims ('wrongly says')",
    "an attack on a person or paper that leaves the claim alone, and one that attacks the claim (attack)",
    "a rejected offer or demand, which says nothing of a factual target",
    "a court or tribunal that declines to hear a matter",
    "a probable and a possible affirmation ('must have', 'could have')",
    "a spokesman's remark that repeats in short what the principal said at length (mention)",
    "one cue with two quotes whose stances differ",
    "a fact that bears on the normative target without drawing the conclusion",
    "a third party's evidence that the article itself deploys, and one that a holder ties with 'because'",
    "two holders who name a different part of the same event (partial)",
    "a decline whose topic is not worded, after three questions were raised",
    "doubt about a whole class of things that does not name the member in dispute",
)
PHENOMENA_A_STORY = 5


def packs(items: Sequence[str], dice: random.Random) -> Iterator[str]:
    """Items for ever, from one shuffled pack after the other."""
    while True:
        pack = list(items)
        dice.shuffle(pack)
        yield from pack


def plan(premises: dict[str, dict[str, str]], names: dict[str, list[str]]) -> dict[str, object]:
    """The briefs by story, drawn with SEED."""
    dice = random.Random(SEED)
    kinds = {
        stance: packs([kind for kind in LABELS["source_type"] if stance not in NEVER[kind]], dice)
        for stance in LABELS["stance"]
    }
    tags = packs(list(TAG_STANCE), dice)
    instructions, phenomena = packs(INSTRUCTIONS, dice), packs(PHENOMENA, dice)
    first, last = packs(names["first"], dice), packs(names["last"], dice)
    people = iter(distinct((f"{given} {family}" for given, family in zip(first, last)), NAMES * len(premises)))
    briefs: dict[str, object] = {}
    for story, premise in premises.items():
        plain = ["affirm"] * AFFIRM + ["deny"] * DENY + ["relay"] * RELAY
        dealt = chain(
            ((stance, "") for stance in plain), ((TAG_STANCE[tag], f" ({tag})") for tag in islice(tags, OPEN))
        )
        cells = [f"{next(kinds[stance])}: {stance}{tag}" for stance, tag in dealt]
        day = date.fromisoformat(premise["day"])
        briefs[story] = {
            "domain": premise["domain"],
            "premise": premise["premise"],
            "outlets": [
                {"instruction": instruction, "published": str(day + timedelta(dice.randint(k, 2 * k)))}
                for k, instruction in enumerate(distinct(instructions, OUTLETS))
            ],
            "cells": cells,
            "phenomena": [next(phenomena) for _ in range(PHENOMENA_A_STORY)],
            "names": [next(people) for _ in range(NAMES)],
        }
    return briefs


def distinct(pack: Iterator[str], count: int) -> list[str]:
    """The next items of a pack, each once."""
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(next(pack))
    return list(found)


def main() -> int:
    premises, names = (json.loads((BRIEFS / name).read_text("utf-8")) for name in ("premises.json", "names.json"))
    (BRIEFS / "plan.json").write_text(json.dumps(plan(premises, names), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
