"""Posterior draws turned into the quantities that are reported.

Draws are held tidily: one DataArray (chain, draw, row), whose row coordinates say which quantity, injection or patient
a row is. Every quantity is a function of single draws, so no ratio or average is ever taken of estimates.

Slopes and changes are in outcome units per month. A change is counted from the natural slope; times the `sign` of the
outcome it is an improvement, > 0 where patients worsen more slowly (see `trial.roles`).
The natural slope is that of the lead-in, and on a curved course, whose `lead_in_slope` is that at the first injection,
what it would have become without any injection: on average over what was seen of the cycle, slope + curvature times the
month in the middle of that. Percentages are of it.
A cycle is *informed*, for a patient, where a value was recorded after its injection and not after the next one.
Changes of cycles that are not informed are predictions, and are left out of everything here.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers import arms, enrolled
from slopeshift.answers.mixing import mixing
from slopeshift.answers.natural import middle, natural_slope
from slopeshift.design.arms import is_effect
from slopeshift.design.cycles import OVERALL, injection_rank
from slopeshift.design.entry import known_to
from slopeshift.fit.posterior import SAMPLES, Posterior
from slopeshift.model.families import UNITS
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Row = tuple[Mapping[str, object], NDArray[np.float64]]

CLAIMED = CHANGE, DIFFERENCE = "change", "difference"
"""Quantities that are claimed, of which a model has one: of one group of patients, and of two arms."""

SLOWED = {CHANGE: "prob_slowing_25", DIFFERENCE: "prob_slowing_25_of_control"}
"""The quantity that says how probable a slowing by SLOWING_PERCENT is, for each that is claimed."""

SLOWING_PERCENT = 25.0
"""Slowing of the decline that counts; Petrou et al. 2021, doi 10.52586/4980, counted "more than 25 %"."""

CLAIM = 0.8
"""Probability above which a patient is called slowed, where expected false claims are counted."""

NEAR_END_SDS = 2.0
"""Residual SDs from an end of the scale within which a value is near it."""

NEAR_ZERO_SHARE = 0.25
NEAR_ZERO_PROBABILITY = 0.05
"""A percentage means nothing where the natural slope may, with more than this probability, be flatter than this share
of the population's: for ALSFRS-R, which falls by about 1 point a month, flatter than -0.25."""

WITHIN, BETWEEN, CONTROL = "interval_within", "interval_between", "interval_control"
"""Coefficients of the interval: of the response on it, and, in the negative control, of it on the response."""

INTERVAL = (0.025, 0.975)
BLOCK = 1000
"""Rows that are summarised at a time, which bounds the memory that a large cohort takes."""


def slows(change: xr.DataArray, slope: xr.DataArray, *, sign: float, percent: float = SLOWING_PERCENT) -> xr.DataArray:
    """Say, draw by draw, whether a natural `slope` that worsens is slowed by `percent` or more.

    `sign` is that of the outcome. A draw in which nothing worsens by itself has nothing to slow, and counts as no.
    """
    worsening = -improvement(slope, sign)
    return (worsening > 0) & (improvement(change, sign) >= worsening * percent / 100)


def sign_of(design: xr.Dataset) -> float:
    """Take the sign of the outcome: 1 where higher is better, -1 where lower is. `design` is `constant_data`."""
    return float(design["sign"])


def near_ends(posterior: Posterior, value: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which values (any,) lie within NEAR_END_SDS residual SDs of the lower end of the scale, and of the upper."""
    low, high = posterior.visits.outcome.ends
    reach = NEAR_END_SDS * float(posterior.draws["sigma"].mean())
    return value <= low + reach, value >= high - reach


def informed(design: xr.Dataset) -> xr.DataArray:
    """Say which patients inform which cycle: bool (patient, injection). `design` is the `constant_data` of a fit."""
    return design["visits_in_cycle"] > 0


def regression_draws(posterior: Posterior) -> xr.DataArray:
    """Lay the coefficients of a model's covariates, and its negative control, side by side: (chain, draw, row).

    `row` holds their names.
    """
    draws = posterior.draws
    names = draws.indexes.get("covariate", ())
    parts = {str(name): draws["regression"].sel(covariate=name, drop=True) for name in names}
    if CONTROL in draws:
        parts[CONTROL] = draws[CONTROL]
    if not parts:
        none = np.empty((draws.sizes["chain"], draws.sizes["draw"], 0))
        return xr.DataArray(none, {"row": np.array([], dtype=object)}, (*SAMPLES, "row"))
    return xr.concat(list(parts.values()), pd.Index(parts, name="row")).transpose(*SAMPLES, "row")


def regression_unit(name: str, design: xr.Dataset, rate: str) -> str:
    """Name the unit of a coefficient, by the record of the model's covariates; `rate` is that of slopes."""
    return f"months per {rate}" if name == CONTROL else str(design["covariate_unit"].sel(covariate=name).item())


def informed_regression(posterior: Posterior) -> list[str]:
    """Name the coefficients that the data say anything about.

    Those of covariates that differ between what informs them: cycles with a value, of what acts on changes, else
    patients with a value. The negative control, where at least three cycles show changes that are not all equal.
    """
    design = posterior.design
    covariates = [str(name) for name in design.indexes.get("covariate", ()) if not is_effect(str(name))]
    names = [name for name in covariates if _differs(name, design)]
    if "seen_change" in design and design["seen_change"].size >= 3 and np.ptp(design["seen_change"].to_numpy()) > 0:
        names.append(CONTROL)
    return names


def _differs(name: str, design: xr.Dataset) -> bool:
    of = design["covariates"].sel(covariate=name)
    on = str(design["covariate_on"].sel(covariate=name).item())
    if on != "change":
        values = of.sel(coefficient=on).to_numpy()[np.unique(design["patient_index"].to_numpy())]
    elif design.sizes.get("injection", 0):
        values = _changes(of, design).transpose("patient", "injection").to_numpy()[informed(design).to_numpy()]
    else:
        return False
    return bool(values.size and np.ptp(values) > 0)


def _once(derive: Callable[[Posterior], xr.DataArray]) -> Callable[[Posterior], xr.DataArray]:
    """Derive something of each posterior once, however many ask for it, and forget it with the posterior."""
    known: WeakKeyDictionary[Posterior, xr.DataArray] = WeakKeyDictionary()

    @wraps(derive)
    def derived(posterior: Posterior) -> xr.DataArray:
        if posterior not in known:
            known[posterior] = derive(posterior)
        return known[posterior]

    return derived


@_once
def population(posterior: Posterior) -> xr.DataArray:
    """Derive the population quantities: (chain, draw, row), with row coordinates quantity, injection and unit.

    Of the draws it takes `population` (coefficient), the standard deviations where there are any, and `correlation`
    (pair) where the model has it. They are derived once for each posterior.
    Injections after which no patient has a value are left out. `overall` is the mean over all informed cycles of all
    patients.
    Percentages and ratios of a cycle are given only where the population would worsen in it, without injections, in at
    least 99.9 % of draws. On a curved course, `natural_slope` is the slope that would be then.
    Where the model knows entry rules, level, lead-in slope and curvature are those of the screened, and changes with
    what they are compared with those of the enrolled, who met the rules; see `enrolled`.
    With covariates the population's coefficients are those at covariates of 0, and where the draws have `regression`,
    each coefficient that the data inform is a quantity by its name. A model with arms has no `change`, so that nobody
    takes that of the control for the answer: it has `control_change` and `control_slope`, of the control, and
    `difference` with what follows from it, which compares the treated (see `arms`).
    """
    draws, design, rate = posterior.draws, posterior.design, posterior.rate
    slope = draws["population"].sel(coefficient="slope")
    rows = [
        _row(draws["population"].sel(coefficient="level"), quantity="level", injection="", unit=posterior.unit),
        _row(slope, quantity="lead_in_slope", injection="", unit=rate),
    ]
    if curved := "curvature" in draws.indexes["coefficient"]:
        bend = draws["population"].sel(coefficient="curvature")
        rows.append(_row(bend, quantity="curvature", injection="", unit=f"{rate}^2"))
    rows += _enrolled_rows(posterior)
    changes, natural = _in_cycles(posterior)
    if curved:
        rows += [
            _row(of, quantity="natural_slope", injection=injection, unit=rate) for injection, of in natural.items()
        ]
    if arms.compares(design):
        rows += _arms_rows(posterior, changes, natural)
    else:
        for injection, change in changes.items():
            rows += _slope_rows(change, natural[injection], injection, rate, sign_of(design))
        rows += _increment_rows(changes, rate)
    regression = regression_draws(posterior)
    for name in [name for name in informed_regression(posterior) if name in regression["row"]]:
        unit_of = regression_unit(name, design, rate)
        rows.append(_row(regression.sel(row=name), quantity=name, injection="", unit=unit_of))
    rows += _spread_rows(draws, posterior.unit)
    return _tidy(rows, ("quantity", "injection", "unit"))


def of_quantity(rows: xr.DataArray, quantity: str) -> xr.DataArray:
    """Choose the rows of one quantity: (chain, draw, row)."""
    return rows.sel(row=rows["quantity"] == quantity)


def claimed(design: xr.Dataset) -> str:
    """Name the quantity that answers: the change or, where arms are compared, their difference."""
    return DIFFERENCE if arms.compares(design) else CHANGE


def claim_weights(design: xr.Dataset) -> dict[str, dict[str, float]]:
    """Weigh coefficients, by name, for what is claimed after each informed injection ("1".."K"), and overall.

    They are the population's changes or, where arms are compared, the coefficients of the effect. Empty where no value
    informs any.
    """
    if arms.compares(design):
        return arms.comparisons(design)
    number = informed(design).sum("patient").to_series()
    number = number[number > 0]
    if number.empty:
        return {}
    overall = {f"change {k}": float(share) for k, share in (number / number.sum()).items()}
    return {str(k): {f"change {k}": 1.0} for k in number.index} | {OVERALL: overall}


def of_claim(rows: xr.DataArray) -> xr.DataArray:
    """Choose the rows of what is claimed, of `population`: (chain, draw, row)."""
    return rows.sel(row=rows["quantity"].isin(CLAIMED))


def claims(posterior: Posterior) -> xr.DataArray:
    """Derive what is claimed, and nothing else: (chain, draw, row), what `of_claim` chooses of `population`."""
    quantity = claimed(posterior.design)
    if quantity == DIFFERENCE:
        found = arms.differences(posterior.draws, posterior.design)
    else:
        found, _ = _in_cycles(posterior)
    labels = {"quantity": [quantity] * len(found), "injection": list(found), "unit": [posterior.rate] * len(found)}
    none = np.empty((*(posterior.draws.sizes[dim] for dim in SAMPLES), 0))
    values = [each.transpose(*SAMPLES).to_numpy()[..., None] for each in found.values()]
    coords = {name: ("row", np.array(each, dtype=object)) for name, each in labels.items()}
    return xr.DataArray(np.concatenate([none, *values], axis=-1), coords, (*SAMPLES, "row"))


def change(posterior: Posterior, injection: str = OVERALL) -> xr.DataArray:
    """Take what is claimed after an injection ("1".."K"), or overall: (chain, draw), units of slopes.

    That is the population's change or, of a model with arms, their difference. Raises LookupError where no value
    informs it.
    """
    rows = of_quantity(population(posterior), claimed(posterior.design))
    place = np.flatnonzero(rows["injection"] == injection)
    if not len(place):
        raise LookupError(f"{posterior.model}: no value informs the change after injection {injection!r}")
    return rows.isel(row=int(place[0]), drop=True)


def patients(posterior: Posterior) -> xr.Dataset:
    """Take out the change of every informed cycle of every patient, and each patient's mean over them as `overall`.

    Returns `change` and, beside it, the natural `slope` of the same patient in the same cycles, both (chain, draw,
    row), with row coordinates patient, injection and n_visits (values in the cycle), and the outcome's `sign` as a
    coordinate. A cycle that a patient did not reach has no row.
    """
    draws, design = posterior.draws, posterior.design
    labels = cycles(design)
    place = pd.Index(design["patient"].to_numpy()).get_indexer(labels["patient"])
    coefficient = draws.indexes["coefficient"]
    drawn = draws["coefficients"].transpose(*SAMPLES, "patient", "coefficient").to_numpy()
    values, months = np.empty((*drawn.shape[:2], len(labels))), np.zeros(len(labels))
    if curved := "curvature" in coefficient:
        middles = design["middle_of_cycle"].transpose("patient", "injection").to_numpy()
    among, sets_of_cycles = pd.factorize(labels["cycles"])
    for number, of in enumerate(sets_of_cycles):
        rows = np.flatnonzero(among == number)
        columns = coefficient.get_indexer([f"change {k}" for k in of])
        values[..., rows] = sum(drawn[..., place[rows], column] for column in columns) / len(of)
        if curved:
            months[rows] = middles[np.ix_(place[rows], [k - 1 for k in of])].mean(axis=1)
    coords = {name: ("row", labels[name].to_numpy()) for name in ("patient", "injection", "n_visits")}
    # In single precision, which halves the memory of a large cohort: it is only ever compared with a share of itself.
    slopes = drawn[..., coefficient.get_loc("slope")].astype(np.float32)[..., place]
    if curved:
        slopes += (drawn[..., place, coefficient.get_loc("curvature")] * months).astype(np.float32)
    data = {"change": ((*SAMPLES, "row"), values), "slope": ((*SAMPLES, "row"), slopes)}
    return xr.Dataset(data, coords={**coords, "sign": sign_of(design)})


def cycles(design: xr.Dataset) -> pd.DataFrame:
    """List what is reported of patients, a row per informed cycle and one `overall` for each patient who has any.

    Columns: patient, injection ("1".."K" or "overall"), cycles (the injection numbers it is the mean of), n_visits.
    """
    counts = design["visits_in_cycle"].transpose("patient", "injection")
    injections, rows = design["injection"].to_numpy().tolist(), []
    for patient, visits in zip(design["patient"].to_numpy(), counts.to_numpy().tolist(), strict=True):
        reached = {k: n for k, n in zip(injections, visits, strict=True) if n > 0}
        rows += [(patient, str(k), (k,), n) for k, n in reached.items()]
        if reached:
            rows.append((patient, OVERALL, tuple(reached), sum(reached.values())))
    return pd.DataFrame(rows, columns=["patient", "injection", "cycles", "n_visits"])


def responders(patient_draws: xr.Dataset, percents: Sequence[float] = (SLOWING_PERCENT, 50.0)) -> pd.DataFrame:
    """Count, draw by draw, the patients whose worsening slowed by at least each of `percents`.

    Takes what `patients` returns. Returns a row per injection and threshold (percent slowing): n_patients; the
    posterior expected number with its 95 % interval; n_called, the patients with a probability above CLAIM, and
    expected_false_claims, the sum over them of one minus it.
    """
    rows = []
    of_row = patient_draws["injection"]
    for injection in sorted(set(of_row.to_numpy().tolist()), key=injection_rank):
        group = patient_draws.sel(row=of_row == injection)
        for percent in percents:
            slowed = slows(group["change"], group["slope"], sign=float(group["sign"]), percent=percent)
            number, probability = slowed.sum("row"), slowed.mean(SAMPLES)
            called = probability > CLAIM
            lower, upper = number.quantile(INTERVAL, method="inverted_cdf").to_numpy()
            false = float((1 - probability).where(called, 0.0).sum())
            rows.append(
                (injection, group.sizes["row"], percent, float(number.mean()), lower, upper, false, int(called.sum()))
            )
    columns = ["injection", "n_patients", "threshold", "expected", "lower", "upper", "expected_false_claims"]
    return pd.DataFrame(rows, columns=[*columns, "n_called"]).astype({"lower": int, "upper": int})


def flags(patient_draws: xr.Dataset, posterior: Posterior) -> list[str]:
    """Say of every row of `patients` what a reader must know before its numbers: empty, or codes joined by "; ".

    `percent undefined`: the natural slope may be near zero (see NEAR_ZERO_SHARE). `short lead-in`: fewer than two
    values up to the first injection, so the lead-in slope is mostly borrowed from the population.
    """
    usual = posterior.draws["population"].sel(coefficient="slope")
    flatter = improvement(patient_draws["slope"] - NEAR_ZERO_SHARE * usual, sign_of(posterior.design)) > 0
    flat = flatter.mean(SAMPLES) > NEAR_ZERO_PROBABILITY
    lead_in = posterior.design["visits_in_lead_in"].to_series()
    short = lead_in.loc[patient_draws["patient"].to_numpy()] < 2
    texts = {"percent undefined": flat.to_numpy(), "short lead-in": short.to_numpy()}
    return ["; ".join(text for text, hit in texts.items() if hit[row]) for row in range(patient_draws.sizes["row"])]


def change_curve(posterior: Posterior, points: int = 101) -> pd.DataFrame:
    """Trace Pr(change > x) for what is claimed of every injection: columns injection, x, probability.

    `x` (units/month) runs over the central 99.8 % of all the changes' draws, zero included.
    """
    change = of_quantity(population(posterior), claimed(posterior.design))
    if not change.sizes["row"]:
        return pd.DataFrame(columns=["injection", "x", "probability"])
    low, high = change.quantile((0.001, 0.999)).to_numpy()
    x = np.linspace(min(low, 0.0), max(high, 0.0), points)
    above = (change > xr.DataArray(x, dims="x")).mean(SAMPLES).transpose("row", "x").to_numpy()
    injections = change["injection"].to_numpy()
    return pd.DataFrame(
        {"injection": np.repeat(injections, points), "x": np.tile(x, len(injections)), "probability": above.ravel()}
    )


def summarise(values: xr.DataArray) -> pd.DataFrame:
    """Summarise draws (chain, draw, row), a row each: the row coordinates, then what every reported quantity carries.

    Adds mean, sd, lower and upper (95 % equal-tailed), prob_positive, rhat (rank-normalised), ess_bulk, ess_tail and
    mcse (of the mean), as defined by Vehtari et al. 2021, doi 10.1214/20-BA1221; and the median, which is what to read
    of a ratio, whose mean a few draws with a divisor near zero can carry anywhere.
    """
    labels = pd.DataFrame({name: values[name].to_numpy() for name in values.coords if values[name].dims == ("row",)})
    starts = range(0, max(values.sizes["row"], 1), BLOCK)
    blocks = [_summary(values.isel(row=slice(start, start + BLOCK))) for start in starts]
    return pd.concat([labels, pd.concat(blocks, ignore_index=True)], axis=1)


def _summary(values: xr.DataArray) -> pd.DataFrame:
    x = values.transpose(*SAMPLES, "row").to_numpy().astype(float)
    lower, upper = np.quantile(x, INTERVAL, axis=(0, 1))
    return pd.DataFrame(
        {
            "mean": x.mean(axis=(0, 1)),
            "sd": x.std(axis=(0, 1), ddof=1),
            "lower": lower,
            "upper": upper,
            "prob_positive": (x > 0).mean(axis=(0, 1)),
            **mixing(x),
            "median": np.median(x, axis=(0, 1)),
        }
    )


def _row(values: xr.DataArray, **labels: object) -> Row:
    return labels, values.transpose(*SAMPLES).to_numpy().astype(float)


def _tidy(rows: Sequence[Row], names: Sequence[str]) -> xr.DataArray:
    coords = {name: ("row", np.array([str(labels[name]) for labels, _ in rows], dtype=object)) for name in names}
    return xr.DataArray(np.stack([values for _, values in rows], axis=-1), dims=(*SAMPLES, "row"), coords=coords)


def _changes(coefficients: xr.DataArray, design: xr.Dataset) -> xr.DataArray:
    """Take the changes out of the coefficients and give them their injection dim."""
    injections = design["injection"].to_numpy()
    chosen = coefficients.sel(coefficient=[f"change {k}" for k in injections])
    return chosen.rename(coefficient="injection").assign_coords(injection=injections)


def _in_cycles(posterior: Posterior) -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    """Take change and natural slope in the cycles that anybody informs, and overall: (chain, draw) by injection.

    Overall is the mean over all informed cycles of all patients. With arms, the cycles are those of the control, and
    overall is weighted as their difference is. With entry rules both are of those who met them, else of anybody.
    """
    design, population = posterior.design, posterior.draws["population"]
    shown = weighted = informed(design).transpose("patient", "injection")
    if arms.compares(design):
        shown = arms.control_cycles(design).transpose("patient", "injection")
        weighted = arms.treated_cycles(design) & shown.any("patient")
    shown = shown.sel(injection=shown.any("patient"))
    if not shown.sizes["injection"]:
        return {}, {}
    numbers = shown["injection"].to_numpy()
    entered = enrolled.added(posterior, (shown / shown.sum("patient")).transpose("injection", "patient").to_numpy())
    changes, natural, curved = {}, {}, "curvature" in population.indexes["coefficient"]
    for place, k in enumerate(numbers):
        of = population if entered is None else population + entered.isel(mean=place)
        changes[str(k)] = of.sel(coefficient=f"change {k}", drop=True)
        natural[str(k)] = natural_slope(of, middle(design, k) if curved else 0.0)
    count = weighted.sum("patient").sel(injection=numbers).to_numpy()
    if count.any():
        share = xr.DataArray(count, dims="cycle")
        for found in (changes, natural):
            found[OVERALL] = xr.concat(list(found.values()), "cycle").weighted(share).mean("cycle")
    return changes, natural


def _enrolled_rows(posterior: Posterior) -> list[Row]:
    """Tell level and lead-in slope of those who met the rules of entry, where the model knows any."""
    if not known_to(posterior.design):
        return []
    seen = np.bincount(posterior.visits.patient_index, minlength=len(posterior.visits.patients)) > 0
    added = enrolled.added(posterior, (seen / seen.sum())[None])
    assert added is not None
    of = posterior.draws["population"] + added.isel(mean=0)
    level, slope = (of.sel(coefficient=name, drop=True) for name in ("level", "slope"))
    return [
        _row(level, quantity="level_of_enrolled", injection="", unit=posterior.unit),
        _row(slope, quantity="lead_in_slope_of_enrolled", injection="", unit=posterior.rate),
    ]


def _slope_rows(change: xr.DataArray, natural: xr.DataArray, injection: str, rate: str, sign: float) -> list[Row]:
    rows = [
        _row(change, quantity="change", injection=injection, unit=rate),
        _row(natural + change, quantity="segment_slope", injection=injection, unit=rate),
        _row(slows(change, natural, sign=sign), quantity="prob_slowing_25", injection=injection, unit="probability"),
    ]
    if (improvement(natural, sign) < 0).mean() >= 0.999:
        rows += [
            _row(-100 * change / natural, quantity="percent_slowing", injection=injection, unit="%"),
            _row((natural + change) / natural, quantity="rate_ratio", injection=injection, unit="ratio"),
        ]
    return rows


def _arms_rows(
    posterior: Posterior, changes: Mapping[str, xr.DataArray], natural: Mapping[str, xr.DataArray]
) -> list[Row]:
    """Tell the changes of the control, and compare the arms after each injection that both inform, and overall.

    `changes` and `natural` slopes are those of the control, which overall are weighted as the difference is.
    `prob_slowing_25_of_control` is that of a slope which is slower than the control's by SLOWING_PERCENT or more,
    `prob_minimal_difference` that of a difference which the trial states to matter. Ratios are given as percentages.
    """
    draws, design, rate = posterior.draws, posterior.design, posterior.rate
    sign, matters = sign_of(design), minimal_difference(posterior)
    found, rows = arms.differences(draws, design), []
    for injection, change in changes.items():
        rows += [
            _row(change, quantity="control_change", injection=injection, unit=rate),
            _row(natural[injection] + change, quantity="control_slope", injection=injection, unit=rate),
        ]
    for injection, difference in found.items():
        control = natural[injection] + changes[injection]
        slowed = slows(difference, control, sign=sign)
        rows += [
            _row(difference, quantity="difference", injection=injection, unit=rate),
            _row(changes[injection] + difference, quantity="treated_change", injection=injection, unit=rate),
            _row(slowed, quantity="prob_slowing_25_of_control", injection=injection, unit="probability"),
        ]
        if matters is not None:
            enough = improvement(difference, sign) > matters
            rows.append(_row(enough, quantity="prob_minimal_difference", injection=injection, unit="probability"))
        if (improvement(control, sign) < 0).mean() >= 0.999:
            rows += [
                _row((control + difference) / control, quantity="ratio_of_slopes", injection=injection, unit="ratio"),
                _row(-100 * difference / control, quantity="percent_slowing_of_control", injection=injection, unit="%"),
            ]
    if (by := arms.by_horizon(posterior, found)) is not None:
        month, points = by
        rows.append(_row(points, quantity=f"difference_at_month_{month:g}", injection="", unit=posterior.unit))
    return rows


def minimal_difference(posterior: Posterior) -> float | None:
    """Look up the difference of slopes that a trial states to matter, units a month: None where it states none."""
    stated = posterior.trial.arms
    return None if stated is None else stated.minimal_difference.get(posterior.outcome)


def _increment_rows(changes: Mapping[str, xr.DataArray], rate: str) -> list[Row]:
    """Change of the slope from one cycle to the next, where both are informed."""
    rows = []
    for k in [int(injection) for injection in changes if injection != OVERALL]:
        if k == 1 or str(k - 1) in changes:
            before = changes[str(k - 1)] if k > 1 else 0.0
            rows.append(_row(changes[str(k)] - before, quantity="increment", injection=str(k), unit=rate))
    return rows


def _spread_rows(draws: xr.Dataset, unit: str) -> list[Row]:
    rate = f"{unit}/month"
    units = {
        "sd_level": unit,
        "sd_slope": rate,
        "sd_curvature": f"{rate}^2",
        "curvature_by_level": "1/month^2",
        "curvature_by_slope": "1/month",
        "sd_response": rate,
        "sd_cycle": rate,
        **{name: each.format(unit=unit) for name, each in UNITS.items()},
    }
    rows = [_row(draws[name], quantity=name, injection="", unit=u) for name, u in units.items() if name in draws]
    if "correlation" not in draws:
        return rows
    for pair in draws["pair"].to_numpy():
        name = "correlation_" + str(pair).replace(", ", "_")
        rows.append(_row(draws["correlation"].sel(pair=pair), quantity=name, injection="", unit="correlation"))
    return rows
