"""Controlled trials: what is stated of arms, what models make of it, and what is compared."""

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from trials import ROOT

from slopeshift import simulate
from slopeshift.answers import any_change, arms, arms_beside, operating, permutation, quantities, unchanged
from slopeshift.design.arms import treated
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.files import leading, load_model
from slopeshift.report.words.arms import delayed_start
from slopeshift.sensitivity.alternatives import overall_weights
from slopeshift.simulate.arms import CONTROL, TREATED, two_arms, write_controlled
from slopeshift.trial import TrialError, read_trial, trial_from_tables

MODELS = ROOT / "models"
STATED = {"control": "sham", "randomised": True}
FOUR = "P1 cells P2 cells P3 sham P4 sham"


def trial(arms=STATED, arm=FOUR, agents=None, injected=None, cycles=2, **more):
    """Four patients, so many injections each, and what is stated of their arms."""
    given = dict(zip(arm.split()[::2], arm.split()[1::2], strict=True))
    patients = pd.DataFrame({"patient": list(given), "arm": list(given.values())}).assign(**more)
    visits = [(p, m, 40.0 - m) for p in given for m in (-3, 0, 3, 6, 9)]
    injections = pd.DataFrame(
        [(p, k + 1, 4 * k) for p in injected or given for k in range(cycles)], columns=["patient", "injection", "month"]
    )
    if agents is not None:
        injections["agent"] = agents.split() if isinstance(agents, str) else agents
    settings = {"title": "t", "synthetic": True, "source": "made", **({"arms": arms} if arms else {})}
    tables = {"patients": patients, "visits": pd.DataFrame(visits, columns=["patient", "month", "alsfrsr"])}
    return trial_from_tables("made", tables | {"injections": injections}, settings)


# ---- at the door ----


@pytest.mark.parametrize(
    ("given", "where", "found"),
    [
        ({"arms": {"randomised": True}}, "arms.control", "no such key"),
        ({"arms": STATED | {"randomised": "yes"}}, "arms.randomised", "'yes'"),
        ({"arms": STATED | {"unit": "cycle"}}, "arms.unit", "'cycle'"),
        ({"arms": STATED | {"who": "me"}}, "arms.who", "unknown key 'who'"),
        ({"arms": STATED | {"control": "placebo"}}, "arms.control", "nobody has 'placebo'; arm is 'cells' (2)"),
        ({"arms": STATED | {"strata": ["site"]}}, "arms.strata", "no stratum 'site'"),
        ({"arms": STATED | {"strata": ["site"]}, "site": ["A", None, "A", "B"]}, "site", "an empty cell"),
        ({"arms": STATED | {"minimal_difference": {"fev": 1.0}}}, "arms.minimal_difference", "no outcome 'fev'"),
        ({"arm": "P1 cells P2 other P3 sham P4 sham"}, "arms.control", "3 levels of arm"),
        ({"arm": "P1 sham P2 sham P3 sham P4 sham"}, "arms.control", "one level of arm"),
        ({"agents": ["c", "c", "c", None, "s", "s", "s", "s"]}, "agent", "an empty cell"),
        ({"agents": "c c c s s s s s"}, "agent", "'s' in the arm 'cells'"),
        ({"agents": "c c c c c c s s"}, "agent", "'c' at first injections of both arms"),
        ({"agents": "c c c c s c s s", "injected": ["P1", "P2", "P3", "P4"]}, None, None),
        ({"arms": STATED | {"unit": "injection"}}, "agent", "no such column, though arms are stated"),
        ({"arms": STATED | {"unit": "injection"}, "agents": "c c c s s c s c"}, "arms.control", "nobody has 'sham'"),
    ],
)
def test_what_contradicts_is_refused_by_name(given, where, found):
    if where is None:
        assert trial(**given).arms is not None
        return
    with pytest.raises(TrialError) as refused:
        trial(**given)
    problems = refused.value.problems
    assert any(row.column == where and found in row.found for row in problems.itertuples()), problems.to_string()


def test_a_patient_who_went_back_is_named():
    with pytest.raises(TrialError) as refused:
        trial(cycles=3, agents="c c c c c c s c s s s s")
    problem = refused.value.problems.iloc[0]
    assert (problem["patient"], problem["found"]) == ("P3", "'s' after one of the other arm in the arm 'sham'")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"arms": None}, "2 levels: 'cells', 'sham'"),
        ({"injected": ["P1", "P2"]}, "nobody of 'sham' is injected"),
        ({"agents": "c c c c s c s s"}, "1 of the arm 'sham' go over"),
    ],
)
def test_what_readers_will_ask_is_a_note(given, found):
    assert any(found in note for note in trial(**given).notes["found"])


def test_patients_of_an_arm_without_injections_are_natural_history():
    assert not trial(injected=["P1", "P2"]).compares
    assert trial().compares
    assert not trial(arms=None).compares


# ---- what is compared ----


def cycles(made):
    return treated(made, visits_of(made, "alsfrsr"))


def test_treated_cycles_are_those_of_the_other_arm():
    assert cycles(trial()).effect.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]


def test_who_goes_over_is_treated_later_and_compared_apart():
    found = cycles(trial(agents="c c c c s c s s"))
    assert found.effect.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    assert found.late.tolist() == [[0, 0], [0, 0], [0, 1], [0, 0]]


def test_injections_are_compared_within_patients_with_what_is_carried_over():
    found = cycles(trial(arms=STATED | {"unit": "injection"}, agents="cells sham sham cells cells cells sham sham"))
    assert found.effect.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]
    assert found.carried.tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]


def regressors(made, model="alsfrsr_arms"):
    model = load_model(MODELS / f"{model}.py").build(made)
    return {regressor.name: regressor.shift for regressor in model.regressors}


def test_arms_that_were_randomised_have_one_level_and_slope():
    assert set(regressors(trial())) == {"effect", "effect 1", "effect 2"}


def test_arms_that_were_not_randomised_differ_in_level_and_slope():
    names = set(regressors(trial(arms=STATED | {"randomised": False})))
    assert names >= {"arm cells on level", "arm cells on slope"}


def test_strata_move_level_and_slope_of_both_arms():
    found = regressors(trial(arms=STATED | {"strata": ["site"]}, site=["1", "2", "1", "1"]))
    assert found["site 2 on level"][:, 0].tolist() == [0, 1, 0, 0]
    assert "site 2 on slope" in found


def test_the_effect_of_an_injection_stands_at_its_change():
    made = trial()
    shift, names = regressors(made), load_model(MODELS / "alsfrsr_arms.py").visits(made).coefficients
    assert shift["effect 2"][0].tolist() == [float(name == "change 2") for name in names]
    assert shift["effect"][0].tolist() == [float(name.startswith("change")) for name in names]
    assert not shift["effect"][2].any()


def test_models_are_for_one_group_or_for_two_arms():
    two, one = trial(), trial(arms=None)
    for name in ("alsfrsr", "formula", "interval"):
        assert "two arms" in load_model(MODELS / f"{name}.py").misfit(two)
        assert not load_model(MODELS / f"{name}.py").misfit(one)
    assert not load_model(MODELS / "alsfrsr_arms.py").misfit(two)
    assert "to compare" in load_model(MODELS / "alsfrsr_arms.py").misfit(one)


def test_of_the_models_of_two_arms_the_one_named_so_answers():
    named = {"alsfrsr_arms": "alsfrsr", "alsfrsr_arms_straight": "alsfrsr", "fvc_arms": "fvc"}
    assert leading(named) == ["alsfrsr_arms", "fvc_arms"]


# ---- which injections are compared ----


def counted(treated, control, late=None):
    """Lay out how many treated and control patients inform each cycle, of the latter `late` after they went over."""
    late = [0] * len(treated) if late is None else late
    n, cycles = max(treated) + max(control), range(1, len(treated) + 1)
    names = ["effect", *(f"effect {k}" for k in cycles), "delayed_start"]
    acts = np.zeros((len(names), n, len(treated)))
    seen = np.zeros((n, len(treated)))
    for k in range(len(treated)):
        seen[: treated[k], k] = 2
        seen[max(treated) : max(treated) + control[k], k] = 2
        acts[-1, max(treated) : max(treated) + late[k], k] = 1
    acts[0, : max(treated)] = 1
    return xr.Dataset(
        {
            "covariates": (("covariate", "patient", "coefficient"), acts),
            "visits_in_cycle": (("patient", "injection"), seen),
        },
        {"covariate": names, "coefficient": [f"change {k}" for k in cycles], "injection": list(cycles)},
    )


def test_injections_are_compared_where_both_arms_inform_the_cycle():
    found = arms.comparisons(counted(treated=[6, 4, 2], control=[5, 2, 0]))
    assert found == {
        "1": {"effect": 1, "effect 1": 1},
        "2": {"effect": 1, "effect 2": 1},
        "overall": {"effect": 1, "effect 1": 0.6, "effect 2": 0.4},
    }


def test_a_control_that_went_over_is_none():
    assert list(arms.comparisons(counted([6, 4], [5, 3], late=[0, 3]))) == ["1", "overall"]
    assert list(arms.comparisons(counted([6, 4], [5, 3], late=[0, 2]))) == ["1", "2", "overall"]


def test_without_a_cycle_that_both_inform_nothing_is_compared():
    assert arms.comparisons(counted([3, 3], [0, 0])) == {}


@pytest.fixture(scope="module")
def fitted():
    """A posterior of a small trial of two arms whose true difference is 1 point a month, without rules of entry."""
    design = simulate.Design(enrolled=12, visit_spacing=1.5, follow_up=4.0, patients_per_cycle=(12, 10))
    flat = replace(simulate.DEFAULT_TRUTH.alsfrsr, change=(0.0, 0.0), level=30.0, slope_distribution="normal")
    other = replace(simulate.DEFAULT_TRUTH.fvc, change=(0.0, 0.0))
    tables = dict(two_arms(design, simulate.Truth(flat, other), {"alsfrsr": 1.0}, 4).tables)
    tables["visits"] = tables["visits"][["patient", "month", "alsfrsr"]]
    stated = {"control": CONTROL, "randomised": True, "minimal_difference": {"alsfrsr": 0.2}}
    made = trial_from_tables("two arms", tables, {"title": "t", "synthetic": True, "source": "s", "arms": stated})
    file = load_model(MODELS / "alsfrsr_arms_straight.py")
    ready = compile_once(file.name, file.source, made, Sampling(chains=2, draws=400, tune=300))
    return ready.fit(made, file.visits(made), 1)


def rows(posterior, quantity):
    found = quantities.of_quantity(quantities.population(posterior), quantity)
    return {str(k): found.isel(row=i) for i, k in enumerate(found["injection"].to_numpy())}


@pytest.fixture(scope="module")
def unmatched(fitted):
    """The posterior of the trial of two arms, read as if no control had been seen after the second injection."""
    seen = fitted.design["visits_in_cycle"].copy()
    seen[{"injection": 1}] = seen.isel(injection=1).where(arms.treated_cycles(fitted.design).isel(injection=0), 0)
    return replace(fitted, design=fitted.design.assign(visits_in_cycle=seen))


def test_an_injection_without_controls_has_no_difference_and_no_weight(unmatched):
    found = rows(unmatched, "difference")
    assert list(found) == ["1", "overall"]
    np.testing.assert_array_equal(found["1"], found["overall"])
    assert list(rows(unmatched, "control_change")) == ["1", "overall"]
    assert set(operating.table(unmatched)["injection"]) == {"1", "overall"}
    weights = dict(zip(unmatched.design["term"].to_numpy(), overall_weights(unmatched), strict=True))
    assert (weights["effect 1"], weights["effect 2"]) == (1, 0)


def test_scores_are_compared_before_the_first_injection_without_controls(unmatched):
    found = arms.differences(unmatched.draws, unmatched.design)
    month, points = arms.by_horizon(unmatched, found)
    assert month == np.floor(np.nanmedian(unmatched.visits.injection_month[:, 1]))
    np.testing.assert_allclose(points, month * found["1"])


def test_a_model_of_arms_has_no_change_that_could_be_taken_for_the_answer(fitted):
    quantities_of = set(quantities.population(fitted)["quantity"].to_numpy())
    assert not quantities_of & {"change", "segment_slope", "increment", "percent_slowing", "rate_ratio"}
    claimed = quantities.of_claim(quantities.population(fitted))
    assert set(claimed["quantity"].to_numpy()) == {"difference"}
    xr.testing.assert_equal(quantities.claims(fitted), claimed)


# ---- the answer ----


def test_the_difference_is_found_and_is_what_answers(fitted):
    change = quantities.change(fitted)
    assert float(change.mean()) == pytest.approx(1.0, abs=3 * float(change.std()))
    assert float((change > 0).mean()) > 0.9
    np.testing.assert_allclose(change, rows(fitted, "difference")["overall"])


def test_estimands_are_those_of_their_formulas(fitted):
    draws, found = fitted.draws, rows(fitted, "difference")
    effect = draws["regression"].sel(covariate="effect") + draws["regression"].sel(covariate="effect 1")
    control = draws["population"].sel(coefficient="slope") + draws["population"].sel(coefficient="change 1")
    np.testing.assert_allclose(found["1"], effect)
    np.testing.assert_allclose(rows(fitted, "treated_change")["1"], rows(fitted, "control_change")["1"] + effect)
    slower = (control < 0) & (effect >= -0.25 * control)
    np.testing.assert_array_equal(rows(fitted, "prob_slowing_25_of_control")["1"], slower)
    np.testing.assert_array_equal(rows(fitted, "prob_minimal_difference")["1"], effect > 0.2)


def test_percentages_ratios_and_slopes_are_those_of_the_control(fitted):
    draws = fitted.draws
    effect = draws["regression"].sel(covariate="effect") + draws["regression"].sel(covariate="effect 2")
    control = draws["population"].sel(coefficient="slope") + draws["population"].sel(coefficient="change 2")
    np.testing.assert_allclose(rows(fitted, "control_slope")["2"], control)
    np.testing.assert_allclose(rows(fitted, "percent_slowing_of_control")["2"], -100 * effect / control)
    np.testing.assert_allclose(rows(fitted, "ratio_of_slopes")["2"], 1 + effect / control)


def test_overall_treated_less_control_is_the_difference(fitted):
    treated, control, difference = (
        rows(fitted, name)["overall"] for name in ("treated_change", "control_change", "difference")
    )
    np.testing.assert_allclose(treated - control, difference)
    number = arms.treated_cycles(fitted.design).sum("patient").to_numpy()
    each = rows(fitted, "control_change")
    np.testing.assert_allclose(control, (number[0] * each["1"] + number[1] * each["2"]) / number.sum())


def test_the_difference_by_a_month_is_reported_under_that_month(fitted):
    month, points = arms.by_horizon(fitted, arms.differences(fitted.draws, fitted.design))
    found = quantities.of_quantity(quantities.population(fitted), f"difference_at_month_{month:g}")
    np.testing.assert_allclose(found.isel(row=0), points)
    assert found["unit"].item() == "points"


@pytest.mark.slow
def test_the_readme_shows_the_answer_of_the_controlled_trial():
    """Within Monte Carlo error: 0.02 in a change or a probability, 0.001 in the p value."""
    from slopeshift.answers.stored import tables_of
    from slopeshift.fit.posterior import posterior_of
    from slopeshift.fit.sample import sample
    from slopeshift.fit.store import Settings
    from slopeshift.notebook.shown import shown
    from slopeshift.trial import read_trial

    example = read_trial(ROOT / "data/synthetic-rct-als")
    fit = sample(load_model(MODELS / "alsfrsr_arms.py"), example, Settings(), progress=False)
    found = shown(example, fit.record, tables_of(posterior_of(example, fit)))
    text = (ROOT / "README.md").read_text()
    block = text[text.index("ALSFRS-R, points/month, model alsfrsr_arms") :]
    for line in (*(" ".join(row) for row in found.rows[1:]), found.after[1]):
        (printed,) = [each for each in block.split("```")[0].splitlines() if each.strip().startswith(line[:11])]
        assert numbers_of(printed) == pytest.approx(numbers_of(line), abs=0.021)


def numbers_of(text):
    return [float(each.replace("\N{MINUS SIGN}", "-")) for each in re.findall("[-+\N{MINUS SIGN}]?\\d+\\.\\d+", text)]


def test_overall_weighs_the_informed_cycles_of_the_treated(fitted):
    number = arms.treated_cycles(fitted.design).sum("patient").to_numpy()
    found = rows(fitted, "difference")
    expected = (number[0] * found["1"] + number[1] * found["2"]) / number.sum()
    np.testing.assert_allclose(found["overall"], expected)
    assert number[0] == 12


def test_by_a_month_the_difference_adds_up_over_the_cycles(fitted):
    found = arms.differences(fitted.draws, fitted.design)
    month, points = arms.by_horizon(fitted, found)
    second = np.nanmedian(fitted.visits.injection_month[:, 1])
    expected = second * found["1"] + (month - second) * found["2"]
    np.testing.assert_allclose(points, expected)


def test_courses_of_the_arms_differ_by_what_was_added_up(fitted):
    lines = arms.courses(fitted).set_index("month")
    month, points = arms.by_horizon(fitted, arms.differences(fitted.draws, fitted.design))
    last = lines.loc[month].set_index("treated")["median"]
    assert last[True] - last[False] == pytest.approx(float(points.median()), abs=0.3)


def test_what_is_of_one_group_is_left_out(fitted):
    assert unchanged.table(fitted).empty


def test_whether_arms_differ_at_all_leaves_changes_in_both_models(fitted):
    found = any_change.table(fitted)
    assert (found.loc[found["prior_probability"] == 0.5, "bayes_factor"] > 1).all()


def test_the_closed_form_is_of_trials_whose_arms_do_not_differ(fitted):
    found = operating.table(fitted).set_index(["injection", "course"])
    overall = found.loc[("overall", "straight")]
    assert abs(overall["null_mean"]) < 0.05
    assert overall["prob_claim"] < 0.05
    # Both arms bend alike: it hardly matters, as it would for either of them.
    assert abs(overall["bend_gain"]) < 2.0
    assert found.loc[("overall", "bent"), "prob_claim"] < 0.06


def test_usual_analyses_ask_the_same(fitted):
    found = arms_beside.table(fitted).set_index("method")
    assert found.loc[arms_beside.SLOPES, "estimate"] == pytest.approx(1.0, abs=0.8)
    assert found.loc[arms_beside.SLOPES, "unit"] == "points/month"
    assert (found["lower"] < found["estimate"]).all()


def test_the_delayed_start_is_told_apart_from_the_difference():
    told = {"mean": 0.31, "lower": -0.12, "upper": 0.74, "unit": "points/month", "prob_better": 0.92}
    rows = pd.DataFrame([{"quantity": "delayed_start", **told}, {"quantity": "carry_over", **told, "mean": 9.0}])
    said = delayed_start({"covariates": rows})
    assert "+0.31 (−0.12 to +0.74) points/month, probability 0.92 for the better" in said
    assert said.endswith("no part of the difference.")
    assert delayed_start({"covariates": rows[1:]}) == ""
    assert delayed_start({"covariates": rows.assign(mean=np.nan)}) == ""
    assert delayed_start({}) == ""


# ---- the permutation test ----


@pytest.mark.parametrize("name", ["fitted", "unmatched"])
def test_the_statistic_is_the_posterior_mean_at_fixed_spreads(name, request):
    posterior = request.getfixturevalue(name)
    tested = permutation._Tested(posterior)
    found = tested.statistics(tested.arm[None])[0]
    assert found == pytest.approx(float(quantities.change(posterior).mean()), abs=0.06)


def test_the_statistic_is_that_of_dense_normals(fitted):
    from scipy.linalg import block_diag

    from slopeshift.engine.draws import flat
    from slopeshift.engine.terms import terms_from

    visits, known = fitted.visits, terms_from(fitted.design, fitted.visits)
    loading, sd = flat(fitted.draws["loading"]).mean(axis=0), np.sqrt((flat(fitted.draws["sigma"]) ** 2).mean())
    n = len(visits.patients)
    columns = known.design + np.zeros((n, 1, 1))
    columns[..., -len(known.covariates) :] += known.shift.transpose(1, 2, 0)
    design = np.concatenate([visits.basis[visits.patient_index == i] @ columns[i] for i in range(n)])
    value = np.concatenate([visits.value[visits.patient_index == i] for i in range(n)])
    rows_of = [visits.basis[visits.patient_index == i] @ loading for i in range(n)]
    spread = block_diag(*(r @ r.T + sd**2 * np.eye(len(r)) for r in rows_of))
    precision = design.T @ np.linalg.solve(spread, design) + np.diag(known.sd**-2.0)
    right = design.T @ np.linalg.solve(spread, value) + known.mean * known.sd**-2.0
    mean = dict(zip(known.names, np.linalg.solve(precision, right), strict=True))
    number = arms.treated_cycles(fitted.design).sum("patient").to_numpy()
    expected = mean["effect"] + number @ [mean["effect 1"], mean["effect 2"]] / number.sum()
    tested = permutation._Tested(fitted)
    assert tested.statistics(tested.arm[None])[0] == pytest.approx(expected, rel=1e-8)


def test_p_is_the_share_of_allocations_that_differ_as_much(fitted):
    found = permutation.table(fitted, allocations=400, seed=1).iloc[0]
    assert 1 / 401 <= found["p"] < 0.1
    assert found["p"] == permutation.table(fitted, allocations=400, seed=1).iloc[0]["p"]


def test_allocations_keep_the_strata():
    strata = np.array([0, 0, 1, 1, 1])
    orders = [permutation._within(strata, np.random.default_rng(seed)) for seed in range(40)]
    assert all((strata[order] == strata).all() and sorted(order) == list(range(5)) for order in orders)
    assert len({tuple(order) for order in orders}) > 6


def test_agents_within_patients_need_no_arm():
    made = trial(arms=STATED | {"unit": "injection"}, agents="cells sham sham cells cells cells sham sham")
    tables = {"patients": made.patients[["patient"]], "visits": made.visits, "injections": made.injections}
    settings = {"title": "t", "synthetic": True, "source": "made", "arms": STATED | {"unit": "injection"}}
    without = trial_from_tables("made", tables, settings)
    assert without.compares
    assert cycles(without).effect.tolist() == cycles(made).effect.tolist()


def test_without_randomisation_nothing_is_permuted(fitted):
    stated = replace(fitted.trial, arms=replace(fitted.trial.arms, randomised=False))
    assert permutation.table(replace(fitted, trial=stated)).empty


# ---- the trial that comes with the repository ----


def test_the_committed_trial_is_made_again_to_the_byte(tmp_path):
    write_controlled(tmp_path)
    committed = ROOT / "data/synthetic-rct-als"
    for path in sorted(committed.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_committed_trial_has_two_arms_of_thirty_who_met_the_rules():
    read = read_trial(ROOT / "data/synthetic-rct-als")
    assert read.patients["arm"].value_counts().to_dict() == {CONTROL: 30, TREATED: 30}
    assert read.arms.randomised
    assert read.compares
    assert read.notes.empty
    given = read.injections.merge(read.patients[["patient", "arm"]])
    assert (given["agent"] == given["arm"]).all()
    assert len(read.entry) == 2


def test_arms_of_a_simulated_trial_differ_by_the_effect_alone():
    design = simulate.Design(enrolled=300)
    truth = simulate.Truth(
        replace(simulate.DEFAULT_TRUTH.alsfrsr, change=(0.0,)), replace(simulate.DEFAULT_TRUTH.fvc, change=(0.0,))
    )
    drawn = two_arms(design, truth, {"alsfrsr": 0.7}, 3)
    true = pd.DataFrame(drawn.truth["patients"])
    by_arm = true.assign(change=[each["change"][0] for each in true["alsfrsr"]]).groupby("arm")["change"].mean()
    assert by_arm[TREATED] - by_arm[CONTROL] == pytest.approx(0.7, abs=0.1)
    arm = drawn.tables["patients"]["arm"].to_numpy()
    assert any(a != b for a, b in combinations(arm[:10], 2))  # allocated in no order
