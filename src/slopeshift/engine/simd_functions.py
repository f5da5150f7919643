"""Exponential, logarithm and scaled error function of eight patients at once: what the lanes of `simd` lack.

LLVM would call the C library for one patient after another. Here each is a polynomial, without a branch, of which every
step is one instruction for all of them. Relative errors are below 1e-14 where |log| or |exponent| is below 100.
"""

from __future__ import annotations

from math import log

import numpy as np

from slopeshift.engine.compiling import compiled
from slopeshift.engine.simd import every, exponent, fraction, rounded, two_to, where_positive

LOG_2 = log(2.0)
EXPONENTIAL = tuple(1.0 / float(np.prod(np.arange(1.0, k + 1))) for k in range(14))
"""Coefficients of exp(x), for |x| up to log(2) / 2."""

LOGARITHM = tuple(2.0 / (2 * k + 1) for k in range(11))
"""Coefficients of log((1 + s) / (1 - s)) / s in s^2, for |s| up to 0.172."""

ERROR = (
    1.2375126308378275,
    -0.14024059858554697,
    0.0035854154854644293,
    0.0822767384901452,
    -0.10880393014174886,
    0.09230432116037748,
    -0.05869339858963677,
    0.028362277418956406,
    -0.009746579558029276,
    0.0017556258528952954,
    0.0002937136655913448,
    -0.0002901540805408417,
    5.164909889268241e-05,
    2.238423915508223e-05,
    -1.1444146237700524e-05,
    -9.73559896736775e-07,
    1.751637648849062e-06,
    -5.7218230603224086e-08,
    -2.5866850716155884e-07,
    2.3263508708859124e-08,
    3.8675334242222354e-08,
    -3.744210080962018e-09,
    -5.1739902140113095e-09,
    3.1114333809799254e-10,
    4.2514714447963895e-10,
)
"""Coefficients of (1 + 2x) erfcx(x) in t = (x - 3.75) / (x + 3.75), x from 0 to infinity.

The expansion is that of Shepherd and Laframboise (1981, doi 10.1090/S0025-5718-1981-0595058-X), its coefficients
computed anew with 80 digits.
"""


@compiled
def exponential(x):
    """Evaluate exp(x), that of -300 below it: products of smaller numbers would be slow; x up to 709."""
    x = where_positive(x + 300.0, x, every(-300.0))
    power = rounded(x * (1.0 / LOG_2))
    rest = x - power * LOG_2
    found = every(EXPONENTIAL[13])
    for k in range(12, -1, -1):
        found = found * rest + EXPONENTIAL[k]
    return found * two_to(power)


@compiled
def logarithm(x):
    """Evaluate log(x), x finite; minus infinity where x is not a number above 0."""
    power, m = exponent(x), fraction(x)
    over = m - 1.4142135623730951
    m = where_positive(over, m * 0.5, m)
    power = where_positive(over, power + 1.0, power)
    s = (m - 1.0) / (m + 1.0)
    square, found = s * s, every(LOGARITHM[10])
    for k in range(9, -1, -1):
        found = found * square + LOGARITHM[k]
    return where_positive(x - 2.3e-308, found * s + power * LOG_2, every(-np.inf))


@compiled
def scaled_error(x):
    """Evaluate exp(x^2) erfc(x), x from 0 on."""
    t = (x - 3.75) / (x + 3.75)
    square, even, odd = t * t, every(ERROR[24]), every(ERROR[23])
    for k in range(11, -1, -1):
        even = even * square + ERROR[2 * k]
    for k in range(10, -1, -1):
        odd = odd * square + ERROR[2 * k + 1]
    return (even + odd * t) / (x * 2.0 + 1.0)
