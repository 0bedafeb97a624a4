"""Which story goes where: frozen lists, the hash that serves without one, the row to add, leaks between splits."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from onrecord import text as strings
from onrecord.model import SPLITS, Finding, Rule, rules_of

SHARES = {"train": 0.35, "validation": 0.15, "test": 0.50}  # DESIGN: the test half carries the benchmark
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
NEAR_DUPLICATE = Rule(
    "near-duplicate",
    5,
    "No two stories say nearly the same in different splits.",
    "rewrite one of the two, or put both stories into one split",
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


# -- leaks -----------------------------------------------------------------------------------------------------

GRAM = 4  # words; shorter runs recur between unrelated news (“in a statement on”)
LEAST_GRAMS = 5  # a content of fewer than 8 words says too little to be called a copy
ALIKE = 0.6  # shared grams over the grams of the shorter
COMMON = 50  # of the contents that share a gram, if they are more than this, only neighbours are compared
_STEP = np.uint64(0x9E3779B97F4A7C15)  # odd: no word of a gram is lost in its hash

_WORD = re.compile(r"\w+")
_Hashes = npt.NDArray[np.uint64]
_Indices = npt.NDArray[np.int64]


class Content(NamedTuple):
    """Whose words a content is; sorts by id."""

    id: str
    file: str
    story: str
    split: str


class Copy(NamedTuple):
    """Two contents of different stories that say nearly the same, and the share of the shorter one's grams."""

    one: Content
    other: Content
    share: float

    @property
    def leaks(self) -> bool:
        return self.one.split != self.other.split


@dataclass(slots=True)
class Grams:
    """Contents as sets of hashed runs of four words: cheap to carry from a shard's worker, and enough to compare."""

    contents: list[Content] = field(default_factory=list)
    hashes: list[_Hashes] = field(default_factory=list)

    def add(self, content: Content, text: str) -> None:
        """Take a content in, unless it is too short to be called a copy of anything."""
        words = np.array([_hash64(word) for word in _WORD.findall(strings.fold(text))], np.uint64)
        if len(words) >= GRAM + LEAST_GRAMS - 1:
            runs = words[: 1 - GRAM].copy()
            for k in range(1, GRAM):
                runs = runs * _STEP + words[k : len(words) + 1 - GRAM + k]
            self.contents.append(content)
            self.hashes.append(np.unique(runs))

    def __iadd__(self, other: Grams) -> Self:
        self.contents += other.contents
        self.hashes += other.hashes
        return self


@cache
def _hash64(word: str) -> int:
    return int(strings.digest([word]), 16)


def copies(grams: Grams) -> list[Copy]:
    """Near-duplicates of different stories, sorted, by an exact inverted index of grams.

    Of a formula in more than COMMON contents only neighbours by id are compared: a content copied that often is found
    all the same, as its copies are each other's neighbours.
    """
    order = sorted(range(len(grams.contents)), key=lambda i: grams.contents[i])
    contents = [grams.contents[i] for i in order]
    if len(contents) < 2:
        return []
    sizes = np.array([len(grams.hashes[i]) for i in order])
    owners = np.repeat(np.arange(len(order)), sizes)
    one, other = _sharing(owners, np.concatenate([grams.hashes[i] for i in order]))
    stories = np.unique([content.story for content in contents], return_inverse=True)[1]
    apart = stories[one] != stories[other]
    pairs, shared = np.unique(np.stack([one[apart], other[apart]]), axis=1, return_counts=True)
    shares = shared / np.minimum(sizes[pairs[0]], sizes[pairs[1]])
    return [
        Copy(contents[a], contents[b], round(float(share), 4))
        for (a, b), share in zip(pairs.T, shares, strict=True)
        if share >= ALIKE
    ]


def _sharing(owners: _Indices, hashes: _Hashes) -> tuple[_Indices, _Indices]:
    """Pairs of owners that share a hash, the lower first, once for each hash that they share."""
    order = np.lexsort((owners, hashes))
    owners, hashes = owners[order], hashes[order]
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]])
    sizes = np.diff(np.r_[starts, len(hashes)])
    one, other = [np.array([], np.int64)], [np.array([], np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        groups = owners[starts[sizes == size][:, None] + np.arange(size)]
        a, b = np.triu_indices(size, 1) if size <= COMMON else (np.arange(size - 1), np.arange(1, size))
        one.append(groups[:, a].ravel())
        other.append(groups[:, b].ravel())
    return np.concatenate(one), np.concatenate(other)


def leak_findings(found: Iterable[Copy], *, frozen: bool) -> Iterator[Finding]:
    """Copies across splits; an error where the splits are `frozen` in a list."""
    for copy in found:
        if copy.leaks:
            runs = f"{copy.share:.0%} of its runs of four words"
            what = f"shares {runs} with {copy.other.id}, which is in {copy.other.split}, not in {copy.one.split}"
            where = f"statement {copy.one.id.rpartition('.')[2]}"
            yield NEAR_DUPLICATE.finding(copy.one.file, where, what, severity="error" if frozen else "warning")


def leaks_csv(found: Iterable[Copy]) -> str:
    """Copies across splits as a table."""
    rows = [
        f"{one.id},{one.split},{other.id},{other.split},{share}\n"
        for one, other, share in found
        if one.split != other.split
    ]
    return "".join(["one,split,other,other_split,share\n", *rows]) if rows else ""
