"""brat: what people and PolNeAR annotate in it arrives as our own form, and what we write comes back."""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onrecord import check, formats, model
from onrecord.formats import brat, own
from onrecord.formats.files import Unit
from onrecord.model import (
    Article,
    Document,
    Excluded,
    Finding,
    Holder,
    Pair,
    Span,
    Statement,
    Story,
    Target,
    Zone,
)

TEXT = "Harbour to close, union says\nThe 🎺 band will play on. “Nobody asked us,” Ada Wells told Radio Calder.\n"
POLNEAR = "ONRECORD_CORPORA"

# -- a folder as an annotator leaves it ------------------------------------------------------------------------


def span(name: str, kind: str, words: str, text: str = TEXT) -> str:
    """A T line on the first occurrence of some words; `…` parts the fragments of one in several pieces."""
    places, quoted, at = [], [], 0
    for piece in words.split("…"):
        at = text.index(piece, at)
        places.append(f"{at} {at + len(piece)}")
        quoted.append(piece.replace("\n", " "))
        at += len(piece)
    return f"{name}\t{kind} {';'.join(places)}\t{' '.join(quoted)}"


ATTRIBUTION = (
    span("T1", "Source", "Ada Wells"),
    span("T2", "Cue", "told Radio Calder"),
    span("T3", "Content", "Nobody asked us,"),
    span("T4", "Attribution", "told Radio Calder"),
    "E1\tAttribution:T4 Content:T3 Cue:T2 Source:T1",
)


def put(folder: Path, *lines: str, text: str | bytes = TEXT, name: str = "harbour", ann: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / f"{ann or name}.ann").write_bytes("".join(f"{line}\n" for line in lines).encode())
    return folder


def found(*inputs: Path) -> tuple[list[Unit], list[Finding]]:
    return formats.find(inputs)


def documents(*inputs: Path) -> list[Document]:
    """What an input without faults in its files holds."""
    units, findings = found(*inputs)
    assert [f for f in findings if f.severity == "error"] == []
    read = [document for unit in units for document in formats.read(unit)]
    assert all(isinstance(document, Document) for document in read), read
    return [document for document in read if isinstance(document, Document)]


def article(*inputs: Path) -> Document:
    (document,) = (document for document in documents(*inputs) if document.kind == "article")
    return document


def words(document: Document, role: str, statement: int = 0) -> list[str]:
    return [document.data["text"][a:b] for a, b in document.data["statements"][statement].get(role, ())]


def rules(findings: Any) -> list[str]:
    return [finding.rule for finding in findings]


# -- files -----------------------------------------------------------------------------------------------------


def test_a_text_becomes_a_story_of_its_own_and_its_article(tmp_path):
    story, harbour = documents(put(tmp_path, *ATTRIBUTION, name="Harbour_Closes"))
    assert story.data == {"id": "harbour-closes", "targets": []}
    assert harbour.data == {
        "id": "harbour-closes",
        "story": "harbour-closes",
        "origin": "Harbour_Closes",
        "text": TEXT,
        "statements": [
            {"id": "e1", "content": [[55, 71]], "cue": [[83, 100]], "source": [[73, 82]]},
        ],
    }
    assert harbour.imported
    assert list(harbour.findings) == []
    assert harbour.left_out == {}


def test_it_is_admitted(tmp_path):
    (admitted,) = check.admit(documents(put(tmp_path, *ATTRIBUTION)))
    assert [f for f in admitted.findings if f.severity == "error"] == []
    assert admitted.articles[0].statements[0].source == (Span(73, 82),)


def test_texts_may_stand_in_a_sibling_folder(tmp_path):
    put(tmp_path / "attributions", *ATTRIBUTION)
    (tmp_path / "text").mkdir()
    (tmp_path / "attributions" / "harbour.txt").rename(tmp_path / "text" / "harbour.txt")
    for given_input in (tmp_path, tmp_path / "attributions", tmp_path / "attributions" / "harbour.ann"):
        (unit,) = found(given_input)[0]
        assert sorted(name.split("/")[-1] for name in unit.names) == ["harbour.ann", "harbour.txt"]
        assert article(given_input).data["text"] == TEXT


def test_the_input_may_be_the_folder_where_one_stands(tmp_path, monkeypatch):
    put(tmp_path / "attributions", *ATTRIBUTION)
    (tmp_path / "text").mkdir()
    (tmp_path / "attributions" / "harbour.txt").rename(tmp_path / "text" / "harbour.txt")
    monkeypatch.chdir(tmp_path / "attributions")
    (unit,) = found(Path())[0]
    assert unit.names == ("../text/harbour.txt", "harbour.ann")
    assert article(Path()).data["id"] == "harbour"


@pytest.mark.parametrize("ending", ["_bo", "-Bo", ".bo", " bo", "__BO__"])
def test_what_the_text_leaves_of_a_name_is_the_annotator(tmp_path, ending):
    assert article(put(tmp_path, *ATTRIBUTION, ann=f"harbour{ending}")).data["annotator"] == "bo"


def test_the_longest_text_that_begins_the_name_is_meant(tmp_path):
    put(tmp_path, *ATTRIBUTION, name="harbour")
    put(tmp_path, *ATTRIBUTION, name="harbour_2", ann="harbour_2_bo")
    assert [d.data.get("annotator") for d in documents(tmp_path) if d.kind == "article"] == [None, "bo"]


def test_a_name_is_not_cut_within_a_word(tmp_path):
    put(tmp_path, *ATTRIBUTION, name="page1", ann="page10")
    units, findings = found(tmp_path)
    assert units == []
    assert sorted(rules(findings)) == ["annotation-without-text", "text-without-annotation"]


def test_an_annotation_without_a_text_is_an_error_with_its_address(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    (tmp_path / "lost.ann").write_text("")
    (finding,) = found(tmp_path)[1]
    assert (finding.rule, finding.severity) == ("annotation-without-text", "error")
    assert str(finding).startswith(f"{tmp_path}/lost.ann: no text")


def test_a_text_without_annotation_is_told_not_read(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    (tmp_path / "README.txt").write_text("How this was made.")
    units, (finding,) = found(tmp_path)
    assert len(units) == 1
    assert (finding.rule, finding.severity) == ("text-without-annotation", "warning")


def test_an_empty_ann_is_a_text_nobody_has_annotated_yet(tmp_path):
    assert article(put(tmp_path)).data["statements"] == []


def test_the_unnamed_annotator_is_primary_else_the_first_by_name(tmp_path):
    put(tmp_path / "a", *ATTRIBUTION, ann="harbour_zoe")
    put(tmp_path / "a", ann="harbour_amy")
    named = article(tmp_path / "a")
    assert (named.data["annotator"], named.data["statements"]) == ("amy", [])
    assert [s["id"] for s in named.data["passes"]["zoe"]] == ["e1"]
    assert named.passes_from["zoe"].endswith("harbour_zoe.ann")
    put(tmp_path / "a", *ATTRIBUTION)
    unnamed = article(tmp_path / "a")
    assert "annotator" not in unnamed.data
    assert sorted(unnamed.data["passes"]) == ["amy", "zoe"]


def test_two_files_of_one_annotator_are_an_error(tmp_path):
    put(tmp_path, ann="harbour_Bo")
    put(tmp_path, ann="harbour-bo")
    (unit,) = found(tmp_path)[0]
    (finding,) = formats.read(unit)
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.severity) == ("same-annotator", "error")


def test_texts_whose_ids_are_the_same_are_reported_not_merged(tmp_path):
    put(tmp_path, name="harbour closes")
    put(tmp_path, name="Harbour-closes")
    units, (finding,) = found(tmp_path)
    assert len(units) == 1
    assert (finding.rule, finding.severity) == ("same-article", "error")


@pytest.mark.parametrize("name", ["ميناء", "x" * 200, "-", "🎺"])
def test_any_name_becomes_an_id(name):
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,127}", brat.slug(name))
    assert brat.slug(name) != brat.slug(name + "y")


def test_a_name_typed_in_two_unicode_forms_is_one_id():
    assert brat.slug("Hafenstra\u00dfe-caf\u00e9") == brat.slug("Hafenstra\u00dfe-cafe\u0301")


def test_a_pipe_is_no_annotation(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    os.mkfifo(tmp_path / "harbour_bo.ann")
    units, (finding,) = found(tmp_path)
    assert len(units) == 1
    assert (finding.rule, finding.severity) == ("unreadable", "error")


def test_an_unusable_file_is_an_error_and_the_next_unit_is_read(tmp_path):
    put(tmp_path, *ATTRIBUTION, text=b"caf\xe9", name="a")
    put(tmp_path, *ATTRIBUTION, name="b")
    units, _ = found(tmp_path)
    (bad,), (_, good) = (list(formats.read(unit)) for unit in units)
    assert (bad.rule, bad.severity) == ("not-utf8", "error")
    assert good.kind == "article"


# -- offsets ---------------------------------------------------------------------------------------------------


def test_offsets_count_code_points(tmp_path):
    document = article(put(tmp_path, span("T1", "Content", "will play"), "E1\tSaying:T1 Content:T1"))
    assert words(document, "content") == ["will play"]


def test_text_in_nfd_is_normalised_and_offsets_follow(tmp_path):
    text = unicodedata.normalize("NFD", "Café owners and Zoë Müller said no.")
    lines = (
        span("T1", "Source", unicodedata.normalize("NFD", "Zoë Müller"), text),
        span("T2", "Content", "no", text),
        "E1\tAttribution:T1 Source:T1 Content:T2",
    )
    document = article(put(tmp_path, *lines, text=text))
    assert document.data["text"] == unicodedata.normalize("NFC", text)
    assert (words(document, "source"), words(document, "content")) == (["Zoë Müller"], ["no"])
    assert list(document.findings) == []


@pytest.mark.parametrize("counted", [False, True], ids=["CR LF counts one", "CR LF counts two"])
@pytest.mark.parametrize("marked", [False, True], ids=["mark counts nothing", "mark counts one"])
def test_offsets_are_taken_as_the_tool_counted_them(tmp_path, counted, marked):
    stored = TEXT.replace("\n", "\r\n")
    seen = ("\ufeff" if marked else "") + (stored if counted else TEXT)
    lines = [
        span("T1", "Content", "Nobody asked us,", seen),
        span("T2", "Source", "Ada Wells", seen),
        "E1\tAttribution:T1 Source:T2 Content:T1",
    ]
    folder = put(tmp_path, *lines, text=b"\xef\xbb\xbf" + stored.encode())
    (folder / "harbour.ann").write_text("\r\n".join(lines), newline="")
    document = article(folder)
    assert document.data["text"] == TEXT
    assert (words(document, "content"), words(document, "source")) == (["Nobody asked us,"], ["Ada Wells"])
    assert list(document.findings) == []


def test_offsets_are_trusted_over_the_quoted_text(tmp_path):
    lines = ("T1\tContent 0 7\tAirport", "E1\tAttribution:T1 Content:T1")
    document = article(put(tmp_path, *lines))
    assert words(document, "content") == ["Harbour"]
    assert document.left_out == {}
    (finding,) = document.findings
    assert (finding.rule, finding.where) == ("quoted-text-differs", "line 1")
    assert "T1 quotes 'Airport', there stands 'Harbour'" in finding.what


def test_a_fragment_that_normal_form_swallows_is_unusable(tmp_path):
    lines = ("T1\tContent 4 5\t\u0301", "E1\tAttribution:T1 Content:T1")
    document = article(put(tmp_path, *lines, text="Cafe\u0301 owners said no."))
    assert document.data["statements"] == []
    assert document.left_out == {"unusable-span": 1, "dangling-annotation": 1}


# -- statements ------------------------------------------------------------------------------------------------


def test_discontinuous_spans_and_repeated_roles_are_fragments_in_text_order(tmp_path):
    lines = (
        span("T1", "Content", "Nobody…us,"),
        span("T2", "Content", "The…play on"),
        span("T3", "Cue", "told"),
        "E1\tAttribution:T3 Content:T1 Cue:T3 Content2:T2",
    )
    document = article(put(tmp_path, *lines))
    assert words(document, "content") == ["The", "play on", "Nobody", "us,"]


def test_fragments_may_be_listed_in_any_order(tmp_path):
    lines = ("T1\tContent 62 67;55 61\tasked Nobody", "E1\tAttribution:T1 Content:T1")
    document = article(put(tmp_path, *lines))
    assert words(document, "content") == ["Nobody", "asked"]
    assert list(document.findings) == []


def test_a_source_or_cue_that_is_missing_stays_missing(tmp_path):
    document = article(put(tmp_path, ATTRIBUTION[2], "E7\tAttribution-no-source:T3 Content:T3 "))
    assert document.data["statements"] == [{"id": "e7", "content": [[55, 71]]}]


def test_statements_may_nest_in_each_other(tmp_path):
    lines = (
        *ATTRIBUTION,
        span("T5", "Content", "“Nobody asked us,” Ada Wells told Radio Calder"),
        "E2\tAttribution:T5 Content:T5",
    )
    outer, inner = (article(put(tmp_path, *lines)).data["statements"][i]["content"][0] for i in (1, 0))
    assert outer[0] < inner[0] < inner[1] < outer[1]


def test_quoted_text_may_run_over_line_ends(tmp_path):
    quoted = "Harbour to close, union says\nThe 🎺 band"
    lines = (f"T1\tContent 0 {len(quoted)}\t{quoted}", "E1\tAttribution:T1 Content:T1", "", "band")
    document = article(put(tmp_path, *lines))
    assert words(document, "content") == [quoted]
    (finding,) = document.findings
    assert (finding.rule, finding.where) == ("not-an-annotation", "line 5")


def test_lines_end_at_line_feeds_alone(tmp_path):
    text = "One\u2028two said so."
    lines = ("T1\tContent 0 7\tOne\u2028two", "E1\tAttribution:T1 Content:T1")
    assert list(article(put(tmp_path, *lines, text=text)).findings) == []


WELLS = "T1\tSource 73 82\tAda Wells"
SAID = "T3\tContent 55 71\tNobody asked us,"
NAMED = '#1\tAnnotatorNotes E2\t{"id": "%s"}'
EVENT = "E1\tAttribution:T3 Content:T3 Source:T1"
UNUSABLE = [
    # the lines, the rule that each finding names, its line, and a word of what it says
    ([SAID, "E1\tAttribution:T3"], "event-without-content", 2, "E1 (Attribution) has none"),
    ([SAID, "E1\tAttribution:T3 content:T3"], "event-without-content", 2, "has none"),
    ([SAID, "E1\tAttribution:T3 Content:T9"], "dangling-annotation", 2, "E1 names T9"),
    ([SAID, "E1\tAttribution:T9 Content:T3"], "dangling-annotation", 2, "E1 names T9"),
    (["E1\tAttribution:E1 Content:E1"], "dangling-annotation", 1, "E1 names E1"),
    (["E1\tX:E2 Content:E2", "E2\tX:E1 Content:E1"], "dangling-annotation", 1, "E1 names E2"),
    ([SAID, "E1\tAttribution T3 Content:T3"], "not-an-annotation", 2, "E1"),
    ([SAID, "E1\t"], "not-an-annotation", 2, "E1"),
    (["T3\tContent 71 55\tNobody", EVENT], "unusable-span", 1, "ends before it starts"),
    (["T3\tContent 55 55\t", EVENT], "unusable-span", 1, "is empty"),
    (["T3\tContent 55 5500\tNobody", EVENT], "unusable-span", 1, "beyond the text's 102"),
    (["T3\tContent -3 5\tNobody", EVENT], "unusable-span", 1, "beyond"),
    (["T3\tContent 55 60;58 71\tNobody asked us,", EVENT], "unusable-span", 1, "overlaps"),
    (["T3\tContent 5.5 71\tNobody", EVENT], "not-an-annotation", 1, "T3"),
    ([f"T3\tContent 0 {'9' * 5000}\tNobody", EVENT], "not-an-annotation", 1, "T3"),
    ([SAID, WELLS, EVENT, EVENT], "repeated-annotation", 4, "E1 stands in line 3 already"),
    ([SAID, SAID, WELLS, EVENT], "repeated-annotation", 2, "T3 stands in line 1 already"),
    ([SAID, WELLS, EVENT, "E2\tX:T3 Content:T3", NAMED % "e1"], "repeated-annotation", 4, "'e1'"),
    ([SAID, "T4\tCue 62 67\tasked", "E1\tX:T3 Content:T3 Content2:T4"], "overlapping-spans", 3, "Content"),
    ([SAID, WELLS, EVENT, "Who wrote this?"], "not-an-annotation", 4, "'Who wrote this?'"),
    ([SAID, WELLS, EVENT, "X1\tSource 1 2\tx"], "not-an-annotation", 4, "X1"),
    ([SAID, WELLS, EVENT, "A1\tQuoteForm E1 whispered"], "unknown-value", 4, "'whispered' is no QuoteForm"),
    ([SAID, WELLS, EVENT, "A1\tQuoteForm E9 direct"], "dangling-annotation", 4, "E9"),
    ([SAID, WELLS, EVENT, "A1\tPolarity E1 negative"], "no-place-in-scheme", 4, "attribute Polarity"),
    ([SAID, WELLS, EVENT, "M1\tSpeculation E1"], "no-place-in-scheme", 4, "attribute Speculation"),
    ([SAID, WELLS, EVENT, "R1\tSame Arg1:T1 Arg2:T3"], "no-place-in-scheme", 4, "line of kind R Same"),
    ([SAID, WELLS, EVENT, "*\tEquiv T1 T3"], "no-place-in-scheme", 4, "line of kind * Equiv"),
    ([SAID, WELLS, EVENT, "N1\tReference T1 Wikidata:Q1\tAda"], "no-place-in-scheme", 4, "line of kind N"),
    ([SAID, WELLS, EVENT, "#1\tAnnotatorNotes E1\tIs this one?"], "no-place-in-scheme", 4, "note"),
    ([SAID, WELLS, EVENT, "#1\tAnnotatorNotes E8\tIs this one?"], "dangling-annotation", 4, "E8"),
    ([SAID, WELLS, "E1\tX:T3 Content:T3 Addressee:T1"], "no-place-in-scheme", 3, "role Addressee"),
    ([SAID, WELLS, EVENT, "E2\tX:T3 Content:T3 MentionOf:E7"], "dangling-mention", 4, "E2 names E7"),
    ([SAID, WELLS, "E1\tX:T3 Content:T3 MentionOf:E1"], "dangling-mention", 3, "E1 names E1"),
    ([SAID, WELLS, EVENT, '#1\tAnnotatorNotes E1\t{"holder": "Ada Wells"}'], "bad-note", 4, "'holder'"),
    ([SAID, WELLS, EVENT, '#1\tAnnotatorNotes E1\t{"speaker": "ada"}'], "bad-note", 4, "'speaker' is no field"),
    ([SAID, WELLS, EVENT, "#1\tAnnotatorNotes E1\t{holder: ada}"], "bad-note", 4, ""),
    ([SAID, WELLS, EVENT, "#1\tAnnotatorNotes E1\t" + '{"a":' * 500], "bad-note", 4, ""),
    ([SAID, "E1\tX:T3 Content:T3", "A1\tSourceType E1 official"], "attribute-without-holder", 2, "source_type"),
    ([SAID, WELLS, EVENT, "T9\tExcluded 0 7\tHarbour"], "excluded-without-reason", 4, "T9"),
    ([SAID, WELLS, EVENT, "T8\tLede 0 7\tHarbour", "T9\tBody 3 9\tbour t"], "overlapping-spans", 5, "T9"),
]  # fmt: skip


@pytest.mark.parametrize("lines,rule,line,says", UNUSABLE, ids=[f"{u[1]}-{i}" for i, u in enumerate(UNUSABLE)])
def test_what_cannot_be_used_is_left_out_with_its_line_and_reason(tmp_path, lines, rule, line, says):
    document = article(put(tmp_path, *lines))
    told = [f for f in document.findings if f.rule == rule]
    assert told, document.findings
    assert told[0].where == f"line {line}"
    assert told[0].file.endswith("harbour.ann")
    assert told[0].severity == "warning"
    assert says in told[0].what
    assert document.left_out[rule] == len(told)
    assert accounted(document, lines)


def accounted(document: Document, lines: list[str]) -> bool:
    """Whether each E line is a statement, or left out once with a reason that names it."""
    events = Counter(line.split("\t")[0] for line in lines if line.startswith("E"))
    kept = len(document.data["statements"])
    gone = [
        f for f in document.findings if re.search(r"\bE[0-9]+\b", f.what.split(" ")[0]) and f.rule in LOSES_EVENTS
    ]
    return kept + len({f.where for f in gone}) == sum(events.values())


LOSES_EVENTS = {
    "not-an-annotation", "repeated-annotation", "dangling-annotation", "event-without-content", "overlapping-spans",
    "unusable-stance", "incomplete-stances",
}  # fmt: skip


def test_a_fragment_named_twice_counts_once(tmp_path):
    document = article(put(tmp_path, SAID, "E1\tAttribution:T3 Content:T3 Content2:T3"))
    assert document.data["statements"] == [{"id": "e1", "content": [[55, 71]]}]
    assert rules(document.findings) == ["repeated-fragment"]
    assert document.left_out == {}


def test_spans_of_no_event_are_counted_by_type(tmp_path):
    lines = (*ATTRIBUTION, "T8\tDiscuss 0 7\tHarbour", "T9\tDiscuss 8 10\tto", "T10\tDiscard 0 3\tHar")
    document = article(put(tmp_path, *lines))
    assert document.left_out == {"no-place-in-scheme": 3}
    assert [f.what for f in document.findings] == [
        "span Discuss of no event, and 1 more of the kind",
        "span Discard of no event",
    ]


# -- the whole scheme, as people annotate it -------------------------------------------------------------------

TARGET = '"text": "The harbour board asked the union before it closed the harbour.", "kind": "factual"'
TARGETS = f'"story": {{"targets": [{{"id": "t-asked", {TARGET}}}]}}'
STORY_NOTE = (
    "T20\tArticle 0 28\tHarbour to close, union says",
    f'#1\tAnnotatorNotes T20\t{{"article": {{"judged": ["t-asked"]}}, {TARGETS}}}',
)
STANCE = (
    "T21\tStance 83 87\ttold",
    "E2\tStance:T21 Of:E1",
    "A1\tTarget E2 t-asked",
    "A2\tLabel E2 deny",
    "A3\tCertainty E2 certain",
    "A4\tnegation E2",
    "#2\tAnnotatorNotes E2\tsays it of all of them",
)


def test_a_person_annotates_the_whole_scheme_in_brat(tmp_path):
    lines = (
        *STORY_NOTE,
        "T22\tHeadline 0 28\tHarbour to close, union says",
        "T23\tExcluded 29 34\tThe 🎺",
        "#3\tAnnotatorNotes T23\ta band, nobody speaks",
        *ATTRIBUTION,
        *STANCE,
        "A5\tQuoteForm E1 direct",
        "A6\tSourceType E1 member",
        "A7\tDisclosure E1 named",
    )
    story, document = documents(put(tmp_path, *lines))
    assert story.data["targets"][0]["id"] == "t-asked"
    assert document.data["zones"] == [[0, 28, "headline"]]
    assert document.data["excluded"] == [{"content": [[29, 34]], "reason": "a band, nobody speaks"}]
    assert document.data["holders"] == {
        "ada-wells": {"name": "Ada Wells", "source_type": "member", "disclosure": "named"}
    }
    (statement,) = document.data["statements"]
    assert (statement["holder"], statement["quote_form"]) == ("ada-wells", "direct")
    assert statement["stances"] == {
        "t-asked": {
            "label": "deny",
            "certainty": "certain",
            "tags": ["negation"],
            "why": "says it of all of them",
        }
    }
    assert (list(document.findings), document.left_out) == ([], {})
    (admitted,) = check.admit([story, document])
    assert [str(f) for f in admitted.findings if f.severity == "error"] == []
    assert admitted.articles[0].statements[0].stances["t-asked"].label == "deny"


def test_a_note_names_the_holder_and_the_chain(tmp_path):
    note = '#9\tAnnotatorNotes E1\t{"id": "s1", "holder": "wells", "name": "Ada Wells, docker", "chain": ["calder"]}'
    document = article(put(tmp_path, *ATTRIBUTION, note, "A1\tDisclosure E1 named"))
    (statement,) = document.data["statements"]
    assert (statement["id"], statement["holder"], statement["chain"]) == ("s1", "wells", ["calder"])
    assert document.data["holders"] == {"wells": {"name": "Ada Wells, docker", "disclosure": "named"}}


def test_the_author_needs_no_source(tmp_path):
    document = article(put(tmp_path, SAID, "E1\tX:T3 Content:T3", "A1\tSourceType E1 author"))
    assert document.data["statements"][0]["holder"] == "author"


def test_a_holder_has_one_source_type(tmp_path):
    lines = (
        *ATTRIBUTION,
        "E2\tX:T3 Content:T3 Source:T1",
        "A1\tSourceType E1 member",
        "A2\tSourceType E2 citizen",
    )
    document = article(put(tmp_path, *lines))
    assert document.data["holders"]["ada-wells"]["source_type"] == "member"
    assert document.left_out == {"holder-labels-differ": 1}


def test_judged_with_no_stance_is_unrelated_and_nothing_is_unannotated(tmp_path):
    judged = article(put(tmp_path / "a", *ATTRIBUTION, "A1\tJudged E1")).data["statements"][0]
    plain = article(put(tmp_path / "b", *ATTRIBUTION)).data["statements"][0]
    assert judged["stances"] == {}
    assert "stances" not in plain


SPOILT = {
    "no target": [line for line in STANCE if "Target" not in line],
    "no label": [line for line in STANCE if "Label" not in line],
    "no such label": [line.replace("deny", "denies") for line in STANCE],
    "no such certainty": [line.replace("certain", "sure") for line in STANCE],
    "of two": [line.replace("Of:E1", "Of:E1 Of2:E1") for line in STANCE],
    "relays nothing": [line.replace("Of:E1", "Of:E1 Relays:E8") for line in STANCE],
    "another role": [line.replace("Of:E1", "Of:E1 Towards:T3") for line in STANCE],
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=list(SPOILT))
def test_a_stance_that_is_lost_would_read_as_unrelated_so_all_of_its_statement_go(tmp_path, spoilt):
    other = ("E5\tStance:T21 Of:E1", "A8\tTarget E5 t-close", "A9\tLabel E5 affirm", "A10\tJudged E1")
    lines = [*STORY_NOTE, *ATTRIBUTION, *spoilt, *other]
    document = article(put(tmp_path, *lines))
    assert "stances" not in document.data["statements"][0]
    assert document.left_out["incomplete-stances"] == 1
    assert accounted(document, lines)


def test_two_stances_of_a_statement_to_one_target_are_none(tmp_path):
    again = [line.replace("E2", "E3").replace("A", "A1").replace("#2", "#5") for line in STANCE[1:4]]
    document = article(put(tmp_path, *STORY_NOTE, *ATTRIBUTION, *STANCE, *again))
    assert "stances" not in document.data["statements"][0]
    assert document.left_out == {"unusable-stance": 1, "incomplete-stances": 1}


def test_attributes_and_notes_of_what_is_left_out_go_with_it(tmp_path):
    lines = (SAID, "E1\tX:T3", "A1\tQuoteForm E1 direct", '#1\tAnnotatorNotes E1\t{"id": "s1"}')
    assert article(put(tmp_path, *lines)).left_out == {"event-without-content": 1}


@pytest.mark.parametrize(
    "note",
    [
        '{"article": {"statements": [{"id": "x"}], "text": "other"}}',
        '{"article": {"holders": [], "id": "Not An Id", "story": 7}}',
        '{"article": {"holders": {"ada": 7}}}',
        '{"article": 7, "story": []}',
        '{"story": {"colour": "red"}}',
        '{"article": {"id": "x", "id": "y"}}',
    ],
)
def test_a_note_cannot_say_what_is_not_its_to_say(tmp_path, note):
    document = article(put(tmp_path, *ATTRIBUTION, STORY_NOTE[0], f"#1\tAnnotatorNotes T20\t{note}"))
    assert (document.data["id"], document.data["story"], document.data["text"]) == (
        "harbour",
        "harbour",
        TEXT,
    )
    assert [s["id"] for s in document.data["statements"]] == ["e1"]
    assert set(document.left_out) == {"bad-note"}
    (admitted,) = check.admit(documents(tmp_path))
    assert len(admitted.articles) == 1


# -- writing ---------------------------------------------------------------------------------------------------

STORY = Story(
    "harbour",
    (
        Target("t-asked", "The board of Calder harbour asked the union in May.", "factual", ("t-not",)),
        Target("t-not", "The board of Calder harbour asked nobody at all in May.", "normative", ("t-asked",)),
    ),
    "Closing of a harbour",
    "labour",
    "CC-BY-4.0",
    True,
)
FIRST = "The board asked “everyone”, it said,"
PAPER = f"Häfen 🎺 zu\n{FIRST}\n\nciting Ada Wells: nobody asked.\nMore: the ferry\n"
VOTE = {"label": {"amy": "deny"}}


def at(words: str) -> tuple[Span, ...]:
    """Where some words stand in the paper; `…` parts the fragments of several pieces."""
    places: list[Span] = []
    for piece in words.split("…"):
        start = PAPER.index(piece, places[-1].end if places else 0)
        places.append(Span(start, start + len(piece)))
    return tuple(places)


def zone(words: str, name: str) -> Zone:
    return Zone(*at(words)[0], name)


WHOLE = Article(
    "calder-post",
    "harbour",
    PAPER,
    (
        Statement(
            "s2", at("The board asked “everyone”"), at("it"), at("said,\n\nciting…Ada"),
            holder="board", quote_form="mixed",
            stances={
                "t-asked": Pair("t-asked", "relay", None, ("e1",), (), "{“cited”} \u2028 so"),
                "t-not": Pair("t-not", "decline", "na", (), ("refused", "no-response"), " why ", VOTE),
            },
        ),
        Statement("e1", at("nobody asked"), at("Ada Wells"), (), "wells", ("board",), added=True, stances={}),
        Statement("e7", at(FIRST + "\n\nciting…Mo…re"), holder="author", mention_of="s2"),
    ),
    {
        "board": Holder(
            "board", "the board", "organization", "collective", "board", "transport", "city",
            {"disclosure": {"amy": "named"}},
        ),
        "wells": Holder("wells", "Ada Wells", "member"),
        "author": Holder("author", "the article", "author", "na"),
        "city": Holder("city", "Calder", "organization", "collective"),
    },
    (zone("Häfen 🎺 zu", "headline"), zone(FIRST + "\n\nciting Ada", "lede"), zone("More", "promo")),
    "zed",
    ("amy", "zed"),
    ("t-asked", "t-not"),
    {"amy": (Statement("e4", at("fen"), stances={"t-asked": Pair("t-asked", "deny")}),), "bo": ()},
    (Excluded(at("More…the"), "a teaser"), Excluded(at("zu\nThe"), "{odd}")),
    "calder-post", "2026-02-03", "Häfen zu", "en", "CC-BY-4.0", "https://example.org/1", None, "random", "open",
    {"writer": "writer-1"},
)  # fmt: skip


def wrote(folder: Path, story: Story, *articles: Article) -> Path:
    folder.mkdir(exist_ok=True)
    for one in articles:
        for name, content in brat.write(story, one).items():
            (folder / name).write_text(content, "utf-8", newline="")
    return folder


def test_what_is_written_comes_back(tmp_path):
    story, document = documents(wrote(tmp_path, STORY, WHOLE))
    assert brat.lossy(WHOLE) == []
    assert story.data == own.story_data(STORY)
    assert document.data == own.article_data(WHOLE)
    assert (list(document.findings), document.left_out) == ([], {})


def test_a_story_of_several_articles_comes_back_as_one(tmp_path):
    other = Article("other-post", "harbour", "Nobody asked, it said.", (Statement("e1", (Span(0, 12),)),))
    story, first, second = documents(wrote(tmp_path, STORY, WHOLE, other))
    assert (story.kind, first.data["id"], second.data["id"]) == ("story", "calder-post", "other-post")
    assert second.data == own.article_data(other)


def test_articles_that_disagree_on_their_story_are_reported(tmp_path):
    wrote(tmp_path, STORY, WHOLE)
    wrote(tmp_path, Story("harbour", (), "Another"), Article("other-post", "harbour", "Nobody.", ()))
    story, first, second = documents(tmp_path)
    assert story.data["title"] == STORY.title
    assert (rules(first.findings), rules(second.findings)) == ([], ["story-differs"])


def test_brat_itself_could_load_what_is_written(tmp_path):
    """It refuses a span whose quoted text is not what stands there, spaces for gaps, or whose fragments touch."""
    for name, content in brat.write(STORY, WHOLE).items():
        ids = Counter(line.split("\t")[0] for line in content.split("\n") if name.endswith(".ann") and line)
        assert set(ids.values()) <= {1}
        for line in content.split("\n"):
            if name.endswith(".ann") and line.startswith("T"):
                _, place, quoted = line.split("\t")
                spans = [tuple(map(int, pair.split())) for pair in place.split(" ", 1)[1].split(";")]
                assert " ".join(WHOLE.text[a:b] for a, b in spans) == quoted
                assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_what_brat_cannot_hold_is_named():
    text = "One\nTwo\nThree\n"
    statement = Statement("s1", (Span(0, 4),), (Span(4, 7), Span(8, 9)), (Span(4, 9), Span(10, 11)))
    lost = Article(
        "a", "b", text, (statement,), zones=(Zone(3, 4, "body"),), excluded=(Excluded((Span(3, 5),), "x"),)
    )
    assert [line.split(":")[0] + ":" + line.split(":")[1][:12] for line in brat.lossy(lost)] == [
        "b.a: a zone begi",
        "b.a: an excluded",
        "b.a.s1: its content",
    ]


def test_the_configuration_offers_every_label_and_names_each_once():
    made = brat.config(["t-asked", "t-not"])
    conf = made["annotation.conf"]
    for name in ("stance", "certainty", "source_type", "disclosure", "quote_form"):
        assert f"Value:{'|'.join(model.LABELS[name])}\n" in conf
    for tag in model.LABELS["tag"]:
        assert f"\n{tag}\tArg:Stance\n" in conf
    for zone in model.LABELS["zone"]:
        assert f"\n{zone.capitalize()}\n" in conf
    assert "Value:t-asked|t-not\n" in conf
    assert "Target\t" not in brat.config()["annotation.conf"]
    sections = dict(re.findall(r"^\[(\w+)\]\n((?:[^\[].*\n)*)", conf, re.MULTILINE))
    assert list(sections) == ["entities", "relations", "events", "attributes"]
    names = [line.split("\t")[0] for part in sections.values() for line in part.splitlines()]
    assert len(names) == len(set(names))
    assert made.keys() == brat.write(STORY, WHOLE).keys() - {
        name for name in brat.write(STORY, WHOLE) if "calder" in name
    }


# -- any article comes back ------------------------------------------------------------------------------------

ALPHABET = "ab ﬁ“é🎺\t\n"
ON_A_LINE = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")
NAMES = st.sampled_from(["Ada", "{", "ada\tb"])
IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,5}", fullmatch=True)


@st.composite
def spans(draw: st.DrawFn, length: int, least: int = 0) -> tuple[Span, ...]:
    cuts = sorted(draw(st.sets(st.integers(0, length), min_size=2 * least, max_size=6)))
    return tuple(Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def articles(draw: st.DrawFn) -> Article:
    text = "x" + draw(st.text(ALPHABET, min_size=3, max_size=40))
    text = unicodedata.normalize("NFC", text)
    holders = draw(st.lists(IDS, unique=True, max_size=3))
    ids = draw(st.lists(st.one_of(IDS, st.from_regex(r"e[0-9]{1,3}", fullmatch=True)), unique=True, max_size=4))

    def statement(name: str) -> Statement:
        pairs = draw(st.none() | st.lists(st.sampled_from(["t1", "t2"]), unique=True))
        return Statement(
            name, draw(spans(len(text), 1)), draw(spans(len(text))), draw(spans(len(text))),
            holder=draw(st.none() | st.sampled_from(holders)) if holders else None,
            chain=tuple(draw(st.lists(st.sampled_from(holders), max_size=2))) if holders else (),
            quote_form=draw(st.none() | st.sampled_from(model.LABELS["quote_form"])),
            mention_of=draw(st.none() | st.sampled_from(ids)), added=draw(st.booleans()),
            stances=None if pairs is None else {target: pair(target) for target in pairs},
        )  # fmt: skip

    def pair(target: str) -> Pair:
        return Pair(
            target, draw(st.sampled_from(model.STANCES)),
            draw(st.none() | st.sampled_from(model.LABELS["certainty"])),
            tuple(draw(st.lists(st.sampled_from(ids), unique=True, max_size=2))),
            tuple(draw(st.lists(st.sampled_from(model.LABELS["tag"]), unique=True, max_size=3))),
            draw(st.none() | st.text(ON_A_LINE, min_size=1, max_size=9)),
            draw(st.sampled_from([{}, {"label": {"amy": "deny"}, "certainty": {"amy": "certain"}}])),
        )  # fmt: skip

    return Article(
        "post", "story", text, tuple(statement(name) for name in ids),
        {name: Holder(name, draw(NAMES), draw(st.sampled_from([None, "media"]))) for name in holders},
        tuple(Zone(*one, "caption") for one in draw(spans(len(text)))),
        passes={"amy": tuple(statement(name) for name in ids)} if draw(st.booleans()) else {},
        excluded=tuple(Excluded(one, "idiom") for one in draw(st.lists(spans(len(text), 1), max_size=2))),
    )  # fmt: skip


@pytest.mark.security("any input")
@given(articles())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_article_comes_back_where_nothing_is_said_to_be_lost(tmp_path, one):
    for old in tmp_path.iterdir():
        old.unlink()
    _, document = documents(wrote(tmp_path, Story("story"), one))
    if not brat.lossy(one):
        assert document.data == own.article_data(one)
        assert document.left_out == {}
    assert len(document.data["statements"]) <= len(one.statements)


LINES = st.sampled_from(
    [
        *ATTRIBUTION,
        *STORY_NOTE,
        *STANCE,
        *(line for lines, *_ in UNUSABLE for line in lines),
        "",
        "\t",
        "T1",
        "E1\t:",
    ]
)


@pytest.mark.security("any input")
@given(
    st.lists(LINES | st.text(max_size=20), max_size=30),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_annotation_breaks_the_reader(tmp_path, lines, mark, end):
    put(tmp_path, text=(mark + TEXT.replace("\n", end)))
    (tmp_path / "harbour.ann").write_bytes((mark + end.join(lines)).encode("utf-8", "surrogatepass"))
    for unit in formats.find([tmp_path])[0]:
        for document in formats.read(unit):
            if isinstance(document, Document) and document.kind == "article":
                for statement in document.data["statements"]:
                    for role in ("content", "source", "cue"):
                        assert all(0 <= a < b <= len(TEXT) for a, b in statement.get(role, ()))
                list(check.admit(formats.read(unit)))


# -- metadata --------------------------------------------------------------------------------------------------


def table(folder: Path, *rows: str, name: str = "articles.csv") -> Path:
    (folder / name).write_text("".join(f"{row}\n" for row in rows), "utf-8")
    return folder


def test_metadata_comes_from_a_table_beside_or_above_the_annotations(tmp_path):
    put(tmp_path / "corpus" / "attributions", *ATTRIBUTION)
    table(tmp_path / "corpus", "file,title,publisher,published,language,url,license",
          'harbour,"Closed, they say",Post,2026-02-03T10:00Z,en-GB,https://example.org/1,CC0-1.0')  # fmt: skip
    for given_input in (tmp_path, tmp_path / "corpus", tmp_path / "corpus" / "attributions"):
        story, document = documents(given_input)
        assert story.data["title"] == "Closed, they say"
        assert document.data["published"] == "2026-02-03T10:00Z"
        assert found(given_input)[0][0].names[-1].endswith("articles.csv")


def test_no_table_is_looked_for_further_up_than_above_the_input(tmp_path):
    deep = put(tmp_path / "a" / "b" / "c", *ATTRIBUTION)
    table(tmp_path, "file,title", "harbour,Too far")
    assert "title" not in article(tmp_path).data
    table(tmp_path / "a", "file,title", "harbour,Near")
    assert article(tmp_path).data["title"] == "Near"
    assert "title" not in article(deep).data
    assert article(deep.parent).data["title"] == "Near"


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_a_table_may_be_parted_by_comma_semicolon_or_tab(tmp_path, comma):
    put(tmp_path, *ATTRIBUTION)
    table(tmp_path, f"\ufefftitle{comma}file", f"Closed{comma}harbour.txt")
    assert article(tmp_path).data["title"] == "Closed"


def test_polnears_table_is_read_as_it_is(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    header = "compartment\tfilename\tlevel\tpublisher\tpublication_date\tauthor\ttitle"
    table(
        tmp_path,
        header,
        'dev\tharbour\tNone\tpost\t2016-09-12\tNone\t"Closed" is closed',
        name="metadata.tsv",
    )
    data = article(tmp_path).data
    assert (data["publisher"], data["published"], data["title"]) == (
        "post",
        "2016-09-12",
        '"Closed" is closed',
    )
    assert found(tmp_path)[1] == []


def test_texts_that_name_one_story_make_one_story(tmp_path):
    put(tmp_path, *ATTRIBUTION, name="one")
    put(tmp_path, *ATTRIBUTION, name="two")
    put(tmp_path, *ATTRIBUTION, name="three")
    table(tmp_path, "file,story,id", "one,harbour,post", "two,harbour,")
    assert [(d.kind, d.data["id"]) for d in documents(tmp_path)] == [
        ("story", "harbour"), ("article", "post"), ("article", "two"), ("story", "three"), ("article", "three"),
    ]  # fmt: skip


def test_a_table_with_faults_tells_them_and_is_used_as_far_as_it_goes(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    table(tmp_path, "file,date,published,title", "harbour,x,3 February,Closed", "harbour,x,2026-02-03,Again")
    assert [(f.rule, f.where, f.severity) for f in found(tmp_path)[1]] == [
        ("unknown-column", "line 1", "warning"),
        ("bad-table", "line 3", "warning"),
    ]
    document = article(tmp_path)
    assert (document.data["title"], "published" in document.data) == ("Closed", False)
    assert document.left_out == {"bad-metadata": 1}
    assert document.findings[0].where == "line 2"


def test_a_table_that_is_somebody_elses_may_be_anything(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    table(tmp_path, "run\tscore", "1\t0.7", name="metadata.tsv")
    assert [(f.rule, f.severity) for f in found(tmp_path)[1]] == [("bad-table", "warning")]
    assert article(tmp_path).left_out == {}


@pytest.mark.parametrize("content", [b"title\nClosed\n", b"", b"\xff\xfe", b"file\n" + b"x" * 200_000 + b"\n"])
def test_an_unusable_table_is_an_error(tmp_path, content):
    put(tmp_path, *ATTRIBUTION)
    (tmp_path / "articles.csv").write_bytes(content)
    assert [f.severity for f in found(tmp_path)[1]] == ["error"]


def test_the_table_counts_as_an_input_and_its_row_as_part_of_the_article(tmp_path):
    put(tmp_path, *ATTRIBUTION)
    before = article(tmp_path).digest
    table(tmp_path, "file,title", "other,Closed")
    assert article(tmp_path).digest == before
    table(tmp_path, "file,title", "other,Closed", "harbour,Open")
    assert article(tmp_path).digest != before
    (unit,) = found(tmp_path)[0]
    assert unit.names == ("harbour.txt", "harbour.ann", "articles.csv")
    assert unit.size == sum((tmp_path / name).stat().st_size for name in unit.names[:2])


# -- size ------------------------------------------------------------------------------------------------------


def seconds(folder: Path) -> tuple[Document, float]:
    start = time.perf_counter()
    document = article(folder)
    return document, time.perf_counter() - start


def test_a_large_file_takes_time_in_proportion(tmp_path):
    def lines(count: int) -> list[str]:
        events = (f"E{i}\tAttribution:T{i} Content:T{i}" for i in range(1, count))
        return [
            *(f"T{i}\tContent {i % 90} {i % 90 + 5}\t{TEXT[i % 90 : i % 90 + 5]}" for i in range(1, count)),
            *events,
        ]

    _, small = seconds(put(tmp_path / "a", *lines(2_000)))
    document, large = seconds(put(tmp_path / "b", *lines(40_000)))
    assert len(document.data["statements"]) == 39_999
    assert large < 60 * small + 1


def test_wide_spans_cost_no_more_than_their_lines(tmp_path):
    text = "word " * 200_000
    lines = [f"T{i}\tContent 0 {len(text)}\tword" for i in range(20_000)]
    document, taken = seconds(
        put(tmp_path, *lines, *(f"E{i}\tX:T{i} Content:T{i}" for i in range(20_000)), text=text)
    )
    assert len(document.data["statements"]) == 20_000
    assert taken < 20


@pytest.mark.security("hostile input")
def test_a_ruined_file_is_reported_within_bounds_and_counted_in_full(tmp_path):
    document = article(put(tmp_path, *("rubbish" for _ in range(5_000))))
    assert document.left_out == {"not-an-annotation": 5_000}
    assert len(document.findings) == brat.MOST_FINDINGS + 1


@pytest.mark.security("hostile input")
def test_a_span_of_very_many_fragments_is_unusable(tmp_path):
    text = "a " * 3000
    many = ";".join(f"{i} {i + 1}" for i in range(0, 4000, 2))
    document = article(put(tmp_path, f"T1\tContent {many}\ta", "E1\tX:T1 Content:T1", text=text))
    assert document.left_out == {"unusable-span": 1, "dangling-annotation": 1}


# -- PolNeAR ---------------------------------------------------------------------------------------------------

COMPARTMENTS = {
    "dev": (84, 94, 2320),
    "test": (84, 94, 2231),
    "train": (840, 919, 22501),
    "annotator-training": (4, 24, 322),
}


@pytest.fixture(scope="module")
def polnear() -> Path:
    folder = Path(os.environ.get(POLNEAR) or "nowhere", "polnear", "data")
    if not folder.is_dir():
        pytest.skip(
            f"set {POLNEAR} to a folder that holds polnear/ to test against that corpus, which we may not copy"
        )
    return folder


def naive(folder: Path) -> dict[str, Any]:
    """What a few lines of parsing find, independently of the reader: it trusts the corpus to be well formed."""
    counts: Counter[str] = Counter()
    placed: set[tuple[str, str, str]] = set()
    for file in sorted(folder.glob("attributions/*.ann")):
        content = file.read_text("utf-8")
        counts["files"] += 1
        text = next(
            t for i in range(len(file.stem), 0, -1) if (t := folder / "text" / f"{file.stem[:i]}.txt").exists()
        )
        spans = dict(re.findall(r"^(T\d+)\t\S+ ([\d ;]+)\t", content, re.MULTILINE))
        for name, arguments in re.findall(r"^(E\d+)\t\S+(.*)$", content, re.MULTILINE):
            counts["events"] += 1
            contents = re.findall(r"Content\d*:(T\d+)", arguments)
            counts["without content"] += not contents
            for role, mark in re.findall(r"(Content|Source|Cue)\d*:(T\d+)", arguments if contents else ""):
                counts[role] += spans[mark].count(";") + 1
            placed |= {(text.stem, file.stem[len(text.stem) :].strip("_"), name.lower())} if contents else set()
    return {"counts": counts, "statements": placed, "texts": len(list(folder.glob("text/*.txt")))}


@pytest.mark.parametrize("compartment", COMPARTMENTS)
def test_polnear_is_read_whole(polnear, compartment):
    texts, files, events = COMPARTMENTS[compartment]
    expected = naive(polnear / compartment)
    assert (expected["texts"], expected["counts"]["files"], expected["counts"]["events"]) == (
        texts,
        files,
        events,
    )
    counts: Counter[str] = Counter()
    statements, left_out = set(), Counter[str]()
    read = [d for d in documents(polnear / compartment) if d.kind == "article"]
    for document in read:
        data = document.data
        left_out.update(document.left_out)
        for annotator, made in {data["annotator"]: data["statements"], **data.get("passes", {})}.items():
            statements |= {(data["origin"], annotator, statement["id"]) for statement in made}
            for statement in made:
                counts.update({role: len(statement.get(role.lower(), ())) for role in ("Content", "Source", "Cue")})
    assert len(read) == texts
    assert statements == expected["statements"]
    assert counts == {role: expected["counts"][role] for role in ("Content", "Source", "Cue")}
    assert len(statements) + left_out.pop("event-without-content", 0) == events
    assert set(left_out) <= {"no-place-in-scheme"}
    assert all(document.data["publisher"] and document.data["title"] for document in read)


def test_polnear_is_admitted_and_what_stands_at_spans_is_what_was_quoted(polnear):
    told: Counter[str] = Counter()
    admitted_statements = 0
    for document in documents(polnear):
        told.update(rules(f for f in document.findings))
    for unit in found(polnear)[0]:
        for admitted in check.admit(formats.read(unit)):
            assert [str(f) for f in admitted.findings if f.severity == "error"] == []
            admitted_statements += sum(len(a.statements) for a in admitted.articles)
    assert set(told) <= {"event-without-content", "no-place-in-scheme"}
    assert admitted_statements > 24_000


def test_polnear_comes_back_from_what_is_written(polnear, tmp_path):
    expected: dict[str, Any] = {}
    for unit in found(polnear / "dev")[0]:
        (admitted,) = check.admit(formats.read(unit))
        assert [line for one in admitted.articles for line in brat.lossy(one)] == []
        expected |= {one.id: own.article_data(one) for one in admitted.articles}
        wrote(tmp_path / admitted.story.id, admitted.story, *admitted.articles)
    back = {d.data["id"]: d.data for d in documents(tmp_path) if d.kind == "article"}
    assert back == expected


def test_polnear_is_read_in_seconds(polnear):
    start = time.perf_counter()
    assert len(documents(polnear)) == 2 * 1012
    assert time.perf_counter() - start < 30
