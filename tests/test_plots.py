import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from slopeshift.report.figures import checks, courses, diagnostics, patients, population, style, trajectories
from slopeshift.report.figures.vector import svg

RNG = np.random.default_rng(5)
LIMITS = ((-3.0, 12.0), (0.0, 48.0))
NO_LINE = pd.DataFrame(columns=["month", "median", "lower", "upper"], dtype=float)
BAND = "fill:#0072b2;fill-opacity:0.25"
HOSTILE = ["<script>alert(1)</script>", "x" * 80, "مرحبا", "😀", "$\\frac{1}{$", "a $ b $ c", "=1+1"]


def injections(k):
    return [str(i + 1) for i in range(k)] + (["overall"] if k else [])


def draws(k):
    return {injection: RNG.normal(size=300) for injection in injections(k)}


def curve(k):
    x = np.linspace(-1, 1, 11)
    frames = [pd.DataFrame({"injection": i, "x": x, "probability": np.linspace(1, 0, 11)}) for i in injections(k)]
    return pd.concat(frames) if frames else pd.DataFrame(columns=["injection", "x", "probability"])


def forest(names, missing=(), called=False):
    shown = [name for name in names if name not in missing]
    rows = pd.DataFrame({"patient": shown, "mean": 0.1, "lower": -0.2, "upper": 0.4, "called": called})
    return patients.forest(rows, names, dict.fromkeys(missing, "not reached"), (-1, 1), "points/month")


def trajectory(values=3, given=(0.0,), ending=None, line=NO_LINE):
    frame = pd.DataFrame({"month": np.arange(values) - 2.0, "value": 40.0 - np.arange(values)})
    return trajectories.trajectory(frame, line, list(given), ending, LIMITS)


def drawn(figure):
    return svg(figure, "f", "what it shows")


@pytest.mark.parametrize("k", [0, 1, 4, 6])
class TestAnyNumberOfInjections:
    def test_densities(self, k):
        text = drawn(population.densities(draws(k), draws(k), "points/month"))
        assert all(f">injection {i + 1}<" in text for i in range(k))

    def test_exceedance(self, k):
        text = drawn(population.exceedance(curve(k), "points/month"))
        assert all(f">injection {i + 1}<" in text for i in range(k))

    def test_counts(self, k):
        number = {injection: RNG.integers(0, 6, 300) for injection in injections(k)}
        text = drawn(patients.counts(number, number, dict.fromkeys(number, 5)))
        assert all(f">injection {i + 1} (of 5)<" in text for i in range(k))

    def test_trajectory(self, k):
        text = drawn(trajectory(given=[2.5 * i for i in range(k)]))
        assert text.count("stroke:#d55e00") == k


@pytest.mark.parametrize("names", [["only one"], [f"P{i}" for i in range(40)], HOSTILE])
def test_forest_names_every_patient_and_draws_only_those_with_a_result(names):
    text = drawn(forest(names, missing=names[:1]))
    assert text.count("not reached") == 1
    assert len(re.findall(r"<use [^>]*stroke:#0072b2", text)) == len(names) - 1


@pytest.mark.parametrize("called", [True, False])
def test_forest_fills_the_patients_that_are_called(called):
    assert ("fill:#ffffff;stroke:#0072b2" in drawn(forest(["A"], called=called))) is not called


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_drawn_as_it_is_written(name):
    root = ElementTree.fromstring(drawn(forest([name])))
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
    short = name if len(name) <= style.LABEL_LENGTH else name[: style.LABEL_LENGTH - 1] + "…"
    assert short in texts


def test_trajectory_of_a_patient_without_values_says_so():
    assert "no value recorded" in drawn(trajectory(values=0))


@pytest.mark.parametrize(("reason", "marks"), [("death", 1), ("withdrawal", 1), ("lost", 1), ("completed", 0)])
def test_only_an_early_end_is_marked(reason, marks):
    plain, ended = (drawn(trajectory(ending=end)).count("<use ") for end in (None, courses.Ending(4.0, reason)))
    assert ended - plain == marks


def test_trajectory_draws_the_line_it_is_given_and_none_else():
    line = pd.DataFrame({"month": [0.0, 1.0], "median": [40.0, 39.0], "lower": [38.0, 37.0], "upper": [42.0, 41.0]})
    assert BAND in drawn(trajectory(line=line))
    assert BAND not in drawn(trajectory())
    assert drawn(trajectory()).count("stroke:#0072b2") < drawn(trajectory(line=line)).count("stroke:#0072b2")


@pytest.mark.parametrize("shape", [(4, 200), (1, 50), (2, 1)])
def test_ranks_draws_a_line_per_chain(shape):
    assert drawn(diagnostics.ranks(RNG.normal(size=shape))).count("stroke-width:1.2") == shape[0]


@pytest.mark.parametrize("visits", [1, 2, 60])
def test_checks_take_any_number_of_visits(visits):
    value, month = RNG.normal(30, 5, visits), RNG.uniform(-3, 9, visits)
    prediction = RNG.normal(30, 5, (50, visits))
    assert "recorded" in drawn(checks.predictive(value, prediction, prediction, "ALSFRS-R, points"))
    assert "Residual" in drawn(checks.residuals(month, value - 30, 2.0, "points"))


def test_the_same_input_gives_the_same_bytes_and_loads_nothing():
    first, second = (drawn(trajectory(given=[0.0, 3.0], ending=courses.Ending(5, "death"))) for _ in range(2))
    assert first == second
    assert "http" not in first


def test_ids_begin_with_the_name_of_the_figure_and_are_referred_to_by_it():
    text = drawn(population.densities(draws(2), draws(2), "points/month"))
    ids = set(re.findall(r'id="([^"]*)"', text))
    assert "f" in ids
    assert all(name.startswith("f-") for name in ids - {"f"})
    assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', text)) <= ids


def test_the_description_is_read_aloud_and_escaped():
    assert 'role="img" aria-label="a &lt;b&gt; &#34;c&#34;"' in svg(trajectory(), "f", 'a <b> "c"')
