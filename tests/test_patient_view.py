"""What the page carries of every patient: the numbers of its tables and draws, in a form that no text can break."""

import base64
import hashlib
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_reports import SKIPPED, analyse, made_fit, made_trial, written

from slopeshift.report.figures import courses
from slopeshift.report.sections import patient_view, patients

HOSTILE = (
    "</script><script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "../../x",
    "x" * 80,
    "مرحبا",
    "😀 & co",
    "<!--",
)


@pytest.fixture(scope="module")
def trial():
    """A3 was never seen, A4 has a single injection of three, C0 none."""
    return made_trial(("A1", "A2", "A3", "A4"), k=3, silent=("A3",), controls=1)


@pytest.fixture(scope="module")
def whole(trial):
    return analyse(trial, made_fit(trial), "m1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def page(folder, trial):
    return written(
        folder, trial, [made_fit(trial), made_fit(trial, "second"), made_fit(trial, "broken", broken=True), SKIPPED]
    )


def scripts(page):
    """Return the text of every script element, with its attributes."""
    found = re.findall(r"<script([^>]*)>(.*?)</script>", page.html, flags=re.DOTALL)
    return [(attributes.strip(), text) for attributes, text in found]


def held(page):
    """Read what the page carries, as the browser would."""
    text = next(text for attributes, text in scripts(page) if "application/json" in attributes)
    return json.loads(text)


@pytest.fixture(scope="module")
def view(page):
    return held(page)


@pytest.fixture(scope="module")
def one(view):
    """What is held of one patient of the only outcome."""
    return lambda name: view["outcomes"][0]["patients"][view["patients"].index(name)]


def number(text):
    return float(text.replace("−", "-").replace("+", ""))


# ---- the numbers are those of the page ----


def test_the_record_is_what_the_tables_of_the_trial_say(one, trial):
    visits = trial.visits[trial.visits["patient"] == "A1"]
    assert one("A1")["month"] == visits["month"].tolist()
    assert one("A1")["value"] == visits["alsfrsr"].tolist()
    given = trial.injections[trial.injections["patient"] == "A1"]
    assert one("A1")["injections"] == given["month"].tolist()
    assert one("A1")["ending"] == [12, "death", "died at month 12.0"]


def test_every_number_of_the_table_is_that_of_the_csv_file(view, folder):
    table = pd.read_csv(folder / "tables" / "patients.csv", keep_default_na=False)
    table = table[table["model"] == "alsfrsr"].set_index(["patient", "injection"])
    seen = 0
    for name, patient in zip(view["patients"], view["outcomes"][0]["patients"], strict=True):
        for row in patient["rows"]:
            key = (name, {"all": "overall"}.get(row[0], row[0]))
            if len(row) == 2:
                assert key not in table.index
                continue
            seen += 1
            expected = table.loc[key]
            lower, upper = row[3].split(" to ")
            for text, column in ((row[2], "mean"), (lower, "lower"), (upper, "upper")):
                assert number(text) == pytest.approx(expected[column], abs=0.00501)
            for text, column in zip(row[4:7], PROBABILITIES, strict=True):
                assert text == printed(expected[column])
            assert int(row[1]) == expected["n_visits"]
            assert row[7] == expected["flag"]
    assert seen == len(table)


PROBABILITIES = ("prob_better", "prob_slowing_25", "prior_prob_slowing_25")


def printed(probability):
    return "> 0.99" if probability > 0.99 else "< 0.01" if probability < 0.01 else f"{probability:.2f}"


def test_the_table_prints_what_the_table_of_all_patients_prints(view, whole):
    """But for the sign of a change, which is always there."""
    plain = {tuple(row[:2]): row[2:] for row in patients.patients(whole).rows}
    for name, patient in zip(view["patients"], view["outcomes"][0]["patients"], strict=True):
        for row in patient["rows"]:
            page_row = plain.get((name, {"all": "overall"}.get(row[0], row[0])))
            if page_row is None:
                assert row[1] in ("not informed", "no injection")
            elif len(row) == 2:
                assert row[1:] == page_row
            else:
                assert [cell.replace("+", "").replace("\u00a0", " ") for cell in row[1:7]] == page_row[:6]


def test_the_sentence_says_the_numbers_of_the_row_over_all_cycles(one):
    row = one("A1")["rows"][-1]
    said = one("A1")["said"][1].replace("\u00a0", " ")
    assert said.startswith("Over all cycles: ")
    for cell in row[2:4]:
        assert cell in said
    assert f"probability of slowing by 25 % or more {row[5]}, before the data {row[6]}." in said


def test_a_cycle_without_a_result_has_words_and_no_number(one):
    assert [row[:2] for row in one("A4")["rows"][1:3]] == [["2", "not reached"], ["3", "not reached"]]
    assert "Not reached: injection 2 and 3." in one("A4")["said"]
    assert one("A3")["rows"] == [
        ["1", "not informed"],
        ["2", "not reached"],
        ["3", "not reached"],
        ["all", "not informed"],
    ]
    assert one("A3")["said"][1:] == ["No value was recorded after an injection, so nothing is said of a change."]
    assert one("C0")["said"][1:] == ["No injection was given, so nothing is said of a change."]
    assert one("C0")["without"] == [[], [], [], []]


def test_flags_are_told_in_words():
    numbers = dict.fromkeys("mean lower upper prob_better prob_slowing_25 prior_prob_slowing_25".split(), 0.99)
    row = SimpleNamespace(flag="percent undefined; short lead-in", **numbers)
    said = patient_view._change(row, {}, SimpleNamespace(rate="points/month", sign=1))
    assert said[0].startswith("Over all cycles: almost certainly higher slope.")
    assert said[1].startswith("Percent undefined: ")
    assert said[2].startswith("Short lead-in: ")


# ---- the lines ----


def drawn(whole, patient):
    """All draws of a patient's coefficients, and the months of the injections."""
    i = whole.visits.patients.index(patient)
    values = whole.posterior.draws["coefficients"].transpose("chain", "draw", "patient", "coefficient").to_numpy()
    return values.reshape(-1, *values.shape[2:])[:, i], whole.visits.injection_month[i]


def spent(month, injections):
    """By hand: the months spent while each injection was the latest."""
    following = [*injections[1:], np.inf]
    pairs = zip(injections, following, strict=True)
    return [max(min(month, np.inf if np.isnan(b) else b) - a, 0.0) if a == a else 0.0 for a, b in pairs]


@pytest.mark.parametrize("patient", ["A1", "A2", "A4"])
def test_the_lines_are_quantiles_of_the_patients_mean_draw_by_draw(one, whole, patient):
    """Without injections, level and slope alone; in all draws, of which there are fewer than a line may take."""
    coefficients, injections = drawn(whole, patient)
    assert len(coefficients) <= courses.LINE_DRAWS
    for line, mean in (
        ("line", lambda month: coefficients @ [1.0, month, *spent(month, injections)]),
        ("without", lambda month: coefficients[:, 0] + coefficients[:, 1] * month),
    ):
        for month, median, lower, upper in zip(*one(patient)[line], strict=True):
            # Months are held to four digits, at which a line moves by less than a hundredth.
            expected = np.quantile(mean(month), (0.5, 0.025, 0.975))
            np.testing.assert_allclose([median, lower, upper], expected, atol=0.02)


def test_the_lines_part_at_the_first_injection_and_end_at_the_last_value(one):
    patient = one("A1")
    assert patient["line"][0][0] == patient["month"][0]
    assert patient["without"][0][0] == patient["injections"][0] == 0
    assert patient["line"][0][-1] == patient["without"][0][-1] == patient["month"][-1]
    at = patient["line"][0].index(0)
    assert [series[at] for series in patient["line"]] == [series[0] for series in patient["without"]]


def test_the_gap_is_the_sum_of_the_changes_over_the_months_they_lasted(one, whole):
    """By hand: three injections four months apart, and the last value at month 12."""
    coefficients, _ = drawn(whole, "A1")
    gap = 4 * (coefficients[:, 2] + coefficients[:, 3] + coefficients[:, 4])
    lower, median, upper = np.quantile(gap, (0.025, 0.5, 0.975))
    said = one("A1")["said"][-1].replace("−", "-").replace("\u00a0", " ")
    side = "above" if median > 0 else "below"
    assert f"in month 12.0, the fitted line is {abs(median):.2f} points {side} the course before treatment" in said
    assert f"interval of the difference {lower:+.2f} to {upper:+.2f})" in said


def test_a_patient_without_a_value_after_the_first_injection_has_no_other_line(trial):
    """The two lines are one up to the injection."""
    early = trial.visits[(trial.visits["patient"] != "A4") | (trial.visits["month"] <= 0)]
    cut = made_trial_with(trial, early)
    found = {course.patient: course for course in courses.courses(analyse(cut, made_fit(cut), "m1"))}
    assert not found["A4"].line.empty
    assert found["A4"].without.empty
    assert found["A4"].gap.size == 0
    assert not found["A1"].without.empty


def made_trial_with(trial, visits):
    from slopeshift.trial import trial_from_tables

    tables = {"patients": trial.patients, "visits": visits, "injections": trial.injections}
    given = {"title": "t", "synthetic": True, "source": "s"}
    return trial_from_tables("made", {name: t.reset_index(drop=True) for name, t in tables.items()}, given)


# ---- what may be shown ----


def test_only_models_that_answer_are_held(view):
    assert [outcome["model"] for outcome in view["outcomes"]] == ["alsfrsr"]


def test_nothing_of_a_failed_fit_is_held(tmp_path, trial):
    page = written(tmp_path, trial, [made_fit(trial, broken=True)])
    assert scripts(page) == []
    section = page.html[page.html.index('<section id="patient-view">') :]
    section = section[: section.index("</section>")]
    assert "Withheld: this fit failed its" in section
    assert "view-patient" not in section


def test_a_trial_without_injections_has_records_and_lines_and_nothing_of_changes(tmp_path):
    trial = made_trial((), controls=3)
    page = written(tmp_path, trial, [made_fit(trial)])
    patients = held(page)["outcomes"][0]["patients"]
    assert all(patient["rows"] == [] and len(patient["said"]) == 1 for patient in patients)
    assert all(patient["line"][0] and not patient["without"][0] for patient in patients)
    section = page.html[page.html.index('<section id="patient-view">') :].partition("</section>")[0]
    assert "before treatment" not in re.sub(r"<script.*?</script>", "", section, flags=re.DOTALL)


def test_a_large_cohort_is_cut_and_the_page_says_so(tmp_path, trial, page, view, monkeypatch):
    assert "The page carries the first" not in page.words
    assert view["left_out"] == 0
    monkeypatch.setattr(patient_view, "MOST", 2)
    cut = written(tmp_path, trial, [made_fit(trial)])
    assert held(cut)["patients"] == ["A1", "A2"]
    assert len(held(cut)["outcomes"][0]["patients"]) == 2
    assert "The page carries the first 2 of 5 patients, in the order of the tables" in cut.words


def test_a_patient_takes_a_few_kilobytes(view):
    sizes = [len(json.dumps(patient, separators=(",", ":"))) for patient in view["outcomes"][0]["patients"]]
    assert max(sizes) < 4500
    assert patient_view.MOST * max(sizes) < 1.5e6


def test_without_a_script_the_section_says_so_and_names_the_tables(page):
    off = page.html[page.html.index('id="view-off"') :].partition("</p>")[0]
    assert "JavaScript" in off
    assert 'href="#patients"' in off
    assert 'href="#trajectories"' in off
    assert '<div id="view-on" hidden>' in page.html


# ---- what the page may run ----


def test_the_page_has_the_numbers_and_the_one_script_that_its_policy_names(page):
    (kind, _), (attributes, text) = scripts(page)
    assert kind == 'type="application/json" id="view-data"'
    assert attributes == ""
    assert text == patient_view.script()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.html).group(1)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.html.index("Content-Security-Policy") < page.html.index("<style>")


def test_no_tag_of_the_page_has_a_handler_that_the_policy_would_stop(page):
    assert not [tag for tag in page.tags if any(name.startswith("on") for name in tag[1])]


def test_the_script_asks_for_nothing_and_makes_no_markup_of_texts():
    text = patient_view.script()
    assert "</" not in text
    for forbidden in (
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "Function(", "setTimeout"),
        *("fetch", "XMLHttpRequest", "WebSocket", "import", "http:", "localStorage", "cookie"),
    ):
        assert forbidden not in text.replace('"http://www.w3.org/2000/svg"', ""), forbidden


@pytest.mark.parametrize("text", [*HOSTILE, "\u2028\u2029", "&lt;", '"\\', "<!--<script>"])
def test_any_text_can_be_held_and_is_read_back_as_it_was(text):
    written = patient_view.embedded({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text]}


@given(st.dictionaries(st.text(), st.lists(st.text())))
def test_whatever_is_held_has_no_letter_that_html_would_read(content):
    written = patient_view.embedded(content)
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == content


def test_a_number_that_json_cannot_say_is_refused():
    with pytest.raises(ValueError, match="Out of range float"):
        patient_view.embedded({"x": float("nan")})


def test_hostile_names_are_held_as_they_are_written(tmp_path):
    trial = made_trial(HOSTILE, k=1)
    page = written(tmp_path, trial, [made_fit(trial)])
    assert set(held(page)["patients"]) == set(HOSTILE)
    assert len(scripts(page)) == 2
    assert [tag for tag, _ in page.tags].count("script") == 2
