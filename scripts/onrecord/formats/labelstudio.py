"""Label Studio: its full JSON export in; tasks, labelling configurations and a blind audit sheet out.

**Tasks.** A task is an article. `data` holds `text` and, as far as known, `id`, `story` (an id, or the story as in
story.json), publisher, published, title, language, license, url, origin and sampling; `meta` may hold them instead.
Without `story` the story.json beside the export serves, else the article is a story of its own. `data.onrecord` is
ours: what no label, relation or choice can say (see `_carried`). It goes through the tool unseen; whoever annotates by
hand needs none of it.

**Annotations.** All that were submitted are read. Primary is the one marked as ground truth, else the first by name;
the others become `passes`. Skipped ones, drafts and predictions are left out and counted.

**Our scheme** (`config` writes the labelling configuration; choices are the schema's labels):

| what | in Label Studio |
|---|---|
| a statement | a region Content, its relation `source` to a Source and `cue` to a Cue |
| fragments | relations `part` between regions of one label |
| `holder` | text `holder`, a name, of the Content or Source; without it, the words of the Source; with neither and the source type author, the author |
| `source_type`, `disclosure`, `role`, `sector`, `speaks_for` | choices and texts of a Content or Source of the holder |
| `quote_form` | choice of the Content |
| `chain` | relation `chain` from the Content (or Source) to the Content or Source of the next link outwards |
| `mention_of`, `relays` | relations `mention` and `relays` between Contents; `relays` holds for each target on which the statement is relay and the inner one takes a stance |
| `stances` | choices `stance:T`, `certainty:T`, `tags:T` and text `why:T` of the Content, for each target T; where one is chosen in an annotation, all its statements count as judged |
| zones, `excluded` | regions `headline`, `lede`, …; Excluded with the text `reason` |

A relation may run either way between different labels, and needs no label where the ends leave no doubt.

**Offsets** of `Text` count code points, CR LF as two; before Label Studio 1.6 (label-studio-frontend #308) they counted
UTF-16 units. The quoted text of each annotation's regions decides. Of `Paragraphs` the paragraph's number and the
offset in it count, of `HyperText` the `globalOffsets`, and only where the text there is the quoted one.
"""  # noqa: E501

from __future__ import annotations

import difflib
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count
from pathlib import Path
from typing import Any, NamedTuple

from onrecord import text as strings
from onrecord.formats import own
from onrecord.formats.brat import slug
from onrecord.formats.files import Unit, decode, digest, read_bytes
from onrecord.model import (
    AUTHOR,
    CLOSED_LISTS,
    LABELS,
    PRIMARY,
    Article,
    Document,
    Finding,
    Holder,
    Label,
    Rule,
    Span,
    Statement,
    Story,
    Unusable,
    rules_of,
)

Data = dict[str, Any]

NOT_TASKS = Rule(
    "export-not-tasks",
    1,
    "A Label Studio export is an array of tasks.",
    "export the project as JSON, not as JSON-MIN, CSV or CoNLL",
)
UNUSABLE_TASK = Rule(
    "unusable-task",
    1,
    "A task is an object whose `data` holds the article as `text`.",
    "export the project as JSON, and name the field of the article `text`",
)
UNUSABLE_METADATA = Rule(
    "unusable-metadata",
    1,
    "What a task says of its article and story is text, and the same in all tasks of a story.",
    "it is left out; mend it in the task's data",
    "warning",
)
SKIPPED_ANNOTATION = Rule(
    "skipped-annotation",
    1,
    "Every annotation was submitted.",
    "it is left out; submit it in Label Studio if it was meant",
    "warning",
)
UNSUBMITTED = Rule(
    "unsubmitted",
    1,
    "What is to be read was submitted by a person; predictions and drafts are not.",
    "they are left out; accept them in Label Studio if they are right",
    "warning",
)
NOT_ANNOTATED = Rule(
    "not-annotated", 1, "Every task is annotated.", "annotate it, or leave it out of the export", "warning"
)
UNUSABLE_ANNOTATION = Rule(
    "unusable-annotation",
    1,
    "An annotation is an object with an array `result` of objects.",
    "it is left out; export it again",
    "warning",
)
UNUSABLE_REGION = Rule(
    "unusable-region",
    1,
    "A region has an id of its own and one label of the configuration.",
    "it is left out, and what refers to it; mend it in Label Studio",
    "warning",
)
UNUSABLE_OFFSETS = Rule(
    "unusable-offsets",
    3,
    "A region has whole offsets within the text, at which its quoted text stands.",
    "it is left out, and what refers to it; mark it again",
    "warning",
)
UNUSABLE_CHOICE = Rule(
    "unusable-choice",
    1,
    "Choices and texts are the configuration's, each once for a region.",
    "it is left out; choose again, or use the configuration that `convert` writes",
    "warning",
)
CHOICES_DIFFER = Rule(
    "choices-differ",
    4,
    "What is chosen for one holder, or for the fragments of one content, agrees.",
    "the first by place counts; mend the other",
    "warning",
)
STANCE_MISSING = Rule(
    "stance-missing",
    4,
    "Certainty, tags and why go with a stance.",
    "they are left out; choose the stance",
    "warning",
)
UNUSABLE_RELATION = Rule(
    "unusable-relation",
    2,
    "A relation joins two usable regions that its label can join.",
    "it is left out; mend it in Label Studio",
    "warning",
)
RELATION_IN_CIRCLE = Rule(
    "relation-in-circle",
    2,
    "Relations `chain` lead outwards and end.",
    "the chain is left out; mend it in Label Studio",
    "warning",
)
UNLINKED_REGION = Rule(
    "unlinked-region",
    2,
    "Every Source and Cue is joined to a Content.",
    "it is left out; add the relation, or delete the region",
    "warning",
)
REASON_MISSING = Rule(
    "reason-missing", 2, "An Excluded region has a reason.", "it is left out; add the reason", "warning"
)
PRIMARY_ONLY = Rule(
    "primary-only",
    4,
    "Zones and exclusions are marked by the primary annotator.",
    "they are left out; mark the primary annotation as ground truth",
    "warning",
)
RULES = rules_of(globals())

# -- the scheme in Label Studio's terms ------------------------------------------------------------------------

SOURCE, CUE, CONTENT, EXCLUDED = "Source", "Cue", "Content", "Excluded"
SPAN_LABELS = {
    SOURCE: "The words that name the holder.",
    CUE: "The words that link source and content.",
    CONTENT: "What is said, without the quotation marks.",
    EXCLUDED: "What looks like an attribution and is none; say why.",
}
RELATIONS = {
    "source": "Content → its Source",
    "cue": "Content → its Cue",
    "part": "to a further fragment with the same label",
    "chain": "Content → the Content or Source of who passes it on",
    "mention": "Content → the fullest Content of the same act",
    "relays": "Content → the inner Content that it relays",
}
ROLE_LABELS = {"source": SOURCE, "cue": CUE, "content": CONTENT}
HOLDER_CHOICES = ("source_type", "disclosure")
HOLDER_TEXTS = {
    "holder": "Holder's full name, if the Source does not say it",
    "role": "Holder's role",
    "sector": "Holder's sector",
    "speaks_for": "Holder for whom the holder speaks",
}
MULTIPLE = ("tags",)
PLAIN_DATA = ("publisher", "published", "title", "language", "license", "url", "origin", "sampling")
CARRIED = {"annotators": list, "judged": list, "provenance": dict, "holders": dict}
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
REGION_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,127})_content_\d+")  # of a region that `write` made
EXCLUDED_ID = re.compile(r"excluded_\d+_\d+")


def _controls(targets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each control of the configuration with its labels; a text has none."""
    controls: dict[str, tuple[str, ...]] = {name: LABELS[name] for name in (*HOLDER_CHOICES, "quote_form")}
    controls |= dict.fromkeys((*HOLDER_TEXTS, "reason"), ())
    for target in targets:
        controls[f"stance:{target}"] = LABELS["stance"]
        controls[f"certainty:{target}"] = LABELS["certainty"]
        controls[f"tags:{target}"] = LABELS["tag"]
        controls[f"why:{target}"] = ()
    return controls


# -- units -----------------------------------------------------------------------------------------------------


def is_export(file: Path) -> bool:
    """Whether a .json file starts as an array does; our own form is an object."""
    try:
        with file.open("rb") as stream:
            start = stream.read(4096)
    except OSError:
        return False
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def units(file: Path, root: Path) -> Iterator[Unit]:
    """The one unit of an export, with the story.json beside it."""
    story = file.parent / "story.json"
    yield Unit.of("labelstudio", file.stem, [file, *([story] if story.is_file() else [])], root)


# -- tasks -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Log:
    """What is wrong with one task, and so left out of it."""

    file: str
    found: dict[Finding, int] = field(default_factory=dict)  # with how many things it left out

    def leave_out(self, rule: Rule, where: str, what: str, count: int = 1) -> None:
        self.found[rule.finding(self.file, where, what)] = count

    def left_out(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for finding, number in self.found.items():
            total[finding.rule] += number
        return dict(+total)


class _Task(NamedTuple):
    """A usable task."""

    log: _Log
    text: _Text
    data: Data  # with what only `meta` says
    annotations: list[Any]
    id: str
    story: str
    origin: str | None  # the name that the id was made of, if it is not the id
    digest: str


def read(unit: Unit) -> Iterator[Document | Finding]:
    """The stories of an export, each with its articles after it, wherever their tasks stand."""
    file = unit.files[0]
    try:
        tasks = _tasks(file)
    except Unusable as error:
        yield error.finding
        return
    beside: Data = {}
    if len(unit.files) > 1:
        try:
            beside = own.parse_json(decode(read_bytes(unit.files[1]), unit.files[1]), unit.files[1])
        except Unusable as error:
            yield error.finding
    stories: dict[str, list[_Task]] = defaultdict(list)
    for number, task in enumerate(tasks):
        found = _task(task, f"{file}[{number}]", number, beside)
        if isinstance(found, Finding):
            yield found
        else:
            stories[found.story].append(found)
    names = _annotator_names(tasks)
    for story, members in sorted(stories.items()):
        yield from _story(story, members, beside, names, unit)


def _tasks(file: str) -> list[Any]:
    value = own.parse_value(decode(read_bytes(file), file, imported=True), file, imported=True)
    if not isinstance(value, list):
        raise Unusable(NOT_TASKS.finding(file, "", f"holds {own.json_type(value)}"))
    if not value:
        raise Unusable(NOT_TASKS.finding(file, "", "holds no task"))
    return value


def _task(task: Any, file: str, number: int, beside: Data) -> _Task | Finding:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        found = "is no object" if not isinstance(task, dict) else "has no object `data`"
        return UNUSABLE_TASK.finding(file, "$", found)
    for part in ("data", "meta"):
        if where := own.surrogate_in(task.get(part), f"$.{part}"):
            return own.LONE_SURROGATE.finding(file, where, "holds half of a surrogate pair")
    log = _Log(file)
    data = {**_object(task.get("meta")), **task["data"]}
    if (text := _text_of(data)) is None:
        return UNUSABLE_TASK.finding(file, "$.data.text", f"holds {own.json_type(data.get('text'))}, no text")
    name, origin = _article_id(task, data, number)
    story = _story_id(data, beside, name)
    raw = json.dumps(task, sort_keys=True).encode()
    return _Task(log, text, data, _annotations(task, log), name, story, origin, digest(raw))


def _object(value: object) -> Data:
    return value if isinstance(value, dict) else {}


def _article_id(task: Data, data: Data, number: int) -> tuple[str, str | None]:
    """The article's id, and the name that it was made of where that says more."""
    names = [data.get("id"), data.get("filename"), data.get("file"), data.get("name")]
    name = next((str(name) for name in names if type(name) in (str, int) and str(name).strip()), None)
    if name is None:
        given = task.get("id")
        return f"task-{given if type(given) is int and given >= 0 else number}", None
    name = name if name == data.get("id") else Path(name).stem
    return (name, None) if ID.fullmatch(name) else (slug(name), name[:1000])


def _story_id(data: Data, beside: Data, article: str) -> str:
    named = data.get("story", beside.get("id"))
    named = named.get("id") if isinstance(named, dict) else named
    if type(named) not in (str, int) or not str(named).strip():
        return article
    return str(named) if ID.fullmatch(str(named)) else slug(str(named))


def _annotations(task: Data, log: _Log) -> list[Any]:
    """What was submitted; `completions` is what versions before 1.0 call it."""
    for part in ("predictions", "drafts"):
        if isinstance(task.get(part), list) and task[part]:
            log.leave_out(UNSUBMITTED, f"$.{part}", f"holds {len(task[part])}", len(task[part]))
    found = task.get("annotations", task.get("completions"))
    if not isinstance(found, list):
        found = []
    if not found:
        log.leave_out(NOT_ANNOTATED, "$.annotations", "is empty", 0)
    return found


def _story(
    story: str, tasks: Sequence[_Task], beside: Data, names: Mapping[str, str], unit: Unit
) -> Iterator[Document]:
    """The story's document, made of what is beside or in the first task that tells it, and its articles."""
    found: Data = beside if beside.get("id") == story else {}
    for task in tasks:
        given = task.data.get("story")
        if not isinstance(given, dict):
            continue
        if _holds_float(given):
            task.log.leave_out(UNUSABLE_METADATA, "$.data.story", "holds a number that is not whole")
        elif (found := found or {**given, "id": story}) != {**given, "id": story}:
            task.log.leave_out(UNUSABLE_METADATA, "$.data.story", "tells the story otherwise than before")
    found = found or {"id": story, "targets": []}
    raw = json.dumps(found, sort_keys=True).encode()
    yield Document("story", unit.files[0], found, digest(raw), imported=True)
    targets = found["targets"] if isinstance(found.get("targets"), list) else []
    known = [target["id"] for target in targets if isinstance(_object(target).get("id"), str)]
    for task in tasks:
        yield _article(task, known, names)


def _annotator_names(tasks: Iterable[Any]) -> dict[str, str]:
    """An id for each annotator of the export; of an address the part before the @, for ids are published."""
    given = {
        identity
        for task in tasks
        for annotation in _listed(_object(task).get("annotations", _object(task).get("completions")))
        if (identity := _identity(annotation))
    }
    names: dict[str, str] = {}
    for identity in sorted(given):
        names[identity] = _unused(slug(identity.partition("@")[0] or identity), names.values())
    return names


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _identity(annotation: object) -> str | None:
    by = _object(annotation).get("completed_by")
    if isinstance(by, dict):
        by = next((by[key] for key in ("email", "username", "id") if by.get(key)), None)
    return str(by) if type(by) in (str, int) and str(by).strip() else None


def _unused(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    return next(n for k in count(1) if (n := name if k == 1 else f"{name[:120]}-{k}") not in taken)


# -- an article ------------------------------------------------------------------------------------------------


class _Reading(NamedTuple):
    """An annotation that is to be read."""

    annotator: str
    where: str
    results: list[Any]
    carried: Data


class _Pass(NamedTuple):
    """What an annotation says."""

    annotator: str
    statements: list[Data]
    excluded: list[Data]
    zones: list[list[Any]]
    chosen: list[str]  # targets for which a stance was chosen


def _article(task: _Task, targets: Sequence[str], names: Mapping[str, str]) -> Document:
    carried = _carried(task)
    holders = _Holders(carried.get("holders", {}), task.log)
    passes = [_pass(task, reading, targets, holders) for reading in _readings(task, names)]
    chosen = {target for one in passes for target in one.chosen}
    judged = carried.get("judged", list(targets) if chosen else [])
    judged = judged + [target for target in targets if target in chosen and target not in judged]
    data = {"id": task.id, "story": task.story, **_plain(task), "text": task.text.normal.text}
    data |= {**carried, "judged": judged, "holders": holders.known, **_joined_passes(passes, task.log)}
    data = {key: value for key, value in data.items() if value or key == "statements"}
    log = task.log
    return Document("article", log.file, data, task.digest, True, tuple(log.found), log.left_out())


def _readings(task: _Task, names: Mapping[str, str]) -> list[_Reading]:
    """The annotations to read, the primary first."""
    found: list[tuple[bool, _Reading]] = []
    for i, annotation in enumerate(task.annotations):
        where = f"$.annotations[{i}]"
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            task.log.leave_out(UNUSABLE_ANNOTATION, where, "has no array `result`")
        elif annotation.get("was_cancelled") is True:
            task.log.leave_out(SKIPPED_ANNOTATION, where, "was skipped")
        else:
            carried = _carried_for(task, annotation)
            name = carried.get("annotator")
            if not isinstance(name, str) or not ID.fullmatch(name):
                name = names.get(_identity(annotation) or "", PRIMARY)
            name = _unused(name, (reading.annotator for _, reading in found))
            reading = _Reading(name, where, annotation["result"], carried)
            found.append((annotation.get("ground_truth") is True, reading))
    return [reading for _, reading in sorted(found, key=lambda one: (not one[0], one[1].annotator))]


def _plain(task: _Task) -> Data:
    """The metadata, as far as it is text."""
    given: Data = {"origin": task.origin}
    given |= {name: task.data[name] for name in PLAIN_DATA if name in task.data}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            task.log.leave_out(UNUSABLE_METADATA, f"$.data.{name}", f"is {own.json_type(value)}")
    return {name: value for name, value in given.items() if isinstance(value, str)}


def _carried(task: _Task) -> Data:
    """`data.onrecord`, as far as it is usable.

    `annotators`, `judged`, `provenance` and `holders` are the article's, as in our own form. `annotations` holds
    for the id of each annotation that `write` made: `annotator`; `judged`, whether its statements have stances;
    and `statements`, by id, with `holder`, `chain`, `added`, `unjudged`, `relays` (all that have the relation) and
    `stances` with `votes` and `relays` by target. Labels, relations and choices say the rest, and win where a
    person changed them in the tool.
    """
    given = _object(task.data.get("onrecord"))
    if _holds_float(given):
        task.log.leave_out(UNUSABLE_METADATA, "$.data.onrecord", "holds a number that is not whole")
        return {}
    usable: Data = {}
    for name, kind in CARRIED.items():
        if isinstance(given.get(name), kind) and (name != "holders" or _all_objects(given[name])):
            usable[name] = given[name]
        elif name in given:
            task.log.leave_out(UNUSABLE_METADATA, f"$.data.onrecord.{name}", "is not as in our own form")
    return usable


def _all_objects(value: Mapping[str, object]) -> bool:
    return all(isinstance(part, dict) for part in value.values())


def _holds_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_float, value.values()))
    return any(map(_holds_float, value)) if isinstance(value, list) else isinstance(value, float)


def _joined_passes(passes: Sequence[_Pass], log: _Log) -> Data:
    """The first pass as the article's own, the others as `passes`."""
    if not passes:
        return {"statements": []}
    first, *others = passes
    for other in others:
        for name, more, ours in (("zones", other.zones, first.zones), ("excluded", other.excluded, first.excluded)):
            if more and more != ours:
                log.leave_out(PRIMARY_ONLY, "$.annotations", f"{other.annotator!r} has {name} of their own")
    return {
        "annotator": None if first.annotator == PRIMARY else first.annotator,
        "statements": first.statements,
        "zones": first.zones,
        "excluded": first.excluded,
        "passes": {other.annotator: other.statements for other in others},
    }


# -- text and offsets ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """A task's text as the tool counts it, and in normal form."""

    raw: str
    normal: strings.Normal
    paragraphs: tuple[int, ...]  # where each starts; of a `Paragraphs` task only
    utf16: Sequence[int] | None  # None where both ways to count agree


def _text_of(data: Data) -> _Text | None:
    raw: object = data.get("text")
    starts: list[int] = []
    lines = raw if isinstance(raw, list) else data.get("paragraphs", data.get("dialogue"))
    if not isinstance(raw, str) and isinstance(lines, list):
        words = [_object(line).get("text") for line in lines]
        if not all(isinstance(part, str) for part in words):
            return None
        starts = [0, *accumulate(len(str(part)) + 1 for part in words[:-1])] if words else []
        raw = "\n".join(map(str, words))
    if not isinstance(raw, str) or not raw:
        return None
    astral = strings.utf16_offsets(raw) if max(raw) > "\uffff" else None
    return _Text(raw, strings.normalise(raw), tuple(starts), astral)


def _offsets(value: Data, text: _Text) -> tuple[object, object]:
    """A region's offsets as the tool gives them."""
    if text.paragraphs:
        ends = (("start", "startOffset"), ("end", "endOffset"))
        start, end = (_in_paragraph(value.get(line), value.get(offset), text) for line, offset in ends)
        return start, end
    if type(value.get("start")) is not int:
        value = _object(value.get("globalOffsets")) or value
    return value.get("start"), value.get("end")


def _in_paragraph(line: object, offset: object, text: _Text) -> int | None:
    number = int(line) if isinstance(line, str) and re.fullmatch(r"[0-9]{1,9}", line) else line
    if type(number) is not int or type(offset) is not int or not 0 <= number < len(text.paragraphs):
        return None
    return text.paragraphs[number] + offset


def _raw_span(value: Data, text: _Text, *, utf16: bool) -> Span | None:
    start, end = _offsets(value, text)
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        return None
    if utf16 and text.utf16:
        if end >= len(text.utf16):
            return None
        start, end = text.utf16[start], text.utf16[end]
    return Span(start, end) if start < end <= len(text.raw) else None


def _quoted_there(value: Data, span: Span | None, text: _Text) -> bool:
    """Whether the quoted text, if there is one, stands at the span. The tool changes white space in it."""
    quoted = value.get("text")
    if span is None or not isinstance(quoted, str):
        return span is not None
    return "".join(quoted.split()) == "".join(text.raw[span.start : span.end].split())


def _counts_utf16(values: Sequence[Data], text: _Text) -> bool:
    """Whether more of the quoted texts stand where UTF-16 offsets lead than where code points do."""
    if text.utf16 is None:
        return False
    quoting = [value for value in values if isinstance(value.get("text"), str)]

    def fitting(*, utf16: bool) -> int:
        return sum(_quoted_there(value, _raw_span(value, text, utf16=utf16), text) for value in quoting)

    return fitting(utf16=True) > fitting(utf16=False)


# -- regions, choices and relations ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Region:
    id: str
    label: str
    span: Span
    where: str
    number: int  # its place in the annotation
    given: dict[str, list[str]] = field(default_factory=dict)  # control to what was chosen or written


class _Link(NamedTuple):
    label: str
    start: _Region
    end: _Region
    where: str


def _results(reading: _Reading, log: _Log) -> list[tuple[str, Data]]:
    """The usable parts of an annotation with their addresses."""
    usable = []
    for i, result in enumerate(reading.results):
        at = f"{reading.where}.result[{i}]"
        if not isinstance(result, dict):
            log.leave_out(UNUSABLE_ANNOTATION, at, f"is {own.json_type(result)}")
        elif broken := own.surrogate_in(result, at):
            log.leave_out(UNUSABLE_ANNOTATION, broken, "holds half of a surrogate pair")
        else:
            usable.append((at, result))
    return usable


def _marks(result: Data) -> bool:
    """Whether a result marks a region, whatever kind of text it is in."""
    return result.get("type") in ("labels", "hypertextlabels", "paragraphlabels")


def _regions(results: Sequence[tuple[str, Data]], text: _Text, log: _Log) -> dict[str, _Region]:
    marking = [(at, result) for at, result in results if _marks(result)]
    utf16 = _counts_utf16([_object(result.get("value")) for _, result in marking], text)
    regions: dict[str, _Region] = {}
    for at, result in marking:
        name, labels = result.get("id"), _object(result.get("value")).get(str(result["type"]))
        if not isinstance(name, str) or not name:
            log.leave_out(UNUSABLE_REGION, at, "has no id")
        elif name in regions:
            log.leave_out(UNUSABLE_REGION, at, f"has the id of {regions[name].where}")
        elif not isinstance(labels, list) or len(labels) != 1:
            log.leave_out(UNUSABLE_REGION, at, f"has the labels {_shown(labels)}")
        elif not isinstance(labels[0], str) or labels[0] not in (*SPAN_LABELS, *LABELS["zone"]):
            close = _did_you_mean(labels[0], (*SPAN_LABELS, *LABELS["zone"]))
            log.leave_out(UNUSABLE_REGION, at, f"has the label {_shown(labels[0])}{close}")
        elif span := _normal_span(_object(result.get("value")), at, text, log, utf16=utf16):
            regions[name] = _Region(name, labels[0], span, at, len(regions))
    return regions


def _normal_span(value: Data, where: str, text: _Text, log: _Log, *, utf16: bool) -> Span | None:
    span = _raw_span(value, text, utf16=utf16)
    if span is None:
        start, end = _offsets(value, text)
        found = f"has the offsets {_shown(start)} and {_shown(end)} in a text of {len(text.raw):,}"
        log.leave_out(UNUSABLE_OFFSETS, where, found)
        return None
    if not _quoted_there(value, span, text):
        stands = _shown(text.raw[span.start : span.end])
        log.leave_out(UNUSABLE_OFFSETS, where, f"quotes {_shown(value['text'])}, and {stands} stands there")
        return None
    normal = Span(text.normal.offset(span.start), text.normal.offset(span.end))
    if normal.start < normal.end:
        return normal
    log.leave_out(UNUSABLE_OFFSETS, where, "marks a part of one character only")
    return None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _did_you_mean(word: object, known: Iterable[str]) -> str:
    by_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(str(word)[:100].lower(), list(by_case), 1, 0.6)
    return f", did you mean {by_case[close[0]]!r}?" if close else ""


def _give(
    regions: Mapping[str, _Region],
    results: Sequence[tuple[str, Data]],
    controls: Mapping[str, tuple[str, ...]],
    log: _Log,
) -> None:
    """Add choices and texts to their regions."""
    for at, result in results:
        if _marks(result) or result.get("type") == "relation":
            continue
        fault, values = _control_values(result, controls)
        name, region = str(result.get("from_name")), regions.get(str(result.get("id")))
        if not fault and region is None:
            fault = "belongs to no usable region"
        if not fault and region and name in region.given:
            fault = f"is a second {name!r} of the region"
        if fault or region is None:
            log.leave_out(UNUSABLE_CHOICE, at, fault)
        elif values:
            region.given[name] = values


def _control_values(result: Data, controls: Mapping[str, tuple[str, ...]]) -> tuple[str, list[str]]:
    """What is wrong with a choice or text, and else what it says."""
    kind, name = result.get("type"), str(result.get("from_name"))
    value = _object(result.get("value")).get("choices" if kind == "choices" else "text")
    values = [value] if isinstance(value, str) else value
    if kind not in ("choices", "textarea"):
        return f"is of the type {_shown(kind)}, which is not read", []
    if name not in controls:
        return f"is of the control {_shown(name)}{_did_you_mean(name, controls)}", []
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        return f"says {_shown(value)}", []
    if bool(controls[name]) != (kind == "choices"):
        return f"is {'no text' if kind == 'textarea' else 'no choice'} in the configuration", []
    return _chosen_labels(name, values, controls[name]) if controls[name] else ("", _as_line(values))


def _as_line(values: Iterable[str]) -> list[str]:
    line = re.sub(r"\s*[\r\n]+\s*", " ", " ".join(values))
    return [line[:2000]] if line.strip() else []


def _chosen_labels(name: str, values: Sequence[str], labels: Sequence[str]) -> tuple[str, list[str]]:
    if unknown := [one for one in values if one not in labels]:
        return f"says {_shown(unknown[0])}{_did_you_mean(unknown[0], labels)}", []
    if len(values) > 1 and name.partition(":")[0] not in MULTIPLE:
        return f"says {_shown(values)}, of which one can hold", []
    return "", list(dict.fromkeys(values))


def _links(regions: Mapping[str, _Region], results: Sequence[tuple[str, Data]], log: _Log) -> list[_Link]:
    links: list[_Link] = []
    for at, result in results:
        if result.get("type") != "relation":
            continue
        start, end = (regions.get(str(result.get(side))) for side in ("from_id", "to_id"))
        if start is None or end is None or start is end:
            fault = "joins a region to itself" if start and end else "refers to no usable region"
            log.leave_out(UNUSABLE_RELATION, at, fault)
            continue
        if result.get("direction") == "left":
            start, end = end, start
        for label in _relation_labels(result, start, end):
            found = _link(label, start, end, at)
            if isinstance(found, str):
                log.leave_out(UNUSABLE_RELATION, at, found)
            else:
                links.append(found)
    return links


def _relation_labels(result: Data, start: _Region, end: _Region) -> list[Any]:
    """The labels of a relation; where there is none, the one that its ends leave no doubt of."""
    labels = result.get("labels")
    if labels:
        return labels if isinstance(labels, list) else [labels]
    ends = {start.label, end.label}
    for label, other in (("source", SOURCE), ("cue", CUE)):
        if ends == {CONTENT, other}:
            return [label]
    return ["part"] if len(ends) == 1 and CONTENT not in ends else [None]


def _link(label: object, start: _Region, end: _Region, where: str) -> _Link | str:
    """A relation, turned so that a source or cue is its end; or what is wrong with it."""
    if not isinstance(label, str) or label not in RELATIONS:
        return f"has {'no label' if label is None else f'the label {_shown(label)}'}{_did_you_mean(label, RELATIONS)}"
    ends = (start.label, end.label)
    if label in ("source", "cue"):
        if ends == (ROLE_LABELS[label], CONTENT):
            start, end = end, start
        fits = {start.label, end.label} == {CONTENT, ROLE_LABELS[label]}
    elif label == "part":
        fits = ends[0] == ends[1] and ends[0] in SPAN_LABELS
    elif label == "chain":
        fits = set(ends) <= {SOURCE, CONTENT}
    else:
        fits = ends == (CONTENT, CONTENT)
    return _Link(label, start, end, where) if fits else f"joins {ends[0]} to {ends[1]} as {label!r}"


# -- from regions to statements --------------------------------------------------------------------------------


class _Groups:
    """Regions joined by `part`, and the other relations between such groups.

    A group is named by the id of one of its regions.
    """

    def __init__(self, regions: Mapping[str, _Region], links: Iterable[_Link], log: _Log) -> None:
        links = list(links)
        self.log = log
        self._root = {name: name for name in regions}
        for link in links:
            if link.label == "part":
                self._root[self.root(link.start.id)] = self.root(link.end.id)
        self.members: dict[str, list[_Region]] = defaultdict(list)
        for region in sorted(regions.values(), key=lambda one: (one.span, one.id)):
            self.members[self.root(region.id)].append(region)
        self._to: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._outer: dict[str, str | None] = {}
        self.owners: dict[str, str] = {}  # of a source group, the first content group that it belongs to
        for link in links:
            if link.label != "part":
                self._add(link)

    def root(self, name: str) -> str:
        while self._root[name] != name:
            self._root[name] = self._root[self._root[name]]
            name = self._root[name]
        return name

    def _add(self, link: _Link) -> None:
        start, end = self.root(link.start.id), self.root(link.end.id)
        known = self._to[link.label][start]
        if start == end:
            self.log.leave_out(UNUSABLE_RELATION, link.where, "joins fragments of one content")
        elif known and link.label in ("chain", "mention") and end not in known:
            self.log.leave_out(UNUSABLE_RELATION, link.where, f"is a second {link.label!r} of the content")
        elif end not in known:
            known.append(end)
            if link.label == "source":
                self.owners.setdefault(end, start)

    def linked(self, label: str, start: str) -> list[str]:
        """Where relations of a label lead from a group, by place."""
        return sorted(self._to[label].get(start, ()), key=lambda name: (self.members[name][0].span, name))

    def ends(self, label: str) -> set[str]:
        return {end for ends in self._to[label].values() for end in ends}

    def of(self, label: str) -> list[str]:
        return [name for name, members in self.members.items() if members[0].label == label]

    def outer(self, name: str) -> str | None:
        """The next link outwards of a content or source; of a source that has a content, that content."""
        if name not in self._outer:
            starts = [name, *self.linked("source", name)]
            found = next((ends[0] for start in starts if (ends := self.linked("chain", start))), None)
            owner = self.owners.get(found or "")
            self._outer[name] = owner if owner not in (None, name) else found
        return self._outer[name]


def _said(regions: Iterable[_Region], control: str, log: _Log) -> list[str]:
    """What regions that belong together say in a control: the first by place that says anything."""
    given = [region for region in regions if control in region.given]
    for other in given[1:]:
        if other.given[control] != given[0].given[control]:
            says = f"{_shown(other.given[control])}, and {given[0].where} {_shown(given[0].given[control])}"
            log.leave_out(CHOICES_DIFFER, other.where, f"says in {control!r} {says}")
    return given[0].given[control] if given else []


class _Holders:
    """The holders of an article, as its annotations name them one after the other."""

    def __init__(self, known: Mapping[str, Data], log: _Log) -> None:
        self.known = {name: dict(holder) for name, holder in known.items()}
        self.log = log
        self._said: dict[tuple[str, str], str] = {}

    def id_of(self, name: str, likely: object) -> str:
        """The id of the holder with a name; of several with that name, the likely one."""
        if isinstance(likely, str) and name in (self.known.get(likely, {}).get("name"), likely):
            return likely
        found = (known for known, holder in self.known.items() if holder.get("name") == name)
        return next(found, name if name in self.known else slug(name))

    def of(self, regions: Sequence[_Region], text: str, likely: object = None) -> str | None:
        """The id of the holder that the regions of a statement, or of a source, name.

        `likely` is what `write` carried; the empty string says that the statement had none.
        """
        spans = () if likely == "" else (region.span for region in regions if region.label == SOURCE)
        words = " ".join(strings.joined(text, spans).split())
        name = "".join(_said(regions, "holder", self.log))
        if not likely and _said(regions, "source_type", self.log) == ["author"]:
            holder, name = AUTHOR, name or AUTHOR
        elif name := name or words[:2000]:
            holder = self.id_of(name, likely)
        else:
            return None
        if holder != likely or holder in self.known:
            self.known.setdefault(holder, {"name": name})
            self._describe(holder, regions)
        return holder

    def _describe(self, holder: str, regions: Sequence[_Region]) -> None:
        for control in (*HOLDER_CHOICES, "role", "sector", "speaks_for"):
            value = "".join(_said(regions, control, self.log))
            if value and control == "speaks_for":
                value = self.id_of(value, self.known[holder].get(control))
            if not value:
                continue
            first = self._said.setdefault((holder, control), value)
            if first == value:
                self.known[holder][control] = value
            else:
                found = f"says that {holder!r} has the {control} {value!r}, which had {first!r}"
                self.log.leave_out(CHOICES_DIFFER, regions[0].where, found)


@dataclass(slots=True)
class _Draft:
    """A statement in the making."""

    root: str
    id: str
    parts: dict[str, list[_Region]]  # role to regions
    extra: Data  # what is carried for it
    holder: str | None = None

    @property
    def regions(self) -> list[_Region]:
        """Those that say who the holder is."""
        return [*self.parts["content"], *self.parts["source"]]

    @property
    def place(self) -> tuple[Span, str]:
        return min(region.span for part in self.parts.values() for region in part), self.root


def _pass(task: _Task, reading: _Reading, targets: Sequence[str], holders: _Holders) -> _Pass:
    results = _results(reading, task.log)
    regions = _regions(results, task.text, task.log)
    _give(regions, results, _controls(targets), task.log)
    groups = _Groups(regions, _links(regions, results, task.log), task.log)
    text, carried = task.text.normal.text, reading.carried
    drafts = _drafts(groups, _object(carried.get("statements")))
    for draft in drafts.values():
        draft.holder = holders.of(draft.regions, text, draft.extra.get("holder"))
    chosen = [t for t in targets if any(f"stance:{t}" in region.given for region in regions.values())]
    judged = carried["judged"] is True if "judged" in carried else bool(chosen)
    statements = []
    for draft in drafts.values():
        statement = _statement(draft, drafts, groups, holders, text)
        stances = _stances(draft, drafts, groups, targets)
        if stances or (judged and draft.extra.get("unjudged") is not True):
            statement["stances"] = stances
        statements.append(statement)
    _report_unlinked(groups)
    return _Pass(reading.annotator, statements, _excluded(groups), _zones(groups), chosen)


def _carried_for(task: _Task, annotation: Data) -> Data:
    """What is carried for an annotation that `write` made; the tool keeps its first id as `import_id`."""
    number = annotation.get("import_id") if "import_id" in annotation else annotation.get("id")
    block = _object(task.data.get("onrecord"))
    return {} if _holds_float(block) else _object(_object(block.get("annotations")).get(str(number)))


def _drafts(groups: _Groups, carried: Data) -> dict[str, _Draft]:
    """The statements by their content group: those that `write` made as it left them, then new ones by place."""
    drafts: dict[str, _Draft] = {}
    for root in groups.of(CONTENT):
        parts = {"content": groups.members[root]}
        for role in ("source", "cue"):
            parts[role] = [region for name in groups.linked(role, root) for region in groups.members[name]]
        drafts[root] = _Draft(root, "", parts, {})
    made: dict[str, _Draft] = {}
    for draft in sorted(drafts.values(), key=lambda one: min(region.number for region in one.parts["content"])):
        ids = (match[1] for region in draft.parts["content"] if (match := REGION_ID.fullmatch(region.id)))
        if (name := next(ids, "")) and name not in made:
            made[name] = draft
            draft.id, draft.extra = name, _object(carried.get(name))
    new = sorted((draft for draft in drafts.values() if not draft.id), key=lambda one: one.place)
    unused = (name for k in count(1) if (name := f"s{k}") not in made and name not in carried)
    for draft in new:
        draft.id = next(unused)
    return {draft.root: draft for draft in (*made.values(), *new)}


def _statement(draft: _Draft, drafts: Mapping[str, _Draft], groups: _Groups, holders: _Holders, text: str) -> Data:
    fullest = groups.linked("mention", draft.root)
    form = _said(draft.parts["content"], "quote_form", groups.log)
    statement: Data = {
        "id": draft.id,
        "holder": draft.holder,
        "chain": _chain(draft, drafts, groups, holders, text),
        **{role: _spans(part) for role, part in draft.parts.items()},
        "quote_form": form[0] if form else None,
        "mention_of": drafts[fullest[0]].id if fullest else None,
        "added": True if draft.extra.get("added") is True else None,
    }
    return {key: value for key, value in statement.items() if value}


def _chain(draft: _Draft, drafts: Mapping[str, _Draft], groups: _Groups, holders: _Holders, text: str) -> list[str]:
    """The holders between author and holder, outermost first: along `chain`, then what is carried."""
    links: list[str] = []
    seen, at = {draft.root}, draft
    while (name := groups.outer(at.root)) is not None:
        if name in seen:
            groups.log.leave_out(RELATION_IN_CIRCLE, draft.parts["content"][0].where, "is in a circle of `chain`")
            return []
        seen.add(name)
        at = drafts.get(name) or _bare_link(name, groups, holders, text)
        links += [at.holder] if at.holder else []
    return [*(link for link in _listed(at.extra.get("chain")) if isinstance(link, str)), *reversed(links)]


def _bare_link(root: str, groups: _Groups, holders: _Holders, text: str) -> _Draft:
    """A link of a chain that is a Source without a statement."""
    regions = groups.members[root]
    return _Draft(root, "", {"content": [], "source": regions}, {}, holders.of(regions, text))


def _stances(draft: _Draft, drafts: Mapping[str, _Draft], groups: _Groups, targets: Iterable[str]) -> Data:
    content = draft.parts["content"]
    inner = [drafts[name] for name in groups.linked("relays", draft.root)]
    stances: Data = {}
    for target in targets:
        said = {
            name: _said(content, f"{name}:{target}", groups.log) for name in ("stance", "certainty", "tags", "why")
        }
        if said["stance"]:
            stances[target] = _pair(target, said, draft, inner)
        elif any(said.values()):
            what = f"says no stance on {target!r}, but more of it"
            groups.log.leave_out(STANCE_MISSING, content[0].where, what)
    return stances


def _pair(target: str, said: Mapping[str, list[str]], draft: _Draft, inner: Iterable[_Draft]) -> Data:
    carried = _object(_object(draft.extra.get("stances")).get(target))
    label = said["stance"][0]
    linked = [(one.id, _label_of(one, target)) for one in inner]
    relays = _listed(carried.get("relays")) if _as_carried(linked, draft.extra) else _relays(label, linked)
    pair: Data = {"label": label, "certainty": "".join(said["certainty"]), "relays": relays, "tags": said["tags"]}
    pair |= {"why": "".join(said["why"]), "votes": carried.get("votes")}
    return {key: value for key, value in pair.items() if value}


def _as_carried(linked: Iterable[tuple[str, object]], carried: Data) -> bool:
    """Whether relations `relays` are as when `write` made them, so that what is carried of them holds."""
    return {name for name, _ in linked} == {str(name) for name in _listed(carried.get("relays"))}


def _label_of(draft: _Draft, target: str) -> str | None:
    given = (region.given.get(f"stance:{target}") for region in draft.parts["content"])
    return next((labels[0] for labels in given if labels), None)


def _relays(label: str, inner: Sequence[tuple[str, str | None]]) -> list[str]:
    """Which of the linked statements a pair relays: those that take a stance on its target, or else all."""
    if label != "relay":
        return []
    stating = [name for name, stance in inner if stance not in (None, "unrelated")]
    return stating or [name for name, _ in inner]


def _spans(regions: Iterable[_Region]) -> list[list[int]]:
    return [list(span) for span in sorted({region.span for region in regions})]


def _excluded(groups: _Groups) -> list[Data]:
    excluded = []
    for root in sorted(groups.of(EXCLUDED), key=lambda name: _excluded_place(groups.members[name])):
        regions = groups.members[root]
        if reason := "".join(_said(regions, "reason", groups.log)):
            excluded.append({"content": _spans(regions), "reason": reason})
        else:
            groups.log.leave_out(REASON_MISSING, regions[0].where, "has no reason")
    return excluded


def _excluded_place(regions: Sequence[_Region]) -> tuple[int, Span]:
    """As `write` left them, then new ones by place."""
    made = any(EXCLUDED_ID.fullmatch(region.id) for region in regions)
    return (min(region.number for region in regions) if made else sys.maxsize), regions[0].span


def _zones(groups: _Groups) -> list[list[Any]]:
    zones = [region for members in groups.members.values() for region in members if region.label in LABELS["zone"]]
    return [[*region.span, region.label] for region in sorted(zones, key=lambda one: one.span)]


def _report_unlinked(groups: _Groups) -> None:
    linked = groups.ends("source") | groups.ends("cue") | groups.ends("chain")
    for root in (*groups.of(SOURCE), *groups.of(CUE)):
        if root not in linked:
            groups.log.leave_out(UNLINKED_REGION, groups.members[root][0].where, "is joined to no Content")


# -- writing ---------------------------------------------------------------------------------------------------


def write(story: Story | None, articles: Iterable[Article]) -> str:
    """Articles as tasks with annotations, in the form of an export; the tool imports it.

    No annotator is named but in `data.onrecord`: the tool refuses annotators whom it does not know.
    """
    tasks = [_task_data(story, article, number) for number, article in enumerate(articles, 1)]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def lossy(article: Article) -> list[str]:
    """What the configuration has no control for: it rides along in `data.onrecord`, unseen in the tool.

    It comes back as it was where the task does, and is lost only to whoever drops that key.
    """
    pairs = [pair for one in article.statements for pair in (one.stances or {}).values()]
    held = {
        "votes": any(pair.votes for pair in pairs) or any(holder.votes for holder in article.holders.values()),
        "the annotators' names": article.annotators or article.passes or article.annotator != PRIMARY,
        "provenance": article.provenance,
        "which statements were added": any(one.added for one in article.statements),
        "which statements are not judged": bool(pairs) and any(one.stances is None for one in article.statements),
        "chains whose links have no statement": any(
            one.chain and _outer(one, article.statements) is None for one in article.statements
        ),
    }
    return [what for what, there in held.items() if there]


def _task_data(story: Story | None, article: Article, number: int) -> Data:
    own_data = own.article_data(article)
    passes = {article.annotator: article.statements, **article.passes}
    carried: Data = {name: own_data[name] for name in CARRIED if name in own_data}
    carried["annotations"] = {
        str(k): _carry(name, statements) for k, (name, statements) in enumerate(passes.items(), 1)
    }
    data = {"id": article.id, "story": own.story_data(story) if story else article.story, "text": article.text}
    data |= {name: own_data[name] for name in PLAIN_DATA if name in own_data}
    annotations = [
        {"id": k, "was_cancelled": False, "ground_truth": k == 1, "result": _result(article, statements, k == 1)}
        for k, statements in enumerate(passes.values(), 1)
    ]
    return {"id": number, "data": {**data, "onrecord": carried}, "annotations": annotations}


def _carry(annotator: str, statements: Sequence[Statement]) -> Data:
    judged = any(statement.stances is not None for statement in statements)
    carried = {one.id: _carry_statement(one, statements, judged=judged) for one in statements}
    return {"annotator": annotator, "judged": judged, "statements": carried}


def _carry_statement(statement: Statement, statements: Sequence[Statement], *, judged: bool) -> Data:
    stances: Data = {}
    for target, pair in (statement.stances or {}).items():
        votes = {name: dict(given) for name, given in pair.votes.items()}
        stances[target] = {**({"votes": votes} if votes else {}), **({"relays": pair.relays} if pair.relays else {})}
    carried = {
        "holder": statement.holder or "",
        "chain": list(statement.chain) if statement.chain and _outer(statement, statements) is None else None,
        "added": statement.added or None,
        "unjudged": (judged and statement.stances is None) or None,
        "relays": _inner(statement) or None,
        "stances": {target: given for target, given in stances.items() if given} or None,
    }
    return {key: value for key, value in carried.items() if value is not None}


def _inner(statement: Statement) -> list[str]:
    """The statements that a statement relays, on any target."""
    pairs = (statement.stances or {}).values()
    return list(dict.fromkeys(name for pair in pairs for name in pair.relays))


def _outer(statement: Statement, statements: Iterable[Statement]) -> Statement | None:
    """The statement of the next link outwards: if there are several, one that relays this one."""
    if not statement.chain:
        return None
    *chain, holder = statement.chain
    found = [one for one in statements if one.holder == holder and list(one.chain) == chain]
    return min(found, key=lambda one: statement.id not in _inner(one), default=None)


def _result(article: Article, statements: Sequence[Statement], primary: bool) -> list[Data]:
    """An annotation's regions, choices and relations."""
    results: list[Data] = []
    for statement in statements:
        for role, label in ROLE_LABELS.items():
            results += _fragments(article.text, f"{statement.id}_{role}", getattr(statement, role), label)
        results += _statement_controls(article, statement)
        results += _relations(statement, statements)
    for i, excluded in enumerate(article.excluded if primary else ()):
        results += _fragments(article.text, f"excluded_{i}", excluded.content, EXCLUDED)
        results.append(_chosen(article.text, f"excluded_{i}_0", excluded.content[0], "reason", [excluded.reason]))
    for i, zone in enumerate(article.zones if primary else ()):
        results += _fragments(article.text, f"zone_{i}", [Span(zone.start, zone.end)], zone.zone)
    return results


def _fragments(text: str, name: str, spans: Iterable[Span], label: str) -> list[Data]:
    regions = [
        _part(text, f"{name}_{i}", span, "span", "labels", {"labels": [label]}) for i, span in enumerate(spans)
    ]
    return regions + [_relation("part", f"{name}_0", region["id"]) for region in regions[1:]]


def _part(text: str, name: str, span: Span, control: str, kind: str, said: Data) -> Data:
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end], **said}
    return {"id": name, "from_name": control, "to_name": "text", "type": kind, "origin": "manual", "value": value}


def _chosen(text: str, name: str, span: Span, control: str, values: list[str]) -> Data:
    choices = control.partition(":")[0] not in (*HOLDER_TEXTS, "reason", "why")
    said = {"choices" if choices else "text": values}
    return _part(text, name, span, control, "choices" if choices else "textarea", said)


def _relation(label: str, start: str, end: str) -> Data:
    return {"type": "relation", "from_id": start, "to_id": end, "direction": "right", "labels": [label]}


def _statement_controls(article: Article, statement: Statement) -> Iterator[Data]:
    given: dict[str, list[str]] = {}
    if statement.holder is not None:
        given |= _holder_controls(article, statement.holder)
    given["quote_form"] = [statement.quote_form or ""]
    for target, pair in (statement.stances or {}).items():
        given |= {f"stance:{target}": [pair.label], f"certainty:{target}": [pair.certainty or ""]}
        given |= {f"tags:{target}": list(pair.tags), f"why:{target}": [pair.why or ""]}
    for control, values in given.items():
        if any(values):
            yield _chosen(article.text, f"{statement.id}_content_0", statement.content[0], control, values)


def _holder_controls(article: Article, name: str) -> dict[str, list[str]]:
    holder = article.holders.get(name, Holder(name, name))
    given = {control: [getattr(holder, control) or ""] for control in (*HOLDER_CHOICES, "role", "sector")}
    principal = holder.speaks_for or ""
    known = article.holders.get(principal)
    return {"holder": [holder.name], **given, "speaks_for": [known.name if known else principal]}


def _relations(statement: Statement, statements: Sequence[Statement]) -> list[Data]:
    content = f"{statement.id}_content_0"
    found = [
        _relation(role, content, f"{statement.id}_{role}_0") for role in ("source", "cue") if getattr(statement, role)
    ]
    if outer := _outer(statement, statements):
        found.append(_relation("chain", content, f"{outer.id}_content_0"))
    labels: dict[str, list[str]] = defaultdict(list)  # the tool keeps one relation, with labels, of two regions
    for label, others in (("mention", [statement.mention_of]), ("relays", _inner(statement))):
        for other in others:
            if other is not None:
                labels[other].append(label)
    known = {one.id for one in statements}
    for other, named in labels.items():
        if other in known:
            found.append({**_relation("", content, f"{other}_content_0"), "labels": named})
    return found


# -- configurations --------------------------------------------------------------------------------------------

_COLOURS = {SOURCE: "#4477aa", CUE: "#ccbb44", CONTENT: "#228833", EXCLUDED: "#bbbbbb"}  # Paul Tol's "bright"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def config(story: Story | None) -> str:
    """The labelling configuration of a story's project; without a story, of segmentation and holders only.

    Visibility is asked of `View`s: where a control itself names several labels, some versions of the tool drop
    what was chosen in it (`canBeSubmitted` in the editor's Result.js).
    """
    view = _node(None, "View")
    _node(view, "Style").text = ".htx-text { white-space: pre-wrap; }"  # else the tool trims spaces it counts
    relations = _node(view, "Relations", choice="multiple")
    for name in RELATIONS:
        _node(relations, "Relation", value=name)
    spans = _node(view, "Labels", name="span", toName="text")
    zones = {label.name: label.description for label in CLOSED_LISTS["zone"]}
    for name, description in {**SPAN_LABELS, **zones}.items():
        _node(spans, "Label", value=name, hint=description, background=_COLOURS.get(name, "#dddddd"))
    _node(view, "Text", name="text", value="$text", granularity="symbol")
    _holder_view(_node(view, "View", visibleWhen="region-selected"))
    content = _node(view, "View", visibleWhen="region-selected", whenLabelValue=CONTENT)
    _choices(content, "quote_form", CLOSED_LISTS["quote_form"])
    for target in story.targets if story else ():
        text = target.text.replace("$", "\uff04")  # fullwidth: the tool takes $5 for a field of the task
        _node(content, "Header", value=f"{target.id}: {text}", size="5")
        _choices(content, f"stance:{target.id}", CLOSED_LISTS["stance"])
        _choices(content, f"certainty:{target.id}", CLOSED_LISTS["certainty"])
        _choices(content, f"tags:{target.id}", CLOSED_LISTS["tag"], choice="multiple")
        _line(content, f"why:{target.id}", "Why, in one line")
    excluded = _node(view, "View", visibleWhen="region-selected", whenLabelValue=EXCLUDED)
    _line(excluded, "reason", "Why it is no attribution")
    return _xml(view)


def _holder_view(view: ET.Element) -> None:
    """Of Content and Source alike, for the link of a chain may have no Content."""
    for name, question in HOLDER_TEXTS.items():
        _line(view, name, question)
    for name in HOLDER_CHOICES:
        _choices(view, name, CLOSED_LISTS[name])


def _node(parent: ET.Element | None, tag: str, **attributes: str) -> ET.Element:
    clean = {name: _NOT_XML.sub(" ", value) for name, value in attributes.items()}
    return ET.Element(tag, clean) if parent is None else ET.SubElement(parent, tag, clean)


def _choices(
    parent: ET.Element, name: str, labels: Iterable[Label], choice: str = "single", region: str = "true"
) -> None:
    _node(parent, "Header", value=name, size="6")
    choices = _node(parent, "Choices", name=name, toName="text", choice=choice, perRegion=region, showInline="true")
    for label in labels:
        _node(choices, "Choice", value=label.name, hint=label.description)


def _line(parent: ET.Element, name: str, placeholder: str) -> None:
    _node(
        parent, "TextArea", name=name, toName="text", perRegion="true", maxSubmissions="1", editable="true",
        rows="1", placeholder=placeholder,
    )  # fmt: skip


def _xml(view: ET.Element) -> str:
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


# -- the blind audit sheet -------------------------------------------------------------------------------------


class Question(NamedTuple):
    """A pair to be judged blind: what a model may see of it, and no more."""

    id: str
    target: str
    holder: str
    published: str
    context: str
    passage: str
    text: str
    content_start: int  # in the passage, -1 where unknown
    content_end: int


class Answer(NamedTuple):
    """What one annotator says of one pair."""

    id: str
    annotator: str
    label: str
    certainty: str | None


def sheet(questions: Iterable[Question]) -> str:
    """Tasks without annotations, for a project with `sheet_config`. The content stands in ⟦ ⟧ in the passage."""
    return json.dumps([{"data": _shown_question(one)} for one in questions], ensure_ascii=False, indent=1) + "\n"


def _shown_question(question: Question) -> dict[str, str]:
    passage, start, end = question.passage, question.content_start, question.content_end
    if 0 <= start < end <= len(passage):
        passage = f"{passage[:start]}⟦{passage[start:end]}⟧{passage[end:]}"
    shown = {name: getattr(question, name) for name in ("id", "target", "holder", "published", "context")}
    return {**shown, "passage": passage, "content": question.text}


def sheet_config() -> str:
    """The labelling configuration of an audit sheet."""
    view = _node(None, "View")
    for name in ("target", "holder", "content", "published"):
        _node(view, "Header", value=f"{name}: ${name}", size="4")
    _node(view, "Text", name="text", value="$passage")
    _node(view, "Text", name="context", value="$context")
    for name in ("stance", "certainty"):
        _choices(view, name, CLOSED_LISTS[name], region="false")
    return _xml(view)


def read_sheet(export: str, file: str = "sheet") -> tuple[list[Answer], list[Finding]]:
    """The answers of an exported sheet, and what is wrong with it. Raises Unusable where it is no export."""
    tasks = own.parse_value(export, file, imported=True)
    if not isinstance(tasks, list):
        raise Unusable(NOT_TASKS.finding(file, "", f"holds {own.json_type(tasks)}"))
    names = _annotator_names(tasks)
    answers: list[Answer] = []
    findings: list[Finding] = []
    for number, task in enumerate(tasks):
        log = _Log(f"{file}[{number}]")
        pair = _object(_object(task).get("data")).get("id")
        if not isinstance(pair, str) or own.surrogate_in(pair, ""):
            findings.append(UNUSABLE_TASK.finding(log.file, "$.data.id", "is no pair's id"))
            continue
        answers += _answers(pair, _object(task), names, log)
        findings += log.found
    return answers, findings


def _answers(pair: str, task: Data, names: Mapping[str, str], log: _Log) -> Iterator[Answer]:
    controls = {name: LABELS[name] for name in ("stance", "certainty")}
    for i, annotation in enumerate(_annotations(task, log)):
        where = f"$.annotations[{i}]"
        results = _object(annotation).get("result")
        if _object(annotation).get("was_cancelled") is True:
            log.leave_out(SKIPPED_ANNOTATION, where, "was skipped")
            continue
        said: dict[str, str] = {}
        for at, result in _results(_Reading("", where, _listed(results), {}), log):
            fault, values = _control_values(result, controls)
            if fault or not values:
                log.leave_out(UNUSABLE_CHOICE, at, fault or "says nothing")
            else:
                said.setdefault(str(result.get("from_name")), values[0])
        if "stance" in said:
            annotator = names.get(_identity(annotation) or "", PRIMARY)
            yield Answer(pair, annotator, said["stance"], said.get("certainty"))
        else:
            log.leave_out(UNUSABLE_ANNOTATION, where, "has no stance")
