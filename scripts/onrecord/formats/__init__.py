"""Ways in and out: each format reads Documents in our own form, so that one schema judges all.

`find` says what an input holds, as units: the smallest pieces that can be read alone, one story or one run of
stories each. `read` yields a unit's Documents, the story first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from onrecord.formats import brat, files, labelstudio, own
from onrecord.formats.files import EMPTY_INPUT, NOT_A_FILE, UNREADABLE, Unit
from onrecord.model import Article, Document, Finding, Rule, Story, rules_of

STRAY_FILE = Rule(
    "stray-file",
    1,
    "Every .json file of an input is a story's, an article's or an export.",
    "move it beside its story.json, or out of the input; it is not read",
    "warning",
)
LINK_OUTSIDE = Rule(
    "link-outside",
    1,
    "No link of an input leads out of it, for what is built may be published.",
    "put there what it leads to, or name that as an input too",
)
RULES = (*rules_of(globals()), *files.RULES, *own.RULES, *brat.RULES, *labelstudio.RULES)

_READERS = {"own": own.read, "lines": own.read_lines, "brat": brat.read, "labelstudio": labelstudio.read}
DEEPEST = 64  # folders below an input
_ENDINGS = (".json", ".jsonl", ".txt", ".ann")
_BESIDE = ("annotators.json", "gates.json", "manifest.json", "croissant.json")  # may stand beside stories


def find(inputs: Sequence[str | Path]) -> tuple[list[Unit], list[Finding]]:
    """The units of several inputs, sorted, and what cannot be an input.

    An input is a folder (searched below), an article's `.json`, a Label Studio export, a `.jsonl` or an `.ann` file.
    """
    units: list[Unit] = []
    findings: list[Finding] = []
    given = sorted({Path(item) for item in inputs})
    for item in given:
        before = len(units), len(findings)
        met: dict[str, bool] = {}
        for found in _search(item):
            if isinstance(found, Finding):
                findings.append(found)
            elif away := [file for file in found.files if _leads_out(file, item, given, met)]:
                findings += [
                    LINK_OUTSIDE.finding(file, "", "is, or stands behind, a link to elsewhere") for file in away
                ]
            else:
                units.append(found)
        if (len(units), len(findings)) == before:
            findings.append(EMPTY_INPUT.finding(str(item), "", "holds no annotated article"))
    return sorted(set(units)), findings


def read(unit: Unit) -> Iterator[Document | Finding]:
    """A unit's Documents, and findings on files of which nothing can be used."""
    yield from _READERS[unit.format](unit)


FORMS = ("json", "own", "brat", "labelstudio")


def write(form: str, story: Story, articles: Sequence[Article]) -> dict[str, str]:
    """A story in another form, by file name. `json` lines are meant to be appended to one file."""
    if not story.id:
        return {}
    if form == "json":
        data = [own.story_data(story), *map(own.article_data, articles)]
        return {"articles.jsonl": "".join(map(own.write_line, data))}
    if form == "own":
        files = own.write(story, articles)
    elif form == "brat":
        files = {name: text for article in articles for name, text in brat.write(story, article).items()}
    else:
        files = {"tasks.json": labelstudio.write(story, articles), "labels.xml": labelstudio.config(story)}
    return {f"{story.id}/{name}": text for name, text in files.items()}


def lossy(form: str, article: Article) -> list[str]:
    """What of an article a form does not hold."""
    told = {"brat": brat.lossy, "labelstudio": labelstudio.lossy}
    return told[form](article) if form in told else []


def _leads_out(file: str, item: Path, given: Sequence[Path], met: dict[str, bool]) -> bool:
    """Whether a link on the way from an input to a file leads to a place that is in none of the inputs.

    `met` keeps of each folder whether a link leads there.
    """
    if os.path.abspath(file) == os.path.abspath(item):  # it was named
        return False
    if not (os.path.islink(file) or _behind_link(os.path.dirname(file), os.path.abspath(item), met)):
        return False
    true = Path(os.path.realpath(file))
    return not any(true.is_relative_to(os.path.realpath(one if one.is_dir() else one.parent)) for one in given)


def _behind_link(folder: str, top: str, met: dict[str, bool]) -> bool:
    if folder not in met:
        here = os.path.abspath(folder)
        above = Path(top).is_relative_to(here)  # how one came to the input is no matter
        met[folder] = not above and (os.path.islink(here) or _behind_link(os.path.dirname(here), top, met))
    return met[folder]


def _search(item: Path) -> Iterator[Unit | Finding]:
    if not item.exists():
        yield UNREADABLE.finding(str(item), "", "is a link to nothing" if item.is_symlink() else "does not exist")
    elif item.is_dir():
        yield from _below(item, item, set())
    elif item.suffix == ".jsonl":
        yield from own.line_units(item, item.parent)
    elif item.suffix == ".json":
        yield from labelstudio.units(item, item.parent) if _is_export(item) else own.file_units(item)
    elif item.suffix == ".ann":
        yield from brat.units(item.parent, [item], item.parent)
    else:
        yield NOT_A_FILE.finding(str(item), "", f"has the ending {item.suffix}" if item.suffix else "has no ending")


def _below(folder: Path, root: Path, seen: set[str]) -> Iterator[Unit | Finding]:
    """What a folder holds, itself a story's or not, folders in it included.

    `seen` are the folders that were met, by their true paths: links can lead to one of them by any number of ways.
    """
    if folder.suffix in _ENDINGS:
        yield NOT_A_FILE.finding(str(folder), "", f"is a folder with the ending {folder.suffix}")
        return
    if len(folder.parts) - len(root.parts) > DEEPEST:
        yield UNREADABLE.finding(str(folder)[:200] + "…", "", f"lies more than {DEEPEST} folders deep")
        return
    if (true := os.path.realpath(folder)) in seen:
        yield UNREADABLE.finding(str(folder), "", "is the same folder as one that was read, by a link")
        return
    seen.add(true)
    if (folder / own.STORIES).is_dir():  # a corpus: what stands beside stories/ is no article
        yield from (
            STRAY_FILE.finding(str(file), "", "is of a story that is not there") for file in own.strays(folder)
        )
        folder = folder / own.STORIES
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        yield UNREADABLE.finding(str(folder), "", f"{error.strerror}")
        return
    texts = {entry.stem for entry in entries if entry.suffix == ".txt"}
    articles = [entry for entry in entries if entry.suffix == ".json" and entry.stem in texts]
    exports = [] if articles else [e for e in entries if e.name not in ("story.json", *_BESIDE) and _is_export(e)]
    for export in exports:
        yield from labelstudio.units(export, root)
    if annotations := [entry for entry in entries if entry.suffix == ".ann"]:
        yield from brat.units(folder, annotations, root)
    elif articles or (not exports and any(entry.name == "story.json" for entry in entries)):
        yield from own.story_units(folder, root)
        return
    for entry in entries:
        if not (exports and entry.name == "story.json"):  # is theirs
            yield from _entry(entry, root, seen)


def _is_export(entry: Path) -> bool:
    return entry.suffix == ".json" and entry.is_file() and labelstudio.is_export(entry)


def _entry(entry: Path, root: Path, seen: set[str]) -> Iterator[Unit | Finding]:
    """What stands in a folder that is no story's."""
    if entry.is_symlink() and not entry.exists():
        yield UNREADABLE.finding(str(entry), "", "is a link to nothing")
    elif entry.is_symlink() and entry.resolve() in entry.absolute().parents:
        yield UNREADABLE.finding(str(entry), "", "is a link to a folder that holds it")
    elif entry.is_dir() and not entry.name.startswith("."):
        yield from _below(entry, root, seen)
    elif entry.suffix == ".jsonl":
        yield from own.line_units(entry, root)
    elif entry.suffix == ".json" and entry.name not in _BESIDE and not _is_export(entry):
        yield STRAY_FILE.finding(str(entry), "", "stands where no story is")
