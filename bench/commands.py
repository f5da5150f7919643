"""Time whole commands in processes of their own, as a user waits for them: start-up, edited priors, folders, studies."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRIAL = ROOT / "data" / "synthetic-msc-als"
COMMAND = Path(sys.executable).with_name("slopeshift")
HEADLINES = ("alsfrsr.py", "fvc.py")


def timed(*arguments: str, **environment: str) -> float:
    """Run a command of the package; return its seconds. Raises CalledProcessError where it fails."""
    began = time.perf_counter()
    subprocess.run([str(COMMAND), *arguments], check=True, capture_output=True, cwd=ROOT, env=os.environ | environment)
    return time.perf_counter() - began


def fit(models: Path, fits: Path, **environment: str) -> float:
    """Fit every model of a folder to the example trial; return the seconds of the command."""
    return timed("fit", str(TRIAL), "--models", str(models), "--fits", str(fits), **environment)


def rows(folder: Path, refits: int) -> list[dict[str, object]]:
    """Time what users wait for: rows with command and seconds. `folder` is empty, and used for models and fits."""
    leading, one = folder / "leading", folder / "one"
    for place, names in ((leading, HEADLINES), (one, HEADLINES[:1])):
        place.mkdir(parents=True)
        for name in names:
            shutil.copy(ROOT / "models" / name, place)
    cold = {"NUMBA_CACHE_DIR": str(folder / "numba"), "PYTENSOR_FLAGS": f"compiledir={folder / 'pytensor'}"}
    found = [
        ("start: `slopeshift --version`", timed("--version")),
        ("check a trial", timed("check", str(TRIAL))),
        ("both leading models, nothing compiled on this machine", fit(leading, folder / "cold", **cold)),
        ("both leading models", fit(leading, folder / "warm")),
        ("one model", fit(one, folder / "one-fit")),
    ]
    edited(one / HEADLINES[0])
    found += [
        ("the same with an edited prior", fit(one, folder / "one-fit")),
        ("the whole folder of models", fit(ROOT / "models", folder / "all")),
        (f"{refits:,} null trials of one model, refitted", null(one, folder / "one-fit", refits)),
    ]
    return [{"command": name, "seconds": seconds} for name, seconds in found]


def edited(path: Path) -> None:
    """Write another standard deviation of the change into a model file."""
    text, changes = re.subn(r"change=Normal\(0, 0\.3", "change=Normal(0, 0.31", path.read_text(encoding="utf-8"))
    if changes != 1:
        raise ValueError(f"{path}: expected one prior of the change with an SD of 0.3, found {changes}")
    path.write_text(text, encoding="utf-8")


def null(models: Path, fits: Path, refits: int) -> float:
    """Refit null trials of the example with the models of a folder; return the seconds of the command."""
    return timed(
        *("null", str(TRIAL), "--models", str(models), "--fits", str(fits)),
        *("--replicates", "1", "--refits", str(refits), "--no-pseudo"),
    )
