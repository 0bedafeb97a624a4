"""The wheel with the oldest supported dependencies, and on other Pythons: the same fingerprints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from onrecord import tables

ROOT = Path(__file__).parents[1]
UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def environment(folder: Path, python: str, wheel: Path, resolution: str) -> Path:
    """A fresh environment with the wheel in it, or a skip with the reason why there is none."""
    into = ["--python", str(folder / "bin/python")]
    for command in (
        [*UV, "venv", "-q", "--python", python, "--no-python-downloads", str(folder)],
        [*UV, "pip", "install", "-q", *into, "--resolution", resolution, "-r", str(ROOT / "pyproject.toml")],
        [*UV, "pip", "install", "-q", *into, "--no-deps", str(wheel)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot make an environment: {done.stderr.strip()[:300]}")
    return folder / "bin"


def interpreter(version: str) -> str | None:
    """A Python of this version on this machine, pyenv's included."""
    named = shutil.which(f"python{version}")
    if named and subprocess.run([named, "--version"], capture_output=True).returncode == 0:
        return named
    return next((str(file) for file in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))), None)


def version(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version('{package}'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.security("supply chain")
def test_the_wheel_with_the_oldest_dependencies_gives_the_same_fingerprints(wheel: Path, tmp_path: Path) -> None:
    commands = environment(tmp_path / "venv", sys.executable, wheel, "lowest-direct")
    assert int(version(commands / "python", "pyarrow").split(".")[0]) < int(pa.__version__.split(".")[0])
    compare(commands, tmp_path)


@pytest.mark.security("supply chain")
@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_wheel_on_other_pythons_gives_the_same_fingerprints(wheel: Path, tmp_path: Path, python: str) -> None:
    if (found := interpreter(python)) is None:
        pytest.skip(f"there is no Python {python}")
    compare(environment(tmp_path / "venv", found, wheel, "highest"), tmp_path)


def compare(commands: Path, folder: Path) -> None:
    """Build the dataset with that environment's command, away from the repository's code, and compare manifests."""
    for part in ("stories", "contrast", "passes"):
        shutil.copytree(ROOT / "dataset" / part, folder / "in" / part)
    for part in ("splits.csv", "annotators.json", "audit.csv"):
        shutil.copy(ROOT / "dataset" / part, folder / "in")
    command = [commands / "onrecord", "build", "in", "--out", "out", "--workers", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made, committed = tables.read_manifest(folder / "out"), tables.read_manifest(ROOT / "dataset")
    for key in ("schema", "counts", "agreement", "configs"):
        assert made[key] == committed[key], key
