"""Text of the data is text wherever it is shown or written: explorer, card, head, Croissant, CSV, a terminal."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from onrecord import audit, build, card, cli, layers, tables
from onrecord.model import SCHEMAS, resolve
from test_explore import CHROMIUM, browser, main_of, rendered

pytestmark = pytest.mark.security("hostile input")
ROOT = Path(__file__).parents[1]
VISIT = ROOT / "tests/cases/valid/visit"
EVIL = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> | `x` [a](javascript:alert(1)) *b* "
    "<!-- end --> --- {{x}}: !!python/object \u202e =HYPERLINK(1)"
)
IN_A_TEXT = EVIL.replace("{{x}}", "")  # where it would be a mark
IN_PLACE = {"text", "quote", "passage"}  # what is quoted letter for letter; the words of the text are spoilt apart
NEVER_SHOWN = {"origin"}  # of imports alone


def texts(schema: Mapping[str, Any], home: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """The fields of an object's schema that take any text: their names, schemas and homes."""
    for name, part in schema.get("properties", {}).items():
        found, there = resolve(part, home)
        if found.get("type") == "string" and re.search(found.get("pattern", ""), EVIL):
            yield name, found, there


def objects(
    data: Any, schema: Mapping[str, Any], home: str
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any], str]]:
    """Every object in a value with its schema."""
    schema, home = resolve(schema, home)
    if isinstance(data, list):
        for one in data:
            yield from objects(one, schema.get("items", {}), home)
    elif isinstance(data, dict):
        yield data, schema, home
        for key, part in data.items():
            yield from objects(
                part, schema.get("properties", {}).get(key, schema.get("additionalProperties", {})), home
            )


def spoilt(folder: Path) -> set[str]:
    """Put markup into every field of a story's folder that takes any text, and into its texts; the fields' names."""
    found = set()
    for file in sorted(folder.glob("*.json")):
        kind = "story" if file.name == "story.json" else "article"
        words = json.dumps(f"in {IN_A_TEXT} the firm's", ensure_ascii=False)[1:-1]
        data = json.loads(file.read_text("utf-8").replace("in the firm's", words))
        for one, schema, home in list(objects(data, SCHEMAS[kind], kind)):
            for name, _, _ in texts(schema, home):
                if name not in IN_PLACE | NEVER_SHOWN and not ("label" in one and name == "why" and "why" not in one):
                    one[name] = f"{one.get(name, '')} {EVIL}".strip()
                    found.add(f"{kind}.{name}")
        file.write_text(json.dumps(data), "utf-8")
    for file in folder.glob("*.txt"):
        file.write_text(file.read_text("utf-8").replace("in the firm's", f"in {IN_A_TEXT} the firm's"), "utf-8")
    return found


def all_texts(schema: Mapping[str, Any], kind: str, home: str, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    schema, home = resolve(schema, home)
    if id(schema) in seen:
        return
    yield from (f"{kind}.{name}" for name, _, _ in texts(schema, home))
    parts = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for part in parts:
        if isinstance(part, dict):
            yield from all_texts(part, kind, home, seen | {id(schema)})


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of one story with markup in every text."""
    folder = shutil.copytree(VISIT, tmp_path_factory.mktemp("evil") / "in/visit")
    planted = spoilt(folder)
    known = {name for kind in ("story", "article") for name in all_texts(SCHEMAS[kind], kind, kind)}
    assert {name for name in known - planted if name.split(".")[1] not in IN_PLACE | NEVER_SHOWN} == set()
    return folder.parent


class Elements(HTMLParser):
    """The elements of a page with their attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def test_no_field_of_the_schemas_becomes_an_element_of_the_page(evil: Path, tmp_path: Path) -> None:
    pages = []
    for name, source in (("mild", VISIT), ("evil", evil)):
        assert cli.main(["explore", str(source), "--out", str(tmp_path / name)]) in (cli.CLEAN, cli.WARNINGS)
        pages.append((tmp_path / name).read_text("utf-8"))
    assert pages[1].count("HYPERLINK") > 10, "the page holds the texts"
    assert Elements(pages[0]).found == Elements(pages[1]).found


@browser
@pytest.mark.parametrize("place", ["#targets", "#article/visit/gazette/s1", "#statements"])
def test_no_field_of_the_schemas_becomes_an_element_in_a_browser(evil: Path, tmp_path: Path, place: str) -> None:
    assert CHROMIUM
    assert cli.main(["explore", str(evil), "--out", str(tmp_path / "page.html")]) in (cli.CLEAN, cli.WARNINGS)
    shown = main_of(rendered(tmp_path / "page.html", place, tmp_path / "profile"))
    assert "HYPERLINK" in shown
    assert not {tag for tag, _ in Elements(shown).found} & {"script", "img", "iframe", "a"}


@pytest.fixture(scope="module")
def carded(evil: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That corpus built with the card of ours, which shows examples."""
    folder = tmp_path_factory.mktemp("carded")
    shutil.copyfile(ROOT / "DATACARD.md", folder / "DATACARD.md")
    report = build.build([evil], folder / "dataset", card_file=folder / "DATACARD.md")
    assert report.manifest is not None, report.findings
    return folder


def block(text: str, name: str) -> list[str]:
    return next(found[0] for found in card.BLOCK.finditer(text) if found["name"] == name).splitlines()


def test_the_examples_of_the_card_stay_in_their_cells(carded: Path) -> None:
    rows = [line for line in block((carded / "DATACARD.md").read_text("utf-8"), "examples") if line[:1] == "|"]
    assert any("HYPERLINK" in row for row in rows)
    for row in rows[2:]:
        assert len(re.split(r"(?<!\\)\|", row)) == len(re.split(r"(?<!\\)\|", rows[0])), row
        assert not re.search(r"(?<!\\)[<>`\[\]*]", row), row


def test_the_blocks_of_the_card_end_where_they_did(carded: Path) -> None:
    found = [name["name"] for name in card.BLOCK.finditer((carded / "DATACARD.md").read_text("utf-8"))]
    assert found == [name["name"] for name in card.BLOCK.finditer((ROOT / "DATACARD.md").read_text("utf-8"))]
    assert (carded / "dataset/README.md").read_text("utf-8").count("<!-- end -->") == len(found)


def test_no_text_reaches_head_croissant_or_a_card_without_examples(evil: Path, carded: Path, tmp_path: Path) -> None:
    assert cli.main(["build", str(evil), "--out", str(tmp_path / "out")]) in (cli.CLEAN, cli.WARNINGS)
    heads = [
        (folder / "README.md").read_text("utf-8").split("---\n")[1]
        for folder in (carded / "dataset", tmp_path / "out")
    ]
    others = [
        (tmp_path / "out" / name).read_text("utf-8") for name in ("README.md", "croissant.json", "manifest.json")
    ]
    for text in (*heads, *others, (carded / "dataset/croissant.json").read_text("utf-8")):
        assert "HYPERLINK" not in text and "alert(1)" not in text
    for head in heads:
        assert {"configs", "dataset_info"} <= set(yaml.safe_load(head))


def test_the_systems_of_the_leaderboard_stay_in_their_cells() -> None:
    figure = {"value": 0.5, "low": None, "high": None}
    result = {
        "system": EVIL, "task": "stance", "protocol": "open-to-layer", "gold": {"fingerprint": "", "stories": 1},
        "figures": {"macro_f1": figure, "related_macro_f1": figure},
    }  # fmt: skip
    for protocol in ("open-to-layer", "story-held-out"):  # shown, and left out by name
        shown = card.leaderboard({"configs": {}, "results": [{**result, "protocol": protocol}]})
        assert "HYPERLINK" in shown
        assert not re.search(r"(?<!\\)[<>`\[\]*]", shown.replace("`open-to-layer`", "")), shown


def test_a_result_that_is_none_is_a_finding(tmp_path: Path) -> None:
    """What others send in for the leaderboard follows its schema, system names included."""
    shutil.copytree(VISIT, tmp_path / "stories/visit")
    folder = tmp_path / tables.RESULTS
    folder.mkdir(parents=True)
    good = json.loads(next((ROOT / "dataset" / tables.RESULTS).glob("tfidf*.json")).read_text("utf-8"))
    for broken in ({"system": EVIL}, {"figures": {"macro_f1": {"value": "0.5"}}}, {"gold": 7}):
        (folder / "mine.json").write_text(json.dumps({**good, **broken}), "utf-8")
        _, findings = build.settings_of([tmp_path])
        assert [finding.rule for finding in findings] == ["bad-value"], broken
    (folder / "mine.json").write_text(json.dumps(good), "utf-8")
    assert build.settings_of([tmp_path])[1] == []


# -- CSV -------------------------------------------------------------------------------------------------------


def formulas(text: str) -> list[str]:
    """The cells of a CSV that a spreadsheet would run."""
    return [
        cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row if cell.startswith(layers.FORMULA)
    ]


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "a\x1b[31m", "\udcff"]
)
def test_a_file_name_in_hydration_csv_is_no_formula(name: str, tmp_path: Path) -> None:
    assert cli.main(["dehydrate", str(VISIT), "--out", str(tmp_path / "layer")]) == cli.CLEAN
    (tmp_path / "texts").mkdir()
    shutil.copyfile(VISIT / "gazette.txt", tmp_path / f"texts/{name}.txt")
    command = ["hydrate", str(tmp_path / "layer"), "--from", str(tmp_path / "texts"), "--out", str(tmp_path / "out")]
    assert cli.main(command) == cli.CLEAN
    assert formulas((tmp_path / "out/hydration.csv").read_bytes().decode("utf-8")) == []


def test_no_other_csv_that_is_written_holds_a_formula(tmp_path: Path) -> None:
    lines, leaks = tmp_path / "in.jsonl", tmp_path / "out/leaks.csv"
    assert cli.main(["convert", str(VISIT), "--to", "json", "--out", str(tmp_path / "json")]) == cli.CLEAN
    one = (tmp_path / "json/articles.jsonl").read_text("utf-8")
    lines.write_text("".join(one.replace('"visit"', f'"visit-{number}"') for number in range(9)), "utf-8")
    assert cli.main(["build", str(lines), "--out", str(tmp_path / "out"), "--near-duplicates"]) == cli.WARNINGS
    assert all(
        re.fullmatch(r"[a-z0-9._-]+", cell)
        for row in csv.reader(leaks.read_text("utf-8").splitlines())
        for cell in row
    )
    for pair, annotator in (("=1.a.s.t", "ann"), ("a.b.s.t", "=1"), ("a.b.s.t", "-ann")):
        assert audit.parse(f"id,annotator,label\n{pair},{annotator},deny\n", "audit.csv")[1], (
            "refused, so never written"
        )


# -- terminals -------------------------------------------------------------------------------------------------

ODD = "a\nerror: b\x1b[31m\x9b31m\u202e"


@pytest.mark.parametrize(
    "command", ["check", "build", "convert", "dehydrate", "hydrate", "explore", "verify", "diff"]
)
def test_no_name_of_a_file_reaches_the_terminal_as_it_is(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ODD / "visit"
    shutil.copytree(VISIT, folder)
    (folder / f"{ODD}.json").write_text("{", "utf-8")
    (folder / tables.MANIFEST).write_text(json.dumps({"files": {ODD: {"sha256": ODD}}, "onrecord": ODD}), "utf-8")
    options = {"convert": ["--to", "own"], "hydrate": ["--from", str(folder)], "diff": [str(folder)]}.get(command, [])
    out = [] if command in ("check", "verify", "diff") else ["--out", str(tmp_path / "out")]
    assert cli.main([command, str(folder), *options, *out]) in (cli.ERRORS, cli.USAGE)
    told = "".join(capsys.readouterr())
    assert told and all(line.isprintable() for line in told.split("\n")), told
    assert not [line for line in told.split("\n") if line.startswith("error: b")], "nor does it begin a line"


@pytest.mark.parametrize(
    "command", ["build", "build --shard 0/1", "merge", "verify", "dehydrate", "hydrate", "explore"]
)
def test_no_name_of_a_file_reaches_the_terminal_as_it_is_where_all_is_well(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *options = command.split()
    source = tmp_path / ODD
    made = {"merge": ["build", "--shard", "0/1"], "verify": ["build"], "hydrate": ["dehydrate"]}.get(verb)
    if made:
        assert cli.main([made[0], str(VISIT), *made[1:], "--out", str(source)]) == cli.CLEAN
    options += ["--from", str(VISIT)] if verb == "hydrate" else []
    out = [] if verb == "verify" else ["--out", str(tmp_path / f"{ODD}-out")]
    assert cli.main([verb, str(source if made else VISIT), *options, *out]) == cli.CLEAN
    told = "".join(capsys.readouterr())
    assert all(line.isprintable() for line in told.split("\n")), told
    assert not [line for line in told.split("\n") if line.startswith("error: b")], "nor does it begin a line"
