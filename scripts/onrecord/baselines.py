"""Systems to be beaten, on the stance task: each sees of a row only what a model may use, some of them less.

A probe (target-blind, statement-blind, cue-only, holder-only) says how much of the labels can be guessed from a part
of the input. Seeded and deterministic. Needs the extra `benchmark`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from onrecord.model import STANCES
from onrecord.scoring import PERMITTED, PROBABILITY, UNRELATED, Report, macro_f1, related_macro_f1

PENALTY = 1.0  # C of the regression, scikit-learn's default; not tuned
STEPS = 2_000  # of the solver, at most
OVERLAP = 0.25  # share of a target's words that a statement repeats where the lexicon takes it for related
PERMUTATIONS = 100  # of the training labels, under which the statement-blind model is measured
WORD = re.compile(r"\w\w+")
Guess = tuple[list[str], npt.NDArray[np.float64] | None]  # labels, and their probabilities if there are any
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A system: what it sees, and how it guesses the labels of rows from rows with labels."""

    sees: tuple[str, ...]  # of what a model may use
    about: str
    guess: Callable[[Rows, Sequence[str], Rows, int], Guess]


def predict(name: str | Baseline, train: pa.Table, test: pa.Table, *, seed: int = 0) -> pa.Table:
    """A baseline's predictions for `test`, learnt from `train`: what `onrecord.score` takes."""
    system = BASELINES[name] if isinstance(name, str) else name
    seen = [column for column in PERMITTED if column in system.sees]
    labels = train["stance"].to_pylist()
    said, odds = system.guess(_rows(train, seen), labels, _rows(test, seen), seed)
    columns = {"id": test["id"], "label": pa.array(said, pa.string())}
    if odds is not None:
        columns |= {PROBABILITY + label: pa.array(odds[:, i]) for i, label in enumerate(STANCES)}
    return pa.table(columns)


def across_domains(name: str | Baseline, train: pa.Table, test: pa.Table, *, seed: int = 0) -> pa.Table:
    """Predictions for `test`, those of each domain learnt from the training rows of all others."""
    domains = [domain for domain in pc.unique(test["domain"]).to_pylist() if domain is not None]
    parts = []
    for domain in sorted(domains):
        elsewhere = train.filter(pc.not_equal(train["domain"], domain))
        parts.append(predict(name, elsewhere, test.filter(pc.equal(test["domain"], domain)), seed=seed))
    return pa.concat_tables(parts)


def result(
    name: str,
    report: Report,
    protocol: str,
    gold: Mapping[str, Any],
    trained_on: Mapping[str, Any],
    *,
    system: Baseline | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """A baseline's figures as schema/result.schema.json has them; `gold` and `trained_on` are described rows."""
    system = system or BASELINES[name]
    return {
        "system": name,
        "about": system.about,
        "task": report.task,
        "protocol": protocol,
        "split": report.split,
        "gold": dict(gold),
        "trained_on": dict(trained_on),
        "inputs": [column for column in PERMITTED if column in system.sees],
        "same_family_as_author": False,
        "provenance": {
            "command": "onrecord baselines",
            "seed": seed,
            "software": {part: version(part) for part in ("onrecord", "numpy", "scikit-learn", "scipy")},
        },
        "figures": {figure: _rounded(asdict(found)) for figure, found in report.figures.items()},
        "labels": {label: _rounded(asdict(found)) for label, found in report.labels.items()},
    }


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _rows(table: pa.Table, seen: Sequence[str]) -> Rows:
    return table.select(list(seen)).to_pylist() if seen else [{} for _ in range(table.num_rows)]


# -- artefacts -------------------------------------------------------------------------------------------------

PROBES = ("target-blind", "cue-only", "holder-only")


def artefacts(train: pa.Table, test: pa.Table, *, seed: int = 0) -> dict[str, float]:
    """How much of the labels a part of the input gives away: figures of gates.json, by gate; per cent, or points.

    `statement-blind`: percentile of that model's macro-F1 among the same model's learnt from permuted labels. Of
    related rows alone, points of macro-F1 over the five labels by which each probe stays under full input.
    `overlap-only`: area under the ROC curve of telling related rows from others by the words that both share.
    """
    from sklearn.metrics import roc_auc_score

    related = [part.filter(pc.not_equal(part["stance"], UNRELATED)) for part in (train, test)]
    full = _macro_f1(predict("tfidf-full", *related, seed=seed), related[1], related_macro_f1)
    found = {}
    for probe in PROBES:
        said = predict(f"tfidf-{probe}", *related, seed=seed)
        found[probe] = round(100 * (full - _macro_f1(said, related[1], related_macro_f1)), 1)
    found["statement-blind"] = _percentile(train, test, seed)
    rows = _rows(pa.concat_tables([train, test]), ("text", "target"))
    is_related = [label != UNRELATED for part in (train, test) for label in part["stance"].to_pylist()]
    found["overlap-only"] = round(100 * float(roc_auc_score(is_related, [sum(overlap(row)) for row in rows])), 1)
    return found


def _macro_f1(said: pa.Table, gold: pa.Table, statistic: Callable[[npt.NDArray[np.float64]], Any]) -> float:
    confusion = np.zeros((len(STANCES), len(STANCES)))
    for true, guess in zip(gold["stance"].to_pylist(), said["label"].to_pylist(), strict=True):
        confusion[STANCES.index(true), STANCES.index(guess)] += 1
    return float(statistic(confusion))


def _percentile(train: pa.Table, test: pa.Table, seed: int) -> float:
    dice = np.random.default_rng(seed)
    at = train.column_names.index("stance")
    real = _macro_f1(predict("tfidf-statement-blind", train, test), test, macro_f1)
    chance = []
    for _ in range(PERMUTATIONS):
        shuffled = train.set_column(at, "stance", train["stance"].take(pa.array(dice.permutation(train.num_rows))))
        chance.append(_macro_f1(predict("tfidf-statement-blind", shuffled, test), test, macro_f1))
    return round(100 * float(np.mean([value < real for value in chance])), 1)


# -- without learning ------------------------------------------------------------------------------------------


def majority(train: Rows, labels: Sequence[str], test: Rows, seed: int) -> Guess:
    """The commonest label."""
    counts = Counter(labels)
    return [max(STANCES, key=lambda label: counts[label])] * len(test), None


def stratified(train: Rows, labels: Sequence[str], test: Rows, seed: int) -> Guess:
    """Labels drawn by their shares."""
    shares = np.array([labels.count(label) for label in STANCES]) / len(labels)
    drawn = np.random.default_rng(seed).choice(len(STANCES), len(test), p=shares)
    return [STANCES[i] for i in drawn], None


LEXICON = {  # the first that matches; words of reporting verbs and of their contents
    "decline": r"declin\w+|no comment|not comment|refus\w+|(not|n't) (respond|reply|return|say|discuss|answer)\w*"
    r"|neither confirm\w*|unreachable|not be reached",
    "relay": r"according to|cit(es|ed|ing)|reports? (by|in|from)|quot(es|ed|ing)",
    "deny": r"den(y|ies|ied|ying)|reject\w*|refut\w*|dismiss\w*|disput\w*|untrue|false|never|not true|wrong",
    "doubt": r"unclear|unknown|(not|n't) know\w*|whether|unconfirmed|unverified|question\w*|doubt\w*|s[ck]eptic\w*"
    r"|may or may not|ruled out",
}
_LEXICON = {label: re.compile(rf"\b({words})\b", re.IGNORECASE) for label, words in LEXICON.items()}


def lexicon(train: Rows, labels: Sequence[str], test: Rows, seed: int) -> Guess:
    """Cue words where statement and target share words; affirm where none of them is there."""
    return [_by_lexicon(row) for row in test], None


def _by_lexicon(row: Mapping[str, Any]) -> str:
    if overlap(row)[1] < OVERLAP:
        return UNRELATED
    words = f"{cue(row)} {row['text']}"
    return next((label for label, listed in _LEXICON.items() if listed.search(words)), "affirm")


# -- TF-IDF and logistic regression ----------------------------------------------------------------------------


def cue(row: Mapping[str, Any]) -> str:
    """The words of the cue, by its offsets; empty where there is none."""
    start, end = row["cue_start"], row["cue_end"]
    return str(row["passage"][start:end]) if start >= 0 else ""


def overlap(row: Mapping[str, Any]) -> tuple[float, float]:
    """Shares of the statement's words and of the target's that the other has too."""
    said, asked = (set(WORD.findall(row[name].lower())) for name in ("text", "target"))
    both = len(said & asked)
    return both / max(len(said), 1), both / max(len(asked), 1)


VIEWS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "text": lambda row: str(row["text"]),
    "passage": lambda row: str(row["passage"]),
    "cue": cue,
    "target": lambda row: str(row["target"]),
    "holder": lambda row: str(row["holder"] or ""),
}


def regression(*views: str, shared: bool = False) -> Callable[[Rows, Sequence[str], Rows, int], Guess]:
    """Logistic regression on TF-IDF of each view's words and pairs of words; `shared` adds how far they overlap."""

    def guess(train: Rows, labels: Sequence[str], test: Rows, seed: int) -> Guess:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        parts: list[tuple[Any, Any]] = []
        for view in views:
            words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\b\w+\b")
            # the view's name begins each text: it marks the first word, and no text is without words
            fitted = words.fit_transform([f"{view} {VIEWS[view](row)}" for row in train])
            parts.append((fitted, words.transform([f"{view} {VIEWS[view](row)}" for row in test])))
        if shared:
            parts.append((csr_matrix([overlap(row) for row in train]), csr_matrix([overlap(row) for row in test])))
        model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=STEPS)
        model.fit(hstack([part[0] for part in parts]).tocsr(), labels)
        return _with_odds(model.predict_proba(hstack([part[1] for part in parts]).tocsr()), model.classes_)

    return guess


def _with_odds(found: npt.NDArray[np.float64], classes: Sequence[str]) -> Guess:
    """The likeliest labels and their probabilities, with a column for each stance; 0 where training had none."""
    odds = np.zeros((len(found), len(STANCES)))
    odds[:, [STANCES.index(label) for label in classes]] = found
    return [STANCES[i] for i in odds.argmax(axis=1)], odds


def embedded(model: str) -> Baseline:
    """Logistic regression on sentence embeddings of statement and target, by a model on disk. Needs `embeddings`."""
    return Baseline(
        ("text", "target", "holder", *_CUE),
        f"Embeddings of the statement with its holder and cue, and of the target, by {Path(model).name}; regression.",
        partial(_embedded, model),
    )


def _embedded(model: str, train: Rows, labels: Sequence[str], test: Rows, seed: int) -> Guess:
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    encoder = SentenceTransformer(model, device="cpu")

    def features(rows: Rows) -> npt.NDArray[np.float64]:
        said = encoder.encode([f"{row['holder'] or ''} {cue(row)}: {row['text']}" for row in rows])
        asked = encoder.encode([row["target"] for row in rows])
        return np.hstack([said, asked, np.abs(said - asked), said * asked])

    regression_ = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=STEPS).fit(features(train), labels)
    return _with_odds(regression_.predict_proba(features(test)), regression_.classes_)


_CUE = ("passage", "cue_start", "cue_end")
BASELINES: Mapping[str, Baseline] = {
    "majority": Baseline((), "The commonest label of the training rows.", majority),
    "stratified": Baseline((), "Labels drawn at random by their shares in the training rows.", stratified),
    "cue-lexicon": Baseline(("text", "target", *_CUE), "A list of cue words; nothing is learnt.", lexicon),
    "tfidf-full": Baseline(
        ("text", "target", "holder", *_CUE),
        "TF-IDF of statement, passage, cue, target and holder, their overlap, and logistic regression.",
        regression("text", "passage", "cue", "target", "holder", shared=True),
    ),
    "tfidf-target-blind": Baseline(
        ("text", "holder", *_CUE),
        "The same without the target and the overlap.",
        regression("text", "passage", "cue", "holder"),
    ),
    "tfidf-statement-blind": Baseline(
        ("target", "holder"), "The same with target and holder only.", regression("target", "holder")
    ),
    "tfidf-cue-only": Baseline(_CUE, "The same with the cue only.", regression("cue")),
    "tfidf-holder-only": Baseline(("holder",), "The same with the holder's name only.", regression("holder")),
}
