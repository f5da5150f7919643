"""The pages on formats: their commands run, in order, and say what the pages say."""

import re

import documents
import pandas as pd
import pytest
import yaml
from trials import ROOT
from typer.testing import CliRunner

from slopeshift.cli import app
from slopeshift.formats import FORMATS
from slopeshift.formats.mapping import understood
from slopeshift.formats.source import Source

PAGES = {"your-trial": ROOT / "docs" / "your-trial.md"} | {
    form: ROOT / "docs" / "formats" / f"{form}.md" for form in FORMATS
}
STOPS = "Nothing was imported."


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_do_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name != "your-trial":
        assert CliRunner().invoke(app, ["init", "work"]).exit_code == 0
        monkeypatch.chdir(tmp_path / "work")
    ran = 0
    for words, shown in documents.commands(PAGES[name].read_text()):
        match words:
            case ["slopeshift", *arguments]:
                documents.invoke(arguments, shown, 1 if shown == STOPS else 0)
                ran += 1
            case ["cd", folder]:
                monkeypatch.chdir(folder)
            case ["python", "-c", _, ">", file]:
                (tmp_path / "mytrial" / file).write_text("0123456789abcdef" * 4)
            case ["make", *_]:
                pass  # what the Makefile does is tested elsewhere; sampling takes minutes
            case _:
                raise AssertionError(f"a command of another kind: {words}")
    assert ran >= 2


@pytest.mark.parametrize("name", ["redcap", "table"])
def test_the_mappings_of_a_page_are_understood(name):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGES[name].read_text(), flags=re.S)
    assert blocks
    for block in blocks:
        document = yaml.load(block, yaml.BaseLoader)
        header = re.findall(r"[\w%][\w %-]*[\w%]", block)
        assert (
            understood("page", document, Source("page", pd.DataFrame(columns=header)), repeating=name == "redcap")[1]
            == []
        )


def test_every_format_has_a_page():
    assert {path.stem for path in (ROOT / "docs" / "formats").glob("*.md")} == set(FORMATS)


def test_links_between_the_pages_lead_somewhere():
    for page in PAGES.values():
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)
