"""A release: what changed since the last one, by id, and its upload to the Hugging Face Hub.

`diff` compares two built folders; `obstacles` says why ./dataset may not be published; `publish` uploads it.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huggingface_hub as hub  # loads its parts when they are named; they take a quarter of a second
import pyarrow.parquet as pq
import yaml

from onrecord import build, gates, predictions, tables
from onrecord.formats import own
from onrecord.formats.files import decode, read_bytes
from onrecord.gates import GATE_RED
from onrecord.model import CONFIGS, Finding, Rule, on_a_line, rules_of

DIRTY = Rule(
    "publish-dirty", 5, "What is published is committed.", "commit it, or put it away; then publish", scope="corpus"
)
STALE = Rule(
    "publish-stale",
    5,
    "What is published is what a build of the committed articles gives.",
    "run `onrecord build`, look at what changed, and commit it",
    scope="corpus",
)
PROBES_STALE = Rule(
    "probes-stale",
    5,
    "The probes of gates.json were asked of the rows that are published.",
    "run `onrecord baselines`",
    scope="corpus",
)
TWICE = Rule(
    "publish-twice",
    5,
    "A version is published once.",
    "raise the version in pyproject.toml and CITATION.cff, build and commit",
    scope="corpus",
)
RULES = rules_of(globals())

# -- what changed ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One thing that differs between two builds."""

    kind: str  # column, story, article, statement, or label
    id: str
    what: str  # added, removed, changed, or moved (to another split)
    detail: str = ""

    def __str__(self) -> str:
        return on_a_line(f"{self.kind} {self.id} {self.what}" + (f": {self.detail}" if self.detail else ""))


Rows = Mapping[str, tuple[object, ...]]
_TABLES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {  # kind, to configuration, key, and what may change
    "article": ("articles", "id", ("title", "text", "zones", "publisher", "published", "language", "license")),
    "statement": ("attribution", "statement_id", ("content", "cue", "source", "holder", "depth", "quote_form")),
    "label": ("pairs", "id", ("stance", "certainty", "tags")),
}


def diff(old: Path, new: Path) -> list[Change]:
    """What differs between two built folders, sorted. Raises OSError, ValueError or Unusable where one is none."""
    for folder in (old, new):
        tables.read_manifest(folder)
    changes = [*_columns(_features(old), _features(new))]
    try:
        changes += _compare("story", _stories(old), _stories(new), "moved")
        for kind in _TABLES:
            changes += _compare(kind, _rows(old, kind), _rows(new, kind))
        changes += _compare("label", _source_types(old), _source_types(new))
    except KeyError as error:
        raise ValueError(f"{old} or {new} has a table without the column {error}") from error
    return sorted(changes)


def bump(changes: Iterable[Change], version: str) -> str:
    """The version that follows. Before 1.0.0, what would be a major step is a minor one.

    Major: what loads or scores otherwise (columns gone or typed anew, stories moved or removed). Minor: any other
    difference in rows. Patch: none.
    """
    major, minor, patch = (int(part) for part in version.split("."))
    found = {(change.kind, change.what) for change in changes}
    breaking = {("column", "removed"), ("column", "changed"), ("story", "moved"), ("story", "removed")}
    if found & breaking and major:
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if found else f"{major}.{minor}.{patch + 1}"


def _compare(kind: str, old: Rows, new: Rows, changed: str = "changed") -> Iterator[Change]:
    for key in old.keys() | new.keys():
        if key not in new:
            yield Change(kind, key, "removed")
        elif key not in old:
            yield Change(kind, key, "added")
        elif old[key] != new[key]:
            pairs = zip(old[key], new[key], strict=True)
            yield Change(kind, key, changed, "; ".join(f"{_short(a)} → {_short(b)}" for a, b in pairs if a != b))


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def _rows(folder: Path, kind: str) -> dict[str, tuple[object, ...]]:
    config, key, names = _TABLES[kind]
    rows = [row for row in _read(folder, config) if kind != "statement" or row["primary"]]
    return {row[key]: tuple(row[name] for name in names) for row in rows}


def _source_types(folder: Path) -> dict[str, tuple[object, ...]]:
    return {row["id"]: (row["source_type"], row["disclosure"]) for row in _read(folder, "source_type")}


def _stories(folder: Path) -> dict[str, tuple[object, ...]]:
    return {row["story"]: (row["split"],) for row in _read(folder, "articles")}


def _read(folder: Path, config: str) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob(f"data/{config}/*.parquet")):
        split = file.stem.split("-")[0]
        yield from ({"split": split, **row} for row in pq.read_table(file).to_pylist())


def _features(folder: Path) -> dict[str, object]:
    """Each column and its type by the head of the folder's card, labels included."""
    try:
        file = str(folder / "README.md")
        head = yaml.load(decode(read_bytes(file), file, imported=True).split("---\n")[1], _Plain)
        infos = {info["config_name"]: info["features"] for info in head["dataset_info"]}
        return {
            f"{config}/{feature['name']}": {k: v for k, v in feature.items() if k != "name"}
            for config in CONFIGS
            for feature in infos.get(config, ())
        }
    except (yaml.YAMLError, IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{folder / 'README.md'} has no head that lists the columns") from error


class _Plain(yaml.SafeLoader):
    """YAML without aliases, of which a few lines can stand for more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias stands there")
        return super().compose_node(parent, index)


def _columns(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    return _compare("column", {k: (v,) for k, v in old.items()}, {k: (v,) for k, v in new.items()})


# -- upload ----------------------------------------------------------------------------------------------------

BESIDE = ("LICENSE", "GUIDELINES.md", "PROTOCOL.md", "annotators.json", "splits.csv", "gates.json")  # goes with it
MADE = ("data/", "explorer.html", build.LOCK, tables.STAGING)  # by a build, and in no commit
HUB_OWN = ".gitattributes"  # which the Hub makes


def obstacles(corpus: Path, card_file: Path) -> list[Finding]:
    """Why a corpus may not be published: empty where it may. What is not committed or not whole is not asked more."""
    broken = [*_dirty(corpus), *tables.verify(corpus)]
    return broken or [*_layer_rows(corpus), *_stale(corpus, card_file)] or list(_probes(corpus))


def contents(corpus: Path) -> list[str]:
    """The files that are published: those of the manifest, the scheme, and the layers, of which a build finds no text."""
    listed = [*tables.read_manifest(corpus)["files"], tables.MANIFEST]
    layers = [file.relative_to(corpus).as_posix() for file in corpus.glob("layers/**/*") if file.is_file()]
    return sorted({*listed, *layers, *(name for name in BESIDE if (corpus / name).is_file())})


@contextmanager
def _asking() -> Iterator[None]:
    """Whatever the Hub's library raises as an OSError, as some of it is; which client it uses has changed before."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"the Hub cannot be asked: {error}") from error


@_asking()
def published(repo: str, tag: str) -> list[Finding]:
    """Whether the Hub has this version already. Raises OSError where it cannot be asked."""
    try:
        refs = hub.HfApi().list_repo_refs(repo, repo_type="dataset")
    except hub.errors.RepositoryNotFoundError:
        return []
    return [TWICE.finding(repo, "", f"has the tag {ref.name}") for ref in refs.tags if ref.name == tag]


@_asking()
def publish(corpus: Path, repo: str, tag: str) -> str:
    """Make the repository hold what `contents` lists and no other file, in one commit, and tag it. Returns its address.

    What stands there of a former version would be read with the rows of this one.
    """
    api = hub.HfApi()
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    names = contents(corpus)
    stale = set(api.list_repo_files(repo, repo_type="dataset")) - {*names, HUB_OWN}
    operations: list[hub.CommitOperationAdd | hub.CommitOperationDelete] = [
        *(hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=corpus / name) for name in names),
        *(hub.CommitOperationDelete(path_in_repo=name) for name in sorted(stale)),
    ]
    made = api.create_commit(repo, operations, commit_message=f"OnRecord {tag}", repo_type="dataset")
    api.create_tag(repo, tag=tag, revision=made.oid, repo_type="dataset")
    return str(made.commit_url)


def _dirty(corpus: Path) -> Iterator[Finding]:
    done = _git(corpus.resolve().parent, "status", "--porcelain")
    if done.returncode:
        yield DIRTY.finding(str(corpus), "", "stands in no git repository")
    for line in done.stdout.splitlines():
        yield DIRTY.finding(line[3:], "", "is not committed as it stands")
    ignored = _git(corpus, "ls-files", "--others", "--ignored", "--exclude-standard", "-z").stdout.split("\0")
    for name in ignored:
        if name and not name.startswith(MADE):
            yield DIRTY.finding(str(corpus / name), "", "is not committed, for git ignores it")
    if (corpus / tables.MANIFEST).is_file():
        for name in contents(corpus):
            if (corpus / name).is_symlink():
                yield DIRTY.finding(str(corpus / name), "", "is a link, which git commits as one")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)


def _layer_rows(corpus: Path) -> Iterator[Finding]:
    for file in sorted(corpus.glob("data/**/*.parquet")):
        if "tier" in (table := pq.read_table(file)).column_names and "layer" in table["tier"].to_pylist():
            yield build.LAYER_TEXT.finding(str(file), "", "holds rows of a layer")


def _stale(corpus: Path, card_file: Path) -> Iterator[Finding]:
    """What a fresh build says and gives otherwise; its red gates are errors here."""
    with tempfile.TemporaryDirectory() as folder:
        own_card = Path(folder) / card_file.name
        shutil.copyfile(card_file, own_card)
        report = build.build([corpus], Path(folder) / "dataset", card_file=own_card)
        yield from (
            replace(found, severity="error") if found.rule == GATE_RED.id else found for found in report.findings
        )
        if report.manifest is not None and report.manifest != _manifest(corpus):
            yield STALE.finding(str(corpus / tables.MANIFEST), "", "is not what a fresh build gives")
        elif report.manifest is not None and own_card.read_bytes() != card_file.read_bytes():
            yield STALE.finding(str(card_file), "", "is not what a fresh build gives")


def _probes(corpus: Path) -> Iterator[Finding]:
    """The red ones, as errors, of the gates that a probe asks, and whether it asked them of these rows."""
    listed, file = corpus / "gates.json", corpus / tables.RESULTS / tables.ARTEFACTS
    thresholds = _json(listed) if listed.is_file() else {}
    asked = {name: bounds for name, bounds in thresholds.items() if name not in gates.GATES}
    found = _json(file) if file.is_file() else {}
    try:
        figures = {name: gates.Figure(float(found["gates"][name]["figure"])) for name in asked}
        finite = all(math.isfinite(figure.value) for figure in figures.values())
        of_these = not asked or (finite and found["gold"] == predictions.described(corpus, "stance", "test"))
    except (KeyError, TypeError, ValueError):
        figures, of_these = {}, False
    if of_these:
        yield from (replace(one, severity="error") for one in gates.red(figures, asked, str(listed)))
    else:
        yield PROBES_STALE.finding(str(file), "", "is of other rows" if found else "is missing")


def _json(file: Path) -> Any:
    return own.parse_value(decode(read_bytes(str(file)), str(file)), str(file), imported=True)


def _manifest(corpus: Path) -> dict[str, Any] | None:
    return tables.read_manifest(corpus) if os.path.isfile(corpus / tables.MANIFEST) else None
