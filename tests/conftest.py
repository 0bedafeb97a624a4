"""What all tests that hold a promise of SECURITY.md share: a guard, and what its table is made of.

`@pytest.mark.security(kind)` says what kind of promise a test holds; scripts/bench/security.py runs those and counts.
"""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Generator, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import pytest

GUARD, MEMORY = 120, 4 << 30  # seconds, and bytes of address space above what the tests have when one starts
STATM = Path("/proc/self/statm")
GUARDED = {"hostile input"}  # the other kinds wait for processes, or guard each of thousands of tries


@contextlib.contextmanager
def guarded(seconds: float = GUARD, memory: int = MEMORY) -> Iterator[None]:
    """End what hangs with TimeoutError and what takes too much memory with MemoryError."""

    def end(*_: object) -> NoReturn:
        raise TimeoutError(f"hangs: {seconds} seconds are over")

    heard, limits = signal.signal(signal.SIGALRM, end), resource.getrlimit(resource.RLIMIT_AS)
    if STATM.exists():  # elsewhere than on Linux a process does not say what it has
        now = int(STATM.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, heard)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@contextlib.contextmanager
def counted(item: pytest.Item) -> Iterator[None]:
    """Count the examples that hypothesis gives a test, as what it tried, and guard each."""
    given: Any = getattr(getattr(item, "obj", None), "hypothesis", None)
    if given is None:
        yield
        return
    inner, tried = given.inner_test, 0

    @wraps(inner)
    def counting(*arguments: Any, **named: Any) -> None:
        nonlocal tried
        tried += 1
        with guarded():
            inner(*arguments, **named)

    given.inner_test = counting
    try:
        yield
    finally:
        given.inner_test = inner
        item.user_properties.append(("tried", tried))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if marker := item.get_closest_marker("security"):
            item.user_properties.append(("kind", marker.args[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    marker = item.get_closest_marker("security")
    if marker is None:
        return (yield)
    with contextlib.ExitStack() as around:
        around.enter_context(counted(item))
        if marker.args[0] in GUARDED:
            around.enter_context(guarded())
        return (yield)
