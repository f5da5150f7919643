"""The closed form of a design without a fit, against that of a fit's design, dense matrices, and textbooks."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from made_reports import made_fit, made_trial
from plans import DESIGN, STATED, model
from statsmodels.stats.power import NormalIndPower
from trials import ROOT

from slopeshift.answers import operating
from slopeshift.design.shape import PLAIN
from slopeshift.design.visits import visits_of
from slopeshift.engine.draws import evenly
from slopeshift.fit.posterior import NORMAL, Posterior, posterior_of
from slopeshift.model.files import load_model
from slopeshift.model.priors import Normal
from slopeshift.planning import spreads
from slopeshift.planning.closed_form import DOSE, INTERVAL, expected
from slopeshift.planning.plan import CLAIM, NONE, Design, PlanError, Regression, Scenario
from slopeshift.planning.schedule import CONTROL, groups, layout, times
from slopeshift.trial import trial_from_tables
from slopeshift.trial.settings import BUILT_IN

ALSFRSR = BUILT_IN["alsfrsr"]
NOTHING, EFFECT = Scenario("nothing", NONE), Scenario("effect", CLAIM, effect=0.35)


def planned_trial(design):
    """A trial as planned, patient by patient, with values that play no part."""
    patients, visits, injections = [], [], []
    for each, number in groups(design).items():
        injected, seen = times(design, each)
        for _ in range(number):
            name = f"P{len(patients) + 1:03d}"
            patients.append({"patient": name, "arm": "treated" if each.treated else CONTROL})
            visits += [{"patient": name, "month": month, "alsfrsr": 30} for month in seen]
            injections += [
                {"patient": name, "injection": k, "month": month, "agent": patients[-1]["arm"]}
                for k, month in enumerate(injected, start=1)
            ]
    tables = {"patients": patients, "visits": visits, "injections": injections}
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    settings = {"title": "planned", "synthetic": True, "source": "planned"}
    if design.control_share is None:
        frames["patients"], frames["injections"] = (
            frames["patients"][["patient"]],
            frames["injections"].drop(columns="agent"),
        )
    else:
        settings["arms"] = {"control": CONTROL, "randomised": True}
    return trial_from_tables("planned", frames, settings)


def posterior_with(design, name, of):
    """A posterior on the planned trial whose draws of the spreads are those of the plan."""
    import pymc as pm
    import xarray as xr

    from slopeshift.engine.terms import terms_of
    from slopeshift.model.covariates import labelled

    trial, file = planned_trial(design), load_model(ROOT / "models" / f"{name}.py")
    built, visits = file.build(trial), visits_of(trial, "alsfrsr", file.build.shape)
    assert isinstance(built, pm.Model)
    terms = labelled(built, terms_of(built))
    sources = tuple(map(str, terms.indexes["source"])) if "source" in terms.indexes else tuple(built.coords["source"])
    draws = xr.Dataset(
        {
            "loading": (("chain", "draw", "coefficient", "source"), of.loading(visits, sources)[None]),
            "sigma": (("chain", "draw"), of.sigma[None]),
        },
        {"coefficient": list(visits.coefficients), "source": list(sources), "chain": [0], "draw": range(len(of))},
    )
    return Posterior(trial, visits, visits.dataset().merge(terms), draws, name, family=NORMAL)


@pytest.mark.parametrize(
    ("name", "share", "scenario"),
    [
        ("alsfrsr_straight", None, Scenario("bent", NONE, bend=0.05)),
        ("alsfrsr", None, EFFECT),
        ("alsfrsr_arms", 0.5, Scenario("bent alike", NONE, bend=0.05)),
    ],
)
def test_a_plan_claims_what_the_closed_form_of_a_fit_of_the_same_trial_claims(name, share, scenario):
    """Through groups of alike patients and terms without a model, and through a trial, a model and a posterior."""
    design = replace(DESIGN, control_share=share, interval=(3.0, 4.5))
    chosen = model(name)
    of = spreads.from_prior(chosen.line, 7, 3)
    planned = expected(design, chosen, of)
    found = posterior_with(design, name, of)
    for draw in (0, 4):
        single = found.with_draws(found.draws.isel(draw=[draw]))
        course = np.array([of.level[draw], of.slope[draw], scenario.bend, *[scenario.effect] * 3])
        curved = "curvature" in found.visits.coefficients
        order = slice(None) if curved else [0, 1, 3, 4, 5, 2]
        size = planned.spread.shape[1] - 5
        spread = planned.spread[draw][:size, :size]
        if share is not None:
            course = np.concatenate([course, np.zeros(len(found.design["covariate"]))])
            spread = np.pad(spread, (0, len(course) - size))
        else:
            course, spread = course[order], spread[order][:, order]
        estimates = expected(design, chosen, of.one(draw)).estimates(scenario)
        assert estimates.claims(1.959964) == pytest.approx(operating.claims(single, course, spread), abs=1e-6)


def test_groups_have_everybody_once_and_shares_as_planned():
    design = replace(DESIGN, patients=41, control_share=0.3, interval=(3.0, 4.5, 6.0))
    found = groups(design)
    assert sum(found.values()) == 41
    for treated, number in design.arms.items():
        for k, share in enumerate(design.reach, start=1):
            reached = sum(n for each, n in found.items() if each.treated == treated and each.reach >= k)
            assert reached == round(number * share)


def test_randomised_intervals_are_balanced():
    found = groups(replace(DESIGN, patients=90, reach=(1.0, 1.0, 1.0), interval=(3.0, 4.5, 6.0)))
    assert {each.interval for each in found} == set(product((3.0, 4.5, 6.0), repeat=2))
    assert set(found.values()) == {10}


def test_visits_are_where_the_protocol_puts_them():
    ((alike, _),) = groups(replace(DESIGN, reach=(1.0, 1.0), patients=3)).items()
    injected, seen = times(replace(DESIGN, reach=(1.0, 1.0)), alike)
    np.testing.assert_allclose(injected, [0, 4.5], atol=0.02)
    np.testing.assert_allclose(seen, [-3, -1.5, 0, 1, 2, 3, 4, 4.5, 5.5, 6.5, 7.5, 8.5], atol=0.02)


# ---- textbooks ----

FLAT = Normal(0.0, 1000.0)
TEXTBOOK = Design(60, 0.5, 3.0, 4, 1.0, (4.0,), (1.0,), 4.0)


def textbook(design=TEXTBOOK, sd_response=0.5, sigma=1.5):
    """Two arms, one injection, flat priors, lines that differ without limit: changes are by least squares."""
    arms = replace(model("alsfrsr_arms_straight").line.arms, effect=FLAT, effect_by_injection=Normal(0.0, 1e-6))
    chosen = model("alsfrsr_arms_straight", level=FLAT, slope=FLAT, change=FLAT, arms=arms)
    given = STATED | {"sd_level": 1e4, "sd_slope": 1e3, "correlation_level_slope": 0.0}
    given |= {"sd_response": sd_response, "sd_cycle": 0.0, "sigma": sigma}
    basis = layout(design, ALSFRSR).on(PLAIN).basis[layout(design, ALSFRSR).visits.patient_index == 0]
    between = sd_response**2 + sigma**2 * np.linalg.inv(basis.T @ basis)[2, 2]
    return expected(design, chosen, spreads.stated(given, chosen.line)), np.sqrt(between)


@pytest.mark.parametrize("effect", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("patients", [20, 60, 200])
def test_two_arms_have_the_power_of_a_textbook_and_of_statsmodels(effect, patients):
    """Summary measures of two arms of n: Phi(effect / (sd sqrt(2 / n)) - z), as in Frison and Pocock 1992."""
    from scipy.special import ndtr

    found, sd = textbook(replace(TEXTBOOK, patients=patients))
    power = found.estimates(Scenario("e", CLAIM, effect=effect)).claims(1.959964)
    assert power == pytest.approx(ndtr(effect / (sd * np.sqrt(4 / patients)) - 1.959964), abs=1e-3)
    by_statsmodels = NormalIndPower().power(effect / sd, patients / 2, 0.025, alternative="larger")
    assert power == pytest.approx(by_statsmodels, abs=1e-3)


def test_unequal_arms_have_the_power_of_statsmodels():
    found, sd = textbook(replace(TEXTBOOK, patients=90, control_share=1 / 3))
    power = found.estimates(Scenario("e", CLAIM, effect=0.4)).claims(1.959964)
    assert power == pytest.approx(
        NormalIndPower().power(0.4 / sd, 60, 0.025, ratio=0.5, alternative="larger"), abs=1e-3
    )


def test_a_flat_prior_leaves_estimates_unbiased_and_intervals_covering():
    estimates = textbook()[0].estimates(Scenario("e", CLAIM, effect=0.4))
    assert estimates.mean[0] == pytest.approx(0.4, abs=1e-4)
    assert estimates.covers(0.4) == pytest.approx(0.95, abs=1e-3)


# ---- what is known of the method ----


def test_the_published_design_is_that_of_the_methods():
    """Posterior SD, false alarms under a bend of 0.05, and power, as worked out by a program of its own."""
    chosen = model("alsfrsr_straight")
    found = expected(DESIGN, chosen, spreads.stated(STATED, chosen.line))
    assert found.posterior_sd() == pytest.approx(0.161, abs=0.002)
    bent = found.estimates(Scenario("bent", NONE, bend=0.05)).claims(1.959964)
    assert bent == pytest.approx(0.40, abs=0.02)
    assert found.estimates(EFFECT).claims(1.959964) == pytest.approx(0.31, abs=0.02)


def test_arms_that_are_alike_nearly_cancel_a_bend_and_not_a_mismatched_control():
    """Nearly: what the prior of the control's change does not believe of a bend goes to the difference."""
    chosen, alone = model("alsfrsr_arms_straight"), model("alsfrsr_straight")
    of = spreads.stated(STATED, chosen.line)
    both = expected(replace(DESIGN, patients=60, control_share=0.5), chosen, of)
    one = expected(replace(DESIGN, patients=30), alone, of)
    assert abs(both.bend_gain()) < 0.05 * one.bend_gain()
    shift = both.estimates(Scenario("m", NONE, mismatch_bend=0.05)).mean - both.estimates(NOTHING).mean
    assert shift[0] > 0.05


def test_assurance_is_the_average_power_over_the_prior_of_the_effect():
    chosen = model("alsfrsr_straight")
    found = expected(replace(DESIGN, patients=60), chosen, spreads.stated(STATED, chosen.line))
    effects = np.random.default_rng(4).normal(0.3, 0.2, 4000)
    by_hand = np.mean([found.estimates(Scenario("x", CLAIM, effect=e)).claims(1.96) for e in effects])
    at_once = found.estimates(Scenario("x", CLAIM, effect=0.3), effect_sd=0.2).claims(1.96)
    assert at_once == pytest.approx(by_hand, abs=0.01)


def test_a_narrower_prior_by_a_control_makes_the_answer_narrower_and_a_wrong_one_wrong():
    chosen = model("alsfrsr_straight")
    told = replace(chosen, control={"slope": Normal(-1.03, 0.05)})
    of = spreads.stated(STATED, chosen.line)
    alone, held = expected(DESIGN, chosen, of), expected(DESIGN, told, of)
    assert held.posterior_sd() < alone.posterior_sd()
    wrong = Scenario("wrong control", NONE, mismatch=0.3)
    assert held.estimates(wrong).mean[0] > held.estimates(NOTHING).mean[0] + 0.05


def test_information_on_the_interval_is_that_of_the_covariate():
    """The coefficient of a covariate that is randomised: more spread of intervals, more information."""
    chosen, of = model("alsfrsr_straight"), None
    of = spreads.stated(STATED, chosen.line)
    wide, narrow = (
        expected(replace(DESIGN, patients=60, interval=i), chosen, of, interval=Regression(0.1, 0.1))
        for i in ((3.0, 6.0), (4.0, 5.0))
    )
    assert wide.posterior_sd(INTERVAL) < narrow.posterior_sd(INTERVAL) < 0.1 + 1e-9
    shown = wide.estimates(NOTHING, INTERVAL, moved={INTERVAL: 0.1})
    assert 0 < shown.mean[0] - wide.estimates(NOTHING, INTERVAL).mean[0] < 0.1


def test_dose_is_informed_by_different_doses():
    chosen = model("alsfrsr_straight")
    of = spreads.stated(STATED, chosen.line)
    found = expected(replace(DESIGN, patients=60), chosen, of, dose=Regression(0.2, 0.2, (30.0, 120.0)))
    assert found.posterior_sd(DOSE) < 0.15
    assert found.estimates(NOTHING, DOSE, moved={DOSE: 0.2}).mean[0] > 0.05


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alsfrsr_student", "only with normal ones"),
        ("alsfrsr_waning", "do not last"),
        ("interval", "covariates"),
    ],
)
def test_a_model_without_a_closed_form_is_refused(name, reason):
    with pytest.raises(PlanError, match=reason):
        model(name)


def test_a_model_of_later_values_given_the_lead_in_is_refused():
    with pytest.raises(PlanError, match="given those of the lead-in"):
        model("alsfrsr", given_lead_in=True)


def test_models_of_arms_need_arms_and_others_have_none():
    for name, share, said in (
        ("alsfrsr_arms", None, "state control_share"),
        ("alsfrsr", 0.5, "leave control_share out"),
    ):
        chosen = model(name)
        with pytest.raises(PlanError, match=said):
            expected(replace(DESIGN, control_share=share), chosen, spreads.stated(STATED, chosen.line))


# ---- spreads ----


def test_spreads_of_a_prior_have_its_moments():
    line = model("alsfrsr").line
    found = spreads.from_prior(line, 20_000, 5)
    assert found.sd_slope.mean() == pytest.approx(0.75, abs=0.01)
    assert found.sd_response.mean() == pytest.approx(0.3 * np.sqrt(2 / np.pi), abs=0.005)
    assert found.curvature_by_slope.mean() == pytest.approx(-0.04, abs=0.002)
    # The marginal of LKJ(2) in three dimensions is Beta(2.5, 2.5) on (-1, 1), with variance 1 / 6.
    for row, column in ((0, 1), (0, 2), (1, 2)):
        assert found.correlation[:, row, column].var() == pytest.approx(1 / 6, abs=0.01)


def test_correlations_that_contradict_each_other_are_refused():
    given = STATED | {
        "correlation_level_slope": 0.9,
        "correlation_level_response": 0.9,
        "correlation_slope_response": -0.9,
    }
    with pytest.raises(PlanError, match="contradict"):
        spreads.stated(given, model("alsfrsr").line)


def test_a_published_history_that_is_not_there_is_named():
    with pytest.raises(PlanError, match="PRO-ACT placebo, normal"):
        spreads.published({"name": "nobody"}, "alsfrsr", model("alsfrsr").line)
    found = spreads.published({"name": "PRO-ACT placebo, normal", "sd_response": 0.3}, "alsfrsr", model("alsfrsr").line)
    assert (found.sd_slope[0], found.sd_response[0], found.sd_cycle[0]) == (0.76, 0.3, 0.0)


def test_spreads_of_a_fit_are_draws_of_it():
    trial = made_trial()
    posterior = posterior_of(trial, made_fit(trial))
    found = spreads.of_fit(posterior, 10)
    drawn = posterior.draws
    assert len(found) == 10
    assert set(found.sd_cycle) <= set(drawn["sd_cycle"].to_numpy().ravel())
    place = evenly(drawn, 10)[3]
    assert found.sigma[3] == drawn["sigma"].to_numpy().ravel()[place]
    pair = drawn["correlation"].sel(pair="slope, response").to_numpy().ravel()
    assert found.correlation[3, 1, 2] == pair[place]
    assert not found.sd_curvature.any()


def test_a_fit_without_correlations_gives_no_spreads():
    trial = made_trial()
    posterior = posterior_of(trial, made_fit(trial))
    with pytest.raises(PlanError, match="no correlations"):
        spreads.of_fit(posterior.with_draws(posterior.draws.drop_vars("correlation")), 10)


def test_a_plan_of_fvc_is_in_its_units():
    chosen = model("fvc_straight")
    history = {"name": "topiramate placebo", "sd_response": 0.5, "sd_cycle": 0.2}
    found = expected(replace(DESIGN, patients=40), chosen, spreads.published(history, "fvc", chosen.line))
    assert 0.2 < found.posterior_sd() < 0.6
    assert found.estimates(Scenario("x", CLAIM, effect=1.5)).claims(1.959964) > 0.5
