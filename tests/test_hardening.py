"""Hostile input: whatever a stranger's folder holds, findings within a bound; what was there is not lost.

`ONRECORD_FUZZ` sets how many mutated articles and random byte strings go through each reader.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onrecord import build, check, cli, formats, tables
from onrecord import text as strings
from onrecord.model import SCHEMAS

VISIT = Path(__file__).parent / "cases/valid/visit"
ROUNDS = int(os.environ.get("ONRECORD_FUZZ", "150"))
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
    start = time.monotonic()
    strings.normalise(text + "\r\n")
    assert time.monotonic() - start < 10


def test_long_runs_of_accents_come_to_the_same_form() -> None:
    chance = random.Random(4)
    for _ in range(ROUNDS):
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


def read_all(folder: Path) -> None:
    units, _ = formats.find([folder])
    for unit in units:
        for _ in check.admit(formats.read(unit)):
            pass


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to four bytes, cuts, copies and words that mean something to a reader, in the place of others."""
    words = (
        b"",
        b"\0",
        b"\xff",
        b"[",
        b"{",
        b'"',
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"\\ud800",
        b"\r\n",
        b"\xcc\x81",
    )
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.choice(words) + data[at + chance.randint(0, 20) :]
    return data


@pytest.mark.parametrize("form", ["own", "json", "brat", "labelstudio"])
def test_mutated_articles_and_random_bytes_end_in_findings(
    form: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    folder, chance = tmp_path / form, random.Random(form)
    cli.main(["convert", str(VISIT), "--to", form, "--out", str(folder)])
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".json", ".jsonl", ".txt", ".ann"))
    for i in range(ROUNDS):
        file = chance.choice(files)
        good = file.read_bytes()
        start = time.monotonic()
        file.write_bytes(mutated(good, chance) if i % 2 else chance.randbytes(chance.randint(0, 300)))
        read_all(folder)
        assert time.monotonic() - start < 10, file.read_bytes()
        file.write_bytes(good)
    record_property("tried", ROUNDS)


def test_a_fault_while_the_former_output_is_replaced_shows_and_a_rerun_converges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    build.build([VISIT], whole)
    done: list[object] = []

    def replace(source: str | Path, target: str | Path) -> None:
        done.append(target)
        if len(done) > 2:
            raise OSError(28, "No space left on device")
        Path(source).rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(build.os, "replace", replace)
        with pytest.raises(OSError, match="No space"):
            build.build([VISIT], out)
    assert [finding.rule for finding in tables.verify(out)] == ["unfinished-build"]
    build.build([VISIT], out)
    assert tables.verify(out) == []
    assert (out / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()


GUARD, MEMORY = 120, 4 << 30  # seconds, and bytes of address space


def bounded(*command: str) -> subprocess.CompletedProcess[str]:
    """A command under a guard against hanging and a limit on memory."""
    return subprocess.run(
        [sys.executable, "-m", "onrecord.cli", *command],
        capture_output=True,
        text=True,
        timeout=GUARD,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


def test_a_line_of_two_gigabytes_is_a_finding_and_is_never_held(tmp_path: Path) -> None:
    with open(tmp_path / "b.jsonl", "wb") as stream:
        stream.write(b'{"a": "')
        stream.truncate(2 << 30)  # sparse: it takes no disk
    done = bounded("check", str(tmp_path / "b.jsonl"))
    assert done.returncode == cli.ERRORS and "[1 line-too-long]" in done.stdout


def test_a_million_annotations_of_one_text_end_in_findings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ann said yes to all. " * 1000, "utf-8")
    with open(tmp_path / "a.ann", "w", encoding="utf-8") as stream:
        for i in range(1, 1_000_001):
            start = i * 21 % 20_000
            stream.write(f"T{i}\tContent {start} {start + 3}\tAnn\n")
    done = bounded("check", str(tmp_path / "a.ann"))
    assert done.returncode == cli.WARNINGS and "Traceback" not in done.stderr
    assert done.stdout.count("\n") < 2_000, "repeated findings of one file are bounded"


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
            start = time.monotonic()
            re.search(pattern, seed * 20_000 + "!")
            assert time.monotonic() - start < 10, pattern
