"""What moves the answer, and who left, in the report: the numbers of their tables, in words, tables and figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_reports import CHANGE, analyse, made_fit, made_trial, of_trial, written

from slopeshift.missing.departures import departures
from slopeshift.missing.leaving import Leaving
from slopeshift.missing.tables import tables_of_fit
from slopeshift.report.sections import limitations
from slopeshift.report.sections import missing as missing_section
from slopeshift.report.sections import sensitivity as sensitivity_section
from slopeshift.report.words import sensitivity as sensitivity_words
from slopeshift.sensitivity import curves, study, variations
from slopeshift.sensitivity.rows import COLUMNS, MAIN

NAMES = tuple(f"A{i}" for i in range(1, 9))


@pytest.fixture(scope="module")
def trial():
    return made_trial(NAMES, k=2)


@pytest.fixture(scope="module")
def fits(trial):
    return [made_fit(trial), made_fit(trial, "alsfrsr_other", seed=5), made_fit(trial, "alsfrsr_broken", broken=True)]


@pytest.fixture(scope="module")
def analyses(trial, fits):
    found = [analyse(trial, fit, f"m{i}") for i, fit in enumerate(fits, 1)]
    return [replace(a, tables=tables_of_fit(a.posterior) if a.passed else None) for a in found]


def stored_row(analysis, detail, mean, positive, difference, injection="overall", note=""):
    numbers = {"mean": mean, "sd": 0.2, "lower": mean - 0.4, "upper": mean + 0.4, "prob_positive": positive}
    numbers["prob_better"] = positive
    labels = {"outcome": "alsfrsr", "model": "alsfrsr", "analysis": analysis, "detail": detail, "note": note}
    counts = {"prob_slowing_25": 0.5, "n_patients": 8, "n_values": 90}
    return labels | numbers | counts | {"injection": injection, "difference": difference}


def point(kind, at=0.0, positive=0.95, below=np.nan, above=np.nan):
    return {
        "outcome": "alsfrsr",
        "model": "alsfrsr",
        "kind": kind,
        "at": at,
        "prob_better": positive,
        "tips_below": below,
        "tips_above": above,
        "searched_from": 0.01,
        "searched_to": 2.5,
        "unit": "points/month",
    }


@pytest.fixture(scope="module")
def varied():
    rows = [
        stored_row("prior of the common change halved", "SD 0.15", 0.5, 0.97, -0.3),
        stored_row("sceptical prior", "mean 0", 0.31, 0.7654, -1.2),
        *(stored_row(variations.ONE_LEFT_OUT, f"A{i}", 0.6 + i / 100, 0.96, i / 20) for i in range(1, 9)),
        stored_row(variations.WANING, "lag 0 months, half-life infinite", 0.6, 0.97, 0.0),
        stored_row(variations.WANING, "lag 1 months, half-life 3 months", 0.9, 0.85, 0.9),
        stored_row(variations.COMPLETERS, "completed", np.nan, np.nan, np.nan, note="fewer than 3 patients"),
    ]
    x = np.linspace(0.01, 1, 20)
    line = {"outcome": "alsfrsr", "model": "alsfrsr", "x": x, "prob_better": 0.5 + 0.45 * x}
    dropout = pd.DataFrame({"delta": [0.0, 1.0], "mean": [0.6, 0.1], "prob_better": [0.95, 0.6]}).assign(
        outcome="alsfrsr",
        model="alsfrsr",
        injection="overall",
        lower=-0.1,
        upper=1.1,
        prob_slowing_25=0.5,
        n_left=3,
        n_imputed=11,
        n_imputations=10,
        share_below_scale=0.0,
    )
    waning = {"outcome": "alsfrsr", "model": "alsfrsr", "lag": [0.0, 1.0], "half_life": [np.inf, 3.0]}
    waning |= {
        "injection": "overall",
        "mean": [0.6, 0.9],
        "lower": 0.1,
        "upper": 1.2,
        "prob_positive": 0.9,
        "prob_better": 0.9,
    }
    waning |= {"difference_from_at_once": [0.0, -1.25], "standard_error_of_difference": [0.0, 0.75]}
    return {
        "sensitivity": pd.DataFrame(rows).reindex(columns=COLUMNS),
        "sensitivity_curves": pd.concat(
            [pd.DataFrame(line | {"kind": k}) for k in (curves.PRIOR_SD, curves.EXPECTATION)], ignore_index=True
        ),
        "sensitivity_tipping": pd.DataFrame(
            [
                point(curves.PRIOR_SD, at=0.31, below=0.1234),
                point(curves.EXPECTATION, above=0.4567),
                point(curves.NATURAL_HISTORY),
                point(study.DELTA, above=0.789),
            ]
        ),
        "dropout_tipping": dropout,
        "waning": pd.DataFrame(waning | {"unreliable_values": 0}),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def page(folder, trial, fits, varied):
    return written(folder, trial, fits, None, None, varied)


def test_every_model_of_the_outcome_has_its_row_and_a_failed_fit_no_number(analyses):
    table = sensitivity_section.table(analyses, {}, {})
    overall = table[table["injection"] == "overall"].set_index("model")
    assert overall.loc["alsfrsr", "analysis"] == MAIN
    assert overall.loc["alsfrsr", "difference"] == 0
    assert overall.loc["alsfrsr", "mean"] == pytest.approx(CHANGE, abs=0.05)
    other = overall.loc["alsfrsr_other"]
    expected = (other["mean"] - overall.loc["alsfrsr", "mean"]) / overall.loc["alsfrsr", "sd"]
    assert other["difference"] == pytest.approx(expected)
    assert np.isnan(overall.loc["alsfrsr_broken", "mean"])
    assert overall.loc["alsfrsr_broken", "note"] == "withheld: this fit failed its diagnostics gate"


def test_the_table_travels_with_the_report(page, folder, trial):
    table = pd.read_csv(folder / "tables" / "sensitivity.csv")
    assert list(table) == list(COLUMNS)
    assert "sceptical prior" in set(table["analysis"])
    missing = pd.read_csv(folder / "tables" / "missing.csv")
    pd.testing.assert_frame_equal(missing, departures(trial), check_dtype=False)
    for name in ("sensitivity_tipping", "dropout_tipping", "waning"):
        assert (folder / "tables" / f"{name}.csv").exists()


def test_the_page_says_what_moves_the_answer_and_what_does_not(page):
    words = page.words.replace("\u00a0", " ")
    assert "The change moves by half a posterior SD or more with" in words
    assert "sceptical prior (−1.2 SDs)" in words
    assert "The probability falls below 0.8 with" in words
    assert "sceptical prior (0.77)" in words
    assert "prior of the common change halved (−0.3" not in words
    assert "No number could be given for model alsfrsr_broken and completers only." in words
    assert "(without A1) and +0.68 (without A8)" in words
    assert "does not depend on any one patient" in words


def test_the_page_says_where_the_answer_tips(page):
    words = page.words
    assert "an SD below 0.12 points/month is left with a probability below 0.8; the model's own SD is 0.31" in words
    assert "with an SD of 0.46 points/month" in words
    assert "does not bring the probability below 0.8" in words
    assert "declined faster than expected by 0.79 points/month or more" in words
    assert "For the 3 who left" in words
    assert "11 monthly values were imputed" in words


def test_many_analyses_of_a_kind_are_printed_as_a_range(page):
    rows = {row[0]: row for row in page.rows("The change overall in every analysis")}
    assert rows["one patient left out"][1] == "means +0.61 to +0.68"
    assert rows["one patient left out"][-1] == "8 analyses; lowest: A1; highest: A8"
    assert rows["completers only"][1:6] == [""] * 5
    assert rows["completers only"][-1].endswith("fewer than 3 patients")


def test_shapes_that_the_data_do_not_tell_apart_are_said_not_to_be(page):
    assert "If effects set in up to 1 month late or wore off (2 shapes)" in page.words
    assert "between 0.85 and 0.97; the data distinguish none of them from an effect that sets in at once" in page.words


def test_shapes_are_printed_with_how_well_they_predict(page):
    rows = page.rows("Effects that set in late or wear off")
    assert [row[:2] for row in rows] == [["0", "never"], ["1", "3"]]
    assert rows[1][4] == "−1.2 (0.8)"


def test_the_figures_are_there_with_names_of_their_own(page):
    for name in ("forest", "patients", "prior-sd", "expectation"):
        assert page.html.count(f'id="m1-sensitivity-{name}-') > 1
    assert page.html.count('id="m1-missing-delta-') > 1


def test_without_a_study_the_page_says_how_to_make_one_and_still_shows_the_other_models(tmp_path, trial, fits):
    page = written(tmp_path, trial, fits)
    assert "are not part of this report yet: run make sensitivity" in page.words
    assert [row[0] for row in page.rows("The change overall in every analysis")] == [
        "main analysis",
        "model alsfrsr_other",
        "model alsfrsr_broken",
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"positive": 0.6}, "already below 0.8 at the model's SD of 0.31 points/month. It stays below"),
        ({"positive": 0.6, "above": 0.9}, "It reaches 0.8 only where the SD is above 0.90."),
        ({}, "No prior centred at no change brings the probability below 0.8, down to an SD of 0.01"),
    ],
)
def test_a_tipping_prior_that_is_not_reached_is_not_called_one(analyses, varied, changed, words):
    other = varied | {"sensitivity_tipping": pd.DataFrame([point(curves.PRIOR_SD, at=0.31, **changed)])}
    rows = sensitivity_section.table(analyses, {}, other)
    assert any(words in sentence for sentence in sensitivity_words.sentences(rows, other, analyses[0]))


LEFT_FAST = Leaving(5, 0.42, 3.0, 0.001)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (LEFT_FAST, "Warning: those who decline fast leave earlier. 5 patients left while others were followed, and"),
        (replace(LEFT_FAST, probability=0.3), "not shown to have declined faster before treatment than those who then"),
        (replace(LEFT_FAST, probability=np.nan), "Whether those who decline fast leave earlier was not tested"),
    ],
)
def test_whether_fast_decliners_leave_is_said_and_warned_of(trial, analyses, varied, monkeypatch, found, words):
    monkeypatch.setattr("slopeshift.missing.tables.leaving", lambda *_: found)
    main = replace(analyses[0], tables=tables_of_fit(analyses[0].posterior))
    endings = of_trial(trial)["endings"]
    assert sum(words in sentence for sentence in missing_section.sentences(endings, varied, main)) == 1
    weak = any("declined fast before treatment left earlier" in line for line in limitations.of_fit(main))
    assert weak == found.fires


def test_a_delta_that_is_not_reached_is_said_not_to_be(trial, analyses, varied):
    other = varied | {"sensitivity_tipping": pd.DataFrame([point(study.DELTA)])}
    said = missing_section.sentences(of_trial(trial)["endings"], other, analyses[0])
    assert any("No delta up to 2.50 points/month brings the probability below 0.8." in sentence for sentence in said)


def test_moved_injections_get_a_row_and_no_difference(analyses):
    pseudo = pd.DataFrame(
        {
            "model": "alsfrsr",
            "outcome": "alsfrsr",
            "trial": ["made", "another"],
            "n_patients": 8,
            "n_visits": 32,
            "n_moves": 50,
            "mean_change": [0.03, 0.9],
            "sd_change": 0.05,
            "lower_change": -0.08,
            "upper_change": 0.14,
            "mean_prob_positive": 0.5,
        }
    )
    row = sensitivity_section.table(analyses, {"pseudo_injection": pseudo}, {}).iloc[-1]
    assert row["analysis"] == "injections moved to where nothing happened"
    assert (row["mean"], row["n_values"]) == (0.03, 32)
    assert np.isnan(row["difference"])
    assert row["note"] == "no injection was given there: mean and 95 % range of 50 sets of moves"
