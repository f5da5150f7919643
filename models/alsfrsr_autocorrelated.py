"""ALSFRS-R, autocorrelated: the course of alsfrsr.py, where scores that follow soon after each other err alike.

score_ij  = level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij) + r_ij
r_ij      ~ Normal(0, sigma),   corr(r_ij, r_ij') = autocorrelation^|t_ij - t_ij'|
autocorrelation ~ Beta(1, 3)             at one month; 0 is alsfrsr.py

All else as in alsfrsr.py, where residuals are independent, and a patient who has a bad month at three visits has three
witnesses of a change of slope instead of one. Values less than half a month apart count as half a month apart, because
two ratings of one day have errors of their own. What is stored as the log likelihood of a score is that given the one
before it.
"""

from slopeshift.model.families import autocorrelated
from slopeshift.model.files import variation
from slopeshift.model.priors import Beta

OUTCOME = "alsfrsr"
NONE_LIKELIEST = "none is likeliest; above 0.63, which would be a trend, only 5 %"

build = variation(
    "alsfrsr.py",
    family=autocorrelated(autocorrelation=Beta(1, 3, unit="correlation", why=NONE_LIKELIEST, basis="weak")),
)
