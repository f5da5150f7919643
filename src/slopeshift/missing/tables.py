"""Who left a trial and who was left, as tables that are kept: of the trial alone, and of one fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.checks.rules import FIRES
from slopeshift.missing.departures import LEFT, departures, endings, planned_follow_up
from slopeshift.missing.leaving import FEWEST, leaving
from slopeshift.missing.survivors import WARNED, survivors

if TYPE_CHECKING:
    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

OF_TRIAL, OF_FIT = ("missing", "endings"), ("leaving", "survivors")
"""Tables of a trial: `missing`, who left by cycle, and `endings`, how many injected patients left and why. Tables of a
fit: `leaving`, one row on whether fast decliners leave, and `survivors`."""


def tables_of_trial(trial: Trial) -> dict[str, pd.DataFrame]:
    """Count who left a trial: the tables of OF_TRIAL.

    `endings` has a row for every reason to leave: reason, n (injected patients who left for it), n_injected (all of
    them), planned_follow_up (months after the last injection).
    """
    ended = endings(trial)
    reasons = ended.loc[ended["injections"] > 0, "reason"]
    counts = pd.DataFrame({"reason": LEFT, "n": [int((reasons == reason).sum()) for reason in LEFT]})
    counts = counts.assign(n_injected=len(reasons), planned_follow_up=planned_follow_up(trial))
    return {"missing": departures(trial), "endings": counts}


def tables_of_fit(posterior: Posterior) -> dict[str, pd.DataFrame]:
    """Say of one fit who left and who was left: the tables of OF_FIT.

    `leaving` has columns n_left, faster (outcome units a month), score and probability, as `leaving.Leaving`, fires,
    and the limits fewest and fires_below; `survivors` those of `survivors.survivors`, and warns_above.
    """
    found = leaving(posterior)
    said = {name: getattr(found, name) for name in ("n_left", "faster", "score", "probability", "fires")}
    reached = survivors(posterior)
    return {
        "leaving": pd.DataFrame([said | {"fewest": FEWEST, "fires_below": FIRES}]),
        "survivors": reached.assign(warns_above=WARNED),
    }
