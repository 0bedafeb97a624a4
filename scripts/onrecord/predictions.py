"""Predictions and gold as they lie on disk: read, judged against each other, and scored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from onrecord import scoring, tables
from onrecord.model import LABELS, SPLITS, Finding, arrow_schema, config_label
from onrecord.scoring import FORM, NO_GOLD, SLICES, Report, Unscorable

NONE: Mapping[str, str] = {}
NESTING = 500  # brackets that one line opens, and that are left open before it

Predictions: TypeAlias = "str | Path | pa.Table"


def score(
    predictions: Predictions,
    *,
    config: str = "stance",
    split: str = "test",
    gold: str | Path = "dataset",
    against: Predictions | None = None,
    annotator: str | None = None,
) -> Report:
    """Score predictions (a file in JSON lines, CSV or Parquet, or an Arrow table) against a built folder's gold.

    `config` is a task: stance, pairs, source_type, attribution, profile or contrast. `annotator` takes that pass of
    `attribution` for gold in place of the primary one. Raises Unscorable with all findings, KeyError for an unknown
    task or split.
    """
    if config not in scoring.TASKS or split not in SPLITS:
        raise KeyError(f"{config}, {split}: tasks are {', '.join(scoring.TASKS)}, splits {', '.join(SPLITS)}")
    wanted = read_gold(Path(gold), config, split, annotator)
    ours, theirs = _table(predictions), None if against is None else _table(against)
    findings = _findings(wanted, config, {_name(predictions): ours})
    if theirs is not None:
        findings += _findings(wanted, config, {_name(against): theirs})
    if findings:
        raise Unscorable(findings)
    return _scored(wanted, ours, theirs, config, split)


def _scored(wanted: pa.Table, ours: pa.Table, theirs: pa.Table | None, config: str, split: str) -> Report:
    if config == "attribution":
        return scoring.score_attribution(wanted, ours, split, theirs)
    if config == "profile":
        other = None if theirs is None else scoring.profiles(theirs)
        return scoring.score_profiles(scoring.gold_profiles(wanted), scoring.profiles(ours), split, other)
    if config == "contrast":
        return scoring.score_contrast(wanted, ours, split, theirs)
    rival = None if theirs is None else scoring.marks(wanted, theirs, config)
    return scoring.score_labels(wanted, scoring.marks(wanted, ours, config), config, split, rival)


def _findings(wanted: pa.Table, config: str, named: Mapping[str, pa.Table]) -> list[Finding]:
    (file, table) = next(iter(named.items()))
    if config == "attribution":
        return scoring.attribution_findings(wanted, table, file)
    if config == "profile":
        return scoring.profile_findings(scoring.gold_profiles(wanted), table, file)
    if config == "contrast":
        wanted = scoring.both_sides(wanted)
    return scoring.label_findings(wanted, table, config, file)


def _name(predictions: Predictions | None) -> str:
    return "predictions" if isinstance(predictions, pa.Table) else str(predictions)


def _table(predictions: Predictions) -> pa.Table:
    return predictions if isinstance(predictions, pa.Table) else read(Path(predictions))


# -- gold ------------------------------------------------------------------------------------------------------


def read_gold(folder: Path, config: str, split: str, annotator: str | None = None) -> pa.Table:
    """A split's gold: what scoring reads of it, in file order."""
    task = "pairs" if config == "profile" else config
    if task == "attribution":
        table = read_split(folder, task, split)
        _demand(folder, table, ("id", "story", "article_id", "primary", "annotator", "content"))
        if not all(map(scoring.is_statement, table.select(scoring.ROLES).to_pylist())):
            raise Unscorable([NO_GOLD.finding(str(folder), "", "has rows without fragments of content")])
        mine = table["primary"] if annotator is None else pc.equal(table["annotator"], annotator)
        table = table.filter(mine)
        if not table.num_rows:
            raise Unscorable([NO_GOLD.finding(str(folder), "", f"has no pass of {annotator!r} in {split}")])
        return table.select(["id", "story", "article_id", *scoring.ROLES])
    if task == "contrast":
        labels = {"stance": "stance", "original_stance": "stance"}
        needed = ["id", "original", "edit", "control", "story"]
        return _demand(folder, read_split(folder, task, split, [*needed, *labels]), needed, labels)
    label = str(config_label(task))
    needed = ["id", "story", *(["article_id", "target_id", "depth"] if config == "profile" else ["act"])]
    table = read_split(folder, task, split, [*needed, label, "article_id", "target_id", "act", *SLICES])
    return _demand(folder, table, needed, {label: label})


def _demand(folder: Path, table: pa.Table, names: Sequence[str], labels: Mapping[str, str] = NONE) -> pa.Table:
    """A table of gold in which no row lacks what is named, or one of the labels. Raises Unscorable."""
    if absent := [name for name in (*names, *labels) if name not in table.column_names]:
        raise Unscorable([NO_GOLD.finding(str(folder), "", f"has no column {', '.join(absent)}")])
    empty = [name for name in names if table[name].null_count]
    for name, kind in labels.items():
        if not pc.all(pc.is_in(table[name], value_set=pa.array(LABELS[kind])), min_count=0).as_py():
            empty.append(name)
    if empty:
        raise Unscorable([NO_GOLD.finding(str(folder), "", f"has rows without {', '.join(empty)} as a build has it")])
    return table


def read_split(folder: Path, config: str, split: str, wanted: Sequence[str | None] | None = None) -> pa.Table:
    """A built split, of its columns those that are wanted or all. Raises Unscorable where the folder has none."""
    found = sorted(file for file in folder.glob(f"data/{config}/*.parquet") if file.is_file())
    files = [file for file in found if file.stem.split("-")[0] == split]
    if not files:
        raise Unscorable([NO_GOLD.finding(str(folder), "", f"has no data/{config}/{split}.parquet")])
    try:
        names = wanted and [name for name in pq.read_schema(files[0]).names if name in wanted]
        table = _whole(pa.concat_tables([pq.read_table(file, columns=names) for file in files]))
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise Unscorable([NO_GOLD.finding(str(files[0]), "", str(error).split("\n")[0])]) from error
    ours = arrow_schema(config)
    for part in table.schema:
        if part.name in ours.names and part.type != (wants := ours.field(part.name).type):
            raise Unscorable([NO_GOLD.finding(str(files[0]), "", f"has {part.name} as {part.type}, not {wants}")])
    return table


def gold_fingerprint(folder: Path, config: str, split: str) -> str:
    """The fingerprint of a split as the folder's manifest names it."""
    try:
        listed = tables.read_manifest(folder)["configs"]["pairs" if config == "profile" else config]
        return str(listed["splits"][split]["fingerprint"])
    except (KeyError, TypeError, ValueError) as error:
        what = f"has a manifest without {config} of {split}"
        raise Unscorable([NO_GOLD.finding(str(folder), "", what)]) from error


def described(folder: Path, config: str, split: str) -> dict[str, str | int]:
    """A split's rows as a result names them: fingerprint, and how many rows and stories."""
    table = read_split(folder, "pairs" if config == "profile" else config, split)
    stories = len(table["story"].unique())
    return {"fingerprint": gold_fingerprint(folder, config, split), "rows": table.num_rows, "stories": stories}


def protocol_of(table: pa.Table) -> str:
    """What training on open stories and testing on these is called."""
    return "open-to-layer" if table["tier"].unique().to_pylist() == ["layer"] else "story-held-out"


# -- files -----------------------------------------------------------------------------------------------------


def read(file: Path) -> pa.Table:
    """A file of predictions, by its ending: .parquet, .csv, else JSON lines. Raises Unscorable where it is none."""
    if file.exists() and not file.is_file():  # a pipe would let us wait for ever
        raise Unscorable([FORM.finding(str(file), "", "is no file")])
    try:
        if file.suffix == ".parquet":
            return _plain(_whole(pq.read_table(file)))
        if file.suffix == ".csv":
            words = {"id": pa.string(), "label": pa.string()}
            typed = pa_csv.ConvertOptions(column_types=words, strings_can_be_null=False)
            return _plain(_whole(pa_csv.read_csv(file, convert_options=typed)))
        return _whole(_fast(file))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, OverflowError, UnicodeError) as error:
        raise Unscorable([FORM.finding(str(file), "", str(error).split("\n")[0])]) from error


def _whole(table: pa.Table) -> pa.Table:
    """A table that holds what its types say, and no column twice. Raises ArrowInvalid or UnicodeDecodeError."""
    _read_names(table.schema.types)
    if len(set(table.column_names)) < table.num_columns:
        raise pa.ArrowInvalid(f"has a column twice: {', '.join(sorted(table.column_names))}")
    table.validate(full=True)
    return table


def _read_names(types: Iterable[pa.DataType]) -> None:
    """Read the names of fields at any depth: Arrow takes them as they come, and fails where one is no UTF-8."""
    for kind in types:
        fields = {part.name: part.type for part in map(kind.field, range(kind.num_fields))}
        _read_names(fields.values())


def _plain(table: pa.Table) -> pa.Table:
    """With strings as strings where a writer made categories of them."""
    for at, part in enumerate(table.schema):
        if pa.types.is_dictionary(part.type) or pa.types.is_large_string(part.type):
            table = table.set_column(at, part.name, pc.cast(table[part.name], pa.string()))
    return table


def _fast(file: Path) -> pa.Table:
    """JSON lines by Arrow's parser, which does not say what is wrong where; then line by line."""
    words = pa.schema([("id", pa.string()), ("label", pa.string())])
    if _nests(file):
        return pa.Table.from_pylist(_lines(file))
    try:
        table = pa_json.read_json(file, parse_options=pa_json.ParseOptions(explicit_schema=words))
    except pa.ArrowInvalid:
        return pa.Table.from_pylist(_lines(file))
    for name in ("id", "label"):  # the parser adds what the lines lack
        if table[name].null_count == table.num_rows:
            table = table.drop_columns([name])
    if "probabilities" not in table.column_names:
        return table
    if not pa.types.is_struct(table["probabilities"].type):
        return pa.Table.from_pylist(_lines(file))
    odds = table["probabilities"].combine_chunks()
    for part in odds.type:
        table = table.append_column(scoring.PROBABILITY + part.name, pc.struct_field(odds, [part.name]))
    return table.drop_columns(["probabilities"])


def _nests(file: Path) -> bool:
    """Whether a line may nest deeper than a prediction, or go on in the next: Arrow recurses until it crashes."""
    with open(file, "rb") as stream:
        return any(
            line.count(b"[") + line.count(b"{") > NESTING or not (line.startswith(b"{") and line.endswith(b"}"))
            for line in map(bytes.strip, stream)
            if line
        )


def _lines(file: Path) -> list[dict[str, Any]]:
    rows, findings = [], []
    with open(file, encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                findings.append(FORM.finding(str(file), f"line {number}", f"is no JSON: {error}"))
                continue
            if not isinstance(row, dict):
                findings.append(FORM.finding(str(file), f"line {number}", "is no object"))
                continue
            odds = row.pop("probabilities", None) or {}
            if not isinstance(odds, dict):
                findings.append(FORM.finding(str(file), f"line {number}", "has probabilities that are no object"))
                continue
            rows.append({**row, **{scoring.PROBABILITY + label: value for label, value in odds.items()}})
    if findings:
        raise Unscorable(findings)
    if not rows:
        raise Unscorable([FORM.finding(str(file), "", "is empty")])
    return rows
