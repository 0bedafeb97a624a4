"""Hostile input: whatever a stranger's folder holds, findings within a bound; what was there is not lost.

Every test runs under the guard of conftest.py against hanging and against taking all memory.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import guarded
from onrecord import build, cli, formats, tables
from onrecord import text as strings
from onrecord.model import SCHEMAS

pytestmark = pytest.mark.security("hostile input")
VISIT = Path(__file__).parent / "cases/valid/visit"
ACCENTS = "\u0301\u0323\u0f73\u0344\u0315"


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


HOSTILE = "</script><script>alert(1)</script> | `x` [a](javascript:alert(1))\u202e"


def test_titles_and_names_break_out_of_neither_card_nor_head_nor_croissant(tmp_path: Path) -> None:
    folder = shutil.copytree(VISIT, tmp_path / "in/visit")
    for file in folder.glob("*.json"):
        data = json.loads(file.read_text("utf-8"))
        data["title"] = data["publisher" if "text" in data or "holders" in data else "title"] = HOSTILE
        file.write_text(json.dumps(data), "utf-8")
    assert cli.main(["build", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == cli.CLEAN
    for name in ("README.md", "croissant.json", "manifest.json"):
        assert "alert(1)" not in (tmp_path / "out" / name).read_text("utf-8")


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
