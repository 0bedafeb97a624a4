"""Audits: what stands beside the blind passes is compared with gold and with itself, and never changes a label."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from onrecord import audit, card, check, cli, formats, tables

VISIT = Path(__file__).parent / "cases/valid/visit"


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """./dataset with the stories of a visit, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(VISIT, tmp_path / "dataset/stories/visit")
    return tmp_path / "dataset"


def gold(folder: Path) -> dict[str, str]:
    """The stance of every judged pair of a folder."""
    units, _ = formats.find([folder])
    told = [one for unit in units for one in check.admit(formats.read(unit))]
    return {row["id"]: row["stance"] for one in told for row in tables.pair_rows(one.story, one.articles)}


def test_a_draw_takes_of_each_stance_alike_and_is_frozen_by_its_seed() -> None:
    labels = {f"a.b.s{i}.t": stance for i, stance in enumerate(["affirm"] * 50 + ["deny"] * 50 + ["relay"] * 3)}
    drawn = audit.draw(labels, 23, 7)
    assert Counter(labels[pair] for pair in drawn) == {"affirm": 10, "deny": 10, "relay": 3}
    assert drawn == audit.draw(dict(reversed(labels.items())), 23, 7)
    assert drawn != audit.draw(labels, 23, 8)
    assert audit.draw(labels, 1000, 7) == sorted(labels)


def test_what_is_written_reads_as_it_was() -> None:
    judged = {"ann": {"a.b.s1.t": "deny", "a.b.s2.t": "affirm"}, "reworded-1": {"a.b.s1.t": "doubt"}}
    assert audit.parse(audit.render(judged), "audit.csv") == (judged, [])


def test_passes_that_differ_by_a_number_and_people_are_compared_among_themselves() -> None:
    judged = {
        name: {"a.b.s1.t": label}
        for name, label in (
            ("reworded-1", "deny"),
            ("reworded-2", "doubt"),
            ("ann", "deny"),
            ("bea", "deny"),
            ("reader", "deny"),
        )
    }
    found = list(audit.compared("a.b.s1.t", "deny", judged, {"ann": "person", "bea": "person"}))
    assert set(audit.ballots(found)) == {("reworded", ("deny", "doubt")), ("people", ("deny", "deny"))}
    assert ("person", "ann", "deny", "deny") in found and ("model", "reworded-2", "deny", "doubt") in found


def test_an_audit_is_counted_and_changes_no_row(corpus: Path) -> None:
    assert cli.main(["build", "dataset", "--out", "plain"]) == cli.CLEAN
    pair, label = next((pair, label) for pair, label in gold(corpus).items() if label == "deny")
    (corpus / "audit.csv").write_text(audit.render({"ann": {pair: "doubt"}}), "utf-8")
    passes = {name: {"kind": "model"} for name in ("segmenter", "pass-a", "pass-b", "writer-1")}
    (corpus / "annotators.json").write_text(json.dumps({"ann": {"kind": "person"}, **passes}), "utf-8")
    assert cli.main(["build", "dataset", "--out", "audited"]) == cli.CLEAN
    made = tables.read_manifest(Path("audited"))
    assert made["counts"]["audit"] == {"person": {"ann": {label: {"doubt": 1}}}}
    assert made["configs"]["stance"] == tables.read_manifest(Path("plain"))["configs"]["stance"]
    assert "| open: ann (person) | 1 | 0.000 |" in card.audit_table(made)
    assert "not measured" not in card.self_consistency(made)
    assert "Human agreement: not measured" in card.self_consistency(tables.read_manifest(Path("plain")))


def answered(sheet: Path, label: str) -> None:
    tasks = json.loads(sheet.read_text("utf-8"))
    for task in tasks:
        choice = {"type": "choices", "from_name": "stance", "value": {"choices": [label]}}
        task["annotations"] = [{"completed_by": {"email": "ann@example.org"}, "result": [choice]}]
    sheet.write_text(json.dumps(tasks), "utf-8")


def test_people_fill_in_a_blind_sheet_and_their_answers_are_merged(corpus: Path) -> None:
    pairs = audit.draw(gold(corpus), 4, 1)
    (corpus / "draw.csv").write_text("id,tier\n" + "".join(f"{pair},open\n" for pair in pairs), "utf-8")
    sheet = ["convert", "dataset", "--to", "labelstudio", "--pairs", "dataset/draw.csv", "--out", "sheet"]
    assert cli.main(sheet) == cli.CLEAN
    shown = json.loads(Path("sheet/sheet.json").read_text("utf-8"))
    assert [task["data"]["id"] for task in shown] == pairs
    assert all("stance" not in task["data"] and "⟦" in task["data"]["passage"] for task in shown)
    answered(Path("sheet/sheet.json"), "decline")
    (corpus / "audit.csv").write_text(audit.render({"reader": {pairs[0]: "deny"}}), "utf-8")
    assert cli.main(["votes", "sheet/sheet.json"]) == cli.CLEAN
    judged, _ = audit.parse((corpus / "audit.csv").read_text("utf-8"), "audit.csv")
    assert judged == {"reader": {pairs[0]: "deny"}, "ann": dict.fromkeys(pairs, "decline")}


def test_a_sheet_of_other_pairs_is_refused(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = sorted(gold(corpus))
    (corpus / "draw.csv").write_text(f"id,tier\n{first},open\n", "utf-8")
    sheet = ["convert", "dataset", "--to", "labelstudio", "--pairs", "dataset/draw.csv", "--out", "sheet"]
    assert cli.main(sheet) == cli.CLEAN
    answered(Path("sheet/sheet.json"), "deny")
    (corpus / "draw.csv").write_text(f"id,tier\n{second},open\n", "utf-8")
    assert cli.main(["votes", "sheet/sheet.json"]) == cli.ERRORS
    assert "audit-stranger" in capsys.readouterr().err
    assert not (corpus / "audit.csv").exists()


def test_a_draw_that_is_none_is_a_finding(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "draw.csv").write_text("tier\nopen\n", "utf-8")
    sheet = ["convert", "dataset", "--to", "labelstudio", "--pairs", "dataset/draw.csv", "--out", "sheet"]
    assert cli.main(sheet) == cli.ERRORS
    Path("sheet.json").write_text("[]", "utf-8")
    assert cli.main(["votes", "sheet.json"]) == cli.ERRORS
    assert capsys.readouterr().err.count("dataset/draw.csv: line 1: the header is 'tier'") == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"task": "stance"}'])
def test_a_result_that_is_none_is_a_finding(text: str, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "benchmark/results").mkdir(parents=True)
    (corpus / "benchmark/results/mine.json").write_text(text, "utf-8")
    assert cli.main(["build", "dataset", "--out", "out"]) == cli.ERRORS
    assert "dataset/benchmark/results/mine.json: " in capsys.readouterr().err


def test_edits_and_passes_of_no_story_are_told(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "contrast").mkdir()
    (corpus / "contrast/gone.json").write_text('{"story": "gone", "edits": []}', "utf-8")
    (corpus / "passes/second/gone").mkdir(parents=True)
    (corpus / "passes/second/gone/gazette.json").write_text("{}", "utf-8")
    assert cli.main(["check", "dataset"]) == cli.WARNINGS
    assert capsys.readouterr().out.count("is of a story that is not there") == 2
