"""exp and log1p without branches or library calls, so that loops over them vectorise.

Both are accurate to about one unit in the last place of float64 over the ranges that losses need. Losses call
these instead of `math.exp`; everything they call is inlined, so a derivative and a value that share an
exponential compute it once.
"""

from __future__ import annotations

import math

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

from fallline.kernels.compile import inlined

__all__ = ["exp", "log1p_unit", "sigmoid", "softplus"]

_LOG2_E = math.log2(math.e)
# ln 2 in two parts: the first has trailing zero bits, so its product with a small integer is exact.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Adding 1.5 * 2**52 rounds to an integer and leaves that integer in the low bits.
_ROUND = 1.5 * 2.0**52
# e**r = sum of _E[i] r**i for |r| <= ln(2)/2, and artanh(u)/u = sum of _A[i] u**(2 i) for u <= 1/3: polynomials through
# the Chebyshev nodes, with relative errors below 1e-16.
_E = (
    1.0, 1.0, 0.5000000000000019, 0.1666666666666668, 0.04166666666648809, 0.008333333333319601,
    0.0013888888952314812, 0.00019841269890047143, 2.480148548228773e-05, 2.7557240918547625e-06,
    2.763263965412376e-07, 2.511003761756205e-08,
)  # fmt: skip
_A = (
    1.0, 0.33333333333341286, 0.199999999976438, 0.1428571455582858, 0.11111095430673142, 0.09091429900236955,
    0.07681838124445817, 0.06795652742789947, 0.04940394524382393, 0.08890381913056651,
)  # fmt: skip


@inlined
def exp(x):
    """e**x for x in [-708, 709]; beyond, infinity or the smallest normal number; NaN stays NaN.

    x = k ln 2 + r with |r| <= ln(2)/2 (Cody and Waite, 1980); e**r by a polynomial, whose terms are added in pairs
    (Estrin, 1960) so that they need not wait for each other; then the exponent field of the result is raised by k.
    """
    clipped = min(max(x, -708.0), 709.0)
    rounded = clipped * _LOG2_E + _ROUND
    k = rounded - _ROUND
    r = (clipped - k * _LN2_HIGH) - k * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (_E[0] + _E[1] * r) + (_E[2] + _E[3] * r) * r2
    middle = (_E[4] + _E[5] * r) + (_E[6] + _E[7] * r) * r2
    high = (_E[8] + _E[9] * r) + (_E[10] + _E[11] * r) * r2
    p = low + (middle + high * r4) * r4
    return (math.inf if x > 709.0 else _raise_exponent(p, rounded)) + 0.0 * p


def _raise_exponent(p, rounded):
    """p * 2**k, where `rounded` is k + _ROUND."""
    return p if math.isnan(p) else math.ldexp(p, int(rounded - _ROUND))


@type_callable(_raise_exponent)
def _(context):
    def result(p, rounded):
        return types.float64

    return result


@lower_builtin(_raise_exponent, types.float64, types.float64)
def _(context, builder, signature, arguments):
    word, number = ir.IntType(64), ir.DoubleType()
    p, rounded = (builder.bitcast(value, word) for value in arguments)
    return builder.bitcast(builder.add(p, builder.shl(rounded, word(52))), number)


@inlined
def log1p_unit(x):
    """log(1 + x) for x in [0, 1], as 2 artanh(x / (2 + x))."""
    u = x / (2.0 + x)
    s = u * u
    s2 = s * s
    s4 = s2 * s2
    low = (_A[0] + _A[1] * s) + (_A[2] + _A[3] * s) * s2
    middle = (_A[4] + _A[5] * s) + (_A[6] + _A[7] * s) * s2
    high = _A[8] + _A[9] * s
    return 2.0 * u * (low + (middle + high * s4) * s4)


@inlined
def softplus(x):
    """log(1 + e**x), without overflow."""
    return max(x, 0.0) + log1p_unit(exp(-abs(x)))


@inlined
def sigmoid(x):
    """1 / (1 + e**-x), without overflow."""
    e = exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)
