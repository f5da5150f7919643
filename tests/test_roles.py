"""Roles: a mirrored outcome gives the mirrored answer, and a covariate says what it goes with or why it cannot."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_reports import made_draws, made_fit, made_trial
from trials import ROOT

from slopeshift.answers import covariates as reported
from slopeshift.answers import quantities
from slopeshift.answers.interval import coefficients as of_interval
from slopeshift.answers.tables import results_of
from slopeshift.answers.two_stage import two_stage
from slopeshift.classical import STATISTICS, model_free
from slopeshift.cli.answers import input_errors
from slopeshift.design.covariates import CovariateError
from slopeshift.design.cycles import cycle_lengths
from slopeshift.design.entry import conditions
from slopeshift.design.shape import shape_of
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact
from slopeshift.fit.compiled import refusal, trial_content
from slopeshift.fit.posterior import Posterior, posterior_of
from slopeshift.fit.sample import prior_draws
from slopeshift.missing.imputed import Lines, completed, share_below, unseen
from slopeshift.missing.leaving import leaving
from slopeshift.missing.survivors import survivors
from slopeshift.model.files import load_model, loaded
from slopeshift.null.population import NaturalHistory, fitted
from slopeshift.null.pseudo import PseudoJob, before_treatment, moved
from slopeshift.null.trials import NullError, null_values
from slopeshift.report.sections import covariates as covariate_section
from slopeshift.report.words import findings
from slopeshift.report.words import numbers as wording
from slopeshift.sensitivity.alternatives import alternatives, expected_decline, own_prior
from slopeshift.sensitivity.curves import tipping
from slopeshift.sensitivity.evidence import evidence_of, under
from slopeshift.trial import TrialError, trial_from_tables
from slopeshift.trial.arms import Arms
from slopeshift.trial.entry import EntryRule

pytestmark = pytest.mark.usefixtures("undrawn")

TOP = 48.0
SETTINGS = {"title": "t", "synthetic": True, "source": "s"}
SCALE = {"unit": "points", "min": 0, "max": 48, "integer": True}
ABOUT = pd.DataFrame(
    {
        "age": [50, 60, 70, 55, 65, 62, 48, 71],
        "onset_site": ["limb", "bulbar"] * 4,
        "riluzole": ["yes", "no", "no", "yes"] * 2,
        "arm_of_old": ["a"] * 8,
        "kilos": ["70", "81.5", "NA", "66", "90", "77", "58", "NA"],
    }
)


def about_trial(about=ABOUT, k=2, **settings):
    """The made-up trial of eight patients, with what `about` says of them."""
    base = made_trial([f"A{i}" for i in range(1, 9)], k=k)
    tables = {"patients": base.patients.assign(**about), "visits": base.visits, "injections": base.injections}
    return trial_from_tables("about", tables, {**SETTINGS, **settings})


def mirrored(better, k=2):
    """One outcome of the made-up trial, or its mirror image in which lower is better."""
    base = about_trial(k=k)
    value = base.visits["alsfrsr"] if better == "higher" else TOP - base.visits["alsfrsr"]
    tables = {
        "patients": base.patients.assign(onset_month=-9.0),
        "visits": base.visits[["patient", "month"]].assign(y=value),
        "injections": base.injections,
    }
    return trial_from_tables("mirror", tables, {**SETTINGS, "outcomes": {"y": SCALE | {"better": better}}})


def mirror(draws):
    """The same draws of the mirrored outcome."""
    top = xr.where(draws["coefficient"] == "level", TOP, 0.0)
    turned = {name: top - draws[name] for name in ("population", "coefficients")}
    return draws.assign({name: values.transpose(*draws[name].dims) for name, values in turned.items()})


@pytest.fixture(scope="module")
def fits():
    """The posterior of a made-up fit, and that of the mirror image."""
    trial = about_trial()
    up = posterior_of(trial, made_fit(trial))
    groups = {**up.groups, "prior": mirror(up.groups["prior"])}
    return up, replace(up, draws=mirror(up.draws), design=up.design.assign(sign=-1), groups=groups)


def of(trial, draws):
    """The posterior of the outcome y that has these draws."""
    visits = visits_of(trial, "y")
    return Posterior(trial, visits, visits.dataset(), draws, "y")


# ---- direction ----


def test_higher_is_better_unless_a_trial_says_otherwise():
    assert (mirrored("higher").outcomes["y"].sign, mirrored("lower").outcomes["y"].sign) == (1, -1)
    assert about_trial().outcomes["alsfrsr"].better == "higher"
    with pytest.raises(TrialError, match=r'"higher" or "lower", whichever is good for a patient'):
        mirrored("down")


def test_a_mirrored_fit_has_mirrored_numbers_and_the_same_probabilities_counts_and_percentages(fits):
    up, down = (results_of(fit) for fit in fits)
    same = ["percent_slowing", "rate_ratio", "prob_slowing_25"]
    numbers = ["mean", "lower", "upper"]
    one, other = (each.population.set_index(["quantity", "injection"]) for each in (up, down))
    np.testing.assert_allclose(one.loc[same, numbers], other.loc[same, numbers])
    assert {"percent_slowing", "rate_ratio"} <= set(up.population["quantity"])
    opposite = ["change", "increment", "lead_in_slope", "segment_slope"]
    np.testing.assert_allclose(one.loc[opposite, "mean"], -other.loc[opposite, "mean"])
    # Made-up increments may be exactly 0, which drawn ones are not.
    np.testing.assert_allclose(one.loc["change", "prob_positive"], 1 - other.loc["change", "prob_positive"])
    np.testing.assert_allclose(one.loc["change", "prob_better"], other.loc["change", "prob_better"])
    pd.testing.assert_frame_equal(up.responders, down.responders)
    shared = ["prob_better", "prob_slowing_25", "prior_prob_slowing_25", "contraction"]
    np.testing.assert_allclose(up.patients[shared], down.patients[shared])
    assert list(up.patients["flag"]) == list(down.patients["flag"])


def test_a_mirrored_fit_is_told_in_the_same_words_but_of_a_rise(fits):
    up, down = (findings.findings(results_of(fit)) for fit in fits)
    assert any("slower decline" in finding.verdict for finding in up)
    for one, other in zip(up, down, strict=True):
        assert one.verdict.replace("decline", "rise") == other.verdict
        assert (one.probability, one.slowing) == (other.probability, other.slowing)
        assert one.change != other.change
    assert wording.certainty(0.99, worsening=False) == "almost certainly higher slope"
    assert wording.certainty(0.99, worsening=False, sign=-1) == "almost certainly lower slope"
    assert wording.arrows(-1) == "← slower rise | faster rise →"


def test_no_percentage_is_given_where_a_mirrored_outcome_does_not_rise(fits):
    rows = quantities.population(fits[1].with_draws(mirror(fits[1].draws)))
    assert not set(rows["quantity"].to_numpy()) & {"percent_slowing", "rate_ratio"}
    assert not quantities.slows(xr.DataArray(-1.0), xr.DataArray(-1.0), sign=-1)


@pytest.mark.parametrize("rule", ["least_squares", "end_to_end", "from_onset"])
def test_the_trials_own_counts_are_those_of_the_mirror_image(rule):
    from slopeshift.classical import Rules

    one, other = (model_free(mirrored(better), rules=Rules(rule)) for better in ("higher", "lower"))
    turned = one["statistic"].isin(["mean_change", "interval_correlation"])
    assert {"improved", "rose", "mean_percent", "wilcoxon_p"} <= set(STATISTICS)
    np.testing.assert_allclose(one.loc[~turned, "value"], other.loc[~turned, "value"], atol=1e-9)
    np.testing.assert_allclose(one.loc[turned, "value"], -other.loc[turned, "value"], atol=1e-9)
    assert (one.loc[one["statistic"] == "falling_lead_in", "value"] > 0).any()


def test_a_loss_before_entry_is_one_in_the_bad_direction():
    worse = NaturalHistory("made", "y", 12.0, 4.0, 1.0, 0.5, 2.0, "gamma", "a test", sign=-1)
    trial = mirrored("lower")
    rule = EntryRule("y", "loss", "first", "test", "injection", at_least=3, spread=0)
    visits = visits_of(trial, "y")
    (values,) = null_values(visits, worse, 50, 1, conditions(replace(trial, entry=(rule,)), visits))
    first = [np.flatnonzero((visits.patient_index == p) & (visits.month == -3))[0] for p in range(8)]
    start = [np.flatnonzero((visits.patient_index == p) & (visits.month == 0))[0] for p in range(8)]
    assert (values[:, start] - values[:, first]).min() >= 3
    with pytest.raises(ValueError, match=r"slope is -1\.0; a gamma rate needs a slope above 0"):
        replace(worse, slope=-1.0)


def test_those_who_left_are_imputed_towards_the_worse():
    trial = mirrored("lower")
    left = trial.patients.assign(end_month=2.0, end_reason=["lost", *["completed"] * 7])
    left.loc[1:, "end_month"] = trial.patients.loc[1:, "end_month"] + 3
    trial = replace(trial, _tables={**trial._tables, "patients": left})
    visits = visits_of(trial, "y")
    coefficients = np.tile([12.0, 1.0, -0.2, -0.2], (1, 8, 1))
    after = unseen(trial, visits)
    now, faster = (completed(visits, after, Lines(coefficients, np.array([1.0])), d, 1) for d in (0.0, 1.0))
    more = faster[0].value - now[0].value
    np.testing.assert_allclose(more[len(visits.value) :], after.since)
    assert share_below(visits, completed(visits, after, Lines(coefficients, np.array([1.0])), 60.0, 1)) > 0.5


def test_leaving_and_surviving_follow_the_direction():
    higher, lower = (mirrored(better, k=4) for better in ("higher", "lower"))
    draws = made_draws(visits_of(higher, "y"), 2, 200, 1, 1.0)
    both = [of(trial, drawn) for trial, drawn in ((higher, draws), (lower, mirror(draws)))]
    one, other = map(survivors, both)
    np.testing.assert_allclose(one["mean"].astype(float), -other["mean"].astype(float), atol=1e-9)
    assert len(one)
    assert list(one["warns"]) == list(other["warns"])
    found = [*map(leaving, both)]
    assert found[0].n_left == found[1].n_left
    np.testing.assert_allclose([found[0].score, found[0].faster], [found[1].score, found[1].faster], atol=1e-9)


def test_sceptic_and_tipping_point_follow_the_direction():
    terms = ["level", "slope", "change", "change 1"]
    coefficient = ["level", "slope", "change 1"]
    made = xr.Dataset(
        {
            "term_mean": ("term", [12.0, 1.0, 0.0, 0.0]),
            "term_sd": ("term", [4.0, 0.4, 0.3, 0.15]),
            "term_design": (("coefficient", "term"), np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1.0]])),
            "sign": -1,
        },
        coords={"term": terms, "coefficient": coefficient},
    )
    assert expected_decline(made) == 1.0
    known = Posterior(trial := mirrored("lower"), visits_of(trial, "y"), made, xr.Dataset(), "y")
    listed = alternatives(None, known, np.array([0, 0, 1, 1.0]))
    hopeful = next(each for each in listed if each.analysis == "enthusiastic prior")
    assert hopeful.prior.mean[2] == -0.25
    assert "a quarter of the rise expected, 5 % above 0" in hopeful.detail
    curve = pd.DataFrame({"x": [0.0, 1.0], "prob_positive": [0.1, 0.3]})
    assert tipping(curve, 0.0, -1)["prob_better"] == pytest.approx(0.9)
    assert tipping(curve, 0.0, -1)["tips_above"] == pytest.approx(0.5)


# ---- covariates ----

AGE = 'Covariate("age", on="slope", centre=60, per=10, prior=Normal(0, 0.2)),'
SITE = 'Covariate("onset_site", on="level", reference="limb", prior=Normal(0, 3)),'


def with_covariates(*lines):
    """The main model's text with one line more for each covariate."""
    text = (ROOT / "models" / "alsfrsr.py").read_text()
    stated = "    covariates=(\n" + "".join(f"        {line}\n" for line in lines) + "    ),\n    family=normal("
    text = text.replace("    family=normal(", stated)
    return text.replace(
        "from slopeshift.model.control",
        "from slopeshift.model.covariates import Covariate\nfrom slopeshift.model.control",
    )


def built(*lines, trial=None):
    trial = trial or about_trial()
    file = loaded("alsfrsr", with_covariates(*lines))
    return file, trial, file.build(trial)


@pytest.fixture(scope="module")
def informed():
    """Prior draws of the main model with one covariate on each of level, slope and change."""
    file, trial, model = built(AGE, SITE, 'Covariate("riluzole", on="change", prior=Normal(0, 0.3)),')
    return file, trial, prior_draws(model, file.visits(trial), 300, seed=1)


def test_a_covariate_is_one_line_of_a_model_file(informed):
    _, _, tree = informed
    design = tree["constant_data"].to_dataset()
    assert list(design["covariate"].to_numpy()) == [
        "age on slope",
        "onset_site bulbar on level",
        "riluzole yes on change",
    ]
    shift = design["covariates"]
    age = shift.sel(covariate="age on slope", coefficient="slope")
    np.testing.assert_allclose(age, (ABOUT["age"] - 60) / 10)
    np.testing.assert_allclose(shift.sel(covariate="onset_site bulbar on level", coefficient="level"), [0, 1] * 4)
    np.testing.assert_allclose(shift.sel(covariate="riluzole yes on change", coefficient="change 2"), [1, 0, 0, 1] * 2)
    assert float(abs(shift).sum()) == pytest.approx(float(abs(age).sum()) + 4 + 2 * 4)
    assert list(design["covariate_unit"].to_numpy()) == ["points/month per 10 years", "points", "points/month"]
    assert list(design["covariate_step"].to_numpy()) == ["10 years more (0 at 60)", "bulbar vs limb", "yes vs no"]


def made_of(trial, tree, passed=True):
    """A posterior that is its prior."""
    prior, design = tree["prior"].to_dataset(), tree["constant_data"].to_dataset()
    visits = visits_of(trial, "alsfrsr", shape_of(design))
    return Posterior(trial, visits, design, prior, "alsfrsr", passed=passed, groups={"prior": prior})


def test_every_covariate_has_its_own_row_and_unit_and_none_is_an_interval(informed):
    _, trial, tree = informed
    fit = made_of(trial, tree)
    found = reported.table([fit]).set_index("quantity")
    assert list(found["on"]) == ["slope", "level", "change"]
    regression = tree["prior"]["regression"].sel(covariate="age on slope")
    assert found.loc["age on slope", "mean"] == pytest.approx(float(regression.mean()))
    assert of_interval(fit).empty
    rows = quantities.population(fit)
    units = dict(zip(rows["quantity"].to_numpy(), rows["unit"].to_numpy(), strict=True))
    assert units["onset_site bulbar on level"] == "points"
    said = covariate_section.sentences(reported.table([fit]))
    assert said[0].startswith("age, 10 years more (0 at 60), and the slope before treatment (alsfrsr): associated with")
    assert not any("interval of" in text or "effect" in text for text in said)
    assert said[-1] == covariate_section.ASSOCIATION


def test_nothing_is_shown_of_covariates_of_a_fit_that_failed_its_gate(informed):
    found = reported.table([made_of(*informed[1:], passed=False)])
    assert found[list(reported.NUMBERS)].isna().all(axis=None)
    assert found["note"].str.startswith("not shown: the fit failed").all()


def test_a_covariate_that_does_not_vary_among_the_informed_is_the_priors(informed):
    _, trial, tree = informed
    design = tree["constant_data"].to_dataset().copy(deep=True)
    design["visits_in_cycle"][:] = 0
    design["visits_in_cycle"][0] = 4  # one patient's cycles alone
    tree = xr.DataTree.from_dict({"prior": tree["prior"].to_dataset(), "constant_data": design})
    found = reported.table([made_of(trial, tree)]).set_index("quantity")
    row = found.loc["riluzole yes on change"]
    assert np.isnan(row["mean"])
    assert row["note"] == reported.PRIOR_ONLY
    assert not found["mean"].drop("riluzole yes on change").isna().any()
    assert reported.PRIOR_ONLY in covariate_section.sentences(found.reset_index())[2]


def test_the_second_stage_takes_a_fit_with_covariates_and_says_why_it_refuses_cycles(informed):
    _, trial, tree = informed
    lengths = cycle_lengths(trial)
    note = two_stage(made_of(trial, tree), lengths, seed=1)["note"].item()
    assert note == "not informed: only patient A1 has a cycle that was followed by another injection"
    interval = load_model(ROOT / "models" / "interval.py")
    other = prior_draws(interval.build(trial), interval.visits(trial), 50, seed=1)
    assert (
        two_stage(made_of(trial, other), lengths, seed=1)["note"].item().startswith("not computed: the model regresses")
    )


def test_other_priors_are_weighed_with_the_covariates_in_the_likelihood(informed):
    """Terms drawn under the model's own prior are those that the exact engine draws back."""
    file, trial, tree = informed
    visits, design = file.visits(trial), tree["constant_data"].to_dataset()
    some = tree["prior"].to_dataset().isel(draw=[7])[["loading", "sigma"]]
    many = xr.concat([some] * 4000, "draw").assign_coords(draw=range(4000))
    drawn, _ = exact.with_posterior_coefficients(many, visits, design, 1)
    own = own_prior(design)
    known = Posterior(trial, visits, design, many, "alsfrsr")
    terms = under(evidence_of(known, 2), own, own).terms
    regression = drawn["regression"].to_numpy()[0]
    assert (np.abs(terms[:, -3:].mean(axis=0) - regression.mean(axis=0)) < 0.08 * regression.std(axis=0)).all()
    np.testing.assert_allclose(terms[:, -3:].std(axis=0), regression.std(axis=0), rtol=0.06)


def test_null_patients_have_the_covariates_part_of_level_and_slope_and_no_change(informed):
    file, trial, tree = informed
    assert refusal(file, trial) == ""
    known = made_of(trial, tree)
    draws = known.draws
    still = draws.assign(regression=0 * draws["regression"] + xr.DataArray([0.5, -8.0, 3.0], dims="covariate"))
    population, without = (fitted("fit", known.with_draws(drawn)) for drawn in (still, draws.drop_vars("regression")))
    version = np.arange(50)
    (level, slope, *_), (bare, flat, *_) = (
        each.draw(np.random.default_rng(1), version, 8) for each in (population, without)
    )
    np.testing.assert_allclose((level - bare)[0], -8.0 * (ABOUT["onset_site"] == "bulbar"), atol=1e-9)
    np.testing.assert_allclose((slope - flat)[0], 0.5 * (ABOUT["age"] - 60) / 10, atol=1e-9)


def test_pseudo_injections_keep_what_is_known_of_patients(informed):
    file, trial, _ = informed
    untreated = before_treatment(trial, "alsfrsr")
    made = moved(untreated, "alsfrsr", np.random.default_rng(1))
    assert list(made.patients["age"]) == list(ABOUT["age"])
    assert "covariates" in file.build(made).named_vars
    alike = about_trial(ABOUT.assign(onset_site="limb").assign(onset_site=["bulbar", *["limb"] * 7]))
    silent = replace(alike, _tables={**alike._tables, "visits": alike.visits.query("patient != 'A1'")})
    job = PseudoJob(silent, "alsfrsr", "alsfrsr", with_covariates(SITE), 1)
    with pytest.raises(NullError, match=r"before treatment of about, covariate 'onset_site': every patient"):
        job.check()


def test_a_pseudo_trial_keeps_the_direction_of_its_outcome():
    untreated = before_treatment(mirrored("lower"), "y")
    assert moved(untreated, "y", np.random.default_rng(1)).outcomes["y"].better == "lower"


def test_kept_replicates_know_their_covariates():
    assert trial_content(about_trial()) != trial_content(about_trial(ABOUT.assign(age=ABOUT["age"] + 1)))
    rule = EntryRule("alsfrsr", "loss", "first", "4.1", end="last", at_least=3.0)
    assert trial_content(about_trial()) != trial_content(replace(about_trial(), entry=(rule,)))
    assert trial_content(about_trial()) != trial_content(replace(about_trial(), arms=Arms("sham", True)))
    declared = about_trial(covariates={"age": {"centre": 60}})
    assert trial_content(about_trial()) != trial_content(declared)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('Covariate("ages", on="slope", prior=P)', "'ages': no such column in patients.csv; write 'age'"),
        ('Covariate("end_reason", on="slope", prior=P)', "'end_reason': no covariate of a patient"),
        (
            'Covariate("onset_site", on="level", prior=P)',
            r"'onset_site': levels without a reference: limb \(4\), bulbar",
        ),
        (
            'Covariate("onset_site", on="level", reference="limbs", prior=P)',
            "no patient has the reference level 'limbs'",
        ),
        ('Covariate("arm_of_old", on="level", reference="a", prior=P)', "every patient with a value has 'a'"),
        ('Covariate("kilos", on="level", prior=P)', r"'kilos': no value for A3, A8; fill it in, .* missing=\"mean\""),
        ('Covariate("kilos", on="level", missing="reference", prior=P)', 'does not fit it; write missing="mean"'),
        ('Covariate("age", on="bend", prior=P)', "on='bend'; write one of level, slope, curvature, change"),
        ('Covariate("age", on="slope", per=0, prior=P)', "per=0; give a number above 0"),
        ('Covariate("age", on="slope", reference="old", prior=P)', "a reference level 'old' of numbers"),
        (AGE.rstrip(",") + ", " + AGE.rstrip(","), "'age on slope' has the name of another coefficient"),
    ],
)
def test_what_cannot_be_a_covariate_is_refused_by_name_and_in_one_line(line, said, capsys):
    text = line.replace("prior=P", "prior=Normal(0, 1)") + ","
    with pytest.raises(CovariateError, match=said) as refused:
        built(text)
    assert "\n" not in str(refused.value)
    with pytest.raises(BaseException) as stop, input_errors():  # noqa: PT011
        built(text)
    assert type(stop.value).__name__ == "Exit"
    assert capsys.readouterr().err.strip() == str(refused.value)


def test_missing_values_follow_the_rule_of_the_model_file_and_the_report_says_so():
    file, trial, model = built('Covariate("kilos", on="level", missing="mean", prior=Normal(0, 1)),')
    design = prior_draws(model, file.visits(trial), 20, seed=1)
    values = design["constant_data"]["covariates"].sel(coefficient="level").to_numpy()[0]
    np.testing.assert_allclose(values[[2, 7]], 0.0, atol=1e-12)
    row = reported.table([made_of(trial, design)]).iloc[0]
    assert row["note"].endswith("2 patients without a value taken at the mean")
    levels = ABOUT["onset_site"].where(ABOUT.index > 0)
    trial = about_trial(ABOUT.assign(onset_site=levels))
    _, _, model = built(SITE.replace('"limb"', '"limb", missing="reference"'), trial=trial)
    assert model.regressors[0].rule == "1 patient without a value taken at the reference level"


def test_the_settings_of_a_trial_may_say_how_a_covariate_is_read():
    declared = {"age": {"centre": 55, "per": 5, "label": "Age"}, "onset_site": {"reference": "bulbar"}}
    trial = about_trial(covariates=declared)
    lines = (
        'Covariate("age", on="slope", prior=Normal(0, 1)),',
        'Covariate("onset_site", on="level", prior=Normal(0, 1)),',
    )
    _, _, model = built(*lines, trial=trial)
    age, site = model.regressors
    assert (age.label, age.step, age.unit) == ("Age", "5 years more (0 at 55)", "points/month per 5 years")
    assert (site.name, site.step) == ("onset_site limb on level", "limb vs bulbar")
    _, _, model = built('Covariate("age", on="slope", centre=60, prior=Normal(0, 1)),', trial=trial)
    assert model.regressors[0].step == "5 years more (0 at 60)"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"agee": {"unit": "years"}}, "no such column in patients.csv"),
        ({"onset_site": {"reference": "arm"}}, "no patient has the reference level 'arm'"),
        ({"onset_site": {"centre": 1}}, "levels without a reference"),
        ({"age": {"reference": "50", "per": 10}}, "reference beside per"),
        ({"age": {"per": 0}}, "a number above 0"),
        ({"age": {"center": 60}}, "unknown key 'center'"),
    ],
)
def test_settings_that_do_not_fit_the_columns_are_problems_of_the_trial(declared, said):
    with pytest.raises(TrialError, match=said):
        about_trial(covariates=declared)
