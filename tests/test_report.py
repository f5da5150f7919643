import re

import numpy as np
import pandas as pd
import pytest
from made_reports import SKIPPED, Page, analyse, made_fit, made_report, made_trial, read, written

from slopeshift.answers.quantities import patients
from slopeshift.answers.tables import results_of
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.store import FitError
from slopeshift.report import page as pages
from slopeshift.report.files import spreadsheet
from slopeshift.report.parts import INDEX, SUMMARY, TECHNICAL
from slopeshift.report.sections import checks, data, safety
from slopeshift.report.words import findings, people
from slopeshift.report.words import numbers as wording
from slopeshift.trial import trial_from_tables

HOSTILE = ["<script>alert(1)</script>", "x" * 80, "مرحبا", "😀 & co", "$\\frac{1}{$", "=cmd|' /C calc'!A0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def trial():
    return made_trial(silent=("A3",))


@pytest.fixture(scope="module")
def fits(trial):
    return [made_fit(trial), made_fit(trial, "broken", broken=True), SKIPPED]


@pytest.fixture(scope="module")
def page(folder, trial, fits):
    """One passed fit, one failed, one skipped; patient A3 was never seen."""
    return written(folder, trial, fits)


@pytest.fixture(scope="module")
def results(trial, fits):
    return results_of(posterior_of(trial, fits[0]))


def visible(page, leave_out):
    """The text of the page's sections but some."""
    html = page.html
    for name in leave_out:
        html = re.sub(rf'<section id="{name}".*?</section>', "", html, flags=re.S)
    return re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", html[html.index("<main>") :], flags=re.S)


def csv(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv", dtype=str, keep_default_na=False)


# ---- the page as a document ----


def test_the_page_loads_nothing_from_anywhere(page):
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.tags:
        if tag == "a" and attributes["href"].partition("#")[0] in ("", INDEX, SUMMARY, TECHNICAL):
            continue
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert attributes.get(name, "#").startswith("#"), attributes
    assert not re.search(r"@import|url\((?!#)", page.html)


@pytest.fixture(scope="module")
def each(folder, page):
    """Every page by the name of its file."""
    return {name: Page(read(folder, name)) for name in (INDEX, TECHNICAL, SUMMARY)}


@pytest.mark.parametrize("name", [INDEX, TECHNICAL, SUMMARY])
def test_every_link_leads_somewhere_and_ids_are_unique(each, name):
    ids = {file: [a["id"] for _, a in found.tags if "id" in a] for file, found in each.items()}
    assert len(ids[name]) == len(set(ids[name]))
    links = {a["href"] for _, a in each[name].tags if "href" in a}
    assert len(links) > 10
    for link in links:
        file, _, target = link.partition("#")
        assert (file or name) in ids, link
        assert not target or target in ids[file or name], link


def test_every_definition_that_a_page_links_to_is_on_it(each):
    for name in (INDEX, TECHNICAL):
        links = {a["href"] for _, a in each[name].tags if "#def-" in a.get("href", "")}
        leave = {link for link in links if not link.startswith("#")}
        assert all(link.startswith(f"{TECHNICAL}#") for link in leave)
        assert len(links - leave) > 10


def test_the_shorter_page_has_leading_models_alone_and_says_where_the_rest_stands(each):
    assert not re.search(r'id="m2-', each[INDEX].html)
    assert {"m2-model", "m2-priors", "m2-diagnostics"} <= {a.get("id") for _, a in each[TECHNICAL].tags}
    assert {f"{TECHNICAL}#m1-model", f"{TECHNICAL}#m2-model"} <= {a.get("href") for _, a in each[INDEX].tags}


def test_no_figure_stands_twice(each):
    shown = [a["id"] for page in each.values() for tag, a in page.tags if tag == "svg"]
    of_the_front = [name for name in shown if name.endswith("-answer")]
    assert len(shown) - len(of_the_front) == len(set(shown) - set(of_the_front)) > 10


def test_every_figure_says_what_it_shows(page):
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) > 10
    assert all(figure["role"] == "img" and len(figure["aria-label"]) > 10 for figure in figures)


def test_the_first_words_say_that_data_are_synthetic(page):
    assert page.html.index("<title>SYNTHETIC DATA: ") < page.html.index("<body>")
    assert re.search(r"<body>\s*<[^>]*>\s*<strong>SYNTHETIC DATA", page.html)


def test_real_data_carry_no_banner(tmp_path):
    trial = made_trial(synthetic=False)
    assert "SYNTHETIC" not in written(tmp_path, trial, [made_fit(trial)]).words


def test_the_same_input_gives_the_same_bytes(folder, page, trial, fits, tmp_path):
    pages.write(made_report(trial, fits), tmp_path, figures=False)
    first, second = (
        {p.relative_to(f): p.read_bytes() for f in [f] for p in f.rglob("*.*")} for f in (folder, tmp_path)
    )
    assert first == second
    tables = {path.stem for path in first if path.suffix == ".csv"}
    always = {
        "interval",
        "covariates",
        "operating",
        "any_change",
        "unchanged",
        "borrowed",
        "permutation",
        "arms",
        "classical",
        "safety",
        "sensitivity",
        "missing",
        "figures",
    }
    assert tables == {*pages.OF_A_FIT, *checks.OF_A_MODEL, checks.COMPARISON, *always}


def test_a_report_that_fails_leaves_the_last_one(trial, fits, tmp_path, monkeypatch):
    index = pages.write(made_report(trial, fits[:1]), tmp_path)
    before = index.read_bytes()
    monkeypatch.setattr(pages, "published", None)
    with pytest.raises(TypeError):
        pages.write(made_report(trial, fits[:1]), tmp_path)
    assert index.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "figures",
        "index.html",
        "summary.html",
        "tables",
        "tables.xlsx",
        "technical.html",
    ]


def test_no_word_of_significance_and_no_arm_that_is_not_there(page):
    assert "significan" not in page.words.lower()
    assert "single arm, no control group" in page.words


def test_sources_are_shown_as_they_are(page):
    assert "if a < b & c: pass  # 95 % of them" in "".join(page.text)


# ---- what a failed gate hides ----


def test_a_failed_gate_shows_diagnostics_and_names_what_failed(page, trial, fits):
    failures = results_of(posterior_of(trial, fits[1])).failures
    assert failures
    assert "GATE FAILED" in page.words
    assert failures[0] in page.words
    assert "m2-rank-0" in page.html


@pytest.fixture(scope="module")
def failed(trial, tmp_path_factory):
    folder = tmp_path_factory.mktemp("failed")
    return folder, written(folder, trial, [made_fit(trial, broken=True)])


@pytest.mark.parametrize("name", ["population", "patients", "responders", "change_curve"])
def test_a_failed_gate_leaves_the_tables_empty(failed, name, results):
    table = csv(failed[0], name)
    assert table.empty
    assert list(table.columns) == list(getattr(results, name).columns)


def test_a_failed_gate_prints_no_effect_in_the_page(failed):
    page = failed[1]
    for figure in ("answer", "density", "exceedance", "forest", "counts", "predictive", "residuals"):
        assert f"m1-{figure}" not in page.html
    for caption in (
        "Every patient, by injection",
        "How many patients slowed",
        "An average patient: estimate (95 % interval)",
    ):
        assert caption not in page.tables
    assert {cell for row in page.rows("Before and after the data") for cell in row[4:]} == {"withheld"}
    assert "All injections together" not in page.words
    assert "fill-opacity:0.25" not in page.html


def test_a_failed_gate_prints_no_posterior_number(failed, trial):
    draws = made_fit(trial, broken=True).tree["posterior"]
    numbers = [
        wording.number(float(draws["population"].sel(coefficient=c).mean())) for c in draws["coefficient"].to_numpy()
    ]
    numbers += [
        wording.number(float(draws["coefficients"].isel(patient=0).sel(coefficient="change 1").quantile(0.975)))
    ]
    assert [n for n in numbers if n in failed[1].words] == []


def test_one_failed_fit_does_not_hide_the_others(page, folder):
    assert set(csv(folder, "patients")["model"]) == {"alsfrsr"}
    assert set(csv(folder, "diagnostics")["model"]) == {"alsfrsr", "broken"}
    assert "m1-density" in page.html
    assert "m2-density" not in page.html


def test_a_skipped_model_is_mentioned_with_the_reason(page):
    assert "Not fitted, because the trial records no fvc: fvc." in page.words


def test_nothing_but_skipped_models_still_makes_a_report(trial, tmp_path):
    page = written(tmp_path, trial, [SKIPPED])
    assert "the trial records no fvc" in page.words
    assert all(csv(tmp_path, name).empty for name in pages.OF_A_FIT)


def test_a_fit_of_other_data_is_refused(trial):
    fit = made_fit(trial)
    fit.record["inputs"]["data"] = {"visits.csv": "f" * 64}
    with pytest.raises(FitError, match="made from other data than trial made; fit it again"):
        made_report(trial, [fit])


# ---- the numbers are those of the tables ----


def test_the_made_up_fit_passes(results):
    assert results.passed


@pytest.mark.parametrize("name", pages.OF_A_FIT)
def test_csv_files_have_the_columns_and_rows_of_the_results(page, folder, results, name):
    table, expected = csv(folder, name), getattr(results, name)
    mine = table[table["model"] == "alsfrsr"]
    assert list(table.columns) == list(expected.columns)
    assert len(mine) == len(expected)
    for column in expected.select_dtypes("number"):
        written = np.array([float(cell or "nan") for cell in mine[column]])
        assert written == pytest.approx(expected[column].to_numpy(), rel=1e-5, abs=1e-300, nan_ok=True)


def test_patients_are_printed_with_the_numbers_of_their_table(page, results):
    rows = {(row[0], row[1]): row for row in page.rows("Every patient, by injection")}
    for row in results.patients.itertuples():
        printed = rows[row.patient, row.injection]
        assert printed[2:4] == [str(row.n_visits), wording.number(row.mean)]
        assert printed[4] == wording.between(row.lower, row.upper, "points/month")
        assert printed[5:8] == [
            wording.probability(p) for p in (row.prob_better, row.prob_slowing_25, row.prior_prob_slowing_25)
        ]


def test_a_cycle_without_result_has_words_and_no_number(page, results):
    shown = set(zip(results.patients["patient"], results.patients["injection"], strict=True))
    rest = [row for row in page.rows("Every patient, by injection") if (row[0], row[1]) not in shown]
    assert {tuple(row) for row in rest} == {
        ("A2", "2", "not reached"),
        ("A3", "1", "not informed"),
        ("A3", "2", "not reached"),
        ("A3", "overall", "not informed"),
        ("A4", "2", "not reached"),
    }


def test_an_average_patient_is_printed_with_the_numbers_of_the_table(page, results):
    rows = {row[0].replace("\u00a0", " "): row[1:] for row in page.rows("An average patient: estimate (95 % interval)")}
    change = results.population[results.population["quantity"] == "change"]
    expected = [f"{wording.number(r.mean)} ({wording.between(r.lower, r.upper, r.unit)})" for r in change.itertuples()]
    assert rows["Change of slope from before, points/month"] == ["", *expected]
    assert rows["Pr(change > 0): slower decline"] == ["", *map(wording.probability, change["prob_better"])]


def test_the_answer_says_in_words_what_the_table_says(page, results):
    found = findings.findings(results)
    assert [finding.after for finding in found] == ["All injections together", "Injection 1", "Injection 2"]
    words = page.words.replace("\u00a0", " ")
    change = results.population.query("quantity == 'change' and injection == '1'").iloc[0]
    assert f"Injection 1: {wording.certainty(change['prob_better'])}" in words
    assert f"{wording.number(change['mean'], sign=True)} points/month" in words
    number = results.responders.query("injection == 'overall' and threshold == 25").iloc[0]
    assert f"{wording.count(number['expected'])} (95 % interval {number['lower']} to {number['upper']})" in words


def test_before_and_after_has_the_prior_of_the_fit(page, fits):
    row = next(row for row in page.rows("Before and after the data") if row[0] == "Residual SD")
    prior, posterior = (fits[0].tree[group]["sigma"].to_numpy() for group in ("prior", "posterior"))
    assert row[2:4] == [wording.number(prior.mean()), wording.between(*np.quantile(prior, (0.025, 0.975)), "points")]
    assert row[4] == wording.number(posterior.mean())


def test_the_gate_table_shows_the_worst_value_and_where(page, trial, fits):
    diagnostics = results_of(posterior_of(trial, fits[1])).diagnostics.query("diagnostic == 'rhat'")
    worst = diagnostics.loc[diagnostics["value"].idxmax()]
    row = next(row for table in page.tables["Diagnostics gate"][1:] for row in table if row[0].startswith("R-hat"))
    assert row[2:4] == [wording.number(worst["value"], 3), worst["quantity"]]
    assert row[4] == f"FAILED ({(~diagnostics['ok']).sum()} of {len(diagnostics)})"


# ---- hostile and unusual trials ----


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    trial = made_trial(HOSTILE, k=1)
    return folder, written(folder, trial, [made_fit(trial)])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is_written(hostile, name):
    page = hostile[1]
    assert name in {row[0] for row in page.rows("Every patient, by injection")}
    assert [tag for tag, _ in page.tags].count("script") == 2, "the numbers of the patient view, and its own script"


def test_a_name_that_a_spreadsheet_would_run_is_neutralised(hostile):
    names = set(csv(hostile[0], "patients")["patient"])
    assert "'=cmd|' /C calc'!A0" in names
    assert not any(name.startswith("=") for name in names)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+A1", "'+A1"),
        ("-A1", "'-A1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-inf(1)", "'-inf(1)"),
        ("-5", "-5"),
        ("+1.5e-3", "+1.5e-3"),
        ("P-1", "P-1"),
        ("", ""),
    ],
)
def test_csv_text_that_is_a_formula_gets_an_apostrophe(cell, written):
    frame = pd.DataFrame({"x": [cell], "y": [-0.123456789]})
    text = spreadsheet.csv(frame)
    assert text.splitlines()[0] == "x,y"
    assert text.endswith(",-0.123457\n")
    assert text[4:].rsplit(",", 1)[0].strip('"') == written


def test_without_injections_the_report_is_a_natural_history(tmp_path):
    trial = made_trial(k=0)
    fit = made_fit(trial)
    page = written(tmp_path, trial, [fit])
    slope = wording.number(float(fit.tree["posterior"]["population"].sel(coefficient="slope").mean()))
    assert "Natural history" in page.words
    assert f"Slope over the whole follow-up: {slope} points/month" in page.words
    for words in ("change of slope", "chance alone", "control group"):
        assert words not in visible(page, leave_out=("model", "crosswalk", "definitions")).lower()
    assert not {attributes.get("id") for _, attributes in page.tags} & {"patients", "m1-density", "m1-counts"}
    assert "m1-patient-0" in page.html
    assert csv(tmp_path, "patients").empty


def test_one_patient_with_one_injection_makes_a_report(tmp_path):
    trial = made_trial(("only",), k=1)
    assert "of 1 patient with values after an injection" in written(tmp_path, trial, [made_fit(trial)]).words


@pytest.mark.parametrize(("controls", "said"), [(0, True), (4, True), (5, False)])
def test_five_followed_patients_without_injection_are_a_control_group(controls, said):
    assert people.has_control_group(made_trial(controls=controls)) is not said


def test_stages_count_patients_and_values():
    table = data.stages(made_trial(silent=("A3",), controls=1))
    assert [row[0] for row in table.rows] == ["Enrolled", "No injection", "Lead-in", "Cycle 1", "Cycle 2"]
    assert [row[1] for row in table.rows] == ["5", "1", "4", "4", "1"]
    assert [row[2] for row in table.rows] == ["32", "7", "9", "12", "4"]
    assert table.rows[3][3:] == ["3", "12", "4.0"]


def test_stops_are_counted_by_injections_received():
    table = data.stops(made_trial())
    assert table.columns == ["Injections", "Patients", "completed", "death"]
    assert table.rows == [["1 received", "3", "3", "0"], ["2 received", "1", "0", "1"]]


@pytest.mark.parametrize(("score", "prefer"), [(47.0, True), (30.0, False)])
def test_a_bounded_model_is_preferred_where_scores_crowd_an_end(score, prefer, tmp_path):
    tables = {
        "patients": pd.DataFrame({"patient": ["A"]}),
        "visits": pd.DataFrame({"patient": "A", "month": range(-2, 5), "alsfrsr": score}),
        "injections": pd.DataFrame({"patient": ["A"], "injection": [1], "month": [0.0]}),
    }
    trial = trial_from_tables("made", tables, {"title": "t", "synthetic": False, "source": "s"})
    page = written(tmp_path, trial, [made_fit(trial)])
    assert ("prefer a bounded model" in page.words) is prefer
    assert ("prefer a bounded model" in page.words) is prefer


def test_adverse_events_are_counted_by_term_and_seriousness():
    tables = {
        "patients": pd.DataFrame({"patient": ["A", "B"]}),
        "visits": pd.DataFrame({"patient": ["A", "B"], "month": 0, "alsfrsr": 30}),
        "injections": pd.DataFrame({"patient": ["A"], "injection": [1], "month": [0.0]}),
        "events": pd.DataFrame(
            [("A", 1, "fever", "no"), ("A", 2, "fever", "yes"), ("B", 1, "fever", "no"), ("B", 1, "pain", "no")],
            columns=["patient", "month", "term", "serious"],
        ),
    }
    trial = trial_from_tables("made", tables, {"title": "t", "synthetic": False, "source": "s"})
    assert safety.adverse_events(trial).rows == [
        ["fever", "not said", "3", "2", "1", "1"],
        ["pain", "not said", "1", "1", "0", "0"],
    ]
    rows = {row[0]: row[2:4] for row in safety.events_of_patients(trial).rows}
    assert sum(int(events) for events, _ in rows.values()) == 4
    assert sum(int(serious) for _, serious in rows.values()) == 1


def test_the_prior_base_rate_leaves_the_mean_over_cycles_out(fits, trial):
    whole = analyse(trial, fits[0]).answered
    prior = patients(whole.posterior.prior)
    single = prior.sel(row=prior["injection"] != "overall")
    expected = ((single["change"] >= -0.25 * single["slope"]) & (single["slope"] < 0)).mean()
    assert whole.number("prior_prob_slowing_25") == pytest.approx(float(expected))


# ---- words and numbers ----


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (1.0, "almost certainly slower decline"),
        (0.99, "almost certainly slower decline"),
        (0.9851, "almost certainly slower decline"),
        (0.9849, "very probably slower decline"),
        (0.95, "very probably slower decline"),
        (0.94, "probably slower decline"),
        (0.80, "probably slower decline"),
        (0.79, "unclear whether the decline changed"),
        (0.5, "unclear whether the decline changed"),
        (0.21, "unclear whether the decline changed"),
        (0.2, "probably faster decline"),
        (0.05, "very probably faster decline"),
        (0.004, "almost certainly faster decline"),
    ],
)
def test_words_follow_the_probability_as_printed(probability, words):
    assert wording.certainty(probability) == words


@pytest.mark.parametrize(
    ("probability", "words"), [(0.97, "very probably higher slope"), (0.1, "probably lower slope")]
)
def test_a_slope_that_did_not_fall_has_no_decline_to_slow(probability, words):
    assert wording.certainty(probability, worsening=False) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.974, "0.97"), (0.9901, "> 0.99"), (0.99, "0.99"), (1, "> 0.99"), (0, "< 0.01"), (0.01, "0.01"), (np.nan, "–")],
)
def test_probabilities_are_never_printed_as_certain(value, text):
    assert wording.probability(value) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1.005,), "−1.00"),
        ((-0.001,), "0.00"),
        ((0.3237, 2, True), "+0.32"),
        ((-0.3237, 2, True), "−0.32"),
        ((0.001, 2, True), "0.00"),
        ((np.nan,), "–"),
        ((33.6, 0), "34"),
    ],
)
def test_numbers_are_rounded_and_signed(arguments, text):
    assert wording.number(*arguments) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 %"), (0.001, "< 1 %"), (0.034, "3 %"), (1, "100 %")])
def test_a_small_share_is_not_printed_as_none(value, text):
    assert wording.share(value) == text


@pytest.mark.parametrize(("value", "text"), [(11.96, "12"), (9.94, "9.9"), (9.95, "10"), (0.35, "0.3"), (0, "0.0")])
def test_expected_numbers_keep_a_decimal_below_ten(value, text):
    assert wording.count(value) == text


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_read_as_sentences(items, text):
    assert wording.listed(items) == text
