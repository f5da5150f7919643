"""The blocks `[[entry]]` of `trial.toml`: what may stand in them, and the rules that they state."""

from __future__ import annotations

import re
from dataclasses import fields
from difflib import get_close_matches
from math import inf
from typing import TYPE_CHECKING, Any

from slopeshift.trial.columns import EXEMPT, Problem
from slopeshift.trial.entry import COLUMN, FIRST, INJECTION, LAST, LIMITS, MONTH, OF_TWO, QUANTITIES, EntryRule
from slopeshift.trial.keys import FILE, NAME, Key, is_count, is_line, is_number, is_text, key_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slopeshift.trial.roles import Outcome

_TAKEN = ("patient", "age", "sex", "onset", "onset_site", "end", "end_reason", "planned", EXEMPT)
_MONTH = re.compile(re.escape(MONTH) + r"([+-]?[0-9]+\.?[0-9]*)")
_OCCASIONS = f'"{FIRST}", "{LAST}", "{INJECTION}", "{MONTH}-3" or "{COLUMN}NAME"'


def _is_occasion(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    column = value.startswith(COLUMN) and NAME.fullmatch(value.removeprefix(COLUMN)) is not None
    return value in (FIRST, LAST, INJECTION) or _MONTH.fullmatch(value) is not None or column


def _is_spread(value: Any) -> bool:
    return is_number(value) and value >= 0


_LIMIT = "a number, without quotes: {} = 3"
KEYS = {
    "outcome": Key(is_line, 'the outcome that the rule is about: outcome = "alsfrsr"', required=True),
    "quantity": Key(lambda value: value in QUANTITIES, f"one of {', '.join(QUANTITIES)}, in quotes", required=True),
    "from": Key(_is_occasion, f"when the value counts, or the earlier of two: from = {_OCCASIONS}", required=True),
    "to": Key(_is_occasion, f"when the later value counts: to = {_OCCASIONS}"),
    **{limit: Key(is_number, _LIMIT.format(limit)) for limit in LIMITS},
    "spread": Key(_is_spread, "the SD of a judgement in the outcome's units, 0 or more: spread = 1.5"),
    "screened": Key(is_count, "a whole number of patients: screened = 41"),
    "refused": Key(is_count, "how many of them this rule refused, a whole number: refused = 21"),
    "source": Key(is_text, 'where the rule is written: source = "protocol 4.1 (c)"', required=True),
}


def section(place: int) -> str:
    """Name the block of a rule, by its place from 0, as problems do: `entry[1]` is the first."""
    return f"entry[{place + 1}]"


def entry_problems(blocks: list[Mapping[str, Any]], outcomes: Mapping[str, Outcome]) -> Iterator[Problem]:
    """Yield what is wrong with the blocks as they are written, whatever the trial's values are."""
    for place, block in enumerate(blocks):
        wrong = [*key_problems(block, KEYS, f"{section(place)}."), *_unknown_outcome(place, block, outcomes)]
        yield from wrong
        if not wrong:
            yield from _contradictions(place, block, outcomes[block["outcome"]])
    seen: dict[tuple[Any, ...], int] = {}
    for place, block in enumerate(blocks):
        about = tuple(str(block.get(key)) for key in ("outcome", "quantity", "from", "to"))
        if seen.setdefault(about, place) != place:
            found = f"about the same as {section(seen[about])}"
            yield _problem(place, "quantity", found, "state both limits in one block: they make a window")


def rules_of(blocks: list[Mapping[str, Any]], outcomes: Mapping[str, Outcome]) -> dict[int, EntryRule]:
    """Return the rules that the blocks state, by their place: those with a fault are left out."""
    good = {p: block for p, block in enumerate(blocks) if not any(entry_problems([block], outcomes))}
    known = {field.name for field in fields(EntryRule)}
    renamed = {"from": "start", "to": "end"}
    return {
        place: EntryRule(**{name: value for key, value in block.items() if (name := renamed.get(key, key)) in known})
        for place, block in good.items()
    }


def _problem(place: int, key: str, found: str, remedy: str) -> Problem:
    return Problem(FILE, None, f"{section(place)}.{key}", found, remedy)


def _unknown_outcome(place: int, block: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> Iterator[Problem]:
    name = block.get("outcome")
    if is_line(name) and name not in outcomes:
        meant = get_close_matches(str(name), outcomes, n=1)
        remedy = f"write {meant[0]!r}" if meant else f"use one of {', '.join(outcomes)}, or declare [outcomes.{name}]"
        yield _problem(place, "outcome", f"no outcome {name!r}", remedy)


def _contradictions(place: int, block: Mapping[str, Any], outcome: Outcome) -> Iterator[Problem]:
    yield from _occasions(place, block)
    yield from _limits(place, block, outcome)
    yield from _scale(place, block, outcome)
    yield from _counts(place, block)


def _occasions(place: int, block: Mapping[str, Any]) -> Iterator[Problem]:
    quantity, start, end = block["quantity"], block["from"], block.get("to")
    if quantity in OF_TWO and end is None:
        yield _problem(place, "to", "no such key", f"give {KEYS['to'].expected}")
    elif quantity not in OF_TWO and end is not None:
        yield _problem(place, "to", f"{end!r}, of a {quantity}", "delete it: the quantity is of one value, `from`")
    elif end is not None and not _in_order(start, end):
        found = f"from {start!r} to {end!r}"
        yield _problem(place, "from", found, "let `from` be an earlier occasion than `to`")
    for key, occasion in (("from", start), ("to", end)):
        name = str(occasion).removeprefix(COLUMN)
        if _month(occasion) > 0:
            remedy = f'count months back from injection 1: {key} = "{MONTH}-3"'
            yield _problem(place, key, f"{occasion!r}, after injection 1", remedy)
        if str(occasion).startswith(COLUMN) and name in _TAKEN:
            remedy = f"choose another name, for the value and for {name}_month"
            yield _problem(place, key, f"{name!r} is no screening value", remedy)


def _month(occasion: str | None) -> float:
    found = _MONTH.fullmatch(occasion or "")
    return float(found[1]) if found else -inf


def _in_order(start: str, end: str) -> bool:
    """Say whether one occasion can come before another; of screening values, their own times decide."""
    if start.startswith(COLUMN) or end.startswith(COLUMN):
        return start != end
    return _order(start) < _order(end)


def _order(occasion: str) -> tuple[int, float]:
    return (0, 0.0) if occasion == FIRST else (1, _month(occasion)) if occasion.startswith(MONTH) else (2, 0.0)


def _limits(place: int, block: Mapping[str, Any], outcome: Outcome) -> Iterator[Problem]:
    given = [limit for limit in LIMITS if limit in block]
    for side, pair in (("lower", ("at_least", "above")), ("upper", ("at_most", "below"))):
        if set(pair) <= set(given):
            yield _problem(place, pair[1], f"two {side} limits", f"keep {pair[0]} or {pair[1]}")
    if not given:
        yield _problem(place, "at_least", "no limit", f"give one of {', '.join(LIMITS)}, or two as a window")
    low, high = _bound(block, "at_least", "above", -inf), _bound(block, "at_most", "below", inf)
    strict = "above" in block or "below" in block
    if low > high or (low == high and strict):
        found = " and ".join(f"{limit} = {block[limit]}" for limit in given)
        yield _problem(place, given[0], found, "let the lower limit lie below the upper one: nobody could enter")
        return
    lowest, highest = _range(block["quantity"], outcome)
    if low > highest or high < lowest or ("above" in block and low == highest) or ("below" in block and high == lowest):
        yield _problem(place, given[0], f"{_stated(block, given)}: nobody could meet it", _possible(lowest, highest))
    # A single value is let in by every whole or equal limit; only a limit outside the range is one for everybody.
    everybody = (low < lowest or (low == lowest and "above" not in block)) and (
        high > highest or (high == highest and "below" not in block)
    )
    if given and everybody:
        yield _problem(place, given[0], f"{_stated(block, given)}: everybody would meet it", _possible(lowest, highest))


def _bound(block: Mapping[str, Any], inclusive: str, strict: str, otherwise: float) -> float:
    return float(block.get(inclusive, block.get(strict, otherwise)))


def _stated(block: Mapping[str, Any], given: list[str]) -> str:
    return f"{block['quantity']} " + " and ".join(f"{limit} {block[limit]:g}" for limit in given)


def _possible(lowest: float, highest: float) -> str:
    return f"correct it, or delete the block: possible are {lowest:g} to {highest:g}"


def _range(quantity: str, outcome: Outcome) -> tuple[float, float]:
    """Return the least and the greatest that a quantity can be on the scale of an outcome."""
    low, high = outcome.ends
    return {
        "score": (low, high),
        "loss": (low - high, high - low),
        "slope": (-inf, inf),
        "slope_from_onset": (0.0, inf),
        "decline_percent": (-inf, 100.0) if outcome.sign > 0 else (-100.0, inf),
    }[quantity]


def _scale(place: int, block: Mapping[str, Any], outcome: Outcome) -> Iterator[Problem]:
    if block["quantity"] == "slope_from_onset" and outcome.best is None:
        limit = "max" if outcome.sign > 0 else "min"
        remedy = f"give {limit} in [outcomes.{outcome.name}], or use another quantity"
        yield _problem(place, "quantity", f"{outcome.name} has no best value to decline from", remedy)
    if block["quantity"] == "decline_percent" and not (outcome.minimum is not None and outcome.minimum >= 0):
        remedy = f'give min = 0 in [outcomes.{outcome.name}], or use quantity = "loss"'
        yield _problem(place, "quantity", f"percent of {outcome.name}, which may be below 0", remedy)


def _counts(place: int, block: Mapping[str, Any]) -> Iterator[Problem]:
    for here, other in (("screened", "refused"), ("refused", "screened")):
        if here in block and other not in block:
            remedy = f"give both from the trial's flow chart, or neither: {other} = 21"
            yield _problem(place, other, f"no such key beside {here} = {block[here]}", remedy)
    if block.get("refused", 0) > block.get("screened", inf):
        found = f"refused = {block['refused']} of screened = {block['screened']}"
        yield _problem(place, "refused", found, "count in `screened` everybody whom the rule was applied to")
