"""Label Studio: what an annotator does in the tool arrives as our own form, and what we write comes back."""

from __future__ import annotations

import json
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onrecord import build, check, model
from onrecord.formats import labelstudio, own
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
    Unusable,
    Zone,
)

THREE_FORMS = Path(__file__).parent / "cases" / "valid" / "three-forms"
EXPORT = THREE_FORMS / "labelstudio" / "export.json"
STORY = Story("ferry", (Target("t-crack", "Engineers found a crack in the hull of the Calder Rose.", "factual"),))
TEXT = "The ferry has a crack, two dockers told Radio Calder. Ada Wells denied it."

# -- exports as a person makes them ----------------------------------------------------------------------------


def region(name: str, label: str, words: str, text: str = TEXT, nth: int = 0) -> dict[str, Any]:
    """A region on the nth occurrence of some words, as the tool exports it."""
    start = -1
    for _ in range(nth + 1):
        start = text.index(words, start + 1)
    value = {"start": start, "end": start + len(words), "text": words, "labels": [label]}
    return {"id": name, "from_name": "span", "to_name": "text", "type": "labels", "value": value}


def choice(name: str, control: str, *values: str) -> dict[str, Any]:
    return {
        "id": name,
        "from_name": control,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": list(values)},
    }


def written(name: str, control: str, *lines: str) -> dict[str, Any]:
    return {"id": name, "from_name": control, "to_name": "text", "type": "textarea", "value": {"text": list(lines)}}


def relation(start: str, end: str, *labels: str, direction: str = "right") -> dict[str, Any]:
    return {"type": "relation", "from_id": start, "to_id": end, "direction": direction, "labels": list(labels)}


def task(*results: Any, text: Any = TEXT, **more: Any) -> dict[str, Any]:
    data = {"id": "post", "story": own.story_data(STORY), "text": text}
    return {"id": 1, "data": data, "annotations": [{"id": 1, "result": list(results)}], **more}


def documents(folder: Path, export: object) -> list[Document | Finding]:
    file = folder / "export.json"
    file.write_text(export if isinstance(export, str) else json.dumps(export), "utf-8", newline="")
    assert labelstudio.is_export(file) or isinstance(export, str | dict)
    (unit,) = labelstudio.units(file, folder)
    return list(labelstudio.read(unit))


def only_article(folder: Path, export: object) -> Document:
    (article,) = (one for one in documents(folder, export) if isinstance(one, Document) and one.kind == "article")
    return article


def rules(found: Document) -> list[str]:
    assert sum(found.left_out.values()) >= len([f for f in found.findings if f.rule != "not-annotated"])
    assert all(finding.severity == "warning" for finding in found.findings)
    return [finding.rule for finding in found.findings]


CRACK = (region("c", "Content", "has a crack"), region("s", "Source", "two dockers"), region("q", "Cue", "told"))


def test_content_source_and_cue_that_are_joined_are_a_statement(tmp_path: Path) -> None:
    article = only_article(tmp_path, [task(*CRACK, relation("c", "s", "source"), relation("c", "q", "cue"))])
    assert article.findings == ()
    assert article.imported
    assert article.data["holders"] == {"two-dockers": {"name": "two dockers"}}
    assert article.data["statements"] == [
        {"id": "s1", "holder": "two-dockers", "content": [[10, 21]], "source": [[23, 34]], "cue": [[35, 39]]}
    ]


@pytest.mark.parametrize(
    "joined",
    [
        relation("s", "c", "source"),
        relation("s", "c", "source", direction="left"),
        relation("c", "s", "source", direction="bi"),
        relation("s", "c"),
        {"type": "relation", "from_id": "c", "to_id": "s"},
    ],
)
def test_a_source_may_be_joined_either_way_and_without_a_label(tmp_path: Path, joined: dict[str, Any]) -> None:
    article = only_article(tmp_path, [task(*CRACK[:2], joined)])
    assert article.data["statements"][0]["source"] == [[23, 34]]
    assert rules(article) == []


def test_fragments_are_joined_by_part(tmp_path: Path) -> None:
    first, second = region("a", "Content", "The ferry"), region("b", "Content", "a crack")
    article = only_article(tmp_path, [task(second, first, relation("b", "a", "part"))])
    assert [one["content"] for one in article.data["statements"]] == [[[0, 9], [14, 21]]]


def test_what_the_holder_is_called_wins_over_the_words_of_the_source(tmp_path: Path) -> None:
    results = [
        *CRACK[:2],
        relation("c", "s"),
        written("s", "holder", "two dockers at berth 4"),
        choice("c", "disclosure", "described"),
    ]
    article = only_article(tmp_path, [task(*results)])
    assert article.data["holders"] == {
        "two-dockers-at-berth-4": {"name": "two dockers at berth 4", "disclosure": "described"}
    }


def test_a_content_of_source_type_author_is_the_authors_own(tmp_path: Path) -> None:
    article = only_article(tmp_path, [task(CRACK[0], choice("c", "source_type", "author"))])
    assert article.data["holders"] == {"author": {"name": "author", "source_type": "author"}}
    assert article.data["statements"][0]["holder"] == "author"


def test_a_content_with_neither_source_nor_type_has_no_holder(tmp_path: Path) -> None:
    assert "holder" not in only_article(tmp_path, [task(CRACK[0])]).data["statements"][0]


def test_a_chain_leads_outwards_through_contents_and_sources(tmp_path: Path) -> None:
    text = "B said A said C knew. D."
    results = [
        region("c1", "Content", "C knew", text), region("s1", "Source", "A", text), relation("c1", "s1"),
        region("c2", "Content", "A said C knew", text), region("s2", "Source", "B", text), relation("c2", "s2"),
        region("s3", "Source", "D", text), relation("c1", "c2", "chain"), relation("c2", "s3", "chain"),
    ]  # fmt: skip
    article = only_article(tmp_path, [task(*results, text=text)])
    assert {one["holder"]: one.get("chain") for one in article.data["statements"]} == {"a": ["d", "b"], "b": ["d"]}
    assert rules(article) == []


def test_a_stance_makes_all_statements_of_the_annotation_judged(tmp_path: Path) -> None:
    results = [
        *CRACK, region("d", "Content", "denied it"), relation("c", "s"), relation("c", "q"),
        choice("d", "stance:t-crack", "deny"), choice("d", "certainty:t-crack", "certain"),
        choice("d", "tags:t-crack", "negation", "implied"), written("d", "why:t-crack", "plain\n words"),
    ]  # fmt: skip
    article = only_article(tmp_path, [task(*results)])
    pair = {"label": "deny", "certainty": "certain", "tags": ["negation", "implied"], "why": "plain words"}
    assert [one.get("stances") for one in article.data["statements"]] == [{}, {"t-crack": pair}]
    assert article.data["judged"] == ["t-crack"]


def test_offsets_of_old_exports_count_utf16_units(tmp_path: Path) -> None:
    text = "🚢🚢 The ferry has a crack. No 🙂 crack."
    new = [region("a", "Content", "has a crack", text), region("b", "Content", "No 🙂 crack", text)]
    old = json.loads(json.dumps(new))
    old[0]["value"] |= {"start": 15, "end": 26}
    old[1]["value"] |= {"start": 28, "end": 39}
    article = only_article(tmp_path, [task(*new, text=text)])
    assert [one["content"] for one in article.data["statements"]] == [[[13, 24]], [[26, 36]]]
    assert only_article(tmp_path, [task(*old, text=text)]).data == article.data


def test_each_annotation_tells_its_own_way_to_count(tmp_path: Path) -> None:
    text = "🚢 A crack."
    new, old = region("a", "Content", "crack", text), region("a", "Content", "crack", text)
    old["value"] |= {"start": 5, "end": 10}
    export = task(new, text=text)
    export["annotations"].append({"id": 2, "completed_by": 2, "result": [old]})
    data = only_article(tmp_path, [export]).data
    assert data["passes"]["primary"] == data["statements"] == [{"id": "s1", "content": [[4, 9]]}]


def test_decomposed_text_and_crlf_are_normalised_with_their_offsets(tmp_path: Path) -> None:
    raw = unicodedata.normalize("NFD", "Señor Ó\r\nsaid:\r\nÇa va é.")
    shown = region("a", "Content", unicodedata.normalize("NFD", "Ça va é"), raw)
    across = region("b", "Content", unicodedata.normalize("NFD", "Ó\r\nsaid"), raw)
    across["value"]["text"] = across["value"]["text"].replace("\r\n", "\n\n")  # as the editor shows it
    article = only_article(tmp_path, [task(shown, across, text=raw)])
    assert article.data["text"] == "Señor Ó\nsaid:\nÇa va é."
    assert [one["content"] for one in article.data["statements"]] == [[[6, 12]], [[14, 21]]]


def test_paragraphs_count_by_line_and_offset(tmp_path: Path) -> None:
    lines = [{"author": "A", "text": "The ferry has"}, {"author": "B", "text": "a crack"}]
    value = {"start": "0", "end": "1", "startOffset": 4, "endOffset": 7, "text": "ferry has\na crack"}
    marked = {"id": "a", "type": "paragraphlabels", "value": {**value, "paragraphlabels": ["Content"]}}
    article = only_article(tmp_path, [task(marked, text=lines)])
    assert article.data["text"] == "The ferry has\na crack"
    assert article.data["statements"][0]["content"] == [[4, 21]]


def test_hypertext_counts_by_global_offsets_where_its_words_stand_there(tmp_path: Path) -> None:
    value = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 9}
    marked = {"id": "a", "type": "hypertextlabels", "value": {**value, "hypertextlabels": ["Content"]}}
    marked["value"] |= {"globalOffsets": {"start": 4, "end": 9}, "text": "ferry"}
    article = only_article(tmp_path, [task(marked)])
    assert article.data["statements"][0]["content"] == [[4, 9]]
    marked["value"]["globalOffsets"] = {"start": 40, "end": 45}
    assert rules(only_article(tmp_path, [task(marked)])) == ["unusable-offsets"]


def test_annotators_become_passes_and_ground_truth_comes_first(tmp_path: Path) -> None:
    export = task()
    export["annotations"] = [
        {"id": 5, "completed_by": {"id": 3, "email": "zoe@example.org"}, "result": [CRACK[0]], "ground_truth": True},
        {
            "id": 6,
            "completed_by": {"id": 2, "email": "abe.b@example.org"},
            "result": [region("x", "Content", "denied it")],
        },
        {"id": 7, "completed_by": 4, "result": [], "was_cancelled": False},
        {"id": 8, "completed_by": "zoe@example.net", "result": [], "was_cancelled": True},
    ]
    export |= {"predictions": [{"result": []}, {"result": []}], "drafts": []}
    article = only_article(tmp_path, [export])
    assert article.data["annotator"] in ("zoe", "zoe-2")
    assert sorted(article.data["passes"]) == ["4", "abe-b"]
    assert article.left_out == {"skipped-annotation": 1, "unsubmitted": 2}
    del export["annotations"][0]["ground_truth"]
    assert only_article(tmp_path, [export]).data["annotator"] == "4"


def test_tasks_of_a_story_need_not_stand_together(tmp_path: Path) -> None:
    export = [task(), task(), task()]
    for name, story, one in zip("abc", ("ferry", "other", "ferry"), export, strict=True):
        one["data"] |= {"id": name, "story": story}
    found = [(one.kind, one.data["id"]) for one in documents(tmp_path, export) if isinstance(one, Document)]
    stories = [("story", "ferry"), ("article", "a"), ("article", "c"), ("story", "other"), ("article", "b")]
    assert found == stories


def test_the_story_beside_an_export_gives_the_targets(tmp_path: Path) -> None:
    (tmp_path / "story.json").write_text(json.dumps(own.story_data(STORY)))
    export = task(CRACK[0], choice("c", "stance:t-crack", "affirm"))
    del export["data"]["story"]
    found = documents(tmp_path, [export])
    assert [one.data["id"] for one in found if isinstance(one, Document)] == ["ferry", "post"]
    assert found[1].data["statements"][0]["stances"] == {"t-crack": {"label": "affirm"}}  # type: ignore[union-attr]


def test_without_a_story_an_article_is_its_own(tmp_path: Path) -> None:
    export = {"id": 7, "data": {"text": TEXT, "filename": "Ein Text.txt"}, "annotations": [{"result": []}]}
    found = documents(tmp_path, [export])
    assert [one.data["id"] for one in found if isinstance(one, Document)] == ["ein-text"] * 2
    assert found[1].data["origin"] == "Ein Text"  # type: ignore[union-attr]


# -- three forms -----------------------------------------------------------------------------------------------


def own_articles() -> Iterator[Article]:
    for unit in own.story_units(THREE_FORMS, THREE_FORMS):
        for admitted in check.admit(own.read(unit)):
            assert admitted.findings == []
            yield from admitted.articles


def test_an_export_without_tasks_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text("[]\n", "utf-8")
    report = build.build([tmp_path], tmp_path / "out")
    assert report.manifest is None and [found.rule for found in report.findings] == ["export-not-tasks"]


def test_an_export_made_by_hand_says_what_our_own_form_says() -> None:
    (unit,) = labelstudio.units(EXPORT, EXPORT.parent)
    (admitted,) = check.admit(labelstudio.read(unit))
    assert admitted.findings == []
    by_hand = {article.id: own.article_data(article) for article in admitted.articles}
    assert by_hand == {article.id: own.article_data(article) for article in own_articles()}
    assert "onrecord" not in EXPORT.read_text("utf-8")


# -- round trip ------------------------------------------------------------------------------------------------


def back(folder: Path, article: Article, story: Story = STORY) -> Document:
    found = only_article(folder, labelstudio.write(story, [article]))
    assert found.findings == ()
    return found


def full_article() -> Article:
    text = "Ça 🚢.\nB, citing A, said no. A, and A.\nPromo"
    holders = {
        "a": Holder(
            "a", "A", "citizen", "named", "docker", "labour", "b", {"source_type": {"p1": "citizen", "p2": "member"}}
        ),
        "twin": Holder("twin", "A"),
        "b": Holder("b", "B", speaks_for="unknown"),
        "far": Holder("far", "Far Radio"),
        "author": Holder("author", "Continental Wire", "author", "na"),
    }
    votes = {"label": {"p1": "relay", "p2": "doubt"}}
    no, cited = Span(22, 24), Span(15, 16)
    statements = (
        Statement("head", (Span(0, 4),), holder="author", quote_form="none", stances={}),
        Statement("outer", (no,), (Span(6, 7),), (Span(18, 22),), "b", ("far",), mention_of="late",
                  stances={"t-crack": Pair("t-crack", "relay", "na", ("inner",), ("implied",), "why  so", votes),
                           "t-port": Pair("t-port", "relay", relays=("late", "inner"))}),
        Statement("inner", (no,), (cited,), (), "a", ("far", "b"),
                  stances={"t-crack": Pair("t-crack", "unrelated", votes=votes), "t-port": Pair("t-port", "deny")}),
        Statement("late", (Span(26, 27), Span(33, 34)), (), (), "twin", added=True, mention_of="inner"),
    )  # fmt: skip
    other = (Statement("s9", (no,), (), (), "nobody", stances=None),)
    return Article(
        "post", "ferry", text, statements, holders, (Zone(0, 5, "lede"), Zone(36, 41, "promo")), "zed",
        ("p1", "p2"), ("t-crack", "t-port"), {"abe": other, "bea": ()},
        (Excluded((Span(26, 27), Span(29, 32)), "idiom"),), "post", "2026-03-04", "Ferry\u2028?", "en", "CC-BY-4.0",
        "https://example.org/1", "A: b", "random", provenance={"writer": "w1"},
    )  # fmt: skip


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    targets = (*STORY.targets, Target("t-port", "The ferry should stay in port for now.", "normative"))
    article, story = full_article(), Story("ferry", targets, "Ferry", "transport", "CC0-1.0", True)
    found = documents(tmp_path, labelstudio.write(story, [article]))
    assert [one.data for one in found] == [own.story_data(story), own.article_data(article)]  # type: ignore[union-attr]
    assert all(one.findings == () for one in found if isinstance(one, Document))


def test_what_a_person_changes_in_the_tool_wins_over_what_is_carried(tmp_path: Path) -> None:
    pair = Pair("t-crack", "deny", "certain", votes={"label": {"p1": "deny"}})
    statement = Statement("s4", (Span(0, 9),), holder="a", stances={"t-crack": pair})
    article = Article(
        "post", "ferry", TEXT, (statement,), {"a": Holder("a", "Ann")}, annotators=("p1",), judged=("t-crack",)
    )
    (export,) = json.loads(labelstudio.write(STORY, [article]))
    by_control = {one.get("from_name"): one["value"] for one in export["annotations"][0]["result"]}
    by_control["stance:t-crack"]["choices"] = ["affirm"]
    by_control["holder"]["text"] = ["Bob"]
    export["annotations"][0] |= {"id": 4711, "import_id": 1, "completed_by": 3}
    (changed,) = only_article(tmp_path, [export]).data["statements"]
    assert (changed["id"], changed["holder"]) == ("s4", "bob")
    assert changed["stances"]["t-crack"] == {
        "label": "affirm",
        "certainty": "certain",
        "votes": {"label": {"p1": "deny"}},
    }


def test_a_statement_drawn_in_the_place_of_another_takes_nothing_that_is_carried_for_it(tmp_path: Path) -> None:
    article = Article("post", "ferry", TEXT, (Statement("s1", (Span(0, 9),), added=True),))
    (export,) = json.loads(labelstudio.write(STORY, [article]))
    export["annotations"][0]["result"] = [CRACK[0]]
    assert only_article(tmp_path, [export]).data["statements"] == [{"id": "s2", "content": [[10, 21]]}]


def test_an_annotation_added_in_the_tool_takes_nothing_that_is_carried_for_another(tmp_path: Path) -> None:
    article = Article("post", "ferry", TEXT, (Statement("s4", (Span(0, 9),), added=True),), annotator="zed")
    (export,) = json.loads(labelstudio.write(STORY, [article]))
    added = {"id": 1, "import_id": None, "completed_by": 8, "ground_truth": True, "result": [CRACK[0]]}
    export["annotations"].append(added)
    data = only_article(tmp_path, [export]).data
    assert data["annotator"] == "8"
    assert data["statements"] == [{"id": "s1", "content": [[10, 21]]}]
    assert data["passes"] == {"zed": [{"id": "s4", "content": [[0, 9]], "added": True}]}


def test_lossy_names_what_only_rides_along() -> None:
    assert labelstudio.lossy(Article("post", "ferry", TEXT, (Statement("s1", (Span(0, 9),)),))) == []
    named = labelstudio.lossy(full_article())
    assert named == [
        "votes", "the annotators' names", "provenance", "which statements were added",
        "which statements are not judged", "chains whose links have no statement",
    ]  # fmt: skip


NAMES = st.sampled_from(["a", "b-2", "s1", "zed", "0", "far-radio"])
CHARACTERS = st.text("ab \n.“”é🚢𐍈\u0301ǆ", min_size=4, max_size=30).map(
    lambda raw: unicodedata.normalize("NFC", raw)
)


@st.composite
def spans(draw: st.DrawFn, length: int, least: int = 0) -> tuple[Span, ...]:
    cuts = sorted(draw(st.sets(st.integers(0, length), min_size=2 * least, max_size=4)))
    return tuple(Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def articles(draw: st.DrawFn) -> Article:
    text = draw(CHARACTERS.filter(lambda one: len(one) >= 4 and bool(one.strip())))
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    holders = {name: draw(holder(name)) for name in names}
    made = draw(st.lists(statements(len(text), names), max_size=4, unique_by=lambda one: one.id))
    ids = {one.id for one in made}
    linked = [draw(links(one, sorted(ids - {one.id}))) for one in made]
    judged = ("t-crack",) if any(one.stances for one in linked) or draw(st.booleans()) else ()
    return Article("post", "ferry", text, tuple(linked), holders, judged=judged)


@st.composite
def holder(draw: st.DrawFn, name: str) -> Holder:
    kind = draw(st.none() | st.sampled_from(model.LABELS["source_type"]))
    return Holder(name, draw(st.sampled_from(["A", "B  b ", "b-2", "é"])), kind, speaks_for=draw(st.none() | NAMES))


@st.composite
def statements(draw: st.DrawFn, length: int, names: list[str]) -> Statement:
    pair = Pair(
        "t-crack", draw(st.sampled_from(model.STANCES)), votes=draw(st.sampled_from([{}, {"label": {"p": "deny"}}]))
    )
    return Statement(
        draw(NAMES),
        draw(spans(length, 1)),
        draw(spans(length)),
        draw(spans(length)),
        draw(st.sampled_from([None, *names])),
        tuple(draw(st.lists(NAMES, max_size=2))),
        draw(st.none() | st.sampled_from(model.LABELS["quote_form"])),
        added=draw(st.booleans()),
        stances=draw(st.sampled_from([None, {}, {"t-crack": pair}])),
    )


@st.composite
def links(draw: st.DrawFn, one: Statement, others: list[str]) -> Statement:
    if not others:
        return one
    pairs = {
        target: Pair(
            target, pair.label, relays=tuple(draw(st.lists(st.sampled_from(others), unique=True))), votes=pair.votes
        )
        for target, pair in (one.stances or {}).items()
    }
    return Statement(
        one.id, one.content, one.source, one.cue, one.holder, one.chain, one.quote_form,
        draw(st.none() | st.sampled_from(others)), one.added, pairs if one.stances else one.stances,
    )  # fmt: skip


@pytest.mark.security("any input")
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(article=articles())
def test_any_article_comes_back(tmp_path: Path, article: Article) -> None:
    assert back(tmp_path, article).data == own.article_data(article)


# -- configurations --------------------------------------------------------------------------------------------


def test_the_configuration_offers_every_label_and_the_reader_knows_every_control() -> None:
    view = ET.fromstring(labelstudio.config(STORY))
    controls = {one.get("name"): [label.get("value") for label in one] for one in view.iter() if one.get("toName")}
    zones = list(model.LABELS["zone"])
    assert controls.pop("span") == ["Source", "Cue", "Content", "Excluded", *zones]
    assert controls["stance:t-crack"] == list(model.STANCES)
    assert controls["tags:t-crack"] == list(model.LABELS["tag"])
    assert controls == {name: list(labels) for name, labels in labelstudio._controls(["t-crack"]).items()}
    assert [one.get("value") for one in view.iter("Relation")] == list(labelstudio.RELATIONS)


def test_a_configuration_is_one_that_the_tool_accepts() -> None:
    """Names are unique and every toName exists, as label_studio/core/label_config.py asks."""
    ugly = Target("t-1", 'Does "A" < B & C\x0b for $5?', "factual")
    assert "$5" not in labelstudio.config(Story("s", (ugly,)))
    for made in (labelstudio.config(None), labelstudio.config(Story("s", (ugly,))), labelstudio.sheet_config()):
        view = ET.fromstring(made)
        names = [one.get("name") for one in view.iter() if one.get("name")]
        assert len(names) == len(set(names))
        assert {one.get("toName") for one in view.iter() if one.get("toName")} == {"text"}
        assert all(len(one) > 1 for one in view.iter("Choices"))


# -- broken exports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken, rule",
    [
        ("[{", "json-syntax"),
        ("[" * 5000, "too-deep"),
        ('[{"a": 1, "a": 2}]', "duplicate-key"),
        ("{}", "export-not-tasks"),
        ("7", "export-not-tasks"),
        ("", "empty-file"),
        ("[1]", "unusable-task"),
        ('[{"text": "flat, as JSON-MIN has it"}]', "unusable-task"),
        ('[{"data": {"text": 7}}]', "unusable-task"),
        ('[{"data": {"text": ""}}]', "unusable-task"),
        ('[{"data": {"text": [{"text": 1}]}}]', "unusable-task"),
        (r'[{"data": {"text": "a\ud800"}}]', "lone-surrogate"),
    ],
)
def test_an_unusable_document_is_an_error(tmp_path: Path, broken: str, rule: str) -> None:
    (found,) = documents(tmp_path, broken)
    assert isinstance(found, Finding)
    assert (found.rule, found.severity) == (rule, "error")


def with_value(**value: Any) -> dict[str, Any]:
    return {**CRACK[0], "value": {**CRACK[0]["value"], **value}}


@pytest.mark.parametrize(
    "results, rule",
    [
        ([with_value(start=21, end=10)], "unusable-offsets"),
        ([with_value(start=10, end=10)], "unusable-offsets"),
        ([with_value(end=1000)], "unusable-offsets"),
        ([with_value(start=-1)], "unusable-offsets"),
        ([with_value(start=True)], "unusable-offsets"),
        ([with_value(start=10.0)], "unusable-offsets"),
        ([with_value(start=float("nan"))], "unusable-offsets"),
        ([with_value(start="10")], "unusable-offsets"),
        ([with_value(start=10**30, end=10**31)], "unusable-offsets"),
        ([with_value(text="something else")], "unusable-offsets"),
        ([with_value(labels=["content"])], "unusable-region"),
        ([with_value(labels=[["Content"]])], "unusable-region"),
        ([with_value(labels=["Content", "Cue"])], "unusable-region"),
        ([with_value(labels=[])], "unusable-region"),
        ([with_value(labels=None)], "unusable-region"),
        ([{**CRACK[0], "value": None}], "unusable-region"),
        ([{**CRACK[0], "id": 7}], "unusable-region"),
        ([CRACK[0], CRACK[0]], "unusable-region"),
        ([7], "unusable-annotation"),
        ([{"type": "labels", "id": "\ud800"}], "unusable-annotation"),
        ([{"type": "rating", "id": "c", "value": {"rating": 3}}], "unusable-choice"),
        ([{"type": {}}], "unusable-choice"),
        ([CRACK[0], choice("c", "stance:t-crack", "affirmed")], "unusable-choice"),
        ([CRACK[0], choice("c", "stance:t-crack", "affirm", "deny")], "unusable-choice"),
        ([CRACK[0], choice("c", "stance:t-crock", "affirm")], "unusable-choice"),
        ([CRACK[0], choice("x", "stance:t-crack", "affirm")], "unusable-choice"),
        ([CRACK[0], choice("c", "quote_form", "none"), choice("c", "quote_form", "direct")], "unusable-choice"),
        ([CRACK[0], written("c", "stance:t-crack", "affirm")], "unusable-choice"),
        ([CRACK[0], choice("c", "holder", "Ann")], "unusable-choice"),
        ([CRACK[0], {**written("c", "holder"), "value": {"text": [7]}}], "unusable-choice"),
        ([CRACK[0], written("c", "why:t-crack", "because")], "stance-missing"),
        ([CRACK[0], relation("c", "gone", "source")], "unusable-relation"),
        ([CRACK[0], relation("c", "c", "part")], "unusable-relation"),
        ([CRACK[0], CRACK[1], relation("c", "s", "sauce"), relation("c", "s")], "unusable-relation"),
        ([CRACK[0], CRACK[1], relation("c", "s", "mention"), relation("c", "s")], "unusable-relation"),
        ([CRACK[0], {"type": "relation", "from_id": {}, "to_id": [], "labels": 7}], "unusable-relation"),
        ([CRACK[1]], "unlinked-region"),
        ([region("e", "Excluded", "denied it")], "reason-missing"),
    ],
)
def test_an_unusable_annotation_is_left_out_and_counted(tmp_path: Path, results: list[Any], rule: str) -> None:
    article = only_article(tmp_path, [task(*results)])
    assert rules(article) == [rule]
    assert article.findings[0].where.startswith("$.annotations[0]")
    assert article.data["text"] == TEXT


@pytest.mark.parametrize("broken", [7, None, {}, {"result": None}, {"result": {}}, []])
def test_an_annotation_without_results_is_left_out(tmp_path: Path, broken: object) -> None:
    article = only_article(tmp_path, [{**task(), "annotations": [broken]}])
    assert rules(article) == ["unusable-annotation"]


def test_a_finding_says_what_was_probably_meant(tmp_path: Path) -> None:
    results = [with_value(labels=["Contents"]), CRACK[0], choice("c", "stance:t-crak", "deny")]
    article = only_article(tmp_path, [task(*results)])
    assert str(article.findings[0]) == (
        f"{tmp_path}/export.json[0]: $.annotations[0].result[0]: has the label 'Contents', did you mean 'Content'?; "
        "a region has an id of its own and one label of the configuration; "
        "it is left out, and what refers to it; mend it in Label Studio [1 unusable-region]"
    )
    assert "'stance:t-crak', did you mean 'stance:t-crack'?" in article.findings[1].what


def test_chains_in_a_circle_are_left_out(tmp_path: Path) -> None:
    results = [
        CRACK[0],
        region("d", "Content", "denied it"),
        relation("c", "d", "chain"),
        relation("d", "c", "chain"),
    ]
    article = only_article(tmp_path, [task(*results)])
    assert rules(article) == ["relation-in-circle"] * 2
    assert all("chain" not in one for one in article.data["statements"])


def test_a_second_source_type_of_a_holder_is_left_out(tmp_path: Path) -> None:
    results = [
        *CRACK[:2], region("d", "Content", "denied it"), relation("c", "s"), relation("d", "s"),
        choice("c", "source_type", "citizen"), choice("d", "source_type", "member"),
    ]  # fmt: skip
    article = only_article(tmp_path, [task(*results)])
    assert rules(article) == ["choices-differ"]
    assert article.data["holders"]["two-dockers"]["source_type"] == "citizen"


@pytest.mark.security("hostile input")
@pytest.mark.parametrize("carried", [7, [], {"holders": {"a": 7}}, {"judged": "t"}, {"x": 1.5}, {"holders": []}])
def test_a_ruined_onrecord_key_does_no_harm(tmp_path: Path, carried: Any) -> None:
    export = task(CRACK[0])
    export["data"]["onrecord"] = carried
    assert only_article(tmp_path, [export]).data["statements"] == [{"id": "s1", "content": [[10, 21]]}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["c", "Content"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "a"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.security("any input")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_value_anywhere_makes_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    export = json.loads(labelstudio.write(STORY, [full_article()]))
    places = list(_places(export))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = places[data.draw(st.integers(0, len(places) - 1))]
        holder[key] = data.draw(JSON)
    for admitted in check.admit(documents(tmp_path, export)):
        assert all(str(finding) for finding in admitted.findings)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


# -- the audit sheet -------------------------------------------------------------------------------------------


def test_a_sheet_comes_back_as_answers() -> None:
    asked = labelstudio.Question(
        "ferry.post.s1.t-crack", "A crack.", "Ann", "2026", "Before.", "No, it has none.", "none", 11, 15
    )
    (shown,) = json.loads(labelstudio.sheet([asked]))
    assert shown["data"]["passage"] == "No, it has ⟦none⟧."
    assert set(shown["data"]) == {"id", "target", "holder", "published", "context", "passage", "content"}
    results = [{"type": "choices", "from_name": "stance", "value": {"choices": ["deny"]}}]
    results += [{"type": "choices", "from_name": "certainty", "value": {"choices": ["certain"]}}]
    by = {"email": "ann@example.org"}
    shown["annotations"] = [
        {"completed_by": by, "result": results}, {"completed_by": 2, "result": results[:1]}, {"result": []}, 7,
    ]  # fmt: skip
    answers, findings = labelstudio.read_sheet(json.dumps([shown, {"data": {}}]))
    assert answers == [(asked.id, "ann", "deny", "certain"), (asked.id, "2", "deny", None)]
    assert [one.rule for one in findings] == ["unusable-annotation", "unusable-annotation", "unusable-task"]
    with pytest.raises(Unusable):
        labelstudio.read_sheet("{}")


def test_an_export_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    for content, verdict in ((b"\xef\xbb\xbf \n[{", True), (b"{", False), (b"", False)):
        (tmp_path / "f.json").write_bytes(content)
        assert labelstudio.is_export(tmp_path / "f.json") is verdict
    assert not labelstudio.is_export(tmp_path / "none.json")


def test_rule_ids_are_no_other_modules() -> None:
    ours = {rule.id for rule in labelstudio.RULES}
    from onrecord.formats import brat, files

    assert not ours & {rule.id for rule in (*own.RULES, *brat.RULES, *files.RULES, *check.RULES)}
