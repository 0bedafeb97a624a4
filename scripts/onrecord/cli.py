"""The commands. Results go to stdout, progress and findings to stderr.

Exit codes: 0 clean, 1 errors, 2 warnings or something counted as left out, 64 wrong usage, 130 interrupted, 141
where whoever read the output went away.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import tqdm

from onrecord import (
    audit,
    baselines,
    build,
    card,
    check,
    explore,
    form,
    formats,
    gates,
    layers,
    leaks,
    predictions,
    reference,
    release,
    scoring,
    split,
    tables,
)
from onrecord.baselines import Baseline
from onrecord.formats import labelstudio, own
from onrecord.formats.files import Unit, decode, put, read_bytes
from onrecord.model import DEFAULT_CONFIG, SPLITS, Article, Document, Finding, Rule, Unusable, on_a_line
from onrecord.release import Change
from onrecord.scoring import Report

CLEAN, ERRORS, WARNINGS, USAGE, INTERRUPTED, UNREAD = 0, 1, 2, 64, 130, 141
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
CORPUS = Path("dataset")
CARD = Path("DATACARD.md")
REFERENCE = Path("schema/README.md")
EXPLORER = "explorer.html"
RESULTS = CORPUS / "benchmark/results"
NEAR_DUPLICATES = "look for statements copied from split to split, as is done where gates.json is"

_PARTS = (formats, layers, check, split, leaks, gates, audit, tables, card, reference, build, scoring, release)
_BY_ID = {one.id: one for part in _PARTS for one in part.RULES}
RULES: tuple[Rule, ...] = tuple(sorted(_BY_ID.values(), key=lambda one: (one.level, one.id)))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, on_a_line(f"{self.prog}: {message}") + "\n")


def _workers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers",
        type=_count,
        default=CORES,
        metavar="N",
        help="processes (default: one a core that is ours to use)",
    )


def parser() -> argparse.ArgumentParser:
    """The command line, each command with the function that runs it as `run`."""
    top = _Parser(prog="onrecord", description="Build, check and publish annotated news articles.")
    top.add_argument("--version", action="version", version=f"onrecord {version('onrecord')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(run.__name__.strip("_"), help=help, description=(run.__doc__ or help))
        made.set_defaults(run=run)
        return made

    one = command(_build, "annotated articles in, Parquet splits out")
    one.add_argument("inputs", nargs="*", metavar="INPUT", help="folder or file; without one, ./dataset")
    one.add_argument("--out", metavar="DIR", help="where to; needed with INPUT, else ./dataset")
    _workers(one)
    one.add_argument("--keep-going", action="store_true", help="write what is good, and rejects.jsonl")
    one.add_argument("--near-duplicates", action="store_true", help=NEAR_DUPLICATES)
    one.add_argument(
        "--engine", choices=("local", "dask"), default="local", help="who works (default: processes here)"
    )
    one.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, such as tcp://10.0.0.1:8786")
    one.add_argument("--shard", type=_share, metavar="I/N", help="do the I-th of N shares, from 0, for `merge`")

    one = command(_merge, "one build of all its shares, the same bytes as in one go")
    one.add_argument("folders", nargs="+", metavar="DIR", help="what `build --shard` wrote")
    one.add_argument("--out", metavar="DIR", required=True)

    one = command(_check, "say what is wrong, build nothing")
    one.add_argument("inputs", nargs="+", metavar="INPUT")
    one.add_argument("--near-duplicates", action="store_true", help=NEAR_DUPLICATES)
    one.add_argument("--workers", type=_count, default=1, metavar="N", help="processes (default: 1)")
    one.add_argument("--json", action="store_true", help="a finding a line, as JSON")

    one = command(_verify, "compare a built folder with its manifest")
    one.add_argument("folder", metavar="DIR")

    one = command(_convert, "articles in another form")
    one.add_argument("inputs", nargs="+", metavar="INPUT")
    one.add_argument("--to", choices=formats.FORMS, required=True)
    one.add_argument("--out", metavar="DIR", required=True)
    one.add_argument(
        "--pairs", metavar="DRAW", help="with labelstudio: a blind sheet of the pairs that draw.csv lists"
    )

    one = command(_votes, "merge an audit sheet that people filled in")
    one.add_argument("sheet", metavar="SHEET", help="the sheet as Label Studio exports it, in full JSON")

    one = command(_dehydrate, "a stand-off layer of annotated articles: labels without text")
    one.add_argument("inputs", nargs="+", metavar="INPUT")
    one.add_argument("--out", metavar="LAYER", required=True)

    one = command(_hydrate, "a layer on your own copy of its texts")
    one.add_argument("layer", metavar="LAYER")
    one.add_argument("--from", metavar="PATH", required=True, dest="path", help="a file, or a folder with the texts")
    one.add_argument("--out", metavar="DIR", required=True)
    _workers(one)

    one = command(_explore, "a page to look at: who said what of each target")
    one.add_argument("inputs", nargs="+", metavar="INPUT")
    one.add_argument("--out", metavar="FILE", required=True)

    one = command(_score, "a system's predictions against gold")
    one.add_argument("predictions", metavar="PREDICTIONS", help="JSON lines, .csv or .parquet: id, label, p_<label>…")
    one.add_argument(
        "--config", choices=scoring.TASKS, default=DEFAULT_CONFIG, help="the task (default: %(default)s)"
    )
    one.add_argument("--split", choices=SPLITS, default="test")
    one.add_argument("--gold", metavar="DIR", default=str(CORPUS), help="a built folder (default: ./dataset)")
    one.add_argument("--against", metavar="OTHER", help="another system's predictions, for a paired test")
    one.add_argument("--annotator", metavar="NAME", help="of attribution: take this pass for gold")
    one.add_argument("--json", action="store_true", help="all figures as JSON")

    one = command(_baselines, "the systems to be beaten, learnt from ./dataset")
    one.add_argument(
        "--gold", metavar="DIR", default=str(CORPUS), help="test on this built folder (default: ./dataset)"
    )
    one.add_argument("--out", metavar="DIR", default=str(RESULTS), help="where to (default: ./%(default)s)")

    one.add_argument("--cross-domain", action="store_true", help="learn each test domain from the others' stories")
    one.add_argument(
        "--embeddings", metavar="MODEL", help="a sentence-transformers model on disk, for one baseline more"
    )

    one = command(_card, "make the card's generated parts from the manifest")
    one.add_argument("--check", action="store_true", help="change nothing; exit 1 where the card is stale")

    one = command(_diff, "what changed between two built folders, and the version that follows")
    one.add_argument("old", metavar="OLD")
    one.add_argument("new", metavar="NEW")
    one.add_argument("--json", action="store_true", help="a change a line, as JSON")

    one = command(_publish, "upload ./dataset to the Hugging Face Hub and tag its version")
    one.add_argument("repo", metavar="REPO", help="owner/name of a dataset repository")
    one.add_argument("--dry-run", action="store_true", help="ask all questions and list the files; upload nothing")

    one = command(_reference, "make schema/README.md from schemas and rules")
    one.add_argument("--check", action="store_true", help="change nothing; exit 1 where it is stale")
    return top


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 512:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 512")
    return int(text)


def _share(text: str) -> tuple[int, int]:
    mine, _, of = text.partition("/")
    if not (mine.isdecimal() and of.isdecimal() and int(mine) < int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 0/8, the first of eight")
    return int(mine), int(of)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):  # a file's name, or a terminal, may be no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = parser().parse_args(arguments)
        code: int = options.run(options)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except Unusable as error:
        _show([error.finding])
        return ERRORS
    except OSError as error:
        told = error.strerror or str(error).partition("\n")[0]  # an answer of the Hub has no more than a text
        _tell(": ".join(map(str, filter(None, ("onrecord", error.filename, told)))))
        return ERRORS
    return code


# -- commands --------------------------------------------------------------------------------------------------


def _build(options: argparse.Namespace) -> int:
    """Build INPUT into DIR: data/, manifest.json and README.md. Without INPUT, build ./dataset and its card."""
    own_corpus = not options.inputs
    if own_corpus and not CORPUS.is_dir():
        return _usage("there is no ./dataset here; name an INPUT and --out")
    if options.inputs and not options.out:
        return _usage("with INPUT, --out DIR says where to")
    if own_corpus and options.keep_going:
        return _usage("--keep-going is not for ./dataset")
    if (options.engine == "dask") != bool(options.scheduler):
        return _usage("--engine dask and --scheduler ADDRESS go together")
    if options.shard:
        return _build_share(options)
    out = options.out or CORPUS
    with _progress("shards") as progress:
        report = build.build(
            options.inputs or [CORPUS],
            out,
            workers=options.workers,
            scheduler=options.scheduler,
            keep_going=options.keep_going,
            near_duplicates=options.near_duplicates,
            card_file=CARD if own_corpus and not options.out else None,
            progress=progress,
        )
    _show(report.findings)
    if report.manifest is None:
        _tell("nothing was written")
        return ERRORS
    if own_corpus and not options.out:
        _put_here(CORPUS / EXPLORER, explore.page(build.stories([CORPUS])[0]))
    _say(*summary(report.manifest, out))
    return _code(report.findings, left_out=bool(report.manifest["left_out"]))


def _build_share(options: argparse.Namespace) -> int:
    if not options.inputs or options.scheduler:
        return _usage("--shard needs INPUT and --out, and runs on its own processes")
    with _progress("shards") as progress:
        findings = build.build_share(
            options.inputs,
            options.out,
            options.shard,
            workers=options.workers,
            keep_going=options.keep_going,
            near_duplicates=options.near_duplicates,
            progress=progress,
        )
    _show(findings)
    return _code(findings)


def _merge(options: argparse.Namespace) -> int:
    """Make one build of the folders that all its shares wrote: the same bytes as the undivided build."""
    report = build.merge(options.folders, options.out)
    _show(report.findings)
    if report.manifest is None:
        _tell("nothing was written")
        return ERRORS
    _say(*summary(report.manifest, options.out))
    return _code(report.findings, left_out=bool(report.manifest["left_out"]))


def _check(options: argparse.Namespace) -> int:
    """Report everything wrong with INPUT."""
    with _progress("shards") as progress:
        findings = build.judge(
            options.inputs, near_duplicates=options.near_duplicates, workers=options.workers, progress=progress
        )
    if options.json:
        for finding in findings:
            _say(_line(finding))
    else:
        for finding in findings:
            _say(f"{finding.severity}: {finding}")
        _say(_tally(findings))
    return _code(findings)


def _verify(options: argparse.Namespace) -> int:
    """Compare a built folder with its manifest: files, bytes and rows."""
    findings = tables.verify(Path(options.folder))
    for finding in findings:
        _say(str(finding))
    if not findings:
        made = tables.read_manifest(Path(options.folder))
        _say(f"{options.folder}: {len(made['files'])} files as in the manifest")
    return _code(findings)


def _convert(options: argparse.Namespace) -> int:
    """Write INPUT in another form: a bulk file articles.jsonl, or a folder a story for brat or Label Studio."""
    out = Path(options.out)
    units, findings = formats.find(options.inputs)
    if options.pairs:
        return _sheet(units, findings, options)
    left_out, lost = 0, []
    with _Staged(out) as staged:
        for unit in units:
            for admitted in check.admit(formats.read(unit)):
                findings += admitted.findings
                left_out += sum(admitted.left_out.values())
                if not admitted.usable:  # its id may be anything
                    continue
                for name, text in formats.write(options.to, admitted.story, admitted.articles).items():
                    staged.append(name, text)
                lost += [line for article in admitted.articles for line in formats.lossy(options.to, article)]
        findings += staged.clashes()
    _show(findings)
    for line in lost:
        _tell(f"note: {options.to} does not hold {line}")
    return _code(findings, left_out=bool(left_out))


def _sheet(units: Sequence[Unit], findings: list[Finding], options: argparse.Namespace) -> int:
    """The blind sheet: of each pair that the draw lists what a model may see. It holds text; it is not for a commit."""
    if options.to != "labelstudio":
        return _usage("--pairs goes with --to labelstudio")
    wanted, found = audit.parse_draw(_text(options.pairs), options.pairs)
    if found:
        _show(found)
        return ERRORS
    asked: dict[str, labelstudio.Question] = {}
    for unit in units:
        for admitted in check.admit(formats.read(unit)):
            findings += admitted.findings
            for row in tables.pair_rows(admitted.story, admitted.articles):
                shown = ("" if row[name] is None else row[name] for name in labelstudio.Question._fields)
                asked[row["id"]] = labelstudio.Question._make(shown)
    with _Staged(Path(options.out)) as staged:
        staged.append("sheet.json", labelstudio.sheet(asked[pair] for pair in wanted if pair in asked))
        staged.append("sheet.xml", labelstudio.sheet_config())
        findings += staged.clashes()
    _show(findings)
    absent = [pair for pair in wanted if pair not in asked]
    _say(f"{len(wanted) - len(absent)} of {len(wanted)} pairs are on the sheet")
    for pair in absent:
        _tell(f"note: not in the input: {pair}")
    return _code(findings, left_out=bool(absent))


def _votes(options: argparse.Namespace) -> int:
    """Put the answers of a filled-in sheet into ./dataset/audit.csv, beside what is there."""
    file, draw_file = CORPUS / audit.FILE, CORPUS / audit.DRAW
    if not draw_file.is_file():
        return _usage(f"there is no {draw_file} here")
    answers, findings = labelstudio.read_sheet(_text(options.sheet), options.sheet)
    drawn, found = audit.parse_draw(_text(str(draw_file)), str(draw_file))
    findings += found
    strangers = sorted({answer.id for answer in answers} - set(drawn))
    findings += [
        audit.AUDIT_STRANGER.finding(options.sheet, "", f"{pair!r} is not in {draw_file}") for pair in strangers
    ]
    judged, found = audit.parse(_text(str(file)), str(file)) if file.exists() else ({}, [])
    _show([*findings, *found])
    if _code([*findings, *found]) == ERRORS:
        return ERRORS
    for answer in answers:
        judged.setdefault(answer.annotator, {})[answer.id] = answer.label
    _put_here(file, audit.render(judged))
    for annotator in sorted({answer.annotator for answer in answers}):
        count = sum(answer.annotator == annotator for answer in answers)
        _say(f"{annotator}: {count} of {len(drawn)} pairs; describe who that is in {CORPUS / 'annotators.json'}")
    return _code(findings)


class _Staged:
    """Files written beside a folder's own until all are there, and put into it one by one at the end.

    What a killed run left is swept away by the next one.
    """

    PREFIX = ".onrecord-new-"

    def __init__(self, out: Path) -> None:
        self._out = out
        self._files: dict[str, None] = {}

    def __enter__(self) -> _Staged:
        self._out.mkdir(parents=True, exist_ok=True)
        for left in self._out.glob(f"{self.PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        self._folder = tempfile.TemporaryDirectory(dir=self._out, prefix=self.PREFIX)
        return self

    def append(self, name: str, text: str) -> None:
        file = Path(self._folder.name) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a", encoding="utf-8", newline="") as stream:
            stream.write(text)
        self._files[name] = None

    def clashes(self) -> list[Finding]:
        """Files of the folder that say something else, as the input's own may; where there are any, nothing is put."""
        taken = [name for name in self._files if os.path.lexists(self._out / name) and not self._same(name)]
        taken += sorted(
            {folder for name in self._files if (self._out / (folder := os.path.dirname(name))).is_symlink()}
        )
        if taken:
            self._files = {}
        what = "stands there and says something else; nothing was written"
        return [build.NOT_OURS.finding(str(self._out / name), "", what) for name in taken]

    def _same(self, name: str) -> bool:
        there = self._out / name
        return there.is_file() and there.read_bytes() == (Path(self._folder.name) / name).read_bytes()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for name in self._files if kind is None else ():
            (self._out / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(self._folder.name) / name, self._out / name)
        self._folder.cleanup()


def _dehydrate(options: argparse.Namespace) -> int:
    """Write INPUT as a stand-off layer: <story>/story.json and <story>/<article>.json, no text and no titles."""
    units, findings = formats.find(options.inputs)
    made: dict[Path, str] = {}
    for unit in units:
        for admitted in check.admit(formats.read(unit)):
            findings += admitted.findings
            if not admitted.usable:  # its id may be anything
                continue
            folder, story = Path(admitted.story.id), own.story_data(admitted.story)
            made[folder / "story.json"] = own.write_json(story)
            for article in admitted.articles:
                layer = layers.dehydrate(own.article_data(article), _file_name(article))
                made[folder / f"{article.id}.json"] = own.write_json(layer)
                for name, data in (("story.json", story), (f"{article.id}.json", layer)):
                    findings += layers.text_left(data, article.text, str(Path(options.out) / folder / name))
    if not any(finding.severity == "error" for finding in findings):
        with _Staged(Path(options.out)) as staged:
            for file, text in made.items():
                staged.append(file.as_posix(), text)
            findings += staged.clashes()
    _show(findings)
    if any(finding.severity == "error" for finding in findings):
        _tell("nothing was written")
        return ERRORS
    _say(f"wrote {len(made)} files to {options.out}")
    return _code(findings)


def _file_name(article: Article) -> str:
    """The base name under which an article's text is known."""
    name = article.origin or article.id
    return name if name.endswith(layers.TEXT_ENDINGS) else f"{name}.txt"


def _hydrate(options: argparse.Namespace) -> int:
    """Put LAYER on the texts at PATH, and build the result: data/, articles.jsonl and hydration.csv."""
    units, findings = formats.find([options.layer])
    documents: list[Document] = []
    for unit in units:
        for found in formats.read(unit):
            if isinstance(found, Finding):
                findings.append(found)
                continue
            findings += form.judge(found.kind, found.data, found.file) or layers.unfit(found)
            documents.append(found)
    if not findings and not Path(options.path).exists():
        return _usage(f"--from {options.path}: there is no such file or folder")
    if findings:
        _show(findings)
        return ERRORS
    hydration = layers.hydrate_layer(documents, Path(options.path), workers=options.workers)
    _show(hydration.findings)
    if not hydration.documents:
        return ERRORS
    lines = "".join(own.write_line(document) for document in hydration.documents)
    with tempfile.TemporaryDirectory() as folder:
        bulk = Path(folder) / "articles.jsonl"
        bulk.write_text(lines, "utf-8")
        extra = {"articles.jsonl": lines, "hydration.csv": layers.hydration_csv(hydration.rows)}
        report = build.build([bulk], options.out, workers=options.workers, extra=extra)
    _show(report.findings)
    if report.manifest is None:
        return ERRORS
    _say(*summary(report.manifest, options.out))
    _say("statements: " + ", ".join(f"{count:,} {status}" for status, count in hydration.counts().items()))
    unplaced = sum(count for status, count in hydration.counts().items() if status not in layers.PLACED)
    return _code([*hydration.findings, *report.findings], left_out=bool(unplaced))


def _explore(options: argparse.Namespace) -> int:
    """Write one static page with the annotated articles of INPUT."""
    told, findings = build.stories(options.inputs)
    _show(findings)
    if not told:
        return ERRORS
    Path(options.out).write_text(explore.page(told), "utf-8")
    _say(f"wrote {options.out}")
    return _code(findings)


def _score(options: argparse.Namespace) -> int:
    """Score PREDICTIONS against the gold of a built folder, with intervals over stories where there are ten."""
    try:
        report = predictions.score(
            options.predictions,
            config=options.config,
            split=options.split,
            gold=options.gold,
            against=options.against,
            annotator=options.annotator,
        )
    except scoring.Unscorable as error:
        _show(error.findings)
        return ERRORS
    _say(*([_line(report)] if options.json else scoring.render(report).split("\n")))
    return CLEAN


def _baselines(options: argparse.Namespace) -> int:
    """Learn each baseline of the stance task from ./dataset's training rows, score it on gold, write a result a file.

    On ./dataset itself the artefact gates of its gates.json are asked too.
    """
    systems = dict(baselines.BASELINES)
    if options.embeddings:
        if not find_spec("sentence_transformers"):
            return _usage("--embeddings needs sentence-transformers, the extra `embeddings` of pyproject.toml")
        if not Path(options.embeddings).is_dir():
            return _usage(f"--embeddings {options.embeddings}: there is no such folder with a model")
        systems["embeddings"] = baselines.embedded(options.embeddings)
    try:
        return _learn(systems, Path(options.gold), Path(options.out), cross_domain=options.cross_domain)
    except scoring.Unscorable as error:
        _show(error.findings)
        return ERRORS


def _learn(systems: Mapping[str, Baseline], gold: Path, out: Path, *, cross_domain: bool) -> int:
    """Score each system and write its result. Raises Unscorable."""
    train, test = (predictions.read_split(*rows) for rows in ((CORPUS, "stance", "train"), (gold, "stance", "test")))
    rows = predictions.described(gold, "stance", "test"), predictions.described(CORPUS, "stance", "train")
    protocol = "cross-domain" if cross_domain else predictions.protocol_of(test)
    guess = baselines.across_domains if cross_domain else baselines.predict
    ending = "" if protocol == "story-held-out" else f".{protocol}"
    for name, system in systems.items():
        report = predictions.score(guess(system, train, test), gold=gold)
        result = baselines.result(name, report, protocol, *rows, system=system)
        _put_here(out / f"{name}{ending}.json", _indented(result))
        _say(f"{name:<24}{scoring.shown(report.figures['macro_f1'])}")
    return CLEAN if ending else _artefacts(train, test, rows[0], out)


def _artefacts(train: pa.Table, test: pa.Table, gold: dict[str, str | int], out: Path) -> int:
    """Ask the artefact gates, and write what they found beside the results."""
    file = CORPUS / "gates.json"
    thresholds, broken = form.parse("gates", _text(str(file)), str(file)) if file.is_file() else ({}, [])
    if broken:
        _show(broken)
        return ERRORS
    found = baselines.artefacts(train, test)
    figures = {name: gates.Figure(value) for name, value in sorted(found.items())}
    report = {"gold": gold, "gates": {name: {"figure": found[name], **thresholds.get(name, {})} for name in figures}}
    _put_here(out / tables.ARTEFACTS, _indented(report))
    for name, figure in figures.items():
        _say(f"{name:<24}{figure.value:g}")
    findings = list(gates.red(figures, {name: thresholds[name] for name in figures if name in thresholds}, str(file)))
    _show(findings)
    return _code(findings)


def _indented(data: object) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _card(options: argparse.Namespace) -> int:
    """Make from dataset/manifest.json what describes it: DATACARD.md's generated parts, its copy, Croissant, plots."""
    text = CARD.read_text("utf-8")
    if findings := card.unknown_markers(text, str(CARD)):
        _show(findings)
        return ERRORS
    try:
        manifest = tables.read_manifest(CORPUS)
    except ValueError as error:
        return _usage(str(error))
    results = tables.read_results(CORPUS)
    made = card.render(text, manifest, results)
    files = {
        "README.md": card.published(made),
        "croissant.json": card.croissant(manifest, made),
        **card.plots(manifest, results),
    }
    beside = {CORPUS / name: text for name, text in files.items()}
    return _generated({CARD: made, **beside}, options.check, card.CARD_STALE)


def _diff(options: argparse.Namespace) -> int:
    """List stories, articles, statements, labels and columns added, removed or changed, by id."""
    old, new = Path(options.old), Path(options.new)
    try:
        changes = release.diff(old, new)
        former = str(tables.read_manifest(old).get("onrecord"))
        follows = release.bump(changes, former)
    except ValueError as error:
        return _usage(str(error))
    for change in changes:
        _say(_line(change) if options.json else str(change))
    _tell(f"{len(changes)} changes; after {former} comes {follows}")
    return CLEAN


def _publish(options: argparse.Namespace) -> int:
    """Upload ./dataset in one commit and tag its version; refuse what is not committed, fresh, whole and ours."""
    if not (CORPUS / tables.MANIFEST).is_file():
        return _usage("there is no built ./dataset here; run `onrecord build`")
    tag = f"v{version('onrecord')}"
    findings = release.obstacles(CORPUS, CARD)
    if not options.dry_run:
        findings += release.published(options.repo, tag)
    _show(findings)
    if _code(findings) == ERRORS:
        _tell("nothing was uploaded")
        return ERRORS
    for name in release.contents(CORPUS):
        _say(f"{(CORPUS / name).stat().st_size:>12,} {name}")
    if options.dry_run:
        _say(f"would be {options.repo} {tag}")
    else:
        _say(f"published {options.repo} {tag}: {release.publish(CORPUS, options.repo, tag)}")
    return _code(findings)


def _reference(options: argparse.Namespace) -> int:
    """Make schema/README.md from the schemas and the rules."""
    return _generated({REFERENCE: reference.render(RULES)}, options.check, reference.REFERENCE_STALE)


# -- what commands share ---------------------------------------------------------------------------------------


def _generated(files: dict[Path, str], only_check: bool, rule: Rule) -> int:
    stale = [file for file, text in files.items() if not file.is_file() or file.read_text("utf-8") != text]
    if only_check:
        for file in stale:
            _say(str(rule.finding(str(file), "", "is stale" if file.is_file() else "is missing")))
        return ERRORS if stale else CLEAN
    for file in stale:
        _put_here(file, files[file])
        _say(f"wrote {file}")
    return CLEAN


def _put_here(file: Path, text: str) -> None:
    """Put a file in its place. Raises Unusable where a folder of ./dataset is a link, by which it would lie elsewhere."""
    for folder in file.absolute().parents:
        if CORPUS.absolute() in folder.parents and folder.is_symlink():
            raise Unusable(build.NOT_OURS.finding(str(folder), "", build.LINK))
    file.parent.mkdir(parents=True, exist_ok=True)
    put(file, text)


def _say(*lines: str) -> None:
    """Lines on stdout, as a terminal may have them."""
    print(*map(on_a_line, lines), sep="\n", flush=True)


def _tell(line: str) -> None:
    """A line on stderr, as a terminal may have it."""
    print(on_a_line(line), file=sys.stderr)


def _line(told: Finding | Change | Report) -> str:
    """A dataclass as a line of JSON, in ASCII."""
    return json.dumps(dataclasses.asdict(told)).replace("\x7f", "\\u007f")


def _text(file: str) -> str:
    """A file of somebody's as text. Raises Unusable, which `main` tells."""
    return decode(read_bytes(file), file, imported=True)


def _usage(message: str) -> int:
    _tell(f"onrecord: {message}")
    return USAGE


def _progress(unit: str) -> _Bar:
    return _Bar(unit)


class _Bar:
    """A progress bar on stderr while it is open, and nothing where stderr is no terminal."""

    def __init__(self, unit: str) -> None:
        self._bar = tqdm.tqdm(unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False)

    def __enter__(self) -> Callable[[int, int], None]:
        return self._set

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _set(self, done: int, of: int) -> None:
        self._bar.total = of
        self._bar.update(done - self._bar.n)


def _show(findings: Iterable[Finding]) -> None:
    findings = list(findings)
    for finding in findings:
        _tell(f"{finding.severity}: {finding}")
    if findings:
        _tell(_tally(findings))


def _tally(findings: Sequence[Finding]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    return f"{errors} errors, {len(findings) - errors} warnings"


def _code(findings: Iterable[Finding], *, left_out: bool = False) -> int:
    severities = {finding.severity for finding in findings}
    return ERRORS if "error" in severities else WARNINGS if severities or left_out else CLEAN


def summary(manifest: dict[str, object], out: object) -> list[str]:
    """The table that a build prints, a line each: rows by configuration and split, and what was left out."""
    configs: dict[str, dict[str, dict[str, dict[str, int]]]] = manifest["configs"]  # type: ignore[assignment]
    lines = [f"{'':<14}" + "".join(f"{name:>12}" for name in SPLITS)]
    for config, entry in configs.items():
        rows = [entry["splits"].get(name, {}).get("rows", 0) for name in SPLITS]
        lines.append(f"{config:<14}" + "".join(f"{count:>12,}" for count in rows))
    left_out: dict[str, int] = manifest["left_out"]  # type: ignore[assignment]
    lines += [f"left out: {count:,} by {rule}" for rule, count in left_out.items()]
    counts: dict[str, dict[str, int]] = manifest["counts"]  # type: ignore[assignment]
    if unlabelled := sum(counts.get("unlabelled statements", {}).values()):
        lines.append(f"unlabelled: {unlabelled:,} statements")
    return [*lines, f"built {out}"]


if __name__ == "__main__":
    sys.exit(main())
