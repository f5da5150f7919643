"""A plan as a value: designs, decision rules, what is assumed of patients, and the scenarios to look at.

`reading` makes one from `plan.toml` and checks it. Months count from the first injection; slopes are in outcome units a
month.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLAIM, NONE = "claim", "no claim"
"""What a scenario should end in: a claim of a change for the better, or none."""

DAYS = 30.4375
"""Days in a month; visits and injections are planned on whole days."""


class PlanError(ValueError):
    """A plan cannot be carried out; the text lists everything that is wrong with it."""


@dataclass(frozen=True)
class Design:
    """One design: who is enrolled, when they are seen, and when injected. Times in months.

    `patients` are those of both arms together, `control_share` the share of the control arm, None without one.
    `interval` has one value where it is fixed; of several, each patient's are a balanced random sequence. `reach` is
    the share of an arm that receives each injection. Visits are evenly spaced in the lead-in, from its start to the day
    of injection 1, and then every `visit_spacing` after an injection, until `follow_up` after the
    patient's last one, and on the days of injections.
    """

    patients: int
    control_share: float | None
    lead_in: float
    lead_in_visits: int
    visit_spacing: float
    interval: tuple[float, ...]
    reach: tuple[float, ...]
    follow_up: float

    @property
    def injections(self) -> int:
        """The number of injections that are planned."""
        return len(self.reach)

    @property
    def longest(self) -> float:
        """Months from a patient's first injection to the last visit of those who receive all, at the most."""
        return (self.injections - 1) * max(self.interval) + self.follow_up

    def problems(self, longest: float) -> Iterator[tuple[str, str, str]]:
        """Yield why it cannot be carried out within `longest` months: key, what was found, what to do."""
        if self.follow_up < self.visit_spacing:
            found = (
                f"{self.follow_up:g} months with a visit every {self.visit_spacing:g}: none after the last injection"
            )
            yield "follow_up", found, "follow patients up until the next visit or longer"
        if self.longest > longest:
            fits = int((longest - self.follow_up) // max(self.interval)) + 1
            found = f"{self.injections} injections and what follows take {self.longest:g} months, of {longest:g}"
            yield "injections", found, f"plan at most {max(fits, 0)}, shorten what is between or after, or allow longer"
        if any(later > earlier for earlier, later in pairwise(self.reach)):
            yield "reach", f"shares that rise: {list(self.reach)}", "let each be at most the one before it"
        smallest = min(self.arms.values())
        if smallest < 2:
            yield "patients", f"{smallest} in an arm", "plan at least 2 in every arm"
        elif round(smallest * self.reach[-1]) < 1:
            found = f"{self.reach[-1]:g} of {smallest} patients reach injection {self.injections}: nobody"
            yield "reach", found, "plan fewer injections, or more patients"

    @property
    def arms(self) -> dict[bool, int]:
        """How many patients are treated, and how many are of the control, where there is one: by whether treated."""
        if self.control_share is None:
            return {True: self.patients}
        control = round(self.patients * self.control_share)
        return {True: self.patients - control, False: control}

    @property
    def labels(self) -> dict[str, Any]:
        """The design as columns of a table: lists as text."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found |= {name: " ".join(f"{value:g}" for value in found[name]) for name in ("interval", "reach")}
        return found | {"control_share": self.control_share or 0.0, "injections": self.injections}

    def __str__(self) -> str:
        """Say in a line what is planned."""
        of = f"{self.patients} patients"
        if self.control_share is not None:
            of += f" ({self.arms[True]} treated, {self.arms[False]} control)"
        between = " or ".join(f"{months:g}" for months in self.interval)
        many = f"{self.injections} injections" + (f" {between} months apart" if self.injections > 1 else "")
        return (
            f"{of}, {self.lead_in:g} months of lead-in with {self.lead_in_visits} visits, {many}, "
            f"visits every {_months(self.visit_spacing)} until {_months(self.follow_up)} after the last"
        )


def _months(number: float) -> str:
    return "month" if number == 1 else f"{number:g} months"


@dataclass(frozen=True)
class Scenario:
    """Something that may be true, in outcome units a month, and what the trial should then end in.

    `effect` is the change of slope of the treated; in a controlled trial, beyond that of the control. `bend` is by how
    much all courses bend, a month per month, on average over trials; `bend_sd` is its SD between trials. `mismatch` is
    by how much slopes without treatment differ from those they are held against: the treated arm's from the control
    arm's or, without one, the patients' from that of the population. `mismatch_bend` is the same of bends.
    """

    name: str
    expected: str
    effect: float = 0.0
    bend: float = 0.0
    bend_sd: float = 0.0
    mismatch: float = 0.0
    mismatch_bend: float = 0.0


@dataclass(frozen=True)
class Rule:
    """A decision rule: claim where Pr(change for the better > `margin`) is above `probability`.

    `margin` is in outcome units a month.
    """

    probability: float
    margin: float = 0.0

    def __str__(self) -> str:
        """Write the rule as a formula."""
        return f"Pr(change > {self.margin:g}) > {self.probability:g}"


@dataclass(frozen=True)
class Target:
    """What a sample size is asked for: `power` of a scenario, by name, or the `width` of a 95 % interval, or both.

    `most` is the largest number of patients that is looked at. `false_alarms` is the share of claims that is allowed
    where there should be none.
    """

    power: float = 0.8
    scenario: str | None = None
    width: float | None = None
    most: int = 1000
    false_alarms: float = 0.025


@dataclass(frozen=True)
class Regression:
    """A coefficient of the change on the interval, or on the dose: its prior SD and what it may truly be.

    In outcome units a month, per month of interval or per doubling of the dose. `levels` are the doses, of which each
    patient has one, in equal numbers; empty where it is the interval that is looked at.
    """

    prior_sd: float
    true: float
    levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class Looks:
    """Looks during the trial: at `months` from the first patient's first injection, with `recruitment` a month.

    At a look, the trial stops with a claim where the rule of the look, `probability` each, is met, and for futility
    where the predictive probability of a claim at the end is below `futility`. Trials are `replicates`.
    """

    months: tuple[float, ...]
    recruitment: float
    probability: tuple[float, ...]
    futility: float = 0.0
    replicates: int = 100_000


@dataclass(frozen=True)
class Simulation:
    """What is simulated and refitted: `replicates` trials of each design and scenario that are named.

    `designs` are places in the grid, from 1. The rest is what the closed form cannot have: an ALSFRS-R loss that is
    needed for entry, hazards of leaving and of death a month, and the log odds of a long interval per point a month by
    which the slope improved. Scores are rounded, and end at the ends of their scale, in any case.
    """

    replicates: int
    designs: tuple[int, ...] = (1,)
    scenarios: tuple[str, ...] = ()
    minimum_loss: float | None = None
    dropout: float = 0.0
    death: float = 0.0
    interval_on_response: float = 0.0

    @property
    def as_planned(self) -> bool:
        """Whether nobody is chosen or leaves, and intervals are as planned, so that the closed form applies."""
        return self.minimum_loss is None and not (self.dropout or self.death or self.interval_on_response)


@dataclass(frozen=True)
class Plan:
    """Everything that was asked, checked. `population` says where spreads come from (see `spreads`).

    `control` has priors of slope and curvature that a natural history gives: mean and SD, by coefficient.
    `effect_prior` is the mean and SD of the effect that assurance averages over.
    """

    title: str
    models: tuple[str, ...]
    designs: tuple[Design, ...]
    rules: tuple[Rule, ...]
    scenarios: tuple[Scenario, ...]
    population: Mapping[str, Any]
    target: Target
    seed: int
    control: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    effect_prior: tuple[float, float] | None = None
    interval_effect: Regression | None = None
    dose: Regression | None = None
    looks: Looks | None = None
    simulation: Simulation | None = None

    def scenario(self, name: str) -> Scenario:
        """Find a scenario by its name. Raises LookupError where there is none."""
        found = {scenario.name: scenario for scenario in self.scenarios}
        if name not in found:
            raise LookupError(f"no scenario {name!r}; there are {', '.join(found)}")
        return found[name]


def grid(values: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """List all combinations of values by name, the last name varying fastest."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
