"""One static page to look at annotated articles: who said what of each target, and where it stands in the text.

The page holds its data as JSON and makes every node with `textContent`: no text of the data is ever markup. It loads
nothing, and works from a disk.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from onrecord.model import CLOSED_LISTS, Article, Pair, Statement, Story

Told = tuple[Story, Sequence[Article], str]  # a story, its articles, and its split

_PARTS = Path(__file__).parent / "page"
_PAGE = {ending: (_PARTS / f"explorer.{ending}").read_text("utf-8") for ending in ("html", "css", "js")}


def page(told: Iterable[Told], title: str = "OnRecord explorer") -> str:
    """The page as HTML: three views (targets, articles, statements) of these stories."""
    stories = [_story(*one) for one in sorted(told, key=lambda one: one[0].id)]
    labels = {name: [_label(one) for one in closed] for name, closed in CLOSED_LISTS.items()}
    data = {"stories": stories, "labels": labels}
    parts = {
        "TITLE": html.escape(title),
        "STYLE": _PAGE["css"],
        "SCRIPT": _PAGE["js"],
        "DATA": _script_safe(data),
    }
    text = _PAGE["html"]
    for name, part in parts.items():  # DATA is last: nothing in the data is taken for a place to fill
        text = text.replace(f"<!--{name}-->", part)
    return text


def _script_safe(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _label(label: Any) -> dict[str, str]:
    return {"name": label.name, "title": label.title, "description": label.description}


def _story(story: Story, articles: Sequence[Article], split: str) -> dict[str, Any]:
    return {
        "id": story.id,
        "title": story.title or story.id,
        "domain": story.domain,
        "split": split,
        "targets": [{"id": t.id, "text": t.text, "kind": t.kind, "not": t.incompatible_with} for t in story.targets],
        "articles": [_article(article) for article in sorted(articles, key=lambda a: (a.published or "", a.id))],
    }


def _article(article: Article) -> dict[str, Any]:
    return {
        "id": article.id,
        "publisher": article.publisher or article.id,
        "published": article.published,
        "text": article.text,
        "zones": article.zones,
        "holders": {
            one.id: {"name": one.name, "type": one.source_type, "disclosure": one.disclosure, "role": one.role}
            for one in article.holders.values()
        },
        "statements": [_statement(statement) for statement in article.statements],
    }


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "id": statement.id,
        "holder": statement.holder,
        "chain": statement.chain,
        "form": statement.quote_form,
        "of": statement.mention_of,
        "content": statement.content,
        "source": statement.source,
        "cue": statement.cue,
        "stances": None if statement.stances is None else [_pair(p) for p in statement.stances.values()],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "target": pair.target,
        "label": pair.label,
        "certainty": pair.certainty,
        "tags": pair.tags,
        "why": pair.why,
        "relays": pair.relays,
        "votes": pair.votes.get("label", {}),
    }
