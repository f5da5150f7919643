"""The patients of either arm at baseline, against sums made by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from trials import ROOT, line_trial

from slopeshift.classical.baseline import COLUMNS, FIRST, LAST, baseline
from slopeshift.report.markup import templates
from slopeshift.report.sections.data import baseline as printed
from slopeshift.report.sections.data import details
from slopeshift.trial import read_trial, trial_from_tables

PATIENTS = {
    "arm": ["A", "B", "A", "B", "A", "A"],
    "age": [50.0, 60.0, 70.0, np.nan, 60.0, 40.0],
    "sex": ["male", "female", "female", "male", None, "female"],
    "riluzole": ["yes", "no", "yes", "yes", "no", "no"],
    "onset_month": [-20.0, -10.0, -30.0, -12.0, np.nan, -24.0],
    "end_month": [9.0] * 6,
    "end_reason": ["completed"] * 6,
}
SETTINGS = {"title": "Arms", "synthetic": True, "source": "test"}


def in_arms(**arms):
    trial = line_trial()
    tables = {name: getattr(trial, name) for name in ("patients", "visits", "injections")}
    kept = tables["patients"][["patient"]]
    tables["patients"] = kept.assign(**{name: pd.Series(cells, dtype=object) for name, cells in PATIENTS.items()})
    return trial_from_tables("arms", tables, SETTINGS | ({"arms": arms} if arms else {}))


TRIAL = in_arms(control="B", randomised=True)


def row(quantity, arm, level=""):
    found = baseline(TRIAL)
    chosen = found[(found["quantity"] == quantity) & (found["arm"] == arm) & (found["level"] == level)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_numbers_have_mean_sd_median_and_quartiles_of_the_patients_with_a_value():
    found = row("age", "A")
    assert (found["n_patients"], found["n_known"], found["mean"], found["median"]) == (4, 4, 55.0, 55.0)
    assert found["sd"] == pytest.approx(np.std([50, 70, 60, 40], ddof=1))
    assert (found["lower_quartile"], found["upper_quartile"]) == (47.5, 62.5)
    assert (row("age", "B")["n_known"], row("age", "B")["mean"]) == (1, 60.0)


def test_levels_are_counted_among_the_patients_with_a_value_and_no_is_left_out_beside_yes():
    assert tuple(row("sex", "A", "female")[["n", "n_known"]]) == (2, 3)
    assert tuple(row("riluzole", "A", "yes")[["n", "n_known"]]) == (2, 4)
    assert set(baseline(TRIAL).query("quantity == 'riluzole'")["level"]) == {"yes"}


def test_onset_is_so_many_months_before_the_first_injection():
    found = row("time since onset", "B")
    assert (found["mean"], found["unit"]) == (11.0, "months")


def test_outcomes_are_taken_before_any_injection_acts_and_nothing_from_afterwards():
    found = baseline(TRIAL)
    assert not {"end_month", "end_reason", "arm", "patient"} & set(found["quantity"])
    label = TRIAL.outcomes["alsfrsr"].label
    before = TRIAL.visits[TRIAL.visits["month"] <= 0].sort_values("month")
    mine = before[before["patient"].isin(["P2", "P4"])].groupby("patient")["alsfrsr"]
    assert row(f"{label}, {FIRST}", "B")["mean"] == pytest.approx(mine.first().mean())
    assert row(f"{label}, {LAST}", "B")["mean"] == pytest.approx(mine.last().mean())
    assert not np.isclose(mine.first().mean(), mine.last().mean())


def test_only_patients_in_arms_are_described():
    assert list(baseline(in_arms()).columns) == COLUMNS.split()
    assert baseline(in_arms()).empty
    assert baseline(read_trial(ROOT / "data" / "synthetic-msc-als")).empty
    assert printed(baseline(in_arms()), "B") is None


@pytest.mark.parametrize("randomised", [True, False])
def test_only_of_randomised_arms_is_every_difference_one_of_chance(randomised):
    trial = in_arms(control="B", randomised=randomised)
    report = SimpleNamespace(trial=trial, own={"baseline": baseline(trial)})
    template = templates().get_template("details/data.html.j2")
    text = template.render(details(report) | {"trial": trial})
    assert ("difference is one of chance" in " ".join(text.split())) == randomised
    assert ("were not randomised" in text) == (not randomised)


def test_the_table_says_what_is_not_known_and_puts_the_control_last():
    table = printed(baseline(TRIAL), "B")
    assert table.columns == ["Characteristic", "A, n = 4", "B (control), n = 2"]
    cells = {cells[0]: cells[1:] for cells in table.rows}
    assert cells["age"] == ["55.0 (12.9); 55.0 (47.5 to 62.5)", "60.0 (–); 60.0 (60.0 to 60.0); 1 not known"]
    assert cells["sex: female"] == ["2 (67 %); 1 not known", "1 (50 %)"]
