"""The contract of a model file, held against every file of models/: a new model is tested the moment it exists."""

import json
import re
from time import process_time

import numpy as np
import pymc as pm
import pytest
from trials import ROOT, line_trial
from typer.testing import CliRunner

from slopeshift.cli import app
from slopeshift.engine.exact import statistics_of
from slopeshift.engine.terms import terms_of
from slopeshift.fit.sample import prior_draws
from slopeshift.fit.store import Settings, inputs
from slopeshift.model.described import described, text
from slopeshift.model.files import VARIED as VARIED_TEXT
from slopeshift.model.files import ModelError, leading, load_model, loaded, source_of
from slopeshift.model.stated import statement
from slopeshift.simulate import default_trial
from slopeshift.trial import trial_from_tables

MODELS = sorted((ROOT / "models").glob("*.py"))
DIMS = {
    *("patient", "injection", "visit", "coefficient", "segment", "covariate", "pair", "term", "source"),
    *("outcome", "block", "row", "lane", "closed_cycle"),
}
SETTINGS = {"title": "Synthetic", "synthetic": True, "source": "simulate"}


@pytest.fixture(params=MODELS, ids=lambda path: path.stem, scope="module")
def file(request):
    return load_model(request.param)


@pytest.fixture(scope="module")
def stated(file):
    """What trial.toml says, for the kind of trial that the model is for."""
    return SETTINGS | ({"arms": {"control": "sham", "randomised": True}} if of_arms(file) else {})


@pytest.fixture(scope="module")
def tables(file):
    drawn = dict(default_trial().tables)
    if of_arms(file):
        drawn["patients"] = drawn["patients"].assign(arm=np.where(np.arange(20) % 2, "sham", "cells"))
    return drawn


@pytest.fixture(scope="module")
def trial(tables, stated):
    return trial_from_tables("synthetic", tables, stated)


def of_arms(file):
    return getattr(file.build, "arms", None) is not None


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
    code = re.sub(r'"""[\s\S]*?"""', "", VARIED_TEXT.split(file.source)[0], count=1)
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


def test_reported_spread_is_that_of_the_loading_whatever_the_signs(file, prior):
    """Standard deviations and correlations, read off Lambda Lambda' of every draw of the prior."""
    draws = prior["prior"].to_dataset().isel(chain=0)
    if "loading" not in draws:
        pytest.skip("the coefficients are sampled, not integrated out")
    loading = draws["loading"].transpose("draw", "coefficient", "source")
    sources = ["1", "month", "since"] if file.name == "formula" else ["level", "slope", "response"]
    traits = loading.sel(source=sources, coefficient=["level", "slope", "change 1"]).to_numpy()
    covariance = traits @ traits.transpose(0, 2, 1)
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    for i, name in enumerate(("sd_level", "sd_slope", "sd_response")):
        np.testing.assert_allclose(draws[name], sd[:, i])
    for (i, j), pair in {(0, 1): "level, slope", (0, 2): "level, response", (1, 2): "slope, response"}.items():
        expected = covariance[:, i, j] / (sd[:, i] * sd[:, j])
        stated = 0.0 if file.name == "formula" else draws["correlation"].sel(pair=pair)
        np.testing.assert_allclose(stated, expected, atol=1e-9)


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


def test_row_order_does_not_matter(file, tables, stated, model):
    shuffled = {name: table.sample(frac=1, random_state=3) for name, table in tables.items()}
    again = file.build(trial_from_tables("synthetic", shuffled, stated))
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
    limits = CLINICAL[file.outcome] | ({"slowing": (0.20, 0.45)} if of_arms(file) else {})  # with either arm's changes
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
    head = '"""M: a model."""\nfrom slopeshift.design.shape import Shape\nOUTCOME = "alsfrsr"\n'
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


# ---- what a model says of itself ----

RENEW = "for f in models/*.py; do slopeshift show $f > tests/golden/models/$(basename $f .py).txt; done"
GOLDEN = ROOT / "tests" / "golden" / "models"


def test_the_whole_model_is_that_which_was_committed(file):
    committed = (GOLDEN / f"{file.name}.txt").read_text()
    assert text(described(file)) == committed, f"if it is meant to be another model: {RENEW}"


def test_no_model_is_left_in_the_golden_texts_that_there_is_not():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {path.stem for path in MODELS}


def test_a_built_model_records_the_priors_that_its_file_states(file, model, trial):
    assert trial.control is None
    recorded = statement(model)
    found, expected = ([without_source(row) for row in rows] for rows in (recorded.priors, file.stated()))
    if of_arms(file):
        # Of arms the trial decides which coefficients there are; their priors are those of the file.
        effects = {row["name"]: row["numbers"] for row in found if row["name"].startswith("effect")}
        assert set(effects) == {"effect", "effect 1", "effect 2", "effect 3"}
        assert effects["effect"] == next(row["numbers"] for row in expected if row["name"] == "effect")
        of = [f"{name}" for name, *_ in file.build.arms.labelled]
        found = [row for row in found if not row["name"].startswith("effect")]
        expected = [row for row in expected if row["name"] not in of]
    assert found == expected
    assert recorded.family == described(file)["family"]


def without_source(row):
    """The file does not know whether a trial has a control."""
    return {key: value for key, value in row.items() if key != "source"}


def test_every_prior_states_unit_reason_and_class_of_justification(file):
    for row in file.stated():
        assert "not stated" not in row.values(), row["name"]


def test_what_differs_from_the_model_that_is_varied_is_marked():
    said = {path.stem: described(load_model(path)) for path in MODELS}
    marked = {name: {row["name"] for row in model["priors"] if row["differs"]} for name, model in said.items()}
    assert marked["alsfrsr"] == set()
    assert marked["alsfrsr_straight"] == set()
    bend = ["curvature", "curvature_by_level", "curvature_by_slope", "sd_curvature"]
    assert (said["alsfrsr_straight"]["dropped"], said["alsfrsr_student"]["dropped"]) == (bend, [])
    assert "* Without: curvature, curvature_by_level" in text(said["alsfrsr_straight"])
    assert marked["interval"] == {"interval_within", "interval_between"}
    assert (said["alsfrsr_student"]["varies"], said["alsfrsr_student"]["differs"]) == ("alsfrsr.py", ["family"])
    assert (said["interval_fixed_window"]["varies"], said["interval_fixed_window"]["differs"]) == (
        "interval.py",
        ["shape"],
    )


BASE = (ROOT / "models" / "alsfrsr.py").read_text()
VARIED = '''"""M: a model."""
from slopeshift.model.files import variation
from slopeshift.model.priors import Normal
OUTCOME = "alsfrsr"
build = variation("{}", {})
'''


def test_a_prior_that_goes_by_a_name_is_in_the_table_with_its_numbers(tmp_path):
    """Whatever the text looks like: named, or from a table that models share."""
    (tmp_path / "base.py").write_text(BASE)
    head = VARIED.format("base.py", "**SHARED").replace("build", 'SHARED = {"change": Normal(0.1, 0.2)}\nbuild')
    (tmp_path / "m.py").write_text(head)
    rows = {row["name"]: row for row in load_model(tmp_path / "m.py").stated()}
    assert rows["change"]["numbers"] == {"mean": 0.1, "sd": 0.2}
    assert rows["level"]["numbers"] == {"mean": 35, "sd": 4}
    assert (rows["change"]["unit"], rows["change"]["basis"]) == ("not stated", "not stated")


def test_a_variation_carries_the_text_that_it_varies_and_is_built_from_it_elsewhere(tmp_path):
    """Another process gets the source alone: it must be the same model, and change with the file that is varied."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "sub" / "middle.py").write_text(VARIED.format("../base.py", "change=Normal(0, 0.2)"))
    path = tmp_path / "m.py"
    path.write_text(VARIED.format("sub/middle.py", "level=Normal(30, 3)"))
    source = source_of(path)
    again, here = loaded("m", source), load_model(path)
    assert again.stated() == here.stated()
    assert again.build == here.build
    assert (here.varies.name, here.varies.varies.name) == ("middle", "base")
    settings = Settings()
    before = inputs({}, source, settings)
    (tmp_path / "base.py").write_text(BASE.replace("Gamma(2.0, 0.4", "Gamma(2.0, 0.5"))
    assert inputs({}, source_of(path), settings)["model"] != before["model"]
    (tmp_path / "base.py").write_text(BASE.replace("35, 4, unit", "35, 4,  # a comment\n        unit"))
    assert inputs({}, source_of(path), settings) == before


@pytest.mark.parametrize(
    ("file", "changes", "told"),
    [
        (
            "base.py",
            "levle=Normal(0, 1)",
            r'variation\("base.py"\): no such part of the model: levle; there are',
        ),
        ("program.py", "", "only a line model can be varied"),
        ("m.py", "", "it varies m.py, which varies it in turn"),
        ("other.py", "", r"it varies m.py, which varies it in turn"),
    ],
)
def test_a_variation_that_cannot_be_is_refused(tmp_path, file, changes, told):
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "program.py").write_text('"""M: a model."""\nOUTCOME = "alsfrsr"\ndef build(trial): ...\n')
    (tmp_path / "other.py").write_text(VARIED.format("m.py", ""))
    (tmp_path / "m.py").write_text(VARIED.format(file, changes))
    with pytest.raises(ModelError, match=told):
        load_model(tmp_path / "m.py")


def test_what_a_fit_is_made_from_is_known_without_running_a_model():
    """The check whether a fit is up to date reads texts, and takes milliseconds."""
    for path in MODELS:
        source_of(path)
        began = process_time()
        source_of(path)
        assert process_time() - began < 0.05


def test_show_prints_the_model_and_on_a_trial_its_own_priors(tmp_path):
    done = CliRunner().invoke(app, ["show", str(ROOT / "models" / "alsfrsr_student.py"), "--json"])
    model = json.loads(done.stdout)
    assert (model["model"], model["outcome"], model["family"]) == ("alsfrsr_student", "alsfrsr", "student_t")
    path = tmp_path / "m.py"
    path.write_text('"""M: a model."""\nOUTCOME = "alsfrsr"\ndef build(trial): ...\n')
    done = CliRunner().invoke(app, ["show", str(path)])
    assert done.exit_code == 1
    assert "name one: --trial" in done.stderr
