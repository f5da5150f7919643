"""Numbers that a column allows and that cannot be right: another unit than the one they are taken for.

Each is judged by itself, by its patient's others, and never by the whole trial: one site may write litres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from slopeshift.trial.columns import Records

LOWEST_FVC = 8.0
"""% of predicted: litres and fractions are always below it, unless they are 0, which is so in any unit."""
STEEPEST_FVC = 0.1
"""A value below LOWEST_FVC and this part of one before or after it that is not: a litre is 0.02 to 0.05 of per cent."""
LONGEST_MONTHS = 180.0
"""Between the visits, or the injections, of one patient; a year and a half of days is more."""
WIDEST_GAP, FEWEST_GAPS = 24.0, 3
"""Between a patient's visits, in the median of so many gaps; a month of days is more."""
LARGEST_DOSE = 1e5
"""10^6 cells; a dose in cells is more."""

_MONTHS = "give months: divide days by 30.4375 or, in an import, map it as `day`"
_OR_DATES = "; visits that are really years apart are stated by dates"
_PER_CENT = "give % of predicted (85), not litres (3.1) or a fraction (0.85)"


def _per_cent_of_predicted(records: Records) -> Iterator[Problem]:
    visits = records.tables["visits"].dropna(subset=["fvc"]).sort_values(records.clock)
    groups = visits.groupby("patient")["fvc"]
    highest = groups.transform("max")
    small = visits["fvc"].gt(0) & (visits["fvc"] < LOWEST_FVC)
    for row in visits[small & (highest < LOWEST_FVC)].sort_index().drop_duplicates("patient").index:
        mine = visits.loc[visits["patient"] == visits["patient"][row], "fvc"]
        found = f"values from {mine.min():g} to {mine.max():g} only"
        yield Problem("visits.csv", int(row), "fvc", found, _PER_CENT)
    near = groups.shift(1).fillna(groups.shift(-1))
    steep = small & (near >= LOWEST_FVC) & (visits["fvc"] < STEEPEST_FVC * near)
    for row, value in visits.loc[steep, "fvc"].sort_index().items():
        yield Problem("visits.csv", int(row), "fvc", f"{value:g}, beside {near[row]:g}", _PER_CENT)


def _months_not_days(records: Records) -> Iterator[Problem]:
    if records.clock != "month":
        return
    for name in ("visits", "injections"):
        times = records.tables[name].dropna(subset=["patient", "month"])
        spans = times.groupby("patient")["month"].agg(lambda month: month.max() - month.min())
        long = times[times["patient"].map(spans).astype("float64") > LONGEST_MONTHS]
        for row, patient in long.drop_duplicates("patient")["patient"].items():
            found = f"{spans[patient]:g} months between the {name} of one patient"
            yield Problem(f"{name}.csv", int(row), "month", found, _MONTHS)
        if name == "visits":
            yield from _wide_apart(times[~times["patient"].isin(long["patient"])])


def _wide_apart(visits: pd.DataFrame) -> Iterator[Problem]:
    gaps = visits.sort_values("month").groupby("patient")["month"].diff().dropna()
    of = gaps.groupby(visits["patient"].reindex(gaps.index)).agg(["median", "count"])
    wide = of.loc[(of["median"] >= WIDEST_GAP) & (of["count"] >= FEWEST_GAPS), "median"]
    rows = visits[visits["patient"].isin(wide.index)].drop_duplicates("patient")
    for row, patient in rows["patient"].items():
        found = f"visits of one patient {wide[patient]:g} months apart"
        yield Problem("visits.csv", int(row), "month", found, _MONTHS + _OR_DATES)


def _dose_in_millions(records: Records) -> Iterator[Problem]:
    dose: pd.Series[float] = records.tables["injections"]["dose"]
    for row, value in dose[dose >= LARGEST_DOSE].items():
        yield Problem("injections.csv", int(row), "dose", f"{value:g}", "give 10^6 cells: 60 for sixty million")


UNITS = (_per_cent_of_predicted, _months_not_days, _dose_in_millions)
