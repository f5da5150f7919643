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
from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"
SEEN = 3.0  # months; an injection every three months was planned in NCT04821479
DAYS = 0.1  # months; no appointment is kept more exactly, and intervals may all be the same


def build(trial):
    visits = visits_of(trial, OUTCOME)
    cycles = seen_changes(trial, visits, SEEN)
    with pm.Model(coords=visits.coords | {"closed_cycle": cycles.index}) as model:
        curve = piecewise_line(
            visits,
            level=Normal(35, 4),  # points
            slope=lead_in_slope(trial, OUTCOME, Normal(-1.0, 0.4)),  # points/month
            change=Normal(0, 0.3),  # points/month
            change_by_injection=Normal(0, 0.15),  # points/month
            sd_level=HalfNormal(5),  # points
            sd_slope=Gamma(0.75, 0.25),  # points/month
            sd_response=HalfNormal(0.3),  # points/month, between patients
            sd_cycle=HalfNormal(0.15),  # points/month, between cycles of a patient
            correlation=LKJ(2),
        )
        normal(curve, sigma=Gamma(2.0, 0.4))  # points

        seen = pm.Data("seen_change", cycles["seen"], dims="closed_cycle")
        months = pm.Data("interval", cycles["months"], dims="closed_cycle")
        slope = pm.Normal("interval_control", 0, 0.5)  # months per point/month; not tight, which would hide it
        mean = pm.Normal("mean_interval", 4.5, 3)  # months
        sd_habit = pm.HalfNormal("sd_habit", 1)  # months, between patients
        habit = sd_habit * pm.Normal("habit_z", dims="patient")
        patient = pm.Data("seen_patient", cycles["patient_index"], dims="closed_cycle")
        expected = mean + slope * seen + habit[patient]
        scatter = pm.math.sqrt(pm.HalfNormal("sd_interval", 2) ** 2 + DAYS**2)
        pm.Normal("interval_given", expected, scatter, observed=months, dims="closed_cycle")
    return model
