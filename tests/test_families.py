"""The contract of a residual family, held by every one of them: its density twice, its draws, and what it records."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from posteriors import posterior_from
from scipy.stats import kstest, uniform
from trials import ROOT, line_trial

from slopeshift.answers.quantities import population
from slopeshift.design.visits import visits_of
from slopeshift.engine.sequence import fading, sequence
from slopeshift.model.families import FAMILIES, UNITS, normal, residual_of, student_t
from slopeshift.model.files import load_model
from slopeshift.model.stated import statement

DRAWS = 5
TRIAL = line_trial(patients=5, seed=2)
VISITS = visits_of(TRIAL, "alsfrsr")
LINES = sorted(path for path in (ROOT / "models").glob("alsfrsr*.py") if "_arms" not in path.stem)


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES, scope="module")
def family(request):
    return request.param


def parameters_of(family, seed=1):
    """Random values of a family's parameters: (chain 1, draw) by name."""
    rng = np.random.default_rng(seed)
    known = {"sigma": rng.uniform(1, 3, DRAWS), "nu": rng.uniform(3, 20, DRAWS)}
    known["autocorrelation"] = rng.uniform(0.1, 0.9, DRAWS)
    return xr.Dataset({name: (("chain", "draw"), known[name][None]) for name in family.parameters})


def test_the_density_that_is_sampled_is_that_which_checks_evaluate(family):
    if not family.independent:
        pytest.skip("its density is that of the exact engine alone")
    draws, rng = parameters_of(family), np.random.default_rng(2)
    mean = VISITS.value + rng.normal(0, 6, (DRAWS, len(VISITS.value)))
    found = residual_of(family.name, draws, VISITS).log_density(VISITS.value, mean[:, None])[:, 0]
    value, at = pt.as_tensor(VISITS.value), pt.dvector()
    scalars = [pt.dscalar(name) for name in family.parameters]
    density = family.log_density(value, at, scalars, VISITS)
    evaluate = pytensor.function([at, *scalars], density, mode="FAST_COMPILE")
    for draw in range(DRAWS):
        here = [float(draws[name][0, draw]) for name in family.parameters]
        np.testing.assert_allclose(found[draw], evaluate(mean[draw], *here), rtol=1e-9)


def test_what_is_simulated_follows_the_density(family):
    """Probabilities of a lower value, the same value shared out at random, are uniform; over the scale's end too."""
    draws, number = parameters_of(family).isel(draw=[0]), 40
    mean = np.linspace(-2, 50, len(VISITS.value))
    residual, rng = residual_of(family.name, draws, VISITS), np.random.default_rng(4)
    values = drawn(family, draws, mean, number)
    if family.integrated_out:
        values = np.concatenate([values, residual.draw(np.tile(mean, (number, 1)), rng)])
    probability = []
    for value in values:
        if not family.independent:
            value = mean + innovations(value - mean, residual)
        lower, equal = (normal_residual(draws) if not family.independent else residual).lower(value, mean[None, None])
        probability += list((lower + rng.random(len(value)) * equal)[0, 0])
    assert kstest(probability, uniform.cdf).pvalue > 1e-3


def drawn(family, draws, mean, number):
    """Draw values as PyMC does: (number, visit)."""
    constants = [pt.constant(float(draws[name][0, 0])) for name in family.parameters]
    if family.independent:
        expression = family.simulate(pt.constant(mean), constants, VISITS)
    else:
        z, order = pm.Normal.dist(size=len(mean)), sequence(VISITS.patient_index, VISITS.month)
        expression = mean + fading(z, *constants, order)
    return pm.draw(expression, number, random_seed=3)


def normal_residual(draws):
    return residual_of("normal", draws, VISITS)


def innovations(left, residual):
    """What is new in each residual, at the size of a first one."""
    order, kept = residual.order, residual.correlation[0] ** residual.order.months
    new = np.where(order.first, left, (left - kept * left[order.previous]) / np.sqrt(1 - kept**2))
    return np.asarray(new)


def test_a_lower_value_is_as_probable_as_all_values_below_it(family):
    if not family.independent:
        pytest.skip("a value is not left out by itself where residuals depend on each other")
    residual = residual_of(family.name, parameters_of(family), VISITS)
    mean = np.full((DRAWS, 1, 1), 30.0)
    lower, equal = residual.lower(np.array([27.0]), mean)
    step, first = (1.0, 0.0) if family.name == "bounded" else (0.01, -400 + 0.005)
    grid = np.arange(first, 27.0 - step / 4, step)
    density = np.exp(residual.log_density(grid, np.full((DRAWS, 1, len(grid)), 30.0)))
    np.testing.assert_allclose(lower[:, 0, 0], density.sum(axis=2)[:, 0] * step, atol=2e-4)
    assert (equal >= 0).all()


def test_the_working_value_pulls_as_the_density_slopes(family):
    """Where the density is smooth; a rounded value is taken for a normal one by Sheppard's correction."""
    if not family.independent:
        pytest.skip("residuals that depend on each other have an arithmetic of their own")
    draws = parameters_of(family)
    residual, value = residual_of(family.name, draws, VISITS), np.array([24.0])
    mean = np.full((DRAWS, 1), 26.0)
    left, sd = residual.working(value, mean)
    up, down = (residual.log_density(value, mean[:, None] + step) for step in (1e-4, -1e-4))
    np.testing.assert_allclose((left / sd**2)[:, 0], ((up - down) / 2e-4)[:, 0, 0], rtol=0.05)


def test_every_parameter_has_a_label_a_unit_and_a_prior_that_a_model_must_state(family):
    assert all(parameter.label and parameter.unit for parameter in family.parameters.values())
    with pytest.raises(ValueError, match="has no prior for sigma"):
        _ = family().priors
    assert set(family.parameters) <= set(UNITS)


@pytest.mark.parametrize("path", LINES, ids=lambda path: path.stem)
def test_the_family_that_a_model_records_has_the_density_of_its_values(path):
    """The density of the graph that is sampled, at a random point, is that of the family by the recorded name."""
    file = load_model(path)
    trial = line_trial(patients=4, seed=3)
    model, visits = file.build(trial), file.visits(trial)
    family = FAMILIES[statement(model).family]
    assert family is type(file.build.family)
    if family.integrated_out:
        assert "statistics" in model.named_vars
        return
    rng, start = np.random.default_rng(5), model.initial_point()
    point = {name: value + 0.2 * rng.normal(size=np.shape(value)) for name, value in sorted(start.items())}
    wanted = model.replace_rvs_by_values([model["coefficients"], *(model[name] for name in family.parameters)])
    compiled = pytensor.function(model.value_vars, wanted, mode="FAST_COMPILE", on_unused_input="ignore")
    theta, *values = compiled(**point)
    draws = xr.Dataset(
        {name: (("chain", "draw"), np.reshape(v, (1, 1))) for name, v in zip(family.parameters, values, strict=True)}
    )
    mean = (visits.basis * theta[visits.patient_index]).sum(axis=1)
    found = residual_of(family.name, draws, visits).log_density(visits.value, mean[None, None])[0, 0]
    (stored,) = model.compile_logp(vars=[model["alsfrsr"]], sum=False, mode="FAST_COMPILE")(point)
    np.testing.assert_allclose(found, stored, rtol=1e-8)


def test_a_variation_keeps_the_prior_of_sigma_that_it_does_not_state():
    plain, student = (load_model(ROOT / "models" / f"{name}.py").build for name in ("alsfrsr", "alsfrsr_student"))
    assert isinstance(plain.family, normal)
    assert isinstance(student.family, student_t)
    assert student.family.sigma == plain.family.sigma


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("nu", "degrees of freedom"),
        ("autocorrelation", "correlation"),
        ("curvature", "points/month^2"),
        ("sd_curvature", "points/month^2"),
    ],
)
def test_parameters_of_some_models_stand_in_every_table_in_which_their_fellows_stand(name, unit):
    """They are quantities with a unit, have a definition, and are set before and after the data."""
    from slopeshift.report.words import glossary

    assert name in glossary.definitions()
    assert name in {*glossary.POPULATION, *glossary.SPREAD}
    assert set(UNITS) <= set(glossary.definitions())
    sample, coefficients = ("chain", "draw"), list(VISITS.coefficients)
    coefficients.insert(2, "curvature")
    rng = np.random.default_rng(1)
    draws = xr.Dataset(
        {
            "population": ((*sample, "coefficient"), rng.normal(size=(1, 9, len(coefficients)))),
            **{n: (sample, rng.uniform(1, 2, (1, 9))) for n in ("sd_curvature", *UNITS)},
        },
        coords={"coefficient": coefficients},
    )
    design = VISITS.dataset().drop_vars("basis").drop_dims("coefficient", errors="ignore")
    found = population(posterior_from(draws, design))
    assert dict(zip(found["quantity"].to_numpy(), found["unit"].to_numpy(), strict=True))[name] == unit
