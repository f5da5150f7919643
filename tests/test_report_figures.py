"""What a journal asks of a figure: text that can be read and does not overlap, and axes that outliers do not rule."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from slopeshift.report.figures import answer, chance, data, diagnostics, patients, population, style, trajectories
from slopeshift.report.figures import sensitivity as sensitivity_figures
from slopeshift.sensitivity.rows import MAIN

RNG = np.random.default_rng(8)
MANY = (1, 3, 24, 36)
PAGE = 250 / 25.4
"""Inches between the margins of a printed page, less a caption."""


def names(k):
    return [*map(str, range(1, k + 1)), "overall"]


def intervals(k):
    rows = pd.DataFrame({"injection": names(k), "mean": RNG.normal(0, 0.1, k + 1), "probability": 0.9})
    ends = {"lower": -1.0, "inner_lower": -0.4, "inner_upper": 0.4, "upper": 1.0, "null_lower": -0.5, "null_upper": 0.5}
    return rows.assign(**{name: rows["mean"] + end for name, end in ends.items()})


def patient_rows(n, outlier=0.0):
    mean = RNG.normal(0, 0.3, n)
    table = pd.DataFrame({"patient": [f"PATIENT-{i:04}" for i in range(n)], "mean": mean, "called": False})
    table = table.assign(lower=mean - 1, upper=mean + 1)
    table.loc[0, "upper"] += outlier
    return table


def patient_forest(n, outlier=0.0):
    table = patient_rows(n, outlier)
    span = style.held(*(table[name].to_numpy() for name in ("lower", "upper", "mean")))
    return patients.forest(table, list(table["patient"]), {}, span, "points/month", 0.1)


def analyses(n):
    rows = pd.DataFrame({"analysis": [MAIN, *(f"analysis number {i} of other priors" for i in range(1, n))]})
    return rows.assign(mean=0.1, lower=-0.5, upper=0.7, detail="a detail", model="alsfrsr")


def draws(k):
    return {name: RNG.normal(0, 1, 200) for name in names(k)}


def counts(k):
    return {name: RNG.integers(0, 20, 200) for name in names(k)}


def course(k):
    values = pd.DataFrame({"month": np.arange(-3.0, 13), "value": np.linspace(45, 20, 16)})
    line = values.rename(columns={"value": "median"}).assign(
        lower=lambda t: t["median"] - 2, upper=lambda t: t["median"]
    )
    return trajectories.trajectory(values, line, list(np.linspace(0, 12, k)), None, ((-4.0, 13.0), (15.0, 48.0)))


def curve(k):
    x = np.linspace(-1, 1, 21)
    parts = [pd.DataFrame({"injection": name, "x": x, "probability": (1 - x) / 2}) for name in names(k)]
    return population.exceedance(pd.concat(parts), "% predicted/month")


FIGURES = {
    "answer": lambda k: answer.changes(intervals(k), "% predicted/month"),
    "densities": lambda k: population.densities(draws(k), draws(k), "% predicted/month"),
    "exceedance": curve,
    "counts": lambda k: patients.counts(counts(k), counts(k), dict.fromkeys(names(k), 20)),
    "course": course,
    "flow": lambda k: data.bars(
        [(f"Injection {i}", 60 - i, "4 withdrew, 2 died and 1 completed") for i in range(k + 1)]
    ),
    "forest": lambda k: patient_forest(min(2 * k, style.ROWS)),
    "analyses": lambda k: sensitivity_figures.forest(analyses(min(k + 1, 30)), (), "points/month"),
    "left out": lambda k: sensitivity_figures.left_out(
        analyses(60).assign(detail="P0123456789"), analyses(1).iloc[0], "points/month"
    ),
    "ranks": lambda k: diagnostics.ranks(RNG.normal(size=(4, 200))),
}


def texts(figure):
    """The texts that are seen, with the boxes that they take."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    seen = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    ticks = {
        tick.label1
        for ax in figure.axes
        for axis, ends in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
        for tick in axis.get_major_ticks()
        if not min(ends) <= tick.get_loc() <= max(ends) or not tick.label1.get_visible()
    }
    return [(text, text.get_window_extent(renderer)) for text in seen if text not in ticks]


@pytest.mark.parametrize("k", MANY)
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_another_or_leaves_the_figure(name, k):
    figure = FIGURES[name](k)
    found = texts(figure)
    for (one, a), (other, b) in combinations(found, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 3, (one.get_text(), other.get_text())
    for text, box in found:
        assert box.x0 > -2, text.get_text()
        assert box.x1 < figure.bbox.x1 + 2, text.get_text()


@pytest.mark.parametrize("k", MANY)
@pytest.mark.parametrize("name", FIGURES)
def test_text_has_eight_points_and_the_figure_fits_on_a_page(name, k):
    figure = FIGURES[name](k)
    assert min(text.get_fontsize() for text, _ in texts(figure)) >= 8
    width, height = figure.get_size_inches()
    assert width in (style.PANEL, style.CARD)
    assert height < PAGE


def test_text_that_lies_on_another_is_found():
    """Or the tests above might be blind."""
    figure, ax = style.panel(2)
    ax.text(0.5, 0.5, "one")
    ax.text(0.5, 0.5, "another")
    boxes = [box for text, box in texts(figure) if text.get_text() in ("one", "another")]
    assert boxes[0].overlaps(boxes[1])


def test_one_wide_interval_does_not_rule_the_axis_and_is_marked():
    plain, ruled = patient_forest(30), patient_forest(30, outlier=50.0)
    assert np.ptp(ruled.axes[0].get_xlim()) < 1.5 * np.ptp(plain.axes[0].get_xlim())
    assert ">" in {line.get_marker() for line in ruled.axes[0].lines}


def test_every_estimate_and_zero_are_on_the_axis():
    middle = np.array([-3.0, 0.1, 5.0])
    low, high = style.held(middle - 9, middle + 9, middle)
    assert low < min(middle)
    assert high > max(middle)
    assert style.held(np.array([1.0]), np.array([2.0]), np.array([1.5]))[0] < 0


def hairlines(values=400):
    left = np.sort(RNG.uniform(0, 1, values))
    bins = pd.DataFrame({"left": left, "right": left, "share": 1 / values})
    row = {"statistic": "wilcoxon_p", "injection": "1", "observed": 0.2, "share_at_or_above": 0.4}
    return bins.assign(statistic="wilcoxon_p", injection="1"), pd.DataFrame([row])


def test_a_p_value_has_bins_and_no_hairlines():
    figure = chance.null_distribution(*hairlines(), "wilcoxon_p")
    (steps,) = figure.axes[0].patches
    share, edges, _ = steps.get_data()
    assert len(share) <= 20
    assert share.sum() == pytest.approx(1)
    assert np.diff(edges) == pytest.approx(np.diff(edges)[0])


def test_a_count_keeps_a_bar_for_each_value():
    left = np.arange(20.0)
    bins = pd.DataFrame({"left": left, "right": left, "share": 1 / 20}).assign(statistic="improved", injection="1")
    row = {"statistic": "improved", "injection": "1", "observed": 5.0, "share_at_or_above": 0.4}
    figure = chance.null_distribution(bins, pd.DataFrame([row]), "improved")
    assert len(figure.axes[0].patches) == 20
