"""Example trials of a plan, written as trial folders that every command can read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slopeshift.simulate import write
from slopeshift.trial import read_trial

if TYPE_CHECKING:
    from pathlib import Path

    from slopeshift.planning.trials import PlanJob
    from slopeshift.trial import Trial

EXAMPLES = 3
"""Trials of each scenario that are reported in full: the first of those that are simulated."""

DRAWS, TUNE = 2000, 1000
"""How an example is sampled, by chain: enough for its gate."""


def written(job: PlanJob, replicate: int, folder: Path) -> Trial:
    """Write one simulated trial of a job as a folder in `folder`, with its truth, and read it again.

    It has the values of the outcome that is planned for, and the tables that a trial needs. The same arguments write
    the same bytes.
    """
    simulated, design = job.simulated(replicate)
    name = re.sub(r"\W+", "-", f"{job.model}-{job.design.patients}-{job.scenario.name}-{replicate + 1}").strip("-")
    other = "fvc" if job.outcome == "alsfrsr" else "alsfrsr"
    visits = simulated.tables["visits"].drop(columns=other).dropna(subset=[job.outcome])
    trimmed = replace(simulated, tables={**simulated.tables, "visits": visits})
    settings: dict[str, Any] = {
        "title": f"SYNTHETIC example of a plan: {job.scenario.name}",
        "synthetic": True,
        "source": "SYNTHETIC: simulated from a plan; no patient is real",
    }
    sections = {} if job.design.control_share is None else {"arms": job.arms}
    write(trimmed, settings, folder / name, design.entry, sections)
    return read_trial(folder / name)
