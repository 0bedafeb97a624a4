"""What bad input gets: a finding with its address, an exit code, and never a traceback.

A folder of cases/invalid shows one rule. Its `input` is checked, or what its case.json says is run (`run`), and
expected.txt holds every finding that comes of it. What not every copy of a tree keeps, case.json makes: empty `folders`
and `links`, name to what they point at. A rule that no input can show names the test that shows it (`shown_by`).

A new case: make the folder, run `python tests/test_check.py <rule-id>`, which writes expected.txt, and read it aloud.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shutil
import sys
import tempfile
import unicodedata
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Self

import filelock
import pytest

from onrecord import build, check, cli, pool
from onrecord.model import Document

CASES = Path(__file__).resolve().parent / "cases"
VISIT = CASES / "valid/visit"
INVALID = sorted((CASES / "invalid").iterdir())
FINDING = re.compile(r"(?:(error|warning): )?\S.* \[[1-5] ([a-z0-9-]+)\]")


def settings(case: Path) -> dict[str, object]:
    file = case / "case.json"
    found: dict[str, object] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


SHOWN_HERE = [case for case in INVALID if "shown_by" not in settings(case)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lay(case: Path, folder: Path) -> None:
    """Put a case into a folder, as `run` finds it."""
    shutil.copytree(case, folder, dirs_exist_ok=True)
    made: Any = settings(case)
    for name in made.get("folders", ()):
        (folder / name).mkdir()
    for name, target in made.get("links", {}).items():
        (folder / name).symlink_to(target)


def outcome(case: Path, folder: Path) -> tuple[list[str], int]:
    """The findings and the exit code of a case that is run in an empty folder, the working directory."""
    lay(case, folder)
    command: Any = settings(case).get("run", ["check", "input"])
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.main(command)
    lines = (out.getvalue() + err.getvalue()).splitlines()
    return [line for line in lines if FINDING.fullmatch(line)], code


@pytest.mark.security("guards")
def test_every_rule_has_a_folder_and_every_folder_a_rule() -> None:
    assert [case.name for case in INVALID] == sorted(rule.id for rule in cli.RULES)


@pytest.mark.security("guards")
@pytest.mark.parametrize("case", SHOWN_HERE, ids=lambda case: case.name)
def test_a_bad_input_gets_its_findings(case: Path, here: Path) -> None:
    found, code = outcome(case, here)
    expected = (case / "expected.txt").read_text("utf-8").splitlines()
    assert found == expected, f"if that is better: python tests/test_check.py {case.name}"
    shown = [found for line in expected if (found := FINDING.fullmatch(line))]
    assert case.name in {found[2] for found in shown}
    assert code == (cli.WARNINGS if all(found[1] == "warning" for found in shown) else cli.ERRORS)


@pytest.mark.security("guards")
@pytest.mark.parametrize("case", [case for case in INVALID if case not in SHOWN_HERE], ids=lambda case: case.name)
def test_what_no_input_can_show_a_test_shows(case: Path) -> None:
    file, _, name = str(settings(case)["shown_by"]).partition("::")
    tree = ast.parse((Path(__file__).parents[1] / file).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    assert cli.main(["build", str(CASES / "valid/visit"), "--out", str(out)]) == cli.CLEAN
    return out


@pytest.mark.security("guards")
@pytest.mark.parametrize(
    "case", [case for case in SHOWN_HERE if "run" not in settings(case)], ids=lambda case: case.name
)
def test_a_bad_input_leaves_the_former_output_alone(case: Path, built: Path, tmp_path: Path) -> None:
    out = shutil.copytree(built, tmp_path / "out")
    lay(case, tmp_path / "case")
    code = cli.main(["build", str(tmp_path / "case/input"), "--out", str(out), "--workers", "1"])
    assert code in (cli.ERRORS, cli.WARNINGS)
    if code == cli.ERRORS:
        assert contents(out) == contents(built)


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".onrecord-lock")
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


# -- what no folder can show -----------------------------------------------------------------------------------


@pytest.mark.security("faults")
def test_one_build_at_a_time_writes_to_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "out").mkdir()
    with filelock.FileLock(here / "out" / build.LOCK):
        assert cli.main(["build", str(VISIT), "--out", "out"]) == cli.ERRORS
    assert "out: another build is writing here; one build at a time" in capsys.readouterr().err


@pytest.mark.security("faults")
def test_a_worker_that_is_killed_again_and_again_is_a_finding(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed:
        """A pool whose workers die."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, *_: object) -> Future[None]:
            job: Future[None] = Future()
            job.set_exception(BrokenProcessPool())
            return job

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Killed)
    monkeypatch.setattr(build, "SHARD_DOCUMENTS", 1)
    monkeypatch.setattr(build, "POOL_BYTES", 0)
    for name in ("visit", "visit-again"):
        shutil.copytree(VISIT, here / "in" / name)
    assert cli.main(["build", "in", "--out", "out", "--workers", "2"]) == cli.ERRORS
    assert "[5 worker-lost]" in capsys.readouterr().err
    assert not list((here / "out").rglob("*.parquet"))


def test_a_saved_page_without_the_extractor_is_a_finding(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    shutil.copytree(CASES / "invalid/article-not-found/input", here / "layer")
    (here / "texts").mkdir()
    (here / "texts/wire.html").write_text("<p>Operator denies that ferry sailed unfit</p>", "utf-8")
    assert cli.main(["hydrate", "layer", "--from", "texts", "--out", "out"]) == cli.ERRORS
    assert "texts/wire.html: is a saved page, and trafilatura is not installed" in capsys.readouterr().err


# -- imports ---------------------------------------------------------------------------------------------------


def imported(*statements: dict[str, object], **fields: object) -> check.Admitted:
    """An imported article on “He left, she said.” as `admit` takes it."""
    data = {"id": "a", "story": "a", "text": "He left, she said.", "statements": list(statements), **fields}
    story = Document("story", "a.txt", {"id": "a", "targets": [TARGET]}, "", imported=True)
    return next(check.admit([story, Document("article", "a.txt", data, "", imported=True)]))


TARGET = {"id": "t-left", "text": "The minister left the hall before the vote was taken.", "kind": "factual"}
LEFT = {"id": "s1", "content": [[0, 7]]}


def test_an_unusable_statement_of_an_import_is_left_out_and_counted() -> None:
    admitted = imported(LEFT, {"id": "s2", "content": [[9, 900]]})
    assert [statement.id for statement in admitted.articles[0].statements] == ["s1"]
    assert admitted.left_out == {"span-out-of-bounds": 1}
    assert [finding.severity for finding in admitted.findings] == ["warning"]


def test_what_points_to_a_statement_that_is_left_out_is_left_out_with_it() -> None:
    bad = {"id": "s2", "content": [[9, 900]]}
    mention = {"id": "s3", "content": [[9, 12]], "mention_of": "s2"}
    of_mention = {"id": "s4", "content": [[13, 17]], "mention_of": "s3"}
    admitted = imported(LEFT, bad, mention, of_mention)
    assert [statement.id for statement in admitted.articles[0].statements] == ["s1"]
    assert admitted.left_out == {"span-out-of-bounds": 1, "unknown-statement": 2}


def test_a_relay_of_what_is_left_out_makes_no_traceback() -> None:
    inner = {"id": "s2", "content": [[0, 900]], "chain": ["post"], "holder": "post"}
    relay = {"label": "relay", "relays": ["s2"], "why": "passes it on"}
    outer = {**LEFT, "holder": "post", "stances": {"t-left": relay}}
    admitted = imported(outer, inner, holders={"post": {"name": "the Post"}}, judged=["t-left"])
    assert admitted.articles[0].statements == ()
    assert admitted.left_out == {"span-out-of-bounds": 1, "unknown-statement": 1}


def test_names_of_an_import_are_normalised_and_odd_characters_told() -> None:
    admitted = imported(LEFT, holders={"zoe": {"name": "Zoe\u0308"}}, title="A\x83 B")
    assert admitted.articles[0].holders["zoe"].name == "Zoë"
    assert {(f.rule, f.severity) for f in admitted.findings} == {
        ("control-character", "warning"),
        ("idle-holder", "warning"),
    }


def test_no_rule_of_strings_finds_fault_with_common_characters() -> None:
    common = "".join(filter(check._COMMON.fullmatch, map(chr, range(sys.maxunicode + 1))))
    assert all(mark in common for mark in "Aé\n\t“”’–—…€") and "\u0301" not in common
    assert not [hit for one in check._BY_SCOPE["string", 3] for c in common for hit in one.test(c)]  # type: ignore[misc]
    decomposed = map(unicodedata.decomposition, map(chr, range(sys.maxunicode + 1)))
    composing = {chr(int(parts.split()[1], 16)) for parts in decomposed if " " in parts and "<" not in parts}
    assert not composing & set(common), "so that whatever they stand beside, it is in NFC"


def test_an_unusable_document_of_an_import_is_an_error() -> None:
    admitted = imported(LEFT, judged=7)
    assert not admitted.articles
    assert [(finding.rule, finding.severity) for finding in admitted.findings] == [("wrong-type", "error")]


# -- admission -------------------------------------------------------------------------------------------------


@pytest.mark.security("guards")
def test_articles_of_a_broken_story_are_refused_not_judged_by_it() -> None:
    story = Document("story", "story.json", {"id": "a", "targets": 7}, "")
    article = Document(
        "article", "a.json", {"id": "a", "story": "a", "text": "x", "statements": [], "judged": ["t"]}, ""
    )
    admitted = next(check.admit([story, article]))
    assert [finding.rule for finding in admitted.findings] == ["article-without-story", "wrong-type"]
    assert len(admitted.rejected) == 2


def test_statements_keep_the_order_in_which_findings_count_them() -> None:
    later, sooner = {"id": "s1", "content": [[9, 12]]}, {"id": "s2", "content": [[0, 8]]}
    admitted = imported(later, sooner)
    assert [statement.id for statement in admitted.articles[0].statements] == ["s1", "s2"]


@pytest.mark.security("hostile input")
def test_a_finding_is_one_line_whatever_it_is_about() -> None:
    found = check.DUPLICATE_STORY.finding("a\nb\udce9.json", "$.id", "is\x1b[31m red")
    assert str(found).startswith("a\\nb\\udce9.json: $.id: is\\x1b[31m red; story ids")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            lines = outcome(CASES / "invalid" / name, Path(folder))[0]
        (CASES / "invalid" / name / "expected.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        print(*lines, sep="\n")
