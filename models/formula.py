"""ALSFRS-R by formula: the lines of alsfrsr.py and interval.py as one Bambi formula, without correlations.

score_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = months spent by time t while injection k was the latest;  since = b_1 + ... + b_K;  month = t
change_ik = since + b_k + interval_within (x_ik - xbar_i) + interval_between (xbar_i - xbar)
            + response_i + cycle_ik                                   (> 0: slower decline than in the lead-in)
level_i, slope_i, response_i, cycle_ik ~ Normal, independent, with sd_level, sd_slope, sd_response, sd_cycle

Change the model by changing FORMULA and PRIORS: every term needs a prior, and a prior a term. The priors are those of
the two other files. Bambi has no correlated group effects (github.com/bambinos/bambi, issue 702). Without the
correlation of lead-in slope and response, regression to the mean is told from effect less well than by alsfrsr.py and
interval.py, whose answers are the ones to report.
"""

import bambi as bmb

from slopeshift.model.formula import between_patients, formula_model

OUTCOME = "alsfrsr"

FORMULA = """
alsfrsr ~ 1 + month + since + b1 + ... + bK + interval_within + interval_between
          + (1 + month + since + b1 + ... + bK | patient)
"""

PRIORS = {
    "Intercept": bmb.Prior("Normal", mu=35, sigma=4),  # points
    "month": bmb.Prior("Normal", mu=-1.0, sigma=0.4),  # points/month
    "since": bmb.Prior("Normal", mu=0, sigma=0.3),  # points/month, common to all injections
    "bk": bmb.Prior("Normal", mu=0, sigma=0.15),  # points/month, of each injection
    "interval_within": bmb.Prior("Normal", mu=0, sigma=0.1),  # points/month per month of interval
    "interval_between": bmb.Prior("Normal", mu=0, sigma=0.1),
    "1|patient": between_patients("sd_level", bmb.Prior("HalfNormal", sigma=5), known_to_differ=True),
    "month|patient": between_patients("sd_slope", bmb.Prior("Gamma", mu=0.75, sigma=0.25), known_to_differ=True),
    "since|patient": between_patients("sd_response", bmb.Prior("HalfNormal", sigma=0.3)),
    "bk|patient": between_patients("sd_cycle", bmb.Prior("HalfNormal", sigma=0.15)),
    "sigma": bmb.Prior("Gamma", mu=2.0, sigma=0.4),  # points
}


def build(trial):
    return formula_model(FORMULA, PRIORS, trial)
