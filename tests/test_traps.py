"""Every trap has a check that finds it, by the committed rates, which are those of the code, by a few trials."""

import sys

import pandas as pd
import pytest
from trials import ROOT

sys.path.insert(0, str(ROOT / "validation"))

from trap_cells import LARGE, PUBLISHED, TRAPS
from trap_checks import BY_WINDOW, LEAVERS, PSEUDO, TrapJob
from trap_page import STANDS_IN, page
from traps import COLUMNS, SEED, rates_of, rows_of

from slopeshift.checks import predictive

ALL_TRAPS = range(1, 19)
MARGIN = 0.4
"""By how much more often a check must fire with its trap than without, at some size."""

CLEAN, ALLOWED = 0.05, {5: 0.10}
"""Share of trials without its trap in which it may fire; more where it is a 95 % interval (trap 5)."""


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(ROOT / "validation" / "traps.csv")


@pytest.mark.parametrize("number", sorted({trap.number for trap in TRAPS}))
def test_a_check_fires_with_its_trap_and_is_silent_without(table, number):
    meant = table[(table["trap"] == number) & table["meant"]]
    found = meant[
        (meant["fired_on"] >= meant["fired_off"] + MARGIN) & (meant["fired_off"] <= ALLOWED.get(number, CLEAN))
    ]
    assert len(found)


@pytest.mark.parametrize(
    ("check", "patients", "least"), [(BY_WINDOW, LARGE, 0.4), (LEAVERS, PUBLISHED, 0.5), (PSEUDO, 100, 0.7)]
)
def test_a_check_made_for_a_trap_finds_it_at_its_size_and_is_silent_without_at_every_size(
    table, check, patients, least
):
    meant = table[(table["check"] == check) & table["meant"]]
    assert meant.loc[meant["patients_on"] == patients, "fired_on"].min() >= least
    assert meant["fired_off"].max() <= CLEAN


def test_every_trap_has_a_rate_or_says_what_stands_in(table):
    told = {int(name.split(".")[0]) for name in STANDS_IN}
    assert set(table["trap"]) | told == set(ALL_TRAPS)
    assert set(table["trap"]) == {trap.number for trap in TRAPS}


def test_every_rate_is_of_a_hundred_trials_or_of_those_in_which_it_could_be_computed(table):
    assert table.groupby(["trap", "name", "patients_on"])["n_on"].max().min() >= 100
    assert table.groupby(["trap", "name", "patients_on"])["n_off"].max().min() >= 100


def test_the_checks_meant_for_a_trap_are_all_in_the_table(table):
    for trap in TRAPS:
        rows = table[
            (table["trap"] == trap.number) & (table["patients_on"] == trap.on.design.enrolled) & table["meant"]
        ]
        assert set(trap.checks) <= set(rows["check"])


def test_checks_of_a_fit_that_fire_at_one_per_cent_do_so_on_clean_trials(table):
    """Of 100 trials, chance makes a check of 1 % fire in more than 5 once in 2,000."""
    of_fits = table[(table["trap"] == 16) & (table["patients_on"] == PUBLISHED)]
    usual = of_fits[~of_fits["check"].isin(["slower decline claimed", "values near an end of the scale"])]
    assert len(usual) > 15
    assert usual["fired_off"].max() <= 0.05


def test_the_committed_page_is_that_of_the_committed_table(table):
    assert page(table, SEED) == (ROOT / "validation" / "traps.md").read_text()


def test_trials_with_a_trap_and_without_differ_in_the_trap_alone():
    for trap in TRAPS:
        on, off = trap.on, trap.off
        assert on != off
        if on.design.enrolled == off.design.enrolled and on.truth.change == off.truth.change:
            parts = [(getattr(on, part), getattr(off, part)) for part in ("design", "truth")]
            differ = [f for a, b in parts for f in a.__dataclass_fields__ if getattr(a, f) != getattr(b, f)]
            differ += [
                field for field in ("raised", "control", "interval_effect") if getattr(on, field) != getattr(off, field)
            ]
            assert 1 <= len(differ) <= 2, trap.name


def test_a_check_that_could_not_be_computed_is_left_out_of_its_rate():
    rows = pd.DataFrame({"check": ["a", "a", "b"], "value": [1.0, float("nan"), 2.0], "fired": [True, False, False]})
    found = rates_of(rows)
    assert found.loc["a"].tolist() == [1.0, 1.0, 1.0]
    assert found.loc["b", "fired"] == 0


def test_a_row_has_both_rates_and_whether_the_check_is_meant():
    trap = next(trap for trap in TRAPS if trap.number == 2)
    rates = pd.DataFrame({"fired": [0.5, 0.1], "n": [100, 100], "mean": [0.0, 1.0]}, index=[trap.checks[0], "other"])
    rows = rows_of(trap, {trap.on: rates, trap.off: rates.assign(fired=0.01)})
    assert list(rows.columns) == COLUMNS.split()
    assert rows["meant"].tolist() == [True, False]
    assert rows["fired_on"].tolist() == [0.5, 0.1]
    assert rows["fired_off"].tolist() == [0.01, 0.01]


@pytest.mark.slow
def test_a_few_trials_anew_say_what_the_table_says():
    """An entry rule is seen in every trial, and where there is none, in none."""
    trap = TRAPS[0]
    fired = {}
    for cell in (trap.on, trap.off):
        job = TrapJob(cell.other(looks=("usual",)), SEED)
        rows = pd.DataFrame([row for replicate in range(6) for row in job.rows(replicate)])
        fired[cell] = rates_of(rows).loc[predictive.ENTRY, "fired"]
    assert fired[trap.on] == 1
    assert fired[trap.off] == 0


@pytest.mark.slow
def test_a_replicate_is_the_same_whenever_it_is_done():
    job = TrapJob(TRAPS[1].on.other(looks=("added",)), SEED)
    assert job.rows(3) == job.rows(3)
