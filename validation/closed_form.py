"""Compare the closed form of what a design claims with as many trials of it, simulated and fitted.

Run by `make validate`; writes closed_form.csv and closed_form.md. A cell is a model and a truth, in trials of the
published size. The closed form is evaluated at each trial's own visits and at its posterior of the spreads, for the
truth that it was simulated from, and averaged over trials. Some models have the prior of the slope before injection 1
that a natural history gives, which declines as these patients do, or a tenth slower or faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from claims import ClaimJob, Study, mc_error, table_lines
from headline import EFFECT, STRAIGHT, TOLD, trial_of
from trap_cells import CURVATURE, PUBLISHED, clean

from slopeshift.answers import operating, quantities
from slopeshift.fit.compiled import CLAIMED

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from trap_cells import Cell

    from slopeshift.simulate import OutcomeTruth

    Floats = NDArray[np.float64]

TRUTHS = {
    "nothing changes": {},
    f"nothing changes, courses bend by {CURVATURE}": {"curvature": CURVATURE},
    f"slopes change by {EFFECT}": {"change": (EFFECT,) * 3},
}


STATED = "slope=FromControl(otherwise=Normal(-1.0, 0.4,"
HISTORY_SD = 0.16
"""SD of a slope that 100 patients give, points a month: their standard error and a between-study SD of 0.15."""

HISTORIES = {"as these patients": 1.0, "a tenth slower": 0.9, "a tenth faster": 1.1}
"""How the natural history declines, and its slope in that of the trial's patients."""


@dataclass(frozen=True)
class ClosedFormJob(ClaimJob):
    """Trials of one truth; no rule is stated. `history` is the slope of the natural history, None without one."""

    name: str
    cell: Cell
    history: float | None = None

    @cached_property
    def source(self) -> str:
        """The text of the model, with the prior that the natural history gives."""
        text = super().source
        assert STATED in text
        if self.history is None:
            return text
        return text.replace(STATED, f"slope=FromControl(otherwise=Normal({self.history:g}, {HISTORY_SD:g},")

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and fit one trial: its probability of a change, and how many such trials would claim one."""
        seed = self.seed + replicate
        posterior = self.fitted(trial_of(self.cell, seed)[0], seed)
        visits = posterior.visits
        course, spread = stated(self.cell.truth, visits.shape.curved, len(visits.injections))
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
    """List the cells: every truth by both models, and no change beside every natural history."""
    cells = {name: clean("", PUBLISHED).other(**fields) for name, fields in TRUTHS.items()}
    plain = clean("", PUBLISHED)
    return [
        *(ClosedFormJob(model, seed, name, cell) for model in (STRAIGHT, TOLD) for name, cell in cells.items()),
        *(
            ClosedFormJob(STRAIGHT, seed, f"nothing changes; a natural history declines {how}", plain, ratio * slope)
            for slope in (plain.truth.slope,)
            for how, ratio in HISTORIES.items()
        ),
    ]


def summary(job: ClosedFormJob, rows: pd.DataFrame) -> dict[str, Any]:
    """Compare the share of claims among the trials with the one expected."""
    claimed = (rows["probability"] > CLAIMED).to_numpy(float)
    error = mc_error(rows["expected"].mean(), len(rows))
    return {
        "model": job.model,
        "truth": job.name,
        "trials": len(rows),
        "claimed": claimed.mean(),
        "expected": rows["expected"].mean(),
        "mc_error": error,
        "z": (claimed.mean() - rows["expected"].mean()) / error,
    }


def page(table: pd.DataFrame, seed: int) -> str:
    """Write the table in Markdown, with what it says."""
    rows = [
        f"{row.model} | {row.truth} | {row.trials} | {100 * row.claimed:.1f} ± {100 * row.mc_error:.1f} % | "
        f"{100 * row.expected:.1f} % | {row.z:+.1f}"
        for row in table.itertuples()
    ]
    lines = table_lines("model | truth | trials | claimed | closed form | z", rows)
    return "\n".join([_INTRODUCTION.format(seed=seed), *lines, ""])


_INTRODUCTION = """## Closed form

How often trials claim that decline became slower, Pr(overall change > 0) above 0.975, counted in simulated and fitted
trials, and by the closed form that stands beside every answer; seeds from {seed}. z is the difference in Monte Carlo
standard errors. A natural history is of 100 patients, with a between-study SD of 0.15 points a month; it is no control
arm, and where its patients decline otherwise than the trial's, it moves what is claimed.
"""

STUDY = Study("closed_form", 20_280_000, 400, jobs, summary, page)

if __name__ == "__main__":
    STUDY.main(__doc__)
