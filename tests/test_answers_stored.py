"""The answers that are kept beside a fit, and what is printed from them: in the terminal and for a script."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_reports import CHANGE, made_fit, made_report, made_trial
from trials import ROOT, line_trial
from typer.testing import CliRunner

from slopeshift.answers import quantities, stored
from slopeshift.answers.stored import answered, tables_of
from slopeshift.cli import app, made, said
from slopeshift.fit import store
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.store import Fit, Settings
from slopeshift.report import page
from slopeshift.report.sections import checks, population, safety
from slopeshift.trial import trial_from_tables

pytestmark = pytest.mark.usefixtures("undrawn")

MODEL = ROOT / "models" / "alsfrsr.py"
SYNTHETIC = ROOT / "data" / "synthetic-msc-als"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def printed(trial, *fits):
    found = [(fit.record, tables_of(posterior_of(trial, fit))) for fit in fits]
    return said.in_words(trial, found)


@pytest.fixture(scope="module")
def trial():
    return made_trial()


@pytest.fixture(scope="module")
def fit(trial):
    return made_fit(trial)


@pytest.fixture(scope="module")
def tables(trial, fit):
    return tables_of(posterior_of(trial, fit))


# ---- what is kept ----


def test_every_table_that_is_promised_is_made(tables):
    assert tuple(tables) == stored.NAMES


def test_a_fit_that_failed_its_gate_keeps_diagnostics_and_prior_alone(trial):
    tables = tables_of(posterior_of(trial, made_fit(trial, broken=True)))
    assert {name for name, table in tables.items() if table.empty} >= {"population", "patients", "intervals"}
    assert not tables["diagnostics"].empty
    assert not tables["prior"].empty
    assert np.isnan(tables["numbers"].set_index("name")["value"]["share_near_end"])


def test_what_is_read_back_prints_the_page_that_was_made_at_once(trial, fit, tmp_path):
    kept = made._kept(tmp_path / "kept", stored.NAMES, {"made": "once"}, lambda: tables_of(posterior_of(trial, fit)))
    whole = made_report(trial, [fit])
    main = replace(whole.analyses[0], answered=answered(trial, fit, kept))
    read = page.write(replace(whole, analyses=[main]), tmp_path / "read", figures=False)
    assert read.read_bytes() == page.write(whole, tmp_path / "at once", figures=False).read_bytes()


def test_fit_checks_and_report_derive_the_population_once_from_the_draws_of_a_fit(trial, fit, tmp_path, monkeypatch):
    derived, derive = [], quantities._in_cycles
    monkeypatch.setattr(quantities, "_in_cycles", lambda of: [derived.append(of.draws), derive(of)][1])
    report = made_report(trial, [fit])
    page.write(report, tmp_path, figures=False)
    posterior = report.analyses[0].posterior
    times = [sum(draws is each for each in derived) for draws in (posterior.draws, posterior.prior.draws)]
    assert times == [1, 1]


# ---- in the terminal ----


def test_the_answer_has_a_line_for_every_injection_and_ends_with_what_it_cannot_show(trial, fit, tables):
    lines = printed(trial, fit).splitlines()
    assert [line.split()[0:2] for line in lines[2:5]] == [
        ["injection", "1"],
        ["injection", "2"],
        ["all", "injections"],
    ]
    row = tables["population"].query("quantity == 'change' and injection == 'overall'").iloc[0]
    assert f"{row['mean']:+.2f}" in lines[4]
    assert "> 0.99" in lines[4]
    assert "%" in lines[4]
    assert "without a control group" in lines[-1]


def test_nothing_is_wider_than_a_hundred_columns(trial, fit):
    for each in (trial, made_trial(controls=6), made_trial(k=0)):
        assert max(map(len, printed(each, made_fit(each)).splitlines())) <= 100


def test_a_fit_that_failed_its_gate_answers_with_no_number(trial):
    words = printed(trial, made_fit(trial, broken=True))
    assert "No result: this fit failed its diagnostics gate" in words
    assert f"{CHANGE:.2f}" not in words
    assert not re.search(r"\d\.\d\d", words)


def test_without_injections_the_decline_is_the_answer():
    trial = made_trial(k=0)
    words = printed(trial, made_fit(trial))
    assert "Slope −0.9" in words
    assert "nothing is said of a change" in words


# ---- for a script ----


def test_json_has_exactly_the_promised_keys_and_null_where_nothing_is_known(tables):
    rows = json.loads(said.as_json([tables["population"]]))
    assert len(rows) == len(tables["population"])
    keys = "model outcome quantity injection unit mean sd lower upper prob_positive rhat ess_bulk ess_tail mcse"
    assert all(list(row) == keys.split() for row in rows)
    indicator = next(row for row in rows if row["quantity"] == "prob_slowing_25")
    assert indicator["sd"] is None


# ---- the commands ----


@pytest.fixture
def workspace(tmp_path):
    """A trial with a made-up fit of its main model, whose answers are kept, and no other model."""
    shutil.copytree(SYNTHETIC, tmp_path / "data" / "mine")
    (tmp_path / "models").mkdir()
    shutil.copy(MODEL, tmp_path / "models")
    return tmp_path


def kept(workspace, broken=False):
    from slopeshift.trial import read_trial

    trial = read_trial(workspace / "data" / "mine")
    fit = made_fit(trial, broken=broken)
    inputs = store.inputs(trial.files, MODEL.read_text(), Settings())
    fit = Fit(fit.tree, {**fit.record, "inputs": inputs})
    made.judged(trial, fit, workspace / "fits" / "mine")
    return ("--models", workspace / "models", "--fits", workspace / "fits")


def test_the_answer_is_printed_and_given_to_scripts(workspace):
    options = kept(workspace)
    done = run("answer", workspace / "data/mine", *options)
    assert done.exit_code == 0, done.output
    assert "ALSFRS-R, points/month, model alsfrsr" in done.stdout
    rows = json.loads(run("answer", workspace / "data/mine", "--json", *options).stdout)
    assert {row["model"] for row in rows} == {"alsfrsr"}
    assert json.loads(run("answer", workspace / "data/mine", "--json", "--model", "alsfrsr", *options).stdout) == rows


def test_a_model_without_a_file_is_refused_by_name(workspace):
    done = run("answer", workspace / "data/mine", "--model", "nobody", *kept(workspace))
    assert done.exit_code == 1
    assert "nobody.py: no such model file" in done.stderr


def test_a_failed_gate_ends_the_answer_with_its_exit_status(workspace):
    options = kept(workspace, broken=True)
    done = run("answer", workspace / "data/mine", *options)
    assert (done.exit_code, "No result" in done.stdout) == (3, True)
    assert json.loads(run("answer", workspace / "data/mine", "--json", *options).stdout) == []


def test_an_answer_of_other_data_is_not_given(workspace):
    options = kept(workspace)
    visits = workspace / "data/mine/visits.csv"
    visits.write_text(visits.read_text() + "\n")
    done = run("answer", workspace / "data/mine", *options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "made with a different data" in done.stderr


def test_changed_code_of_answers_makes_them_anew_without_sampling(workspace, monkeypatch):
    options = kept(workspace)
    record = workspace / "fits/mine/answers/alsfrsr/tables.json"
    before = record.read_bytes()
    monkeypatch.setattr("slopeshift.answers.kept.code", lambda *_: "other code")
    monkeypatch.setattr("slopeshift.fit.sample.sample", None)
    done = run("fit", workspace / "data/mine", *options)
    assert done.exit_code == 0, done.output
    assert "alsfrsr: updating its answers" in done.stdout
    assert "all injections" in done.stdout
    assert record.read_bytes() != before
    assert "making" not in run("fit", workspace / "data/mine", *options).stdout


def test_the_report_is_made_of_what_checks_and_fits_left(workspace):
    options = kept(workspace)
    trial, out = workspace / "data/mine", ("--out", workspace / "out")
    before = run("report", trial, *options, *out)
    assert before.exit_code == 0, before.output
    html = (workspace / "out/index.html").read_text()
    technical = (workspace / "out/technical.html").read_text()
    assert "there are no checks of this fit of alsfrsr: make them with `slopeshift checks`" in technical
    assert "Whether the model fits these data was not checked." in html
    assert "alsfrsr: not shown" in before.stderr
    assert "alsfrsr: checking" in run("checks", trial, *options).stdout
    assert "up to date" in run("checks", trial, *options).stdout
    after = run("report", trial, *options, *out)
    assert "not shown" not in after.stderr
    assert "What was checked, by rules fixed beforehand" in (workspace / "out/technical.html").read_text()


# ---- what cannot be made ----


def test_a_section_that_cannot_be_made_says_so_and_takes_nothing_with_it(trial, fit, tmp_path, monkeypatch):
    def fail(_):
        raise ValueError("the events are unreadable")

    monkeypatch.setattr(safety, "context", fail)
    heard = []
    index = page.write(made_report(trial, [fit], say=heard.append), tmp_path, figures=False)
    html = index.read_text()
    assert "This section could not be made: ValueError: the events are unreadable." in html
    assert re.search(r'<section id="safety">\s*<h2>\d+\. Safety</h2>', html)
    assert '<section id="limitations">' in html
    assert heard == ["section safety: not shown: ValueError: the events are unreadable"]


def test_a_model_that_has_nothing_to_say_leaves_the_others_in_place(trial, fit, tmp_path, monkeypatch):
    tell = population.population

    def fail_for_the_first(analysis):
        if analysis.anchor == "m1":
            raise KeyError("riluzole")
        return tell(analysis)

    monkeypatch.setattr(population, "population", fail_for_the_first)
    heard = []
    fits = [fit, made_fit(trial, "other", seed=2)]
    html = page.write(made_report(trial, fits, say=heard.append), tmp_path, figures=False).read_text()
    section = html[html.index('<section id="population">') : html.index('<section id="patients">')]
    assert "Not shown: KeyError: riluzole." in section
    technical = (tmp_path / "technical.html").read_text()
    section = technical[technical.index('<section id="others">') : technical.index('<section id="patients-details">')]
    assert "Title of other" in section
    assert "Not shown" not in section
    assert heard == ["alsfrsr: not shown: KeyError: riluzole"]


def test_a_section_that_is_not_there_meets_no_item_of_a_standard(trial, fit, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "context", None)
    page.write(made_report(trial, [fit], say=lambda _: None), tmp_path, figures=False)
    html = (tmp_path / "technical.html").read_text()
    assert 'href="#checks">Does the model fit?</a>, ' not in html[html.index('<section id="crosswalk">') :]


def test_templates_call_no_module():
    names = {path.stem for path in (ROOT / "src/slopeshift/report").rglob("*.py")}
    for path in (ROOT / "src/slopeshift/report/templates").rglob("*.j2"):
        called = re.findall(r"\b([a-z_]+)\.[a-z_]+\(", "".join(re.findall(r"{[{%].*?[%}]}", path.read_text(), re.S)))
        assert not names & set(called), path.name


def test_the_report_reads_few_layers():
    from slopeshift.keep.made_from import imported

    texts = [path.read_text() for path in (ROOT / "src/slopeshift/report").rglob("*.py")]
    layers = {name.partition(".")[0] for text in texts for name in imported(text, types=True)} - {"report"}
    assert len(layers) <= 8, sorted(layers)


def test_the_terminal_follows_the_direction_of_the_outcome():
    """Of an outcome where lower is better, a falling slope is the good news, and its probability is shown."""
    row = {"quantity": "change", "injection": "overall", "unit": "pg/ml/month"}
    numbers = {"mean": -0.5, "lower": -0.9, "upper": -0.1, "prob_positive": 0.01, "prob_better": 0.99}
    tables = {
        "population": pd.DataFrame([row | numbers]),
        "diagnostics": pd.DataFrame(columns=["quantity", "diagnostic", "value", "limit", "ok"]).astype({"ok": bool}),
    }
    lines_of = line_trial()
    told = {name: getattr(lines_of, name) for name in ("patients", "injections")}
    told["visits"] = lines_of.visits[["patient", "month", "alsfrsr"]].rename(columns={"alsfrsr": "nfl"})
    outcome = {"label": "NfL", "unit": "pg/ml", "better": "lower"}
    settings = {"title": "Marker", "synthetic": True, "source": "test", "outcomes": {"nfl": outcome}}
    trial = trial_from_tables("marker", told, settings)
    lines = said._model(trial, {"outcome": "nfl", "model": "nfl"}, tables)
    assert "Pr(change < 0)" in lines[1]
    assert "Slowing of the rise" in lines[1]
    assert "0.99" in lines[2]
    assert "0.01" not in lines[2]
