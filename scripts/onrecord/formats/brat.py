"""brat stand-off: an `.ann` beside its `.txt`, as PolNeAR has it and as people annotate our scheme in brat.

**Files.** `<stem>.ann` belongs to `<stem>.txt` in its folder or in the sibling folder `text/`; so does
`<stem>_<annotator>.ann`, also with `-`, `.` or a space between. The unnamed annotator is primary, else the
first by name; the others become `passes`. An .ann without a byte is a text that nobody has annotated yet.

**Statements.** `E1 Attribution:T4 Content:T3 Cue:T2 Source:T1`: any event with a `Content` is a statement,
`e1`, whatever its type is called; roles may repeat (`Content2`). Its trigger says nothing.

**The whole scheme** adds to that event (`config` writes the annotation.conf; values are the schema's):

- attributes `QuoteForm` and `Added`; `SourceType` and `Disclosure`, once for each holder;
- a note, `{"id": "s4", "holder": "quarrie", "name": "Ines Quarrie", "chain": ["courier"]}`, each field
  optional; an event that has SourceType or Disclosure and no holder there has one named by its Source's
  words;
- the role `MentionOf:E4`;
- the attribute `Judged`, and for each target that is not unrelated an event `Stance:T9 Of:E1 Relays:E2`
  with the attributes `Target`, `Label`, `Certainty`, one for each tag (`no-response`), and a note: the why,
  or `{"why": "…", "votes": {…}}`. Of one statement's stances all are used or none.

Spans `Headline`, `Lede` and so on are zones; a span `Excluded` has the reason as its note; a note on a span
`Article` holds all else, `{"article": {…}, "story": {…}}` with the fields of the two schemas. Notes are
`AnnotatorNotes`, which brat's editor shows; one that starts with a brace is JSON. brat cuts spans at line
ends: `"across_lines": ["content"]` in a note says that the pieces of that role are one fragment (of a span
that stands for itself: that its pieces are). Attributes and notes of an event that is left out go with it;
what else has no place in the scheme is left out and counted.

**Offsets** are trusted over the quoted text. They count code points of the file as it is, without its byte
order mark. Where the file has that mark or CR LF, tools differ (brat counts the mark; under Python 3 it
counts CR LF as one): of these ways of counting, the one by which most quoted texts are found is taken.

**Metadata** comes from `articles.csv` beside the .ann files or up to two folders above them: columns file
(the text's stem), id, story, publisher, published, title, language, license, url, in any order, parted by
commas, semicolons or tabs. Where there is none, `metadata.tsv` with PolNeAR's `filename` and
`publication_date` serves; its other columns and the word None mean nothing here. Texts of one folder that
name the same story make one.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from os.path import relpath
from pathlib import Path
from typing import Any, Literal, NamedTuple

from onrecord import text as strings
from onrecord.formats import own
from onrecord.formats.files import EMPTY_FILE, UNREADABLE, Unit, decode, digest, named, read_bytes
from onrecord.model import (
    AUTHOR,
    CLOSED_LISTS,
    LABELS,
    PRIMARY,
    SCHEMAS,
    Article,
    Document,
    Finding,
    Pair,
    Rule,
    Span,
    Statement,
    Story,
    Unusable,
    resolve,
    rules_of,
)

# fmt: off
ANNOTATION_WITHOUT_TEXT = Rule("annotation-without-text", 1,
    "Every .ann file belongs to a .txt whose name it starts with, in its folder or in ../text.",
    "add the text, or mend the name")
TEXT_WITHOUT_ANNOTATION = Rule("text-without-annotation", 1,
    "Every text of a brat folder has an .ann file, if an empty one.",
    "it is left out; add an .ann file, or move the text", "warning")
SAME_ARTICLE = Rule("same-article", 1,
    "No two texts of a folder have the same id.", "rename one, or give it an id in articles.csv")
SAME_ANNOTATOR = Rule("same-annotator", 1,
    "An annotator has one .ann file of a text.", "delete one, or name its annotator")
TEXT_TOO_LONG = Rule("text-too-long", 1,
    "A text has at most five million characters.", "split it")
BAD_TABLE = Rule("bad-table", 1,
    "articles.csv has a column `file` and one row a text.", "mend the table, or delete it")
UNKNOWN_COLUMN = Rule("unknown-column", 1,
    "articles.csv has only columns that articles know.", "mend its name, or delete it", "warning")
BAD_METADATA = Rule("bad-metadata", 1,
    "A value of articles.csv has the form that the schema names.", "it is left out; mend it", "warning")
NOT_AN_ANNOTATION = Rule("not-an-annotation", 1,
    "Every line of an .ann file is an annotation, or goes on with the quoted text above.",
    "it is left out; mend the line, or delete it", "warning")
REPEATED_ANNOTATION = Rule("repeated-annotation", 1,
    "Ids are unique in their file, attributes and notes on what they are of.",
    "the second is left out; delete one of the two", "warning")
BAD_NOTE = Rule("bad-note", 1,
    "A note that starts with a brace is a JSON object of the scheme's fields.",
    "it is left out; mend it", "warning")
UNKNOWN_VALUE = Rule("unknown-value", 1,
    "The value of an attribute is one of its closed list.",
    "it is left out; choose one of annotation.conf", "warning")
DANGLING_ANNOTATION = Rule("dangling-annotation", 2,
    "Annotations refer to usable annotations of their file.", "it is left out; mend the reference", "warning")
DANGLING_MENTION = Rule("dangling-mention", 2,
    "MentionOf names one other statement of the file.", "it is left out; mend the reference", "warning")
NO_CONTENT = Rule("event-without-content", 2,
    "A statement is an event that has a Content.",
    "it is left out; add the Content, or delete the event", "warning")
NO_PLACE = Rule("no-place-in-scheme", 2,
    "What an .ann file holds has a place in the annotation scheme.",
    "it is left out; schema/README.md says what the scheme has", "warning")
NO_HOLDER = Rule("attribute-without-holder", 2,
    "An event with SourceType or Disclosure has a Source, or a note of its holder.",
    "it is left out; add the Source, or the note", "warning")
HOLDER_LABELS_DIFFER = Rule("holder-labels-differ", 2,
    "A holder has one source type and one disclosure.",
    "the second is left out; delete one of the two", "warning")
NO_REASON = Rule("excluded-without-reason", 2,
    "A span that is Excluded has a note with the reason.", "it is left out; add the note", "warning")
UNUSABLE_STANCE = Rule("unusable-stance", 2,
    "A Stance has Of, a Target of its own and a Label of the closed list.",
    "all stances of the statement are left out; mend this one", "warning")
INCOMPLETE_STANCES = Rule("incomplete-stances", 2,
    "All stances of a statement are usable, or one would read as unrelated.",
    "it is left out; mend the other one", "warning")
STORY_DIFFERS = Rule("story-differs", 2,
    "The articles of a story say the same of it.",
    "the first counts; mend the note on the Article span", "warning")
UNUSABLE_SPAN = Rule("unusable-span", 3,
    "The fragments of a span, at most a thousand, lie within the text, are not empty and do not overlap.",
    "it is left out, and what refers to it; mend the offsets", "warning")
OVERLAPPING_SPANS = Rule("overlapping-spans", 3,
    "The spans that an event names for one role do not overlap, nor do zones.",
    "it is left out; mend the spans", "warning")
REPEATED_FRAGMENT = Rule("repeated-fragment", 3,
    "An event names a fragment once for each role.", "it counts once; delete the other", "warning")
QUOTED_TEXT_DIFFERS = Rule("quoted-text-differs", 3,
    "The quoted text is what stands at the offsets.",
    "the offsets count; check that this is the text that was annotated", "warning")
# fmt: on
RULES = rules_of(globals())

MOST_FINDINGS = 1000  # of a rule in a file: a ruined file of any size can be reported; all are counted
TABLES = ("articles.csv", "metadata.tsv")
ALIASES = {"filename": "file", "publication_date": "published"}  # metadata.tsv of PolNeAR
COLUMNS = ("file", "id", "story", "publisher", "published", "title", "language", "license", "url")
LONGEST_TEXT: int = SCHEMAS["article"]["properties"]["text"]["maxLength"]
LONGEST_LINE: int = SCHEMAS["article"]["$defs"]["line"]["maxLength"]
MOST_FRAGMENTS = 1000  # of a span, which any number of events may name
LEVELS_UP = 2  # folders above the .ann files in which a table is looked for

_ANNOTATION = re.compile(r"([TERAMN#])([0-9]{1,18})\t(.*)|(\*)\t(.*)")
_SPAN = re.compile(r"(\S+) (-?[0-9]{1,12} -?[0-9]{1,12}(?:;-?[0-9]{1,12} -?[0-9]{1,12})*) *(?:\t(.*))?")
_EVENT = re.compile(r"([^\s:]+):(\S+)((?: +[^\s:]+:\S+)*)\s*")
_ATTRIBUTE = re.compile(r"(\S+) (\S+)(?: (.*))?")
_NOTE = re.compile(r"(\S+) (\S+)\t(.*)")
_DECLARES = re.compile(r'\{ *"(?:article|story)"')
_DECLARATION = re.compile(rf"^#[0-9]+\tAnnotatorNotes T[0-9]+\t({_DECLARES.pattern}.*)", re.MULTILINE)
_PARTS = "_-. "  # what parts a text's stem from the annotator's name
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # some tools end a line there

_LINE_ENDS = re.compile(r"\n+")

_ZONES = {name.capitalize(): name for name in LABELS["zone"]}
_HOLDER_LABELS = {"SourceType": "source_type", "Disclosure": "disclosure"}
_SPAN_ROLES = {role.capitalize(): role for role in strings.ROLES}
_SPANS_OF_ARTICLE = ("Article", "Excluded", *_ZONES)  # they stand for themselves, in no event
_APART = ("text", "reference", "zones", "statements", "passes", "excluded")  # of an article, not in its note

# -- what notes hold: their fields, in the form that this module relies on; the schema judges the rest -------

Forms = Mapping[str, Callable[[Any], bool]]


def _is_anything(value: object) -> bool:
    return True


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _are_objects(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_object, value.values()))


def _is_line(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_LINE and not re.search(r"[\r\n]", value)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_id, value))


def _are_roles(value: object) -> bool:
    return isinstance(value, list) and all(role in strings.ROLES for role in value)


_EVENT_NOTE = {
    "id": _is_id,
    "holder": _is_id,
    "name": _is_line,
    "chain": _are_ids,
    "across_lines": _are_roles,
}
_STANCE_NOTE = {"why": _is_line, "votes": _is_object}
_SPAN_NOTE = {"across_lines": _are_roles}
_EXCLUDED_NOTE = {"reason": _is_line, **_SPAN_NOTE}
_ARTICLE_NOTE = {"article": _is_object, "story": _is_object}
_STORY_PART: Forms = dict.fromkeys(SCHEMAS["story"]["properties"], _is_anything)
_ARTICLE_PART: Forms = {
    **{name: _is_anything for name in SCHEMAS["article"]["properties"] if name not in _APART},
    "id": _is_id,
    "story": _is_id,
    "annotator": _is_id,
    "holders": _are_objects,
}

# -- names -----------------------------------------------------------------------------------------------------


def slug(name: str) -> str:
    """A name as an id; one without Latin letters and digits, or too long, is told apart by a digest."""
    name = unicodedata.normalize("NFC", name)
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if _ID.fullmatch(made):
        return made
    mark = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{made[:119]}-{mark}".lstrip("-")


def _partner(stem: str, texts: Mapping[str, Path]) -> Path | None:
    """The text with the longest stem that the annotation's stem starts with, up to a separator."""
    ends = (end for end in range(len(stem), 0, -1) if end == len(stem) or stem[end] in _PARTS)
    return next((texts[stem[:end]] for end in ends if stem[:end] in texts), None)


def _annotator(annotation: str | Path, text: str | Path) -> str:
    rest = Path(annotation).stem[len(Path(text).stem) :].strip(_PARTS)
    return slug(rest) if rest else PRIMARY


def _rank(annotator: str) -> tuple[bool, str]:
    """Annotators sort by name, the unnamed one first: the first is primary."""
    return annotator != PRIMARY, annotator


# -- units -----------------------------------------------------------------------------------------------------


def units(folder: Path, annotations: list[Path], root: Path) -> Iterator[Unit | Finding]:
    """A unit a story: each text followed by its .ann files, then the table of metadata where there is one."""
    texts = {file.stem: file for place in (_above(folder) / "text", folder) for file in _files(place, ".txt")}
    pairs: dict[Path, list[Path]] = defaultdict(list)
    for annotation in sorted(annotations):
        text = _partner(annotation.stem, texts)
        if not annotation.is_file():
            if annotation.exists() and not annotation.is_dir():  # `find` reports folders and dead links
                yield UNREADABLE.finding(str(annotation), "", "is a device with the name of a file")
        elif text is None:
            yield ANNOTATION_WITHOUT_TEXT.finding(str(annotation), "", "no text has the start of its name")
        else:
            pairs[text].append(annotation)
    if len(annotations) > 1 or annotations == _files(folder, ".ann"):  # not one file that was asked for
        for text in sorted(set(texts.values()) - set(pairs)):
            yield TEXT_WITHOUT_ANNOTATION.finding(str(text), "", "has no .ann file")
    table = _table_of(folder, root)
    if table:
        yield from _read_table(table).findings
    yield from _stories(pairs, table, root)


def _stories(pairs: Mapping[Path, Sequence[Path]], table: Path | None, root: Path) -> Iterator[Unit | Finding]:
    stories: dict[str, dict[str, list[Path]]] = defaultdict(dict)
    for text, sheets in sorted(pairs.items()):
        story, article = _identity(text, _declared_in(text, sheets), _row(table, text)[0])
        if article in stories[story]:
            yield SAME_ARTICLE.finding(
                str(text), "", f"has the id {article!r}, as has {stories[story][article][0].name}"
            )
        else:
            stories[story][article] = [text, *sheets]
    for story, articles in sorted(stories.items()):
        yield _unit(story, [file for files in articles.values() for file in files], table, root)


def _unit(story: str, files: list[Path], table: Path | None, root: Path) -> Unit:
    """The table is one of the files, but its size is not the story's: a thousand stories may share it."""
    size = sum(file.stat().st_size for file in files if file.is_file())
    files = [*files, table] if table else files
    names = tuple(named(relpath(file, root)) for file in files)  # the text may lie beside the root
    return Unit(story, (0, size), "brat", tuple(map(str, files)), names, size)


def _above(folder: Path) -> Path:
    return folder.parent if folder.name not in ("", "..") else folder / ".."


def _files(folder: Path, ending: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix == ending and file.is_file())


def _identity(text: str | Path, declared: Mapping[str, Any], row: Mapping[str, str]) -> tuple[str, str]:
    """Ids of a text's story and of its article: by the table, else by its own note, else by its name."""
    noted = declared.get("article")
    said = {**noted, **row} if isinstance(noted, dict) else row
    article = said["id"] if _is_id(said.get("id")) else slug(Path(text).stem)
    return (said["story"] if _is_id(said.get("story")) else article), article


def _declared_in(text: Path, annotations: Sequence[Path]) -> dict[str, Any]:
    """What the note on the primary annotator's Article span says; nothing where it cannot be read yet."""
    file = min(annotations, key=lambda file: _rank(_annotator(file, text)))
    try:
        return _declared(read_bytes(str(file)).decode("utf-8", "replace"), str(file))
    except Unusable:
        return {}


def _declared(annotations: str, file: str) -> dict[str, Any]:
    """The note on the Article span. Raises Unusable."""
    found = _DECLARATION.search(annotations) if "{" in annotations else None
    return own.parse_json(found[1].removesuffix("\r"), file) if found else {}


# -- metadata --------------------------------------------------------------------------------------------------


class _Table(NamedTuple):
    rows: Mapping[str, tuple[int, Mapping[str, str]]]  # stem to line and fields
    findings: tuple[Finding, ...]


def _table_of(folder: Path, root: Path) -> Path | None:
    """The nearest table of metadata, at most two folders up and one above the root."""
    highest = _above(root).resolve()
    for _ in range(LEVELS_UP + 1):
        for name in TABLES:
            if (folder / name).is_file():
                return folder / name
        if folder.resolve() == highest:
            return None
        folder = _above(folder)
    return None


def _read_table(file: str | Path) -> _Table:
    status = Path(file).stat()
    return _cached_table(str(file), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _cached_table(file: str, changed: int, size: int) -> _Table:
    """A table as it stands at this time and size: a thousand units ask for the same."""
    try:
        found = _parse_table(decode(read_bytes(file), file, imported=True), file)
    except Unusable as error:
        found = _Table({}, (error.finding,))
    except csv.Error as error:
        found = _Table({}, (BAD_TABLE.finding(file, "", f"cannot be read ({error})"),))
    if Path(file).name == TABLES[0]:
        return found
    return _Table(found.rows, tuple(replace(finding, severity="warning") for finding in found.findings))


def _parse_table(text: str, file: str) -> _Table:
    """A table's rows by text. Raises csv.Error."""
    header = text.partition("\n")[0]
    comma = max(",;\t", key=header.count)
    # a table parted by tabs knows no quoting (IANA, text/tab-separated-values)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if comma == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, quoting=quoting)
    names = [ALIASES.get(name.strip(), name.strip()) for name in next(reader, [])]
    if "file" not in names:
        return _Table({}, (BAD_TABLE.finding(file, "line 1", "has no column `file`"),))
    ours = Path(file).name == TABLES[0]
    unknown = sorted(set(names) - set(COLUMNS)) if ours else []
    findings = [UNKNOWN_COLUMN.finding(file, "line 1", f"{name[:40]!r} is no column") for name in unknown]
    rows: dict[str, tuple[int, Mapping[str, str]]] = {}
    for cells in reader:
        row = {name: " ".join(cell.split()) for name, cell in zip(names, cells, strict=False)}
        where, stem = f"line {reader.line_num}", row.pop("file", "").removesuffix(".txt")
        if stem in rows:
            findings.append(BAD_TABLE.finding(file, where, f"{stem!r} has a row already", severity="warning"))
        elif stem:
            kept = {k: v for k, v in row.items() if k in COLUMNS and v and (ours or v != "None")}
            rows[stem] = reader.line_num, kept
    return _Table(rows, tuple(findings))


def _row(table: str | Path | None, text: str | Path) -> tuple[dict[str, str], list[Finding]]:
    """A text's row, and what in it does not follow the schema."""
    if table is None:
        return {}, []
    line, row = _read_table(table).rows.get(Path(text).stem, (0, {}))
    bad = sorted(name for name, value in row.items() if not _follows_schema(name, value))
    found = [BAD_METADATA.finding(str(table), f"line {line}", f"{row[name][:60]!r} is no {name}") for name in bad]
    return {name: value for name, value in row.items() if name not in bad}, found


def _follows_schema(name: str, value: str) -> bool:
    schema, _ = resolve(SCHEMAS["article"]["properties"][name], "article")
    return len(value) <= schema.get("maxLength", 100) and re.search(schema["pattern"], value) is not None


# -- parsing ---------------------------------------------------------------------------------------------------


class _Mark(NamedTuple):
    """A T line, with the lines that its quoted text runs over."""

    line: int
    id: str
    type: str
    fragments: tuple[Span, ...]  # as the file counts, in its order: so they are quoted
    quote: list[str]


class _Event(NamedTuple):
    """An E line. Roles are without their numbers; the trigger is not among them."""

    line: int
    id: str
    type: str
    trigger: str
    roles: tuple[tuple[str, str], ...]

    def named(self, role: str) -> list[str]:
        return [name for found, name in self.roles if found == role]


class _Said(NamedTuple):
    """A line that says something of another annotation: the value of an attribute, or the text of a note."""

    line: int
    value: str


@dataclass(slots=True)
class _Sheet:
    """An .ann file while it is understood: what is not taken has no place; what is wrong is told here."""

    file: str
    marks: dict[str, _Mark] = field(default_factory=dict)
    events: dict[str, _Event] = field(default_factory=dict)
    attributes: dict[str, dict[str, _Said]] = field(default_factory=dict)
    notes: dict[str, _Said] = field(default_factory=dict)
    text: str = ""  # in normal form
    places: dict[str, tuple[Span, ...]] = field(default_factory=dict)  # usable spans in the normal text
    homeless: dict[str, tuple[int, int]] = field(default_factory=dict)  # kind to first line and number
    gone: set[str] = field(default_factory=set)  # events that were left out
    findings: list[Finding] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def warn(self, rule: Rule, line: int, what: str) -> None:
        self.told[rule.id] += 1
        if self.told[rule.id] <= MOST_FINDINGS:
            self.findings.append(rule.finding(self.file, f"line {line}", what))
        elif self.told[rule.id] == MOST_FINDINGS + 1:
            self.findings.append(
                rule.finding(self.file, "", f"more than {MOST_FINDINGS} times; the rest is only counted")
            )

    def leave_out(self, rule: Rule, line: int, what: str) -> None:
        self.left_out[rule.id] += 1
        self.warn(rule, line, what)

    def leave_out_event(self, event: _Event, reason: _LeftOut) -> None:
        self.gone.add(event.id)
        self.leave_out(reason.rule, event.line, f"{event.id} {reason.what}")

    def no_place(self, kind: str, line: int) -> None:
        first, count = self.homeless.get(kind, (line, 0))
        self.homeless[kind] = first, count + 1

    def take(self, target: str, name: str) -> _Said | None:
        return self.attributes.get(target, {}).pop(name, None)

    def take_note(self, target: str, forms: Forms, plain: str = "") -> dict[str, Any]:
        """The fields of a note; one that is not JSON is the field `plain`, or stays where there is none."""
        note = self.notes.get(target)
        if note is None or not (note.value.startswith("{") or plain):
            return {}
        del self.notes[target]
        if not note.value.startswith("{"):
            return self.fitting({plain: note.value}, forms, note.line)
        try:
            return self.fitting(own.parse_json(note.value, self.file), forms, note.line)
        except Unusable as error:
            self.leave_out(BAD_NOTE, note.line, error.finding.what)
            return {}

    def fitting(self, fields: Mapping[str, Any], forms: Forms, line: int) -> dict[str, Any]:
        """The fields of a note that it may have, in their form."""
        for name in fields:
            if name not in forms:
                self.leave_out(BAD_NOTE, line, f"{name[:40]!r} is no field of it")
            elif not forms[name](fields[name]):
                self.leave_out(BAD_NOTE, line, f"{name!r} has not its form")
        return {name: value for name, value in fields.items() if name in forms and forms[name](value)}


class _LeftOut(Exception):
    """An event cannot be used; says why."""

    def __init__(self, rule: Rule, what: str) -> None:
        super().__init__(what)
        self.rule, self.what = rule, what


def _parse(annotations: str, file: str) -> _Sheet:
    sheet = _Sheet(file)
    mark, room = None, 0  # a quoted text that is shorter than its span goes on in the next line
    for number, line in _lines(annotations):
        if found := _ANNOTATION.fullmatch(line):
            mark = _parse_line(sheet, number, found[1] or found[4], found[2], found[3] or found[5] or "")
            room = sum(b - a for a, b in mark.fragments) - len(mark.quote[0]) if mark and mark.quote else 0
        elif mark and room > 0:
            mark.quote.append(line)
            room -= len(line) + 1
        elif line.strip():
            sheet.leave_out(NOT_AN_ANNOTATION, number, f"{line[:40]!r} is no annotation")
    return sheet


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; only LF and CR LF end them, whatever else Unicode holds for a line's end."""
    start, number = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield number, text[start:end].removesuffix("\r")
        start, number = end + 1, number + 1


def _parse_line(sheet: _Sheet, number: int, kind: str, digits: str, body: str) -> _Mark | None:
    """Enter one annotation in the sheet. Returns it if it is a span."""
    name = f"{kind}{digits}"
    match kind:
        case "T" if found := _SPAN.fullmatch(body):
            pairs = (pair.split() for pair in found[2].split(";"))
            spans = tuple(Span(int(a), int(b)) for a, b in pairs)
            mark = _Mark(number, name, found[1], spans, [] if found[3] is None else [found[3]])
            _enter(sheet, sheet.marks, name, mark)
            return mark
        case "E" if found := _EVENT.fullmatch(body):
            roles = (part.split(":", 1) for part in found[3].split())
            named = tuple((role.rstrip("0123456789"), other) for role, other in roles)
            _enter(sheet, sheet.events, name, _Event(number, name, found[1], found[2], named))
        case "A" | "M" if found := _ATTRIBUTE.fullmatch(body):
            said = _Said(number, (found[3] or "").strip())
            _enter(sheet, sheet.attributes.setdefault(found[2], {}), found[1], said)
        case "#" if (found := _NOTE.fullmatch(body)) and found[1] == "AnnotatorNotes":
            if found[3].strip():
                _enter(sheet, sheet.notes, found[2], _Said(number, found[3]))
        case "T" | "E" | "A" | "M":
            sheet.leave_out(NOT_AN_ANNOTATION, number, f"{name} {body[:40]!r} has not the form of its kind")
        case _:
            sheet.no_place(f"line of kind {kind} {body.partition(' ')[0][:40]}".strip(), number)
    return None


def _enter(sheet: _Sheet, into: dict[str, Any], name: str, item: _Mark | _Event | _Said) -> None:
    if name in into:
        sheet.leave_out(REPEATED_ANNOTATION, item.line, f"{name} stands in line {into[name].line} already")
    else:
        into[name] = item


# -- places ----------------------------------------------------------------------------------------------------


class _Counting(NamedTuple):
    """The text as offsets count it, and as it is in normal form."""

    text: str
    normal: strings.Normal
    mark: int  # 1 if the byte order mark is counted

    def place(self, fragments: tuple[Span, ...]) -> tuple[Span, ...]:
        """Fragments of the counted text in the normal one."""
        if self.normal.moved is None and not self.mark:
            return fragments
        offset, mark = self.normal.offset, self.mark
        return tuple(Span(offset(max(0, a - mark)), offset(max(0, b - mark))) for a, b in fragments)


def _counting(text: str, marked: bool, sheet: _Sheet) -> _Counting:
    """The way of counting by which most quoted texts are found; the plain one if none is better."""
    ways = [(text, 0), ("\ufeff" + text, 1)] if marked else [(text, 0)]
    if "\r" in text:
        ways += [(way.replace("\r\n", "\n").replace("\r", "\n"), mark) for way, mark in ways]
    way, mark = ways[0]
    if len(ways) > 1:
        marks = sheet.marks.values()
        way, mark = max(ways, key=lambda found: sum(_quotes(mark, found[0]) for mark in marks))
    return _Counting(way, strings.normalise(way[mark:]), mark)


def _quotes(mark: _Mark, text: str) -> bool:
    """Whether a span quotes what stands there, white space apart: brat writes a line's end as a space."""
    quoted = "".join(mark.quote)
    if sum(b - a for a, b in mark.fragments) > 2 * len(quoted) + 1000:  # no text has so much white space
        return False
    there = "".join(text[max(0, a) : max(0, b)] for a, b in mark.fragments)
    if there == quoted:
        return True
    return unicodedata.normalize("NFC", _squeezed(there)) == unicodedata.normalize("NFC", _squeezed(quoted))


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _place(sheet: _Sheet, counting: _Counting) -> None:
    """Enter the normal text, and where the usable spans lie in it."""
    sheet.text = counting.normal.text
    for mark in sheet.marks.values():
        fragments = tuple(sorted(mark.fragments))
        fault = _fault(fragments, len(counting.text))
        spans = () if fault else counting.place(fragments)
        if fault := fault or _fault(spans, len(sheet.text)):
            sheet.leave_out(UNUSABLE_SPAN, mark.line, f"{mark.id}: {fault}")
            continue
        sheet.places[mark.id] = spans
        if mark.quote and not _quotes(mark, counting.text):
            there = " ".join(counting.text[a : min(b, a + 40)] for a, b in mark.fragments)[:40]
            what = f"{mark.id} quotes {mark.quote[0][:40]!r}, there stands {there!r}"
            sheet.warn(QUOTED_TEXT_DIFFERS, mark.line, what)
        mark.quote.clear()  # it has served, and a file may hold millions


def _fault(fragments: Sequence[Span], length: int) -> str:
    """What makes sorted fragments unusable, if anything does."""
    last = 0
    if len(fragments) > MOST_FRAGMENTS:
        return f"has {len(fragments):,} fragments"
    for start, end in fragments:
        if start >= end:
            return f"the fragment {start} {end} {'is empty' if start == end else 'ends before it starts'}"
        if start < 0 or end > length:
            return f"the fragment {start} {end} is beyond the text's {length:,}"
        if start < last:
            return f"the fragment {start} {end} overlaps the one before it"
        last = end
    return ""


# -- reading ---------------------------------------------------------------------------------------------------


def read(unit: Unit) -> Iterator[Document | Finding]:
    """The story of a unit and its articles."""
    articles: list[Document] = []
    told: dict[str, Any] = {}
    for text, sheets, table in _groups(unit.files):
        try:
            article, story = _article(text, sheets, table)
        except Unusable as error:
            yield error.finding
            continue
        if told and story and story != told:
            differs = STORY_DIFFERS.finding(text, "", "its note says of the story what no note before it said")
            article = replace(article, findings=(*article.findings, differs))
        told = told or story
        articles.append(article)
    if articles:
        first = articles[0]
        title = {"title": first.data["title"]} if len(articles) == 1 and "title" in first.data else {}
        data = {"targets": [], **title, **told, "id": unit.story}
        yield Document("story", first.file, data, first.digest, imported=True)
        yield from articles


def _groups(files: Sequence[str]) -> Iterator[tuple[str, list[str], str | None]]:
    """Each text of a unit with its .ann files and the table."""
    table = files[-1] if Path(files[-1]).name in TABLES else None
    groups: dict[str, list[str]] = {}
    for file in files if table is None else files[:-1]:
        if file.endswith(".txt"):
            groups[text := file] = []
        else:
            groups[text].append(file)
    for text, sheets in groups.items():
        yield text, sheets, table


def _article(text_file: str, sheet_files: Sequence[str], table: str | None) -> tuple[Document, dict[str, Any]]:
    """A text with all its annotation, and what its note says of its story. Raises Unusable."""
    raw = read_bytes(text_file)
    text = decode(raw, text_file, imported=True)
    if len(text) > LONGEST_TEXT:
        raise Unusable(TEXT_TOO_LONG.finding(text_file, "", f"has {len(text):,} characters"))
    files = _by_annotator(text_file, sheet_files)
    contents = {name: _content(file) for name, file in files.items()}
    marked = raw.startswith(b"\xef\xbb\xbf")
    sheets = {name: _open(files[name], contents[name], text, marked) for name in files}
    row, findings = _row(table, text_file)
    left_out = Counter({BAD_METADATA.id: len(findings)} if findings else ())
    data, story = _data(sheets, row, text_file)
    for sheet in sheets.values():
        findings += sheet.findings
        left_out += sheet.left_out
    if data.get("annotator") in (others := {name: files[name] for name in data.get("passes", ())}):
        what = f"names {data['annotator']!r} its annotator, as does {others[data['annotator']]}"
        raise Unusable(SAME_ANNOTATOR.finding(next(iter(files.values())), "", what))
    whole = digest(raw, *contents.values(), json.dumps(row, sort_keys=True).encode())
    return Document("article", text_file, data, whole, True, tuple(findings), left_out, others), story


def _by_annotator(text: str, files: Sequence[str]) -> dict[str, str]:
    """The .ann files of a text by annotator, the primary one first. Raises Unusable."""
    found: dict[str, str] = {}
    for file in files:
        name = _annotator(file, text)
        if name in found:
            what = f"is by {name!r}, as is {Path(found[name]).name}"
            raise Unusable(SAME_ANNOTATOR.finding(file, "", what))
        found[name] = file
    return {name: found[name] for name in sorted(found, key=_rank)}


def _content(file: str) -> bytes:
    """The bytes of an .ann file, which may have none. Raises Unusable."""
    try:
        return read_bytes(file)
    except Unusable as error:
        if error.finding.rule != EMPTY_FILE.id:
            raise
        return b""


def _open(file: str, content: bytes, text: str, marked: bool) -> _Sheet:
    """An .ann file with its spans in their places."""
    sheet = _parse(decode(content, file, imported=True), file)
    _place(sheet, _counting(text, marked, sheet))
    return sheet


def _data(
    sheets: Mapping[str, _Sheet], row: Mapping[str, str], text_file: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An article from its sheets, the primary one first, and what its note says of its story."""
    primary, *others = sheets
    sheet = sheets[primary]
    declared = _take_declared(sheet)
    said, told = declared.get("article", {}), declared.get("story", {})
    story, article = _identity(text_file, declared, row)
    unsaid = {} if "article" in declared else {"origin": named(Path(text_file).stem)}
    by = {} if primary == PRIMARY else {"annotator": primary}
    data = {**unsaid, **by, **said, **row, "id": article, "story": story, "text": sheet.text}
    holders = dict(said.get("holders", {}))
    data["statements"] = _statements(sheet, holders)
    parts = {"holders": holders, "zones": _zones(sheet), "excluded": _excluded(sheet)}
    parts["passes"] = {name: _statements(sheets[name], None) for name in others}
    for name, one in sheets.items():
        _close(one, _SPANS_OF_ARTICLE if name == primary else ())
    told.pop("id", None)
    return {**data, **{name: part for name, part in parts.items() if part}}, told


def _take_declared(sheet: _Sheet) -> dict[str, Any]:
    """The note on the Article span."""
    for target, note in sheet.notes.items():
        if target[0] == "T" and _DECLARES.match(note.value):
            declared = sheet.take_note(target, _ARTICLE_NOTE)
            forms = {"article": _ARTICLE_PART, "story": _STORY_PART}
            return {name: sheet.fitting(part, forms[name], note.line) for name, part in declared.items()}
    return {}


def _statements(sheet: _Sheet, holders: dict[str, Any] | None) -> list[dict[str, Any]]:
    """All statements. What is said of their holders goes into `holders`, unless this is another's pass."""
    made: dict[str, dict[str, Any]] = {}
    notes: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for event in sheet.events.values():
        if not _is_stance(event):
            note = sheet.take_note(event.id, _EVENT_NOTE)
            try:
                statement = _statement(sheet, event, note, taken)
            except _LeftOut as reason:
                sheet.leave_out_event(event, reason)
                continue
            made[event.id], notes[event.id] = statement, note
            taken.add(statement["id"])
    for name, statement in made.items():
        _dress(sheet, sheet.events[name], statement, made)
        statement |= {key: notes[name][key] for key in ("holder", "chain") if notes[name].get(key)}
        if holders is not None:
            _hold(sheet, sheet.events[name], statement, notes[name].get("name"), holders)
    _judge(sheet, made)
    return list(made.values())


def _is_stance(event: _Event) -> bool:
    return event.type == "Stance" and not event.named("Content")


def _statement(sheet: _Sheet, event: _Event, note: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """The id and the spans of a statement. Raises _LeftOut."""
    made: dict[str, Any] = {"id": note.get("id", event.id.lower())}
    if made["id"] in taken:
        raise _LeftOut(REPEATED_ANNOTATION, f"has the id {made['id']!r}, which is taken")
    for name in (event.trigger, *(name for role, name in event.roles if role in _SPAN_ROLES)):
        if name not in sheet.places:
            raise _LeftOut(DANGLING_ANNOTATION, f"names {name[:40]}, which is no usable span")
    for name, role in _SPAN_ROLES.items():
        if spans := _fragments(sheet, event, name):
            across = role in note.get("across_lines", ())
            made[role] = [list(span) for span in (_joined(spans, sheet.text) if across else spans)]
    if "content" not in made:
        raise _LeftOut(NO_CONTENT, f"({event.type[:40]}) has none")
    return made


def _fragments(sheet: _Sheet, event: _Event, role: str) -> list[Span]:
    """What an event names for a role, in text order. Raises _LeftOut."""
    spans = [span for mark in event.named(role) for span in sheet.places[mark]]
    once = spans if len(spans) < 2 else sorted(set(spans))
    if fault := _fault(once, len(sheet.text)):
        raise _LeftOut(OVERLAPPING_SPANS, f"for {role}: {fault}")
    if len(once) < len(spans):
        sheet.warn(REPEATED_FRAGMENT, event.line, f"{event.id} names a fragment of its {role} twice")
    return once


def _joined(spans: Iterable[Span], text: str) -> list[Span]:
    """Fragments that only line ends part are one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and _LINE_ENDS.fullmatch(text, joined[-1].end, start):
            joined[-1] = Span(joined[-1].start, end)
        else:
            joined.append(Span(start, end))
    return joined


def _dress(sheet: _Sheet, event: _Event, statement: dict[str, Any], made: Mapping[str, dict[str, Any]]) -> None:
    """Add the form of the quote, what it is a mention of, and whether it was added."""
    if form := _value(sheet, event.id, "QuoteForm", "quote_form"):
        statement["quote_form"] = form
    if sheet.take(event.id, "Added"):
        statement["added"] = True
    for i, other in enumerate(event.named("MentionOf")):
        if i or other == event.id or other not in made:
            sheet.leave_out(DANGLING_MENTION, event.line, f"{event.id} names {other[:40]}")
        else:
            statement["mention_of"] = made[other]["id"]
    for role, _ in event.roles:
        if role not in _SPAN_ROLES and role != "MentionOf":
            sheet.no_place(f"role {role[:40]}", event.line)


def _value(sheet: _Sheet, target: str, name: str, closed: str) -> str | None:
    """The value of an attribute, if it has one of its closed list."""
    said = sheet.take(target, name)
    if said is None or said.value in LABELS[closed]:
        return said and said.value
    sheet.leave_out(UNKNOWN_VALUE, said.line, f"{said.value[:40]!r} is no {name}")
    return None


def _hold(sheet: _Sheet, event: _Event, statement: dict[str, Any], name: str | None, holders: dict[str, Any]) -> None:
    """Enter what attributes say of a statement's holder, whom its source names if no note does."""
    given = {label: _value(sheet, event.id, attribute, label) for attribute, label in _HOLDER_LABELS.items()}
    labels = {label: value for label, value in given.items() if value}
    pieces = (sheet.text[a : min(b, a + LONGEST_LINE)] for a, b in statement.get("source", ()))
    words = " ".join(" ".join(pieces).split())[:LONGEST_LINE]
    if labels and "holder" not in statement:
        if labels.get("source_type") != AUTHOR and not words:
            for label in labels:
                sheet.leave_out(NO_HOLDER, event.line, f"{event.id} has a {label} and neither")
            return
        statement["holder"] = AUTHOR if labels.get("source_type") == AUTHOR else slug(words)
    if holder := statement.get("holder"):
        entry = holders.setdefault(holder, {})
        entry.setdefault("name", name or words or holder)
        for label, value in labels.items():
            if entry.setdefault(label, value) != value:
                what = f"{holder!r} has the {label} {entry[label]!r} already, here {value!r}"
                sheet.leave_out(HOLDER_LABELS_DIFFER, event.line, what)


def _judge(sheet: _Sheet, made: Mapping[str, dict[str, Any]]) -> None:
    """Add the stances. A statement with one that cannot be used gets none: it would read as unrelated."""
    pairs: dict[str, dict[str, tuple[_Event, dict[str, Any]]]] = {name: {} for name in made}
    spoilt: dict[str, str] = {}
    for event in filter(_is_stance, sheet.events.values()):
        owners = event.named("Of")
        try:
            target, pair = _pair(sheet, event, made)
            if target in pairs[owners[0]]:
                raise _LeftOut(UNUSABLE_STANCE, f"is the second of {owners[0]} for {target!r}")
            pairs[owners[0]][target] = event, pair
        except _LeftOut as reason:
            sheet.leave_out_event(event, reason)
            spoilt |= dict.fromkeys(owners, event.id)
    for name, statement in made.items():
        judged = sheet.take(name, "Judged")
        if name in spoilt:
            for event, _ in pairs[name].values():
                what = f"is Of {name}, as is {spoilt[name]}"
                sheet.leave_out_event(event, _LeftOut(INCOMPLETE_STANCES, what))
        elif judged or pairs[name]:
            statement["stances"] = {target: pair for target, (_, pair) in pairs[name].items()}


def _pair(sheet: _Sheet, event: _Event, made: Mapping[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The target of a Stance and what it says of it. Raises _LeftOut."""
    if len(event.named("Of")) != 1 or any(role not in ("Of", "Relays") for role, _ in event.roles):
        raise _LeftOut(UNUSABLE_STANCE, "has other roles than one Of, and Relays")
    for role, name in event.roles:
        if name not in made:
            raise _LeftOut(DANGLING_ANNOTATION, f"names {name[:40]} for {role}, which is no statement")
    said = {name: sheet.take(event.id, name) for name in ("Target", "Label", "Certainty")}
    target, label, certainty = (found.value if found else "" for found in said.values())
    if not _is_id(target) or label not in LABELS["stance"] or certainty not in ("", *LABELS["certainty"]):
        what = f"has the Target {target[:40]!r}, the Label {label[:40]!r}, the Certainty {certainty[:40]!r}"
        raise _LeftOut(UNUSABLE_STANCE, what)
    tags = [tag for tag in sheet.attributes.get(event.id, {}) if tag in LABELS["tag"]]
    for tag in tags:
        sheet.take(event.id, tag)
    relays = [made[name]["id"] for name in event.named("Relays")]
    pair = {"label": label, "certainty": certainty, "tags": tags, "relays": relays}
    pair |= sheet.take_note(event.id, _STANCE_NOTE, "why")
    return target, {name: value for name, value in pair.items() if value}


def _zones(sheet: _Sheet) -> list[list[Any]]:
    found = [
        (span, mark)
        for mark in sheet.marks.values()
        if mark.type in _ZONES and mark.id in sheet.places
        for span in _whole(sheet, mark, sheet.take_note(mark.id, _SPAN_NOTE))
    ]
    zones: list[list[Any]] = []
    for (start, end), mark in sorted(found, key=lambda one: one[0]):
        if zones and start < zones[-1][1]:
            sheet.leave_out(OVERLAPPING_SPANS, mark.line, f"{mark.id} overlaps the zone before it")
        else:
            zones.append([start, end, _ZONES[mark.type]])
    return zones


def _whole(sheet: _Sheet, mark: _Mark, note: Mapping[str, Any]) -> Sequence[Span]:
    spans = sheet.places[mark.id]
    return _joined(spans, sheet.text) if note.get("across_lines") else spans


def _excluded(sheet: _Sheet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for mark in sheet.marks.values():
        if mark.type == "Excluded" and mark.id in sheet.places:
            note = sheet.take_note(mark.id, _EXCLUDED_NOTE, "reason")
            if "reason" not in note:
                sheet.leave_out(NO_REASON, mark.line, f"{mark.id} has none")
                continue
            found.append({"content": [list(span) for span in _whole(sheet, mark, note)], "reason": note["reason"]})
    return found


def _close(sheet: _Sheet, known_spans: Iterable[str]) -> None:
    """Count what was not taken."""
    named = {name for event in sheet.events.values() for _, name in event.roles}
    named |= {event.trigger for event in sheet.events.values()}
    for mark in sheet.marks.values():
        if mark.id not in named and mark.id in sheet.places and mark.type not in known_spans:
            sheet.no_place(f"span {mark.type[:40]} of no event", mark.line)
    for target, kind, line in _untaken(sheet):
        if target not in sheet.marks and target not in sheet.events:
            sheet.leave_out(DANGLING_ANNOTATION, line, f"{kind} is of {target[:40]}, which is not there")
        elif target in sheet.places or (target in sheet.events and target not in sheet.gone):
            sheet.no_place(kind, line)
    for kind, (line, count) in sheet.homeless.items():
        sheet.left_out[NO_PLACE.id] += count
        more = f", and {count - 1:,} more of the kind" if count > 1 else ""
        sheet.warn(NO_PLACE, line, kind + more)


def _untaken(sheet: _Sheet) -> Iterator[tuple[str, str, int]]:
    """What is said of an annotation, of what kind it is, and where."""
    for target, attributes in sheet.attributes.items():
        for name, said in attributes.items():
            yield target, f"attribute {name[:40]}", said.line
    for target, note in sheet.notes.items():
        yield target, "note", note.line


# -- writing ---------------------------------------------------------------------------------------------------


def config(targets: Sequence[str] = ()) -> dict[str, str]:
    """The scheme as brat's configuration, by file name; with target ids they can be chosen from a list."""
    return {"annotation.conf": _annotation_conf(targets), "visual.conf": _visual_conf()}


def _annotation_conf(targets: Sequence[str]) -> str:
    valued = {
        "QuoteForm": ("Attribution", LABELS["quote_form"]),
        **{name: ("Attribution", LABELS[label]) for name, label in _HOLDER_LABELS.items()},
        **({"Target": ("Stance", targets)} if targets else {}),
        "Label": ("Stance", LABELS["stance"]),
        "Certainty": ("Stance", LABELS["certainty"]),
    }
    flags = {"Judged": "Attribution", "Added": "Attribution", **dict.fromkeys(LABELS["tag"], "Stance")}
    return "\n".join(
        [
            "# made by onrecord from schema/; do not edit",
            *("[entities]", *_SPAN_ROLES, *_SPANS_OF_ARTICLE),
            *("[relations]", "<OVERLAP>\tArg1:<ENTITY>, Arg2:<ENTITY>, <OVL-TYPE>:<ANY>"),
            "[events]",
            "Attribution\tContent+:Content, Source*:Source, Cue*:Cue, MentionOf?:Attribution",
            "Stance\tOf:Attribution, Relays*:Attribution",
            "[attributes]",
            *(f"{name}\tArg:{kind}, Value:{'|'.join(values)}" for name, (kind, values) in valued.items()),
            *(f"{name}\tArg:{kind}" for name, kind in flags.items()),
            "",
        ]
    )


_COLOURS = {
    "Source": "#9ecae1",
    "Cue": "#fdd0a2",
    "Content": "#c7e9c0",
    "Attribution": "#dadaeb",
    "Stance": "#fcbba1",
}


def _visual_conf() -> str:
    """Labels that fit above short words, and a colour for each role."""
    tags = (f"{tag.name} | {tag.title}" for tag in CLOSED_LISTS["tag"])
    colours = (f"{name}\tbgColor:{colour}, borderColor:darken" for name, colour in _COLOURS.items())
    short = ("Attribution | Attribution | Attr", "Content | Content | Cont", "Source | Source | Src")
    return "\n".join(
        ["# made by onrecord from schema/; do not edit", "[labels]", *short, *tags, "[drawing]", *colours, ""]
    )


def write(story: Story, article: Article) -> dict[str, str]:
    """The files of an article and its story's configuration, by name; a story has a folder of its own."""
    files = {
        f"{article.id}.txt": article.text,
        f"{article.id}.ann": _written(article, article.statements, story),
    }
    for name, statements in article.passes.items():
        files[f"{article.id}_{name}.ann"] = _written(article, statements)
    return files | config([target.id for target in story.targets])


def lossy(article: Article) -> list[str]:
    """What of an article brat cannot hold: some fragments at line ends, and references that lead nowhere."""
    text = article.text
    lost = [f"{article.key}: a zone {_CUT}" for start, end, _ in article.zones if not _held([Span(start, end)], text)]
    lost += [f"{article.key}: an excluded stretch {_CUT}" for one in article.excluded if not _held(one.content, text)]
    for name, statements in {"": article.statements, **article.passes}.items():
        of = f" in the pass {name}" if name else ""
        known = {statement.id for statement in statements}
        for statement in statements:
            lost += [f"{article.key}.{statement.id}{of}: {what}" for what in _losses(statement, known, text)]
    return lost


_CUT = "begins or ends with a line end, or two of its fragments meet at one"


def _losses(statement: Statement, known: set[str], text: str) -> Iterator[str]:
    for role in strings.ROLES:
        if not _held(getattr(statement, role), text):
            yield f"its {role} {_CUT}"
    relayed = {name for pair in (statement.stances or {}).values() for name in pair.relays}
    if statement.mention_of and statement.mention_of not in known - {statement.id}:
        yield f"is a mention of {statement.mention_of}, which is no other statement there"
    for name in sorted(relayed - known):
        yield f"relays {name}, which is no statement there"


def _held(spans: Sequence[Span], text: str) -> bool:
    """Whether fragments come back as they were."""
    pieces = _pieces(spans, text)
    back = _joined(pieces, text) if _is_cut(spans, text) else pieces
    return list(spans) == back and len(pieces) <= MOST_FRAGMENTS


def _is_cut(spans: Sequence[Span], text: str) -> bool:
    return len(_pieces(spans, text)) > len(spans)


def _pieces(spans: Iterable[Span], text: str) -> list[Span]:
    """Fragments cut at line ends: brat loads no others."""
    return [Span(a + m.start(), a + m.end()) for a, b in spans for m in re.finditer(r"[^\n]+", text[a:b])]


class _Writer:
    """An .ann file that grows line by line, and the numbers that are taken in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[str] = []
        self.last: Counter[str] = Counter()

    def add(self, kind: str, body: str, number: int = 0) -> str:
        self.last[kind] += 1
        name = f"{kind}{number or self.last[kind]}"
        self.lines.append(f"{name}\t{body}\n")
        return name

    def span(self, type: str, spans: Sequence[Span]) -> str:
        places = ";".join(f"{start} {end}" for start, end in spans)
        return self.add("T", f"{type} {places}\t{strings.joined(self.text, spans)}")

    def spans(self, type: str, fragments: Iterable[Span]) -> list[str]:
        """One span, or several where fragments touch, which brat takes for an overlap."""
        pieces = _pieces(fragments, self.text)
        touch = any(before.end == after.start for before, after in pairwise(pieces))
        groups = [[piece] for piece in pieces] if touch else [pieces] if pieces else []
        return [self.span(type, group) for group in groups]

    def whole(self, type: str, spans: Sequence[Span], fields: dict[str, Any], plain: str = "") -> None:
        """One span that stands for itself, with its note."""
        pieces = _pieces(spans, self.text)
        across = ["content"] if _is_cut(spans, self.text) else []
        if pieces:
            self.note(self.span(type, pieces), {**fields, "across_lines": across}, plain)

    def event(self, type: str, trigger: Sequence[Span], roles: Sequence[tuple[str, str]], number: int = 0) -> str:
        """An event; the second use of a role gets the number 2. One fragment is enough of a trigger."""
        used: Counter[str] = Counter()
        words = [f"{type}:{self.span(type, _pieces(trigger, self.text)[:1] or trigger)}"]
        for role, name in roles:
            used[role] += 1
            words.append(f"{role}{used[role] if used[role] > 1 else ''}:{name}")
        return self.add("E", " ".join(words), number)

    def attribute(self, name: str, target: str, value: str | None) -> None:
        """An attribute with its value, a flag if that is empty, nothing if it is None."""
        if value is not None:
            self.add("A", f"{name} {target} {value}".rstrip())

    def note(self, target: str, fields: Mapping[str, Any], plain: str = "") -> None:
        """A note on an annotation, readable as it stands if it has nothing but the field `plain`."""
        fields = {name: value for name, value in fields.items() if value}
        if not fields:
            return
        text = str(fields.get(plain, ""))
        if set(fields) != {plain} or text != text.strip() or text.startswith("{") or _UNSAFE.search(text):
            text = json.dumps(fields, ensure_ascii=False)
            text = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        self.add("#", f"AnnotatorNotes {target}\t{text}")


def _written(article: Article, statements: Sequence[Statement], story: Story | None = None) -> str:
    """An .ann file; with the story, that of the article's own inventory."""
    writer = _Writer(article.text)
    if story:
        _write_article(writer, article, story)
    numbers = _numbers(statements)
    described: set[str] = set()
    for statement in statements:
        name = _write_statement(writer, statement, numbers)
        holder = article.holders.get(statement.holder or "") if story else None
        if holder and holder.id not in described:
            described.add(holder.id)
            for attribute, label in _HOLDER_LABELS.items():
                writer.attribute(attribute, name, getattr(holder, label))
    writer.last["E"] = max(numbers.values(), default=0)
    for statement in statements:
        for pair in (statement.stances or {}).values():
            _write_pair(writer, statement, pair, numbers)
    return "".join(writer.lines)


def _numbers(statements: Sequence[Statement]) -> dict[str, int]:
    """The numbers of the statements' events: the one in an id like e12, else the next after those."""
    kept = {s.id: int(s.id[1:]) for s in statements if re.fullmatch(r"e[1-9][0-9]{0,8}", s.id)}
    free = max(kept.values(), default=0)
    others = [statement.id for statement in statements if statement.id not in kept]
    return kept | {name: number for number, name in enumerate(others, free + 1)}


def _write_article(writer: _Writer, article: Article, story: Story) -> None:
    """What is said of the article and of its story, on its first line; zones; what is excluded."""
    data = {name: value for name, value in own.article_data(article).items() if name not in _APART}
    with_event = {statement.holder for statement in article.statements}
    for name in with_event & set(data.get("holders", {})):
        data["holders"][name] = {k: v for k, v in data["holders"][name].items() if k not in _HOLDER_LABELS.values()}
    line = re.search(r".*\S.*", article.text)
    anchor = writer.span("Article", [Span(line.start(), line.end()) if line else Span(0, len(article.text))])
    writer.note(anchor, {"article": data, "story": own.story_data(story)})
    for start, end, zone in article.zones:
        writer.whole(zone.capitalize(), [Span(start, end)], {})
    for excluded in article.excluded:
        writer.whole("Excluded", excluded.content, {"reason": excluded.reason}, "reason")


def _write_statement(writer: _Writer, statement: Statement, numbers: Mapping[str, int]) -> str:
    """A statement's spans and event, and all that is said of it but its stances. Returns the event."""
    spans = {role: getattr(statement, role) for role in strings.ROLES}
    roles = [(name, mark) for name, role in _SPAN_ROLES.items() for mark in writer.spans(name, spans[role])]
    if statement.mention_of and statement.mention_of in numbers:
        roles.append(("MentionOf", f"E{numbers[statement.mention_of]}"))
    number = numbers[statement.id]
    name = writer.event("Attribution", spans["cue"] or spans["content"], roles, number)
    writer.attribute("QuoteForm", name, statement.quote_form)
    writer.attribute("Added", name, "" if statement.added else None)
    writer.attribute("Judged", name, "" if statement.stances is not None else None)
    own_id = statement.id if statement.id != name.lower() else None
    across = [role for role in strings.ROLES if _is_cut(spans[role], writer.text)]
    writer.note(name, {"id": own_id, "holder": statement.holder, "chain": statement.chain, "across_lines": across})
    return name


def _write_pair(writer: _Writer, statement: Statement, pair: Pair, numbers: Mapping[str, int]) -> None:
    inner = [("Relays", f"E{numbers[name]}") for name in pair.relays if name in numbers]
    roles = [("Of", f"E{numbers[statement.id]}"), *inner]
    name = writer.event("Stance", statement.cue or statement.content, roles)
    for attribute, value in (("Target", pair.target), ("Label", pair.label), ("Certainty", pair.certainty)):
        writer.attribute(attribute, name, value)
    for tag in pair.tags:
        writer.attribute(tag, name, "")
    writer.note(name, {"why": pair.why, "votes": pair.votes}, "why")
