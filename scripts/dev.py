#!/usr/bin/env python3
"""Make .venv from the locks, then run a command in it.

    python3 scripts/dev.py build [ARGUMENT...]   build the dataset (onrecord build)
    python3 scripts/dev.py test [ARGUMENT...]    run all tests (pytest)
    python3 scripts/dev.py lock [ARGUMENT...]    remake both locks (uv pip compile; --upgrade moves pins)
    python3 scripts/dev.py run COMMAND...        run any command of .venv, in the folder you are in

build, test and lock run in the repository, wherever they are called from. The command's exit code is passed
on. Needs Python 3.11 to 3.13 with its venv module and, to make .venv, a package index; nothing else.
"""

from __future__ import annotations  # a Python that is too old must get as far as our saying so

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)  # requires-python of pyproject.toml
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")

LOCK, PACKAGE, TEST_LOCK = "requirements.lock", "pyproject.toml", "requirements-test.lock"
INSTALL = {  # what pip is asked for each file, in this order
    LOCK: ["--require-hashes", "-r", LOCK],
    PACKAGE: ["--no-deps", "--no-build-isolation", "--editable", "."],
    TEST_LOCK: ["--require-hashes", "-r", LOCK, "-r", TEST_LOCK],
}
PIP = ["python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
COMPILE = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--fork-strategy", "fewest"]
PLAIN = ["--generate-hashes", "--no-header", "--no-annotate", "--quiet"]  # names, markers and hashes only
COMMANDS = {"build": ["onrecord", "build"], "test": ["pytest"], "lock": [], "run": []}


def main(arguments: list[str]) -> int:
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(__doc__)
        return 0
    command, *rest = arguments
    if command not in COMMANDS or arguments == ["run"]:
        return fail(f"no command {command!r}: use build, test, lock or run COMMAND", 64)
    why = unfit()
    if why:
        return fail(why, 1)
    signal.signal(signal.SIGINT, lambda *_: None)  # what interrupts us is the command's to answer
    for name in [LOCK, PACKAGE] if command == "build" else INSTALL:
        code = 0 if fresh(name) else install(name)
        if code:
            return fail(f"{name} is not installed (see above); the next run begins again with it", code)
    if command == "lock":
        return lock(rest)
    return run([*COMMANDS[command], *rest], Path.cwd() if command == "run" else ROOT)


def unfit() -> str | None:
    """Why this Python cannot make .venv; None if it can."""
    major, minor = sys.version_info[:2]
    if not OLDEST <= (major, minor) <= NEWEST:
        return f"Python 3.11 to 3.13 is needed and this is {major}.{minor}: call scripts/dev.py with another"
    if not find_spec("venv") or not find_spec("ensurepip"):
        return "this Python lacks its venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"
    return None


def digest(name: str) -> str:
    """What .venv was made from: a file, a Python, and the place, which the commands in it name."""
    told = f"{sys.version_info[:2]} {VENV}\n".encode() + (ROOT / name).read_bytes()
    return hashlib.sha256(told).hexdigest()


def mark(name: str) -> Path:
    return VENV / f"{name}.sha256"


def fresh(name: str) -> bool:
    """Whether .venv has all that a file asks for: the mark is written last."""
    usable = shutil.which("python", path=str(BIN)) is not None
    return usable and mark(name).is_file() and mark(name).read_text() == digest(name)


def install(name: str) -> int:
    """Give .venv what a file asks for. The first file begins a new one: nothing is left of the old."""
    print(f"dev: {name} is new to {VENV}: installing it", file=sys.stderr, flush=True)
    mark(name).unlink(missing_ok=True)
    code = run([sys.executable, "-m", "venv", "--clear", str(VENV)], ROOT) if name == LOCK else 0
    code = code or run([*PIP, *INSTALL[name]], ROOT)
    if code == 0:
        mark(name).write_text(digest(name))
    return code


def lock(options: list[str]) -> int:
    """The first lock: what running needs, the baselines, an editable install. The second: what tests add."""
    compiled = [*COMPILE, *PLAIN, *options, PACKAGE]
    code = run([*compiled, "--extra", "benchmark", "--group", "editable", "-o", LOCK], ROOT)
    if code:
        return code
    first = re.findall(r"(?m)^([\w.-]+)==", (ROOT / LOCK).read_text())
    left_out = [f"--no-emit-package={name}" for name in first]
    return run([*compiled, "--extra", "test", "-c", LOCK, *left_out, "-o", TEST_LOCK], ROOT)


def run(command: list[str], folder: Path) -> int:
    """Run a command with .venv in front of the machine's own, and give its exit code as a shell would."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    program = shutil.which(command[0], path=path)
    if program is None:
        return fail(f"{command[0]} is no command of .venv or of this machine", 127)
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}
    code = subprocess.call([program, *command[1:]], cwd=folder, env=environment)
    return code if code >= 0 else 128 - code


def fail(why: str, code: int) -> int:
    print(f"dev: {why}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
