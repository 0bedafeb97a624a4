"""Our own form: what a file may hold, what it means, and that it comes back as it was."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord import check, cli, formats, tables
from onrecord.formats import brat, files, own
from onrecord.model import Finding, Unusable

VISIT = Path(__file__).parent / "cases/valid/visit"
STORY = '{"id": "tram", "targets": []}'
ARTICLE = '{"id": "wire", "story": "tram", "statements": [{"id": "s1", "quote": "[[Trams stand still]]"}]}'
TEXT = "@headline Trams stand still\nNobody would say why.\n"


def tram(
    folder: Path, *, story: str | bytes = STORY, article: str | bytes = ARTICLE, text: str | bytes = TEXT
) -> Path:
    """A folder with one story of one article."""
    made = folder / "tram"
    made.mkdir()
    for name, content in {"story.json": story, "wire.json": article, "wire.txt": text}.items():
        (made / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return made


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The rules that `onrecord check` names, sorted; none where it is clean."""
    code = cli.main(["check", str(folder)])
    lines = capsys.readouterr().out.splitlines()[:-1]
    assert all(str(folder) in line for line in lines), "every finding has an address"
    assert code == (cli.ERRORS if any(line.startswith("error") for line in lines) else cli.WARNINGS if lines else 0)
    return sorted({line.rsplit(" ", 1)[1].rstrip("]") for line in lines})


@given(
    st.lists(st.text('[]{}\\",a') | st.just('\\"[' * 60), max_size=5),
    st.sampled_from(["[", '{"":', '[{"":', '{"":[']),
    st.integers(80, 220),
)
def test_depth_is_of_brackets_outside_of_strings(inside: list[str], opening: str, depth: int) -> None:
    flat = json.dumps([*inside, "[" * 101])
    assert own.parse_value(flat, "-") == [*inside, "[" * 101]
    opened = re.findall(r'\[|{"":', opening * depth)[: depth - 1]
    nested = "".join(opened) + flat + "".join("]" if one == "[" else "}" for one in reversed(opened))
    with pytest.raises(Unusable, match="nests deeper") if depth > 100 else contextlib.nullcontext():
        own.parse_value(nested, "-")


def span(content: str) -> str:
    return ARTICLE.replace('"quote": "[[Trams stand still]]"', f'"content": {content}')


def test_the_form_itself_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tram(tmp_path), capsys) == []


@pytest.mark.parametrize(
    "article, rule",
    [
        ("", "empty-file"),
        (" ", "json-syntax"),
        (ARTICLE[:40], "json-syntax"),
        (ARTICLE + ARTICLE, "json-syntax"),
        ("[]", "not-an-object"),
        ("null", "not-an-object"),
        ("[" * 100_000, "too-deep"),
        ('{"a":' * 100_000, "too-deep"),
        (ARTICLE.replace("{", "{" + '"x": ' + "[" * 90 + "]" * 90 + ", ", 1), "unknown-field"),
        ('{"id": "wire", "id": "wire"}', "duplicate-key"),
        (ARTICLE.encode("utf-16"), "not-utf8"),
        (ARTICLE.encode("utf-16-le"), "nul-character"),
        (ARTICLE.replace("s1", "é").encode("latin-1"), "not-utf8"),
        (ARTICLE.replace("s1", "é").encode()[:-80], "json-syntax"),
        (b"\xef\xbb\xbf" + ARTICLE.encode(), "byte-order-mark"),
        (ARTICLE.replace(", ", ",\r\n"), "carriage-return"),
        (ARTICLE.replace("s1", "\0"), "nul-character"),
        (span("[[0, NaN]]"), "not-an-integer"),
        (span("[[0, Infinity]]"), "not-an-integer"),
        (span("[[0, 1e400]]"), "not-an-integer"),
        (span("[[0, 5.0]]"), "not-an-integer"),
        (span(f"[[0, {'9' * 5000}]]"), "not-an-integer"),
        (span("[[0, 1000000000000000]]"), "not-an-integer"),
        (span("[[0, 999999999999999]]"), "bad-value"),
        (span("[[0, 900]]"), "span-out-of-bounds"),
        (span("[[5, 0]]"), "span-empty"),
        (span("[[5, 5]]"), "span-empty"),
        (span("[[0, 5], [3, 9]]"), "spans-overlap"),
        (span("[[-1, 5]]"), "bad-value"),
        (span("[[true, 5]]"), "wrong-type"),
        (span('"0-5"'), "wrong-type"),
        (span("[[0, 5, 9]]"), "bad-value"),
        (span("[0, 5]"), "wrong-type"),
        (span("[]"), "bad-value"),
        (span("null"), "wrong-type"),
        (ARTICLE.replace("s1", r"\ud800"), "lone-surrogate"),
        (ARTICLE.replace('"s1"', r'"s1", "\udc00": 1'), "lone-surrogate"),
        (ARTICLE.replace('"s1"', '"../s1"'), "bad-value"),
        (ARTICLE.replace('"s1"', r'"s1\n"'), "bad-value"),
        (ARTICLE.replace('"wire"', r'"wire\n"'), "bad-value"),
        (ARTICLE.replace('"wire"', "7"), "wrong-type"),
        (ARTICLE.replace('"wire"', '"wires"'), "name-differs"),
        (ARTICLE.replace('"tram"', '"trams"'), "article-without-story"),
        (ARTICLE.replace("{", '{"published": "2025-02-30", ', 1), "impossible-date"),
        (ARTICLE.replace("{", '{"published": "0000-01-01", ', 1), "impossible-date"),
        (ARTICLE.replace("{", '{"published": "2025-13-01", ', 1), "bad-value"),
        (ARTICLE.replace("{", r'{"published": "2025-10-12\n", ', 1), "bad-value"),
        (ARTICLE.replace("{", '{"published": "２０２５-10-12", ', 1), "bad-value"),
        (ARTICLE.replace("{", '{"license": "e\u0301", ', 1), "not-normal"),
        (ARTICLE.replace("{", r'{"license": "CC\u0000", ', 1), "control-character"),
        (ARTICLE.replace("[[Trams stand still]]", "[[Trams stand]"), "quote-marks-unpaired"),
        (ARTICLE.replace("[[Trams stand still]]", "[[trams stand still]]"), "quote-not-found"),
        (ARTICLE.replace("[[Trams stand still]]", "[[s]]"), "quote-not-unique"),
        (ARTICLE.replace("[[Trams stand still]]", "[[]]Trams"), "quote-without-content"),
    ],
)  # fmt: skip
def test_a_bad_annotation_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], article: str | bytes, rule: str
) -> None:
    folder = tram(tmp_path, article=article)
    found = told(folder, capsys)
    assert rule in found
    assert set(found) <= {rule, "name-differs"}


@pytest.mark.parametrize(
    "text, rule",
    [
        (b"", "empty-file"),
        ("\n\n", "blank-text"),
        (TEXT.encode("utf-16"), "not-utf8"),
        (TEXT.encode()[:30] + b"\xe2\x80", "not-utf8"),
        (TEXT.replace("Nobody", "José").encode("latin-1"), "not-utf8"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "byte-order-mark"),
        (TEXT.replace("\n", "\r\n"), "carriage-return"),
        (TEXT.replace("\n", "\r"), "carriage-return"),
        (TEXT.replace("Nobody", "No\0body"), "nul-character"),
        (TEXT.replace("Nobody", "Jose\u0301"), "not-normal"),
        (TEXT.replace("Nobody", "\u0340"), "not-normal"),
        (TEXT.replace("Nobody", "No\u2028body"), "control-character"),
        (TEXT.replace("Nobody", "No\ufeffbody"), "control-character"),
        (TEXT.replace("Nobody", "No\x0cbody"), "control-character"),
        (TEXT.replace("Nobody", "No\U0001fae9body"), "unassigned-character"),
        (TEXT.replace("@headline", "@healdine"), "unknown-zone"),
        (TEXT.replace("Nobody", "@mayor nobody"), "unknown-zone"),
        (TEXT.replace("Nobody", "@lead\n"), "unknown-zone"),
    ],
)  # fmt: skip
def test_a_bad_text_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | bytes, rule: str
) -> None:
    article = ARTICLE.replace('{"id": "s1", "quote": "[[Trams stand still]]"}', "")
    assert told(tram(tmp_path, text=text, article=article), capsys) == [rule]


@pytest.mark.parametrize("story", ["", "[]", STORY[:9], "{}", '{"id": "tram"}', '{"id": "tram", "targets": {}}'])
def test_a_bad_story_is_a_finding_and_its_articles_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], story: str
) -> None:
    found = told(tram(tmp_path, story=story), capsys)
    assert "article-without-story" in found
    assert len(found) == 2


@pytest.mark.parametrize(
    "name, content, rules",
    [
        ("splits.csv", b"", ["empty-file"]),
        ("splits.csv", b"\xff\xfes", ["not-utf8"]),
        ("splits.csv", b"\xef\xbb\xbfstory,split,added\n", ["byte-order-mark"]),
        ("splits.csv", b"story,split,added\r\ntram,test,0.1.0\r\n", ["carriage-return"]),
        ("splits.csv", b"story;split;added\n", ["split-unreadable"]),
        ("splits.csv", b"story,split,added,why\n", ["split-unreadable"]),
        ("splits.csv", b"story,split,added\ntram\n", ["split-unreadable"]),
        ("splits.csv", b"story,split,added\n,test,0.1.0\n", ["split-unreadable"]),
        ("splits.csv", b"story,split,added\ntram,tset,0.1.0\n", ["split-unreadable"]),
        ("splits.csv", b"story,split,added\ntram,test,soon\n", ["split-unreadable"]),
        ("splits.csv", b"story,split,added\ntram,test,0.1.0\ntram,test,0.1.0\n", ["split-unreadable"]),
        ("splits.csv", b'story,split,added\n"tram,test,0.1.0\n', ["split-unreadable"]),
        ("splits.csv", b"story,split,added\n", ["split-missing"]),
        ("splits.csv", b"story,split,added\ntram,test,0.1.0\ncab,test,0.1.0\n", ["split-stranger"]),
        ("annotators.json", b"", ["empty-file"]),
        ("annotators.json", b"[]", ["not-an-object"]),
        ("annotators.json", b'{"pass-a": "model"}', ["wrong-type"]),
        ("annotators.json", b'{"pass-a": {}}', ["missing-field"]),
        ("annotators.json", b'{"pass-a": {"kind": "Modell"}}', ["unknown-label"]),
        ("annotators.json", b'{"pass-a": {"kind": "model", "knd": 1}}', ["unknown-field"]),
        ("annotators.json", b'{"Pass A": {"kind": "model"}}', ["bad-value"]),
        ("gates.json", b"7", ["incomplete", "not-an-object"]),
        ("gates.json", b'{"stance-shares": {"least": 4}}', ["incomplete", "unknown-field"]),
        ("gates.json", b'{"stance-share": 4}', ["incomplete", "wrong-type"]),
        ("gates.json", b'{"stance-share": {"least": 0.04}}', ["incomplete", "not-an-integer"]),
        ("gates.json", b'{"stance-share": {"least": -4}}', ["bad-value", "incomplete"]),
        ("gates.json", b'{"stance-share": {}}', ["bad-value", "incomplete"]),
        ("gates.json", b'{"stance-share": {"at_least": 4}}', ["incomplete", "unknown-field"]),
    ],
)  # fmt: skip
def test_a_bad_file_beside_the_stories_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, rules: list[str]
) -> None:
    tram(tmp_path)
    (tmp_path / name).write_bytes(content)
    assert told(tmp_path, capsys) == rules


@pytest.mark.parametrize("name", ["splits.csv", "annotators.json", "gates.json"])
def test_a_folder_or_a_dangling_link_in_the_place_of_a_file_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    tram(tmp_path)
    (tmp_path / name).symlink_to("nowhere")
    assert "unreadable" in told(tmp_path, capsys)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert "unreadable" in told(tmp_path, capsys)


# -- folders ---------------------------------------------------------------------------------------------------


def test_what_is_no_input_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path / "nothing", capsys) == ["unreadable"]
    (empty := tmp_path / "empty").mkdir()
    assert told(empty, capsys) == ["empty-input"]
    (link := tmp_path / "link").symlink_to("nowhere")
    assert told(link, capsys) == ["unreadable"]
    (text := tmp_path / "notes.md").write_text("Trams")
    assert told(text, capsys) == ["not-a-file"]
    (lines := tmp_path / "none.jsonl").write_text("")
    assert told(lines, capsys) == ["empty-file"]
    lines.write_text("\n \n", "utf-8")
    assert told(lines, capsys) == ["empty-file"]
    (named := tmp_path / "x.json").mkdir()
    assert told(named, capsys) == ["not-a-file"]


def test_a_folder_among_the_articles_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tram(tmp_path)
    (folder / "tabloid.json").mkdir()
    assert told(folder, capsys) == ["unreadable"]


@pytest.mark.security("hostile input")
def test_a_link_to_a_folder_above_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tram(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert told(tmp_path, capsys) == ["unreadable"]


@pytest.mark.security("hostile input")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tram(tmp_path)
    (folder / "wire.txt").unlink()
    os.mkfifo(folder / "wire.txt")
    assert told(folder, capsys) == ["unreadable"]


@pytest.mark.skipif(os.name == "nt", reason="names are text on this system")
def test_a_name_that_is_no_text_is_printed_all_the_same(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = tram(tmp_path)
    os.rename(os.fsencode(folder / "wire.txt"), os.fsencode(folder) + b"/caf\xe9.txt")
    assert cli.main(["check", str(folder)]) == cli.ERRORS
    assert b"caf\\udce9.txt" in capsysbinary.readouterr().out


def test_a_story_is_found_by_whatever_path_leads_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tram(tmp_path))
    for path in (".", "wire.json", "../tram", str(tmp_path)):
        assert cli.main(["check", path]) == cli.CLEAN, capsys.readouterr().out


def test_one_id_in_two_inputs_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tram(tmp_path / name)
    assert cli.main(["check", str(tmp_path / "one"), str(tmp_path / "two")]) == cli.ERRORS
    said = capsys.readouterr().out
    assert f"two/tram/story.json: $.id: 'tram' is the id of {tmp_path}/one/tram/story.json too" in said


# -- bounds ----------------------------------------------------------------------------------------------------


@pytest.mark.security("hostile input")
def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "LARGEST", 60)
    assert told(tram(tmp_path), capsys) == ["too-large"]


@pytest.mark.security("hostile input")
def test_a_line_that_is_too_long_is_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(own, "LONGEST_LINE", 1000)
    lines = tmp_path / "articles.jsonl"
    lines.write_text(f'{STORY}\n{{"id": "wire", "text": "{"Trams. " * 500}"}}\n{STORY.replace("tram", "cab")}\n')
    assert told(lines, capsys) == ["line-too-long"]


@pytest.mark.security("hostile input")
def test_a_text_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brat, "LONGEST_TEXT", 20)
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "a.ann").write_text("")
    (unit,) = formats.find([tmp_path])[0]
    assert [found.rule for found in formats.read(unit) if isinstance(found, Finding)] == ["text-too-long"]


# -- JSON ------------------------------------------------------------------------------------------------------


@pytest.mark.security("any input")
@given(st.text(alphabet='{}[]",:\\u0019daefnrtlsE.-+ \n', max_size=60))
def test_no_json_makes_a_traceback(text: str) -> None:
    with contextlib.suppress(Unusable):
        assert isinstance(own.parse_json(text, "x.json"), dict)


def test_a_fault_is_addressed_by_its_path() -> None:
    with pytest.raises(Unusable, match=r"x.json: \$\.a\[1\]\['b c'\]: is 1.5"):
        own.parse_json('{"a": [0, {"b c": 1.5}]}', "x.json")


# -- texts and zones -------------------------------------------------------------------------------------------


def test_prefixes_give_zones_and_are_stripped() -> None:
    assert own.parse_text("@headline Trams\n@lede A\nB\n@body @mayor C\n", "x") == (
        "Trams\nA\nB\n@mayor C",
        [[0, 5, "headline"], [6, 7, "lede"]],
    )


@pytest.mark.security("any input")
@given(st.text(alphabet="ab@é lede\n", min_size=1))
def test_a_text_without_zones_comes_back(text: str) -> None:
    article = check.article_of({"id": "a", "story": "a", "text": text, "statements": []})
    assert own.parse_text(own.write_text(article), "x") == (text, [])


def test_what_is_converted_reads_as_it_was(tmp_path: Path) -> None:
    assert cli.main(["convert", str(VISIT), "--to", "json", "--out", str(tmp_path / "a")]) == cli.CLEAN
    (bulk,) = (tmp_path / "a").rglob("*.jsonl")
    again = [admitted for unit in formats.find([bulk])[0] for admitted in check.admit(formats.read(unit))]
    before = [admitted for unit in formats.find([VISIT])[0] for admitted in check.admit(formats.read(unit))]
    assert [a.story for a in again] == [a.story for a in before]
    assert [a.articles for a in again] == [a.articles for a in before]


def corpus_with_a_pass(folder: Path, quote: str, *, annotator: str = "second") -> None:
    (folder / "stories").mkdir()
    tram(folder / "stories")
    (folder / "passes/second/tram").mkdir(parents=True)
    statement = f'{{"id": "s1", "quote": "{quote}"}}'
    made = f'{{"id": "wire", "story": "tram", "annotator": "{annotator}", "statements": [{statement}]}}'
    (folder / "passes/second/tram/wire.json").write_text(made)


def test_a_segmentation_pass_beside_the_stories_is_kept_and_is_not_gold(tmp_path: Path) -> None:
    corpus_with_a_pass(tmp_path, "[[Nobody would say why]]")
    (unit,), _ = formats.find([tmp_path])
    (admitted,) = check.admit(formats.read(unit))
    (article,) = admitted.articles
    assert not admitted.findings
    assert {name: len(found) for name, found in article.passes.items()} == {"second": 1}
    assert [statement.content[0].start for statement in article.statements] == [0]
    assert "passes/second/tram/wire.json" in unit.names, "its bytes are in the manifest"


@pytest.mark.parametrize(
    "quote, annotator, expected",
    [
        ("[[Everybody]]", "second", 'wire.json: $.statements[0]: "Everybody" is not in the text'),
        ("[[Nobody would say why]]", "third", "wire.json: $.id: 'third' stands under the name 'second'"),
    ],
)
def test_what_is_wrong_in_a_pass_is_addressed_in_its_own_file(
    quote: str, annotator: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus_with_a_pass(tmp_path, quote, annotator=annotator)
    assert cli.main(["check", str(tmp_path)]) == cli.ERRORS
    assert f"passes/second/tram/{expected}" in capsys.readouterr().out


def test_a_pass_over_no_article_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus_with_a_pass(tmp_path, "[[Nobody would say why]]")
    (tmp_path / "passes/second/tram/wire.json").rename(tmp_path / "passes/second/tram/wier.json")
    assert told(tmp_path, capsys) == ["missing-text"]


def test_a_build_counts_how_far_a_pass_found_the_inventory(tmp_path: Path) -> None:
    corpus_with_a_pass(tmp_path, "[[Trams]] stand still")
    assert cli.main(["build", str(tmp_path), "--out", str(tmp_path / "out")]) == cli.CLEAN
    overlap = round(1_000_000 * 2 * len("Trams") / (len("Trams") + len("Trams stand still")))
    assert tables.read_manifest(tmp_path / "out")["counts"]["spans"] == {
        "second": {"articles": 1, "exact": 0, "inventory": 1, "overlap": overlap, "pass": 1}
    }
