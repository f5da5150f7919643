"""Files and folders that are written whole or not at all, and by one process at a time."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ABANDONED = 24 * 3600.0
"""Seconds without a change after which what another host was writing counts as left behind."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, a file, that takes its place once everything has been written to it.

    Where writing fails or is interrupted, `target` stays as it was. Several processes may write one target at once: the
    last one's file stays, whole. What a process that has ended left behind is removed.
    """
    path = _beside(target)
    try:
        yield path
        path.replace(target)
    finally:
        _remove(path)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Give a new folder of the same name that takes the place of `target` once all has been written to it.

    Where writing fails, `target` stays as it was. It is for the caller to ask whether it may be replaced.
    """
    hidden = _beside(target)
    folder = hidden / target.name
    try:
        folder.mkdir(parents=True)
        yield folder
        if target.exists():
            target.rename(hidden / "before")
        folder.rename(target)
    finally:
        _remove(hidden)


@contextmanager
def locked(folder: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Let one process at a time write into a folder, whether or not it is there yet.

    Where another process does, `say` is called with a line about that, and this one waits. The operating system gives
    the lock back when a process ends, in whatever way. A process that has the lock may take it again. The file that is
    locked, `.<folder>.lock` beside the folder, stays.
    """
    from filelock import FileLock, Timeout

    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.with_name(f".{place.name}.lock"), is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{folder}: another process is writing there; waiting until it has ended")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _beside(target: Path) -> Path:
    """Name a path beside a target that nobody else has, and remove those of processes that have ended."""
    target.parent.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"\W", "_", socket.gethostname())
    for path in target.parent.iterdir():
        ours = re.fullmatch(rf"\.{re.escape(target.name)}\.(\w+)-(\d+)-[0-9a-f]+", path.name)
        if ours and _left_behind(path, int(ours[2]) if ours[1] == host else None):
            _remove(path)
    return target.with_name(f".{target.name}.{host}-{os.getpid()}-{secrets.token_hex(4)}")


def _left_behind(path: Path, process: int | None) -> bool:
    """Say whether nobody writes a path any more: its process on this host has ended, or it is old."""
    try:
        if process is not None:
            os.kill(process, 0)
        return time.time() - path.stat().st_mtime > ABANDONED
    except PermissionError:
        return False
    except (ProcessLookupError, FileNotFoundError):
        return True


def _remove(path: Path) -> None:
    """Remove a file or a folder, unless another process has done so."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
