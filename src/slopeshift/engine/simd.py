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

    def code(context, builder, signature, arguments):
        root = ir.FunctionType(_VECTOR, [_VECTOR])
        return builder.call(get_or_insert_function(builder.module, root, f"llvm.sqrt.v{LANES}f64"), arguments)

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
