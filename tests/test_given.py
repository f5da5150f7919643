"""The density of later values given those up to the first injection: its arithmetic, and what it is for."""

import numpy as np
import pymc as pm
import pytest
from scipy.stats import multivariate_normal
from test_density import CURVED, PRIORS, check_equal
from test_entry_likelihood import AGE, of_ages, screened_trial
from test_marginal import Problem
from trials import ROOT, line_trial

from slopeshift.answers.quantities import change
from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact, patients
from slopeshift.engine.foreign import interpreted
from slopeshift.engine.terms import terms_of
from slopeshift.fit import precompiled
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.families import autocorrelated, normal, student_t
from slopeshift.model.files import load_model
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import Beta, Gamma
from slopeshift.trial import read_trial

FILE = load_model(ROOT / "models/alsfrsr_straight.py")


class Few(Problem):
    """The patients of a small problem, with the sums that are laid out for the factor."""

    def __init__(self):
        super().__init__(3, [5, 0, 9, 1])
        pairs = list(zip(self.designs, self.values, strict=True))
        self.offset = np.random.default_rng(4).normal(size=self.p)
        self.packed = patients.pack(
            np.array([w.T @ w for w, _ in pairs]),
            np.array([w.T @ y for w, y in pairs]),
            np.array([y @ y for _, y in pairs]),
            np.array([float(len(y)) for _, y in pairs]),
        )

    def dense(self, loading, variance, offset):
        return -sum(
            multivariate_normal.logpdf(y, w @ offset, w @ loading @ loading.T @ w.T + variance * np.eye(len(y)))
            for w, y in zip(self.designs, self.values, strict=True)
            if len(y)
        )


def test_the_factor_and_its_gradients_are_those_of_dense_normals():
    few = Few()
    point = few.loading, few.variance, few.offset
    value, *gradients = patients.given_factor(*point, few.packed)
    assert value == pytest.approx(few.dense(*point), rel=1e-10)
    for place, gradient in enumerate(gradients):
        for entry in np.ndindex(np.shape(gradient)):
            steps = [np.zeros(np.shape(x)) for x in point]
            steps[place][entry] = 1e-5
            above, below = (few.dense(*(x + s * h for x, h in zip(point, steps, strict=True))) for s in (1, -1))
            assert np.asarray(gradient)[entry] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-6)


def built(trial, shape=None, covariates=(), given=True):
    visits = visits_of(trial, "alsfrsr", shape or Shape())
    more = CURVED if visits.shape.curved else {}
    with pm.Model(coords=visits.coords) as model:
        normal(sigma=Gamma(2.0, 0.4)).observe(
            piecewise_line(visits, **PRIORS | more, covariates=covariates, given=given)
        )
    return model, visits


@pytest.mark.parametrize("shape", [Shape(), Shape(curved=True)], ids=["straight", "curved"])
def test_the_compiled_density_is_that_of_the_model(shape):
    check_equal(*built(line_trial(), shape), points=3, reach=1.0)


def test_covariates_that_act_before_treatment_are_sampled():
    model, visits = built(of_ages(line_trial()), covariates=(AGE,))
    check_equal(model, visits, points=3, reach=1.0)
    found = {each.name for each in model.free_RVs if each.name.startswith("standardised")}
    assert found == {"standardised_level", "standardised_slope", "standardised_age on slope"}


def dense(model, visits, point, early):
    """The log density of the values that are `early`, or of all, given level and slope of the population."""
    terms = terms_of(model)
    names = ("loading", "sigma", "standardised_level", "standardised_slope")
    values = interpreted(model.value_vars, model.replace_rvs_by_values([model[name] for name in names]))(*point)
    loading, sigma, *natural = (np.asarray(each) for each in values)
    mean, sd, design = (terms[f"term_{part}"].to_numpy().copy() for part in ("mean", "sd", "design"))
    for place, z in enumerate(natural):
        mean[place] += z * sd[place]
        sd[place] = 0.0
    inside, rows = (visits.basis @ design)[early], visits.basis[early] @ loading
    same = visits.patient_index[early][:, None] == visits.patient_index[early]
    covariance = inside @ np.diag(sd**2) @ inside.T + (rows @ rows.T) * same + sigma**2 * np.eye(len(same))
    return multivariate_normal.logpdf(visits.value[early], inside @ mean, covariance)


def test_the_model_is_the_density_of_later_values_given_those_up_to_the_first_injection():
    model, visits = built(line_trial())
    stated = interpreted(model.value_vars, model.logp(vars=[model["alsfrsr"], model["given"]]))
    early, rng = visits.month <= 0, np.random.default_rng(2)
    assert 0 < early.sum() < len(early)
    for _ in range(3):
        point = [0.5 * rng.normal(size=np.shape(value)) for value in model.initial_point().values()]
        expected = dense(model, visits, point, early | True) - dense(model, visits, point, early)
        assert float(stated(*point)) == pytest.approx(expected, rel=1e-9)


def test_exchanged_values_give_what_a_model_built_on_them_gives():
    (model, visits), (_, other) = built(line_trial()), built(line_trial(seed=8))
    alone = precompiled.precompiled(*built(line_trial(seed=8)))
    terms, data = exact.entered(other, terms_of(model), None)
    ready = precompiled.precompiled(model, visits).with_data(statistics=exact.statistics_of(other, terms), **data)
    point = ready.arrays.start() + 0.1
    assert ready.arrays.evaluate(point)[0] == alone.arrays.evaluate(point)[0]


@pytest.mark.parametrize("family", [student_t(nu=Gamma(5.0, 2.0)), autocorrelated(autocorrelation=Beta(2.0, 2.0))])
def test_other_families_refuse(family):
    trial = line_trial()
    with pytest.raises(ValueError, match="given_lead_in: only with residuals that are normal and independent"):
        FILE.build.varied(family=family, given_lead_in=True)(trial)


def test_a_regression_beside_it_is_not_in_the_engine():
    from slopeshift.model.description import UnknownError, describe

    file = load_model(ROOT / "models/interval_negative_control.py")
    trial = read_trial(ROOT / "data/synthetic-msc-als")
    with pytest.raises(UnknownError, match="takes values as given"):
        describe(file.build.varied(given_lead_in=True)(trial), file.visits(trial))


@pytest.mark.slow
def test_what_chose_the_patients_drops_out_without_being_stated():
    """Of four trials of thirty patients in which nothing changes, who had to lose 3 points: the rule is not told."""
    from dataclasses import replace

    found = {True: [], False: []}
    for seed in range(4):
        trial = replace(screened_trial(patients=30, seed=seed), entry=())
        for given in found:
            source = FILE.source + f"\nbuild = build.varied(given_lead_in={given})\n"
            program = compile_once("alsfrsr_straight", source, trial, Sampling(chains=2, draws=400, tune=400))
            found[given].append(float(change(program.fit(trial, visits_of(trial, "alsfrsr"), seed)).mean()))
    assert np.mean(found[False]) > 0.25
    assert abs(np.mean(found[True])) < 0.15


def test_the_log_density_of_a_patient_is_that_of_its_later_values():
    trial = line_trial()
    source = FILE.source + "\nbuild = build.varied(given_lead_in=True)\n"
    program = compile_once("alsfrsr_straight", source, trial, Sampling(chains=1, draws=5, tune=200))
    posterior = program.fit(trial, visits := visits_of(trial, "alsfrsr"), 1)
    filled, by_patient = exact.with_posterior_coefficients(posterior.draws, visits, posterior.design, 1)
    draw = filled.isel(chain=0, draw=2)
    loading, mean, variance = draw["loading"].to_numpy(), draw["population"].to_numpy(), float(draw["sigma"]) ** 2
    for i in range(2):

        def of(which):
            rows = visits.basis[which] @ loading
            covariance = rows @ rows.T + variance * np.eye(which.sum())
            return multivariate_normal.logpdf(visits.value[which], visits.basis[which] @ mean, covariance)

        mine = visits.patient_index == i
        expected = of(mine) - of(mine & (visits.month <= 0))
        assert float(by_patient[0, 2, i]) == pytest.approx(expected, rel=1e-8)


def test_the_analysis_is_one_of_the_rows_of_the_sensitivity_study():
    from types import SimpleNamespace

    from slopeshift.sensitivity.variations import ENTRY, given_lead_in

    def of(name):
        file = load_model(ROOT / f"models/{name}.py")
        return given_lead_in(SimpleNamespace(file=file, posterior=SimpleNamespace(visits="all")))

    (found,) = of("alsfrsr")
    assert (found.analysis, found.data) == (ENTRY, ("all",))
    assert "given_lead_in=True" in found.varied
    assert "whatever the rule was" in found.detail
    assert of("alsfrsr_student") == of("formula") == []
