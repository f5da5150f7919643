"""A formula with its terms integrated out: the density that Bambi states, and what is left to be compiled."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pymc as pm
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_formula import LINE, MODEL, stated, uneven_trial
from trials import line_trial

from slopeshift.design.cycles import split
from slopeshift.design.visits import visits_of
from slopeshift.engine.terms import terms_from, terms_of
from slopeshift.fit import nuts
from slopeshift.fit.compiled import refusal
from slopeshift.fit.precompiled import precompiled, ready
from slopeshift.fit.sample import prior_draws
from slopeshift.fit.written_out import as_stated, largest_difference
from slopeshift.model.description import describe
from slopeshift.model.files import load_model
from slopeshift.model.formula import between_patients, formula_model
from slopeshift.model.formula_exact import not_exact, patterns_of, written_out
from slopeshift.model.priors import Gamma, HalfNormal, Normal

INTERVALS = ("interval_within", "interval_between")
positive = st.floats(0.05, 5.0)
scale = st.one_of(st.builds(HalfNormal, positive), st.builds(Gamma, positive, positive))
common = st.builds(Normal, st.floats(-30, 30), positive)


@st.composite
def formulas(draw):
    """A formula with some of the terms that the shipped one has, their priors, and which standard deviations differ."""
    names = ["Intercept", "month", *draw(st.sampled_from([("since", "bk"), ("bk",)]))]
    names += [name for name in INTERVALS if draw(st.booleans())]
    own = draw(st.sets(st.sampled_from(["1", "month", "since", "bk"]), min_size=1))
    written = {"Intercept": "1", "1": "1", "bk": "b1 + ... + bK"}
    one = draw(st.booleans())
    deviations = {
        f"{name}|patient": between_patients(
            f"sd_{'cycle' if name == 'bk' or (one and name == 'since') else name}",
            HalfNormal(0.2) if name in ("since", "bk") and one else draw(scale),
            known_to_differ=not (name in ("since", "bk") and one) and draw(st.booleans()),
        )
        for name in ("1", "month", "since", "bk")
        if name in own
    }
    shared = " + ".join(written.get(name, name) for name in names)
    by_patient = " + ".join(["1" if "1" in own else "0", *(written.get(name, name) for name in sorted(own - {"1"}))])
    priors = {name: draw(common) for name in names} | deviations | {"sigma": draw(scale)}
    return f"alsfrsr ~ {shared} + ({by_patient} | patient)", priors


@settings(max_examples=6, deadline=None, phases=[Phase.generate])
@given(written=formulas())
def test_the_density_is_that_of_bambis_model_whatever_the_terms_and_priors(written):
    given = uneven_trial().injections.query("injection < 3")[["patient", "injection", "month"]]
    trial = uneven_trial(injections=given)
    visits = visits_of(trial, "alsfrsr")
    model = formula_model(*written, trial)
    assert not_exact(model) == ""
    assert largest_difference(model, visits) < 1e-10
    arrays = describe(model, visits)
    point = arrays.start() + 0.3
    logp = model.compile_logp(mode="FAST_COMPILE")
    values = dict(zip((value.name for value in model.value_vars), point, strict=True))
    assert arrays.evaluate(point)[0] == pytest.approx(float(logp(values)), rel=1e-10)


def test_terms_loading_and_moves_are_those_of_the_formula_by_hand():
    trial = uneven_trial()
    visits, model = visits_of(trial, "alsfrsr"), load_model(MODEL).build(trial)
    known, months = terms_from(terms_of(model), visits), split(trial, visits)
    assert known.names == ("Intercept", "month", "since", "b1", "b2", *known.covariates)
    assert set(known.covariates) == set(INTERVALS)
    # Nobody has a value after the third injection: its change is what is common to all.
    by_hand = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 0, 1], [0, 0, 1, 0, 0]]
    np.testing.assert_array_equal(known.design[:, :5], by_hand)
    np.testing.assert_array_equal(known.design[:, 5:], 0.0)
    for name, part in zip(INTERVALS, (months.within, months.between), strict=True):
        np.testing.assert_array_equal(known.shift[known.covariates.index(name)][:, 2:], part)
    np.testing.assert_array_equal(known.mean, [35, -1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(known.sd, [4, 0.4, 0.3, 0.15, 0.15, 0.1, 0.1])
    assert sorted(known.sources) == ["1", "b1", "b2", "month", "since"]
    found = {name: patterns[:, known.sources.index("b2")] for name, patterns in patterns_of(model).items()}
    np.testing.assert_array_equal(found.pop("sd_cycle_signed"), [0, 0, 0, 1, 0])
    assert not np.any([*found.values()])


def test_priors_and_family_are_stated_as_in_the_model_that_bambi_states():
    model = load_model(MODEL).build(uneven_trial())
    assert model.statement is written_out(model).model.statement
    assert [row["name"] for row in model.statement.priors][:3] == ["Intercept", "month", "since"]


def test_drawn_from_the_prior_coefficients_scatter_as_bambis_do():
    """Their means and standard deviations, within five Monte Carlo errors, of two thousand draws each."""
    trial = uneven_trial()
    model, visits = load_model(MODEL).build(trial), visits_of(trial, "alsfrsr")
    draws = prior_draws(model, visits, 2000, 1, precompiled(model, visits))["prior"]["coefficients"].isel(chain=0)
    theirs = pm.draw(written_out(model).model["coefficients"], 2000, random_seed=2)
    ours = draws.transpose("draw", "patient", "coefficient").to_numpy()
    error = np.hypot(ours.std(axis=0), theirs.std(axis=0)) / np.sqrt(2000)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.15)


# ---- what is compiled ----


class Heavier(HalfNormal):
    may_be_zero = False

    def variable(self, name):
        return pm.HalfStudentT(name, nu=3, sigma=self.exact["sd"])


@pytest.mark.parametrize(
    ("more", "changed", "said"),
    [
        ("", {"month": Gamma(1, 1)}, "the prior of month is not normal"),
        (
            "",
            {"month|patient": between_patients("sd_slope", Heavier(1))},
            "month|patient is not normal with a standard deviation",
        ),
        ("", {"sigma": Normal(2, 0.1)}, "the prior of sigma is neither half-normal nor gamma"),
        (" + month:age", {"month:age": Normal(0, 0.1)}, "month:age differs between patients by more than the interval"),
        ("without bk", {"bk": None}, "some of its population's coefficients are fixed by others"),
        (
            " + (0 + interval_within | patient)",
            {"interval_within|patient": between_patients("sd_more", HalfNormal(1))},
            "interval_within|patient differs between patients by more than one number",
        ),
        (
            " + (0 + month | site)",
            {"month|site": between_patients("sd_site", HalfNormal(1))},
            "month|site is not by patient",
        ),
    ],
)
def test_a_formula_with_anything_else_is_compiled_and_one_line_says_why(more, changed, said, monkeypatch, caplog):
    patients = uneven_trial().patients.assign(site=[*"ABABAB"])
    trial = uneven_trial(patients=patients)
    priors = {name: prior for name, prior in (stated() | changed).items() if prior is not None}
    formula = LINE.replace(" + b1 + ... + bK", "", 1) if more == "without bk" else LINE + more
    model = formula_model(formula, priors, trial)
    assert written_out(model) is None
    assert {"population", "coefficients"} <= {variable.name for variable in model.deterministics}
    check_compiled(model, visits_of(trial, "alsfrsr"), said, monkeypatch, caplog)


def check_compiled(model, visits, said, monkeypatch, caplog):
    monkeypatch.setattr(nuts, "compile_model", lambda model: model)
    with caplog.at_level(logging.WARNING):
        assert ready(model, visits) is model
    (record,) = caplog.records
    assert said in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_formula_as_it_ships_needs_no_compiling():
    trial = line_trial()
    visits = visits_of(trial, "alsfrsr")
    model = load_model(MODEL).build(trial)
    assert as_stated(model, visits) is model
    assert isinstance(ready(model, visits), nuts.Precompiled)


@pytest.mark.parametrize("wrong", ["values", "prior", "scale"])
def test_a_density_that_is_not_bambis_is_compiled_as_bambi_states_it(wrong, monkeypatch, caplog):
    """Each error is of a part in a thousand."""
    trial = line_trial()
    visits, model = visits_of(trial, "alsfrsr"), load_model(MODEL).build(trial)
    known = model.written_out
    if wrong == "values":
        model["statistics"].set_value(1.001 * model["statistics"].get_value())
    elif wrong == "prior":
        other = formula_model(load_model(MODEL).build.formula, load_model(MODEL).build.priors | OTHER, trial)
        other.written_out, model = known, other
    else:
        model.written_out = replace(known, standardised=(True, *known.standardised[1:]))
    found = as_stated(model, visits)
    assert found is known.model
    check_compiled(found, visits, "its density differs from Bambi's by", monkeypatch, caplog)


OTHER = {"since": Normal(0, 0.3003)}


def test_a_model_that_is_no_formula_has_nothing_to_be_compared_with():
    trial = line_trial()
    model, visits = load_model(MODEL.parent / "alsfrsr.py").build(trial), visits_of(trial, "alsfrsr")
    assert as_stated(model, visits) is model
    with pytest.raises(ValueError, match="no formula with its terms integrated out"):
        largest_difference(model, visits)


def test_a_formula_is_not_refitted_as_if_its_terms_were_those_of_a_line():
    file = load_model(MODEL)
    assert "this model is a formula" in refusal(file, line_trial())
    assert (
        refusal(SimpleNamespace(build=load_model(MODEL.parent / "alsfrsr.py").build, shape=file.shape), line_trial())
        == ""
    )
