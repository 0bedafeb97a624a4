"""What an annotated article is: frozen dataclasses, labels and table schemas, all derived from `schema/`.

This module alone knows where the schemas lie and how they map to Arrow, to `datasets.Features` and to
vocabularies. It reads `schema/` once, at import; nothing else in it has an effect.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    import datasets

AUTHOR = "author"
PRIMARY = "primary"  # the annotator of an inventory that names none

# -- schemas ---------------------------------------------------------------------------------------------------


def _schema_dir() -> Path:
    """`<package>/schema` in a wheel, `<repository>/schema` in a checkout or an editable install."""
    package = Path(__file__).parent
    for folder in (package / "schema", package.parents[1] / "schema"):
        if (folder / "article.schema.json").is_file():
            return folder
    raise FileNotFoundError(f"no schema folder beside {package}; reinstall onrecord")


SCHEMAS: Mapping[str, Any] = {
    name: json.loads((_schema_dir() / f"{name}.schema.json").read_text("utf-8"))
    for name in ("article", "story", "contrast", "annotators", "gates", "release")
}


RESULT_SCHEMA: Mapping[str, Any] = json.loads((_schema_dir() / "result.schema.json").read_text("utf-8"))


def schema_text() -> bytes:
    """The schemas as canonical JSON: what the manifest's schema hash is taken over."""
    return json.dumps(SCHEMAS, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def resolve(schema: Mapping[str, Any], home: str = "release") -> tuple[Mapping[str, Any], str]:
    """Follow `$ref` from a schema of document `home` to the schema it means, and say where that one lives."""
    while "$ref" in schema:
        document, _, pointer = schema["$ref"].partition("#/")
        home = document.removesuffix(".schema.json") or home
        target: Any = SCHEMAS[home]
        for part in pointer.split("/"):
            target = target[part]
        schema = target
    return schema, home


@dataclass(frozen=True, slots=True)
class Label:
    """One value of a closed list, with its prose."""

    name: str
    title: str
    description: str
    examples: tuple[str, ...]
    bad_examples: tuple[str, ...]
    requires: str | None  # of a tag: the stance that it belongs to
    never: tuple[str, ...]  # of a source type: the stances that cannot go with it


def _labels(schema: Mapping[str, Any]) -> tuple[Label, ...]:
    return tuple(
        Label(
            entry["const"],
            entry["title"],
            entry["description"],
            tuple(entry.get("x-examples", ())),
            tuple(entry.get("x-bad-examples", ())),
            entry.get("x-requires"),
            tuple(entry.get("x-never", ())),
        )
        for entry in schema.get("oneOf", ())
        if "const" in entry
    )


CLOSED_LISTS: Mapping[str, tuple[Label, ...]] = {
    name: _labels(schema)
    for document in ("article", "story", "contrast")
    for name, schema in SCHEMAS[document]["$defs"].items()
    if _labels(schema)
}
LABELS: Mapping[str, tuple[str, ...]] = {
    name: tuple(label.name for label in labels) for name, labels in CLOSED_LISTS.items()
}
STANCES = LABELS["stance"]
TAG_STANCE: Mapping[str, str] = {tag.name: tag.requires for tag in CLOSED_LISTS["tag"] if tag.requires}
NEVER: Mapping[str, tuple[str, ...]] = {kind.name: kind.never for kind in CLOSED_LISTS["source_type"]}
CANARY: str = SCHEMAS["release"]["x-canary"]
CONFIGS: tuple[str, ...] = tuple(SCHEMAS["release"]["$defs"]["configs"])
DEFAULT_CONFIG: str = SCHEMAS["release"]["x-default"]
SPLITS = ("train", "validation", "test")
CROSSWALK: Mapping[str, Any] = json.loads((_schema_dir() / "crosswalk.json").read_text("utf-8"))["schemes"]


def crosswalk(label: str, scheme: str, *, certainty: str = "certain") -> str | None:
    """What a stance is called in another scheme; None where that has no value for it. Lossy: see schema/crosswalk.json.

    `certainty` matters to `factbank` alone. Raises KeyError for a label, scheme or certainty that there is none of.
    """
    value: str | Mapping[str, str] | None = CROSSWALK[scheme]["map"][label]
    return value[certainty] if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a released table. `labels` is empty unless its values are a closed list."""

    name: str
    description: str
    type: pa.DataType
    labels: tuple[str, ...]


_SCALARS = {"string": pa.string(), "integer": pa.int32(), "number": pa.float64(), "boolean": pa.bool_()}


def _arrow_type(schema: Mapping[str, Any]) -> pa.DataType:
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return pa.list_(_arrow_type(schema["items"]))
    if kind == "object":
        return pa.struct([(name, _arrow_type(part)) for name, part in schema["properties"].items()])
    return _SCALARS[kind]


def _column(name: str, schema: Mapping[str, Any]) -> Column:
    meaning, home = resolve(schema)
    for option in meaning.get("oneOf", ()):  # a nullable label is one of a reference and null
        if "$ref" in option:
            described = meaning.get("description")
            meaning, home = resolve(option, home)
            meaning = {**meaning, "description": described or meaning["description"]}
            break
    labels = tuple(label.name for label in _labels(meaning))
    description = schema.get("description") or meaning["description"]
    return Column(name, description, _arrow_type(meaning), labels)


@cache
def columns(config: str) -> tuple[Column, ...]:
    """The columns of a configuration in file order. Raises KeyError for an unknown one."""
    schema, _ = resolve(SCHEMAS["release"]["$defs"]["configs"][config])
    return tuple(_column(name, part) for name, part in schema["properties"].items())


def config_label(config: str) -> str | None:
    """The column that holds a configuration's own label, never null in it; None where it has none."""
    label: str | None = SCHEMAS["release"]["$defs"]["configs"][config].get("x-label")
    return label


def arrow_schema(config: str) -> pa.Schema:
    """The Arrow schema of a configuration's Parquet files. Labels are plain strings."""
    return pa.schema([(column.name, column.type) for column in columns(config)])


def features(config: str = DEFAULT_CONFIG) -> datasets.Features:
    """The `datasets.Features` of a configuration: its labels are `ClassLabel`, in the schema's order."""
    from datasets import ClassLabel, Features

    plain = Features.from_arrow_schema(arrow_schema(config))
    for column in columns(config):
        if column.labels:
            plain[column.name] = ClassLabel(names=list(column.labels))
    return plain


# -- articles --------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """A stretch of text in code points, half open."""

    start: int
    end: int


class Zone(NamedTuple):
    """A stretch of text that is not body."""

    start: int
    end: int
    zone: str


Votes = Mapping[str, Mapping[str, str]]  # field to annotator to label


@dataclass(frozen=True, slots=True)
class Target:
    id: str
    text: str
    kind: str
    incompatible_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    id: str
    targets: tuple[Target, ...] = ()
    title: str | None = None
    domain: str | None = None
    license: str | None = None
    fictional: bool | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    id: str
    name: str
    source_type: str | None = None
    disclosure: str | None = None
    role: str | None = None
    sector: str | None = None
    speaks_for: str | None = None
    votes: Votes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """A listed pair: what one statement conveys about one target."""

    target: str
    label: str
    certainty: str | None = None
    relays: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    why: str | None = None
    votes: Votes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """`stances` is None where the statement is not annotated; else a judged target it lacks is unrelated."""

    id: str
    content: tuple[Span, ...]
    source: tuple[Span, ...] = ()
    cue: tuple[Span, ...] = ()
    holder: str | None = None
    chain: tuple[str, ...] = ()
    quote_form: str | None = None
    mention_of: str | None = None
    added: bool = False
    stances: Mapping[str, Pair] | None = None

    @property
    def depth(self) -> int:
        """0 for the author, else the number of holders down to the innermost."""
        return 0 if self.holder == AUTHOR else len(self.chain) + 1

    @property
    def spans(self) -> tuple[Span, ...]:
        return self.source + self.cue + self.content


@dataclass(frozen=True, slots=True)
class Edit:
    """A minimal edit of a related pair; `passage` is a marked quote of the whole edited passage."""

    id: str
    article: str
    statement: str
    target: str
    edit: str
    passage: str
    label: str
    holder: str | None = None
    proposition: str | None = None
    why: str | None = None
    votes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Excluded:
    content: tuple[Span, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Article:
    """An admitted article: every reference in it resolves and every span lies within `text`."""

    id: str
    story: str
    text: str
    statements: tuple[Statement, ...] = ()
    holders: Mapping[str, Holder] = field(default_factory=dict)
    zones: tuple[Zone, ...] = ()
    annotator: str = PRIMARY
    annotators: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()
    passes: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    publisher: str | None = None
    published: str | None = None
    title: str | None = None
    language: str | None = None
    license: str | None = None
    url: str | None = None
    origin: str | None = None
    sampling: str | None = None
    tier: str = "open"
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The global id, story.article."""
        return f"{self.story}.{self.id}"

    def zone_at(self, offset: int) -> str:
        at = bisect_right(self.zones, offset, key=lambda zone: zone.start) - 1
        return self.zones[at].zone if at >= 0 and offset < self.zones[at].end else "body"


# -- findings --------------------------------------------------------------------------------------------------


def on_a_line(text: str) -> str:
    """A text as a terminal may have it: line ends, controls and what has no glyph escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


Problem = tuple[str, str]  # where in the file, and what is wrong there; a rule's expectation and remedy are fixed


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing wrong with someone's data: *address: what is; what was expected; what to do [level id]*."""

    file: str
    where: str  # a JSON path, `line 12`, or empty for the whole file
    rule: str
    level: int
    severity: str  # error, or warning
    what: str
    expected: str
    remedy: str
    statement: str | None = None  # the statement at fault, where leaving it out would mend the article

    def __str__(self) -> str:
        where = f"{self.where} ({self.statement})" if self.statement else self.where
        address = f"{self.file}: {where}" if where else self.file
        return on_a_line(f"{address}: {self.what}; {self.expected}; {self.remedy} [{self.level} {self.rule}]")


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that must hold of people's data.

    `promise` says what must hold and ends up in the reference; `remedy` says what to do where it does not.
    `scope` is what `test` is given: a document's reader raises its rules itself and has no `test`.
    """

    id: str
    level: int
    promise: str
    remedy: str
    severity: str = "error"
    scope: str = "file"  # file, article, story, or corpus
    test: Callable[..., Iterable[Any]] | None = None

    def finding(
        self, file: str, where: str, what: str, *, statement: str | None = None, severity: str | None = None
    ) -> Finding:
        expected = self.promise.split(". ")[0].strip().rstrip(".")
        first = expected.split(" ")[0]
        expected = expected[0].lower() + expected[1:] if first.istitle() else expected  # not JSON, not MentionOf
        return Finding(
            file, where, self.id, self.level, severity or self.severity, what, expected, self.remedy, statement
        )


class Unusable(Exception):
    """A file of which nothing can be used; carries the finding that says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Document:
    """A story, an article or a story's edits as they were read, in our own form but not yet judged.

    `imported` is true where it came from another tool's format, whose unusable annotations are left out and
    counted, not refused. `left_out` counts them by rule. `passes_from` names the files of other annotators' passes.
    """

    kind: str  # story, article or contrast
    file: str
    data: dict[str, Any]
    digest: str  # SHA-256 of the bytes it was read from
    imported: bool = False
    findings: tuple[Finding, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    passes_from: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)


def rules_of(namespace: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Every rule that a module defines, by level and id: what a module exports as `RULES`."""
    found = {value.id: value for value in namespace.values() if isinstance(value, Rule)}
    return tuple(sorted(found.values(), key=lambda rule: (rule.level, rule.id)))
