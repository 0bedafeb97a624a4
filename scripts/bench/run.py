"""Measure OnRecord against a floor and against what a user would write instead, into RESULTS.md.

    python scripts/bench/run.py [--articles 1000 10000] [--rounds 5]

The systems take turns in each round, so that a machine's moods fall on all alike; figures are medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
import workload

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
ONRECORD = [sys.executable, "-m", "onrecord.cli", "build"]
PACKAGES = ("onrecord", "pyarrow", "pandas", "datasets", "jsonschema", "jsonschema-rs", "dask")


class Cost(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, children that ended included
    memory: float  # MB, the largest sum over the process tree that was seen


def measure(command: list[str], *others: psutil.Process) -> Cost:
    """What a command costs, and with it the processes that work for it elsewhere."""
    before = sum(map(spent, others))
    start = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, own = 0.0, {}
    while process.poll() is None:
        tree = family(process)
        own.update({one.pid: spent(one) for one in tree})
        peak = max(peak, sum(map(resident, [*tree, *others])))
        time.sleep(0.05)
    wall = time.perf_counter() - start
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Cost(wall, sum(own.values()) + sum(map(spent, others)) - before, peak / 1e6)


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def spent(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.Error:
        return 0.0


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[psutil.Process]]]:
    """A Dask scheduler and two workers of one thread each, over the loopback."""
    where = ["--scheduler-file", str(folder / "scheduler.json"), "--no-dashboard", "--host", "127.0.0.1"]
    dask = [sys.executable, "-m", "dask"]
    commands = [[*dask, "scheduler", *where, "--port", "0"], *[[*dask, "worker", *where, "--nthreads", "1"]] * 2]
    started = []
    try:
        for command in commands:
            started.append(psutil.Popen(command, cwd=folder, stderr=subprocess.DEVNULL))
            while not (folder / "scheduler.json").exists():
                time.sleep(0.1)
        time.sleep(5)  # for the workers to register
        address = json.loads((folder / "scheduler.json").read_text())["address"]
        yield address, [one for process in started for one in family(process)]
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def rounds(file: Path, folder: Path, count: int) -> dict[str, Cost]:
    """The median costs of every system, by name."""
    out = str(folder / "out")
    onrecord = [*ONRECORD, str(file), "--out", str(folder / "onrecord")]
    other = [sys.executable, str(HERE / "floor.py")]
    found: dict[str, list[Cost]] = {}
    with cluster(folder) as (address, workers):
        systems: dict[str, list[str]] = {
            "floor: one process, no validation": [*other, "floor", str(file), out, "1"],
            "OnRecord, one worker": [*onrecord, "--workers", "1"],
            "OnRecord, two workers": [*onrecord, "--workers", "2"],
            "OnRecord, Dask, two workers": [*onrecord, "--engine", "dask", "--scheduler", address],
            "pandas and jsonschema": [*other, "pandas", str(file), out, "1"],
            "datasets, tuned, two processes": [*other, "datasets", str(file), out, "2"],
        }
        for _ in range(count):
            for name, command in systems.items():
                cost = measure(command, *(workers if "Dask" in name else ()))
                found.setdefault(name, []).append(cost)
                print(f"{name:<36} {cost.wall:8.1f} s {cost.memory:8,.0f} MB", file=sys.stderr)
    return {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in found.items()}


def table(articles: int, costs: dict[str, Cost]) -> str:
    least = next(iter(costs.values())).wall
    lines = [
        f"\n## {articles:,} articles\n",
        "| system | wall, s | CPU, s | peak memory, MB | articles a second | wall over the floor's |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {c.wall:.1f} | {c.cpu:.1f} | {c.memory:,.0f} | {articles / c.wall:,.0f} | {c.wall / least:.2f} |"
        for name, c in costs.items()
    ]
    return "\n".join(lines) + "\n"


def head(count: int) -> str:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        "# Speed\n\n"
        f"Made by `python scripts/bench/run.py`: medians of {count} interleaved rounds, each system started anew, its\n"
        "imports included; peak memory is summed over the process tree (of Dask, with scheduler and workers).\n\n"
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB; load averages at the start {load}.\n"
        f"Python {platform.python_version()}; {packages}.\n"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, nargs="+", default=[1_000, 10_000])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--out", type=Path, default=RESULTS)
    asked = options.parse_args()
    text = head(asked.rounds)
    for articles in asked.articles:
        with tempfile.TemporaryDirectory() as folder:
            file = workload.write(articles, Path(folder) / "articles.jsonl")
            text += table(articles, rounds(file, Path(folder), asked.rounds))
        asked.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
