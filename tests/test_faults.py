"""Faults in a build: the output is the former or the new one, or `verify` says unfinished and a rerun mends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from onrecord import build, cli, formats, tables
from onrecord.formats.files import Unit
from test_build import stories
from test_scale import cluster

pytestmark = pytest.mark.security("faults")

Recorder = Callable[[str, object], None]  # what scripts/bench/security.py makes its table of
VISIT = Path(__file__).parent / "cases/valid/visit"
POINTS = 50  # of a build's effects on its output folder, at which it is killed

# A build that ends itself, by a signal, at the n-th effect on its output folder; at 0 it lives and names them all.
DRIVEN = """
import os, signal, sys
source, out, point, how = sys.argv[1:]
effects = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree")
seen = []

def watch(event, arguments):
    if event in effects and any(str(one).startswith(out) for one in arguments if isinstance(one, (str, os.PathLike))):
        seen.append(event)
        if len(seen) == int(point):
            os.kill(os.getpid(), getattr(signal, how))

from onrecord import cli
sys.addaudithook(watch)
code = cli.main(["build", source, "--out", out, "--workers", "1"])
print(*seen)
sys.exit(code)
"""


def driven(source: Path, out: Path, point: int, how: str = "SIGKILL") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DRIVEN, str(source), str(out), str(point), how]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the lock, which stays."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != build.LOCK)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of another input, over which the new one goes."""
    folder = tmp_path_factory.mktemp("former")
    shutil.copytree(VISIT, folder / "in/visit")
    text = folder / "in/visit/gazette.txt"
    text.write_text(text.read_text("utf-8") + "One more line.\n", "utf-8")
    assert cli.main(["build", str(folder / "in"), "--out", str(folder / "out")]) == cli.CLEAN
    return folder / "out"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The new build, undisturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.CLEAN
    return out


def effects(former: Path, folder: Path) -> list[str]:
    out = shutil.copytree(former, folder / "counted")
    done = driven(VISIT, out, 0)
    assert done.returncode == cli.CLEAN, done.stderr
    return done.stdout.splitlines()[-1].split()


def survives(out: Path, former: Path, whole: Path) -> str:
    """Which of the promised states a folder is in; a rerun converges from each."""
    if tables.verify(out) == []:
        state = "former" if contents(out) == contents(former) else "new"
        if state == "new":
            assert contents(out) == contents(whole)
    else:
        assert [finding.rule for finding in tables.verify(out)] == ["unfinished-build"]
        state = "unfinished"
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.CLEAN
    assert contents(out) == contents(whole), "a rerun converges, and nothing temporary is left"
    return state


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_a_build_that_is_killed_at_any_effect_loses_nothing(
    how: str, former: Path, whole: Path, tmp_path: Path, record_property: Recorder
) -> None:
    found = effects(former, tmp_path)
    replaced = [i for i, event in enumerate(found, 1) if event == "os.rename"]
    spread = range(1, len(found) + 1, max(1, len(found) // POINTS))
    points = sorted({*replaced, *spread})
    states = set()
    for point in points:
        out = shutil.copytree(former, tmp_path / f"at-{point}")
        assert driven(VISIT, out, point, how).returncode == -getattr(signal, how)
        states.add(survives(out, former, whole))
        shutil.rmtree(out)
    record_property("tried", len(points))
    assert {"former", "unfinished"} <= states


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a quarter of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_line_and_leaves_the_former_output(
    disk: Path, former: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(former, disk / "out")
    (disk / "ballast").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 8192))
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.ERRORS
    assert "No space left on device" in capsys.readouterr().err
    (disk / "ballast").unlink()
    assert tables.verify(out) == [] and contents(out) == contents(former)


def test_an_output_that_cannot_be_written_is_a_line(
    disk: Path, former: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(former, disk / "out")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert cli.main(["build", str(VISIT), "--out", str(out)]) == cli.ERRORS
    assert "Read-only file system" in capsys.readouterr().err
    assert contents(out) == contents(former)


@pytest.mark.parametrize("fault", ["vanishes", "is cut short"])
def test_an_input_that_changes_while_it_is_read_is_a_finding(
    fault: str, former: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = shutil.copytree(VISIT, tmp_path / "in/visit"), shutil.copytree(former, tmp_path / "out")
    file = source / "gazette.json"

    def meanwhile(unit: Unit, read: object = formats.read) -> object:
        file.unlink() if fault == "vanishes" else file.write_bytes(file.read_bytes()[:100])
        return read(unit)  # type: ignore[operator]

    monkeypatch.setattr(build.formats, "read", meanwhile)
    assert cli.main(["build", str(tmp_path / "in"), "--out", str(out)]) == cli.ERRORS
    assert "gazette.json" in capsys.readouterr().err
    assert contents(out) == contents(former)


def test_a_fault_while_the_former_output_is_replaced_shows_and_a_rerun_converges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    build.build([VISIT], whole)
    done: list[object] = []

    def replace(source: str | Path, target: str | Path) -> None:
        done.append(target)
        if len(done) > 2:
            raise OSError(28, "No space left on device")
        Path(source).rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(build.os, "replace", replace)
        with pytest.raises(OSError, match="No space"):
            build.build([VISIT], out)
    assert [finding.rule for finding in tables.verify(out)] == ["unfinished-build"]
    build.build([VISIT], out)
    assert tables.verify(out) == []
    assert (out / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand visits, a folder each: a build of seconds and of a dozen shards."""
    folder = stories(tmp_path_factory.mktemp("many") / "in", 1000)
    shards = build.plan(formats.find([folder])[0])
    assert len(shards) > 10 and sum(unit.size for shard in shards for unit in shard) > build.POOL_BYTES
    return folder


def started(out: Path, *inputs: object, options: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A build in a process group of its own, as a terminal starts it: a suite in the background is deaf to Ctrl-C."""
    command = [sys.executable, "-m", "onrecord.cli", "build", *map(str, inputs), "--out", str(out), *options]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def under_way(running: subprocess.Popen[str], out: Path) -> None:
    """Wait until a part of a build is there."""
    while running.poll() is None and not list(out.glob(f"{build.STAGING}/{build.PARTS}/**/*.parquet")):
        time.sleep(0.05)


def interrupted(running: subprocess.Popen[str], out: Path) -> str:
    """What a build says to Ctrl-C once a part of it is there."""
    under_way(running, out)
    os.killpg(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=60)
    return told


def is_alone(group: int) -> bool:
    """Whether no process of a group is at work, moments after the first one ended; who is dead may not be reaped."""
    for _ in range(100):
        told = [
            file.read_text().rpartition(")")[2].split() for file in Path("/proc").glob("[0-9]*/stat") if file.exists()
        ]
        if not [state for state, _, its, *_ in told if int(its) == group and state not in "ZX"]:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_in_a_pool_ends_all_its_workers_and_leaves_the_former_output(
    former: Path, many: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(former, tmp_path / "out")
    running = started(out, many, options=("--workers", "2"))
    assert "interrupted" in interrupted(running, out)
    assert running.returncode == cli.INTERRUPTED
    assert tables.verify(out) == [] and contents(out) == contents(former)
    assert is_alone(running.pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_workers_of_a_build_that_is_killed_end_with_it(
    how: signal.Signals, former: Path, many: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(former, tmp_path / "out")
    running = started(out, many, options=("--workers", "2"))
    under_way(running, out)
    running.send_signal(how)
    running.communicate(timeout=60)
    assert running.returncode == -how
    assert is_alone(running.pid)
    assert [finding.rule for finding in tables.verify(out)] == ["unfinished-build"]
    assert build.build([many], out).manifest is not None and tables.verify(out) == []


def jobs_of(address: str) -> list[str]:
    """All jobs that the workers of a Dask scheduler know of."""
    import distributed

    def known(dask_worker: Any) -> list[str]:
        return list(dask_worker.state.tasks)

    with distributed.Client(address, set_as_default=False) as client:
        return [job for jobs in client.run(known).values() for job in jobs]


def test_ctrl_c_in_a_dask_build_leaves_nothing_on_the_cluster_and_the_former_output(
    former: Path, many: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    out = shutil.copytree(former, tmp_path / "out")
    (slow := tmp_path / "slow").touch()
    with cluster(tmp_path / "cluster", 2, SLOW=slow) as (address, _):
        over = ("--engine", "dask", "--scheduler", address)
        running = started(out, many, options=over)
        assert "interrupted" in interrupted(running, out)
        assert running.returncode == cli.INTERRUPTED
        assert jobs_of(address) == []
        assert tables.verify(out) == [] and contents(out) == contents(former)
        slow.unlink()
        again = started(out, many, options=over)
        assert again.communicate(timeout=120) and again.returncode == cli.CLEAN
    assert build.build([many], tmp_path / "alone").manifest is not None
    assert contents(out) == contents(tmp_path / "alone")


@pytest.mark.parametrize("near_duplicates", [False, True])
def test_a_part_of_a_run_that_is_over_makes_no_folder(near_duplicates: bool, tmp_path: Path) -> None:
    units, _ = formats.find([VISIT])
    with pytest.raises(FileNotFoundError):
        build.work(0, units, tmp_path / "gone", build.Settings(near_duplicates=near_duplicates))
    assert list(tmp_path.iterdir()) == []


def test_builds_at_once_into_one_folder_leave_one_of_them_whole(many: Path, tmp_path: Path) -> None:
    inputs: list[list[Path]] = [[many], [many], [many]]
    for number in (1, 2):
        shutil.copytree(VISIT, tmp_path / f"more-{number}/visit")
        text = tmp_path / f"more-{number}/visit/gazette.txt"
        text.write_text(text.read_text("utf-8") + f"One more line, number {number}.\n", "utf-8")
        inputs[number].append(tmp_path / f"more-{number}")
    running = [started(tmp_path / "out", *one) for one in inputs]
    told = [one.communicate(timeout=120)[1] for one in running]
    codes = [one.returncode for one in running]
    assert set(codes) == {cli.CLEAN, cli.ERRORS}
    assert all("[5 output-busy]" in said for said, code in zip(told, codes, strict=True) if code == cli.ERRORS)
    assert tables.verify(tmp_path / "out") == []
    won = [number for number, code in enumerate(codes) if code == cli.CLEAN]
    for number in won:
        assert build.build(inputs[number], tmp_path / f"alone-{number}").manifest is not None
    assert contents(tmp_path / "out") in [contents(tmp_path / f"alone-{number}") for number in won]
