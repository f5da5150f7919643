"""Sources whose treatment is a column of phases, and those whose scores have a date for each form."""

import pandas as pd
import pytest
import yaml
from sources import refused, take

PHASED = {"patient": "id", "visits": {"month": "t", "alsfrsr": "score"}, "injections": {"month": "t", "phase": "phase"}}


def source(tmp_path, rows, mapping=PHASED, head="id,t,phase,score"):
    (tmp_path / "in.csv").write_text("\n".join([head, *rows]) + "\n")
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(mapping))
    return {"source": tmp_path / "in.csv", "destination": tmp_path / "out", "document": tmp_path / "m.yaml"}


BASELINES = ["1,0,A,40", "1,1,A,39", "1,2,B,39", "1,3,B,38", "2,0,A,44", "2,1,A,43", "2,2,A,42", "2,3,b,42", "3,0,A,30"]


@pytest.mark.parametrize("order", [1, -1])
def test_treatment_begins_in_the_first_row_of_a_new_phase(order, tmp_path):
    done = take("table", **source(tmp_path, BASELINES[::order]))
    written = pd.read_csv(tmp_path / "out" / "injections.csv")
    assert written[["patient", "injection", "month"]].sort_values("patient").to_numpy().tolist() == [
        [1, 1, 2],
        [2, 1, 3],
    ]
    assert "agent" not in written
    assert len(done.trial.visits) == 9
    assert "visit, injection" in done.ledger["reason"].to_numpy()


def test_several_phases_are_injections_of_agents(tmp_path):
    done = take("table", **source(tmp_path, ["1,0,A,40", "1,1,B,39", "1,2,B,39", "1,4,C,38"]))
    assert done.trial.injections[["injection", "agent"]].to_numpy().tolist() == [[1, "B"], [2, "C"]]
    assert done.trial.injections["month"].tolist() == [0, 3]


def test_phases_may_be_codes_and_rows_without_a_value(tmp_path):
    dated = {
        "patient": "id",
        "visits": {"date": "t", "alsfrsr": "score"},
        "injections": {"date": "t", "phase": "phase"},
    }
    rows = ["1,2023-01-10,0,40", "1,2023-02-10,0,", "1,2023-03-10,1,", "1,2023-04-10,1,38", "1,2023-05-10,1,"]
    done = take("table", **source(tmp_path, rows, dated))
    assert (tmp_path / "out" / "injections.csv").read_text() == "patient,injection,date\n1,1,2023-03-10\n"
    assert len(done.trial.visits) == 2
    assert "2 left out: a phase that goes on, and no value that the mapping names (1)" in done.reasons


@pytest.mark.parametrize(
    ("rows", "row", "found"),
    [
        (["1,0,A,40", "1,1,B,39", "1,2,A,39"], 4, "'A' again, after 'B'"),
        (["1,0,A,40", "1,1,,39", "1,2,B,39"], 3, "an empty cell between 'A' and 'B'"),
        (["1,0,A,40", "1,2,B,39", "2,0,A,40", "3,0,B,40"], 5, "'B' from the start, where others start with 'A'"),
        (["1,0,A,40", "1,,B,39"], 3, "'B'"),
        (["1,0,A,40", "1,1,A,39", "1,1,B,"], 4, "'B' and 'A' at one time"),
    ],
)
def test_a_phase_whose_beginning_is_not_known_is_refused(rows, row, found, tmp_path):
    problems = refused("table", **source(tmp_path, rows))
    mine = problems[problems["column"] == "phase"]
    assert mine["row"].tolist() == [row]
    assert mine["found"].tolist() == [found]


@pytest.mark.parametrize("more", [{"agent": "phase"}, {"injection": "t"}])
def test_a_phase_beside_injections_is_refused(more, tmp_path):
    mapping = PHASED | {"injections": PHASED["injections"] | more}
    assert "a phase beside" in refused("table", **source(tmp_path, BASELINES, mapping))["found"][0]


FORMS = (
    "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,als_date,als,spiro_date,fvc,inj_date"
)
BY_FORM = {
    "patient": "record_id",
    "wide": {
        "visits": [
            {"column": "als", "outcome": "alsfrsr", "date_column": "als_date"},
            {"column": "fvc", "outcome": "fvc", "date_column": "spiro_date"},
        ]
    },
    "injections": {"instrument": "injection", "date": "inj_date"},
}


def test_forms_of_one_event_have_each_their_date(tmp_path):
    rows = [
        "1,v1,,,2023-01-10,42,2023-01-12,88,",
        "1,v2,,,2023-02-10,41,2023-02-10,86,",
        "1,v3,,,,,2023-03-10,85,",
        "1,v3,injection,1,,,,,2023-02-11",
    ]
    take("redcap", **source(tmp_path, rows, BY_FORM, FORMS))
    written = pd.read_csv(tmp_path / "out" / "visits.csv").fillna(0).to_numpy().tolist()
    assert sorted(written) == [
        [1, "2023-01-10", 42, 0], [1, "2023-01-12", 0, 88], [1, "2023-02-10", 41, 86], [1, "2023-03-10", 0, 85],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "column"), [("1,v1,,,,42,2023-01-12,88,", "als_date"), ("1,v1,,,2023-01-10,42,,88,", "spiro_date")]
)
def test_a_form_without_its_date_is_refused_by_name(row, column, tmp_path):
    rows = ["1,v0,,,2022-12-10,42,2022-12-10,88,", row, "1,v1,injection,1,,,,,2023-02-11"]
    problems = refused("redcap", **source(tmp_path, rows, BY_FORM, FORMS))
    assert problems[["file", "row", "patient", "column"]].to_numpy().tolist() == [["in.csv", 3, "1", column]]


def test_two_scores_of_a_form_and_a_day_are_refused(tmp_path):
    rows = ["1,v1,,,2023-01-10,42,,,", "1,v2,,,2023-01-10,40,,,", "1,v1,injection,1,,,,,2023-02-11"]
    problems = refused("redcap", **source(tmp_path, rows, BY_FORM, FORMS))
    assert problems["found"].tolist() == ["2023-01-10 again, as in row 2"]
    assert problems["column"].tolist() == ["als_date or spiro_date"]
