"""Densities of patients given the whole population, each with a mean of its own, against dense normals."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from test_marginal import Problem

from slopeshift.engine.patients import log_densities

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
