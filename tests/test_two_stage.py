"""The two-stage regression: against its posterior on a grid, and against saying anything where nothing can be said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from packages import copied_package
from posteriors import posterior_from
from scipy.stats import halfnorm, multivariate_normal, norm

from slopeshift.answers.random_intercept import Regression
from slopeshift.answers.two_stage import (
    COLUMNS,
    READ_AS,
    RegressionPriors,
    closed_changes,
    regression_draws,
    save,
    saved,
    two_stage,
)
from slopeshift.fit.posterior import SAMPLES
from slopeshift.fit.store import Fit
from slopeshift.model.priors import HalfNormal, Normal

PATIENTS = [f"P{i}" for i in range(1, 9)]
MONTHS = np.array([3.0, 5.0, 4.0, 6.0, 3.5, 5.5, 4.5, 3.0])
PRIORS = RegressionPriors(Normal(0, 0.5), Normal(0, 0.1), HalfNormal(0.3), HalfNormal(0.5))
NUMBERS = COLUMNS[COLUMNS.index("mean") : COLUMNS.index("n_cycles")]


def lengths(months=MONTHS, cycles=2):
    """Give patient i a first cycle of months[i], and those before the last two a second one, a month longer."""
    rows = [(p, 1, m, "actual") for p, m in zip(PATIENTS, months, strict=False)]
    rows += [(p, 2, m + 1, "actual") for p, m in zip(PATIENTS[:-2], months, strict=False)] if cycles == 2 else []
    return pd.DataFrame(rows, columns=["patient", "injection", "months", "source"])


def data_sets():
    """Two data sets of changes (set, patient, injection), the second with another slope on the interval."""
    rng = np.random.default_rng(3)
    months = np.stack([MONTHS, MONTHS + 1, MONTHS], axis=1)
    noise = rng.normal(0, 0.2, (2, 8, 3)) + rng.normal(0, 0.2, (2, 8, 1))
    return np.array([0.12, 0.0])[:, None, None] * (months - 4) + noise


def fit_of(changes, passed=True, **extra):
    """Make a fit of changes (chain, draw, patient, injection); no injection follows the third."""
    shape = changes.shape[:3]
    coefficients = np.concatenate([np.full((*shape, 2), [35.0, -1.0]), changes], axis=3)
    posterior = xr.Dataset(
        {"coefficients": ((*SAMPLES, "patient", "coefficient"), coefficients), **extra},
        coords={"patient": PATIENTS, "coefficient": ["level", "slope", "change 1", "change 2", "change 3"]},
    )
    design = xr.Dataset(
        {"visits_in_cycle": (("patient", "injection"), np.full((8, 3), 3)), "sign": 1},
        coords={"patient": PATIENTS, "injection": [1, 2, 3]},
    )
    return posterior_from(posterior, design, model="m", passed=passed)


def on_a_grid(change, months, patient):
    """Posterior mean and sd of the coefficient, with everything but the two standard deviations integrated out."""
    x = np.column_stack([np.ones(len(months)), months - months.mean()])
    prior = np.diag([PRIORS.intercept.sd**2, PRIORS.interval.sd**2])
    same = (patient[:, None] == patient[None, :]).astype(float)
    weight, mean, variance = [], [], []
    for sd in np.linspace(0.01, 1.0, 30):
        for sigma in np.linspace(0.05, 0.9, 40):
            noise = sigma**2 * np.eye(len(change)) + sd**2 * same
            precision = np.linalg.inv(prior) + x.T @ np.linalg.solve(noise, x)
            mean.append(np.linalg.solve(precision, x.T @ np.linalg.solve(noise, change))[1])
            variance.append(np.linalg.inv(precision)[1, 1])
            weight.append(
                multivariate_normal(np.zeros(len(change)), noise + x @ prior @ x.T).logpdf(change)
                + halfnorm(scale=PRIORS.sd_patient.sd).logpdf(sd)
                + halfnorm(scale=PRIORS.sigma.sd).logpdf(sigma)
            )
    p = np.exp(np.array(weight) - max(weight))
    p /= p.sum()
    centre = p @ mean
    return centre, np.sqrt(p @ (np.array(variance) + (np.array(mean) - centre) ** 2))


@pytest.fixture(scope="module")
def mixture():
    """Let every draw of the first stage be one of two data sets, in turn."""
    sets = data_sets()
    table = lengths()
    changes = np.broadcast_to(sets[np.arange(1000) % 2], (4, 1000, 8, 3))
    return fit_of(changes), table


def test_pools_the_posteriors_of_all_draws_of_the_first_stage(mixture):
    """Mean and variance of the mixture, from each data set's posterior on a grid."""
    fit, table = mixture
    found = two_stage(fit, table, seed=1, priors=PRIORS).iloc[0]
    row = np.array([PATIENTS.index(p) for p in table["patient"]])
    column = table["injection"].to_numpy() - 1
    each = [on_a_grid(one[row, column], table["months"].to_numpy(), row) for one in data_sets()]
    means, sds = np.array(each).T
    sd = np.sqrt((sds**2).mean() + means.var())
    assert found["mean"] == pytest.approx(means.mean(), abs=4.5 * found["mcse"])
    assert found["sd"] == pytest.approx(sd, rel=0.05)
    assert found["mcse"] < sd / 50
    assert found["lower"] < found["mean"] < found["upper"]
    assert found["prob_positive"] + found["prob_shorter_better"] == pytest.approx(1)
    assert norm.cdf(found["mean"] / found["sd"]) == pytest.approx(found["prob_positive"], abs=0.06)
    assert (found["n_cycles"], found["n_patients"], found["unit"]) == (14, 8, "points/month per month")
    assert found["note"] == READ_AS


def on_a_finer_grid(regression, y):
    """Posterior mean and covariance of the terms, by dense matrices at every pair of standard deviations."""
    same, x = (regression.group[:, None] == regression.group).astype(float), regression.rows
    found = []
    for tau in np.geomspace(1e-3, 12, 40) * regression.sd_between:
        for sigma in np.geomspace(0.02, 12, 70) * regression.sd_within:
            noise = np.linalg.inv(sigma**2 * np.eye(len(y)) + tau**2 * same)
            covariance = np.linalg.inv(x.T @ noise @ x + np.diag(regression.sd**-2.0))
            score = x.T @ noise @ y + regression.mean / regression.sd**2
            log_det = np.linalg.slogdet(noise)[1] + np.linalg.slogdet(covariance)[1]
            log_prior = np.log(tau * sigma) - 0.5 * (tau / regression.sd_between) ** 2
            fit = y @ noise @ y - score @ covariance @ score
            found.append(
                (log_prior - 0.5 * (sigma / regression.sd_within) ** 2 + 0.5 * (log_det - fit), covariance, score)
            )
    log_density, covariance, score = (np.array(each) for each in zip(*found, strict=True))
    p = np.exp(log_density - log_density.max())
    p /= p.sum()
    centre = np.einsum("gij,gj->gi", covariance, score)
    mean = p @ centre
    return mean, np.einsum("g,gij->ij", p, covariance) + (p * (centre - mean).T) @ (centre - mean)


@pytest.mark.parametrize(
    ("groups", "each", "tau", "sigma"),
    [(6, 2, 0.3, 0.2), (12, 1, 0.3, 0.2), (15, 4, 0.5, 0.1), (8, 3, 0.0, 0.3), (2, 2, 1.0, 0.02), (5, 3, 3.0, 3.0)],
    ids=["small", "one row each", "large", "groups alike", "two groups", "wider than the priors"],
)
def test_terms_are_drawn_from_their_posterior(groups, each, tau, sigma):
    """Draws against moments on a grid that is finer, wider, and made of dense matrices."""
    rng, number = np.random.default_rng(5), 4000
    group = rng.permutation(np.repeat(np.arange(groups), each))
    rows = np.column_stack([np.ones(len(group)), rng.normal(0, 2, len(group))])
    y = rows @ [0.2, 0.1] + tau * rng.normal(size=groups)[group] + sigma * rng.normal(size=len(group))
    regression = Regression(rows, group, np.array([0.1, -0.2]), np.array([0.5, 0.2]), 0.3, 0.5)
    drawn = regression.draw(np.tile(y, (number, 1)), rng)
    mean, covariance = on_a_finer_grid(regression, y)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(number)
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=0.12)


def test_each_data_set_is_drawn_for_by_itself():
    """Data sets far from each other share a grid, whose range is that of all of them, and nothing else."""
    rng, group = np.random.default_rng(6), np.repeat(np.arange(8), 3)
    regression = Regression(
        np.column_stack([np.ones(24), rng.normal(size=24)]), group, np.zeros(2), np.ones(2), 0.3, 0.5
    )
    far = [scale * rng.normal(size=24) for scale in (0.01, 3.0)]
    both = regression.draw(np.repeat(far, 2000, axis=0), rng).reshape(2, 2000, 2)
    for drawn, y in zip(both, far, strict=True):
        alone = regression.draw(np.tile(y, (2000, 1)), rng)
        np.testing.assert_allclose(drawn.std(axis=0), alone.std(axis=0), rtol=0.1)


@pytest.mark.slow
def test_bambi_has_the_same_posterior():
    """The formula, fitted by Bambi to one data set, against the draws of one draw of the changes repeated."""
    import bambi as bmb

    table, change = lengths(), data_sets()[0]
    row = np.array([PATIENTS.index(p) for p in table["patient"]])
    y = change[row, table["injection"].to_numpy() - 1]
    frame = pd.DataFrame(
        {"change": y, "interval": table["months"] - table["months"].mean(), "patient": table["patient"]}
    )
    priors = {
        "Intercept": bmb.Prior("Normal", mu=0, sigma=PRIORS.intercept.sd),
        "interval": bmb.Prior("Normal", mu=0, sigma=PRIORS.interval.sd),
        "1|patient": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=PRIORS.sd_patient.sd)),
        "sigma": bmb.Prior("HalfNormal", sigma=PRIORS.sigma.sd),
    }
    model = bmb.Model("change ~ interval + (1 | patient)", frame, priors=priors, center_predictors=False)
    fitted = model.fit(draws=4000, tune=1000, chains=2, random_seed=1, target_accept=0.95, progressbar=False)
    bambi = fitted["posterior"]["interval"].to_numpy()
    ours = regression_draws(table, np.tile(y, (2, 4000, 1)), PRIORS, seed=1)
    error = np.hypot(bambi.std() / np.sqrt(2000), ours.std() / np.sqrt(ours.size))
    assert bambi.mean() == pytest.approx(ours.mean(), abs=4.5 * error)
    assert bambi.std() == pytest.approx(ours.std(), rel=0.06)


def test_the_same_seed_gives_the_same_answer(mixture):
    fit, table = mixture
    one, again, other = (two_stage(fit, table, seed=seed) for seed in (2, 2, 3))
    pd.testing.assert_frame_equal(one, again)
    assert one["mean"].item() != other["mean"].item()


def test_too_few_draws_are_not_shown(mixture):
    fit, table = mixture
    found = two_stage(replace(fit, draws=fit.draws.isel(draw=slice(50))), table, seed=1).iloc[0]
    assert found[NUMBERS].isna().all()
    assert found["note"].startswith("not shown: the second stage failed the limits of the gate (")
    assert "ESS" in found["note"]


def test_takes_the_changes_of_cycles_that_have_a_length_and_a_value():
    fit = fit_of(np.arange(24.0).reshape(1, 1, 8, 3))
    fit.design["visits_in_cycle"][1, 0] = 0
    cycles, changes = closed_changes(fit, lengths())
    expected = [(i, k) for i in range(8) for k in (0, 1) if (k == 0 or i < 6) and (i, k) != (1, 0)]
    assert list(zip(cycles["patient"], cycles["injection"], strict=True)) == [
        (PATIENTS[i], str(k + 1)) for i, k in expected
    ]
    np.testing.assert_array_equal(changes[0, 0], [3 * i + k for i, k in expected])
    np.testing.assert_array_equal(cycles["months"], [MONTHS[i] + k for i, k in expected])


@pytest.mark.parametrize(
    ("table", "note"),
    [
        (lengths()[:0], "not informed: no cycle with a value was followed by another injection"),
        (lengths(MONTHS[:1], 1), "not informed: only patient P1 has a cycle that was followed by another injection"),
        (lengths(np.full(8, 3.0), 1), "not informed: all intervals are 3.0 months"),
    ],
)
def test_where_the_trial_says_nothing_there_is_a_note_and_no_number(table, note):
    found = two_stage(fit_of(np.zeros((2, 5, 8, 3))), table, seed=1)
    assert list(found.columns) == COLUMNS
    assert found["note"].tolist() == [note]
    assert found[NUMBERS].isna().all(axis=None)
    assert found["n_cycles"].tolist() == [len(table)]


def test_of_a_fit_that_failed_its_gate_nothing_is_shown():
    found = two_stage(fit_of(np.zeros((2, 5, 8, 3)), passed=False), lengths(), seed=1)
    assert found["note"].tolist() == ["not shown: the first stage failed its diagnostics gate"]
    assert found[NUMBERS].isna().all(axis=None)


def kept(**inputs):
    """A fit that was made from these."""
    return Fit(xr.DataTree(), {"model": "m", "outcome": "alsfrsr", "inputs": inputs})


def test_what_is_kept_is_what_is_read_and_only_of_the_same_fit_and_code(tmp_path):
    numbers = pd.DataFrame([dict.fromkeys(NUMBERS, 0.25)])
    found = numbers.assign(analysis="two-stage", quantity="interval", unit="u", n_cycles=4, n_patients=2, note=READ_AS)
    found = pd.concat([found, found.assign(mean=np.nan, note="not informed")], ignore_index=True)[COLUMNS]
    fit = kept(data={"visits.csv": "a"})
    save(fit, found, tmp_path)
    read = saved(fit, tmp_path)
    pd.testing.assert_frame_equal(read[COLUMNS], found, check_dtype=False)
    assert set(read["outcome"]) == {"alsfrsr"}
    assert saved(kept(data={"visits.csv": "b"}), tmp_path) is None
    assert saved(fit, tmp_path / "nowhere") is None
    with copied_package(tmp_path) as edit:
        edit("answers.random_intercept", "POINTS, FINER = 24, 32", "POINTS, FINER = 24, 33")
        assert saved(fit, tmp_path) is None


@pytest.mark.parametrize("module", ["answers.quantities", "answers.convergence"])
def test_an_answer_is_not_kept_once_what_it_is_made_with_was_changed(tmp_path, module):
    """What takes the changes out of a fit, and what judges the second stage, decide it too."""
    fit = kept(data={"visits.csv": "a"})
    save(fit, pd.DataFrame([dict.fromkeys(COLUMNS, 0.25)]), tmp_path)
    with copied_package(tmp_path) as edit:
        assert saved(fit, tmp_path) is not None
        edit(module)
        assert saved(fit, tmp_path) is None
