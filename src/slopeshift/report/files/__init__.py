"""Files that travel beside the page: every table as CSV and in one workbook, every figure as SVG and PNG."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
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

ABOUT = {
    "population": "An average patient: a row per model, quantity and injection, with mean, sd, 95 % interval (lower, "
    "upper), probability above 0 (prob_positive) and of slower worsening (prob_better), median, and how exactly they "
    "were computed (rhat, ess, mcse).",
    "patients": "Every patient, by injection: change of slope with 95 % interval, probability of slower worsening "
    "(prob_better) and of slowing by 25 % or more (prob_slowing_25) beside that before the data. A cycle that was "
    "not reached or not informed has no row.",
    "responders": "How many patients slowed by a threshold in percent: expected number, 95 % interval, patients with a "
    "probability above 0.8, and how many of these are expected to be false.",
    "diagnostics": "Every diagnostic of every fit, with its limit and whether it was met.",
    "change_curve": "Probability that the change of slope of an average patient is larger than x.",
    "interval": "Response against the interval between injections, by model.",
    "covariates": "What level, slope and change go with between patients, by model: associations, not effects.",
    "classical": "The trial's own kind of analysis: least-squares slopes and what is counted of them.",
    "safety": "Events by term and period, with the risk per patient that they leave open.",
    "null_reference": "The trial's own counts, and what they are in trials of the same design without any change.",
    "null_refits": "The models' own rules in trials without any change.",
    "pseudo_injection": "Injections moved to where nothing happened.",
    "published_claim": "A published count, and what chance alone gives of it.",
    "loo": "Every value, and every patient, left out in turn and predicted from the others.",
    "predictive_checks": "Features of the recorded values, and what the fitted models predict of them.",
    "prior_sensitivity": "How much each prior, and the data, move the main quantities.",
    "model_comparison": "Models of the same outcome by how well they predict what was left out, best first.",
    "sensitivity": "The change of slope under other models, priors and assumptions.",
    "sensitivity_tipping": "How strong each assumption would have to be to move the probability below 0.8.",
    "sensitivity_curves": "The probability of slower decline against the strength of each assumption.",
    "dropout_tipping": "How much worse values after leaving would have to be to move the probability below 0.8.",
    "waning": "The change of slope where it may wane after an injection.",
    "missing": "Who left, when and why, and what was seen of them before.",
    "figures": "The figures of the page: names of their files in figures/, and what is written below them.",
}
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
