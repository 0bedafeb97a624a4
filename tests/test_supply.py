"""What runs: packages by their hashes, nothing that data can name, and no connection that nobody asked for."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from onrecord import cli, tables

pytestmark = pytest.mark.security("supply chain")
ROOT = Path(__file__).parents[1]
VISIT = ROOT / "tests/cases/valid/visit"
OURS = sorted([*(ROOT / "scripts").rglob("*.py"), *(ROOT / "dataset").rglob("*.py")])
UNPICKLING = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "pty",
    "code",
}
RUNNING = {"eval", "exec", "compile", "__import__", "execfile", "runpy", "system", "popen", "import_module"}
LOADING = {"read_pickle", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all"}
PLAIN = {"load": "_Plain"}  # of yaml: the loader that it is given


def imports(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {(node.module or "").split(".")[0]} if isinstance(node, ast.ImportFrom) else set()


def dangers(tree: ast.AST) -> list[str]:
    """Whatever in a module could run what data says."""
    found = []
    for node in ast.walk(tree):
        found += sorted(imports(node) & UNPICKLING)
        if isinstance(node, ast.Call):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            module = owner.id if isinstance(owner, ast.Name) else ""
            found += [name] if name in RUNNING | LOADING and module != "re" else []
            found += [
                f"{k.arg}=True" for k in node.keywords if k.arg in ("shell", "allow_pickle", "trust_remote_code")
            ]
            if module == "yaml" and name in PLAIN and PLAIN[name] not in ast.unparse(node):
                found.append("yaml.load")
    return found


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_module_runs_imports_or_unpickles_what_data_says(file: Path) -> None:
    assert dangers(ast.parse(file.read_text("utf-8"))) == []


@pytest.mark.parametrize("line", [
    "import pickle", "from marshal import loads", "eval(text)", "__import__(name)", "os.system(text)",
    "pd.read_pickle(x)",
    "yaml.load(text, yaml.Loader)", "np.load(file, allow_pickle=True)", "subprocess.run(text, shell=True)",
])  # fmt: skip
def test_what_could_run_data_would_be_seen(line: str) -> None:
    assert dangers(ast.parse(line))


# -- connections -----------------------------------------------------------------------------------------------


def test_build_check_score_and_hydrate_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    out = str(tmp_path / "out")
    assert cli.main(["build", str(VISIT), "--out", out]) == cli.CLEAN
    assert cli.main(["check", str(VISIT)]) == cli.CLEAN
    split = next(iter(tables.read_manifest(Path(out))["configs"]["stance"]["splits"]))
    rows = [f'{{"id": "{row["id"]}", "label": "deny"}}\n' for row in rows_of(Path(out), split)]
    (tmp_path / "predictions.jsonl").write_text("".join(rows), "utf-8")
    score = ["score", str(tmp_path / "predictions.jsonl"), "--gold", out, "--split", split]
    assert cli.main(score) == cli.CLEAN
    assert cli.main(["dehydrate", str(VISIT), "--out", str(tmp_path / "layer")]) == cli.CLEAN
    hydrate = ["hydrate", str(tmp_path / "layer"), "--from", str(VISIT), "--out", str(tmp_path / "copy")]
    assert cli.main(hydrate) == cli.CLEAN


def rows_of(folder: Path, split: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = pq.read_table(folder / f"data/stance/{split}.parquet", columns=["id"]).to_pylist()
    return found


# -- packages --------------------------------------------------------------------------------------------------


def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev_for_supply", ROOT / "scripts/dev.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, body: str) -> Path:
    """A package of one module."""
    file = folder / "ferry-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("ferry.py")
        archive.writestr(info, body)
        archive.writestr("ferry-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ferry\nVersion: 1.0\n")
        archive.writestr(
            "ferry-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("ferry-1.0.dist-info/RECORD", "")
    return file


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_dev_installs_no_package_whose_bytes_are_not_those_of_the_lock(lock: str, tmp_path: Path) -> None:
    """As dev.py asks pip: a lock's own package is installed; one that was exchanged, or has no hash, is not."""
    (tmp_path / "index").mkdir()
    digest = hashlib.sha256(wheel(tmp_path / "index", "honest = True\n").read_bytes()).hexdigest()
    for name in ("requirements.lock", "requirements-test.lock"):
        (tmp_path / name).write_text("")
    here = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "index"), "PIP_NO_CACHE_DIR": "1"}
    module = dev()

    def installed(line: str, into: str) -> bool:
        (tmp_path / lock).write_text(line)
        command = [sys.executable, *module.PIP[1:], "--target", into, *module.INSTALL[lock]]
        done = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True)
        assert done.returncode == 0 or "hash" in done.stderr.lower(), done.stderr
        return (tmp_path / into / "ferry.py").exists()

    pinned = f"ferry==1.0 --hash=sha256:{digest}\n"
    assert installed(pinned, "first")
    assert not installed("ferry==1.0\n", "second")
    wheel(tmp_path / "index", "honest = False\n")
    assert not installed(pinned, "third")


def test_every_release_asks_for_known_holes_in_both_locks() -> None:
    steps = (ROOT / "RELEASING.md").read_text("utf-8")
    for lock in ("requirements.lock", "requirements-test.lock"):
        assert f"-r {lock}" in steps.split("pip-audit", 1)[1].split("\n\n", 1)[0]
