"""Measure OnRecord against a floor and against what a user would write instead, into RESULTS.md.

    python scripts/bench/run.py [--articles 1000 10000 100000] [--rounds 5] [--kill 60]

The systems take turns in each round, so that a machine's moods fall on all alike; figures are medians over rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
import workload

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
ONRECORD = [sys.executable, "-m", "onrecord.cli", "build"]
FLOOR, ONE = "floor: one process, no validation", "OnRecord, one worker"
TWO, DASK = "OnRecord, two workers", "OnRecord, Dask, two workers"
DATASETS, PANDAS = "datasets, tuned, two processes", "pandas and jsonschema"
MOST = {DATASETS: 1_000, PANDAS: 1_000}  # articles that it is given
PACKAGES = ("onrecord", "pyarrow", "pandas", "datasets", "jsonschema", "jsonschema-rs", "dask")


class Cost(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, children that ended included
    memory: float  # MB, the largest sum over the process tree that was seen
    largest: float  # MB, of the process in it that took most


def measure(command: list[str], *others: psutil.Process, meanwhile: Callable[[psutil.Process], None] = id) -> Cost:
    """What a command costs, and with it the processes that work for it elsewhere; `meanwhile` is told of it often."""
    before = sum(map(spent, others))
    start = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, largest, own = 0.0, 0.0, {}
    while process.poll() is None:
        tree = family(process)
        own.update({one.pid: spent(one) for one in tree})
        sizes = list(map(resident, [*tree, *others]))
        peak, largest = max(peak, sum(sizes)), max(largest, *sizes)
        meanwhile(process)
        time.sleep(0.1)
    wall = time.perf_counter() - start
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Cost(wall, sum(own.values()) + sum(map(spent, others)) - before, peak / 1e6, largest / 1e6)


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
    worker = ["worker", *where, "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
    commands = [[*dask, "scheduler", *where, "--port", "0"], *[[*dask, *worker]] * 2]
    started = []
    try:
        for command in commands:
            started.append(psutil.Popen(command, cwd=folder, stderr=subprocess.DEVNULL))
            while not (folder / "scheduler.json").exists():
                time.sleep(0.1)
        time.sleep(5)  # for the workers to register
        yield json.loads((folder / "scheduler.json").read_text())["address"], started
    finally:
        for process in reversed(started):
            with suppress(psutil.NoSuchProcess):  # it was killed
                process.terminate()
            process.wait()
        (folder / "scheduler.json").unlink()


def systems(file: Path, folder: Path, address: str) -> dict[str, list[str]]:
    onrecord = [*ONRECORD, str(file), "--out", str(folder / "onrecord")]
    others = [sys.executable, str(HERE / "floor.py")]
    return {
        FLOOR: [*others, "floor", str(file), str(folder / "out"), "1"],
        ONE: [*onrecord, "--workers", "1"],
        TWO: [*onrecord, "--workers", "2"],
        DASK: [*onrecord, "--engine", "dask", "--scheduler", address],
        DATASETS: [*others, "datasets", str(file), str(folder / "out"), "2"],
        PANDAS: [*others, "pandas", str(file), str(folder / "out"), "1"],
    }


def rounds(
    articles: int, file: Path, folder: Path, count: int, only: Sequence[str]
) -> tuple[dict[str, Cost], set[str]]:
    """The median costs of every system, by name, and the digests of all manifests that OnRecord wrote."""
    found: dict[str, list[Cost]] = {}
    digests = set()
    with cluster(folder) as (address, workers):
        chosen = {
            name: command
            for name, command in systems(file, folder, address).items()
            if articles <= MOST.get(name, articles) and (not only or name in only)
        }
        for _ in range(count):
            for name, command in chosen.items():
                cost = measure(command, *(workers if name == DASK else ()))
                found.setdefault(name, []).append(cost)
                print(f"{name:<36} {cost.wall:8.1f} s {cost.largest:8,.0f} MB", file=sys.stderr)
                digests |= {manifest(folder)} if name in (ONE, TWO, DASK) else set()
                shutil.rmtree(folder / "out", ignore_errors=True)
    return {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in found.items()}, digests


def manifest(folder: Path) -> str:
    """The digest of a build's manifest, which names that of every file."""
    return hashlib.sha256((folder / "onrecord/manifest.json").read_bytes()).hexdigest()


def killed(file: Path, folder: Path, after: float) -> dict[str, str]:
    """The digests of a pool's and of a cluster's manifest, a worker of which was killed after so many seconds."""
    digests = {}
    with cluster(folder) as (address, workers):
        for name in (TWO, DASK):
            victims = []

            def kill(process: psutil.Process, of: str = name, victims: list[psutil.Process] = victims) -> None:
                if not victims and time.time() - process.create_time() > after:
                    alive = family(process)[1:] if of == TWO else workers[1:]
                    victims.append(max(alive, key=resident))
                    victims[0].kill()

            shutil.rmtree(folder / "onrecord")
            cost = measure(systems(file, folder, address)[name], *(workers if name == DASK else ()), meanwhile=kill)
            print(f"{name}, one killed: {cost.wall:.1f} s", file=sys.stderr)
            assert victims
            subprocess.run(
                [*ONRECORD[:-1], "verify", str(folder / "onrecord")], check=True, stdout=subprocess.DEVNULL
            )
            digests[f"{name}, one killed after {after:.0f} s"] = manifest(folder)
    return digests


def table(articles: int, count: int, costs: dict[str, Cost]) -> str:
    lines = [
        f"\n## {articles:,} articles, {'median of ' if count > 1 else ''}{count} round{'s' if count > 1 else ''}\n",
        "| system | wall, s | CPU, s | all memory, MB | largest process, MB | articles a second |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {c.wall:.1f} | {c.cpu:.1f} | {c.memory:,.0f} | {c.largest:,.0f} | {articles / c.wall:,.0f} |"
        for name, c in costs.items()
    ]
    wanted = ((ONE, FLOOR, "at most 1.7"), (ONE, TWO, "at least 1.8"), (DATASETS, TWO, "at least 1.4"))
    ratios = [
        f"- {one}, over {other}: {costs[one].wall / costs[other].wall:.2f} (aim: {aim})"
        for one, other, aim in wanted
        if one in costs and other in costs
    ]
    return "\n".join([*lines, "", *ratios]) + "\n"


def head() -> str:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        "# Speed\n\n"
        "Made by `python scripts/bench/run.py`. In each round every system takes its turn, started anew, its imports\n"
        "included. Memory is what is resident, of Dask with scheduler and workers. What a system was not given, it was\n"
        f"too slow for ({PANDAS}), or it would have filled the disk ({DATASETS}: 1.4 MB of cache an article).\n\n"
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB; load averages at the start {load}.\n"
        f"Python {platform.python_version()}; {packages}. Texts of {workload.source()}.\n"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options.add_argument(
        "--rounds", type=int, nargs="+", default=[5], help="of each size; the last goes for the rest"
    )
    options.add_argument("--kill", type=float, metavar="S", help="kill workers after S seconds, at the largest size")
    options.add_argument("--only", nargs="+", default=[], metavar="SYSTEM", help="some of the systems")
    options.add_argument("--append", action="store_true", help="to what a former run wrote, on the same machine")
    options.add_argument("--out", type=Path, default=RESULTS)
    asked = options.parse_args()
    text = asked.out.read_text("utf-8") if asked.append else head()
    for articles, count in itertools.zip_longest(asked.articles, asked.rounds, fillvalue=asked.rounds[-1]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file = workload.write(articles, folder / "articles.jsonl")
            costs, digests = rounds(articles, file, folder, count, asked.only)
            text += table(articles, count, costs)
            asked.out.write_text(text, "utf-8")
            if asked.kill and articles == max(asked.articles):
                text += digest_list(digests, killed(file, folder, asked.kill))
        asked.out.write_text(text, "utf-8")


def digest_list(undisturbed: set[str], after: dict[str, str]) -> str:
    found = {"undisturbed, all engines": " and ".join(sorted(undisturbed)), **after}
    lines = [f"- {name}: `{digest}`" for name, digest in found.items()]
    return "\nSHA-256 of the manifest, which names that of every file:\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
