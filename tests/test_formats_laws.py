"""Whatever an export looks like: tables that pass the door, or a refusal with reasons; and no row is lost."""

import csv
import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import FORMATS, datasets_as_csv, exported, small_trial, take, with_dates

from slopeshift.formats import UnconfirmedError
from slopeshift.formats.source import read_source
from slopeshift.trial import TrialError, read_trial

JUNK = (
    "", "NA", "n/a", ".", "-", "0", "1", "-1", "48", "49", "1e400", "12,5", "1,234", "nan", "inf", "<20", "2024-03-15", "15/03/2024",
    "2024-02-30", "2024", "44290", "Y", "N", "yes", "no", "A1", "a1", "Z9", "ALSFRSR", "FVCPP", "INJDOSE", "COMPLETED", "DEATH",
    "LOCF", "NOT DONE", "injection", "adverse_event", "x" * 200, "é", "\u202e", "\x07", '"', "a,b", "=1+1", "9" * 400, "١٢",
)  # fmt: skip
CHANGES = (
    "cell",
    "row twice",
    "row away",
    "column away",
    "column renamed",
    "column twice",
    "cut",
    "bytes",
    "blank row",
)
VARIANTS = (*FORMATS, "table-dates", "redcap-dates", "sdtm-dates", "adam-dates")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    base = tmp_path_factory.mktemp("laws")
    small = small_trial(base / "small")
    trials = {"": small, "-dates": with_dates(small, base / "small-dates")}
    for variant in VARIANTS:
        form, dash, kind = variant.partition("-")
        exported(form, trials[dash + kind], base / variant)
        if form in ("sdtm", "adam"):
            datasets_as_csv(base / variant)
    return base


def mutated(data, text):
    """Change a CSV text in one way."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    change = data.draw(st.sampled_from(CHANGES))
    row = data.draw(st.integers(1, len(rows) - 1)) if len(rows) > 1 else 0
    column = data.draw(st.integers(0, len(rows[0]) - 1))
    match change:
        case "cell":
            rows[row][column] = data.draw(st.sampled_from(JUNK) | st.text(max_size=8))
        case "row twice":
            rows.insert(row, list(rows[row]))
        case "row away":
            del rows[row]
        case "column away":
            rows = [cells[:column] + cells[column + 1 :] for cells in rows]
        case "column renamed":
            rows[0][column] = data.draw(st.sampled_from(JUNK) | st.sampled_from(rows[0]))
        case "column twice":
            rows = [[*cells, cells[column]] for cells in rows]
        case "blank row":
            rows.insert(row, [""] * len(rows[0]))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    written = out.getvalue().encode("utf-8", "surrogatepass")
    if change == "cut":
        return written[: data.draw(st.integers(0, len(written)))]
    if change == "bytes":
        place = data.draw(st.integers(0, len(written)))
        return written[:place] + data.draw(st.binary(min_size=1, max_size=3)) + written[place:]
    return written


@pytest.mark.parametrize("variant", VARIANTS)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_mutated_export_is_imported_with_every_row_accounted_for_or_refused_with_reasons(variant, originals, data):
    form = variant.partition("-")[0]
    with TemporaryDirectory() as place:
        folder = Path(shutil.copytree(originals / variant, Path(place) / "in"))
        files = sorted(folder.glob("*.csv"))
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(files))
            try:
                path.write_bytes(mutated(data, path.read_text()))
            except (UnicodeDecodeError, csv.Error, IndexError):
                break  # too broken to be broken further
        source = folder / f"{form}.csv" if form in ("table", "redcap") else folder
        document = folder / "mapping.yaml" if form in ("table", "redcap") else None
        destination = Path(place) / "out"
        done, problems = outcome(form, source, destination, document)
        if done is None:
            assert len(problems)
            assert problems["remedy"].str.len().gt(5).all()
            assert not destination.exists()
            return
        accounted(done.ledger, folder)
        again = read_trial(destination)
        pd.testing.assert_frame_equal(again.visits, done.trial.visits)


def outcome(form, source, destination, document):
    """Import; return what was imported, or the problems."""
    try:
        return take(form, source, destination, document=document), None
    except TrialError as error:
        return None, error.problems


def accounted(ledger, folder):
    """Compare the ledger with the files: every row of every file that was read, once."""
    rows = ledger.dropna(subset="row")
    whole = set(ledger.loc[ledger["row"].isna() & (ledger["fate"] == "left out"), "file"]) - set(rows["file"])
    for path in folder.glob("*.csv"):
        if path.name in whole:
            continue
        source, problems = read_source(path)
        assert not problems
        assert sorted(rows.loc[rows["file"] == path.name, "row"]) == list(range(2, source.rows + 2))
    assert rows["reason"].str.len().gt(3).all()
    assert rows["fate"].isin(["used", "left out"]).all()


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=400), ending=st.sampled_from([".csv", ".tsv", ".xlsx", ".xpt", ".sas7bdat", ".json"]))
def test_any_bytes_are_read_or_refused(data, ending):
    with TemporaryDirectory() as place:
        path = Path(place) / f"x{ending}"
        path.write_bytes(data)
        source, problems = read_source(path)
        assert (source is None) == bool(problems)


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=300))
def test_any_mapping_file_is_understood_or_refused(text):
    with TemporaryDirectory() as place:
        source = Path(place) / "t.csv"
        source.write_text("id,month,alsfrsr\n1,0,40\n")
        (Path(place) / "m.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        for form in ("table", "redcap"):
            with pytest.raises((TrialError, UnconfirmedError)):
                take(form, source, Path(place) / "out", document=Path(place) / "m.yaml")
