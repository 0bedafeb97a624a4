"""Measure OnRecord against a floor and against what a user would write instead, into RESULTS.md.

    python scripts/bench/run.py [--articles 1000 10000 100000] [--rounds 5] [--kill 60]

The systems take turns in each round, so that a machine's moods fall on all alike; figures are medians over rounds.
"""

from __future__ import annotations

import argparse
import hashlib
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
ALL = (FLOOR, ONE, TWO, DASK, DATASETS, PANDAS)
MOST = {DATASETS: 1_000, PANDAS: 1_000}  # articles that it is given
COUNTING = "for _ in range(40_000_000): pass"
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
        own.update({one.pid: max(own.get(one.pid, 0.0), spent(one)) for one in tree})
        sizes = list(map(resident, [*tree, *others]))
        peak, largest = max(peak, sum(sizes)), max(largest, *sizes)
        meanwhile(process)
        with suppress(psutil.TimeoutExpired):
            process.wait(0.1)
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
        (folder / "scheduler.json").unlink(missing_ok=True)


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


def rounds(file: Path, folder: Path, count: int, names: Sequence[str]) -> dict[str, Cost]:
    """The median costs of systems, by name."""
    found: dict[str, list[Cost]] = {}
    with cluster(folder) as (address, workers):
        commands = systems(file, folder, address)
        for name in [*names] * count:
            cost = measure(commands[name], *(workers if name == DASK else ()))
            found.setdefault(name, []).append(cost)
            print(f"{name:<36} {cost.wall:8.1f} s {cost.largest:8,.0f} MB", file=sys.stderr)
            shutil.rmtree(folder / "out", ignore_errors=True)
    return {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in found.items()}


def digests(file: Path, folder: Path, after: float) -> Iterator[str]:
    """Of builds undisturbed, and with a worker killed after so many seconds: the digest of the manifest, as a line."""
    with cluster(folder) as (address, workers):
        for name, killing in ((TWO, False), (TWO, True), (DASK, True)):
            victims: list[psutil.Process] = []

            def kill(process: psutil.Process, of: str = name, victims: list[psutil.Process] = victims) -> None:
                if not victims and time.time() - process.create_time() > after:
                    victims.append(max(family(process)[1:] if of == TWO else workers[1:], key=resident))
                    victims[0].kill()

            shutil.rmtree(folder / "onrecord", ignore_errors=True)
            others = workers if name == DASK else ()
            measure(systems(file, folder, address)[name], *others, meanwhile=kill if killing else id)
            assert len(victims) == killing
            subprocess.run(
                [*ONRECORD[:-1], "verify", str(folder / "onrecord")], check=True, stdout=subprocess.DEVNULL
            )
            digest = hashlib.sha256((folder / "onrecord/manifest.json").read_bytes()).hexdigest()
            told = f"- {name}, {f'one killed after {after:.0f} s' if killing else 'undisturbed'}: `{digest}`\n"
            print(told, end="", file=sys.stderr)
            yield told


def parallel() -> float:
    """How many times as long two processes take together that only count, as one takes alone."""

    def counting(processes: int) -> float:
        start = time.perf_counter()
        for process in [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(processes)]:
            process.wait()
        return time.perf_counter() - start

    return min(counting(2) for _ in range(3)) / min(counting(1) for _ in range(3))


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
        "included; only Dask's workers are up before. Memory is what is resident, of Dask with scheduler and workers.\n"
        f"What a system was not given, it was too slow for ({PANDAS}), or it would have filled the disk\n"
        f"({DATASETS}: 1.4 MB of cache an article).\n\n"
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB; load averages at the start {load}.\n"
        f"Here two processes that only count take {(slower := parallel()):.2f} times as long together as one alone,\n"
        f"so that two workers can be {2 / slower:.2f} times as fast as one.\n"
        f"Python {platform.python_version()}; {packages}. Texts of {workload.source()}.\n"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options.add_argument("--rounds", type=int, default=5, help="0 for none of what is timed")
    options.add_argument("--kill", type=float, metavar="S", help="at the largest size, kill workers after S seconds")
    options.add_argument("--append", action="store_true", help="to what a former run wrote, on the same machine")
    asked = options.parse_args()
    text = RESULTS.read_text("utf-8") if asked.append else head()
    for articles in asked.articles:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file = workload.write(articles, folder / "articles.jsonl")
            chosen = [one for one in ALL if articles <= MOST.get(one, articles)]
            if asked.rounds:
                text += table(articles, asked.rounds, rounds(file, folder, asked.rounds, chosen))
                RESULTS.write_text(text, "utf-8")
            if asked.kill and articles == max(asked.articles):
                text += f"\n## {articles:,} articles, workers killed\n\n"
                text += "SHA-256 of the manifest, which names that of every file, and `verify` found them so:\n\n"
                text += "".join(digests(file, folder, asked.kill))
        RESULTS.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
