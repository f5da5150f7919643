"""Count how often the headline claims a change, with and without one, in trials that were selected and that bend.

Run by `make validate`; writes headline.csv and headline.md. Trials are those of the traps: the published size and three
times that, patients chosen by a loss of 3 points or not, courses that flatten by 0.05 points a month every month or do
not. Models: the headline, told the rule; and a straight line, not told. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from trap_cells import BEND, CURVATURE, LARGE, PUBLISHED, clean
from trap_checks import MODELS, NEEDED, OUTCOME, SETTINGS

from slopeshift import simulate
from slopeshift.answers import any_change, operating, quantities
from slopeshift.design.cycles import OVERALL
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import CLAIMED, Sampling, compile_once
from slopeshift.keep import made_from
from slopeshift.keep.atomic import replacing
from slopeshift.keep.replicates import replicates
from slopeshift.model.files import load_model, source_of
from slopeshift.trial import trial_from_tables

if TYPE_CHECKING:
    from trap_cells import Cell

    from slopeshift.trial import Trial

HERE = Path(__file__).parent
STORE = HERE / ".cache" / "headline"
SEED, REPLICATES = 20_270_000, 200
SAMPLING = Sampling(chains=2, draws=1000, tune=400)
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


@dataclass(frozen=True)
class HeadlineJob:
    """Trials of one kind, each fitted by one model; `told` is whether the trial states its entry rule."""

    name: str
    cell: Cell
    model: str
    told: bool
    seed: int

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results."""
        text = source_of(MODELS / f"{self.model}.py")
        own = Path(__file__).read_text(encoding="utf-8")
        modules = {module for each in (text, own) for module in made_from.imported(each)}
        return made_from.key(
            "headline", repr(self), repr(SAMPLING), *map(made_from.without_docstrings, (own, text)), modules=modules
        )

    @property
    def program(self) -> str:
        """Nothing is compiled beforehand."""
        return ""

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and fit one trial: a row of its overall change, and what chance and prior say of it."""
        seed = self.seed + replicate
        trial, truth = trial_of(self, seed)
        file = load_model(MODELS / f"{self.model}.py")
        visits = visits_of(trial, OUTCOME, file.build.shape)
        posterior = compile_once(self.model, file.source, trial, SAMPLING).fit(trial, visits, seed)
        change = quantities.change(posterior)
        chance = operating.table(posterior)
        bent = chance[(chance["injection"] == OVERALL) & (chance["course"] == "bent")]
        anything = any_change.table(posterior)
        even = anything[(anything["prior_probability"] == 0.5)]["probability"]
        lower, upper = np.quantile(change, (0.025, 0.975))
        return [
            {
                "truth": truth,
                "probability": float((change > 0).mean()),
                "mean": float(change.mean()),
                "sd": float(change.std()),
                "covered": bool(lower <= truth <= upper),
                "cut": float(bent["cut"].iloc[0]) if len(bent) else float("nan"),
                "any_change": float(even.iloc[1]) if len(even) else float("nan"),
            }
        ]


def trial_of(job: HeadlineJob, seed: int) -> tuple[Trial, float]:
    """Simulate one trial, and the mean true change over the cycles that its values inform."""
    simulated = simulate.simulate(job.cell.design, job.cell.population, seed)
    tables = {name: simulated.tables[name][columns.split()] for name, columns in NEEDED.items()}
    settings = dict(SETTINGS)
    if job.told and isfinite(job.cell.design.minimum_loss):
        # Who was never injected has no value on the day by which the rule was judged.
        injected = tables["patients"]["patient"].isin(tables["injections"]["patient"])
        tables["patients"] = tables["patients"].assign(entry_exempt=np.where(injected, "no", "yes"))
        settings["entry"] = [RULE]
    return trial_from_tables("simulated", tables, settings), float(np.mean(job.cell.truth.change))


def jobs(seed: int) -> list[HeadlineJob]:
    """List the studies: every situation and size, with and without an effect, by both models."""
    found = []
    for patients in (PUBLISHED, LARGE):
        for name, fields in SITUATIONS.items():
            for effect in (0.0, EFFECT):
                cell = clean("", patients).other(change=(effect,) * 3, **fields)
                found += [HeadlineJob(name, cell, model, model == TOLD, seed) for model in (TOLD, STRAIGHT)]
    return found


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


def share_interval(hits: int, trials: int) -> tuple[float, float]:
    """Give the 95 % interval of a share by Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404."""
    from scipy.stats import binomtest

    found = binomtest(hits, trials).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def main() -> None:
    """Do what is missing, and write the table and its page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replicates", type=int, default=REPLICATES, help="simulated trials of each kind")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    found = []
    for job in jobs(given.seed):
        rows = replicates(job, given.replicates, STORE, processes=given.processes)
        found.append(summary(job, pd.DataFrame(rows)))
        print(found[-1], flush=True)
        write(pd.DataFrame(found), given.seed)


def write(table: pd.DataFrame, seed: int) -> None:
    """Write the table and its page: of the studies that are done."""
    with replacing(HERE / "headline.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g")
    with replacing(HERE / "headline.md") as path:
        path.write_text(page(table, seed), encoding="utf-8")


def page(table: pd.DataFrame, seed: int) -> str:
    """Write the table in Markdown, with what it says."""
    heads = "patients | courses and patients | true change | model | trials | claimed at 0.975 | at its own cut | bias"
    lines = [f"| {heads} | posterior SD | coverage |", "|" + " --- |" * 10]
    for row in table.itertuples():
        lines.append(
            f"| {row.patients} | {row.situation} | {row.change:g} | {row.model} | {row.trials} | "
            f"{100 * row.claimed:.1f} % ({100 * row.lower:.1f} to {100 * row.upper:.1f}) | "
            f"{'–' if np.isnan(row.claimed_at_cut) else f'{100 * row.claimed_at_cut:.1f} %'} | "
            f"{row.bias:+.3f} | {row.posterior_sd:.3f} | {100 * row.coverage:.1f} % |"
        )
    return "\n".join([_INTRODUCTION.format(seed=seed), *lines, ""])


_INTRODUCTION = """## Headline

How often the models that answer claim a change, in simulated trials that were selected, that bend, or both; seeds from
{seed}. A claim is Pr(overall change > 0) above 0.975, or above the cut that
2.5 % of trials of its design exceed where nothing changes and courses bend as they may; in brackets the 95 % interval
of the share (Clopper and Pearson). The cut knows of no rule, so it is given without one. Bias is that of the posterior
mean of the overall change, in points a month. With an effect, it has the pull of the sceptical prior in it.
The headline is told the rule by which patients were chosen; the straight line is not, and is what a usual analysis does.
"""

if __name__ == "__main__":
    main()
