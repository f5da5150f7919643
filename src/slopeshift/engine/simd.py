"""Eight patients as one number: a numba type that holds a value of each of LANES patients and is computed with at once.

The arithmetic of `kernel` is the same for every patient, so it is written once, for a `Lanes` value instead of a float,
and every operation is one instruction of the processor's vector unit (where that is narrower, LLVM splits it).
Rows of a two-dimensional array (row, lane) are read by `load` and written by `store`.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, models, overload, register_model

LANES = 8

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_BITS = ir.VectorType(ir.IntType(64), LANES)
_FLAGS = ("reassoc", "contract", "arcp", "nsz")  # sums may be reordered and products fused; NaN and infinity stay


class Lanes(types.Type):
    """The numba type of a value for each of LANES patients."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes({LANES})")


lanes = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _VECTOR)


def _pointer(context, builder, array_type, array, row):
    start = context.make_array(array_type)(context, builder, array).data
    first = builder.gep(start, [builder.mul(row, row.type(LANES))])
    return builder.bitcast(first, _VECTOR.as_pointer())


@intrinsic
def load(typing, array, row):
    """Read a row of a C-contiguous array (row, lane)."""

    def code(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=8, typ=_VECTOR)

    return lanes(array, types.intp), code


@intrinsic
def store(typing, array, row, value):
    """Write a row of a C-contiguous array (row, lane)."""

    def code(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), code


@intrinsic
def every(typing, value):
    """Give each patient the same value."""

    def code(context, builder, signature, arguments):
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(one, one, zeros)

    return lanes(types.float64), code


@intrinsic
def square_root(typing, value):
    """Take the square root of each patient's value."""
    return lanes(lanes), _called("sqrt")


def _constant(number, of):
    return ir.Constant(of, [number] * LANES)


@intrinsic
def where_positive(typing, number, then, otherwise):
    """Take `then` for patients whose number is above 0, and `otherwise` for the others, NaN among them."""

    def code(context, builder, signature, arguments):
        above = builder.fcmp_ordered(">", arguments[0], _constant(0.0, _VECTOR))
        return builder.select(above, arguments[1], arguments[2])

    return lanes(lanes, lanes, lanes), code


@intrinsic
def absolute(typing, number):
    """Take the absolute value of each patient's number."""
    return lanes(lanes), _called("fabs")


@intrinsic
def rounded(typing, number):
    """Round each patient's number to a whole one."""
    return lanes(lanes), _called("rint")


def _called(name):
    def code(context, builder, signature, arguments):
        function = ir.FunctionType(_VECTOR, [_VECTOR])
        return builder.call(get_or_insert_function(builder.module, function, f"llvm.{name}.v{LANES}f64"), arguments)

    return code


@intrinsic
def two_to(typing, power):
    """Raise 2 to whole numbers from -1022 to 1023."""

    def code(context, builder, signature, arguments):
        # The last bits of this sum are those of the exponent, 1023 more than the power.
        shown = builder.fadd(arguments[0], _constant(1.5 * 2.0**52 + 1023.0, _VECTOR))
        bits = builder.shl(builder.bitcast(shown, _BITS), _constant(52, _BITS))
        return builder.bitcast(bits, _VECTOR)

    return lanes(lanes), code


@intrinsic
def exponent(typing, number):
    """Find the power of 2 below numbers above 0."""

    def code(context, builder, signature, arguments):
        bits = builder.lshr(builder.bitcast(arguments[0], _BITS), _constant(52, _BITS))
        shown = builder.bitcast(builder.or_(bits, _constant(0x4330000000000000, _BITS)), _VECTOR)
        return builder.fsub(shown, _constant(2.0**52 + 1023.0, _VECTOR))

    return lanes(lanes), code


@intrinsic
def fraction(typing, number):
    """Divide numbers above 0 by the power of 2 below them: from 1 to 2."""

    def code(context, builder, signature, arguments):
        bits = builder.and_(builder.bitcast(arguments[0], _BITS), _constant(0x000FFFFFFFFFFFFF, _BITS))
        return builder.bitcast(builder.or_(bits, _constant(0x3FF0000000000000, _BITS)), _VECTOR)

    return lanes(lanes), code


def _arithmetic(operation, instruction):
    """Let two Lanes, or a Lanes and a float, be combined by an operator."""

    @intrinsic
    def combine(typing, left, right):
        def code(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments, flags=_FLAGS)

        return lanes(lanes, lanes), code

    @overload(operation)
    def combined(left, right):
        if left is lanes and right is lanes:
            return lambda left, right: combine(left, right)
        if left is lanes and isinstance(right, types.Float):
            return lambda left, right: combine(left, every(right))
        if right is lanes and isinstance(left, types.Float):
            return lambda left, right: combine(every(left), right)
        return None


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")
