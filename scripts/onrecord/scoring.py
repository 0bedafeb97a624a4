"""Predictions against gold: figures with story-clustered intervals, slices, and a paired test. Tables in, numbers out.

Every figure is a function of counts summed over stories (of labels: confusion matrices), so a million rows cost no
more to resample than their stories. Intervals are the jackknife's over stories with Student's t; how often they cover
the truth stands in scripts/bench/COVERAGE.md. The module is not called `score`, for `onrecord.score` is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from onrecord import text as strings
from onrecord.model import LABELS, Finding, Rule, config_label, on_a_line, rules_of

LEAST_STORIES = 10  # under which neither interval nor p-value is given: they would not hold what they promise
CONFIDENCE = 0.95
POWER = 0.8  # of the smallest detectable difference
EXACT_STORIES = 14  # up to which all 2^n swaps are tried
SWAPS = 10_000  # drawn where there are more
BINS = 15  # of the calibration error, of equal width (Guo et al. 2017)
SUM_TOLERANCE = 1e-3  # of a row's probabilities from 1
LISTED = 100  # ids in one finding
UNRELATED = "unrelated"
PROBABILITY = "p_"  # begins the names of probability columns
PROFILE = ("source_type", "disclosure", "depth", "stance")
SLICES = ("source_type", "disclosure", "depth", "quote_form", "tags", "domain", "tier", "target_kind")
TASKS = ("stance", "pairs", "source_type", "attribution", "profile", "contrast")
PERMITTED = (
    "text", "passage", "content_start", "content_end", "source_start", "source_end", "cue_start", "cue_end",
    "context", "target", "holder", "published",
)  # fmt: skip
"""What a model may use of a row; all else is annotation. dataset/benchmark/PROTOCOL.md says it to people."""

Counts = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[Any]  # of bool
Statistic = Callable[[Counts], Counts]

MISSING = Rule("prediction-missing", 5, "Every row of gold has a prediction.", "predict the rows that are listed")
TWICE = Rule("prediction-twice", 5, "Every row of gold has one prediction.", "leave one of them")
UNKNOWN = Rule(
    "prediction-unknown", 5, "Every prediction is of a row of gold.", "check split, configuration and gold folder"
)
LABEL = Rule("prediction-label", 5, "Predicted labels are those of the schema.", "map them to the listed labels")
FORM = Rule(
    "prediction-form",
    5,
    "Predictions have the columns of their task.",
    "see dataset/benchmark/PROTOCOL.md for the form",
)
ODDS = Rule(
    "prediction-probabilities",
    5,
    "Probabilities are of all labels, from 0 to 1, and sum to 1.",
    "normalise them, or leave them out",
)
NO_GOLD = Rule(
    "gold-missing", 5, "A gold folder holds the tables of its split as a build wrote them.", "build it again"
)
RULES = rules_of(globals())


class Unscorable(ValueError):
    """Predictions that cannot be scored; carries the findings that say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95% interval over stories; both bounds are None under ten stories.

    `detectable` is the smallest difference from a fixed value that four tests in five would find at 5%.
    """

    value: float
    low: float | None
    high: float | None
    stories: int
    detectable: float | None


@dataclass(frozen=True, slots=True)
class LabelScore:
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that share a value. Its macro-F1 is over the labels that its own gold has."""

    rows: int
    labels: int
    macro_f1: Figure
    accuracy: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """This system less the other on the same rows; `p` is of the story-clustered permutation test."""

    difference: Figure
    p: float | None
    swaps: int


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one system on one task; the first figure is the task's primary one."""

    task: str
    split: str
    rows: int
    stories: int
    figures: Mapping[str, Figure]
    labels: Mapping[str, LabelScore] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # gold to predicted to rows
    calibration: Mapping[str, float] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, Slice]] = field(default_factory=dict)
    against: Comparison | None = None


# -- figures over stories --------------------------------------------------------------------------------------


def figure(by_story: Counts, statistic: Statistic) -> Figure:
    """A statistic of the sum over stories (the first axis), with its jackknife-t interval."""
    stories = len(by_story)
    total = by_story.sum(axis=0)
    value = float(statistic(total))
    if stories < LEAST_STORIES:
        return Figure(value, None, None, stories, None)
    reach, power = _student((1 + CONFIDENCE) / 2, stories - 1), _student(POWER, stories - 1)
    error = jackknife_error(by_story, statistic)
    return Figure(value, value - reach * error, value + reach * error, stories, (reach + power) * error)


def _student(share: float, freedom: int) -> float:
    """The quantile of Student's t."""
    from scipy.special import stdtrit  # here, for it doubles the time that every command takes to start

    return float(stdtrit(freedom, share))


def jackknife_error(by_story: Counts, statistic: Statistic) -> float:
    """The standard error of a statistic by leaving out each story in turn."""
    stories = len(by_story)
    without = statistic(by_story.sum(axis=0) - by_story)
    return float(np.sqrt((stories - 1) / stories * ((without - without.mean()) ** 2).sum()))


def _within(found: Figure) -> Figure:
    """A share's interval, cut to what a share can be."""
    if found.low is None or found.high is None:
        return found
    return Figure(found.value, max(0.0, found.low), min(1.0, found.high), found.stories, found.detectable)


def compare(ours: Counts, theirs: Counts, statistic: Statistic, *, seed: int = 0) -> Comparison:
    """Two systems on the same stories: a permutation test that swaps all of a story's predictions together."""
    both = np.stack([ours, theirs], axis=1)
    difference = figure(both, lambda counts: statistic(counts[..., 0, :, :]) - statistic(counts[..., 1, :, :]))
    if len(ours) < LEAST_STORIES:
        return Comparison(difference, None, 0)
    exact = len(ours) <= EXACT_STORIES
    swaps = (
        np.array(list(product((0.0, 1.0), repeat=len(ours))))
        if exact
        else np.random.default_rng(seed).integers(0, 2, (SWAPS, len(ours))).astype(np.float64)
    )
    moved = np.tensordot(swaps, theirs - ours, axes=1)
    permuted = np.abs(statistic(ours.sum(axis=0) + moved) - statistic(theirs.sum(axis=0) - moved))
    extreme = int((permuted >= abs(difference.value) - 1e-12).sum())
    p = extreme / len(swaps) if exact else (extreme + 1) / (len(swaps) + 1)
    return Comparison(difference, p, len(swaps))


# -- statistics of confusion matrices: (…, gold, predicted) to (…) ----------------------------------------------


def _ratio(above: Counts, below: Counts) -> Counts:
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)


def _hits(confusion: Counts) -> Counts:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def f1_by_label(confusion: Counts) -> Counts:
    """F1 of each label; 0 where neither gold nor predictions have it."""
    return _ratio(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Counts) -> Counts:
    mean: Counts = f1_by_label(confusion).mean(axis=-1)
    return mean


def related_macro_f1(confusion: Counts) -> Counts:
    """Over all labels but the last (`unrelated`), on the rows whose gold is one of them."""
    related = confusion[..., :-1, :]
    hits, predicted = _hits(related[..., :-1]), related[..., :-1].sum(axis=-2)
    mean: Counts = _ratio(2 * hits, related.sum(axis=-1) + predicted).mean(axis=-1)
    return mean


def accuracy(confusion: Counts) -> Counts:
    return _ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def recall_gmean(confusion: Counts) -> Counts:
    """Geometric mean of the recalls of the labels that gold has."""
    gold = confusion.sum(axis=-1)
    recalls = np.where(gold > 0, _ratio(_hits(confusion), gold), 1.0)
    mean: Counts = np.prod(recalls, axis=-1) ** (1 / np.maximum((gold > 0).sum(axis=-1), 1))
    return mean


def set_f1(counts: Counts) -> Counts:
    """F1 of (…, 1, 3) hits, predicted, gold; 1 where there is nothing to find and nothing was found."""
    hits, of = counts[..., 0, 0], counts[..., 0, 1] + counts[..., 0, 2]
    return np.where(of > 0, _ratio(2 * hits, of), 1.0)


def set_precision(counts: Counts) -> Counts:
    return _ratio(counts[..., 0, 0], counts[..., 0, 1])


def set_recall(counts: Counts) -> Counts:
    return _ratio(counts[..., 0, 0], counts[..., 0, 2])


# -- labels ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marks:
    """Gold and predicted labels as numbers, row by row in gold's order."""

    labels: tuple[str, ...]
    story: Codes
    gold: Codes
    predicted: Codes
    probabilities: Counts | None  # (rows, labels)

    def confusion(self, rows: npt.NDArray[Any] | slice = slice(None), weights: Counts | None = None) -> Counts:
        """Confusion matrices of the stories that the rows are from."""
        present = np.bincount(self.story[rows]) > 0
        story = (np.cumsum(present) - 1)[self.story[rows]]
        wide, stories = len(self.labels), int(present.sum())
        cell = (story * wide + self.gold[rows]) * wide + self.predicted[rows]
        counts = np.bincount(cell, weights, minlength=stories * wide * wide)
        return counts.reshape(stories, wide, wide).astype(np.float64)


def label_findings(gold: pa.Table, predicted: pa.Table, task: str, file: str) -> list[Finding]:
    """What keeps predictions of a label from being scored: ids, labels and probabilities at fault, listed."""
    labels = LABELS[_label_column(task)]
    absent = [name for name in ("id", "label") if name not in predicted.column_names]
    if absent:
        return [FORM.finding(file, "", f"has no column {', '.join(absent)}")]
    if odd := [name for name in ("id", "label") if not pa.types.is_string(predicted[name].type)]:
        return [FORM.finding(file, "", f"{', '.join(odd)} are not words")]
    findings = _id_findings(gold["id"], predicted["id"], file)
    wrong = predicted.filter(pc.invert(pc.is_in(predicted["label"], value_set=pa.array(labels))))
    if wrong.num_rows:
        pairs = zip(wrong["id"].to_pylist(), wrong["label"].to_pylist(), strict=True)
        listed = _listed([f"{id_} ({label!r})" for id_, label in pairs])
        findings.append(LABEL.finding(file, "", f"{listed}: none of {', '.join(labels)}"))
    return [*findings, *_odds_findings(predicted, labels, file)]


def _id_findings(gold: pa.ChunkedArray, predicted: pa.ChunkedArray, file: str) -> list[Finding]:
    if (
        len(gold) == len(predicted)
        and not pc.any(pc.invert(pc.is_in(gold, value_set=predicted.combine_chunks()))).as_py()
    ):
        return []  # the ids of gold are distinct, so these are the same ids
    counted = pc.value_counts(predicted)
    ids, counts = pc.struct_field(counted, [0]), pc.struct_field(counted, [1])
    found = (
        (MISSING, gold.filter(pc.invert(pc.is_in(gold, value_set=ids))).to_pylist(), "no prediction of"),
        (TWICE, ids.filter(pc.greater(counts, 1)).to_pylist(), "several predictions of"),
        (UNKNOWN, ids.filter(pc.invert(pc.is_in(ids, value_set=gold.combine_chunks()))).to_pylist(), "not in gold:"),
    )
    return [rule.finding(file, "", f"{what} {_listed(ids)}") for rule, ids, what in found if ids]


def _odds_findings(predicted: pa.Table, labels: Sequence[str], file: str) -> list[Finding]:
    given = [name for name in predicted.column_names if name.startswith(PROBABILITY)]
    if not given:
        return []
    wanted = [PROBABILITY + label for label in labels]
    if odd := sorted(set(given) ^ set(wanted)):
        return [ODDS.finding(file, "", f"not of all labels and of no other: {', '.join(odd)}")]
    if words := [name for name in wanted if not _is_numeric(predicted[name].type)]:
        return [ODDS.finding(file, "", f"no numbers: {', '.join(words)}")]
    odds = _odds(predicted, labels)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(odds).all(axis=1) & (odds >= 0).all(axis=1) & (abs(odds.sum(axis=1) - 1) <= SUM_TOLERANCE)
    bad = predicted["id"].filter(pa.array(~good)).to_pylist()
    return [ODDS.finding(file, "", f"no distribution: {_listed(bad)}")] if bad else []


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _listed(ids: Iterable[object]) -> str:
    named = sorted(map(str, ids))
    more = f" and {len(named) - LISTED:,} more" if len(named) > LISTED else ""
    return f"{len(named):,} ({', '.join(named[:LISTED])}{more})"


def _odds(predicted: pa.Table, labels: Sequence[str]) -> Counts:
    columns = [
        pc.cast(predicted[PROBABILITY + label], pa.float64(), safe=False).fill_null(float("nan")) for label in labels
    ]
    odds: Counts = np.column_stack([column.to_numpy() for column in columns])
    return odds


def _label_column(task: str) -> str:
    return config_label(task) or task


def marks(gold: pa.Table, predicted: pa.Table, task: str) -> Marks:
    """Predictions without findings, put in gold's order."""
    column = _label_column(task)
    labels = LABELS[column]
    order = pc.index_in(gold["id"], value_set=predicted["id"].combine_chunks()).to_numpy().astype(np.int64)
    has_odds = PROBABILITY + labels[0] in predicted.column_names
    return Marks(
        labels,
        _codes(gold["story"]),
        _numbers(gold[column], labels),
        _numbers(predicted["label"], labels)[order],
        _odds(predicted, labels)[order] if has_odds else None,
    )


def _numbers(column: pa.ChunkedArray, labels: Sequence[str]) -> Codes:
    numbers: Codes = pc.index_in(column, value_set=pa.array(labels)).to_numpy().astype(np.int64)
    return numbers


def _codes(column: pa.ChunkedArray) -> Codes:
    """A number for each value, the same for equal values."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    numbers: Codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def score_labels(gold: pa.Table, found: Marks, task: str, split: str, other: Marks | None = None) -> Report:
    """All figures of a task whose predictions are labels."""
    by_story = found.confusion()
    total = by_story.sum(axis=0)
    acts = found.confusion(weights=_act_weights(gold))
    figures = {"macro_f1": _within(figure(by_story, macro_f1))}
    if UNRELATED in found.labels:
        figures["related_macro_f1"] = _within(figure(_related(by_story), related_macro_f1))
    figures |= {
        "accuracy": _within(figure(by_story, accuracy)),
        "recall_gmean": _within(figure(by_story, recall_gmean)),
        "macro_f1_per_act": _within(figure(acts, macro_f1)),
    }
    return Report(
        task,
        split,
        gold.num_rows,
        len(by_story),
        figures,
        label_scores(total, found.labels),
        {
            label: dict(zip(found.labels, map(int, row), strict=True))
            for label, row in zip(found.labels, total.tolist(), strict=True)
        },
        {} if found.probabilities is None else calibration(found.probabilities, found.gold),
        {name: _slices(gold[name], found) for name in SLICES if name in gold.column_names},
        None if other is None else compare(by_story, other.confusion(), macro_f1),
    )


def _related(by_story: Counts) -> Counts:
    """Only the stories that have related rows, for only they bear on them."""
    have = by_story[:, :-1, :].sum(axis=(1, 2)) > 0
    return np.compress(have, by_story, axis=0)


def label_scores(confusion: Counts, labels: Sequence[str]) -> dict[str, LabelScore]:
    hits, gold = _hits(confusion), confusion.sum(axis=-1)
    parts = (_ratio(hits, confusion.sum(axis=-2)), _ratio(hits, gold), f1_by_label(confusion))
    precision, recall, f1 = (part.tolist() for part in parts)
    return {label: LabelScore(precision[i], recall[i], f1[i], int(gold[i])) for i, label in enumerate(labels)}


def _act_weights(gold: pa.Table) -> Counts:
    """A row's share of its act: mentions of one act, towards one target, count as one together."""
    act: Codes = _codes(gold["act"])
    target = _codes(gold["target_id"]) if "target_id" in gold.column_names else np.zeros_like(act)
    pair = act * (target.max(initial=0) + 1) + target
    _, inverse, mentions = np.unique(pair, return_inverse=True, return_counts=True)
    weights: Counts = np.reciprocal(mentions.astype(np.float64))[inverse]
    return weights


def calibration(odds: Counts, gold: Codes) -> dict[str, float]:
    """Expected calibration error of the likeliest label, and Brier score: squared error over all labels, 0 to 2."""
    sure, right = odds.max(axis=1), odds.argmax(axis=1) == gold
    bins = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gap = np.bincount(bins, right, BINS) - np.bincount(bins, sure, BINS)
    truth = np.zeros_like(odds)
    truth[np.arange(len(gold)), gold] = 1
    brier = ((odds - truth) ** 2).sum(axis=1).mean()
    return {"ece": float(np.abs(gap).sum() / len(gold)), "brier": float(brier)}


def _slices(column: pa.ChunkedArray, found: Marks) -> dict[str, Slice]:
    rows = np.arange(len(column))
    if pa.types.is_list(column.type):
        whole = column.combine_chunks()
        rows, column = pc.list_parent_indices(whole).to_numpy(), pa.chunked_array([pc.list_flatten(whole)])
    values = column.unique().drop_null().to_pylist()
    code = _codes(column)
    names = column.combine_chunks().dictionary_encode(null_encoding="encode").dictionary.to_pylist()
    return {str(value): _slice(rows[code == names.index(value)], found) for value in sorted(values)}


def _slice(rows: Codes, found: Marks) -> Slice:
    by_story = found.confusion(rows)
    total = by_story.sum(axis=0)
    has = total.sum(axis=-1) > 0

    def over_own_labels(confusion: Counts) -> Counts:
        mean: Counts = f1_by_label(confusion)[..., has].mean(axis=-1)
        return mean

    return Slice(len(rows), int(has.sum()), _within(figure(by_story, over_own_labels)), float(accuracy(total)))


# -- contrast --------------------------------------------------------------------------------------------------


def both_sides(edits: pa.Table) -> pa.Table:
    """Gold of every minimal pair's two sides: the edits, then each original once."""
    first = edits["original"].to_numpy(zero_copy_only=False)
    _, at = np.unique(first.astype(str), return_index=True)
    originals = edits.take(pa.array(at))
    sides = [edits.select(["id", "story", "stance"]), originals.select(["original", "story", "original_stance"])]
    return pa.concat_tables([sides[0], sides[1].rename_columns(["id", "story", "stance"])])


def score_contrast(edits: pa.Table, predicted: pa.Table, split: str, other: pa.Table | None = None) -> Report:
    """How often both sides of a minimal pair are right, where the label changes and, as a control, where it stays."""
    found, right = _sides(edits, predicted)
    control = edits["control"].to_numpy(zero_copy_only=False)
    everything = np.ones(len(control), bool)
    both = right[:, 0] & right[:, 1]
    figures = {
        "consistency": _share(found.story, both, everything),
        "consistency_changed": _share(found.story, both, ~control),
        "consistency_control": _share(found.story, both, control),
        "edit_accuracy": _share(found.story, right[:, 0], everything),
        "original_accuracy": _share(found.story, right[:, 1], everything),
    }
    against = None
    if other is not None:
        rival = _sides(edits, other)[1]
        theirs = rival[:, 0] & rival[:, 1]
        against = compare(
            _by_story(found.story, both, everything), _by_story(found.story, theirs, everything), _share_right
        )
    slices = {"edit": _slices(edits["edit"], found)}
    return Report(
        "contrast", split, edits.num_rows, int(found.story.max()) + 1, figures, slices=slices, against=against
    )


def _sides(edits: pa.Table, predicted: pa.Table) -> tuple[Marks, Flags]:
    """The marks of the edited rows, and whether each edit and its original are right: (edits, 2)."""
    gold = both_sides(edits)
    found = marks(gold, predicted, "contrast")
    right = found.gold == found.predicted
    original = pc.index_in(edits["original"], value_set=gold["id"].combine_chunks()).to_numpy().astype(np.int64)
    mine = slice(edits.num_rows)
    ours = Marks(found.labels, found.story[mine], found.gold[mine], found.predicted[mine], None)
    return ours, np.column_stack([right[mine], right[original]])


def _by_story(story: Codes, right: Flags, among: Flags) -> Counts:
    """Right and all rows of `among` by story that has such: (stories, 1, 2)."""
    counts = np.column_stack([np.bincount(story, among & right), np.bincount(story, among)]).astype(np.float64)
    return counts[counts[:, 1] > 0][:, None, :]


def _share_right(counts: Counts) -> Counts:
    return _ratio(counts[..., 0, 0], counts[..., 0, 1])


def _share(story: Codes, right: Flags, among: Flags) -> Figure:
    return _within(figure(_by_story(story, right, among), _share_right))


# -- attribution -----------------------------------------------------------------------------------------------

Fragments = tuple[tuple[int, int], ...]
ROLES = ("content", "source", "cue")


def attribution_findings(gold: pa.Table, predicted: pa.Table, file: str) -> list[Finding]:
    """Predicted statements need their article and the fragments of their content; source and cue may be absent."""
    absent = [name for name in ("article_id", "content") if name not in predicted.column_names]
    if absent:
        return [FORM.finding(file, "", f"has no column {', '.join(absent)}")]
    if not pa.types.is_string(predicted["article_id"].type):
        return [FORM.finding(file, "", "article_id are not words")]
    findings = []
    strangers = set(predicted["article_id"].to_pylist()) - set(gold["article_id"].to_pylist())
    if strangers:
        findings.append(UNKNOWN.finding(file, "", f"articles not in gold: {_listed(strangers)}"))
    bad = [f"row {i + 1}" for i, row in enumerate(predicted.to_pylist()) if not is_statement(row)]
    if bad:
        findings.append(FORM.finding(file, "", f"no fragments [start, end] of content in {_listed(bad)}"))
    return findings


def is_statement(row: Mapping[str, Any]) -> bool:
    """Whether a row has fragments of content, and sound ones of what else it has."""
    try:
        places = [fragments(row.get(role)) for role in ROLES]
    except (TypeError, ValueError, KeyError, OverflowError):
        return False
    return bool(places[0])


def fragments(places: Iterable[Any] | None) -> Fragments:
    """Fragments as pairs, sorted, with what touches or overlaps joined. Raises ValueError for one that is none."""
    made: list[tuple[int, int]] = []
    for place in sorted((p["start"], p["end"]) if isinstance(p, Mapping) else tuple(p) for p in places or ()):
        start, end = map(int, place)
        if not 0 <= start < end:
            raise ValueError(f"{start}, {end} is no fragment")
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((start, end))
    return tuple(made)


def attribution_counts(gold: pa.Table, predicted: pa.Table) -> dict[str, Counts]:
    """Hits, predicted and gold by story: (stories, 1, 3) of exact and overlapping contents, sources and cues.

    Within an article each predicted statement is matched to at most one of gold and the reverse, so that the sum of
    their contents' Dice coefficients is the largest there is. A hit of overlap is the pair's Dice coefficient.
    """
    wanted, offered = _by_article(gold), _by_article(predicted)
    stories = sorted({article.split(".")[0] for article in wanted})
    counts = {name: np.zeros((len(stories), 1, 3)) for name in ("exact", *ROLES)}
    for article, mine in wanted.items():
        at, theirs = stories.index(article.split(".")[0]), offered.get(article, [])
        pairs = strings.matched([one["content"] for one in theirs], [one["content"] for one in mine])
        exact = sum(theirs[i]["content"] == mine[j]["content"] for i, j in pairs)
        counts["exact"][at, 0] += exact, len(theirs), len(mine)
        for role in ROLES:
            hits = sum(strings.dice(theirs[i][role], mine[j][role]) for i, j in pairs)
            counts[role][at, 0] += hits, sum(bool(s[role]) for s in theirs), sum(bool(s[role]) for s in mine)
    return counts


def _by_article(table: pa.Table) -> dict[str, list[dict[str, Fragments]]]:
    found: dict[str, list[dict[str, Fragments]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["article_id"], []).append({role: fragments(row.get(role)) for role in ROLES})
    return found


def score_attribution(gold: pa.Table, predicted: pa.Table, split: str, other: pa.Table | None = None) -> Report:
    """Exact and overlap F1 of statements found in articles."""
    counts = attribution_counts(gold, predicted)
    figures = {
        "overlap_f1": _within(figure(counts["content"], set_f1)),
        "exact_f1": _within(figure(counts["exact"], set_f1)),
        "overlap_precision": _within(figure(counts["content"], set_precision)),
        "overlap_recall": _within(figure(counts["content"], set_recall)),
        "source_f1": _within(figure(counts["source"], set_f1)),
        "cue_f1": _within(figure(counts["cue"], set_f1)),
    }
    against = None
    if other is not None:
        against = compare(counts["content"], attribution_counts(gold, other)["content"], set_f1)
    return Report("attribution", split, gold.num_rows, len(counts["content"]), figures, against=against)


# -- profile ---------------------------------------------------------------------------------------------------

Profiles = dict[str, frozenset[tuple[Any, ...]]]


def gold_profiles(pairs: pa.Table) -> Profiles:
    """For each article and judged target, `article.target`, the set of PROFILE over its related statements.

    A statement whose source type or disclosure is not annotated is no part of any set.
    """
    made: dict[str, set[tuple[Any, ...]]] = {}
    columns = [pairs[name].to_pylist() for name in ("article_id", "target_id", *PROFILE)]
    for article, target, *entry in zip(*columns, strict=True):
        unit = made.setdefault(f"{article}.{target.split('.')[-1]}", set())
        if entry[-1] != UNRELATED and None not in entry:
            unit.add(tuple(entry))
    return {unit: frozenset(found) for unit, found in sorted(made.items())}


def profile_findings(gold: Profiles, predicted: pa.Table, file: str) -> list[Finding]:
    absent = [name for name in ("id", "profile") if name not in predicted.column_names]
    if absent:
        return [FORM.finding(file, "", f"has no column {', '.join(absent)}")]
    sets = predicted["profile"].type
    if not pa.types.is_string(predicted["id"].type):
        return [FORM.finding(file, "", "id are not words")]
    if not (pa.types.is_null(sets) or (pa.types.is_list(sets) and _holds_entries(sets.value_type))):
        return [FORM.finding(file, "", f"profile are no lists of {', '.join(PROFILE)}")]
    findings = _id_findings(pa.chunked_array([pa.array(sorted(gold))]), predicted["id"], file)
    wrong = [
        f"{row['id']} ({name}: {(entry or {}).get(name)!r})"
        for row in predicted.to_pylist()
        for entry in row["profile"] or ()
        for name in PROFILE
        if not _is_profile_value(name, (entry or {}).get(name))
    ]
    return [*findings, *([LABEL.finding(file, "", f"{_listed(wrong)}: not in the schema")] if wrong else [])]


def _holds_entries(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind) or pa.types.is_null(kind))


def _is_profile_value(name: str, value: object) -> bool:
    if name == "depth":
        return isinstance(value, int) and value >= 0
    return value in LABELS[name] and value != UNRELATED


def profiles(predicted: pa.Table) -> Profiles:
    return {
        row["id"]: frozenset(tuple(entry[name] for name in PROFILE) for entry in row["profile"] or ())
        for row in predicted.to_pylist()
    }


def profile_counts(gold: Profiles, predicted: Profiles) -> Counts:
    """Hits, predicted and gold by story: (stories, 1, 3)."""
    stories = sorted({unit.split(".")[0] for unit in gold})
    counts = np.zeros((len(stories), 1, 3))
    for unit, wanted in gold.items():
        offered = predicted.get(unit, frozenset())
        counts[stories.index(unit.split(".")[0]), 0] += len(wanted & offered), len(offered), len(wanted)
    return counts


def score_profiles(gold: Profiles, predicted: Profiles, split: str, other: Profiles | None = None) -> Report:
    """Set F1: of all entries of all sets together."""
    counts = profile_counts(gold, predicted)
    figures = {
        "set_f1": _within(figure(counts, set_f1)),
        "set_precision": _within(figure(counts, set_precision)),
        "set_recall": _within(figure(counts, set_recall)),
    }
    against = None if other is None else compare(counts, profile_counts(gold, other), set_f1)
    return Report("profile", split, len(gold), len(counts), figures, against=against)


# -- for people ------------------------------------------------------------------------------------------------


def render(report: Report) -> str:
    """A report as plain text, all figures with their stories."""
    lines = [f"{report.task}, {report.split}: {report.rows:,} rows of {report.stories:,} stories", ""]
    lines += [f"{name:<20}{shown(found)}" for name, found in report.figures.items()]
    if report.stories < LEAST_STORIES:
        lines.append(f"no intervals: they need {LEAST_STORIES} stories")
    lines += [f"{name:<20}{value:.3f}" for name, value in report.calibration.items()]
    if report.labels:
        lines += ["", f"{'label':<14}{'precision':>10}{'recall':>10}{'F1':>10}{'rows':>8}"]
    for name, one in report.labels.items():
        lines.append(f"{name:<14}{one.precision:>10.3f}{one.recall:>10.3f}{one.f1:>10.3f}{one.support:>8,}")
    if report.confusion:
        lines += ["", f"{'gold / predicted':<18}" + "".join(f"{name[:12]:>13}" for name in report.confusion)]
    for name, row in report.confusion.items():
        lines.append(f"{name:<18}" + "".join(f"{count:>13,}" for count in row.values()))
    for name, parts in report.slices.items():
        lines += ["", f"by {name} (macro-F1 over the labels that the rows' gold has)"]
        lines += [
            f"  {on_a_line(value):<18}{one.rows:>8,} rows  {shown(one.macro_f1)}" for value, one in parts.items()
        ]
    return "\n".join(lines + _compared(report.against))


def _compared(against: Comparison | None) -> list[str]:
    if against is None:
        return []
    p = "no p-value under ten stories" if against.p is None else f"p {against.p:.4f} of {against.swaps:,} swaps"
    return ["", f"less the other: {shown(against.difference)}, {p}"]


def shown(found: Figure) -> str:
    """A figure on a line: value, interval, detectable difference, stories."""
    if found.low is None or found.high is None or found.detectable is None:
        return f"{found.value:.3f}  ({found.stories:,} stories)"
    interval = f"[{found.low:.3f}, {found.high:.3f}]"
    return f"{found.value:.3f}  {interval}  detectable {found.detectable:.3f}  ({found.stories:,} stories)"
