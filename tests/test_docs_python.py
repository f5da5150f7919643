"""The Python interface: it loads lazily, its page runs as it stands, and it gives what the command line gives."""

import contextlib
import html
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_reports import CHANGE, made_fit, made_trial
from plans import settings
from trials import ROOT
from typer.testing import CliRunner

import slopeshift as ss
from slopeshift.answers.stored import answered
from slopeshift.cli import app
from slopeshift.design.shape import Shape
from slopeshift.fit import store
from slopeshift.fit.store import FitError, Settings
from slopeshift.model.covariates import Covariate
from slopeshift.model.described import described
from slopeshift.model.families import student_t
from slopeshift.model.files import ModelError

TRIAL = ROOT / "data/synthetic-msc-als"
COMMAND = ("data/synthetic-msc-als", "--model", "models/alsfrsr.py")
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)


def printed(program):
    """Run a program in a Python of its own; return the words that it prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


# ---- names ----


def test_importing_the_package_loads_none_of_its_parts():
    loaded = printed("import sys, slopeshift; dir(slopeshift); print(*sys.modules)")
    assert {name for name in loaded if name.startswith("slopeshift")} == {"slopeshift"}


def test_reading_a_trial_and_loading_a_model_load_no_sampler():
    lines = 'ss.read_trial("data/synthetic-msc-als"); ss.load_model("models/alsfrsr.py")'
    loaded = printed(f"import sys, slopeshift as ss; {lines}; print(*sys.modules)")
    assert loaded & {"nutpie", "arviz", "matplotlib", "typer"} == set()


def test_dir_lists_every_public_name():
    assert set(ss.__all__) <= set(dir(ss))


def test_names_are_few_and_none_is_that_of_a_layer():
    layers = {path.stem for path in Path(ss.__file__).parent.iterdir()}
    assert len(ss.__all__) <= 16
    assert set(ss.__all__) & layers == set()


def test_the_layers_are_still_packages_once_names_are_loaded():
    program = "import slopeshift as ss; ss.fit_model; import slopeshift.fit; print(*ss.fit.__path__)"
    assert printed(program) == {str(ROOT / "src/slopeshift/fit")}


def test_a_name_that_is_not_public_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="module 'slopeshift' has no attribute 'fit_modle'"):
        _ = ss.fit_modle


def test_the_package_and_its_interface_list_the_same_names():
    from slopeshift import notebook

    assert ss.__all__ == notebook.__all__


@pytest.mark.parametrize("name", ss.__all__)
def test_every_public_name_is_on_the_page_and_says_what_it_does(name):
    assert f"ss.{name}" in PAGE
    assert re.fullmatch(r"[A-Z][^\n]{20,110}[.:]", getattr(ss, name).__doc__.partition("\n")[0])


# ---- the page ----


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the code of the page has defined once it has run, in a folder with the models and the trial."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TRIAL, folder / "data" / TRIAL.name)
    shutil.copy(ROOT / "src/slopeshift/planning/example.toml", folder / "plan.toml")
    defined = {"folder": folder}
    with contextlib.chdir(folder):
        for number, block in enumerate(BLOCKS, 1):
            exec(compile(block, f"block {number} of docs/python.md", "exec"), defined)
    return defined


def test_the_page_runs_and_its_fit_passes_the_gate(page):
    assert page["fit"].passed
    assert page["fit"].failures == []
    assert list(page["changes"]["injection"]) == ["1", "2", "3", "overall"]


def test_the_tables_are_those_of_the_report(page):
    for name in ("population", "patients", "responders", "diagnostics"):
        table, printed = getattr(page["fit"], name), pd.read_csv(page["folder"] / f"my-report/tables/{name}.csv")
        assert len(table) == len(printed) > 0
        assert list(table) == list(printed)


def test_a_fit_made_in_python_is_up_to_date_for_the_command_line(page):
    with contextlib.chdir(page["folder"]):
        made = CliRunner().invoke(app, ["fit", *COMMAND, "--seed", "1", "--draws", "1000"])
        answered = CliRunner().invoke(app, ["answer", COMMAND[0], "--model", "alsfrsr", "--json"])
    assert (made.exit_code, made.stdout) == (0, "alsfrsr: up to date\n")
    told = {(row["quantity"], row["injection"]): row["mean"] for row in json.loads(answered.stdout)}
    for row in page["changes"].itertuples():
        assert told["change", row.injection] == row.mean


def test_a_fit_opened_again_gives_the_same_tables(page):
    pd.testing.assert_frame_equal(page["again"].population, page["fit"].population, check_dtype=False)


def test_a_plan_takes_its_spreads_from_a_saved_fit(page):
    from slopeshift.planning.prepared import prepared
    from slopeshift.planning.reading import plan_of

    source = {"source": "fit", "trial": f"data/{TRIAL.name}", "folder": f"fits/{TRIAL.name}", "model": "alsfrsr"}
    plan = plan_of(settings(model="alsfrsr", population=source | {"draws": 40}), "plan.toml")
    study, _ = prepared(plan, page["folder"] / "models", page["folder"])
    drawn = page["fit"].posterior().draws["sd_slope"]
    assert len(study.spreads) == 40
    assert abs(study.spreads.sd_slope.mean() - float(drawn.mean())) < float(drawn.std()) / 2
    assert set(study.spreads.sd_slope) <= set(drawn.to_numpy().ravel())


def test_a_saved_fit_is_not_opened_for_a_variation_of_its_model(page):
    with contextlib.chdir(page["folder"]), pytest.raises(FitError, match="made with a different model"):
        ss.open_fit("fits/synthetic-msc-als", replace(page["sceptical"], name="alsfrsr"), page["trial"])


def test_changing_a_table_leaves_the_fit_as_it_is(page):
    table = page["fit"].population
    table["mean"] = 0.0
    assert (page["fit"].population["mean"] != 0).all()


def test_an_injection_or_a_patient_without_values_is_refused_by_name(page):
    with pytest.raises(LookupError, match="no patient informs injection 7; there are 1, 2, 3, overall"):
        ss.plot_forest(page["fit"], injection=7)
    with pytest.raises(LookupError, match="records no alsfrsr of 'P99'; there are P01, "):
        ss.plot_trajectory(page["fit"], "P99")


def test_figures_of_synthetic_data_say_so(page):
    assert "SYNTHETIC DATA" in [text.get_text() for text in page["forest"].texts]


def test_a_fit_shows_the_answer_in_a_notebook_as_in_the_terminal(page):
    with contextlib.chdir(page["folder"]):
        told = CliRunner().invoke(app, ["answer", COMMAND[0], "--model", "alsfrsr"]).stdout
    shown = page["fit"]._repr_html_()
    cells = [html.unescape(cell) for cell in re.findall(r"<t[dh](?: [^>]*)?>(.*?)</t[dh]>", shown)]
    assert len(cells) == 4 * 5
    assert all(cell in told for cell in cells)
    assert "SYNTHETIC DATA" in shown
    for line in told.splitlines():
        if "such trials" in line or line.startswith("Association"):
            assert html.escape(line.strip()) in shown


def test_a_posterior_shows_what_it_has_draws_of_and_no_number_of_them(page):
    shown = page["fit"].posterior()._repr_html_()
    assert "4 chains of 1000 draws. Diagnostics gate: passed." in shown
    assert "<td>coefficients</td><td>patient 20, coefficient 6</td>" in shown
    assert "." not in re.sub(r"<[^>]+>", "", shown.partition("<tbody>")[2])


def test_names_of_a_trial_cannot_write_html(page):
    trial = replace(page["trial"], name="<script>")
    assert "<script>" not in replace(page["fit"].posterior(), trial=trial)._repr_html_()
    assert "&lt;script&gt;" in replace(page["fit"].posterior(), trial=trial)._repr_html_()


def test_every_stored_table_can_be_taken_and_changing_it_leaves_the_fit_as_it_is(page):
    table = page["fit"].table("operating")
    table["null_sd"] = 0.0
    assert (page["fit"].table("operating")["null_sd"] > 0).all()
    with pytest.raises(LookupError, match="no table 'operation'; there are any_change, "):
        page["fit"].table("operation")


def test_one_call_reports_on_every_model_that_is_for_the_trial(page, tmp_path):
    for name in ("alsfrsr", "alsfrsr_arms"):
        (tmp_path / "models").mkdir(exist_ok=True)
        shutil.copy(ROOT / f"models/{name}.py", tmp_path / "models")
    made = ss.report_trial(TRIAL, tmp_path / "models", tmp_path / "out", seed=1, draws=1000, check=False)
    told = pd.read_csv(tmp_path / "out/tables/population.csv")
    assert made == tmp_path / "out/index.html"
    assert set(told["model"]) == {"alsfrsr"}
    assert list(told["mean"]) == pytest.approx(list(page["fit"].population["mean"]), rel=1e-4, abs=1e-5)


def test_a_report_on_a_trial_that_no_model_is_for_is_refused(tmp_path):
    (tmp_path / "nfl.py").write_text((ROOT / "models/alsfrsr.py").read_text().replace('"alsfrsr"', '"nfl"'))
    with pytest.raises(LookupError, match=r"no model is for the trial synthetic-msc-als; there are \['nfl'\]"):
        ss.report_trial(TRIAL, tmp_path, tmp_path / "out", seed=1, draws=10)
    assert not (tmp_path / "out").exists()


# ---- a variation ----


@pytest.fixture(scope="module")
def model():
    return ss.load_model(ROOT / "models/alsfrsr.py")


def test_a_variation_has_what_differs_and_all_else_of_its_model(model):
    prior = ss.Normal(0, 0.1, unit="points/month", why='it "must" be', basis="expert")
    varied = ss.vary_model(model, "sceptical", change=prior)
    assert varied.build == model.build.varied(change=prior)
    assert (varied.name, varied.outcome, varied.varies.name) == ("sceptical", "alsfrsr", "alsfrsr")
    assert (varied.build.change.why, varied.build.change.basis) == ('it "must" be', "expert")
    assert varied.sha256 != model.sha256
    assert [row["name"] for row in described(varied)["priors"] if row["differs"]] == ["change"]


def test_the_text_of_a_variation_is_a_model_file(model, tmp_path):
    of = {"family": student_t(nu=ss.Gamma(20, 14.1)), "shape": Shape(lag=np.float64(1), half_life=6.0)}
    age = Covariate("age", on="slope", prior=ss.Normal(0, 0.3))
    varied = ss.vary_model(model, "heavy", covariates=(age,), **of)
    (tmp_path / "heavy.py").write_text(varied.source.partition("\n__file__ =")[0])
    shutil.copy(ROOT / "models/alsfrsr.py", tmp_path)
    again = ss.load_model(tmp_path / "heavy.py")
    assert store.inputs({}, again.source, Settings()) == store.inputs({}, varied.source, Settings())
    assert again.build.family == varied.build.family == model.build.varied(**of).family
    assert (again.shape, again.build.covariates[0].name) == (of["shape"], "age")


def test_a_variation_can_be_varied(model):
    once = ss.vary_model(model, "once", change=ss.Normal(0, 0.1))
    twice = ss.vary_model(once, "twice", sd_cycle=ss.HalfNormal(0.05))
    assert (twice.build.change, twice.build.sd_cycle) == (ss.Normal(0, 0.1), ss.HalfNormal(0.05))
    with pytest.raises(ModelError, match="give it another name"):
        ss.vary_model(twice, "once")


@pytest.mark.parametrize("name", ["alsfrsr", "", "a model", "../alsfrsr"])
def test_a_variation_needs_a_name_of_its_own(model, name):
    with pytest.raises(ModelError, match="give it another name"):
        ss.vary_model(model, name, change=ss.Normal(0, 0.1))


def test_what_a_model_does_not_have_cannot_be_varied(model):
    with pytest.raises(ModelError, match=r"no such part of the model: chnage; there are outcome, "):
        ss.vary_model(model, "wrong", chnage=ss.Normal(0, 0.1))


def test_what_no_text_can_hold_is_refused(model):
    with pytest.raises(ModelError, match="cannot be written as text; state it in a model file"):
        ss.vary_model(model, "wrong", family=lambda: None)


# ---- the gate, and trials in memory ----


def of(fit, trial):
    return ss.ModelFit(fit, answered(trial, fit))


@pytest.fixture(scope="module")
def failed():
    trial = made_trial()
    return of(made_fit(trial, broken=True), trial)


def test_a_failed_gate_gives_no_effect(failed):
    assert not failed.passed
    assert failed.failures
    assert not failed.diagnostics.empty
    assert failed.population.empty
    assert failed.patients.empty
    assert failed.responders.empty
    assert "FAILED ITS GATE" in repr(failed)


def test_a_failed_gate_shows_no_effect_in_a_notebook(failed):
    shown = failed._repr_html_()
    assert "No effect is shown." in shown
    assert "<td>" not in shown
    assert str(CHANGE)[:4] not in shown
    assert html.escape(failed.failures[0]) in shown


@pytest.mark.parametrize("ask", [lambda f: f.datatree(), lambda f: f.posterior(), ss.plot_forest])
def test_a_failed_gate_refuses_draws_and_effects(failed, ask):
    with pytest.raises(FitError, match="FAILED ITS GATE"):
        ask(failed)


def test_a_failed_gate_shows_what_was_recorded_and_draws_only_where_asked_for(failed):
    assert len(ss.plot_trajectory(failed, "A1").axes[0].collections) == 0
    assert "posterior" in failed.datatree(failed_too=True).children


def test_a_report_of_a_failed_fit_shows_no_effect(failed, tmp_path):
    page = ss.write_report([failed], tmp_path).read_text(encoding="utf-8")
    assert str(CHANGE)[:4] not in page
    assert pd.read_csv(tmp_path / "tables/population.csv").empty


def test_a_fit_of_a_trial_in_memory_is_not_saved(tmp_path):
    trial = made_trial()
    with pytest.raises(FitError, match="was made in memory"):
        of(made_fit(trial), trial).save(tmp_path / "fits")
    assert not (tmp_path / "fits").exists()


def test_a_report_is_of_one_trial(tmp_path):
    trials = made_trial(), made_trial()
    with pytest.raises(ValueError, match="all of one trial"):
        ss.write_report([of(made_fit(trial), trial) for trial in trials], tmp_path)


def test_the_same_seed_simulates_the_same_trial():
    first, again, other = (ss.simulate_trial(seed).visits for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
