"""Every number that the documents promise: it stands in the text, and the code behaves so just on either side of it.

What the door lets in is in `test_promises_data`. The numbers of the behaviour are written out here: a test that took
them from the code would pass whatever they were.
"""

import re
from dataclasses import dataclass
from types import SimpleNamespace

import asked
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from trials import ROOT

PATIENTS = [f"P{i}" for i in range(1, 5)]
DIMS = ("chain", "draw")


# ---- what the documents say ----

DOCUMENTS = {
    "README": ["README.md"],
    "decisions": ["ARCHITECTURE.md", "docs/decisions/*.md"],
    "dictionary": ["data/README.md"],
    "definitions": ["src/slopeshift/report/words/definitions.toml"],
}


@dataclass(frozen=True)
class Promise:
    """A number, the document that states it, and words that stand with it in one line there."""

    name: str
    document: str
    words: tuple[str, ...]


PROMISES = [
    Promise("R-hat of the gate", "README", (r"R-hat at most 1\.01",)),
    Promise("effective sample size of the gate", "README", (r"effective sample sizes? at least 400",)),
    Promise("divergences of the gate", "README", (r"at most 0\.1 % of draws",)),
    Promise("energy of the gate", "README", (r"BFMI at least 0\.3",)),
    Promise("slowing by a quarter", "README", (r"more than 25 %",)),
    Promise("slowing by a quarter, defined", "definitions", (r"change_k ≥ −0\.25 times it",)),
    Promise("slowing by a quarter and by half", "decisions", (r"by 25 % or more, and by 50 % or more",)),
    Promise("percentages withheld below", "README", (r"fewer than 99\.9 % of draws",)),
    Promise("words", "README", (r"certainly from 0\.99, very probably from 0\.95, probably from 0\.80, else unclear",)),
    Promise("ends of probabilities", "README", (r"but as > 0\.99 or < 0\.01",)),
    Promise("move beyond chance", "decisions", (r"2\.58 standard errors", r"half a posterior SD")),
    Promise("claim of slowing", "decisions", (r"The claim is a probability of at least 0\.8",)),
    Promise("fragile claim", "decisions", (r"faster by a quarter", r"below 0\.8", r"half the model's SD or wider")),
    Promise("influential patient", "decisions", (r"moves the overall change by more than one posterior SD",)),
    Promise("bend", "decisions", (r"ten times more than neither",)),
    Promise("check that fires", "decisions", (r"as far out have a probability below 0\.01",)),
    Promise("prior that moves the answer", "decisions", (r"from a sensitivity of 0\.05 on",)),
    Promise("hardly informed", "decisions", (r"less than a tenth of the prior variance",)),
    Promise("survivors", "decisions", (r"above a probability of 0\.975",)),
    Promise("sets of pseudo-injections", "decisions", (r"By default 200 sets are refitted",)),
    Promise("rarest entry", "decisions", (r"fewer than one in 100 of 10,000 drawn patients",)),
    Promise("limit of whole scores", "dictionary", (r"Its limit on the unrounded scale is 2\.5",)),
    Promise("occasion of a rule", "dictionary", (r'within half a month of `"month:-3"`',)),
    Promise("conditions of a model", "dictionary", (r"up to two conditions on its own outcome",)),
    Promise("interval", "definitions", (r"2\.5 % and 97\.5 % quantiles",)),
    Promise("percentages withheld, defined", "definitions", (r"would decline in 99\.9 % of draws",)),
    Promise("percentages withheld", "decisions", (r"99\.9 % of draws",)),
    Promise("predictions kept", "decisions", (r"thinned evenly to 20 million numbers an array",)),
    Promise("predictions of the default", "decisions", (r"10,000 draws", r"above 2,000 visits")),
    Promise("weights relied on", "decisions", (r"above 0\.7", r"fewer than 400 draws")),
    Promise("residuals of one day", "decisions", (r"less than half a month apart count as half a month apart",)),
    Promise("claim of a patient", "definitions", (r"Pr\(slowing ≥ 25 %\) > 0\.8",)),
    Promise(
        "undefined percentage",
        "definitions",
        (r"Pr\(slope_i without injections > 0\.25 · slope\) > 0\.05", r"values up to injection 1 < 2"),
    ),
    Promise("claim of a trial", "definitions", (r"Pr\(change_k > 0\) > 0\.975, or < 0\.025",)),
    Promise("pseudo-injections", "definitions", (r"Above 0\.975 or below 0\.025 the check fires",)),
    Promise("months", "dictionary", (r"Months are decimal numbers, of 30\.4375 days",)),
    Promise("farthest month", "dictionary", (r"more than 600 months from the first injection is refused",)),
    Promise("age", "dictionary", (r"years, 0 to 130",)),
    Promise("score", "dictionary", (r"a whole number, 0 to 48",)),
    Promise("item", "dictionary", (r"whole numbers, 0 to 4",)),
    Promise("capacity", "dictionary", (r"% predicted, 0 to 200",)),
    Promise("name", "dictionary", (r"any text of up to 80 characters",)),
    Promise("control", "dictionary", (r"at least 10 patients with two values each before any injection",)),
]


def lines_of(document):
    files = [path for pattern in DOCUMENTS[document] for path in sorted(ROOT.glob(pattern))]
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_the_number_stands_in_the_document(promise):
    lines = lines_of(promise.document)
    assert any(all(re.search(words, line) for words in promise.words) for line in lines), promise


# ---- the gate ----


def verdict(rhat=1.0, bulk=1000.0, tail=1000.0, diverging=0, energy=None, meeting=None):
    """What the gate says of one change of the population and one of a patient with these diagnostics."""
    from slopeshift.answers import convergence

    numbers = {"rhat": [rhat], "ess_bulk": [bulk], "ess_tail": [tail]}
    population = pd.DataFrame({"quantity": ["change"], "injection": ["1"], **numbers})
    patients = pd.DataFrame({"patient": ["P1"], "injection": ["overall"], **numbers})
    diverged = np.zeros((4, 1000), bool)
    diverged.ravel()[:diverging] = True
    energy = np.random.default_rng(0).normal(size=(4, 1000)) if energy is None else energy
    stats = xr.Dataset({"diverging": (DIMS, diverged), "energy": (DIMS, energy)})
    return convergence.failures(convergence.diagnose(stats, population, patients, meeting))


BOTH = ["change [1]", "change of P1 [overall]"]


@pytest.mark.parametrize(("diagnostic", "name"), [("rhat", "rhat"), ("bulk", "ess_bulk"), ("tail", "ess_tail")])
def test_the_gate_opens_at_its_limit_and_closes_just_beyond_it_for_population_and_patients(diagnostic, name):
    at, beyond, limit = {"rhat": (1.01, 1.0101, "1.01")}.get(diagnostic, (400.0, 399.9, "400"))
    assert verdict(**{diagnostic: at}) == []
    failed = verdict(**{diagnostic: beyond})
    assert failed == [f"{name} of {what} is {beyond:g} (limit {limit})" for what in BOTH]


def test_the_gate_lets_one_draw_in_a_thousand_diverge_and_no_more():
    assert verdict(diverging=4) == []
    assert verdict(diverging=5) == ["share_diverging of all draws is 0.00125 (limit 0.001)"]


def test_the_gate_asks_that_one_in_a_hundred_of_the_screened_meets_the_entry_rules():
    assert verdict(meeting=0.01) == []
    assert verdict(meeting=0.0099) == ["share_meeting of the screened is 0.0099 (limit 0.01)"]


def energy_of(fraction):
    """Energies (chain, draw) whose estimated Bayesian fraction of missing information is this (arXiv 1604.00695)."""
    rng = np.random.default_rng(1)
    slow, fast = np.sin(np.linspace(0, 20, 1000)), rng.normal(size=1000)

    def of(share):
        energy = (1 - share) * slow + share * fast
        return energy, np.square(np.diff(energy)).sum() / np.square(energy - energy.mean()).sum()

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle)[1] < fraction else (low, middle)
    return np.stack([of(high)[0], *rng.normal(size=(3, 1000))])


def test_the_gate_asks_for_an_energy_fraction_of_at_least_three_tenths_of_every_chain():
    assert verdict(energy=energy_of(0.302)) == []
    failed = verdict(energy=energy_of(0.298))
    assert len(failed) == 1
    assert re.fullmatch(r"bfmi of chain 0 is 0\.29\d+ \(limit 0\.3\)", failed[0])


def test_an_energy_fraction_of_three_tenths_is_enough(monkeypatch):
    from slopeshift.answers import convergence

    monkeypatch.setattr(convergence, "missing_information", lambda _: np.array([0.3, 0.2999]))
    assert verdict() == ["bfmi of chain 1 is 0.2999 (limit 0.3)"]


def test_what_cannot_be_computed_fails_the_gate():
    assert len(verdict(rhat=np.nan, bulk=np.nan, tail=np.nan)) == 6


# ---- quantities of the population ----


def population_draws(slope, change, patients=None):
    """Draws (2, n) of one injection: the population's slope and change, and those of the patients where given."""
    slope, change = (np.broadcast_to(np.asarray(x, float), (2, 1000)) for x in (slope, change))
    centre = np.stack([np.full(slope.shape, 35.0), slope, change], axis=-1)
    own = np.repeat(centre[:, :, None], 4, axis=2) if patients is None else patients
    return xr.Dataset(
        {"population": ((*DIMS, "coefficient"), centre), "coefficients": ((*DIMS, "patient", "coefficient"), own)},
        coords={"coefficient": ["level", "slope", "change 1"], "patient": PATIENTS},
    )


def design(lead_in=(4, 4, 4, 4)):
    return xr.Dataset(
        {
            "visits_in_cycle": (("patient", "injection"), np.full((4, 1), 3)),
            "visits_in_lead_in": ("patient", list(lead_in)),
            "sign": 1,
        },
        coords={"patient": PATIENTS, "injection": [1]},
    )


def population(draws):
    return asked.population(draws, design())


def names(draws):
    return set(population(draws)["quantity"].to_numpy())


def rising(number):
    """Slopes of 2000 draws, all falling but so many."""
    slope = np.full(2000, -1.0)
    slope[:number] = 0.1
    return slope.reshape(2, 1000)


def test_percentages_are_given_from_99_9_percent_of_draws_with_a_decline():
    assert {"percent_slowing", "rate_ratio"} <= names(population_draws(rising(2), 0.2))
    assert not {"percent_slowing", "rate_ratio"} & names(population_draws(rising(3), 0.2))


def slowing(slope, change):
    rows = population(population_draws(slope, change))
    return float(rows.sel(row=rows["quantity"] == "prob_slowing_25").isel(row=0).mean())


def test_a_slowing_counts_from_a_quarter_of_the_decline():
    assert slowing(-1.0, 0.25) == 1.0
    assert slowing(-1.0, 0.2499) == 0.0
    assert slowing(-2.0, 0.5) == 1.0


def test_a_slope_that_does_not_fall_has_nothing_to_slow():
    assert slowing(0.0, 5.0) == slowing(0.1, 5.0) == 0.0
    assert slowing(-0.001, 5.0) == 1.0


def test_the_interval_runs_from_2_5_to_97_5_percent():
    from slopeshift.answers import quantities

    values = np.random.default_rng(0).permutation(np.arange(2000) / 1999 * 1000).reshape(2, 1000, 1)
    rows = xr.DataArray(values, dims=(*DIMS, "row"), coords={"quantity": ("row", ["change"])})
    row = quantities.summarise(rows).iloc[0]
    assert (row["lower"], row["upper"], row["median"]) == pytest.approx((25, 975, 500))


# ---- patients ----


def patients_of(slope, change):
    """Draws of four patients: slopes and changes (draw, patient) laid over both chains."""
    slope, change = (np.broadcast_to(np.asarray(x, float), (2000, 4)).reshape(2, 1000, 4) for x in (slope, change))
    own = np.stack([np.full(slope.shape, 35.0), slope, change], axis=-1)
    return population_draws(-1.0, 0.0, own)


def responders(draws):
    from slopeshift.answers import quantities

    table = quantities.responders(asked.patients(draws, design()))
    return table[table["injection"] == "1"].set_index("threshold")


def test_responders_are_counted_from_25_and_from_50_percent():
    table = responders(patients_of(-1.0, [0.2499, 0.25, 0.4999, 0.5]))
    assert table["expected"].to_dict() == {25.0: 3.0, 50.0: 1.0}
    assert table["lower"].to_dict() == {25.0: 3, 50.0: 1}


def share_slowed(*shares):
    """Changes (draw, patient): of each patient so many of 2000 draws are a slowing by half, the others none."""
    return np.stack([np.where(np.arange(2000) < n, 0.6, 0.0) for n in shares], axis=1)


def test_a_patient_is_called_slowed_above_a_probability_of_0_8():
    table = responders(patients_of(-1.0, share_slowed(1599, 1600, 1601, 0)))
    assert table.loc[25.0, "n_called"] == 1
    assert table.loc[25.0, "expected_false_claims"] == pytest.approx(1 - 1601 / 2000)
    assert table.loc[25.0, "expected"] == pytest.approx((1599 + 1600 + 1601) / 2000)


def test_the_interval_of_a_number_of_patients_is_of_whole_numbers_that_hold_95_percent():
    """One of four slows in 3 % of draws, in the others two, but in 3 % three: one to three."""
    table = responders(patients_of(-1.0, share_slowed(2000, 1940, 60, 0)))
    assert (table.loc[25.0, "lower"], table.loc[25.0, "upper"]) == (1, 3)
    table = responders(patients_of(-1.0, share_slowed(2000, 1960, 40, 0)))
    assert (table.loc[25.0, "lower"], table.loc[25.0, "upper"]) == (2, 2)


def flags(slope, lead_in=(4, 4, 4, 4)):
    draws, plan = patients_of(slope, 0.2), design(lead_in)
    injections = asked.patients(draws, plan)["injection"].to_numpy()
    return [text for text, k in zip(asked.flags(draws, plan), injections, strict=True) if k == "1"]


def test_a_percentage_is_undefined_where_5_percent_of_draws_are_flatter_than_a_quarter_of_the_usual_slope():
    flat = np.stack([np.where(np.arange(2000) < n, -0.249, -1.0) for n in (99, 100, 101, 2000)], axis=1)
    assert flags(flat) == ["", "", "percent undefined", "percent undefined"]
    assert flags(np.where(np.arange(2000) < 101, -0.251, -1.0)[:, None]) == [""] * 4


def test_a_lead_in_is_short_below_two_values():
    assert flags(-1.0, (0, 1, 2, 3)) == ["short lead-in", "short lead-in", "", ""]


# ---- words ----


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.99, "almost certainly"),
        (0.98, "very probably"),
        (0.95, "very probably"),
        (0.94, "probably"),
        (0.80, "probably"),
        (0.79, "unclear"),
        (0.5, "unclear"),
    ],
)
def test_words_of_certainty_begin_at_their_probability_in_either_direction(probability, words):
    from slopeshift.report.words.numbers import certainty

    assert certainty(probability).startswith(f"{words} " if words == "unclear" else f"{words} slower")
    assert certainty(1 - probability).startswith(f"{words} " if words == "unclear" else f"{words} faster")


def test_a_probability_is_never_printed_as_0_or_1():
    from slopeshift.report.words.numbers import probability

    assert [probability(p) for p in (0.991, 0.99, 0.01, 0.0099)] == ["> 0.99", "0.99", "0.01", "< 0.01"]


# ---- sizes and distances ----


@pytest.mark.parametrize(("visits", "kept"), [(2000, 2500), (2001, 1250)])
def test_predictions_are_thinned_above_20_million_numbers(visits, kept):
    from slopeshift.fit.sample import _thinned

    draws = xr.Dataset({"sigma": (DIMS, np.ones((4, 2500)))})
    assert _thinned(draws, SimpleNamespace(value=np.zeros(visits))).sizes["draw"] == kept


def test_residuals_of_values_within_half_a_month_count_as_half_a_month_apart():
    from slopeshift.engine.sequence import sequence

    months = sequence(np.zeros(4, int), np.array([0.0, 0.1, 0.61, 1.0])).months
    np.testing.assert_allclose(months, [1, 0.5, 0.51, 0.5])


@pytest.mark.parametrize(("k", "ess", "reliable"), [(0.69, 400, True), (0.71, 400, False), (0.69, 399.9, False)])
def test_weights_are_relied_on_below_a_pareto_k_of_0_7_and_from_400_draws_on(k, ess, reliable):
    from slopeshift.sensitivity.evidence import Weighed

    assert Weighed(None, None, k, ess).reliable == reliable


# ---- coefficients ----


@pytest.mark.parametrize(("contraction", "note"), [(0.0999, "hardly informed: mostly the prior"), (0.1, "")])
def test_a_coefficient_is_hardly_informed_below_a_tenth_of_the_prior_variance(contraction, note):
    from slopeshift.answers import covariates, interval

    assert covariates._note(True, contraction) == note
    assert interval._note("interval_within", True, contraction, None) == note
    assert len(interval.by_window(both_windows(0.4, contraction=contraction))) == (contraction >= 0.1)


def both_windows(window, sd=0.1, sd_window=0.1, contraction=0.9):
    """A table of one coefficient: 0.2 from whole cycles, and from the fixed window; draws enough to know both by."""
    same = {"model": "interval", "quantity": "interval_within", "unit": "u", "mcse": 0.0, "contraction": contraction}
    rows = [("whole cycle", 0.2, sd), ("fixed window", window, sd_window)]
    return pd.DataFrame([same | {"analysis": a, "mean": m, "sd": s, "ess_bulk": 1e12} for a, m, s in rows])


@pytest.mark.parametrize(("errors", "fires"), [(2.57, False), (2.58, True), (-2.58, True), (-2.57, False)])
def test_the_window_moves_a_coefficient_beyond_2_576_standard_errors(errors, fires):
    """The window with an SD of 0.125: a standard error of 0.075 for the move."""
    from slopeshift.answers import interval

    assert interval.window_fires(both_windows(0.2 + errors * 0.075, sd_window=0.125)) is fires


@pytest.mark.parametrize(("window", "fires"), [(0.2505, True), (0.2495, False)])
def test_the_window_moves_a_coefficient_by_more_than_half_a_posterior_sd(window, fires):
    from slopeshift.answers import interval

    assert interval.window_fires(both_windows(window)) is fires


# ---- rates of claims ----


def refits(probabilities):
    """Rows of refits that passed, one for each Pr(change > 0), as a study keeps them."""
    same = {"passed": True, "injection": "overall", "mean": 0.1, "lower": -0.1, "upper": 0.3, "n_patients": 4}
    alone = dict.fromkeys(
        ("n_called", "expected_false_claims", "n_called_alone", "expected_false_alone", "n_visits"), 0
    )
    return [{**same, **alone, "prob_positive": p} for p in probabilities]


JOB = SimpleNamespace(
    model="m",
    outcome="alsfrsr",
    population=SimpleNamespace(name="p"),
    sampling="s",
    entry="",
    trial=SimpleNamespace(name="t"),
)


def test_a_null_trial_claims_a_change_above_0_975_and_below_0_025():
    from slopeshift.null.rates import rates_table

    row = rates_table(JOB, refits([0.976, 0.974, 0.5, 0.0251, 0.0249, 0.01])).iloc[0]
    assert row["share_positive"] == pytest.approx(1 / 6)
    assert row["share_negative"] == pytest.approx(2 / 6)


def test_two_hundred_null_trials_and_sets_of_pseudo_injections_are_refitted_unless_others_are_asked_for():
    import inspect

    from slopeshift.cli import fits
    from slopeshift.null.study import Options

    assert Options(None).refits == 200
    assert inspect.signature(fits.null).parameters["refits"].default == 200


@pytest.mark.parametrize(("probability", "fires"), [(0.976, True), (0.974, False), (0.026, False), (0.024, True)])
def test_pseudo_injections_find_a_change_above_0_975_and_below_0_025(probability, fires):
    from slopeshift.null.pseudo import pseudo_table

    assert pseudo_table(JOB, refits([probability] * 3))["finds_change"].item() is fires
