"""The diagnostics gate: whether a fit's draws may be turned into results at all.

Limits after Vehtari et al. 2021 (doi 10.1214/20-BA1221) for R-hat and effective sample size, and Betancourt 2016
(arXiv 1604.00695) for the energy fraction. They hold for every quantity that is reported, not for the parameters that
happened to be sampled. A model under which hardly anybody meets the rules of entry contradicts them: what identifies
its population is then the prior alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.answers.mixing import missing_information

if TYPE_CHECKING:
    import xarray as xr

RHAT_MAX = 1.01
ESS_MIN = 400.0
DIVERGING_MAX = 0.001
BFMI_MIN = 0.3
MEETING_MIN = 0.01


def diagnose(
    sample_stats: xr.Dataset, population: pd.DataFrame, patients: pd.DataFrame, share_meeting: float | None = None
) -> pd.DataFrame:
    """Hold a fit against the limits, a row per quantity and diagnostic: quantity, diagnostic, value, limit, ok.

    `sample_stats` has `diverging` and `energy` (chain, draw); the tables come from `quantities.summarise`.
    `share_meeting` is that of the screened who meet the rules of entry, None where the model knows none. Rows whose
    draws are 0 or 1 are functions of rows that are checked, and are left out. A value that cannot be computed fails.
    """
    continuous = population[~population["quantity"].str.startswith("prob_")]
    named = [
        (continuous, [_name(q, k) for q, k in zip(continuous["quantity"], continuous["injection"], strict=True)]),
        (
            patients,
            [_name(f"change of {p}", k) for p, k in zip(patients["patient"], patients["injection"], strict=True)],
        ),
    ]
    rows = _sampler_rows(sample_stats)
    if share_meeting is not None:
        rows.append(("the screened", "share_meeting", share_meeting, MEETING_MIN, share_meeting >= MEETING_MIN))
    for table, names in named:
        for name, rhat, bulk, tail in zip(names, table["rhat"], table["ess_bulk"], table["ess_tail"], strict=True):
            rows.append((name, "rhat", rhat, RHAT_MAX, rhat <= RHAT_MAX))
            rows.append((name, "ess_bulk", bulk, ESS_MIN, bulk >= ESS_MIN))
            rows.append((name, "ess_tail", tail, ESS_MIN, tail >= ESS_MIN))
    return pd.DataFrame(rows, columns=["quantity", "diagnostic", "value", "limit", "ok"])


def failures(diagnostics: pd.DataFrame) -> list[str]:
    """Say in words what failed, worst first within each diagnostic: empty where the gate is passed."""
    bad = diagnostics[~diagnostics["ok"]]
    return [f"{r.diagnostic} of {r.quantity} is {r.value:.6g} (limit {r.limit:g})" for r in bad.itertuples()]


def _name(quantity: str, injection: str) -> str:
    return f"{quantity} [{injection}]" if injection else quantity


def _sampler_rows(sample_stats: xr.Dataset) -> list[tuple[str, str, float, float, bool]]:
    diverging = float(sample_stats["diverging"].mean())
    bfmi = missing_information(sample_stats["energy"].to_numpy())
    rows = [("all draws", "share_diverging", diverging, DIVERGING_MAX, diverging <= DIVERGING_MAX)]
    return rows + [(f"chain {i}", "bfmi", float(v), BFMI_MIN, bool(v >= BFMI_MIN)) for i, v in enumerate(bfmi)]
