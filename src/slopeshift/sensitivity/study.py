"""The sensitivity study of a trial: what is refitted, weighed anew and imputed, kept beside the fits.

What needs nothing but fits that are there (other models, moved injections) is added where the table is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.design.cycles import OVERALL
from slopeshift.fit.compiled import RefitError, refusal
from slopeshift.keep import tables as kept
from slopeshift.keep.atomic import locked
from slopeshift.keep.made_from import code, imported, program
from slopeshift.keep.replicates import replicates
from slopeshift.sensitivity import curves, variations
from slopeshift.sensitivity.borrowing import borrowing_rows
from slopeshift.sensitivity.joint import with_control
from slopeshift.sensitivity.refits import VariationJob
from slopeshift.sensitivity.rows import COLUMNS, beside_main, labelled, refused, withheld
from slopeshift.sensitivity.subject import Subject
from slopeshift.sensitivity.weighed import bent_rows, bias_rows, curve_tables, curved, prior_rows
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from slopeshift.fit.candidates import Candidate
    from slopeshift.keep.replicates import Rows
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

TABLES = ("sensitivity", "sensitivity_curves", "sensitivity_tipping", "dropout_tipping", "waning", "borrowing")
DELTA = "delta"
"""Kind of the tipping point of values after leaving, among those of `curves`."""

DROPOUT = tuple(
    "outcome model delta injection mean sd lower upper prob_positive prob_better prob_slowing_25 difference n_left "
    "n_imputed n_imputations share_below_scale rhat ess note".split()
)
WANING = tuple(
    "outcome model lag half_life injection mean sd lower upper prob_positive prob_better difference "
    "log_predictive_density difference_from_at_once standard_error_of_difference unreliable_values".split()
)
"""`difference_from_at_once`: of the log predictive density of all values, each given the others, from that of an effect
that sets in at once and lasts."""

WHEN_IT_SETS_IN = "the change when it sets in, which is not its mean over the cycle"
REFIT_FAILED = "withheld: R-hat or effective sample size of the refit is outside the gate's limits"


@dataclass(frozen=True)
class Options:
    """What is asked: the names of the command line's options."""

    seed: int = 1
    scheduler: str | None = None


def run(
    trial: Trial,
    candidates: Sequence[Candidate],
    options: Options,
    folder: Path,
    *,
    say: Callable[[str], None],
    progress: bool = False,
) -> list[Path]:
    """Make the tables in TABLES, write them into `folder` as CSV with a record of what they are made from.

    A model that cannot be varied is left out, and `say` is told why. Refits that were done are kept in `folder`, in
    `chunks`. Raises RefitError where nothing can be varied.
    """

    def work(job: VariationJob) -> Rows:
        chunks, count = folder / "chunks", len(job.variations)
        say(f"{job.model}: {count} analyses to refit")
        return replicates(job, count, chunks, scheduler=options.scheduler, progress=progress)

    reasons = [_cannot(trial, candidate) for candidate in candidates]
    for candidate, reason in zip(candidates, reasons, strict=True):
        if reason:
            say(f"{candidate.file.name}: {reason}")
    if all(reasons):
        raise RefitError(f"trial {trial.name}: no fit is available to vary; run `slopeshift fit` first")
    varied = [
        (Subject(each.file, each.posterior, options.seed), each.grid)
        for each, reason in zip(candidates, reasons, strict=True)
        if not reason and each.posterior is not None
    ]
    with locked(folder, say):
        found = [_tables(subject, grid, work) for subject, grid in varied]
        made_from = _made_from(trial, candidates)
        whole = {name: pd.concat([tables[name] for tables in found], ignore_index=True) for name in TABLES}
        return [kept.save(name, table, made_from, folder) for name, table in whole.items()]


def stored(trial: Trial, candidates: Sequence[Candidate], folder: Path) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the tables of a study that was made from this trial and these fits.

    Returns them by name, and the names of those that were made from others, and are left where they are.
    """
    return kept.current(folder, lambda _: _made_from(trial, candidates))


def _made_from(trial: Trial, candidates: Sequence[Candidate]) -> dict[str, Any]:
    files = [file for each in candidates for file in (each.file, each.grid) if file is not None]
    return {
        "program": code("sensitivity.study", *(module for file in files for module in imported(file.source))),
        "data": dict(trial.files),
        "programs": {file.name: program(file.source) for file in files},
        "made_from": {each.file.name: each.made_from for each in candidates},
    }


def _cannot(trial: Trial, candidate: Candidate) -> str:
    if candidate.posterior is None:
        return "its fit is missing or out of date; make it with `slopeshift fit`"
    if candidate.usable is None:
        return "its fit failed the diagnostics gate, and nothing is varied about it"
    if not (candidate.posterior.visits.visits_in_cycle > 0).any():
        return "no injection is followed by a value: there is no change to vary"
    return refusal(candidate.file, trial)


def _tables(subject: Subject, grid: ModelFile | None, work: Callable[[VariationJob], Rows]) -> dict[str, pd.DataFrame]:
    imputing, imputed = variations.after_leaving(subject)
    leaving_out, notes = variations.subsets(subject)
    shapes, about = variations.waning(subject, grid) if grid is not None else ([], pd.DataFrame({"detail": []}))
    file, labels = subject.file, subject.posterior.labels
    chosen = (*variations.entry_rules(subject), *variations.given_lead_in(subject))
    refits = (*imputing, *leaving_out, *shapes, *chosen, *with_control(subject))
    job = VariationJob(subject.posterior.trial, file.outcome, file.name, file.source, subject.seed, refits)
    rows = work(job)
    refitted = [_refitted(subject, job, rows, v) for v in range(len(refits))]
    if not imputing:
        why = variations.why_nothing_imputed(subject)
        notes.append(refused(why, analysis=variations.AFTER_LEAVING, detail="", **labels))
    lines, tipping = curve_tables(subject)
    weighed = (prior_rows(subject), *([] if curved(subject) else [bent_rows(subject)]), bias_rows(subject))
    table = pd.concat([subject.main, *refitted, *notes, *weighed], ignore_index=True)
    sign = subject.posterior.visits.outcome.sign
    table, lines = (each.assign(prob_better=chance_of_better(each["prob_positive"], sign)) for each in (table, lines))
    table = beside_main(table, subject.main)[list(COLUMNS)]
    dropout = _dropout(table, imputed)
    if len(dropout):
        tipping = pd.concat([tipping, _dropout_tips(subject, dropout)], ignore_index=True)
    of_shapes = [row for row in rows if job.variations[row["replicate"]].compared]
    fading = _waning(table, about, of_shapes)
    found = (table, lines.reindex(columns=curves.CURVE), tipping, dropout, fading, borrowing_rows(subject))
    return dict(zip(TABLES, found, strict=True))


def _refitted(subject: Subject, job: VariationJob, rows: Rows, which: int) -> pd.DataFrame:
    """Label the rows of one refit, and take the numbers out where it did not converge."""
    variation = job.variations[which]
    table = pd.DataFrame([row for row in rows if row["replicate"] == which])
    bad = ~table["passed"].astype(bool)
    note = WHEN_IT_SETS_IN if variation.compared else ""
    labels = {"analysis": variation.analysis, "detail": variation.detail, **subject.posterior.labels}
    return withheld(labelled(table, note=note, **labels), bad, REFIT_FAILED)


def _dropout(table: pd.DataFrame, imputed: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["analysis"] == variations.AFTER_LEAVING]
    return rows.merge(imputed, on="detail").reindex(columns=DROPOUT) if len(imputed) else rows.reindex(columns=DROPOUT)


def _dropout_tips(subject: Subject, dropout: pd.DataFrame) -> pd.DataFrame:
    overall = dropout[dropout["injection"] == OVERALL]
    curve = overall.rename(columns={"delta": "x"})[["x", "prob_positive"]].astype(float)
    tips = curves.tipping(curve, 0.0, subject.posterior.visits.outcome.sign)
    point = {**tips, "kind": DELTA, "unit": subject.posterior.rate, **subject.posterior.labels}
    return pd.DataFrame([point]).reindex(columns=curves.TIPPING)


def _waning(table: pd.DataFrame, about: pd.DataFrame, rows: Rows) -> pd.DataFrame:
    """Put every shape's predictive density beside its changes; `rows` are those of the refits of `about`, in order."""
    if about.empty:
        return pd.DataFrame(columns=WANING)
    found = table[table["analysis"] == variations.WANING].merge(about, on="detail")
    firsts = {row["replicate"]: row for row in reversed(rows)}
    by_value = np.array([firsts[which]["by_value"] for which in sorted(firsts)])
    at_once = (about["lag"] == 0) & (about["half_life"] == np.inf)
    from_at_once = by_value - (by_value[at_once.to_numpy()] if at_once.any() else np.nan)
    densities = about.assign(
        log_predictive_density=by_value.sum(axis=1),
        difference_from_at_once=from_at_once.sum(axis=1),
        standard_error_of_difference=np.sqrt(by_value.shape[1]) * from_at_once.std(axis=1, ddof=1),
        unreliable_values=[firsts[which]["unreliable"] for which in sorted(firsts)],
    )
    return found.merge(densities.drop(columns=["lag", "half_life"]), on="detail").reindex(columns=WANING)
