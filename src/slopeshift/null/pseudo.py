"""Pseudo-injections: injections moved to where nothing happened, where the model must find nothing.

Only values up to the first injection are used, so no treatment has touched them. A pseudo-injection falls between a
patient's first value and the last of these, on one random day for all. What the model then finds is curvature of the
natural history, entry selection or chance, and could be found after a real injection just as well. A few months before
a first injection hardly show a bend; untreated patients, of the trial or of the control that it names, can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.answers.tables import population_changes
from slopeshift.design.covariates import CovariateError
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import CLAIMED, SMALL, Compiled, ModelJob, Sampling, compile_once
from slopeshift.keep.replicates import rows_of
from slopeshift.model.files import loaded
from slopeshift.null.rates import frequencies
from slopeshift.null.trials import NullError
from slopeshift.trial import DAYS_PER_MONTH, trial_from_tables

if TYPE_CHECKING:
    from slopeshift.trial import Outcome, Trial

COLUMNS = (
    "model outcome trial sampling n_patients n_visits n_moves n_failed mean_change sd_change lower_change upper_change "
    "mean_prob_positive share_positive share_negative share_covering_zero finds_change"
)


@dataclass(frozen=True, eq=False)
class PseudoJob(ModelJob):
    """Pseudo-injections into the time before treatment of a trial, each set of them refitted with a model.

    Move m depends on `seed` and m alone.
    """

    trial: Trial
    outcome: str
    model: str
    source: str
    seed: int
    sampling: Sampling = SMALL

    @property
    def settings(self) -> tuple[object, ...]:
        """See `ModelJob`."""
        return self.outcome, self.model, self.seed, self.sampling

    def check(self) -> None:
        """Raise NullError where the trial has too few values before treatment, or not the model's covariates."""
        untreated = before_treatment(self.trial, self.outcome)
        first = moved(untreated, self.outcome, np.random.default_rng(self.seed))
        try:
            loaded(self.model, self.source).build(first)
        except CovariateError as error:
            raise NullError(f"in values before treatment of {self.trial.name}, {error}") from None

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Move the injections and refit: one row, of the population change after the pseudo-injection."""
        untreated, compiled = _prepared(self)
        return refitted(untreated, self.outcome, compiled, [self.seed, replicate])


def refitted(untreated: Trial, outcome: str, compiled: Compiled, seed: list[int]) -> list[dict[str, Any]]:
    """Give every patient a pseudo-injection and refit: one row, of the population change after it.

    `untreated` is what `before_treatment` returns; `compiled` the model for as many patients with one injection.
    """
    for_days, for_fit = np.random.SeedSequence(seed).spawn(2)
    trial = moved(untreated, outcome, np.random.default_rng(for_days))
    visits = visits_of(trial, outcome, compiled.shape)
    posterior = compiled.fit(trial, visits, int(for_fit.generate_state(1)[0]))
    table = population_changes(posterior).query("injection == '1'")
    kept = ["mean", "lower", "upper", "prob_positive", "rhat", "ess_bulk", "passed"]
    counts = {"n_patients": len(visits.patients), "n_visits": len(visits.value)}
    return rows_of(table[kept].assign(**counts))


@lru_cache(maxsize=2)
def _prepared(job: PseudoJob) -> tuple[Trial, Compiled]:
    """Compile the model once per process; moves differ in the sums of their visits alone."""
    untreated = before_treatment(job.trial, job.outcome)
    first = moved(untreated, job.outcome, np.random.default_rng(job.seed))
    return untreated, compile_once(job.model, job.source, first, job.sampling)


def before_treatment(trial: Trial, outcome: str) -> Trial:
    """Keep the values of one outcome up to and on the day of each patient's first injection, and no injection.

    In a trial with injections, of the injected patients alone; otherwise of all. Patients with values at fewer than two
    times more than two days apart are left out: no day lies between their values.
    Raises NullError where fewer than two patients are left, and LookupError where the outcome is not recorded.
    """
    known = visits_of(trial, outcome).outcome
    first = trial.injections[trial.injections["injection"] == 1].set_index("patient")["month"]
    visits = trial.visits[["patient", "month", outcome]].dropna()
    if len(first):
        visits = visits[visits["month"] <= visits["patient"].map(first)]
    months = visits.groupby("patient")["month"]
    usable = months.max() - months.min() > 2 / DAYS_PER_MONTH
    kept = [patient for patient in trial.patients["patient"] if usable.get(patient, False)]
    if len(kept) < 2:
        raise NullError(
            f"trial {trial.name}: {len(kept)} patients have two values of {outcome} before treatment; "
            "pseudo-injections need 2"
        )
    return _as_trial(visits[visits["patient"].isin(kept)], [], known, trial)


def moved(untreated: Trial, outcome: str, rng: np.random.Generator) -> Trial:
    """Give every patient one injection, on the same day for all, drawn from the middle half of the longest course.

    The day is counted from a patient's first value; those whose last one is not after it get another, anywhere between
    their values. Days that differed between all patients would make levels at the injection differ by them, which no
    model here knows; and at the ends of a course a change is hardly seen.
    """
    visits = untreated.visits.dropna(subset=[outcome])
    months = visits.groupby("patient", sort=False)["month"]
    first, last = months.min(), months.max()
    days = np.floor((last - first).to_numpy() * DAYS_PER_MONTH - 1e-6)
    last_day = np.maximum(days, 1)
    longest = last_day.max()
    together = rng.integers(max(longest // 4, 1), max(3 * longest // 4, 1), endpoint=True)
    alone = rng.integers(1, last_day, endpoint=True)
    drawn = np.where(together <= last_day, together, alone) / DAYS_PER_MONTH
    injections = [(patient, 1, start + after) for patient, start, after in zip(first.index, first, drawn, strict=True)]
    return _as_trial(visits[["patient", "month", outcome]], injections, untreated.outcomes[outcome], untreated)


def _as_trial(visits: pd.DataFrame, injections: list[tuple[str, int, float]], outcome: Outcome, of: Trial) -> Trial:
    table = pd.DataFrame(injections, columns=["patient", "injection", "month"])
    tables = {
        "patients": _about(of, visits["patient"]),
        "visits": visits,
        "injections": table.astype({"patient": str, "injection": int, "month": float}),
    }
    settings: dict[str, Any] = {"title": of.title, "synthetic": of.synthetic, "source": of.source}
    if outcome.name not in ("alsfrsr", "fvc"):
        limits = {"min": outcome.minimum, "max": outcome.maximum}
        kept = ("label", "unit", "integer", "better")
        declared = {name: getattr(outcome, name) for name in kept}
        settings["outcomes"] = {outcome.name: declared | {k: v for k, v in limits.items() if v is not None}}
    made = trial_from_tables(of.name, tables, settings)
    return replace(made, control=of.control, _covariates=tuple(of.covariates.values()))


def _about(of: Trial, patients: pd.Series[str]) -> pd.DataFrame:
    """Take what is known of some patients, their covariates, without how they left."""
    about = of.patients.drop(columns=["end_month", "end_reason"], errors="ignore")
    return about[about["patient"].isin(patients)]


def pseudo_table(job: PseudoJob, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Report what was found where nothing happened: the table `pseudo_injection`, one row.

    Over `n_moves` sets of pseudo-injections, those whose refit did not meet the gate's bounds (`n_failed`) left out:
    mean, SD and 95 % range of the posterior mean change, the mean of Pr(change > 0), and the shares of moves with it
    above 0.975, below 0.025, and with a 95 % interval that covers zero. All moves share the same values: these shares
    describe one data set, and are no error rates. `finds_change` is the check: it fires where the mean of
    Pr(change > 0) is above 0.975 or below 0.025. `trial` names whose values these are.
    """
    table = pd.DataFrame(rows)
    good = table[table["passed"].astype(bool)]
    lower, upper = good["mean"].quantile([0.025, 0.975])
    probability = good["prob_positive"].mean()
    found = {
        "model": job.model,
        "outcome": job.outcome,
        "trial": job.trial.name,
        "sampling": str(job.sampling),
        "n_patients": table["n_patients"].iloc[0],
        "n_visits": table["n_visits"].iloc[0],
        "n_moves": len(table),
        **frequencies(table),
        "lower_change": lower,
        "upper_change": upper,
        "mean_prob_positive": probability,
        "finds_change": bool(probability > CLAIMED or probability < 1 - CLAIMED),
    }
    return pd.DataFrame([found])[COLUMNS.split()]
