"""Judgements beside the blind passes: audit.csv of a corpus, the draw that people are asked about, and their sheet.

A row of audit.csv says which stance an annotator gave a pair. It is never gold and never a vote of the released table;
what it is good for is to be compared: a pass that saw only what a model may use, passes by reworded rules, what the
writer meant, and people.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from onrecord.model import STANCES, Finding, Rule, rules_of
from onrecord.split import sound_rows

FILE, DRAW = "audit.csv", "draw.csv"  # beside the stories
HEADER = ["id", "annotator", "label"]
DRAW_HEADER = ["id", "tier"]
PEOPLE = "people"  # the group of all annotators that are persons

AUDIT_UNREADABLE = Rule(
    "audit-unreadable",
    5,
    "The file audit.csv has the columns id, annotator, label and one row a pair and annotator.",
    "mend the line",
)
DRAW_UNREADABLE = Rule(
    "draw-unreadable", 5, "The file draw.csv has the columns id, tier and one row a pair.", "restore it; it is frozen"
)
AUDIT_STRANGER = Rule(
    "audit-stranger",
    5,
    "A sheet asks about pairs of the frozen draw.",
    "make the sheet anew with `onrecord convert --to labelstudio --pairs`",
)
RULES = rules_of(globals())

Judged = Mapping[str, Mapping[str, str]]  # annotator to pair to stance

_ID = re.compile(r"[a-z0-9][a-z0-9-]*")


def parse(text: str, file: str) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    """An audit.csv as annotator to pair to stance, and what is wrong with it."""
    found: dict[str, dict[str, str]] = {}
    findings: list[Finding] = []
    for pair, annotator, label in sound_rows(
        text, file, AUDIT_UNREADABLE, HEADER, lambda row: _fault(row, found), findings
    ):
        found.setdefault(annotator, {})[pair] = label
    return found, findings


def _fault(row: Sequence[str], found: Judged) -> str:
    pair, annotator, label = row
    if len(parts := pair.split(".")) != 4 or not all(map(_ID.fullmatch, [*parts, annotator])):
        return f"{pair!r}, {annotator!r} are no pair story.article.statement.target and no annotator's id"
    if label not in STANCES:
        return f"{label!r} is no stance"
    return f"{annotator!r} judges {pair!r} twice" if pair in found.get(annotator, ()) else ""


def render(judged: Judged) -> str:
    """The text of an audit.csv, sorted by pair and annotator."""
    rows = sorted((pair, annotator, label) for annotator, pairs in judged.items() for pair, label in pairs.items())
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])
    return out.getvalue()


def parse_draw(text: str, file: str) -> tuple[list[str], list[Finding]]:
    """The pairs of a draw.csv, in its order, and what is wrong with it."""
    findings: list[Finding] = []
    rows = sound_rows(
        text, file, DRAW_UNREADABLE, DRAW_HEADER, lambda row: "" if row[0] else "names no pair", findings
    )
    return [pair for pair, _ in rows], findings


def draw(gold: Mapping[str, str], count: int, seed: int) -> list[str]:
    """So many of the pairs, of each stance as many as of any other where it has them, drawn with a seed."""
    dice = np.random.default_rng(seed)
    left: dict[str, list[str]] = {}
    for stance in STANCES:
        pairs = sorted(pair for pair, label in gold.items() if label == stance)
        left[stance] = [pairs[i] for i in dice.permutation(len(pairs))]
    chosen: list[str] = []
    while len(chosen) < count and any(left.values()):
        chosen += [pairs.pop() for pairs in left.values() if pairs]
    return sorted(chosen[:count])


# -- counting --------------------------------------------------------------------------------------------------


def compared(pair: str, gold: str, judged: Judged, kinds: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Kind, annotator, gold and what the annotator said, for each who judged the pair."""
    for annotator, pairs in judged.items():
        if (label := pairs.get(pair)) is not None:
            yield kinds.get(annotator, "model"), annotator, gold, label


def ballots(found: Iterable[tuple[str, str, str, str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The group and the sorted votes of each group of two or more: people, or passes that differ by a last number."""
    groups: dict[str, list[str]] = {}
    for kind, annotator, _, label in found:
        group = PEOPLE if kind == "person" else annotator.rstrip("0123456789").rstrip("-")
        groups.setdefault(group, []).append(label)
    for group, labels in groups.items():
        if len(labels) > 1:
            yield group, tuple(sorted(labels))


def recalls(by_gold: Mapping[str, Mapping[str, int]]) -> tuple[int, int, dict[str, float]]:
    """Pairs, pairs of which the label is gold's, and the share of them by gold label."""
    totals = {gold: Counter(labels) for gold, labels in by_gold.items()}
    same = {gold: labels[gold] / labels.total() for gold, labels in totals.items()}
    return sum(c.total() for c in totals.values()), sum(c[gold] for gold, c in totals.items()), same
