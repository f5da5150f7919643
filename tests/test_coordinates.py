"""Coordinates of sampled patients: the map is what it says, changes no density, and leaves standard normals."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import ROOT, line_trial, written_out

from slopeshift.engine import reparametrise_kernel
from slopeshift.engine.reparametrise import Informed, moved, moved_back, standard_normals
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model

PATIENTS, SOURCES = 3, 2


def known(seed, visits=9, patients=PATIENTS):
    """Draw a design, residuals and whose visits they are; the last patient has none."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(visits, SOURCES)), rng.normal(size=visits), rng.integers(0, patients - 1, visits)


def built(design, residual, patient, patients=PATIENTS):
    with pm.Model(coords={"patient": range(patients), "source": range(SOURCES)}) as model:
        z = standard_normals("z", pt.as_tensor(design), pt.as_tensor(residual), patient, ("patient", "source"))
    return model, z


def slowly(design, residual, own):
    """The factor of a patient's precision and the posterior mean of z, by linear algebra."""
    precision = np.eye(SOURCES) + design[own].T @ design[own]
    return np.linalg.cholesky(precision), np.linalg.solve(precision, design[own].T @ residual[own])


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_map_is_the_mean_and_the_root_of_the_posterior_of_each_patient(seed):
    design, residual, patient = known(seed)
    u = np.random.default_rng(seed).normal(size=(PATIENTS, SOURCES))
    z, log_jacobian = reparametrise_kernel.moved(design, residual, patient, u)
    for i in range(PATIENTS):
        factor, mean = slowly(design, residual, patient == i)
        np.testing.assert_allclose(z[i], mean + np.linalg.solve(factor.T, u[i]), atol=1e-10)
        assert log_jacobian[i] == pytest.approx(-np.log(np.diag(factor)).sum())
    np.testing.assert_allclose(reparametrise_kernel.moved_back(design, residual, patient, z), u, atol=1e-10)


def test_a_patient_without_visits_is_not_moved():
    u = np.random.default_rng(1).normal(size=(PATIENTS, SOURCES))
    z, log_jacobian = reparametrise_kernel.moved(*known(1), u)
    np.testing.assert_array_equal(z[-1], u[-1])
    assert log_jacobian[-1] == 0


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_gradient_is_what_differences_give(seed):
    (design, residual, patient), rng = known(seed), np.random.default_rng(seed)
    u, by_z, by_log = (rng.normal(size=shape) for shape in ((PATIENTS, SOURCES), (PATIENTS, SOURCES), PATIENTS))

    def value(**other):
        at = {"design": design, "residual": residual, "u": u} | other
        z, log_jacobian = reparametrise_kernel.moved(at["design"], at["residual"], patient, at["u"])
        return (by_z * z).sum() + (by_log * log_jacobian).sum()

    gradients = reparametrise_kernel.pulled_back(design, residual, patient, u, by_z, by_log)
    for (name, array), found in zip({"design": design, "residual": residual, "u": u}.items(), gradients, strict=True):
        for place in np.ndindex(array.shape):
            step = np.zeros_like(array)
            step[place] = 1e-6
            slope = (value(**{name: array + step}) - value(**{name: array - step})) / 2e-6
            assert found[place] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
@pytest.mark.parametrize("of", ["z", "log Jacobian", "both"])
def test_the_operations_are_the_arithmetic_whatever_is_asked_of_them(mode, of):
    design, residual, patient = known(2)
    u = np.random.default_rng(3).normal(size=(PATIENTS, SOURCES))
    inputs = [pt.dmatrix(), pt.dvector(), pt.dmatrix()]
    z, log_jacobian = moved(*inputs[:2], patient, inputs[2])
    asked = {"z": z.sum(), "log Jacobian": log_jacobian.sum(), "both": z.sum() + log_jacobian.sum()}[of]
    found = pytensor.function(inputs, [z, moved_back(*inputs[:2], patient, z), *pt.grad(asked, inputs)], mode=mode)(
        design, residual, u
    )
    by_z, by_log = np.full_like(u, of != "log Jacobian"), np.full(PATIENTS, float(of != "z"))
    expected = reparametrise_kernel.pulled_back(design, residual, patient, u, by_z, by_log)
    np.testing.assert_allclose(found[0], reparametrise_kernel.moved(design, residual, patient, u)[0], atol=1e-10)
    np.testing.assert_allclose(found[1], u, atol=1e-10)
    for got, wanted in zip(found[2:], expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-10)


def test_before_anything_is_seen_they_are_standard_normal():
    _, z = built(*known(4))
    draws = pm.draw(z, 4000, random_seed=5)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(np.cov(draws.reshape(4000, -1).T), np.eye(PATIENTS * SOURCES), atol=0.12)


def test_under_normal_residuals_patients_are_standard_normal_whatever_else_is_sampled():
    """The log density falls by |u|^2 / 2 from that at u = 0, at any point: nothing of u depends on anything."""
    model = written_out("alsfrsr").build(line_trial(patients=5))
    evaluate = model.compile_logp(mode="FAST_COMPILE")
    start, rng = model.initial_point(), np.random.default_rng(6)
    for _ in range(5):
        point = {key: value + rng.normal(size=np.shape(value)) for key, value in start.items()}
        u = point["z_informed__"]
        fallen = float(evaluate(point)) - float(evaluate(point | {"z_informed__": np.zeros_like(u)}))
        assert fallen == pytest.approx(-0.5 * (u**2).sum(), rel=1e-8)


@pytest.mark.parametrize("name", ["alsfrsr_student", "alsfrsr_bounded"])
def test_the_density_is_that_of_the_model_without_the_coordinates(name):
    """At the same z, sampled as such or in coordinates: they differ by the Jacobian, and by nothing else."""
    trial = line_trial(patients=4)
    placed = written_out(name).build(trial)
    start, rng = placed.initial_point(), np.random.default_rng(7)
    point = {key: value + 0.3 * rng.normal(size=np.shape(value)) for key, value in start.items()}
    inputs = placed.replace_rvs_by_values(placed["z"].owner.inputs[:4])
    u = placed.rvs_to_values[placed["z"]]
    z, jacobian = pytensor.function(
        placed.value_vars,
        [placed.replace_rvs_by_values([placed["z"]])[0], Informed().log_jac_det(u, *inputs).sum()],
        mode="FAST_COMPILE",
        on_unused_input="ignore",
    )(**point)
    plain = written_out(name).build(trial)
    value = plain.rvs_to_values[plain["z"]]
    plain.rvs_to_transforms[plain["z"]] = None
    at = {key: values for key, values in point.items() if key != value.name} | {value.name: z}
    difference = float(placed.compile_logp(mode="FAST_COMPILE")(point) - plain.compile_logp(mode="FAST_COMPILE")(at))
    assert difference == pytest.approx(float(jacobian), rel=1e-8)


def test_predictions_are_of_the_patients_that_were_sampled():
    trial = line_trial(patients=4)
    file = load_model(ROOT / "models" / "alsfrsr_student.py")
    visits = file.visits(trial)
    tree = sample(file, trial, Settings(draws=60, tune=120, chains=2, prior_draws=20), progress=False).tree
    mean = (visits.basis * tree["posterior"]["coefficients"].to_numpy()[:, :, visits.patient_index]).sum(axis=-1)
    away = tree["posterior_predictive"][visits.outcome.name].to_numpy() - mean
    assert np.sqrt((away**2).mean()) < 1.5 * float(tree["posterior"]["sigma"].mean())
