"""Simulation-based calibration: that it finds nothing where all is right, and finds what is wrong."""

import json
import pickle
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from posteriors import posterior_from
from trials import ROOT, as_bambi_states_it, line_trial

from slopeshift.answers import quantities as effects
from slopeshift.calibration import CalibrationError, study
from slopeshift.calibration.graph import RECORDED, data_of, with_exchangeable_values
from slopeshift.calibration.job import CalibrationJob
from slopeshift.calibration.page import page
from slopeshift.calibration.posterior import check_same_density
from slopeshift.calibration.quantities import LOG_LIKELIHOOD, RESPONDERS, asked, log_likelihood, quantities
from slopeshift.calibration.ranks import RANKED, places, ranks, thinned
from slopeshift.calibration.record import CHAINS, Ranks, fingerprint, save, stored
from slopeshift.calibration.simulated import prior_of
from slopeshift.calibration.uniformity import CHANCE, INSIDE, OUTSIDE, differences
from slopeshift.design.cycles import OVERALL, seen_changes
from slopeshift.fit.compiled import Sampling
from slopeshift.keep.replicates import replicates
from slopeshift.model.files import loaded, source_of
from slopeshift.trial import trial_from_tables

MODELS = ROOT / "models"
SOURCE = (MODELS / "alsfrsr.py").read_text()
REPLICATES = 1000
OF_A_BEND = {"sd_curvature", "curvature_by_level", "curvature_by_slope"}


@pytest.fixture(scope="module", autouse=True)
def _compiled_quickly():
    """What is evaluated a few times need not be compiled well."""
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        yield


@cache
def prior(name="alsfrsr", text=None):
    """A model's prior, on a small trial whose intervals differ."""
    return prior_of(loaded(name, text or source_of(MODELS / f"{name}.py")), uneven())


def uneven():
    """A trial of lines whose second injections came after four or five months."""
    lines = line_trial()
    injections = lines.injections
    late = (injections["injection"] == 2) & injections["patient"].isin(["P2", "P4"])
    injections.loc[late, "month"] = 5.0
    tables = {"patients": lines.patients[["patient"]], "visits": lines.visits, "injections": injections}
    return trial_from_tables("uneven", tables, {"title": "Uneven", "synthetic": True, "source": "test"})


def edited(argument, new, source=SOURCE):
    """Give one prior of a model file another value."""
    text, count = re.subn(rf"\b{argument}=\w+\([^)]*\)", f"{argument}={new}", source)
    assert count == 1
    return text


@pytest.fixture(scope="module")
def exact():
    return prior()


# ---- uniformity ----


def test_uniform_ranks_leave_their_band_in_five_of_a_hundred_cases():
    rng = np.random.default_rng(1)
    sets = {str(i): rng.integers(RANKED + 1, size=200) for i in range(1000)}
    found = [found["x"].verdict for found in (differences({"x": values}) for values in sets.values())]
    assert 0.03 < np.mean([verdict != INSIDE for verdict in found]) < 0.075


def test_the_band_of_a_model_is_left_less_often_than_that_of_a_quantity():
    rng = np.random.default_rng(2)
    alone = differences({"x": rng.integers(RANKED + 1, size=200)})["x"]
    among = differences({str(i): rng.integers(RANKED + 1, size=200) for i in range(20)})["0"]
    np.testing.assert_array_equal(alone.band, alone.wide)
    assert (among.wide[0] <= among.band[0]).all()
    assert (among.wide[1] >= among.band[1]).all()
    assert (among.wide != among.band).any()


def test_between_the_bands_is_said_to_be_chance_among_many():
    """Ranks that lie a little too low, by ever more: from inside to outside, by way of between."""
    found = []
    for low in range(0, 40, 2):
        values = np.repeat(np.arange(RANKED + 1), 2)
        values[100 : 100 + low] = 0
        found.append(differences({str(i): values for i in range(20)})["0"])
    verdicts = [difference.verdict for difference in found]
    assert list(dict.fromkeys(verdicts)) == [INSIDE, CHANCE, OUTSIDE]
    assert [difference.uniform for difference in found] == [verdict != OUTSIDE for verdict in verdicts]
    assert found[-1].largest > 0, "true values that lie too low"


# ---- what it finds, where the posterior is known exactly ----


def known(prior_mean=0.0, scale=1.0, size=100, count=REPLICATES, *, ignored=False, seed=1):
    """Calibrate the mean, Normal(0, 1), of normal values of SD 1, fitted with another prior mean or another SD."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(count)
    values = truth[:, None] + rng.standard_normal((count, size))
    precision = 1.0 if ignored else 1 + size / scale**2
    centre = prior_mean if ignored else (prior_mean + values.sum(axis=1) / scale**2) / precision
    draws = np.broadcast_to(centre, count)[:, None] + rng.standard_normal((count, RANKED)) / np.sqrt(precision)

    def fit(mean):
        return -0.5 * ((values[:, None] - mean[:, :, None]) ** 2).sum(axis=2) / scale**2

    of = {"mean": (truth[:, None], draws), LOG_LIKELIHOOD: (fit(truth[:, None]), fit(draws))}
    found = {name: (drawn < true).sum(axis=1) for name, (true, drawn) in of.items()}
    return {name: difference.verdict for name, difference in differences(found).items()}


def test_a_posterior_that_is_right_is_calibrated():
    assert OUTSIDE not in known().values()


def test_another_prior_than_that_simulated_from_is_found():
    assert known(prior_mean=0.5, size=1)["mean"] == OUTSIDE


@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_a_residual_sd_that_is_ten_percent_off_is_found(scale):
    assert known(scale=scale)[LOG_LIKELIHOOD] == OUTSIDE


def test_values_that_play_no_part_are_found_by_the_log_likelihood_alone():
    found = known(ignored=True)
    assert found == {"mean": found["mean"], LOG_LIKELIHOOD: OUTSIDE}
    assert found["mean"] != OUTSIDE


# ---- ranks ----


def test_a_rank_counts_the_draws_below():
    rng = np.random.default_rng(1)
    draws = {"x": np.arange(RANKED, dtype=float)}
    assert ranks({"x": -1.0}, draws, rng) == {"x": 0}
    assert ranks({"x": 7.5}, draws, rng) == {"x": 8}
    assert ranks({"x": 1000.0}, draws, rng) == {"x": RANKED}


def test_among_ties_the_rank_is_uniform_and_decided_by_the_seed():
    draws = {"x": np.r_[np.zeros(9), np.ones(10), np.full(80, 2.0)]}
    found = [ranks({"x": 1.0}, draws, np.random.default_rng(seed))["x"] for seed in range(400)]
    assert set(found) == set(range(9, 20))
    assert found[:5] == [ranks({"x": 1.0}, draws, np.random.default_rng(seed))["x"] for seed in range(5)]


def test_draws_are_thinned_evenly_over_all_chains():
    chain, draw = places(2, 500)
    assert len(chain) == RANKED
    place = chain * 500 + draw
    assert set(np.diff(place)) <= {10, 11}
    values = xr.Dataset({"x": (("chain", "draw"), np.arange(1000).reshape(2, 500))}, {"chain": [0, 1]})
    values = values.assign_coords(draw=range(500))
    np.testing.assert_array_equal(thinned(posterior_from(values)).draws["x"], place[None])


# ---- what is ranked ----


def test_responders_are_those_that_effects_counts(exact):
    draws = exact.draws(1, 0)
    found = quantities(draws, asked(draws))[RESPONDERS]
    by_patient = effects.patients(draws)
    overall = by_patient.sel(row=by_patient["injection"] == OVERALL)
    np.testing.assert_array_equal(found, effects.slows(overall["change"], overall["slope"], sign=1).sum("row"))
    assert found.max() > found.min()


def test_every_reported_kind_of_quantity_is_ranked(exact):
    draws = exact.draws(1, 0)
    found = quantities(draws, asked(draws))
    spread = {"sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma", *OF_A_BEND}
    correlations = {"correlation level-slope", "correlation level-response", "correlation slope-response"}
    of_patients = {"patient P1, change 1", "patient P1, change 2", RESPONDERS}
    assert set(found) == {"level", "slope", "curvature", "change 1", "change 2"} | spread | correlations | of_patients
    np.testing.assert_array_equal(
        found["patient P1, change 2"], draws.draws["coefficients"].sel(patient="P1", coefficient="change 2")
    )


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("alsfrsr_student", {"nu"}),
        ("alsfrsr_autocorrelated", {"autocorrelation"}),
        ("interval_negative_control", {"interval_control", "mean_interval", "sd_habit", "sd_interval"}),
    ],
)
def test_what_a_model_has_besides_is_ranked_too(name, extra):
    one = prior(name)
    of = asked(one.draws(1, 0))
    assert set(of.extra) - {"change"} == extra | OF_A_BEND, "and nothing that is said already"


def test_the_log_likelihood_is_that_of_each_value_given_its_line(exact):
    drawn = exact.draw(1, 3)
    one = drawn.truth.draws.isel(chain=0, draw=0)
    theta, sigma = one["coefficients"].to_numpy(), float(one["sigma"])
    mean = (drawn.truth.visits.basis * theta[drawn.truth.visits.patient_index]).sum(axis=1)
    z = (drawn.truth.visits.value - mean) / sigma
    expected = (-0.5 * z**2 - np.log(sigma * np.sqrt(2 * np.pi))).sum()
    assert log_likelihood(exact, drawn.data, drawn.truth) == pytest.approx([expected], rel=1e-6)


# ---- simulated trials ----


def test_a_replicate_depends_on_its_seed_and_number_alone(exact):
    first, again = exact.draw(1, 7), prior_of(loaded("alsfrsr", SOURCE), uneven()).draw(1, 7)
    np.testing.assert_array_equal(first.truth.visits.value, again.truth.visits.value)
    xr.testing.assert_equal(first.truth.draws, again.truth.draws)
    others = [exact.draw(2, 7), exact.draw(1, 8), exact.draw(1, 57)]
    assert len({one.truth.visits.value[0] for one in [first, *others]}) == 4


def test_simulated_sums_are_those_of_the_model_built_on_the_simulated_values(exact):
    drawn = exact.draw(1, 2)
    model = exact._with(drawn.truth.visits.value)
    for name, values in data_of(model).items():
        np.testing.assert_array_equal(values, drawn.data[name], err_msg=name)
    assert not np.array_equal(drawn.data["statistics"], exact.built_on["statistics"])


def test_what_was_seen_is_of_the_simulated_values_and_intervals_are_drawn_given_it():
    one = prior("interval_negative_control")
    z = []
    for replicate in range(30):
        drawn = one.draw(1, replicate)
        seen = seen_changes(one.trial, drawn.truth.visits, 3.0)
        np.testing.assert_allclose(drawn.data["seen_change"], seen["seen"])
        of = drawn.truth.draws.isel(chain=0, draw=0)
        habit = float(of["sd_habit"]) * of["habit_z"].to_numpy()[seen["patient_index"]]
        mean = float(of["mean_interval"]) + float(of["interval_control"]) * seen["seen"].to_numpy() + habit
        z.append((drawn.data["interval"] - mean) / np.hypot(float(of["sd_interval"]), 0.1))
    z = np.concatenate(z)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / z.size)


def test_the_values_of_a_formula_that_is_compiled_can_be_exchanged():
    trial = line_trial()
    file = as_bambi_states_it(loaded("formula", source_of(MODELS / "formula.py")))
    model = with_exchangeable_values(file.build(trial), "alsfrsr")
    density = model.compile_logp(mode="FAST_COMPILE")
    before = density(model.initial_point())
    model[RECORDED].set_value(model[RECORDED].get_value() + 1.0)
    assert density(model.initial_point()) != pytest.approx(before)
    assert file.build(trial).compile_logp(mode="FAST_COMPILE")(model.initial_point()) == pytest.approx(before)


# ---- that the priors simulated from are the priors fitted ----


def as_sampled(one, drawn, model):
    """What NUTS would say of the simulated parameters, had it the density of `model`."""
    of, free = drawn.truth.draws.isel(chain=0, draw=0), model.free_RVs
    moves = [model.rvs_to_transforms[variable] for variable in free]
    moved = [
        variable if move is None else move.forward(variable, *variable.owner.inputs)
        for variable, move in zip(free, moves, strict=True)
    ]
    given = [(variable, pt.as_tensor(of[variable.name].to_numpy())) for variable in free]
    values = pytensor.function([], moved, givens=given, mode="FAST_COMPILE")()
    point = {model.rvs_to_values[variable].name: value for variable, value in zip(free, values, strict=True)}
    logp = float(model.compile_logp(mode="FAST_COMPILE")(point))
    return xr.Dataset({"logp": (("chain", "draw"), [[logp]])})


def sampled_with(drawn, stats):
    return replace(drawn.truth, groups={"sample_stats": stats})


@pytest.mark.parametrize("name", ["alsfrsr", "interval", "interval_negative_control", "formula", "alsfrsr_bounded"])
def test_the_density_of_the_model_simulated_from_agrees(name):
    one = prior(name)
    drawn = one.draw(1, 1)
    model = one._with(drawn.truth.visits.value)
    if "interval" in drawn.data:
        model["interval"].set_value(drawn.data["interval"])
    check_same_density(one, drawn, sampled_with(drawn, as_sampled(one, drawn, model)))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("level", "Normal(35, 4.1)"),
        ("change", "Normal(0.1, 0.3)"),
        ("change_by_injection", "Normal(0, 0.16)"),
        ("sd_cycle", "HalfNormal(0.16)"),
        ("sd_slope", "Gamma(0.8, 0.25)"),
        ("correlation", "LKJ(1)"),
        ("sigma", "Gamma(2.0, 0.41)"),
    ],
)
def test_a_prior_that_was_edited_in_between_is_refused(exact, argument, value):
    drawn = exact.draw(1, 1)
    other = prior(text=edited(argument, value))
    stats = as_sampled(exact, drawn, other._with(drawn.truth.visits.value))
    with pytest.raises(CalibrationError, match=r"log density that was sampled is .* simulate from the priors that"):
        check_same_density(exact, drawn, sampled_with(drawn, stats))


@pytest.mark.parametrize("name", ["alsfrsr", "alsfrsr_student"])
def test_values_that_never_reached_the_density_are_refused(name):
    one = prior(name)
    drawn = one.draw(1, 1)
    with pytest.raises(CalibrationError, match="fit the values simulated"):
        check_same_density(one, drawn, sampled_with(drawn, as_sampled(one, drawn, one.model)))


# ---- jobs, records and pages ----


def test_a_job_is_known_by_its_content():
    job = CalibrationJob(line_trial(), "alsfrsr", SOURCE, 1)
    assert job == pickle.loads(pickle.dumps(job))
    others = [
        replace(job, seed=2),
        replace(job, source=SOURCE + "\nMORE = 1\n"),
        replace(job, trial=line_trial(seed=1)),
        replace(job, sampling=Sampling(draws=100)),
        replace(job, simulated_from=edited("sigma", "Gamma(2.2, 0.4)")),
        replace(job, checked=False),
    ]
    assert len({one.key for one in [job, *others]}) == 7


def test_a_fingerprint_changes_with_a_prior_and_not_with_a_word():
    trial = line_trial()
    of = fingerprint(loaded("alsfrsr", SOURCE), trial)
    assert of == fingerprint(loaded("alsfrsr", SOURCE.replace('unit="points"', 'unit="pts"')), trial)
    assert of != fingerprint(loaded("alsfrsr", edited("sd_cycle", "HalfNormal(0.151)")), trial)


def made_up(model="alsfrsr", failed=3, shift=0):
    rng = np.random.default_rng(5)
    values = {name: np.clip(rng.integers(RANKED + 1, size=200) - shift, 0, RANKED) for name in ("level", "sigma")}
    chains = {"replicate": range(200), "passed": True, "longer": False, "rhat": 1.0, "ess": 400.0, "divergences": 0}
    table = pd.DataFrame(chains | values)
    table.loc[: failed - 1, ["passed", "longer"]] = [False, True]
    record = {"title": "A model", "trial": "lines", "sampling": "2 x (500 + 500)", "seed": 1, "model": model}
    return Ranks(model, table, record)


def test_ranks_are_kept_as_they_were(tmp_path):
    save(made_up(), tmp_path)
    (again,) = stored(tmp_path)
    pd.testing.assert_frame_equal(again.table, made_up().table, check_dtype=False)
    assert again.record == made_up().record
    assert again.quantities == ["level", "sigma"]


def test_replicates_that_did_not_mix_are_counted_and_not_judged():
    of = made_up(failed=3)
    assert [len(values) for values in of.mixed.values()] == [197, 197]
    text = page([of], {"alsfrsr": "plots/alsfrsr.svg"})
    row = next(line for line in text.splitlines() if line.startswith("| `alsfrsr` |"))
    assert [cell.strip() for cell in row.split("|")][2:5] == ["200", "3", "3"]


def test_the_page_says_which_model_is_not_calibrated(tmp_path):
    for of in (made_up("good"), made_up("bad", shift=30)):
        save(of, tmp_path / "ranks")
    assert study.publish(tmp_path) == ["bad"]
    text = (tmp_path / "README.md").read_text()
    assert re.search(r"\| `bad` \|.*\| \*\*NO\*\* \|", text)
    assert re.search(r"\| `good` \|.*\| yes \|", text)
    assert re.search(r"\| level \| \*\*NO\*\* \+\d", text), "and of which quantities, and to which side"
    for model in ("good", "bad"):
        assert f"![{model}](plots/{model}.svg)" in text
        assert "not uniform" in (tmp_path / f"plots/{model}.svg").read_text() or model == "good"


def test_a_study_passes_over_models_of_outcomes_that_a_trial_lacks(tmp_path, monkeypatch):
    """The replicates themselves are made up: those of a model are its own affair, and sampled in the slow tests."""
    rows = made_up().table.to_dict("records")
    monkeypatch.setattr(study, "replicates", lambda *_, **__: rows)
    said = []
    files = [loaded(name, source_of(MODELS / f"{name}.py")) for name in ("alsfrsr", "fvc", "alsfrsr_student")]
    assert study.run(line_trial(), files, study.Counts(200, 50), 1, tmp_path, say=said.append) == []
    passed_over = "fvc: passed over, the trial records no fvc"
    assert said == ["alsfrsr: 200 trials from its prior", passed_over, "alsfrsr_student: 50 trials from its prior"]
    assert sorted(path.name for path in (tmp_path / "ranks").glob("*.csv")) == ["alsfrsr.csv", "alsfrsr_student.csv"]
    record = json.loads((tmp_path / "ranks/alsfrsr.json").read_text())
    assert record["log_density"] == fingerprint(files[0], line_trial())


# ---- the committed ranks ----

COMMITTED = ROOT / "validation" / "calibration"
RANKS = {of.model: of for of in stored(COMMITTED / "ranks")}


THOUSAND = ("alsfrsr", "alsfrsr_straight", "formula", "fvc", "fvc_straight")
"""Models of a thousand trials: the kinds of line that others vary, by both outcomes."""


def test_the_models_that_others_vary_have_committed_ranks_of_a_thousand_trials():
    assert set(THOUSAND) <= set(RANKS)
    assert min(len(RANKS[name].table) for name in THOUSAND) >= 1000


@pytest.mark.parametrize("model", sorted(RANKS))
def test_committed_ranks_are_uniform(model):
    """In the band that all quantities of a model stay in together with 95 % probability, were all ranks uniform."""
    found = differences(RANKS[model].mixed)
    assert {LOG_LIKELIHOOD, RESPONDERS, "sigma", "level"} <= set(found)
    assert [name for name, difference in found.items() if not difference.uniform] == []


@pytest.mark.parametrize("model", sorted(RANKS))
def test_committed_ranks_are_of_the_model_as_it_is(model):
    from slopeshift.trial import read_trial

    of = RANKS[model]
    trial = read_trial(ROOT / "data" / of.record["trial"])
    now = fingerprint(loaded(model, source_of(MODELS / f"{model}.py")), trial)
    assert now == pytest.approx(of.record["log_density"], rel=1e-7), "calibrate it anew: make calibrate"
    assert len(of.table) == of.record["replicates"]
    assert of.table[of.quantities].to_numpy().min() >= 0
    assert of.table[of.quantities].to_numpy().max() <= RANKED


def test_the_committed_page_is_that_of_the_committed_ranks():
    text = (COMMITTED / "README.md").read_text()
    for model, of in RANKS.items():
        assert f"| `{model}` | {len(of.table):,} |" in text
        assert f"](plots/{model}.svg)" in text
        assert (COMMITTED / f"plots/{model}.svg").stat().st_size < 400_000
    assert text == page(stored(COMMITTED / "ranks"), {model: f"plots/{model}.svg" for model in RANKS})


def test_a_figure_that_is_written_again_has_the_same_bytes(tmp_path):
    from slopeshift.calibration.figures import rank_figure, save_figure

    found = differences(RANKS["alsfrsr"].mixed)
    for name in ("one", "two"):
        save_figure(rank_figure(found), tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


# ---- with a sampler ----


@pytest.mark.slow
def test_a_file_that_was_edited_in_between_stops_the_calibration():
    job = CalibrationJob(line_trial(), "alsfrsr", SOURCE, 1, simulated_from=edited("sd_level", "HalfNormal(5.1)"))
    with pytest.raises(CalibrationError, match="simulate from the priors that are fitted"):
        job.rows(0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "found"),
    [
        ({}, set()),
        ({"sigma": "TenPercentLess(2.0, 0.4)"}, {"sigma"}),
        ({"change": "Normal(0.6, 0.3)"}, {"change 1", "change 2"}),
    ],
)
def test_a_model_with_a_mistake_is_found_out_and_one_without_is_not(tmp_path, mistake, found):
    """A reported residual SD that is 10 % less than the one fitted, and a prior of the change two SDs off."""
    text = SOURCE.replace('OUTCOME = "alsfrsr"', TEN_PERCENT_LESS, 1)
    for argument, value in mistake.items():
        text = edited(argument, value, text)
    job = CalibrationJob(line_trial(patients=12), "alsfrsr", text, 1, simulated_from=SOURCE, checked=False)
    table = pd.DataFrame(replicates(job, 150, tmp_path))
    of = Ranks("alsfrsr", table, {})
    assert set(of.table.columns[: len(CHAINS)]) == set(CHAINS)
    outside = {name for name, difference in differences(of.mixed).items() if not difference.uniform}
    assert found <= outside
    assert bool(outside) == bool(found)


TEN_PERCENT_LESS = '''OUTCOME = "alsfrsr"


class TenPercentLess(Gamma):
    """Fits 1.1 times what it reports."""

    def variable(self, name):
        return 1.1 * super().variable(name)
'''
