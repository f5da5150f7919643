"""Many replicates done on several processes or machines, and kept as they are done.

A job is run replicate by replicate, each from its own seed, in chunks that are stored as soon as they are done. What
results does not depend on how the work was divided, by whom it was done, or how often it was interrupted.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slopeshift.keep.atomic import replacing
from slopeshift.keep.processes import WorkError, cores, workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    Rows = list[dict[str, Any]]
    Chunk = tuple[int, int]

CHUNK = 5
"""Replicates that are done and stored together."""


class Job(Protocol):
    """What is to be done: a value that can be sent to other processes, with a key that tells its inputs by content."""

    @property
    def key(self) -> str:
        """Hash of everything that decides the results, but not of how many are wanted."""

    @property
    def program(self) -> str:
        """Hash of what is compiled for it; empty where nothing is."""

    def rows(self, replicate: int) -> Rows:
        """Do one replicate: rows of numbers, texts and truth values."""


def replicates(
    job: Job,
    count: int,
    folder: Path,
    *,
    scheduler: str | None = None,
    processes: int | None = None,
    progress: bool = False,
) -> Rows:
    """Do what is missing of the first `count` replicates, and return the rows of all in their order.

    Chunks are stored in `folder`, in a folder of the job's key, each written whole or not at all; an interrupted run
    goes on where it stopped. Work is done by `processes` processes (default: one per core), each with one thread, or,
    with `scheduler`, by the workers of the Dask cluster at that address. Raises KeyboardInterrupt when interrupted,
    with the chunks done kept, WorkError where a process was lost or Dask is not there, and what a replicate raises.
    """
    store = folder / job.key
    chunks = [(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    missing = [chunk for chunk in chunks if not _path(store, chunk).exists()]
    if missing:
        with _bar(len(missing) if progress else 0) as advance:
            for chunk, rows in _done(job, missing, scheduler, processes):
                with replacing(_path(store, chunk)) as path:
                    path.write_text(json.dumps(rows))
                advance()
    return [row for chunk in chunks for row in json.loads(_path(store, chunk).read_bytes())]


def rows_of(table: pd.DataFrame) -> Rows:
    """Take the rows of a table as a job returns them: plain numbers, texts and truth values by the column's name."""
    return [{str(name): value for name, value in row.items()} for row in table.astype(object).to_dict("records")]


def _path(store: Path, chunk: Chunk) -> Path:
    return store / f"{chunk[0]:06d}-{chunk[1]:06d}.json"


def _done(
    job: Job, chunks: Sequence[Chunk], scheduler: str | None, processes: int | None
) -> Iterator[tuple[Chunk, Rows]]:
    """Yield chunks with their rows as they are done, in whatever order."""
    if scheduler is not None:
        yield from _on_cluster(job, chunks, scheduler)
    elif processes == 1:
        yield from ((chunk, _rows(job, chunk)) for chunk in chunks)
    else:
        yield from _on_processes(job, chunks, processes)


def _rows(job: Job, chunk: Chunk) -> Rows:
    if job.program:
        _compile(job)
    return [{"replicate": replicate} | row for replicate in range(*chunk) for row in job.rows(replicate)]


def _compile(job: Job) -> None:
    """Have another process compile what the job needs, once per machine.

    Code that was compiled in the process that runs it may differ in the last digit from the same code taken from the
    caches on disk. So it is always taken from there.
    """
    import pytensor

    done = Path(pytensor.config.compiledir) / f"slopeshift-{job.program}"
    if not done.exists():
        command = [sys.executable, "-c", "import pickle, sys; pickle.load(sys.stdin.buffer).rows(0)"]
        places = os.pathsep.join(filter(None, sys.path))
        environment = os.environ | {"PYTHONPATH": places}
        ended = subprocess.run(
            command, input=pickle.dumps(job), env=environment, stderr=subprocess.DEVNULL, check=False
        )
        # What cannot be done is raised where it is done for real.
        if ended.returncode == 0:
            done.touch()


def _on_processes(job: Job, chunks: Sequence[Chunk], processes: int | None) -> Iterator[tuple[Chunk, Rows]]:
    from concurrent.futures import as_completed

    number = min(processes or cores(), len(chunks))
    with workers(number, one_thread=True) as pool:
        futures = {pool.submit(_rows, job, chunk): chunk for chunk in chunks}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _on_cluster(job: Job, chunks: Sequence[Chunk], address: str) -> Iterator[tuple[Chunk, Rows]]:
    """Have a Dask cluster do the chunks; those of a worker that is lost are done again by another one."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise WorkError("a scheduler needs Dask: install slopeshift[cluster]") from error
    with Client(address, set_as_default=False) as client:
        futures = {client.submit(_rows, job, chunk, pure=False): chunk for chunk in chunks}
        for future in as_completed(futures, loop=client.loop):
            yield futures[future], future.result()


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    """Show how many chunks are done, where there is anything to show; give what to call after each."""
    if not total:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("chunks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
