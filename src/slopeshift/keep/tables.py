"""Named tables in a folder, each with what it was made from: read again only where that is still so.

A table is a CSV file that people can read; `tables.json` beside it says of each what it was made from and what its
columns hold, so that what is read equals what was written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.keep.atomic import locked, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    MadeFrom = Mapping[str, Any]

RECORD = "tables.json"


def save(name: str, table: pd.DataFrame, made_from: MadeFrom, folder: Path) -> Path:
    """Write one table as `<name>.csv` with what it was made from, and return the file.

    `made_from` is whatever JSON can hold. The record is written first without the table and then with it, so that a
    stop in between leaves a table that counts as missing. Processes that save into one folder take turns. Raises
    ValueError where a column has truth values and gaps, which a text file cannot tell apart from words.
    """
    target = folder / f"{name}.csv"
    columns = {str(column): _kind(table[column]) for column in table}
    with locked(folder, lambda _: None):
        others = {other: said for other, said in _record(folder).items() if other != name}
        _write_record(folder, others)
        with replacing(target) as path:
            table.to_csv(path, index=False)
        _write_record(folder, others | {name: {"made_from": made_from, "columns": columns}})
    return target


def current(folder: Path, made_from: Callable[[str], MadeFrom]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the tables of a folder that were made from what is at hand.

    `made_from` says of a table's name what it would be made from now. Returns the tables by name, and the names of
    those that were made from something else, which are left where they are.
    """
    found, stale = {}, []
    for name, said in _record(folder).items():
        if said["made_from"] == json.loads(json.dumps(made_from(name))) and (folder / f"{name}.csv").exists():
            found[name] = _read(folder / f"{name}.csv", said["columns"])
        else:
            stale.append(name)
    return found, stale


def _record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    with replacing(folder / RECORD) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _kind(column: pd.Series[Any]) -> str:
    """Name what a column holds: bool, int, float or text. A column of gaps alone is one of numbers without a value."""
    known = column.dropna().infer_objects()
    gaps = len(known) < len(column)
    if pd.api.types.is_bool_dtype(known) and len(known):
        if gaps:
            raise ValueError(f"column {column.name!r} has truth values and gaps; say what a gap means by a text")
        return "bool"
    if pd.api.types.is_integer_dtype(known) and not gaps:
        return "int"
    return "float" if pd.api.types.is_numeric_dtype(known) or (gaps and known.empty) else "text"


def _read(path: Path, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Read a table as it was: an empty text is an empty text, and a number the same to the last digit."""
    types = {"text": str, "bool": bool, "int": "int64", "float": "float64"}
    texts = [name for name, kind in kinds.items() if kind == "text"]
    numbers = {name: types[kind] for name, kind in kinds.items() if kind in ("bool", "int")}
    read = pd.read_csv(
        path,
        dtype={**dict.fromkeys(texts, object), **numbers},
        na_values={name: [""] for name, kind in kinds.items() if kind == "float"},
        keep_default_na=False,
    )
    return read.astype({name: "float64" for name, kind in kinds.items() if kind == "float"})
