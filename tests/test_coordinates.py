"""Coordinates of sampled patients: the map is what it says, changes no density, and leaves standard normals."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import ROOT, line_trial

from slopeshift.coordinates import Informed, standard_normals
from slopeshift.fit import Settings, sample
from slopeshift.model import load_model

PATIENTS, SOURCES = 3, 2


def known(seed, visits=9, patients=PATIENTS):
    """Draw a design, residuals and whose visits they are; the last patient has none."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(visits, SOURCES)), rng.normal(size=visits), rng.integers(0, patients - 1, visits)


def built(design, residual, patient, patients=PATIENTS):
    with pm.Model(coords={"patient": range(patients), "source": range(SOURCES)}) as model:
        z = standard_normals("z", pt.as_tensor(design), pt.as_tensor(residual), patient, ("patient", "source"))
    return model, z


def inputs_of(z):
    """What PyMC hands to the transform: shift and factor."""
    _, shift, factor, *_ = z.owner.inputs
    return pytensor.function([], [shift, factor], mode="FAST_COMPILE")()


def moments(z):
    """Mean (patient, source) and covariance (patient, source, source) of z where u is standard normal."""
    shift, factor = inputs_of(z)
    root = np.linalg.inv(factor).transpose(0, 2, 1)
    return np.einsum("ijk,ik->ij", root, shift), root @ root.transpose(0, 2, 1)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_mean_and_covariance_are_those_of_the_posterior_of_each_patient(seed):
    design, residual, patient = known(seed)
    mean, found = moments(built(design, residual, patient)[1])
    for i in range(PATIENTS):
        own, seen = design[patient == i], residual[patient == i]
        covariance = np.linalg.inv(np.eye(SOURCES) + own.T @ own)
        np.testing.assert_allclose(found[i], covariance, atol=1e-10)
        np.testing.assert_allclose(mean[i], covariance @ own.T @ seen, atol=1e-10)


def test_a_patient_without_visits_is_moved_as_the_prior_says():
    mean, covariance = moments(built(*known(1))[1])
    np.testing.assert_array_equal(mean[-1], 0)
    np.testing.assert_array_equal(covariance[-1], np.eye(SOURCES))


def test_the_map_has_its_inverse_and_the_jacobian_that_differences_give():
    informed, inputs = Informed(), (None, *map(pt.as_tensor, inputs_of(built(*known(2))[1])), None)
    u = pt.dmatrix()
    there = pytensor.function([u], informed.backward(u, *inputs))
    back = pytensor.function([u], informed.forward(u, *inputs))
    jacobian = pytensor.function([], informed.log_jac_det(u, *inputs))()
    at = np.random.default_rng(3).normal(size=(PATIENTS, SOURCES))
    np.testing.assert_allclose(back(there(at)), at, atol=1e-12)
    for i in range(PATIENTS):
        steps = [np.where((np.arange(PATIENTS)[:, None] == i) & (np.arange(SOURCES) == s), 1e-6, 0) for s in (0, 1)]
        columns = [(there(at + step) - there(at - step))[i] / 2e-6 for step in steps]
        expected = np.log(abs(np.linalg.det(np.array(columns))))
        assert jacobian[i] == pytest.approx(expected, abs=1e-7)


def test_before_anything_is_seen_they_are_standard_normal():
    _, z = built(*known(4))
    draws = pm.draw(z, 4000, random_seed=5)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(np.cov(draws.reshape(4000, -1).T), np.eye(PATIENTS * SOURCES), atol=0.12)


def written_out(tmp_path, name, trial):
    text = (ROOT / "models" / f"{name}.py").read_text()
    path = tmp_path / "model.py"
    path.write_text(text.replace("import normal\n", "import normal_written_out as normal\n"))
    return load_model(path).build(trial)


@pytest.mark.parametrize("name", ["alsfrsr", "alsfrsr_autocorrelated"])
def test_under_normal_residuals_patients_are_standard_normal_whatever_else_is_sampled(tmp_path, name):
    """The log density falls by |u|^2 / 2 from that at u = 0, at any point: nothing of u depends on anything."""
    model = written_out(tmp_path, name, line_trial(patients=5))
    evaluate = model.compile_logp(mode="FAST_COMPILE")
    start, rng = model.initial_point(), np.random.default_rng(6)
    for _ in range(5):
        point = {key: value + rng.normal(size=np.shape(value)) for key, value in start.items()}
        u = point["z_informed__"]
        fallen = float(evaluate(point)) - float(evaluate(point | {"z_informed__": np.zeros_like(u)}))
        assert fallen == pytest.approx(-0.5 * (u**2).sum(), rel=1e-8)


@pytest.mark.parametrize("name", ["alsfrsr_student", "alsfrsr_bounded", "alsfrsr_autocorrelated"])
def test_the_density_is_that_of_the_model_without_the_coordinates(tmp_path, name):
    """At the same z, sampled as such or in coordinates: they differ by the Jacobian, and by nothing else."""
    trial = line_trial(patients=4)
    moved = written_out(tmp_path, name, trial)
    start, rng = moved.initial_point(), np.random.default_rng(7)
    point = {key: value + 0.3 * rng.normal(size=np.shape(value)) for key, value in start.items()}
    inputs = moved.replace_rvs_by_values(moved["z"].owner.inputs[:3])
    values = moved.replace_rvs_by_values([moved["z"]])[0]
    z, jacobian = pytensor.function(
        moved.value_vars,
        [values, Informed().log_jac_det(None, *inputs).sum()],
        mode="FAST_COMPILE",
        on_unused_input="ignore",
    )(**point)
    plain = written_out(tmp_path, name, trial)
    value = plain.rvs_to_values[plain["z"]]
    plain.rvs_to_transforms[plain["z"]] = None
    at = {key: values for key, values in point.items() if key != value.name} | {value.name: z}
    difference = float(moved.compile_logp(mode="FAST_COMPILE")(point) - plain.compile_logp(mode="FAST_COMPILE")(at))
    assert difference == pytest.approx(float(jacobian), rel=1e-8)


def test_predictions_are_of_the_patients_that_were_sampled():
    trial = line_trial(patients=4)
    file = load_model(ROOT / "models" / "alsfrsr_student.py")
    visits = file.visits(trial)
    tree = sample(file, trial, Settings(draws=60, tune=120, chains=2, prior_draws=20), progress=False).tree
    mean = (visits.basis * tree["posterior"]["coefficients"].to_numpy()[:, :, visits.patient_index]).sum(axis=-1)
    away = tree["posterior_predictive"][visits.outcome.name].to_numpy() - mean
    assert np.sqrt((away**2).mean()) < 1.5 * float(tree["posterior"]["sigma"].mean())
