"""What a key of `trial.toml`, or of another file of settings, may hold: what fits it, and whether it must be there."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from slopeshift.trial.cells import has_control_character
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = "trial.toml"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What an outcome or a screening value of one's own may be called."""


class Key(NamedTuple):
    """What fits a key, what is expected of it in words, and whether it must be given."""

    fits: Callable[[Any], bool]
    expected: str
    required: bool = False


def is_line(value: Any) -> bool:
    """Say whether a value is one line of text that can be read."""
    return isinstance(value, str) and bool(value.strip()) and not has_control_character(value)


def is_text(value: Any) -> bool:
    """Say whether a value is a text that can be read, of any number of lines."""
    return isinstance(value, str) and is_line(re.sub(r"[\r\n\t]", " ", value))


def is_flag(value: Any) -> bool:
    """Say whether a value is true or false."""
    return isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Say whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_size(value: Any) -> bool:
    """Say whether a value is a number above 0."""
    return is_number(value) and value > 0


def is_share(value: Any) -> bool:
    """Say whether a value is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_inner(value: Any) -> bool:
    """Say whether a value is a number between 0 and 1, neither of them included."""
    return is_number(value) and 0 < value < 1


def is_count(value: Any) -> bool:
    """Say whether a value is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_section(value: Any) -> bool:
    """Say whether a value is a section of keys."""
    return isinstance(value, Mapping)


def is_table(value: Any) -> bool:
    """Say whether a value is a section of sections."""
    return isinstance(value, Mapping) and all(isinstance(entry, Mapping) for entry in value.values())


def is_blocks(value: Any) -> bool:
    """Say whether a value is a list of sections, which stand as [[NAME]] in a file."""
    return isinstance(value, list) and all(isinstance(block, Mapping) for block in value)


def key_problems(
    given: Mapping[str, Any], known: Mapping[str, Key], section: str, file: str = FILE
) -> Iterator[Problem]:
    """Yield the keys of a section that are missing, unknown or of the wrong type; `section` comes before their name."""
    for name, key in known.items():
        if key.required and name not in given:
            yield Problem(file, None, section + name, "no such key", f"give {key.expected}")
        if name in given and not key.fits(given[name]):
            yield Problem(file, None, section + name, repr(given[name]), f"write {key.expected}")
    for name in given:
        if name not in known:
            remedy = f"delete it; known are {', '.join(known)}"
            yield Problem(file, None, section + name, f"unknown key {name!r}", remedy)
