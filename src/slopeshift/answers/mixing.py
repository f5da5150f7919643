"""How well chains mixed: R-hat, effective sample sizes and Monte Carlo error of many quantities at once.

Vehtari et al. 2021 (doi 10.1214/20-BA1221) define them, and what is computed here is what ArviZ computes, which the
tests hold it to. ArviZ takes one quantity after the other, and ranks and transforms the same draws several times: of a
cohort of thousands of patients, that would take longer than to sample them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.keep.processes import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TAILS = (0.05, 0.95)
"""The quantiles whose effective sample sizes the tail's is the smaller of, as published; ArviZ 1 takes 11 and 89 %."""

SHARE = 20
"""Quantities from which on a core has a share of its own: sorting and transforming release Python's lock."""

FEWEST = 4
"""Draws of a chain from which on anything is said of it."""


def mixing(draws: Floats) -> dict[str, Floats]:
    """Compute `rhat` (rank-normalised), `ess_bulk`, `ess_tail` and `mcse` (of the mean) of draws (chain, draw, row).

    Returns (row,) each. NaN where not all draws of a row are finite, or there are fewer than FEWEST a chain; `rhat`
    also of a single chain, and of draws that never move.
    """
    shares = max(min(cores(), draws.shape[-1] // SHARE), 1)
    if shares == 1:
        return _mixing(draws)
    with ThreadPoolExecutor(shares) as pool:
        found = list(pool.map(_mixing, np.array_split(draws, shares, axis=-1)))
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def _mixing(draws: Floats) -> dict[str, Floats]:
    chains, number, rows = draws.shape
    known = np.isfinite(draws).all((0, 1)) & (number >= FEWEST)
    found = {name: np.full(rows, np.nan) for name in ("rhat", "ess_bulk", "ess_tail", "mcse")}
    if not known.any():
        return found
    x = np.ascontiguousarray(np.moveaxis(draws[..., known], -1, 0), dtype=float)
    halves = _halves(x)
    normal, tails = _normalised(halves), np.quantile(x, TAILS, axis=(1, 2), keepdims=True)
    if chains > 1:
        bulk, tail = _rhat(normal), _rhat(_normalised(np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True))))
        # Draws of two values may all lie as far from their median: nothing is then known of the tail.
        found["rhat"][known] = np.where(tail > bulk, tail, bulk)
    found["ess_bulk"][known] = _ess(normal)
    found["ess_tail"][known] = np.minimum(*(_ess(_halves((x <= limit).astype(float))) for limit in tails))
    found["mcse"][known] = x.std(axis=(1, 2), ddof=1) / np.sqrt(_ess(halves))
    return found


def missing_information(energy: Floats) -> Floats:
    """Compute the Bayesian fraction of missing information of each chain, from its energies (chain, draw).

    Betancourt 2016 (arXiv 1604.00695). NaN of a chain whose energy never moves.
    """
    with np.errstate(invalid="ignore"):
        return np.square(np.diff(energy, axis=1)).mean(1) / energy.var(1, ddof=1)


def _halves(x: Floats) -> Floats:
    """Split every chain (row, chain, draw) in two, without the middle draw where there is one."""
    half = x.shape[-1] // 2
    return np.concatenate((x[..., :half], x[..., -half:]), axis=1)


def _normalised(x: Floats) -> Floats:
    """Put normal quantiles in the place of draws, by their rank among all draws of a row (Blom 1958)."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    flat = x.reshape(len(x), -1)
    scores: Floats = ndtri((rankdata(flat, axis=1) - 3 / 8) / (flat.shape[1] + 1 / 4))
    return scores.reshape(x.shape)


def _rhat(x: Floats) -> Floats:
    """Compare the variance between chains (row, chain, draw) with that within them: (row,)."""
    number = x.shape[-1]
    between, within = number * x.mean(axis=2).var(axis=1, ddof=1), x.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # draws that never move; the NaN fails the gate
        found: Floats = np.sqrt((between / within + number - 1) / number)
    return found


def _ess(x: Floats) -> Floats:
    """Count how many independent draws are worth as much as chains (row, chain, draw): (row,).

    Autocorrelations are summed in pairs as long as these are positive, and none counts for more than the one before it
    (Geyer 1992, doi 10.1214/ss/1177011137). Draws that never move count in full, as they do in ArviZ.
    """
    rows, chains, number = x.shape
    covariances = _autocovariances(x).mean(axis=1)
    within = covariances[:, :1] * number / (number - 1)
    total = covariances[:, :1] + (x.mean(axis=2).var(axis=1, ddof=1)[:, None] if chains > 1 else 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = 1 - (within - covariances) / total
    correlations[:, 0] = 1.0
    last = max((number - 3) // 2, 0)  # of the pairs that are looked at
    even = correlations[:, : 2 * last + 1 : 2]
    pairs = even + correlations[:, 1 : 2 * last + 2 : 2]
    ended = pairs <= 0
    end = np.where(ended.any(axis=1), ended.argmax(axis=1), last)
    before = np.arange(last + 1) < end[:, None]
    whole = np.where(before, np.minimum.accumulate(pairs, axis=1), 0.0).sum(axis=1)
    at = np.arange(rows)
    rest = np.where((pairs[at, end] >= 0) | (even[at, end] > 0), even[at, end], 0.0)
    count = chains * number
    times = np.maximum(-1 + 2 * whole + rest, 1 / np.log10(count))
    found: Floats = np.where(np.ptp(x, axis=(1, 2)) < np.finfo(float).resolution, count, count / times)
    return found


def _autocovariances(x: Floats) -> Floats:
    """Transform chains (row, chain, draw) into their covariances with themselves, some draws later."""
    from scipy.fft import next_fast_len

    number = x.shape[-1]
    size = next_fast_len(2 * number)
    spectrum = np.fft.rfft(x - x.mean(axis=-1, keepdims=True), size)
    power = spectrum.real**2 + spectrum.imag**2
    covariances: Floats = np.fft.irfft(power, size)[..., :number] / number
    return covariances
