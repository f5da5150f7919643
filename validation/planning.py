"""Compare the closed form of a planned design with as many trials of it, simulated and refitted, in corner cells.

Run by `make validate`; writes planning.csv and planning.md. Two closed forms stand beside what is counted: that of the
plan, which takes the spreads as known, and its average at the spreads that each refit learnt. Interrupted, it goes on
where it stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from claims import options, table_lines, write

from slopeshift.planning.prepared import prepared
from slopeshift.planning.reading import plan_of
from slopeshift.planning.simulated import simulated

HERE = Path(__file__).parent
STORE = HERE / ".cache" / "planning"
SEED, REPLICATES = 20_300_000, 200

DESIGN = {
    "patients": 20,
    "lead_in": 3,
    "lead_in_visits": 3,
    "visit_spacing": 1,
    "interval": 4.5,
    "reach": [1, 0.6, 0.5],
    "follow_up": 4,
}
POPULATION = {
    "source": "stated",
    "level": 31.0,
    "slope": -0.8,
    "sd_level": 4.0,
    "sd_slope": 0.5,
    "sd_response": 0.2,
    "sd_cycle": 0.1,
    "sigma": 1.9,
    "sd_curvature": 0.03,
}
"""Spreads as in the traps: hardly anybody comes near an end of the scale."""

NOTHING = {"name": "nothing changes", "expected": "no claim"}
BENT = {"name": "courses bend by 0.05", "expected": "no claim", "bend": 0.05}
VARIED = {"name": "bends differ between trials, SD 0.03", "expected": "no claim", "bend_sd": 0.03}
CHANGED = {"name": "slopes change by 0.6", "expected": "claim", "effect": 0.6}
ARMS = DESIGN | {"patients": 40, "control_share": 0.5}
CELLS: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("alsfrsr_straight", "20 patients", DESIGN, BENT),
    ("alsfrsr_straight", "20 patients", DESIGN, VARIED),
    ("alsfrsr_straight", "20 patients, intervals of 3 or 6 months at random", DESIGN | {"interval": [[3, 6]]}, CHANGED),
    ("alsfrsr_straight", "12 patients, one injection, 2 visits in 2 months", DESIGN | {
        "patients": 12, "reach": [1], "lead_in": 2, "lead_in_visits": 2}, CHANGED),
    ("alsfrsr", "20 patients", DESIGN, NOTHING),
    ("alsfrsr", "20 patients", DESIGN, CHANGED),
    ("alsfrsr_arms", "20 and 20 patients", ARMS, BENT),
    ("alsfrsr_arms", "20 and 20 patients", ARMS, CHANGED),
)  # fmt: skip
"""Model, design in words, design, scenario: the corners of what a plan may be."""


def table(replicates: int, seed: int, processes: int) -> pd.DataFrame:
    """Simulate and refit every cell, and set what was counted beside both closed forms."""
    found = []
    for place, (model, words, design, scenario) in enumerate(CELLS):
        settings = {
            **{"title": words, "model": model, "seed": seed + place, "design": design, "population": POPULATION},
            **{"decision": {"probability": 0.975}, "scenario": [scenario]},
            "simulation": {"replicates": replicates},
        }
        study, files = prepared(plan_of(settings, words), HERE.parent / "models", HERE)
        counted = simulated(study, files, STORE, say=print, processes=processes).iloc[0]
        found.append({"model": model, "design": words, **counted.drop(["design", "model"])} | _distances(counted))
        print(found[-1], flush=True)
    return pd.DataFrame(found)


def _distances(counted: pd.Series) -> dict[str, float]:
    """Distance of what was counted from both closed forms, in the standard errors that these would have."""

    def z(expected: float) -> float:
        error = np.sqrt(max(expected * (1 - expected), 0.25 / counted["trials"]) / counted["trials"])
        return float((counted["claims"] - expected) / error)

    return {"z": z(counted["closed_form"]), "z_learnt": z(counted["learnt"])}


def main() -> None:
    """Do what is missing, and write the table and its page."""
    given = options(__doc__, REPLICATES, SEED)
    write("planning", table(given.replicates, given.seed, given.processes), page, given.seed)


def page(found: pd.DataFrame, seed: int) -> str:
    """Write the table in Markdown, with what it says."""
    rows = [
        f"{row.model} | {row.design} | {row.scenario} | {row.trials} | {100 * row.claims:.1f} ± "
        f"{100 * row.mc_error:.1f} % | {100 * row.closed_form:.1f} %, {row.z:+.1f} | "
        f"{100 * row.learnt:.1f} %, {row.z_learnt:+.1f}"
        for row in found.itertuples()
    ]
    lines = table_lines("model | design | truth | trials | claimed | plan, z | spreads as learnt, z", rows)
    return "\n".join([_INTRODUCTION.format(seed=seed), *lines, ""])


_INTRODUCTION = """## Planning

How often planned trials claim, Pr(change > 0) above 0.975: counted in simulated and refitted trials, and by closed form; seeds from {seed}.
The closed form of a plan takes the spreads as known; its average at the spreads that every refit learnt does not.
z is the difference in Monte Carlo standard errors.
"""

if __name__ == "__main__":
    main()
