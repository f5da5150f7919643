"""Arms and sham injections of CDISC datasets: what is an injection, of which agent, and what contradicts itself."""

import re
import tomllib

import pandas as pd
import pytest
from sources import datasets_as_csv, small_trial, take

from slopeshift.formats.export import export_trial
from slopeshift.trial import TrialError, read_trial


@pytest.fixture(params=["sdtm", "adam"])
def form(request):
    return request.param


def source(form, folder, *, arms=("cells", "placebo", "cells"), agents=("cells", "cells", "placebo")):
    """Datasets of three patients, A1 with two injections and A2 with one: where agents are given, A2's is a sham."""
    native = small_trial(folder / "native")
    patients = pd.read_csv(native / "patients.csv", dtype=str).assign(arm=list(arms))
    patients.to_csv(native / "patients.csv", index=False)
    if agents:
        given = pd.read_csv(native / "injections.csv", dtype=str).assign(agent=list(agents))
        given.loc[2, "dose"] = None
        given.to_csv(native / "injections.csv", index=False)
    export_trial(form, native, folder / "x")
    datasets_as_csv(folder / "x")
    return folder / "x"


def edit(path, change):
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)


def subjects(form):
    return {"sdtm": "dm.csv", "adam": "adsl.csv"}[form]


def doses(form):
    return {"sdtm": ("ex.csv", "EXDOSE"), "adam": ("adex.csv", "AVAL")}[form]


def test_a_sham_is_an_injection_of_its_own(form, tmp_path):
    trial = take(form, source(form, tmp_path), tmp_path / "out").trial
    assert trial.injections["agent"].tolist() == ["cells", "cells", "placebo"]
    assert trial.injections["dose"].isna().tolist() == [False, False, True]
    assert trial.patients["arm"].tolist() == ["cells", "placebo", "cells"]


def test_who_was_not_assigned_makes_no_second_arm(form, tmp_path):
    """A dose of 0 in a trial of one arm is none, whoever was screened besides."""
    x = source(form, tmp_path, arms=("cells", "cells", "Screen Failure"), agents=None)
    name, column = doses(form)
    edit(x / name, lambda d: d.assign(**{column: ["60", "0", "60"]}))
    found = take(form, x, tmp_path / "out")
    assert len(found.trial.injections) == 2
    assert "agent" not in found.trial.injections
    assert found.trial.patients["arm"].isna().tolist() == [False, False, True]
    assert any("placebo" in reason for reason in found.reasons)


def test_a_patient_of_two_arms_is_refused_by_name(form, tmp_path):
    x = source(form, tmp_path)
    edit(x / subjects(form), lambda d: pd.concat([d, d.iloc[:1].assign(ARM="placebo")]))
    with pytest.raises(TrialError) as refused:
        take(form, x, tmp_path / "out")
    assert any(
        row.patient == "A1" and "'cells' and 'placebo' of one patient" in row.found
        for row in refused.value.problems.itertuples()
    )


def test_who_was_treated_in_another_arm_counts_as_planned_and_is_named(form, tmp_path):
    x = source(form, tmp_path)
    edit(x / subjects(form), lambda d: d.assign(ACTARM="cells"))
    found = take(form, x, tmp_path / "out")
    assert found.trial.patients["arm"].tolist() == ["cells", "placebo", "cells"]
    note = found.notes[found.notes["column"] == "ACTARM"].iloc[0]
    assert (note["patient"], "'placebo'" in note["found"]) == ("A2", True)


def test_a_sham_with_a_dose_of_cells_is_refused_by_name(form, tmp_path):
    x = source(form, tmp_path)
    name, column = doses(form)
    edit(
        x / name,
        lambda d: d.assign(**{column: "60", **({"EXDOSU": "10^6 Therapeutic Cells"} if form == "sdtm" else {})}),
    )
    with pytest.raises(TrialError) as refused:
        take(form, x, tmp_path / "out")
    problem = refused.value.problems.iloc[0]
    assert (problem["patient"], problem["found"]) == ("A2", "'placebo' with a dose of 60 x 10^6 cells")


def test_without_a_name_the_dose_says_what_was_injected(tmp_path):
    """The arm does not: a patient of the control may have gone over to cells."""
    x = source("adam", tmp_path)
    edit(x / "adex.csv", lambda d: d.drop(columns="TRTA").assign(AVAL=["60", "0", "60"]))
    trial = take("adam", x, tmp_path / "out").trial
    assert trial.injections["agent"].tolist() == ["treatment", "placebo", "treatment"]


def test_an_import_that_finds_arms_writes_what_to_state(form, tmp_path):
    take(form, source(form, tmp_path), tmp_path / "out")
    text = (tmp_path / "out" / "trial.toml").read_text()
    assert 'Levels of arm found, with the number of patients: "cells" (2), "placebo" (1)' in text
    assert "[arms]" not in tomllib.loads(text)
    stated = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE).replace('control = ""', 'control = "placebo"')
    (tmp_path / "out" / "trial.toml").write_text(stated)
    assert read_trial(tmp_path / "out").arms.control == "placebo"


def test_where_there_is_one_arm_nothing_is_to_be_stated(form, tmp_path):
    x = source(form, tmp_path, arms=("cells",) * 3, agents=None)
    take(form, x, tmp_path / "out")
    assert "arms" not in (tmp_path / "out" / "trial.toml").read_text()
