"""The regression of the response on the interval: lengths of cycles, both paths of the engine, and its checks."""

import numpy as np
import pandas as pd
import pytest
from trials import line_trial

from slopeshift.interval import cycle_lengths, source_words
from slopeshift.trial import trial_from_tables

SETTINGS = {"title": "Intervals", "synthetic": True, "source": "test"}


def injected(months, planned=None):
    """A trial whose patients were injected at these months; `planned` likewise, NaN where no plan is recorded."""
    rows = [(f"P{i}", k, m) for i, times in enumerate(months, 1) for k, m in enumerate(times, 1)]
    injections = pd.DataFrame(rows, columns=["patient", "injection", "month"])
    if planned is not None:
        injections["planned_month"] = np.concatenate([np.array(times, dtype=float) for times in planned])
    names = [f"P{i}" for i in range(1, len(months) + 1)]
    visits = pd.DataFrame([(n, m, 40) for n in names for m in (-2.0, 0.0, 1.0)], columns=["patient", "month", "alsfrsr"])
    tables = {"patients": pd.DataFrame({"patient": names}), "visits": visits, "injections": injections}
    return trial_from_tables("intervals", tables, SETTINGS)


# ---- lengths of cycles ----


def test_a_cycle_lasts_from_its_injection_to_the_next_and_the_last_has_no_length():
    lengths = cycle_lengths(injected([[0, 3, 7.5], [0, 5], [0]]))
    assert lengths.to_dict("list") == {
        "patient": ["P1", "P1", "P2"],
        "injection": [1, 2, 1],
        "months": [3, 4.5, 5],
        "source": ["actual"] * 3,
    }


def test_the_planned_length_runs_from_the_actual_injection_to_the_planned_month_of_the_next():
    lengths = cycle_lengths(injected([[0, 4, 9], [0, 5]], [[0, 3, 10], [0, 6]]))
    assert lengths["months"].tolist() == [3, 6, 6]
    assert set(lengths["source"]) == {"planned"}


@pytest.mark.parametrize(
    ("planned", "why"),
    [
        ([[0, 3, 7.1], [0, 3]], "same interval of 3.0 months was planned for everyone"),
        ([[0, np.nan, 9], [0, 6]], "missing for 1 of 3 closed cycles"),
        ([[0, np.nan, np.nan], [0, np.nan]], "no planned month is recorded"),
        ([[0, 3, 4], [0, 6]], "some injections were given after the next one was planned"),
        (None, "no planned month is recorded"),
    ],
)
def test_planned_lengths_that_cannot_be_used_give_way_to_the_actual_ones_and_say_why(planned, why):
    trial = injected([[0, 4, 9], [0, 5]], planned)
    lengths = cycle_lengths(trial)
    assert lengths["months"].tolist() == [4, 5, 5]
    assert set(lengths["source"]) == {"actual"}
    assert why in source_words(trial)
    assert "without being its effect" in source_words(trial)


def test_used_plans_are_said_to_be_fixed_before_the_cycle():
    assert source_words(injected([[0, 4], [0, 5]], [[0, 3], [0, 6]])).startswith("Intervals are the planned ones")


@pytest.mark.parametrize("injections", [0, 1])
def test_without_a_closed_cycle_there_is_no_length_and_nothing_to_say(injections):
    trial = line_trial(injections=injections)
    lengths = cycle_lengths(trial)
    assert lengths.empty
    assert lengths.columns.tolist() == ["patient", "injection", "months", "source"]
    assert source_words(trial) == ""
