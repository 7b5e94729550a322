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
_L3, _L5, _L7, _L9, _L11, _L13, _L15, _L17, _L19, _L21, _L23, _L25, _L27, _L29, _L31 = (
    1 / k for k in range(3, 32, 2)
)
_E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9, _E10, _E11, _E12, _E13 = (1 / math.factorial(k) for k in range(2, 14))


@inlined
def exp(x):
    """e**x for x in [-708, 709]; beyond, infinity or the smallest normal number; NaN stays NaN.

    x = k ln 2 + r with |r| <= ln(2)/2 (Cody and Waite, 1980); e**r by its Taylor series; then the exponent
    field of the result is raised by k.
    """
    clipped = min(max(x, -708.0), 709.0)
    rounded = clipped * _LOG2_E + _ROUND
    k = rounded - _ROUND
    r = (clipped - k * _LN2_HIGH) - k * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (_E2 + r * _E3) + r4 * ((_E4 + r * _E5) + r2 * (_E6 + r * _E7))
    high = (_E8 + r * _E9) + r2 * (_E10 + r * _E11) + r4 * (_E12 + r * _E13)
    p = low + r4 * r4 * high
    return (math.inf if x > 709.0 else _raise_exponent(p, rounded)) + (x - x)


def _raise_exponent(p, rounded):
    """p * 2**k, where `rounded` is k + _ROUND."""
    return math.ldexp(p, int(rounded - _ROUND))


@type_callable(_raise_exponent)
def _(context):
    return lambda p, rounded: types.float64


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
    s8 = s4 * s4
    p = (1.0 + _L3 * s) + s2 * (_L5 + _L7 * s) + s4 * ((_L9 + _L11 * s) + s2 * (_L13 + _L15 * s))
    q = (_L17 + _L19 * s) + s2 * (_L21 + _L23 * s)
    q = q + s4 * ((_L25 + _L27 * s) + s2 * (_L29 + _L31 * s))
    return 2.0 * u * (p + s8 * q)


@inlined
def softplus(x):
    """log(1 + e**x), without overflow."""
    return max(x, 0.0) + log1p_unit(exp(-abs(x)))


@inlined
def sigmoid(x):
    """1 / (1 + e**-x), without overflow."""
    e = exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)
