"""Figures of every patient: tidy inputs in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from slopeshift.report.figures.style import (
    BLUE,
    GREY,
    INK,
    SMALL,
    beyond,
    change_label,
    legend,
    look,
    note,
    panel,
    rows_of_axes,
    short,
    styled,
)


@styled
def forest(
    rows: pd.DataFrame,
    patients: Sequence[str],
    missing: Mapping[str, str],
    span: tuple[float, float],
    unit: str,
    average: float | None = None,
    sign: float = 1,
) -> Figure:
    """Draw the change of every patient after one injection, in the order of `patients`.

    `rows` has columns patient, mean, lower, upper (`unit`) and called (bool, drawn filled). A patient without a row
    gets the words of `missing` in its place. `span` is the common range of the horizontal axis, and an interval that
    leaves it ends in an arrowhead. `average` is the change of an average patient, drawn as a dashed line; `sign` is
    that of the outcome.
    """
    figure, ax = panel(0.75 + 0.155 * max(len(patients), 1))
    place = {patient: i for i, patient in enumerate(patients)}
    for row in rows.itertuples():
        y = place[row.patient]
        ax.plot([row.lower, row.upper], [y, y], color=BLUE, linewidth=1.2)
        beyond(ax, row.lower, row.upper, y, span, BLUE)
        ax.plot(row.mean, y, "o", color=BLUE, markersize=4.5, markerfacecolor=BLUE if row.called else "white")
    beside = ax.get_yaxis_transform()
    for patient, words in missing.items():
        ax.text(
            0.01, place[patient], words, transform=beside, va="center", color=GREY, fontsize=SMALL, fontstyle="italic"
        )
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    if average is not None:
        ax.axvline(average, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0)
    ax.set_yticks(range(len(patients)), [short(patient) for patient in patients], fontsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=span, ylim=(len(patients) - 0.4, -0.6), xlabel=change_label(unit, sign))
    return figure


@styled
def counts(
    posterior: Mapping[str, NDArray[np.intp]], prior: Mapping[str, NDArray[np.intp]], patients: Mapping[str, int]
) -> Figure:
    """Draw the distribution of the number of slowed patients per injection, what the prior alone expects beside it.

    `posterior` and `prior` hold counts (draw,) by injection; `patients` says of how many.
    """
    if not posterior:
        return note("No injection, no change")
    figure, rows = rows_of_axes([f"{injection} (of {patients[injection]})" for injection in posterior], 0.6)
    number = np.arange(max(patients.values()) + 1)
    for ax, injection in zip(rows, posterior, strict=True):
        share, before = (
            np.bincount(draws[injection], minlength=len(number)) / len(draws[injection]) for draws in (posterior, prior)
        )
        ax.bar(number, share, color=look(injection)[0], alpha=0.55, width=0.85, label="posterior")
        reached = patients[injection] + 1
        ax.plot(
            number[:reached], before[:reached], color=INK, linewidth=1, marker=".", linestyle=(0, (4, 2)), label="prior"
        )
    rows[-1].set_ylim(0)
    rows[-1].set_xlabel("Number of slowed patients")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, rows[0])
    return figure
