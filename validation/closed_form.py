"""Compare the closed form of what a design claims with as many trials of it, simulated and fitted.

Run by `make validate`; writes closed_form.csv and closed_form.md. A cell is a model and a truth, in trials of the
published size. The closed form is evaluated at each trial's own visits and at its posterior of the spreads, for the
truth that it was simulated from, and averaged over trials. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from headline import EFFECT, STRAIGHT, TOLD, trial_of
from trap_cells import CURVATURE, PUBLISHED, clean
from trap_checks import MODELS, OUTCOME

from slopeshift.answers import operating, quantities
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import CLAIMED, Sampling, compile_once
from slopeshift.keep import made_from
from slopeshift.keep.atomic import replacing
from slopeshift.keep.replicates import replicates
from slopeshift.model.files import load_model, source_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from trap_cells import Cell

    from slopeshift.simulate import OutcomeTruth

    Floats = NDArray[np.float64]

HERE = Path(__file__).parent
STORE = HERE / ".cache" / "closed_form"
SEED, REPLICATES = 20_280_000, 400
SAMPLING = Sampling(chains=2, draws=750, tune=400)
TRUTHS = {
    "nothing changes": {},
    f"nothing changes, courses bend by {CURVATURE}": {"curvature": CURVATURE},
    f"slopes change by {EFFECT}": {"change": (EFFECT,) * 3},
}


@dataclass(frozen=True)
class ClosedFormJob:
    """Trials of one truth, each fitted by one model; `told` is False, as no rule is stated (see `headline`)."""

    name: str
    cell: Cell
    model: str
    seed: int
    told: bool = False

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results."""
        text = source_of(MODELS / f"{self.model}.py")
        own = Path(__file__).read_text(encoding="utf-8")
        modules = {module for each in (text, own) for module in made_from.imported(each)}
        return made_from.key(
            "closed form", repr(self), repr(SAMPLING), *map(made_from.without_docstrings, (own, text)), modules=modules
        )

    @property
    def program(self) -> str:
        """Nothing is compiled beforehand."""
        return ""

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and fit one trial: its probability of a change, and how many such trials would claim one."""
        seed = self.seed + replicate
        trial, _ = trial_of(self, seed)
        file = load_model(MODELS / f"{self.model}.py")
        visits = visits_of(trial, OUTCOME, file.build.shape)
        posterior = compile_once(self.model, file.source, trial, SAMPLING).fit(trial, visits, seed)
        course, spread = stated(self.cell.truth, file.build.shape.curved, len(visits.injections))
        expected = operating.claims(posterior, course, spread)
        return [{"probability": float((quantities.change(posterior) > 0).mean()), "expected": expected}]


def stated(truth: OutcomeTruth, curved: bool, injections: int) -> tuple[Floats, Floats]:
    """Lay a truth out in the order of a model's coefficients: their mean, and their covariance between patients."""
    between = np.array(
        [
            [1.0, truth.correlation_level_slope, truth.correlation_level_response],
            [truth.correlation_level_slope, 1.0, truth.correlation_slope_response],
            [truth.correlation_level_response, truth.correlation_slope_response, 1.0],
        ]
    ) * np.outer(*[(truth.sd_level, truth.sd_slope, truth.sd_response)] * 2)
    trait = np.array([0, 1] + [2] * injections)
    covariance = between[np.ix_(trait, trait)]
    covariance[2:, 2:] += truth.sd_cycle**2 * np.eye(injections)
    mean = np.array([truth.level, truth.slope, *truth.change[:injections]])
    bend = 2 if curved else len(mean)
    covariance = np.insert(np.insert(covariance, bend, 0.0, axis=0), bend, 0.0, axis=1)
    covariance[bend, bend] = truth.sd_curvature**2
    return np.insert(mean, bend, truth.curvature), covariance


def jobs(seed: int) -> list[ClosedFormJob]:
    """List the cells: every truth by both models."""
    cells = {name: clean("", PUBLISHED).other(**fields) for name, fields in TRUTHS.items()}
    return [ClosedFormJob(name, cell, model, seed) for model in (STRAIGHT, TOLD) for name, cell in cells.items()]


def summary(job: ClosedFormJob, rows: pd.DataFrame) -> dict[str, Any]:
    """Compare the share of claims among the trials with the one expected."""
    claimed = (rows["probability"] > CLAIMED).to_numpy(float)
    error = np.sqrt(max(rows["expected"].mean() * (1 - rows["expected"].mean()), 0.25 / len(rows)) / len(rows))
    return {
        "model": job.model,
        "truth": job.name,
        "trials": len(rows),
        "claimed": claimed.mean(),
        "expected": rows["expected"].mean(),
        "mc_error": error,
        "z": (claimed.mean() - rows["expected"].mean()) / error,
    }


def main() -> None:
    """Do what is missing, and write the table and its page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replicates", type=int, default=REPLICATES, help="simulated trials of each cell")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    found = []
    for job in jobs(given.seed):
        rows = replicates(job, given.replicates, STORE, processes=given.processes)
        found.append(summary(job, pd.DataFrame(rows)))
        print(found[-1], flush=True)
    table = pd.DataFrame(found)
    with replacing(HERE / "closed_form.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g")
    with replacing(HERE / "closed_form.md") as path:
        path.write_text(page(table, given.seed), encoding="utf-8")


def page(table: pd.DataFrame, seed: int) -> str:
    """Write the table in Markdown, with what it says."""
    lines = ["| model | truth | trials | claimed | closed form | z |", "|" + " --- |" * 6]
    lines += [
        f"| {row.model} | {row.truth} | {row.trials} | {100 * row.claimed:.1f} ± {100 * row.mc_error:.1f} % | "
        f"{100 * row.expected:.1f} % | {row.z:+.1f} |"
        for row in table.itertuples()
    ]
    return "\n".join([_INTRODUCTION.format(seed=seed), *lines, ""])


_INTRODUCTION = """## Closed form

How often trials claim that decline became slower, Pr(overall change > 0) above 0.975, counted in simulated and fitted
trials, and by the closed form that stands beside every answer; seeds from {seed}. z is the difference in Monte Carlo
standard errors.
"""

if __name__ == "__main__":
    main()
