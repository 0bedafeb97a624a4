"""The build: find, read, admit, assign, write, render, commit.

`plan` cuts an input into shards; `work` is a pure function from a shard to Parquet parts and counts; `_finish` adds
them up, names the parts, and replaces the former output file by file, the manifest last. Who works is all that the
engines differ in: this process, a pool, a Dask cluster, or tasks that know nothing of each other (`build_share`),
whose folders `merge` puts together.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import filelock
import pyarrow as pa

from onrecord import audit, card, check, form, formats, gates, layers, leaks, pool, split, tables
from onrecord import text as strings
from onrecord.formats import own
from onrecord.formats.files import Unit, decode, file_digest, put, read_bytes, span_digest
from onrecord.model import (
    CONFIGS,
    DEFAULT_CONFIG,
    PRIMARY,
    SPLITS,
    Article,
    Document,
    Finding,
    Rule,
    Story,
    Unusable,
    rules_of,
    schema_text,
)
from onrecord.tables import MANIFEST, STAGING, Part, Tables, Tally

SHARD_BYTES = own.SHARD_BYTES
SHARD_DOCUMENTS = 256
LOCK = ".onrecord-lock"
COMMITTING = "committing"  # stands in the staging folder while the former output is being replaced
SHARE = "shards.json"  # of a share of a build, beside its parts
PARTS, GRAMS = "parts", "parts/grams"  # in a staging folder or a share: what shards wrote
THROUGH = (LOCK, STAGING, "data", "plots")  # what a build writes to, or into, and does not put another in its place
POOL_BYTES = 4_000_000  # under this, starting a second process takes longer than it saves (3 s, measured)
MOST_SHARES = 100_000  # more than any batch system's array; what lacks is named share by share
ATTEMPTS = 3  # how often a shard is tried alone after its worker, or its neighbour's, was killed

NOT_OURS = Rule(
    "output-not-ours",
    5,
    "An output folder is empty, or holds a former build.",
    "name another folder, or empty this one",
)
BUSY = Rule(
    "output-busy", 5, "One build at a time writes to a folder.", "wait for the other build, or name another folder"
)
TWO_CORPORA = Rule(
    "two-corpora",
    5,
    "Of splits.csv, annotators.json, gates.json and audit.csv an input has one each.",
    "build the folders one by one, or join the files",
)
UNKNOWN_ANNOTATOR = Rule(
    "unknown-annotator",
    5,
    "Whoever wrote, segmented or judged is described in annotators.json, where it is.",
    "describe the annotator there, or mend the id",
)
LAYER_TEXT = Rule(
    "layer-text",
    4,
    "A corpus that is published holds no text of a layer, and beside its annotation no file.",
    "delete it; of a layer only its stand-off annotation may be published",
)
WORKER_LOST = Rule(
    "worker-lost", 5, "A shard's worker lives until it is done.", "give it more memory, or look at the shard's files"
)
SHARE_UNREADABLE = Rule(
    "share-unreadable",
    5,
    "What is merged was written by `build --shard`, and its task ran to its end.",
    "run that share again, or name the right folder",
)
SHARE_MISSING = Rule(
    "share-missing", 5, "Every share of a build is merged.", "run the share that is missing, and name its folder"
)
SHARE_DOUBLE = Rule("share-double", 5, "Every share of a build is merged once.", "name one of the two folders")
SHARE_FOREIGN = Rule(
    "share-foreign",
    5,
    "Shares that are merged are of one build: the same input, options, N and versions.",
    "run that share again with the input and the options of the others",
)
DASK_MISSING = Rule(
    "dask-missing",
    5,
    "The engine dask has its libraries and a scheduler that answers.",
    "`pip install 'dask[distributed]'`, and name the address that `dask scheduler` prints",
)
RULES = rules_of(globals())

LINK = "is a link, by which we would write elsewhere"

Progress = Callable[[int, int], None]
Shards = Mapping[int, tuple[Unit, ...]]  # by number


@dataclass(frozen=True, slots=True)
class Settings:
    """What a shard has to know beside its own files: what stands beside the stories, and what was asked for."""

    splits: Mapping[str, str] | None = None  # story to split; None: by hash
    kinds: Mapping[str, str] | None = None  # annotator to person or model; None: nobody is described
    thresholds: gates.Thresholds | None = None  # None: nothing is asked, and annotation may be incomplete
    near_duplicates: bool = False
    keep_going: bool = False
    judge_only: bool = False  # write no tables
    files: Mapping[str, str] = field(default_factory=dict)  # name of each file beside the stories, to its path
    layers: Mapping[str, Any] = field(default_factory=dict)  # what each stand-off layer beside the stories holds
    audited: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # audit.csv: annotator to pair to stance
    results: Sequence[Mapping[str, Any]] = ()  # what lies in benchmark/results, for the card


@dataclass(slots=True)
class Outcome:
    """What came of a shard."""

    shard: int
    parts: list[Part] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    stories: list[tuple[str, str]] = field(default_factory=list)  # id, and the file that it came from
    profiles: dict[str, split.Profile] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    reached: gates.Counts = field(default_factory=gates.Counts)
    compared: bool = False  # whether it wrote something in which near-duplicates are sought
    documents: int = 0

    @property
    def files(self) -> list[str]:
        """What it wrote, below its staging folder."""
        return [*(part.file for part in self.parts), *([_grams_file(self.shard)] if self.compared else [])]


def _grams_file(shard: int) -> str:
    return f"{GRAMS}/{shard:05}.parquet"


@dataclass(frozen=True, slots=True)
class Engine:
    """Who works on the shards: so many processes here, or the workers of a Dask scheduler."""

    workers: int = 1
    scheduler: str | None = None  # its address


@dataclass(slots=True)
class Report:
    """What a build says: its findings, and its manifest where it was written."""

    findings: list[Finding]
    manifest: dict[str, Any] | None = None

    @property
    def failed(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)


# -- plan ------------------------------------------------------------------------------------------------------


def plan(units: Sequence[Unit]) -> list[tuple[Unit, ...]]:
    """Shards of at most SHARD_BYTES or SHARD_DOCUMENTS, but at least one unit, in the units' order."""
    shards: list[tuple[Unit, ...]] = []
    current: list[Unit] = []
    for unit in units:
        documents = sum(len(one.files) for one in current) + len(unit.files)
        if current and (sum(one.size for one in current) + unit.size > SHARD_BYTES or documents > SHARD_DOCUMENTS):
            shards.append(tuple(current))
            current = []
        current.append(unit)
    return [*shards, tuple(current)] if current else shards


BESIDE = ("splits.csv", "annotators.json", "gates.json", audit.FILE)


def settings_of(
    inputs: Sequence[str | Path], *, keep_going: bool = False, near_duplicates: bool = False
) -> tuple[Settings, list[Finding]]:
    """Read what stands beside the stories of the input folders."""
    files: dict[str, str] = {}
    findings: list[Finding] = []
    for file in sorted(Path(item) / name for item in {Path(item) for item in inputs} for name in BESIDE):
        if os.path.lexists(file):
            if file.name in files:
                findings.append(TWO_CORPORA.finding(str(file), "", f"stands in {Path(files[file.name]).parent} too"))
            files.setdefault(file.name, str(file))
    splits = kinds = thresholds = None
    texts = {name: _text(file, findings) for name, file in files.items()}
    if (text := texts.get("splits.csv")) is not None:
        listed, found = split.parse_list(text, files["splits.csv"])
        splits = None if found else listed  # what a broken list lacks is no story's fault
        findings += found
    if (text := texts.get("annotators.json")) is not None:
        described, found = form.parse("annotators", text, files["annotators.json"])
        kinds = None if found else {name: entry["kind"] for name, entry in described.items()}
        findings += found
    if (text := texts.get("gates.json")) is not None:
        thresholds, found = form.parse("gates", text, files["gates.json"])
        findings += found
    audited: dict[str, dict[str, str]] = {}
    if (text := texts.get(audit.FILE)) is not None:
        audited, found = audit.parse(text, files[audit.FILE])
        findings += found
        if kinds is not None:
            strangers = sorted(set(audited) - set(kinds))
            findings += [
                UNKNOWN_ANNOTATOR.finding(files[audit.FILE], "", f"{n!r} is not described") for n in strangers
            ]
    asked = near_duplicates or thresholds is not None
    folders = sorted({Path(i) / "layers" for i in inputs if (Path(i) / own.STORIES).is_dir()})
    held = dict(sorted(one for folder in folders for one in _layers(folder, findings, audited, kinds or {})))
    results: list[dict[str, Any]] = []
    for item in sorted({Path(i) for i in inputs}):
        try:
            results += tables.read_results(item)
        except Unusable as error:
            findings.append(error.finding)
    settings = Settings(
        splits, kinds, thresholds, asked, keep_going, files=files, layers=held, audited=audited, results=results
    )
    return settings, findings


def _layers(
    folder: Path, findings: list[Finding], audited: audit.Judged, kinds: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each stand-off layer in a folder and what it holds; what is wrong in one is a finding."""
    known = {str(folder / "README.md")}
    for layer in sorted(path for path in folder.glob("*") if path.is_dir()):
        units, found = formats.find([layer])
        findings += found
        articles, digests = [], []
        for document in (one for unit in units if unit.format == "own" for one in formats.read(unit)):
            if isinstance(document, Finding):
                findings.append(document)
                continue
            faults = form.judge(document.kind, document.data, document.file) or list(layers.unfit(document))
            findings += faults
            known.add(document.file)
            if not faults:
                digests.append(document.digest)
                articles += [document.data] if document.kind == "article" else []
        yield layer.name, tables.layer(articles, digests, audited, kinds)
    findings += _strays(folder, known)


def _strays(folder: Path, known: set[str]) -> Iterator[Finding]:
    """What lies among layers and is no stand-off annotation: it would be published unseen."""
    for path in [folder, *sorted(folder.rglob("*"))]:
        if path.is_symlink():
            yield LAYER_TEXT.finding(str(path), "", "is a link")
        elif path.is_file() and str(path) not in known:
            yield LAYER_TEXT.finding(str(path), "", "is no stand-off annotation")


def _text(file: str, findings: list[Finding]) -> str | None:
    """A file of ours as text; None where it is none, with the finding added."""
    try:
        return decode(read_bytes(file), file)
    except Unusable as error:
        findings.append(error.finding)
        return None


# -- a shard ---------------------------------------------------------------------------------------------------


def work(number: int, shard: Sequence[Unit], staging: Path, settings: Settings) -> Outcome:
    """Judge a shard and write its parts, and what near-duplicates are sought in, below `staging`."""
    with _uncollected():
        return _work(number, shard, staging, settings)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Do without Python's search for cycles: rows have none, and it took a third of a shard's time (measured)."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _work(number: int, shard: Sequence[Unit], staging: Path, settings: Settings) -> Outcome:
    outcome, grams = Outcome(number), leaks.Grams()
    rows = Tables(settings.kinds or {}, settings.audited)
    for unit in shard:
        _digest_inputs(unit, outcome)
        for admitted in check.admit(_counted(formats.read(unit), outcome), complete=settings.thresholds is not None):
            _take(admitted, rows, grams, outcome, settings)
    if grams:
        grams.write(_place_in(staging, _grams_file(number)))
        outcome.compared = True
    if not settings.judge_only and (settings.keep_going or not _failed(outcome.findings)):
        _write(rows, outcome, staging)
    outcome.tally += rows.tally  # last: labels are counted as tables are made
    outcome.tally.findings.update((finding.severity, finding.rule) for finding in outcome.findings)
    return outcome


def _counted(documents: Iterator[Document | Finding], outcome: Outcome) -> Iterator[Document | Finding]:
    for document in documents:
        outcome.documents += isinstance(document, Document)
        yield document


def _digest_inputs(unit: Unit, outcome: Outcome) -> None:
    for file, name in zip(unit.files, unit.names, strict=True):
        if not os.path.isfile(file):
            continue  # the reader reports it
        try:
            digest = span_digest(file, unit.span) if unit.format == "lines" else file_digest(file)
        except OSError:
            continue  # the reader reports it
        outcome.inputs.setdefault(name, []).append(digest)


def _take(admitted: check.Admitted, rows: Tables, grams: leaks.Grams, outcome: Outcome, settings: Settings) -> None:
    outcome.findings += admitted.findings
    outcome.tally.left_out.update(admitted.left_out)
    outcome.rejects += [_reject(document, admitted.findings) for document in admitted.rejected]
    story = admitted.story
    if not story.id:
        return
    outcome.stories.append((story.id, admitted.file))
    labels = Counter(
        pair.label for article in admitted.articles for s in article.statements for pair in (s.stances or {}).values()
    )
    outcome.profiles[story.id] = split.Profile(story.domain, dict(labels))
    if settings.kinds is not None:
        outcome.findings += _strangers(admitted, settings.kinds)
    if settings.splits is not None:
        outcome.findings += _layer_text(admitted)
    if admitted.articles:
        place = _place(admitted, settings)
        if not settings.judge_only:
            rows.add(story, admitted.articles, place, admitted.edits)
        if settings.thresholds is not None:
            outcome.reached.add(story, admitted.articles)
        if settings.near_duplicates:
            _take_grams(admitted, place, grams)


def _take_grams(admitted: check.Admitted, place: str, grams: leaks.Grams) -> None:
    for article in admitted.articles:
        for statement in article.statements:
            file = admitted.documents[article.key].file
            content = leaks.Content(f"{article.key}.{statement.id}", file, article.story, place)
            grams.add(content, strings.joined(article.text, statement.content))


def _place(admitted: check.Admitted, settings: Settings) -> str:
    """A story's split: by the corpus's list, else test for a layer's, else by hash."""
    if settings.splits is not None:
        return settings.splits.get(admitted.story.id, "test")
    if any(article.tier == "layer" for article in admitted.articles):
        return "test"
    return split.hashed(admitted.story.id)


def _layer_text(admitted: check.Admitted) -> Iterator[Finding]:
    for article in admitted.articles:
        if article.tier == "layer":
            yield LAYER_TEXT.finding(admitted.documents[article.key].file, "$.tier", "holds the text of a layer")


def _strangers(admitted: check.Admitted, described: Mapping[str, str]) -> Iterator[Finding]:
    voters = sorted({name for edit in admitted.edits for name in edit.votes} - set(described))
    for name in voters:
        yield UNKNOWN_ANNOTATOR.finding(admitted.edited[0].file, "", f"{name!r} is not described")
    for article in admitted.articles:
        named = {*article.annotators, article.annotator, *article.passes, article.provenance.get("writer", PRIMARY)}
        for name in sorted(named - {PRIMARY} - set(described)):
            file = admitted.documents[article.key].file
            yield UNKNOWN_ANNOTATOR.finding(file, "", f"{name!r} is not described")


def _reject(document: Document, findings: Iterable[Finding]) -> dict[str, Any]:
    reasons = [str(finding) for finding in findings if finding.file == document.file and finding.severity == "error"]
    return {"file": document.file, "kind": document.kind, "reasons": reasons, "document": document.data}


def _write(rows: Tables, outcome: Outcome, staging: Path) -> None:
    for config, split_name, table in rows.tables():
        file = _part_file(config, split_name, outcome.shard)
        tables.write_part(table, _place_in(staging, file))
        mark = tables.fingerprint(table)
        outcome.parts.append(Part(config, split_name, outcome.shard, file, table.num_rows, mark))


def _place_in(staging: Path, file: str) -> Path:
    """Where a file is to be, its folders made; not staging itself: where that is gone, nobody wants the file."""
    for folder in reversed(Path(file).parents[:-1]):
        (staging / folder).mkdir(exist_ok=True)
    return staging / file


def _part_file(config: str, split_name: str, shard: int) -> str:
    return f"{PARTS}/{config}/{split_name}/{shard:05}.parquet"


def _failed(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


# -- all shards ------------------------------------------------------------------------------------------------


def _bytes(shards: Shards) -> int:
    return sum(unit.size for shard in shards.values() for unit in shard)


def _map(shards: Shards, staging: Path, settings: Settings, engine: Engine, progress: Progress) -> Iterator[Outcome]:
    """What came of each shard, in whatever order they end."""
    if engine.scheduler is not None:
        outcomes = _dask(shards, staging, settings, engine.scheduler)
    elif engine.workers == 1 or len(shards) < 2 or _bytes(shards) < POOL_BYTES:
        outcomes = (work(number, shard, staging, settings) for number, shard in shards.items())
    else:
        outcomes = _pool(shards, staging, settings, engine.workers)
    for done, outcome in enumerate(outcomes, 1):
        yield outcome
        progress(done, len(shards))


def _pool(shards: Shards, staging: Path, settings: Settings, workers: int) -> Iterator[Outcome]:
    """A process pool that is made anew when a worker is killed.

    What was under way then is done again, each shard alone, so that the one that kills its worker is known.
    """
    left = dict(shards)
    while left:
        try:
            for outcome in _pooled(left, staging, settings, workers):
                del left[outcome.shard]
                yield outcome
        except BrokenProcessPool:
            for number in list(left)[:workers]:  # a pool takes its jobs in their order
                yield _alone(number, left.pop(number), staging, settings)


def _pooled(shards: Shards, staging: Path, settings: Settings, workers: int) -> Iterator[Outcome]:
    return pool.completed(work, [(number, shard, staging, settings) for number, shard in shards.items()], workers)


def _alone(number: int, shard: tuple[Unit, ...], staging: Path, settings: Settings) -> Outcome:
    for _ in range(ATTEMPTS):
        try:
            return next(_pooled({number: shard}, staging, settings, 1))
        except BrokenProcessPool:
            continue
    return _lost(number, shard)


def _lost(number: int, shard: tuple[Unit, ...]) -> Outcome:
    what = f"the worker of its shard of {len(shard)} units was killed {ATTEMPTS} times"
    return Outcome(number, findings=[WORKER_LOST.finding(shard[0].files[0], "", what)])


def _dask(shards: Shards, staging: Path, settings: Settings, scheduler: str) -> Iterator[Outcome]:
    """The workers of a Dask scheduler, which share our file system; what a killed one had is done by the others.

    They write to a folder of this run's own: what a worker does for a run that is over reaches no other.
    """
    import distributed

    folder, where = os.getcwd(), staging.absolute() / "dask"
    where.mkdir()
    with distributed.Client(scheduler) as client:
        jobs = {
            client.submit(_work_in, folder, number, shard, where, settings, pure=False): number
            for number, shard in shards.items()
        }
        try:
            for job in distributed.as_completed(list(jobs)):
                number = jobs.pop(job)
                try:
                    outcome, made = job.result()
                    yield _moved(outcome, made, staging)
                except distributed.KilledWorker:
                    yield _lost(number, shards[number])
                job.release()
        except BaseException:  # Ctrl-C
            client.cancel(list(jobs))
            client.run(_free_of, [job.key for job in jobs])  # what is under way cannot be stopped
            raise


def _moved(outcome: Outcome, source: Path, target: Path) -> Outcome:
    for file in outcome.files:
        os.replace(source / file, _place_in(target, file))
    shutil.rmtree(source)
    return outcome


async def _free_of(keys: Sequence[str], dask_worker: Any) -> None:
    """Wait, on a worker, until it has none of these jobs."""
    while any(key in dask_worker.state.tasks for key in keys):
        await asyncio.sleep(0.05)


def _no_dask(scheduler: str) -> Finding | None:
    """Why a scheduler's workers cannot work for us."""
    try:
        import distributed

        distributed.Client(scheduler, set_as_default=False).close()
    except ImportError:
        return DASK_MISSING.finding(scheduler, "", "cannot be asked, for Dask is not installed")
    except (OSError, ValueError):
        return DASK_MISSING.finding(scheduler, "", "does not answer")
    return None


def _work_in(
    folder: str, number: int, shard: Sequence[Unit], where: Path, settings: Settings
) -> tuple[Outcome, Path]:
    """`work` where relative names mean what they mean in `folder`, and into a folder that no other try writes to."""
    os.chdir(folder)
    mine = Path(mkdtemp(dir=where))
    mine.chmod(0o755)  # whoever builds may be another user
    return work(number, shard, mine, settings), mine


def judge(
    inputs: Sequence[str | Path],
    *,
    near_duplicates: bool = False,
    workers: int = 1,
    progress: Progress = lambda done, of: None,
) -> list[Finding]:
    """All findings on an input, without building it."""
    units, findings = formats.find(inputs)
    settings, found = settings_of(inputs, near_duplicates=near_duplicates)
    shards = dict(enumerate(plan(units)))
    with TemporaryDirectory() as staging:
        outcomes = list(_map(shards, Path(staging), replace(settings, judge_only=True), Engine(workers), progress))
        return _sorted([*findings, *found, *_together(outcomes, settings, Path(staging)).findings])


def stories(inputs: Sequence[str | Path]) -> tuple[list[tuple[Story, list[Article], str]], list[Finding]]:
    """The admitted stories of an input with their articles and splits, and all findings. In memory: for pages."""
    units, findings = formats.find(inputs)
    settings, found = settings_of(inputs)
    findings += found
    told = []
    for unit in units:
        for admitted in check.admit(formats.read(unit)):
            findings += admitted.findings
            if admitted.articles:
                told.append((admitted.story, admitted.articles, _place(admitted, settings)))
    return told, _sorted(findings)


@dataclass(frozen=True, slots=True)
class Whole:
    """What only all shards together can answer."""

    findings: list[Finding]
    gates: dict[str, Any]  # figures, where gates.json asks for them
    prose: dict[str, dict[str, float]]  # what each story measures, there too
    leaks: str  # leaks.csv; empty where there are none


def _together(outcomes: Sequence[Outcome], settings: Settings, staging: Path) -> Whole:
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    findings += [*_twice(outcomes), *_placed(outcomes, settings)]
    counts = gates.Counts()
    for outcome in outcomes:
        counts += outcome.reached
    found = leaks.near_duplicates([staging / _grams_file(outcome.shard) for outcome in outcomes if outcome.compared])
    findings += leaks.findings(found, frozen=settings.splits is not None)
    if settings.thresholds is None:
        return Whole(findings, {}, {}, leaks.csv(found))
    counts.copies.update(pair.one.id for pair in found)
    reached = gates.figures(counts)
    findings += gates.red(reached, settings.thresholds, settings.files["gates.json"])
    asked = gates.report(reached, settings.thresholds)
    return Whole(findings, asked, gates.by_story(counts), leaks.csv(found))


def _twice(outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    """Stories whose id another one has, at the later file."""
    first: dict[str, str] = {}
    for story, file in sorted(entry for outcome in outcomes for entry in outcome.stories):
        if first.setdefault(story, file) != file:
            yield check.DUPLICATE_STORY.finding(file, "$.id", f"{story!r} is the id of {first[story]} too")


def _placed(outcomes: Iterable[Outcome], settings: Settings) -> Iterator[Finding]:
    """Stories without a row in splits.csv, and rows without a story."""
    if settings.splits is None:
        return
    file = settings.files["splits.csv"]
    profiles = {story: profile for outcome in outcomes for story, profile in outcome.profiles.items()}
    for story, place in sorted(split.propose(settings.splits, profiles).items()):
        row = f"{story},{place},{version('onrecord')}"
        yield split.SPLIT_MISSING.finding(file, "", f"the story {story!r} has no row; its row would be `{row}`")
    for story in sorted(set(settings.splits) - set(profiles)):
        yield split.SPLIT_STRANGER.finding(file, "", f"the story {story!r} is not there")


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(set(findings), key=lambda f: (f.severity, f.file, f.level, f.where, f.rule, f.what))


# -- build -----------------------------------------------------------------------------------------------------


def build(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    keep_going: bool = False,
    near_duplicates: bool = False,
    card_file: Path | None = None,
    extra: Mapping[str, str] | None = None,
    progress: Progress = lambda done, of: None,
) -> Report:
    """Build `inputs` into the folder `out`. On an error nothing is written, unless `keep_going`.

    `scheduler` is the address of a Dask scheduler whose workers work in the place of ours. `card_file` is the data card
    that goes with the output; without one a short README is made. `extra` are further files of the output, name to
    text. Same input, same bytes, whoever works and in whatever order `inputs` come.
    """

    def make(out: Path) -> Report:
        if scheduler is not None and (problem := _no_dask(scheduler)) is not None:
            return Report([problem])
        settings, findings = settings_of(inputs, keep_going=keep_going, near_duplicates=near_duplicates)
        if card_file:
            findings += card.unknown_markers(card_file.read_text("utf-8"), str(card_file))
        units, found = formats.find(inputs)
        shards = dict(enumerate(plan(units)))
        outcomes = list(_map(shards, out / STAGING, settings, Engine(workers, scheduler), progress))
        return _join(outcomes, settings, [*findings, *found], _digests(settings), out, card_file, extra or {})

    return _staged(Path(out), make, own_corpus=card_file is not None)


def _staged(out: Path, make: Callable[[Path], Report], *, own_corpus: bool = False) -> Report:
    """What `make` reports, run with a fresh staging folder below `out` and nobody else writing there."""
    if (problem := _unfit(out, own_corpus=own_corpus)) is not None:
        return Report([problem])
    out.mkdir(parents=True, exist_ok=True)
    staging = out / STAGING
    try:
        with filelock.FileLock(out / LOCK, timeout=0):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                return make(out)
            finally:
                if not (staging / COMMITTING).exists():  # else `verify` has to see that it is unfinished
                    shutil.rmtree(staging, ignore_errors=True)
    except filelock.Timeout:
        return Report([BUSY.finding(str(out), "", "another build is writing here")])


def _unfit(out: Path, *, own_corpus: bool) -> Finding | None:
    if links := [path for path in (*map(out.joinpath, THROUGH), *out.glob("data/*")) if path.is_symlink()]:
        return NOT_OURS.finding(str(links[0]), "", LINK)
    if out.is_dir() and not own_corpus:
        names = {entry.name for entry in out.iterdir()}
        if names and not names & {MANIFEST, LOCK, STAGING}:
            return NOT_OURS.finding(str(out), "", f"holds {min(names)!r} and no former build")
    elif out.exists() and not out.is_dir():
        return NOT_OURS.finding(str(out), "", "is a file")
    return None


def _digests(settings: Settings) -> dict[str, str]:
    return {name: file_digest(file) for name, file in settings.files.items() if os.path.isfile(file)}


def _join(
    outcomes: Iterable[Outcome],
    settings: Settings,
    findings: Iterable[Finding],
    beside: Mapping[str, str],
    out: Path,
    card_file: Path | None = None,
    extra: Mapping[str, str] | None = None,
) -> Report:
    """Make one output of all shards, whose parts are staged. `beside` are the digests of the settings' files."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.shard)
    whole = _together(outcomes, settings, out / STAGING)
    findings = _sorted([*findings, *whole.findings])
    if _failed(findings) and not (settings.keep_going and any(outcome.parts for outcome in outcomes)):
        return Report(findings)
    return Report(findings, _finish(outcomes, whole, settings, beside, out, card_file, extra or {}))


def _finish(
    outcomes: Sequence[Outcome],
    whole: Whole,
    settings: Settings,
    beside: Mapping[str, str],
    out: Path,
    card_file: Path | None,
    given: Mapping[str, str],
) -> dict[str, Any]:
    staging = out / STAGING
    tally = Tally()
    inputs: dict[str, list[str]] = defaultdict(list, {name: [digest] for name, digest in beside.items()})
    for outcome in outcomes:
        tally += outcome.tally
        for name, digests in outcome.inputs.items():
            inputs[name] += digests
    parts = [part for outcome in outcomes for part in outcome.parts]
    names = _names(parts)
    made = tables.manifest(
        {name: d[0] if len(d) == 1 else tables.combined(d) for name, d in inputs.items()},
        parts, names, staging.joinpath, tally, whole.gates,
    )  # fmt: skip
    if card_file:
        made["examples"] = tables.examples(staging / part.file for part in parts if part.config == DEFAULT_CONFIG)
    if whole.prose:
        made["prose"] = whole.prose
    if settings.layers:
        made["layers"] = dict(settings.layers)
    rendered = card.render(card_file.read_text("utf-8"), made, settings.results) if card_file else None
    extra = {
        "README.md": card.published(rendered) if rendered else card.readme(made),
        "croissant.json": card.croissant(made, rendered),
        **(card.plots(made, settings.results) if rendered else {}),
        **given,
    }
    if rejects := [reject for outcome in outcomes for reject in outcome.rejects]:
        extra["rejects.jsonl"] = "".join(json.dumps(r, ensure_ascii=False, sort_keys=True) + "\n" for r in rejects)
    if whole.leaks:
        extra["leaks.csv"] = whole.leaks
    for name, text in extra.items():
        (staging / name).parent.mkdir(exist_ok=True)
        (staging / name).write_text(text, "utf-8")
        made["files"][name] = {"sha256": file_digest(str(staging / name))}
    made["files"] = dict(sorted(made["files"].items()))
    (staging / MANIFEST).write_text(tables.write_manifest(made), "utf-8")
    _commit(out, {**names, **{name: name for name in extra}}, made)
    if card_file and rendered:
        put(card_file, rendered)
    return made


def _names(parts: Iterable[Part]) -> dict[str, str]:
    """A part's staged file to its name in the output: `<split>.parquet`, numbered where there are several."""
    names: dict[str, str] = {}
    groups: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in parts:
        groups[part.config, part.split].append(part)
    for (config, place), group in groups.items():
        ordered = sorted(group, key=lambda part: part.shard)
        for i, part in enumerate(ordered):
            number = f"-{i:05}-of-{len(ordered):05}" if len(ordered) > 1 else ""
            names[part.file] = f"data/{config}/{place}{number}.parquet"
    return names


def _commit(out: Path, names: Mapping[str, str], made: Mapping[str, Any]) -> None:
    """Replace the former output one file at a time, the manifest last; drop what it no longer names."""
    (out / STAGING / COMMITTING).touch()
    for staged, name in sorted(names.items()):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(out / STAGING / staged, out / name)
    for stale in set(out.glob("data/**/*.parquet")) - {out / name for name in made["files"]}:
        stale.unlink()
    for name in {"rejects.jsonl", "leaks.csv"} - set(made["files"]):
        (out / name).unlink(missing_ok=True)
    os.replace(out / STAGING / MANIFEST, out / MANIFEST)
    shutil.rmtree(out / STAGING)


# -- shares ----------------------------------------------------------------------------------------------------


def build_share(
    inputs: Sequence[str | Path],
    out: str | Path,
    share: tuple[int, int],
    *,
    workers: int = 1,
    keep_going: bool = False,
    near_duplicates: bool = False,
    progress: Progress = lambda done, of: None,
) -> list[Finding]:
    """Do every N-th shard, from the I-th on, of `share` (I, N): their parts and `shards.json`, for `merge`.

    What is wrong with the share is found here, and told again by `merge` together with what only all shares show.
    """
    mine, of = share

    def make(out: Path) -> Report:
        (out / SHARE).unlink(missing_ok=True)
        settings, findings = settings_of(inputs, keep_going=keep_going, near_duplicates=near_duplicates)
        units, found = formats.find(inputs)
        shards = dict(list(enumerate(plan(units)))[mine::of])
        outcomes = list(_map(shards, out / STAGING, settings, Engine(workers), progress))
        kept = Share(
            mine, of, _build_id(units, settings, of), settings, _digests(settings), [*findings, *found], outcomes
        )
        _write_share(kept, out)
        return Report(_sorted([*kept.findings, *(finding for outcome in outcomes for finding in outcome.findings)]))

    return _staged(Path(out), make).findings


def merge(folders: Sequence[str | Path], out: str | Path) -> Report:
    """Make the output of the undivided build, byte for byte, of all its shares."""

    def make(out: Path) -> Report:
        shares, findings = _read_shares(sorted({Path(folder) for folder in folders}))
        if findings:
            return Report(_sorted(findings))
        for folder, share in shares:
            for file in (file for outcome in share.outcomes for file in outcome.files):
                shutil.copyfile(folder / file, _place_in(out / STAGING, file))
        told = [finding for _, share in shares for finding in share.findings]
        outcomes = [outcome for _, share in shares for outcome in share.outcomes]
        return _join(outcomes, shares[0][1].settings, told, shares[0][1].beside, out)

    return _staged(Path(out), make)


@dataclass(frozen=True, slots=True)
class Share:
    """What a folder of `build --shard` holds beside its parts."""

    mine: int
    of: int
    build: str  # the same in all shares of a build, and in no others
    settings: Settings
    beside: Mapping[str, str]  # digests of the settings' files
    findings: list[Finding]  # on the input as a whole
    outcomes: list[Outcome]


def _build_id(units: Sequence[Unit], settings: Settings, of: int) -> str:
    """A digest of what all shares of a build have in common."""
    known = [version("onrecord"), pa.__version__, schema_text().decode(), of, SHARD_BYTES, SHARD_DOCUMENTS]
    asked = [settings.keep_going, settings.near_duplicates, _digests(settings)]
    named = [(unit.format, unit.story, unit.span, unit.names, unit.size) for unit in units]
    return sha256(json.dumps([known, asked, named], sort_keys=True).encode()).hexdigest()


def _read_shares(folders: Sequence[Path]) -> tuple[list[tuple[Path, Share]], list[Finding]]:
    """The shares of the folders, and why they are not one build: unreadable, foreign, double and missing ones."""
    findings, shares = [], []
    for folder in folders:
        try:
            shares.append((folder, _read_share(folder)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            what = f"holds no {SHARE}" if isinstance(error, FileNotFoundError) else f"has a broken {SHARE}"
            findings.append(SHARE_UNREADABLE.finding(str(folder), "", what))
    first: dict[int, Path] = {}
    for folder, share in shares:
        if share.build != shares[0][1].build:
            what = f"is share {share.mine}/{share.of} of another build than {shares[0][0]}"
            findings.append(SHARE_FOREIGN.finding(str(folder), "", what))
        elif (there := first.setdefault(share.mine, folder)) != folder:
            findings.append(SHARE_DOUBLE.finding(str(folder), "", f"is share {share.mine}/{share.of}, as is {there}"))
    if shares and not findings:
        folder, share = shares[0]
        for number in sorted(set(range(share.of)) - set(first)):
            findings.append(SHARE_MISSING.finding(str(folder.parent), "", f"share {number}/{share.of} is not there"))
    return shares, findings


def _write_share(share: Share, out: Path) -> None:
    files = [file for outcome in share.outcomes for file in outcome.files]
    data = {
        "share": [share.mine, share.of],
        "build": share.build,
        "settings": _settings_data(share.settings),
        "beside": share.beside,
        "findings": [asdict(finding) for finding in share.findings],
        "outcomes": [_outcome_data(outcome) for outcome in share.outcomes],
        "files": {file: file_digest(str(out / STAGING / file)) for file in files},
    }
    shutil.rmtree(out / PARTS, ignore_errors=True)
    if (out / STAGING / PARTS).exists():
        os.replace(out / STAGING / PARTS, out / PARTS)
    (out / STAGING / SHARE).write_text(json.dumps({"sha256": _seal(data), **data}, indent=1) + "\n", "utf-8")
    os.replace(out / STAGING / SHARE, out / SHARE)


def _seal(data: Mapping[str, Any]) -> str:
    """A digest by which a share that was damaged or edited since is known; it proves no origin."""
    return sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _read_share(folder: Path) -> Share:
    if (folder / SHARE).exists() and not (folder / SHARE).is_file():  # a pipe would let us wait for ever
        raise ValueError(f"{folder / SHARE} is no file")
    data = json.loads((folder / SHARE).read_text("utf-8"))
    if data.pop("sha256") != _seal(data):
        raise ValueError(f"{folder / SHARE} is not as it was written")
    outcomes = [_outcome_of(entry) for entry in data["outcomes"]]
    for shard, part in ((outcome.shard, part) for outcome in outcomes for part in outcome.parts):
        ours = part.config in CONFIGS and part.split in SPLITS and part.shard == shard
        if not ours or part.file != _part_file(part.config, part.split, part.shard):
            raise ValueError(f"{part.file} is no name of a part")  # nor may it lead out of the folder
    for file in (file for outcome in outcomes for file in outcome.files):
        if not (folder / file).is_file() or file_digest(str(folder / file)) != data["files"][file]:
            raise ValueError(f"{file} is not as it was written")
        if file.startswith(GRAMS) and not leaks.readable(folder / file):
            raise ValueError(f"{file} does not hold what is compared")
    findings = [Finding(**entry) for entry in data["findings"]]
    (mine, of), settings = map(int, data["share"]), Settings(**data["settings"])
    if not 0 <= mine < of <= MOST_SHARES:
        raise ValueError(f"{mine}/{of} is no share")
    return Share(mine, of, data["build"], settings, data["beside"], findings, outcomes)


def _settings_data(settings: Settings) -> dict[str, Any]:
    return {entry.name: getattr(settings, entry.name) for entry in fields(Settings)}


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON holds it: counters as lists of keys and counts."""
    return {
        "shard": outcome.shard,
        "documents": outcome.documents,
        "compared": outcome.compared,
        "parts": [asdict(part) for part in outcome.parts],
        "tally": _counters(outcome.tally),
        "findings": [asdict(finding) for finding in outcome.findings],
        "inputs": outcome.inputs,
        "stories": outcome.stories,
        "profiles": {story: [profile.domain, profile.labels] for story, profile in outcome.profiles.items()},
        "rejects": outcome.rejects,
        "reached": _counters(outcome.reached),
        "names": {name: sorted(stories) for name, stories in outcome.reached.names.items()},
    }


def _outcome_of(data: Mapping[str, Any]) -> Outcome:
    outcome = Outcome(
        int(data["shard"]),
        parts=[Part(**part) for part in data["parts"]],
        findings=[Finding(**finding) for finding in data["findings"]],
        inputs=data["inputs"],
        stories=[(story, file) for story, file in data["stories"]],
        profiles={story: split.Profile(domain, labels) for story, (domain, labels) in data["profiles"].items()},
        rejects=data["rejects"],
        documents=data["documents"],
        compared=data["compared"],
    )
    _fill(outcome.tally, data["tally"])
    _fill(outcome.reached, data["reached"])
    outcome.reached.names.update({name: set(stories) for name, stories in data["names"].items()})
    return outcome


def _counters(of: Tally | gates.Counts) -> dict[str, list[list[Any]]]:
    found = {entry.name: getattr(of, entry.name) for entry in fields(of)}
    return {
        name: [[key, n] for key, n in counts.items()] for name, counts in found.items() if isinstance(counts, Counter)
    }


def _fill(into: Tally | gates.Counts, data: Mapping[str, list[list[Any]]]) -> None:
    for name, entries in data.items():
        getattr(into, name).update({_hashable(key): count for key, count in entries})


def _hashable(key: Any) -> Any:
    return tuple(map(_hashable, key)) if isinstance(key, list) else key
