"""A seeded workload in our bulk form: stories of eight articles, each of about 15 KB and 24 statements.

    python scripts/bench/workload.py 10000 articles.jsonl

As a machine would annotate newswire: spans, holders, source types, one annotator, two targets, no votes. Sentences are
PolNeAR's, drawn at random, where ONRECORD_CORPORA names its folder's parent, else of made-up words.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SEED = 20251012
ARTICLES_A_STORY = 8
STATEMENTS = 24
HOLDERS = 8
TARGET_WORDS = 12
STANCES = ("affirm", "deny", "unrelated", "unrelated")
SOURCES = ("official", "expert", "document")
CUES = ("said", "told reporters", "wrote", "denied")


@cache
def sentences() -> tuple[str, ...]:
    """What texts are made of: sentences of 8 to 40 words."""
    corpora = os.environ.get("ONRECORD_CORPORA")
    files = sorted(Path(corpora).rglob("polnear/**/*.txt")) if corpora else []
    if corpora and not files:
        raise FileNotFoundError(f"{corpora} holds no polnear/**/*.txt")
    texts = (unicodedata.normalize("NFC", file.read_text("utf-8")) for file in files)
    found = {one for text in texts for one in re.split(r"(?<=[.!?])\s+", text)}
    real = (" ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ufeff]", " ", one).split()) for one in sorted(found))
    return tuple(one for one in real if 8 <= len(one.split()) <= 40) or tuple(invented())


def invented() -> Iterator[str]:
    chance, letters = random.Random(SEED), "aeiouabcdefghilmnoprstuvw"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(5_000)]
    words += ("café", "Zürich", "naïve", "peña", "Łódź", "“so”", "it’s") * 40  # not ASCII, as in real news
    for _ in range(20_000):
        yield " ".join(chance.choices(words, k=chance.randint(8, 40))).capitalize() + "."


def source() -> str:
    return "PolNeAR's sentences" if os.environ.get("ONRECORD_CORPORA") else "made-up words"


def documents(articles: int, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Stories, each before its articles. A workload is the start of every larger one."""
    for number in range(-(-articles // ARTICLES_A_STORY)):
        chance = random.Random(f"{seed} {number}")
        story = f"story-{number:07}"
        yield {
            "id": story,
            "domain": "government",
            "targets": [{"id": f"t-{k}", "text": prose(chance, TARGET_WORDS), "kind": "factual"} for k in range(2)],
        }
        for k in range(min(ARTICLES_A_STORY, articles - number * ARTICLES_A_STORY)):
            yield article(chance, story, f"article-{k}")


def prose(chance: random.Random, words: int) -> str:
    """So many words of sentences, cut where they end."""
    drawn: list[str] = []
    while len(drawn) < words:
        drawn += chance.choice(sentences()).split()
    return " ".join(drawn[:words])


def article(chance: random.Random, story: str, name: str) -> dict[str, Any]:
    headline = prose(chance, 9)
    holders = {f"{name}-h{k}": holder(chance) for k in range(HOLDERS)}
    text, statements = headline, []
    while len(statements) < STATEMENTS:
        found, text = statement(chance, f"s{len(statements) + 1}", holders, text)
        statements.append(found)
    speaking = {one["holder"] for one in statements}
    return {
        "id": name, "story": story, "publisher": "The Bench", "published": "2025-10-12", "language": "en",
        "license": "CC0-1.0", "annotators": ["machine"], "judged": ["t-0", "t-1"], "text": text,
        "zones": [[0, len(headline), "headline"]],
        "holders": {key: value for key, value in holders.items() if key in speaking}, "statements": statements,
    }  # fmt: skip


def holder(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(SOURCES)
    name = " ".join(word.capitalize() for word in prose(chance, 2).split())
    return {"name": name, "source_type": kind, "disclosure": "na" if kind == "document" else "named"}


def statement(chance: random.Random, name: str, holders: dict[str, Any], text: str) -> tuple[dict[str, Any], str]:
    """A paragraph with a statement and something before it, and the text with it."""
    holder = chance.choice(sorted(holders))
    text += "\n" + prose(chance, chance.randint(20, 60)) + " "
    source = len(text), len(text) + len(holders[holder]["name"])
    cue = chance.choice(CUES)
    text += f"{holders[holder]['name']} {cue} "
    content = prose(chance, chance.randint(10, 30))
    found = {
        "id": name, "holder": holder, "content": [[len(text), len(text) + len(content)]],
        "source": [list(source)], "cue": [[source[1] + 1, source[1] + 1 + len(cue)]], "quote_form": "indirect",
        "stances": {f"t-{k}": pair for k in range(2) if (pair := stance(chance))},
    }  # fmt: skip
    return found, text + content + "."


def stance(chance: random.Random) -> dict[str, str] | None:
    label = chance.choice(STANCES)
    return None if label == "unrelated" else {"label": label, "certainty": "certain"}


def line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def write(articles: int, file: Path) -> Path:
    with open(file, "w", encoding="utf-8", newline="") as stream:
        stream.writelines(map(line, documents(articles)))
    return file


if __name__ == "__main__":
    write(int(sys.argv[1]), Path(sys.argv[2]))
