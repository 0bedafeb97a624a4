"""Our own form: `story.json`, `<article>.txt` with zone prefixes and `<article>.json`; and JSON lines in bulk."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from onrecord import text as strings
from onrecord.formats.files import EMPTY_FILE, UNREADABLE, Unit, decode, digest, named, read_bytes
from onrecord.model import (
    LABELS,
    PRIMARY,
    Article,
    Document,
    Finding,
    Rule,
    Span,
    Statement,
    Story,
    Unusable,
    rules_of,
)

LONGEST_LINE = 64 * 1024 * 1024  # bytes of one line of a bulk file
SHARD_BYTES = 2_500_000  # of a bulk file: a worker takes 300 MB for it, since rows repeat what precedes them
# Of a corpus: stories/<story>/, passes/<annotator>/<story>/<article>.json, contrast/<story>.json
STORIES, PASSES, CONTRAST = "stories", "passes", "contrast"
ZONE_PREFIX = re.compile(r"@(\w+)(?:[ \t]|$)")

JSON_SYNTAX = Rule(
    "json-syntax",
    1,
    "Annotation files are JSON.",
    "mend the syntax there; where the file ends early, restore the rest",
)
DUPLICATE_KEY = Rule("duplicate-key", 1, "No JSON object holds a key twice.", "delete one of the two")
NOT_AN_INTEGER = Rule(
    "not-an-integer",
    1,
    "Every number is a whole number of at most 15 digits.",
    "write a whole number; NaN and fractions mean nothing here",
)
TOO_DEEP = Rule(
    "too-deep",
    1,
    "JSON nests at most 100 levels deep.",
    "mend what wrote the file; no annotation needs more than ten",
)
LONE_SURROGATE = Rule(
    "lone-surrogate",
    1,
    "Every half of a surrogate pair stands beside the other half.",
    "write the character itself, or both halves of its escape",
)
NOT_AN_OBJECT = Rule(
    "not-an-object", 1, "An annotation file holds one JSON object.", "wrap the value, or name the right file"
)
MISSING_TEXT = Rule(
    "missing-text",
    1,
    "Beside each <article>.json stands <article>.txt with its text.",
    "add the text file, or delete the annotation",
)
MISSING_ANNOTATION = Rule(
    "missing-annotation",
    1,
    "Beside each <article>.txt stands <article>.json with its annotation.",
    "add the annotation, or delete the text",
)
MISSING_STORY = Rule(
    "missing-story", 1, "A folder of articles holds story.json.", "add story.json with the story's id and targets"
)
UNKNOWN_ZONE = Rule(
    "unknown-zone",
    1,
    "A line that starts with @word is prefixed with the name of a zone.",
    f"use one of {' '.join('@' + zone for zone in LABELS['zone'])}; write @body before a line with an @ of its own",
)
NAME_DIFFERS = Rule(
    "name-differs", 1, "Files and folders are named by the ids in them.", "rename the file, or mend the id"
)
LINE_TOO_LONG = Rule("line-too-long", 1, "No line of a bulk file is longer than 64 MiB.", "split the document")
RULES = rules_of(globals())

_NESTING = 100
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_DIGITS = 15  # what every JSON reader holds exactly
_SURROGATE = re.compile("[\ud800-\udfff]")

# -- reading ---------------------------------------------------------------------------------------------------


def story_units(folder: Path, root: Path) -> Iterator[Unit]:
    """The one unit of a story's folder, with the segmentation passes and edits that a corpus keeps beside its stories."""
    files = sorted(f for f in folder.iterdir() if f.suffix in (".json", ".txt"))
    corpus = folder.parent.parent
    if folder.parent.name == STORIES and corpus.is_relative_to(root):
        files += [
            *sorted(corpus.glob(f"{PASSES}/*/{folder.name}/*.json")),
            *corpus.glob(f"{CONTRAST}/{folder.name}.json"),
        ]
    yield Unit.of("own", _name(folder), files, root)


def strays(corpus: Path) -> Iterator[Path]:
    """Passes and edits of a corpus whose story it does not hold."""
    found = [(file, file.parent.name) for file in corpus.glob(f"{PASSES}/*/*/*.json")]
    found += [(file, file.stem) for file in corpus.glob(f"{CONTRAST}/*.json")]
    return (file for file, story in sorted(found) if not (corpus / STORIES / story).is_dir())


def _name(folder: Path) -> str:
    """A folder's name, also where the path to it is only dots."""
    return os.path.basename(os.path.abspath(folder))


def file_units(file: Path) -> Iterator[Unit | Finding]:
    """The unit of one article's file: with its text and the story.json beside it."""
    beside = [file.with_suffix(".txt"), file.parent / "story.json"]
    yield Unit.of("own", _name(file.parent), sorted({file, *(f for f in beside if f.exists())}), file.parent)


def line_units(file: Path, root: Path) -> Iterator[Unit | Finding]:
    """A bulk file, cut into runs of whole stories of at most SHARD_BYTES where they allow it."""
    if file.exists() and not file.is_file():  # a pipe would let us wait for ever
        yield UNREADABLE.finding(str(file), "", "is a folder or a device with the name of a file")
        return
    try:
        spans = list(_cuts(file))
    except OSError as error:
        yield UNREADABLE.finding(str(file), "", f"cannot be read ({error.strerror})")
        return
    if not spans:
        yield EMPTY_FILE.finding(str(file), "", "is empty")
    for span, line in spans:
        yield replace(Unit.of("lines", named(file.relative_to(root)), [file], root, span), line=line)


def read(unit: Unit) -> Iterator[Document | Finding]:
    """The story and the articles of a folder."""
    passes = [file for file in unit.files if _stands_in(file, PASSES, 2)]
    edits = [file for file in unit.files if _stands_in(file, CONTRAST, 0)]
    files = {Path(file).name: file for file in unit.files if file not in (*passes, *edits)}
    if "story.json" in files:
        yield from _guarded(_story, files.pop("story.json"), unit)
    else:
        yield MISSING_STORY.finding(str(Path(unit.files[0]).parent), "", "has no story.json")
    for name, file in sorted(files.items()):
        stem, ending = os.path.splitext(name)
        if ending == ".json":
            yield from _guarded(_article, file, unit, [one for one in passes if Path(one).name == name])
        elif f"{stem}.json" not in files:
            yield MISSING_ANNOTATION.finding(file, "", f"{stem}.json is missing")
    for one in passes:
        if Path(one).name not in files:
            yield MISSING_TEXT.finding(one, "", "is a pass over an article that is not there")
    for one in edits:
        yield from _guarded(_edits, one, unit)


def _stands_in(file: str, folder: str, above: int) -> bool:
    """Whether a file of a story's unit stands in that folder of its corpus and not in the story's own."""
    parents = Path(file).parents
    return len(parents) > above + 1 and parents[above].name == folder and parents[above + 1].name != STORIES


def _edits(file: str, unit: Unit) -> Document:
    data = read_bytes(file)
    contrast = parse_json(decode(data, file), file)
    return Document(
        "contrast", file, contrast, digest(data), findings=_name_findings(contrast.get("story"), unit.story, file)
    )


def read_lines(unit: Unit) -> Iterator[Document | Finding]:
    """The documents of a byte range of a bulk file, in its order."""
    try:
        yield from _lines(unit)
    except OSError as error:
        yield UNREADABLE.finding(unit.files[0], "", f"cannot be read ({error.strerror})")


def _lines(unit: Unit) -> Iterator[Document | Finding]:
    file, (start, end) = unit.files[0], unit.span
    with open(file, "rb") as stream:
        number, blank = unit.line, True
        stream.seek(start)
        while stream.tell() < end:
            line = stream.readline(LONGEST_LINE)
            if len(line) == LONGEST_LINE:
                _skip_line(stream)
            if line.strip():
                yield from _guarded(_line, f"{file}:{number}", unit, line)
                blank = False
            number += 1
    if blank:
        yield EMPTY_FILE.finding(file, "", "holds blank lines and nothing else")


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _guarded(parse: Any, file: str, unit: Unit, *rest: Any) -> Iterator[Document | Finding]:
    try:
        yield parse(file, unit, *rest)
    except Unusable as error:
        yield error.finding


def _story(file: str, unit: Unit) -> Document:
    data = read_bytes(file)
    story = parse_json(decode(data, file), file)
    findings = _name_findings(story.get("id"), unit.story, file)
    return Document("story", file, story, digest(data), findings=findings)


def _article(file: str, unit: Unit, passes: Sequence[str] = ()) -> Document:
    data = read_bytes(file)
    article = parse_json(decode(data, file), file)
    findings = _name_findings(article.get("id"), Path(file).stem, file)
    others = {Path(one).parents[1].name: one for one in passes}
    for name, one in others.items():
        other = parse_json(decode(read_bytes(one), one), one)
        findings += _name_findings(other.get("annotator"), name, one)
        article.setdefault("passes", {})[name] = other.get("statements")
    if "text" in article or "reference" in article:
        return Document("article", file, article, digest(data), findings=findings, passes_from=others)
    text_file = os.path.splitext(file)[0] + ".txt"
    if not os.path.lexists(text_file):
        raise Unusable(MISSING_TEXT.finding(file, "", f"{Path(text_file).name} is missing"))
    raw = read_bytes(text_file)
    article["text"], article["zones"] = parse_text(decode(raw, text_file), text_file)
    return Document("article", file, article, digest(data, raw), findings=findings, passes_from=others)


def _line(file: str, unit: Unit, line: bytes) -> Document:
    if len(line) >= LONGEST_LINE:
        raise Unusable(LINE_TOO_LONG.finding(file, "", "is longer than 64 MiB"))
    data = parse_json(decode(line, file), file)
    return Document("story" if "targets" in data else "article", file, data, digest(line.rstrip(b"\r\n")))


def _name_findings(found: object, expected: str, file: str) -> tuple[Finding, ...]:
    if not isinstance(found, str) or found == expected:
        return ()
    return (NAME_DIFFERS.finding(file, "$.id", f"{found!r} stands under the name {expected!r}"),)


class _Fault(NamedTuple):
    """Stands in a parsed value where something stood that no value may be."""

    rule: Rule
    what: str


def parse_json(text: str, file: str) -> dict[str, Any]:
    """One JSON object, strictly: no key twice, whole numbers only. Raises Unusable."""
    value = parse_value(text, file)
    if not isinstance(value, dict):
        raise Unusable(NOT_AN_OBJECT.finding(file, "", f"holds {json_type(value)}"))
    return value


def parse_value(text: str, file: str, *, imported: bool = False) -> Any:
    """Any JSON value, no key twice. Raises Unusable.

    Of an import a number that is not whole, or NaN, is a float, and a string may hold half of a surrogate pair: they
    do harm only where an offset or a text is meant.
    """
    faults: list[_Fault] = []

    def fault(rule: Rule, what: str) -> _Fault:
        faults.append(_Fault(rule, what))
        return faults[-1]

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Fault:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return fault(DUPLICATE_KEY, f"holds the key {twice!r} twice")

    def whole(digits: str) -> Any:
        return int(digits) if len(digits.lstrip("-")) <= _DIGITS else other(digits)

    def refuse(number: str) -> _Fault:
        return fault(NOT_AN_INTEGER, f"is {number if len(number) <= 24 else number[:24] + '…'}")

    other: Callable[[str], Any] = float if imported else refuse
    if _depth(text) > _NESTING:
        raise Unusable(TOO_DEEP.finding(file, "", f"nests deeper than {_NESTING} levels"))
    try:
        value = json.loads(text, object_pairs_hook=once, parse_int=whole, parse_float=other, parse_constant=other)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Unusable(JSON_SYNTAX.finding(file, where, _syntax(error))) from error
    if faults or (not imported and "\\u" in text):
        for steps, found in _faults(value, ()):
            if not imported or found.rule != LONE_SURROGATE:
                raise Unusable(found.rule.finding(file, strings.json_path(steps), found.what))
    return value


def _syntax(error: json.JSONDecodeError) -> str:
    if not error.doc[error.pos :].strip():
        return "the file ends here, in the middle of a value"
    return error.msg[0].lower() + error.msg[1:].removesuffix(" starting at")


def _depth(text: str) -> int:
    """The deepest nesting of brackets, strings apart, found without recursing; 0 where it is surely allowed."""
    if text.count("[") + text.count("{") <= _NESTING:
        return 0
    raw = text.encode(errors="replace")
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = raw.translate(None, _NO_MARKS).replace(b'""', b"").decode()  # brackets keep their side of the quotes
    brackets = left = "".join(marks.split('"')[::2])
    for _ in range(_NESTING // 2):  # each takes at most two levels
        if not left:
            return 0  # at most _NESTING, and that is all that is asked
        left = left.replace("[]", "").replace("{}", "")  # the innermost
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0)


def _faults(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], _Fault]]:
    """What no value may be, with the way to it; halves of surrogate pairs included, in keys too."""
    if isinstance(value, _Fault):
        yield steps, value
    elif isinstance(value, str) and (half := _SURROGATE.search(value)):
        yield steps, _Fault(LONE_SURROGATE, f"holds \\u{ord(half[0]):x}, half of a pair")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _faults(key, steps)
            yield from _faults(part, (*steps, key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _faults(part, (*steps, i))


def surrogate_in(value: Any, where: str) -> str | None:
    """The address, from `where` on, of a string that holds half of a surrogate pair."""
    steps = next((steps for steps, fault in _faults(value, ()) if fault.rule == LONE_SURROGATE), None)
    return None if steps is None else where + strings.json_path(steps)[1:]


def json_type(value: object) -> str:
    names = {
        str: "a string",
        list: "an array",
        dict: "an object",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names[type(value)]


def parse_text(raw: str, file: str) -> tuple[str, list[list[Any]]]:
    """A text file without its zone prefixes, and the zones they gave. Raises Unusable."""
    lines: list[str] = []
    zones: list[list[Any]] = []
    at = 0
    for number, line in enumerate(raw.removesuffix("\n").split("\n"), 1):
        zone = "body"
        if prefix := ZONE_PREFIX.match(line):
            zone = prefix[1]
            if zone not in LABELS["zone"]:
                close = difflib.get_close_matches(zone, LABELS["zone"], 1)
                hint = f", did you mean @{close[0]}?" if close else ""
                raise Unusable(UNKNOWN_ZONE.finding(file, f"line {number}", f"@{zone} is no zone{hint}"))
            line = line[prefix.end() :]
        if zone != "body" and line:
            zones.append([at, at + len(line), zone])
        lines.append(line)
        at += len(line) + 1
    return "\n".join(lines), zones


# -- cutting bulk files ----------------------------------------------------------------------------------------


def _cuts(file: Path) -> Iterator[tuple[tuple[int, int], int]]:
    """Byte ranges of a bulk file that end where a story starts, each with the number of its first line.

    Lines are counted here, once for the whole file, so that no shard has to read what stands before it.
    """
    size = os.path.getsize(file)
    start, line = 0, 1
    with open(file, "rb") as stream:
        while start < size:
            stream.seek(min(start + SHARD_BYTES, size))
            end = _next_story(stream, size) if stream.tell() < size else size
            yield (start, end), line
            stream.seek(start)
            while start < end:
                block = stream.read(min(1 << 20, end - start))
                line, start = line + block.count(b"\n"), start + len(block)


def _next_story(stream: BinaryIO, size: int) -> int:
    """The offset of the next line that starts a story."""
    _skip_line(stream)
    while (at := stream.tell()) < size:
        line = stream.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            _skip_line(stream)
        elif _is_story(line):
            return at
    return size


def _is_story(line: bytes) -> bool:
    if b'"targets"' not in line:
        return False
    try:
        return "targets" in json.loads(line)
    except (ValueError, RecursionError):
        return False


# -- writing ---------------------------------------------------------------------------------------------------


def story_data(story: Story) -> dict[str, Any]:
    """A story in its JSON form, without what is absent."""
    data: dict[str, Any] = {"id": story.id, "title": story.title, "domain": story.domain, "license": story.license}
    data["fictional"] = story.fictional
    data["targets"] = [
        _present(id=t.id, text=t.text, kind=t.kind, incompatible_with=list(t.incompatible_with))
        for t in story.targets
    ]
    return {key: value for key, value in data.items() if value is not None}


def article_data(article: Article) -> dict[str, Any]:
    """An article in its bulk JSON form: text and spans, without what is absent."""
    data = _present(
        id=article.id, story=article.story, publisher=article.publisher, published=article.published,
        title=article.title, language=article.language, license=article.license, url=article.url,
        origin=article.origin, sampling=article.sampling, tier=article.tier if article.tier != "open" else None,
        annotator=None if article.annotator == PRIMARY else article.annotator,
        annotators=list(article.annotators), judged=list(article.judged), provenance=dict(article.provenance),
        text=article.text, zones=[list(zone) for zone in article.zones],
        holders={h.id: _present(name=h.name, source_type=h.source_type, disclosure=h.disclosure, role=h.role,
                                sector=h.sector, speaks_for=h.speaks_for, votes=_votes(h.votes))
                 for h in article.holders.values()},
    )  # fmt: skip
    data["statements"] = [statement_data(statement) for statement in article.statements]
    passes = {name: [statement_data(s) for s in statements] for name, statements in article.passes.items()}
    return data | _present(
        passes=passes, excluded=[{"content": _spans(e.content), "reason": e.reason} for e in article.excluded]
    )


def statement_data(statement: Statement) -> dict[str, Any]:
    data = _present(
        id=statement.id, holder=statement.holder, chain=list(statement.chain), content=_spans(statement.content),
        source=_spans(statement.source), cue=_spans(statement.cue), quote_form=statement.quote_form,
        mention_of=statement.mention_of, added=statement.added or None,
    )  # fmt: skip
    if statement.stances is not None:
        data["stances"] = {
            p.target: _present(label=p.label, certainty=p.certainty, relays=list(p.relays), tags=list(p.tags),
                               why=p.why, votes=_votes(p.votes))
            for p in statement.stances.values()
        }  # fmt: skip
    return data


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, [], {}, ())}


def _votes(votes: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {field: dict(given) for field, given in votes.items()}


def _spans(spans: tuple[Span, ...]) -> list[list[int]]:
    return [list(span) for span in spans]


def write(story: Story, articles: Iterable[Article]) -> dict[str, str]:
    """A story's folder for people, by file name: texts with zone prefixes, statements with marked quotes.

    A text whose zones are no whole lines stays in its article's .json, with spans.
    """
    files = {"story.json": write_json(story_data(story))}
    for article in articles:
        data, text = article_data(article), write_text(article)
        if parse_text(text, article.id) == (article.text, [list(zone) for zone in article.zones]):
            files[f"{article.id}.txt"] = text
            data = with_quotes(
                {key: value for key, value in data.items() if key not in ("text", "zones")}, article.text
            )
        files[f"{article.id}.json"] = write_json(data)
    return files


def write_text(article: Article) -> str:
    """An article's text file, with zone prefixes. Zones that are no whole lines are not held by it."""
    lines, at = [], 0
    for line in article.text.split("\n"):
        zone = article.zone_at(at) if line else "body"
        prefix = f"@{zone} " if zone != "body" or ZONE_PREFIX.match(line) else ""
        lines.append(prefix + line)
        at += len(line) + 1
    return "\n".join(lines) + "\n"


def with_quotes(data: dict[str, Any], text: str) -> dict[str, Any]:
    """An article's data with marked quotes in the place of spans, where a quote can stand for them."""

    def quoted(item: dict[str, Any]) -> dict[str, Any]:
        spans = {role: [Span(*span) for span in item.get(role, ())] for role in strings.ROLES}
        quote = strings.mark(text, spans) if spans["content"] else None
        if quote is None:
            return item
        kept = {key: value for key, value in item.items() if key not in strings.ROLES}
        return {"id": kept.pop("id"), "quote": quote, **kept} if "id" in kept else {"quote": quote, **kept}

    return {
        key: [quoted(item) for item in value] if key in ("statements", "excluded") else value
        for key, value in data.items()
    }


def write_line(data: Mapping[str, Any]) -> str:
    """One document as a line of a bulk file."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"


def write_json(data: Mapping[str, Any]) -> str:
    """One document as a file for people: small values on one line."""
    return _pretty(data, 0) + "\n"


def _pretty(value: Any, indent: int, width: int = 118) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent <= width or not value:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_pretty(part, indent + 2)}" for key, part in value.items()]
        return "{\n" + ",\n".join(pad + part for part in parts) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + _pretty(part, indent + 2) for part in value) + "\n" + " " * indent + "]"
