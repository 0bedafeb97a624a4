"""What a corpus must reach before it is published: a table of figures, and the thresholds of gates.json.

A gate is a function from what was counted to a figure; what it means stands in schema/gates.schema.json. Gates that
need a model are asked by `onrecord baselines`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from onrecord import prose
from onrecord import text as strings
from onrecord.model import LABELS, STANCES, Article, Finding, Rule, Statement, Story, rules_of

RUN = 4  # words; dataset/GUIDELINES.md, Targets: no run of four words in common but names
RELATED = tuple(stance for stance in STANCES if stance != "unrelated")

GATE_RED = Rule(
    "gate-red",
    5,
    "The corpus reaches what its gates.json asks.",
    "mend the corpus, or say in PROTOCOL.md why not; a red gate is not published",
    severity="warning",
)
RULES = rules_of(globals())

Thresholds = Mapping[str, Mapping[str, int]]


class Figure(NamedTuple):
    """What a corpus reaches at a gate, and where it is worst; shares in per cent."""

    value: float
    at: str | None = None


@dataclass(slots=True)
class Counts:
    """What gates are figured from. Adding in any order gives the same sums."""

    stances: Counter[str] = field(default_factory=Counter)
    source_types: Counter[str] = field(default_factory=Counter)
    disputed: Counter[str] = field(default_factory=Counter)  # by story; a story with none has 0
    incompatible: Counter[str] = field(default_factory=Counter)
    related: Counter[bool] = field(default_factory=Counter)  # related statements, by whether they are crossed
    runs: Counter[str] = field(default_factory=Counter)  # by statement
    undecided: Counter[str] = field(default_factory=Counter)  # by pair
    names: dict[str, set[str]] = field(default_factory=dict)  # full ones of holders, to the stories they occur in
    copies: Counter[str] = field(default_factory=Counter)  # near-duplicates, by statement
    prose: Counter[tuple[str, str]] = field(default_factory=Counter)  # sums by story, as `prose` names them

    def __iadd__(self, other: Counts) -> Self:
        for name in ("stances", "source_types", "related", "runs", "undecided", "copies", "prose"):
            getattr(self, name).update(getattr(other, name))
        for name in ("disputed", "incompatible"):  # keys with 0 stay
            for story, count in getattr(other, name).items():
                getattr(self, name)[story] += count
        for name, stories in other.names.items():
            self.names.setdefault(name, set()).update(stories)
        return self

    def add(self, story: Story, articles: Iterable[Article]) -> None:
        """Count a story's articles."""
        taken: dict[str, set[str]] = {}
        for article in articles:
            self.prose.update({(story.id, name): count for name, count in prose.sums(article).items()})
            for holder in article.holders.values():
                if sum(word[0].isupper() for word in holder.name.split()) > 1:
                    self.names.setdefault(strings.fold(holder.name), set()).add(story.id)
            for statement in article.statements:
                self._add_statement(statement, article, story)
                for pair in (statement.stances or {}).values():
                    taken.setdefault(pair.target, set()).add(pair.label)
        self.disputed[story.id] += sum(len(labels - {"unrelated"}) > 1 for labels in taken.values())
        self.incompatible[story.id] += sum(len(target.incompatible_with) for target in story.targets) // 2

    def _add_statement(self, statement: Statement, article: Article, story: Story) -> None:
        key = f"{article.key}.{statement.id}"
        holder = article.holders.get(statement.holder or "")
        if holder and holder.source_type:
            self.source_types[holder.source_type] += 1
        related = [pair for pair in (statement.stances or {}).values() if pair.label != "unrelated"]
        self.stances.update(pair.label for pair in related)
        if related:
            self.related[len({pair.label for pair in related}) > 1] += 1
        for pair in (statement.stances or {}).values():
            votes = set(pair.votes.get("label", {}).values())
            graded = pair.label not in ("affirm", "deny") or pair.certainty
            if (len(votes) > 1 and not pair.why) or not graded:
                self.undecided[f"{key}.{pair.target}"] += 1
        content = strings.joined(article.text, statement.content)
        if any(shared_run(content, target.text) for target in story.targets):
            self.runs[key] += 1


def shared_run(content: str, target: str) -> bool:
    """Whether content and target share a run of four words in which not all but function words are a name."""
    runs = {tuple(word.casefold() for word in run) for run in _runs(content)}
    return any(tuple(word.casefold() for word in run) in runs and not _is_name(run) for run in _runs(target))


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text)
    return zip(*(words[k:] for k in range(RUN)), strict=False)


def _is_name(run: Iterable[str]) -> bool:
    """Whether what a run says beside small words and numbers is all capitalised, as names and dates are."""
    return all(not word[0].islower() or word in _SMALL for word in run)


_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SMALL = frozenset(
    ("of", "the", "and", "for", "de", "la", "von", "van", "in", "on", "at")
)  # that names and dates hold

# -- figures ---------------------------------------------------------------------------------------------------


def _least_share(counts: Mapping[str, int], labels: Iterable[str]) -> Figure | None:
    total = sum(counts.values())
    if not total:
        return None
    least = min(labels, key=lambda label: counts.get(label, 0))
    return Figure(_per_cent(counts.get(least, 0), total), least)


def _fewest(counts: Mapping[str, int]) -> Figure | None:
    if not counts:
        return None
    story = min(counts, key=lambda name: (counts[name], name))
    return Figure(counts[story], story)


def _all_of(counts: Mapping[str, int]) -> Figure:
    return Figure(sum(counts.values()), min(counts, default=None))


def _share_of(counts: Mapping[bool, int]) -> Figure | None:
    total = sum(counts.values())
    return Figure(_per_cent(counts.get(True, 0), total)) if total else None


def _prose(name: str) -> Callable[[Counts], Figure | None]:
    def over_all(counts: Counts) -> Figure | None:
        sums: Counter[str] = Counter()
        for (_, part), count in counts.prose.items():
            sums[part] += count
        found = prose.figure(name, sums)
        return None if found is None else Figure(found)

    return over_all


def _per_cent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)


GATES: Mapping[str, Callable[[Counts], Figure | None]] = {
    "stance-share": lambda counts: _least_share(counts.stances, RELATED),
    "source-type-share": lambda counts: _least_share(counts.source_types, LABELS["source_type"]),
    "disputed-targets": lambda counts: _fewest(counts.disputed),
    "incompatible-pairs": lambda counts: _fewest(counts.incompatible),
    "crossed-statements": lambda counts: _share_of(counts.related),
    "shared-runs": lambda counts: _all_of(counts.runs),
    "shared-names": lambda counts: _all_of({name: 1 for name, stories in counts.names.items() if len(stories) > 1}),
    "near-duplicates": lambda counts: _all_of(counts.copies),
    "undecided": lambda counts: _all_of(counts.undecided),
    **{name: _prose(name) for name in prose.MEASURES},
}


def by_story(counts: Counts) -> dict[str, dict[str, float]]:
    """What each story measures as prose."""
    sums: dict[str, dict[str, int]] = {}
    for (story, name), count in counts.prose.items():
        sums.setdefault(story, {})[name] = count
    return {
        story: {name: found for name in prose.MEASURES if (found := prose.figure(name, sums[story])) is not None}
        for story in sorted(sums)
    }


def figures(counts: Counts) -> dict[str, Figure]:
    """What a corpus reaches at every gate that has something to figure."""
    return {name: figure for name, gate in GATES.items() if (figure := gate(counts)) is not None}


def red(reached: Mapping[str, Figure], thresholds: Thresholds, file: str) -> Iterator[Finding]:
    """The gates that the figures do not pass. A threshold without a figure here is asked elsewhere."""
    for name, bounds in sorted(thresholds.items()):
        figure = reached.get(name)
        if figure is None:
            continue
        least, most = bounds.get("least"), bounds.get("most")
        at = f" ({figure.at})" if figure.at else ""
        if least is not None and figure.value < least:
            yield GATE_RED.finding(file, f"$.{name}", f"is {figure.value:g}{at}, at least {least} is asked")
        if most is not None and figure.value > most:
            yield GATE_RED.finding(file, f"$.{name}", f"is {figure.value:g}{at}, at most {most} is asked")


def report(reached: Mapping[str, Figure], thresholds: Thresholds) -> dict[str, Any]:
    """The figures of the gates that a corpus has, as its manifest shows them."""
    return {
        name: {"figure": figure.value, **({"at": figure.at} if figure.at else {}), **thresholds[name]}
        for name, figure in sorted(reached.items())
        if name in thresholds
    }
