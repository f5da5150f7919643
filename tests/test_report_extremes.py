"""Trials at the edges of a report: many injections, and outcomes of which nothing was seen before or after them."""

import re

import numpy as np
import pandas as pd
import pytest
from made_reports import CHANGE, analyse, made_fit, made_trial, written

from slopeshift.answers.tables import results_of
from slopeshift.design.cycles import OVERALL, injection_rank
from slopeshift.fit.posterior import posterior_of
from slopeshift.report.analysis import Report
from slopeshift.report.figures import patients as patients_figures
from slopeshift.report.figures import population as population_figures
from slopeshift.report.sections import answer, limitations, patients, trajectories
from slopeshift.report.words.numbers import Table, pieces
from slopeshift.trial import trial_from_tables

pytestmark = pytest.mark.usefixtures("undrawn")


def made_of(visits, injections, names=("A1", "A2", "A3", "A4")):
    """A trial of the same visits and injections, by month, for every patient."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame([(name, month) for name in names for month in visits], columns=["patient", "month"])
    table["alsfrsr"] = (36 - 0.5 * table["month"] + rng.normal(0, 1, len(table))).round().clip(0, 48)
    given = [(name, k, month) for name in names for k, month in enumerate(injections, 1)]
    tables = {
        "patients": pd.DataFrame({"patient": list(names)}),
        "visits": table,
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("made", tables, {"title": "Made", "synthetic": True, "source": "test"})


def test_injections_are_ordered_by_number_and_the_mean_comes_last():
    assert sorted(["10", OVERALL, "2", "1"], key=injection_rank) == ["1", "2", "10", OVERALL]


@pytest.fixture(scope="module")
def many():
    trial = made_of(range(-3, 13), range(12))
    fit = made_fit(trial)
    return analyse(trial, fit), results_of(posterior_of(trial, fit))


def test_tables_and_figures_of_twelve_injections_are_in_the_order_of_their_numbers(many):
    analysis, results = many
    numbers = [*map(str, range(1, 13)), OVERALL]
    assert list(dict.fromkeys(results.responders["injection"])) == numbers
    assert list(dict.fromkeys(row[0] for row in patients.responders(analysis).rows)) == numbers
    said = re.findall(r"injection (\d+) [\d.]+ of", str(patients.slowed(analysis).element))
    assert list(dict.fromkeys(said)) == numbers[:-1]


def test_equal_numbers_of_patients_in_many_cycles_are_said_together(many):
    assert "Few patients: 4 in cycles 1 to 12 have values after the injection." in limitations.of_fit(many[0])


@pytest.mark.parametrize("k", [1, 3, 6, 7, 24, 36])
def test_figures_hold_for_as_many_injections(k):
    x = np.linspace(-1, 1, 21)
    names = [*map(str, range(1, k + 1)), OVERALL]
    curve = pd.concat([pd.DataFrame({"injection": name, "x": x, "probability": (1 - x) / 2}) for name in names])
    figure = population_figures.exceedance(curve, "points/month")
    figure.canvas.draw()
    (legend,) = figure.legends
    assert len(legend.texts) <= population_figures.MOST_NAMED + 1
    assert figure.axes[0].get_window_extent().height > 0.4 * figure.bbox.height
    draws = {name: np.arange(40) % 5 for name in names}
    counts = patients_figures.counts(draws, draws, dict.fromkeys(names, 4))
    counts.canvas.draw()
    assert counts.get_size_inches()[1] <= 13
    assert all(ax.get_window_extent().height > 5 for ax in counts.axes)


@pytest.mark.parametrize(("number", "length"), [(1, 1), (40, 40), (41, 21), (60, 30), (81, 27)])
def test_figures_of_patients_are_as_few_and_as_even_as_can_be(number, length):
    assert patients.in_one(number, 40) == length


@pytest.mark.parametrize(("number", "shown"), [(4, 4), (20, 20), (21, 8), (60, 8)])
def test_the_shorter_page_has_all_courses_of_a_small_trial_and_the_first_of_a_large_one(number, shown):
    assert trajectories.in_short(number) == shown


@pytest.mark.parametrize(
    ("visits", "words"),
    [
        (range(-4, 1), "No value after an injection: nothing is said of a change."),
        (range(1, 9), "No patient has two values before the first injection"),
        ([0, *range(2, 9)], "No patient has two values before the first injection"),
    ],
)
def test_the_first_screen_says_where_nothing_was_seen_before_or_after_injections(visits, words, tmp_path):
    trial = made_of(visits, [0.5, 4])
    page = written(tmp_path, trial, [made_fit(trial)])
    first = page.words[page.words.index("The answer") :]
    assert words in first[: first.index("What this design cannot show")]
    if "after" in words:
        assert f"{CHANGE:.2f}" not in first


def test_the_first_screen_says_nothing_of_the_kind_where_enough_was_seen(tmp_path):
    trial = made_trial()
    page = written(tmp_path, trial, [made_fit(trial)])
    assert "before the first injection: the slope" not in page.words
    assert "No value after an injection" not in page.words


def test_a_table_of_many_injections_is_cut_into_pieces_that_have_every_cell_once():
    heads, row = ["Quantity", *map(str, range(25))], ["Change", *(f"cell {i}" for i in range(25))]
    found = pieces(Table("caption", "l" + 25 * "r", heads, [row]))
    assert [len(each.columns) for each in found] == [6, 6, 6, 6, 6]
    assert [cell for each in found for cell in each.rows[0][1:]] == row[1:]
    assert all(each.rows[0][0] == "Change" and len(each.align) == len(each.columns) for each in found)
    level = ["Level", "40", *24 * [""]]
    later = pieces(Table("caption", "l" + 25 * "r", heads, [level, row]))[1]
    assert [each[0] for each in later.rows] == ["Change"]
    for number, widths in ((5, [5]), (6, [3, 3]), (11, [4, 4, 3])):
        cut = pieces(Table("caption", "l" + number * "r", heads[: number + 1], [row[: number + 1]]))
        assert [len(each.columns) - 1 for each in cut] == widths
    narrow = Table("caption", "lr", ["Quantity", "1"], [["Change", "0.1"]])
    assert pieces(narrow) == [narrow]


def test_the_first_screen_of_many_injections_has_no_sentence_for_each(many):
    analysis, _ = many
    report = Report(analysis.trial, [analysis], say=str)
    (card,) = answer.context(report)["shown"]
    assert len(card["findings"]) == 1
    assert card["more"] == 12
