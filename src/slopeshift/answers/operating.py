"""Operating characteristics of a fit's own design, in closed form: what it would say had nothing changed.

For models that integrate their coefficients out, the posterior mean of a change is linear in the values, given the
spreads (see `engine.linear`). How often a trial of this design in which nothing changed would show at least as much as
this one did, how often that would be called a claim, and how strongly courses would have to bend by themselves to show
it, are then known without simulation. All are averages over the posterior's draws of spreads and of natural history.
Where the likelihood is of patients whom rules chose, trials of such patients are simulated (`chosen`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.answers import arms
from slopeshift.answers.estimates import CLAIM, FALSE_ALARMS, Estimates
from slopeshift.answers.quantities import claim_weights, sign_of
from slopeshift.design.cycles import OVERALL
from slopeshift.design.entry import known_to
from slopeshift.design.shape import NATURAL
from slopeshift.engine.draws import evenly, flat
from slopeshift.engine.terms import CORRELATED
from slopeshift.fit.posterior import NORMAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.answers.chosen import Asked
    from slopeshift.engine.linear import Answer
    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

BEND = 0.02
"""SD between trials of the bend that is plausible in natural history, per month and unit of lead-in slope: at 1 point a
month it moves a slope by a quarter of a point a month within a year. No cohort's mean curvature is published with its
error; one logistic course from 48 to 0 bends by 0.04 at the most."""

BEND_OF_PATIENTS = 0.03
"""SD between patients of a trial around it, where the model has no curvature of its own to take it from."""

DRAWS, WORK = 200, 40_000
"""Draws that are averaged over: DRAWS, or fewer where draws times patients would be more than WORK."""

COURSES = ("straight", "bent")
COLUMNS = (
    *("injection", "course", "bend_sd", "null_mean", "null_sd", "posterior_sd"),
    *("prob_claim", "prob_at_least", "cut", "bend_gain", "tipping_bend"),
)


def table(posterior: Posterior) -> pd.DataFrame:
    """Say what this design shows where nothing changed: rows by injection (and overall) and course, as COLUMNS.

    Courses are `straight`, without any bend on average, or `bent`, by Normal(0, `bend_sd`) in a trial. In units a
    month: `null_mean` and `null_sd` of the posterior mean of the change over such trials, and its `posterior_sd`.
    `prob_claim` is the share of them in which Pr(the change is for the better) exceeds CLAIM, `prob_at_least` that of
    an estimate at least as good as this trial's, and `cut` the probability that FALSE_ALARMS of them exceed.
    `bend_gain` is what a bend of 1 unit a month, per month, adds to the estimate, and `tipping_bend` the bend that
    accounts for as much of it as is above 1.96 posterior SDs: NaN where nothing is. With entry rules in its likelihood,
    patients of these trials met them too, and shares have the error of so many simulated trials. Empty where the model
    is neither linear in the values nor so but for the rules, or no value informs a change.
    """
    if not in_closed_form(posterior):
        return pd.DataFrame(columns=list(COLUMNS))
    if known_to(posterior.design):
        return _of_chosen(posterior)
    place = evenly(posterior.draws, min(DRAWS, WORK // len(posterior.visits.patients)))
    functionals = _functionals(posterior.design)
    linear = _answer(posterior, place, np.array(list(functionals.values())))
    course, spread, bend = _nothing_changed(posterior, place)
    sign = sign_of(posterior.design)
    found = sign * linear.of_values(_moments(posterior))
    null_mean = sign * (linear.constant + np.einsum("dfe,de->df", linear.response, course))
    gain = sign * linear.response[..., _bend_column(posterior)]
    scatter, size = linear.scatter(spread), np.broadcast_to(bend[:, None], gain.shape)
    rows: list[dict[str, Any]] = []
    for f, injection in enumerate(functionals):
        for kind in COURSES:
            moved = gain[:, f] * size[:, f] if kind == "bent" else 0.0
            null = Estimates(null_mean[:, f], np.hypot(scatter[:, f], moved), linear.sd[:, f])
            rows.append(
                {
                    **{"injection": injection, "course": kind, "bend_sd": bend.mean() if kind == "bent" else 0.0},
                    **_summary(null, sign, found[:, f]),
                    **{"bend_gain": sign * gain[:, f].mean(), "tipping_bend": _tipping(found, linear.sd, gain, f)},
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_chosen(posterior: Posterior) -> pd.DataFrame:
    """Say the same where the model knows the rules by which patients entered, by simulated trials of such patients.

    Empty where so few would meet the rules that they cannot be drawn.
    """
    from scipy.special import ndtr, ndtri

    from slopeshift.answers import chosen

    place = evenly(posterior.draws, max(1, min(chosen.DRAWS, chosen.WORK // len(posterior.visits.patients))))
    functionals, sign = _functionals(posterior.design), sign_of(posterior.design)
    course, spread, bend = _nothing_changed(posterior, place)
    truth = chosen.Truth(_truth(posterior), course, spread, bend, _bend_column(posterior))
    try:
        own, *kinds = chosen.estimates(posterior, place, _asked(posterior, functionals), truth)
    except ValueError:
        return pd.DataFrame(columns=list(COLUMNS))
    straight, bent = kinds
    found = sign * own.mean[:, 0]
    gained = np.einsum("dtf,dt->f", bent.mean - straight.mean, bent.bend) / (bent.bend**2).sum()
    rows: list[dict[str, Any]] = []
    for f, injection in enumerate(functionals):
        for kind, trials in zip(COURSES, kinds, strict=True):
            mean, sd = sign * trials.mean[..., f], trials.sd[..., f]
            rows.append(
                {
                    **{"injection": injection, "course": kind, "bend_sd": bend.mean() if kind == "bent" else 0.0},
                    **{"null_mean": trials.mean[..., f].mean(), "null_sd": mean.std(), "posterior_sd": sd.mean()},
                    "prob_claim": (mean / sd > ndtri(CLAIM)).mean(),
                    "prob_at_least": (mean >= found[:, None, f]).mean(),
                    "cut": float(ndtr(np.quantile(mean / sd, 1 - FALSE_ALARMS))),
                    **{"bend_gain": gained[f], "tipping_bend": _tipping(found, own.sd[:, 0], sign * gained[None], f)},
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _asked(posterior: Posterior, functionals: Mapping[str, Floats]) -> Asked:
    """Weigh columns and, of changes that are not compared between arms, the patients who inform each cycle."""
    from slopeshift.answers.chosen import Asked

    design, weights = posterior.design, np.array(list(functionals.values()))
    patients = np.zeros((weights.shape[1], design.sizes["patient"]))
    if not arms.compares(design):
        informed = (design["visits_in_cycle"] > 0).transpose("injection", "patient")
        place = design.indexes["coefficient"].get_indexer([f"change {k}" for k in informed["injection"].to_numpy()])
        patients[place] = informed / np.maximum(informed.sum("patient"), 1)
    return Asked(weights, patients)


def in_closed_form(posterior: Posterior) -> bool:
    """Say whether what a fit claims is linear in the values, given the spreads, and informed by any.

    They are where residuals are normal and independent, whether coefficients are integrated out or sampled.
    """
    normal = posterior.family in (None, NORMAL) and CORRELATED not in posterior.design
    return normal and "term_mean" in posterior.design and bool(_functionals(posterior.design))


def claims(posterior: Posterior, course: Floats, spread: Floats) -> float:
    """Find the share of trials of this design with a stated truth whose overall change would be called a claim.

    `course` (e,) is the mean of patients' coefficients in outcome units, `spread` (e, e) their covariance, both in the
    order of the model's own; where it has no curvature, that comes last. Residuals are those of the model. An average
    over the posterior's draws of spreads. Raises ValueError where the model is not linear in the values (see `table`).
    """
    from scipy.special import ndtri

    if not in_closed_form(posterior) or known_to(posterior.design):
        raise ValueError(f"{posterior.model}: its answer is not linear in the values, so that trials must be simulated")
    place = evenly(posterior.draws, min(DRAWS, WORK // len(posterior.visits.patients)))
    linear = _answer(posterior, place, _functionals(posterior.design)[OVERALL][None])
    sign = sign_of(posterior.design)
    mean = sign * (linear.constant + linear.response @ course)[:, 0]
    scatter = linear.scatter(np.broadcast_to(spread, (len(place), *spread.shape)))[:, 0]
    return Estimates(mean, scatter, linear.sd[:, 0]).claims(float(ndtri(CLAIM)))


def _summary(null: Estimates, sign: float, found: Floats) -> dict[str, float]:
    """Sum up trials in which nothing changed beside what was `found` (draw,) in this one; see `table`."""
    from scipy.special import ndtr, ndtri

    return {
        "null_mean": sign * null.mean.mean(),
        "null_sd": null.overall_sd,
        "posterior_sd": null.posterior_sd.mean(),
        "prob_claim": null.claims(float(ndtri(CLAIM))),
        "prob_at_least": float(ndtr((null.mean - found) / null.sd).mean()),
        "cut": null.cut(FALSE_ALARMS),
    }


def _tipping(found: Floats, sd: Floats, gain: Floats, f: int) -> float:
    from scipy.special import ndtri

    above = found[:, f].mean() - ndtri(CLAIM) * sd[:, f].mean()
    slope = gain[:, f].mean()
    return float(above / slope) if above > 0 and slope > 0 else float("nan")


def _functionals(design: xr.Dataset) -> dict[str, Floats]:
    """Weigh the model's columns for what is claimed after each informed injection, and overall: (column,) each.

    That is the change or, where the model compares arms, their difference. Empty where none is informed.
    """
    names = [*design.indexes["coefficient"], *design.indexes.get("covariate", ())]
    return {
        injection: np.array([weights.get(name, 0.0) for name in names])
        for injection, weights in claim_weights(design).items()
    }


def _truth(posterior: Posterior) -> Floats:
    """Lay out the columns of a truth at every visit: the model's own and, where it has none, that of a bend."""
    from slopeshift.engine.exact import widened

    basis, month = widened(posterior.visits, posterior.design)[0], posterior.visits.month
    return basis if _curved(posterior) else np.column_stack([basis, month**2 / 2])


def _curved(posterior: Posterior) -> bool:
    return "curvature" in posterior.design.indexes["coefficient"]


def _bend_column(posterior: Posterior) -> int:
    return int(posterior.design.indexes["coefficient"].get_loc("curvature")) if _curved(posterior) else -1


def _answer(posterior: Posterior, place: NDArray[np.intp], functionals: Floats) -> Answer:
    from slopeshift.engine import linear
    from slopeshift.engine.exact import widened
    from slopeshift.engine.terms import terms_from

    basis, picked = widened(posterior.visits, posterior.design)
    known = terms_from(posterior.design, posterior.visits)
    loading = np.pad(flat(posterior.draws["loading"])[place], ((0, 0), (0, len(known.covariates)), (0, 0)))
    measured = linear.measured(posterior.visits, basis, _truth(posterior))
    sigma = flat(posterior.draws["sigma"])[place]
    return linear.answer(measured, loading, sigma, (known.mean, known.sd, picked), functionals)


def _moments(posterior: Posterior) -> Floats:
    """Sum the model's columns times the values of each patient: (patient, column)."""
    from slopeshift.engine.exact import widened

    basis = widened(posterior.visits, posterior.design)[0]
    moments = np.zeros((len(posterior.visits.patients), basis.shape[1]))
    np.add.at(moments, posterior.visits.patient_index, basis * posterior.visits.value[:, None])
    return moments


def _nothing_changed(posterior: Posterior, place: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Describe trials without any change: mean course (draw, e), spread (draw, e, e), and SD of the bend (draw,).

    Level, slope, their spread and what covariates do to them are those of the draws. Where the model compares arms,
    both have the control's changes, and patients differ in theirs: what is without is the difference.
    """
    names, design = posterior.design.indexes["coefficient"], posterior.design
    alike = arms.compares(design)
    natural = [k for k, name in enumerate(names) if name in NATURAL or alike]
    columns = _truth(posterior).shape[1]
    course = np.zeros((len(place), columns))
    population = flat(posterior.draws["population"])[place]
    given = [k for k in natural if k < 2 or names[k] not in NATURAL]
    course[:, given] = population[:, given]
    for k, name in enumerate(design.indexes.get("covariate", ())):
        if str(design["covariate_on"].sel(covariate=name).item()) in ("level", "slope"):
            course[:, len(names) + k] = flat(posterior.draws["regression"].sel(covariate=name))[place]
    loading = flat(posterior.draws["loading"])[place][:, natural]
    spread = np.zeros((len(place), columns, columns))
    spread[:, : len(natural), : len(natural)] = loading @ loading.transpose(0, 2, 1)
    pace = np.abs(population[:, 1])
    if not _curved(posterior):
        spread[:, -1, -1] = (BEND_OF_PATIENTS * pace) ** 2
    return course, spread, BEND * pace
