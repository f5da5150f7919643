"""The sections of the report, and how every number in it leads to its definition."""

import itertools
import json
import re
import tomllib
from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace

import pandas as pd
import pytest
from made_reports import (
    CHANGE,
    LONG,
    SAID_BY_THEMSELVES,
    SKIPPED,
    Page,
    analyse,
    made_fit,
    made_prior,
    made_report,
    made_trial,
    read,
    written,
)
from trials import ROOT

from slopeshift.answers import interval
from slopeshift.answers.control import control_table
from slopeshift.model.priors import Normal
from slopeshift.report import markup
from slopeshift.report import page as pages
from slopeshift.report.figures.vector import svg
from slopeshift.report.parts import TECHNICAL
from slopeshift.report.sections import (
    answer,
    crosswalk,
    data,
    data_checks,
    limitations,
    population,
    priors,
    question,
    reproducibility,
)
from slopeshift.report.words import chance as by_chance
from slopeshift.report.words import findings, glossary, people
from slopeshift.report.words import numbers as wording
from slopeshift.trial import read_trial, trial_from_tables

pytestmark = pytest.mark.usefixtures("undrawn")

NO_INTERVAL = pd.DataFrame(columns=interval.COLUMNS)


def refits(model="alsfrsr", mean=0.01, sd=0.1):
    columns = {"source": "fit", "entry": "", "n_refits": 50, "n_failed": 2, "mean_called": 0.37}
    rest = dict.fromkeys(("share_positive", "share_negative", "mc_error", "share_any_called"), 0.0)
    rest |= dict.fromkeys(("share_covering_zero", "expected_false_claims", "mean_called_alone"), 1.0)
    table = {"model": model, "outcome": "alsfrsr", "injection": ["1", "2", "overall"], "mean_change": mean}
    return pd.DataFrame(table | columns | rest | {"sd_change": sd, "expected_false_alone": 0.1})


@pytest.fixture(scope="module")
def trial():
    return made_trial(silent=("A3",))


@pytest.fixture(scope="module")
def analysed(trial):
    return analyse(trial, made_fit(trial))


@pytest.fixture(scope="module")
def study():
    return {"null_refits": refits()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def page(folder, trial, study):
    fits = [made_fit(trial), made_fit(trial, "broken", broken=True), SKIPPED]
    return written(folder, trial, fits, study)


# ---- order, numbers, headings ----


@pytest.fixture(scope="module", params=LONG)
def one(request, folder, page):
    """One of the two long pages."""
    return Page(read(folder, request.param))


def test_sections_are_numbered_in_the_order_of_the_page_and_all_are_in_the_contents(one):
    found = re.findall(r'<section id="([\w-]+)"[^>]*>\s*<h2>(\d+)\. ', one.html)
    assert [int(number) for _, number in found] == list(range(1, len(found) + 1))
    nav = re.search(r"<nav.*?</nav>", one.html, re.S)[0]
    first = ["answer"] if 'id="answer"' in one.html else []
    assert re.findall(r'href="#([\w-]+)"', nav) == [*first, *(name for name, _ in found)]
    assert len(found) >= 15


def test_is_it_true_comes_first_after_the_answer(page):
    assert re.findall(r'<section id="([\w-]+)"', page.html)[:2] == ["answer", "truth"]


def test_headings_go_down_by_one_level_at_a_time(one):
    levels = [int(tag[1]) for tag, _ in one.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_heads_with_a_scope(page):
    tables = re.findall(r"<table.*?</table>", page.html, re.S)
    assert len(tables) > 15
    for table in tables:
        assert re.search(r"<caption>\S", table)
        assert all('scope="' in head for head in re.findall(r"<th(?=[ >])[^>]*>", table))


def test_a_page_can_be_entered_by_keyboard_and_has_its_landmarks(one):
    tags = [tag for tag, _ in one.tags]
    assert all(tags.count(landmark) == 1 for landmark in ("header", "main", "nav", "footer"))
    first = next(attributes for tag, attributes in one.tags if tag == "a")
    assert first == {"class": "skip", "href": "#contents"}


def test_numbering_leaves_other_headings_alone():
    html, found = markup.numbered(
        '<section id="a">\n<h2>One</h2></section><h2 id="b">No</h2><section id="c"><h2>Two</h2>', 5
    )
    assert html == '<section id="a">\n<h2>5. One</h2></section><h2 id="b">No</h2><section id="c"><h2>6. Two</h2>'
    assert found == [("a", 5, "One"), ("c", 6, "Two")]


@pytest.mark.parametrize("text", ['"; } body { display: none', "</style><script>", "\\", "مرحبا", "a\nb"])
def test_a_title_in_a_style_sheet_is_text_and_nothing_else(text):
    assert re.fullmatch(r"(?:[A-Za-z0-9]|\\[0-9a-f]+ )*", markup.in_css(text))


# ---- every number leads to its definition, and back ----


def test_every_head_of_a_column_is_defined_or_says_itself_what_it_is(page):
    for table in re.findall(r"<table.*?</table>", page.html, re.S):
        for head in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table, re.S):
            text = re.sub(r"<[^>]*>", "", head).replace("\u00a0", " ").replace("&gt;", ">").replace("&lt;", "<").strip()
            known = text in (*glossary.PLAIN, *SAID_BY_THEMSELVES) or re.fullmatch(r"Injection \d|.*, points", text)
            assert "href" in head or known, text


def test_every_quantity_of_the_population_is_defined_by_its_own_name(analysed):
    quantities = set(analysed.results.population["quantity"])
    assert quantities <= set(glossary.definitions())


def test_every_row_of_a_quantity_leads_to_its_definition(page):
    for caption in ("Before and after the data", "An average patient: estimate (95 % interval)"):
        table = next(
            t
            for t in re.findall(r"<table.*?</table>", page.html.replace("\u00a0", " "), re.S)
            if f"<caption>{caption}" in t
        )
        rows = re.findall(r'<th scope="row">(.*?)</th>', table, re.S)
        assert len(rows) > 5
        assert all('href="#def-' in row for row in rows), caption


def test_the_numbers_of_the_first_screen_lead_to_their_definitions(page):
    screen = page.html[page.html.index('id="answer"') : page.html.index("<nav")]
    for key in ("change", "interval_95", "percent_slowing", "prob_better", "chance_range", "expected_number"):
        assert f'href="#def-{key}"' in screen, key


def test_a_definition_says_formula_unit_table_and_code_and_leads_back(page, folder):
    text = files("slopeshift.report").joinpath("words/definitions.toml").read_text(encoding="utf-8")
    assert list(tomllib.loads(text)) == list(glossary.definitions())
    technical = read(folder, TECHNICAL)
    shown = 0
    for definition in glossary.definitions().values():
        assert all((definition.meaning, definition.formula, definition.unit, definition.table, definition.code))
        if block := re.search(rf'<div id="{definition.anchor}">.*?</div>', technical, re.S):
            shown += 1
            assert re.search(r'href="(index\.html)?#', block[0]), definition.key
    assert shown > 50


def test_no_name_in_print_has_two_definitions():
    names = [n for d in glossary.definitions().values() for n in (d.label, *d.printed)]
    assert len(names) == len(set(names))


def test_tables_named_by_definitions_are_tables_of_the_report_with_those_columns(folder, page):
    made = {path.name: pd.read_csv(path, dtype=str) for path in (folder / "tables").glob("*.csv")}
    elsewhere = {"null_reference.csv", "pseudo_injection.csv", "patients.csv", "visits.csv", "injections.csv"}
    elsewhere |= {"waning.csv", "dropout_tipping.csv", "safety_arms.csv", "baseline.csv"}
    for definition in glossary.definitions().values():
        for name, inside in re.findall(r"(\w+\.csv)(?: \(([^)]*)\))?", definition.table):
            assert name in made or name in elsewhere, name
            words = [word.strip() for word in inside.split(",") if word.strip()]
            if name in ("patients.csv", "responders.csv", "interval.csv", "safety.csv"):
                rows = set(made[name].get("quantity", []))
                assert set(words) <= set(made[name].columns) | rows | {w for w in words if w.startswith("interval_")}


def test_code_named_by_definitions_exists():
    import importlib

    for definition in glossary.definitions().values():
        for name in definition.code.split(", "):
            module, _, function = name.rpartition(".")
            try:
                found = getattr(importlib.import_module(f"slopeshift.{module}"), function)
            except (ImportError, AttributeError):
                found = importlib.import_module(f"slopeshift.{name}")
            assert found


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Change of slope, injection 2", "change"),
        ("Slope, % predicted/month", "segment_slope"),
        ("Pr(slowing ≥ 25\u00a0%)", "prob_slowing_25"),
        ("<script>", ""),
        ("", ""),
    ],
)
def test_names_in_print_are_found_with_their_unit_or_injection(text, key):
    assert glossary.anchor(text) == (key and f"def-{key}")


# ---- the first screen ----


@pytest.mark.parametrize(("mean", "words"), [(0.0, "within"), (2.0, "below"), (-2.0, "above")])
def test_the_estimate_is_placed_beside_chance_as_the_numbers_say(analysed, mean, words):
    chance = by_chance.by_chance({"null_refits": refits(mean=mean, sd=0.5)}, "alsfrsr")
    finding = findings.findings(analysed.results)[0]
    found = answer.mean_change(analysed, finding.injection)
    assert found == pytest.approx(CHANGE, abs=0.05)
    placed = answer.beside_chance(finding, found, chance, analysed.rate)
    lower, upper = mean - 1.0, mean + 1.0
    assert placed == f"{words} what chance gives ({wording.between(lower, upper, analysed.rate, sign=True)})"


def test_without_refits_of_this_model_nothing_is_said_of_chance(analysed):
    for study in ({}, {"null_refits": refits(model="another")}):
        chance = by_chance.by_chance(study, "alsfrsr")
        assert chance.empty
        assert by_chance.named_by_chance(chance) == ""
        assert answer.beside_chance(findings.findings(analysed.results)[0], 0.1, chance, "points/month") == ""
        assert "chance" not in answer.figure(analysed, chance).caption


def test_the_figure_tells_its_numbers_to_who_cannot_see_it(analysed, study):
    drawn = answer.figure(analysed, by_chance.by_chance(study, "alsfrsr"))
    change = analysed.results.population.query("quantity == 'change' and injection == '1'").iloc[0]
    assert f"injection 1 {wording.number(change['mean'], sign=True)}" in drawn.element
    element = svg(drawn.figure, drawn.name, "")
    assert element.count("> 0.99".replace(">", "&gt;")) + element.count(">0.9") >= 1


def test_a_reader_may_ask_for_a_change_above_any_value_of_the_curve(analysed):
    found = population.threshold(analysed)
    held, curve = json.loads(found["held"]), analysed.results.change_curve
    overall = curve[curve["injection"] == "overall"].reset_index(drop=True)
    assert len(held["values"]) == len(held["said"]) == len(overall) == found["last"] + 1
    assert overall["x"][found["start"]] == overall["x"][overall["x"].abs().idxmin()]
    for place, row in overall.iterrows():
        assert held["values"][place] == f"{wording.number(row['x'], sign=True)} points/month"
        assert held["said"][place].endswith(f"; all injections: {wording.probability(row['probability'])}.")
    tables = {**analysed.answered.tables, "change_curve": curve[:0]}
    assert population.threshold(replace(analysed, answered=replace(analysed.answered, tables=tables))) is None


def test_what_the_design_cannot_show_cuts_both_ways(trial):
    said = " ".join(people.cannot_show(trial))
    assert "does not prove that the injections did something, nor does its absence prove that they did nothing" in said
    assert "hide an effect or imitate one" in said
    assert people.cannot_show(made_trial(k=0)) == []
    assert "no control group" not in " ".join(people.cannot_show(made_trial(controls=6)))


def test_support_and_limits_are_set_in_the_same_size(page):
    css = files("slopeshift.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    assert not re.search(r"\.cannot[^{]*\{[^}]*font-size: (?!inherit)", css)
    screen = page.html[page.html.index('id="answer"') : page.html.index("<nav")]
    assert screen.index("What this design cannot show") > screen.index("All injections together")


# ---- estimand, data, priors, identity ----


def test_every_intercurrent_event_has_a_strategy_and_what_was_recorded(trial):
    rows = {row[0]: row[1:] for row in question.intercurrent_events(trial).rows}
    assert rows["Death"] == ["hypothetical: values after it are as if missing at random", "1"]
    assert all(re.match("hypothetical|treatment policy|while on treatment", strategy) for strategy, _ in rows.values())
    assert "Next injection" not in {row[0] for row in question.intercurrent_events(made_trial(k=0)).rows}


def test_checks_say_what_is_missing_and_who_was_never_seen(trial):
    rows = {row[0]: row[2] for row in data_checks.table(trial).rows}
    assert rows["Patients without ALSFRS-R"] == "A3"
    assert rows["ALSFRS-R on the day of an injection"] == "4 values"
    value = trial.visits["alsfrsr"]
    assert rows["Range of ALSFRS-R"] == f"none beyond it; recorded {value.min():.0f} to {value.max():.0f}"


@pytest.mark.parametrize(
    ("top", "said"), [(40, "not above 40: ask which scale was used"), (41, "not all are of the old")]
)
def test_a_mixture_of_scales_is_asked_about(top, said):
    tables = {
        "patients": pd.DataFrame({"patient": ["A"]}),
        "visits": pd.DataFrame({"patient": "A", "month": range(4), "alsfrsr": [30, top, 31, 31]}),
        "injections": pd.DataFrame({"patient": [], "injection": [], "month": []}),
    }
    trial = trial_from_tables("made", tables, {"title": "t", "synthetic": False, "source": "s"})
    rows = {row[0]: row[2] for row in data_checks.table(trial).rows}
    assert said in rows["ALSFRS among ALSFRS-R"]
    assert rows["Largest step of ALSFRS-R"] == f"+{top - 30} points, A, months 0.0 to 1.0"


def test_the_prior_table_is_what_the_fit_records(trial):
    fit = made_fit(trial)
    control = "40 patients of another trial"
    fit.record["priors"] = [
        made_prior("change", Normal(0, 0.3)),
        made_prior("slope", Normal(-1.05, 0.2, unit="points/month", why=control, basis="historical", source="control")),
    ]
    rows = priors.stated(analyse(trial, fit)).rows
    assert [row[0] for row in rows] == ["change", "slope"]
    assert rows[0][2:] == ["Normal(mean=0, sd=0.3)", "not stated", "not stated", "not stated", "model file"]
    assert rows[1][2:] == ["Normal(mean=-1.05, sd=0.2)", "points/month", control, "historical", "control"]


def test_what_priors_imply_is_counted_from_their_draws(analysed):
    rows = dict(priors.implied(analysed).rows)
    prior = analysed.posterior.prior.draws["coefficients"].sel(coefficient="slope")
    assert rows["A patient’s slope before treatment is above 0"] == wording.probability(float((prior > 0).mean()))
    predicted = analysed.posterior.groups["prior_predictive"]["alsfrsr"]
    assert rows["A predicted value lies above 48"] == wording.share(float((predicted > 48).mean()))


def test_commands_name_every_fit_and_the_study_with_their_settings(analysed, trial):
    lines = reproducibility.commands(trial, [analysed], {"null_refits": refits(), "published_claim": pd.DataFrame()})
    assert lines[1] == "slopeshift fit data/made --model models/alsfrsr.py --seed 1"
    assert lines[-2:] == ["slopeshift null data/made --refits 50 --published petrou2021", "slopeshift report data/made"]
    assert not any("null" in line for line in reproducibility.commands(trial, [analysed], {}))


def test_the_flow_counts_who_came_how_far_and_why_the_others_stopped(trial):
    assert data.steps(trial) == [
        ("Enrolled", 4, ""),
        ("Injection 1", 4, "3 completed"),
        ("Injection 2", 1, "1 died"),
    ]


# ---- decision, limitations, crosswalk, summary ----


def test_no_decision_is_stated_without_a_threshold(page):
    assert "No threshold was pre-specified, so no decision is stated." in page.words


def test_limitations_follow_what_is_there(trial, analysed):
    found = limitations.of_report(trial, [analysed], {}, NO_INTERVAL)
    assert any("What chance alone gives in this design was not computed" in line for line in found)
    assert limitations.of_trial(trial, control_table(trial))[0].startswith("Synthetic data")
    assert any(line.startswith("Open label") for line in found)
    control = made_trial(controls=6, synthetic=False)
    others = limitations.of_report(control, [], {"null_reference": refits(), "null_refits": refits()}, NO_INTERVAL)
    assert others == []
    assert not limitations.of_trial(control, control_table(control))[0].startswith("Synthetic data")


def test_an_item_is_met_only_where_the_page_has_all_it_needs():
    item = crosswalk.Item("BARG", "x", ("a", "results-shown"), "more")
    assert crosswalk.found({"a"}, {}, [item])[0].links == ()
    assert crosswalk.found({"a", "results-shown"}, {"a": "A"}, [item])[0].links == (("a", "A"),)


def test_a_sensitivity_study_that_was_not_made_meets_no_item():
    asked = [item for item in crosswalk.ITEMS if "sensitivity-study" in item.needs]
    assert {item.item for item in asked} == {
        "Sensitivity analyses of the assumptions",
        "Missing data: other assumptions than missing at random",
        "21d, 28: further analyses",
    }
    for made in (False, True):
        present = {"sensitivity", "missing", "beside", *(["sensitivity-study"] if made else [])}
        assert all(bool(place.links) == made for place in crosswalk.found(present, {}, asked))


def placed(trial, *ids):
    """Whether each item of CONSORT is met by a page with these sections; empty where the standard is not asked."""
    made = ("baseline", "safety_arms") if trial.compares else ()
    tables = {"prior_sensitivity": pd.DataFrame(), **dict.fromkeys(made, pd.DataFrame())}
    page = SimpleNamespace(ids={*ids}, titles={}, tables=tables)
    found = crosswalk.context(SimpleNamespace(trial=trial, analyses=[], varied={}), page)["standards"]
    return {place.item.item: bool(place.links) for _, name, places in found for place in places if name == "CONSORT"}


def test_consort_is_asked_of_randomised_trials_alone_and_met_by_what_the_page_has(trial):
    assert placed(trial, "data", "safety") == {}
    controlled = read_trial(ROOT / "data" / "synthetic-rct-als")
    met = placed(controlled, "data", "safety", "estimand", "missing", "intercurrent-events")
    assert {item.partition(":")[0] for item, there in met.items() if there} == {
        *("9", "12a", "21b", "21c", "22a", "22b", "24a", "27"),
    }
    assert not placed(controlled, "data")["27: harms, by arm"]
    assert placed(replace(controlled, arms=replace(controlled.arms, randomised=False)), "data") == {}


def test_every_item_can_be_met_and_leads_to_a_place():
    """By a place of a template and, besides, by flags; but what a trial's tables cannot hold is met by none."""
    templates = files("slopeshift.report").joinpath("templates")
    folders = (templates, *(templates.joinpath(name) for name in ("sections", "details")))
    text = "".join(each.read_text() for folder in folders for each in folder.iterdir() if each.is_file())
    places = set(re.findall(r'id="([a-z-]+)"', text)) | {"protocol"}
    for item in crosswalk.ITEMS:
        assert set(item.needs) <= places | set(crosswalk._FLAGS), item
        assert not set(item.needs) <= set(crosswalk._FLAGS), item


def test_priors_without_a_class_of_justification_do_not_meet_the_item(trial):
    page = SimpleNamespace(tables={"prior_sensitivity": pd.DataFrame()})
    for basis, has in (("weak", True), ("", False)):
        analysis = SimpleNamespace(passed=True, record={"priors": [{"basis": "expert"}, {"basis": basis}]})
        report = SimpleNamespace(trial=trial, analyses=[analysis], varied={})
        assert ("justification" in crosswalk.flags(report, page)) == has


def test_a_sham_is_a_comparison_that_is_not_within_patients_alone(trial):
    page = SimpleNamespace(tables={"prior_sensitivity": pd.DataFrame()})
    controlled = read_trial(ROOT / "data" / "synthetic-rct-als")
    for each, has in ((trial, False), (controlled, True)):
        report = SimpleNamespace(trial=each, analyses=[], varied={})
        assert ("control-group" in crosswalk.flags(report, page)) == has
    met = {place.item.item: place.links for place in crosswalk.found({"estimand", "control-group"}, {})}
    assert met["A comparison that is not within patients alone"] == (("estimand", "The estimand"),)


def test_unmet_items_are_listed_as_unmet_with_what_would_meet_them(page):
    rows = [
        row
        for caption in page.tables
        if "BARG" in caption or "Bayesian analysis" in caption
        for row in page.rows(caption)
    ]
    unmet = {row[0]: row[2] for row in rows if row[1] == "not met"}
    assert "Step 4: decisions, with thresholds fixed before" in unmet
    assert all(text.strip().startswith("Would be met by: ") for text in unmet.values())
    met = [row for row in rows if row[1] == "met"]
    assert {"Step 1: formal specification", "Step 6: commands, data, seeds, saved draws"} <= {row[0] for row in met}


def test_a_page_without_results_does_not_count_them_as_met(trial, tmp_path):
    page = written(tmp_path, trial, [made_fit(trial, broken=True)])
    rows = {row[0]: row[1] for caption in page.tables for row in page.rows(caption) if len(row) == 3}
    assert rows["Step 3: summary of the posterior"] == "not met"
    assert rows["Step 2: convergence of every reported quantity"] == "met"


def test_the_summary_has_the_words_of_the_first_screen_and_leads_into_the_page(folder, page):
    summary = (folder / "summary.html").read_text(encoding="utf-8")
    screen = page.html[page.html.index('<section id="answer">') : page.html.index('<div class="below">')].strip()
    plain = [re.sub(r'\shref="[^"]*"', "", text) for text in (summary, screen)]
    assert plain[1] in plain[0]
    assert "SYNTHETIC DATA: no patient is real" in summary
    links = set(re.findall(r'<a [^>]*href="([^"]*)"', summary))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert links
    leads = [link.partition("#") for link in links]
    assert all(file in LONG and (not target or target in ids) for file, _, target in leads)


def test_a_failed_gate_leaves_no_number_in_the_summary(trial, tmp_path):
    pages.write(made_report(trial, [made_fit(trial, broken=True)]), tmp_path, figures=False)
    summary = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert "No result." in summary
    assert "<svg" not in summary
    assert "points/month" not in summary
