"""Simulate a trial of repeated injections: a design and a known truth become the tables of a trial folder.

Independent of the models, so that they can be tested against it. Every trap is a field of `Design` or `OutcomeTruth`
that is off unless set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from slopeshift.simulate.cohort import DAYS_PER_MONTH, OUTCOMES, Array, Cohort, OutcomeTruth, Truth, generator, refuse
from slopeshift.simulate.conduct import (
    REFERENCE_SCORE,
    Course,
    Design,
    IntervalEffect,
    Mask,
    follow,
    screen,
    with_interval_effect,
)

__all__ = ["Design", "IntervalEffect", "OutcomeTruth", "Simulated", "Truth", "default_trial", "simulate", "write"]

PLANNED_INTERVAL = 3.0  # months; NCT04821479
FORMATS = {
    "month": ".2f",
    "onset_month": ".2f",
    "end_month": ".2f",
    "planned_month": ".2f",
    "alsfrsr": ".0f",
    "fvc": ".1f",
}


@dataclass(frozen=True)
class Simulated:
    """Hold a simulated trial: tables in the native format, every true value, the true scores at each row of visits."""

    tables: Mapping[str, pd.DataFrame]
    truth: Mapping[str, Any]
    latent: pd.DataFrame


def simulate(design: Design, truth: Truth, seed: int, interval_effect: IntervalEffect | None = None) -> Simulated:
    """Simulate one trial; the same arguments give the same trial. The interval has no effect unless one is given.

    Raises ValueError where design and truth disagree on the number of injections, or where too few candidates meet the
    entry rules.
    """
    cycles = len(design.patients_per_cycle)
    found = f"{cycles} patients_per_cycle, {truth.injections} changes: give as many of one as of the other"
    refuse("design and truth", (cycles not in (0, truth.injections), found))
    cohort = screen(design, truth, seed, pool=design.enrolled)
    if interval_effect is not None:
        cohort = with_interval_effect(design, cohort, interval_effect, seed)
    course = follow(design, cohort, seed)
    visits, latent = _visits(design, cohort, course, seed)
    tables = {
        "patients": _patients(design, course, seed),
        "visits": visits,
        "injections": _injections(course, seed),
        "events": _events(design, course, seed),
    }
    truth_of_interval = {} if interval_effect is None else {"interval_effect": asdict(interval_effect)}
    return Simulated(tables, _true_values(design, cohort, seed) | truth_of_interval, latent)


def write(
    simulated: Simulated,
    settings: Mapping[str, str | bool],
    directory: Path,
    entry: Sequence[Mapping[str, str | float]] = (),
    sections: Mapping[str, Mapping[str, str | bool | float]] | None = None,
) -> None:
    """Write the trial folder: four tables, `trial.toml`, `truth.json`; same trial, same bytes.

    `trial.toml` has the settings, and the rules of `entry`, which `Design.entry` lists, a block each, and `sections` by
    their names.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, table in simulated.tables.items():
        written = {column: _text(table[column], FORMATS[column]) for column in table if column in FORMATS}
        text = table.assign(**written)
        (directory / f"{name}.csv").write_bytes(text.to_csv(index=False, lineterminator="\n").encode())
    blocks = [_toml(settings), *(f"\n[[entry]]\n{_toml(rule)}" for rule in entry)]
    blocks += [f"\n[{name}]\n{_toml(section)}" for name, section in (sections or {}).items()]
    (directory / "trial.toml").write_bytes("".join(blocks).encode())
    (directory / "truth.json").write_bytes((json.dumps(simulated.truth, indent=1, allow_nan=False) + "\n").encode())


def _toml(section: Mapping[str, str | bool | float]) -> str:
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in section.items())


DEFAULT_DESIGN = Design(
    enrolled=20,
    patients_per_cycle=(19, 12, 10),  # Petrou 2021
    visit_jitter=3,
    inclusion_score=20.0,  # Petrou 2021
    missed_visits=0.03,
    missing_alsfrsr=0.01,
    missing_fvc=0.08,
    missing_fvc_per_point=0.04,
    lowest_fvc=20.0,  # by judgement
    death_hazard=0.01,  # platform placebo
    dropout_hazard=0.03,  # 2 to 7 % a month leave ALS trials
    adverse_events=(
        ("headache", 0.35),
        ("back pain", 0.25),
        ("fever", 0.15),
        ("leg pain", 0.12),
        ("nausea", 0.10),
        ("neck stiffness", 0.06),
    ),
)
DEFAULT_TRUTH = Truth(
    alsfrsr=OutcomeTruth(
        level=35.0,
        slope=-1.03,
        change=(0.35, 0.30, 0.25),
        sd_level=5.0,
        sd_slope=0.85,
        sd_response=0.30,
        sd_cycle=0.12,
        sigma=1.9,
        slope_distribution="mixture",
    ),
    fvc=OutcomeTruth(
        level=85.0,
        slope=-2.4,
        change=(0.6, 0.5, 0.5),
        sd_level=17.0,
        sd_slope=1.9,
        sd_response=0.6,
        sd_cycle=0.3,
        sigma=5.9,
        slope_distribution="gamma",
    ),
)
DEFAULT_SEED = 2023
"""The first seed, from the year of the publication on, at which every injection is followed by an ALSFRS-R value of its
patient within the cycle, and more than one patient dies."""

DEFAULT_SETTINGS: Mapping[str, str | bool] = {
    "title": "SYNTHETIC trial of repeated intrathecal cell injections in ALS",
    "synthetic": True,
    "source": "SYNTHETIC: simulated by slopeshift to the published shape of doi 10.52586/4980; no patient is real",
}


def default_trial() -> Simulated:
    """Return the trial committed as `data/synthetic-msc-als`."""
    return simulate(DEFAULT_DESIGN, DEFAULT_TRUTH, DEFAULT_SEED)


def _visits(design: Design, cohort: Cohort, course: Course, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the visits as measured, and the same rows with true scores; a visit with no value did not happen."""
    rows, columns = np.nonzero(course.visited)
    frame = pd.DataFrame({"patient": _names(len(course.end_day))[rows], "month": _months(cohort.day[columns])})
    measured = {name: cohort.measured(name, course.injection_day)[rows, columns] for name in OUTCOMES}
    true = {name: cohort.mean(name, course.injection_day)[rows, columns] for name in OUTCOMES}
    decided = (columns == 0) | (cohort.day[columns] == 0) if design.entry else np.zeros(len(columns), dtype=bool)
    missing = _missing(design, measured, decided, seed)
    visits = frame.assign(**{name: np.where(missing[name], np.nan, measured[name]) for name in OUTCOMES})
    seen = ~visits[list(OUTCOMES)].isna().all(axis=1)
    latent = frame.assign(month=cohort.day[columns] / DAYS_PER_MONTH, **true)
    return visits[seen].reset_index(drop=True), latent[seen].reset_index(drop=True)


def _missing(design: Design, measured: Mapping[str, Array], decided: Mask, seed: int) -> dict[str, Mask]:
    """Say which values are missing; an FVC the more often the lower the ALSFRS-R, and always where it is too low.

    No score is by which entry was `decided`.
    """
    score = measured["alsfrsr"]
    rng, share = generator(seed, "missing"), design.missing_fvc
    odds = share / (1 - share) * np.exp(design.missing_fvc_per_point * (REFERENCE_SCORE - score))
    unseen = rng.random(len(score)) < design.missing_alsfrsr
    return {
        "alsfrsr": unseen & ~decided,
        "fvc": (rng.random(len(score)) < odds / (1 + odds)) | (measured["fvc"] < design.lowest_fvc),
    }


def _injections(course: Course, seed: int) -> pd.DataFrame:
    """Return the injections given, with a dose of about 10^6 cells per kg body weight."""
    weight = generator(seed, "dose").normal(73, 8, len(course.end_day))
    rows, columns = np.nonzero(np.isfinite(course.injection_day))
    day = course.injection_day[rows, columns]
    previous = np.where(columns > 0, course.injection_day[rows, columns - 1], -PLANNED_INTERVAL * DAYS_PER_MONTH)
    return pd.DataFrame(
        {
            "patient": _names(len(course.end_day))[rows],
            "injection": columns + 1,
            "month": _months(day),
            "dose": np.clip(weight[rows].round(), 60, 90).astype(int),
            "route": "intrathecal",
            "planned_month": _months(previous + PLANNED_INTERVAL * DAYS_PER_MONTH),
        }
    )


def _events(design: Design, course: Course, seed: int) -> pd.DataFrame:
    """Return the adverse events of the first days after each injection; none is serious."""
    rng = generator(seed, "events")
    probability = np.array([probability for _, probability in design.adverse_events])
    occurred = rng.random((*course.injection_day.shape, len(probability))) < probability
    day = course.injection_day[:, :, None] + rng.integers(0, 4, occurred.shape)
    grade = 1 + (rng.random(occurred.shape) < 0.25)
    found = occurred & (day <= course.end_day[:, None, None])
    rows, _, terms = np.nonzero(found)
    table = pd.DataFrame(
        {
            "patient": _names(len(course.end_day))[rows],
            "month": _months(day[found]),
            "term": np.array([term for term, _ in design.adverse_events], dtype=object)[terms],
            "serious": "no",
            "grade": grade[found],
            "related": "yes",
        }
    )
    return table.sort_values(["patient", "month", "term"], ignore_index=True)


def _patients(design: Design, course: Course, seed: int) -> pd.DataFrame:
    """Return the patients: age and duration within the limits of Petrou 2021, duration and site of an Irish cohort.

    Age, sex and riluzole are by judgement.
    """
    rng = generator(seed, "patients")
    share = rng.random((5, len(course.end_day)))
    duration = np.exp(_truncated_normal(share[0], math.log(14.76), 0.66, math.log(36)))
    return pd.DataFrame(
        {
            "patient": _names(len(course.end_day)),
            "age": np.maximum(_truncated_normal(share[1], 57, 10, 70), 20).astype(int),
            "sex": np.where(share[2] < 0.6, "male", "female"),
            "onset_site": np.where(share[3] < 0.308, "bulbar", "limb"),
            "onset_month": _months((-design.lead_in - duration) * DAYS_PER_MONTH),
            "riluzole": np.where(share[4] < 0.8, "yes", "no"),
            "end_month": _months(course.end_day),
            "end_reason": course.end_reason,
        }
    )


def _truncated_normal(share: Array, mean: float, sd: float, maximum: float) -> Array:
    normal = NormalDist(mean, sd)
    return np.array([normal.inv_cdf(value) for value in np.clip(share, 1e-12, None) * normal.cdf(maximum)])


def _true_values(design: Design, cohort: Cohort, seed: int) -> dict[str, Any]:
    """Return everything a fit should recover, ready for JSON; a switch that is off by being infinite is null."""
    patients = [
        {"patient": patient} | {name: _true_patient(cohort, name, row) for name in OUTCOMES}
        for row, patient in enumerate(_names(design.enrolled))
    ]
    return {
        "seed": seed,
        "design": _plain(asdict(design)),
        "population": _plain(asdict(cohort.truth)),
        "patients": patients,
    }


def _true_patient(cohort: Cohort, outcome: str, row: int) -> dict[str, Any]:
    c = cohort.coefficients[outcome]
    return {
        "level": round(float(c.level[row]), 4),
        "slope": round(float(c.slope[row]), 4),
        "response": round(float(c.response[row]), 4),
        "change": [round(float(change), 4) for change in c.change[row]],
        "curvature": round(float(c.curvature[row]), 4),
    }


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(value) if isinstance(value, Mapping) else None if value in (math.inf, -math.inf) else value
        for name, value in fields.items()
    }


def _text(column: pd.Series, form: str) -> list[str]:
    return ["" if math.isnan(value) else format(value, form) for value in column]


def _names(patients: int) -> Array:
    width = max(len(str(patients)), 2)
    return np.array([f"P{number:0{width}d}" for number in range(1, patients + 1)], dtype=object)


def _months(days: Array) -> Array:
    """Return months with the two decimals of the tables."""
    return np.round(days / DAYS_PER_MONTH, 2)
