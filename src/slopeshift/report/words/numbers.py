"""How the report puts numbers, probabilities and findings into words.

Numbers are rounded to what they can carry: two decimals for slopes, none for percentages. Findings follow one fixed
verbal scale (VERBAL_SCALE), applied to the probability as it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from slopeshift.design.cycles import OVERALL

VERBAL_SCALE = ((0.99, "almost certainly"), (0.95, "very probably"), (0.80, "probably"))
"""Least probability for each word; below the last it is unclear."""

_NOT_A_NUMBER = "–"


@dataclass(frozen=True)
class Table:
    """A table as printed. `align` has a letter per column: l for text, r for numbers.

    A row may be short: its last cell then fills it.
    """

    caption: str
    align: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def in_columns(caption: str, rows: pd.DataFrame, *columns: tuple[str, str, str | Callable[[Any], str]]) -> Table:
    """Print every row of a table by what is wanted of it.

    A column is its head, its letter of `Table.align`, and what it says of a row: a column of `rows`, or a function.
    """
    heads, align, cells = zip(*columns, strict=True)
    said = [
        [str(getattr(row, cell)) if isinstance(cell, str) else cell(row) for cell in cells] for row in rows.itertuples()
    ]
    return Table(caption, "".join(align), heads, said)


MOST_COLUMNS = 5
"""Columns of intervals that a page has room for beside the names of the rows."""


def pieces(table: Table) -> list[Table]:
    """Cut a table with more than MOST_COLUMNS columns besides its first into even ones; a narrower one stays whole.

    A row that has nothing to say in a later piece is not repeated there.
    """
    columns = len(table.columns) - 1
    width = -(-columns // max(1, -(-columns // MOST_COLUMNS)))
    cuts = [slice(start, start + width) for start in range(1, columns + 1, width)]
    return [
        Table(
            table.caption,
            table.align[0] + table.align[cut],
            [table.columns[0], *table.columns[cut]],
            [[row[0], *row[cut]] for row in table.rows if cut.start == 1 or any(row[cut])],
        )
        for cut in cuts
    ]


def stacked(parts: Sequence[pd.DataFrame], columns: Sequence[str] = ("model", "outcome")) -> pd.DataFrame:
    """Put tables under each other, those without a row left out; without any, a table of the columns."""
    filled = [part for part in parts if not part.empty]
    if filled:
        return pd.concat(filled, ignore_index=True)
    return parts[0] if parts else pd.DataFrame(columns=list(columns))


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """Write a number with a true minus sign, and a plus sign where `sign` is asked for."""
    if value != value:
        return _NOT_A_NUMBER
    rounded = round(value, decimals) + 0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{decimals}f}".replace("-", "−")


def probability(value: float) -> str:
    """Write a probability with two decimals, and never as 0 or 1."""
    if value != value:
        return _NOT_A_NUMBER
    if value > 0.99:
        return "> 0.99"
    return "< 0.01" if value < 0.01 else f"{value:.2f}"


def count(value: float) -> str:
    """Write an expected number of patients: whole from ten on, else with one decimal."""
    return number(value, 0 if value >= 9.95 else 1)


def share(value: float) -> str:
    """Write a share as a percentage, and never a small one as none."""
    return "< 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def percent(value: float) -> str:
    """Write a share with one decimal, as a percentage."""
    return "–" if value != value else f"{100 * value:.1f} %"


def in_unit(value: float, unit: str, sign: bool = False) -> str:
    """Write a value with the decimals that its unit can carry, without the unit."""
    if unit == "probability":
        return probability(value)
    return number(value, 0 if unit == "%" else 2, sign)


def between(lower: float, upper: float, unit: str, sign: bool = False) -> str:
    """Write an interval."""
    return f"{in_unit(lower, unit, sign)} to {in_unit(upper, unit, sign)}"


def estimate(row: Any) -> str:
    """Write an estimate with its interval, signs with both; `row` has mean, lower and upper."""
    return f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, '', sign=True)})"


def known(value: float, text: str) -> str:
    """Say nothing of a value that is not known."""
    return "" if value != value else text


def after(injection: str) -> str:
    """Name an injection, or the mean over them, within a sentence."""
    return "all injections" if injection == OVERALL else f"injection {injection}"


def listed(items: Sequence[str]) -> str:
    """Write items as a list in a sentence."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def counted(n: int, noun: str) -> str:
    """Write a number with its noun, the plural ending in s."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def course(sign: float) -> str:
    """Name what the values do as patients worsen: decline, or rise where `sign` of the outcome is -1."""
    return "decline" if sign > 0 else "rise"


def arrows(sign: float) -> str:
    """Say below an axis of changes which way patients worsen more slowly."""
    left, right = ("faster", "slower")[:: int(sign)]
    return f"← {left} {course(sign)} | {right} {course(sign)} →"


def slower_where(sign: float) -> str:
    """Name the probability that patients worsen more slowly by the side of 0 on which the change then is."""
    return f"Pr(change {'>' if sign > 0 else '<'} 0)"


def certainty(prob_better: float, worsening: bool = True, sign: float = 1, *, compared: bool = False) -> str:
    """Put the probability that patients worsen more slowly into words by VERBAL_SCALE, in either direction.

    `worsening` says whether they worsened before, of which to say that it became slower; `sign` is the outcome's.
    `compared` says that it is about the treated, beside a control.
    """
    better, worse, neither = (f"slower {course(sign)}", f"faster {course(sign)}", course(sign))
    if not worsening:
        better, worse, neither = (*("higher slope", "lower slope")[:: int(sign)], "slope")
    printed = round(max(prob_better, 1 - prob_better), 2)
    for least, words in VERBAL_SCALE:
        if printed >= least:
            return f"{words} {better if prob_better >= 0.5 else worse}{' than in the control' if compared else ''}"
    return f"unclear whether the {neither} {'differs between the arms' if compared else 'changed'}"


def point(row: Any) -> float:
    """Take the number to print of a summarised quantity: its mean, or the median of a percentage or ratio."""
    return float(row.median if row.unit in ("%", "ratio") else row.mean)
