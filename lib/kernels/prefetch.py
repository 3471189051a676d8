"""Asks the processor to fetch an item that a compiled kernel needs soon: reads all over a large array then overlap."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_FOR_WRITING, _KEEP, _DATA = 1, 3, 1


@intrinsic
def prefetch(_: Any, array: Any, index: Any) -> tuple[Any, Any]:
    """Fetch item `index` (along the first axis) of a contiguous array, in kernels only. Nothing checks bounds."""
    signature = types.void(array, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        opened = context.make_array(signature.args[0])(context, builder, arguments[0])
        step = builder.extract_value(opened.strides, 0)
        pointer = builder.bitcast(opened.data, ir.IntType(8).as_pointer())
        at = builder.gep(pointer, [builder.mul(arguments[1], step)])
        kind = [at.type, *3 * [ir.IntType(32)]]
        function = builder.module.declare_intrinsic("llvm.prefetch", [at.type], ir.FunctionType(ir.VoidType(), kind))
        builder.call(function, [at, *(ir.Constant(ir.IntType(32), one) for one in (_FOR_WRITING, _KEEP, _DATA))])
        return context.get_dummy_value()

    return signature, generate
