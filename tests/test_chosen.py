"""What a design shows of patients whom entry rules chose: the mode, the trials, and the table that comes of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import ndtr
from test_entry_likelihood import screened_trial
from trials import ROOT

from slopeshift.answers import chosen, operating, quantities
from slopeshift.engine.chosen import mode
from slopeshift.engine.draws import evenly
from slopeshift.engine.entry import log_factor
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.files import load_model

FILE = load_model(ROOT / "models/alsfrsr.py")
OVERALL = "overall"


@pytest.fixture(scope="module")
def fitted():
    trial = screened_trial(patients=12, seed=3)
    program = compile_once("alsfrsr", FILE.source, trial, Sampling(chains=2, draws=500, tune=400))
    return program.fit(trial, FILE.visits(trial), 1)


def prepared(posterior, draws=40):
    """The model of a fit, to answer values of its design, and what is asked of it."""
    place = evenly(posterior.draws, draws)
    functionals = operating._functionals(posterior.design)
    return place, functionals, chosen._Model.of(posterior, place, operating._asked(posterior, functionals))


def with_limits(posterior, lower, upper=np.inf):
    design = posterior.design
    limits = {"entry_lower": lower, "entry_upper": upper}
    return replace(
        posterior,
        design=design.assign(
            {k: (design[k].dims, 0 * design["entry_lower"].to_numpy() + v) for k, v in limits.items()}
        ),
    )


def test_the_mode_is_where_the_density_is_largest_and_its_curvature_is_that_of_the_density(fitted):
    _, _, model = prepared(fitted, 3)
    own = model.moments(fitted.visits.value[None])[0]
    given = chosen._Given.of(model, 1, own)
    entered = given.entered

    def density(moved):
        factor = log_factor(entered.loading, entered.variance, entered.design @ moved, entered.rules)[0]
        return given.pull @ moved - moved @ given.information @ moved / 2 + factor

    best = minimize(lambda z: -density(z * entered.sd), np.zeros(len(entered.sd)), tol=1e-10).x * entered.sd
    moved, covariance = mode(entered, given.information, given.pull)
    assert np.abs((moved - best) / entered.sd).max() < 1e-3
    assert density(moved) >= density(best) - 1e-8
    step = 1e-3 * entered.sd
    for a in range(len(step)):
        up, down = (moved + sign * step * (np.arange(len(step)) == a) for sign in (1, -1))
        second = (density(up) + density(down) - 2 * density(moved)) / step[a] ** 2
        assert second == pytest.approx(-np.linalg.inv(covariance)[a, a], rel=2e-3)


def test_other_values_find_the_mode_that_they_would_find_alone(fitted):
    _, _, model = prepared(fitted, 1)
    values = np.stack([fitted.visits.value, fitted.visits.value + 2.0, fitted.visits.value[::-1]])
    moments = model.moments(values)
    near = chosen._Given.of(model, 0, moments[0])
    for answer, each in zip(near.answers(moments), moments, strict=True):
        alone = chosen._Given.of(model, 0, each)
        np.testing.assert_allclose(answer, alone.answer(alone.near)[0], atol=2e-4)


def test_a_rule_that_everybody_meets_leaves_the_linear_answer(fitted):
    anybody = with_limits(fitted, -1e4)
    place, functionals, model = prepared(anybody)
    weights = np.array(list(functionals.values()))
    linear = operating._answer(anybody, place, weights)
    expected = linear.of_values(operating._moments(anybody))
    own = model.moments(anybody.visits.value[None])[0]
    for d in range(len(place)):
        given = chosen._Given.of(model, d, own)
        np.testing.assert_allclose(given.answer(given.near)[0], expected[d], atol=1e-8)
        np.testing.assert_allclose(given.sd[0], linear.sd[d], rtol=1e-6)


def test_the_answer_is_that_of_the_posterior(fitted):
    place, functionals, model = prepared(fitted, 100)
    own = model.moments(fitted.visits.value[None])[0]
    each = [chosen._Given.of(model, d, own) for d in range(len(place))]
    found = [(given.answer(given.near)[0], given.sd[0]) for given in each]
    means, sds = map(np.array, zip(*found, strict=True))
    for f, injection in enumerate(functionals):
        drawn = quantities.change(fitted, injection)
        sd = float(drawn.std())
        assert means[:, f].mean() == pytest.approx(float(drawn.mean()), abs=0.2 * sd)
        assert np.hypot(np.sqrt((sds[:, f] ** 2).mean()), means[:, f].std()) == pytest.approx(sd, rel=0.12)


def test_patients_of_simulated_trials_met_the_rules(fitted):
    place, _, model = prepared(fitted, 2)
    course, spread, bend = operating._nothing_changed(fitted, place)
    truth = chosen.Truth(operating._truth(fitted), course, spread, bend, operating._bend_column(fitted))
    values = chosen._values(model, 0, truth, np.zeros(200), np.random.default_rng(1))
    lost = np.zeros((200, len(fitted.visits.patients)))
    np.add.at(lost.T, fitted.visits.patient_index, (values * model.rules.weight[0]).T)
    judged = model.rules.judged
    assert judged.any()
    assert (lost[:, judged] >= model.rules.lower[judged, 0] - 1e-9).all()
    assert (lost[:, judged] < model.rules.lower[judged, 0] + 1).any()


def test_the_table_says_what_trials_of_chosen_patients_show_where_nothing_changed(fitted):
    table = operating.table(fitted)
    assert list(table.columns) == list(operating.COLUMNS)
    pd.testing.assert_frame_equal(table, operating.table(fitted))
    assert set(table["injection"]) == {*operating._functionals(fitted.design)}
    overall = table[table["injection"] == OVERALL].set_index("course")
    assert (overall["null_mean"].abs() < 0.1).all()
    assert overall.loc["straight", "prob_claim"] < 0.03
    assert overall.loc["bent", "null_sd"] > overall.loc["straight", "null_sd"]
    # A course that flattens looks like a change for the better: by more, the later the injection.
    assert (table.groupby("injection", sort=False)["bend_gain"].first()[:-1].diff()[1:] > 0).all()
    assert overall["bend_gain"].iloc[0] > 0.5
    mean, sd = float(quantities.change(fitted).mean()), overall.loc["straight", "null_sd"]
    z = (mean - overall.loc["straight", "null_mean"]) / sd
    assert overall.loc["straight", "prob_at_least"] == pytest.approx(ndtr(-z), abs=0.06)


def test_rules_that_hardly_anybody_meets_leave_the_table_empty(fitted, monkeypatch):
    def refuse(*_):
        raise ValueError("both entry rules are met in fewer than one of 10000 patients")

    monkeypatch.setattr(chosen.admitted, "admit", refuse)
    assert operating.table(fitted).empty
