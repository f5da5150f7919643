"""ALSFRS-R by formula: straight lines with the interval, as one Bambi formula, without correlations.

score_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = months spent by time t while injection k was the latest;  since = b_1 + ... + b_K;  month = t
change_ik = since + b_k + interval_within (x_ik - xbar_i) + interval_between (xbar_i - xbar)
            + response_i + cycle_ik                                   (> 0: slower decline than in the lead-in)
level_i, slope_i, response_i, cycle_ik ~ Normal, independent, with sd_level, sd_slope, sd_response, sd_cycle

Change the model by changing FORMULA and PRIORS: every term needs a prior, and a prior a term. The priors are those of
alsfrsr.py and interval.py, but courses do not bend by themselves here, as in alsfrsr_straight.py. Bambi has no
correlated group effects (github.com/bambinos/bambi, issue 702). Without the correlation of lead-in slope and response,
regression to the mean is told from effect less well. The answers of the other files are the ones to report.
"""

from slopeshift.model.formula import Formula, between_patients
from slopeshift.model.priors import Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"
RATE, AS_THERE = "points/month", "as in alsfrsr.py"

FORMULA = """
alsfrsr ~ 1 + month + since + b1 + ... + bK + interval_within + interval_between
          + (1 + month + since + b1 + ... + bK | patient)
"""
SMALL = Normal(0, 0.1, unit="points/month per month", why="as in interval.py", basis="weak")
SD_LEVEL = HalfNormal(5, unit="points", why=AS_THERE, basis="weak")
SD_SLOPE = Gamma(0.75, 0.25, unit=RATE, why=AS_THERE, basis="historical")

PRIORS = {
    "Intercept": Normal(35, 4, unit="points", why=AS_THERE, basis="historical"),
    "month": Normal(-1.0, 0.4, unit=RATE, why=AS_THERE, basis="historical"),
    "since": Normal(0, 0.3, unit=RATE, why="common to all injections, as in alsfrsr.py", basis="weak"),
    "bk": Normal(0, 0.15, unit=RATE, why="of each injection, as in alsfrsr.py", basis="weak"),
    "interval_within": SMALL,
    "interval_between": SMALL,
    "1|patient": between_patients("sd_level", SD_LEVEL, known_to_differ=True),
    "month|patient": between_patients("sd_slope", SD_SLOPE, known_to_differ=True),
    "since|patient": between_patients("sd_response", HalfNormal(0.3, unit=RATE, why=AS_THERE, basis="weak")),
    "bk|patient": between_patients("sd_cycle", HalfNormal(0.15, unit=RATE, why=AS_THERE, basis="weak")),
    "sigma": Gamma(2.0, 0.4, unit="points", why=AS_THERE, basis="historical"),
}

build = Formula(FORMULA, PRIORS)
