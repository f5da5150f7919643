"""ALSFRS-R, bounded: the course of a latent score, which is rounded to a whole number, and recorded as 0 or 48 beyond.

latent_ij ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
score_ij  = round(latent_ij), not below 0 nor above 48

All else as in alsfrsr.py, which takes a score at an end of the scale for one that has stopped moving: near the floor a
decline seems to slow by itself. The coefficients here are those of the latent course, in points, and may run beyond the
scale. They are sampled, not integrated out, because a rounded normal is none.
"""

from slopeshift.model.families import bounded
from slopeshift.model.files import variation

OUTCOME = "alsfrsr"
build = variation("alsfrsr.py", family=bounded())  # sigma is that of the latent score: rounding is apart
