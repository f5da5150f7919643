"""A plan from its file to its page: what is refused, how sizes are found, what looks do, and what the page says."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from plans import DESIGN, STATED, model, settings
from scipy.special import ndtr
from test_planning import FLAT, TEXTBOOK
from trials import ROOT
from typer.testing import CliRunner

from slopeshift.cli import app
from slopeshift.model.priors import Normal
from slopeshift.planning import looks, spreads, tables, words
from slopeshift.planning.closed_form import expected
from slopeshift.planning.plan import CLAIM, NONE, Looks, PlanError, Rule, Scenario
from slopeshift.planning.prepared import prepared
from slopeshift.planning.reading import plan_of, read_plan
from slopeshift.planning.study import closed, run
from slopeshift.planning.tables import BEYOND, NEVER, REACHED, smallest

MODELS = ROOT / "models"


def study_of(**sections):
    return prepared(plan_of(settings(**sections), "plan.toml"), MODELS, ROOT)[0]


# ---- reading ----


def test_everything_that_is_wrong_is_said_at_once_with_file_and_key():
    given = settings(
        design=settings()["design"] | {"patients": 1, "lead_inn": 3, "reach": [1, 2]},
        decision={"margin": "0"},
        scenario=[{"name": "x", "expected": "maybe"}],
        population={"source": "stated", "sd_level": -1},
    )
    with pytest.raises(PlanError) as raised:
        plan_of(given, "plan.toml")
    said = str(raised.value)
    for key in (
        *("design.patients", "design.lead_inn", "design.reach", "decision.probability", "decision.margin"),
        *("scenario[1].expected", "population.sd_level", "population.sigma"),
    ):
        assert key in said
    assert said.startswith("plan 'plan.toml'")


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"follow_up": 0.5}, "none after the last injection"),
        ({"longest": 10}, "plan at most 2"),
        ({"reach": [1, 0.5, 0.6]}, "shares that rise"),
        ({"reach": [0.9, 0.5]}, "let the first share be 1"),
        ({"patients": 4, "reach": [1, 0.1]}, "nobody"),
        ({"patients": 3, "control_share": 0.3}, "at least 2 in every arm"),
    ],
)
def test_a_design_that_cannot_be_carried_out_is_refused_in_words(design, said):
    with pytest.raises(PlanError, match=said):
        plan_of(settings(design=settings()["design"] | design), "plan.toml")


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"target": {"scenario": "nowhere"}}, "no scenario 'nowhere'"),
        ({"scenario": [{"name": "x", "expected": "claim"}] * 2}, "'x' twice"),
        ({"looks": {"months": [12, 6], "recruitment": 2, "probability": [0.99, 0.99]}}, "let months rise"),
        ({"looks": {"months": [6], "recruitment": 2, "probability": [0.99, 0.99]}}, "2 for 1 looks"),
        ({"simulation": {"replicates": 5, "designs": [9]}}, "there are designs 1 to 4"),
        ({"interval_effect": {"prior_sd": 0.1, "true": 0.1}}, "no design randomises the interval"),
        ({"dose": {"prior_sd": 0.1, "true": 0.1, "levels": [60]}}, "two different doses"),
        ({"population": {"source": "guess"}}, "one of prior, stated, published, fit"),
        ({"decision": {"probability": [round(0.5 + k * 1e-5, 6) for k in range(40_000)]}}, "a grid of 320,000 cells"),
    ],
)
def test_what_cannot_be_together_is_refused(sections, said):
    with pytest.raises(PlanError, match=said):
        plan_of(settings(**sections), "plan.toml")


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"model": ["nothing"]}, "no file of nothing"),
        ({"model": ["alsfrsr_arms"]}, "state control_share"),
        ({"model": ["alsfrsr_student", "alsfrsr_waning"]}, "(?s)only with normal ones.*do not last"),
        ({"model": ["alsfrsr", "fvc"]}, "several outcomes"),
        ({"model": ["formula"]}, "no line model"),
    ],
)
def test_models_that_a_plan_cannot_use_are_refused_together(sections, said):
    with pytest.raises(PlanError, match=said):
        study_of(**sections)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    (tmp_path / "plan.toml").write_text("title =")
    with pytest.raises(PlanError, match="no TOML"):
        read_plan(tmp_path / "plan.toml")


def test_lists_are_alternatives_and_a_list_in_the_interval_is_randomised():
    plan = plan_of(settings(design=settings()["design"] | {"interval": [4.5, [3, 6]]}), "plan.toml")
    assert len(plan.designs) == 2 * 2 * 2
    assert {design.interval for design in plan.designs} == {(4.5,), (3.0, 6.0)}
    assert [design.patients for design in plan.designs[:2]] == [20, 40]


def test_the_commented_example_is_a_plan():
    text = (files("slopeshift.planning") / "example.toml").read_text()
    plan = plan_of(tomllib.loads(text), "example.toml")
    assert len(plan.designs) == 8


# ---- tables ----


def test_scenarios_have_a_row_for_every_design_model_rule_and_scenario():
    study = study_of(model=["alsfrsr_straight", "alsfrsr"], decision={"probability": [0.95, 0.975]})
    found = tables.scenarios(study)
    assert len(found) == 4 * 2 * 2 * 2
    cell = expected(study.plan.designs[2], study.models[1], study.spreads)
    row = found[(found.design == 3) & (found.model == "alsfrsr") & (found.probability == 0.95)].iloc[1]
    assert row["claims"] == pytest.approx(cell.estimates(study.plan.scenarios[1]).claims(1.6448536), abs=1e-7)
    assert row["visits"] == int(cell.layout.number @ np.bincount(cell.layout.visits.patient_index))


def test_flags_say_what_is_too_little_and_too_much():
    study = study_of(scenario=[
        {"name": "bent", "expected": "no claim", "bend": 0.05},
        {"name": "small", "expected": "claim", "effect": 0.1},
        {"name": "huge", "expected": "claim", "effect": 3.0},
    ])  # fmt: skip
    assert list(tables.scenarios(study)["flag"][:3]) == [tables.ALARMS, tables.SHORT, tables.OK]


def test_the_cut_holds_the_false_alarms_that_are_allowed():
    study = study_of(scenario=[{"name": "bent", "expected": "no claim", "bend": 0.05}])
    cut = float(tables.scenarios(study)["cut"][0])
    other = study_of(scenario=study.plan.scenarios and [{"name": "bent", "expected": "no claim", "bend": 0.05}],
                     decision={"probability": cut})  # fmt: skip
    assert tables.scenarios(other)["claims"][0] == pytest.approx(0.025, abs=1e-6)


def test_at_the_tipping_bend_half_of_the_trials_claim():
    bend = float(tables.scenarios(study_of())["tipping_bend"][0])
    at = study_of(scenario=[{"name": "tips", "expected": "no claim", "bend": bend}])
    assert tables.scenarios(at)["claims"][0] == pytest.approx(0.5, abs=1e-9)


def test_the_sample_size_reaches_the_power_and_one_patient_fewer_does_not():
    study = study_of(target={"scenario": "an effect", "power": 0.8})
    row = tables.sizes(study).iloc[0]
    assert row["verdict"] == REACHED
    size, design = int(row["patients"]), study.plan.designs[0]

    def power(patients):
        found = expected(replace(design, patients=patients), study.models[0], study.spreads)
        return found.estimates(study.plan.scenario("an effect")).claims(1.959964)

    assert power(size) >= 0.8 > power(size - 1)


def test_a_textbook_size_is_found():
    """n per arm of a difference: 2 (z_a + z_b)^2 sd^2 / effect^2."""
    from test_planning import textbook

    _, sd = textbook()

    def power(patients):
        found, _ = textbook(replace(TEXTBOOK, patients=patients))
        return found.estimates(Scenario("e", CLAIM, effect=0.4)).claims(1.959964)

    found = smallest(power, 0.8, 2000, 4)["patients"]
    assert found == pytest.approx(4 * (1.959964 + 0.841621) ** 2 * sd**2 / 0.4**2, abs=2)


def test_power_that_no_size_reaches_is_answered_in_words():
    """Bends that differ between trials do not average out over patients."""
    unsure = {"name": "unsure", "expected": "claim", "effect": 0.3, "bend_sd": 0.1}
    study = study_of(scenario=[unsure], target={"scenario": "unsure", "power": 0.99, "most": 300})
    row = tables.sizes(study).iloc[0]
    assert (row["verdict"], row["patients"]) == (NEVER, 0)
    assert "no number of patients reaches a power of 99 %" in words.size_words(row)


def test_a_size_beyond_the_largest_is_not_called_impossible():
    study = study_of(target={"scenario": "an effect", "power": 0.95, "most": 30})
    assert tables.sizes(study)["verdict"][0] == BEYOND


def test_a_width_is_found():
    row = tables.sizes(study_of(target={"width": 0.4})).iloc[0]
    assert row["verdict"] == REACHED
    assert row["found"] <= 0.4


# ---- looks ----


def sequence_of(design, chosen, of, months, recruitment):
    return looks.sequence(design, chosen, of, Looks(months, recruitment, (0.99,) * len(months)), 1)


def test_the_end_is_the_closed_form_of_a_trial_without_looks():
    chosen = model("alsfrsr_straight")
    of = spreads.stated(STATED, chosen.line)
    seen, whole = sequence_of(DESIGN, chosen, of, (8.0, 14.0), 2.0), expected(DESIGN, chosen, of)
    scenario = Scenario("x", CLAIM, effect=0.35, bend=0.01, bend_sd=0.02)
    mean, covariance = seen.joint(scenario)
    estimates = whole.estimates(scenario)
    np.testing.assert_allclose(mean[:, -1], estimates.mean, rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(covariance[:, -1, -1]), estimates.sd, rtol=1e-9)
    np.testing.assert_allclose(seen.posterior_sd[:, -1], estimates.posterior_sd, rtol=1e-9)
    assert (np.diff(seen.posterior_sd, axis=1) < 0).all()


def test_the_predictive_distribution_of_the_end_is_that_of_the_model():
    """Over trials drawn from the prior, Cov(m_l, m_L) = Var(m_l), and Var(m_L) - Var(m_l) = s_l^2 - s_L^2."""
    chosen = model("alsfrsr_straight")
    of = spreads.stated(STATED, chosen.line)
    seen = sequence_of(DESIGN, chosen, of, (8.0, 14.0), 2.0)
    _, covariance = seen.joint(Scenario("x", NONE))
    columns = covariance.shape[1], seen.columns.spread.shape[1]
    prior = np.zeros((columns[1], columns[1]))
    prior[0, 0], prior[1, 1] = 4.0**2, 0.4**2
    prior[3:6, 3:6] = 0.3**2 + 0.15**2 * np.eye(3)
    responses = np.stack([answer.response[0, 0] for answer in seen.answers])
    predictive = covariance[0] + responses @ prior @ responses.T
    variance = seen.posterior_sd[0] ** 2
    for look in range(3):
        assert predictive[look, -1] == pytest.approx(predictive[look, look], rel=1e-6)
        assert predictive[-1, -1] - predictive[look, look] == pytest.approx(variance[look] - variance[-1], abs=1e-9)


def test_two_equal_looks_have_the_error_of_pocock():
    """One-sided 0.025 in all at z = 2.178 twice (Pocock 1977): flat priors, half of the patients seen by the look."""
    arms = replace(model("alsfrsr_arms_straight").line.arms, effect=FLAT, effect_by_injection=Normal(0.0, 1e-6))
    chosen = model("alsfrsr_arms_straight", level=FLAT, slope=FLAT, change=FLAT, arms=arms)
    given = STATED | {"sd_level": 1e4, "sd_slope": 1e3, "correlation_level_slope": 0.0, "sd_response": 0.5}
    design = replace(TEXTBOOK, patients=400)
    seen = sequence_of(design, chosen, spreads.stated(given, chosen.line), (199.5 * 10,), 0.1)
    mean, covariance = seen.joint(Scenario("nothing", NONE))
    rule = Rule(float(ndtr(2.178)))
    ends, claims = looks.stopped(mean, covariance, seen.posterior_sd, (rule, rule), 0.0, 400_000, 2)
    assert claims.mean() == pytest.approx(0.025, abs=0.0015)
    assert claims[ends == 0].all()


def test_futility_stops_where_a_claim_has_become_improbable_and_costs_claims():
    chosen = model("alsfrsr_straight")
    of = spreads.stated(STATED, chosen.line)
    seen = sequence_of(replace(DESIGN, patients=60), chosen, of, (10.0,), 4.0)
    mean, covariance = seen.joint(Scenario("x", NONE))
    rules = (Rule(0.999), Rule(0.975))
    ends, claims = looks.stopped(mean, covariance, seen.posterior_sd, rules, 0.1, 50_000, 3)
    _, without = looks.stopped(mean, covariance, seen.posterior_sd, rules, 0.0, 50_000, 3)
    assert (ends == 0).mean() > 0.3
    assert claims.mean() <= without.mean()


def test_looks_are_the_same_again_and_sum_to_one():
    given = {"months": [9, 14, 90], "recruitment": 3, "probability": [0.999, 0.995, 0.99], "replicates": 2000}
    study = study_of(looks=given | {"futility": 0.05})
    found, again = looks.table(study), looks.table(study)
    pd.testing.assert_frame_equal(found, again)
    whole = found.groupby(["design", "scenario"])[["claim", "without"]].sum().sum(axis=1)
    np.testing.assert_allclose(whole, 1.0)
    assert found["look"].max() == 3  # the one after the end is left out


# ---- the page ----


def test_the_smallest_design_that_ends_as_wanted_is_proposed():
    study = study_of(design=settings()["design"] | {"patients": [20, 60, 120], "lead_in": 3})
    chosen = words.choice(study.plan, tables.scenarios(study))
    assert (chosen.place, chosen.wanted) == (2, True)
    said = words.recommendation(study.plan, chosen, "points/month")
    assert "design 2 is the smallest" in said[0]


def test_where_none_ends_as_wanted_the_page_says_so():
    study = study_of(scenario=[{"name": "tiny", "expected": "claim", "effect": 0.05}])
    chosen = words.choice(study.plan, tables.scenarios(study))
    assert not chosen.wanted
    assert words.recommendation(study.plan, chosen, "points/month")[0].startswith("None of 4 designs")


def test_refits_that_contradict_the_proposal_are_said_beside_it():
    study = study_of()
    chosen = words.choice(study.plan, tables.scenarios(study))
    row = {"design": chosen.place, "model": chosen.model, "probability": 0.975, "mc_error": 0.01}
    counted = pd.DataFrame(
        [
            row | {"scenario": "nothing changes", "expected": "no claim", "claims": 0.2},
            row | {"scenario": "an effect", "expected": "claim", "claims": 0.79},
            row | {"scenario": "elsewhere", "expected": "claim", "claims": 0.1, "design": chosen.place + 1},
        ]
    )
    said = words.refitted(study.plan, chosen, counted)
    assert said[0].endswith("20.0 ± 1.0 % of trials claim. This contradicts the proposal.")
    assert said[1].endswith("79.0 ± 1.0 % of trials claim.")
    assert len(said) == 2
    assert words.refitted(study.plan, chosen, pd.DataFrame()) == []


@pytest.mark.parametrize(
    ("claims", "closed_form", "trials", "said"),
    [
        (0.40, 0.42, 200, "agrees"),
        (0.10, 0.42, 200, "differs"),
        (0.00, 0.001, 200, "agrees"),
        (0.40, 0.42, 20, "too few to say"),
        (0.40, np.nan, 200, "by simulation alone"),
    ],
)
def test_agreement_is_said_by_monte_carlo_errors(claims, closed_form, trials, said):
    error = np.sqrt(max(claims * (1 - claims), 1 / trials) / trials)
    row = pd.Series({"claims": claims, "closed_form": closed_form, "trials": trials, "mc_error": error})
    assert said in words.compared(row)


def test_the_section_of_a_trial_is_toml_with_the_operating_characteristics():
    study = study_of()
    table = tables.scenarios(study)
    chosen = words.choice(study.plan, table)
    found = tomllib.loads(words.section(study.plan, chosen, "alsfrsr"))["decision"]
    assert found["power"] == pytest.approx(chosen.rows["claims"].iloc[1], abs=6e-4)
    assert found["false_alarms"] == pytest.approx(chosen.rows["claims"].iloc[0], abs=6e-4)
    assert found["model"] == "alsfrsr_straight"


def test_a_thousand_cells_take_less_than_ten_seconds():
    import time

    many = {"patients": [20 + 2 * k for k in range(25)], "lead_in": [3, 4, 6, 9, 12], "visit_spacing": [1, 2]}
    study = study_of(
        design=settings()["design"] | many | {"interval": [3, 4.5, 6, [3, 6]]},
        population={"source": "prior", "draws": 20},
    )
    assert len(study.plan.designs) == 1000
    start = time.process_time()
    found = tables.scenarios(study)
    assert time.process_time() - start < 10
    assert len(found) == 2000


def test_a_plan_is_written_by_the_command_and_says_what_is_expected(tmp_path):
    runner = CliRunner()
    assert runner.invoke(app, ["init", str(tmp_path), "--plan"]).exit_code == 0
    again = runner.invoke(app, ["init", str(tmp_path), "--plan"])
    assert (again.exit_code, "there already" in again.output) == (1, True)
    done = runner.invoke(
        app, ["plan", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out"), "--models", str(MODELS)]
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out/plan.html").read_text()
    for said in ("A PLAN: no patient is real", "What to choose, and why", "[decision]", "ICH E20", "seed 1"):
        assert said in page
    assert (tmp_path / "out/scenarios.csv").exists()


def test_a_plan_with_faults_is_answered_by_its_problems(tmp_path):
    (tmp_path / "plan.toml").write_text('title = "x"\n')
    done = CliRunner().invoke(app, ["plan", str(tmp_path / "plan.toml"), "--models", str(MODELS)])
    assert done.exit_code == 1
    assert "design" in done.output


def test_the_same_plan_gives_the_same_page(tmp_path):
    import json

    text = settings(looks={"months": [9], "recruitment": 3, "probability": [0.99], "replicates": 2000})
    lines = [f"{key} = {json.dumps(value)}" for key, value in text.items() if not isinstance(value, dict | list)]
    lines.append(f"model = {json.dumps(text['model'])}")
    for name in ("design", "decision", "population", "looks"):
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in text[name].items())]
    for block in text["scenario"]:
        lines += ["[[scenario]]", *(f"{key} = {json.dumps(value)}" for key, value in block.items())]
    (tmp_path / "plan.toml").write_text("\n".join(lines))
    pages = [
        run(tmp_path / "plan.toml", MODELS, tmp_path / name, say=print)[-1].read_bytes() for name in ("one", "two")
    ]
    assert pages[0] == pages[1]
    assert b"Looks during the trial" in pages[0]
    assert set(closed(study_of())) == {"scenarios", "curves"}


def test_refits_agree_with_the_closed_form_in_corners_of_what_may_be_planned():
    """As counted by `make validate`: within three Monte Carlo errors, with spreads known and as they were learnt."""
    found = pd.read_csv(ROOT / "validation/planning.csv")
    assert len(found) >= 8
    assert (found["trials"] >= 100).all()
    assert (found["z_learnt"].abs() < 3).all()
    assert (found["z"].abs() < 3).all()
