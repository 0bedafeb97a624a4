"""What OnRecord is measured against: the floor, and what a user would write instead. Each writes the same tables.

    python scripts/bench/floor.py floor|pandas|datasets ARTICLES.jsonl OUT WORKERS

`floor` reads, flattens and writes in one process, without any validation or digest. `pandas` validates each line with
jsonschema and builds frames. `datasets` maps Arrow batches through the fast validator, with as many processes as asked,
to one table, filters it and writes what it finds.
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import referencing
from referencing.jsonschema import DRAFT202012

from onrecord import check, split, tables
from onrecord.model import CONFIGS, SCHEMAS, SPLITS, Story, arrow_schema

BATCH = 200  # articles; larger ones take longer
Lines = Iterable[str]


def flattened(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, pa.Table]]:
    """Configuration, split and table of some stories' documents, trusted blindly."""
    gc.disable()  # as we do
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
            frame: pd.DataFrame = table.to_pandas()
            frame.to_parquet(target, schema=arrow_schema(config), compression="zstd", index=False)


# Rows of all configurations in one table, as one `map` can give them: a column means the same in each of them.
WIDE = pa.unify_schemas([arrow_schema(config) for config in CONFIGS]).append(pa.field("config", pa.string()))
WIDE = WIDE.append(pa.field("split", pa.string()))


@cache
def _judges() -> list[jsonschema_rs.Validator]:
    registry = jsonschema_rs.Registry([(f"{name}.schema.json", schema) for name, schema in SCHEMAS.items()])
    return [
        jsonschema_rs.Draft202012Validator(dict(SCHEMAS[kind]), registry=registry) for kind in ("article", "story")
    ]


def _mapped(lines: pa.Table) -> pa.Table:
    documents = [json.loads(line) for text in lines["lines"].to_pylist() for line in text.splitlines()]
    for data in documents:
        _judges()["targets" in data].validate(data)
    found = (
        table.append_column("config", pa.repeat(config, len(table))).append_column(
            "split", pa.repeat(place, len(table))
        )
        for config, place, table in flattened(documents)
    )
    return pa.concat_tables([WIDE.empty_table(), *found], promote_options="default")


def _chosen(rows: pa.Table, config: str, split: str) -> pa.Table:
    mine = rows.filter(pc.and_(pc.equal(rows["config"], config), pc.equal(rows["split"], split)))
    return mine.select(arrow_schema(config).names)


def datasets(file: Path, out: Path, workers: int) -> None:
    from datasets import Dataset, Features  # slow to load, for the others too

    def mapped(given: Any, function: Any, schema: pa.Schema, name: str, **options: Any) -> Any:
        return given.with_format("arrow").map(
            function, batched=True, num_proc=min(workers, len(given)), remove_columns=given.column_names,
            features=Features.from_arrow_schema(schema), cache_file_name=str(out / f"{name}.arrow"), **options,
        )  # fmt: skip

    out.mkdir(parents=True)
    lines = Dataset.from_dict({"lines": ["".join(lines) for lines in batches(file)]})
    rows = mapped(lines, _mapped, WIDE, "rows", batch_size=1)
    for config, place in ((config, place) for config in CONFIGS for place in SPLITS):
        chosen = {"fn_kwargs": {"config": config, "split": place}, "batch_size": tables.ROW_GROUP}
        mine = mapped(rows, _chosen, arrow_schema(config), f"{config}-{place}", **chosen)
        if len(mine):
            with pq.ParquetWriter(
                out / f"{config}-{place}.parquet", arrow_schema(config), compression="zstd"
            ) as part:
                for batch in mine.with_format("arrow").iter(tables.ROW_GROUP):
                    part.write_table(batch)


SYSTEMS = {"floor": floor, "pandas": pandas, "datasets": datasets}

if __name__ == "__main__":
    name, file, out, workers = sys.argv[1:]
    shutil.rmtree(out, ignore_errors=True)
    assert set(CONFIGS)
    SYSTEMS[name](Path(file), Path(out), int(workers))
