"""Densities of patients given the whole population: dense normals, finite differences, and a value nobody recorded."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.stats import multivariate_normal
from test_marginal import Problem

from slopeshift.engine.patients import log_densities, normal_given_values, patient_densities

VALUES = [5, 0, 9, 1, 4]


class Patients(Problem):
    """The patients of a small problem, each with a mean of its own."""

    def __init__(self, seed=1):
        super().__init__(seed, VALUES)
        self.offsets = np.random.default_rng(seed + 1).normal(size=(len(VALUES), self.p))
        pairs = list(zip(self.designs, self.values, strict=True))
        self.known = (
            np.array([w.T @ w for w, _ in pairs]),
            np.array([w.T @ y for w, y in pairs]),
            np.array([y @ y for _, y in pairs]),
            np.array([float(len(y)) for _, y in pairs]),
        )

    def each(self, loading, variance, offsets):
        return np.array(
            [
                multivariate_normal.logpdf(y, w @ o, w @ loading @ loading.T @ w.T + variance * np.eye(len(y)))
                if len(y)
                else 0.0
                for w, y, o in zip(self.designs, self.values, offsets, strict=True)
            ]
        )


@pytest.mark.parametrize("seed", range(4))
def test_the_density_of_each_patient_is_the_dense_normal_of_its_values(seed):
    patients = Patients(seed)
    point = patients.loading, patients.variance, patients.offsets
    np.testing.assert_allclose(log_densities(*point, *patients.known)[0], patients.each(*point), rtol=1e-10, atol=1e-10)


def symbols():
    return pt.dmatrix("loading"), pt.dscalar("variance"), pt.dmatrix("offset")


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_gradients_of_weighed_densities_are_finite_differences(mode):
    """Weights depend on the densities, as those of a mixture do."""
    patients, inputs = Patients(), symbols()
    total = pt.logsumexp(patient_densities(*inputs, *patients.known)[0] * np.array([1.0, 0.5, -0.3, 2.0, 1.0]))
    found = pytensor.function(inputs, [total, *pytensor.grad(total, inputs)], mode=mode)
    point = patients.loading, np.float64(patients.variance), patients.offsets
    value, *gradients = found(*point)

    def at(step):
        dense = patients.each(*(x + s for x, s in zip(point, step, strict=True)))
        return np.logaddexp.reduce(dense * np.array([1.0, 0.5, -0.3, 2.0, 1.0]))

    assert value == pytest.approx(at((0.0, 0.0, 0.0)), rel=1e-10)
    for place, gradient in enumerate(gradients):
        for entry in np.ndindex(np.shape(gradient)):
            step = [np.zeros_like(x) for x in point]
            step[place][entry] = 1e-5
            slope = (at(step) - at([-each for each in step])) / 2e-5
            assert gradient[entry] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_the_mean_of_a_value_that_was_not_recorded_is_its_regression_on_those_that_were():
    patients, inputs = Patients(), symbols()
    rng = np.random.default_rng(8)
    rows, noise = rng.normal(size=(len(VALUES), patients.p)), rng.uniform(0.5, 2.0, len(VALUES))
    both = normal_given_values(inputs, patients.known, rows, noise)
    found = pytensor.function(inputs, both, mode="FAST_COMPILE")
    mean, variance = found(patients.loading, patients.variance, patients.offsets)
    between = patients.loading @ patients.loading.T
    for i, (w, y) in enumerate(zip(patients.designs, patients.values, strict=True)):
        covariance = w @ between @ w.T + patients.variance * np.eye(len(y))
        across = rows[i] @ between @ w.T
        pull = np.linalg.solve(covariance, across)
        own = rows[i] @ between @ rows[i] + noise[i] * patients.variance
        assert mean[i] == pytest.approx(rows[i] @ patients.offsets[i] + pull @ (y - w @ patients.offsets[i]), abs=1e-9)
        assert variance[i] == pytest.approx(own - pull @ across, rel=1e-9)
