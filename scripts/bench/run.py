"""Measure OnRecord against a floor and against what a user would write instead, into RESULTS.md.

    python scripts/bench/run.py [--articles 1000 10000 100000] [--rounds 5] [--kill 60]

The systems take turns in each round, so that a machine's moods fall on all alike; figures are medians over rounds.
A table takes the place of a former one of as many articles; the others stay.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import resource
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
MOST = {PAIR: 1_000, DATASETS: 10_000, PANDAS: 1_000}  # articles that it is given, to save time and disk
# They let workers give back what they free: the first as README has it and as our own pool does, the second as a nanny
# does, without which a worker that is killed stays so.
GIVING_BACK = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_TRIM_THRESHOLD_": "65536"}
CPUS = Path("/proc/cpuinfo")
PACKAGES = ("onrecord", "pyarrow", "pandas", "datasets", "jsonschema", "jsonschema-rs", "dask")


class Cost(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, of all children too
    memory: float  # MB, the largest sum over the process tree that was seen
    largest: float  # MB, the most that one process in it took


def measure(command: list[str], *others: psutil.Process, meanwhile: Callable[[psutil.Process], None] = id) -> Cost:
    """What a command costs, and with it the processes that work for it elsewhere; `meanwhile` is told of it often."""
    before, ended = list(map(spent, others)), of_children()
    worked = before
    start = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = largest = 0.0
    while process.poll() is None:
        sizes = list(map(resident, [*family(process), *others]))
        peak, largest = max(peak, sum(sizes)), max([largest, *sizes])
        worked = list(map(max, worked, map(spent, others)))  # one may be killed
        meanwhile(process)
        with suppress(psutil.TimeoutExpired):
            process.wait(0.2)
    wall = time.perf_counter() - start
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{command} ended with {process.returncode}")
    cpu = of_children() - ended + sum(worked) - sum(before)
    return Cost(wall, cpu, peak / 1e6, largest / 1e6)


def of_children() -> float:
    """Seconds of all processes that ended as children of this one, or of such children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
    import distributed  # for nobody else to load

    where = ["--scheduler-file", str(folder / "scheduler.json"), "--no-dashboard", "--host", "127.0.0.1"]
    dask = [sys.executable, "-m", "dask"]
    worker = ["worker", *where, "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
    commands = [[*dask, "scheduler", *where, "--port", "0"], *[[*dask, *worker]] * 2]
    started, environment = [], {**os.environ, **GIVING_BACK}
    try:
        for command in commands:
            started.append(psutil.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL))
            while not (folder / "scheduler.json").exists():
                if started[0].poll() is not None:
                    raise RuntimeError("the scheduler ended")
                time.sleep(0.1)
        address = json.loads((folder / "scheduler.json").read_text())["address"]
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, started
    finally:
        for process in reversed(started):
            with suppress(psutil.NoSuchProcess):  # it was killed
                process.terminate()
            process.wait()
        (folder / "scheduler.json").unlink(missing_ok=True)


def command(name: str, file: Path, folder: Path, address: str) -> list[str]:
    """What runs a system over a file, into the folder `out` of a folder."""

    def build(*rest: str, out: str = "out") -> list[str]:
        return [*ONRECORD, str(file), "--out", str(folder / out), *rest]

    def other(system: str, workers: str) -> list[str]:
        return [sys.executable, str(HERE / "floor.py"), system, str(file), str(folder / "out"), workers]

    one, two = (shlex.join(build("--workers", "1", out=f"out/{beside}")) for beside in "12")
    return {
        FLOOR: other("floor", "1"),
        ONE: build("--workers", "1"),
        PAIR: ["sh", "-c", f"{one} & {two}; code=$?; wait $!; exit $(($? | code))"],
        TWO: build("--workers", "2"),
        TWO_KILLED: build("--workers", "2"),
        DASK: build("--engine", "dask", "--scheduler", address),
        DASK_KILLED: build("--engine", "dask", "--scheduler", address),
        DATASETS: other("datasets", "2"),
        PANDAS: other("pandas", "1"),
    }[name]


def once(name: str, file: Path, folder: Path, killed_after: float | None) -> tuple[Cost, set[str]]:
    """What a run costs, and the digests of the manifests of what it built, whose files have the bytes that they name."""
    victims: list[psutil.Process] = []
    with cluster(folder) if "Dask" in name else nullcontext(("", [])) as (address, workers):

        def kill(build: psutil.Process) -> None:
            there = workers[1:] or family(build)[1:]
            if there and not victims and killed_after and time.time() - build.create_time() > killed_after:
                victims.append(max(there, key=resident))
                victims[0].kill()

        doing = command(name, file, folder, address)
        cost = measure(doing, *workers, meanwhile=kill if name in KILLED else id)
    if len(victims) != (name in KILLED):
        raise RuntimeError("the build ended before its worker was killed")
    digests = set()
    for manifest in (folder / "out").glob("**/manifest.json"):
        for file, entry in json.loads(manifest.read_bytes())["files"].items():
            if digest(manifest.parent / file) != entry["sha256"]:
                raise RuntimeError(f"{name} wrote other bytes to {file} than its manifest names")
        digests.add(digest(manifest))
    shutil.rmtree(folder / "out", ignore_errors=True)
    print(f"{name:<52} {cost.wall:8.1f} s {cost.largest:8,.0f} MB", file=sys.stderr, flush=True)
    return cost, digests


def digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def rounds(
    file: Path, folder: Path, count: int, names: Sequence[str], killed_after: float | None
) -> tuple[dict[str, list[Cost]], str]:
    """The costs of systems, by name, and the digest of the manifest of all that was built. Raises where they differ."""
    found: dict[str, list[Cost]] = {}
    digests: set[str] = set()
    for name in [*names] * count:
        cost, built = once(name, file, folder, killed_after)
        found.setdefault(name, []).append(cost)
        digests |= built
        if len(digests) > 1:
            raise RuntimeError(f"{name} built something else: {digests}")
    return found, digests.pop()


def table(articles: int, count: int, found: dict[str, list[Cost]], digest: str) -> str:
    lines = [
        f"\n## {articles:,} articles, {f'medians of {count} rounds' if count > 1 else 'one round'}\n",
        f"By `{shlex.join(['python', 'scripts/bench/run.py', *sys.argv[1:]])}`.\n",
        "| system | wall, s | from – to | CPU, s | all memory, MB | largest process, MB | articles a second |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    costs = {name: Cost(*map(median, zip(*rounds, strict=True))) for name, rounds in found.items()}
    for name, c in costs.items():
        walls = [one.wall for one in found[name]]
        lines.append(
            f"| {name} | {c.wall:.1f} | {min(walls):.1f} – {max(walls):.1f} | {c.cpu:.1f} | {c.memory:,.0f} "
            f"| {c.largest:,.0f} | {articles * (1 + (name == PAIR)) / c.wall:,.0f} |"
        )
    wanted = ((ONE, FLOOR, "at most 1.7"), (ONE, TWO, "at least 1.8"), (DATASETS, TWO, "at least 1.4"))
    ratios = [
        f"- {one}, over {other}: {costs[one].wall / costs[other].wall:.2f} (aim: {aim})"
        for one, other, aim in wanted
        if one in costs and other in costs
    ]
    if PAIR in costs:
        ratio = 2 * costs[ONE].wall / costs[PAIR].wall
        ratios.append(f"- {ONE}, twice, over {PAIR}: {ratio:.2f}, which is what a second core is worth here")
    ratios.append(
        f"- SHA-256 of the manifest, which names that of every file, of every build by OnRecord: `{digest}`"
    )
    return "\n".join([*lines, "", *ratios]) + "\n"


def head() -> str:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    found = re.search(r"model name\s*: (.*)", CPUS.read_text()) if CPUS.exists() else None
    return (
        "# Speed\n\n"
        "Made by `scripts/bench/run.py`. In each round every system takes its turn, started anew, its imports included;\n"
        "only Dask's scheduler and workers are up before. CPU is the kernel's account of a command and its children.\n"
        "Memory is what was resident, five times a second: a page that processes share counts for each, and Dask's\n"
        "scheduler and workers are counted in. Articles have one annotator; near-duplicates are not sought. The floor,\n"
        "`datasets` and pandas lay rows out with OnRecord's own code, without its checks of offsets and references\n"
        "and without digests. `datasets` maps Arrow batches through the validator to one cached table and filters it.\n"
        f"It was given no more than {MOST[DATASETS]:,} articles, of which its cache takes 7 GB; pandas and two builds\n"
        f"side by side no more than {MOST[PANDAS]:,}, to save time. Dask's workers allocate as README has it; of two,\n"
        "one that is killed is not replaced; of a pool's, it is.\n\n"
        "Where an aim is missed: a thousand articles are four shards, beside which the imports of each process weigh\n"
        "as much as one of them. What OnRecord takes beyond the floor's CPU are checks of places, references and the\n"
        "scheme, and digests of rows and files, which `datasets` does without. The machine's pace wanders between\n"
        "rounds, as ranges show; a single round is no more exact than that, and no second core is worth more than 2.\n\n"
        f"Machine: {os.cpu_count()} cores ({found[1] if found else platform.machine()}), {memory:.0f} GiB.\n"
        f"Python {platform.python_version()}; {packages}. Texts of {workload.source()}.\n"
    )


def with_table(text: str, measured: str) -> str:
    """The results under a new head, with a table by its number of articles, in the place of one of as many."""
    _, *tables = re.split(r"\n(?=## )", text + measured)
    by_size = {int(one.split()[1].replace(",", "")): one for one in tables}
    return "\n".join([head(), *(by_size[size] for size in sorted(by_size))])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument(
        "--kill", type=float, metavar="S", help="at the largest size, also kill workers after S seconds"
    )
    options.add_argument("--new", action="store_true", help="keep no table of a former run; for another machine")
    asked = options.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as they are for a user
    text = head() if asked.new or not RESULTS.exists() else RESULTS.read_text("utf-8")
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
