"""Stand-off layers: labels without text, and how they find their place in a user's own copy.

`dehydrate` puts digests of normalised tokens in the place of text; `hydrate` puts spans of another copy in the place
of digests, and says of every statement whether it found its own. Both are pure. Digests of short fragments can be
guessed with a dictionary: a layer hides no secrets, it only ships no text.
"""

from __future__ import annotations

import csv
import html
import io
import os
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from onrecord import pool
from onrecord import text as strings
from onrecord.formats.files import decode, named, read_bytes
from onrecord.model import Document, Finding, Rule, Span, Unusable, on_a_line, rules_of

Data = Mapping[str, Any]

POOL_ARTICLES = 100  # under this, starting processes takes longer than it saves
EDGE = 3  # tokens that the digests of a fragment's ends are taken over
JOINING = frozenset(("the", "of", "and", "for", "v"))  # as in “the Department of Homeland Security”
RUN = 5  # tokens: a run of the original as long as this may stand nowhere in a layer
STATUSES = ("exact", "reanchored", "changed", "ambiguous", "missing")
PLACED = STATUSES[:3]
SURE = 6  # tokens: a fragment this long that is found once is the one
SLIP = 2  # tokens by which a word more or less may have moved a fragment against its neighbour
END = 1 << 60
WINDOW = 200  # tokens around where a changed fragment should be
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # begins one: OWASP, CSV Injection
TEXT_ENDINGS = (".txt", ".text", ".md", ".html", ".htm")

LAYER_HOLDS_TEXT = Rule(
    "layer-holds-text",
    3,
    "No run of five words of the original stands in a layer, names apart.",
    "word it in words of your own",
)
NO_ARTICLE_FOUND = Rule(
    "no-article-found",
    2,
    "A folder to hydrate from holds copies of the layer's articles.",
    "name the folder that holds the files, or rename them as their publisher does",
)
ARTICLE_NOT_FOUND = Rule(
    "article-not-found",
    2,
    "Each article of a layer has a copy in the folder.",
    "add the file; without it the article is left out",
    severity="warning",
)
NOT_A_LAYER = Rule(
    "not-a-layer",
    2,
    "A layer's article holds a reference and digests in the place of its text, its title, its quotes and its offsets.",
    "make the layer with `onrecord dehydrate`",
)
EXTRACTOR_MISSING = Rule(
    "extractor-missing",
    1,
    "Saved pages are read by trafilatura.",
    "`pip install trafilatura`, or save the page as plain text",
)
RULES = rules_of(globals())

# -- tokens in place -------------------------------------------------------------------------------------------


class Tokens:
    """A text's normalised tokens, where each stands, and where runs of them start."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans, self.words = strings.placed_tokens(text)
        self._starts = [span.start for span in self.spans]
        self._ends = [span.end for span in self.spans]
        self._index: dict[int, dict[str, list[int]]] = {}

    def __len__(self) -> int:
        return len(self.words)

    def touching(self, start: int, end: int) -> tuple[int, int]:
        """The tokens that overlap [start, end), half open; both are the next token where none does."""
        first = bisect_right(self._ends, start)
        return first, max(first, bisect_left(self._starts, end))

    def digest(self, first: int, last: int) -> str:
        return strings.digest(self.words[max(first, 0) : max(last, 0)])

    def find(self, wanted: str, length: int) -> list[int]:
        """Where runs of up to EDGE tokens with this digest start."""
        if length not in self._index:
            index: dict[str, list[int]] = defaultdict(list)
            for i in range(len(self.words) - length + 1):
                index[self.digest(i, i + length)].append(i)
            self._index[length] = index
        return self._index[length].get(wanted, [])


# -- text out --------------------------------------------------------------------------------------------------


_TEXTUAL = ("text", "title", "origin", "zones", "tier")  # what holds words of the story, or comes back otherwise


def dehydrate(article: Data, file: str | None = None) -> dict[str, Any]:
    """An article's data (with text and spans) as a layer's: a reference and anchors, no text and no title.

    `file` is the base name under which the text is distributed.
    """
    text = article["text"]
    tokens = Tokens(text)
    reference = {"sha256": sha256(text.encode()).hexdigest(), "length": len(text)}
    data: dict[str, Any] = {k: v for k, v in article.items() if k not in _TEXTUAL}
    data["reference"] = reference | ({"file": file} if file else {})
    if article.get("zones"):
        data["zones"] = [anchor(tokens, start, end) | {"zone": zone} for start, end, zone in article["zones"]]
    for name in ("statements", "excluded"):
        if name in article:
            data[name] = [_anchored(tokens, item) for item in article[name]]
    if "passes" in article:
        data["passes"] = {
            who: [_anchored(tokens, item) for item in items] for who, items in article["passes"].items()
        }
    return data


def _anchored(tokens: Tokens, item: Data) -> dict[str, Any]:
    return {
        key: [anchor(tokens, start, end) for start, end in value] if key in strings.ROLES else value
        for key, value in item.items()
    }


def anchor(tokens: Tokens, start: int, end: int) -> dict[str, Any]:
    """A fragment without its text. One without a word is known by the three tokens on either side."""
    first, last = tokens.touching(start, end)
    count = last - first
    edge = min(EDGE, count)
    before, after = (first, first + edge) if count else (first - EDGE, first)
    made: dict[str, Any] = {
        "start": start,
        "end": end,
        "token": first,
        "tokens": count,
        "digest": tokens.digest(first, last),
        "first": tokens.digest(before, after),
        "last": tokens.digest(last - edge, last) if count else tokens.digest(first, first + EDGE),
    }
    left = tokens.spans[first].start if count else tokens.spans[first - 1].end if first else 0
    right = tokens.spans[last - 1].end if count else left
    return made | {key: value for key, value in (("lead", left - start), ("trail", end - right)) if value}


def borrowed(layer: Data, text: str) -> Iterator[tuple[str, str]]:
    """Where strings of a layer's data hold a run of RUN tokens of the text, names apart, and the run.

    A run is made of names where every token of it is capitalised or a number in the text, or joins two that are. The
    file name in the
    reference is its publisher's, by which a user's copy is known, and is not asked.
    """
    spans, words = strings.placed_tokens(text)
    runs: dict[tuple[str, ...], bool] = {}
    for i in range(len(words) - RUN + 1):
        run = tuple(words[i : i + RUN])
        runs[run] = runs.get(run, True) and _names(text, spans[i : i + RUN], run)
    for where, string in _strings_in({key: part for key, part in layer.items() if key != "reference"}, "$"):
        if found := next((run for run in _runs(string) if not runs.get(run, True)), None):
            yield where, " ".join(found)


def _names(text: str, spans: Iterable[Span], words: Iterable[str]) -> bool:
    capitals = [text[span.start].isupper() or text[span.start].isdigit() for span in spans]
    return (
        all(capital or word in JOINING for capital, word in zip(capitals, words, strict=True)) and sum(capitals) > 2
    )


def text_left(layer: Data, text: str, file: str) -> list[Finding]:
    """`borrowed` as findings on the layer's file."""
    return [
        LAYER_HOLDS_TEXT.finding(file, where, f"holds {run!r}, as the article does")
        for where, run in borrowed(layer, text)
    ]


def _runs(string: str) -> Iterator[tuple[str, ...]]:
    words = strings.tokens(string)
    return (tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1))


def _strings_in(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _strings_in(part, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _strings_in(part, f"{where}[{i}]")


# -- text in ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Placing:
    """One anchor on its way to a place: where it could be, and where it went, as first tokens."""

    anchor: Data
    candidates: list[int] = field(default_factory=list)
    place: int | None = None
    count: int = 0  # tokens there; a changed fragment may have more or fewer than its anchor
    status: str = "missing"

    @property
    def token(self) -> int:
        return int(self.anchor["token"])

    def settle(self, place: int, status: str, count: int | None = None) -> None:
        self.place, self.status = place, status
        self.count = self.anchor["tokens"] if count is None else count


def hydrate(layer: Data, text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A layer's article with the spans it has in `text`, and the status of each statement by id.

    Statements that are ambiguous or missing are not in the result; nor are zones and exclusions that are.
    `text` is decoded, in NFC, with LF. Titles do not come back.
    """
    exact = sha256(text.encode()).hexdigest() == layer["reference"]["sha256"]
    spots = _Exact() if exact else _Found(layer, text)
    data = {key: value for key, value in layer.items() if key not in ("reference", "zones", "passes")}
    data |= {"text": text, "tier": "layer"}
    placed = [_placed(item, spots) for item in layer["statements"]]
    statuses = {item["id"]: status for (_, status), item in zip(placed, layer["statements"], strict=True)}
    data["statements"] = _consistent([item for item, _ in placed if item is not None])
    if "excluded" in layer:
        data["excluded"] = [item for item, _ in (_placed(e, spots) for e in layer["excluded"]) if item is not None]
    if "passes" in layer:
        passes = {who: [_placed(item, spots)[0] for item in items] for who, items in layer["passes"].items()}
        data["passes"] = {who: [item for item in items if item is not None] for who, items in passes.items()}
    if zones := list(_zones(layer, spots)):
        data["zones"] = zones
    return data, statuses


class _Exact:
    """The text is the reference: offsets are the places."""

    def __call__(self, anchor: Data) -> tuple[Span | None, str]:
        return Span(anchor["start"], anchor["end"]), "exact"


class _Found:
    """The text is another copy: each anchor is looked for once, together with all others."""

    def __init__(self, layer: Data, text: str) -> None:
        self._tokens = Tokens(text)
        placings = {_key(anchor): Placing(anchor) for anchor in _anchors(layer)}
        _place_all(list(placings.values()), self._tokens)
        self._placings = placings

    def __call__(self, anchor: Data) -> tuple[Span | None, str]:
        placing = self._placings[_key(anchor)]
        if placing.place is None:
            return None, placing.status
        return _span(placing, self._tokens), placing.status


def _key(anchor: Data) -> tuple[int, int]:
    return anchor["start"], anchor["end"]


def _items(layer: Data) -> Iterator[Data]:
    """Whatever of an article has a place in its text, zones apart."""
    yield from layer["statements"]
    yield from layer.get("excluded", ())
    for group in layer.get("passes", {}).values():
        yield from group


def _anchors(layer: Data) -> Iterator[Data]:
    for item in _items(layer):
        for role in strings.ROLES:
            yield from item.get(role, ())
    yield from layer.get("zones", ())


def unfit(document: Document) -> Iterator[Finding]:
    """Why an article of the right form cannot be hydrated: where it holds words of the text, or offsets."""
    if document.kind == "article":
        data = document.data
        if "reference" not in data:
            yield NOT_A_LAYER.finding(document.file, "$.text", "is the text itself")
        elif "title" in data:
            yield NOT_A_LAYER.finding(document.file, "$.title", "is the article's own words")
        elif any("quote" in item for item in _items(data)):
            yield NOT_A_LAYER.finding(document.file, "$.statements", "hold quotes")
        elif not all(isinstance(one, dict) for one in _anchors(data)):
            yield NOT_A_LAYER.finding(document.file, "$", "holds offsets without digests")
        elif not all("zone" in one for one in data.get("zones", ())):
            yield NOT_A_LAYER.finding(document.file, "$.zones", "do not say which zones they are")


def _placed(item: Data, spots: _Exact | _Found) -> tuple[dict[str, Any] | None, str]:
    """An item with spans for anchors, and the worst status of its fragments; None where one has no place."""
    found, worst = dict(item), "exact"
    for role in strings.ROLES:
        if role not in item:
            continue
        spans = []
        for fragment in item[role]:
            span, status = spots(fragment)
            worst = max(worst, status, key=STATUSES.index)
            spans.append(span)
        if None in spans or any(b.start < a.end for a, b in pairwise(spans) if a and b):
            return None, worst if worst not in PLACED else "ambiguous"
        found[role] = [list(span) for span in spans if span]
    return found, worst


def _zones(layer: Data, spots: _Exact | _Found) -> Iterator[list[Any]]:
    end = 0
    placed = ((spots(zone)[0], zone["zone"]) for zone in layer.get("zones", ()))
    for span, zone in sorted((span, zone) for span, zone in placed if span):
        if span.start >= end:
            yield [*span, zone]
            end = span.end


def _consistent(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Statements without references to those that have no place."""
    known = {statement["id"] for statement in statements}
    for statement in statements:
        if statement.get("mention_of") not in known:
            statement.pop("mention_of", None)
        if "stances" in statement:
            statement["stances"] = {
                target: pair
                for target, pair in statement["stances"].items()
                if not pair.get("relays") or set(pair["relays"]) <= known
            }
    return statements


# -- places ----------------------------------------------------------------------------------------------------


def _place_all(placings: list[Placing], tokens: Tokens) -> None:
    """Place what is unique and moved as something beside it did; then all else by its neighbours' moves."""
    placings.sort(key=lambda p: (p.token, p.anchor["tokens"]))
    for placing in placings:
        placing.candidates = _candidates(placing.anchor, tokens)
    unique = [p for p in placings if p.anchor["tokens"] >= EDGE and len(p.candidates) == 1]
    trusted = [p for i, p in enumerate(unique) if _trusted(unique, i)]
    for placing in trusted:
        if placing.anchor["tokens"] >= SURE:
            placing.settle(placing.candidates[0], "reanchored")
    moves = _Moves(trusted)
    for placing in placings:
        if placing.place is None:
            _by_moves(placing, moves, tokens)


def _move(placing: Placing) -> int:
    return placing.candidates[0] - placing.token


def _trusted(unique: Sequence[Placing], i: int) -> bool:
    """Whether a fragment that occurs once is the one.

    Where its own words changed and stand elsewhere too, it is found there: away from neighbours that kept their
    distance from each other or, if it is short, away from both.
    """
    beside = [_move(unique[k]) for k in (i - 1, i + 1) if 0 <= k < len(unique)]
    near = [abs(move - _move(unique[i])) <= SLIP for move in beside]
    if unique[i].anchor["tokens"] < SURE:
        return not beside or any(near)
    return len(beside) < 2 or any(near) or abs(beside[0] - beside[1]) > SLIP


def _candidates(anchor: Data, tokens: Tokens) -> list[int]:
    """Where the anchor's digests are found, as first tokens."""
    count = anchor["tokens"]
    if not count:
        starts = [i + EDGE for i in tokens.find(anchor["first"], EDGE)]
        return [i for i in starts if tokens.digest(i, i + EDGE) == anchor["last"]]
    starts = tokens.find(anchor["first"], min(EDGE, count))
    return [i for i in starts if _fits(i, count, tokens) and tokens.digest(i, i + count) == anchor["digest"]]


class _Moves:
    """How far, in tokens, the trusted fragments around a place have moved."""

    def __init__(self, trusted: Sequence[Placing]) -> None:
        self._tokens = [placing.token for placing in trusted]
        self._counts = [int(placing.anchor["tokens"]) for placing in trusted]
        self._moves = [_move(placing) for placing in trusted]

    def around(self, placing: Placing) -> tuple[list[int], int, int]:
        """Where a fragment should start by the trusted ones beside it, the nearer first, and between which tokens.

        Where the two kept their order, what stood between them does.
        """
        after = bisect_left(self._tokens, placing.token)
        sides = [i for i in (after - 1, after) if 0 <= i < len(self._tokens)]
        expected = [
            placing.token + self._moves[i] for i in sorted(sides, key=lambda i: abs(self._tokens[i] - placing.token))
        ]
        in_order = len(sides) == 2 and self._at(sides[0]) <= self._at(sides[1])
        return (expected or [placing.token], *(self._between(placing, *sides) if in_order else (0, END)))

    def _at(self, i: int) -> int:
        return self._tokens[i] + self._moves[i]

    def _between(self, placing: Placing, left: int, right: int) -> tuple[int, int]:
        """The first tokens that leave the fragment after or within its left neighbour, before or within its right."""
        apart = self._tokens[left] + self._counts[left] <= placing.token
        before = placing.token + placing.anchor["tokens"] <= self._tokens[right]
        low = self._at(left) + (self._counts[left] if apart else 0)
        high = self._at(right) - (placing.anchor["tokens"] if before else 0)
        return low, high


def _by_moves(placing: Placing, moves: _Moves, tokens: Tokens) -> None:
    expected, low, high = moves.around(placing)
    slip = SLIP if placing.anchor["tokens"] >= EDGE else 0  # a short word recurs by chance
    for at in expected:
        near = [c for c in placing.candidates if abs(c - at) <= slip and low <= c <= high]
        if len(near) == 1 or at in near:
            return placing.settle(at if at in near else near[0], "reanchored")
    if found := _changed(placing.anchor, expected, tokens):
        return placing.settle(found[0], "changed", found[1])
    if len(expected) == 2 and expected[0] == expected[1] and _fits(expected[0], placing.anchor["tokens"], tokens):
        return placing.settle(expected[0], "changed")  # between fragments that kept their distance
    placing.status = "ambiguous" if placing.candidates else "missing"
    return None


def _changed(anchor: Data, expected: Sequence[int], tokens: Tokens) -> tuple[int, int] | None:
    """First token and length of the one stretch between the fragment's own ends near where it should be."""
    count = anchor["tokens"]
    if count < 2 * EDGE:
        return None
    slack = max(2, count // 5)
    ends = [i + EDGE for i in tokens.find(anchor["last"], EDGE)]
    found = {
        (i, end - i)
        for i in tokens.find(anchor["first"], EDGE)
        if any(abs(i - at) <= WINDOW for at in expected)
        for end in ends
        if abs(end - i - count) <= slack
    }
    return found.pop() if len(found) == 1 else None


def _fits(first: int, count: int, tokens: Tokens) -> bool:
    return first >= 0 and first + count <= len(tokens)


def _span(placing: Placing, tokens: Tokens) -> Span:
    """The characters of a place, with what its fragment had before its first token and after its last."""
    assert placing.place is not None
    first, last, text = placing.place, placing.place + placing.count, tokens.text
    lead, trail = placing.anchor.get("lead", 0), placing.anchor.get("trail", 0)
    if not placing.count:
        start = tokens.spans[first - 1].end if first else 0
        end = tokens.spans[first].start if first < len(tokens) else len(text)
        begin = min(max(start, start - lead), end)
        return Span(begin, min(max(begin, start + trail), end))
    start, end = tokens.spans[first].start, tokens.spans[last - 1].end
    left = tokens.spans[first - 1].end if first else 0
    right = tokens.spans[last].start if last < len(tokens) else len(text)
    start = min(max(left, start - lead), tokens.spans[first].end - 1)
    return Span(start, max(start + 1, min(max(tokens.spans[last - 1].start + 1, end + trail), right)))


# -- files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """A user's file as text: decoded, NFC, LF; of a saved page, what the extractor finds in it."""

    file: str
    text: str


def copies(path: Path) -> tuple[list[Copy], list[Finding]]:
    """The texts of a file, or of all text files and saved pages below a folder."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.suffix.lower() in TEXT_ENDINGS)
    found: list[Copy] = []
    findings: list[Finding] = []
    for file in files:
        try:
            found.append(Copy(str(file), _text_of(file)))
        except Unusable as error:
            findings.append(error.finding)
    return found, findings


def _text_of(file: Path) -> str:
    raw = decode(read_bytes(str(file)), str(file), imported=True)
    if file.suffix.lower() in (".html", ".htm"):
        raw = _extract(raw, str(file))
    return strings.normalise(raw).text


def _extract(page: str, file: str) -> str:
    try:
        import trafilatura
    except ImportError as error:
        raise Unusable(
            EXTRACTOR_MISSING.finding(file, "", "is a saved page, and trafilatura is not installed")
        ) from error
    return trafilatura.extract(page, include_comments=False, favor_recall=True) or html.unescape(page)


def match(layer: Sequence[Data], found: Sequence[Copy]) -> dict[int, Copy]:
    """Which copy belongs to which article of a layer: by SHA-256, then by name, then by most fragments in common."""
    digests = {sha256(copy.text.encode()).hexdigest(): copy for copy in reversed(found)}
    names: dict[str, list[Copy]] = defaultdict(list)
    for copy in found:
        names[os.path.basename(copy.file)].append(copy)
    matched: dict[int, Copy] = {}
    left: list[int] = []
    for i, article in enumerate(layer):
        reference = article["reference"]
        named = names.get(reference.get("file", ""), [])
        if reference["sha256"] in digests:
            matched[i] = digests[reference["sha256"]]
        elif len(named) == 1:
            matched[i] = named[0]
        else:
            left.append(i)
    if left:
        matched |= _by_fragments(layer, left, found)
    return matched


def _by_fragments(layer: Sequence[Data], left: Sequence[int], found: Sequence[Copy]) -> dict[int, Copy]:
    """One inverted index from the first three tokens of long fragments to the articles that hold them."""
    holders: dict[str, set[int]] = defaultdict(set)
    for i in left:
        for anchor in _anchors(layer[i]):
            if anchor["tokens"] >= 2 * EDGE:
                holders[anchor["first"]].add(i)
    votes: Counter[tuple[int, int]] = Counter()
    for c, copy in enumerate(found):
        tokens = Tokens(_unescaped(copy.text))
        seen = {tokens.digest(k, k + EDGE) for k in range(len(tokens) - EDGE + 1)}
        votes.update((i, c) for digest in seen & holders.keys() for i in holders[digest])
    best: dict[int, Copy] = {}
    for (i, c), count in votes.most_common():
        if i not in best and count * 4 >= sum(1 for digests in holders.values() if i in digests):
            best[i] = found[c]
    return best


def _unescaped(text: str) -> str:
    """A text whose HTML entities are characters."""
    return strings.normalise(html.unescape(text)).text if "&" in text else text


def place(article: Data, copy: Copy) -> tuple[dict[str, Any], dict[str, str]]:
    """`hydrate` on a copy as it is, or, where it is not the reference, with its HTML entities resolved."""
    if sha256(copy.text.encode()).hexdigest() == article["reference"]["sha256"]:
        return hydrate(article, copy.text)
    return hydrate(article, _unescaped(copy.text))


# -- whole layers ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Hydration:
    """What came of a layer: its stories and articles in bulk form, a row for each statement, and findings."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    rows: list[tuple[str, str, str, str, str]] = field(
        default_factory=list
    )  # story, article, statement, status, file
    findings: list[Finding] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Statements by status, in STATUSES' order."""
        found = Counter(row[3] for row in self.rows)
        return {status: found[status] for status in STATUSES if found[status]}


def hydrate_layer(documents: Iterable[Document], path: Path, *, workers: int = 1) -> Hydration:
    """Put a layer's documents, stories before their articles, on the texts at `path`. Workers take articles each."""
    listed = list(documents)
    articles = [document for document in listed if document.kind == "article"]
    found, findings = copies(path)
    matched = match([document.data for document in articles], found)
    result = Hydration(findings=findings)
    if not matched:
        names = ", ".join(_wanted(document) for document in articles[:3])
        what = f"none of the layer's {len(articles)} articles is there ({names}{', …' if len(articles) > 3 else ''})"
        result.findings.append(NO_ARTICLE_FOUND.finding(str(path), "", f"{len(found)} texts were read, {what}"))
        return result
    placed = {id(articles[i]): (matched[i], *one) for i, one in _place_each(articles, matched, workers)}
    for document in listed:
        if document.kind == "story":
            result.documents.append(document.data)
        elif id(document) in placed:
            _add(*placed[id(document)], path, result)
        else:
            what = f"no copy of {_wanted(document)}, length {document.data['reference']['length']:,}, was found"
            result.findings.append(ARTICLE_NOT_FOUND.finding(document.file, "$.reference", what))
    return result


def _wanted(document: Document) -> str:
    reference = document.data["reference"]
    return str(reference.get("file") or f"SHA-256 {reference['sha256'][:12]}…")


def _place_each(
    articles: Sequence[Document], matched: Mapping[int, Copy], workers: int
) -> Iterator[tuple[int, tuple[dict[str, Any], dict[str, str]]]]:
    """`place` on each article that has a copy, by its number."""
    left = {i: (i, articles[i].data, copy) for i, copy in matched.items()}
    if workers > 1 and len(left) >= POOL_ARTICLES:
        try:
            for i, one in pool.completed(_place_as, list(left.values()), workers):
                del left[i]
                yield i, one
        except BrokenProcessPool:  # a worker was killed: what is left is done here
            pass
    yield from (_place_as(*job) for job in left.values())


def _place_as(i: int, article: Data, copy: Copy) -> tuple[int, tuple[dict[str, Any], dict[str, str]]]:
    return i, place(article, copy)


def _add(copy: Copy, data: dict[str, Any], statuses: Mapping[str, str], path: Path, result: Hydration) -> None:
    result.documents.append(data)
    name = on_a_line(named(os.path.relpath(copy.file, path if path.is_dir() else path.parent)))
    result.rows += [(data["story"], data["id"], statement, status, name) for statement, status in statuses.items()]


def hydration_csv(rows: Iterable[tuple[str, ...]]) -> str:
    """The rows as CSV; a cell that a spreadsheet would take for a formula starts with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("story", "article", "statement", "status", "file"))
    writer.writerows([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in rows)
    return out.getvalue()
