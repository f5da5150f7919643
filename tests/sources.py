"""Small sources in every format, made by the project's own writers, and ways to import them."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from trials import ROOT

from slopeshift.formats import Request, import_trial
from slopeshift.formats.export import export_trial
from slopeshift.formats.notation import Notation
from slopeshift.trial import TrialError

SYNTHETIC = ROOT / "data" / "synthetic-msc-als"
FORMATS = ("proact", "sdtm", "adam", "redcap", "table")

SMALL = {
    "patients.csv": """patient,age,sex,onset_month,onset_site,end_month,end_reason
A1,61,F,-14,limb,7,completed
A2,55,M,-20,bulbar,6,death
A3,48,F,-9,limb,,
""",
    "visits.csv": """patient,month,alsfrsr,fvc
A1,-3,41,92.5
A1,0,38,90
A1,4,36,85
A2,-2,40,77
A2,1,39,75
A3,0,44,101
""",
    "injections.csv": """patient,injection,month,dose,route
A1,1,0,60,INTRATHECAL
A1,2,4,120,INTRATHECAL
A2,1,0,60,INTRATHECAL
""",
    "events.csv": """patient,month,term,serious,grade,related
A1,1,Headache,no,1,possible
A2,5,Pneumonia,yes,3,no
""",
    "trial.toml": 'title = "Small"\nsynthetic = true\nsource = "made up"\n',
}


def small_trial(folder: Path) -> Path:
    """Write the small trial."""
    folder.mkdir(parents=True)
    for name, text in SMALL.items():
        (folder / name).write_text(text)
    return folder


def with_dates(source: Path, folder: Path, start: date = date(2021, 1, 15)) -> Path:
    """Write a trial of months as one of dates, every patient entering 37 days after the one before."""
    folder.mkdir(parents=True)
    names = pd.read_csv(source / "patients.csv", dtype="str")["patient"]
    entry = {name: start + timedelta(days=37 * place) for place, name in enumerate(names)}
    for path in source.glob("*.csv"):
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
        for column in [column for column in table if column.endswith("month")]:
            pairs = zip(table["patient"], table.pop(column), strict=True)
            days = [(entry[name] + timedelta(days=round(float(month) * 30.4375))).isoformat() if month else ""
                    for name, month in pairs]  # fmt: skip
            table[column.removesuffix("month") + "date"] = days
        table.to_csv(folder / path.name, index=False)
    shutil.copy(source / "trial.toml", folder)
    return folder


def exported(form: str, trial: Path, folder: Path) -> dict[str, Path | None]:
    """Export a trial; return what to import it with: `source` and `document`."""
    export_trial(form, trial, folder)
    if form in ("redcap", "table"):
        return {"source": folder / f"{form}.csv", "document": folder / "mapping.yaml"}
    return {"source": folder, "document": None}


def take(form, source, destination, dates="iso", decimal="auto", **options):
    """Import a source."""
    return import_trial(Request(form, source, destination, Notation(dates, decimal), **options))


def refused(form, source, destination, **options) -> pd.DataFrame:
    """Import what must be refused; return the problems, and see that nothing was written."""
    with pytest.raises(TrialError) as raised:
        take(form, source, destination, **options)
    assert not destination.exists()
    assert not list(destination.parent.glob(f".{destination.name}*"))
    assert str(raised.value)
    return raised.value.problems


def edit_yaml(path: Path, change) -> Path:
    """Change a YAML file by a function of its document."""
    document = yaml.load(path.read_text(), yaml.BaseLoader)
    change(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def datasets_as_csv(folder: Path) -> Path:
    """Turn XPT datasets into CSV, which tests can edit as text."""
    from slopeshift.formats.source import read_source

    for path in sorted(folder.glob("*.xpt")):
        source, problems = read_source(path)
        assert not problems
        source.table.to_csv(path.with_suffix(".csv"), index=False)
        path.unlink()
    return folder
