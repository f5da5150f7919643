"""The same source in another kind of file, encoding or detail: the same trial."""

import json

import numpy as np
import openpyxl
import pandas as pd
import pytest
from sources import FORMATS, exported, small_trial, take, with_dates

from slopeshift.formats.source import read_source
from slopeshift.trial import read_trial


def test_items_come_back_as_the_total_they_add_up_to(tmp_path):
    trial = small_trial(tmp_path / "small")
    rows = ["patient,month,alsfrsr," + ",".join(f"alsfrsr_{item}" for item in range(1, 13))]
    rows += [f"A1,{month},{total}," + ",".join(["4"] * 11 + [str(total - 44)]) for month, total in ((0, 48), (4, 46))]
    rows += ["A1,5,," + ",".join(["3"] * 12)]
    (trial / "visits.csv").write_text("\n".join(rows))
    expected = read_trial(trial).visits["alsfrsr"].tolist()
    assert expected == [48, 46, 36]
    for form in FORMATS:
        after = take(form, destination=tmp_path / f"back-{form}", **exported(form, trial, tmp_path / form)).trial
        assert after.visits["alsfrsr"].tolist() == expected, form


def test_a_spreadsheet_of_typed_cells_is_the_same_trial(tmp_path):
    source = exported("table", with_dates(small_trial(tmp_path / "m"), tmp_path / "small"), tmp_path / "out")
    table = pd.read_csv(source["source"], keep_default_na=False)
    book = openpyxl.Workbook()
    book.active.append(list(table.columns))
    for row in table.itertuples(index=False):
        typed = [pd.Timestamp(cell).to_pydatetime() if column.endswith("date") and cell else cell if cell != "" else None
                 for column, cell in zip(table.columns, row, strict=True)]  # fmt: skip
        book.active.append([cell.item() if isinstance(cell, np.generic) else cell for cell in typed])
    book.save(tmp_path / "table.xlsx")
    one = take("table", source["source"], tmp_path / "one", document=source["document"]).trial
    other = take("table", tmp_path / "table.xlsx", tmp_path / "other", document=source["document"]).trial
    pd.testing.assert_frame_equal(one.visits, other.visits)
    pd.testing.assert_frame_equal(one.patients, other.patients)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-16-le", ";"), ("cp1252", ";"), ("utf-8", "\t")],
)
def test_encoding_and_separator_do_not_matter(encoding, mark, tmp_path):
    source = exported("table", small_trial(tmp_path / "small"), tmp_path / "out")
    table = pd.read_csv(source["source"], dtype="str", keep_default_na=False).replace("bulbar", "bulbär")
    if mark != ",":
        table = table.map(lambda cell: cell.replace(".", ","))
    path = tmp_path / "table.csv"
    path.write_bytes(table.to_csv(index=False, sep=mark).encode(encoding))
    done = take("table", path, tmp_path / "back", document=source["document"])
    assert done.trial.visits["fvc"].tolist() == read_trial(tmp_path / "small").visits["fvc"].tolist()
    assert "bulbär" in set(done.trial.patients["onset_site"])
    notes = done.ledger[done.ledger["fate"] == "note"]["reason"].tolist()
    assert notes == (
        [] if encoding.startswith("utf-8") else [f"read as {'Windows-1252' if encoding == 'cp1252' else 'UTF-16'}"]
    )


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_dataset_json_is_read_in_both_versions(version, tmp_path):
    folder = tmp_path / "out"
    exported("sdtm", small_trial(tmp_path / "small"), folder)
    before = take("sdtm", folder, tmp_path / "one").trial
    for path in sorted(folder.glob("*.xpt")):
        source, _ = read_source(path)
        rows = [[float(cell) if name.endswith(("DY", "STRESN", "DOSE", "AGE")) and cell else cell or None
                 for name, cell in zip(source.table.columns, row, strict=True)]
                for row in source.table.itertuples(index=False)]  # fmt: skip
        columns = [{"itemOID": name, "name": name, "label": name} for name in source.table.columns]
        content = {"datasetJSONVersion": "1.1.0", "name": path.stem.upper(), "columns": columns, "rows": rows}
        if version == "1.0":
            content = {"clinicalData": {"itemGroupData": {"IG": {"items": columns, "itemData": rows}}}}
        path.with_suffix(".json").write_text(json.dumps(content))
        path.unlink()
    pd.testing.assert_frame_equal(before.visits, take("sdtm", folder, tmp_path / "two").trial.visits)
