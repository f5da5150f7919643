"""The density that is compiled once: equal to that of PyMC's models, and left alone where a model holds more."""

import ctypes
import itertools
import logging
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import beta, gamma, halfnorm, kstest, norm
from trials import ROOT, line_trial, varied

from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.engine import compiling, density, exact, sampled_density
from slopeshift.engine.buffer import UNUSABLE
from slopeshift.engine.foreign import interpreted
from slopeshift.engine.spread import BETA, GAMMA, HALF_NORMAL, NORMAL, drawn_from, prior_row
from slopeshift.engine.terms import terms_of
from slopeshift.fit import nuts
from slopeshift.fit import precompiled as fitting
from slopeshift.keep.made_from import closure, code
from slopeshift.model.covariates import Covariate
from slopeshift.model.description import UnknownError, describe
from slopeshift.model.families import autocorrelated, bounded, normal, normal_written_out, student_t
from slopeshift.model.files import load_model
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Beta, Gamma, HalfNormal, Normal, Prior
from slopeshift.trial import read_trial

EXACT = "alsfrsr alsfrsr_autocorrelated alsfrsr_straight alsfrsr_waning formula fvc fvc_straight interval".split()
EXACT.append("interval_fixed_window")
SAMPLED = ("alsfrsr_student", "alsfrsr_bounded")
BESIDE = "interval_negative_control"
FAMILIES = {
    "normal": normal,
    "autocorrelated": autocorrelated,
    "normal written out": normal_written_out,
    "Student-t": partial(student_t, nu=Gamma(20, 14.1)),
    "bounded": bounded,
}
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)

PRIORS = {
    "level": Normal(35, 4),
    "slope": Normal(-1, 0.4),
    "change": Normal(0, 0.3),
    "change_by_injection": Normal(0, 0.15),
    "sd_level": HalfNormal(5),
    "sd_slope": Gamma(0.75, 0.25),
    "sd_response": HalfNormal(0.3),
    "sd_cycle": HalfNormal(0.15),
    "correlation": LKJ(2),
}
CURVED = {"curvature": Normal(0, 0.05), "sd_curvature": HalfNormal(0.05)}
BY = {"curvature_by_level": Normal(-0.02, 0.1), "curvature_by_slope": Normal(-0.2, 0.5)}


@pytest.fixture(scope="module")
def example():
    return read_trial(ROOT / "data/synthetic-msc-als")


def built(trial, *, shape=None, sigma=None, family=normal, covariates=False, **stated):
    """A model of a line trial and its visits; what is stated replaces PRIORS."""
    visits = visits_of(trial, "alsfrsr", shape or Shape())
    with pm.Model(coords=visits.coords) as model:
        if covariates is True:
            months = np.random.default_rng(1).normal(size=(len(visits.patients), len(visits.injections)))
            stated["covariates"] = (Covariate("months", on="change", prior=Normal(0.1, 0.2), by_cycle=months),)
        elif covariates:
            stated["covariates"] = covariates
        curve = piecewise_line(visits, **PRIORS | stated)
        more = {"autocorrelation": Beta(1.5, 3)} if family is autocorrelated else {}
        family(sigma=sigma or Gamma(2.0, 0.4), **more).observe(curve)
    return model, visits


def stated_by(model):
    """PyMC's log density and gradient as a function of the unconstrained point (scalar,): nothing is compiled."""
    logp = model.logp()
    outputs = [logp, *pytensor.grad(logp, model.value_vars)]
    function = interpreted(model.value_vars, outputs)

    def at(point):
        value, *gradient = function(*fitting.laid_out(point, model))
        return float(value), np.concatenate([np.ravel(each) for each in gradient])

    return at


def check_equal(model, visits, points=5, reach=2.0):
    arrays = describe(model, visits)
    stated, start = stated_by(model), arrays.start()
    for point in start + np.random.default_rng(7).uniform(-reach, reach, (points, len(start))):
        (value, gradient), (found, by_point) = stated(point), arrays.evaluate(point)
        assert found == pytest.approx(value, rel=1e-10, abs=1e-10)
        # Sums of large numbers that nearly cancel keep as many digits as the largest of them.
        lost = 1e-13 * np.abs(gradient).max()
        np.testing.assert_allclose(by_point, gradient, rtol=1e-9, atol=1e-9 + lost)


# ---- equality ----


@pytest.mark.parametrize("name", [*EXACT, *SAMPLED, BESIDE])
def test_value_and_gradient_are_those_of_the_model_file(name, example):
    file = load_model(ROOT / f"models/{name}.py")
    check_equal(file.build(example), file.visits(example))


@pytest.mark.slow
@pytest.mark.parametrize("injections", [0, 2])
@pytest.mark.parametrize("by", [(), ("curvature_by_level",), ("curvature_by_slope",), tuple(BY)])
@pytest.mark.parametrize("sd_slope", [HalfNormal(1.0), Gamma(0.75, 0.25)])  # with a sign, and without
def test_value_and_gradient_are_those_of_a_curvature_that_goes_with_level_and_slope(injections, by, sd_slope):
    stated = CURVED | {name: BY[name] for name in by}
    check_equal(*built(line_trial(injections=injections), shape=Shape(curved=True), sd_slope=sd_slope, **stated))


positive = st.floats(0.05, 5.0)
scale = st.one_of(st.builds(HalfNormal, positive), st.builds(Gamma, positive, positive))


@pytest.mark.slow
@settings(max_examples=20, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
@given(
    trial=st.builds(line_trial, patients=st.integers(1, 12), injections=st.integers(0, 3), seed=st.integers(0, 99)),
    sd_level=scale,
    sd_slope=scale,
    sd_response=scale,
    sd_cycle=scale,
    sigma=scale,
    change=st.builds(Normal, st.floats(-1, 1), positive),
    correlation=st.builds(LKJ, st.floats(0.5, 8)),
    shape=st.sampled_from([Shape(), Shape(window=2.0), Shape(lag=1.0, half_life=3.0), Shape(curved=True)]),
    covariates=st.booleans(),
    by=st.sets(st.sampled_from([*BY])),
    family=st.sampled_from([*FAMILIES.values()]),
)
def test_value_and_gradient_are_those_of_any_variation(trial, shape, covariates, by, **stated):
    stated |= CURVED | {name: BY[name] for name in by} if shape.curved else {}
    model, visits = built(trial, shape=shape, covariates=covariates and bool(len(trial.injections)), **stated)
    check_equal(model, visits, points=2, reach=1.0)


@families
def test_value_and_gradient_are_those_of_a_model_with_covariates_of_patients(family, example):
    age = Covariate("age", on="slope", centre=60, per=10, prior=Normal(0, 0.2))
    site = Covariate("onset_site", on="level", reference="limb", prior=Normal(0, 3))
    riluzole = Covariate("riluzole", on="change", reference="no", prior=Normal(0, 0.3))
    check_equal(*built(example, covariates=(age, site, riluzole), family=family))


def without_values(trial, patient):
    from slopeshift.trial import trial_from_tables

    visits = trial.visits
    visits.loc[visits["patient"] == patient, "alsfrsr"] = np.nan
    tables = {"patients": trial.patients, "visits": visits, "injections": trial.injections}
    return trial_from_tables("lines", tables, {"title": "Lines", "synthetic": True, "source": "test"})


def in_pairs(trial):
    """Every patient is seen twice within two days, and then not for two months, P2 once in all."""
    from slopeshift.trial import trial_from_tables

    visits = trial.visits
    visits["month"] = visits["month"] - 0.95 * (visits["month"] % 2)
    visits = visits[(visits["patient"] != "P2") | (visits.index == visits.index[visits["patient"] == "P2"][0])]
    tables = {"patients": trial.patients, "visits": visits, "injections": trial.injections}
    return trial_from_tables("lines", tables, {"title": "Lines", "synthetic": True, "source": "test"})


def at_the_ends(trial):
    from slopeshift.trial import trial_from_tables

    visits = trial.visits
    visits["alsfrsr"] = np.where(np.arange(len(visits)) % 2, 0.0, 48.0)
    tables = {"patients": trial.patients, "visits": visits, "injections": trial.injections}
    return trial_from_tables("lines", tables, {"title": "Lines", "synthetic": True, "source": "test"})


@pytest.mark.slow
@families
@pytest.mark.parametrize(
    "trial",
    [
        line_trial(injections=0),
        line_trial(patients=1, injections=1),
        without_values(line_trial(patients=9), "P3"),
        at_the_ends(line_trial(patients=9)),
        in_pairs(line_trial(patients=9)),
    ],
    ids=["no injections", "one patient", "a patient without values", "scores at both ends", "visits in pairs"],
)
def test_value_and_gradient_are_those_of_an_odd_trial(trial, family):
    check_equal(*built(trial, family=family))


@pytest.mark.parametrize(
    "name",
    [*"alsfrsr alsfrsr_autocorrelated interval alsfrsr_straight alsfrsr_student interval_student".split(), BESIDE],
)
def test_a_draw_is_reported_as_the_model_states_it(name, example):
    """Names, dims, correlations with the signs of standard deviations put back, and coefficients."""
    student = student_t(nu=Gamma(20, 14.1))
    file = varied("interval", family=student) if name == "interval_student" else varied(name)
    model = file.build(example)
    ready = fitting.precompiled(model, file.visits(example))
    reported = ready.prior(4, seed=3)
    given = [*model.free_RVs]
    assert set(reported.data_vars) == {variable.name for variable in [*given, *model.deterministics]}
    stated = interpreted(given, model.deterministics)
    for draw in range(4):
        one = reported.isel(chain=0, draw=draw)
        values = stated(*(one[variable.name].to_numpy() for variable in given))
        for variable, expected in zip(model.deterministics, values, strict=True):
            np.testing.assert_allclose(one[variable.name], expected, rtol=1e-6, atol=1e-12)
            assert one[variable.name].dims == model.named_vars_to_dims.get(variable.name, ())


@pytest.mark.parametrize(
    ("row", "law"),
    [
        (prior_row(NORMAL, 2.0, 0.5), norm(2.0, 0.5)),
        (prior_row(GAMMA, 9.0, 12.0), gamma(9.0, scale=1 / 12.0)),
        (prior_row(HALF_NORMAL, 0.3, 0.0), halfnorm(scale=0.3)),
        (prior_row(BETA, 2.5, 4.0), beta(2.5, 4.0)),
    ],
)
def test_priors_are_drawn_from_the_distribution_they_name(row, law):
    draws = drawn_from(np.array([row]), 5000, np.random.default_rng(1))[:, 0]
    assert kstest(draws, law.cdf).pvalue > 0.01


# ---- what is recognised ----


def change(kind, model):
    with model:
        if kind == "potential":
            pm.Potential("more", -(model["sigma"] ** 2))
        elif kind == "variable":
            pm.Normal("more", 0.0, 1.0)
        elif kind == "observed":
            pm.Normal("more", model["sigma"], 1.0, observed=2.0)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("potential", "a further term, more"), ("variable", "samples more"), ("observed", "observes alsfrsr, more")],
)
def test_a_model_with_more_in_it_is_not_described(kind, said):
    model, visits = built(line_trial())
    change(kind, model)
    with pytest.raises(UnknownError, match=said):
        describe(model, visits)


@dataclass(frozen=True)
class Exponential(Prior):
    positive = ()
    may_be_zero = False

    def variable(self, name):
        return pm.Exponential(name, 1.0)


@dataclass(frozen=True)
class OfAnother(Prior):
    positive = ()
    may_be_zero = False

    def variable(self, name):
        return pm.HalfNormal(name, pm.modelcontext(None)["sd_level"])


class OfTheirOwn(student_t):
    name = "their own"


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"sd_slope": Exponential()}, "a prior of sd_slope that the density does not know"),
        ({"sd_slope": OfAnother()}, "a prior that depends on another parameter"),
        ({"family": partial(OfTheirOwn, nu=Gamma(20, 14.1))}, "its family, their own, is not in the engine"),
    ],
)
def test_a_model_of_other_priors_or_families_is_not_described(stated, said):
    model, visits = built(line_trial(), **stated)
    with pytest.raises(UnknownError, match=said):
        describe(model, visits)


def compiled_as_pymc_states_it(model, visits, monkeypatch, caplog):
    monkeypatch.setattr(nuts, "compile_model", lambda model: "compiled")
    with caplog.at_level(logging.WARNING):
        assert fitting.ready(model, visits) == "compiled"
    (record,) = caplog.records
    return record.getMessage()


def test_a_model_with_more_in_it_is_compiled_and_one_line_says_so(monkeypatch, caplog):
    model, visits = built(line_trial())
    change("potential", model)
    said = compiled_as_pymc_states_it(model, visits, monkeypatch, caplog)
    assert "it has a further term, more" in said
    assert "\n" not in said


def test_a_model_of_the_same_names_and_another_density_is_compiled(monkeypatch, caplog):
    """Names do not tell that the residuals were redefined; the densities do."""
    model, visits = built(line_trial())
    other, _ = built(line_trial(seed=1))
    model["statistics"].set_value(other["statistics"].get_value())
    arrays = describe(model, visits)
    model["statistics"].set_value(1.01 * other["statistics"].get_value())
    monkeypatch.setattr(fitting, "describe", lambda *_: arrays)
    assert "differs from that of the engine" in compiled_as_pymc_states_it(model, visits, monkeypatch, caplog)


# ---- what nutpie calls ----


def called(point, arrays):
    """Call the C function as nutpie does: what it returns, the value, and the gradient."""
    gradient, value, buffer = np.empty(len(point)), np.empty(1), arrays.buffer
    places = [ctypes.c_void_p(each.ctypes.data) for each in (point, gradient, value, buffer)]
    argtypes = [ctypes.c_uint64, *[ctypes.c_void_p] * 4]
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *argtypes)(arrays.c_density().address)
    return function(len(point), *places), value[0], gradient


@families
def test_the_c_function_is_the_density(family):
    arrays = describe(*built(line_trial(), family=family))
    point = arrays.start()
    expected, gradient = arrays.evaluate(point)
    code, value, found = called(point, arrays)
    assert (code, value) == (0, expected)
    np.testing.assert_array_equal(found, gradient)


@families
def test_a_density_that_is_not_finite_is_said_to_nutpie_and_raises_nothing(family, capfd):
    """An exception in a C function is printed, and 0 returned as if all were well."""
    arrays = describe(*built(line_trial(), family=family))
    everywhere = [(place, np.nan) for place in range(len(arrays.start()))]
    for place, value in [(arrays.sigma, -800.0), (arrays.sigma, 800.0), *everywhere]:
        point = arrays.start()
        point[place] = value
        assert called(point, arrays)[0] == UNUSABLE, (place, value)
    assert capfd.readouterr().err == ""


SETTINGS = {"draws": 400, "tune": 400, "chains": 2, "seed": 1, "target_accept": 0.9}


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES)
def small(request):
    model, visits = built(line_trial(), family=request.param)
    return model, visits, fitting.precompiled(model, visits)


def unconstrained(model, draw):
    """What NUTS moved in, of one draw that was reported."""
    values = []
    for variable in model.free_RVs:
        value, transform = draw[variable.name].to_numpy(), model.rvs_to_transforms[variable]
        if transform is not None:
            inputs = [draw[each.name].to_numpy() for each in model.free_RVs]
            moved = transform.forward(pt.as_tensor(value), *variable.owner.inputs)
            value = interpreted(model.free_RVs, moved)(*inputs)
        values.append(np.ravel(value))
    return np.concatenate(values)


def test_nutpie_samples_what_was_filled_in_by_hand(small):
    """Its class for compiled models is private: this test fails where an upgrade changes it."""
    model, _, ready = small
    tree = nuts.draw(ready, **SETTINGS)
    posterior = tree["posterior"].to_dataset()
    assert set(posterior.data_vars) == {variable.name for variable in [*model.free_RVs, *model.deterministics]}
    assert posterior["loading"].dims == ("chain", "draw", "coefficient", "source")
    assert tree["sample_stats"]["diverging"].mean() < 0.01
    point = unconstrained(model, posterior.isel(chain=0, draw=-1))
    assert float(tree["sample_stats"]["logp"][0, -1]) == pytest.approx(ready.arrays.evaluate(point)[0], rel=1e-9)


def test_chains_begin_apart_and_nearer_to_where_they_belong_than_the_prior_puts_them(small):
    *_, ready = small
    start, begun = ready.arrays.start(), [ready.initial(seed) for seed in range(4)]
    at_random = [start + np.random.default_rng(seed).uniform(-1.0, 1.0, len(start)) for seed in range(4)]
    gained = [
        ready.arrays.evaluate(new)[0] - ready.arrays.evaluate(old)[0] for new, old in zip(begun, at_random, strict=True)
    ]
    assert min(gained) > 10
    apart = [np.abs(one - two).max() for one, two in itertools.combinations(begun, 2)]
    assert min(apart) > 0.1
    np.testing.assert_array_equal(ready.initial(2), begun[2])


def test_a_chain_begins_where_the_density_is_finite():
    class Half:
        """A normal density that is not defined above 0.5; its chains begin between -1 and 1."""

        width = 1

        def start(self):
            return np.zeros(1)

        def evaluate(self, point):
            return (float(-50 * (point[0] + 0.5) ** 2), -100 * (point + 0.5)) if point[0] < 0.5 else (np.nan, point)

    ready = nuts.Precompiled(Half(), {"x": ()}, {})
    begun = [ready.initial(seed)[0] for seed in range(20)]
    defined = [x for x in begun if x < 0.5]
    assert len(defined) >= 10
    np.testing.assert_allclose(defined, -0.5, atol=1e-3)


@families
def test_exchanged_data_give_what_a_model_built_on_them_gives(family):
    (model, visits), (_, other) = built(line_trial(), family=family), built(line_trial(seed=8), family=family)
    alone = fitting.precompiled(*built(line_trial(seed=8), family=family))
    exact_one = exact.integrated_out(model)
    data = {"statistics": exact.statistics_of(other, terms_of(model))} if exact_one else {"recorded": other.value}
    ready = fitting.precompiled(model, visits)
    assert nuts.data_names(ready) == set(data)
    point = ready.arrays.start() + 0.1
    found, gradient = ready.with_data(**data).arrays.evaluate(point)
    assert (found, [*gradient]) == (alone.arrays.evaluate(point)[0], [*alone.arrays.evaluate(point)[1]])
    assert ready.with_data().arrays.evaluate(point)[0] != found
    with pytest.raises(KeyError, match=f"the density has no data score; it has {next(iter(data))}"):
        ready.with_data(score=other.value)


def test_exchanged_data_of_the_regression_beside_the_line_reach_its_density(example):
    file = load_model(ROOT / f"models/{BESIDE}.py")
    model = file.build(example)
    ready = fitting.precompiled(model, file.visits(example))
    rng, names = np.random.default_rng(4), ("interval", "seen_change")
    other = {name: rng.normal(size=len(model[name].get_value())) for name in names}
    assert nuts.data_names(ready) == {"statistics", "seen_patient", *names}
    point, before = ready.arrays.start() + 0.1, ready.arrays.evaluate(ready.arrays.start() + 0.1)[0]
    for name, values in other.items():
        model[name].set_value(values)
    found = ready.with_data(**other).arrays.evaluate(point)[0]
    assert found == pytest.approx(stated_by(model)(point)[0], rel=1e-10)
    assert found != pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "said"), [("variable", "samples more"), ("observed", "observes alsfrsr, interval_given, more")]
)
def test_a_model_with_more_than_a_regression_beside_it_is_not_described(kind, said, example):
    file = load_model(ROOT / f"models/{BESIDE}.py")
    model = file.build(example)
    change(kind, model)
    with pytest.raises(UnknownError, match=said):
        describe(model, file.visits(example))


def test_what_is_reported_has_its_room():
    """A C function would write beyond it."""
    ready = fitting.precompiled(*built(line_trial()))
    with pytest.raises(ValueError, match="what is named of a draw are"):
        replace(ready, dims=ready.dims | {"more": ()})


@dataclass
class Upgraded:
    """A class for compiled models with other fields than those that are filled in."""

    program: object


def test_where_nutpies_class_cannot_be_filled_in_the_model_is_compiled_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr("nutpie.compile_pymc.CompiledPyMCModel", Upgraded)
    said = compiled_as_pymc_states_it(*built(line_trial()), monkeypatch, caplog)
    assert "nutpie has changed" in said
    assert "\n" not in said


# ---- what is kept on disk ----


def test_what_is_kept_of_a_function_is_stamped_with_all_code_that_it_calls(monkeypatch):
    """Numba looks at the file of the function alone: a change of the kernel would leave a stale density."""
    stamps = iter(["before", "after"])
    monkeypatch.setattr(compiling, "code", lambda module: f"{module} {next(stamps)}")

    def double(x):
        return 2.0 * x

    double.__module__ = "slopeshift.engine.density"
    found = [compiling.compiled(double)._cache._cache_file._source_stamp for _ in range(2)]
    assert found == ["engine.density before", "engine.density after"]


def test_the_density_is_out_of_date_where_the_kernel_is():
    called_by_both = {"engine.kernel", "engine.simd", "engine.spread", "engine.buffer"}
    assert called_by_both | {"engine.correlated", "engine.entry"} <= closure(frozenset({"engine.density"}))
    assert called_by_both | {"engine.sampled_kernel", "engine.residual_kernel", "engine.simd_functions"} <= closure(
        frozenset({"engine.sampled"})
    )
    for module, family in ((density, normal), (sampled_density, bounded)):
        arrays = describe(*built(line_trial(), family=family))
        for each in (module.log_density, arrays.c_density(), arrays.c_report()):
            own = each._cache._py_func.__module__.partition(".")[2]
            assert each._cache._cache_file._source_stamp == code(own)
