"""Text goes out as digests and comes back from any copy; what cannot be placed says so."""

from __future__ import annotations

import html
import json
import os
import random
import re
import time
import unicodedata
from multiprocessing import active_children
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onrecord import cli, form, formats, layers, text
from onrecord.model import Document

CORPORA = os.environ.get("ONRECORD_CORPORA")
VISIT = Path(__file__).parent / "cases/valid/visit"
real = pytest.mark.skipif(not CORPORA, reason="ONRECORD_CORPORA names no folder of real articles")

ARTICLE = """Minister denies secret talks over the Vell bridge
Transport minister Ruth Akande denied on Friday that she had met the builders of the Vell bridge in private.
“There was no meeting, and there will be none,” she told reporters outside the council chamber in Marnstad.
The Marnstad Post, citing two engineers, reported that she spent the evening of 3 June at the builders' hotel.
Vell Construction did not reply to three e-mails. “That is for the inquiry,” said Tom Akande, who is not related.
The bridge was closed in March after cracks were found in two of its piers, and no date has been set for its reopening.
“There was no meeting, and there will be none,” the ministry repeated in a note on Saturday."""


def article(content: str = ARTICLE) -> dict[str, Any]:
    """An article with a statement for every sentence-like stretch, and one for every word of four letters."""
    spans = [m.span() for m in re.finditer(r"[^.\n]+[.\n]?", content) if m[0].strip()]
    words = [m.span() for m in re.finditer(r"\b\w{4}\b", content)]
    statements = [{"id": f"s{i}", "content": [list(span)]} for i, span in enumerate(spans + words)]
    return {"id": "post", "story": "bridge", "text": content, "statements": statements}


def placed_wrongly(layer: dict[str, Any], original: dict[str, Any], copy: str) -> tuple[list[str], dict[str, str]]:
    """The statements whose words in the copy are not those of the original, and all statuses."""
    data, statuses = layers.hydrate(layer, copy)
    contents = {s["id"]: s["content"][0] for s in data["statements"]}
    wrong = []
    for statement in original["statements"]:
        if statement["id"] in contents:
            (a, b), (c, d) = statement["content"][0], contents[statement["id"]]
            if text.tokens(original["text"][a:b]) != text.tokens(copy[c:d]):
                wrong.append(statement["id"])
    return wrong, statuses


def test_the_same_text_gives_the_same_article_back() -> None:
    original = article() | {"title": "Minister denies"}
    data, statuses = layers.hydrate(layers.dehydrate(original), original["text"])
    assert set(statuses.values()) == {"exact"}
    assert data == {**{k: v for k, v in original.items() if k != "title"}, "tier": "layer"}


@pytest.mark.security("guards")
def test_a_layer_holds_no_text_and_no_title() -> None:
    layer = layers.dehydrate(article() | {"title": "Minister denies"})
    assert "title" not in layer and "text" not in layer
    assert list(layers.borrowed(layer, ARTICLE)) == []


@pytest.mark.security("guards")
def test_borrowed_words_are_found_names_apart() -> None:
    layer = layers.dehydrate(article())
    layer["statements"][0]["stances"] = {
        "t1": {"label": "deny", "why": "says that she had met the builders in private"}
    }
    layer["holders"] = {"akande": {"name": "Transport minister Ruth Akande"}, "post": {"name": "The Marnstad Post"}}
    found = list(layers.borrowed(layer, ARTICLE))
    assert found == [("$.statements[0].stances.t1.why", "that she had met the")]


@pytest.mark.security("guards")
@pytest.mark.parametrize(
    "change",
    [
        {"statements": [{"id": "s1", "quote": "[[The bridge was closed in March]] after"}]},
        {"statements": [{"id": "s1", "content": [[0, 8]]}]},
        {"excluded": [{"content": [[0, 8]], "reason": "a headline"}]},
        {"zones": [[0, 8, "headline"]]},
        {"passes": {"second": [{"id": "s1", "quote": "[[The bridge]]"}]}},
    ],
)
def test_an_article_with_words_or_offsets_is_no_layers(change: dict[str, Any]) -> None:
    def told(data: dict[str, Any]) -> list[str]:
        return [found.rule for found in layers.unfit(Document("article", "post.json", data, ""))]

    sound = layers.dehydrate(article() | {"zones": [[0, 8, "headline"]]})
    assert told(sound) == []
    assert told(sound | change) == told(article()) == ["not-a-layer"]
    del sound["zones"][0]["zone"]
    assert told(sound) == ["not-a-layer"]


@pytest.mark.security("hostile input")
def test_an_anchor_that_claims_more_tokens_than_the_text_has_is_placed_nowhere_beyond_it() -> None:
    layer = layers.dehydrate(article())
    for statement in layer["statements"]:
        for anchor in statement["content"]:
            anchor["tokens"] += 5  # digests of what ends with the text are the same
    copy = "A correction was made. " + ARTICLE
    data, _ = layers.hydrate(layer, copy)
    assert all(0 <= a <= b <= len(copy) for s in data["statements"] for a, b in s["content"])


COPIES = {
    "straight quotes": lambda t: t.translate(str.maketrans("“”’", '""\'')),
    "no-break and double spaces": lambda t: t.replace(" the ", "\u00a0the  "),
    "dashes": lambda t: t.replace("e-mails", "e\u2011mails").replace(", and", " \u2014 and"),
    "CR LF": lambda t: t.replace("\n", "\r\n"),
    "decomposed": lambda t: unicodedata.normalize("NFD", t.replace("Akande", "Ákande")),
    "paragraphs parted": lambda t: t.replace("\n", "\n\nAdvertisement\n\n"),
    "another headline": lambda t: "What the minister did not say\n" + t.split("\n", 1)[1],
    "entities": lambda t: html.escape(t.replace("“", "&ldquo;"), quote=True).replace("&amp;ldquo;", "&ldquo;"),
}


@pytest.mark.parametrize("name", COPIES)
def test_another_copy_is_placed_and_nothing_wrongly(name: str) -> None:
    original = article(ARTICLE.replace("Akande", "Ákande") if name == "decomposed" else ARTICLE)
    copy = text.normalise(html.unescape(COPIES[name](original["text"]))).text
    wrong, statuses = placed_wrongly(layers.dehydrate(original), original, copy)
    lost = [s for s, status in statuses.items() if status not in layers.PLACED]
    assert wrong == []
    assert len(lost) <= (10 if name == "another headline" else 0), statuses


def test_paragraphs_in_another_order_are_found() -> None:
    original = article()
    lines = ARTICLE.split("\n")
    copy = "\n".join([lines[0], *lines[3:6], lines[1], lines[2], lines[6]])
    wrong, statuses = placed_wrongly(layers.dehydrate(original), original, copy)
    sentences = [
        s for s in statuses if len(original["text"][slice(*original["statements"][int(s[1:])]["content"][0])]) > 25
    ]
    assert wrong == []
    assert all(statuses[s] in layers.PLACED for s in sentences)


def test_a_removed_paragraph_is_missing_and_nothing_else() -> None:
    original = article()
    removed = ARTICLE.split("\n")[4]
    copy = ARTICLE.replace(removed + "\n", "")
    wrong, statuses = placed_wrongly(layers.dehydrate(original), original, copy)
    assert wrong == []
    at = ARTICLE.index(removed)
    for statement in original["statements"]:
        start, end = statement["content"][0]
        if at <= start and end <= at + len(removed):
            assert statuses[statement["id"]] not in layers.PLACED


def test_a_corrected_word_is_changed_in_its_place() -> None:
    original = article()
    copy = ARTICLE.replace("piers", "pylons")
    data, statuses = layers.hydrate(layers.dehydrate(original), copy)
    holding = [s for s in data["statements"] if "pylons" in copy[slice(*s["content"][0])]]
    assert holding and all(statuses[s["id"]] == "changed" for s in holding)


def test_repeated_words_go_to_their_own_places() -> None:
    original = article()
    copy = ARTICLE.replace(
        "“There was no meeting, and there will be none,” the", "“There was no meeting and there will be none” the"
    )
    data, _ = layers.hydrate(layers.dehydrate(original), copy)
    starts = sorted(
        s["content"][0][0] for s in data["statements"] if copy[slice(*s["content"][0])].startswith("“There was")
    )
    assert starts == [m.start() for m in re.finditer("“There was", copy)]


@pytest.mark.security("any input")
@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300).filter(text.tokens),
    st.lists(st.tuples(st.integers(0, 299), st.integers(1, 60)), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_any_text_and_any_spans_come_back(raw: str, cuts: list[tuple[int, int]]) -> None:
    content = text.normalise(raw).text
    spans = [[min(a, len(content) - 1), min(min(a, len(content) - 1) + n, len(content))] for a, n in cuts]
    original = {
        "id": "a", "story": "b", "text": content,
        "statements": [{"id": f"s{i}", "content": [span], "holder": "h"} for i, span in enumerate(spans)],
        "holders": {"h": {"name": "the holder", "votes": {"source_type": {"x": "expert"}}}},
        "zones": [[0, 1, "headline"]],
    }  # fmt: skip
    layer = json.loads(json.dumps(layers.dehydrate(original)))
    data, statuses = layers.hydrate(layer, content)
    assert data == original | {"tier": "layer"}
    assert set(statuses.values()) == {"exact"}
    for copy in (content + " x", "x " + content, content[: len(content) // 2]):  # never a traceback, always within
        moved, _ = layers.hydrate(layer, copy)
        for statement in moved["statements"]:
            assert all(0 <= a <= b <= len(copy) for a, b in statement["content"])


def test_a_folder_without_the_articles_says_what_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["dehydrate", str(VISIT), "--out", str(tmp_path / "layer")]) == 0
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/other.txt").write_text("Something else altogether was printed here, of no use at all.\n")
    assert (
        cli.main(
            ["hydrate", str(tmp_path / "layer"), "--from", str(tmp_path / "texts"), "--out", str(tmp_path / "out")]
        )
        == 1
    )
    said = capsys.readouterr().err
    assert "1 texts were read" in said and "gazette.txt" in said
    assert not (tmp_path / "out").exists()


def test_a_hydrated_layer_builds_into_test(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    cli.main(["dehydrate", str(VISIT), "--out", str(tmp_path / "layer")])
    assert cli.main(["hydrate", str(tmp_path / "layer"), "--from", str(VISIT), "--out", str(tmp_path / "out")]) == 0
    table = pq.read_table(tmp_path / "out/data/stance/test.parquet")
    assert set(table["tier"].to_pylist()) == {"layer"}
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    again = tmp_path / "again"
    assert cli.main(["build", str(tmp_path / "out/articles.jsonl"), "--out", str(again)]) == 0
    assert pq.read_table(again / "data/stance/test.parquet").equals(table)


def test_formulas_in_hydration_csv_are_text() -> None:
    assert layers.hydration_csv([("s", "a", "s1", "exact", "=HYPERLINK(1).txt")]).endswith(",'=HYPERLINK(1).txt\n")


def test_a_saved_page_goes_through_the_extractor(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura")
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in ARTICLE.split("\n")[1:])
    head = f"<html><head><title>x</title></head><body><nav>Menu</nav><article><h1>{ARTICLE.splitlines()[0]}</h1>"
    page = f"{head}{paragraphs}</article><footer>© 2026</footer></body></html>"
    (tmp_path / "saved.html").write_text(page)
    found, findings = layers.copies(tmp_path)
    assert findings == []
    layer = layers.dehydrate(article())
    assert layers.match([layer], found) == {0: found[0]}
    _, statuses = layers.place(layer, found[0])
    sentences = [s for s in article()["statements"] if s["content"][0][1] - s["content"][0][0] > 40]
    assert all(statuses[s["id"]] in layers.PLACED for s in sentences)


# -- real articles ---------------------------------------------------------------------------------------------


def polnear() -> list[dict[str, Any]]:
    units, _ = formats.find([Path(CORPORA or "") / "polnear/data"])
    documents = (found for unit in units for found in formats.read(unit))
    return [found.data for found in documents if isinstance(found, Document) and found.kind == "article"]


@real
def test_all_of_polnear_comes_back_exactly() -> None:
    found = 0
    for original in polnear():
        data, statuses = layers.hydrate(layers.dehydrate(original), original["text"])
        assert data["statements"] == original["statements"]
        assert set(statuses.values()) <= {"exact"}
        found += len(statuses)
    assert found > 20_000


def substituted(original: str, seed: int) -> tuple[str, Any]:
    """A text with one word in 200 replaced at random, and where an offset of the original went."""
    rng = random.Random(seed)
    changes, pieces, last, length = [], [], 0, 0
    for word in re.finditer(r"\w+", original):
        if rng.random() < 0.005:
            new = rng.choice(("alpha", "zebra", "moon", "quickly", "house"))
            pieces += [original[last : word.start()], new]
            length += word.start() - last + len(new)
            last = word.end()
            changes.append((word.start(), word.end(), length))
    copy = "".join([*pieces, original[last:]])

    def moved(offset: int) -> int | None:
        shift = 0
        for start, end, after in changes:
            if start < offset < end:
                return None
            shift = after - end if offset >= end else shift
        return offset + shift

    return copy, moved


@real
def test_one_changed_word_in_two_hundred_costs_little_and_misplaces_almost_nothing() -> None:
    total = placed = wrong = 0
    originals = polnear()[::5]
    made = [layers.dehydrate(original) for original in originals]
    for seed in range(10):
        for original, layer in zip(originals[seed::10], made[seed::10], strict=True):
            copy, moved = substituted(original["text"], seed)
            data, _ = layers.hydrate(layer, copy)
            found = {statement["id"]: statement for statement in data["statements"]}
            for statement in original["statements"]:
                total += 1
                if there := found.get(statement["id"]):
                    placed += 1
                    pairs = zip(statement["content"], there["content"], strict=True)
                    wrong += any(
                        [moved(a), moved(b)] != [c, d] for (a, b), (c, d) in pairs if None not in (moved(a), moved(b))
                    )
    assert placed / total >= 0.97
    assert wrong / placed <= 0.001


# -- the layers that are published -----------------------------------------------------------------------------

LAYERS = Path(__file__).parents[1] / "dataset/layers"
SEED = "000_d86f94a08d22928e.txt"


def layer(name: str) -> list[Document]:
    units, findings = formats.find([LAYERS / name])
    assert findings == []
    found = [document for unit in units for document in formats.read(unit)]
    assert all(isinstance(document, Document) for document in found)
    return [document for document in found if isinstance(document, Document)]


@pytest.mark.security("guards")
@pytest.mark.parametrize("name,articles", [("ap-2024-11-11", 1), ("polnear", 40)])
def test_a_published_layer_follows_the_schema_and_holds_no_text(name: str, articles: int) -> None:
    documents = layer(name)
    assert sum(document.kind == "article" for document in documents) == articles
    for document in documents:
        assert form.judge(document.kind, document.data, document.file) == []
        if document.kind == "article":
            assert not {"text", "title", "quote"} & {
                *document.data,
                *(k for s in document.data["statements"] for k in s),
            }


@pytest.mark.security("guards")
@real
def test_no_run_of_five_words_of_the_originals_stands_in_the_published_layers() -> None:
    copies, _ = layers.copies(Path(CORPORA or ""))
    for name in ("ap-2024-11-11", "polnear"):
        articles = [document.data for document in layer(name) if document.kind == "article"]
        stories = {document.data["id"]: document.data for document in layer(name) if document.kind == "story"}
        matched = layers.match(articles, copies)
        assert len(matched) == len(articles)
        for i, copy in matched.items():
            assert list(layers.borrowed(articles[i], copy.text)) == []
            assert list(layers.borrowed(stories[articles[i]["story"]], copy.text)) == []


@real
def test_the_ap_layer_from_its_raw_page_is_exact_and_gives_the_profile_of_its_first_target(tmp_path: Path) -> None:
    import pandas as pd

    source = Path(CORPORA or "") / "ap"
    assert cli.main(["hydrate", str(LAYERS / "ap-2024-11-11"), "--from", str(source), "--out", str(tmp_path)]) == 0
    statuses = pd.read_csv(tmp_path / "hydration.csv")
    assert len(statuses) >= 18
    assert set(statuses.status) == {"exact"}
    rows = pd.read_parquet(tmp_path / "data/pairs")
    assert rows.target_id.nunique() >= 10
    profile = set(
        rows[rows.target_id.str.endswith(".t1")][["source_type", "disclosure", "depth", "stance"]].itertuples(
            index=False, name=None
        )
    )
    assert profile - {row for row in profile if row[3] == "unrelated"} == {
        ("unspecified", "bare", 2, "affirm"),
        ("organization", "collective", 1, "deny"),
        ("spokesperson", "named", 1, "deny"),
        ("spokesperson", "named", 1, "decline"),
        ("media", "collective", 1, "relay"),
    }


@real
def test_the_ap_layer_from_a_copy_with_other_advertisements_quotes_and_spaces() -> None:
    raw = (Path(CORPORA or "") / "ap" / SEED).read_text("utf-8")
    lines = [line for line in raw.split("\n") if line.strip() and line.strip() != "Advertisement"]
    copy = "\n\n".join(f"{line}\n\nAdvertisement" if i % 4 == 0 else line for i, line in enumerate(lines))
    copy = COPIES["no-break and double spaces"](COPIES["straight quotes"](copy))
    original = next(document.data for document in layer("ap-2024-11-11") if document.kind == "article")
    exact, _ = layers.hydrate(original, text.normalise(raw).text)
    moved, statuses = layers.hydrate(original, text.normalise(copy).text)
    assert set(statuses.values()) <= {"exact", "reanchored"}
    for before, after in zip(exact["statements"], moved["statements"], strict=True):
        for role in text.ROLES:
            words = [text.tokens(raw[a:b]) for a, b in before.get(role, ())]
            assert [text.tokens(copy[a:b]) for a, b in after.get(role, ())] == words


@real
def test_the_polnear_layer_is_exact_and_has_what_the_layers_page_says(tmp_path: Path) -> None:
    import pandas as pd

    source = Path(CORPORA or "") / "polnear"
    assert cli.main(["hydrate", str(LAYERS / "polnear"), "--from", str(source), "--out", str(tmp_path)]) in (0, 2)
    assert set(pd.read_csv(tmp_path / "hydration.csv").status) == {"exact"}
    articles = pd.read_parquet(tmp_path / "data/articles")
    assert articles["sampling"].value_counts().to_dict() == {"targeted": 20, "random": 20}
    assert articles["targets"].between(2, 4).all()
    related = pd.read_parquet(tmp_path / "data/stance").stance.value_counts()
    assert (related[["affirm", "deny", "doubt", "decline"]] >= 40).all()


def test_workers_hydrate_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["dehydrate", str(VISIT), "--out", str(tmp_path / "layer")]) == cli.CLEAN
    monkeypatch.setattr(layers, "POOL_ARTICLES", 1)
    command = ["hydrate", str(tmp_path / "layer"), "--from", str(VISIT)]
    for workers in ("1", "2"):
        assert cli.main([*command, "--out", str(tmp_path / workers), "--workers", workers]) == cli.CLEAN
    made = [(tmp_path / workers / "manifest.json").read_bytes() for workers in ("1", "2")]
    assert made[0] == made[1]


def test_what_a_killed_worker_had_is_hydrated_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["dehydrate", str(VISIT), "--out", str(tmp_path / "layer")]) == cli.CLEAN
    monkeypatch.setattr(layers, "POOL_ARTICLES", 1)
    killed = []

    def kill() -> None:
        while not (workers := active_children()):
            time.sleep(0.01)
        killed.append(workers[0].pid)
        workers[0].kill()

    Thread(target=kill, daemon=True).start()
    command = ["hydrate", str(tmp_path / "layer"), "--from", str(VISIT), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--workers", "2"]) == cli.CLEAN
    assert killed
    assert "missing" not in (tmp_path / "out/hydration.csv").read_text("utf-8")
