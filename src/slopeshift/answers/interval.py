"""What is reported of the regression of the response on the interval, and of the checks that say how to read it.

The coefficients are in outcome units per month, per month of interval: above 0, the slope is higher in a longer cycle.
Three analyses stand in one table: the change of the whole cycle; that of a fixed window at its beginning, in which
every cycle is seen for the same time; and the negative control, which regresses the interval on the change seen before
it ended, so that a coefficient other than 0 shows an interval that was chosen from the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers import covariates, quantities
from slopeshift.answers.covariates import GATE, HARDLY
from slopeshift.answers.quantities import BETWEEN, CONTROL, WITHIN
from slopeshift.design.cycles import OVERALL, mean_interval
from slopeshift.fit.posterior import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slopeshift.fit.posterior import Posterior

WHOLE, WINDOW, NEGATIVE_CONTROL = "whole cycle", "fixed window", "negative control"

COLUMNS = (
    "model outcome analysis quantity unit mean sd lower upper prob_positive prob_shorter_better rhat ess_bulk ess_tail "
    "mcse prior_sd contraction n_cycles n_patients note"
).split()

MOVED_Z = 2.5758293035489004
"""Standard errors of the move between two analyses beyond which chance takes it in 1 % of trials."""

MOVED_SDS = 0.5
"""And posterior SDs of what moved that it must be worth: both limits hold for every analysis of part of the data."""

_UNINFORMED = {
    WITHIN: "no patient had two intervals of different length",
    BETWEEN: "patients do not differ in their mean interval",
    CONTROL: "fewer than three closed cycles show a change, or all intervals are equal",
}


def table(posteriors: Sequence[Posterior]) -> pd.DataFrame:
    """Put the coefficients of all fits whose models regress on the interval in one table, with COLUMNS.

    A coefficient that the trial cannot inform, and those of a fit that failed its gate, have no numbers and a note that
    says so. Models without such a coefficient have no row; without any the table is empty.
    """
    parts = [part for posterior in posteriors if not (part := _where_passed(posterior)).empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def coefficients(posterior: Posterior) -> pd.DataFrame:
    """Summarise the coefficients of the interval: COLUMNS from `analysis` on, a row each.

    `prob_shorter_better` is the probability that a shorter cycle goes with a slower worsening, which is not asked of
    the negative control; `contraction` is the share of the prior variance that the data removed. Raises LookupError
    where no draws of the prior are stored.
    """
    design = posterior.design
    present = [str(name) for name in quantities.regression_draws(posterior)["row"].to_numpy()]
    names = [name for name in present if name in (WITHIN, BETWEEN, CONTROL)]
    if not names:
        return pd.DataFrame(columns=COLUMNS[2:])
    found = covariates.summarised(names, posterior)
    found["prob_shorter_better"] = (1 - found["prob_better"]).mask(found["quantity"] == CONTROL)
    found["note"] = [_note(row.quantity, row.informed, row.contraction, design) for row in found.itertuples()]
    return found.assign(analysis=_analysis(names, design), **_sizes(names, design))[COLUMNS[2:]]


def control_fires(found: pd.DataFrame) -> bool:
    """Say whether the 95 % interval of the negative control in a `table` leaves out 0."""
    control = found[found["analysis"] == NEGATIVE_CONTROL]
    return bool(((control["lower"] > 0) | (control["upper"] < 0)).any())


def by_window(found: pd.DataFrame) -> pd.DataFrame:
    """Set the coefficients from whole cycles in a `table` beside those from the fixed window.

    A row per coefficient on which the data inform both analyses, beyond HARDLY: quantity, unit, whole, window
    (posterior means), sd (of whole) and error, the standard error of the move from one to the other. The window knows
    less: over all that the prior holds possible, what the rest of the cycles adds moves a posterior mean with variance
    sd_window^2 - sd_whole^2, whatever the prior drew both towards (Hausman 1978, doi 10.2307/1913827, for estimates
    without a prior); where coefficients are near the prior's mean it moves less, and chance makes fewer alarms. Both
    SDs are known from draws only: one standard error of that difference, and those of the means, are added.
    Of several models of one analysis, the one named `interval...` is taken.
    """
    known = found.reindex(columns=COLUMNS).reset_index(drop=True)
    informed = known[(known["contraction"] >= HARDLY) & known["mcse"].notna()]
    own = informed["model"].astype(str).str.startswith("interval").sort_values(ascending=False, kind="stable").index
    rows = informed.loc[own].drop_duplicates(["analysis", "quantity"]).set_index("quantity")
    whole, window = (rows[rows["analysis"] == analysis] for analysis in (WHOLE, WINDOW))
    both = whole.join(window.add_suffix("_window"), how="inner")
    more = (both["sd_window"] ** 2 - both["sd"] ** 2).clip(lower=0)
    doubt = np.sqrt(2 * both["sd"] ** 4 / both["ess_bulk"] + 2 * both["sd_window"] ** 4 / both["ess_bulk_window"])
    error = np.sqrt(more + doubt + both["mcse"] ** 2 + both["mcse_window"] ** 2)
    compared = both.assign(whole=both["mean"], window=both["mean_window"], error=error).rename_axis("quantity")
    return compared.reset_index()[["quantity", "unit", "whole", "window", "sd", "error"]]


def window_value(found: pd.DataFrame) -> float:
    """Judge whether what goes with the interval moves between whole cycles and the fixed window: above 1 it does.

    The moves within and between patients are averaged by their precision, since what wanes or sets in late moves both
    alike. The value is the smaller of the average's size in standard errors, as a share of MOVED_Z, and in posterior
    SDs of the coefficients averaged so, as a share of MOVED_SDS. NaN without two analyses that can be compared.
    """
    both = by_window(found)
    if both.empty:
        return float("nan")
    weight = both["error"] ** -2 / (both["error"] ** -2).sum()
    moved = abs(float((weight * (both["window"] - both["whole"])).sum()))
    error, sd = (float(np.sqrt((weight**2 * both[name] ** 2).sum())) for name in ("error", "sd"))
    return min(moved / (MOVED_Z * error), moved / (MOVED_SDS * sd))


def window_fires(found: pd.DataFrame) -> bool:
    """Say whether what goes with the interval in a `table` is another in the first months of a cycle."""
    return window_value(found) > 1


def closed(design: xr.Dataset) -> xr.DataArray:
    """Say which cycles ended with a next injection: bool (patient, injection)."""
    month = design["injection_month"]
    return (month.shift(injection=-1) > month).transpose("patient", "injection")


def changes(posterior: Posterior, lengths: pd.DataFrame) -> pd.DataFrame:
    """Summarise the patients' own changes beside their intervals: patient, injection, months, mean, lower, upper.

    A row for every closed cycle with a value; `lengths` is `cycle_lengths` of the trial.
    """
    drawn = quantities.patients(posterior)["change"]
    own = drawn.isel(row=np.flatnonzero(drawn["injection"].to_numpy() != OVERALL))
    found = (
        quantities.summarise(own).astype({"injection": int})
        if own.sizes["row"]
        else pd.DataFrame(columns=lengths.columns[:2])
    )
    merged = lengths.merge(found, on=["patient", "injection"], validate="one_to_one")
    return merged.reindex(columns=["patient", "injection", "months", "mean", "lower", "upper"])


def curve(posterior: Posterior, lengths: pd.DataFrame, points: int = 61) -> pd.DataFrame:
    """Trace the expected change of an average patient against the interval: quantity, months, mean, lower, upper.

    For each informed coefficient a line through the mean change over the informed cycles at the mean interval, over the
    range of `lengths`, with its pointwise 95 % interval. Outcome units per month.
    """
    names = [name for name in quantities.informed_regression(posterior) if name in (WITHIN, BETWEEN)]
    columns = ["quantity", "months", "mean", "lower", "upper"]
    if not names:
        return pd.DataFrame(columns=columns)
    months = np.linspace(lengths["months"].min(), lengths["months"].max(), points)
    overall = quantities.change(posterior)
    away = xr.DataArray(months - mean_interval(lengths), dims="months")
    lines = []
    for name in names:
        line = overall + posterior.draws["regression"].sel(covariate=name, drop=True) * away
        lower, upper = line.quantile(quantities.INTERVAL, SAMPLES).to_numpy()
        lines.append(pd.DataFrame(dict(zip(columns, (name, months, line.mean(SAMPLES), lower, upper), strict=True))))
    return pd.concat(lines, ignore_index=True)


def _where_passed(posterior: Posterior) -> pd.DataFrame:
    found = coefficients(posterior)
    if not posterior.passed:
        found[COLUMNS[5:-3]] = np.nan
        found["note"] = GATE
    return found.assign(**posterior.labels)[COLUMNS]


def _sizes(names: Sequence[str], design: xr.Dataset) -> dict[str, int]:
    """Count the closed cycles that inform the coefficients, and their patients."""
    if CONTROL in names:
        patients = design["seen_patient"].to_numpy()
        return {"n_cycles": patients.size, "n_patients": np.unique(patients).size}
    cycles = closed(design) & quantities.informed(design)
    return {"n_cycles": int(cycles.sum()), "n_patients": int(cycles.any("injection").sum())}


def _analysis(names: Sequence[str], design: xr.Dataset) -> str:
    if CONTROL in names:
        return NEGATIVE_CONTROL
    return WHOLE if np.isinf(design["window"]) else WINDOW


def _note(name: str, informed: bool, contraction: float, design: xr.Dataset) -> str:
    if not informed:
        reason = (
            _UNINFORMED.get(name, "no two cycles differ in it")
            if closed(design).any()
            else "no patient had two injections"
        )
        return f"not informed: {reason}; prior only"
    if contraction < HARDLY:
        return "hardly informed: mostly the prior"
    return ""
