"""Vector registers as values, for the two loops that everything waits for.

A `Lanes` holds a few neighbouring columns of one row: 8 numbers in float32, 4 in float64. Written with lanes, a sum
over columns has one order on every processor, which no compiler may change: that a row scores the same bits wherever
it stands in a block holds by construction.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

__all__ = [
    "PADDING",
    "add_product",
    "lanes_of",
    "load",
    "load_row",
    "prefetch",
    "prefetch_at",
    "spread",
    "store",
    "total",
]

_BYTES = 32
# Numbers after the end of a row of weights that lanes may touch.
PADDING = _BYTES // 4 - 1
_WORD = ir.IntType(32)
_INDEX = ir.IntType(64)


class Lanes(types.Type):
    """The type of a vector of numbers."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.size = dtype.bitwidth // 8
        self.count = _BYTES // self.size
        self.code = f"v{self.count}f{dtype.bitwidth}"
        super().__init__(f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        number = ir.FloatType() if kind.size == 4 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, kind.count))


@intrinsic
def lanes_of(typing_context, array):
    """How many of the array's numbers make a `Lanes`; a constant to the compiler."""

    def generate(context, builder, signature, arguments):
        return _INDEX(Lanes(array.dtype).count)

    return types.int64(array), generate


@intrinsic
def spread(typing_context, number):
    """All lanes hold this number."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, arguments[0], signature.return_type.count)

    return Lanes(number)(number), generate


@intrinsic
def load(typing_context, array, row, column):
    """The lanes that begin at `array[row, column]`."""

    def generate(context, builder, signature, arguments):
        pointer, _ = _locate(context, builder, signature, arguments)
        return builder.load(pointer, align=Lanes(array.dtype).size)

    return Lanes(array.dtype)(array, types.uint64, types.int64), generate


@intrinsic
def store(typing_context, array, row, column, lanes):
    """Write the lanes to where `array[row, column]` begins."""

    def generate(context, builder, signature, arguments):
        pointer, _ = _locate(context, builder, signature, arguments)
        builder.store(arguments[3], pointer, align=lanes.size)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.int64, lanes), generate


@intrinsic
def load_row(typing_context, X, row, column):
    """The lanes that begin at `X[row, column]`, as if each row of X went on with a one, for the intercept, and zeros."""
    lanes = Lanes(X.dtype)

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(lanes)
        pointer, columns = _locate(context, builder, signature, arguments)
        left = builder.sub(columns, arguments[2])
        with builder.if_else(builder.icmp_signed(">=", left, _INDEX(lanes.count))) as (inside, across):
            with inside:
                whole = builder.load(pointer, align=lanes.size)
                after_inside = builder.block
            with across:
                number = ir.Constant(ir.VectorType(_WORD, lanes.count), list(range(lanes.count)))
                left = _splat(builder, builder.trunc(left, _WORD), lanes.count)
                ones = ir.Constant(vector, [1.0] * lanes.count)
                beyond = builder.select(
                    builder.icmp_signed("==", number, left), ones, ir.Constant(vector, None)
                )
                mask = builder.icmp_signed("<", number, left)
                name = f"llvm.masked.load.{lanes.code}.p0"
                part = _call(builder, name, vector, [pointer, _WORD(lanes.size), mask, beyond])
                after_across = builder.block
        result = builder.phi(vector)
        result.add_incoming(whole, after_inside)
        result.add_incoming(part, after_across)
        return result

    return lanes(X, types.uint64, types.int64), generate


@intrinsic
def add_product(typing_context, total, a, b):
    """Lane by lane total + a * b, rounded once."""

    def generate(context, builder, signature, arguments):
        total_, a_, b_ = arguments
        return _call(builder, f"llvm.fma.{total.code}", a_.type, [a_, b_, total_])

    return total(total, a, b), generate


@intrinsic
def total(typing_context, lanes):
    """The sum of all lanes: the upper half is added to the lower until one is left."""

    def generate(context, builder, signature, arguments):
        value, count = arguments[0], lanes.count
        while count > 1:
            count //= 2
            lower, upper = (
                _shuffle(builder, value, range(count)),
                _shuffle(builder, value, range(count, 2 * count)),
            )
            value = builder.fadd(lower, upper)
        return builder.extract_element(value, _WORD(0))

    return lanes.dtype(lanes), generate


@intrinsic
def prefetch(typing_context, array, row, column):
    """Start loading the cache line of `array[row, column]`; never faults."""

    def generate(context, builder, signature, arguments):
        pointer, _ = _locate(context, builder, signature, arguments)
        return _prefetch(context, builder, pointer)

    return types.void(array, types.uint64, types.int64), generate


@intrinsic
def prefetch_at(typing_context, array, place):
    """Start loading the cache line of `array[place]`; never faults."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        return _prefetch(context, builder, builder.gep(data, [arguments[1]]))

    return types.void(array, types.uint64), generate


def _prefetch(context, builder, pointer):
    byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    read, into_second_level, of_data = _WORD(0), _WORD(2), _WORD(1)
    _call(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, read, into_second_level, of_data])
    return context.get_dummy_value()


def _locate(context, builder, signature, arguments):
    """A pointer to the lanes at (row, column) of an array with contiguous rows, and its number of columns."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    lanes = Lanes(signature.args[0].dtype)
    (_, columns), (stride, _) = (
        cgutils.unpack_tuple(builder, array.shape),
        cgutils.unpack_tuple(builder, array.strides),
    )
    offset = builder.add(builder.mul(arguments[1], stride), builder.mul(arguments[2], _INDEX(lanes.size)))
    start = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [offset])
    return builder.bitcast(start, context.get_value_type(lanes).as_pointer()), columns


def _call(builder, name, result, arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _splat(builder, number, count):
    first = builder.insert_element(
        ir.Constant(ir.VectorType(number.type, count), ir.Undefined), number, _WORD(0)
    )
    return _shuffle(builder, first, [0] * count)


def _shuffle(builder, vector, lanes):
    order = ir.Constant(ir.VectorType(_WORD, len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)
