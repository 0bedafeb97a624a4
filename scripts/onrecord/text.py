"""Strings and spans, and nothing else: normal form with offset maps, marked quotes, paragraphs, tokens, digests."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np

from onrecord.model import Span

ROLES = ("source", "cue", "content")
_OPEN = {"{{": "source", "<<": "cue", "[[": "content"}
_CLOSE = {"}}": "source", ">>": "cue", "]]": "content"}
_MARKS = re.compile(r"\{\{|\}\}|<<|>>|\[\[|\]\]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_WORD = re.compile(r"\w(?:[\w\u00ad\u200b-\u200d\u2060\ufeff]*\w)?")
LONG_RUN = 64  # accents; Unicode's stream-safe texts have at most 30 in a row
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")

# -- normal form -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Normal:
    """A text in normal form, and where each offset of the raw text went (None: nothing moved)."""

    text: str
    moved: Sequence[int] | None

    def offset(self, raw: int) -> int:
        """The normal offset of a raw one. Raises IndexError outside the raw text."""
        if self.moved is None:
            if not 0 <= raw <= len(self.text):
                raise IndexError(raw)
            return raw
        if raw < 0:
            raise IndexError(raw)
        return self.moved[raw]


def normalise(raw: str) -> Normal:
    """A text in Unicode NFC with LF line ends, and its offset map."""
    text = nfc(raw.replace("\r\n", "\n").replace("\r", "\n"))
    return Normal(text, None if text == raw else _moved(raw))


def nfc(text: str) -> str:
    """A text in Unicode NFC, in linear time: Python's own way sorts a run of n accents in n² steps."""
    if len(text) >= LONG_RUN and not text.isascii():
        text = _long_run().sub(_in_order, text)
    return unicodedata.normalize("NFC", text)


@cache
def _long_run() -> re.Pattern[str]:
    accents = "".join(chr(i) for i in range(0x300, 0x1F000) if unicodedata.combining(chr(i)))
    return re.compile(f"[{accents}]{{{LONG_RUN},}}")


def _in_order(run: re.Match[str]) -> str:
    """A run of accents, decomposed, in canonical order."""
    parts = "".join(unicodedata.normalize("NFD", accent) for accent in run[0])
    return "".join(sorted(parts, key=unicodedata.combining))


def _moved(raw: str) -> list[int]:
    moved: list[int] = []
    position = 0
    for cluster in _clusters(raw):
        if cluster == "\r\n":
            moved += [position, position]
            position += 1
            continue
        length = len(nfc(cluster))
        moved += [position + min(k, length) for k in range(len(cluster))]
        position += length
    return [*moved, position]


def _clusters(raw: str) -> Iterator[str]:
    """Pieces of `raw` whose normal forms, joined, are the normal form of the whole."""
    start = 0
    for i in range(1, len(raw) + 1):
        if i == len(raw) or _starts_cluster(raw, start, i):
            yield raw[start:i]
            start = i


def _starts_cluster(raw: str, start: int, i: int) -> bool:
    """Whether the character at `i` begins a cluster, where one stands from `start` up to it."""
    character = raw[i]
    if character < "\u0300":  # nothing below U+0300 composes with what stands before it
        return not (raw[i - 1] == "\r" and character == "\n")
    if raw[i - 1] == "\n":  # an accent composes with no line end
        return True
    if unicodedata.combining(unicodedata.normalize("NFD", character)[0]):  # U+0F73 is a starter made of none
        return False
    composed = nfc(raw[start:i])
    return nfc(composed + character) == composed + unicodedata.normalize("NFC", character)


def utf16_offsets(text: str) -> list[int]:
    """For each UTF-16 offset into `text` (as JavaScript counts) the code point it falls in."""
    offsets: list[int] = []
    for i, character in enumerate(text):
        offsets += [i] * (2 if character > "\uffff" else 1)
    return [*offsets, len(text)]


def json_path(steps: Iterable[str | int]) -> str:
    """An address in a JSON value, as people write it: `$.statements[3].stances.t-met`."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{step!r}]"
        for step in steps
    )


# -- Unicode ---------------------------------------------------------------------------------------------------

# Python 3.11 knows Unicode 14; what later versions assign, later Pythons know too. DerivedAge.txt, 15.0 to 16.0.
_AFTER_14 = (
    (0x0897, 0x0897), (0x0CF3, 0x0CF3), (0x0ECE, 0x0ECE), (0x1B4E, 0x1B4F), (0x1B7F, 0x1B7F), (0x1C89, 0x1C8A),
    (0x2427, 0x2429), (0x2FFC, 0x2FFF), (0x31E4, 0x31E5), (0x31EF, 0x31EF), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC),
    (0x105C0, 0x105F3), (0x10D40, 0x10D8F), (0x10EC2, 0x10EC4), (0x10EFC, 0x10EFF), (0x1123F, 0x11241),
    (0x11380, 0x113E2), (0x116D0, 0x116E3), (0x11B00, 0x11B09), (0x11BC0, 0x11BF9), (0x11F00, 0x11F5A),
    (0x1342F, 0x1342F), (0x13439, 0x143FA), (0x16100, 0x16139), (0x16D40, 0x16D79), (0x18CFF, 0x18CFF),
    (0x1B132, 0x1B132), (0x1B155, 0x1B155), (0x1CC00, 0x1CEB3), (0x1D2C0, 0x1D2D3), (0x1DF25, 0x1DF2A),
    (0x1E030, 0x1E08F), (0x1E4D0, 0x1E4F9), (0x1E5D0, 0x1E5FF), (0x1F6DC, 0x1F6DC), (0x1F774, 0x1F776),
    (0x1F77B, 0x1F77F), (0x1F7D9, 0x1F7D9), (0x1F8B2, 0x1F8C1), (0x1FA75, 0x1FA77), (0x1FA87, 0x1FA89),
    (0x1FA8F, 0x1FA8F), (0x1FAAD, 0x1FAAF), (0x1FABB, 0x1FABF), (0x1FAC6, 0x1FACF), (0x1FADA, 0x1FADF),
    (0x1FAE8, 0x1FAE9), (0x1FAF7, 0x1FAF8), (0x1FBCB, 0x1FBEF), (0x2B739, 0x2B739), (0x2EBF0, 0x2EE5D),
    (0x31350, 0x323AF),
)  # fmt: skip


def unassigned(character: str) -> bool:
    """Whether Unicode 14 leaves a code point unassigned, whatever version this Python knows."""
    if unicodedata.category(character) in ("Cn", "Cs"):
        return True
    return any(low <= ord(character) <= high for low, high in _AFTER_14)


# -- marked quotes ---------------------------------------------------------------------------------------------


class MarkError(ValueError):
    """The marks of a quote do not pair."""


def parse_quote(quote: str) -> tuple[str, dict[str, list[Span]]]:
    """The quote without its marks, and the fragments they mark in it, by role. Raises MarkError."""
    plain: list[str] = []
    length = last = 0
    opened: dict[str, list[int]] = {role: [] for role in ROLES}
    fragments: dict[str, list[Span]] = {role: [] for role in ROLES}
    for mark in _MARKS.finditer(quote):
        plain.append(quote[last : mark.start()])
        length += mark.start() - last
        last = mark.end()
        if role := _OPEN.get(mark[0]):
            opened[role].append(length)
            continue
        role = _CLOSE[mark[0]]
        if not opened[role]:
            raise MarkError(f"{mark[0]} closes nothing")
        fragments[role].append(Span(opened[role].pop(), length))
    for role, left in opened.items():
        if left:
            raise MarkError(f"a {role} mark is not closed")
    plain.append(quote[last:])
    return "".join(plain), {role: sorted(spans) for role, spans in fragments.items()}


def occurrences(needle: str, text: str, most: int = 2) -> list[int]:
    """Where `needle` starts in `text`, overlapping ones too, at most `most` of them."""
    found: list[int] = []
    at = text.find(needle)
    while at >= 0 and len(found) < most:
        found.append(at)
        at = text.find(needle, at + 1)
    return found


def mark(text: str, roles: Mapping[str, Iterable[Span]]) -> str | None:
    """The shortest marked quote, whole words added on both sides, that stands for these fragments.

    None where no quote can: the text itself holds marks there, or the same fragments nest in themselves.
    """
    spans = [(span, role) for role, group in roles.items() for span in group]
    start, end = min(span.start for span, _ in spans), max(span.end for span, _ in spans)
    while len(occurrences(text[start:end], text)) > 1:
        start, end = _wider(text, start, end)
    quote = _with_marks(text, spans, start, end)
    try:
        plain, found = parse_quote(quote)
    except MarkError:
        return None
    wanted = {role: sorted(Span(a - start, b - start) for a, b in roles.get(role, ())) for role in ROLES}
    return quote if plain == text[start:end] and found == wanted else None


def _wider(text: str, start: int, end: int) -> tuple[int, int]:
    left = max((m.start() for m in re.finditer(r"\S+", text[max(0, start - 200) : start])), default=None)
    start = 0 if left is None else max(0, start - 200) + left
    right = re.compile(r"\s*\S+").match(text, end)
    return start, right.end() if right else len(text)


def _with_marks(text: str, spans: Sequence[tuple[Span, str]], start: int, end: int) -> str:
    opening = {role: mark for mark, role in _OPEN.items()}
    closing = {role: mark for mark, role in _CLOSE.items()}
    inserts = [(a, 1, -(b - a), opening[role]) for (a, b), role in spans]
    inserts += [(b, 0, b - a, closing[role]) for (a, b), role in spans]
    pieces, last = [], start
    for at, _, _, inserted in sorted(inserts):
        pieces += [text[last:at], inserted]
        last = at
    return "".join([*pieces, text[last:end]])


# -- paragraphs and passages -----------------------------------------------------------------------------------


def paragraph_starts(text: str) -> list[int]:
    """Where each line starts."""
    return [0, *(m.end() for m in re.finditer("\n", text))]


def paragraph_bounds(text: str, starts: Sequence[int], start: int, end: int) -> Span:
    """The whole paragraphs that hold [start, end)."""
    first = starts[bisect_right(starts, start) - 1]
    last = text.find("\n", max(start, end - 1))
    return Span(first, len(text) if last < 0 else last)


def passage(text: str, spans: Sequence[Span]) -> str:
    """The whole paragraphs in which the spans stand."""
    return text[slice(*paragraph_bounds(text, paragraph_starts(text), *hull(spans)))]


def hull(spans: Sequence[Span]) -> Span:
    """From where the first of the spans starts to where the last ends."""
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def joined(text: str, spans: Iterable[Span]) -> str:
    """The fragments' text, joined by a space."""
    return " ".join(text[start:end] for start, end in spans)


# -- fragments of two annotators --------------------------------------------------------------------------------

Fragments = Sequence[tuple[int, int]]


def dice(one: Fragments, other: Fragments) -> float:
    """Twice the characters that both have over those of each; 0 where both are empty."""
    shared = sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in one for b in other)
    size = sum(end - start for start, end in (*one, *other))
    return 2 * shared / size if size else 0.0


def matched(theirs: Sequence[Fragments], mine: Sequence[Fragments]) -> list[tuple[int, int]]:
    """Which of theirs goes with which of mine, each once, so that the sum of their Dice coefficients is the largest."""
    from scipy.optimize import (
        linear_sum_assignment,  # here, for it doubles the time that every command takes to start
    )

    if not theirs or not mine:
        return []
    gains = np.array([[dice(a, b) for b in mine] for a in theirs])
    pairs = zip(*linear_sum_assignment(gains, maximize=True), strict=True)
    return [(int(i), int(j)) for i, j in pairs if gains[i, j] > 0]


# -- tokens and digests ----------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Text in which case and Unicode's compatible forms make no difference."""
    return unicodedata.normalize("NFKC", text).casefold()


def placed_tokens(text: str) -> tuple[list[Span], list[str]]:
    """Normalised words and where they stand: case, quotes, dashes, spaces and compatible forms make no difference.

    Soft hyphens and zero-width characters within a word are no part of its normal form.
    """
    spans, words = [], []
    for found in _WORD.finditer(text):
        spans.append(Span(*found.span()))
        words.append(fold(_INVISIBLE.sub("", found[0])))
    return spans, words


def tokens(text: str) -> list[str]:
    """The normalised words of a text."""
    return placed_tokens(text)[1]


def digest(words: Sequence[str]) -> str:
    """64 bits over normalised tokens, in hexadecimal."""
    return blake2b("\x1f".join(words).encode(), digest_size=8).hexdigest()
