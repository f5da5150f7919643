"""Made-up trials and fits for the tests of the report, and a page read back."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers.control import control_table
from slopeshift.answers.safety import safety_by_arm, safety_table
from slopeshift.answers.stored import answered
from slopeshift.answers.tables import results_of
from slopeshift.checks import checks_of
from slopeshift.checks import tables as checks
from slopeshift.classical import model_free
from slopeshift.classical.baseline import baseline
from slopeshift.design.visits import visits_of
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.store import Fit, judged
from slopeshift.missing import tables as missing
from slopeshift.model.priors import Normal
from slopeshift.model.stated import row
from slopeshift.null.claim import claim_text
from slopeshift.published import figures as published
from slopeshift.report import page
from slopeshift.report.analysis import Analysis, Report, analyses_of
from slopeshift.report.parts import INDEX, TECHNICAL
from slopeshift.trial import trial_from_tables

CHAINS, DRAWS = 4, 400
CHANGE = 0.6123
"""Population change of the made-up fits: a number that nothing else on the page is likely to print."""


SAID_BY_THEMSELVES = {
    *("Attribute", "Here", "Event", "Strategy", "Recorded in this trial", "Check", "What is asked", "Found"),
    *("Statement", "Probability or share", "Parameter", "Class of justification", "File", "Rows", "First columns"),
    *("Prior", "Why", "Model file", "Outcome", "Gate", "Sampled (UTC)", "Wall time"),
    *("SHA-256 of the file", "of the settings", "Versions", "Platform", "SHA-256 of the engine", "State"),
    *("ALSFRS-R", "FVC", "Where, or what would meet it", "completed", "death", "withdrawal", "lost", "ongoing"),
}
"""Heads of columns of words, of files and of reasons: no quantity of the report."""


def made_trial(names=("A1", "A2", "A3", "A4"), k=2, synthetic=True, silent=(), controls=0, title="A made-up trial"):
    """Monthly visits from -3; patient i gets k, k-1, ... injections, at least one; `silent` patients have no value."""
    given = {name: max(k - i, min(k, 1)) for i, name in enumerate(names)} | {f"C{i}": 0 for i in range(controls)}
    rng = np.random.default_rng(3)
    visits = [(name, m) for name, n in given.items() if name not in silent for m in range(-3, 4 * max(n, 1) + 1)]
    table = pd.DataFrame(visits, columns=["patient", "month"])
    table["alsfrsr"] = (36 - 0.9 * table["month"] + rng.normal(0, 2, len(table))).round().clip(0, 48)
    ends = pd.DataFrame({"patient": list(given), "end_month": [4.0 * max(n, 1) for n in given.values()]})
    injections = [(name, i + 1, 4.0 * i) for name, n in given.items() for i in range(n)]
    tables = {
        "patients": ends.assign(end_reason=["death", *["completed"] * (len(given) - 1)]),
        "visits": table,
        "injections": pd.DataFrame(injections, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("made", tables, {"title": title, "synthetic": synthetic, "source": "a test"})


def made_draws(visits, chains, draws, seed, spread):
    """Draws of every variable that a fit has; each is a permutation of normal quantiles, so chains agree perfectly."""
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.normal(size=draws))

    def normal(mean, sd, *shape):
        z = np.stack([rng.permutation(quantiles) for _ in range(chains * int(np.prod(shape, dtype=int)))])
        return mean + sd * np.moveaxis(z.reshape(chains, *shape, draws), -1, 1)

    k = len(visits.injections)
    centre = np.array([36, -0.9, *[CHANGE] * k])
    scale = np.array([1, 0.1, *[0.3] * k]) * spread
    pairs = ["level, slope", "level, response", "slope, response"] if k else ["level, slope"]
    names = ["sd_level", "sd_slope", *(["sd_response", "sd_cycle"] if k else []), "sigma"]
    sample = ("chain", "draw")
    return xr.Dataset(
        {
            "population": ((*sample, "coefficient"), normal(centre, scale, k + 2)),
            "coefficients": (
                (*sample, "patient", "coefficient"),
                normal(centre, 2 * scale, len(visits.patients), k + 2),
            ),
            "correlation": ((*sample, "pair"), normal(0, 0.2, len(pairs))),
            **{name: (sample, np.abs(normal(2, 0.1))) for name in names},
        },
        coords={name: list(values) for name, values in visits.coords.items()} | {"pair": pairs},
    )


def made_fit(trial, model="alsfrsr", broken=False, seed=1):
    """A fit of nothing but numbers, of the form that `fit.sample` gives; `broken` has a chain that went elsewhere."""
    visits = visits_of(trial, "alsfrsr")
    rng = np.random.default_rng(seed)
    posterior, prior = made_draws(visits, CHAINS, DRAWS, seed, 1.0), made_draws(visits, 1, 300, seed + 1, 3.0)
    if broken:
        posterior["population"][0] += 5

    def predicted(chains, draws):
        value = visits.value + rng.normal(0, 2, (chains, draws, len(visits.value)))
        return xr.Dataset({"alsfrsr": (("chain", "draw", "visit"), value)})

    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.zeros((CHAINS, DRAWS), dtype=bool)),
            "energy": (("chain", "draw"), rng.normal(size=(CHAINS, DRAWS))),
        }
    )
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "prior": prior,
            "sample_stats": stats,
            "prior_predictive": predicted(1, 300),
            "posterior_predictive": predicted(CHAINS, DRAWS),
            "constant_data": visits.dataset(),
        }
    )
    record = made_record(model)
    fit = Fit(tree, record | {"inputs": record["inputs"] | {"data": dict(trial.files)}})
    return judged(fit, results_of(posterior_of(trial, fit)).failures)


def made_prior(name, prior, differs=False):
    """A row of the prior table, as a fit records it."""
    return row(name, prior, f"label of {name}") | {"differs": differs}


def made_record(model):
    return {
        "model": model,
        "title": f"Title of {model}",
        "description": "y ~ Normal(mean, sigma)",
        "family": "normal",
        "shape": "",
        "varies": "",
        "differs": [],
        "priors": [made_prior("level", Normal(36, 4, unit="points", why="a <test>", basis="weak"))],
        "source": "if a < b & c: pass  # 95 % of them",
        "trial": "made",
        "outcome": "alsfrsr",
        "unit": "points",
        "status": "sampled",
        "inputs": {"data": {}, "model": "0" * 64, "engine": "1" * 64, "settings": {"seed": 1}},
        "versions": {"python": "3"},
        "platform": "here",
        "created": "2026-01-01T00:00:00+00:00",
        "seconds": {"total": 1.0},
    }


SKIPPED = Fit(
    xr.DataTree(), {"model": "fvc", "outcome": "fvc", "status": "skipped", "reason": "the trial records no fvc"}
)


class Page(HTMLParser):
    """The text of a page, its tables by caption (rows of cells), and every tag with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.html, self.text, self.tags, self.tables, self._cell = html, [], [], {}, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th", "caption"):
            self._cell = []

    def handle_endtag(self, tag):
        if tag == "caption":
            self._caption = "".join(self._cell)
        if tag in ("td", "th"):
            self._rows[-1].append("".join(self._cell))
        if tag == "table":
            self.tables.setdefault(self._caption.replace("\u00a0", " "), []).append(self._rows)

    def handle_data(self, data):
        self.text.append(data)
        if self._cell is not None:
            self._cell.append(data)

    def rows(self, caption):
        return [row for table in self.tables.get(caption, []) for row in table[1:]]

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


def of_trial(trial):
    """The tables of a trial that need no fit, made now."""
    return {
        "classical": model_free(trial),
        "baseline": baseline(trial),
        "safety": safety_table(trial),
        "safety_arms": safety_by_arm(trial),
        "control": control_table(trial),
        **missing.tables_of_trial(trial),
        "published_trial": published("petrou2021"),
        "published_relatives": published("untreated"),
    }


def analyse(trial, fit, anchor="m1", tables=None):
    """The analysis of one fit, unchecked unless the tables of its checks are given."""
    return Analysis(anchor, answered(trial, fit), tables)


def analysed(trial, fits):
    """The analyses of fits, with their checks, and the comparison of those that passed their gate."""
    found = [answered(trial, fit) for fit in fits if fit.record["status"] == "sampled"]
    passed = {each.record["model"]: each for each in found if each.results.passed}
    made = {model: checks_of(each.posterior) for model, each in passed.items()}
    tables = {m: checks.tables_of(made[m]) | missing.tables_of_fit(each.posterior) for m, each in passed.items()}
    ordered = analyses_of(found, tables)
    compared = checks.compared("alsfrsr", {a.record["model"]: made[a.record["model"]] for a in ordered if a.passed})
    return ordered, compared


def refuse(words):
    raise AssertionError(words)


def made_report(trial, fits, study=None, second_stage=None, varied=None, say=refuse):
    """What a page is written from, everything made now; a section that cannot be made is an error."""
    analyses, compared = analysed(trial, fits)
    skipped = [fit.record for fit in fits if fit.record["status"] == "skipped"]
    claim = claim_text(study["published_claim"]) if study and "published_claim" in study else ""
    return Report(
        trial, analyses, skipped, of_trial(trial), compared, study or {}, varied or {}, second_stage, claim, say
    )


def written(folder, trial, fits, *more, figures=False):
    """Write a report, and read its two long pages, one after the other."""
    page.write(made_report(trial, fits, *more), folder, figures=figures)
    return Page("".join(read(folder, name) for name in LONG))


LONG = (INDEX, TECHNICAL)


def read(folder, name):
    """The text of one page of a report."""
    return (folder / name).read_text(encoding="utf-8")
