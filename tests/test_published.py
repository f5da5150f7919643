"""Published figures: every row can be read and says where it is from, and none of it is taken for a trial."""

import os
import subprocess
import sys
import zipfile

import pandas as pd
import pytest
from trials import ROOT

from slopeshift import published
from slopeshift.trial import TrialError, read_trial

COLUMNS = "study population treated outcome quantity period n value sd lower upper unit source location note".split()


def test_there_are_the_trial_of_the_design_and_untreated_patients():
    assert published.names() == ("petrou2021", "untreated")


@pytest.mark.parametrize("name", published.names())
def test_every_row_is_whole_and_has_a_source(name):
    table = published.figures(name)
    assert list(table.columns) == COLUMNS
    assert table["source"].str.fullmatch(r"doi:10\.\S+/\S+|PMC[0-9]+").all()
    assert table["treated"].isin(["yes", "no"]).all()
    for column in ("study", "quantity", "unit", "location"):
        assert (table[column] != "").all(), column
    for column in ("n", "value", "sd", "lower", "upper"):
        assert pd.api.types.is_numeric_dtype(table[column]), column
    assert (table["value"].notna() | table["lower"].notna()).all()
    assert not table.duplicated(["study", "population", "outcome", "quantity", "period"]).any()


@pytest.mark.parametrize("name", published.names())
def test_a_count_of_patients_is_not_above_their_number(name):
    table = published.figures(name)
    counts = table[(table["unit"] == "patients") & table["n"].notna()]
    assert len(counts) > 3
    assert (counts["value"] <= counts["n"]).all()


def test_the_published_counts_are_those_of_the_abstract():
    table = published.figures("petrou2021")
    improved = table[table["quantity"] == "improved by more than 25 %"]
    assert list(improved[["period", "value", "n"]].itertuples(index=False, name=None)) == [
        ("1", 15, 19),
        ("2", 11, 12),
        ("3", 8, 10),
        ("whole", 13, 19),
    ]


def test_an_unknown_name_is_answered_by_those_known():
    with pytest.raises(LookupError, match="no published figures 'petrou'; there are petrou2021, untreated"):
        published.figures("petrou")


def test_published_figures_are_no_trial():
    with pytest.raises(TrialError, match=r"visits\.csv"):
        read_trial(ROOT / "data" / "published")


def test_the_figures_travel_with_the_installed_package(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    found = subprocess.run(
        [sys.executable, "-c", "from slopeshift import published as p; print(p.__file__, *p.names())"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, *names = found.stdout.split()
    assert place.startswith(str(tmp_path))
    assert names == list(published.names())
