"""The page of a calibration: what was done, the verdict of every quantity of every model, and the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.calibration.job import LARGEST_RHAT, LONGER, SMALLEST_ESS
from slopeshift.calibration.ranks import RANKED
from slopeshift.calibration.uniformity import CHANCE, INSIDE, OUTSIDE, PROBABILITY, differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slopeshift.calibration.record import Ranks
    from slopeshift.calibration.uniformity import Difference

ENOUGH = 100
"""Replicates below which a model is not called calibrated: the bands are then wider than most errors."""

MARKS = {INSIDE: "yes", CHANCE: "yes*", OUTSIDE: "**NO**"}


def page(models: Sequence[Ranks], figures: Mapping[str, str]) -> str:
    """Write the page in Markdown; `figures` has the path of each model's figure."""
    found = {of.model: differences(of.mixed) for of in models}
    parts = [
        _introduction(models),
        "## Models\n\n" + _table(pd.DataFrame([_of_model(of, found[of.model]) for of in models])),
        "## Quantities\n\n" + _legend(found) + "\n\n" + _table(_matrix(found)),
        "## Figures\n\n" + _how_to_read(),
        *(f"### {of.model}\n\n{of.record['title']}.\n\n![{of.model}]({figures[of.model]})" for of in models),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(models: Sequence[Ranks]) -> str:
    trials = " or ".join(sorted({f"`{of.record['trial']}`" for of in models}))
    sampling = ", ".join(sorted({of.record["sampling"] for of in models}))
    seeds = ", ".join(sorted({str(of.record["seed"]) for of in models}))
    return f"""# Simulation-based calibration

Written by `make calibrate`; the ranks are in `ranks/`, one file per model.

Draw parameters from the prior, and values from these parameters.
The posterior is right if the rank of each true value among the draws of its posterior is then uniform (Talts et al. 2018, arXiv 1804.06788).
Parameters and values of whole trials were drawn from each model's own prior, on the patients, visit times and injections of {trials}.
Each model was compiled once and fitted to every trial by exchanging the data, and every true value was ranked among {RANKED} draws.
This tests the program: priors, density, sampler, what is drawn back, and what is derived. It does not test whether patients behave as a model says.

- **Ranked** are the population's coefficients, standard deviations, correlations, regression, whatever else the model has, and one patient's changes. So is the number of responders: slowing of 25 % or more over all informed cycles. So is the log likelihood of all values, which finds errors that no parameter's ranks show (Modrák et al. 2023, doi 10.1214/23-BA1404). Among draws equal to the true value, the rank is drawn at random.
- **The priors simulated from are the priors fitted.** In every replicate, the log density that the sampler evaluated at its last draws is compared with that of the model simulated from, computed another way. Where coefficients are integrated out, that is one dense normal of all values. A prior edited in between, values in another order, or values that never reached the density stop the calibration.
- **Sampling** is {sampling} draws (chains x (warm-up + draws)), seed {seeds}. If R-hat is above {LARGEST_RHAT} or an effective sample size below {SMALLEST_ESS} in any quantity, {LONGER} times as many draws are taken after twice the warm-up. If that is not enough either, the replicate counts as not mixed: its ranks are kept in the file, but not judged. Whether chains mix depends on the values and on the sampler's seed, and given these no longer on the true parameters. Leaving such replicates out therefore does not make ranks uniform that were not. A published fit has eight to ten times as many draws, and must pass the gate.
- **The rule.** The share of ranks below each point is compared with a band that uniform ranks stay within, at all points at once, with {100 * PROBABILITY:.0f} % probability (Säilynoja, Bürkner and Vehtari 2022, doi 10.1007/s11222-022-10090-6, as computed by ArviZ). One quantity in twenty leaves that band by chance. A wider band is one that all quantities of a model stay within together with {100 * PROBABILITY:.0f} % probability, by Bonferroni's bound. A model passes if every quantity stays within the wider band. Fewer than {ENOUGH} trials are too few to say so. "Band" is how far a quantity's ranks may be from uniform, in percentage points, before they leave their own band."""


def _of_model(of: Ranks, found: Mapping[str, Difference]) -> dict[str, object]:
    verdicts = [difference.verdict for difference in found.values()]
    passed = of.table["passed"].astype(bool)
    return {
        "model": f"`{of.model}`",
        "trials": f"{len(of.table):,}",
        "sampled longer": int(of.table["longer"].sum()),
        "not mixed": int((~passed).sum()),
        "divergences, % of trials": f"{100 * float((of.table['divergences'] > 0)[passed].mean()):.1f}",
        "quantities": len(verdicts),
        "band, ± points": f"{100 * _half_width(next(iter(found.values()))):.1f}",
        "outside their own band": verdicts.count(CHANCE) + verdicts.count(OUTSIDE),
        "expected by chance": f"{(1 - PROBABILITY) * len(verdicts):.1f}",
        "outside the model's band": verdicts.count(OUTSIDE),
        "calibrated": "**NO**" if OUTSIDE in verdicts else "yes" if passed.sum() >= ENOUGH else "too few to say",
    }


def _half_width(difference: Difference) -> float:
    """How far the ranks of one quantity may be from uniform in the middle, where its band is widest."""
    return float((difference.band[1] - difference.points).max())


def _matrix(found: Mapping[str, Mapping[str, Difference]]) -> pd.DataFrame:
    """Set out verdict and largest difference of each quantity, a column a model."""
    names = list(dict.fromkeys(_common(name) for of in found.values() for name in of))
    rows = []
    for name in names:
        cells = {model: {_common(n): d for n, d in of.items()}.get(name) for model, of in found.items()}
        rows.append({"quantity": name} | {f"`{model}`": _cell(cell) for model, cell in cells.items()})
    return pd.DataFrame(rows)


def _common(name: str) -> str:
    """Name a patient's change alike whoever the patient is."""
    return "a patient's " + name.partition(", ")[2] if name.startswith("patient ") else name


def _cell(difference: Difference | None) -> str:
    return "" if difference is None else f"{MARKS[difference.verdict]} {100 * difference.largest:+.1f}"


def _legend(found: Mapping[str, Mapping[str, Difference]]) -> str:
    total = sum(len(of) for of in found.values())
    out = sum(difference.verdict != INSIDE for of in found.values() for difference in of.values())
    return (
        "yes: ranks inside their own band; yes*: outside it, inside that of the model; **NO**: outside both.\nThe number "
        "is the largest difference between the share of ranks below a point and the expected share, in percentage "
        f"points. Above 0, true values lie too low among the draws.\nRanks leave {out} of {total} bands; "
        f"{(1 - PROBABILITY) * total:.0f} are expected if all ranks are uniform. Models with the same priors get nearly "
        "the same true values, so their columns resemble each other."
    )


def _how_to_read() -> str:
    return (
        "Each panel shows the share of ranks below a point minus the expected share. Dark: the band of one quantity; "
        "light: that of all quantities of the model.\nA hump above the line followed by a dip below it means that the draws "
        "are too narrow, the reverse that they are too wide. A single hump means that they lie too high, a single dip too low."
    )


def _table(table: pd.DataFrame) -> str:
    """Lay a table out in Markdown."""
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
