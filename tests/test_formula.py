"""A Bambi formula as a model: what its coefficients are made of, what it leaves out, and what it refuses."""

from functools import cache

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.stats import norm
from trials import ROOT, line_trial

from slopeshift.design.cycles import split
from slopeshift.design.visits import visits_of
from slopeshift.model.files import load_model
from slopeshift.model.formula_exact import written_out
from slopeshift.model.priors import Gamma, HalfNormal, Normal
from slopeshift.trial import trial_from_tables

MODEL = ROOT / "models" / "formula.py"
LINE = "alsfrsr ~ 1 + month + since + b1 + ... + bK + (1 + month + since + b1 + ... + bK | patient)"


def normal(sd):
    return Normal(0, sd)


@cache
def stated():
    from slopeshift.model.formula import between_patients

    return {
        "Intercept": Normal(35, 4),
        "month": normal(0.4),
        "since": normal(0.3),
        "bk": normal(0.15),
        "1|patient": between_patients("sd_level", HalfNormal(5), known_to_differ=True),
        "month|patient": between_patients("sd_slope", Gamma(0.75, 0.25), known_to_differ=True),
        "since|patient": between_patients("sd_response", HalfNormal(0.3)),
        "bk|patient": between_patients("sd_cycle", HalfNormal(0.15)),
        "sigma": Gamma(2, 0.4),
    }


def uneven_trial(**tables):
    """Intervals differ; P4 had one injection, P5 none; P6 has no value, nobody one after the third injection."""
    visits = [(f"P{i}", m) for i in range(1, 6) for m in range(-2, 11)]
    given = [(f"P{i}", k, m) for i in (1, 2, 3) for k, m in ((1, 0.0), (2, 3.0 + i))]
    given += [("P4", 1, 0.0), ("P1", 3, 10.5), ("P6", 1, 0.0)]
    table = pd.DataFrame(visits, columns=["patient", "month"])
    table["alsfrsr"] = (38 - table["month"] + table["patient"].str[1:].astype(int)).where(table.index % 7 > 0)
    made = {
        "patients": pd.DataFrame({"patient": [f"P{i}" for i in range(1, 7)], "age": [50, 55, 60, 65, 70, 60]}),
        "visits": pd.concat([table, pd.DataFrame({"patient": ["P6"], "month": [0], "alsfrsr": [np.nan]})]),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
        **tables,
    }
    return trial_from_tables("uneven", made, {"title": "Uneven", "synthetic": True, "source": "test"})


def as_bambi_states(model):
    """The model of a formula with every parameter a variable."""
    return written_out(model).model


def one_draw(model, seed=1):
    """Draw every variable of a model once, together, with every parameter of a formula: by name, an array."""
    model = as_bambi_states(model) if written_out(model) else model
    variables = [*model.free_RVs, *model.deterministics]
    return dict(zip([v.name for v in variables], pm.draw(variables, random_seed=seed), strict=True))


def test_coefficients_are_the_terms_of_the_formula_added_up_by_hand():
    trial = uneven_trial()
    visits = visits_of(trial, "alsfrsr")
    draw = one_draw(load_model(MODEL).build(trial))
    months = split(trial, visits)
    assert months.within.any()
    for i in range(6):
        expected = [draw["Intercept"] + draw["1|patient"][i], draw["month"] + draw["month|patient"][i]]
        for k in (1, 2):
            change = draw["since"] + draw[f"b{k}"] + draw["since|patient"][i] + draw[f"b{k}|patient"][i]
            change += draw["interval_within"] * months.within[i, k - 1]
            change += draw["interval_between"] * months.between[i, k - 1]
            expected.append(change)
        np.testing.assert_allclose(draw["coefficients"][i, :4], expected)
    typical = [draw["Intercept"], draw["month"], *(draw["since"] + draw[f"b{k}"] for k in (1, 2))]
    np.testing.assert_allclose(draw["population"][:4], typical)
    np.testing.assert_allclose(draw["regression"], [draw["interval_within"], draw["interval_between"]])


@pytest.mark.parametrize("trial", [uneven_trial(), line_trial(patients=11)], ids=["uneven", "eleven"])
def test_values_scatter_around_basis_times_coefficients(trial):
    visits, model = visits_of(trial, "alsfrsr"), as_bambi_states(load_model(MODEL).build(trial))
    theta, sigma = model["coefficients"], model["sigma"]
    fixed = pm.draw([theta, sigma, *model.free_RVs], random_seed=2)
    model_at = pm.do(model, dict(zip(model.free_RVs, fixed[2:], strict=True)))
    logp = model_at.compile_logp(vars=[model_at["alsfrsr"]], sum=False)({})[0]
    mean = (visits.basis * fixed[0][visits.patient_index]).sum(axis=1)
    np.testing.assert_allclose(logp, norm(mean, fixed[1]).logpdf(visits.value))


def test_every_patient_has_every_coefficient_in_the_order_of_the_trial():
    trial = line_trial(patients=11, injections=2)
    model = load_model(MODEL).build(trial)
    assert model.coords["patient"] == ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11")
    assert model.coords["coefficient"] == ("level", "slope", "change 1", "change 2")
    draw = one_draw(model)
    assert draw["coefficients"].shape == (11, 4)
    np.testing.assert_allclose(draw["coefficients"][:, 0], draw["Intercept"] + draw["1|patient"])


def test_a_cycle_without_a_value_has_no_term_of_its_own():
    model = as_bambi_states(load_model(MODEL).build(uneven_trial()))
    names = set(model.named_vars)
    assert {"b1", "b2", "b1|patient", "b2|patient"} <= names
    assert not {"b3", "b3|patient"} & names
    draw = one_draw(model)
    assert draw["population"][4] == draw["since"]


def test_without_any_value_after_an_injection_the_lead_in_line_is_left():
    early = line_trial(injections=1).visits.query("month <= 0")
    patients = sorted(set(early["patient"]))
    tables = {
        "patients": pd.DataFrame({"patient": patients}),
        "visits": early,
        "injections": pd.DataFrame({"patient": patients, "injection": 1, "month": 0.0}),
    }
    model = load_model(MODEL).build(
        trial_from_tables("early", tables, {"title": "Early", "synthetic": True, "source": "test"})
    )
    assert not {"since", "b1", "interval_within", "regression"} & set(model.named_vars)
    assert np.isfinite(model.compile_logp()(model.initial_point()))


def test_equal_intervals_have_no_term():
    model = load_model(MODEL).build(line_trial())
    assert not {"interval_within", "interval_between", "regression"} & set(as_bambi_states(model).named_vars)
    assert model.coords["term"] == ("Intercept", "month", "since", "b1", "b2")


def test_terms_of_one_name_share_one_standard_deviation():
    model = load_model(MODEL).build(line_trial(injections=3))
    assert model.named_vars_to_dims.get("sd_cycle", ()) == ()
    draw = one_draw(model)
    for k in (1, 2, 3):
        np.testing.assert_allclose(draw[f"b{k}|patient"], draw["sd_cycle_signed"] * draw[f"b{k}|patient_offset"])


def test_nothing_that_is_stored_has_a_value_per_visit():
    model = as_bambi_states(load_model(MODEL).build(line_trial()))
    unobserved = [v.name for v in [*model.free_RVs, *model.deterministics]]
    assert [name for name in unobserved if "visit" in model.named_vars_to_dims.get(name, ())] == []


def test_a_covariate_moves_each_patient_by_its_value_and_the_population_by_the_mean():
    from slopeshift.model.formula import formula_model

    trial = uneven_trial()
    draw = one_draw(formula_model(f"{LINE} + month:age", {**stated(), "month:age": normal(0.01)}, trial))
    age = np.array([50, 55, 60, 65, 70, 60])
    own = draw["month"] + draw["month:age"] * age + draw["month|patient"]
    np.testing.assert_allclose(draw["coefficients"][:, 1], own)
    np.testing.assert_allclose(draw["population"][1], draw["month"] + draw["month:age"] * 60)


def test_priors_and_terms_that_do_not_match_are_all_named():
    from slopeshift.model.formula import FormulaError, formula_model

    priors = {name: prior for name, prior in stated().items() if name not in ("month", "bk|patient", "sigma")}
    with pytest.raises(FormulaError) as told:
        formula_model(LINE, {**priors, "dose": normal(1)}, line_trial(injections=2))
    for text in (
        "no prior for month;",
        "no prior for b1|patient; no prior for b2|patient; no prior for sigma;",
        "a prior for dose, which is not in the formula;",
        "state one prior for each term, and one for sigma",
    ):
        assert text in str(told.value)


def test_one_standard_deviation_with_two_priors_is_refused():
    from slopeshift.model.formula import FormulaError, between_patients, formula_model

    other = between_patients("sd_cycle", HalfNormal(0.3))
    with pytest.raises(FormulaError, match=r"sd_cycle: has priors HalfNormal\(sd=0\.\d+\) and HalfNormal\(sd=0\.\d+\)"):
        formula_model(LINE, {**stated(), "since|patient": other}, line_trial())


@pytest.mark.parametrize("term", ["I(month ** 2)", "month:since"])
def test_a_formula_that_is_no_straight_line_between_injections_is_refused(term):
    from slopeshift.model.formula import FormulaError, formula_model

    formula, priors = f"{LINE} + {term}", {**stated(), term: normal(1)}
    with pytest.raises(FormulaError, match=r"not a straight line between injections.*linear in month, since"):
        formula_model(formula, priors, line_trial())


def test_an_outcome_that_the_trial_does_not_record_is_refused():
    from slopeshift.model.formula import formula_model

    with pytest.raises(LookupError, match="records no outcome 'fvc'"):
        formula_model(LINE.replace("alsfrsr", "fvc"), stated(), line_trial())
