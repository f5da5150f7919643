"""Covariates by hand: columns of the patients' table as the numbers that coefficients are multiplied by."""

import numpy as np
import pandas as pd
import pytest

from slopeshift.design.covariates import MEAN, REFERENCE, CovariateError, columns_of
from slopeshift.trial.roles import CovariateRole

AGES = pd.DataFrame({"patient": ["P1", "P2", "P3"], "age": [50.0, 60.0, np.nan], "sex": ["f", "m", None]})


def of(name, missing=None, patients=AGES[:2], **role):
    return columns_of(CovariateRole(name, name, **role), patients, missing)


def test_a_number_is_centred_at_the_mean_and_counted_in_its_unit():
    (column,) = of("age")
    assert column.values.tolist() == [-5, 5]
    assert (column.suffix, column.step, column.per, column.rule) == ("", "1 year more (0 at 55)", "year", "")


def test_a_stated_centre_and_step_are_taken():
    (column,) = of("age", centre=60, per=10)
    assert column.values.tolist() == [-1, 0]
    assert (column.step, column.per) == ("10 years more (0 at 60)", "10 years")
    (column,) = of("age", centre=0, unit="weeks")
    assert (column.values.tolist(), column.step) == ([50, 60], "1 week more (0 at 0)")
    other = AGES[:2].rename(columns={"age": "bmi"})
    assert of("bmi", patients=other)[0].step == "1 units of bmi more (0 at 55)"


def test_patients_without_a_number_stand_at_the_mean_of_the_others_where_a_rule_says_so():
    (column,) = of("age", MEAN, AGES, centre=50, per=10)
    assert column.values.tolist() == [0, 1, 0.5]
    assert column.rule == "1 patient without a value taken at the mean"


def test_each_other_level_has_a_column_and_patients_without_one_stand_at_the_reference():
    sites = pd.DataFrame({"patient": list("abcde"), "site": ["x", "z", "y", None, None]})
    columns = of("site", REFERENCE, sites, reference="x")
    assert [(column.suffix, column.values.tolist()) for column in columns] == [
        (" y", [0, 0, 1, 0, 0]), (" z", [0, 1, 0, 0, 0])
    ]  # fmt: skip
    assert (columns[0].step, columns[0].per) == ("y vs x", "")
    assert columns[0].rule == "2 patients without a value taken at the reference level"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda: of("age", None, AGES),
            'no value for P3; fill it in, or state a rule in the model file, missing="mean"',
        ),
        (lambda: of("age", REFERENCE), 'missing="reference" does not fit it; write missing="mean"'),
        (lambda: of("sex", MEAN, reference="f"), 'missing="mean" does not fit it; write missing="reference"'),
        (lambda: of("age", patients=AGES[:1]), "every patient with a value has .*50.0.*, which cannot inform"),
        (lambda: of("height"), "no such column in patients.csv"),
    ],
)
def test_a_column_that_cannot_be_used_is_refused_with_its_reason(ask, said):
    with pytest.raises(CovariateError, match=said):
        ask()


@pytest.mark.parametrize(("without", "said"), [(8, "P7, P8; fill"), (9, "P8 and 1 more; fill")])
def test_eight_patients_without_a_value_are_named_and_more_are_counted(without, said):
    known = pd.DataFrame({"patient": ["A", "B"], "age": [50.0, 60.0]})
    missing = pd.DataFrame({"patient": [f"P{i}" for i in range(1, without + 1)], "age": np.nan})
    with pytest.raises(CovariateError, match=said):
        of("age", patients=pd.concat([known, missing], ignore_index=True))
