"""Gates: each figure is what its description says, and the worst place is named."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

from onrecord import build, cli, gates
from onrecord.gates import Counts, Figure
from onrecord.model import SCHEMAS, STANCES, Article, Holder, Pair, Span, Statement, Story, Target

TEXT = "Hale denied that the old ferry Alma had left Port Ryde with a broken rudder."
TARGETS = (
    Target("t-a", "The ferry Alma left Port Ryde with a broken rudder.", "factual", ("t-b",)),
    Target("t-b", "The rudder of the ferry Alma was sound in March.", "factual", ("t-a",)),
)
STORY = Story("alma", TARGETS)
HALE = Holder("hale", "Nora Hale", "spokesperson", "named")


def article(*statements: Statement, story: str = "alma") -> Article:
    return Article("wire", story, TEXT, statements, {"hale": HALE}, judged=("t-a", "t-b"))


def statement(name: str, words: str = "the old ferry", **stances: str) -> Statement:
    start = TEXT.index(words)
    pairs = {
        f"t-{key}": Pair(f"t-{key}", label, "certain" if label in ("affirm", "deny") else None)
        for key, label in stances.items()
    }
    return Statement(name, (Span(start, start + len(words)),), holder="hale", stances=pairs)


def figures(*articles: Article, story: Story = STORY) -> dict[str, Figure]:
    counts = Counts()
    counts.add(story, articles)
    return gates.figures(counts)


def test_every_gate_is_described_and_every_description_is_a_gate() -> None:
    described = SCHEMAS["gates"]["properties"]
    elsewhere = {name for name, schema in described.items() if "onrecord baselines" in schema["description"]}
    assert set(gates.GATES) == set(described) - elsewhere


def test_shares_are_of_the_rarest_label() -> None:
    found = figures(article(statement("s1", a="deny"), statement("s2", a="deny"), statement("s3", a="affirm")))
    assert found["stance-share"] == Figure(0.0, "doubt")
    assert found["source-type-share"] == Figure(0.0, "document")
    spread = [statement(f"s{i}", a=label) for i, label in enumerate(STANCES) if label != "unrelated"]
    assert figures(article(*spread))["stance-share"] == Figure(20.0, "affirm")


def test_the_story_with_fewest_is_named() -> None:
    counts = Counts()
    counts.add(STORY, [article(statement("s1", a="deny"), statement("s2", a="affirm"))])
    counts.add(Story("brig", STORY.targets), [article(statement("s1", a="deny"), story="brig")])
    assert gates.figures(counts)["disputed-targets"] == Figure(0, "brig")
    assert gates.figures(counts)["incompatible-pairs"] == Figure(1, "alma")


def test_a_statement_is_crossed_where_it_takes_two_stances() -> None:
    found = figures(article(statement("s1", a="deny", b="affirm"), statement("s2", a="deny"), statement("s3")))
    assert found["crossed-statements"] == Figure(50.0)


@pytest.mark.parametrize(
    "content, target, shared",
    [
        ("left harbour with a broken rudder", "It sailed with a broken rudder", True),
        ("she left Port Ryde on 3 March 2026", "On 3 March 2026 the ferry sank", False),
        ("the Ministry of Transport and Ports", "The Ministry of Transport and Ports fined her", False),
        ("a broken rudder", "a broken rudder", False),
        ("it was not her fault", "It was not her ship", True),
    ],
)
def test_runs_of_four_words_count_names_apart(content: str, target: str, shared: bool) -> None:
    assert gates.shared_run(content, target) is shared


def test_contents_that_repeat_a_target_are_counted() -> None:
    found = figures(article(statement("s1", "left Port Ryde with a broken rudder", a="affirm"), statement("s2")))
    assert found["shared-runs"] == Figure(1, "alma.wire.s1")


def test_what_differs_without_a_reason_is_undecided() -> None:
    votes = {"label": {"pass-a": "deny", "pass-b": "doubt"}}
    open_, closed = (
        Pair("t-a", "deny", "certain", votes=votes),
        Pair("t-a", "deny", "certain", why="calls it false", votes=votes),
    )
    ungraded = Pair("t-b", "affirm")
    span = (Span(0, 4),)
    found = figures(
        article(
            Statement("s1", span, stances={"t-a": open_}),
            Statement("s2", span, stances={"t-a": closed, "t-b": ungraded}),
        )
    )
    assert found["undecided"] == Figure(2, "alma.wire.s1.t-a")


def test_names_in_two_stories_are_counted_descriptions_are_not() -> None:
    counts = Counts()
    for name in ("alma", "brig"):
        people = {"hale": HALE, "crew": Holder("crew", "two crew members")}
        counts.add(Story(name), [Article("wire", name, TEXT, (), people)])
    assert gates.figures(counts)["shared-names"] == Figure(1, "nora hale")


def test_counts_add_up_in_any_order() -> None:
    parts = []
    for name in ("alma", "brig", "cutter"):
        counts = Counts()
        counts.add(Story(name, STORY.targets), [article(statement("s1", a="deny", b="affirm"), story=name)])
        parts.append(counts)
    results = []
    for order in itertools.permutations(parts):
        total = Counts()
        for counts in order:
            total += counts
        results.append(gates.figures(total))
    assert all(result == results[0] for result in results)


def test_red_is_below_the_least_or_above_the_most() -> None:
    reached = {"stance-share": Figure(3.5, "doubt"), "undecided": Figure(2, "alma.wire.s1.t-a")}
    asked = {"stance-share": {"least": 4}, "undecided": {"least": 2, "most": 2}, "overlap-only": {"most": 70}}
    (found,) = gates.red(reached, asked, "gates.json")
    assert (found.where, found.what) == ("$.stance-share", "is 3.5 (doubt), at least 4 is asked")
    assert found.severity == "warning"


def test_figures_of_the_gates_stand_in_the_manifest(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "cases/invalid/gate-red/input", tmp_path / "input")
    report = build.build([tmp_path / "input"], tmp_path / "out")
    assert report.manifest is not None
    assert report.manifest["gates"]["disputed-targets"] == {"figure": 1, "at": "alma", "least": 2}
    assert "gates.json" in report.manifest["inputs"]
    assert {finding.rule for finding in report.findings} == {"gate-red"}
    (tmp_path / "input/gates.json").unlink()
    assert "gates" not in (build.build([tmp_path / "input"], tmp_path / "out").manifest or {})


def test_copies_across_splits_are_a_warning_and_a_list_unless_the_splits_are_frozen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(Path(__file__).parent / "cases/invalid/near-duplicate/input", tmp_path / "in")
    (tmp_path / "in/splits.csv").unlink()
    (tmp_path / "in/alma").rename(tmp_path / "in/cutter")  # which goes to train, as brig goes to test
    for file in (tmp_path / "in/cutter").glob("*.json"):
        data = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps({**data, ("story" if "story" in data else "id"): "cutter"}), "utf-8")
    command = ["build", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert cli.main(command) == cli.CLEAN
    assert cli.main([*command, "--near-duplicates"]) == cli.WARNINGS
    assert "warning: " in capsys.readouterr().err
    (header, row) = (tmp_path / "out/leaks.csv").read_text("utf-8").splitlines()
    assert header == "one,split,other,other_split,share"
    assert row.startswith("brig.wire.s1,test,cutter.wire.s1,train,0.")
    assert cli.main(["verify", str(tmp_path / "out")]) == cli.CLEAN
    assert cli.main(command) == cli.CLEAN
    assert not (tmp_path / "out/leaks.csv").exists()
