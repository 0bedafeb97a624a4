"""How news reads, in figures: what an article is measured by so that invented ones can be held to real ones.

An article gives sums, a story's sums are its articles', and a measure is a ratio of two of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from onrecord import text as strings
from onrecord.model import Article

LONG = 30  # words of a sentence that is long

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[”\"’')]*\s+")
_QUOTED = re.compile(r"“[^”]*”|\"[^\"\n]*\"")
_SAY = re.compile(r"\b(?:say|says|said|saying|tell|tells|told)\b", re.IGNORECASE)
_NOT_PROSE = ("promo", "boilerplate")


class Measure(NamedTuple):
    """A ratio of two sums, in so many parts of the whole."""

    title: str
    of: str
    over: str
    scale: int


MEASURES: Mapping[str, Measure] = {
    "prose-statements": Measure("attributed statements per 1,000 words", "attributed", "words", 1000),
    "prose-sentence": Measure("words a sentence", "words", "sentences", 1),
    "prose-long": Measure(f"% of sentences over {LONG} words", "long sentences", "sentences", 100),
    "prose-paragraph": Measure("words a paragraph", "words", "paragraphs", 1),
    "prose-quoted": Measure("% of words in quotation marks", "quoted words", "words", 100),
    "prose-say": Measure("% of cues with say or tell", "say", "cues", 100),
    "prose-position": Measure("mean place of contents, % of the text", "position", "attributed", 1),
}


def sums(article: Article) -> Counter[str]:
    """What an article adds to its story's sums; `position` in hundredths of the text, summed over contents.

    Attributed are statements at depth 1: neither the author's own nor those of holders within others' words.
    """
    lines = [line for at, line in _lines(article.text) if line.strip() and article.zone_at(at) not in _NOT_PROSE]
    sentences = [len(_WORD.findall(one)) for line in lines for one in _SENTENCE_END.split(line)]
    attributed = [statement for statement in article.statements if statement.depth == 1]
    cues = [strings.joined(article.text, statement.cue) for statement in attributed if statement.cue]
    return Counter(
        {
            "words": sum(sentences),
            "sentences": sum(count > 0 for count in sentences),
            "long sentences": sum(count > LONG for count in sentences),
            "paragraphs": len(lines),
            "quoted words": sum(len(_WORD.findall(quote)) for line in lines for quote in _QUOTED.findall(line)),
            "attributed": len(attributed),
            "cues": len(cues),
            "say": sum(bool(_SAY.search(cue)) for cue in cues),
            "position": sum(100 * one.content[0].start // len(article.text) for one in attributed),
        }
    )


def _lines(text: str) -> Iterable[tuple[int, str]]:
    return zip(strings.paragraph_starts(text), text.split("\n"), strict=True)


def figure(name: str, counted: Mapping[str, int]) -> float | None:
    """A measure of sums; None where there is nothing to divide by."""
    measure = MEASURES[name]
    below = counted.get(measure.over, 0)
    return round(measure.scale * counted.get(measure.of, 0) / below, 1) if below else None
