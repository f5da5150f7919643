"""The null reference: its patients, their values, and where a trial's own statistics lie among them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from posteriors import posterior_from
from trials import ROOT, line_trial, posterior

from slopeshift.classical import FROM_ONSET, STATISTICS, Rules, layout, layout_of, statistics
from slopeshift.design.entry import conditions
from slopeshift.design.visits import visits_of
from slopeshift.null.claim import ENTRY_RULES, LeadIn, claim_table, claim_text, published_counts
from slopeshift.null.population import DISTRIBUTIONS, NATURAL_HISTORIES, PLATFORM, NaturalHistory, fitted
from slopeshift.null.reference import COLUMNS, distribution_table, reference, reference_table
from slopeshift.null.trials import BLOCK, NullError, null_values
from slopeshift.trial import read_trial
from slopeshift.trial.entry import EntryRule

SYNTHETIC = read_trial(ROOT / "data" / "synthetic-msc-als")
VISITS = visits_of(SYNTHETIC, "alsfrsr")
FVC = next(history for history in NATURAL_HISTORIES if history.outcome == "fvc")


def history(**changed):
    given = {"name": "made", "outcome": "alsfrsr", "level": 34.0, "sd_level": 6.0, "slope": -1.06, "sd_slope": 0.92}
    return NaturalHistory(**given | {"residual": 2.0, "distribution": "normal", "sources": "test"} | changed)


# ---- populations ----


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_slopes_have_the_stated_mean_and_standard_deviation(distribution):
    slopes = history(distribution=distribution).slopes(np.random.default_rng(1), (400_000,))
    assert slopes.mean() == pytest.approx(-1.06, abs=0.01)
    assert slopes.std() == pytest.approx(0.92, abs=0.02)
    if distribution != "normal":
        assert (slopes <= 0).all()


def test_a_natural_history_that_cannot_be_is_refused_all_at_once():
    with pytest.raises(
        ValueError, match=r"'made': residual is 0; .* above 0; distribution is 'flat'; use one of normal"
    ):
        history(residual=0, distribution="flat")
    with pytest.raises(ValueError, match=r"slope is 0\.1; a gamma rate needs a slope below 0"):
        history(slope=0.1, distribution="gamma")
    with pytest.raises(ValueError, match=r"sd_slope is 0\.2; too small for a mixture"):
        history(sd_slope=0.2, distribution="mixture")


def test_every_published_natural_history_names_its_sources():
    assert all("doi 10." in history.sources for history in NATURAL_HISTORIES)
    assert {history.outcome for history in NATURAL_HISTORIES} == {"alsfrsr", "fvc"}


def test_a_trial_from_a_fit_has_one_posterior_draw_and_its_patients_scatter_around_it():
    population = fitted("fit", posterior_from(posterior()))
    rng = np.random.default_rng(1)
    version = population.versions(rng, 3000)
    level, slope, residual = population.draw(rng, version, 40)
    np.testing.assert_array_equal(residual, 2.0)
    centred = slope - population.slope[version][:, None]
    assert centred.std() == pytest.approx(0.7, rel=0.02)
    assert slope.mean(axis=1).std() == pytest.approx(np.hypot(0.2, 0.7 / np.sqrt(40)), rel=0.1)
    high = level - population.level[version][:, None]
    assert np.corrcoef(high.ravel(), centred.ravel())[0, 1] == pytest.approx(0.5, abs=0.02)


def test_an_entry_rule_keeps_each_trial_with_its_own_posterior_draw():
    """Two very different populations: no trial may hold patients of both."""
    draws = posterior(draws=1, sd_level=1.0)
    draws["population"].loc[{"coefficient": "level", "chain": 0}] = 40.0
    draws["population"].loc[{"coefficient": "level", "chain": 1}] = 20.0
    (values,) = null_values(VISITS, fitted("fit", posterior_from(draws)), BLOCK, 1, by_rule(at_least=3))
    at_injection = values[:, VISITS.month == 0]
    assert ((at_injection > 30).all(axis=1) | (at_injection < 30).all(axis=1)).all()


# ---- values ----


def test_values_are_those_of_lines_at_the_trials_own_visits():
    values = np.concatenate(list(null_values(VISITS, history(level=24, sd_level=2), 4000, 1)))
    assert values.shape == (4000, len(VISITS.value))
    early = np.abs(VISITS.month) < 5  # far from the ends of the scale
    month = VISITS.month[early]
    np.testing.assert_allclose(values.mean(axis=0)[early], 24 - 1.06 * month, atol=0.4)
    spread = np.sqrt(2**2 + 2**2 + (0.92 * month) ** 2 + 1 / 12)
    np.testing.assert_allclose(values.std(axis=0)[early], spread, rtol=0.06)


def test_scores_are_whole_and_on_the_scale_and_measurements_are_not_rounded():
    (scores,) = null_values(VISITS, history(level=46), 200, 1)
    assert set(np.unique(scores)) <= set(range(49))
    assert scores.max() == 48
    (percent,) = null_values(visits_of(SYNTHETIC, "fvc"), FVC, 50, 1)
    assert percent.min() >= 0
    assert (percent != percent.round()).mean() > 0.9


def by_rule(quantity="loss", start="first", end="last", trial=SYNTHETIC, **limits):
    """The conditions of one rule on the visits of a trial, whose own values it may break."""
    rule = EntryRule("alsfrsr", quantity, start, "test", end, **limits)
    return conditions(replace(trial, entry=(rule,)), visits_of(trial, "alsfrsr"))


def test_more_trials_begin_with_the_fewer():
    some = np.concatenate(list(null_values(VISITS, PLATFORM, BLOCK + 3, 7, by_rule(at_least=3))))
    more = np.concatenate(list(null_values(VISITS, PLATFORM, 2 * BLOCK, 7, by_rule(at_least=3))))
    np.testing.assert_array_equal(some, more[: BLOCK + 3])


def ends_of_lead_in():
    """Patients of the synthetic trial with two values up to injection 1: places of the first and the last."""
    for patient in range(len(VISITS.patients)):
        mine = np.flatnonzero((VISITS.patient_index == patient) & (VISITS.month <= 0))
        yield mine[0], mine[-1]


def test_nobody_in_a_null_trial_breaks_a_rule():
    (values,) = null_values(VISITS, PLATFORM, 200, 1, by_rule(at_least=3, below=6))
    losses = [values[:, first] - values[:, last] for first, last in ends_of_lead_in()]
    assert len(losses) == len(VISITS.patients)
    assert np.min(losses) == 3
    assert np.max(losses) == 5


def test_who_is_exempt_is_not_chosen():
    patients = SYNTHETIC.patients.assign(entry_exempt=["yes", *[""] * 19])
    exempting = replace(SYNTHETIC, _tables=SYNTHETIC._tables | {"patients": patients})
    (values,) = null_values(VISITS, PLATFORM, 500, 1, by_rule(at_least=3, trial=exempting))
    losses = [(values[:, first] - values[:, last]).min() for first, last in ends_of_lead_in()]
    assert losses[0] < 0
    assert min(losses[1:]) == 3


def brute_force(before=()):
    """A great many patients of the platform's population: scores (patient, value) at `before`, then at P's visits."""
    rng = np.random.default_rng(5)
    months = np.array([*before, *VISITS.month[of_one_patient()]])
    level, slope = rng.normal(34, 6, (400_000, 1)), rng.normal(-1.03, 0.76, (400_000, 1))
    return np.clip(np.round(level + slope * months + rng.normal(0, 1.77, (400_000, len(months)))), 0, 48)


def of_one_patient():
    return np.flatnonzero(VISITS.patient_index == 0)


def assert_same_distribution(values, expected):
    error = expected.std(axis=0) / np.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - expected.mean(axis=0)) < 4.5 * error).all()
    np.testing.assert_allclose(values.std(axis=0), expected.std(axis=0), rtol=0.05)


def test_the_chosen_are_distributed_as_those_of_many_who_meet_the_rule():
    every, last = brute_force(), (VISITS.month[of_one_patient()] <= 0).sum() - 1
    expected = every[every[:, 0] - every[:, last] >= 3]
    blocks = null_values(VISITS, PLATFORM, 4000, 1, by_rule(at_least=3))
    values = np.concatenate(list(blocks))[:, of_one_patient()]
    assert_same_distribution(values, expected)
    losses, wanted = (drawn[:, 0] - drawn[:, last] for drawn in (values, expected))
    for loss in (3, 4, 5, 8):
        share = (wanted == loss).mean()
        assert (losses == loss).mean() == pytest.approx(share, abs=4.5 * np.sqrt(share * (1 - share) / len(losses)))


def test_a_screening_value_that_was_not_recorded_is_simulated_at_its_own_time():
    patients = SYNTHETIC.patients.assign(screening=40.0, screening_month=-6.0)
    earlier = replace(SYNTHETIC, _tables=SYNTHETIC._tables | {"patients": patients})
    entry = by_rule(start="column:screening", end="first", at_least=4, trial=earlier)
    assert entry.other_month.tolist() == [-6.0] * 20
    every = brute_force(before=[-6.0])
    values = np.concatenate(list(null_values(VISITS, PLATFORM, 4000, 1, entry)))
    assert values.shape == (4000, len(VISITS.value))
    assert_same_distribution(values[:, of_one_patient()], every[every[:, 0] - every[:, 1] >= 4][:, 1:])


def test_a_judged_rule_lets_some_in_who_break_it():
    (values,) = null_values(VISITS, PLATFORM, 200, 1, by_rule(at_least=3, spread=1.5))
    broken = np.mean([(values[:, first] - values[:, last]) < 3 for first, last in ends_of_lead_in()])
    assert 0.1 < broken < 0.4


def test_a_rule_that_one_in_a_hundred_meets_is_searched_for_and_a_rarer_one_is_refused():
    """Scores below 21 at injection 1 have 1.6 % of the platform's population, scores below 18 have 0.4 %."""
    rare, rarer = (by_rule("score", "last", None, below=limit) for limit in (21, 18))
    (values,) = null_values(VISITS, PLATFORM, 20, 1, rare)
    assert np.max([values[:, last] for _, last in ends_of_lead_in()]) == 20
    with pytest.raises(NullError, match="almost never meets"):
        list(null_values(VISITS, PLATFORM, 20, 1, rarer))


def test_an_entry_rule_that_nobody_meets_is_refused():
    with pytest.raises(
        NullError, match=r"'PRO-ACT placebo, normal' almost never meets the entry rule: 0 of \d+ patients"
    ):
        list(null_values(VISITS, PLATFORM, 1, 1, by_rule(at_least=40)))
    with pytest.raises(NullError, match=r"ALSFRS-R loss at least 40 points, from the first value .* Correct the rule"):
        list(null_values(VISITS, PLATFORM, BLOCK, 1, by_rule(at_least=40)))


# ---- the reference ----


@pytest.fixture(scope="module")
def found():
    return reference(SYNTHETIC, "alsfrsr", PLATFORM, Rules(), trials=2000, seed=1)


def test_the_table_describes_the_simulated_statistics_and_the_observed_one(found):
    table = reference_table(found)
    assert list(table.columns) == COLUMNS.split()
    plan = layout_of(SYNTHETIC, VISITS, Rules())
    simulated = statistics(plan, np.concatenate(list(null_values(VISITS, PLATFORM, 2000, 1))))
    observed = statistics(plan, VISITS.value[None])
    for name in STATISTICS:
        for period in ("1", "overall", "whole"):
            slow = simulated[name].sel(injection=period).to_series().dropna()
            row = table[(table["statistic"] == name) & (table["injection"] == period)].iloc[0]
            assert row["n_defined"] == len(slow)
            want = float(observed[name].sel(injection=period)[0])
            assert row["observed"] == pytest.approx(want, nan_ok=True)
            if len(slow):
                quantiles = slow.quantile([0.025, 0.5, 0.975]).to_list()
                assert [row["lower"], row["median"], row["upper"]] == pytest.approx(quantiles)
                assert row["mean"] == pytest.approx(slow.mean())
            if len(slow) and not np.isnan(want):
                share = (slow >= want).mean()
                assert row["share_at_or_above"] == pytest.approx(share)
                assert row["mc_error"] == pytest.approx(np.sqrt(share * (1 - share) / len(slow)))


def test_bins_hold_every_simulated_trial_once(found):
    table = distribution_table(found)
    total = table.groupby(["statistic", "injection"])["share"].sum()
    np.testing.assert_allclose(total, 1.0)
    counts = table[(table["statistic"] == "improved") & (table["injection"] == "1")]
    assert (counts["left"] == counts["right"]).all(), "a count has a bin for each number"


def test_about_seven_of_nineteen_improve_where_nothing_changed(found):
    """The trial's own visits are not those of the published figures, but near enough for the same size."""
    row = reference_table(found).set_index(["statistic", "injection"]).loc[("improved", "1")]
    assert row["mean"] == pytest.approx(6.8, abs=0.4)
    assert (row["lower"], row["upper"]) == (3, 11)


def test_a_trial_of_the_null_lies_anywhere_in_its_own_null_distribution():
    """Placing null trials among null trials: shares at or above are spread evenly, or somewhat above for ties."""
    shares = []
    for seed in range(16):
        trial = line_trial(patients=12, injections=2, seed=seed)
        population = history(level=35, sd_level=5, slope=-1.0, sd_slope=0.7)
        table = reference_table(reference(trial, "alsfrsr", population, Rules(), trials=500, seed=seed))
        shares.append(table.set_index(["statistic", "injection"]).loc[("mean_change", "1"), "share_at_or_above"])
    assert 0.3 < np.mean(shares) < 0.7
    assert (np.array(shares) < 0.05).sum() <= 4


def test_no_injection_and_no_trials_are_refused():
    with pytest.raises(NullError, match="trial lines has no injection"):
        reference(line_trial(injections=0), "alsfrsr", PLATFORM, Rules(), trials=10, seed=1)
    with pytest.raises(NullError, match="0 null trials asked for; give 1 or more"):
        reference(SYNTHETIC, "alsfrsr", PLATFORM, Rules(), trials=0, seed=1)


@pytest.mark.parametrize(
    ("trial", "rules"),
    [
        (line_trial(injections=1), Rules()),
        (line_trial(patients=2, injections=1), Rules()),
        (line_trial(injections=2), Rules(FROM_ONSET)),
    ],
    ids=["one injection", "one injected patient", "no onset"],
)
def test_what_is_undefined_stays_undefined(trial, rules):
    table = reference_table(reference(trial, "alsfrsr", PLATFORM, rules, trials=60, seed=1))
    undefined = table[table["n_defined"] == 0]
    assert len(undefined)
    assert undefined[["mean", "lower", "share_at_or_above", "mc_error"]].isna().all(axis=None)
    assert not np.isinf(table.select_dtypes("number")).any(axis=None)


@pytest.mark.parametrize(
    ("distribution", "falling", "improved", "half", "sd_change"),
    [
        ("normal", 0.784, 0.467, 0.334, 1.30),
        ("gamma", 0.788, 0.493, 0.375, 1.32),
        ("lognormal", 0.798, 0.497, 0.379, 1.34),
    ],
)
def test_untreated_patients_improve_as_often_as_another_program_found(distribution, falling, improved, half, sd_change):
    """Monthly visits from -3 to 4, score 38 at month 0; the other program simulated 200,000 patients."""
    patients, month = 30_000, np.arange(-3.0, 5.0)
    population = history(level=38.0, sd_level=1e-9, distribution=distribution)
    rng = np.random.default_rng(2)
    level, slope, residual = (x[0] for x in population.draw(rng, np.zeros(1, int), patients))
    mean = level[:, None] + slope[:, None] * month
    values = np.clip(np.round(mean + residual * rng.standard_normal(mean.shape)), 0, 48)
    index, months = np.repeat(np.arange(patients), len(month)), np.tile(month, patients)
    found, stricter = (
        statistics(layout(index, months, np.zeros((patients, 1)), Rules(threshold=t)), values.reshape(1, -1)).isel(
            draw=0
        )
        for t in (24.999, 49.999)  # the other program counted 25 % or more
    )
    first = found.sel(injection="1")
    assert float(first["falling_lead_in"]) / patients == pytest.approx(falling, abs=0.01)
    assert float(first["improved_of_defined"]) == pytest.approx(improved, abs=0.015)
    assert float(stricter["improved_of_defined"].sel(injection="1")) == pytest.approx(half, abs=0.015)
    assert float(first["sd_change"]) == pytest.approx(sd_change, abs=0.02)


def plateaus(distribution, months):
    """Share of untreated patients whose score after some months is not below that at the start."""
    slopes = history(distribution=distribution).slopes(np.random.default_rng(1), (200_000,))
    noise = np.random.default_rng(2).normal(0, 2.0, (2, 200_000))
    change = np.round(38 + slopes * months + noise[0]) - np.round(38 + noise[1])
    return (change >= 0).mean()


def test_plateaus_are_as_often_as_another_program_found_and_oftener_in_a_mixture():
    """PRO-ACT shows 25 and 16 % at 6 and 12 months (Bedlack 2016); normal slopes and mixtures come nearest to that."""
    for distribution, half_year, year in (
        ("normal", 0.172, 0.141),
        ("gamma", 0.142, 0.070),
        ("lognormal", 0.115, 0.036),
    ):
        assert plateaus(distribution, 6) == pytest.approx(half_year, abs=0.01)
        assert plateaus(distribution, 12) == pytest.approx(year, abs=0.01)
        assert plateaus("mixture", 6) > plateaus(distribution, 6)


# ---- the published claim ----


@pytest.fixture(scope="module")
def claim():
    lead_ins = [LeadIn(visits, 3.0, entry) for visits in (2, 3, 4) for entry in ENTRY_RULES]
    return claim_table("petrou2021", trials=1500, seed=1, histories=[PLATFORM], lead_ins=lead_ins)


@pytest.mark.parametrize(
    ("visits", "entry", "lead_in", "mean", "lower", "upper"),
    [
        (3, "none", "least_squares", 6.8, 3, 11),
        (2, "none", "least_squares", 6.9, 3, 11),
        (4, "none", "least_squares", 6.8, 3, 11),
        (2, "none", "from_onset", 6.5, 3, 11),
        (3, "loss of 3 points or more", "least_squares", 10.1, 6, 14),
        (3, "slope of -0.5 or steeper", "least_squares", 9.4, 5, 14),
    ],
)
def test_null_counts_agree_with_an_independent_simulation(claim, visits, entry, lead_in, mean, lower, upper):
    """Figures of another program: 4,000 trials of 19 with the same population, visits and rules."""
    row = claim.query("lead_in_visits == @visits and entry == @entry and lead_in == @lead_in").iloc[0]
    assert row["mean_1"] == pytest.approx(mean, abs=0.3)
    assert row["lower_1"] == pytest.approx(lower, abs=1)
    assert row["upper_1"] == pytest.approx(upper, abs=1)


def test_a_cell_has_every_published_count_and_the_chance_of_each(claim):
    assert len(claim) == 19
    assert published_counts("petrou2021").improved == {"1": 15, "2": 11, "3": 8, "whole": 13}
    for period, of in {"1": 19, "2": 12, "3": 10, "whole": 19}.items():
        assert (claim[f"of_{period}"] == of).all()
        assert (claim[f"upper_{period}"] <= of).all()
        assert claim[f"probability_{period}"].between(0, 1).all()
        assert (claim["probability_all"] <= claim[f"probability_{period}"]).all()


def test_a_cell_that_would_be_another_one_again_is_left_out(claim):
    assert not claim.duplicated(["lead_in_visits", "entry", "lead_in"]).any()
    assert set(claim.loc[claim["lead_in"] == "end_to_end", "lead_in_visits"]) == {4}
    onset = claim[claim["lead_in"] == "from_onset"]
    assert onset["entry"].value_counts().to_dict() == {ENTRY_RULES[0]: 1, ENTRY_RULES[1]: 3, ENTRY_RULES[2]: 3}
    alone = claim_table(
        "petrou2021", trials=400, seed=1, histories=[PLATFORM], lead_ins=[LeadIn(3)], rules=["end_to_end"]
    )
    both = claim_table("petrou2021", trials=400, seed=1, histories=[PLATFORM], lead_ins=[LeadIn(3)])
    counts = [f"{part}_{p}" for part in ("mean", "lower", "upper") for p in ("1", "2", "3", "whole")]
    pd.testing.assert_series_equal(alone.loc[0, counts], both.loc[0, counts], check_names=False)


def test_later_cycles_are_counted_among_those_who_reached_them():
    """With patients who nearly all improve, by a lead-in that is nearly always steep: nobody is counted twice."""
    noisy = history(slope=-0.05, sd_slope=0.01, residual=3.0)
    table = claim_table("petrou2021", trials=300, seed=1, histories=[noisy], lead_ins=[LeadIn(3, 2.0, ENTRY_RULES[1])])
    row = table[table["lead_in"] == "least_squares"].iloc[0]
    assert row["mean_1"] > 17
    assert 10.5 < row["mean_2"] <= 12
    assert 9 < row["mean_3"] <= 10


def test_the_same_seed_gives_the_same_claim():
    tables = [
        claim_table("petrou2021", trials=20, seed=s, histories=[PLATFORM], lead_ins=[LeadIn()]) for s in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


def test_the_text_gives_facts_and_limits_and_claims_no_effect(claim):
    text = claim_text(claim)
    for words in ("15 of 19", "11 of 12", "8 of 10", "13 of 19", "19 combinations", "no control group", "no evidence"):
        assert words in text
    outside = claim[claim["upper_1"] < 15]
    assert f"reaches the published count in {19 - len(outside)} of 19" in text
    assert "\n" not in text


def test_a_lead_in_that_cannot_be_is_refused_all_at_once():
    with pytest.raises(
        ValueError, match=r"1 visits; a slope needs 2; -1 months; .*; entry rule 'any'; use one of none"
    ):
        LeadIn(1, -1, "any")


def test_published_figures_without_counts_are_refused():
    with pytest.raises(NullError, match="'untreated' count nobody as 'improved by more than 25 %', or give no"):
        published_counts("untreated")
