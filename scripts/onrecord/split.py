"""Which story goes where: frozen lists, the hash that serves without one, the row to add."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from onrecord.model import SPLITS, Finding, Rule, rules_of

SHARES = {"train": 0.35, "validation": 0.15, "test": 0.50}  # the test half carries the benchmark
HEADER = ["story", "split", "added"]

SPLIT_MISSING = Rule(
    "split-missing",
    5,
    "Every story of a corpus with splits.csv has a row there.",
    "add the row that is named; it balances domains and labels",
)
SPLIT_UNREADABLE = Rule(
    "split-unreadable",
    5,
    "The file splits.csv has the columns story, split, added and one row a story.",
    "mend the line",
)
SPLIT_STRANGER = Rule(
    "split-stranger",
    5,
    "Every story of splits.csv is in the corpus.",
    "restore the story; a frozen row is never deleted",
    severity="warning",
)
RULES = rules_of(globals())

_ADDED = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def hashed(story: str) -> str:
    """The split of a story where no list says: 35 / 15 / 50 by a hash of its id."""
    share = int.from_bytes(sha256(b"onrecord-split-1\0" + story.encode()).digest()[:8], "big") / 2**64
    return "train" if share < 0.35 else "validation" if share < 0.50 else "test"


def parse_list(text: str, file: str) -> tuple[dict[str, str], list[Finding]]:
    """A splits.csv as story to split, and what is wrong with it."""
    found: dict[str, str] = {}
    findings: list[Finding] = []
    for story, split, _ in sound_rows(text, file, SPLIT_UNREADABLE, HEADER, lambda row: _fault(row, found), findings):
        found[story] = split
    return found, findings


def sound_rows(
    text: str,
    file: str,
    rule: Rule,
    header: Sequence[str],
    fault: Callable[[Sequence[str]], str],
    findings: list[Finding],
) -> Iterator[list[str]]:
    """The rows of a small CSV file in which `fault` finds nothing; what is wrong with others is added to `findings`."""
    rows = csv.reader(text.split("\n"), strict=True)
    try:
        for row in rows:
            if rows.line_num == 1:
                what = "" if row == header else f"the header is {','.join(row)!r}"
            elif row and len(row) != len(header):
                what = f"has {len(row)} of {len(header)} columns"
            else:
                what = fault(row) if row else ""
            if what:
                findings.append(rule.finding(file, f"line {rows.line_num}", what))
            elif row and rows.line_num > 1:
                yield row
    except csv.Error as error:
        findings.append(rule.finding(file, f"line {rows.line_num}", str(error)))


def _fault(row: Sequence[str], found: Mapping[str, str]) -> str:
    story, split, added = row
    if story in found:
        return f"{story!r} stands twice"
    if not story or split not in SPLITS:
        return f"{split!r} is no split; train, validation and test are" if story else "names no story"
    return "" if _ADDED.fullmatch(added) else f"{added!r} is no version such as 0.1.0"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a story brings to a split: its domain, and how many pairs of each label."""

    domain: str | None
    labels: Mapping[str, int]


def propose(frozen: Mapping[str, str], profiles: Mapping[str, Profile]) -> dict[str, str]:
    """A split for each story that has none: greedily, the largest first, towards SHARES in domains and labels.

    The same stories and the same frozen rows give the same answer.
    """
    load: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for story, split in frozen.items():
        if story in profiles:
            load[split] += _load(profiles[story])
    new = sorted(set(profiles) - set(frozen), key=lambda s: (-sum(profiles[s].labels.values()), s))
    proposed: dict[str, str] = {}
    for story in new:
        wanted = _load(profiles[story])
        split = min(SPLITS, key=lambda name: (_excess(load[name], wanted, name), SPLITS.index(name)))
        proposed[story] = split
        load[split] += wanted
    return proposed


def _load(profile: Profile) -> Counter[str]:
    pairs = sum(profile.labels.values()) or 1
    load = Counter({f"label {label}": count for label, count in profile.labels.items()})
    load[f"domain {profile.domain}"] += pairs
    load["all"] += 3 * pairs
    return load


def _excess(load: Counter[str], more: Counter[str], split: str) -> float:
    """How full a split would be, against its share, in what the story brings."""
    return sum((load[key] + weight) / SHARES[split] * weight for key, weight in sorted(more.items()))
