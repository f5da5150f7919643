"""The contract of a model file, held against every file of models/: a new model is tested the moment it exists."""

import re

import numpy as np
import pymc as pm
import pytest
from trials import ROOT, line_trial

from slopeshift.engine.exact import statistics_of, terms_of
from slopeshift.fit.sample import prior_draws
from slopeshift.model.files import ModelError, leading, load_model
from slopeshift.simulate import default_trial
from slopeshift.trial import trial_from_tables

MODELS = sorted((ROOT / "models").glob("*.py"))
DIMS = {
    *("patient", "injection", "visit", "coefficient", "segment", "covariate", "pair", "term", "source"),
    *("outcome", "block", "row", "lane", "closed_cycle"),
}
SETTINGS = {"title": "Synthetic", "synthetic": True, "source": "simulate"}


@pytest.fixture(scope="module")
def tables():
    return default_trial().tables


@pytest.fixture(scope="module")
def trial(tables):
    return trial_from_tables("synthetic", tables, SETTINGS)


@pytest.fixture(params=MODELS, ids=lambda path: path.stem, scope="module")
def file(request):
    return load_model(request.param)


@pytest.fixture(scope="module")
def model(file, trial):
    return file.build(trial)


@pytest.fixture(scope="module")
def prior(file, model, trial):
    return prior_draws(model, file.visits(trial), 1000, seed=1)


def test_there_are_models():
    interval = {"interval", "interval_fixed_window", "interval_negative_control"}
    assert {"alsfrsr", "formula", "fvc"} | interval <= {path.stem for path in MODELS}


def test_one_screen(file):
    code = re.sub(r'"""[\s\S]*?"""', "", file.source, count=1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 60


def test_building_compiles_nothing(file, trial, monkeypatch):
    """So that it takes no time: what is slow is left to sampling."""
    from pytensor.compile.maker import FunctionMaker

    def refuse(*_, **__):
        raise AssertionError("a model was compiled")

    monkeypatch.setattr(FunctionMaker, "__init__", refuse)
    file.build(trial)


def test_every_array_has_named_dims(model):
    for variable in [*model.basic_RVs, *model.deterministics]:
        dims = model.named_vars_to_dims.get(variable.name, ())
        assert len(dims) == variable.ndim, variable.name
        assert set(dims) <= DIMS, variable.name


def test_gives_the_posterior_names_that_results_are_read_from(file, model, prior):
    expected = {"population": ("coefficient",), "coefficients": ("patient", "coefficient")}
    # Bambi has no correlations: its models leave the name out rather than report zeros that were never estimated.
    expected |= {} if file.name == "formula" else {"correlation": ("pair",)}
    for name, dims in expected.items():
        assert prior["prior"][name].dims[2:] == dims
    assert ("correlation" in prior["prior"]) == ("correlation" in expected)
    for name in ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma"):
        assert prior["prior"][name].dims == ("chain", "draw")
        assert float(prior["prior"][name].min()) >= 0


def test_reported_spread_is_that_by_which_patients_differ(prior):
    """Their deviations from what is known of them, over the reported standard deviations, have variance 1."""
    draws, design = prior["prior"].to_dataset(), prior["constant_data"].to_dataset()
    deviation = draws["coefficients"] - draws["population"]
    if "regression" in draws:
        deviation = deviation - (draws["regression"] * design["covariates"]).sum("covariate")
    of_change = np.hypot(draws["sd_response"], draws["sd_cycle"])
    for coefficient, sd in {"level": draws["sd_level"], "slope": draws["sd_slope"], "change 1": of_change}.items():
        squares = (deviation.sel(coefficient=coefficient) / sd) ** 2
        error = 5 * np.sqrt(2 / squares.size)
        assert float(squares.mean()) == pytest.approx(1, abs=error), coefficient


def test_reported_spread_is_that_of_the_loading_whatever_the_signs(prior):
    """Standard deviations and correlations, read off Lambda Lambda' of every draw of the prior."""
    draws = prior["prior"].to_dataset().isel(chain=0)
    if "loading" not in draws:
        pytest.skip("the coefficients are sampled, not integrated out")
    loading = draws["loading"].transpose("draw", "coefficient", "source")
    traits = loading.sel(source=["level", "slope", "response"], coefficient=["level", "slope", "change 1"]).to_numpy()
    covariance = traits @ traits.transpose(0, 2, 1)
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    for i, name in enumerate(("sd_level", "sd_slope", "sd_response")):
        np.testing.assert_allclose(draws[name], sd[:, i])
    for (i, j), pair in {(0, 1): "level, slope", (0, 2): "level, response", (1, 2): "slope, response"}.items():
        expected = covariance[:, i, j] / (sd[:, i] * sd[:, j])
        np.testing.assert_allclose(draws["correlation"].sel(pair=pair), expected, atol=1e-9)


def test_the_coefficients_are_those_of_the_files_own_visits(file, model, trial):
    """A model that is built on another shape than the file states would be reported by the wrong basis."""
    visits = file.visits(trial)
    assert tuple(model.coords["coefficient"]) == visits.coefficients
    if "statistics" in model.named_vars:
        np.testing.assert_array_equal(model["statistics"].get_value(), statistics_of(visits, terms_of(model)))


def test_log_density_and_gradient_are_finite(model):
    rng = np.random.default_rng(1)
    logp, gradient = model.compile_logp(), model.compile_dlogp()
    start = model.initial_point()
    for scale in (0.0, 0.3):
        point = {name: value + scale * rng.normal(size=np.shape(value)) for name, value in start.items()}
        assert np.isfinite(logp(point))
        assert np.isfinite(gradient(point)).all()


def test_row_order_does_not_matter(file, tables, trial, model):
    shuffled = {name: table.sample(frac=1, random_state=3) for name, table in tables.items()}
    again = file.build(trial_from_tables("synthetic", shuffled, SETTINGS))
    point = model.initial_point()
    rng = np.random.default_rng(2)
    point = {name: value + 0.2 * rng.normal(size=np.shape(value)) for name, value in point.items()}
    assert again.compile_logp()(point) == pytest.approx(model.compile_logp()(point), rel=1e-12)


@pytest.mark.parametrize("injections", [0, 1, 4])
@pytest.mark.parametrize(
    "name", ["alsfrsr", "formula", "interval", "interval_fixed_window", "interval_negative_control"]
)
def test_builds_for_any_number_of_injections(name, injections):
    file, trial = load_model(ROOT / "models" / f"{name}.py"), line_trial(injections=injections)
    model = file.build(trial)
    assert np.isfinite(model.compile_logp()(model.initial_point()))
    assert model.dim_lengths["coefficient"].eval() == len(file.visits(trial).coefficients)
    assert len(file.visits(trial).segments) == injections * len(file.shape.changes((1,)))


def test_pymc_itself_can_predict_from_the_prior(model, file, trial):
    with model:
        values = pm.sample_prior_predictive(20, random_seed=1)["prior_predictive"][file.outcome]
    assert values.sizes == {"chain": 1, "draw": 20, "visit": len(file.visits(trial).value)}
    assert np.isfinite(values).all()


def test_prior_mean_before_the_first_injection_is_the_lead_in_line(prior, trial, file):
    """The prior predictive of a visit is centred on level + slope * month, whatever the priors of the changes."""
    visits = file.visits(trial)
    centre = prior["prior"]["population"].mean(("chain", "draw")).to_numpy()
    expected = visits.basis @ centre
    predicted = prior["prior_predictive"][file.outcome].mean(("chain", "draw")).to_numpy()
    spread = prior["prior_predictive"][file.outcome].std(("chain", "draw")).to_numpy()
    assert (abs(predicted - expected) < 5 * spread / np.sqrt(1000)).all()


CLINICAL = {
    # Scores may leave the scale a little, because the latent normal is not bounded; expected: 2.5 % of
    # latent scores above 48 at the first injection, 12 % of lead-in slopes rising.
    "alsfrsr": {"range": (0, 48), "outside": 0.12, "rising": (0.08, 0.17), "slowing": (0.20, 0.29)},
    "fvc": {"range": (0, 150), "outside": 0.08, "rising": (0.05, 0.30), "slowing": (0.15, 0.35)},
}


def test_prior_predictive_is_clinically_possible(prior, file):
    limits = CLINICAL[file.outcome]
    scores = prior["prior_predictive"][file.outcome].to_numpy()
    low, high = limits["range"]
    assert ((scores < low) | (scores > high)).mean() < limits["outside"]
    coefficients = prior["prior"]["coefficients"]
    slope = coefficients.sel(coefficient="slope")
    change = coefficients.sel(coefficient="change 1")
    assert limits["rising"][0] < float((slope > 0).mean()) < limits["rising"][1]
    slowing = float(((slope < 0) & (change >= -0.25 * slope)).mean())
    assert limits["slowing"][0] < slowing < limits["slowing"][1]


def test_the_model_named_after_its_outcome_leads_and_without_one_all_do():
    assert leading({"alsfrsr": "alsfrsr", "interval": "alsfrsr", "fvc": "fvc"}) == ["alsfrsr", "fvc"]
    assert leading({"formula": "alsfrsr", "interval": "alsfrsr", "fvc": "fvc"}) == ["formula", "interval", "fvc"]


def test_a_file_that_breaks_the_contract_is_told_all_of_it(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text("x = 1\n")
    with pytest.raises(ModelError, match=r"docstring must begin.*name its outcome.*must define build"):
        load_model(path)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("SHAPE = 3.0", r"its SHAPE must be a shape, and its GRID a tuple of them: SHAPE = Shape\(window=3\.0\)"),
        ("SHAPE, GRID = Shape(), (Shape(), 1.0)", "its SHAPE must be a shape, and its GRID a tuple of them"),
        ("SHAPE, GRID = Shape(lag=1.0), (Shape(),)", "its SHAPE must be one of its GRID"),
        ("GRID = (Shape(), Shape(curved=True))", "the shapes of its GRID must have the same coefficients"),
        ("GRID = (Shape(), Shape(window=3.0))", "the shapes of its GRID must have the same coefficients"),
    ],
)
def test_what_is_no_shape_is_refused(tmp_path, stated, told):
    path = tmp_path / "m.py"
    head = '"""M: a model."""\nfrom slopeshift.shape import Shape\nOUTCOME = "alsfrsr"\n'
    path.write_text(f"{head}{stated}\ndef build(trial): ...\n")
    with pytest.raises(ModelError, match=told):
        load_model(path)


def test_the_text_that_runs_is_the_text_that_is_hashed(tmp_path):
    path = tmp_path / "m.py"
    text = '"""M: a model."""\nOUTCOME = "{}"\ndef build(trial): ...\n'
    outcomes = []
    for outcome in ("aaa", "bbb"):
        path.write_text(text.format(outcome))
        outcomes.append(load_model(path).outcome)
    assert outcomes == ["aaa", "bbb"]
