"""Published figures: what other trials and untreated patients showed, each number with its source."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def names() -> tuple[str, ...]:
    """Name the collections of published figures that are there."""
    return tuple(sorted(path.stem for path in _folder().glob("*.csv")))


def figures(name: str) -> pd.DataFrame:
    """Read one collection of published figures: a row per figure, with columns as the README beside it says.

    Raises LookupError where there is none of this name.
    """
    import pandas as pd

    if name not in names():
        raise LookupError(f"no published figures {name!r}; there are {', '.join(names()) or 'none'}")
    return pd.read_csv(
        _folder() / f"{name}.csv",
        dtype={"period": str},
        keep_default_na=False,
        na_values={"n": "", **dict.fromkeys(("value", "sd", "lower", "upper"), "")},
    )


def content() -> dict[str, str]:
    """Hash every collection, by name: what decides an answer that is made from published figures."""
    return {name: sha256((_folder() / f"{name}.csv").read_bytes()).hexdigest() for name in names()}


def _folder() -> Path:
    """Find the figures: beside the source of a checkout, or inside the package once it is installed."""
    package = Path(__file__).resolve().parent
    installed = package / "_published"
    return installed if installed.is_dir() else package.parents[1] / "data" / "published"
