"""Processes that work for this one and end with it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")


class WorkError(RuntimeError):
    """Work could not be done, for a reason that is not in the work; what was done before is kept."""


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(number: int, *, one_thread: bool = False) -> Iterator[Executor]:
    """Give an executor of `number` processes, which are started as work is handed in.

    They are ended when this process is interrupted or leaves early, and end by themselves when it ends in whatever way.
    `one_thread` keeps each of them to one thread. Raises WorkError where one of them was lost.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    # Started afresh, not forked: a fork would inherit the threads and locks of whatever the parent has compiled.
    pool = ProcessPoolExecutor(number, get_context("spawn"), _begin, (one_thread,))
    others = set(active_children())
    try:
        yield pool
    except BrokenProcessPool as error:
        raise WorkError(
            "a process ended before its work was done; the same command goes on where it stopped"
        ) from error
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(one_thread: bool) -> None:
    """Set a process up to leave Ctrl-C to its parent, and to end when that does."""
    if one_thread:
        os.environ.update(dict.fromkeys(_THREADS, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
