"""Time what a build or a study does apart from building, each alone and in a process of its own, into PARTS.md.

    python scripts/bench/parts.py [--statements 250000 1000000 2000000]

Near-duplicates and unique ids over a corpus; scoring a million predictions; hydration; and how long it takes to read
what was written, at several sizes of row groups and in two orders.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import run
import workload

from onrecord import build, layers, leaks, split, tables
from onrecord.formats import own
from onrecord.model import STANCES

HERE = Path(__file__).parent
RESULTS = HERE / "PARTS.md"
SHARD = 4_000  # statements
COPIED = 0.02  # of contents
PREDICTIONS = 1_000_000
HYDRATED = 2_000  # articles
GROUPS = (2_000, 5_000, 20_000, 100_000)  # rows

# -- corpus-wide checks ----------------------------------------------------------------------------------------


def contents(count: int, folder: Path) -> None:
    """What shards write of so many statements, of words as common as in news; some are copied, like wire stories."""
    chance, said = random.Random(count), [workload.prose(random.Random(count), 20)]
    words = " ".join(workload.sentences()).split()
    for shard in range(-(-count // SHARD)):
        grams = leaks.Grams()
        for number in range(shard * SHARD, min(count, (shard + 1) * SHARD)):
            drawn = " ".join(chance.choices(words, k=chance.randint(10, 30)))
            text = chance.choice(said) if chance.random() < COPIED else drawn
            if number % 100 == 0:
                said.append(text)
            story = f"story-{number // 190:07}"
            grams.add(leaks.Content(f"{story}.article.s{number}", "a.jsonl", story, split.hashed(story)), text)
        grams.write(folder / f"{shard:06}.parquet")


def near_duplicates(folder: str) -> None:
    print(len(leaks.near_duplicates(sorted(Path(folder).glob("*")))))


def unique_ids(count: str) -> None:
    stories = int(count) // 190
    outcomes = [
        build.Outcome(n, stories=[(f"story-{n * 20 + k:07}", "a.jsonl") for k in range(20)])
        for n in range(stories // 20)
    ]
    assert list(build._twice(outcomes)) == []


# -- scoring and hydration -------------------------------------------------------------------------------------


def gold(built: Path, folder: Path) -> Path:
    """A million rows of gold, and predictions for them that are right two times out of three."""
    chance, rows, count = random.Random(1), [], 0
    (folder / "data/stance").mkdir(parents=True)
    files = sorted((built / "data/stance").glob("test*"))
    for copy in range(10_000):
        for number, file in enumerate(files):
            table = pq.read_table(file)
            for name in ("id", "story", "article_id", "statement_id", "target_id", "act"):
                renamed = [f"copy{copy}-{value}" for value in table[name].to_pylist()]
                table = table.set_column(table.column_names.index(name), name, pa.array(renamed))
            tables.write_part(table, folder / f"data/stance/test-{copy:05}-{number:05}.parquet")
            truth = table["stance"].to_pylist()
            guesses = [
                one if chance.random() < 2 / 3 else chance.choice([x for x in STANCES if x != one]) for one in truth
            ]
            rows += zip(table["id"].to_pylist(), guesses, strict=True)
            count += table.num_rows
            if count >= PREDICTIONS:
                shutil.copy(built / tables.MANIFEST, folder)
                with open(folder / "predictions.jsonl", "w", encoding="utf-8") as stream:
                    stream.writelines(f'{{"id": "{one}", "label": "{label}"}}\n' for one, label in rows)
                return folder / "predictions.jsonl"
    raise AssertionError("a build without rows")


def layer(folder: Path) -> None:
    """A layer of articles of the workload, and their texts with other quotes and spaces, which have to be searched."""
    for document in workload.documents(HYDRATED):
        if "targets" in document:
            made, name = document, "story"
        else:
            made, name = layers.dehydrate(document, f"{document['story']}-{document['id']}.txt"), document["id"]
            text = document["text"].replace("'", "’").replace(" ", "  ", 1)
            (folder / "texts").mkdir(parents=True, exist_ok=True)
            (folder / "texts" / f"{document['story']}-{document['id']}.txt").write_text(text, "utf-8")
        file = folder / "layer" / (document["story"] if "story" in document else document["id"]) / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(own.write_json(made), "utf-8")


# -- reading what was written ----------------------------------------------------------------------------------


def seconds(reading: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        reading()
        took.append(time.perf_counter() - start)
    return median(took)


def layouts(built: Path, folder: Path) -> str:
    """How long five ways to read one file of all test rows take, laid out in several ways."""
    rows = pa.concat_tables(pq.read_table(file) for file in sorted((built / "data/stance").glob("test*")))
    by_id = rows.sort_by("id")
    wanted = by_id["id"][len(by_id) // 3].as_py()
    lines = [
        f"{len(rows):,} rows of `stance`:\n",
        "| rows a group | order | MB | `load_dataset` | pandas | three columns | DuckDB, deny by officials | one id |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for order, table in (
        ("by id", by_id),
        ("by stance", rows.sort_by([("stance", "ascending"), ("id", "ascending")])),
    ):
        for size in GROUPS:
            file = folder / "test.parquet"
            pq.write_table(table, file, compression="zstd", compression_level=3, row_group_size=size, version="2.6")
            few = ["id", "stance", "source_type"]
            readings: list[Callable[[], object]] = [
                functools.partial(load, file),
                functools.partial(frame, file),
                functools.partial(frame, file, few),
                functools.partial(ask, f"SELECT text FROM '{file}' WHERE stance='deny' AND source_type='official'"),
                functools.partial(ask, f"SELECT * FROM '{file}' WHERE id='{wanted}'"),
            ]
            took = " | ".join(f"{seconds(reading):.2f}" for reading in readings)
            lines.append(f"| {size:,} | {order} | {file.stat().st_size / 1e6:.1f} | {took} |")
    return "\n".join(lines)


def load(file: Path) -> object:
    from datasets import load_dataset  # slow to load, for the others too

    with tempfile.TemporaryDirectory() as cache:
        return len(load_dataset("parquet", data_files=str(file), cache_dir=cache, split="train"))


def frame(file: Path, columns: list[str] | None = None) -> object:
    import pandas as pd  # likewise

    return pd.read_parquet(file, columns=columns)


def ask(query: str) -> object:
    import duckdb  # likewise

    return duckdb.sql(query).fetchall()


# -- all of it -------------------------------------------------------------------------------------------------


def alone(*command: str) -> run.Cost:
    return run.measure([sys.executable, str(HERE / "parts.py"), "--alone", *command])


def onrecord(*command: str) -> run.Cost:
    return run.measure([sys.executable, "-m", "onrecord.cli", *command])


def row(what: str, cost: run.Cost) -> str:
    return f"| {what} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.largest:,.0f} |\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--statements", type=int, nargs="+", default=[250_000, 1_000_000, 2_000_000])
    options.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.alone:
        {"near_duplicates": near_duplicates, "unique_ids": unique_ids}[asked.alone[0]](asked.alone[1])
        return
    text = (
        f"# Parts\n\nMade by `python scripts/bench/parts.py`, on {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GB; texts of {workload.source()}; imports included, "
        "one run each.\n\n"
        "| what | wall, s | CPU, s | largest process, MB |\n|---|---:|---:|---:|\n"
    )
    for count in asked.statements:
        with tempfile.TemporaryDirectory() as folder:
            contents(count, Path(folder))
            text += row(f"near-duplicates among {count:,} statements", alone("near_duplicates", folder))
    most = max(asked.statements)
    text += row(f"unique ids of the stories of {most:,} statements", alone("unique_ids", str(most)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, built = workload.write(2_000, folder / "articles.jsonl"), folder / "built"
        onrecord("build", str(file), "--out", str(built))
        predictions = gold(built, folder / "gold")
        command = ["score", str(predictions), "--gold", str(folder / "gold")]
        text += row(f"`score` of over {PREDICTIONS:,} predictions, with intervals", onrecord(*command))
        layer(folder)
        for workers in ("1", "2"):
            where = [
                "--from",
                str(folder / "texts"),
                "--out",
                str(folder / f"hydrated-{workers}"),
                "--workers",
                workers,
            ]
            cost = onrecord("hydrate", str(folder / "layer"), *where)
            text += row(f"`hydrate` of {HYDRATED:,} articles, and their build, {workers} workers", cost)
        text += (
            "\nReading what was written, seconds, medians of three, from a warm disk cache. "
            + layouts(built, folder)
            + "\n"
        )
    RESULTS.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
