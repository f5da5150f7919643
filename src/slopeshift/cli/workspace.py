"""The command `init`: a folder to work in, laid out from what the installed package carries."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

import slopeshift
from slopeshift.cli.answers import BAD_INPUT

EXAMPLE, PLAN = "synthetic-msc-als", "plan.toml"


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to lay out; new or empty.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Write a commented plan.toml into DIR, and nothing else.")
    ] = False,
) -> None:
    """Lay out a folder to work in: models, an example trial, a Makefile and an environment."""
    if plan:
        _write_plan(folder / PLAN)
        return
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        typer.echo(f"{folder}: there already, and not an empty folder; choose another name", err=True)
        raise typer.Exit(BAD_INPUT)
    carried = Path(str(files("slopeshift"))).resolve()
    models, data = carried / "_models", carried / "_data"
    if not models.is_dir():  # a checkout, where they lie beside the package
        models, data = carried.parents[1] / "models", carried.parents[1] / "data"
    if not (models.is_dir() and data.is_dir()):
        typer.echo("this installation carries no models and no example; install slopeshift from its wheel", err=True)
        raise typer.Exit(BAD_INPUT)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(models, folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(data / EXAMPLE, folder / "data" / EXAMPLE)
    shutil.copy(data / "README.md", folder / "data")
    for name, text in _own().items():
        (folder / name).write_text(text, encoding="utf-8")
    typer.echo(f"{folder}: models, data/{EXAMPLE}, a Makefile. Next:\n  cd {folder}\n  make report")


def _write_plan(path: Path) -> None:
    """Write the commented example of a plan, unless there is a file of its name."""
    if path.exists():
        typer.echo(f"{path}: there already; choose another folder, or edit it", err=True)
        raise typer.Exit(BAD_INPUT)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((files("slopeshift.planning") / "example.toml").read_text(encoding="utf-8"), encoding="utf-8")
    typer.echo(f"wrote {path}. Next:\n  slopeshift plan {path}")


def _own() -> dict[str, str]:
    """Return the files of a workspace that no checkout has."""
    templates = files("slopeshift.cli") / "workspace_files"
    names = {"Makefile": "Makefile", "environment.yml": "environment.yml", "gitignore": ".gitignore"}
    texts = {name: (templates / stored).read_text(encoding="utf-8") for stored, name in names.items()}
    return {name: text.replace("VERSION", slopeshift.__version__) for name, text in texts.items()}
