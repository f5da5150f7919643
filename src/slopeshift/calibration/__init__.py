"""Simulation-based calibration: is the posterior that a model reports the posterior that its own prior implies?

Parameters are drawn from a model's prior and values from these; where the model, its density, its sampler and all that
is derived from its draws are right, the rank of a true value among the draws from its posterior is uniform (Talts et
al. 2018, arXiv 1804.06788). No truth but the model's own is assumed: it says that the program is right, not that ALS is
as the model says.
"""


class CalibrationError(ValueError):
    """A calibration cannot be relied on; the text says why."""
