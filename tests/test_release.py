"""What changed between two builds, what may be published, and that what was published loads as what was built."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hub
from onrecord import build, cli, predictions, release
from onrecord.release import Change

ROOT = Path(__file__).parents[1]
VISIT = ROOT / "tests/cases/valid/visit"
PUMPS = "st-brannoc-pumps"  # a story that is annotated whole


def edited(folder: Path, file: str, change: Any) -> Path:
    """A copy of the visit's story with one file changed."""
    shutil.copytree(VISIT, folder / "visit")
    data = json.loads((folder / "visit" / file).read_text("utf-8"))
    change(data)
    (folder / "visit" / file).write_text(json.dumps(data), "utf-8")
    return folder


def built(source: Path, out: Path) -> Path:
    assert build.build([source], out).manifest is not None
    return out


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(VISIT, tmp_path_factory.mktemp("visit") / "old")


def test_the_same_build_has_no_changes_and_asks_for_a_patch(visit: Path) -> None:
    assert release.diff(visit, visit) == []
    assert release.bump([], "1.2.3") == "1.2.4"


def test_a_changed_label_is_named_by_its_pair(visit: Path, tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        holder = data["holders"]["ritter"] if "ritter" in data["holders"] else next(iter(data["holders"].values()))
        holder["name"] = "Joan A. Ritter"

    new = built(edited(tmp_path / "in", "gazette.json", change), tmp_path / "new")
    changes = release.diff(visit, new)
    assert changes and {(change.kind, change.what) for change in changes} == {("statement", "changed")}
    assert all("Joan A. Ritter" in change.detail for change in changes)


def test_an_added_story_is_a_minor_version(visit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    shutil.copytree(VISIT, source / "visit")
    shutil.copytree(VISIT, source / "call")
    for file in (source / "call").glob("*.json"):
        data = json.loads(file.read_text("utf-8"))
        data["story" if "story" in data else "id"] = "call"
        file.write_text(json.dumps(data), "utf-8")
    new = built(source, tmp_path / "new")
    assert Change("story", "call", "added") in release.diff(visit, new)
    assert {change.what for change in release.diff(visit, new)} == {"added"}
    assert {change.what for change in release.diff(new, visit)} == {"removed"}
    assert cli.main(["diff", str(visit), str(new)]) == cli.CLEAN
    shown = capsys.readouterr()
    assert "story call added" in shown.out and "after 0.1.0 comes 0.2.0" in shown.err
    assert cli.main(["diff", str(visit), str(tmp_path)]) == cli.ERRORS


@pytest.mark.parametrize(
    "changes, version, follows",
    [
        ([Change("article", "a.b", "added")], "1.2.3", "1.3.0"),
        ([Change("label", "a.b.c.d", "changed")], "1.2.3", "1.3.0"),
        ([Change("story", "a", "moved")], "1.2.3", "2.0.0"),
        ([Change("column", "stance/act", "removed")], "1.2.3", "2.0.0"),
        ([Change("story", "a", "removed")], "0.2.3", "0.3.0"),
    ],
)
def test_the_version_that_follows(changes: list[Change], version: str, follows: str) -> None:
    assert release.bump(changes, version) == follows


def test_a_label_renamed_in_the_head_is_a_changed_column(visit: Path, tmp_path: Path) -> None:
    new = shutil.copytree(visit, tmp_path / "new")
    (new / "README.md").write_text((visit / "README.md").read_text("utf-8").replace("'1': deny", "'1': reject"))
    found = release.diff(visit, new)
    assert {(change.kind, change.id, change.what) for change in found} == {
        ("column", "stance/stance", "changed"), ("column", "pairs/stance", "changed"),
    }  # fmt: skip


# -- publish ---------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a small corpus, built and committed."""
    root = tmp_path_factory.mktemp("corpus")
    shutil.copytree(ROOT / "dataset/stories" / PUMPS, root / "dataset/stories" / PUMPS)
    shutil.copyfile(ROOT / "dataset/annotators.json", root / "dataset/annotators.json")
    (root / "dataset/splits.csv").write_text(f"story,split,added\n{PUMPS},test,0.1.0\n")
    (root / "dataset/gates.json").write_text('{"disputed-targets": {"least": 1}}')
    (root / "DATACARD.md").write_text("# Pumps\n")
    (root / ".gitignore").write_text("/dataset/data/\n.onrecord-lock\n")
    report = build.build([root / "dataset"], root / "dataset", card_file=root / "DATACARD.md")
    assert report.manifest is not None, report.findings
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "A story")
    return root


@pytest.fixture
def corpus(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    root = shutil.copytree(committed, tmp_path / "corpus")
    monkeypatch.chdir(root)
    return root


def refused() -> set[str]:
    assert cli.main(["publish", "someone/onrecord", "--dry-run"]) == cli.ERRORS
    found = release.obstacles(cli.CORPUS, cli.CARD)
    return {finding.rule for finding in found if finding.severity == "error"}


def test_a_dry_run_of_a_clean_corpus_lists_what_it_would_upload(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.obstacles(cli.CORPUS, cli.CARD) == []
    assert cli.main(["publish", "someone/onrecord", "--dry-run"]) == cli.CLEAN
    shown = capsys.readouterr().out
    assert "data/stance/test.parquet" in shown and "would be someone/onrecord v0.1.0" in shown
    assert "stories/" not in shown and "lock" not in shown


@pytest.mark.security("guards")
def test_what_is_not_committed_is_not_published(corpus: Path) -> None:
    (corpus / "note.txt").write_text("to do")
    assert refused() == {"publish-dirty"}


@pytest.mark.security("guards")
def test_a_stale_build_is_not_published(corpus: Path) -> None:
    file = corpus / "dataset/stories" / PUMPS / "story.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "title": "Pumps"}), "utf-8")
    git(corpus, "commit", "-am", "Another title")
    assert refused() == {"publish-stale"}


@pytest.mark.security("guards")
def test_a_build_that_does_not_verify_is_not_published(corpus: Path) -> None:
    (corpus / "dataset/data/stance/test.parquet").write_bytes(b"x")
    assert "file-changed" in {finding.rule for finding in release.obstacles(cli.CORPUS, cli.CARD)}
    assert cli.main(["publish", "someone/onrecord", "--dry-run"]) == cli.ERRORS


@pytest.mark.security("guards")
def test_a_red_gate_is_not_published(corpus: Path) -> None:
    (corpus / "dataset/gates.json").write_text('{"disputed-targets": {"least": 99}}')
    assert build.build([cli.CORPUS], cli.CORPUS, card_file=cli.CARD).manifest is not None
    git(corpus, "commit", "-am", "A gate too high")
    assert refused() == {"gate-red"}


@pytest.mark.security("guards")
def test_text_of_a_layer_is_not_published(corpus: Path) -> None:
    file = corpus / "dataset/stories" / PUMPS / "daily-clarion.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "tier": "layer"}), "utf-8")
    git(corpus, "commit", "-am", "An article of a layer")
    assert refused() == {"layer-text"}


@pytest.mark.security("guards")
@pytest.mark.parametrize(
    "name", ["a.txt", "visit/gazette.txt", "page.html", "link.json", "visit/gazette.json", "titled", "pass", "export"]
)
def test_no_file_but_annotation_lies_among_published_layers(name: str, corpus: Path) -> None:
    layer = corpus / "dataset/layers/wire"
    assert cli.main(["dehydrate", str(VISIT), "--out", str(layer)]) == cli.CLEAN
    (layer.parent / "README.md").write_text("Where the layers are from.\n")
    article = layer / "visit/gazette.json"
    data = json.loads(article.read_text("utf-8"))
    if name == "titled":
        article.write_text(json.dumps({**data, "title": "Minister visits"}), "utf-8")
    elif name == "visit/gazette.json":
        del data["reference"]
        article.write_text(json.dumps({**data, "text": "Somebody's words."}), "utf-8")
    elif name in ("pass", "export"):
        file = {"pass": "passes/ann/visit/gazette.json", "export": "more/story.json"}[name]
        (layer / file).parent.mkdir(parents=True)
        (layer / file).write_text('{"annotator": "ann", "statements": [], "text": "Somebody\'s words."}', "utf-8")
        (layer / "visit").rename(layer / "stories") if name == "pass" else (layer / "more/a.json").write_text("[]")
        if name == "pass":
            (layer / "stories").rename(layer / "kept")
            (layer / "stories").mkdir()
            (layer / "kept").rename(layer / "stories/visit")
    elif name == "link.json":
        (layer / name).symlink_to(VISIT / "gazette.json")
    else:
        (layer / name).write_text("Somebody's words.\n", "utf-8")
    assert build.build([cli.CORPUS], corpus / "out").manifest is None
    git(corpus, "add", ".")
    git(corpus, "commit", "-m", "A layer")
    wrong = {"titled": "not-a-layer", "visit/gazette.json": "not-a-layer", "link.json": "publish-dirty"}.get(
        name, "layer-text"
    )
    assert wrong in refused()


@pytest.mark.security("guards")
def test_a_layer_that_git_ignores_is_not_published(corpus: Path) -> None:
    assert cli.main(["dehydrate", str(VISIT), "--out", str(corpus / "dataset/layers/wire")]) == cli.CLEAN
    for ignored in ("/dataset/layers/", "layers/"):
        (corpus / ".gitignore").write_text(f"/dataset/data/\n.onrecord-lock\n{ignored}\n")
        git(corpus, "commit", "--all", "-m", "A layer that is not there")
        assert refused() == {"publish-dirty"}


@pytest.mark.security("guards")
def test_a_link_is_not_published(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    (corpus / "dataset/GUIDELINES.md").symlink_to(tmp_path / "token")
    git(corpus, "add", ".")
    git(corpus, "commit", "-m", "A link")
    assert refused() == {"publish-dirty"}


@pytest.mark.security("guards")
def test_a_red_probe_and_one_of_other_rows_are_not_published(corpus: Path) -> None:
    (corpus / "dataset/gates.json").write_text('{"cue-only": {"least": 5}}')
    assert build.build([cli.CORPUS], cli.CORPUS, card_file=cli.CARD).manifest is not None
    git(corpus, "commit", "--all", "-m", "A probe")
    assert refused() == {"probes-stale"}
    found = corpus / "dataset/benchmark/results/artefacts.json"
    found.parent.mkdir(parents=True)
    rows: dict[str, Any] = {**predictions.described(cli.CORPUS, "stance", "test")}
    for gold, figure, rules in (
        (rows, 4.9, {"gate-red"}), (rows, "NaN", {"probes-stale"}), (rows, None, {"probes-stale"}),
        ({**rows, "rows": 7}, 9, {"probes-stale"}), (None, 9, {"probes-stale"}), (rows, 14.8, set()),
    ):  # fmt: skip
        found.write_text(json.dumps({"gold": gold, "gates": {"cue-only": {"figure": figure}}}), "utf-8")
        git(corpus, "add", ".")
        git(corpus, "commit", "-m", "Probed")
        errors = {one.rule for one in release.obstacles(cli.CORPUS, cli.CARD) if one.severity == "error"}
        assert errors == rules, figure


LOADED = """
import sys
from datasets import load_dataset
config, name, local = sys.argv[1:]
there, here = load_dataset(name, config, revision="v0.1.0"), load_dataset(local, config)
assert set(there) == set(here)
for split in here:
    assert there[split].features == here[split].features
    assert there[split].to_list() == here[split].to_list() and len(here[split])
print("same", sum(len(rows) for rows in here.values()))
"""


def test_a_version_is_published_once_and_loads_from_the_hub_as_from_the_disk(corpus: Path, tmp_path: Path) -> None:
    with hub.running() as server:
        there = {
            "HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "none",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        environment = {**os.environ, **there}

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-W", "ignore", *command],
                cwd=corpus,
                env=environment,
                capture_output=True,
                text=True,
            )

        first = run("-m", "onrecord.cli", "publish", "someone/onrecord")
        assert first.returncode == cli.CLEAN, first.stderr
        repository = server.repositories["someone/onrecord"]
        assert repository.tags == {"v0.1.0": repository.oid}
        assert sorted(repository.files) == release.contents(cli.CORPUS)
        assert all((cli.CORPUS / name).read_bytes() == data for name, data in repository.files.items())
        for config in ("stance", "articles"):
            loaded = run("-c", LOADED, config, "someone/onrecord", "dataset")
            assert loaded.returncode == 0, loaded.stderr
            assert loaded.stdout.startswith("same")
        repository.tags.clear()
        repository.files |= {"data/stance/test-00000-of-00002.parquet": b"", ".gitattributes": b""}
        assert run("-m", "onrecord.cli", "publish", "someone/onrecord").returncode == cli.CLEAN
        assert sorted(repository.files) == sorted([".gitattributes", *release.contents(cli.CORPUS)]), "no former rows"
        again = run("-m", "onrecord.cli", "publish", "someone/onrecord")
        assert again.returncode == cli.ERRORS and "[5 publish-twice]" in again.stderr
        server.refusing = True
        refused = run("-m", "onrecord.cli", "publish", "someone/onrecord")
        assert refused.returncode == cli.ERRORS
        assert re.fullmatch(r"onrecord: .*\b403\b.*\n", refused.stderr), refused.stderr
    away = run("-m", "onrecord.cli", "publish", "someone/onrecord")
    assert away.returncode == cli.ERRORS
    assert re.fullmatch(r"onrecord: \S.*\n", away.stderr), away.stderr
