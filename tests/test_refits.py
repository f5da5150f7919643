"""Refits of null trials and pseudo-injections: what goes in, what is told of them, and that they find nothing."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from posteriors import posterior_from
from trials import ROOT, line_trial, posterior

from slopeshift.answers.tables import population_changes
from slopeshift.classical import Rules, layout_of
from slopeshift.design.visits import visits_of
from slopeshift.fit import sample as fitting
from slopeshift.fit import store
from slopeshift.fit.candidates import Candidate
from slopeshift.fit.compiled import RefitError, Sampling, compile_once, refusal
from slopeshift.keep.replicates import replicates
from slopeshift.model.files import load_model
from slopeshift.null import study
from slopeshift.null.population import PLATFORM, fitted
from slopeshift.null.pseudo import PseudoJob, before_treatment, moved, pseudo_table
from slopeshift.null.rates import RefitJob, claims_alone, rates_table
from slopeshift.null.study import Options, populations, run, stored
from slopeshift.null.trials import NullError
from slopeshift.trial import Control, read_trial, trial_from_tables

MODEL = ROOT / "models" / "alsfrsr.py"
TEXT = MODEL.read_text()
SYNTHETIC = read_trial(ROOT / "data" / "synthetic-msc-als")


FITTED = posterior_from(posterior(), passed=True)


def refits(trial=None, **changed):
    given = {"outcome": "alsfrsr", "model": "alsfrsr", "source": TEXT, "population": PLATFORM, "seed": 1}
    return RefitJob(trial=trial or line_trial(), **given | changed)


def moves(trial=None, **changed):
    given = {"outcome": "alsfrsr", "model": "alsfrsr", "source": TEXT, "seed": 1}
    return PseudoJob(trial=trial or line_trial(), **given | changed)


# ---- jobs ----


def test_a_job_is_known_by_its_content():
    assert refits() == refits()
    assert refits() == pickle.loads(pickle.dumps(refits()))
    other_fit = fitted("fit", posterior_from(posterior()))
    different = [
        refits(),
        refits(seed=2),
        refits(source=TEXT + "\nMORE = 1\n"),
        refits(population=other_fit),
        refits(population=replace(other_fit, slope=other_fit.slope + 1e-12)),
        refits(population=replace(PLATFORM, slope=-1.0)),
        refits(line_trial(seed=1)),
        refits(sampling=Sampling(draws=800)),
        moves(),
        moves(seed=2),
    ]
    assert len({job.key for job in different}) == len(different)


# ---- pseudo-injections ----


def months_of(trial):
    return trial.visits.groupby("patient")["month"].apply(list).to_dict()


def test_only_values_before_treatment_are_used_and_only_of_patients_with_two():
    found = before_treatment(SYNTHETIC, "alsfrsr")
    injected = set(SYNTHETIC.injections["patient"])
    recorded = SYNTHETIC.visits.dropna(subset=["alsfrsr"]).query("month <= 0")
    recorded = recorded[recorded["patient"].isin(injected)]
    enough = recorded.groupby("patient").filter(lambda rows: len(rows) > 1)
    assert len(found.visits) == len(enough)
    assert sorted(found.visits["alsfrsr"]) == sorted(enough["alsfrsr"])
    assert found.injections.empty
    assert list(found.outcomes) == ["alsfrsr"]


def test_a_cohort_without_injections_is_used_whole():
    trial = line_trial(injections=0)
    assert len(before_treatment(trial, "alsfrsr").visits) == len(trial.visits)


def test_every_pseudo_injection_lies_between_two_values_of_its_patient():
    untreated = before_treatment(SYNTHETIC, "alsfrsr")
    for seed in range(20):
        trial = moved(untreated, "alsfrsr", np.random.default_rng(seed))
        visits = visits_of(trial, "alsfrsr")
        assert visits.injections == (1,)
        assert (visits.visits_in_cycle[:, 0] >= 1).all()
        assert (visits.visits_in_lead_in >= 1).all()
        assert len(visits.value) == len(untreated.visits)


def test_pseudo_injections_of_a_move_are_on_one_day_in_the_middle_half_for_all_who_are_still_seen():
    trial = line_trial(patients=20, injections=0, seed=2)
    gone = trial.visits["patient"].isin(["P1", "P2"]) & (trial.visits["month"] > -2)
    tables = {"patients": trial.patients[["patient"]], "visits": trial.visits[~gone], "injections": trial.injections}
    settings = {"title": "T", "synthetic": True, "source": "s"}
    shorter = before_treatment(trial_from_tables("shorter", tables, settings), "alsfrsr")
    longest = shorter.visits["month"].max() - shorter.visits["month"].min()
    for seed in range(20):
        after = -visits_before(moved(shorter, "alsfrsr", np.random.default_rng(seed)))
        np.testing.assert_allclose(after.drop(["P1", "P2"]), after["P3"])
        assert longest / 4 - 0.1 < after["P3"] < 3 * longest / 4 + 0.1
        assert (after[["P1", "P2"]] < 1).all()


def visits_before(trial):
    """The month of each patient's first value, counted from the pseudo-injection."""
    first = trial.visits.groupby("patient")["month"].min()
    return first - trial.injections.set_index("patient")["month"]


def test_a_move_shifts_the_clock_and_nothing_else():
    untreated = before_treatment(SYNTHETIC, "alsfrsr")
    trial = moved(untreated, "alsfrsr", np.random.default_rng(1))
    before, after = months_of(untreated), months_of(trial)
    for patient, months in after.items():
        np.testing.assert_allclose(np.diff(months), np.diff(before[patient]))
    np.testing.assert_array_equal(trial.visits["alsfrsr"], untreated.visits["alsfrsr"])


def test_pseudo_injections_differ_between_moves_and_repeat_with_the_seed():
    untreated = before_treatment(SYNTHETIC, "alsfrsr")
    one, again, other = (months_of(moved(untreated, "alsfrsr", np.random.default_rng(s))) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_declared_outcome_keeps_its_scale():
    tables = {
        "patients": pd.DataFrame({"patient": ["A", "B"]}),
        "visits": pd.DataFrame(
            {"patient": ["A", "A", "B", "B"], "month": [-2.0, 0, -3.0, 0], "grip": [4.0, 3.0, 5.0, 5.0]}
        ),
        "injections": pd.DataFrame({"patient": ["A", "B"], "injection": [1, 1], "month": [0.0, 0.0]}),
    }
    settings = {"title": "T", "synthetic": True, "source": "s", "outcomes": {"grip": {"unit": "kg", "min": 0}}}
    trial = trial_from_tables("grip", tables, settings)
    found = moved(before_treatment(trial, "grip"), "grip", np.random.default_rng(1))
    assert found.outcomes["grip"] == trial.outcomes["grip"]


def test_too_few_values_before_treatment_are_refused():
    trial = line_trial(patients=3)
    late = trial.visits[(trial.visits["month"] >= 0) | (trial.visits["patient"] == "P1")]
    tables = {"patients": trial.patients, "visits": late, "injections": trial.injections}
    short = trial_from_tables("short", tables, {"title": "Short", "synthetic": True, "source": "test"})
    with pytest.raises(
        NullError, match=r"trial short: 1 patients have two values of alsfrsr before treatment; .* need 2"
    ):
        moves(short).check()


# ---- tables ----


def row(injection="1", lower=-0.1, upper=0.5, prob=0.9, passed=True, called=0, false=0.0, mean=0.2):
    return {
        "replicate": 0, "injection": injection, "mean": mean, "lower": lower, "upper": upper, "prob_positive": prob,
        "rhat": 1.0, "ess_bulk": 900.0, "passed": passed, "n_called": called, "expected_false_claims": false,
        "n_called_alone": 4, "expected_false_alone": 0.4,
    }  # fmt: skip


def test_rates_are_shares_of_the_refits_that_passed():
    rows = [
        row(prob=0.98, lower=0.01, called=2, false=0.3),
        row(prob=0.01, lower=-0.9, upper=-0.1, mean=-0.4),
        row(),
        row(),
        row(prob=1.0, passed=False, called=9),
        row("overall"),
    ]
    table = rates_table(refits(), rows).set_index("injection")
    first = table.loc["1"]
    assert (first["n_refits"], first["n_failed"]) == (5, 1)
    assert (first["share_positive"], first["share_negative"]) == (0.25, 0.25)
    assert first["mc_error"] == pytest.approx(np.sqrt(0.25 * 0.75 / 4))
    assert first["share_covering_zero"] == 0.5
    assert (first["mean_called"], first["share_any_called"]) == (0.5, 0.25)
    assert first["expected_false_claims"] == pytest.approx(0.075)
    assert (first["mean_called_alone"], first["expected_false_alone"]) == (4, pytest.approx(0.4))
    assert first["entry"] == ""
    assert table.loc["overall", "n_refits"] == 1


def test_no_rate_is_made_of_refits_that_all_failed():
    table = rates_table(refits(), [row(passed=False)])
    assert table["n_failed"].to_list() == [1]
    assert table[["share_positive", "mc_error", "share_covering_zero", "mean_called"]].isna().all(axis=None)


def test_judged_alone_a_patient_is_called_as_regression_theory_says():
    """A regression of each patient, lead-in and cycle apart, with the residual SD known, by matrices and many draws."""
    trial = line_trial(patients=16, injections=1, seed=4)
    visits, sigma = visits_of(trial, "alsfrsr"), 0.8
    found = claims_alone(layout_of(trial, visits, Rules()), visits.value, sigma, np.random.default_rng(1))
    rng, probability = np.random.default_rng(2), []
    for i in range(15):
        month, value = (x[visits.patient_index == i] for x in (visits.month, visits.value))
        before, after = month <= 0, month >= 0
        weights = np.zeros((2, len(month)))
        for row_, inside in enumerate((before, after)):
            x = np.column_stack([np.ones(inside.sum()), month[inside]])
            weights[row_, inside] = np.linalg.pinv(x)[1]
        slopes = rng.multivariate_normal(weights @ value, sigma**2 * weights @ weights.T, 40_000)
        probability.append(((slopes[:, 0] < 0) & (slopes[:, 1] >= 0.75 * slopes[:, 0])).mean())
    probability = np.array(probability)
    called = probability > 0.8
    assert 0 < called.sum() < 15
    assert (abs(probability - 0.8) > 0.02).all(), "no patient so near the limit that draws decide"
    row_of = found.set_index("injection").loc["1"]
    assert row_of["n_called_alone"] == called.sum()
    assert row_of["expected_false_alone"] == pytest.approx((1 - probability[called]).sum(), abs=0.05)


def test_what_moves_found_is_described():
    rows = [row(mean=x, prob=p) | {"n_patients": 9, "n_visits": 31} for x, p in ((0.1, 0.99), (0.3, 0.5), (-0.1, 0.2))]
    found = pseudo_table(moves(), [*rows, rows[0] | {"passed": False}]).iloc[0]
    assert (found["n_moves"], found["n_failed"], found["n_patients"], found["n_visits"]) == (4, 1, 9, 31)
    assert found["mean_change"] == pytest.approx(0.1)
    assert found["share_positive"] == pytest.approx(1 / 3)
    assert found["share_covering_zero"] == 1.0


@pytest.mark.parametrize(("prob", "finds"), [((0.99, 0.97, 0.98), True), ((0.99, 0.9), False), ((0.01, 0.02), True)])
def test_the_check_fires_where_the_mean_probability_is_a_claim(prob, finds):
    found = pseudo_table(moves(), [row(prob=p) | {"n_patients": 9, "n_visits": 31} for p in prob]).iloc[0]
    assert found["finds_change"] == finds
    assert found["trial"] == "lines"


def test_moves_that_all_failed_find_nothing():
    rows = [row(prob=0.99, passed=False) | {"n_patients": 9, "n_visits": 31}]
    assert not pseudo_table(moves(), rows).iloc[0]["finds_change"]


# ---- the study ----


def test_injections_are_moved_in_the_control_that_a_trial_names_too(monkeypatch, tmp_path):
    jobs = []

    def worked(job, count, *_, **__):
        jobs.append(job)
        return [row() | {"n_patients": 9, "n_visits": 31}] * count

    monkeypatch.setattr(study, "replicates", worked)
    history = replace(line_trial(patients=12, injections=0, seed=3), name="history")
    trial = replace(line_trial(), control=Control("a history", {"alsfrsr": 0.15}, history))
    options = Options(Rules(), replicates=5, refits=2, pseudo=True)
    run(
        trial,
        [Candidate(load_model(MODEL), FITTED)],
        options,
        tmp_path,
        say=lambda _: None,
    )
    assert [job.trial.name for job in jobs if isinstance(job, PseudoJob)] == ["lines", "history"]
    assert pd.read_csv(tmp_path / "pseudo_injection.csv")["trial"].tolist() == ["lines", "history"]
    assert pd.read_csv(tmp_path / "pseudo_moves.csv")["trial"].tolist() == ["lines"] * 2 + ["history"] * 2


def test_a_fit_comes_before_published_natural_history():
    file = load_model(MODEL)
    names = [source.name for source in populations("alsfrsr", [Candidate(file, FITTED)])]
    assert names[:2] == ["fit of alsfrsr", "PRO-ACT placebo, normal"]
    assert populations("grip", [Candidate(file, FITTED)]) == []


def test_what_is_asked_is_written_and_what_does_not_apply_is_said(tmp_path):
    said = []
    options = Options(Rules(), replicates=40, refits=0, published="petrou2021")
    written = run(
        line_trial(),
        [Candidate(load_model(MODEL), FITTED)],
        options,
        tmp_path,
        say=said.append,
    )
    assert [path.name for path in written] == ["published_claim.csv", "null_reference.csv", "null_distribution.csv"]
    table = pd.read_csv(tmp_path / "null_reference.csv")
    assert table["source"].nunique() == 6
    assert (table["n_trials"] == 40).all()
    assert "no evidence" in said[0]


RULE = {"outcome": "alsfrsr", "quantity": "loss", "from": "first", "to": "last", "at_least": -9, "source": "4.1"}


def test_a_stated_rule_chooses_by_its_outcome_and_from_populations_it_has_yet_to_choose_from(tmp_path):
    chosen = line_trial(entry=[RULE])
    run(chosen, [], Options(Rules(), replicates=20, refits=0), tmp_path, say=print)
    table = pd.read_csv(tmp_path / "null_reference.csv")
    assert table["entry"].unique().tolist() == [
        "ALSFRS-R loss at least -9 points, from the first value to the last value up to injection 1 (4.1)"
    ]
    of_enrolled = fitted("fit of alsfrsr", posterior_from(posterior()))
    made = study._Study(chosen, [], Options(Rules()), print, list)
    file = SimpleNamespace(name="alsfrsr", outcome="alsfrsr")
    assert made.drawn_from(file, [of_enrolled, PLATFORM]) is PLATFORM
    of_screened = replace(of_enrolled, screened=True)
    assert made.drawn_from(file, [of_screened, PLATFORM]) is of_screened
    assert replace(made, trial=line_trial()).drawn_from(file, [of_enrolled, PLATFORM]) is of_enrolled
    assert refits(chosen, population=of_enrolled).entry == ""
    assert refits(chosen, population=of_screened).entry.startswith("ALSFRS-R loss at least -9")


def test_a_trial_without_injections_has_nothing_but_pseudo_injections(tmp_path):
    said = []
    with pytest.raises(NullError, match="trial lines: nothing to make of what was asked"):
        run(line_trial(injections=0), [], Options(Rules(), refits=0), tmp_path, say=said.append)
    assert said == ["trial lines has no injections, so there is no statistic to place and no change to refit"]


# ---- refits for real ----


@pytest.mark.slow
def test_a_model_given_other_values_gives_what_one_built_for_them_gives():
    trial, other = line_trial(patients=8), line_trial(patients=8, seed=5)
    sampling = Sampling(chains=2, draws=1000, tune=500)
    swapped = compile_once("alsfrsr", TEXT, trial, sampling).fit(other, visits_of(other, "alsfrsr"), 3)
    built = compile_once("alsfrsr", TEXT, other, sampling).fit(other, visits_of(other, "alsfrsr"), 3)
    for name in ("population", "coefficients", "sigma"):
        np.testing.assert_allclose(swapped.draws[name], built.draws[name], rtol=1e-6)
    table = population_changes(swapped)
    settings = store.Settings(seed=9, draws=1000, tune=1000, prior_draws=50)
    full = fitting.sample(load_model(MODEL), other, settings, progress=False).tree["posterior"]
    change = full["population"].sel(coefficient="change 1")
    mine = table.set_index("injection").loc["1"]
    assert mine["mean"] == pytest.approx(float(change.mean()), abs=4 * mine["mcse"] + 0.01)


def test_a_model_that_samples_its_coefficients_is_not_refitted():
    written_out = TEXT.replace("import normal\n", "import normal_written_out as normal\n")
    with pytest.raises(RefitError, match="alsfrsr: this model samples its coefficients; only one that integrates them"):
        compile_once("alsfrsr", written_out, line_trial(), Sampling())


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.py")), ids=lambda path: path.stem)
def test_every_model_is_refitted_or_said_why_not(path):
    file = load_model(path)
    reason = refusal(file, read_trial(ROOT / "data/synthetic-rct-als") if "_arms" in path.stem else SYNTHETIC)
    answers = path.stem.removesuffix("_straight").removesuffix("_arms") in ("alsfrsr", "fvc")
    assert (reason == "") == answers, reason


@pytest.mark.slow
def test_interrupted_refits_go_on_to_the_last_digit_from_cold_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTENSOR_FLAGS", f"base_compiledir={tmp_path / 'cold'}")
    job = refits(line_trial(patients=8), sampling=Sampling(draws=400, tune=300))
    whole = replicates(job, 12, tmp_path / "whole", processes=2)
    first, second, _ = sorted((tmp_path / "whole" / job.key).iterdir())
    kept = second.read_bytes()
    first.unlink()
    second.unlink()
    again = replicates(job, 12, tmp_path / "whole", processes=2)
    assert again == whole
    assert second.read_bytes() == kept


@pytest.mark.slow
def test_the_models_own_rules_fire_no_more_often_than_they_say(tmp_path):
    """200 null trials of the synthetic design: one-sided error 2.5 %, so 12 or more would be a 1 in 500 event."""
    job = refits(SYNTHETIC)
    table = rates_table(job, replicates(job, 200, tmp_path)).set_index("injection")
    assert (table["n_refits"] == 200).all()
    assert (table["n_failed"] <= 4).all()
    for injection in ("1", "2", "3", "overall"):
        assert table.loc[injection, "share_positive"] <= 11 / 200
        assert table.loc[injection, "share_covering_zero"] >= 0.90
    assert abs(table.loc["overall", "mean_change"]) < 4 * table.loc["overall", "sd_change"] / np.sqrt(200)


@pytest.mark.slow
def test_pseudo_injections_into_straight_lines_find_nothing(tmp_path):
    job = moves(line_trial(patients=20, injections=0, seed=4))
    rows = replicates(job, 20, tmp_path)
    found = pseudo_table(job, rows).iloc[0]
    assert found["n_moves"] == 20
    assert found["share_covering_zero"] >= 0.9
    assert len({r["mean"] for r in rows}) == 20, "each move is another one"


def test_tables_made_from_other_data_fits_or_code_are_not_handed_out(tmp_path, monkeypatch):
    file, options = load_model(MODEL), Options(Rules(), replicates=5, refits=0, published="petrou2021")
    candidate = Candidate(file, FITTED, {"settings": {"seed": 1}})
    trial = line_trial()
    run(trial, [candidate], options, tmp_path, say=lambda _: None)
    tables, stale = stored(trial, [candidate], tmp_path)
    assert set(tables) == {"published_claim", "null_reference", "null_distribution"}
    assert stale == []
    assert set(tables["null_reference"]["injection"]) == {"1", "2", "overall", "whole"}
    with monkeypatch.context() as edited:
        edited.setattr(study, "code", lambda *_: "another program")
        assert stored(trial, [candidate], tmp_path)[0] == {}
    refitted = Candidate(file, FITTED, {"settings": {"seed": 2}})
    tables, stale = stored(trial, [refitted], tmp_path)
    assert set(tables) == {"published_claim"}, "what was published does not depend on the trial"
    assert set(stale) == {"null_reference", "null_distribution"}
