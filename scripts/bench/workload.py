"""A seeded workload in our bulk form: stories of eight articles, each of about 15 KB and 24 statements, of made-up words.

    python scripts/bench/workload.py 10000 articles.jsonl

As a machine would annotate newswire: spans, holders, source types, one annotator, two targets, no votes.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEED = 20251012
ARTICLES_A_STORY = 8
STATEMENTS = 24
HOLDERS = 8
STANCES = ("affirm", "deny", "unrelated", "unrelated")
SOURCES = ("official", "expert", "document")
CUES = ("said", "told reporters", "wrote", "denied")


def vocabulary(chance: random.Random) -> list[str]:
    """Words, of which some are not ASCII, as in real news."""
    letters = "aeiouabcdefghilmnoprstuvw"
    made = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(5_000)]
    return [*made, *("café", "Zürich", "naïve", "peña", "Łódź", "“so”", "it’s") * 40]


def documents(articles: int, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Stories, each before its articles. A workload is the start of every larger one."""
    words = vocabulary(random.Random(seed))
    for number in range(-(-articles // ARTICLES_A_STORY)):
        chance = random.Random(f"{seed} {number}")
        story = f"story-{number:07}"
        yield {
            "id": story,
            "domain": "government",
            "targets": [{"id": f"t-{k}", "text": sentence(chance, words, 12), "kind": "factual"} for k in range(2)],
        }
        for k in range(min(ARTICLES_A_STORY, articles - number * ARTICLES_A_STORY)):
            yield article(chance, words, story, f"article-{k}")


def sentence(chance: random.Random, words: list[str], length: int) -> str:
    return " ".join(chance.choices(words, k=length)).capitalize() + "."


def article(chance: random.Random, words: list[str], story: str, name: str) -> dict[str, Any]:
    headline = sentence(chance, words, 9)
    holders = {f"{name}-h{k}": holder(chance, words) for k in range(HOLDERS)}
    text, statements = headline, []
    while len(statements) < STATEMENTS:
        found, text = statement(chance, words, f"s{len(statements) + 1}", holders, text)
        statements.append(found)
    return {
        "id": name, "story": story, "publisher": "The Bench", "published": "2025-10-12", "language": "en",
        "license": "CC0-1.0", "annotators": ["machine"], "judged": ["t-0", "t-1"], "text": text,
        "zones": [[0, len(headline), "headline"]], "holders": holders, "statements": statements,
    }  # fmt: skip


def holder(chance: random.Random, words: list[str]) -> dict[str, Any]:
    kind = chance.choice(SOURCES)
    name = " ".join(word.capitalize() for word in chance.choices(words, k=2))
    return {"name": name, "source_type": kind, "disclosure": "na" if kind == "document" else "named"}


def statement(
    chance: random.Random, words: list[str], name: str, holders: dict[str, Any], text: str
) -> tuple[dict[str, Any], str]:
    """A paragraph with a statement and a sentence or two beside it, and the text with it."""
    holder = chance.choice(sorted(holders))
    text += "\n" + sentence(chance, words, chance.randint(20, 60)) + " "
    source = len(text), len(text) + len(holders[holder]["name"])
    cue = chance.choice(CUES)
    text += f"{holders[holder]['name']} {cue} "
    content = sentence(chance, words, chance.randint(10, 30))
    found = {
        "id": name, "holder": holder, "content": [[len(text), len(text) + len(content) - 1]],
        "source": [list(source)], "cue": [[source[1] + 1, source[1] + 1 + len(cue)]], "quote_form": "indirect",
        "stances": {f"t-{k}": pair for k in range(2) if (pair := stance(chance))},
    }  # fmt: skip
    return found, text + content


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
