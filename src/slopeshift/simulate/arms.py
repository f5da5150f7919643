"""A controlled trial: two groups of one population, one injected with what acts, the other with a sham."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_TRUTH, Design, Simulated, simulate, write
from slopeshift.simulate.cohort import OUTCOMES, OutcomeTruth, Truth, generator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONTROL, TREATED = "placebo", "cells"
"""Names of the arms, and of what is injected in them."""


DESIGN = replace(DEFAULT_DESIGN, enrolled=30, patients_per_cycle=(), minimum_loss=3.0, follow_up=4.0)
"""Two arms of 30, who had to lose 3 points to enter, and are all injected until they leave."""

TRUTH = Truth(
    alsfrsr=replace(
        DEFAULT_TRUTH.alsfrsr,
        level=32.0,
        change=(0.0, 0.0, 0.0),
        sd_level=4.0,
        sd_slope=0.6,
        curvature=0.04,
        sd_curvature=0.03,
        slope_distribution="normal",
    ),
    fvc=replace(DEFAULT_TRUTH.fvc, level=75.0, change=(0.0, 0.0, 0.0), curvature=0.05, sd_curvature=0.05),
)
"""Of the control: nothing changes after a sham, and courses flatten by themselves."""

EFFECT: Mapping[str, float] = {"alsfrsr": 0.5, "fvc": 1.0}
"""What the treated have more, in outcome units a month."""

SEED = 2024
SETTINGS: Mapping[str, str | bool] = {
    "title": "SYNTHETIC randomised trial of repeated intrathecal cell injections in ALS, against a sham",
    "synthetic": True,
    "source": "SYNTHETIC: simulated by slopeshift; no patient is real",
}
SECTIONS: Mapping[str, Mapping[str, str | bool | float]] = {
    "arms": {"control": CONTROL, "randomised": True},
    "arms.minimal_difference": {"alsfrsr": 0.2, "fvc": 0.5},
}
"""What `trial.toml` says of the arms."""


def write_controlled(directory: Path, seed: int = SEED) -> None:
    """Write the trial that is committed as `data/synthetic-rct-als`, or another of its design."""
    write(two_arms(DESIGN, TRUTH, EFFECT, seed), SETTINGS, directory, DESIGN.entry, SECTIONS)


def two_arms(design: Design, truth: Truth, effect: Mapping[str, float], seed: int) -> Simulated:
    """Simulate a trial of twice `design.enrolled` patients, half of whom are randomised to a sham.

    `truth` is that of the control, with the changes of slope after its sham injections. `effect` is, by outcome, what
    is added to every change of the treated, in outcome units a month. The same arguments give the same trial. Raises
    ValueError as `simulate` does.
    """
    seeds = seeds_of(seed)
    parts = {
        CONTROL: simulate(design, truth, seeds[0]),
        TREATED: simulate(design, _treated(truth, effect), seeds[1]),
    }
    return joined(parts, effect, seed)


def seeds_of(seed: int) -> list[int]:
    """Give the seeds of the control and of the treated, from that of their trial."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(2)]


def joined(parts: Mapping[str, Simulated], effect: Mapping[str, float], seed: int) -> Simulated:
    """Put CONTROL and TREATED, of any sizes, together as the arms of one trial, its patients in a random order."""
    sizes = [len(part.tables["patients"]) for part in parts.values()]
    number = sum(sizes)
    width = max(len(str(number)), 2)
    names = np.array([f"P{place:0{width}d}" for place in range(1, number + 1)], dtype=object)
    places = np.split(generator(seed, "allocation").permutation(number), np.cumsum(sizes)[:-1])
    called = {
        arm: dict(zip(part.tables["patients"]["patient"], names[np.sort(place)], strict=True))
        for (arm, part), place in zip(parts.items(), places, strict=True)
    }
    tables = {name: _joined({arm: part.tables[name] for arm, part in parts.items()}, called) for name in _TABLES}
    tables["patients"] = _after(tables["patients"], "patient", "arm")
    tables["injections"] = _after(tables["injections"].rename(columns={"arm": "agent"}), "month", "agent")
    tables["injections"]["dose"] = tables["injections"]["dose"].where(tables["injections"]["agent"] == TREATED)
    tables = {name: t.drop(columns="arm") if name in ("visits", "events") else t for name, t in tables.items()}
    latent = _joined({arm: part.latent for arm, part in parts.items()}, called).drop(columns="arm")
    return Simulated(tables, _true(parts, called, effect, seed), latent)


_TABLES = ("patients", "visits", "injections", "events")


def _treated(truth: Truth, effect: Mapping[str, float]) -> Truth:
    def moved(name: str) -> OutcomeTruth:
        of: OutcomeTruth = getattr(truth, name)
        return replace(of, change=tuple(change + effect.get(name, 0.0) for change in of.change))

    of_each: dict[str, Any] = {name: moved(name) for name in OUTCOMES}
    return replace(truth, **of_each)


def _joined(tables: Mapping[str, pd.DataFrame], called: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Put the tables of the arms together, patients under their new names and in their order, with a column `arm`."""
    found = [table.assign(patient=table["patient"].map(called[arm]), arm=arm) for arm, table in tables.items()]
    return pd.concat(found).sort_values("patient", kind="stable", ignore_index=True)


def _after(table: pd.DataFrame, before: str, name: str) -> pd.DataFrame:
    columns = [column for column in table if column != name]
    columns.insert(columns.index(before) + 1, name)
    return table[columns]


def _true(
    parts: Mapping[str, Simulated], called: Mapping[str, Mapping[str, str]], effect: Mapping[str, float], seed: int
) -> dict[str, Any]:
    """Say what a fit should recover: the truth of each arm, and its patients by their new names."""
    patients = [
        {**each, "patient": called[arm][each["patient"]], "arm": arm}
        for arm, part in parts.items()
        for each in part.truth["patients"]
    ]
    return {
        "seed": seed,
        "design": parts[CONTROL].truth["design"],
        "effect": dict(effect),
        "population": {arm: part.truth["population"] for arm, part in parts.items()},
        "patients": sorted(patients, key=lambda each: str(each["patient"])),
    }
