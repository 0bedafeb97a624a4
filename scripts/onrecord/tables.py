"""From articles to Parquet: rows, counts, agreement, fingerprints, the manifest, and whether a folder still has them.

Everything counted is a Counter, so that shards add up to the same manifest in any order.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from typing import Any

import jsonschema
import krippendorff
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jsonschema.exceptions import best_match

from onrecord import audit, form
from onrecord import text as strings
from onrecord.formats import own
from onrecord.formats.files import decode, file_digest, read_bytes
from onrecord.model import (
    CANARY,
    CONFIGS,
    RESULT_SCHEMA,
    SPLITS,
    STANCES,
    Article,
    Edit,
    Finding,
    Pair,
    Rule,
    Span,
    Statement,
    Story,
    Unusable,
    arrow_schema,
    columns,
    rules_of,
    schema_text,
)

ROW_GROUP = 20_000  # rows; sorted by id a file is half as large: scripts/bench/PARTS.md
LF = ord("\n")
INT32 = 2**31 - 1  # bytes that a string array can hold
LONGEST_MESSAGE = 200  # of a validator that quotes what it refuses
MILLION = 1_000_000  # whole numbers add up to the same sum in any order
Row = tuple[Any, ...]
Placed = tuple[Row, int, int]  # and the numbers of its article and its statement
Columns = dict[str, pa.Array | Sequence[Any]]
Given = tuple[str, str, Mapping[str, str], str | None]  # what was voted on: its id, field, votes by annotator, gold
UNRELATED = Pair("", "unrelated", "na")

# -- rows ------------------------------------------------------------------------------------------------------

# What a table repeats of a statement or an article is made once for each of them, and laid out row by row when the
# table is written. All other columns of a configuration are a row's own.
OF_ARTICLE = (
    "story", "article_id", "domain", "publisher", "published", "language", "tier", "fictional", "license", "canary",
)  # fmt: skip
OF_STATEMENT = (
    "statement_id", "text", "passage", "content_start", "content_end", "source_start", "source_end", "cue_start",
    "cue_end", "context", "holder", "holder_id", "source_type", "disclosure", "depth", "chain", "quote_form", "zone",
    "act",
)  # fmt: skip
_OF_PAIR = ("id", "target_id", "target", "target_kind", "stance", "certainty", "agreement", "tags")
_OF_SEGMENTATION = (
    "id", "statement_id", "annotator", "primary", "content", "cue", "source", "content_text", "cue_text",
    "source_text", "holder", "depth", "quote_form", "zone", "added",
)  # fmt: skip
_OF_TEXT = (
    "id", "story_title", "title", "text", "zones", "words", "statements", "targets", "annotators", "instruction",
    "sampling", "origin", "url",
)  # fmt: skip
_OF_EDIT = (
    "id", "original", "edit", "control", "original_stance", "target_id", "target", "target_kind", "text", "passage",
    "content_start", "content_end", "source_start", "source_end", "cue_start", "cue_end", "holder", "stance",
    "agreement",
)  # fmt: skip
OWN = {
    "stance": _OF_PAIR,
    "pairs": _OF_PAIR,
    "source_type": ("id", "agreement"),
    "attribution": _OF_SEGMENTATION,
    "articles": _OF_TEXT,
    "votes": ("id", "subject", "field", "annotator", "annotator_kind", "value", "gold"),
    "contrast": _OF_EDIT,
}


class _Rows:
    """Rows of one article under way: what its statements share is worked out once."""

    def __init__(self, article: Article, story: Story, kinds: Mapping[str, str]) -> None:
        self.article, self.story, self.kinds = article, story, kinds
        self.targets = {target.id: target for target in story.targets}
        self.raw = article.text.encode()  # half the memory of the strings, and as Arrow has it
        self.starts = [*strings.paragraph_starts(article.text), len(article.text) + 1]
        self.raw_starts = [0, *(found.end() for found in re.finditer(b"\n", self.raw)), len(self.raw) + 1]
        headline = next((zone for zone in article.zones if zone.zone == "headline"), None)
        self.headline = article.text[headline.start : headline.end] if headline else ""
        self.headline_at = headline.start if headline else 0
        self.following = {statement.id: statement.mention_of for statement in article.statements}

    def of_article(self) -> Row:
        article, story = self.article, self.story
        return (
            article.story, article.key, story.domain, article.publisher, article.published, article.language,
            article.tier, story.fictional, article.license, CANARY,
        )  # fmt: skip

    def of_statement(self, statement: Statement) -> Row:
        article, key = self.article, self.article.key
        holder = article.holders.get(statement.holder or "")
        passage, offsets, context = self.passage(statement)
        return (
            f"{key}.{statement.id}", strings.joined(article.text, statement.content), passage, *offsets, context,
            holder.name if holder else None, f"{article.story}.{holder.id}" if holder else None,
            holder.source_type if holder else None, holder.disclosure if holder else None, statement.depth,
            [f"{article.story}.{link}" for link in statement.chain], statement.quote_form,
            article.zone_at(statement.content[0].start), f"{key}.{self._act(statement)}",
        )  # fmt: skip

    def passage(self, statement: Statement) -> tuple[bytes, list[int], bytes | memoryview]:
        """Its paragraphs; start and end of content, source and cue in them, -1 where absent; what precedes them."""
        start, end = strings.hull(statement.spans)
        first, after = bisect_right(self.starts, start) - 1, bisect_right(self.starts, max(start, end - 1))
        before: bytes | memoryview = self._before(self.raw_starts[first])
        if self.headline and self.headline_at >= self.starts[after] - 1:  # the headline need not come first
            before = b"\n".join(filter(None, (self.headline.encode(), bytes(before))))
        passage = self.raw[self.raw_starts[first] : self.raw_starts[after] - 1]
        places = (statement.content, statement.source, statement.cue)
        return passage, [x for place in places for x in _extent(place, self.starts[first])], before

    def _before(self, end: int) -> memoryview:
        """The text up to a byte, without the line ends there, where it stands."""
        while end and self.raw[end - 1] == LF:
            end -= 1
        return memoryview(self.raw)[:end]

    def _act(self, statement: Statement) -> str:
        at = statement.id
        while (onward := self.following.get(at)) is not None:
            at = onward
        return at

    def pairs(self, statement: Statement) -> Iterator[Row]:
        """A row for each judged target."""
        for name in sorted(self.article.judged) if statement.stances is not None else ():
            target, pair = self.targets[name], (statement.stances or {}).get(name, UNRELATED)
            yield (
                f"{self.article.key}.{statement.id}.{name}", f"{self.article.story}.{name}", target.text, target.kind,
                pair.label, pair.certainty or _certainty(pair), _share(pair_votes(pair, self.article), pair.label),
                pair.tags,
            )  # fmt: skip

    def source_type(self, statement: Statement) -> Iterator[Row]:
        holder = self.article.holders.get(statement.holder or "")
        if holder is not None and holder.source_type is not None:
            votes = holder.votes.get("source_type", {}).values()
            yield f"{self.article.key}.{statement.id}", _share(votes, holder.source_type)

    def attribution(self) -> Iterator[Row]:
        passes = {self.article.annotator: self.article.statements, **self.article.passes}
        for annotator in sorted(passes):
            for statement in passes[annotator]:
                yield self.attributed(statement, annotator)

    def attributed(self, statement: Statement, annotator: str) -> Row:
        article, text = self.article, self.article.text
        key = f"{article.key}.{statement.id}"
        holder = article.holders.get(statement.holder or "")
        return (
            f"{key}.{annotator}", key, annotator, annotator == article.annotator, statement.content, statement.cue,
            statement.source, strings.joined(text, statement.content), strings.joined(text, statement.cue) or None,
            strings.joined(text, statement.source) or None, holder.name if holder else None, statement.depth,
            statement.quote_form, article.zone_at(statement.content[0].start), statement.added,
        )  # fmt: skip

    def itself(self) -> Row:
        article = self.article
        return (
            article.key, self.story.title, article.title or self.headline or None, self.raw, article.zones,
            len(article.text.split()), len(article.statements), len(self.story.targets), article.annotators,
            article.provenance.get("instruction"), article.sampling, article.origin, article.url,
        )  # fmt: skip

    def contrast(self, edit: Edit, statement: Statement) -> Row:
        article, target, key = self.article, self.targets[edit.target], f"{self.article.key}.{edit.statement}"
        former = (statement.stances or {})[edit.target].label
        plain, roles = strings.parse_quote(edit.passage)
        holder = article.holders.get(statement.holder or "")
        return (
            f"{key}.{edit.target}.{edit.id}", f"{key}.{edit.target}", edit.edit, edit.label == former, former,
            f"{article.story}.{target.id}", edit.proposition or target.text, target.kind,
            strings.joined(plain, roles["content"]), plain,
            *(x for role in ("content", "source", "cue") for x in _extent(roles[role], 0)),
            edit.holder or (holder.name if holder else None), edit.label, _share(edit.votes.values(), edit.label),
        )  # fmt: skip

    def votes(self, given: Iterable[Given]) -> Iterator[Row]:
        for subject, field_, votes, gold in given:
            for annotator, value in sorted(votes.items()):
                yield (
                    f"{subject}.{field_}.{annotator}", subject, field_, annotator, self.kinds.get(annotator), value,
                    gold,
                )  # fmt: skip

    def given(self) -> Iterator[Given]:
        article = self.article
        for holder in article.holders.values():
            for name in ("source_type", "disclosure"):
                yield f"{article.key}.{holder.id}", name, holder.votes.get(name, {}), getattr(holder, name)
        for statement in article.statements:
            for target in article.judged if statement.stances is not None else ():
                pair = (statement.stances or {}).get(target, UNRELATED)
                subject = f"{article.key}.{statement.id}.{target}"
                yield subject, "stance", pair_votes_by(pair, article), pair.label
                if certainty := pair.votes.get("certainty"):
                    yield subject, "certainty", certainty, pair.certainty or _certainty(pair)


def pair_rows(story: Story, articles: Sequence[Article]) -> list[dict[str, Any]]:
    """Every judged pair of a story, as a row of `pairs`."""
    made = Tables({})
    made.add(story, articles, "test")
    return [row for config, _, table in made.tables() if config == "pairs" for row in table.to_pylist()]


def _extent(spans: Sequence[Span], origin: int) -> tuple[int, int]:
    return (spans[0].start - origin, spans[-1].end - origin) if spans else (-1, -1)


def _certainty(pair: Pair) -> str | None:
    return None if pair.label in ("affirm", "deny") else "na"


def pair_votes_by(pair: Pair, article: Article) -> Mapping[str, str]:
    """Each annotator's stance on a pair: unrelated where the pair is not listed."""
    return pair.votes.get("label") or (dict.fromkeys(article.annotators, "unrelated") if pair is UNRELATED else {})


def pair_votes(pair: Pair, article: Article) -> list[str]:
    return list(pair_votes_by(pair, article).values())


def _share(votes: Iterable[str], gold: str) -> float | None:
    given = list(votes)
    return None if len(given) < 2 else sum(vote == gold for vote in given) / len(given)


# -- a shard's tables and counts -------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What shards count. Adding tallies in any order gives the same sums."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    ballots: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)  # field, sorted votes of a unit
    left_out: Counter[str] = field(default_factory=Counter)
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)  # severity, rule

    def __iadd__(self, other: Tally) -> Tally:
        for name in ("counts", "ballots", "left_out", "findings"):
            getattr(self, name).update(getattr(other, name))
        return self


class Tables:
    """The rows of a shard, by configuration and split, until they are written."""

    def __init__(self, kinds: Mapping[str, str], audited: audit.Judged | None = None) -> None:
        self._kinds, self._audited = kinds, audited or {}
        self._articles: list[Row] = []
        self._statements: list[Row] = []
        self._rows: dict[tuple[str, str], list[Placed]] = {}
        self.tally = Tally()

    def add(self, story: Story, articles: Sequence[Article], split: str, edits: Sequence[Edit] = ()) -> None:
        """Put a story's articles, and minimal edits of them, into one split."""
        self._count("stories", split)
        for article in articles:
            mine = [edit for edit in edits if edit.article == article.id]
            self._add_article(_Rows(article, story, self._kinds), split, mine)

    def _add_article(self, rows: _Rows, split: str, edits: Sequence[Edit]) -> None:
        self._articles.append(rows.of_article())
        given = list(rows.given())
        self._put("articles", split, [rows.itself()])
        self._put("attribution", split, rows.attribution())
        self._put("votes", split, rows.votes(given))
        for statement in rows.article.statements:
            self._count("statements", split)
            self.tally.counts["depth", split, str(statement.depth)] += 1
            if statement.stances is None:
                self._count("unlabelled statements", split)
            self._statements.append(rows.of_statement(statement))
            judged = list(rows.pairs(statement))
            self._put("pairs", split, judged)
            self._put("stance", split, _sampled(judged))
            self._put("source_type", split, rows.source_type(statement))
            mine = [edit for edit in edits if edit.statement == statement.id]
            self._put("contrast", split, [rows.contrast(edit, statement) for edit in mine])
            self._take_audit(statement, rows)
        self._take_ballots(given)
        self._take_spans(rows.article)

    def _put(self, config: str, split: str, rows: Iterable[Row]) -> None:
        """Add rows of the newest article and, where they repeat columns of one, the newest statement."""
        article, statement = len(self._articles) - 1, len(self._statements) - 1
        self._rows.setdefault((config, split), []).extend(zip(rows, repeat(article), repeat(statement)))

    def _count(self, what: str, split: str) -> None:
        self.tally.counts[what, split] += 1

    def _take_spans(self, article: Article) -> None:
        """How far other segmentations found the contents of the inventory; Dice coefficients in millionths."""
        mine = [statement.content for statement in article.statements]
        for annotator, statements in article.passes.items():
            theirs = [statement.content for statement in statements]
            pairs = strings.matched(theirs, mine)
            found = {
                "articles": 1,
                "inventory": len(mine),
                "pass": len(theirs),
                "exact": sum(theirs[i] == mine[j] for i, j in pairs),
                "overlap": sum(round(MILLION * strings.dice(theirs[i], mine[j])) for i, j in pairs),
            }
            self.tally.counts.update({("spans", annotator, name): count for name, count in found.items()})

    def _take_audit(self, statement: Statement, rows: _Rows) -> None:
        for target in rows.article.judged if self._audited and statement.stances is not None else ():
            gold = (statement.stances or {}).get(target, UNRELATED).label
            pair = f"{rows.article.key}.{statement.id}.{target}"
            found = list(audit.compared(pair, gold, self._audited, self._kinds))
            self.tally.counts.update(("audit", *one) for one in found)
            self.tally.ballots.update((f"stance, {group}", votes) for group, votes in audit.ballots(found))

    def _take_ballots(self, given: Iterable[Given]) -> None:
        for _, name, by_annotator, _ in given:
            if len(by_annotator) > 1:
                votes = tuple(sorted(by_annotator.values()))
                self.tally.ballots[name, votes] += 1
                if name == "stance" and votes != ("unrelated",) * len(votes):
                    self.tally.ballots["stance, related", votes] += 1

    def tables(self) -> Iterator[tuple[str, str, pa.Table]]:
        """Configuration, split and table, rows sorted by the components of their ids. Empty ones are left out.

        They are given away one at a time: what was added is gone after.
        """
        articles, statements = _arrays(OF_ARTICLE, self._articles), _arrays(OF_STATEMENT, self._statements)
        self._articles.clear()
        self._statements.clear()
        for (config, split), rows in sorted(self._rows.items()):
            if rows:
                table = _laid_out(config, rows, articles, statements)
                rows.clear()
                self._count_labels(config, split, table)
                yield config, split, table

    def _count_labels(self, config: str, split: str, table: pa.Table) -> None:
        self.tally.counts["rows", config, split] += table.num_rows
        for column in columns(config):
            if column.labels and config in ("stance", "pairs", "source_type"):
                for entry in pc.value_counts(table[column.name]).to_pylist():
                    self.tally.counts["label", config, split, column.name, str(entry["values"])] += entry["counts"]
        if config == "stance":
            self._count_crosses(split, table)

    def _count_crosses(self, split: str, table: pa.Table) -> None:
        for stance, source, tags in zip(
            table["stance"].to_pylist(), table["source_type"].to_pylist(), table["tags"].to_pylist(), strict=True
        ):
            self.tally.counts["cross", split, stance, str(source)] += 1
            for tag in tags:
                self.tally.counts["tag", split, tag] += 1


def _sampled(judged: Sequence[Row]) -> list[Row]:
    """Every related pair, and of the unrelated ones that whose id has the lowest SHA-256."""
    related = [row for row in judged if row[_LABEL] != "unrelated"]
    others = [row for row in judged if row[_LABEL] == "unrelated"]
    return related + ([min(others, key=lambda row: sha256(row[0].encode()).digest())] if others else [])


_LABEL = _OF_PAIR.index("stance")


def _laid_out(config: str, rows: list[Placed], articles: Columns, statements: Columns) -> pa.Table:
    """Rows, sorted, as a table of the configuration: their own columns and those of their statement and article."""
    rows.sort(key=lambda placed: placed[0][0].replace(".", "\0"))  # a component ends before all that goes on
    own, at_article, at_statement = zip(*rows, strict=True)
    columns_ = _arrays(OWN[config], own)
    for shared, at in ((statements, at_statement), (articles, at_article)):
        wanted = [name for name in arrow_schema(config).names if name in shared and name not in columns_]
        columns_.update((name, _taken(shared[name], at)) for name in wanted)
    return pa.Table.from_pydict(columns_, schema=arrow_schema(config))


def _taken(values: pa.Array | Sequence[Any], at: Sequence[int]) -> pa.Array:
    return values.take(pa.array(at)) if isinstance(values, pa.Array) else _utf8_array([values[i] for i in at])


def _utf8_array(pieces: Sequence[bytes | memoryview]) -> pa.Array:
    """Strings of pieces of UTF-8. Not by `pa.array`, which never lets go of a memoryview (pyarrow 26, measured)."""
    offsets = np.cumsum([0, *map(len, pieces)])
    if offsets[-1] > INT32:
        return pa.array(list(map(bytes, pieces)), pa.string())  # in chunks
    buffers = pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(pieces))
    return pa.StringArray.from_buffers(len(pieces), *buffers)


def _arrays(names: Sequence[str], rows: Sequence[Row]) -> Columns:
    """Columns of rows. Contexts, which are most of all bytes, are left where they stand in their article."""
    cells = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {
        name: values if name == "context" else _array(values, _TYPES[name])
        for name, values in zip(names, cells, strict=True)
    }


# These have no statement of `of_statement`, so that all they say of one must be their own.
assert all(name in OWN[config] for config in ("attribution", "articles", "votes")
           for name in arrow_schema(config).names if name in OF_STATEMENT)  # fmt: skip

# A column has the same type in every configuration.
_TYPES = {column.name: column.type for config in CONFIGS for column in columns(config)}


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return pa.array(values, kind)
    parts = [item for value in values for item in value]
    fields = zip(*parts, strict=True) if parts else ((),) * kind.value_type.num_fields
    flat = pa.StructArray.from_arrays(
        [pa.array(column, part.type) for column, part in zip(fields, kind.value_type, strict=True)],
        fields=list(kind.value_type),
    )
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=kind)


def write_part(table: pa.Table, file: Path) -> None:
    """A table as Parquet: the same bytes for the same rows and the same pyarrow."""
    pq.write_table(table, file, compression="zstd", compression_level=3, row_group_size=ROW_GROUP, version="2.6")


# -- fingerprints ----------------------------------------------------------------------------------------------


def fingerprint(table: pa.Table) -> str:
    """SHA-256 over a table's columns in canonical form: the same whichever pyarrow wrote or read it."""
    total = sha256()
    for part in table.schema:
        total.update(f"{part.name}\0{_kind(part.type)}\0".encode())
        for piece in _canonical(_whole(table[part.name])):
            total.update(len(piece).to_bytes(8, "big"))
            total.update(piece)
    return total.hexdigest()


def _kind(type_: pa.DataType) -> str:
    """A type's name without those of its items, which Parquet and Arrow call differently."""
    if pa.types.is_list(type_):
        return f"list<{_kind(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"struct<{', '.join(f'{part.name}: {_kind(part.type)}' for part in type_)}>"
    return str(type_)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, copied only where it is in several."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _canonical(array: pa.Array) -> Iterator[bytes | memoryview]:
    """Validity as bytes, then lengths and values, little endian, nulls as nothing."""
    yield array.is_valid().cast(pa.uint8()).to_numpy().tobytes() if array.null_count else b"\1" * len(array)
    if pa.types.is_list(array.type):
        yield pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        yield from _canonical(array.flatten())
    elif pa.types.is_struct(array.type):
        for i in range(array.type.num_fields):
            yield from _canonical(pc.struct_field(array, [i]))
    elif pa.types.is_string(array.type):
        filled = array.fill_null("") if array.null_count else array
        yield pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        yield _utf8(filled)
    elif pa.types.is_boolean(array.type):
        yield array.fill_null(False).cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes()
    else:
        kind = "<f8" if pa.types.is_floating(array.type) else "<i8"
        yield array.fill_null(0).to_numpy(zero_copy_only=False).astype(kind).tobytes()


def _utf8(strings_: pa.Array) -> memoryview:
    """All values of a string array without nulls, end to end, where they stand."""
    _, offsets, data = strings_.buffers()
    if data is None or not len(strings_):
        return memoryview(b"")
    bounds = np.frombuffer(offsets, np.int32)[strings_.offset : strings_.offset + len(strings_) + 1]
    return memoryview(data)[bounds[0] : bounds[-1]]


def combined(parts: Iterable[str]) -> str:
    """One fingerprint over those of the parts, in whatever order they come."""
    return sha256("\n".join(sorted(parts)).encode()).hexdigest()


# -- agreement -------------------------------------------------------------------------------------------------


def agreement(ballots: Mapping[tuple[str, tuple[str, ...]], int]) -> dict[str, dict[str, Any]]:
    """Krippendorff's alpha (nominal) and share of unanimous units, by field, and by label against all others."""
    result = {}
    for name in sorted({name for name, _ in ballots}):
        units = {votes: count for (field_, votes), count in ballots.items() if field_ == name}
        given = sorted({vote for votes in units for vote in votes})
        labels = {
            label: {**_agreed(_touched(units, label)), "alpha": alpha(_against(units, label))} for label in given
        }
        result[name] = {**_agreed(units), "alpha": alpha(units), "labels": labels}
    return result


def _agreed(units: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    total = sum(units.values())
    unanimous = sum(count for votes, count in units.items() if len(set(votes)) == 1)
    return {"units": total, "unanimous": round(unanimous / total, 4)}


def _touched(units: Mapping[tuple[str, ...], int], label: str) -> dict[tuple[str, ...], int]:
    """The units to which at least one vote gave the label."""
    return {votes: count for votes, count in units.items() if label in votes}


def _against(units: Mapping[tuple[str, ...], int], label: str) -> Counter[tuple[str, ...]]:
    """The same ballots with one label kept and all others taken together."""
    kept: Counter[tuple[str, ...]] = Counter()
    for votes, count in units.items():
        kept[tuple(sorted("this" if vote == label else "other" for vote in votes))] += count
    return kept


def layer(
    articles: Sequence[Mapping[str, Any]],
    digests: Iterable[str],
    audited: audit.Judged | None = None,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a stand-off layer holds, without its text: counts by label, agreement, and one digest over its files.

    `articles` are admissible article documents as they stand in the layer; `audited` is what audit.csv says of pairs,
    `kinds` who is a person.
    """
    compared: Counter[tuple[str, ...]] = Counter()
    ballots: Counter[tuple[str, tuple[str, ...]]] = Counter()
    labels: Counter[str] = Counter()
    for data in articles:
        for pair, gold in _layer_pairs(data) if audited else ():
            found = list(audit.compared(pair, gold, audited or {}, kinds or {}))
            compared.update(found)
            ballots.update((f"stance, {group}", votes) for group, votes in audit.ballots(found))
        for name, votes, gold in _layer_votes(data):
            labels.update([gold] if name == "stance" else [])
            if len(votes) > 1:
                ballots[name, votes] += 1
                if name == "stance" and set(votes) != {"unrelated"}:
                    ballots["stance, related", votes] += 1
    return {
        "sha256": combined(digests),
        "articles": len(articles),
        "statements": sum(len(data["statements"]) for data in articles),
        "stances": dict(sorted(labels.items())),
        "agreement": agreement(ballots),
        "audit": nested(compared),
    }


def _layer_pairs(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for statement in data["statements"]:
        for target in data.get("judged", ()) if "stances" in statement else ():
            label = statement["stances"].get(target, {"label": UNRELATED.label})["label"]
            yield f"{data['story']}.{data['id']}.{statement['id']}.{target}", label


def _layer_votes(data: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Field, sorted votes and gold label of everything voted on in an article document."""
    for holder in data.get("holders", {}).values():
        for name in ("source_type", "disclosure"):
            if name in holder:
                yield name, _sorted_votes(holder, name), holder[name]
    blind = ("unrelated",) * len(data.get("annotators", ()))
    for statement in data["statements"]:
        if "stances" not in statement:
            continue
        for target in data.get("judged", ()):
            pair = statement["stances"].get(target)
            yield "stance", _sorted_votes(pair, "label") if pair else blind, pair["label"] if pair else "unrelated"
            if pair and "certainty" in pair.get("votes", {}):
                yield "certainty", _sorted_votes(pair, "certainty"), pair.get("certainty", "na")


def _sorted_votes(voted: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(sorted(voted.get("votes", {}).get(name, {}).values()))


def alpha(units: Mapping[tuple[str, ...], int]) -> float | None:
    """Krippendorff's nominal alpha of ballots with their frequencies; None where only one value was ever given."""
    values = sorted({vote for votes in units for vote in votes})
    if len(values) < 2:
        return None
    table = np.array([[votes.count(value) for value in values] for votes in sorted(units)])
    repeated = np.repeat(table, [units[votes] for votes in sorted(units)], axis=0)
    return round(float(krippendorff.alpha(value_counts=repeated, level_of_measurement="nominal")), 4)


# -- manifest --------------------------------------------------------------------------------------------------

EXAMPLE = ("id", "target", "holder", "source_type", "text", "stance")  # what the card shows of a row


def examples(files: Iterable[Path]) -> list[dict[str, str]]:
    """Of each stance the row whose id has the lowest SHA-256, as the card shows it."""
    rows = [row for file in files for row in pq.read_table(file, columns=list(EXAMPLE)).to_pylist()]
    found = []
    for stance in STANCES:
        mine = [row for row in rows if row["stance"] == stance]
        found += [min(mine, key=lambda row: sha256(row["id"].encode()).digest())] if mine else []
    return found


MANIFEST = "manifest.json"
STAGING = ".onrecord-staging"

MANIFEST_MISSING = Rule("manifest-missing", 5, "A built folder holds manifest.json.", "build it again")
UNFINISHED = Rule(
    "unfinished-build", 5, "A built folder holds no staging folder.", "run the same build again; it converges"
)
FILE_CHANGED = Rule(
    "file-changed",
    5,
    "Every built file has the bytes that the manifest names.",
    "build it again, or restore the file",
)
FILE_MISSING = Rule("file-missing", 5, "Every file of the manifest is there.", "build it again, or restore the file")
FILE_UNKNOWN = Rule(
    "file-unknown", 5, "Every Parquet file of a built folder is in its manifest.", "delete it, or build again"
)
ROWS_CHANGED = Rule(
    "rows-changed", 5, "Built tables have the fingerprints that the manifest names.", "build it again"
)
RULES = rules_of(globals())


@dataclass(frozen=True, slots=True)
class Part:
    """One written Parquet file of a shard."""

    config: str
    split: str
    shard: int
    file: str
    rows: int
    fingerprint: str


def manifest(
    inputs: Mapping[str, str],
    parts: Sequence[Part],
    names: Mapping[str, str],
    out: Callable[[str], Path],
    tally: Tally,
    gates: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a build made of what, with nothing of when, where or by how many workers.

    `names` maps a part's staged file to its name in the output; `gates` are a corpus's figures at its gates.
    """
    configs: dict[str, Any] = {}
    for config in CONFIGS:
        mine = [part for part in parts if part.config == config]
        splits = {
            split: {"rows": sum(p.rows for p in here), "fingerprint": combined(p.fingerprint for p in here)}
            for split in SPLITS
            if (here := [part for part in mine if part.split == split])
        }
        if splits:
            configs[config] = {"fingerprint": combined(p.fingerprint for p in mine), "splits": splits}
    files = {
        names[part.file]: {
            "rows": part.rows,
            "sha256": file_digest(str(out(part.file))),
            "fingerprint": part.fingerprint,
        }
        for part in parts
    }
    return {
        "onrecord": version("onrecord"),
        "pyarrow": pa.__version__,
        "schema": sha256(schema_text()).hexdigest(),
        "counts": nested(tally.counts),
        "agreement": agreement(tally.ballots),
        "left_out": dict(sorted(tally.left_out.items())),
        "warnings": {
            rule: count for (severity, rule), count in sorted(tally.findings.items()) if severity == "warning"
        },
        **({"gates": gates} if gates else {}),
        "configs": configs,
        "files": dict(sorted(files.items())),
        "inputs": dict(sorted(inputs.items())),
    }


def nested(counts: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """Counts under the steps of their keys, sorted."""
    tree: dict[str, Any] = {}
    for key, count in sorted(counts.items()):
        branch = tree
        for step in key[:-1]:
            branch = branch.setdefault(step, {})
        branch[key[-1]] = count
    return tree


def write_manifest(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> dict[str, Any]:
    """A built folder's manifest. Raises OSError or ValueError where there is none that can be read."""
    if (folder / MANIFEST).exists() and not (folder / MANIFEST).is_file():  # a pipe would let us wait for ever
        raise ValueError(f"{folder / MANIFEST} is no file")
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
    except RecursionError as error:
        raise ValueError(f"{folder / MANIFEST} nests too deep") from error
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict) or not all(_is_listed(name, entry) for name, entry in files.items()):
        raise ValueError(f"{folder / MANIFEST} is no manifest")
    return dict(found)


_RESULT = jsonschema.Draft202012Validator(RESULT_SCHEMA)
RESULTS = "benchmark/results"  # of a corpus: what systems reach on it
ARTEFACTS = "artefacts.json"  # there too: what probes reach


def read_results(corpus: Path) -> list[dict[str, Any]]:
    """The results in a corpus, by file name, as schema/result.schema.json has them. Raises Unusable for a broken one."""
    files = sorted(file for file in (corpus / RESULTS).glob("*.json") if file.name != ARTEFACTS)
    return [_result(str(file)) for file in files]


def _result(file: str) -> dict[str, Any]:
    found = own.parse_value(decode(read_bytes(file), file), file, imported=True)
    if fault := best_match(_RESULT.iter_errors(found)):
        where = strings.json_path(list(fault.absolute_path))
        raise Unusable(form.BAD_VALUE.finding(file, where, fault.message[:LONGEST_MESSAGE]))
    return dict(found)


def _is_listed(name: str, entry: object) -> bool:
    """Whether a manifest names a file below its folder, with a digest."""
    inside = not os.path.isabs(name) and ".." not in Path(name).parts
    return inside and isinstance(entry, dict) and isinstance(entry.get("sha256"), str)


def verify(folder: Path) -> list[Finding]:
    """Whether a built folder still holds what its manifest names, byte for byte."""
    if (folder / STAGING).exists():
        return [UNFINISHED.finding(str(folder), "", f"holds {STAGING}")]
    try:
        listed = read_manifest(folder)["files"]
    except (OSError, ValueError) as error:
        what = f"has no {MANIFEST}" if isinstance(error, FileNotFoundError) else str(error)
        return [MANIFEST_MISSING.finding(str(folder), "", what)]
    findings = [found for name, entry in listed.items() for found in _verify_file(folder / name, entry)]
    present = {file.relative_to(folder).as_posix() for file in folder.glob("data/**/*.parquet")}
    findings += [
        FILE_UNKNOWN.finding(str(folder / name), "", "is not in the manifest")
        for name in sorted(present - set(listed))
    ]
    return findings


def _fingerprint_of(file: Path) -> str | None:
    try:
        return fingerprint(pq.read_table(file))
    except pa.ArrowException:  # no Parquet, whatever its digest
        return None


def _verify_file(file: Path, entry: Mapping[str, Any]) -> Iterator[Finding]:
    if not file.is_file():
        yield FILE_MISSING.finding(str(file), "", "is not there")
    elif (found := file_digest(str(file))) != entry["sha256"]:
        yield FILE_CHANGED.finding(str(file), "", f"has SHA-256 {found[:16]}…, the manifest {entry['sha256'][:16]}…")
    elif "fingerprint" in entry and _fingerprint_of(file) != entry["fingerprint"]:
        yield ROWS_CHANGED.finding(str(file), "", "has other rows")
