"""Files that travel beside the page: every table as CSV and in one workbook, every figure as SVG and PNG."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import pandas as pd
from markupsafe import escape

from slopeshift.keep.atomic import replacing
from slopeshift.report.figures.picture import Picture
from slopeshift.report.figures.style import styled
from slopeshift.report.files.spreadsheet import csv, workbook
from slopeshift.trial import Trial

PRINT_DPI = 300
"""Dots per inch of a PNG: at the size it was drawn in, as sharp as print."""

_STYLE = "text{font-family:system-ui,Helvetica,Arial,sans-serif}*{stroke-linejoin:round;stroke-linecap:butt}"

WORKBOOK = "tables.xlsx"

ABOUT: dict[str, str] = tomllib.loads(resources.files(__name__).joinpath("tables.toml").read_text(encoding="utf-8"))
"""What each table is, for who finds it without the page."""


def write_tables(trial: Trial, tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write `tables/NAME.csv` and the workbook into a folder, each whole or not at all."""
    for name, table in tables.items():
        with replacing(folder / "tables" / f"{name}.csv") as path:
            path.write_text(csv(table), encoding="utf-8", newline="")
    with replacing(folder / WORKBOOK) as path:
        path.write_bytes(workbook(trial, tables, ABOUT))
    _sweep(folder / "tables", {f"{name}.csv" for name in tables})


def figure_table(pictures: Sequence[Picture], models: Mapping[str, str]) -> pd.DataFrame:
    """List the files of figures, in the order of the page: columns file (without its ending) and caption.

    `models` names the model of every anchor that a picture's name may begin with. A file is named after what the figure
    shows, with letters, digits and dashes alone, never after a patient.
    """
    names: dict[str, None] = {}
    for picture in pictures:
        anchor, dash, rest = picture.name.partition("-")
        slug = _slug(f"{models.get(anchor, anchor)}{dash}{rest}")
        free = (f"{slug}-{i}" if i > 1 else slug for i in range(1, len(pictures) + 1))
        names[next(name for name in free if name not in names)] = None
    return pd.DataFrame({"file": list(names), "caption": [picture.caption for picture in pictures]}, dtype="str")


def write_figures(trial: Trial, pictures: Sequence[Picture], names: Sequence[str], folder: Path) -> None:
    """Write every figure as `figures/NAME.svg` and as `figures/NAME.png`, and clear away those of an earlier report.

    A figure of synthetic data says so in its corner, since it may be seen without the page.
    """
    mark = "SYNTHETIC DATA" if trial.synthetic else ""
    for picture, name in zip(pictures, names, strict=True):
        with replacing(folder / "figures" / f"{name}.svg") as path:
            path.write_text(standalone(picture, mark), encoding="utf-8", newline="")
        with replacing(folder / "figures" / f"{name}.png") as path:
            _png(picture, mark, path)
    _sweep(folder / "figures", {f"{name}.{kind}" for name in names for kind in ("svg", "png")})


def standalone(picture: Picture, mark: str) -> str:
    """Turn a figure of the page into an SVG document: what the page's style sheet gives it is written into it."""
    element = str(picture.element)
    width, height = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', element).groups()  # type: ignore[union-attr]
    head, _, body = element.removeprefix("<svg").partition(">")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}pt" '
        f'height="{height}pt"{head}><title>{escape(picture.caption)}</title><style>{_STYLE}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{float(width) - 2:g}" y="{float(height) - 2:g}" font-size="6" text-anchor="end">{mark}</text>'
        f"{body}\n"
    )


@styled
def _png(picture: Picture, mark: str, path: Path) -> None:
    picture.figure.text(0.995, 0.005, mark, fontsize=6, ha="right", va="bottom")
    with warnings.catch_warnings():
        # A name may have letters that Matplotlib's font lacks; in the SVG the viewer's font has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        picture.figure.savefig(path, format="png", dpi=PRINT_DPI, metadata={"Software": None})


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "figure"


def _sweep(folder: Path, kept: set[str]) -> None:
    """Delete what an earlier report left in a folder: it may be of a fit that has failed its gate since."""
    for path in folder.glob("*.*"):
        if path.suffix in (".csv", ".svg", ".png") and path.name not in kept:
            path.unlink()
