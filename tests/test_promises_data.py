"""The numbers that data/README.md promises of what is let in, tried just on either side: see `test_promises`."""

import numpy as np
import pytest
from trials import line_trial


def problems(change):
    """What the door finds wrong with a trial of lines after a change of its tables: the columns that it names."""
    from slopeshift.trial import TrialError, trial_from_tables

    trial = line_trial()
    tables = {name: getattr(trial, name).copy() for name in ("patients", "visits", "injections")}
    tables["visits"] = tables["visits"][["patient", "month", "alsfrsr"]].astype({"alsfrsr": float})
    change(tables)
    try:
        trial_from_tables("lines", tables, {"title": "Lines", "synthetic": True, "source": "test"})
    except TrialError as error:
        return set(error.problems["column"])
    return set()


def cell(table, column, value):
    def change(tables):
        tables[table][column] = tables[table].get(column, np.nan)
        tables[table].loc[0, column] = value

    return change


@pytest.mark.parametrize(
    ("table", "column", "inside", "outside"),
    [
        ("patients", "age", 0.0, -0.1),
        ("patients", "age", 130.0, 130.1),
        ("visits", "alsfrsr", 0, -1),
        ("visits", "alsfrsr", 48, 49),
        ("visits", "fvc", 0.0, -0.1),
        ("visits", "fvc", 200.0, 200.1),
    ],
)
def test_values_are_let_in_at_their_ends_and_refused_beyond(table, column, inside, outside):
    assert problems(cell(table, column, inside)) == set()
    assert problems(cell(table, column, outside)) == {column}


@pytest.mark.parametrize(("months", "found"), [((-600.0, -480.0), set()), ((-600.1, -480.0), {"month"})])
def test_visits_are_let_in_from_fifty_years_before_the_first_injection(months, found):
    """All of a patient's, so that they are not taken for days."""

    def change(tables):
        visits = tables["visits"]
        mine = visits[visits["patient"] == "P1"].index
        tables["visits"] = visits.drop(mine[2:])
        tables["visits"].loc[mine[:2], "month"] = months

    assert problems(change) == found


@pytest.mark.parametrize(("value", "found"), [(0, False), (4, False), (-1, True), (5, True)])
def test_an_item_is_a_whole_number_from_0_to_4(value, found):
    def change(tables):
        tables["visits"] = tables["visits"].drop(columns="alsfrsr")
        for item in range(1, 13):
            tables["visits"][f"alsfrsr_{item}"] = 2.0
        tables["visits"].loc[0, "alsfrsr_3"] = value

    assert problems(change) == ({"alsfrsr_3"} if found else set())


@pytest.mark.parametrize(("length", "refused"), [(80, False), (81, True)])
def test_a_patients_name_has_up_to_80_characters(length, refused):
    def change(tables):
        for table in tables.values():
            table["patient"] = table["patient"].replace({"P1": "x" * length})

    assert ("patient" in problems(change)) == refused


def test_a_month_has_30_4375_days():
    from slopeshift.trial.columns import DAYS_PER_MONTH

    assert 48 * DAYS_PER_MONTH == 1461  # four years


@pytest.mark.parametrize(("patients", "refused"), [(9, True), (10, False)])
def test_a_control_has_at_least_ten_patients_with_two_values(patients, refused, tmp_path):
    from slopeshift.trial import TrialError, read_trial

    folders = {"history": line_trial(patients, 0), "treated": line_trial(4, 2)}
    for name, trial in folders.items():
        (tmp_path / name).mkdir()
        for table in ("patients", "visits", "injections"):
            columns = {"visits": ["patient", "month", "alsfrsr"], "patients": ["patient"]}.get(table)
            getattr(trial, table)[columns or ["patient", "injection", "month"]].to_csv(
                tmp_path / name / f"{table}.csv", index=False
            )
        text = f'title = "{name}"\nsynthetic = true\nsource = "test"\n'
        (tmp_path / name / "trial.toml").write_text(text)
    with (tmp_path / "treated" / "trial.toml").open("a") as file:
        file.write('[control]\nsource = "../history"\nbetween_study_sd = { alsfrsr = 0.15 }\n')
    if refused:
        with pytest.raises(TrialError, match="9 patients with two values"):
            read_trial(tmp_path / "treated")
    else:
        assert read_trial(tmp_path / "treated").control is not None
