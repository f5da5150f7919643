"""The documentation: every block of code of its pages runs, and its reference says what the code says."""

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location

import documents
import matplotlib
import pandas as pd
import pytest
import typer
from trials import ROOT

import slopeshift as ss
from slopeshift.cli import app
from slopeshift.report.files import ABOUT
from slopeshift.trial.settings import settings_problems

DOCS = ROOT / "docs"
OWN = sorted(page for part in ("howto", "explanation", "reference", ".") for page in (DOCS / part).glob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
TRIALS = ("synthetic-msc-als", "synthetic-rct-als")
ELSEWHERE = {"python.md", "your-trial.md", "plan.md"}
"""Pages of this folder whose code has a test file of its own."""

KNOWN = {"", "console", "python", "toml", "text", "{code-cell}", "{made-from}", "{literalinclude}", "{eval-rst}"}
"""Kinds of blocks that a test below looks at, but for `text`, which needs a cluster or is a template."""

FITTED = {"fits/synthetic-msc-als": "alsfrsr", "fits/synthetic-rct-als": "alsfrsr_arms"}
"""Fits that tutorials open, as `make report` makes them, and their models."""

MINIMAL = {"title": "A trial", "synthetic": True}


def name_of(page):
    return page.relative_to(DOCS).as_posix()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    documents.checkout(tmp_path, *TRIALS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [*OWN, *TUTORIALS], ids=name_of)
def test_every_block_is_of_a_kind_that_is_tested(page):
    marks = documents.LANGUAGE.findall(page.read_text(encoding="utf-8"))
    assert set(marks) <= KNOWN | {"yaml"} if page.name in ELSEWHERE else set(marks) <= KNOWN


@pytest.mark.parametrize("page", [p for p in OWN if p.name not in ELSEWHERE], ids=name_of)
def test_the_code_of_a_page_runs(page, folder, monkeypatch):
    text = page.read_text(encoding="utf-8")
    for number, block in enumerate(documents.cells(text)):
        path = folder / "models" / f"block_{number}.py"
        path.write_text(block)
        file = ss.load_model(path)
        assert file.build(ss.read_trial("data/synthetic-msc-als")).free_RVs
    for words, shown in documents.commands(text):
        match words:
            case ["slopeshift", *arguments]:
                documents.invoke(arguments, shown)
            case ["cd", place]:
                monkeypatch.chdir(place)
            case [tool, *_]:
                assert tool in {"make", "conda", "podman"}, words


@pytest.mark.parametrize("page", [*OWN, ROOT / "data/README.md"], ids=lambda page: page.name)
def test_settings_that_a_page_shows_are_taken(page):
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S):
        assert list(settings_problems(MINIMAL | tomllib.loads(block))) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_a_tutorial_runs_from_top_to_bottom(page, folder):
    matplotlib.use("Agg")
    text = page.read_text(encoding="utf-8")
    for place, name in FITTED.items():
        if f'open_fit("{place}"' in text:
            trial = ss.read_trial(place.replace("fits", "data"))
            ss.fit_model(ss.load_model(f"models/{name}.py"), trial, seed=1, draws=1000).save(place)
    documents.run(text, page.name)


# ---- the reference is made from the code ----


@pytest.fixture(scope="module")
def made():
    place = spec_from_file_location("made", DOCS / "_ext/made.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_the_reference_has_every_command_and_every_option(made):
    text, group = made.commands(), typer.main.get_command(app)
    for name, command in group.commands.items():
        part = text[text.index(f"\n## {name}\n") :].partition("\n## ")[2].partition("\n## ")[0]
        assert command.help in part
        assert all(
            option in part
            for p in command.params
            for option in p.opts
            if option.startswith("--") and option != "--help"
        )


def test_the_reference_has_every_table_and_quantity(made):
    assert all(f"`{name}.csv`" in made.tables() for name in ABOUT)
    assert all(f"## {of.label}\n" in made.quantities() for of in made.definitions().values())


def test_the_reference_has_every_model_and_says_what_it_varies(made):
    text = made.models()
    assert all(f"`{path.stem}`" in text for path in (ROOT / "models").glob("*.py"))
    assert "| `alsfrsr_student` | " in text
    assert re.search(r"`alsfrsr_student` .* `alsfrsr` \|", text)


@pytest.mark.parametrize(
    ("section", "key"),
    [("[arms]", "randomised"), ("[[entry]]", "at_least"), ("[control]", "between_study_sd"), ("The file", "title")],
)
def test_the_reference_has_the_keys_that_the_reader_takes(made, section, key):
    assert key in made.SECTIONS[section]
    assert f"| `{key}` | {'required' if made.SECTIONS[section][key].required else ''}" in made.configuration()


def test_a_cell_cannot_end_its_table(made):
    assert made.cell("a | b\nc <d>") == r"a \| b c &lt;d>"
    assert made.code("a|b") == r"`a\|b`"


def test_the_gallery_shows_every_figure_of_a_report_and_says_so_where_there_is_none(made, tmp_path, monkeypatch):
    monkeypatch.setattr(made, "ROOT", tmp_path)
    assert "make report" in made.gallery()
    listed = tmp_path / "reports/mine/tables/figures.csv"
    listed.parent.mkdir(parents=True)
    pd.DataFrame({"file": ["forest"], "caption": ["Every patient."]}).to_csv(listed, index=False)
    assert ":::{figure} /reports/mine/figures/forest.svg" in made.gallery()
    assert "Every patient." in made.gallery()


def test_every_page_is_on_the_home_page_or_found_by_a_pattern_there():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in [*OWN, *TUTORIALS, *(DOCS / "formats").glob("*.md")]:
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        assert name == "index" or re.search(rf"^{name}$", text, flags=re.M) or name.startswith("p"), name
