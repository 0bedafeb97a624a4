"""The README and the card tell the truth: their code blocks run, in a copy of the repository, in their order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onrecord import cli

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's files as a newcomer has them, with this test's own environment as its .venv."""
    folder = tmp_path_factory.mktemp("clone") / "onrecord"
    shutil.copytree(
        ROOT,
        folder,
        symlinks=True,
        ignore=shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", ".*_cache", ".onrecord-*"),
    )
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "onrecord").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onrecord.cli "$@"\n')
    (commands / "onrecord").chmod(0o755)
    return folder


def test_code_blocks_of_the_readme_run(clone: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert len(blocks) >= 5
    environment = os.environ | {"HF_HOME": str(clone / "hf"), "PYTHONPATH": str(clone / "scripts")}
    for kind, code in blocks:
        code = code.replace("python3 scripts/dev.py build", ".venv/bin/onrecord build")
        if "scripts/dev.py test" in code:  # this is that command
            continue
        command = ["sh", "-e", "-c", code] if kind == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
        told = (cli.CLEAN, cli.WARNINGS) if "onrecord build\n" in code else (cli.CLEAN,)  # of ./dataset: its gates
        assert done.returncode in told, f"{code}\n{done.stdout}\n{done.stderr}"


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
