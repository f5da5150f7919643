"""A plan carried out: every table that it asks for, and its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.keep.atomic import locked, replacing
from slopeshift.planning import looks, page, tables
from slopeshift.planning.prepared import prepared
from slopeshift.planning.reading import read_plan
from slopeshift.planning.simulated import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from slopeshift.model.files import ModelFile
    from slopeshift.planning.tables import Study

INDEX, CHUNKS = "plan.html", "chunks"
"""The page, and the folder of what was simulated, chunk by chunk."""

DIGITS = "%.6g"


def run(
    file: Path,
    models: Path,
    folder: Path,
    *,
    say: Callable[[str], object],
    scheduler: str | None = None,
    processes: int | None = None,
    progress: bool = False,
    examples: Callable[[Study, Mapping[str, ModelFile], Path], list[tuple[str, str]]] | None = None,
) -> list[Path]:
    """Carry out the plan in a file, write its tables and page into `folder`, and return the files, the page last.

    Model files are those of the folder `models`. What is simulated is kept in `folder` as it is done; an interrupted
    run goes on where it stopped. `examples` writes example trials into a folder and returns name and link of each.
    Raises PlanError with everything that is wrong with the plan, and what `replicates` raises.
    """
    plan = read_plan(file)
    study, files = prepared(plan, models, file.parent)
    text = file.read_text(encoding="utf-8")
    with locked(folder, say):
        found = closed(study)
        if plan.simulation is not None:
            how = {"scheduler": scheduler, "processes": processes, "progress": progress}
            found["simulated"] = simulated(study, files, folder / CHUNKS, say=say, **how)  # type: ignore[arg-type]
        opened = [] if examples is None else examples(study, files, folder)
        written = [
            _write(folder / f"{name}.csv", table.to_csv(index=False, float_format=DIGITS))
            for name, table in found.items()
        ]
        priors = {name: files[name].stated() for name in files}
        contents = page.Contents(study, found, text, priors, opened)
        written += [_write(folder / "plan.toml", text), _write(folder / INDEX, page.page(contents))]
    return written


def closed(study: Study) -> dict[str, pd.DataFrame]:
    """Make every table that needs no refits, by name; those that the plan does not ask for are left out."""
    found, target = tables.by_design(study), study.plan.target
    if target.scenario is not None or target.width is not None:
        found["sizes"] = tables.sizes(study)
    found["looks"] = looks.table(study)
    return {name: table for name, table in found.items() if len(table)}


def _write(path: Path, text: str) -> Path:
    with replacing(path) as whole:
        whole.write_text(text, encoding="utf-8", newline="")
    return path
