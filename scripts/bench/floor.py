"""What OnRecord is measured against: the floor, and what a user would write instead. Each writes the same tables.

    python scripts/bench/floor.py floor|pandas|datasets ARTICLES.jsonl OUT WORKERS

`floor` reads, flattens and writes in one process, without any validation or digest. `pandas` validates each line with
jsonschema and builds frames. `datasets` maps Arrow batches through the fast validator, with as many processes as asked,
to one cached table, filters that batch by batch and writes what it finds. All three lay rows out with our own
`tables.Tables`: beside OnRecord they show what its checks, digests and workers cost, not what laying out costs.
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onrecord import check, split, tables
from onrecord.model import CONFIGS, SCHEMAS, Story, arrow_schema

BATCH = 200  # articles
WRITTEN: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "version": "2.6"}  # as tables.write_part
Lines = Iterable[str]


def flattened(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, pa.Table]]:
    """Configuration, split and table of some stories' documents, trusted blindly."""
    gc.disable()  # as a shard does: its rows hold no cycles
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


def floor(file: Path, out: Path, _workers: int) -> None:
    for number, lines in enumerate(batches(file)):
        write(flattened(map(json.loads, lines)), out, number)


def pandas(file: Path, out: Path, _workers: int) -> None:
    import jsonschema  # none of this is for the others to load
    import pandas as pd
    import referencing
    from referencing.jsonschema import DRAFT202012

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
            frame.to_parquet(target, schema=arrow_schema(config), index=False, **WRITTEN)


# Rows of all configurations in one table, as one `map` can give them: a column means the same in each of them.
WIDE = pa.unify_schemas([arrow_schema(config) for config in CONFIGS]).append(pa.field("config", pa.string()))
WIDE = WIDE.append(pa.field("split", pa.string()))


@cache
def _judges() -> list[Any]:
    import jsonschema_rs

    registry = jsonschema_rs.Registry([(f"{name}.schema.json", schema) for name, schema in SCHEMAS.items()])
    return [
        jsonschema_rs.Draft202012Validator(dict(SCHEMAS[kind]), registry=registry) for kind in ("article", "story")
    ]


def _mapped(lines: pa.Table) -> pa.Table:
    documents = [json.loads(line) for text in lines["lines"].to_pylist() for line in text.split("\n") if line]
    for data in documents:
        _judges()["targets" in data].validate(data)
    found = (
        table.append_column("config", pa.repeat(config, len(table))).append_column(
            "split", pa.repeat(place, len(table))
        )
        for config, place, table in flattened(documents)
    )
    return pa.concat_tables([WIDE.empty_table(), *found], promote_options="default")


def datasets(file: Path, out: Path, workers: int) -> None:
    from datasets import Dataset, Features  # slow to load, for the others too

    out.mkdir(parents=True)
    lines = Dataset.from_dict({"lines": ["".join(lines) for lines in batches(file)]})
    rows = lines.with_format("arrow").map(
        _mapped, batched=True, batch_size=1, num_proc=min(workers, len(lines)), remove_columns=lines.column_names,
        features=Features.from_arrow_schema(WIDE), cache_file_name=str(out / "rows.arrow"),
    )  # fmt: skip
    with ExitStack() as open_ones:
        parts: dict[tuple[str, str], pq.ParquetWriter] = {}
        for batch in rows.with_format("arrow").iter(tables.ROW_GROUP):
            there = batch.select(["config", "split"]).group_by(["config", "split"]).aggregate([]).to_pylist()
            for config, place in (one.values() for one in there):
                if (config, place) not in parts:
                    made = pq.ParquetWriter(out / f"{config}-{place}.parquet", arrow_schema(config), **WRITTEN)
                    parts[config, place] = open_ones.enter_context(made)
                chosen = pc.and_(pc.equal(batch["config"], config), pc.equal(batch["split"], place))
                parts[config, place].write_table(batch.filter(chosen).select(arrow_schema(config).names))


SYSTEMS = {"floor": floor, "pandas": pandas, "datasets": datasets}

if __name__ == "__main__":
    name, file, out, workers = sys.argv[1:]
    shutil.rmtree(out, ignore_errors=True)
    SYSTEMS[name](Path(file), Path(out), int(workers))
