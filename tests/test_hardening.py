"""Hostile input: whatever a stranger's folder holds, findings within a bound; what was there is not lost.

Every test runs under the guard of conftest.py against hanging and against taking all memory.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import guarded
from onrecord import build, cli, formats, tables
from onrecord import text as strings
from onrecord.formats.files import file_digest
from onrecord.model import SCHEMAS

pytestmark = pytest.mark.security("hostile input")
VISIT = Path(__file__).parent / "cases/valid/visit"
ACCENTS = "\u0301\u0323\u0f73\u0344\u0315"


def test_the_guard_ends_what_hangs_and_what_takes_all_memory() -> None:
    with pytest.raises(TimeoutError), guarded(0.1):
        re.search("(a|aa)+$", "a" * 1000 + "!")
    with pytest.raises(MemoryError), guarded(memory=1 << 30):
        bytes(2 << 30)


def test_links_that_lead_everywhere_are_followed_once(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"d{i}").mkdir()
        for k in range(9):
            (tmp_path / f"d{i}/to{k}").symlink_to(tmp_path / f"d{k}")
    _, findings = formats.find([tmp_path])
    assert len(findings) < 100


def test_a_folder_deeper_than_any_corpus_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "/".join("x" * 500)).mkdir(parents=True)
    _, findings = formats.find([tmp_path])
    assert "unreadable" in {finding.rule for finding in findings}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.jsonl")
    _, findings = formats.find([tmp_path])
    assert [finding.rule for finding in findings] == ["unreadable"]


@pytest.mark.parametrize(
    "name", ["predictions.jsonl", "predictions.csv", f"built/{tables.MANIFEST}", f"share/{build.SHARE}"]
)
def test_a_pipe_beside_the_articles_is_not_waited_for(name: str, gold: Path, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    os.mkfifo(file)
    command = {
        "built": ["verify", str(file.parent)], "share": ["merge", str(file.parent), "--out", str(tmp_path / "out")],
    }.get(file.parent.name, ["score", str(file), "--gold", str(gold)])  # fmt: skip
    assert cli.main(command) == cli.ERRORS


def test_names_that_are_no_utf8_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for ending, data in (
        (b".txt", b"Ann said yes.\n"),
        (b".ann", b"T1\tContent 9 12\tyes\nE1\tContent:T1 Content:T1\n"),
    ):
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff" + ending)).write_bytes(data)
    report = build.build([folder], tmp_path / "out")
    assert report.manifest is not None
    assert "\\udcff.txt" in report.manifest["inputs"]


@pytest.mark.parametrize("text", ["a" + "\u0301\u0323" * 100_000, "a" + "\u0301" * 300_000], ids=["in turn", "alike"])
def test_long_runs_of_accents_take_linear_time(text: str) -> None:
    with guarded(10):
        strings.normalise(text + "\r\n")


def test_long_runs_of_accents_come_to_the_same_form() -> None:
    chance = random.Random(4)
    for _ in range(150):
        raw = "a" + "".join(chance.choices(ACCENTS, k=chance.randint(0, 300))) + "b"
        assert strings.nfc(raw) == unicodedata.normalize("NFC", raw)


@pytest.mark.parametrize("form", ["brat", "own"])
def test_converting_never_overwrites_what_says_something_else(form: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli.main(["convert", str(VISIT), "--to", form, "--out", str(out)]) == cli.CLEAN
    kept = out / "visit/gazette.txt"
    kept.write_text("mine", "utf-8")
    assert cli.main(["convert", str(VISIT), "--to", form, "--out", str(out)]) == cli.ERRORS
    assert kept.read_text("utf-8") == "mine"


def test_what_a_killed_conversion_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".onrecord-new-killed").mkdir()
    assert cli.main(["convert", str(VISIT), "--to", "json", "--out", str(tmp_path)]) == cli.CLEAN
    assert [file.name for file in tmp_path.iterdir()] == ["articles.jsonl"]


@pytest.mark.parametrize(
    "files", [[1], {"a": 1}, {"a": {}}, {"/etc/hostname": {"sha256": ""}}, {"../a": {"sha256": ""}}]
)
def test_a_strangers_manifest_is_no_traceback_and_leads_nowhere(files: object, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}), "utf-8")
    assert [finding.rule for finding in tables.verify(tmp_path)] == ["manifest-missing"]


def test_a_line_of_two_gigabytes_is_a_finding_and_is_never_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(tmp_path / "b.jsonl", "wb") as stream:
        stream.write(b'{"a": "')
        stream.truncate(2 << 30)  # sparse: it takes no disk
    assert cli.main(["check", str(tmp_path / "b.jsonl")]) == cli.ERRORS
    assert "[1 line-too-long]" in capsys.readouterr().out


def test_a_million_annotations_of_one_text_end_in_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Ann said yes to all. " * 1000, "utf-8")
    with open(tmp_path / "a.ann", "w", encoding="utf-8") as stream:
        for i in range(1, 1_000_001):
            start = i * 21 % 20_000
            stream.write(f"T{i}\tContent {start} {start + 3}\tAnn\n")
    assert cli.main(["check", str(tmp_path / "a.ann")]) == cli.WARNINGS
    assert capsys.readouterr().out.count("\n") < 2_000, "repeated findings of one file are bounded"


@pytest.mark.parametrize("name", ["../out", "a/b", "/etc/passwd", "..", "a\n", "C:\\a", "con\u0000"])
def test_ids_lead_nowhere(name: str, tmp_path: Path) -> None:
    lines = [{"id": name, "targets": []}, {"id": name, "story": name, "text": "Ann said yes.", "statements": []}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    before = sorted(tmp_path.rglob("*"))
    for command in (["convert", "--to", "own"], ["dehydrate"]):
        verb, *options = command
        assert (
            cli.main([verb, str(tmp_path / "in.jsonl"), *options, "--out", str(tmp_path / "sub/out")]) == cli.ERRORS
        )
    written = set(tmp_path.rglob("*")) - set(before)
    assert all(path.is_dir() and "sub" in path.parts for path in written)


def test_no_pattern_of_the_schemas_takes_more_than_linear_time() -> None:
    """Each pattern against long strings that almost match it: repeats within repeats would take ages."""

    def patterns(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from [value["pattern"]] if isinstance(value.get("pattern"), str) else []
            for part in value.values():
                yield from patterns(part)
        elif isinstance(value, list):
            for part in value:
                yield from patterns(part)

    found = set(patterns(SCHEMAS))
    assert found
    for pattern in found:
        for seed in ("a", "a-", "a.", "0", "en-", "https://a/", " "):
            with guarded(10):
                re.search(pattern, seed * 20_000 + "!")


# -- numbers and nesting ---------------------------------------------------------------------------------------

ABSURD = {
    "a deep list": "[" * 100_000,
    "a deep list that ends": "[" * 100_000 + "]" * 100_000,
    "a deep object": '{"a":' * 100_000,
    "400 digits": "1" + "0" * 400,
    "a million digits": "9" * 1_000_000,
    "more than a float holds": "1e999",
    "a long fraction": "0." + "1" * 1_000_000,
}
READ_BY = {  # a file, where it stands, and the command that reads it
    "visit/gazette.json": ["check", "in"],
    "visit/story.json": ["check", "in"],
    "articles.jsonl": ["check", "in"],
    "tasks.json": ["check", "in"],
    "annotators.json": ["check", "in"],
    "gates.json": ["check", "in"],
    "benchmark/results/mine.json": ["check", "in"],
    "layers/wire/visit/gazette.json": ["check", "in"],
    "shards.json": ["merge", "in", "--out", "out"],
    "manifest.json": ["verify", "in"],
    "predictions.jsonl": ["score", "in/predictions.jsonl", "--gold", "gold"],
}


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gold") / "gold"
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.CLEAN
    return out


@pytest.mark.parametrize("absurd", ABSURD)
@pytest.mark.parametrize("name", READ_BY)
def test_a_number_or_nesting_beyond_reason_is_a_finding(
    name: str,
    absurd: str,
    gold: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gold").symlink_to(gold)
    shutil.copytree(VISIT, tmp_path / "in/visit")
    file = tmp_path / "in" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    region = f'{{"type": "labels", "value": {{"start": {ABSURD[absurd]}, "end": 4, "labels": ["Content"]}}}}'
    task = f'[{{"data": {{"text": "Ann said yes."}}, "annotations": [{{"result": [{region}]}}]}}]'
    other = f'{{"id": "visit.gazette.s1.t-visit", "data": {ABSURD[absurd]}}}'
    file.write_text(f"{task if name == 'tasks.json' else other}\n", "utf-8")
    assert cli.main(READ_BY[name]) in (cli.ERRORS, cli.WARNINGS)
    said = [line for line in "".join(capsys.readouterr()).splitlines() if re.search(r" \[\d [a-z0-9-]+\]$", line)]
    assert said and all(len(line) < 2_000 for line in said), "a line, and a line that can be read"


# -- links -----------------------------------------------------------------------------------------------------

SECRET = "Nobody who reads this was meant to, Ann said."


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of somebody's own, beside what a command was given."""
    folder = tmp_path / "elsewhere"
    (folder / "sub").mkdir(parents=True)
    for name in ("secret.txt", "kept.parquet", "sub/kept.parquet"):
        (folder / name).write_text(f"{SECRET}\n", "utf-8")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("form", ["own", "brat"])
@pytest.mark.parametrize("link", ["file", "folder", "chain"])
def test_a_link_out_of_an_input_is_a_finding_and_is_not_read(
    form: str, link: str, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story, away = tmp_path / "in/visit", elsewhere / "visit"
    away.mkdir()
    shutil.copyfile(elsewhere / "secret.txt", away / "a.txt")
    article = '{"id": "a", "story": "visit", "statements": []}'
    files = {
        "own": {"story.json": '{"id": "visit", "targets": []}', "a.json": article},
        "brat": {"a.ann": "T1\tContent 0 6\tNobody\nE1\tContent:T1 Content:T1\n"},
    }[form]  # fmt: skip
    if link == "folder":
        story.parent.mkdir()
        story.symlink_to(away)
    else:
        story.mkdir(parents=True)
        (elsewhere / "chain.txt").symlink_to(away / "a.txt")
        (story / "a.txt").symlink_to(elsewhere / "chain.txt" if link == "chain" else away / "a.txt")
    for name, text in files.items():
        (story / name).write_text(text, "utf-8")
    for options in ([], ["--keep-going"]):
        assert cli.main(["build", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *options]) == cli.ERRORS
        assert "[1 link-outside]" in capsys.readouterr().err
    assert cli.main(["convert", str(tmp_path / "in"), "--to", "json", "--out", str(tmp_path / "json")]) == cli.ERRORS
    written = b"".join([*content(tmp_path / "out").values(), *content(tmp_path / "json").values()])
    assert SECRET.encode() not in written


def test_a_link_within_an_input_or_to_another_input_is_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(VISIT, tmp_path / "in/visit")
    (tmp_path / "in/visit/gazette.txt").rename(tmp_path / "in/text")
    (tmp_path / "in/visit/gazette.txt").symlink_to(tmp_path / "in/text")
    assert cli.main(["check", str(tmp_path / "in")]) == cli.CLEAN
    shutil.copytree(VISIT, tmp_path / "whole/visit")
    (tmp_path / "linked").symlink_to(tmp_path / "whole")
    assert cli.main(["check", str(tmp_path / "linked")]) == cli.CLEAN, "how one comes to an input is no matter"
    assert cli.main(["convert", str(VISIT), "--to", "json", "--out", str(tmp_path / "bulk")]) == cli.CLEAN
    (tmp_path / "today.jsonl").symlink_to(tmp_path / "bulk/articles.jsonl")
    assert cli.main(["check", str(tmp_path / "today.jsonl")]) == cli.CLEAN, "it was named"
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/visit").symlink_to(tmp_path / "whole/visit")
    assert cli.main(["check", str(tmp_path / "parts")]) == cli.ERRORS
    capsys.readouterr()
    assert cli.main(["check", str(tmp_path / "parts"), str(tmp_path / "whole")]) == cli.ERRORS
    assert "[5 duplicate-story]" in (told := capsys.readouterr().out) and "[1 link-outside]" not in told


@pytest.mark.parametrize("name", ["data", "data/stance", "plots", build.LOCK, tables.STAGING])
def test_a_build_writes_through_no_link_in_its_output(
    name: str, elsewhere: Path, gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(gold, tmp_path / "out")
    target = elsewhere / "secret.txt" if name == build.LOCK else elsewhere
    shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(missing_ok=True)
    (out / name).symlink_to(target)
    before = content(elsewhere)
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.ERRORS
    assert "[5 output-not-ours]" in capsys.readouterr().err
    assert content(elsewhere) == before


def test_a_build_puts_its_files_in_the_place_of_links(elsewhere: Path, gold: Path, tmp_path: Path) -> None:
    out = shutil.copytree(gold, tmp_path / "out")
    before = content(elsewhere)
    for file in [file for file in out.rglob("*") if file.is_file() and file.name != build.LOCK]:
        file.unlink()
        file.symlink_to(elsewhere / "secret.txt")
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.CLEAN
    assert content(elsewhere) == before and tables.verify(out) == []


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ./dataset of two stories, built, in a working directory of its own."""
    folder = tmp_path / "repository/dataset"
    for story in ("visit", "return"):
        shutil.copytree(VISIT, folder / "stories" / story)
        for file in (folder / "stories" / story).glob("*.json"):
            file.write_text(file.read_text("utf-8").replace('"visit"', f'"{story}"'), "utf-8")
    (folder / "splits.csv").write_text("story,split,added\nreturn,train,0.1.0\nvisit,test,0.1.0\n", "utf-8")
    (folder / "benchmark/results").mkdir(parents=True)
    (folder.parent / "DATACARD.md").write_text("# Visit\n")
    monkeypatch.chdir(folder.parent)
    assert cli.main(["build"]) in (cli.CLEAN, cli.WARNINGS)
    return folder


@pytest.mark.parametrize("command, name", [
    ("build", "explorer.html"), ("build", "README.md"), ("build", "../DATACARD.md"), ("card", "croissant.json"),
    ("votes", "audit.csv"), ("baselines", "benchmark/results/majority.json"), ("baselines", "benchmark/results"),
    ("baselines", "benchmark"),
])  # fmt: skip
def test_no_command_in_a_corpus_writes_through_a_link(
    command: str, name: str, corpus: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"votes": ["sheet.json"]}.get(command, [])
    (corpus / "draw.csv").write_text("id,tier\n", "utf-8")
    (elsewhere / "secret.txt").write_text("id,annotator,label\n", "utf-8")  # as an audit.csv may be
    Path("sheet.json").write_text("[]", "utf-8")
    monkeypatch.setattr(cli.labelstudio, "read_sheet", lambda text, file: ([], []))
    monkeypatch.setattr(cli.baselines, "BASELINES", {"majority": cli.baselines.BASELINES["majority"]})
    monkeypatch.setattr(cli.baselines, "artefacts", lambda train, test: {})
    link = corpus / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    before = content(elsewhere)
    link.symlink_to(elsewhere if "." not in link.name else elsewhere / "secret.txt")
    cli.main([command, *options])
    assert content(elsewhere) == before
    assert link.is_symlink() == (name in ("benchmark", "benchmark/results"))


@pytest.mark.parametrize("command", [["convert", "--to", "own"], ["convert", "--to", "brat"], ["dehydrate"]], ids=str)
def test_a_conversion_writes_through_no_link_in_its_output(
    command: list[str], elsewhere: Path, tmp_path: Path
) -> None:
    verb, *options = command
    out = tmp_path / "out"
    out.mkdir()
    (out / "visit").symlink_to(elsewhere)
    before = content(elsewhere)
    assert cli.main([verb, str(VISIT), *options, "--out", str(out)]) == cli.ERRORS
    assert content(elsewhere) == before


# -- shares of somebody else -----------------------------------------------------------------------------------


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The one share of a build, honest as yet."""
    command = ["build", str(VISIT), "--out", str(tmp_path / "share"), "--shard", "0/1"]
    assert cli.main(command) == cli.CLEAN
    return tmp_path / "share"


def merged(share: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = cli.main(["merge", str(share), "--out", str(share.parent / "merged")])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("field, value", [
    ("file", "../secret.txt"), ("file", "parts/../../secret.txt"), ("config", "../../stance"), ("split", "../test"),
    ("file", "{absolute}"), ("shard", 7),
])  # fmt: skip
def test_a_forged_share_leads_nowhere(
    field: str, value: object, share: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET, "utf-8")
    data = json.loads((share / build.SHARE).read_text("utf-8"))
    part = data["outcomes"][0]["parts"][0]
    part[field] = str(secret) if value == "{absolute}" else value
    data["files"][part["file"]] = file_digest(str(secret))
    data.pop("sha256")
    (share / build.SHARE).write_text(json.dumps({"sha256": build._seal(data), **data}), "utf-8")
    before = content(tmp_path)
    code, told = merged(share, capsys)
    assert code == cli.ERRORS and "[5 share-unreadable]" in told
    after = content(tmp_path)
    assert {name: after[name] for name in before} == before
    assert not [name for name, data in after.items() if name not in before and SECRET.encode() in data]


@pytest.mark.parametrize("numbers", [[0, "x"], [0, 10**11], [1, 1], [-1, 1], [0], "0/1", [0.5, 1e400]], ids=str)
def test_a_forged_number_of_shares_is_a_finding(
    numbers: object, share: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads((share / build.SHARE).read_text("utf-8"))
    data.pop("sha256")
    data["share"] = numbers
    (share / build.SHARE).write_text(json.dumps({"sha256": build._seal(data), **data}), "utf-8")
    code, told = merged(share, capsys)
    assert code == cli.ERRORS and "[5 share-unreadable]" in told


def test_a_share_writes_through_no_link(elsewhere: Path, tmp_path: Path) -> None:
    command = ["build", str(VISIT), "--out", str(tmp_path / "share"), "--shard", "0/1"]
    assert cli.main(command) == cli.CLEAN
    before = content(elsewhere)
    for name in (build.SHARE, f"{build.SHARE}.new"):
        (tmp_path / "share" / name).unlink(missing_ok=True)
        (tmp_path / "share" / name).symlink_to(elsewhere / "secret.txt")
    assert cli.main(command) == cli.CLEAN
    assert content(elsewhere) == before and not (tmp_path / "share" / build.SHARE).is_symlink()


@pytest.mark.parametrize(
    "first", ['{"id": "' + "]" * 200_000 + '", "label": "deny"}', '{"id": "a", "label": "deny"}']
)
def test_brackets_in_a_string_hide_no_depth_from_the_reader_of_predictions(
    first: str, gold: Path, tmp_path: Path
) -> None:
    (tmp_path / "predictions.jsonl").write_text("\n".join([first, *["[" * 400] * 250]), "utf-8")
    command = [
        sys.executable,
        "-m",
        "onrecord.cli",
        "score",
        str(tmp_path / "predictions.jsonl"),
        "--gold",
        str(gold),
    ]
    assert subprocess.run(command, capture_output=True).returncode == cli.ERRORS, "and no signal's number"


def test_a_share_that_was_damaged_is_a_finding(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = next(share.glob("parts/**/*.parquet"))
    good = part.read_bytes()
    for data in (good[:-100], bytes(len(good))):
        part.write_bytes(data)
        assert "[5 share-unreadable]" in merged(share, capsys)[1]
    part.unlink()
    assert "[5 share-unreadable]" in merged(share, capsys)[1]
    part.write_bytes(good)
    listed = share / build.SHARE
    told = listed.read_text("utf-8")
    listed.write_text(told.replace('"documents": 2', '"documents": 3'), "utf-8")
    assert "[5 share-unreadable]" in merged(share, capsys)[1]
    listed.write_text(told, "utf-8")
    assert merged(share, capsys)[0] == cli.CLEAN


def test_a_few_lines_of_yaml_stand_for_no_more_than_they_are(gold: Path, tmp_path: Path) -> None:
    other = shutil.copytree(gold, tmp_path / "other")
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    info = "dataset_info: [{config_name: stance, features: [{name: id, dtype: *a11}]}]"
    (other / "README.md").write_text("\n".join(["---", *laughs, info, "---", ""]), "utf-8")
    assert cli.main(["diff", str(gold), str(other)]) == cli.USAGE
