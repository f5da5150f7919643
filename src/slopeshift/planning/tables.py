"""The tables of a plan by closed form: scenarios, power curves, sample sizes, and what interval and dose would show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.planning.closed_form import DOSE, INTERVAL, Expected, expected
from slopeshift.planning.plan import CLAIM, NONE, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slopeshift.answers.estimates import Estimates
    from slopeshift.planning.closed_form import Model
    from slopeshift.planning.plan import Design, Plan, Rule
    from slopeshift.planning.spreads import Spreads

OK, SHORT, ALARMS = "as wanted", "too little power", "too many false alarms"
"""Flags of a scenario."""

WIDTH = 2 * 1.959964
"""Posterior SDs in a 95 % interval."""

EFFECTS = 25
"""Effects at which a power curve is drawn."""


@dataclass(frozen=True, eq=False)
class Study:
    """A plan with what it names, found: the models by their names, and the spreads."""

    plan: Plan
    models: Sequence[Model]
    spreads: Spreads

    def cell(self, design: Design, model: Model) -> Expected:
        """Work out one design by one model, with coefficients on interval and dose where they are asked for."""
        plan = self.plan
        interval = plan.interval_effect if len(design.interval) > 1 else None
        return expected(design, model, self.spreads, interval=interval, dose=plan.dose)

    def cells(self) -> Iterator[tuple[int, Expected]]:
        """Work out every design by every model: place of the design from 1, and what it shows."""
        for place, design in enumerate(self.plan.designs, start=1):
            for model in self.models:
                yield place, self.cell(design, model)


def by_design(study: Study) -> dict[str, pd.DataFrame]:
    """Make the tables that go through all designs, each of which is worked out once: `scenarios`, below, and these.

    `curves` has the power of every design, model and rule over effects: rows of design, model, rule, effect and claims.
    Effects run from 0 to half as much again as the largest of the scenarios, in outcome units a month; nothing else is
    true.

    `regressions` says what interval and dose would show: a row by design, model and coefficient. Columns:
    `coefficient`, its `true` value and `prior_sd`, `posterior_sd` (outcome units a month, per month of interval or
    doubling of the dose), `information`, the prior variances that the trial adds, and `claims`, the share of trials in
    which its 95 % interval is above 0. Empty where the plan asks for neither.
    """
    found: dict[str, list[dict[str, Any]]] = {"scenarios": [], "curves": [], "regressions": []}
    for place, cell in study.cells():
        found["scenarios"] += _scenarios(study, place, cell)
        found["curves"] += _curves(study, place, cell)
        found["regressions"] += _regressions(study, place, cell)
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def scenarios(study: Study) -> pd.DataFrame:
    """List every design by model, decision rule and scenario: a row each.

    Columns: `design` (place from 1) and what it is; `model`, `probability`, `margin`; the scenario; in outcome units a
    month `posterior_sd`, `width` of the 95 % interval, `mean`, `bias` and `rmse` of the estimate; the shares of trials
    `claims` and `coverage`; `flag` (OK, SHORT or ALARMS). `assurance` averages claims over the prior of the effect.
    `cut` is the probability that holds the allowed false alarms over the scenarios that should have none, averaged.
    `tipping_bend` is the bend at which half of the trials without an effect would claim one (NaN: none), a month per
    month. `visits` counts values.
    """
    return pd.DataFrame([row for place, found in study.cells() for row in _scenarios(study, place, found)])


def _scenarios(study: Study, place: int, found: Expected) -> Iterator[dict[str, Any]]:
    of = _of_design(place, found)
    for rule in study.plan.rules:
        for each in _of_scenarios(study.plan, found, rule):
            yield {**of, "probability": rule.probability, "margin": rule.margin, **each}


def _of_design(place: int, found: Expected) -> dict[str, Any]:
    seen = found.layout.number @ np.bincount(found.layout.visits.patient_index)
    sd = found.posterior_sd()
    labels = found.design.labels | {"visits": int(seen), "model": found.model.name}
    return {"design": place, **labels, "posterior_sd": sd, "width": WIDTH * sd}


def _of_scenarios(plan: Plan, found: Expected, rule: Rule) -> Iterator[dict[str, Any]]:
    common = {
        "assurance": _assurance(plan, found, rule),
        "cut": _cut(plan, found, rule),
        "bend_gain": found.bend_gain(),
        "tipping_bend": _tipping_bend(found, rule),
    }
    for scenario in plan.scenarios:
        estimates = found.estimates(scenario)
        claims = estimates.claims(z_of(rule), rule.margin)
        yield {
            **{"scenario": scenario.name, "expected": scenario.expected, "effect": scenario.effect},
            **{"bend": scenario.bend, "bend_sd": scenario.bend_sd, "mismatch": scenario.mismatch},
            **{"mismatch_bend": scenario.mismatch_bend, **_errors(estimates, scenario.effect), "claims": claims},
            **{"flag": flag(plan, scenario, claims), **common},
        }


def _errors(estimates: Estimates, effect: float) -> dict[str, float]:
    bias = float(estimates.mean.mean()) - effect
    rmse = float(np.hypot(bias, estimates.overall_sd))
    return {"mean": bias + effect, "bias": bias, "rmse": rmse, "coverage": estimates.covers(effect)}


def z_of(rule: Rule) -> float:
    """Give the posterior SDs above its margin at which a rule claims."""
    from scipy.special import ndtri

    return float(ndtri(rule.probability))


def flag(plan: Plan, scenario: Scenario, claims: float) -> str:
    """Say whether a scenario ends as it should, often enough."""
    if scenario.expected == CLAIM:
        return OK if claims >= plan.target.power else SHORT
    return OK if claims <= plan.target.false_alarms else ALARMS


def _assurance(plan: Plan, found: Expected, rule: Rule) -> float:
    """Average the share of claims over the prior of the effect (O'Hagan, Stevens and Campbell 2005): NaN without."""
    if plan.effect_prior is None:
        return float("nan")
    mean, sd = plan.effect_prior
    scenario = Scenario("assurance", CLAIM, effect=mean)
    return found.estimates(scenario, effect_sd=sd).claims(z_of(rule), rule.margin)


def _cut(plan: Plan, found: Expected, rule: Rule) -> float:
    """Find the probability that the allowed share of false alarms exceeds, averaged over scenarios that have none."""
    from slopeshift.answers.estimates import Estimates

    nulls = [found.estimates(scenario) for scenario in plan.scenarios if scenario.expected == NONE]
    if not nulls:
        return float("nan")
    parts = (np.concatenate([getattr(each, name) for each in nulls]) for name in ("mean", "sd", "posterior_sd"))
    return Estimates(*parts).cut(plan.target.false_alarms, rule.margin)


def _tipping_bend(found: Expected, rule: Rule) -> float:
    nothing, gain = found.estimates(Scenario("nothing", NONE)), found.bend_gain()
    above = rule.margin + z_of(rule) * found.posterior_sd() - float(nothing.mean.mean())
    return above / gain if gain > 1e-6 else float("nan")


def _curves(study: Study, place: int, found: Expected) -> Iterator[dict[str, Any]]:
    largest = 1.5 * max([abs(scenario.effect) for scenario in study.plan.scenarios] + [0.1])
    effects = [float(effect) for effect in np.linspace(0.0, largest, EFFECTS)]
    estimates = [found.estimates(Scenario("effect", CLAIM, effect=effect)) for effect in effects]
    of = {"design": place, "patients": found.design.patients, "model": found.model.name}
    for rule in study.plan.rules:
        of |= {"probability": rule.probability, "margin": rule.margin}
        for effect, each in zip(effects, estimates, strict=True):
            yield {**of, "effect": effect, "claims": each.claims(z_of(rule), rule.margin)}


def _regressions(study: Study, place: int, found: Expected) -> Iterator[dict[str, Any]]:
    asked = {INTERVAL: study.plan.interval_effect, DOSE: study.plan.dose}
    for name, regression in asked.items():
        if regression is None or name not in found.names:
            continue
        sd = found.posterior_sd(name)
        estimates = found.estimates(Scenario("true", CLAIM), name, moved={name: regression.true})
        yield {
            **{"design": place, "model": found.model.name, "coefficient": name, "true": regression.true},
            **{"prior_sd": regression.prior_sd, "posterior_sd": sd},
            **{"information": (regression.prior_sd / sd) ** 2 - 1, "claims": estimates.claims(1.959964)},
        }


# ---- sample size ----

REACHED, NEVER, BEYOND = "reached", "no size reaches it", "needs more than the largest size"
"""What a search ends in. `NEVER` is told by a trial a hundred times the largest size."""


def sizes(study: Study) -> pd.DataFrame:
    """Find the smallest number of patients for the power or the width that the plan states: by design but its size.

    Columns: the design, `model`, `probability`, `margin`, `target` ("power" or "width"), `wanted`, `patients` (0 where
    there is none), `found` at that number or at the largest, and `verdict` (REACHED, NEVER or BEYOND).
    """
    plan, rows = study.plan, []
    shapes = {replace(design, patients=plan.target.most): None for design in plan.designs}
    for design in shapes:
        for model in study.models:
            for rule in plan.rules:
                of = {**design.labels, "model": model.name, "probability": rule.probability, "margin": rule.margin}
                of.pop("patients")
                rows += [{**of, **each} for each in _sizes(study, design, model, rule)]
    return pd.DataFrame(rows)


def _sizes(study: Study, design: Design, model: Model, rule: Rule) -> Iterator[Mapping[str, Any]]:
    target = study.plan.target
    if target.scenario is not None:
        scenario = study.plan.scenario(target.scenario)

        def power(patients: int) -> float:
            found = study.cell(replace(design, patients=patients), model)
            return found.estimates(scenario).claims(z_of(rule), rule.margin)

        yield {"target": "power", "wanted": target.power, **smallest(power, target.power, target.most, _least(design))}
    if target.width is not None:
        width = target.width

        def precision(patients: int) -> float:
            return -WIDTH * study.cell(replace(design, patients=patients), model).posterior_sd()

        found = smallest(precision, -width, target.most, _least(design))
        yield {"target": "width", "wanted": width, **found, "found": -float(str(found["found"]))}


def _least(design: Design) -> int:
    """Give the fewest patients of whom somebody in every arm receives all injections."""
    share = 1.0 if design.control_share is None else min(design.control_share, 1 - design.control_share)
    return max(2, int(np.ceil(2 / share)), int(np.ceil(0.51 / design.reach[-1] / share)))


def smallest(grows: Any, wanted: float, most: int, least: int) -> dict[str, Any]:
    """Find the least whole number from `least` to `most` at which a function that grows reaches what is wanted.

    Rounding lets it waver a little, so the number found is moved down while the one before does as well.
    """
    if grows(most) < wanted:
        verdict = NEVER if grows(100 * most) < wanted else BEYOND
        return {"patients": 0, "found": grows(most), "verdict": verdict}
    low, high = least - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if grows(middle) >= wanted else (middle, high)
    while high > least and grows(high - 1) >= wanted:
        high -= 1
    return {"patients": high, "found": grows(high), "verdict": REACHED}
