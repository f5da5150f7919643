"""Figures of the null reference: they show what the tables say, and survive what is not defined."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from trials import ROOT, line_trial

from slopeshift.classical import FROM_ONSET, Rules
from slopeshift.null.claim import ENTRY_RULES, LeadIn, claim_table
from slopeshift.null.population import PLATFORM
from slopeshift.null.reference import distribution_table, reference, reference_table
from slopeshift.report.figures import chance as null_figures
from slopeshift.report.figures.vector import svg
from slopeshift.trial import read_trial


def tables(trial, rules=None):
    found = reference(trial, "alsfrsr", PLATFORM, rules or Rules(), trials=120, seed=1)
    return distribution_table(found), reference_table(found)


@pytest.fixture(scope="module")
def synthetic():
    return tables(read_trial(ROOT / "data" / "synthetic-msc-als"))


def drawn(figure):
    return svg(figure, "f", "what it shows")


@pytest.mark.parametrize("statistic", null_figures.LABELS)
def test_every_statistic_has_a_figure_with_its_share(synthetic, statistic):
    text = drawn(null_figures.null_distribution(*synthetic, statistic, "points"))
    assert null_figures.LABELS[statistic] in text
    row = synthetic[1].set_index(["statistic", "injection"]).loc[(statistic, "1")]
    assert f">{100 * row['share_at_or_above']:.0f} % at or above<" in text


def test_the_observed_value_is_where_it_is_drawn(synthetic):
    figure = null_figures.null_distribution(*synthetic, "improved")
    observed = synthetic[1].query("statistic == 'improved'")["observed"]
    assert [line.get_xdata()[0] for ax in figure.axes for line in ax.lines] == observed.to_list()


def test_the_bars_are_the_shares_of_null_trials(synthetic):
    figure = null_figures.null_distribution(*synthetic, "improved")
    bins = synthetic[0].query("statistic == 'improved' and injection == '1'")
    assert [bar.get_height() for bar in figure.axes[0].patches] == bins["share"].to_list()


def ruled_by_outliers(observed):
    """Null trials between 0 and 10, but for 2 % at -1000 and 1 % at 500, in bins of ten."""
    left = np.arange(-1000.0, 510.0, 10.0)
    share = np.select([left == -1000, left == 0, left == 500], [0.02, 0.97, 0.01], 0.0)
    bins = pd.DataFrame({"left": left, "right": left + 10, "share": share})
    row = {"statistic": "mean_percent", "injection": "1", "observed": observed, "share_at_or_above": 0.4}
    return bins.assign(statistic="mean_percent", injection="1"), pd.DataFrame([row])


@pytest.mark.parametrize(("observed", "ends"), [(5.0, (0, 10)), (60.0, (0, 60)), (-40.0, (-40, 10)), (np.nan, (0, 10))])
def test_outliers_do_not_rule_the_axis_and_are_counted_at_its_ends(observed, ends):
    figure = null_figures.null_distribution(*ruled_by_outliers(observed), "mean_percent")
    margin = 0.12 * (ends[1] - ends[0])
    assert figure.axes[0].get_xlim() == pytest.approx((ends[0] - margin, ends[1] + margin))
    assert [text.get_text() for text in figure.axes[0].texts] == ["◂ 2 %", "1 % ▸"]
    assert null_figures.FARTHER_OUT in drawn(figure)


def test_an_observed_outlier_is_drawn_and_nothing_is_left_out():
    figure = null_figures.null_distribution(*ruled_by_outliers(-1000.0), "mean_percent")
    assert figure.axes[0].get_xlim()[0] < -1000
    assert not figure.axes[0].texts
    assert null_figures.FARTHER_OUT not in drawn(figure)


@pytest.mark.parametrize("statistic", null_figures.LABELS)
def test_what_is_drawn_and_what_is_counted_make_up_all_null_trials(synthetic, statistic):
    figure = null_figures.null_distribution(*synthetic, statistic)
    for ax in figure.axes:
        bars = [patch.get_height() for patch in ax.patches if hasattr(patch, "get_height")]
        steps = [value for patch in ax.patches if hasattr(patch, "get_data") for value in patch.get_data().values]
        told = [float(text.get_text().strip("◂▸ %<")) / 100 for text in ax.texts]
        assert sum(bars + steps + told) == pytest.approx(1, abs=0.011)


@pytest.mark.parametrize("statistic", null_figures.LABELS)
def test_no_text_lies_on_another_or_on_a_bar(synthetic, statistic):
    figure = null_figures.null_distribution(*synthetic, statistic, "points")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    bars = [patch.get_window_extent(renderer) for ax in figure.axes for patch in ax.patches]
    assert not any(box.overlaps(bar) for box in boxes for bar in bars if bar.height > 0)


def test_what_the_trial_does_not_define_is_said_and_not_marked():
    figure = null_figures.null_distribution(*tables(line_trial(patients=2, injections=1)), "smallest_rise")
    assert figure.axes or "not defined" in drawn(figure)
    empty = null_figures.null_distribution(*tables(line_trial(), Rules(FROM_ONSET)), "mean_percent")
    assert "Mean improvement (%): not defined" in drawn(empty)


def test_a_value_that_is_undefined_in_this_trial_alone_is_not_marked(synthetic):
    distribution, table = synthetic
    table = table.assign(observed=np.nan, share_at_or_above=np.nan)
    figure = null_figures.null_distribution(distribution, table, "rose")
    assert "not defined in this trial" in drawn(figure)
    assert not any(ax.lines for ax in figure.axes)


@pytest.mark.parametrize("period", ["1", "whole"])
def test_the_claim_has_a_row_for_every_rule_and_the_published_count(period):
    lead_ins = [LeadIn(4, 3.0, entry) for entry in ENTRY_RULES]
    table = claim_table("petrou2021", trials=30, seed=1, histories=[PLATFORM], lead_ins=lead_ins)
    figure = null_figures.published_claim(table, period)
    text = drawn(figure)
    assert {"1": "published: 15 of 19", "whole": "published: 13 of 19"}[period] in text
    assert len(figure.axes[0].get_yticks()) == 9


def test_pseudo_injections_are_drawn_in_order_and_failed_ones_left_out():
    moves = pd.DataFrame(
        {"mean": [0.3, -0.1, 0.0], "lower": [-1.0] * 3, "upper": [1.0] * 3, "passed": [True, True, False]}
    )
    figure = null_figures.pseudo_changes(moves, "points")
    assert list(figure.axes[0].lines[0].get_ydata()) == [-0.1, 0.3]
    assert "2 sets of pseudo-injections" in drawn(figure)


def test_no_figure_is_left_open():
    assert plt.get_fignums() == []
