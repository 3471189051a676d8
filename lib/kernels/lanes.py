"""Vector instructions that numba does not choose by itself, on 64 bytes that stay in registers through a loop.

Measured on AVX2 (320 counters of 8 bits; one step adds a row, subtracts a row and asks whether any high bit is set):
plain numba loops take 30 to 60 ns, since LLVM widens the bytes in the reduction and ends every row in a scalar
remainder. Vectors that go to memory and back at every step take 15, these loops 8, as intrinsics in C do. LLVM lowers
the same vectors to SSE, AVX2, AVX-512 or NEON, whatever the machine has.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import DTypeLike

BYTES = 64  # of one group of counters
WINDOWS = BYTES // 8  # that edit_columns measures at once, one word each
_INT64 = ir.IntType(64)
_WORDS = ir.VectorType(_INT64, WINDOWS)


def lanes(dtype: DTypeLike) -> int:
    """How many counters of `dtype` one group holds."""
    return BYTES // np.dtype(dtype).itemsize


@intrinsic
def advance(typing_context, counters, at, rows, first, come, leave, step, stop):
    """Steps of one group of counters, until some lane has its high bit set: returns the number of the next step.

    counters (1-D): the group is counters[at:at + lanes]; rows: contiguous, of the counters' dtype; step i adds the row
    that begins at item first + come[i] and subtracts the one at first + leave[i] (uint32). At least one step is made
    (step < stop), and none from `stop` on. Nothing checks bounds.
    """
    signature = types.intp(counters, types.intp, rows, types.intp, come, leave, types.intp, types.intp)

    def generate(context, builder, signature, arguments):
        _, at, _, first, _, _, step, stop = arguments
        arrays = [_data(context, builder, signature, arguments, number) for number in (0, 2, 4, 5)]
        counters, rows, come, leave = arrays
        group = _group(builder, counters, at)
        rows = builder.gep(rows, [first])
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        entry = builder.load(group, align=1)
        builder.branch(loop)
        builder.position_at_end(loop)
        number, value = builder.phi(_INT64), builder.phi(entry.type)
        change = builder.sub(_row(builder, rows, come, number), _row(builder, rows, leave, number))
        new_value, new_number = builder.add(value, change), builder.add(number, _INT64(1))
        low = builder.icmp_unsigned("==", _high_bits(builder, new_value), _INT64(0))
        builder.cbranch(builder.and_(low, builder.icmp_signed("<", new_number, stop)), loop, after)
        for phi, first_value, next_value in ((number, step, new_number), (value, entry, new_value)):
            phi.add_incoming(first_value, before)
            phi.add_incoming(next_value, loop)
        builder.position_at_end(after)
        builder.store(new_value, group, align=1)
        return new_number

    return signature, generate


@intrinsic
def high(typing_context, counters, at):
    """uint64 mask of the lanes of the group counters[at:] whose high bit is set."""
    signature = types.uint64(counters, types.intp)

    def generate(context, builder, signature, arguments):
        group = _group(builder, _data(context, builder, signature, arguments, 0), arguments[1])
        return _high_bits(builder, builder.load(group, align=1))

    return signature, generate


@intrinsic
def differing(typing_context, left, at, right, first):
    """How many of the lanes left[at:] and right[first:] of one group differ."""
    signature = types.intp(left, types.intp, right, types.intp)

    def generate(context, builder, signature, arguments):
        groups = [
            builder.load(_group(builder, _data(context, builder, signature, arguments, k), arguments[k + 1]), align=1)
            for k in (0, 2)
        ]
        unequal = builder.icmp_unsigned("!=", *groups)
        mask = builder.bitcast(unequal, ir.IntType(unequal.type.count))
        return builder.zext(builder.ctpop(mask), _INT64)

    return signature, generate


@intrinsic
def edit_columns(typing_context, equal, first, more, less, length, bottom, distances):
    """One word (64 rows) of Myers' distance matrix through `length` columns, for WINDOWS windows side by side.

    All arrays are uint64. Window w compares column j with equal[first + j + w], the rows whose token is that of column
    j. more, less (length x WINDOWS): whether the value right above the word's first row rises or falls in the column;
    replaced by the same at the word's row `bottom`. distances[w] becomes the sum of those changes.
    """
    signature = types.void(equal, types.intp, more, less, types.intp, types.uint64, distances)

    def generate(context, builder, signature, arguments):
        equal, more, less, distances = (_data(context, builder, signature, arguments, k) for k in (0, 2, 3, 6))
        first, length, bottom = arguments[1], arguments[4], arguments[5]
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        ones = ir.Constant(_WORDS, [-1] * WINDOWS)
        column, up, down, total = (builder.phi(kind) for kind in (_INT64, _WORDS, _WORDS, _WORDS))
        group = _group(builder, equal, builder.add(first, column))
        carries = [_group(builder, array, builder.mul(column, _INT64(WINDOWS))) for array in (more, less)]
        rows, more_above, less_above = (builder.load(pointer, align=1) for pointer in (group, *carries))
        new_up, new_down, rise, fall = _edit_column(
            builder, up, down, rows, more_above, less_above, _splat(builder, bottom)
        )
        builder.store(rise, carries[0], align=1)
        builder.store(fall, carries[1], align=1)
        new_column, new_total = builder.add(column, _INT64(1)), builder.add(total, builder.sub(rise, fall))
        builder.cbranch(builder.icmp_signed("<", new_column, length), loop, after)
        zeros = ir.Constant(_WORDS, None)
        for phi, entry, value in (
            (column, _INT64(0), new_column),
            (up, ones, new_up),
            (down, zeros, new_down),
            (total, zeros, new_total),
        ):
            phi.add_incoming(entry, before)
            phi.add_incoming(value, loop)
        builder.position_at_end(after)
        builder.store(new_total, _group(builder, distances, _INT64(0)), align=1)
        return context.get_dummy_value()

    return signature, generate


def _edit_column(builder, up, down, equal, more, less, bottom):
    """One column: the new vertical differences (+1 in up, -1 in down), and the horizontal ones at row `bottom`."""
    one = ir.Constant(_WORDS, [1] * WINDOWS)
    vertical, equal = builder.or_(equal, down), builder.or_(equal, less)
    horizontal = builder.or_(builder.xor(builder.add(builder.and_(equal, up), up), up), equal)
    rise, fall = builder.or_(down, builder.not_(builder.or_(horizontal, up))), builder.and_(up, horizontal)
    out = [builder.and_(builder.lshr(word, bottom), one) for word in (rise, fall)]
    rise, fall = builder.or_(builder.shl(rise, one), more), builder.or_(builder.shl(fall, one), less)
    return builder.or_(fall, builder.not_(builder.or_(vertical, rise))), builder.and_(rise, vertical), *out


def _splat(builder, value):
    vector = builder.insert_element(ir.Constant(_WORDS, None), value, ir.IntType(32)(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), WINDOWS), None))


@intrinsic
def trailing_zeros(typing_context, value):
    """The number of the lowest bit that is set in an uint64 (64 for 0)."""
    signature = types.intp(types.uint64)

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return signature, generate


def _data(context, builder, signature, arguments, number):
    """The pointer to the items of an array argument."""
    return context.make_array(signature.args[number])(context, builder, arguments[number]).data


def _group(builder, data, offset):
    """The pointer to the group that begins at item `offset`."""
    item = data.type.pointee
    vector = ir.VectorType(item, 8 * BYTES // item.width)
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def _row(builder, rows, offsets, number):
    offset = builder.zext(builder.load(builder.gep(offsets, [number])), _INT64)
    return builder.load(_group(builder, rows, offset), align=1)


def _high_bits(builder, value):
    negative = builder.icmp_signed("<", value, ir.Constant(value.type, None))
    mask = builder.bitcast(negative, ir.IntType(value.type.count))
    return mask if value.type.count == 64 else builder.zext(mask, _INT64)
