"""Vector registers as values, for the two loops that everything waits for.

A `Lanes` holds 64 bytes of neighbouring columns of one row: 16 numbers in float32, 8 in float64. Written with lanes, a
sum over columns has one order on every processor, which no compiler may change: that a row scores the same bits wherever
it stands in a block holds by construction.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

__all__ = ["add_product", "fetch", "lanes_of", "load", "spread", "store", "total"]

_BYTES = 32


class Lanes(types.Type):
    """The type of a vector of numbers."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.count = _BYTES * 8 // dtype.bitwidth
        super().__init__(f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        number = ir.FloatType() if kind.dtype.bitwidth == 32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, kind.count))


@intrinsic
def width(typing_context, array):
    """How many of the array's numbers make a `Lanes`; a constant to the compiler."""

    def generate(context, builder, signature, arguments):
        return ir.IntType(64)(Lanes(array.dtype).count)

    return types.int64(array), generate


@intrinsic
def spread(typing_context, number):
    """All lanes hold this number."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, arguments[0], signature.return_type.count)

    return Lanes(number)(number), generate


@intrinsic
def load(typing_context, array, row, column, stop):
    """The lanes `array[row, column:]`, with zeros from column `stop` on."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(lanes)
        pointer, full, mask = _place(context, builder, signature, arguments, lanes)
        with builder.if_else(full) as (whole, part):
            with whole:
                all_lanes = builder.load(pointer, align=lanes.dtype.bitwidth // 8)
                whole_end = builder.block
            with part:
                kind = ir.FunctionType(vector, [pointer.type, ir.IntType(32), mask.type, vector])
                function = cgutils.get_or_insert_function(
                    builder.module, kind, f"llvm.masked.load.{_suffix(lanes)}.p0"
                )
                align = ir.IntType(32)(lanes.dtype.bitwidth // 8)
                some_lanes = builder.call(function, [pointer, align, mask, ir.Constant(vector, None)])
                part_end = builder.block
        result = builder.phi(vector)
        result.add_incoming(all_lanes, whole_end)
        result.add_incoming(some_lanes, part_end)
        return result

    return lanes(array, types.uint64, types.int64, types.int64), generate


@intrinsic
def store(typing_context, array, row, column, stop, lanes):
    """Write `array[row, column:]`, but nothing from column `stop` on."""

    def generate(context, builder, signature, arguments):
        vector = arguments[4].type
        pointer, full, mask = _place(context, builder, signature, arguments, lanes)
        with builder.if_else(full) as (whole, part):
            with whole:
                builder.store(arguments[4], pointer, align=lanes.dtype.bitwidth // 8)
            with part:
                kind = ir.FunctionType(ir.VoidType(), [vector, pointer.type, ir.IntType(32), mask.type])
                function = cgutils.get_or_insert_function(
                    builder.module, kind, f"llvm.masked.store.{_suffix(lanes)}.p0"
                )
                align = ir.IntType(32)(lanes.dtype.bitwidth // 8)
                builder.call(function, [arguments[4], pointer, align, mask])
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.int64, types.int64, lanes), generate


@intrinsic
def add_product(typing_context, total, a, b):
    """Lane by lane total + a * b, rounded once."""

    def generate(context, builder, signature, arguments):
        t, a, b = arguments
        kind = ir.FunctionType(t.type, [t.type] * 3)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{_suffix(total)}")
        return builder.call(function, [a, b, t])

    return total(total, a, b), generate


@intrinsic
def total(typing_context, lanes):
    """The sum of all lanes: the upper half is added to the lower until one is left."""

    def generate(context, builder, signature, arguments):
        value, count = arguments[0], lanes.count
        while count > 1:
            count //= 2
            lower = _shuffle(builder, value, range(count))
            upper = _shuffle(builder, value, range(count, 2 * count))
            value = builder.fadd(lower, upper)
        return builder.extract_element(value, ir.IntType(32)(0))

    return lanes.dtype(lanes), generate


def _place(context, builder, signature, arguments, lanes):
    """A pointer to the first lane, and which lanes lie before the stop."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    _, row, column, stop = arguments[:4]
    strides = cgutils.unpack_tuple(builder, array.strides)
    offset = builder.add(
        builder.mul(row, strides[0]), builder.mul(column, ir.IntType(64)(lanes.dtype.bitwidth // 8))
    )
    start = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [offset])
    pointer = builder.bitcast(start, context.get_value_type(lanes).as_pointer())
    word = ir.IntType(32)
    full = builder.icmp_signed("<=", builder.add(column, ir.IntType(64)(lanes.count)), stop)
    left = _splat(builder, builder.trunc(builder.sub(stop, column), word), lanes.count)
    numbers = ir.Constant(ir.VectorType(word, lanes.count), list(range(lanes.count)))
    return pointer, full, builder.icmp_signed("<", numbers, left)


def _splat(builder, number, count):
    vector = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    vector = builder.insert_element(vector, number, ir.IntType(32)(0))
    return _shuffle(builder, vector, [0] * count)


def _shuffle(builder, vector, lanes):
    order = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)


def _suffix(lanes):
    return f"v{lanes.count}f{lanes.dtype.bitwidth}"
