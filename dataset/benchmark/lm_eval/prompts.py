"""Prompt `stance-1` and its figures. A change of a word here is a new prompt and a new version of the tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.metrics import f1_score

LABELS = ["affirm", "deny", "doubt", "decline", "relay", "unrelated"]  # a test holds them to the schema
TASK = """What does the statement convey about the claim?
affirm: presents the claim as true, at any strength
deny: presents it as false
doubt: addresses it and leaves it open
decline: gives no position where one was sought or due
relay: passes on another's claim without making it its own
unrelated: takes no position on whether it is true
"""
NONE = "none"  # of a text that names no label
Pairs = Iterable[tuple[str, str]]


def ask(doc: Mapping[str, Any]) -> str:
    """The prompt of a row: only what a model may use."""
    return (
        f"{TASK}\nPassage: {doc['passage']}\nSource: {doc['holder'] or 'not named'}\n"
        f"Statement: {doc['text']}\nClaim: {doc['target']}\nAnswer:"
    )


def labels(doc: Mapping[str, Any]) -> list[str]:
    return LABELS


def answer(doc: Mapping[str, Any]) -> str:
    return str(doc["stance"])


def chosen(doc: Mapping[str, Any], results: list[tuple[float, bool]]) -> dict[str, tuple[str, str]]:
    """Gold and the label of the highest likelihood."""
    likelihoods = [likelihood for likelihood, _ in results]
    return _both(doc, LABELS[likelihoods.index(max(likelihoods))])


def written(doc: Mapping[str, Any], results: list[str]) -> dict[str, tuple[str, str]]:
    """Gold and the first label that the text names."""
    named = re.search(rf"\b({'|'.join(LABELS)})\b", results[0].lower())
    return _both(doc, named[1] if named else NONE)


def _both(doc: Mapping[str, Any], said: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(("macro_f1", "related_macro_f1"), (answer(doc), said))


def macro_f1(pairs: Pairs) -> float:
    """Over the six labels, as `onrecord score` has it."""
    return _macro(list(pairs), LABELS)


def related_macro_f1(pairs: Pairs) -> float:
    """Over the five related labels, on rows whose gold is one of them."""
    return _macro([pair for pair in pairs if pair[0] != LABELS[-1]], LABELS[:-1])


def _macro(pairs: list[tuple[str, str]], over: list[str]) -> float:
    if not pairs:
        return 0.0
    gold, said = zip(*pairs, strict=True)
    return float(f1_score(gold, said, labels=over, average="macro", zero_division=0))
