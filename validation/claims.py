"""Studies of what is claimed: trials simulated and fitted by the thousand, summed up in a table and a page.

A study is a list of jobs, each of which simulates and fits one kind of trial. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from trap_checks import MODELS, OUTCOME

from slopeshift.answers import quantities
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.keep import made_from
from slopeshift.keep.atomic import replacing
from slopeshift.keep.replicates import replicates
from slopeshift.model.files import loaded, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

HERE = Path(__file__).parent
STORE = HERE / ".cache"
SHARED = ("claims", "headline", "trap_cells")
"""Scripts beside this one from which the studies take how trials are simulated and told."""

INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class ClaimJob:
    """Trials of one kind, each fitted by one model of `models/`; `seed` is that of the first trial less one."""

    model: str
    seed: int

    SAMPLING: ClassVar[Sampling] = Sampling(chains=2, draws=750, tune=400)

    @cached_property
    def source(self) -> str:
        """The text of the model."""
        return source_of(MODELS / f"{self.model}.py")

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results."""
        files = {Path(inspect.getfile(type(self))), *(HERE / f"{name}.py" for name in SHARED)}
        texts = [*(path.read_text(encoding="utf-8") for path in sorted(files)), self.source]
        modules = {module for each in texts for module in made_from.imported(each)}
        parts = map(made_from.without_docstrings, texts)
        return made_from.key(type(self).__name__, repr(self), repr(self.SAMPLING), *parts, modules=modules)

    @property
    def program(self) -> str:
        """Nothing is compiled beforehand."""
        return ""

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and fit one trial, and return what is noted of it."""
        raise NotImplementedError

    def fitted(self, trial: Trial, seed: int) -> Posterior:
        """Fit the model to a trial."""
        file = loaded(self.model, self.source)
        visits = visits_of(trial, OUTCOME, file.build.shape)
        return compile_once(self.model, file.source, trial, self.SAMPLING).fit(trial, visits, seed)


def told(posterior: Posterior, truth: float) -> dict[str, Any]:
    """Note what a fit says of the overall change, or difference: Pr(> 0), mean, SD, and whether it covers the truth."""
    change = quantities.change(posterior)
    lower, upper = np.quantile(change, INTERVAL)
    return {
        "probability": float((change > 0).mean()),
        "mean": float(change.mean()),
        "sd": float(change.std()),
        "covered": bool(lower <= truth <= upper),
    }


def share_interval(hits: int, trials: int) -> tuple[float, float]:
    """Give the 95 % interval of a share by Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404."""
    from scipy.stats import binomtest

    found = binomtest(hits, trials).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def mc_error(share: float, trials: int) -> float:
    """Give the standard error of a share among simulated trials: at least that of half a trial in them."""
    return float(np.sqrt(max(share * (1 - share), 0.25 / trials) / trials))


@dataclass(frozen=True)
class Study[Job: ClaimJob]:
    """Jobs, the `summary` of each one's trials, and the `page` of all summaries, given also the seed."""

    name: str
    seed: int
    trials: int
    jobs: Callable[[int], Sequence[Job]]
    summary: Callable[[Job, pd.DataFrame], dict[str, Any]]
    page: Callable[[pd.DataFrame, int], str]

    def main(self, description: str) -> None:
        """Do what is missing, as the command line says, and write NAME.csv and NAME.md after every job."""
        given, found = options(description, self.trials, self.seed), []
        for job in self.jobs(given.seed):
            rows = replicates(job, given.replicates, STORE / self.name, processes=given.processes)
            found.append(self.summary(job, pd.DataFrame(rows)))
            print(found[-1], flush=True)
            write(self.name, pd.DataFrame(found), self.page, given.seed)


def options(description: str, trials: int, seed: int) -> argparse.Namespace:
    """Read how many trials of each kind are wanted, from which seed, on how many processes."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--replicates", type=int, default=trials, help="simulated trials of each kind")
    found.add_argument("--seed", type=int, default=seed)
    found.add_argument("--processes", type=int, default=2)
    return found.parse_args()


def write(name: str, table: pd.DataFrame, page: Callable[[pd.DataFrame, int], str], seed: int) -> None:
    """Write NAME.csv, and NAME.md from it."""
    with replacing(HERE / f"{name}.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g")
    with replacing(HERE / f"{name}.md") as path:
        path.write_text(page(pd.read_csv(HERE / f"{name}.csv"), seed), encoding="utf-8")


def table_lines(heads: str, rows: Sequence[str]) -> list[str]:
    """Write a table in Markdown: its heads and its rows, cells between bars."""
    return [f"| {heads} |", "|" + " --- |" * (heads.count("|") + 1), *(f"| {row} |" for row in rows)]
