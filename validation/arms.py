"""Count how often a difference of arms is claimed, in randomised trials that were selected and that bend.

Run by `make validate`; writes arms.csv and arms.md. Two arms of the published size, one with sham injections; patients
had to lose 3 points to enter, and courses flatten by 0.05 points a month every month. Models: that of two arms, told the
rule, and the same with a wide prior of the effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from claims import ClaimJob, Study, mc_error, table_lines, told
from headline import LOSS, RULE
from trap_cells import CURVATURE, PUBLISHED, clean
from trap_checks import NEEDED, OUTCOME, SETTINGS

from slopeshift.answers import permutation
from slopeshift.fit.compiled import CLAIMED
from slopeshift.simulate.arms import CONTROL, two_arms
from slopeshift.trial import trial_from_tables

if TYPE_CHECKING:
    import pandas as pd
    from trap_cells import Cell

    from slopeshift.trial import Trial

MODEL, STATED, WIDE = "alsfrsr_arms", "effect=Normal(0, 0.3,", "effect=Normal(0, 2.0,"
PERMUTATIONS = 1000
CELLS = ((0.0, False), (0.6, False), (0.3, False), (0.6, True))
"""The true difference, and whether the prior of the effect is wide."""


@dataclass(frozen=True)
class ArmsJob(ClaimJob):
    """Trials of one true difference, fitted by the model of two arms."""

    cell: Cell
    difference: float
    wide: bool

    @cached_property
    def source(self) -> str:
        """The text of the model."""
        text = super().source
        assert STATED in text
        return text.replace(STATED, WIDE) if self.wide else text

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and fit one trial: a row of the difference of its arms, overall."""
        seed = self.seed + replicate
        posterior = self.fitted(self.trial(seed), seed)
        tested = permutation.table(posterior, PERMUTATIONS, seed)
        return [{**told(posterior, self.difference), "p": float(tested["p"].iloc[0])}]

    def trial(self, seed: int) -> Trial:
        """Simulate one trial, with the rule by which its patients entered."""
        simulated = two_arms(self.cell.design, self.cell.population, {OUTCOME: self.difference}, seed)
        columns = {name: text.split() for name, text in NEEDED.items()}
        columns["patients"], columns["injections"] = [*columns["patients"], "arm"], [*columns["injections"], "agent"]
        tables = {name: simulated.tables[name][wanted] for name, wanted in columns.items()}
        injected = tables["patients"]["patient"].isin(tables["injections"]["patient"])
        tables["patients"] = tables["patients"].assign(entry_exempt=np.where(injected, "no", "yes"))
        arms = {"control": CONTROL, "randomised": True}
        return trial_from_tables("simulated", tables, SETTINGS | {"entry": [RULE], "arms": arms})


def jobs(seed: int) -> list[ArmsJob]:
    """List the studies."""
    cell = clean("", PUBLISHED).other(minimum_loss=LOSS, curvature=CURVATURE)
    cell = replace(cell, design=replace(cell.design, patients_per_cycle=()))
    return [ArmsJob(MODEL, seed, cell, difference, wide) for difference, wide in CELLS]


def summary(job: ArmsJob, rows: pd.DataFrame) -> dict[str, Any]:
    """Sum up the trials of a study."""
    claimed = (rows["probability"] > CLAIMED).mean()
    return {
        "difference": job.difference,
        "prior": "wide" if job.wide else "as stated",
        "trials": len(rows),
        "claimed": claimed,
        "mc_error": mc_error(claimed, len(rows)),
        "bias": (rows["mean"] - job.difference).mean(),
        "posterior_sd": rows["sd"].mean(),
        "coverage": rows["covered"].mean(),
        "p_below_0.05": (rows["p"] < 0.05).mean(),
        "mean_p": rows["p"].mean(),
    }


def page(table: pd.DataFrame, seed: int) -> str:
    """Write the table in Markdown, with what it says."""
    heads = "true difference | prior of the effect | trials | claimed at 0.975 | bias | posterior SD | coverage"
    rows = [
        f"{row.difference:g} | {row.prior} | {row.trials} | {100 * row.claimed:.1f} ± {100 * row.mc_error:.1f} % | "
        f"{row.bias:+.3f} | {row.posterior_sd:.3f} | {100 * row.coverage:.1f} % | {100 * below:.1f} %"
        for row, below in zip(table.itertuples(), table["p_below_0.05"], strict=True)
    ]
    lines = table_lines(f"{heads} | permutation p < 0.05", rows)
    return "\n".join([_INTRODUCTION.format(seed=seed), *lines, ""])


_INTRODUCTION = """## Arms

How often a difference of arms is claimed, Pr(difference > 0) above 0.975, in randomised trials of 20 and 20 patients
with sham injections, who had to lose 3 points to enter and whose courses bend; seeds from {seed}. Bias is that of the
posterior mean in points a month: with a true difference, it has the pull of the sceptical prior in it.
"""

STUDY = Study("arms", 20_290_000, 200, jobs, summary, page)

if __name__ == "__main__":
    STUDY.main(__doc__)
