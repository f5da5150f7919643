"""The command `doctor`: whether this machine has what a fit needs, a line each, and what to do where it has not."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from slopeshift.cli.answers import BAD_INPUT, answer_json
from slopeshift.keep.processes import cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST_MEMORY = 2.0
"""GiB: a model that is compiled takes about one."""


BESIDE = ("bambi", "numba", "scipy")
"""Packages of which a version may decide a digit, beside those that every fit records."""


class Line(NamedTuple):
    """One thing that was looked at: what it is, what was found, and what to do; nothing where it is well."""

    what: str
    found: str
    remedy: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False) -> None:
    """Look at Python, packages, BLAS, caches, cores and memory; say what is well, and what to do where it is not."""
    lines = list(looked_at())
    if as_json:
        answer_json({"checks": [line._asdict() | {"ok": not line.remedy} for line in lines]})
    else:
        width = max(len(line.what) for line in lines)
        for line in lines:
            typer.echo(f"{line.what.ljust(width)}  {'ok' if not line.remedy else '!!'}  {line.found}")
            if line.remedy:
                typer.echo(f"{' ' * width}      {line.remedy}")
    if any(line.remedy for line in lines):
        raise typer.Exit(BAD_INPUT)


def print_versions(asked: bool) -> None:
    """Print the versions that decide a number, slopeshift's first, and stop: where it was asked for."""
    if not asked:
        return
    from slopeshift.fit.store import PACKAGES

    names = sorted({*PACKAGES, *BESIDE} - {"slopeshift"})
    typer.echo(f"slopeshift {metadata.version('slopeshift')}")
    typer.echo(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    typer.echo("\n".join(f"{name} {metadata.version(name)}" for name in names))
    raise typer.Exit


def looked_at() -> Iterator[Line]:
    """Yield everything that is looked at."""
    yield _python()
    yield from _packages()
    yield Line("BLAS", _blas())
    yield from _caches()
    yield Line("cores", str(cores()))
    yield _memory()


def _python() -> Line:
    wanted = metadata.metadata("slopeshift")["Requires-Python"]
    right = (3, 12) <= sys.version_info[:2] < (3, 15)
    return Line("Python", platform.python_version(), "" if right else f"use Python {wanted}: make env PYTHON=...")


def _packages() -> Iterator[Line]:
    needed = [text for text in metadata.requires("slopeshift") or () if "extra ==" not in text]
    wrong = [line for text in needed if (line := _package(text)).remedy]
    yield from wrong
    if not wrong:
        main = ("pymc", "arviz", "nutpie", "numba", "bambi")
        yield Line("packages", ", ".join(f"{name} {metadata.version(name)}" for name in main))


def _package(requirement: str) -> Line:
    """Hold one package to the versions that are wanted, `name>=low,<high`."""
    name = re.split(r"[<>=!~;\s\[]", requirement, maxsplit=1)[0]
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Line(name, "not installed", f"install {requirement}, or make the environment again: make env")
    low, high = (re.search(rf"{sign}([\d.]+)", requirement) for sign in (">=", "<"))
    right = (low is None or _version(low[1]) <= _version(found)) and (
        high is None or _version(found) < _version(high[1])
    )
    return Line(name, found, "" if right else f"install {requirement}, or make the environment again: make env")


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def _blas() -> str:
    import numpy as np

    about = np.show_config(mode="dicts")
    found = about.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip() + ", by NumPy"


def _caches() -> Iterator[Line]:
    from slopeshift.keep.caches import can_write, numba_place, pytensor_place, use_writable

    moved = use_writable()
    for what, place, variable in (
        ("Numba's cache", numba_place(), "NUMBA_CACHE_DIR"),
        ("PyTensor's cache", pytensor_place(), "PYTENSOR_FLAGS=base_compiledir"),
    ):
        remedy = "" if can_write(place) else f"name a folder that can be written: {variable}=FOLDER"
        yield Line(what, f"{place}{_temporary(place)}", remedy)
    for line in moved:
        yield Line("note", line)


def _temporary(place: Path) -> str:
    return " (temporary: compiled again after every restart)" if "slopeshift-cache-" in str(place) else ""


def _memory() -> Line:
    try:
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return Line("memory", "unknown on this system")
    remedy = "" if gib >= LEAST_MEMORY else f"at least {LEAST_MEMORY:g} GiB are needed where a model is compiled"
    return Line("memory", f"{gib:.1f} GiB", remedy)
