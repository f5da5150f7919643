"""The sensitivity table of the report: what was stored, with the other models and moved injections beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from slopeshift.answers.quantities import BETWEEN, SLOWED, WITHIN
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, Tables, primary, rows_of
from slopeshift.report.figures import sensitivity as sensitivity_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.numbers import Table, course, estimate, in_columns, number, probability, stacked
from slopeshift.report.words.sensitivity import MOVED, OTHER_MODEL, of_outcome, sentences
from slopeshift.sensitivity import curves, variations
from slopeshift.sensitivity.rows import COLUMNS, MAIN, beside_main, labelled, refused
from slopeshift.trial.roles import chance_of_better

GATE_FAILED = "withheld: this fit failed its diagnostics gate"

RANGES = (variations.ONE_LEFT_OUT, variations.WANING, variations.AFTER_LEAVING)
"""Analyses of which there are many: printed as a range."""


def table(analyses: Sequence[Analysis], study: Tables, varied: Tables) -> pd.DataFrame:
    """Put all analyses of all outcomes under each other: the table `sensitivity`, columns as `rows.COLUMNS`.

    Of each outcome the main analysis comes first, then the other models, then what the study holds, then the
    pseudo-injections of the null study, which are no estimate of the same thing and get no difference.
    """
    parts = [part for main in primary(analyses) for part in _of_outcome(main, analyses, study, varied)]
    return stacked(parts, COLUMNS)[list(COLUMNS)]


def _of_outcome(main: Analysis, analyses: Sequence[Analysis], study: Tables, varied: Tables) -> list[pd.DataFrame]:
    own = _of_fit(main, MAIN)
    if not main.passed or own.empty:
        return [own]
    chosen = primary(analyses)
    same = [a for a in analyses if a.record["outcome"] == main.record["outcome"] and a not in chosen]
    others = [_of_fit(a, OTHER_MODEL) for a in same]
    rest = varied.get("sensitivity", pd.DataFrame(columns=list(COLUMNS)))
    rest = rest[(rest["model"] == main.record["model"]) & (rest["analysis"] != MAIN)]
    return [*(beside_main(part, own) for part in (own, *others) if len(part)), rest, _moved(main, study)]


def _of_fit(analysis: Analysis, kind: str) -> pd.DataFrame:
    """Take the changes of a fit out of its results; none where it has no change of a cycle."""
    record, population = analysis.record, analysis.results.population
    labels = {"analysis": kind, "outcome": record["outcome"], "model": record["model"], "detail": record["title"]}
    if not analysis.passed:
        return refused(GATE_FAILED, **labels)
    changes = population[population["quantity"] == analysis.results.claimed]
    slowing = population[population["quantity"] == SLOWED[analysis.results.claimed]].set_index("injection")["mean"]
    rows = changes.assign(
        prob_slowing_25=changes["injection"].map(slowing), ess=changes[["ess_bulk", "ess_tail"]].min(axis=1)
    )
    counts = {
        "n_patients": len(np.unique(analysis.visits.patient_index)),
        "n_values": len(analysis.visits.value),
    }
    return labelled(rows.drop(columns=["model", "outcome"]), note=meaning(analysis), **labels, **counts)


def meaning(analysis: Analysis) -> str:
    """Say what a model's change means where it is not that of the whole cycle; empty where it is."""
    design, words = analysis.posterior.design, []
    if np.isfinite(float(design.get("window", np.inf))):
        words.append(f"change in the {float(design['window']):g} months after an injection")
    lag, half_life = (float(design.get(name, missing)) for name, missing in (("lag", 0.0), ("half_life", np.inf)))
    if lag > 0 or np.isfinite(half_life):
        wears = "" if np.isinf(half_life) else f", then halved every {half_life:g}"
        words.append(f"change when it sets in, {_months(lag)} after an injection{wears}")
    if bool(design.get("curved", False)):
        words.append("change from what a course that may bend by itself would then be")
    return "; ".join([*words, *sorted({_at(str(name)) for name in design.indexes.get("covariate", ())})])


def _months(number: float) -> str:
    return f"{number:g} month{'' if number == 1 else 's'}"


def _at(covariate: str) -> str:
    """Say where a covariate stands for whom the change is told."""
    return "change at an interval of average length" if covariate in (WITHIN, BETWEEN) else "change at covariates of 0"


def _moved(main: Analysis, study: Tables) -> pd.DataFrame:
    found = rows_of(study, "pseudo_injection", model=main.record["model"], trial=main.trial.name)
    names = {"mean_change": "mean", "lower_change": "lower", "upper_change": "upper"}
    rows = found.rename(columns=names | {"mean_prob_positive": "prob_positive"})
    notes = [
        f"no injection was given there: mean and 95 % range of {n} sets of moves" for n in found.get("n_moves", [])
    ]
    kept = rows.reindex(columns=["outcome", "model", *names.values(), "prob_positive", "n_patients", "n_values"])
    kept = kept.assign(n_values=rows.get("n_visits"), injection=OVERALL)
    kept = kept.assign(prob_better=chance_of_better(kept["prob_positive"], main.sign))
    return labelled(kept, analysis=MOVED, detail="").assign(note=notes) if len(kept) else pd.DataFrame(columns=COLUMNS)


def printed(rows: pd.DataFrame, outcome: str, unit: str) -> Table:
    """Print the analyses of an outcome, overall, each patient left out and each grid as a range."""
    mine = of_outcome(rows, outcome)
    cells = []
    for analysis, group in mine.groupby("analysis", sort=False):
        shown = group.dropna(subset="mean")
        if analysis in RANGES and len(shown) > 1:
            cells.append(_range(str(analysis), shown))
        else:
            cells += [_cells(row) for row in group.itertuples()]
    heads = ["Analysis", f"Change, {unit} (95 %)", "Pr(change > 0)", "Pr(slowing ≥ 25 %)", "Moved by, SDs", "Values"]
    return Table("The change overall in every analysis", "lrrrrrl", [*heads, "Detail"], cells)


def _cells(row: Any) -> list[str]:
    name = f"model {row.model}" if row.analysis == OTHER_MODEL else str(row.analysis)
    detail = "; ".join(filter(None, (str(row.detail), str(row.note))))
    if row.mean != row.mean:
        return [name, "", "", "", "", "", detail]
    return [
        name,
        estimate(row),
        probability(row.prob_positive),
        probability(row.prob_slowing_25),
        number(row.difference, 1, sign=True),
        number(row.n_values, 0),
        detail,
    ]


def _range(analysis: str, group: pd.DataFrame) -> list[str]:
    lowest, highest = group.loc[group["mean"].idxmin()], group.loc[group["mean"].idxmax()]
    positive, slowing, moved = (group[name] for name in ("prob_positive", "prob_slowing_25", "difference"))

    def span(values: pd.Series[float], decimals: int = 2, sign: bool = False) -> str:
        low, high = (number(value, decimals, sign) for value in (values.min(), values.max()))
        return low if low == high else f"{low} to {high}"

    return [
        analysis,
        f"means {span(group['mean'], sign=True)}",
        span(positive),
        span(slowing),
        span(moved, 1, True),
        span(group["n_values"], 0),
        f"{len(group)} analyses; lowest: {lowest['detail']}; highest: {highest['detail']}",
    ]


def shapes(varied: Tables, outcome: str) -> Table | None:
    """Print the effects that set in late or wane, each with how well it predicts; None where none was compared."""
    mine = rows_of(varied, "waning", outcome=outcome, injection=OVERALL)
    if mine.empty:
        return None

    def gain(row: Any) -> str:
        error = number(row.standard_error_of_difference, 1)
        return f"{number(row.difference_from_at_once, 1, sign=True)} ({error})"

    return in_columns(
        "Effects that set in late or wear off",
        mine,
        ("Lag, months", "r", lambda row: f"{row.lag:g}"),
        ("Halved every, months", "r", lambda row: "never" if np.isinf(row.half_life) else f"{row.half_life:g}"),
        ("Change, when it sets in (95 %)", "r", estimate),
        ("Pr(change > 0)", "r", lambda row: probability(row.prob_positive)),
        ("Predictive density, difference (SE)", "r", gain),
        ("Unreliable values", "r", lambda row: str(int(row.unreliable_values))),
    )


def forest(rows: pd.DataFrame, main: Analysis) -> list[Picture]:
    """Draw all analyses of an outcome under each other; nothing where no cycle has a value of it."""
    mine = of_outcome(rows, main.record["outcome"])
    if not (mine["analysis"] == MAIN).any():
        return []
    return [
        picture(
            sensitivity_figures.forest(mine, RANGES, main.rate, main.sign),
            f"{main.anchor}-sensitivity-forest",
            f"{main.visits.outcome.label}: the change overall in every analysis, with its 95 % interval. Band: the "
            "main analysis. "
            "Where there are many analyses of a kind, the bar spans their means.",
            f"Forest of {len(mine)} analyses of the change overall, {main.rate}.",
        )
    ]


def without_patients(rows: pd.DataFrame, main: Analysis) -> list[Picture]:
    """Draw the change without each patient in turn; nothing where none was left out."""
    mine = of_outcome(rows, main.record["outcome"])
    left_out = mine[mine["analysis"] == variations.ONE_LEFT_OUT].dropna(subset="mean")
    if left_out.empty:
        return []
    return [
        picture(
            sensitivity_figures.left_out(left_out, mine[mine["analysis"] == MAIN].iloc[0], main.rate),
            f"{main.anchor}-sensitivity-patients",
            "The change overall without each patient: mean and 95 % interval; line and band: with all patients.",
            "The change overall with each patient left out in turn.",
        )
    ]


def drawn_curves(varied: Tables, main: Analysis) -> list[Picture]:
    """Draw the probability against what is assumed: of the prior, of expectation, of natural history."""
    pictures = []
    for kind, axis, words in _CURVES:
        of = {"model": main.record["model"], "kind": kind}
        curve = rows_of(varied, "sensitivity_curves", **of)
        if len(curve):
            at, spread = rows_of(varied, "sensitivity_tipping", **of)["at"].iloc[0], kind == curves.PRIOR_SD
            label, said = f"{axis}, {main.rate}", words.replace("decline", course(main.sign))
            pictures.append(
                picture(
                    sensitivity_figures.curve(curve, float(at), label, logarithmic=spread, sign=main.sign),
                    f"{main.anchor}-sensitivity-{kind}".replace("_", "-"),
                    f"{said} Dot: the main analysis; dashed: a probability of 0.8.",
                    f"Probability of a slower {course(main.sign)} against {axis.lower()}.",
                )
            )
    return pictures


_CURVES = (
    (
        curves.PRIOR_SD,
        "SD of a prior centred at no change",
        "The probability of a slower decline overall, by how strongly the prior holds the change to be near zero.",
    ),
    (
        curves.EXPECTATION,
        "SD of what expectation adds",
        "The probability that more than expectation slowed the decline, by how much expectation may add to the change.",
    ),
    (
        curves.NATURAL_HISTORY,
        "Shift of the expected lead-in slope",
        "The probability of a slower decline overall, by where the prior puts the slope before treatment.",
    ),
)


def context(report: Report) -> dict[str, Any]:
    """Show of every outcome what moves the answer and what does not."""
    rows, varied = table(report.analyses, report.study, report.varied), report.varied

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {"sentences": sentences(rows, varied, a), "drawn": forest(rows, a)}

    return {"shown": report.of_each(report.primary, of_fit), "varied": bool(varied)}


def details(report: Report) -> dict[str, Any]:
    """Show every analysis in numbers, and how the answer follows what is assumed."""
    rows, varied = table(report.analyses, report.study, report.varied), report.varied

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {
            "drawn": [*without_patients(rows, a), *drawn_curves(varied, a)],
            "table": printed(rows, a.record["outcome"], a.rate),
            "shapes": shapes(varied, a.record["outcome"]),
        }

    return {"shown": report.of_each(report.primary, of_fit)}
