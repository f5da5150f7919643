"""Which items of three reporting standards a report meets, and where: filled from what the page really has.

BARG: Kruschke 2021, doi 10.1038/s41562-021-01177-7. E9(R1): the estimand addendum of ICH. WAMBS: Depaoli and van de
Schoot 2017, doi 10.1037/met0000065. Their items are said in our own words, shortened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from slopeshift.report.analysis import Around, Report
from slopeshift.report.words.people import has_control_group

BARG, E9, WAMBS = "BARG", "ICH E9(R1)", "WAMBS"

STANDARDS = {
    BARG: "Bayesian analysis reporting guidelines (Kruschke 2021, doi 10.1038/s41562-021-01177-7)",
    E9: "Estimands and sensitivity analysis in clinical trials (ICH E9(R1))",
    WAMBS: "When to worry and how to avoid the misuse of Bayesian statistics (Depaoli and van de Schoot 2017, "
    "doi 10.1037/met0000065)",
}


class Item(NamedTuple):
    """An item of a standard; it is met where the page has all of the ids `needs`; `unmet` says what would meet it."""

    standard: str
    item: str
    needs: tuple[str, ...]
    unmet: str


class Place(NamedTuple):
    """An item and where the page meets it: links (id, title), none where it does not."""

    item: Item
    links: tuple[tuple[str, str], ...]


_NO_STUDY = "make the null study: make null"

_NO_PASS = "a fit that passes its diagnostics gate"

_PRIOR_SENSITIVITY = "refits under sceptical and wide priors, and power-scaling of the priors"

_SENSITIVITY = "other priors, data and biases, as make sensitivity works them out"

ITEMS = (
    Item(BARG, "Preamble: why Bayesian", ("why",), "a sentence on it"),
    Item(BARG, "Preamble: goals of the analysis", ("question",), "a question"),
    Item(BARG, "Step 1: variables of the data", ("data", "data-checks"), "tables of the data"),
    Item(BARG, "Step 1: likelihood and parameters, with their hierarchy", ("model",), "a model"),
    Item(BARG, "Step 1: priors and where they are from", ("priors",), "priors"),
    Item(
        BARG,
        "Step 1: justification class of every prior",
        ("justification",),
        "a class (weak, historical, expert) beside each prior in the model file",
    ),
    Item(BARG, "Step 1: formal specification", ("model",), "the source of the model"),
    Item(BARG, "Step 1: what the priors predict", ("prior-implied",), "a fit with prior draws"),
    Item(BARG, "Step 2: software", ("reproducibility",), "versions"),
    Item(BARG, "Step 2: convergence of every reported quantity", ("diagnostics",), "a gate table"),
    Item(BARG, "Step 2: resolution (ESS) of every reported quantity", ("diagnostics",), "a gate table"),
    Item(BARG, "Step 3: predictions of the posterior against the data", ("checks", "results-shown"), _NO_PASS),
    Item(BARG, "Step 3: summary of the posterior", ("population", "results-shown"), _NO_PASS),
    Item(
        BARG,
        "Step 4: decisions, with thresholds fixed before",
        ("decision-thresholds",),
        "thresholds that were fixed before the data, with their operating characteristics",
    ),
    Item(BARG, "Step 5: sensitivity to the priors", ("checks", "prior-sensitivity"), _PRIOR_SENSITIVITY),
    Item(BARG, "Step 6: commands, data, seeds, saved draws", ("reproducibility",), "a section on it"),
    Item(E9, "Treatment", ("estimand",), "an estimand"),
    Item(E9, "Population", ("estimand",), "an estimand"),
    Item(E9, "Variable", ("estimand",), "an estimand"),
    Item(E9, "Intercurrent events, a strategy for each", ("intercurrent-events",), "a table of them"),
    Item(E9, "Summary at the level of the population", ("estimand",), "an estimand"),
    Item(E9, "Main estimator aligned with the estimand", ("model", "results-shown"), _NO_PASS),
    Item(E9, "Sensitivity analyses of the assumptions", ("sensitivity", "sensitivity-study"), _SENSITIVITY),
    Item(
        E9,
        "Missing data: other assumptions than missing at random",
        ("missing", "sensitivity-study"),
        "values after leaving that are worse than those before it, as make sensitivity imputes them",
    ),
    Item(
        E9, "A comparison that is not within patients alone", ("control-group",), "a control group in the trial itself"
    ),
    Item(WAMBS, "Before estimation: priors and what they mean", ("priors", "prior-implied"), "a prior table"),
    Item(WAMBS, "After estimation: convergence, resolution, plausible posterior", ("diagnostics",), "a gate table"),
    Item(WAMBS, "Influence of the priors", ("checks", "prior-sensitivity"), _PRIOR_SENSITIVITY),
    Item(
        WAMBS,
        "After interpretation: results told with their uncertainty",
        ("definitions", "limitations"),
        "definitions and limitations",
    ),
)
"""Every item, in the order of its standard. Ids that are no section are flags of the page: see `found`."""

BEYOND = (
    Item("Beyond these", "What chance alone gives, at this design", ("null-study",), _NO_STUDY),
    Item("Beyond these", "False alarms of the model's own rules", ("null-refits",), _NO_STUDY),
    Item(
        "Beyond these", "Injections moved to where nothing happened", ("pseudo-injections",), "make null with --pseudo"
    ),
    Item(
        "Beyond these", "Expected false claims beside every count of patients", ("patients", "results-shown"), _NO_PASS
    ),
)
"""What no standard asks for, and this kind of trial needs."""


def found(page_ids: Collection[str], titles: Mapping[str, str], items: Sequence[Item] = ITEMS) -> list[Place]:
    """Place every item: links to the ids it needs where the page has all of them, none where one is missing.

    `titles` names the sections by id; an id without a title is called by itself.
    """
    return [
        Place(
            item,
            tuple((i, titles.get(i, _PARTS.get(i, i.replace("-", " ")))) for i in item.needs if i not in _FLAGS)
            if set(item.needs) <= set(page_ids)
            else (),
        )
        for item in items
    ]


def by_standard(places: Sequence[Place]) -> dict[str, list[Place]]:
    """Put the places of each standard together, in the order of the items."""
    standards = dict.fromkeys(place.item.standard for place in places)
    return {name: [place for place in places if place.item.standard == name] for name in standards}


_PARTS = {
    "why": "Why Bayesian",
    "estimand": "The estimand",
    "intercurrent-events": "Intercurrent events",
    "prior-implied": "What the priors imply",
    "null-study": "Null trials",
    "null-refits": "Refitted null trials",
    "pseudo-injections": "Moved injections",
    "reproducibility": "Reproducibility",
    "definitions": "Definitions",
}

_FLAGS = ("results-shown", "control-group", "prior-sensitivity", "sensitivity-study")


def flags(passed: bool, control: bool, prior_sensitivity: bool, sensitivity_study: bool) -> set[str]:
    """Name what a page has that is no place in it."""
    return {
        name for name, has in zip(_FLAGS, (passed, control, prior_sensitivity, sensitivity_study), strict=True) if has
    }


def context(report: Report, page: Around) -> dict[str, Any]:
    """Place every item of the standards among the sections of this page."""
    passed = any(a.passed for a in report.analyses)
    moved = not page.tables["prior_sensitivity"].empty
    has = flags(passed, has_control_group(report.trial), moved, "dropout_tipping" in report.varied)
    places = found(page.ids | has, page.titles, ITEMS + BEYOND)
    standards = [(STANDARDS.get(name, name), name, items) for name, items in by_standard(places).items()]
    return {"standards": standards, "n": len(places), "unmet": sum(not place.links for place in places)}
