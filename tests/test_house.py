"""The house's own rules: modules import leftward only, effects stay where they are allowed, style and types hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scripts/onrecord"
ORDER = (
    "model", "text", "prose", "formats", "form", "pool", "layers", "check", "split", "leaks", "gates", "audit", "tables",
    "card", "explore", "reference", "build", "scoring", "predictions", "baselines", "release", "cli",
)  # fmt: skip
EFFECTS = {
    "formats",
    "pool",
    "layers",
    "leaks",
    "tables",
    "build",
    "predictions",
    "release",
    "cli",
}  # disk, network, processes
TOUCHING = {
    "open",
    "write_text",
    "write_bytes",
    "read_bytes",
    "read_text",
    "unlink",
    "mkdir",
    "replace_file",
    "rmtree",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(tree: ast.AST) -> set[str]:
    """Our own modules that a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "onrecord":
            parts = (node.module or "").split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("onrecord.")}
    return found


@pytest.mark.parametrize("file", [f for f in MODULES if f.name != "__init__.py" or f.parent != PACKAGE], ids=str)
def test_imports_go_leftward_only(file: Path) -> None:
    here = ORDER.index(layer(file))
    tree = ast.parse(file.read_text("utf-8"))
    for name in imported(tree):
        assert ORDER.index(name) <= here, f"{file.name} imports {name}"
    inner = [n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)]
    assert not [n for n in inner if isinstance(n, ast.ImportFrom) and "onrecord" in (n.module or "")], "a lazy import"


@pytest.mark.parametrize("file", [f for f in MODULES if layer(f) not in EFFECTS], ids=str)
def test_effects_stay_where_they_are_allowed(file: Path) -> None:
    allowed = {"model": {"read_text"}, "explore": {"read_text"}}.get(layer(file), set())  # each its own parts, once
    names = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
    }
    assert names & TOUCHING <= allowed


def test_there_is_no_clock_and_no_unseeded_chance() -> None:
    for file in MODULES:
        names = {
            n.name
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Import)
            for n in node.names
        }
        assert not names & {"time", "random", "secrets", "uuid", "pickle", "marshal"}, file


def test_style() -> None:
    command = [sys.executable, "-m", "ruff", "check", "scripts", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_types() -> None:
    command = [sys.executable, "-m", "mypy", "scripts/onrecord"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
