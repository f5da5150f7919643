"""Interval, negative control: was the next injection given early or late because of how the patient did?

x_ik ~ Normal(mean_interval + interval_control seen_ik + habit_i, sqrt(sd_interval^2 + 0.1^2))
x_ik   = months from injection k to k + 1;  habit_i ~ Normal(0, sd_habit)
seen_ik = least-squares slope over the first three months of cycle k, less that of the lead-in: what could be seen then
interval_control ~ Normal(0, 0.5)    months, per point a month of seen change

A check of interval.py that looks the other way: the slope of the first months comes before the next injection, so how
late that is cannot have caused it, and interval_control is 0 unless the response decided the interval, or both have one
cause. Whoever decided acted on the slopes that were seen, noise included, so here they stand without an error of their
own. The scores have the model of alsfrsr.py, with which this regression shares no parameter.
"""

import pymc as pm

from slopeshift.design.cycles import seen_changes
from slopeshift.model.beside import regression_by_patient
from slopeshift.model.files import variation
from slopeshift.model.priors import HalfNormal, Normal
from slopeshift.model.program import Beside

OUTCOME = "alsfrsr"
SEEN = 3.0  # months; an injection every three months was planned in NCT04821479
DAYS = 0.1  # months; no appointment is kept more exactly, and intervals may all be the same

PRIORS = {
    "interval_control": (
        Normal(0, 0.5, unit="months per points/month", why="not tight, which would hide it", basis="weak"),
        "regression of the interval on the change seen before it",
    ),
    "mean_interval": (Normal(4.5, 3, unit="months", why="95 % below 9.4", basis="weak"), "mean interval"),
    "sd_habit": (
        HalfNormal(1, unit="months", why="95 % below 2", basis="weak"),
        "SD of intervals between patients",
    ),
    "sd_interval": (
        HalfNormal(2, unit="months", why="95 % below 3.9", basis="weak"),
        "SD of intervals of a patient",
    ),
}


def observe(trial, visits, interval_control, mean_interval, sd_habit, sd_interval):
    cycles = seen_changes(trial, visits, SEEN)
    pm.modelcontext(None).add_coord("closed_cycle", cycles.index)
    seen = pm.Data("seen_change", cycles["seen"], dims="closed_cycle")
    months = pm.Data("interval", cycles["months"], dims="closed_cycle")
    patient = pm.Data("seen_patient", cycles["patient_index"], dims="closed_cycle")
    regression_by_patient(
        "interval_given",
        months,
        seen,
        patient,
        mean=mean_interval,
        slope=interval_control,
        sd_patient=sd_habit,
        sd=sd_interval,
        known=DAYS,
        z="habit_z",
    )


build = variation("alsfrsr.py", beside=Beside(observe, PRIORS))
