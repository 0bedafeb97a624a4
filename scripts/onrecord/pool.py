"""Worker processes: they do not hear Ctrl-C, give back the memory that they free, and end when their parent does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"  # read once, when Arrow is loaded
Made = TypeVar("Made")


def completed(function: Callable[..., Made], jobs: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Made]:
    """What a function of a module makes of each job's arguments, as it comes. Raises BrokenProcessPool."""
    others = set(active_children())  # the caller's own
    with ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        with _deaf(), _lean():  # workers are started as jobs come in
            started = [pool.submit(function, *job) for job in jobs]
        try:
            for job in as_completed(started):
                yield job.result()
        except BrokenProcessPool:
            raise
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(active_children()) - others:  # nobody waits for what is under way
                worker.terminate()
            raise


@contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, which a terminal sends to them too: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit it; ours waits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _lean() -> Iterator[None]:
    """Start processes in which Arrow gives back what it frees: its own allocator keeps 40 MB of it (measured)."""
    before = os.environ.get(ARROW_POOL)
    os.environ[ARROW_POOL] = before or "system"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ARROW_POOL]


def _end_with_parent() -> None:
    """End a worker whose parent was killed, or it would write into the folder of the next build."""

    def watch() -> None:
        if parent := parent_process():
            parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
