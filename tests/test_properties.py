"""What holds of any input: it ends in findings or in an article, comes back as it was written, and moves no other.

`ONRECORD_FUZZ` sets how many mutated articles and how many random byte strings go through each reader.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import guarded
from onrecord import build, check, cli, formats, layers, predictions, scoring, tables
from onrecord import text as strings
from onrecord.formats import labelstudio, own
from onrecord.model import STANCES, Article, Document, Finding, Statement, Story
from test_audit import answered
from test_brat import articles

pytestmark = pytest.mark.security("any input")
VISIT = Path(__file__).parent / "cases/valid/visit"
ROUNDS = int(os.environ.get("ONRECORD_FUZZ", "150"))
SECONDS = 10  # that reading one small input may take, on a busy machine
drawn = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=100
)
Recorder = Callable[[str, object], None]  # what scripts/bench/security.py makes its table of

# -- any bytes, any mutation -----------------------------------------------------------------------------------

WORDS = (b"", b"\0", b"\xff", b"[", b"{", b'"', b"-1", b"1e999", b"NaN", b"null", b"\\ud800", b"\r\n", b"\xcc\x81")
VALUES: tuple[Any, ...] = (
    None, True, -1, 7, 10**14, 10**400, 1.5, float("inf"), "", "author", "a\nb", "\x1b[31m", "../../out", "e\u0301",
    [], [None], [[0, 5]], {}, {"id": "s1"}, "[[Ritter]]", "2026-02-30",
)  # fmt: skip


def read_all(folder: Path) -> tuple[list[check.Admitted], list[Finding]]:
    units, findings = formats.find([folder])
    admitted = [one for unit in units for one in check.admit(formats.read(unit))]
    return admitted, [*findings, *(finding for one in admitted for finding in one.findings)]


def scribbled(data: bytes, chance: random.Random) -> bytes:
    """One to four bytes, cuts, copies and words that mean something to a reader, in the place of others."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.choice(WORDS) + data[at + chance.randint(0, 20) :]
    return data


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value with every key of it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def restructured(value: Any, chance: random.Random) -> Any:
    """A JSON value with one or two fields dropped, doubled, exchanged for another of its fields, or typed anew."""
    for _ in range(chance.randint(1, 2)):
        found = list(places(value))
        if not found:
            return value
        (holder, key), (other, its) = chance.choice(found), chance.choice(found)
        how = chance.choice(("drop", "double", "exchange", "retype"))
        if how == "drop":
            del holder[key]
        elif how == "double" and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif how == "exchange":
            holder[key] = json.loads(json.dumps(other[its]))
        else:
            holder[key] = deepcopy(chance.choice(VALUES))
    return value


def reordered(lines: list[bytes], chance: random.Random) -> list[bytes]:
    """Lines with one or two dropped, doubled, or put in the place of others; or with two of their fields exchanged."""
    for _ in range(chance.randint(1, 2)):
        at, other = (chance.randrange(len(lines)) for _ in range(2))
        one, its = lines[at].split(b"\t"), lines[other].split(b"\t")
        field = chance.randrange(min(len(one), len(its)))
        mixed = b"\t".join([*one[:field], its[field], *one[field + 1 :]])
        lines[at : at + 1] = chance.choice([[], [lines[at]] * 2, [lines[other]], [mixed]])
        lines = lines or [b""]
    return lines


def mutated(file: Path, data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.4:
        return scribbled(data, chance)
    if file.suffix == ".json":
        return json.dumps(restructured(json.loads(data), chance)).encode()
    lines = data.split(b"\n")
    if file.suffix == ".jsonl":
        at = chance.randrange(len(lines) - 1)
        lines[at] = json.dumps(restructured(json.loads(lines[at]), chance)).encode()
        return b"\n".join(lines)
    return b"\n".join(reordered(lines, chance))


@pytest.fixture
def forms(tmp_path: Path) -> Callable[[str], tuple[Path, list[Path]]]:
    """The visit in a form: its folder, and the files of it that a reader reads."""

    def make(form: str) -> tuple[Path, list[Path]]:
        folder = tmp_path / form
        assert cli.main(["convert", str(VISIT), "--to", form, "--out", str(folder)]) == cli.CLEAN
        endings = (".json", ".jsonl", ".txt", ".ann")
        return folder, sorted(file for file in folder.rglob("*") if file.suffix in endings)

    return make


@pytest.mark.parametrize("form", formats.FORMS)
def test_random_bytes_end_in_findings(form: str, forms: Any, record_property: Recorder) -> None:
    (folder, files), chance = forms(form), random.Random(form)
    for _ in range(ROUNDS):
        file = chance.choice(files)
        good = file.read_bytes()
        file.write_bytes(chance.randbytes(chance.randint(0, 300)))
        with guarded(SECONDS):
            _, findings = read_all(folder)
        assert findings or file.suffix == ".ann", "an .ann file may be empty"
        assert all(str(finding).isprintable() for finding in findings)
        file.write_bytes(good)
    record_property("tried", ROUNDS)


@pytest.mark.parametrize("form", formats.FORMS)
def test_a_mutated_article_is_a_finding_or_an_article_that_builds_and_comes_back(
    form: str, forms: Any, tmp_path: Path, record_property: Recorder
) -> None:
    (folder, files), chance, built = forms(form), random.Random(form), 0
    for number in range(ROUNDS):
        file = chance.choice(files)
        good = file.read_bytes()
        file.write_bytes(mutated(file, good, chance))
        with guarded(SECONDS):
            admitted, findings = read_all(folder)
            assert findings or any(one.articles for one in admitted)
            assert all(str(finding).isprintable() for finding in findings)
            comes_back(admitted)
            if all(finding.severity == "warning" for finding in findings) and built * 20 <= number:
                report = build.build([folder], tmp_path / "out")
                assert report.failed or report.manifest, "what is admitted builds, unless stories share an id"
                built += 1
        file.write_bytes(good)
    assert built
    record_property("tried", ROUNDS)


def comes_back(admitted: list[check.Admitted]) -> None:
    """What was admitted is the same after it was written as JSON lines and read again, under the rules it came by."""
    for one in admitted:
        imported = any(document.imported for document in one.documents.values())
        if one.usable and one.articles:
            lines = formats.write("json", one.story, one.articles)["articles.jsonl"].splitlines()
            data = [own.parse_json(line, "lines") for line in lines]
            kinds = ("story" if "targets" in entry else "article" for entry in data)
            read = zip(kinds, data, strict=True)
            found = check.admit(Document(kind, "lines", entry, "", imported=imported) for kind, entry in read)
            (again,) = found
            assert (again.story, again.articles) == (one.story, one.articles)


# -- any file that a command reads beside articles -------------------------------------------------------------

WHOLE, OUTLET = "festival-jury", "daily-lantern-post"  # a story that is annotated whole
READ_BY = {  # a file, and the commands that read it
    "layer/visit/gazette.json": [["hydrate", "layer", "--from", "texts", "--out", "out"]],
    "layer/visit/story.json": [["hydrate", "layer", "--from", "texts", "--out", "out"]],
    "share/shards.json": [["merge", "share", "--out", "out"]],
    "gold/manifest.json": [["verify", "gold"], ["diff", "gold", "same"], ["diff", "same", "gold"]],
    "gold/README.md": [["diff", "gold", "same"], ["diff", "same", "gold"]],
    "predictions.jsonl": [["score", "predictions.jsonl", "--gold", "same"]],
    "predictions.csv": [["score", "predictions.csv", "--gold", "same"]],
    "predictions.parquet": [["score", "predictions.parquet", "--gold", "same"]],
    "profile.jsonl": [["score", "profile.jsonl", "--config", "profile", "--gold", "same"]],
    "attribution.jsonl": [["score", "attribution.jsonl", "--config", "attribution", "--gold", "same"]],
    "gold/data/stance/test.parquet": [["score", "predictions.csv", "--gold", "gold"]],
    "gold/data/pairs/test.parquet": [["score", "profile.jsonl", "--config", "profile", "--gold", "gold"]],
    "sheet.json": [["votes", "sheet.json"]],
    "dataset/draw.csv": [["votes", "sheet.json"]],
    "dataset/splits.csv": [["check", "dataset"]],
    "dataset/audit.csv": [["check", "dataset"]],
    "dataset/annotators.json": [["check", "dataset"]],
    "dataset/gates.json": [["check", "dataset"]],
    "dataset/benchmark/results/mine.json": [["check", "dataset"]],
    f"dataset/contrast/{WHOLE}.json": [["check", "dataset"]],
    "dataset/layers/wire/visit/gazette.json": [["check", "dataset"]],
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a command reads, sound as yet."""
    folder, committed = tmp_path_factory.mktemp("desk"), Path(__file__).parents[1] / "dataset"
    visit, lines = str(VISIT), folder / "predictions.jsonl"
    assert cli.main(["dehydrate", visit, "--out", str(folder / "layer")]) == cli.CLEAN
    assert cli.main(["build", visit, "--out", str(folder / "share"), "--shard", "0/1"]) == cli.CLEAN
    for name in ("gold", "same"):
        assert cli.main(["build", visit, "--out", str(folder / name)]) == cli.CLEAN
    shutil.copytree(VISIT, folder / "texts")
    (folder / "texts/gazette.txt").write_text((VISIT / "gazette.txt").read_text("utf-8").replace("day", "night"))
    rows = predictions.read_gold(folder / "gold", "stance", "test")["id"].to_pylist()
    odds = {label: float(label == "deny") for label in STANCES}
    lines.write_text("".join(json.dumps({"id": one, "label": "deny", "probabilities": odds}) + "\n" for one in rows))
    columns = {
        "id": rows,
        "label": ["deny"] * len(rows),
        **{f"p_{label}": [p] * len(rows) for label, p in odds.items()},
    }
    table = pa.table(columns)
    pq.write_table(table, folder / "predictions.parquet")
    pa_csv.write_csv(table, folder / "predictions.csv")
    gold = predictions.read_gold(folder / "gold", "profile", "test")
    sets = [
        {"id": unit, "profile": [dict(zip(scoring.PROFILE, entry, strict=True)) for entry in found]}
        for unit, found in scoring.gold_profiles(gold).items()
    ]
    said = (
        predictions.read_gold(folder / "gold", "attribution", "test")
        .select(["article_id", *scoring.ROLES])
        .to_pylist()
    )
    for name, found in (("profile", sets), ("attribution", said)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    corpus = folder / "dataset"
    shutil.copytree(committed / "stories" / WHOLE, corpus / "stories" / WHOLE)
    shutil.copytree(folder / "layer", corpus / "layers/wire")
    for name in ("annotators.json", "gates.json", f"contrast/{WHOLE}.json"):
        (corpus / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(committed / name, corpus / name)
    pairs = [f"{WHOLE}.{OUTLET}.s{i}.t{i}" for i in range(1, 9)]
    (corpus / "splits.csv").write_text(f"story,split,added\n{WHOLE},test,0.1.0\n", "utf-8")
    (corpus / "audit.csv").write_text("id,annotator,label\n" + "".join(f"{one},ann,deny\n" for one in pairs), "utf-8")
    (corpus / "draw.csv").write_text("id,tier\n" + "".join(f"{one},open\n" for one in pairs), "utf-8")
    asked = labelstudio.Question(pairs[0], "A vote.", "Ann", "2026", "Before.", "No, it has none.", "none", 11, 15)
    (folder / "sheet.json").write_text(labelstudio.sheet([asked._replace(id=one) for one in pairs]), "utf-8")
    answered(folder / "sheet.json", "deny")
    (corpus / "benchmark/results").mkdir(parents=True)
    result = next((committed / "benchmark/results").glob("tfidf*.json"))
    shutil.copyfile(result, corpus / "benchmark/results/mine.json")
    return folder


@pytest.mark.parametrize("name", [name for name, (command, *_) in READ_BY.items() if command[0] == "score"])
def test_a_file_that_is_not_mutated_scores(name: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    assert cli.main(READ_BY[name][0]) == cli.CLEAN


@pytest.mark.parametrize("name", READ_BY)
def test_a_mutated_file_beside_the_articles_ends_in_a_line_and_an_exit_code(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, record_property: Recorder
) -> None:
    monkeypatch.chdir(desk)
    file, chance = desk / name, random.Random(name)
    good, rounds = file.read_bytes(), max(10, min(100, ROUNDS // 10))
    for number in range(rounds):
        file.write_bytes(mutated(file, good, chance))
        command = READ_BY[name][number % len(READ_BY[name])]
        with guarded(SECONDS):
            code = cli.main(command)
        assert code in (cli.CLEAN, cli.ERRORS, cli.WARNINGS, cli.USAGE)
        out, told = capsys.readouterr()
        assert code in (cli.CLEAN, cli.WARNINGS) or (out + told).strip(), "an error says what it is"
        assert all(line.isprintable() for line in (out + told).split("\n"))
    file.write_bytes(good)
    record_property("tried", rounds)


# -- write and read --------------------------------------------------------------------------------------------


def tags_in_order(article: Article) -> Article:
    """Tags are a set: their order is not kept."""

    def ordered(statement: Statement) -> Statement:
        pairs = {
            name: replace(pair, tags=tuple(sorted(pair.tags))) for name, pair in (statement.stances or {}).items()
        }
        return replace(statement, stances=None if statement.stances is None else pairs)

    passes = {name: tuple(map(ordered, found)) for name, found in article.passes.items()}
    return replace(article, statements=tuple(map(ordered, article.statements)), passes=passes)


@given(articles().map(tags_in_order))
@drawn
def test_any_article_comes_back_from_a_line(article: Article) -> None:
    assert check.article_of(own.parse_json(own.write_line(own.article_data(article)), "line")) == article


@given(articles().map(tags_in_order))
@drawn
def test_any_article_comes_back_from_our_own_form(tmp_path: Path, article: Article) -> None:
    folder = tmp_path / "story"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in own.write(Story("story"), [article]).items():
        (folder / name).write_text(content, "utf-8", newline="")
    (unit,), _ = formats.find([folder])
    _, document = formats.read(unit)
    assert isinstance(document, Document), document
    assert check.article_of(document.data) == article


COMBINING, INVISIBLE = "\u0301\u0308\u0345\u1161", "\u200d\u200b\u202e\u2066\u2069\u061c\ufe0f\u00ad\u00a0"
ODD = st.text(f"ab ,.\n\r가é🎺👩𐍈“”{COMBINING}{INVISIBLE}", max_size=80)


@given(ODD.map(lambda raw: f"Ada Wells said no. {raw} Bo said yes."), st.data())
@drawn
def test_any_unicode_comes_back_from_a_layer_by_whatever_copy(raw: str, data: st.DataObject) -> None:
    """The user's copy may be in another normal form and with other line ends; offsets are those of NFC and LF."""
    text = strings.normalise(raw).text
    cuts = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 40))
    spans = [[a, min(a + n, len(text))] for a, n in data.draw(st.lists(cuts, min_size=1, max_size=5))]
    statements = [{"id": f"s{i}", "content": [span]} for i, span in enumerate(spans)]
    original = {"id": "a", "story": "b", "text": text, "statements": statements}
    layer = json.loads(json.dumps(layers.dehydrate(original)))
    for copy in (text, unicodedata.normalize("NFD", text), text.replace("\n", "\r\n")):
        found, statuses = layers.place(layer, layers.Copy("copy.txt", strings.normalise(copy).text))
        assert found == original | {"tier": "layer"}
        assert set(statuses.values()) == {"exact"}


# -- order, and what is added ----------------------------------------------------------------------------------

STORIES = 5


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Five stories of two articles each, as lines of a bulk file, the story's first."""
    out = tmp_path_factory.mktemp("lines")
    assert cli.main(["convert", str(VISIT), "--to", "json", "--out", str(out)]) == cli.CLEAN
    story, article = (out / "articles.jsonl").read_text("utf-8").splitlines(keepends=True)
    second = article.replace('"id":"gazette"', '"id":"herald"', 1)
    return [[one.replace('"visit"', f'"visit-{i}"') for one in (story, article, second)] for i in range(STORIES)]


def fingerprints(source: Path, out: Path) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    report = build.build([source], out)
    assert report.manifest is not None, report.findings
    return dict(report.manifest["configs"])


def laid(folder: Path, stories: list[list[str]], cuts: list[int]) -> Path:
    """Stories as bulk files, a new one begun where it is cut."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, story in enumerate(stories):
        file = sum(cut <= number for cut in cuts)
        with open(folder / f"{file}.jsonl", "a", encoding="utf-8") as stream:
            stream.writelines(story)
    return folder


@given(st.permutations(range(STORIES)), st.sets(st.integers(1, STORIES - 1)), st.randoms(use_true_random=False))
@settings(drawn, max_examples=15)
def test_neither_order_nor_files_nor_listing_nor_shards_change_a_row(
    lines: list[list[str]], tmp_path: Path, order: list[int], cuts: set[int], chance: random.Random
) -> None:
    whole = fingerprints(laid(tmp_path / "whole", lines, []), tmp_path / "one")
    listed = os.listdir

    def shuffled(path: Any = ".") -> list[str]:
        names = sorted(listed(path))
        chance.shuffle(names)
        return names

    parted = laid(tmp_path / "parted", [lines[i] for i in order], sorted(cuts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SHARD_DOCUMENTS", chance.randint(1, 4))
        plain = fingerprints(parted, tmp_path / "plain")
        patch.setattr(os, "listdir", shuffled)
        assert fingerprints(parted, tmp_path / "other") == plain
    assert rows_of(tmp_path / "other") == rows_of(tmp_path / "one")
    assert set(plain) == set(whole)


def rows_of(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of every configuration and split, by id, however many files they stand in."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(out.glob("data/*/*.parquet")):
        rows = found.setdefault(f"{file.parent.name}/{file.stem.split('-')[0]}", [])
        rows += pq.read_table(file).to_pylist()
    return {name: sorted(rows, key=lambda row: str(row["id"])) for name, rows in found.items()}


@given(st.sets(st.integers(0, STORIES - 1), min_size=1), st.booleans())
@settings(drawn, max_examples=15)
def test_adding_an_article_or_a_story_moves_no_other(
    lines: list[list[str]], tmp_path: Path, present: set[int], whole_story: bool
) -> None:
    """What was there keeps its split and its rows; what is new goes where its story is."""
    few = [lines[i] if whole_story else lines[i][:2] for i in sorted(present)]
    more = lines if whole_story else [lines[i] for i in sorted(present)]
    fingerprints(laid(tmp_path / "few", few, []), tmp_path / "old")
    fingerprints(laid(tmp_path / "more", more, []), tmp_path / "new")
    old, new = rows_of(tmp_path / "old"), rows_of(tmp_path / "new")
    for name, rows in old.items():
        there = {row["id"]: row for row in new[name]}
        assert all(there[row["id"]] == row for row in rows), name
    split_of: dict[str, set[str]] = {}
    for name, rows in new.items():
        for row in rows if name.startswith("articles/") else ():
            split_of.setdefault(row["story"], set()).add(name)
    assert split_of and all(len(splits) == 1 for splits in split_of.values()), "a story stands in one split"


def test_more_workers_write_the_same_bytes(lines: list[list[str]], tmp_path: Path) -> None:
    source = laid(tmp_path / "in", lines, [1, 2, 3])
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "POOL_BYTES", 0)
        patch.setattr(build, "SHARD_DOCUMENTS", 1)
        for workers in (1, 2, 3):
            report = build.build([source], tmp_path / f"{workers}", workers=workers)
            assert report.manifest is not None, report.findings
            found.append((tmp_path / f"{workers}" / tables.MANIFEST).read_bytes())
    assert found[0] == found[1] == found[2]
