"""What all models share, compiled by another process while this one loads its sampler: once for an installation.

A process that compiled its code itself may differ in the last digit from one that took the same code from the cache on
disk. So the first fit takes it from there too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slopeshift.fit import nuts
from slopeshift.keep.made_from import PACKAGE, code

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "from slopeshift.engine import {0}; {0}.c_density(); {0}.c_report()"

EXACT, SAMPLED = "density", "sampled"
"""Modules of the engine with what models share: those that integrate their patients out, and those that sample them."""

SECONDS = {EXACT: 45, SAMPLED: 30}
"""About how long each takes."""


def compiled_once(part: str, say: Callable[[str], object]) -> None:
    """Have compiled what is not on disk yet of EXACT or SAMPLED, after `say` was told how long that takes.

    Where it fails, it is compiled when it is needed, and what is wrong is said then.
    """
    done = _mark(part)
    if done.exists() or not _writable(done.parent):
        return
    say(f"compiling what models share, once for this installation: about {SECONDS[part]} s")
    places = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"PYTHONPATH": places}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(part)], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        nuts.load_sampler()  # takes as long, on another core
    if process.returncode == 0:
        done.touch()


def _writable(folder: Path) -> bool:
    """Say whether anything can be kept in a folder, which is made where there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _mark(part: str) -> Path:
    """Name the file, beside numba's cache, that says that this code was compiled by this Python."""
    kept = os.environ.get("NUMBA_CACHE_DIR") or PACKAGE / "engine" / "__pycache__"
    return Path(kept) / f"compiled-{part}-{sys.implementation.cache_tag}-{code(f'engine.{part}')[:16]}"
