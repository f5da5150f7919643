"""What is simulated and refitted of a plan, summed up beside the closed form."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.answers.estimates import CLAIM
from slopeshift.keep.replicates import replicates
from slopeshift.planning.spreads import Spreads
from slopeshift.planning.tables import z_of
from slopeshift.planning.trials import PlanJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from slopeshift.model.files import ModelFile
    from slopeshift.planning.closed_form import Expected
    from slopeshift.planning.plan import Rule, Scenario
    from slopeshift.planning.tables import Study


def jobs(study: Study, files: Mapping[str, ModelFile]) -> list[tuple[int, PlanJob]]:
    """List what is to be simulated: places of designs, from 1, and jobs, in the order of the plan."""
    plan = study.plan
    if plan.simulation is None:
        return []
    names = plan.simulation.scenarios or tuple(scenario.name for scenario in plan.scenarios)
    population = json.dumps({each.name: getattr(study.spreads, each.name).tolist() for each in fields(Spreads)})
    return [
        (place, _job(study, files[model.name], place, plan.scenario(name), population))
        for place in plan.simulation.designs
        for model in study.models
        for name in names
    ]


def _job(study: Study, file: ModelFile, place: int, scenario: Scenario, population: str) -> PlanJob:
    plan = study.plan
    assert plan.simulation is not None
    design = plan.designs[place - 1]
    return PlanJob(file.name, file.source, file.outcome, design, scenario, plan.simulation, population, plan.seed)


def simulated(
    study: Study,
    files: Mapping[str, ModelFile],
    folder: Path,
    *,
    say: Callable[[str], object],
    scheduler: str | None = None,
    processes: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Simulate and refit what the plan asks for: a row by design, model, scenario and rule.

    Columns: `trials`, `claims` with its Monte Carlo standard error `mc_error`, the closed form with spreads known,
    `closed_form`, and with spreads as each refit learnt them, `learnt` (NaN where neither applies);
    `mean`, `bias`, `rmse`, `coverage` of the 95 % interval, and `posterior_sd`. Raises as `replicates` does.
    """
    rows = []
    for place, job in jobs(study, files):
        say(f"simulating and refitting: design {place}, {job.model}, {job.scenario.name}")
        model = next(each for each in study.models if each.name == job.model)
        count = job.simulation.replicates
        found = replicates(job, count, folder, scheduler=scheduler, processes=processes, progress=progress)
        expected, table = study.cell(job.design, model), pd.DataFrame(found)
        rows += [summary(place, job, rule, expected, table) for rule in study.plan.rules]
    return pd.DataFrame(rows)


def summary(place: int, job: PlanJob, rule: Rule, expected: Expected, table: pd.DataFrame) -> dict[str, Any]:
    """Sum up the trials of a job under a rule (see `simulated`).

    A claim is where the posterior's quantile is above the margin; for a rule at another probability than those kept, by
    a normal posterior.
    """
    quantile = f"above {round(1 - rule.probability, 6)}"
    lowest = table[quantile] if quantile in table else table["mean"] - z_of(rule) * table["sd"]
    claimed = (lowest > rule.margin).mean()
    trials, effect = len(table), job.scenario.effect
    known = expected.estimates(job.scenario).claims(z_of(rule), rule.margin)
    half = 1.959964 * table["sd"]
    at_hand = rule.probability == CLAIM and rule.margin == 0
    return {
        **{"design": place, "model": job.model, "scenario": job.scenario.name, "expected": job.scenario.expected},
        **{"probability": rule.probability, "margin": rule.margin, "trials": trials, "claims": claimed},
        # A share of none or all has an error too: that of one trial more.
        "mc_error": float(np.sqrt(max(claimed * (1 - claimed), (trials - 1) / trials**2) / trials)),
        "closed_form": known if job.simulation.as_planned else float("nan"),
        "learnt": float(table["learnt"].mean()) if at_hand else float("nan"),
        **{"mean": table["mean"].mean(), "bias": table["mean"].mean() - effect},
        "rmse": float(np.sqrt(((table["mean"] - effect) ** 2).mean())),
        "coverage": float(((table["mean"] - effect).abs() <= half).mean()),
        "posterior_sd": table["sd"].mean(),
    }
