"""Whoever does the work, in one go or in shares, and whoever is killed on the way: the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onrecord import build, cli, formats, tables
from onrecord.formats import own

ROOT = Path(__file__).parents[1]
VISIT = ROOT / "tests/cases/valid/visit"
PATIENCE = 60  # seconds for what takes one, on a busy machine

# What a worker loads: where MARKER names a file, the first that meets the story `visit-2` kills itself; while a file
# stands that SLOW names, a shard takes seconds.
DEADLY = """
import os, signal, sys, time
from pathlib import Path
from onrecord import build

done = build.undisturbed = getattr(build, "undisturbed", build.work)  # Dask loads this twice

def work(number, shard, staging, settings):
    if os.path.exists(os.environ.get("SLOW", "")):
        time.sleep(4)
    marker = Path(os.environ.get("MARKER", os.devnull))
    if shard[0].story == "visit-2" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return done(number, shard, staging, settings)

if {"MARKER", "SLOW"} & os.environ.keys():
    build.work = work
build.SHARD_DOCUMENTS, build.POOL_BYTES = 1, 0
"""
BUILD = """
if __name__ == "__main__":
    report = build.build([sys.argv[1]], sys.argv[2], workers=3, scheduler=sys.argv[3] if sys.argv[3:] else None)
    sys.exit(f"{report.findings}" if report.failed else 0)
"""


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != build.LOCK)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six stories of three articles, with annotators, gates and splits, so that everything shared is asked."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(6):
        story = shutil.copytree(VISIT, folder / f"visit-{i}")
        for file in story.glob("*.json"):
            data = json.loads(file.read_text())
            data["story" if "story" in data else "id"] = story.name
            file.write_text(json.dumps(data))
    return folder


@pytest.fixture(scope="module")
def undivided(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undivided") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SHARD_DOCUMENTS", 1)
        assert build.build([corpus], out, near_duplicates=True).manifest is not None
    assert len(list(out.glob("data/stance/test-*"))) > 1
    assert (out / "leaks.csv").exists()
    return out


@pytest.fixture
def shares(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(build, "SHARD_DOCUMENTS", 1)
    folders = [tmp_path / f"share-{i}" for i in range(4)]
    for i, folder in enumerate(folders):
        assert share(corpus, folder, f"{i}/4") in (cli.CLEAN, cli.WARNINGS)
    return folders


def share(corpus: Path, out: Path, which: str, *options: str) -> int:
    command = ["build", str(corpus), "--out", str(out), "--shard", which, "--workers", "1", "--near-duplicates"]
    return cli.main([*command, *options])


def merge(out: Path, *folders: Path) -> int:
    return cli.main(["merge", *map(str, folders), "--out", str(out)])


# -- shares ----------------------------------------------------------------------------------------------------


def test_shares_merge_to_the_bytes_of_the_undivided_build(
    shares: list[Path], undivided: Path, tmp_path: Path
) -> None:
    assert merge(tmp_path / "out", *reversed(shares)) == cli.WARNINGS  # copies of a story leak from split to split
    assert contents(tmp_path / "out") == contents(undivided)
    assert tables.verify(tmp_path / "out") == []


def test_more_shares_than_shards_merge_too(corpus: Path, tmp_path: Path) -> None:
    for i in range(3):
        share(corpus, tmp_path / f"{i}", f"{i}/3")
    assert merge(tmp_path / "out", *(tmp_path / f"{i}" for i in range(3))) == cli.WARNINGS
    build.build([corpus], tmp_path / "whole", near_duplicates=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.security("faults")
def test_only_the_share_of_a_killed_task_is_run_again(
    shares: list[Path], undivided: Path, corpus: Path, tmp_path: Path
) -> None:
    (shares[1] / build.SHARE).unlink()
    (shares[1] / build.STAGING).mkdir()
    assert merge(tmp_path / "out", *shares) == cli.ERRORS
    share(corpus, shares[1], "1/4")
    merge(tmp_path / "out", *shares)
    assert contents(tmp_path / "out") == contents(undivided)


def test_a_corpus_with_lists_and_gates_merges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SHARD_DOCUMENTS", 1)
    corpus = ROOT / "dataset"
    build.build([corpus], tmp_path / "whole")
    for i in range(2):
        share(corpus, tmp_path / f"{i}", f"{i}/2")
    merge(tmp_path / "out", tmp_path / "0", tmp_path / "1")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_an_error_in_a_share_is_an_error_of_the_whole(corpus: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(corpus, tmp_path / "bad")
    (bad / "visit-3/gazette.json").write_text("{")
    codes = [share(bad, tmp_path / f"{i}", f"{i}/2", "--keep-going") for i in range(2)]
    assert cli.ERRORS in codes
    assert merge(tmp_path / "out", tmp_path / "0", tmp_path / "1") == cli.ERRORS
    build.build([bad], tmp_path / "whole", near_duplicates=True, keep_going=True)
    assert (tmp_path / "whole/rejects.jsonl").exists() or contents(tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.security("guards")
def test_a_share_that_is_missing_is_named(
    shares: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert merge(tmp_path / "out", shares[0], shares[2]) == cli.ERRORS
    told = capsys.readouterr().err
    assert "share 1/4 is not there" in told
    assert "share 3/4 is not there" in told
    assert "[5 share-missing]" in told


@pytest.mark.security("guards")
def test_a_share_that_is_there_twice_is_named(
    shares: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shares[1], tmp_path / "again")
    assert merge(tmp_path / "out", *shares, tmp_path / "again") == cli.ERRORS
    told = capsys.readouterr().err
    assert f"{shares[1]}: is share 1/4, as is {tmp_path / 'again'}" in told
    assert "[5 share-double]" in told


@pytest.mark.security("guards")
def test_a_share_of_another_build_is_named(
    shares: list[Path], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(corpus, tmp_path / "other")
    shutil.rmtree(other / "visit-5")
    share(other, tmp_path / "share-9", "3/4")
    assert merge(tmp_path / "out", *shares[:3], tmp_path / "share-9") == cli.ERRORS
    assert "share-9: is share 3/4 of another build than" in (told := capsys.readouterr().err)
    assert "[5 share-foreign]" in told


@pytest.mark.security("guards")
def test_a_folder_that_is_no_share_is_named(
    shares: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shares[0] / build.SHARE).write_text('{"share": [0, 4]}')
    assert merge(tmp_path / "out", *shares, VISIT) == cli.ERRORS
    told = capsys.readouterr().err
    assert f"{shares[0]}: has a broken shards.json" in told
    assert f"{VISIT}: holds no shards.json" in told
    assert "[5 share-unreadable]" in told


@pytest.mark.parametrize("which", ["4/4", "1", "-1/4", "a/b", "1/0", ""])
def test_a_share_is_one_of_n_from_0(which: str, tmp_path: Path) -> None:
    assert cli.main(["build", str(VISIT), "--out", str(tmp_path / "out"), f"--shard={which}"]) == cli.USAGE


# -- workers that are killed -----------------------------------------------------------------------------------


def run(script: Path, *arguments: object, **environment: object) -> None:
    command = [sys.executable, str(script), *map(str, arguments)]
    told = {name: str(value) for name, value in environment.items()}
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, timeout=10 * PATIENCE)
    assert done.returncode == 0, done.stderr


@pytest.mark.security("faults")
def test_a_pool_whose_worker_is_killed_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "building.py"
    script.write_text(DEADLY + BUILD)
    run(script, corpus, tmp_path / "calm")
    run(script, corpus, tmp_path / "killed", MARKER=tmp_path / "marker")
    assert (tmp_path / "marker").exists()
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")


def wait(until: Callable[[], bool]) -> None:
    for _ in range(20 * PATIENCE):
        if until():
            return
        time.sleep(0.05)
    raise TimeoutError(until)


@contextmanager
def cluster(folder: Path, workers: int, **environment: object) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler on the loopback and its workers, each a process without a nanny: its address, and they."""
    folder.mkdir()
    (folder / "deadly.py").write_text(DEADLY)
    told = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    where = ["--scheduler-file", "scheduler.json", "--no-dashboard"]
    at = ["--host", "127.0.0.1", "--protocol", "tcp"]
    worker = [
        "worker",
        *where,
        *at,
        "--nthreads",
        "1",
        "--no-nanny",
        "--preload",
        "deadly.py",
        "--death-timeout",
        "60",
    ]
    commands = [["scheduler", *where, *at, "--port", "0"], *[worker] * workers]
    started = []
    try:
        for command in commands:
            whole = [sys.executable, "-m", "dask", *command]
            started.append(subprocess.Popen(whole, cwd=folder, env=told, stderr=subprocess.DEVNULL))
            wait((folder / "scheduler.json").exists)
        yield json.loads((folder / "scheduler.json").read_text())["address"], started[1:]
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(PATIENCE)


@pytest.mark.security("faults")
def test_a_dask_cluster_gives_the_same_bytes_and_so_it_does_when_a_worker_is_killed(
    corpus: Path, undivided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(build, "SHARD_DOCUMENTS", 1)
    monkeypatch.chdir(corpus.parent)
    with cluster(tmp_path / "cluster", 2, MARKER=tmp_path / "marker") as (address, workers):
        for name in ("killed", "calm"):
            build.build([corpus.name], tmp_path / name, scheduler=address, near_duplicates=True)
            assert contents(tmp_path / name) == contents(undivided)
        assert sum(worker.poll() is not None for worker in workers) == 1
    assert (tmp_path / "marker").exists()


def test_without_dask_the_engine_says_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = ["build", str(VISIT), "--out", str(tmp_path / "out"), "--engine", "dask"]
    assert cli.main(command) == cli.USAGE
    capsys.readouterr()
    assert cli.main([*command, "--scheduler", "tcp://127.0.0.1:9"]) == cli.ERRORS
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("error: tcp://127.0.0.1:9: cannot be asked, for Dask is not installed;")
    assert told[0].endswith("[5 dask-missing]")
    assert len(told) == 3  # the finding, their number, and that nothing was written


# -- bulk files ------------------------------------------------------------------------------------------------


def test_a_finding_in_the_last_shard_of_a_bulk_file_names_its_line(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(own, "SHARD_BYTES", 1)
    assert cli.main(["convert", str(corpus), "--to", "json", "--out", str(tmp_path)]) == cli.CLEAN
    bulk = tmp_path / "articles.jsonl"
    lines = bulk.read_text("utf-8").splitlines(keepends=True)
    assert len(formats.find([bulk])[0]) == 6
    bulk.write_text("".join([*lines[:-1], "{\n"]), "utf-8")
    capsys.readouterr()
    assert cli.main(["check", str(bulk)]) == cli.ERRORS
    assert f"articles.jsonl:{len(lines)}: " in capsys.readouterr().out
