"""Figures are scikit-learn's, intervals are over stories, and what cannot be scored is told id by id."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import (
    brier_score_loss,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    recall_score,
)

import onrecord
from onrecord import baselines, card, cli, gates, predictions, scoring, tables
from onrecord.model import CROSSWALK, LABELS, SCHEMAS, arrow_schema
from onrecord.scoring import Unscorable

STANCES = LABELS["stance"]
VISIT = Path(__file__).parent / "cases/valid/visit"


def made_up(stories: int, rows: int, seed: int = 0, right: float = 0.5) -> tuple[pa.Table, pa.Table]:
    """Gold of so many stories, and predictions right in a share of the rows, in another order, with probabilities."""
    chance = np.random.default_rng(seed)
    names = np.array(STANCES)
    story = np.sort(chance.integers(0, stories, rows))
    label = chance.integers(0, len(names), rows)
    guess = np.where(chance.random(rows) < right, label, chance.integers(0, len(names), rows))
    odds = chance.dirichlet(np.ones(len(names)), rows)
    ids = [f"story-{s}.wire.s{i}.t" for i, s in enumerate(story)]
    gold = pa.table(
        {
            "id": ids,
            "story": [f"story-{s}" for s in story],
            "act": [f"story-{s}.wire.s{i - i % 2}" for i, s in enumerate(story)],
            "target_id": [f"story-{s}.t" for s in story],
            "stance": names[label],
            "source_type": np.array(LABELS["source_type"])[chance.integers(0, 10, rows)],
            "tags": [["negation", "implied"][: i % 3] for i in range(rows)],
        }
    )
    columns = {"id": ids, "label": names[guess], **{f"p_{name}": odds[:, i] for i, name in enumerate(names)}}
    return gold, pa.table(columns).take(chance.permutation(rows))


def report(gold: pa.Table, predicted: pa.Table, other: pa.Table | None = None) -> scoring.Report:
    assert scoring.label_findings(gold, predicted, "stance", "p") == []
    rival = None if other is None else scoring.marks(gold, other, "stance")
    return scoring.score_labels(gold, scoring.marks(gold, predicted, "stance"), "stance", "test", rival)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    gold, predicted = made_up(12, 400, seed)
    found = report(gold, predicted)
    by_id = dict(zip(predicted["id"].to_pylist(), predicted["label"].to_pylist(), strict=True))
    true, said = gold["stance"].to_pylist(), [by_id[one] for one in gold["id"].to_pylist()]
    same = {"labels": list(STANCES), "zero_division": 0}
    assert found.figures["macro_f1"].value == pytest.approx(f1_score(true, said, average="macro", **same))
    related = [(t, s) for t, s in zip(true, said, strict=True) if t != "unrelated"]
    over = f1_score(*zip(*related, strict=True), labels=list(STANCES[:-1]), average="macro", zero_division=0)
    assert found.figures["related_macro_f1"].value == pytest.approx(over)
    parts = precision_recall_fscore_support(true, said, **same)
    ours = [[one.precision, one.recall, one.f1, one.support] for one in found.labels.values()]
    assert np.allclose(ours, np.transpose(parts))
    recalls = recall_score(true, said, average=None, **same)
    assert found.figures["recall_gmean"].value == pytest.approx(np.prod(recalls) ** (1 / 6))
    table = [list(row.values()) for row in found.confusion.values()]
    assert np.array_equal(table, confusion_matrix(true, said, labels=list(STANCES)))


def test_calibration_is_that_of_scikit_learn_and_of_the_definition() -> None:
    gold, predicted = made_up(12, 300)
    found = report(gold, predicted).calibration
    rows = {row["id"]: row for row in predicted.to_pylist()}
    odds = np.array([[rows[one][f"p_{label}"] for label in STANCES] for one in gold["id"].to_pylist()])
    true = [STANCES.index(label) for label in gold["stance"].to_pylist()]
    brier = brier_score_loss(true, odds, labels=range(6), scale_by_half=False)
    assert found["brier"] == pytest.approx(brier)
    sure, right = odds.max(1), odds.argmax(1) == true
    gaps = 0.0
    for low in np.arange(15) / 15:
        inside = (sure > low) & (sure <= low + 1 / 15)
        gaps += abs(right[inside].sum() - sure[inside].sum())
    assert found["ece"] == pytest.approx(gaps / 300)


def minimal_pairs() -> pa.Table:
    """Two edits of one original, one of which leaves the label, and one of another story."""
    rows = [
        ("a.w.s1.t.c1", "a.w.s1.t", "cue", False, "a", "deny", "affirm"),
        ("a.w.s1.t.c2", "a.w.s1.t", "hedge", True, "a", "affirm", "affirm"),
        ("b.w.s1.t.c1", "b.w.s1.t", "cue", False, "b", "relay", "deny"),
    ]
    names = ("id", "original", "edit", "control", "story", "stance", "original_stance")
    return pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})


@pytest.mark.parametrize(
    "wrong, consistency, changed, control",
    [((), 1, 1, 1), (("a.w.s1.t",), 1 / 3, 1 / 2, 0), (("b.w.s1.t.c1",), 2 / 3, 1 / 2, 1)],
)
def test_a_minimal_pair_counts_where_both_sides_are_right(
    wrong: tuple[str, ...], consistency: float, changed: float, control: float
) -> None:
    edits = minimal_pairs()
    gold = scoring.both_sides(edits)
    assert gold["id"].to_pylist() == ["a.w.s1.t.c1", "a.w.s1.t.c2", "b.w.s1.t.c1", "a.w.s1.t", "b.w.s1.t"]
    said = [
        "doubt" if one in wrong else label for one, label in zip(gold["id"].to_pylist(), gold["stance"].to_pylist())
    ]
    found = scoring.score_contrast(edits, pa.table({"id": gold["id"], "label": said}), "test").figures
    assert found["consistency"].value == pytest.approx(consistency)
    assert found["consistency_changed"].value == pytest.approx(changed)
    assert found["consistency_control"].value == pytest.approx(control)


def test_gold_is_perfect_and_shuffled_gold_is_chance() -> None:
    gold, _ = made_up(40, 6_000)
    perfect = pa.table({"id": gold["id"], "label": gold["stance"]})
    assert {found.value for found in report(gold, perfect).figures.values()} == {1.0}
    shuffled = np.random.default_rng(0).permutation(gold["stance"].to_numpy(zero_copy_only=False))
    chance = report(gold, pa.table({"id": gold["id"], "label": shuffled})).figures["macro_f1"]
    assert chance.value == pytest.approx(1 / 6, abs=0.02)


def test_all_unrelated_gets_nothing_on_related_pairs() -> None:
    gold, _ = made_up(12, 600)
    found = report(gold, pa.table({"id": gold["id"], "label": ["unrelated"] * 600}))
    share = gold["stance"].to_pylist().count("unrelated") / 600
    assert found.figures["macro_f1"].value == pytest.approx(2 * share / (1 + share) / 6)
    assert found.figures["related_macro_f1"].value == found.figures["recall_gmean"].value == 0


def test_no_interval_under_ten_stories() -> None:
    few = report(*made_up(9, 200), made_up(9, 200, seed=0)[1])
    assert few.figures["macro_f1"].low is None
    assert few.against is not None
    assert few.against.p is None
    many = report(*made_up(10, 200)).figures["macro_f1"]
    assert many.low is not None
    assert many.high is not None
    assert 0 <= many.low < many.value < many.high <= 1
    assert many.detectable is not None
    assert many.detectable > many.value - many.low


def test_order_of_rows_moves_nothing() -> None:
    gold, predicted = made_up(12, 300)
    backwards = predicted.take(list(reversed(range(300))))
    assert report(gold, predicted) == report(gold, backwards)


def test_mentions_of_one_act_count_once_together() -> None:
    row = {"story": "visit", "target_id": "visit.t-met"}
    gold = pa.Table.from_pylist(
        [
            row | {"id": "visit.a.s1.t-met", "act": "visit.a.s1", "stance": "affirm"},
            row | {"id": "visit.a.s2.t-met", "act": "visit.a.s1", "stance": "affirm"},
            row | {"id": "visit.a.s3.t-met", "act": "visit.a.s3", "stance": "deny"},
        ]
    )
    said = pa.table({"id": gold["id"], "label": ["affirm", "deny", "deny"]})
    found = report(gold, said).figures
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 2 / 3) / 6)
    assert found["macro_f1_per_act"].value == pytest.approx((2 * 0.5 / 1.5 + 2 / 2.5) / 6)


def test_a_slice_is_scored_over_its_own_labels() -> None:
    gold, predicted = made_up(12, 600)
    found = report(gold, predicted).slices
    assert sum(one.rows for one in found["source_type"].values()) == 600
    assert found["tags"]["negation"].rows == sum("negation" in tags for tags in gold["tags"].to_pylist())
    perfect = pa.table({"id": gold["id"], "label": gold["stance"]})
    assert all(one.macro_f1.value == 1 for one in report(gold, perfect).slices["tags"].values())


@pytest.mark.parametrize("stories", [12, 40])
def test_the_paired_test_finds_a_better_system_and_no_difference_where_there_is_none(stories: int) -> None:
    gold, good = made_up(stories, 1_200, right=0.7)
    same = report(gold, good, good).against
    assert same is not None
    assert same.difference.value == 0
    assert same.p == 1
    labels = np.random.default_rng(1).permutation(good["label"].to_numpy(zero_copy_only=False))
    better = report(gold, good, pa.table({"id": good["id"], "label": labels})).against
    assert better is not None
    assert better.p is not None
    assert better.p < 0.01
    assert better.difference.low is not None
    assert better.difference.low > 0


# -- what cannot be scored -------------------------------------------------------------------------------------


def told(gold: pa.Table, predicted: pa.Table) -> str:
    return "\n".join(map(str, scoring.label_findings(gold, predicted, "stance", "mine.csv")))


def test_missing_repeated_and_unknown_ids_are_listed() -> None:
    gold = pa.table({"id": ["v.a.s1.t", "v.a.s2.t", "v.a.s3.t"]})
    said = pa.table({"id": ["v.a.s1.t", "v.a.s1.t", "w.a.s9.t"], "label": ["deny"] * 3})
    findings = told(gold, said)
    assert "mine.csv: no prediction of 2 (v.a.s2.t, v.a.s3.t); " in findings
    assert "mine.csv: several predictions of 1 (v.a.s1.t); " in findings
    assert "mine.csv: not in gold: 1 (w.a.s9.t); " in findings


def test_a_label_that_is_none_is_listed_with_its_row() -> None:
    gold = pa.table({"id": ["v.a.s1.t"]})
    assert "1 (v.a.s1.t ('Denies')): none of affirm, deny" in told(
        gold, pa.table({"id": gold["id"], "label": ["Denies"]})
    )
    assert "1 (v.a.s1.t (None))" in told(gold, pa.table({"id": gold["id"], "label": pa.array([None], pa.string())}))
    assert "label are not words" in told(gold, pa.table({"id": gold["id"], "label": [3]}))
    assert "has no column label" in told(gold, pa.table({"id": gold["id"]}))


def test_probabilities_are_a_distribution_over_all_labels() -> None:
    gold = pa.table({"id": ["v.a.s1.t"]})
    said = {"id": gold["id"], "label": ["deny"]}
    assert "not of all labels and of no other: p_affirm, " in told(gold, pa.table(said | {"p_deny": [1.0]}))
    for odd in ([2.0, -1, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0], [None, 1, 0, 0, 0, 0]):
        odds = {f"p_{label}": pa.array([value], pa.float64()) for label, value in zip(STANCES, odd, strict=True)}
        assert "no distribution: 1 (v.a.s1.t)" in told(gold, pa.table(said | odds))


def test_a_file_that_is_no_table_of_predictions_is_told(tmp_path: Path) -> None:
    for name, text, what in (
        ("a.jsonl", '{"id": "v.a.s1.t", "label": "deny"}\n{"id": \n', "line 2: is no JSON"),
        ("b.jsonl", "", "is empty"),
        ("c.parquet", "no parquet", "c.parquet: "),
        ("d.csv", "", "Empty CSV file"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(Unscorable, match=what):
            predictions.read(tmp_path / name)


# -- files and the command -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gold") / "visit"
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.CLEAN
    return out


@pytest.fixture(scope="module")
def split(gold: Path) -> str:
    return next(file.stem for file in gold.glob("data/stance/*.parquet"))


def test_three_forms_of_the_same_predictions_score_alike(gold: Path, split: str, tmp_path: Path) -> None:
    rows = predictions.read_gold(gold, "stance", split)
    odds = {f"p_{label}": [1 / 6] * rows.num_rows for label in STANCES}
    said = pa.table({"id": rows["id"], "label": rows["stance"], **odds})
    pq.write_table(said, tmp_path / "p.parquet")
    pa_csv.write_csv(said, tmp_path / "p.csv")
    even = dict.fromkeys(STANCES, 1 / 6)
    lines = [json.dumps({"id": row["id"], "label": row["label"], "probabilities": even}) for row in said.to_pylist()]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    found = [onrecord.score(tmp_path / f"p.{end}", split=split, gold=gold) for end in ("parquet", "csv", "jsonl")]
    assert found[0] == found[1] == found[2] == onrecord.score(said, split=split, gold=gold)
    assert found[0].figures["macro_f1"].value <= 1
    assert found[0].calibration["brier"] == pytest.approx(5 / 6)


def test_the_command_prints_figures_or_findings(
    gold: Path, split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = predictions.read_gold(gold, "stance", split)
    said = tmp_path / "p.csv"
    pa_csv.write_csv(pa.table({"id": rows["id"], "label": rows["stance"]}), said)
    command = ["score", str(said), "--gold", str(gold), "--split", split]
    assert cli.main([*command, "--against", str(said)]) == cli.CLEAN
    shown = capsys.readouterr().out
    assert "no intervals: they need 10 stories" in shown
    assert "no p-value under ten stories" in shown
    assert cli.main([*command, "--json"]) == cli.CLEAN
    assert json.loads(capsys.readouterr().out)["stories"] == 1
    said.write_text("id,label\nvisit.wire.s99.t-met,deny\n")
    assert cli.main(command) == cli.ERRORS
    assert "[5 prediction-unknown]" in capsys.readouterr().err
    assert cli.main([*command[:3], str(tmp_path)]) == cli.ERRORS
    assert "[5 gold-missing]" in capsys.readouterr().err


# -- attribution and profile -----------------------------------------------------------------------------------


def test_attribution_matches_one_to_one() -> None:
    place = {"article_id": "visit.wire", "source": None, "cue": None}
    gold = pa.Table.from_pylist(
        [place | {"content": [{"start": 0, "end": 10}]}, place | {"content": [{"start": 20, "end": 30}]}]
    )
    twice = pa.Table.from_pylist([{"article_id": "visit.wire", "content": [[0, 10]]}] * 2)
    found = scoring.score_attribution(gold, twice, "test").figures
    assert found["exact_f1"].value == found["overlap_f1"].value == 0.5
    shifted = pa.Table.from_pylist([{"article_id": "visit.wire", "content": [[5, 15]]}])
    found = scoring.score_attribution(gold, shifted, "test").figures
    assert found["exact_f1"].value == 0
    assert found["overlap_f1"].value == pytest.approx(2 * 0.5 / 3)
    assert found["overlap_precision"].value == pytest.approx(0.5)


def test_fragments_that_touch_are_one() -> None:
    assert scoring.fragments([[5, 9], [0, 5], [12, 14], [12, 13]]) == ((0, 9), (12, 14))
    with pytest.raises(ValueError, match="no fragment"):
        scoring.fragments([[5, 5]])


def test_gold_is_perfect_in_attribution_and_profile(gold: Path, split: str) -> None:
    rows = predictions.read_gold(gold, "attribution", split)
    found = onrecord.score(rows, config="attribution", split=split, gold=gold)
    assert {one.value for one in found.figures.values()} == {1.0}
    sets = scoring.gold_profiles(predictions.read_gold(gold, "profile", split))
    said = [
        {"id": unit, "profile": [dict(zip(scoring.PROFILE, entry, strict=True)) for entry in sorted(entries)]}
        for unit, entries in sets.items()
    ]
    found = onrecord.score(pa.Table.from_pylist(said), config="profile", split=split, gold=gold)
    assert found.figures["set_f1"].value == 1
    with pytest.raises(Unscorable, match="prediction-missing"):
        onrecord.score(
            pa.Table.from_pylist(said[1:] or [{"id": "x", "profile": []}]), config="profile", split=split, gold=gold
        )


def test_profile_is_scored_over_all_entries_together() -> None:
    one, two, three = (("official", "named", 1, stance) for stance in ("affirm", "deny", "decline"))
    gold = {"visit.wire.t-met": frozenset({one, two}), "visit.wire.t-left": frozenset()}
    said = {"visit.wire.t-met": frozenset({one, three}), "visit.wire.t-left": frozenset({one})}
    found = scoring.score_profiles(gold, said, "test").figures
    assert found["set_precision"].value == pytest.approx(1 / 3)
    assert found["set_recall"].value == pytest.approx(1 / 2)
    assert found["set_f1"].value == pytest.approx(2 / 5)


# -- baselines -------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
ARTEFACTS = ROOT / "dataset" / tables.RESULTS / tables.ARTEFACTS
RESULTS = sorted(file for file in ARTEFACTS.parent.glob("*.json") if file != ARTEFACTS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus") / "dataset"
    assert cli.main(["build", str(ROOT / "dataset"), "--out", str(out)]) in (cli.CLEAN, cli.WARNINGS)
    return out


def without_annotation(table: pa.Table) -> pa.Table:
    """Rows with nothing left but ids, what a model may use, and the stance to learn from."""
    kept = {"id", "stance", *scoring.PERMITTED}
    schema = arrow_schema("stance")
    columns = [table[part.name] if part.name in kept else pa.nulls(table.num_rows, part.type) for part in schema]
    return pa.Table.from_arrays(columns, schema=schema)


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_a_baseline_reads_only_what_a_model_may_use(name: str, corpus: Path) -> None:
    train, test = (predictions.read_split(corpus, "stance", split) for split in ("train", "test"))
    whole = baselines.predict(name, train, test)
    blind = without_annotation(test).set_column(
        test.schema.get_field_index("stance"), "stance", pa.nulls(test.num_rows, pa.string())
    )
    assert whole.equals(baselines.predict(name, without_annotation(train), blind))
    assert set(baselines.BASELINES[name].sees) <= set(scoring.PERMITTED)


@pytest.mark.parametrize(
    "name, hidden",
    [
        ("tfidf-target-blind", ["target"]),
        ("tfidf-statement-blind", ["text", "passage"]),
        ("tfidf-cue-only", ["text", "target", "holder"]),
        ("tfidf-holder-only", ["text", "target", "passage"]),
    ],
)
def test_a_probe_is_blind_to_what_its_name_says(name: str, hidden: list[str], corpus: Path) -> None:
    train, test = (predictions.read_split(corpus, "stance", split) for split in ("train", "test"))
    masked = test
    for column in hidden:
        at = test.schema.get_field_index(column)
        masked = masked.set_column(at, column, pa.array(["elsewhere"] * test.num_rows))
    assert baselines.predict(name, train, test).equals(baselines.predict(name, train, masked))


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name)
def test_a_committed_result_keeps_to_the_schema(file: Path) -> None:
    schema = json.loads((ROOT / "schema/result.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    found = json.loads(file.read_text("utf-8"))
    jsonschema.validate(found, schema)
    assert file.name.split(".")[0] == found["system"]


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_committed_results_are_reproduced(name: str, corpus: Path) -> None:
    committed = json.loads((ROOT / f"dataset/benchmark/results/{name}.json").read_text("utf-8"))
    train, test = (predictions.read_split(corpus, "stance", split) for split in ("train", "test"))
    made = onrecord.score(baselines.predict(name, train, test), gold=corpus)
    assert committed["gold"] == predictions.described(corpus, "stance", "test"), "run `onrecord baselines`"
    assert committed["trained_on"] == predictions.described(corpus, "stance", "train"), "run `onrecord baselines`"
    for figure, found in made.figures.items():
        assert committed["figures"][figure]["value"] == pytest.approx(found.value, abs=0.005), figure


def test_committed_artefacts_are_reproduced_and_asked_by_the_gates(corpus: Path) -> None:
    committed = json.loads(ARTEFACTS.read_text("utf-8"))
    train, test = (predictions.read_split(corpus, "stance", split) for split in ("train", "test"))
    assert committed["gold"] == predictions.described(corpus, "stance", "test"), "run `onrecord baselines`"
    found = baselines.artefacts(train, test)
    assert set(found) == set(SCHEMAS["gates"]["properties"]) - set(gates.GATES)
    for gate, value in found.items():
        assert committed["gates"][gate]["figure"] == pytest.approx(value, abs=0.5), gate


def test_across_domains_nothing_is_learnt_from_the_domain_that_is_tested() -> None:
    rows = giveaway(20, 4).append_column("domain", pa.array([["sport", "health"][i % 2] for i in range(40)]))
    seen: list[set[str]] = []

    def spy(
        train: list[dict[str, object]], labels: object, test: list[dict[str, object]], seed: int
    ) -> baselines.Guess:
        seen.append({str(row["holder"]) for row in train} | {f"not {row['holder']}" for row in test})
        return ["deny"] * len(test), None

    at = rows.schema.get_field_index("holder")
    named = rows.set_column(at, "holder", rows["domain"])
    said = baselines.across_domains(baselines.Baseline(("holder",), "", spy), named, named)
    assert seen == [{"sport", "not health"}, {"health", "not sport"}]
    assert sorted(said["id"].to_pylist()) == sorted(named["id"].to_pylist())


def giveaway(rows: int, stories: int) -> pa.Table:
    """Rows whose cue alone says the stance, of statements that share no word with their target."""
    labels = [STANCES[i % 5] for i in range(rows)] + ["unrelated"] * rows
    passages = [f"Hale {label}s: it" for label in labels]
    columns = {
        "id": [f"s-{i % stories}.w.s{i}.t" for i in range(len(labels))],
        "story": [f"s-{i % stories}" for i in range(len(labels))],
        "stance": labels,
        "text": ["it"] * len(labels),
        "passage": passages,
        "cue_start": [5] * len(labels),
        "cue_end": [len(passage) - 4 for passage in passages],
        "target": ["The ferry sailed unfit."] * len(labels),
        "holder": ["Hale"] * len(labels),
    }
    filled = {
        name: columns.get(name, [0 if "start" in name or "end" in name else ""] * len(labels))
        for name in {*columns, *scoring.PERMITTED}
    }
    return pa.table(filled)


def test_probes_tell_what_gives_labels_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "PERMUTATIONS", 9)
    found = baselines.artefacts(giveaway(50, 5), giveaway(50, 5))
    assert found["cue-only"] == found["target-blind"] == 0.0, "the cue says it all"
    assert found["holder-only"] > 50
    assert found["overlap-only"] == 50.0


def test_the_leaderboard_refuses_results_of_other_gold() -> None:
    manifest = tables.read_manifest(ROOT / "dataset")
    results = tables.read_results(ROOT / "dataset")
    foreign = json.loads(json.dumps(next(one for one in results if one["system"] == "tfidf-full")))
    foreign["gold"]["fingerprint"], foreign["system"] = "0" * 64, "elsewhere"
    shown = card.leaderboard({**manifest, "results": [*results, foreign]})
    assert "scored on other rows: elsewhere." in shown
    assert "| elsewhere |" not in shown and "| majority |" in shown


def test_embeddings_come_from_any_model_on_disk(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Counted:
        """A model whose embedding of a text is how many words and characters it has."""

        def __init__(self, model: str, device: str) -> None:
            assert model == str(tmp_path)

        def encode(self, texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
            return np.array([[len(text.split()), len(text) / 10] for text in texts], dtype=np.float64)

    library = ModuleType("sentence_transformers")
    library.SentenceTransformer = Counted  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    train, test = (predictions.read_split(corpus, "stance", split) for split in ("train", "test"))
    said = baselines.predict(baselines.embedded(str(tmp_path)), train, test)
    assert scoring.label_findings(test, said, "stance", "p") == []
    assert set(baselines.embedded(str(tmp_path)).sees) <= set(scoring.PERMITTED)


# -- crosswalk -------------------------------------------------------------------------------------------------


def test_every_stance_has_its_name_in_every_scheme() -> None:
    for scheme, told in CROSSWALK.items():
        assert set(told["map"]) == set(STANCES)
        for label in STANCES:
            for certainty in ("certain", "probable", "possible"):
                value = onrecord.crosswalk(label, scheme, certainty=certainty)
                assert value is None or value in told["values"], (scheme, label)
        assert told["lossy"]


def test_a_crosswalk_keeps_certainty_where_the_scheme_has_it() -> None:
    assert onrecord.crosswalk("deny", "factbank", certainty="probable") == "PR-"
    assert onrecord.crosswalk("deny", "fnc-1", certainty="probable") == "disagree"
    assert onrecord.crosswalk("unrelated", "factbank") is None
    for label, scheme in (("deny", "fnc-2"), ("reject", "fnc-1")):
        with pytest.raises(KeyError):
            onrecord.crosswalk(label, scheme)


# -- lm-evaluation-harness -------------------------------------------------------------------------------------

TASKS = ROOT / "dataset/benchmark/lm_eval"


@pytest.fixture(scope="module")
def prompts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prompts", TASKS / "prompts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_prompt_holds_only_what_a_model_may_use(prompts: ModuleType, corpus: Path) -> None:
    row = predictions.read_split(corpus, "stance", "train").to_pylist()[0]
    allowed = {name: row[name] for name in scoring.PERMITTED}
    asked = prompts.ask(allowed)
    assert asked == prompts.ask(row)
    assert all(row[name] in asked for name in ("passage", "text", "target"))


def test_the_harness_has_our_labels_and_our_figures(prompts: ModuleType) -> None:
    assert tuple(prompts.LABELS) == STANCES
    assert all(f"\n{label}: " in prompts.TASK for label in STANCES)
    gold, predicted = made_up(12, 300)
    by_id = dict(zip(predicted["id"].to_pylist(), predicted["label"].to_pylist(), strict=True))
    pairs = [(true, by_id[one]) for one, true in zip(gold["id"].to_pylist(), gold["stance"].to_pylist(), strict=True)]
    ours = report(gold, predicted).figures
    assert prompts.macro_f1(pairs) == pytest.approx(ours["macro_f1"].value)
    assert prompts.related_macro_f1(pairs) == pytest.approx(ours["related_macro_f1"].value)


def test_a_written_answer_is_its_first_label(prompts: ModuleType) -> None:
    doc = {"stance": "deny"}
    assert prompts.written(doc, [" Deny. It does not affirm"])["macro_f1"] == ("deny", "deny")
    assert prompts.written(doc, [" I cannot tell"])["macro_f1"] == ("deny", "none")
    assert prompts.chosen(doc, [(-3.0, False), (-1.0, True)] + [(-9.0, False)] * 4)["macro_f1"] == ("deny", "deny")


@pytest.mark.parametrize("shots", ["0", "2"])
def test_the_harness_runs_offline_with_its_dummy_model(shots: str, corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval needs torch and is in no lock: pip install onrecord[lm-eval]")
    shutil.copytree(TASKS, tmp_path / "dataset/benchmark/lm_eval")
    shutil.copytree(corpus / "data", tmp_path / "dataset/data")
    command = ["run", "--model", "dummy", "--tasks", "onrecord", "--include_path", "dataset/benchmark/lm_eval"]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *command, "--num_fewshot", shots],
        cwd=tmp_path,
        env=offline,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("related_macro_f1") == 2
    assert done.stdout.count(f"|     {shots}|") == 4
