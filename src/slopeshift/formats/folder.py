"""Folders of source files, a table each: which are read, under what names, and why others are left alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slopeshift.formats.source import ENDINGS, doubled_problem, read_source
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slopeshift.formats.source import Source

NOTHING_MADE = "nothing in a trial's tables is made of this file"


@dataclass(frozen=True)
class Collected:
    """The source files that a format reads, why others are left alone, and what is wrong so far."""

    sources: tuple[Source, ...]
    unread: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def collect_tables(
    path: Path,
    sheet: str | None,
    kind: str,
    name_of: Callable[[Path], str],
    unread: Callable[[str], str],
    needed: tuple[set[str], Problem],
    *,
    joined: bool = False,
) -> Collected:
    """Read the tables of a folder, a file each, called what `name_of` makes of the file.

    `kind` is what a table is called in problems. `unread` says why a table of a name is left alone, empty where it is
    read. `needed` has the names of which one must be there, and the problem where none is. Files of one name are parts
    of a table where tables may be `joined`, unless they differ in their ending alone.
    """
    if not path.is_dir():
        remedy = f"give the folder with the {kind}s"
        return Collected((), problems=(Problem(str(path), None, None, "no such folder", remedy),))
    found: dict[str, Path] = {}
    names: set[str] = set()
    inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    left = {f"{each.name}/": "a folder: only files beside it are read" for each in inside if each.is_dir()}
    problems, sources = [], []
    for file in filter(Path.is_file, inside):
        name = name_of(file) if file.suffix.casefold() in ENDINGS else ""
        same = file.stem.casefold() if joined else name
        if not name or unread(name):
            left[file.name] = (name and unread(name)) or NOTHING_MADE
        elif same in found:
            remedy = "keep one of them in the folder"
            problems.append(Problem(file.name, None, None, f"the same {kind} as {found[same].name}", remedy))
        else:
            found[same] = file
            names.add(name)
            source, in_file = read_source(file, sheet)
            problems += in_file
            if source:
                sources.append(replace(source, dataset=name))
                problems += [doubled_problem(source, column) for column in source.doubled]
    wanted, lacking = needed
    if not wanted & names:
        problems.append(lacking)
    return Collected(tuple(sources), left, tuple(problems))
