"""What the checks of a model's fit mean, in plain words: the verdict, and what to do about a check that fired."""

from __future__ import annotations

import pandas as pd

from slopeshift.answers.quantities import CLAIMED, DIFFERENCE
from slopeshift.checks import PRIOR, UNIFORM, UNRELIABLE, added
from slopeshift.checks import predictive as p
from slopeshift.checks.power_scaling import SENSITIVE
from slopeshift.checks.prior import CONFLICT
from slopeshift.design.cycles import OVERALL
from slopeshift.report.words.glossary import label
from slopeshift.report.words.numbers import counted, in_unit, listed, number

MEANING = {
    p.ENDS: "values at or beyond an end of the scale are not as many as it predicts; a model that is bounded by the "
    "scale is then to be preferred",
    p.MEAN_BY_TIME: "values lie off its lines at some time after an injection: a course within a cycle is not straight",
    p.SD_BY_TIME: "values scatter more at some times after an injection than at others",
    p.MEAN_BY_SCORE: "values of some height lie off its lines: the scale ends, or courses are curved",
    p.SD_BY_SCORE: "high and low values do not scatter equally",
    p.NEIGHBOURS: "neighbouring values of a patient do not err independently, so that the intervals of patients are "
    "too narrow, or too wide",
    added.DAYS: "values on the days of injections lie off its lines, and two slopes share each of them",
    added.AFTER: "values shortly after injections lie off its lines, which no change of slope makes them do: "
    "expectation of patients or raters, an effect that does not last, or another way of rating",
    added.FADING: "changes of slope wear off, or build up, within a cycle",
    added.LATE: "changes of slope set in later than at the injection, or earlier",
    added.BENDING: "courses bend all along, with injections and without, which can be taken for a change",
    p.ENTRY: "patients lost more before the first injection, or less, than it predicts: a rule of entry that asks for "
    "a loss makes slopes flatten by themselves afterwards",
    p.HEAVIEST: "a single value lies farther off, or less far, than it allows: its residuals have other tails",
    p.RESPONDERS: "the trial's own count of improved patients is not what it predicts",
    p.SD_OF_CHANGES: "patients' slopes, computed one by one, do not change as unequally as it predicts",
    p.NO_DECLINE: "patients without decline at six months are not as many as it predicts",
    UNIFORM: "values lie too often, or too seldom, far from what all the others say of them",
    CONFLICT: "level, slope or change are far from where its prior expects them",
}
"""What a check that fired says of the model."""

ABOUT_TOOLS = (UNRELIABLE, PRIOR)
"""Checks that say nothing against the model: of a computation, and of the prior."""

PRIORS = {
    "level": "level",
    "slope": "slope before the first injection",
    "change": "change of slope",
    "regression": "differences by interval, covariate or arm",
    "sigma": "residual SD",
    "correlation": "correlations",
    "sd_level": "SD of levels between patients",
    "sd_slope": "SD of slopes between patients",
    "sd_response": "SD of changes between patients",
    "sd_cycle": "SD of changes between a patient's cycles",
    "curvature": "curvature of the course before the first injection",
    "sd_curvature": "SD of curvatures between patients",
    "curvature_by_level": "curvature by level",
    "curvature_by_slope": "curvature by slope",
    "nu": "degrees of freedom of the residual",
    "autocorrelation": "correlation of residuals one month apart",
}


UNCHECKED = "Whether the model fits these data was not checked."


def missed_by(rules: pd.DataFrame) -> list[str]:
    """Name the checks that fired and say something against the model. `rules` is the table of a fit's checks."""
    return [str(check) for check in rules.loc[rules["fired"], "check"] if check not in ABOUT_TOOLS]


def verdict(rules: pd.DataFrame) -> str:
    """Say in a sentence whether the model misses anything, and what."""
    missed = missed_by(rules)
    made = int((~rules["check"].isin(ABOUT_TOOLS) & rules["value"].notna()).sum())
    if not missed:
        return (
            f"None of {counted(made, 'check')} says that this model misses anything in these data: what was recorded "
            "looks like what it predicts. A silent check is no proof: in a small trial, checks miss much."
        )
    told = "; ".join(MEANING[check] for check in missed)
    return f"{len(missed)} of {counted(made, 'check')} fired, so this model misses something in these data: {told}."


def alarm(rules: pd.DataFrame) -> str:
    """Warn, before any result, of a model that misses something in the data: empty where no such check fired."""
    missed = missed_by(rules)
    return f"The model does not fit these data: {listed(missed)}." if missed else ""


def left_out(table: pd.DataFrame) -> str:
    """Say how leaving out was done, and which results of it are not to be relied on."""
    if table.empty:
        return "Nothing was left out one by one: this fit stores no log likelihood of single values."
    loo = table.iloc[0]
    how = (
        "with the coefficients of its patient integrated out, so that only the population's few parameters are "
        "reweighted"
        if loo["integrated"]
        else "by reweighting the coefficients of its patient with all else"
    )
    if loo["remade"]:
        how += f"; for {counted(loo['remade'], 'value')}, where that does not do, these were integrated out by sampling"
    bad, patients = loo["unreliable"], loo["unreliable_patients"]
    said = f"Each value was left out in turn, {how}."
    if not bad and not patients:
        return f"{said} All of it is reliable: no Pareto k is above {loo['good_k']:.2f}."
    parts = [counted(n, noun) for n, noun in ((bad, "value"), (patients, "patient")) if n]
    return (
        f"{said} For {listed(parts)} the Pareto k is above the limit: what is said of leaving them out is not to be "
        "relied on, and a fit without them has to be made to know."
    )


def priors_that_matter(table: pd.DataFrame) -> list[str]:
    """Say which prior moves which result, the mean change first."""
    if table.empty:
        return ["Which prior matters was not computed: this fit stores no log density of its priors."]
    moved = table[table["sensitivity"] >= SENSITIVE]
    changes = moved[moved["quantity"].isin(CLAIMED)]
    overall = changes[changes["injection"] == OVERALL].sort_values("sensitivity", ascending=False)
    if overall.empty:
        most = table[table["quantity"].isin(CLAIMED) & (table["injection"] == OVERALL)]
        most = most.sort_values("sensitivity", ascending=False).head(1)
        sentences = [
            f"No single prior moves the {_claim(row.quantity)} by as much as counts, {SENSITIVE:g}: that of the "
            f"{_prior(row.prior)} comes nearest, with a sensitivity of {number(row.sensitivity)}, of the data "
            f"{number(row.sensitivity_to_data)}."
            for row in most.itertuples()
        ]
    else:
        sentences = [
            f"The prior of the {_prior(row.prior)} moves the {_claim(row.quantity)}: with four fifths of its weight "
            f"the {'difference' if row.quantity == DIFFERENCE else 'change'} would be "
            f"{in_unit(row.mean_with_weaker_prior, row.unit, sign=True)} instead of "
            f"{in_unit(row.mean, row.unit, sign=True)} {row.unit} (sensitivity {number(row.sensitivity)}, of the data "
            f"{number(row.sensitivity_to_data)})."
            for row in overall.itertuples()
        ]
    rest = moved[~moved["quantity"].isin(CLAIMED)]
    named = [f"{label(row.quantity, row.injection)} ({_by(row.prior, row.quantity)})" for row in rest.itertuples()]
    if named:
        sentences.append(f"Other results that a prior moves: {'; '.join(named)}.")
    return sentences


def _claim(quantity: str) -> str:
    return "mean difference of slopes" if quantity == DIFFERENCE else "mean change of slope"


def _by(prior: str, quantity: str) -> str:
    own = (
        prior == quantity
        or (prior, quantity) == ("slope", "lead_in_slope")
        or (quantity not in PRIORS and quantity.startswith(f"{prior}_"))
    )
    return "by its own prior" if own else f"by the prior of the {_prior(prior)}"


def _prior(name: str) -> str:
    return PRIORS.get(name, name)
