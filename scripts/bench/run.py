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
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
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
PAIR = "two such builds side by side"  # of one worker, that share nothing but the machine
TWO_KILLED, DASK_KILLED = f"{TWO}, one killed", f"{DASK}, one killed"
DATASETS, PANDAS = "datasets, tuned, two processes", "pandas and jsonschema"
ALL = (FLOOR, ONE, PAIR, TWO, DASK, DATASETS, PANDAS)
KILLED = (TWO_KILLED, DASK_KILLED)
MOST = {PAIR: 1_000, DATASETS: 1_000, PANDAS: 1_000}  # articles that it is given
PACKAGES = ("onrecord", "pyarrow", "pandas", "datasets", "jsonschema", "jsonschema-rs", "dask")


class Cost(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, children that ended included
    memory: float  # MB, the largest sum over the process tree that was seen
    largest: float  # MB, of the process in it that took most


Costs = dict[str, Cost]  # by the system's name


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


def command(name: str, file: Path, folder: Path, address: str) -> list[str]:
    """What runs a system over a file, into the folder `out` of a folder."""
    other = [sys.executable, str(HERE / "floor.py")]
    onrecord, rest = [*ONRECORD, str(file), "--out"], [str(file), str(folder / "out")]
    one = [*onrecord, str(folder / "out"), "--workers", "1"]
    beside = [*onrecord, str(folder / "out/beside"), "--workers", "1"]
    return {
        FLOOR: [*other, "floor", *rest, "1"],
        ONE: one,
        PAIR: [
            "sh",
            "-c",
            f"{shlex.join(beside)} & {shlex.join([*one[:-3], f'{folder}/out/this', *one[-2:]])}; wait",
        ],
        TWO: [*one[:-1], "2"],
        TWO_KILLED: [*one[:-1], "2"],
        DASK: [*one[:-2], "--engine", "dask", "--scheduler", address],
        DASK_KILLED: [*one[:-2], "--engine", "dask", "--scheduler", address],
        DATASETS: [*other, "datasets", *rest, "2"],
        PANDAS: [*other, "pandas", *rest, "1"],
    }[name]


def once(name: str, file: Path, folder: Path, killed_after: float) -> tuple[Cost, str]:
    """What a system costs, and the digest of the manifest where it is a build; `verify` found the files as it says."""
    victims: list[psutil.Process] = []
    with cluster(folder) if "Dask" in name else nullcontext(("", [])) as (address, workers):

        def kill(build: psutil.Process) -> None:
            if not victims and time.time() - build.create_time() > killed_after:
                victims.append(max(workers[1:] or family(build)[1:], key=resident))
                victims[0].kill()

        doing = command(name, file, folder, address)
        cost = measure(doing, *workers, meanwhile=kill if name in KILLED else id)
    assert len(victims) == (name in KILLED), "the build ended before its worker was killed"
    digest, manifest = "", folder / "out/manifest.json"
    if manifest.exists():
        subprocess.run([*ONRECORD[:-1], "verify", str(folder / "out")], check=True, stdout=subprocess.DEVNULL)
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    shutil.rmtree(folder / "out", ignore_errors=True)
    print(f"{name:<42} {cost.wall:8.1f} s {cost.largest:8,.0f} MB {digest[:8]}", file=sys.stderr, flush=True)
    return cost, digest


def rounds(file: Path, folder: Path, count: int, names: Sequence[str], killed_after: float) -> tuple[Costs, set[str]]:
    """The median costs of systems, by name, and the digests of all that they built."""
    found: dict[str, list[Cost]] = {}
    digests = set()
    for name in [*names] * count:
        cost, digest = once(name, file, folder, killed_after)
        found.setdefault(name, []).append(cost)
        digests.add(digest)
    return {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in found.items()}, digests - {""}


def table(articles: int, count: int, costs: Costs, digests: set[str]) -> str:
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
    if PAIR in costs:
        ceiling = 2 * costs[ONE].wall / costs[PAIR].wall
        ratios.append(f"- {ONE}, twice, over {PAIR}: {ceiling:.2f}, which is what a second core is worth here")
    same = "- SHA-256 of the manifest of every build by OnRecord, which names that of every file"
    ratios += [f"{same if len(digests) == 1 else '- differing'}: `{digest}`" for digest in sorted(digests)]
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
        f"Python {platform.python_version()}; {packages}. Texts of {workload.source()}.\n"
    )


def with_table(text: str, measured: str) -> str:
    """The results with a table by its number of articles, in the place of a former one of as many."""
    begin, *tables = re.split(r"\n(?=## )", text + measured)
    by_size = {int(one.split()[1].replace(",", "")): one for one in tables}
    return "\n".join([begin, *(by_size[size] for size in sorted(by_size))])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument(
        "--kill", type=float, metavar="S", help="at the largest size, also kill workers after S seconds"
    )
    options.add_argument("--append", action="store_true", help="to what a former run wrote, on the same machine")
    asked = options.parse_args()
    text = RESULTS.read_text("utf-8") if asked.append else head()
    for articles in asked.articles:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file = workload.write(articles, folder / "articles.jsonl")
            chosen = [one for one in ALL if articles <= MOST.get(one, articles)]
            if asked.kill and articles == max(asked.articles):
                chosen += KILLED
            measured = table(articles, asked.rounds, *rounds(file, folder, asked.rounds, chosen, asked.kill))
        text = with_table(text, measured)
        RESULTS.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
