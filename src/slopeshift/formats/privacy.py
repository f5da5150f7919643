"""Direct identifiers refused, and patients' names replaced by keyed pseudonyms.

Pseudonyms are the first 12 hexadecimal digits of HMAC-SHA-256 of the name (RFC 2104), so the same key gives the same
pseudonym in every table and every import, and nobody without the key can go back.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats.ledger import LEFT_OUT
from slopeshift.formats.notation import by_distinct
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.reading import Reading
    from slopeshift.formats.source import Source

SHORTEST_KEY = 16  # bytes

# Words by themselves or within a column's name, in the languages trials in ALS are run in; `name` only with a person.
_WORDS = frozenset(
    """
    surname forename firstname lastname fullname familyname givenname middlename patientname subjectname initials
    dob birthdate birthday birth brthdtc brthdt dateofbirth address addr street postcode postal zip zipcode phone
    telephone tel mobile fax email mail ssn mrn nhs passport insurance iban
    vorname nachname geburtsdatum adresse strasse plz telefon prenom naissance apellido nombre nacimiento
    cognome nascita
    """.split()
)
_PERSON = frozenset("first last full family given middle maiden patient subject participant contact carer".split())
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")


def identifying_columns(source: Source) -> dict[str, str]:
    """Name the columns, filled at least once, that look like a direct identifier, with what makes them look so."""
    found = {}
    for column in source.table.columns:
        cells = source.table[column]
        if not (cells != "").any():
            continue
        if said := _identifier(column):
            found[column] = f"a column that looks like {said}"
        elif by_distinct(cells, lambda cell: "@" in cell and _EMAIL.fullmatch(cell) is not None).any():
            found[column] = "e-mail addresses in its cells"
    return found


def _identifier(column: str) -> str | None:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column)
    words = re.findall(r"[a-zà-ÿ]+", spaced.casefold())
    joined = "".join(words)
    if joined in ("name", "names"):
        return "a name"
    if "name" in words and _PERSON & set(words):
        return "a name"
    return next((repr(word) for word in [*words, joined] if word in _WORDS), None)


def without_identifiers(
    sources: Sequence[Source], *, drop: bool
) -> tuple[list[Source], list[tuple[str, str, str]], list[Problem]]:
    """Return the sources without direct identifiers, the ledger's lines about them, and, unless `drop`, problems."""
    kept, heads, problems = [], [], []
    for source in sources:
        found = identifying_columns(source)
        kept.append(replace(source, table=source.table.drop(columns=list(found))))
        for column, said in found.items():
            remedy = "remove the column from the file, or leave it out with --drop-identifiers"
            heads.append((source.file, LEFT_OUT, f"column {column}: {said}"))
            if not drop:
                problems.append(Problem(source.file, 1, column, said, remedy))
    return kept, heads, problems


def read_key(path: Path, destination: Path) -> tuple[bytes, list[Problem]]:
    """Read the key of the pseudonyms; refuse one kept where the data go, one that is missing and one too short."""
    place, target = path.resolve(), destination.resolve()
    found = None
    if target in place.parents or place == target:
        found, remedy = "a key inside the folder to be written", "keep the key away from the data it protects"
    elif any(parent.name.casefold() == "data" for parent in place.parents):
        found, remedy = "a key inside a folder named data", "keep the key away from the data it protects"
    elif not place.is_file():
        found, remedy = "no such file", "make a key: python -c 'import secrets; print(secrets.token_hex(32))' > FILE"
    elif len(key := place.read_bytes().strip()) < SHORTEST_KEY:
        found, remedy = f"a key of {len(key)} bytes", f"use at least {SHORTEST_KEY}, made at random"
    else:
        return key, []
    return b"", [Problem(path.name, None, None, found, remedy)]


def pseudonymised(reading: Reading, key: bytes) -> Reading:
    """Return the reading with a pseudonym in the place of every patient's name.

    Names that differ in capitals or unseen characters alone are a problem of the reading, because nobody could see it
    afterwards.
    """
    names = list(pd.unique(pd.concat([table["patient"] for table in reading.tables.values()])))
    pseudonyms = {name: _pseudonym(name, key) for name in names}
    tables = {
        name: table.assign(patient=table["patient"].map(pseudonyms).astype("str"))
        for name, table in reading.tables.items()
    }
    first: dict[str, str] = {}
    alike = [(first[like], name) for name in names if first.setdefault(like := _likeness(name), name) != name]
    remedy = "spell one patient one way everywhere, or give two patients more distinct names"
    problems = [Problem("(patients)", None, None, f"{one!r} and {other!r}", remedy) for one, other in alike]
    return replace(
        reading,
        tables=tables,
        problems=tuple(_hidden(problem, pseudonyms) for problem in (*reading.problems, *problems)),
        notes=tuple(_hidden(note, pseudonyms) for note in reading.notes),
        who={place: pseudonyms.get(name, "") for place, name in reading.who.items()},
    )


def _hidden(problem: Problem, pseudonyms: Mapping[str, str]) -> Problem:
    return problem._replace(patient=pseudonyms.get(problem.patient)) if problem.patient else problem


def _likeness(name: str) -> str:
    seen = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", seen).casefold()


def _pseudonym(name: str, key: bytes) -> str:
    if not name:
        return ""
    return "P-" + hmac.new(key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]
