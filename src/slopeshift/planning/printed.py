"""The tables of a plan as they are printed on its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.planning import words
from slopeshift.planning.tables import OK
from slopeshift.report.words.numbers import Table, in_columns, number, percent, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def scenarios(table: pd.DataFrame, unit: str) -> Iterator[Table]:
    """Print a table for every model and rule: a row per design, a column per scenario, with flags."""
    for (model, level), rows in table.groupby(["model", "probability"], sort=False):
        names = list(dict.fromkeys(rows["scenario"]))
        printed = []
        for place, of in rows.groupby("design", sort=False):
            first = of.iloc[0]
            cells = [f"{_share(row.claims)}{'' if row.flag == OK else f' ({row.flag})'}" for row in of.itertuples()]
            printed.append(
                [str(place), str(first["patients"]), number(first["lead_in"], 1), number(first["width"]), *cells]
            )
        heads = ["Design", "Patients", "Lead-in, months", f"Width of 95 % interval, {unit}", *names]
        caption = f"Shares of trials that claim at a probability above {level:g}, model {model}"
        yield Table(caption, "l" + "r" * (len(heads) - 1), heads, printed)


def _share(value: float) -> str:
    """Write a share of trials: with a decimal where it may be false alarms."""
    return percent(value) if value < 0.1 else share(value)


def regressions(table: pd.DataFrame) -> Table | None:
    """Print what interval and dose would show, where they were asked for."""
    if table.empty:
        return None
    return in_columns(
        "What the trial would say of coefficients on interval and dose",
        table,
        ("Design", "l", "design"),
        ("Model", "l", "model"),
        ("Coefficient", "l", lambda row: row.coefficient.replace("_", " ")),
        ("True", "r", lambda row: number(row.true, 3)),
        ("SD before", "r", lambda row: number(row.prior_sd, 3)),
        ("SD after", "r", lambda row: number(row.posterior_sd, 3)),
        ("Information", "r", lambda row: number(row.information, 1)),
        ("95 % interval above 0", "r", lambda row: share(row.claims)),
    )


def simulated(table: pd.DataFrame) -> Table | None:
    """Print what was simulated beside the closed form, where anything was."""
    if table.empty:
        return None
    compared = table.assign(agrees=table.apply(words.compared, axis=1))
    return in_columns(
        "Simulated and refitted trials beside the closed form",
        compared,
        ("Design", "l", "design"),
        ("Model", "l", "model"),
        ("Scenario", "l", "scenario"),
        ("Trials", "r", "trials"),
        ("Claims, simulated", "r", lambda row: f"{number(100 * row.claims, 1)} ± {number(100 * row.mc_error, 1)} %"),
        ("Closed form", "r", lambda row: percent(row.closed_form)),
        ("As learnt", "r", lambda row: percent(row.learnt)),
        ("Bias", "r", lambda row: number(row.bias, 2, True)),
        ("RMSE", "r", lambda row: number(row.rmse)),
        ("Coverage", "r", lambda row: share(row.coverage)),
        ("Verdict", "l", "agrees"),
    )


def looks(table: pd.DataFrame) -> Table | None:
    """Print what trials end in at every look, where there are any."""
    if table.empty:
        return None
    return in_columns(
        "What trials end in, look by look",
        table,
        ("Scenario", "l", "scenario"),
        ("Look", "l", "look"),
        ("Month", "r", lambda row: number(row.month, 1)),
        ("Patients", "r", "enrolled"),
        ("Claim above", "r", lambda row: f"{row.probability:g}"),
        ("Stop with a claim", "r", lambda row: share(row.claim)),
        ("Stop without", "r", lambda row: share(row.without)),
        ("Claims in all", "r", lambda row: f"{number(100 * row.claims, 1)} ± {number(100 * row.mc_error, 2)} %"),
        ("Claims at the end alone", "r", lambda row: percent(row.claims_without)),
        ("Patients expected", "r", lambda row: number(row.expected_patients, 1)),
        ("Months expected", "r", lambda row: number(row.expected_months, 1)),
    )


def priors(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Print the priors of a model: rows as `stated.row` gives them."""
    table = pd.DataFrame(rows)
    return in_columns(
        f"Priors of the model {name}",
        table,
        ("Parameter", "l", "label"),
        ("Prior", "l", lambda row: f"{row.distribution}({', '.join(f'{value:g}' for value in row.numbers.values())})"),
        ("Unit", "l", "unit"),
        ("Why", "l", "why"),
    )
