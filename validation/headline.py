"""Count how often the headline claims a change, with and without one, in trials that were selected and that bend.

Run by `make validate`; writes headline.csv and headline.md. Trials are those of the traps: the published size and three
times that, patients chosen by a loss of 3 points or not, courses that flatten by 0.05 points a month every month or do
not. Models: the headline, told the rule; and a straight line, not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from claims import ClaimJob, Study, share_interval, table_lines, told
from trap_cells import BEND, CURVATURE, LARGE, PUBLISHED, clean
from trap_checks import NEEDED, OUTCOME, SETTINGS

from slopeshift import simulate
from slopeshift.answers import any_change, operating
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.compiled import CLAIMED, Sampling
from slopeshift.trial import trial_from_tables

if TYPE_CHECKING:
    import pandas as pd
    from trap_cells import Cell

    from slopeshift.trial import Trial

LOSS, EFFECT = 3.0, 0.6
RULE = {
    "outcome": OUTCOME,
    "quantity": "loss",
    "from": "first",
    "to": "injection",
    "at_least": LOSS,
    "source": "the simulated protocol",
}
STRAIGHT, TOLD = "alsfrsr_straight", "alsfrsr"
SITUATIONS = {
    "plain": {},
    "chosen by a loss of 3 points": {"minimum_loss": LOSS},
    BEND: {"curvature": CURVATURE},
    "both": {"minimum_loss": LOSS, "curvature": CURVATURE},
}


MISSTATED = {
    f"chosen by a loss of {LOSS:g} points, told {LOSS - 1:g}": ({}, LOSS - 1),
    f"chosen by a loss of {LOSS:g} points, skewed slopes (gamma)": ({"slope_distribution": "gamma"}, LOSS),
}
"""What the headline takes for something else: fields of the truth, and the loss that it is told."""


@dataclass(frozen=True)
class HeadlineJob(ClaimJob):
    """Trials of one kind; the headline is told its entry rule, as one by a loss of `told` points."""

    name: str
    cell: Cell
    told: float = LOSS

    SAMPLING: ClassVar[Sampling] = Sampling(chains=2, draws=1000, tune=400)

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and fit one trial: a row of its overall change, and what chance and prior say of it."""
        seed = self.seed + replicate
        trial, truth = trial_of(self.cell, seed, self.told if self.model == TOLD else None)
        posterior = self.fitted(trial, seed)
        chance, anything = operating.table(posterior), any_change.table(posterior)
        bent = chance[(chance["injection"] == OVERALL) & (chance["course"] == "bent")]
        even = anything[(anything["prior_probability"] == 0.5)]["probability"]
        return [
            {
                **{"truth": truth, **told(posterior, truth)},
                "cut": float(bent["cut"].iloc[0]) if len(bent) else float("nan"),
                "any_change": float(even.iloc[1]) if len(even) else float("nan"),
            }
        ]


def trial_of(cell: Cell, seed: int, loss: float | None = None) -> tuple[Trial, float]:
    """Simulate one trial, and the mean true change over the cycles that its values inform.

    `loss` is what the trial says that patients had to lose, where they had to; None says nothing of a rule.
    """
    simulated = simulate.simulate(cell.design, cell.population, seed)
    tables = {name: simulated.tables[name][columns.split()] for name, columns in NEEDED.items()}
    settings = dict(SETTINGS)
    if loss is not None and isfinite(cell.design.minimum_loss):
        # Who was never injected has no value on the day by which the rule was judged.
        injected = tables["patients"]["patient"].isin(tables["injections"]["patient"])
        tables["patients"] = tables["patients"].assign(entry_exempt=np.where(injected, "no", "yes"))
        settings["entry"] = [RULE | {"at_least": loss}]
    return trial_from_tables("simulated", tables, settings), float(np.mean(cell.truth.change))


def jobs(seed: int) -> list[HeadlineJob]:
    """List the studies: every situation and size, with and without an effect, by both models."""
    return [
        *(
            HeadlineJob(model, seed, name, clean("", patients).other(change=(effect,) * 3, **fields))
            for patients in (PUBLISHED, LARGE)
            for name, fields in SITUATIONS.items()
            for effect in (0.0, EFFECT)
            for model in (TOLD, STRAIGHT)
        ),
        *(
            HeadlineJob(TOLD, seed, name, clean("", PUBLISHED).other(minimum_loss=LOSS, **fields), told)
            for name, (fields, told) in MISSTATED.items()
        ),
    ]


def summary(job: HeadlineJob, rows: pd.DataFrame) -> dict[str, Any]:
    """Sum up the trials of a study."""
    claimed = rows["probability"] > CLAIMED
    lower, upper = share_interval(int(claimed.sum()), len(rows))
    return {
        "patients": job.cell.design.enrolled,
        "situation": job.name,
        "change": rows["truth"].iloc[0],
        "model": job.model,
        "trials": len(rows),
        "claimed": claimed.mean(),
        "lower": lower,
        "upper": upper,
        "claimed_at_cut": (rows["probability"] > rows["cut"]).mean() if rows["cut"].notna().all() else np.nan,
        "bias": (rows["mean"] - rows["truth"]).mean(),
        "sd": rows["mean"].std(),
        "posterior_sd": rows["sd"].mean(),
        "coverage": rows["covered"].mean(),
        "any_change_above_0.95": (rows["any_change"] > 0.95).mean(),
    }


def page(table: pd.DataFrame, seed: int) -> str:
    """Write the table in Markdown, with what it says."""
    heads = "patients | courses and patients | true change | model | trials | claimed at 0.975 | at its own cut | bias"
    rows = [
        f"{row.patients} | {row.situation} | {row.change:g} | {row.model} | {row.trials} | "
        f"{100 * row.claimed:.1f} % ({100 * row.lower:.1f} to {100 * row.upper:.1f}) | "
        f"{'–' if np.isnan(row.claimed_at_cut) else f'{100 * row.claimed_at_cut:.1f} %'} | "
        f"{row.bias:+.3f} | {row.posterior_sd:.3f} | {100 * row.coverage:.1f} %"
        for row in table.itertuples()
    ]
    straight = _NOT_TOLD if (table["model"] == STRAIGHT).any() else ""
    introduction = _INTRODUCTION.format(seed=seed, straight=straight)
    return "\n".join([introduction, *table_lines(f"{heads} | posterior SD | coverage", rows), ""])


_INTRODUCTION = """## Headline

How often the models that answer claim a change, in simulated trials that were selected, that bend, or both; seeds from
{seed}. A claim is Pr(overall change > 0) above 0.975, or above the cut that
2.5 % of trials of its design, chosen by its rules, exceed where nothing changes and courses bend as they may; in brackets
the 95 % interval of the share (Clopper and Pearson). Bias is that of the posterior mean of the overall change, in points
a month. With an effect, it has the pull of the sceptical prior in it.
The headline is told the rule by which patients were chosen{straight}.
"""

_NOT_TOLD = "; the straight line is not, and is what a usual analysis does"

STUDY = Study("headline", 20_270_000, 200, jobs, summary, page)

if __name__ == "__main__":
    STUDY.main(__doc__)
