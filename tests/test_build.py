"""Same input, same bytes; all or nothing; what changes in the manifest is what changed in the data."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onrecord import build, cli, formats, tables
from onrecord.model import CONFIGS, Article, Holder, Span, Statement, Story, Target, Zone

ROOT = Path(__file__).parents[1]
VISIT = ROOT / "tests/cases/valid/visit"
CORPORA = os.environ.get("ONRECORD_CORPORA")
real = pytest.mark.skipif(not CORPORA, reason="ONRECORD_CORPORA names no folder of real articles")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        f.relative_to(folder).as_posix(): f.read_bytes()
        for f in sorted(folder.rglob("*"))
        if f.is_file() and f.name != ".onrecord-lock"
    }


def stories(folder: Path, count: int) -> Path:
    """A folder with `count` stories, the visit's under other names."""
    for i in range(count):
        target = folder / f"visit-{i}"
        shutil.copytree(VISIT, target)
        for file in target.glob("*.json"):
            data = json.loads(file.read_text())
            data["story" if "story" in data else "id"] = target.name
            file.write_text(json.dumps(data))
    return folder


def built(source: Path, out: Path, **options: Any) -> dict[str, Any]:
    report = build.build([source], out, **options)
    assert report.manifest is not None, report.findings
    return report.manifest


def differing(old: Any, new: Any, at: str = "") -> set[str]:
    """The addresses of the leaves in which two manifests differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {d for key in {*old, *new} for d in differing(old.get(key), new.get(key), f"{at}/{key}")}
    return set() if old == new else {at}


@pytest.mark.security("any input")
@pytest.mark.parametrize("many", [False, True], ids=["one shard", "many shards"])
def test_same_bytes_wherever_whenever_and_by_how_many(
    tmp_path: Path, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = stories(tmp_path / "in", 6)
    script = (
        "import sys; from onrecord import build\n"
        f"build.SHARD_DOCUMENTS, build.POOL_BYTES = {3 if many else 256}, 0\n"
        "report = build.build(sys.argv[3:], sys.argv[1], workers=int(sys.argv[2]))\n"
        "assert report.manifest, report.findings\n"
    )
    runs = {
        "a": (["1", str(source)], {"TZ": "UTC", "LANG": "C", "PYTHONHASHSEED": "1"}),
        "b/deeper": (["2", str(source)], {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "99"}),
        "c": (["2", *(str(source / f"visit-{i}") for i in (5, 3, 1, 0, 2, 4))], {"PYTHONHASHSEED": "7"}),
    }
    found = []
    for out, (arguments, environment) in runs.items():
        folder = tmp_path / out
        command = [sys.executable, "-c", script, str(folder), *arguments]
        subprocess.run(command, check=True, env={**os.environ, **environment}, cwd=tmp_path)
        found.append(contents(folder))
    assert found[0] == found[1]
    parquet = [{name: data for name, data in one.items() if name.endswith(".parquet")} for one in found]
    assert parquet[0] == parquet[2]
    assert ("data/stance/test-00000-of-" in str(list(parquet[0]))) == many


@pytest.mark.security("faults")
def test_verify_is_clean_after_a_build_and_sees_each_kind_of_damage(tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(VISIT, out)
    assert tables.verify(out) == []
    damages = {
        "file-changed": lambda: (out / "README.md").write_text("x"),
        "file-missing": lambda: (out / "README.md").unlink(),
        "file-unknown": lambda: shutil.copy(
            next(out.glob("data/stance/*.parquet")), out / "data/stance/extra.parquet"
        ),
        "unfinished-build": lambda: (out / tables.STAGING).mkdir(),
        "manifest-missing": lambda: (out / tables.MANIFEST).unlink(),
    }
    for rule, damage in damages.items():
        shutil.rmtree(out)
        built(VISIT, out)
        damage()
        assert [finding.rule for finding in tables.verify(out)] == [rule]


@pytest.mark.parametrize("start", [13, 14], ids=["with its line end", "without"])
def test_a_headline_below_the_statement_is_its_context(start: int) -> None:
    text = "Ann said yes.\nHeadline here"
    statement = Statement("s1", content=(Span(9, 12),), holder="ann", stances={})
    zones, holders = (Zone(start, 27, "headline"),), {"ann": Holder("ann", "Ann")}
    article = Article("wire", "visit", text, (statement,), holders, zones, judged=("t",))
    story = Story("visit", (Target("t", "Ann said yes to all.", "factual"),))
    (row,) = tables.pair_rows(story, [article])
    assert (row["passage"], row["context"].strip()) == ("Ann said yes.", "Headline here")


def test_another_order_of_rows_is_seen_by_the_fingerprint() -> None:
    table = pa.table({"id": ["a", "b", "c"], "value": ["deny", None, "affirm"]})
    assert tables.fingerprint(table) != tables.fingerprint(table.slice(1).take([1, 0]))
    assert tables.fingerprint(table) == tables.fingerprint(table.take([0, 1, 2]))


def edited(source: Path, change: Any) -> Path:
    file = source / "gazette.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    return source


def test_one_vote_changes_votes_agreement_and_nothing_else(tmp_path: Path) -> None:
    old = built(VISIT, tmp_path / "old")
    source = shutil.copytree(VISIT, tmp_path / "visit")
    edited(
        source, lambda d: d["statements"][0]["stances"]["t-visit"]["votes"]["label"].update({"pass-b": "unrelated"})
    )
    changed = differing(old, built(source, tmp_path / "new"))
    files = {address.split("/")[3] for address in changed if address.startswith("/files/data/")}
    assert files == {"stance", "pairs", "votes"}  # `agreement` is a column of the first two
    assert {a.split("/")[1] for a in changed} == {"files", "configs", "agreement", "inputs"}
    assert not [a for a in changed if a.startswith("/counts")]


def test_one_label_changes_its_tables_and_counts(tmp_path: Path) -> None:
    old = built(VISIT, tmp_path / "old")
    source = shutil.copytree(VISIT, tmp_path / "visit")
    edited(source, lambda d: d["statements"][6]["stances"]["t-inquiry"].update(label="deny"))
    changed = differing(old, built(source, tmp_path / "new"))
    files = {address.split("/")[3] for address in changed if address.startswith("/files/data/")}
    assert files == {"stance", "pairs", "votes"}
    counted = {address.rsplit("/", 1)[1] for address in changed if address.startswith("/counts/label/stance/")}
    assert counted == {"affirm", "deny"}


def test_one_word_of_text_changes_what_holds_the_word(tmp_path: Path) -> None:
    old = built(VISIT, tmp_path / "old")
    source = shutil.copytree(VISIT, tmp_path / "visit")
    text = (source / "gazette.txt").read_text()
    (source / "gazette.txt").write_text(text.replace("won't discuss budget", "won't discuss budgets"))
    changed = differing(old, built(source, tmp_path / "new"))
    assert {a for a in changed if a.startswith("/files/data/")} == {
        f"/files/data/articles/{next((tmp_path / 'new/data/articles').glob('*')).name}/{what}"
        for what in ("sha256", "fingerprint")
    }
    assert not [a for a in changed if a.startswith("/counts")]
    assert "/inputs/gazette.txt" in changed and "/inputs/gazette.json" not in changed


@pytest.mark.security("faults")
def test_an_error_leaves_the_former_output_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(VISIT, out)
    before = contents(out)
    source = edited(shutil.copytree(VISIT, tmp_path / "visit"), lambda d: d["statements"][0].update(holder="nobody"))
    report = build.build([source], out)
    assert report.manifest is None and report.failed
    assert contents(out) == before


def test_keep_going_writes_the_good_rows_and_the_rejects(tmp_path: Path) -> None:
    source = stories(tmp_path / "in", 3)
    edited(source / "visit-1", lambda d: d["statements"][0].update(holder="nobody"))
    assert cli.main(["build", str(source), "--out", str(tmp_path / "out"), "--keep-going", "--workers", "1"]) == 1
    rejects = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    rows = sum(pq.read_table(file).num_rows for file in (tmp_path / "out/data/articles").glob("*"))
    assert rows == 2 and len(rejects) == 1
    assert "nobody" in rejects[0]["reasons"][0]
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    built(stories(tmp_path / "good", 1), tmp_path / "out")
    assert not (tmp_path / "out/rejects.jsonl").exists()


@pytest.mark.security("faults")
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    report = build.build([VISIT], tmp_path)
    assert [finding.rule for finding in report.findings] == ["output-not-ours"]
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.security("any input")
def test_adding_a_story_moves_no_other(tmp_path: Path) -> None:
    def places(out: Path) -> dict[str, str]:
        return {s: f.stem for f in out.glob("data/articles/*") for s in pq.read_table(f)["story"].to_pylist()}

    built(stories(tmp_path / "few", 5), tmp_path / "a")
    built(stories(tmp_path / "more", 9), tmp_path / "b")
    few, more = places(tmp_path / "a"), places(tmp_path / "b")
    assert len(few) == 5 and {s: more[s] for s in few} == few


def test_bulk_lines_give_the_same_tables_as_folders(tmp_path: Path) -> None:
    source = stories(tmp_path / "in", 4)
    assert cli.main(["convert", str(source), "--to", "json", "--out", str(tmp_path / "bulk")]) == 0
    built(source, tmp_path / "a")
    built(tmp_path / "bulk/articles.jsonl", tmp_path / "b")
    for file in (tmp_path / "a").glob("data/**/*.parquet"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_every_story_is_in_one_split_and_every_statement_has_one_unrelated_row_at_most(tmp_path: Path) -> None:
    import pandas as pd

    built(stories(tmp_path / "in", 8), tmp_path / "out")
    rows = pd.read_parquet(tmp_path / "out/data/stance")
    splits = [set(pq.read_table(f)["story"].to_pylist()) for f in (tmp_path / "out/data/stance").glob("*")]
    assert sum(map(len, splits)) == len(set().union(*splits)) == 8
    assert rows[rows.stance == "unrelated"].groupby("statement_id").size().max() == 1
    assert set(rows.columns) >= {"id", "passage", "context"}
    for row in rows.itertuples():
        assert row.passage[row.content_start : row.content_end].startswith(row.text.split(" ")[0])
        assert row.source_start == -1 or row.passage[row.source_start : row.source_end] in row.passage


def test_wrong_usage_exits_64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["build"]) == 64
    assert cli.main(["build", str(VISIT)]) == 64
    assert cli.main(["build", str(VISIT), "--out", "x", "--workers", "0"]) == 64
    assert cli.main(["frobnicate"]) == 64


@real
def test_polnear_dev_builds_and_every_event_is_accounted_for(tmp_path: Path) -> None:
    source = Path(CORPORA or "") / "polnear/data/dev"
    annotations = [file.read_text("utf-8") for file in (source / "attributions").glob("*.ann")]
    events = sum(line.startswith("E") for text in annotations for line in text.split("\n"))
    assert events == 2320
    code = cli.main(["build", str(source), "--out", str(tmp_path / "out")])
    manifest = tables.read_manifest(tmp_path / "out")
    rows = {name: sum(s["rows"] for s in entry["splits"].values()) for name, entry in manifest["configs"].items()}
    assert set(rows) == {"attribution", "articles"} and rows["articles"] == 84
    left_out = sum(count for rule, count in manifest["left_out"].items() if rule.startswith("event"))
    assert rows["attribution"] + left_out == events
    assert code == 2
    assert sum(manifest["counts"]["unlabelled statements"].values()) == sum(manifest["counts"]["statements"].values())


def test_configurations_are_those_of_the_schema() -> None:
    assert CONFIGS == ("stance", "pairs", "source_type", "attribution", "articles", "votes", "contrast")


@pytest.mark.parametrize("form", ["json", "own", "brat", "labelstudio"])
def test_every_form_gives_the_same_tables_byte_for_byte(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SHARD_BYTES", 1 << 30)  # forms differ in size, and would be cut in other places
    source = ROOT / "dataset/stories"
    assert cli.main(["convert", str(source), "--to", form, "--out", str(tmp_path / form)]) == 0
    built(source, tmp_path / "built")
    built(tmp_path / form, tmp_path / "other")
    tables_of_own = {name: data for name, data in contents(tmp_path / "built").items() if name.endswith(".parquet")}
    tables_of_other = {name: data for name, data in contents(tmp_path / "other").items() if name.endswith(".parquet")}
    assert tables_of_other == tables_of_own


def test_three_forms_of_the_same_articles_give_the_same_tables(tmp_path: Path) -> None:
    source = ROOT / "tests/cases/valid/three-forms"
    found = []
    for form in (".", "labelstudio", "brat"):
        built(source / form, tmp_path / form)
        files = (tmp_path / form / "data").rglob("*.parquet")
        found.append({file.relative_to(tmp_path / form): file.read_bytes() for file in files})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 5  # all configurations but `votes`: the tool's annotators vote on nothing


def test_our_own_form_is_written_as_people_write_it(tmp_path: Path) -> None:
    assert cli.main(["convert", str(VISIT), "--to", "own", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "visit/gazette.txt").read_text("utf-8") == (VISIT / "gazette.txt").read_text("utf-8")
    article = json.loads((tmp_path / "visit/gazette.json").read_text("utf-8"))
    assert all("quote" in statement for statement in article["statements"])
    assert article["statements"][1]["quote"].endswith("{{her spokesman}} <<said>>")


def test_a_shard_leaves_no_view_of_its_articles_behind(tmp_path: Path) -> None:
    def views() -> int:
        gc.collect()
        return sum(isinstance(one, memoryview) for one in gc.get_objects())

    units, _ = formats.find([VISIT])
    (tmp_path / "0").mkdir()
    before = views()
    build.work(0, units, tmp_path / "0", build.Settings())
    assert views() == before
