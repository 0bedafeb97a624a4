"""What OnRecord is measured against: the floor, and what a user would write instead. Each writes the same tables.

    python scripts/bench/floor.py floor|pandas|datasets ARTICLES.jsonl OUT WORKERS

`floor` reads, flattens and writes in one process, without any validation or digest. `pandas` validates each line with
jsonschema and builds frames. `datasets` maps Arrow batches through the fast validator, with as many processes as asked.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pandas as pd
import pyarrow as pa
import referencing
from referencing.jsonschema import DRAFT202012

from onrecord import check, split, tables
from onrecord.model import CONFIGS, SCHEMAS, Story, arrow_schema

BATCH = 1_000  # articles
Lines = Iterable[str]


def flattened(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, pa.Table]]:
    """Configuration, split and table of some stories' documents, trusted blindly."""
    made = tables.Tables({})
    story = Story("")
    for data in documents:
        if "targets" in data:
            story = check.story_of(data)
        else:
            made.add(story, [check.article_of(data)], split.hashed(story.id))
    yield from made.tables()


def write(found: Iterable[tuple[str, str, pa.Table]], out: Path, number: int) -> None:
    for config, place, table in found:
        (out / config / place).mkdir(parents=True, exist_ok=True)
        tables.write_part(table, out / config / place / f"{number:05}.parquet")


def batches(file: Path) -> Iterator[list[str]]:
    """Lines in runs of whole stories of about BATCH articles."""
    lines: list[str] = []
    with open(file, encoding="utf-8") as stream:
        for line in stream:
            if len(lines) >= BATCH and '"targets":' in line:
                yield lines
                lines = []
            lines.append(line)
    yield lines


def floor(file: Path, out: Path, workers: int) -> None:
    for number, lines in enumerate(batches(file)):
        write(flattened(map(json.loads, lines)), out, number)


def pandas(file: Path, out: Path, workers: int) -> None:
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(
        (f"{name}.schema.json", DRAFT202012.create_resource(schema)) for name, schema in SCHEMAS.items()
    )
    judges = [jsonschema.Draft202012Validator(SCHEMAS[kind], registry=registry) for kind in ("article", "story")]
    for number, lines in enumerate(batches(file)):
        documents = [json.loads(line) for line in lines]
        for data in documents:
            judges["targets" in data].validate(data)
        for config, place, table in flattened(documents):
            target = out / config / place / f"{number:05}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            frame = pd.DataFrame(table.to_pydict())
            frame.to_parquet(target, schema=arrow_schema(config), compression="zstd", index=False)


def _mapped(lines: pa.Table, numbers: list[int]) -> pa.Table:
    registry = jsonschema_rs.Registry([(f"{name}.schema.json", schema) for name, schema in SCHEMAS.items()])
    judges = [
        jsonschema_rs.Draft202012Validator(dict(SCHEMAS[kind]), registry=registry) for kind in ("article", "story")
    ]
    documents = [json.loads(line) for text in lines["lines"].to_pylist() for line in text.splitlines()]
    for data in documents:
        judges["targets" in data].validate(data)
    write(flattened(documents), Path(lines["out"][0].as_py()), numbers[0])
    return pa.table({"rows": [len(documents)]})


def datasets(file: Path, out: Path, workers: int) -> None:
    from datasets import Dataset, Features, Value  # slow to load, for the others too

    texts = ["".join(lines) for lines in batches(file)]
    given = Dataset.from_dict({"lines": texts, "out": [str(out)] * len(texts)}).with_format("arrow")
    given.map(
        _mapped, batched=True, batch_size=1, with_indices=True, num_proc=min(workers, len(texts)),
        remove_columns=["lines", "out"], features=Features({"rows": Value("int64")}),
    )  # fmt: skip


SYSTEMS = {"floor": floor, "pandas": pandas, "datasets": datasets}

if __name__ == "__main__":
    name, file, out, workers = sys.argv[1:]
    shutil.rmtree(out, ignore_errors=True)
    assert set(CONFIGS)
    SYSTEMS[name](Path(file), Path(out), int(workers))
