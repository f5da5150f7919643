"""The arms of a controlled trial: who is compared with whom, as `[arms]` of `trial.toml` states it.

Arms are levels of the column `arm` of patients.csv; what was injected is `agent` in injections.csv, where a sham is an
agent like any other. Where patients are randomised, an arm is a patient's; where injections are, agents are compared
within patients. Nothing is guessed of a name: which arm is the control, and whether anything was randomised, is stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slopeshift.trial.columns import Problem
from slopeshift.trial.keys import FILE, Key, is_flag, is_line, is_size, key_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pandas as pd

    from slopeshift.trial.columns import Records

ARM, AGENT = "arm", "agent"
PATIENT, INJECTION = UNITS = ("patient", "injection")
"""What was randomised, or compared: patients, who have an arm, or injections, each of an agent."""

COMPARED = 2
"""Arms, or agents, that are compared: one with the control."""

_LISTED = 5


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_line, value))


def _is_unit(value: Any) -> bool:
    return isinstance(value, str) and value in UNITS


def _is_by_outcome(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(is_size, value.values()))


KEYS = {
    "control": Key(is_line, 'the arm that others are compared with: control = "placebo"', required=True),
    "randomised": Key(is_flag, "true or false, without quotes: randomised = true", required=True),
    "unit": Key(_is_unit, '"patient" or "injection", whichever was given to one or the other: unit = "patient"'),
    "strata": Key(_is_list, 'a list of columns of patients.csv: strata = ["site"]'),
    "minimal_difference": Key(
        _is_by_outcome, "a number above 0 for each outcome, in its units a month: { alsfrsr = 0.2 }"
    ),
}


@dataclass(frozen=True)
class Arms:
    """What is compared: `control` is a level of `arm`, or of `agent` where the `unit` is an injection.

    `strata` are columns of the patients' table within which was randomised. `minimal_difference` holds, by outcome, the
    difference of slopes that matters, in outcome units a month, above 0.
    """

    control: str
    randomised: bool
    unit: str = PATIENT
    strata: tuple[str, ...] = ()
    minimal_difference: Mapping[str, float] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """The column that says what is compared."""
        return ARM if self.unit == PATIENT else AGENT


def arms_of(settings: Mapping[str, Any] | None) -> Arms | None:
    """Return what the settings state of arms: None without a section, or where it has a fault."""
    given = (settings or {}).get("arms")
    if not isinstance(given, Mapping) or any(key_problems(given, KEYS, "arms.")):
        return None
    return Arms(**{**given, "strata": tuple(given.get("strata", ()))})


def arms_problems(
    arms: Arms, records: Records, given: Mapping[str, Collection[str]], outcomes: Collection[str]
) -> Iterator[Problem]:
    """Yield what contradicts the arms that are stated; `given` has the columns of each table, as delivered."""
    for outcome in arms.minimal_difference:
        if outcome not in outcomes:
            remedy = f"delete it; outcomes are {', '.join(outcomes)}"
            yield _stated("minimal_difference", f"no outcome {outcome!r}", remedy)
    yield from _strata(arms, records.tables["patients"], given["patients"])
    table = "patients" if arms.unit == PATIENT else "injections"
    if arms.column not in given[table]:
        remedy = f"add it, a level for every {arms.unit}, or delete [arms] from {FILE}"
        yield Problem(f"{table}.csv", 1, arms.column, "no such column, though arms are stated", remedy)
        return
    column = records.tables[table][arms.column]
    yield from _without(f"{table}.csv", column, f"name the {arms.column} of every {arms.unit}")
    yield from _levels(arms, column)
    if arms.unit == PATIENT and AGENT in given["injections"]:
        yield from _agents(arms, records)


def _strata(arms: Arms, patients: pd.DataFrame, given: Collection[str]) -> Iterator[Problem]:
    for name in arms.strata:
        if name not in given or name in ("patient", ARM):
            yield _stated("strata", f"no stratum {name!r} in patients.csv", "name columns of patients.csv")
        elif name in patients:
            yield from _without("patients.csv", patients[name], "fill it in: patients were randomised within strata")


def _without(file: str, column: pd.Series, remedy: str) -> Iterator[Problem]:
    for row in column.index[column.isna()]:
        yield Problem(file, int(row), str(column.name), "an empty cell", remedy)


def _levels(arms: Arms, column: pd.Series) -> Iterator[Problem]:
    counted = column.value_counts()
    found = ", ".join(f"{level!r} ({number})" for level, number in counted.items())
    if arms.control not in counted.index:
        remedy = f'name one of them: control = "{counted.index[0]}"' if len(counted) else "fill in the column"
        yield _stated("control", f"nobody has {arms.control!r}; {column.name} is {found or 'empty'}", remedy)
    elif len(counted) != COMPARED:
        remedy = "leave out the others, or join them: one is compared with the control"
        if len(counted) < COMPARED:
            remedy = "delete [arms] where there is nothing to compare, or correct the column"
        number = "one level" if len(counted) == 1 else f"{len(counted)} levels"
        yield _stated("control", f"{number} of {column.name}: {found}", remedy)


def _agents(arms: Arms, records: Records) -> Iterator[Problem]:
    """Compare what was injected with the arms: a patient of the control may go over to the other's, but not back."""
    injections = records.tables["injections"]
    yield from _without("injections.csv", injections[AGENT], "name the agent of every injection, sham included")
    arm = records.tables["patients"].drop_duplicates("patient").set_index("patient")[ARM]
    known = injections.assign(arm=injections["patient"].map(arm)).dropna(subset=["arm", AGENT, "injection"])
    first = known[known["injection"] == 1].groupby(known["arm"] == arms.control)[AGENT].unique()
    control, treated = (set(first.get(key, ())) for key in (True, False))
    for agent in sorted(control & treated):
        others = ", ".join(sorted(control - treated)) or "none else"
        remedy = f"correct arm or agent; agents of the control are {others}"
        rows = known.index[(known[AGENT] == agent) & (known["arm"] == arms.control)]
        found = f"{agent!r} at first injections of both arms"
        yield Problem("injections.csv", int(rows[0]), AGENT, found, remedy)
    for _, of in known.sort_values("injection").groupby("patient", sort=False):
        yield from _out_of_arm(arms, of, control - treated, treated - control)


def _out_of_arm(arms: Arms, of: pd.DataFrame, control: set[str], treated: set[str]) -> Iterator[Problem]:
    """Yield the injections of a patient that belong to the other arm and are no delayed start."""
    here, agents = of["arm"].iloc[0], of[AGENT]
    wrong = agents.isin(control) if here != arms.control else agents.isin(control) & agents.isin(treated).cummax()
    for row, agent in agents[wrong].items():
        after = "" if here != arms.control else " after one of the other arm"
        remedy = "correct arm or agent, or leave the patient out and say so"
        yield Problem("injections.csv", int(row), AGENT, f"{agent!r}{after} in the arm {here!r}", remedy)


def arms_notes(arms: Arms | None, records: Records, given: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Yield what readers will ask about arms: those that nobody states, and arms that are not injected alike."""
    patients, injections = records.tables["patients"], records.tables["injections"]
    if arms is None:
        for file, table in (("patients.csv", patients), ("injections.csv", injections)):
            name = ARM if table is patients else AGENT
            levels = table[name].dropna().unique() if name in given[file.removesuffix(".csv")] else ()
            if len(levels) > 1:
                remedy = f"state [arms] in {FILE} to compare them; all are taken for one group otherwise"
                yield Problem(file, None, name, f"{len(levels)} levels: {_list(levels)}", remedy)
        return
    if arms.unit == PATIENT:
        yield from _not_injected(arms, patients, injections)


def _not_injected(arms: Arms, patients: pd.DataFrame, injections: pd.DataFrame) -> Iterator[Problem]:
    injected = patients["patient"].isin(injections["patient"]).groupby(patients[ARM]).any()
    for arm in injected.index[~injected.to_numpy(bool)]:
        remedy = "give the times of sham injections, if there were any"
        found = f"nobody of {arm!r} is injected: compared is with what its courses would have become by themselves"
        yield Problem("injections.csv", None, ARM, found, remedy)
    if AGENT in injections and injections[AGENT].notna().any() and arms.control in injected.index:
        arm = injections["patient"].map(patients.set_index("patient")[ARM])
        over = injections[(arm == arms.control) & injections[AGENT].isin(injections.loc[arm != arms.control, AGENT])]
        if number := over["patient"].nunique():
            found = f"{number} of the arm {arms.control!r} go over to the agent of the other arm"
            yield Problem("injections.csv", None, AGENT, found, "their cycles from then on count as treated later")


def _list(levels: Any) -> str:
    names = [repr(str(level)) for level in levels[:_LISTED]]
    return ", ".join(names) + (", ..." if len(levels) > _LISTED else "")


def _stated(key: str, found: str, remedy: str) -> Problem:
    return Problem(FILE, None, f"arms.{key}", found, remedy)
