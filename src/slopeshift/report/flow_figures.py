"""The flow of patients as a picture: how many came how far, and why the others did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from slopeshift.report import flow as counts
from slopeshift.report.pictures import picture
from slopeshift.report.plots import BLUE, GREY, INK, styled
from slopeshift.report.wording import listed

if TYPE_CHECKING:
    from slopeshift.report.pictures import Picture
    from slopeshift.trial import Trial

_ENDED = {"death": "died", "withdrawal": "withdrew", "lost": "lost", "completed": "completed", "ongoing": "ongoing"}


def flow(trial: Trial) -> Picture:
    """Show the number of patients enrolled and at each injection, and what became of those who went no further."""
    rows = steps(trial)
    said = "; ".join(f"{name} {n}" + (f" ({ended})" if ended else "") for name, n, ended in rows)
    return picture(
        _bars(rows),
        "flow",
        "Patients who came so far; in words, how follow-up ended for those who went no further.",
        f"Flow of patients. {said}.",
    )


def steps(trial: Trial) -> list[tuple[str, int, str]]:
    """Count the patients who were enrolled, and had injection k; say how it ended for those who went no further."""
    given = counts.injections_given(trial).to_numpy()
    rows = []
    for k in range(int(given.max()) + 1):
        last = trial.patients[given == k]
        ended = last["end_reason"].fillna("not recorded").value_counts() if "end_reason" in last else {}
        words = listed([f"{n} {_ENDED.get(str(reason), str(reason))}" for reason, n in dict(ended).items()])
        rows.append((f"Injection {k}" if k else "Enrolled", int((given >= k).sum()), words))
    return rows


@styled
def _bars(rows: list[tuple[str, int, str]]) -> Figure:
    figure = Figure(figsize=(6.2, 0.35 + 0.3 * len(rows)), layout="constrained")
    ax = figure.subplots()
    most = max(n for _, n, _ in rows)
    for place, (_, n, words) in enumerate(rows):
        ax.barh(place, n, height=0.6, color=BLUE, alpha=0.3, edgecolor=BLUE, linewidth=0.8)
        ax.text(n, place, f" {n}", va="center", color=INK, fontweight="bold")
        ax.text(1.12 * most, place, words and f"no further: {words}", va="center", fontsize=9, color=INK)
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 2.6 * most), xticks=[])
    ax.tick_params(axis="y", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_color(GREY)
    return figure
