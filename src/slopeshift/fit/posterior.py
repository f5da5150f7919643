"""The posterior of one model on one trial: what everything that is said of it is read from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from slopeshift.fit.packed import unpacked, visits_of_fit
from slopeshift.fit.store import FitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from slopeshift.design.visits import Visits
    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

SAMPLES = ("chain", "draw")
"""The dims of draws."""

NORMAL = "normal"
"""The residual family of every model whose coefficients are integrated out."""

PRIOR = ("prior", "prior_predictive")
"""The stored groups whose draws are not those of the posterior."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from the posterior of one model on one trial: of a stored fit, a refit or a simulated trial alike.

    `visits` are the values that the model was fitted to, on its own shape, which a refit may have exchanged for others
    than those of `trial`. `design` is the `constant_data` of a fit: what `Visits.dataset` has and, where coefficients
    were integrated out, the model's terms. `draws` has `population` (chain, draw, coefficient), `coefficients` (chain,
    draw, patient, coefficient) and what else the model has. `model` is its name, `family` that of its residual family;
    None where it is not known. `passed` is the verdict of the diagnostics gate; None where it was not asked. `groups`
    are what else is stored by the names of the ArviZ schema, such as `prior`, `log_likelihood` and `sample_stats`.
    """

    trial: Trial
    visits: Visits
    design: xr.Dataset
    draws: xr.Dataset
    model: str
    family: str | None = None
    passed: bool | None = None
    groups: Mapping[str, xr.Dataset] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return self.visits.outcome.name

    @property
    def unit(self) -> str:
        """Unit of the outcome."""
        return self.visits.outcome.unit

    @property
    def rate(self) -> str:
        """Unit of slopes and changes: that of the outcome, a month."""
        return f"{self.unit}/month"

    @property
    def labels(self) -> dict[str, str]:
        """What the rows of a table about it are labelled with."""
        return {"model": self.model, "outcome": self.outcome}

    def _repr_html_(self) -> str:
        """Show in a notebook what it has draws of, and the verdict of the gate; no effect, which tables give."""
        from markupsafe import Markup

        sizes = self.draws.sizes
        verdict = {True: "passed", False: "FAILED", None: "not asked"}[self.passed]
        said = Markup("<b>Posterior of {}</b> on trial {}.{} {} patients, {} values of {}; {} residuals.").format(
            *(self.model, self.trial.name, " SYNTHETIC DATA." if self.trial.synthetic else ""),
            *(len(self.visits.patients), len(self.visits.month), self.visits.outcome.label, self.family or "unknown"),
        )
        drawn = Markup("{} chains of {} draws. Diagnostics gate: {}.").format(*(sizes[dim] for dim in SAMPLES), verdict)
        rows = Markup("").join(
            Markup("<tr><td>{}</td><td>{}</td></tr>").format(
                name, ", ".join(f"{dim} {sizes[dim]}" for dim in array.dims if dim not in SAMPLES)
            )
            for name, array in self.draws.items()
        )
        heads = Markup("<tr><th>variable</th><th>dims beside chain and draw</th></tr>")
        body = Markup("<table><thead>{}</thead><tbody>{}</tbody></table>").format(heads, rows)
        return str(Markup("<div><p>{} {}</p>{}</div>").format(said, drawn, body))

    @cached_property
    def prior(self) -> Posterior:
        """The same model before the data: its stored prior draws in the place of the posterior's.

        Raises LookupError where none are stored, as of a refit.
        """
        if "prior" not in self.groups:
            raise LookupError(f"{self.model}: no draws of its prior are stored; refits have none, take a fit")
        return self.with_draws(self.groups["prior"])

    def with_draws(self, draws: xr.Dataset) -> Posterior:
        """Put other draws in the place of these; what was stored of the old ones is left out."""
        return replace(self, draws=draws, groups={})

    def stored(self, group: str) -> xr.DataArray | None:
        """Take the array of the outcome out of a stored group: (chain, draw, ...), None where it has none."""
        return self.groups[group].get(self.outcome) if group in self.groups else None


def posterior_of(trial: Trial, fit: Fit) -> Posterior:
    """Take the posterior out of a fit, whatever was left out of it made again.

    Raises FitError where the model was skipped, or the fit was made from other data than the trial's.
    """
    if fit.record["status"] == "skipped":
        raise FitError(f"{fit.record['model']}: skipped, {fit.record['reason']}; there is no posterior")
    record, visits = fit.record, visits_of_fit(fit, trial)
    groups = {name: group.to_dataset() for name, group in unpacked(fit, trial).tree.children.items()}
    return Posterior(
        trial=trial,
        visits=visits,
        design=groups.pop("constant_data"),
        draws=groups.pop("posterior"),
        model=record["model"],
        family=record.get("family"),
        passed=record.get("gate", {}).get("passed"),
        groups=groups,
    )
