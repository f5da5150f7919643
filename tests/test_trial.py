"""The door lets a good trial in unchanged, and names every fault of a bad one with its place and its remedy."""

from __future__ import annotations

import hashlib
import pickle
import re
from dataclasses import FrozenInstanceError
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from slopeshift.trial import DAYS_PER_MONTH, Trial, TrialError, read_trial, trial_from_tables
from slopeshift.trial.cells import has_control_character
from slopeshift.trial.columns import ITEMS
from slopeshift.trial.subscores import SUBSCORES, subscores_of

PATIENTS = """\
patient,age,sex,onset_month,onset_site,end_month,end_reason,riluzole
P1,61,F,-14.5,limb,7,completed,yes
P2,55,M,-20,bulbar,6,death,no
P10,,,,,,ongoing,
"""
VISITS = """\
patient,month,alsfrsr,fvc,grip
P1,-3,41,92.5,20
P1,0,38,,18.5
P1,4,36,85,
P2,-2.5,40,77,NA
P2,1,39,75,12
P10,0,44,101,30
"""
INJECTIONS = """\
patient,injection,month,dose,route,planned_month
P1,1,0,60,intrathecal,0
P1,2,4,120,intrathecal,3
P2,1,0.5,60,intrathecal,0
"""
EVENTS = """\
patient,month,term,serious,grade,related
P1,0.1,Headache,no,1,possible
P2,6,Respiratory failure,yes,,
"""
SETTINGS = """\
title = "A small trial"
synthetic = true
source = "made up for the tests"

[outcomes.grip]
label = "Grip strength"
unit = "kg"
min = 0
max = 90
"""
GOOD = {
    "patients.csv": PATIENTS,
    "visits.csv": VISITS,
    "injections.csv": INJECTIONS,
    "events.csv": EVENTS,
    "trial.toml": SETTINGS,
}
TABLES = ("patients", "visits", "injections", "events")


def dated(table: str) -> str:
    """Turn the times of a table of months into dates: month 0 is 2024-03-15."""
    lines = [line.split(",") for line in table.splitlines()]
    times = [place for place, column in enumerate(lines[0]) if column.endswith("month")]
    for line in lines[1:]:
        for place in times:
            if line[place]:
                day = date(2024, 3, 15) + timedelta(days=round(float(line[place]) * DAYS_PER_MONTH))
                line[place] = day.isoformat()
    return "\n".join([",".join(lines[0]).replace("month", "date"), *map(",".join, lines[1:])]) + "\n"


GOOD_IN_DATES = {file: dated(text) if file.endswith(".csv") else text for file, text in GOOD.items()}


def with_items(first: str, total: str | None) -> str:
    """Give a table of one visit by items: `first` stands in item 1, the other eleven are 3; `total` in alsfrsr."""
    header, row = ["patient", "month", "grip", *ITEMS], ["P1", "0", "20", first, *["3"] * 11]
    if total is not None:
        header, row = [*header, "alsfrsr"], [*row, total]
    return f"{','.join(header)}\n{','.join(row)}\n"


def folder(path: Path, files: dict[str, str | bytes | None]) -> Path:
    path.mkdir(exist_ok=True)
    for file, content in files.items():
        if content is not None:
            (path / file).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def problems_of(path: Path) -> list[tuple[Any, ...]]:
    with pytest.raises(TrialError) as caught:
        read_trial(path)
    table = caught.value.problems.astype(object)
    assert list(table.columns) == ["file", "row", "patient", "column", "found", "remedy"]
    table = table.drop(columns="patient")
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in table.itertuples(index=False)]


def assert_same(one: Trial, other: Trial) -> None:
    for table in TABLES:
        assert_frame_equal(getattr(one, table), getattr(other, table))
    assert one.outcomes == other.outcomes


P, V, J, E, T = GOOD

# name: base, file, what is written, what is written instead, the row and column of the problem, the words that say it.
# `None` instead of a text stands for the whole file: replaced by, or replaced by nothing.
BROKEN: dict[str, tuple[dict[str, str], str, str | None, str | bytes | None, int | None, str | None, str]] = {
    # patients
    "patient twice": (GOOD, P, "P10,,", "P1,,,,,,ongoing,\nP10,,", 4, "patient", "'P1' again, as in row 2.*one row"),
    "patient in another case": (GOOD, P, "P10,,", "p1,,,,,,ongoing,\nP10,,", 4, "patient", "nearly the same as 'P1'"),
    "patient with an unseen letter": (GOOD, P, "P10,,", "P\u200b1,,,,,,,\nP10,,", 4, "patient", "nearly the same"),
    "patient empty": (GOOD, P, "P10,,", ",60,,,,,,\nP10,,", 4, "patient", "an empty cell.*fill in"),
    "patient NA": (GOOD, P, "P10,,", "NA,60,,,,,,\nP10,,", 4, "patient", "'NA'.*fill in"),
    "patient too long": (GOOD, P, "P10,,", f"{'P' * 81},,,,,,,\nP10,,", 4, "patient", "at most 80"),
    "patient with a control character": (GOOD, P, "P10,,", "P\a9,,,,,,,\nP10,,", 4, "patient", r"'P\\x079'.*control"),
    "age in words": (GOOD, P, "61,F", "old,F", 2, "age", "'old'.*number in digits"),
    "age impossible": (GOOD, P, "61,F", "610,F", 2, "age", "'610'.*highest possible value is 130"),
    "covariate with a line break": (GOOD, P, "completed,yes", 'completed,"ye\ns"', 2, "riluzole", "control"),
    "column name with a control character": (GOOD, P, "riluzole", "rilu\azole", 1, "rilu\azole", "control"),
    "optional column misspelt": (GOOD, P, "onset_site", "Onset Site", 1, "Onset Site", "write it as onset_site"),
    "onset after the first visit": (GOOD, P, "-14.5", "14.5", 2, "onset_month", "14.5, after.*is negative"),
    "end reason unknown": (GOOD, P, "death", "died", 3, "end_reason", "'died'.*death, withdrawal, lost, ongoing"),
    "end time without reason": (GOOD, P, "6,death", "6,", 3, "end_reason", "no reason.*fill in end_reason"),
    # visits
    "visit of an unknown patient": (GOOD, V, "P10,0", "P9,0", 7, "patient", "'P9', not in patients.csv.*add it"),
    "visit of a patient in another case": (GOOD, V, "P10,0", "p10,0", 7, "patient", "as in patients.csv: 'P10'"),
    "two visits at once": (GOOD, V, "P1,4,36", "P1,0.0,36", 4, "month", "0 again, as in row 3.*one visit a time"),
    "visit after death": (GOOD, V, "P2,1,39", "P2,6.01,39", 6, "month", r"after the patient's end \(death\).*row 3 of"),
    "visit after completion": (GOOD, V, "P1,4,36", "P1,7.5,36", 4, "month", r"\(completed\).*end_month 7 in row 2"),
    "visit in days": (GOOD, V, "P10,0", "P10,730", 7, "month", "730 months from.*not days"),
    "visit without a time": (GOOD, V, "P10,0", "P10,", 7, "month", "an empty cell.*required"),
    "visit with a date among months": (GOOD, V, "P10,0", "P10,2024-03-15", 7, "month", "'2024-03-15'.*columns date"),
    "score above the scale": (GOOD, V, ",41,", ",49,", 2, "alsfrsr", "'49'.*highest possible value is 48"),
    "score below the scale": (GOOD, V, ",41,", ",-1,", 2, "alsfrsr", "'-1'.*lowest possible value is 0"),
    "score not whole": (GOOD, V, ",41,", ",41.5,", 2, "alsfrsr", "'41.5'.*whole number"),
    "FVC beyond reason": (GOOD, V, "92.5", "925", 2, "fvc", "'925'.*200"),
    "declared outcome above its scale": (GOOD, V, "18.5", "185", 3, "grip", "'185'.*highest possible value is 90"),
    "decimal comma": (GOOD, V, "92.5", '"92,5"', 2, "fvc", "'92,5'.*decimal point, not a decimal comma"),
    "below a limit": (GOOD, V, "92.5", "<20", 2, "fvc", "'<20'.*missing"),
    "words in a number": (GOOD, V, "92.5", "about 90", 2, "fvc", "'about 90'.*number in digits"),
    "digits of another script": (GOOD, V, "92.5", "٩٢", 2, "fvc", "number in digits"),
    "underscored digits": (GOOD, V, "92.5", "9_2", 2, "fvc", "number in digits"),
    "missing written n/a": (GOOD, V, "92.5", "n/a", 2, "fvc", "'n/a'.*empty cell or NA"),
    "missing written as a dot": (GOOD, V, "92.5", ".", 2, "fvc", "empty cell or NA"),
    "missing written as a dash": (GOOD, V, "92.5", "-", 2, "fvc", "empty cell or NA"),
    "missing written null": (GOOD, V, "92.5", "null", 2, "fvc", "empty cell or NA"),
    "missing number where one is needed": (GOOD, V, "P10,0", "P10,NaN", 7, "month", "'NaN'.*fill in this cell"),
    "infinite": (GOOD, V, "92.5", "-inf", 2, "fvc", "finite"),
    "infinite by its exponent": (GOOD, V, "-2.5,40", "-1e999,40", 5, "month", "finite"),
    "unknown column of visits": (GOOD, V, "fvc", "fev1", 1, "fev1", r"declare it under \[outcomes.fev1\].*or delete"),
    "older scale": (GOOD, V, "alsfrsr", "alsfrs", 1, "alsfrs", r"declare it under \[outcomes.alsfrs\]"),
    "column in another case": (GOOD, V, "fvc", "FVC", 1, "FVC", "write it as fvc"),
    "column twice": (GOOD, V, "fvc", "alsfrsr", 1, "alsfrsr", "2 columns of this name"),
    "column without a name": (GOOD, V, "fvc", "", 1, "", "without a name"),
    "no outcome value": (GOOD, V, None, "patient,month,grip\nP1,0,\nP2,0,NA\n", None, None, "no value of any outcome"),
    "some item columns": (
        GOOD, V, None, "patient,month,grip,alsfrsr_1,alsfrsr_2\nP1,0,20,3,3\n", 1, "alsfrsr_3", "no alsfrsr_3, ",
    ),
    "items and total disagree": (GOOD, V, None, with_items("3", "35"), 2, "alsfrsr", "total of 35.*add up to 36"),
    "total beyond what a missing item allows": (GOOD, V, None, with_items("", "38"), 2, "alsfrsr", "38.*add up to 33"),
    "items partly missing": (GOOD, V, None, with_items("", None), 2, "alsfrsr", "11 of the 12 items and no total"),
    "item above its scale": (GOOD, V, None, with_items("5", None), 2, "alsfrsr_1", "highest possible value is 4"),
    "item not whole": (GOOD, V, None, with_items("2.5", None), 2, "alsfrsr_1", "whole number"),
    # injections
    "injection of an unknown patient": (GOOD, J, "P2,1", "P3,1", 4, "patient", "'P3', not in patients.csv"),
    "injection number twice": (GOOD, J, "P1,2", "P1,1", 3, "injection", "1 again, as in row 2"),
    "injection number left out": (GOOD, J, "P1,2", "P1,3", 3, "injection", "3.*here 2 was expected"),
    "injection number zero": (GOOD, J, "P2,1", "P2,0", 4, "injection", "'0'.*lowest possible value is 1"),
    "injection number not whole": (GOOD, J, "P1,2", "P1,1.5", 3, "injection", "'1.5'.*whole"),
    "injections out of order": (GOOD, J, "P1,2,4", "P1,2,-1", 3, "month", "injection 2 before injection 1"),
    "two injections at once": (GOOD, J, "P1,2,4", "P1,2,0", 3, "month", "0 again, as in row 2"),
    "injection after the end": (GOOD, J, "P2,1,0.5", "P2,1,6.5", 4, "month", r"6.5, after.*\(death\)"),
    "dose zero": (GOOD, J, "120", "0", 3, "dose", "'0'.*above zero"),
    "unknown column of injections": (GOOD, J, "route", "path", 1, "path", "unknown column 'path'.*route"),
    "column missing": (GOOD, J, None, "patient,month\n", 1, "injection", "no such column.*add the column injection"),
    "column misnamed": (GOOD, J, None, "patient,Injection,month\n", 1, "injection", "rename 'Injection'"),
    # events
    "event of an unknown patient": (GOOD, E, "P1,0.1", "P7,0.1", 2, "patient", "'P7', not in patients.csv"),
    "event serious in other words": (GOOD, E, "yes", "Y", 3, "serious", "'Y'.*yes, no"),
    "event without a term": (GOOD, E, "Headache", "", 2, "term", "required"),
    "event with bounds the wrong way round": (
        GOOD, E, None, "patient,month,term,serious,earliest_month,latest_month\nP1,,Fall,no,3,1\n", 2, "earliest_month",
        "3, after the latest time 1.*correct one",
    ),
    "event with a time and bounds of it": (
        GOOD, E, None, "patient,month,term,serious,latest_month\nP1,1,Fall,no,1\n", 2, "month", "bounds of it.*delete",
    ),
    "events without their column of times": (
        GOOD, E, None, "patient,term,serious\nP1,Fall,no\n", 1, "month", "no such column.*add the column month",
    ),
    "event after death": (GOOD, E, "P2,6", "P2,6.1", 3, "month", r"after.*\(death\)"),
    "unknown column of events": (GOOD, E, "grade", "outcome", 1, "outcome", "unknown column 'outcome'"),
    # clocks and dates
    "a date column among months": (GOOD, J, "planned_month", "planned_date", 1, "planned_date", "use planned_month"),
    "a month column among dates": (GOOD_IN_DATES, P, "end_date", "end_month", 1, "end_month", "use end_date"),
    "slashed date": (GOOD_IN_DATES, V, "2023-12-15", "15/12/2023", 2, "date", "'15/12/2023'.*year-month-day"),
    "ambiguous date": (GOOD_IN_DATES, V, "2023-12-15", "03/04/2024", 2, "date", "year-month-day"),
    "thirteenth month": (GOOD_IN_DATES, V, "2023-12-15", "2024-13-01", 2, "date", "no such day"),
    "thirtieth of February": (GOOD_IN_DATES, V, "2023-12-15", "2024-02-30", 2, "date", "no such day"),
    "date with a time": (GOOD_IN_DATES, V, "2023-12-15", "2023-12-15T09:30", 2, "date", "without a time"),
    "year far off": (GOOD_IN_DATES, V, "2023-12-15", "0023-12-15", 2, "date", "check the year"),
    "number for a date": (GOOD_IN_DATES, V, "2023-12-15", "45275", 2, "date", "year-month-day"),
    "date a lifetime away": (GOOD_IN_DATES, E, "2024-03-18", "2099-03-18", 2, "date", "at most 600 months"),
    "two visits on a day": (GOOD_IN_DATES, V, "P1,2024-07-15", "P1,2024-03-15", 4, "date", "2024-03-15 again"),
    "visit after the last date": (GOOD_IN_DATES, V, "P1,2024-07-15", "P1,2025-07-15", 4, "date", "2025-07-15, after"),
    # files
    "empty file": (GOOD, V, None, "", None, None, "an empty file"),
    "blank first row": (GOOD, V, None, f"\n{VISITS}", None, None, "nothing in the first row"),
    "patients: header only": (GOOD, P, None, PATIENTS.splitlines()[0], None, None, "a header and no rows"),
    "visits: header only": (GOOD, V, None, VISITS.splitlines()[0], None, None, "a header and no rows"),
    "file missing": (GOOD, V, None, None, None, None, "missing.*add it"),
    "injections missing": (GOOD, J, None, None, None, None, "missing.*header alone"),
    "not UTF-8": (GOOD, P, "limb", "gr\u00fcn".encode("latin-1"), 2, None, "not UTF-8: 0xfc.*CSV UTF-8"),
    "UTF-16": (GOOD, V, None, VISITS.encode("utf-16"), 1, None, "not UTF-8"),
    "UTF-16 without a mark": (GOOD, V, None, VISITS.encode("utf-16-le"), None, None, "zero bytes.*UTF-8"),
    "semicolons": (GOOD, V, None, VISITS.replace(",", ";"), 1, None, "separated by semicolons.*commas"),
    "tabs": (GOOD, V, None, VISITS.replace(",", "\t"), 1, None, "separated by tabs"),
    "row too long": (GOOD, V, "92.5,20", "92,5,20", 2, None, "6 cells under 5 columns.*quote"),
    "row too short": (GOOD, V, "92.5,20", "92.5", 2, None, "4 cells under 5 columns"),
    "quotation mark left open": (GOOD, V, "P10,0,44", '"P10,0,44', 7, None, "not CSV.*close every quotation mark"),
    # settings
    "settings missing": (GOOD, T, None, None, None, None, "missing"),
    "settings not TOML": (GOOD, T, "synthetic = true", "synthetic = True", 2, None, "not TOML.*key = value"),
    "settings with a number past reading": (GOOD, T, "max = 90", "max = " + "9" * 9000, 10, None, "not TOML"),
    "settings nested too deeply": (GOOD, T, None, "x = " + "[" * 5000, 1, None, "not TOML"),
    "outcome limit beyond floats": (GOOD, T, "max = 90", f"max = 1{'0' * 400}", None, "outcomes.grip.max", "finite"),
    "settings not UTF-8": (GOOD, T, "small", b"sm\xe4ll", 1, None, "not UTF-8: 0xe4.*save it in UTF-8$"),
    "settings with an unknown key": (GOOD, T, "source", "sauce = 1\nsource", None, "sauce", "unknown key.*title"),
    "settings without a title": (GOOD, T, 'title = "A small trial"\n', "", None, "title", "no such key.*title ="),
    "title empty": (GOOD, T, "A small trial", " ", None, "title", "' '.*one line of text"),
    "synthetic in words": (GOOD, T, "= true", '= "yes"', None, "synthetic", "'yes'.*true or false"),
    "source a number": (GOOD, T, '"made up for the tests"', "7", None, "source", "7.*text in quotes"),
    "outcomes not sections": (GOOD, T, "[outcomes.grip]", "[outcomes]", None, "outcomes", "one section for each"),
    "outcome without unit": (GOOD, T, 'unit = "kg"\n', "", None, "outcomes.grip.unit", "no such key"),
    "outcome with an unknown key": (GOOD, T, "max", "maximum", None, "outcomes.grip.maximum", "unknown key.*max"),
    "outcome limit in words": (GOOD, T, "min = 0", 'min = "0"', None, "outcomes.grip.min", "finite number"),
    "outcome limit infinite": (GOOD, T, "min = 0", "min = -inf", None, "outcomes.grip.min", "finite number"),
    "outcome integer a number": (GOOD, T, "min = 0", "integer = 1", None, "outcomes.grip.integer", "true or false"),
    "outcome limits reversed": (GOOD, T, "min = 0", "min = 90", None, "outcomes.grip", "min be below max"),
    "outcome without a column": (
        GOOD, T, "[outcomes.grip]", '[outcomes.reach]\nunit="cm"\n[outcomes.grip]', None, "outcomes.reach", "no column",
    ),
    "built-in outcome declared": (
        GOOD, T, "[outcomes.grip]", '[outcomes.fvc]\nunit = "l"\n[outcomes.grip]', None, "outcomes.fvc", "built in",
    ),
}  # fmt: skip

# Faults that the change of a file brings with it, beside the one named.
BESIDES = {
    "column misnamed": 1,
    "outcomes not sections": 1,
}


def changed(text: str, old: str | None, new: str | bytes | None) -> str | bytes | None:
    if old is None:
        return new
    assert old in text, "the fault must change the file"
    if isinstance(new, bytes):
        return text.encode().replace(old.encode(), new, 1)
    return text.replace(old, str(new), 1)


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_reported_alone_with_its_place_and_remedy(fault: str, tmp_path: Path) -> None:
    base, file, old, new, row, column, words = BROKEN[fault]
    problems = problems_of(folder(tmp_path, base | {file: changed(base[file], old, new)}))
    named = [problem for problem in problems if problem[:3] == (file, row, column)]
    assert named, problems
    assert re.search(words, f"{named[0][3]} -> {named[0][4]}"), named
    assert len(problems) == 1 + BESIDES.get(fault, 0), problems


ODD = {
    "a byte order mark": {"visits.csv": "\ufeff" + VISITS, "trial.toml": "\ufeff" + SETTINGS},
    "Windows line ends": {file: text.replace("\n", "\r\n") for file, text in GOOD.items()},
    "old Macintosh line ends": {"visits.csv": VISITS.replace("\n", "\r")},
    "no line end at the end": {"visits.csv": VISITS.rstrip("\n")},
    "blank lines at the end": {"visits.csv": VISITS + "\n\n", "patients.csv": PATIENTS + ",,,,,,,\n"},
    "a blank line between rows": {"visits.csv": VISITS.replace("P2,-2.5", "\nP2,-2.5")},
    "quoted cells": {"visits.csv": VISITS.replace("P1,-3,41", '"P1","-3","41"')},
    "white space around cells": {"visits.csv": VISITS.replace("P1,-3,41", " P1 , -3,\u00a041 ")},
    "white space in the header": {"visits.csv": VISITS.replace("fvc", " fvc ")},
    "whole numbers with a point": {
        "visits.csv": VISITS.replace(",41,", ",41.0,"),
        "injections.csv": INJECTIONS.replace("P1,2,", "P1,2.0,"),
    },
    "numbers with signs and exponents": {"visits.csv": VISITS.replace("92.5", "+9.25e1")},
    "missing cells as NA": {"visits.csv": VISITS.replace("P1,0,38,,", "P1,0,38,NA,")},
    "missing cells as other programs write them": {
        "visits.csv": VISITS.replace("P1,0,38,,", "P1,0,38,NaN,"),
        "patients.csv": PATIENTS.replace("P10,,", "P10,nan,"),
    },
    "columns in another order": {
        "visits.csv": "\n".join(",".join(line.split(",")[::-1]) for line in VISITS.splitlines())
    },
}


@pytest.mark.parametrize("oddity", ODD)
def test_harmless_oddities_change_nothing(oddity: str, tmp_path: Path) -> None:
    plain = read_trial(folder(tmp_path / "plain", GOOD))
    assert ODD[oddity] != {file: GOOD[file] for file in ODD[oddity]}
    assert_same(read_trial(folder(tmp_path / "odd", GOOD | ODD[oddity])), plain)


def test_a_trial_counts_months_from_each_first_injection(tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path, GOOD))
    assert trial.visits["month"].tolist() == [-3, 0, 4, -3, 0.5, 0]
    assert trial.injections[["patient", "injection", "month"]].values.tolist() == [
        ["P1", 1, 0],
        ["P1", 2, 4],
        ["P2", 1, 0],
    ]
    assert trial.injections["planned_month"].tolist() == [0, 3, -0.5]
    assert trial.patients.loc[1, ["onset_month", "end_month"]].tolist() == [-20.5, 5.5]
    assert trial.events["month"].tolist() == [0.1, 5.5]


def test_a_trial_keeps_what_was_given(tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path / "small", GOOD))
    assert (trial.name, trial.title, trial.synthetic, trial.source) == (
        "small",
        "A small trial",
        True,
        "made up for the tests",
    )
    assert trial.patients["patient"].tolist() == ["P1", "P2", "P10"]
    assert list(trial.patients) == PATIENTS.splitlines()[0].split(",")
    assert trial.patients["riluzole"].tolist()[:2] == ["yes", "no"]
    assert list(trial.visits) == ["patient", "month", "alsfrsr", "fvc", "grip"]
    np.testing.assert_array_equal(trial.visits["grip"], [20, 18.5, np.nan, np.nan, 12, 30])
    assert list(trial.injections) == ["patient", "injection", "month", "dose", "route", "planned_month"]
    assert trial.events["serious"].tolist() == [False, True]
    assert trial.outcomes["grip"].unit == "kg"
    assert (trial.outcomes["grip"].minimum, trial.outcomes["grip"].maximum) == (0, 90)


def test_files_are_named_by_their_hashes(tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path, GOOD))
    assert trial.files == {file: hashlib.sha256(text.encode()).hexdigest() for file, text in GOOD.items()}


def test_dates_and_months_make_the_same_trial(tmp_path: Path) -> None:
    in_dates = read_trial(folder(tmp_path / "dates", GOOD_IN_DATES))
    in_months = read_trial(folder(tmp_path / "months", GOOD))
    for table in TABLES:
        # A date is known to the day: half a day either side, at both ends of an interval.
        assert_frame_equal(getattr(in_dates, table), getattr(in_months, table), rtol=0, atol=1.01 / DAYS_PER_MONTH)
    assert in_dates.visits["month"].tolist()[:3] == [-91 / DAYS_PER_MONTH, 0, 122 / DAYS_PER_MONTH]


def test_a_patient_without_injection_starts_at_month_0_or_at_the_first_visit_by_date(tmp_path: Path) -> None:
    later = {"visits.csv": VISITS.replace("P10,0,44,101,30", "P10,2,44,101,30\nP10,3,43,100,30")}
    in_months = read_trial(folder(tmp_path / "months", GOOD | later))
    in_dates = read_trial(folder(tmp_path / "dates", GOOD_IN_DATES | {"visits.csv": dated(later["visits.csv"])}))
    assert in_months.visits["month"].tolist()[-2:] == [2, 3]
    assert in_dates.visits["month"].tolist()[-2:] == pytest.approx([0, 1], abs=0.02)


@pytest.mark.parametrize(
    ("without", "table", "rows"),
    [
        ({"events.csv": None}, "events", 0),
        ({"injections.csv": INJECTIONS.splitlines()[0], "events.csv": EVENTS.splitlines()[0]}, "injections", 0),
        ({"visits.csv": VISITS.replace("P10,0,44,101,30\n", "")}, "visits", 5),
        ({"visits.csv": VISITS.replace("P1,-3,41,92.5,20\n", "")}, "visits", 5),
        ({"injections.csv": INJECTIONS.replace("P2,1,0.5,60,intrathecal,0\n", "")}, "injections", 2),
    ],
    ids=["no events", "natural history", "a patient without visits", "no lead-in visit", "a patient without injection"],
)
def test_what_a_trial_may_lack(without: dict[str, str | None], table: str, rows: int, tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path, GOOD | without))
    assert len(getattr(trial, table)) == rows
    assert len(trial.patients) == 3
    columns = {"injections": ["injection", "month"], "events": ["month", "term", "serious"], "visits": ["month"]}[table]
    assert list(getattr(trial, table))[: len(columns) + 1] == ["patient", *columns]


@pytest.mark.parametrize(
    ("first", "total", "score"), [("1", None, 34), ("1", "34", 34), ("", "35", 35), ("", "33", 33)],
    ids=["items alone", "items and total", "an item missing beside the total", "an item missing at its lowest"],
)  # fmt: skip
def test_items_give_the_total_and_are_kept_beside_it(
    first: str, total: str | None, score: float, tmp_path: Path
) -> None:
    trial = read_trial(folder(tmp_path, GOOD | {"visits.csv": with_items(first, total)}))
    assert trial.visits["alsfrsr"].tolist() == [score]
    assert list(trial.visits) == ["patient", "month", "alsfrsr", "grip"]
    assert trial.items["alsfrsr_1"].dropna().tolist() == [float(item) for item in first]
    assert trial.items["month"].tolist() == trial.visits["month"].tolist()


def test_items_add_up_to_sub_scores_of_a_visit(tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path, GOOD | {"visits.csv": with_items("1", None) + "P1,3,19" + "," * 12 + "\n"}))
    scores = subscores_of(trial.items)
    assert list(scores) == ["patient", "month", "bulbar", "fine_motor", "gross_motor", "respiratory"]
    assert scores[list(SUBSCORES)].sum(axis=1).tolist() == [34]
    assert scores["bulbar"].tolist() == [trial.items[["alsfrsr_1", "alsfrsr_2", "alsfrsr_3"]].to_numpy().sum()]
    assert sorted(item for of in SUBSCORES.values() for item in of) == sorted(ITEMS)
    unknown = subscores_of(trial.items.assign(alsfrsr_5=np.nan))
    assert unknown.notna().iloc[0].tolist() == [True, True, True, False, True, True]


def test_a_trial_without_items_has_no_sub_scores(tmp_path: Path) -> None:
    assert subscores_of(read_trial(folder(tmp_path, GOOD)).items).empty


def test_a_visit_without_any_item_has_no_score(tmp_path: Path) -> None:
    visits = with_items("1", None) + "P1,3,19" + "," * 12 + "\n"
    scores = read_trial(folder(tmp_path, GOOD | {"visits.csv": visits})).visits["alsfrsr"]
    np.testing.assert_array_equal(scores, [34, np.nan])


def test_an_outcome_without_a_value_is_not_recorded(tmp_path: Path) -> None:
    visits = "patient,month,alsfrsr,fvc,grip\nP1,0,40,,\nP1,2,39,NA,\n"
    trial = read_trial(folder(tmp_path, GOOD | {"visits.csv": visits}))
    assert list(trial.outcomes) == ["alsfrsr"]
    assert list(trial.visits) == ["patient", "month", "alsfrsr"]


@pytest.mark.parametrize(
    "patient", ["<script>alert(1)</script>", "=HYPERLINK()", "../../x", "مريض ١", "🧪👩‍🔬", "P" * 80, "a'b"]
)
def test_any_printable_text_may_name_a_patient(patient: str, tmp_path: Path) -> None:
    files = {file: re.sub(r"^P10\b", patient, text, flags=re.MULTILINE) for file, text in GOOD.items()}
    assert patient in read_trial(folder(tmp_path, files)).patients["patient"].tolist()


# The door reports everything at once ------------------------------------------------------------------------


def test_faults_in_two_files_are_reported_together_in_the_order_of_the_files(tmp_path: Path) -> None:
    files = {
        "events.csv": EVENTS.replace("yes", "Y"),
        "visits.csv": VISITS.replace("92.5", '"92,5"').replace(",44,", ",49,"),
    }
    found = [problem[:3] for problem in problems_of(folder(tmp_path, GOOD | files))]
    assert found == [("visits.csv", 2, "fvc"), ("visits.csv", 7, "alsfrsr"), ("events.csv", 3, "serious")]


def test_a_file_that_cannot_be_read_does_not_hide_the_faults_of_the_others(tmp_path: Path) -> None:
    files = {"patients.csv": b"\xff", "visits.csv": VISITS.replace(",44,", ",49,"), "trial.toml": "title = 3"}
    found = {problem[:3] for problem in problems_of(folder(tmp_path, GOOD | files))}
    assert found >= {("patients.csv", 1, None), ("visits.csv", 7, "alsfrsr"), ("trial.toml", None, "title")}


def test_months_in_one_table_and_dates_in_another_are_refused(tmp_path: Path) -> None:
    found = problems_of(folder(tmp_path, GOOD | {"events.csv": GOOD_IN_DATES["events.csv"]}))
    assert [problem[:3] for problem in found] == [("events.csv", 1, "date")]
    assert "every table of a trial counts in months" in found[0][4]


def test_month_and_date_in_one_table_are_refused(tmp_path: Path) -> None:
    both = "patient,month,date,alsfrsr,grip\nP1,0,2024-01-01,40,20\n"
    assert [problem[:3] for problem in problems_of(folder(tmp_path, GOOD | {"visits.csv": both}))] == [
        ("visits.csv", 1, "date")
    ]


@pytest.mark.parametrize(("name", "words"), [("nowhere", "no such folder"), ("file", "a file, not a folder")])
def test_a_folder_that_is_none_is_refused(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ((file, row, column, found, remedy),) = problems_of(tmp_path / name)
    assert (file, row, column, found) == (str(tmp_path / name), None, None, words)
    assert "patients.csv" in remedy


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path, GOOD | {"events.csv": None}) / "events.csv").mkdir()
    ((file, _, _, found, _),) = problems_of(tmp_path)
    assert file == "events.csv"
    assert "cannot be read" in found


@pytest.mark.parametrize("misnamed", ["event.csv", "Events.CSV"])
def test_an_optional_file_under_a_wrong_name_is_not_overlooked(misnamed: str, tmp_path: Path) -> None:
    ((file, _, _, found, remedy),) = problems_of(folder(tmp_path, GOOD | {"events.csv": None, misnamed: EVENTS}))
    assert (file, found) == ("events.csv", f"no file of this name, but {misnamed!r}")
    assert "rename it events.csv" in remedy


def test_an_error_prints_a_summary_and_an_aligned_table(tmp_path: Path) -> None:
    files = {"visits.csv": VISITS.replace("92.5", "x" * 200), "events.csv": EVENTS.replace("yes", "\x1b[31m")}
    with pytest.raises(TrialError) as caught:
        read_trial(folder(tmp_path / "bad", GOOD | files))
    summary, blank, header, *rows = str(caught.value).split("\n")
    assert summary == "trial 'bad': 2 problems in 2 files; nothing was taken in"
    assert not blank
    assert len(rows) == 2
    starts = [header.index(column) for column in ("file", "row", "column", "found", "remedy")]
    assert all(row[start - 1] == " " and row[start] != " " for row in rows for start in starts[1:])
    assert "…" in rows[0]
    assert len(rows[0]) < 200
    assert "\x1b" not in str(caught.value)


def test_a_long_list_of_problems_says_how_many_it_does_not_print(tmp_path: Path) -> None:
    visits = "patient,month,alsfrsr,grip\n" + "".join(f"P2,{month / 100},50,1\n" for month in range(130))
    with pytest.raises(TrialError, match=r"(?s)130 problems in 1 file;.*\.\.\. and 30 more") as caught:
        read_trial(folder(tmp_path, GOOD | {"visits.csv": visits}))
    assert len(caught.value.problems) == 130
    assert_frame_equal(pickle.loads(pickle.dumps(caught.value)).problems, caught.value.problems)


# Frames -----------------------------------------------------------------------------------------------------

SETTINGS_OF_FRAMES = {"title": "Frames", "synthetic": True, "source": "here", "outcomes": {"grip": {"unit": "kg"}}}


def typed_tables() -> dict[str, pd.DataFrame]:
    return {
        "patients": pd.DataFrame(
            {"patient": ["A", "B"], "treated": np.array([True, False], dtype=object), "weight": [70.25, np.nan]}
        ),
        "visits": pd.DataFrame(
            {
                "patient": ["A", "A", "B"],
                "month": [0.1, 1 / 3, 2],
                "alsfrsr": [40.0, np.nan, 30.0],
                "grip": [0.1 + 0.2, 1, 2],
            }
        ),
        "injections": pd.DataFrame({"patient": ["A"], "injection": np.array([1]), "month": [0.0]}),
        "events": pd.DataFrame({"patient": ["A"], "month": [1], "term": ["fall"], "serious": [False]}),
    }


def test_typed_frames_pass_the_same_door_with_all_their_digits() -> None:
    trial = trial_from_tables("frames", typed_tables(), SETTINGS_OF_FRAMES)
    assert trial.visits["month"].tolist() == [0.1, 1 / 3, 2]
    assert trial.visits["grip"].tolist() == [0.1 + 0.2, 1, 2]
    assert trial.injections["injection"].tolist() == [1]
    assert trial.events["serious"].tolist() == [False]
    assert trial.patients["treated"].tolist() == ["yes", "no"]
    assert trial.patients["weight"].isna().tolist() == [False, True]
    assert trial.files == {}


def test_timestamps_are_dates() -> None:
    visits = pd.DataFrame(
        {"patient": ["A", "A"], "date": pd.to_datetime(["2024-01-01", "2024-01-31"]), "alsfrsr": [40, 39]}
    )
    injections = pd.DataFrame({"patient": ["A"], "injection": [1], "date": [date(2024, 1, 1)]})
    tables = {"patients": pd.DataFrame({"patient": ["A"]}), "visits": visits, "injections": injections}
    trial = trial_from_tables("dates", tables, {"title": "Dates", "synthetic": True, "source": "here"})
    assert trial.visits["month"].tolist() == [0, 30 / DAYS_PER_MONTH]


def test_frames_and_files_of_the_same_text_make_the_same_trial(tmp_path: Path) -> None:
    path = folder(tmp_path, GOOD)
    tables = {table: pd.read_csv(path / f"{table}.csv", dtype={"grade": str}) for table in TABLES}
    grip = {"label": "Grip strength", "unit": "kg", "min": 0, "max": 90}
    from_frames = trial_from_tables("frames", tables, SETTINGS_OF_FRAMES | {"outcomes": {"grip": grip}})
    assert_same(from_frames, read_trial(path))


def test_making_a_trial_does_not_touch_the_frames() -> None:
    tables = typed_tables()
    trial_from_tables("frames", tables, SETTINGS_OF_FRAMES)
    for name, table in typed_tables().items():
        assert_frame_equal(tables[name], table)


@pytest.mark.parametrize(
    ("tables", "file", "row", "column", "words"),
    [
        ({"visits": typed_tables()["visits"].assign(alsfrsr=[49, 1, 2])}, "visits.csv", 2, "alsfrsr", "'49'.*highest"),
        ({"visits": typed_tables()["visits"].assign(grip=[1, 2, np.inf])}, "visits.csv", 4, "grip", "'inf'.*finite"),
        ({"visit": pd.DataFrame()}, "visit.csv", None, None, "unknown table 'visit'.*visits"),
        ({"patients": pd.DataFrame()}, "patients.csv", None, None, "nothing in the first row"),
        ({"injections": None}, "injections.csv", None, None, "missing"),
        (
            {"events": typed_tables()["events"].assign(month=pd.Timestamp("2024-01-01 10:00"))},
            "events.csv",
            2,
            "month",
            "number in digits",
        ),
    ],
    ids=["score", "infinite", "unknown table", "empty table", "missing table", "timestamp"],
)
def test_faults_of_frames_are_placed_as_in_files(
    tables: dict[str, Any], file: str, row: int | None, column: str | None, words: str
) -> None:
    frames = {name: frame for name, frame in (typed_tables() | tables).items() if frame is not None}
    with pytest.raises(TrialError) as caught:
        trial_from_tables("frames", frames, SETTINGS_OF_FRAMES)
    ((found_file, found_row, _, found_column, found, remedy),) = caught.value.problems.astype(object).itertuples(
        index=False
    )
    assert (found_file, found_column) == (file, column)
    assert pd.isna(found_row) if row is None else found_row == row
    assert re.search(words, f"{found} -> {remedy}")


@pytest.mark.parametrize("name", ["", "..", "a/b", "..\\x", "a\n"])
def test_a_trial_is_named_as_a_folder_can_be(name: str) -> None:
    with pytest.raises(TrialError, match="name of a folder"):
        trial_from_tables(name, typed_tables(), SETTINGS_OF_FRAMES)


# A trial cannot be changed ----------------------------------------------------------------------------------


def test_a_trial_is_frozen(tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path, GOOD))
    with pytest.raises(FrozenInstanceError):
        trial.title = "another"  # type: ignore[misc]


@pytest.mark.parametrize("table", TABLES)
def test_what_a_trial_hands_out_can_be_changed_without_changing_the_trial(table: str, tmp_path: Path) -> None:
    trial, untouched = (read_trial(folder(tmp_path, GOOD)) for _ in range(2))
    frame = getattr(trial, table)
    frame.loc[0, "patient"] = "changed"
    frame.iloc[:, 1] = frame.iloc[::-1, 1].to_numpy()
    frame["new"] = 1
    frame.columns = frame.columns.str.upper()
    trial.outcomes.clear()  # type: ignore[attr-defined]
    trial.files.clear()  # type: ignore[attr-defined]
    assert_same(trial, untouched)
    assert trial.files == untouched.files


def test_a_trial_survives_pickling(tmp_path: Path) -> None:
    trial = read_trial(folder(tmp_path, GOOD))
    assert_same(pickle.loads(pickle.dumps(trial)), trial)


# Laws -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    tables = {name: [line.split(",") for line in GOOD[f"{name}.csv"].splitlines()] for name in TABLES}
    twice = tables["events"][1][:2]  # two events of one patient at one time
    tables["events"] += [[*twice, "Back pain", "no", "2", ""], [*twice, "Back pain", "no", "1", ""]]
    return {name: pd.DataFrame(rows, columns=header) for name, (header, *rows) in tables.items()}


@settings(max_examples=8, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_row_order_never_matters(frames: dict[str, pd.DataFrame], order: Any) -> None:
    shuffled = {name: frame.iloc[order.sample(range(len(frame)), len(frame))] for name, frame in frames.items()}
    one, other = (trial_from_tables("x", tables, SETTINGS_OF_FRAMES) for tables in (frames, shuffled))
    assert_same(one, other)


@settings(max_examples=20, deadline=None)
@given(shift=st.integers(-400, 400), gap=st.integers(1, 900))
def test_only_the_time_since_the_first_injection_matters(shift: int, gap: int) -> None:
    first = date(2020, 1, 1) + timedelta(days=shift)
    visits = pd.DataFrame(
        {"patient": "A", "date": [first - timedelta(days=30), first + timedelta(days=gap)], "alsfrsr": [40, 30]}
    )
    injections = pd.DataFrame({"patient": ["A"], "injection": [1], "date": [first]})
    tables = {"patients": pd.DataFrame({"patient": ["A"]}), "visits": visits, "injections": injections}
    trial = trial_from_tables("x", tables, {"title": "x", "synthetic": True, "source": "x"})
    assert trial.visits["month"].tolist() == [-30 / DAYS_PER_MONTH, gap / DAYS_PER_MONTH]
    assert trial.injections["month"].tolist() == [0]


def test_the_example_of_the_data_dictionary_is_a_trial(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "data" / "README.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"`([a-z]+\.(?:csv|toml))`\n\n```[a-z]+\n(.*?)```", page, flags=re.DOTALL))
    assert examples.keys() == GOOD.keys()
    assert read_trial(folder(tmp_path, examples)).outcomes.keys() == {"alsfrsr", "fvc", "grip"}


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\x07", "\u2028"])
def test_marks_that_would_change_how_an_identifier_reads_are_refused(mark):
    assert has_control_character(f"P{mark}19")
    assert not has_control_character("P19 \u0645\u0631\u064a\u0636")


# ---- units, notes and what is not known ----


def notes_of(files: dict[str, str], tmp_path: Path) -> list[tuple[Any, ...]]:
    table = read_trial(folder(tmp_path, files)).notes.astype(object)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in table.itertuples(index=False)]


def test_every_problem_of_a_row_names_the_patient(tmp_path: Path) -> None:
    broken = GOOD | {"visits.csv": VISITS.replace("P2,1,39", "P2,6.01,39").replace(",41,", ",49,")}
    with pytest.raises(TrialError) as caught:
        read_trial(folder(tmp_path, broken))
    assert caught.value.problems[["row", "patient"]].values.tolist() == [[2, "P1"], [6, "P2"]]
    assert re.search(r"visits.csv +6 +P2 +month", str(caught.value))


MANY = [f"{patient},{month},{85 - month}" for patient in ("P1", "P2") for month in range(0, 12, 2)]


@pytest.mark.parametrize("last", [["P2,13,2.5", "P2,14,0"], ["P2,13,7.6"], ["P2,13,0"]])
def test_a_patient_at_the_floor_is_not_taken_for_litres(last, tmp_path: Path) -> None:
    """A low value beside a low one is no other unit, and 0 is 0 in any."""
    visits = "\n".join(["patient,month,fvc", *MANY, "P2,12,20", *last])
    settings = SETTINGS.partition("\n\n")[0]
    read_trial(
        folder(tmp_path, GOOD | {"visits.csv": visits, "patients.csv": "patient\nP1\nP2\n", "trial.toml": settings})
    )


@pytest.mark.parametrize(
    ("rows", "row", "patient", "column", "words"),
    [
        ([*MANY, "P10,0,3.1", "P10,2,2.9"], 14, "P10", "fvc", "values from 2.9 to 3.1 only.*not litres"),
        ([*MANY, "P10,0,0.86"], 14, "P10", "fvc", "values from 0.86 to 0.86 only.*fraction"),
        ([*MANY, "P2,13,3.4"], 14, "P2", "fvc", "3.4, beside 75.*not litres"),
        (["P2,-2,0.9", *MANY], 2, "P2", "fvc", "0.9, beside 85.*fraction"),
        ([*MANY, "P10,0,80", "P10,181,20"], 14, "P10", "month", "181 months between the visits.*divide days"),
        (
            [*MANY, *(f"P10,{28 * i},{80 - i}" for i in range(4))],
            *(14, "P10", "month", "visits of one patient 28 months apart.*divide days.*by dates"),
        ),
    ],
)
def test_units_are_judged_by_patient_and_value(rows, row, patient, column, words, tmp_path: Path) -> None:
    visits = "\n".join(["patient,month,fvc", *rows])
    patients = "patient\nP1\nP2\nP10\n"
    files = GOOD | {"visits.csv": visits, "patients.csv": patients, "trial.toml": SETTINGS.partition("\n\n")[0]}
    with pytest.raises(TrialError) as caught:
        read_trial(folder(tmp_path, files))
    (line,) = caught.value.problems.to_dict("records")
    assert (line["file"], line["row"], line["patient"], line["column"]) == ("visits.csv", row, patient, column)
    assert re.search(words, f"{line['found']} -> {line['remedy']}")


@pytest.mark.parametrize("value", ["8", "9.5"])
def test_a_very_low_fvc_is_possible(value: str, tmp_path: Path) -> None:
    visits = VISITS.replace("101", value).replace("P2,1,39,75", "P2,1,39,7.8")
    assert read_trial(folder(tmp_path, GOOD | {"visits.csv": visits})).visits["fvc"].min() == 7.8


def test_a_dose_in_cells_is_refused(tmp_path: Path) -> None:
    ((*place, found, remedy),) = problems_of(
        folder(tmp_path, GOOD | {"injections.csv": INJECTIONS.replace(",120,", ",120000000,")})
    )
    assert (place, found) == (["injections.csv", 3, "dose"], "1.2e+08")
    assert "10^6 cells" in remedy


def test_a_good_trial_has_no_notes(tmp_path: Path) -> None:
    assert notes_of(GOOD, tmp_path) == []


LONG = "P1,-3,41,92.5,20\nP1,0,38,,18.5\nP1,4,36,85,"


@pytest.mark.parametrize(
    ("file", "old", "new", "place", "words"),
    [
        ("patients.csv", "6,death", ",death", (3, "P2", "end_month"), "no time for the end 'death'.*fill in end_month"),
        ("patients.csv", "7,completed", ",lost", (2, "P1", "end_month"), "no time for the end 'lost'"),
        ("events.csv", "P1,0.1", "P1,", (2, "P1", "month"), "no time for the event 'Headache'"),
        ("injections.csv", "P2,1,0.5", "P2,1,-15", (4, "P2", "month"), "12 months before the patient's first visit"),
        ("trial.toml", 'source = "made up for the tests"', "", (None, None, "source"), 'source = "..."'),
        ("visits.csv", LONG, LONG.replace("-3,", "-60,"), (2, "P1", "month"), "for 64 months, others usually for"),
        ("visits.csv", "92.5,20\nP1,0,38,,18.5\nP1,4,36,85,\nP2,-2.5,40,77,NA\nP2,1,39,75,12",
         "92.5,20\nP1,0,38,,18.5\nP1,4,36,,19\nP2,-2.5,40,,18\nP2,1,39,,12", (None, None, "fvc"),
         "FVC at 2 visits, others at 6"),
    ],
)  # fmt: skip
def test_what_is_allowed_and_worth_a_look_is_a_note(file, old, new, place, words, tmp_path: Path) -> None:
    files = GOOD | {file: changed(GOOD[file], old, new)}
    if "-60" in new:
        files |= {"patients.csv": PATIENTS.replace("-14.5", "-94.5")}
    notes = notes_of(files, tmp_path)
    named = [f"{note[4]} -> {note[5]}" for note in notes if note[0] == file and note[1:4] == place]
    assert any(re.search(words, each) for each in named), notes


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["P1,1,40,88", "P1,4,38,80", "P2,1,39,"], "no value of ALSFRS-R before a first injection.*is the prior's"),
        (["P1,-1,40,88", "P1,0,38,80", "P2,0,39,"], "no value of FVC after a first injection"),
        (["P1,-1,40,88", "P1,0,40,80", "P2,1,40,7.5e1"], "ALSFRS-R is 40 at all 3 visits"),
        (
            [f"P1,{month},40,{85 - month // 10}" for month in (-20, 0, 20, 40, 60)],
            "visits usually 20 months apart.*not days",
        ),
        (
            [*(f"P{p},{m},40,85" for p in (1, 2) for m in (0, 3)), "P10,0,40,85", "P10,31,39,80"],
            "followed for 31 months, others usually for 3.0",
        ),
    ],
)
def test_a_table_of_visits_that_is_worth_a_look_has_a_note(rows, words, tmp_path: Path) -> None:
    files = GOOD | {"visits.csv": "\n".join(["patient,month,alsfrsr,fvc", *rows]), "events.csv": None}
    files |= {"patients.csv": "patient\nP1\nP2\nP10\n", "trial.toml": SETTINGS.partition("\n\n")[0]}
    said = [f"{note[4]} -> {note[5]}" for note in notes_of(files, tmp_path)]
    assert any(re.search(words, each) for each in said), said
