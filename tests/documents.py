"""Blocks of code of the documents, and how they are run: shared by the tests of the pages."""

import ast
import re
import shlex
import shutil

from trials import ROOT
from typer.testing import CliRunner

from slopeshift.cli import app

CELL = re.compile(r"^```(?:\{code-cell\}|python)\n((?::[^\n]*\n)*)(.*?)^```$", flags=re.M | re.S)
LANGUAGE = re.compile(r"^```([\w{}-]*)", flags=re.M)


def cells(text):
    """Return the Python of a page, block by block; what only prepares the build of the site is left out."""
    return [code for tags, code in CELL.findall(text) if "remove-cell" not in tags]


def run(text, name):
    """Run the Python of a page from top to bottom in the folder at hand; return what it has defined."""
    defined = {"__name__": name}
    for number, code in enumerate(cells(text), 1):
        exec(compile(ast.parse(code), f"block {number} of {name}", "exec"), defined)
    return defined


def commands(text):
    """Return the commands of a page, each with the line that it is to print, if the page shows one."""
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.S):
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).+\n)?)", block, flags=re.M):
            yield shlex.split(command), shown.strip()


def invoke(arguments, shown, status=0):
    """Run a command of slopeshift; hold it to its exit status and to what the page shows of its output."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == status, (arguments, done.output)
    assert shown in done.output


def checkout(folder, *trials):
    """Lay out models and trials in a folder, as a checkout has them."""
    shutil.copytree(ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
    for trial in trials:
        shutil.copytree(ROOT / "data" / trial, folder / "data" / trial)
