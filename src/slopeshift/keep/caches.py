"""Where compiled functions are kept: in a temporary folder where neither home nor the package's folder can be written.

Numba and PyTensor read these variables when they are first imported, and fail with a traceback where they find no
place. So this is asked before either is imported, and only what nobody has said otherwise is set.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def can_write(folder: Path) -> bool:
    """Say whether a file can be made in a folder, or in what is there of the way to it."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def home() -> Path:
    """Return the folder of the user, or the temporary one where there is none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())


def numba_place() -> Path:
    """Return where Numba keeps compiled functions: where the user said, beside the code, or in the user's cache."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    return PACKAGE / "engine" / "__pycache__" if can_write(PACKAGE / "engine") else home() / ".cache" / "numba"


def pytensor_place() -> Path:
    """Return where PyTensor keeps what it compiled: as its flags say, or in the user's folder."""
    flags = dict(flag.partition("=")[::2] for flag in os.environ.get("PYTENSOR_FLAGS", "").split(",") if flag)
    return Path(flags.get("compiledir") or flags.get("base_compiledir") or home() / ".pytensor").expanduser()


def use_writable() -> tuple[str, ...]:
    """Keep in a temporary folder what could not be kept where it should be; say so, a line for each."""
    spare = Path(tempfile.gettempdir()) / f"slopeshift-cache-{os.getuid() if hasattr(os, 'getuid') else 0}"
    said = []
    if not can_write(numba_place()):
        said.append(f"{numba_place()} cannot be written: compiled functions are kept in {spare / 'numba'}")
        os.environ["NUMBA_CACHE_DIR"] = str(spare / "numba")
    if not can_write(place := pytensor_place()):
        said.append(f"{place} cannot be written: PyTensor keeps its own in {spare / 'pytensor'}")
        flags = [flag for flag in os.environ.get("PYTENSOR_FLAGS", "").split(",") if flag and "compiledir" not in flag]
        os.environ["PYTENSOR_FLAGS"] = ",".join([*flags, f"base_compiledir={spare / 'pytensor'}"])
    if not can_write(home()):
        os.environ.setdefault("MPLCONFIGDIR", str(spare / "matplotlib"))
    return tuple(said)
