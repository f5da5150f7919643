"""Pages of reference made from the code, so that nothing is written twice: texts in MyST, by name in `MADE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import typer

from slopeshift.cli import app as cli
from slopeshift.model.files import load_model
from slopeshift.report.files import ABOUT
from slopeshift.report.words.glossary import definitions
from slopeshift.trial import arms, entry_settings, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slopeshift.trial.keys import Key

ROOT = Path(__file__).parents[2]

SECTIONS: dict[str, Mapping[str, Key]] = {
    "The file": settings.TRIAL,
    "[outcomes.NAME]": settings.OUTCOME,
    "[covariates.NAME]": settings.COVARIATE,
    "[[entry]]": entry_settings.KEYS,
    "[arms]": arms.KEYS,
    "[control]": settings.CONTROL,
}
"""What `trial.toml` may hold, in the order in which the dictionary describes it."""


def cell(text: str) -> str:
    """Let a text stand in a cell of a table: one line, and no bar that would end the cell."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")


def code(text: str) -> str:
    """Let a text stand as code in a cell of a table."""
    return "`" + " ".join(text.split()).replace("|", r"\|") + "`" if text else ""


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Write rows of cells as a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ---- the command line ----


def commands() -> str:
    """Describe every command with its arguments and options, as the program itself knows them."""
    group: Any = typer.main.get_command(cli)
    everywhere = f"## Options of every command\n\n{_options(group)}\n\nThey stand before the command."
    each = [f"## {name}\n\n{_command(name, command)}" for name, command in sorted(group.commands.items())]
    return "\n\n".join([group.epilog, everywhere, *each])


def _command(name: str, command: Any) -> str:
    given = [p for p in command.params if not _is_option(p)]
    usage = " ".join(["slopeshift", name, *map(_shown, given), "[OPTIONS]"])
    return f"{command.help}\n\n```text\n{usage}\n```\n\n{_options(command)}"


def _is_option(parameter: Any) -> bool:
    return str(parameter.opts[0]).startswith("-")


def _shown(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required else f"[{name}]"


def _options(command: Any) -> str:
    rows = ([code(_name(p)), cell(p.help or ""), code(_default(p))] for p in command.params if p.name != "help")
    return table(["", "", "default"], rows)


def _name(parameter: Any) -> str:
    if not _is_option(parameter):
        return _shown(parameter)
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return ", ".join(parameter.opts) + value


def _default(parameter: Any) -> str:
    unset = parameter.default is None or parameter.default is False
    return "" if unset or parameter.required or callable(parameter.default) else str(parameter.default)


# ---- tables, quantities, settings, models ----


def tables() -> str:
    """Describe every table that a report writes."""
    return table(["table", "what it holds"], ([code(f"{name}.csv"), cell(about)] for name, about in ABOUT.items()))


def quantities() -> str:
    """Define every reported quantity."""
    return "\n\n".join(_quantity(definition) for definition in definitions().values())


def _quantity(of: Any) -> str:
    facts = {"formula": of.formula, "table": of.table, "computed in": of.code}
    lines = [f"- {name}: {code(text)}" for name, text in facts.items() if text]
    unit = [f"- unit: {of.unit}"] if of.unit else []
    printed = [f"- printed as: {'; '.join(of.printed)}"] if of.printed else []
    return f"## {of.label}\n\n{of.meaning}\n\n" + "\n".join([*lines, *unit, *printed])


def configuration() -> str:
    """List every key of `trial.toml`, with what the reader expects of it."""
    heads = ["key", "", "what to write"]
    return "\n\n".join(
        f"## {code(section) if '[' in section else section}\n\n"
        + table(heads, ([code(n), "required" if k.required else "", cell(k.expected)] for n, k in known.items()))
        for section, known in SECTIONS.items()
    )


def models() -> str:
    """List the models of the repository by what they say of themselves, with what each is a variation of."""
    files = [load_model(path) for path in sorted((ROOT / "models").glob("*.py"))]
    rows = ([code(file.name), cell(file.title), code(file.varies.name if file.varies else "")] for file in files)
    return table(["model", "what it is", "varies"], rows)


# ---- figures ----


def gallery() -> str:
    """Show every figure of the reports that were made, with its caption; say what to run where there is none."""
    found = [folder for folder in sorted((ROOT / "reports").glob("*")) if (folder / "tables/figures.csv").exists()]
    shown = "\n\n".join(f"## {folder.name}\n\n{_figures(folder)}" for folder in found)
    return shown or "No report has been made here: run `make report`, then `make docs`."


def _figures(folder: Path) -> str:
    listed = pd.read_csv(folder / "tables/figures.csv")
    return "\n\n".join(_figure(folder, row) for row in listed.to_dict("records"))


def _figure(folder: Path, row: Mapping[str, str]) -> str:
    place = (folder / "figures" / f"{row['file']}.svg").relative_to(ROOT).as_posix()
    return f":::{{figure}} /{place}\n:alt: {row['file']}\n:figclass: gallery\n\n`{row['file']}`. {row['caption']}\n:::"


MADE: dict[str, Callable[[], str]] = {
    "commands": commands,
    "configuration": configuration,
    "gallery": gallery,
    "models": models,
    "quantities": quantities,
    "tables": tables,
}
