"""What all models share, compiled by other processes while this one loads its sampler: once for an installation.

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

    from slopeshift.model.program import LineModel
    from slopeshift.trial import Trial

PROGRAM = "from slopeshift.engine import ahead; ahead.{}"

PARTS = {
    "plain": ("densities('plain')", "draws('plain')"),
    "entered": ("densities('entered')", "draws('entered')"),
    "in_time": ("densities('in_time')", "draws('in_time')"),
    "sampled": ("patients()",),
    "regression": ("regression()",),
}
"""Programs of each part, side by side: of exact models of each kind of the engine's densities, of models that sample
their patients, and of those with a regression beside."""

SECONDS = {"plain": 25, "entered": 30, "in_time": 30, "sampled": 25, "regression": 25}
"""About how long each takes."""


def part_of(build: object, trial: Trial) -> str | None:
    """Name the part that what a model file builds needs for a trial: None for a function, of which nothing is known.

    A formula may state what only Bambi knows, which is seen when it is fitted; it then needs none either.
    """
    from slopeshift.model.formula import Formula
    from slopeshift.model.program import LineModel

    if isinstance(build, Formula):
        return "plain"
    return _part_of_line(build, trial) if isinstance(build, LineModel) else None


def _part_of_line(model: LineModel, trial: Trial) -> str:
    if not model.family.integrated_out:
        return "sampled"
    if model.beside is not None:
        return "regression"
    if not model.family.independent:
        return "in_time"
    ruled = model.entry and any(rule.outcome == model.outcome for rule in trial.entry)
    return "entered" if ruled else "plain"


_running: dict[str, list[subprocess.Popen[bytes]]] = {}


def begin(part: str) -> bool:
    """Begin to have compiled what is not on disk yet of one of PARTS, and return whether anything is being compiled."""
    done = _mark(part)
    if part not in _running and not done.exists() and _writable(done.parent):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        _running[part] = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(program)], env=environment, stderr=subprocess.DEVNULL
            )
            for program in PARTS[part]
        ]
    return part in _running


def compiled_once(part: str, say: Callable[[str], object]) -> None:
    """Have compiled what is not on disk yet of one of PARTS, after `say` was told how long that takes.

    Where it fails, it is compiled when it is needed, and what is wrong is said then.
    """
    if not begin(part):
        return
    say(f"compiling what models share, once for this installation: about {SECONDS[part]} s")
    nuts.nutpie()  # takes seconds too
    failed = [process.wait() for process in _running.pop(part)]
    if not any(failed):
        _mark(part).touch()


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
    return Path(kept) / f"compiled-{part}-{sys.implementation.cache_tag}-{code('engine.ahead')[:16]}"
