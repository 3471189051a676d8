"""Sorting suffixes of a token sequence by their first `depth` tokens.

Radix sort from the most significant end with cached keys (Karkkainen and Rantala 2008, Engineering Radix Sort for
Strings; Ng and Kakehi 2007): a key is the next 64 bits of a suffix, four uint16 tokens or two uint32. Suffixes with
equal keys are a run; a long run is sorted by its next keys, a short one by comparing text. A text of one repeated token
therefore costs depth / 4 keys a suffix at most.

The order: token by token up to `depth`; the end of the text sorts before any token; equal suffixes by position.
Every sort here is stable and starts from rising positions, so that equal suffixes need no care.

Kernels loop where NumPy would assign slices, and take no slices: those are most of what compiling costs.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

WORD_BYTES = 8
INSERTION = 16  # pieces that merging begins with
SHORT_RUN = 256  # measured on source text with indentation: 64 to 1,024 differ by less than 7 %
_U64 = np.uint64


class Text(NamedTuple):
    """Tokens for the kernels, which take its fields one by one (an array inside a tuple costs them 8 ns a look).

    words[p]: the 8 bytes that begin at token p, where all of them are text; last: the last 8 bytes of the text, the
    last token least significant; n_tokens; per_word: tokens in 8 bytes.
    """

    words: np.ndarray
    last: np.uint64
    n_tokens: int
    per_word: int


def as_text(tokens: np.ndarray) -> Text:
    """`tokens` (1-D contiguous uint16 or uint32, little endian; memory maps welcome) as the kernels read them."""
    tokens = np.asarray(tokens)
    per_word = WORD_BYTES // tokens.itemsize
    # Two words at least, and these flags: arrays, maps, odd byte offsets and tiny texts are one type, compiled once.
    whole = tokens if len(tokens) > per_word else np.append(tokens, np.zeros(per_word + 1, tokens.dtype))
    words: np.ndarray = np.ndarray(len(whole) - per_word + 1, "<u8", whole, strides=(tokens.itemsize,))
    words.setflags(write=False, align=False)
    last = 0
    for token in tokens[-per_word:].tolist():
        last = last << 8 * tokens.itemsize | token
    return Text(words, _U64(last), len(tokens), per_word)


def sort_suffixes(text: Text, positions: np.ndarray, keys: np.ndarray, depth: int) -> None:
    """Sort suffixes in place.

    positions: rising token positions, any integers. keys: uint64, their `suffix_keys`; destroyed.
    Takes 24 bytes a suffix beside these. Positions are int64 while they are sorted: twice the kernels, for 32 bits too,
    would take twice the time to compile and save about 10 ns a suffix.
    """
    if len(positions) > 1:
        wide = positions.astype(np.int64)
        runs = np.empty((len(keys) // SHORT_RUN + 1, 3), np.int64)
        _sort(*text, depth, wide, keys, np.empty_like(wide), np.empty_like(keys), runs)
        positions[:] = wide


def suffix_keys(text: Text, positions: np.ndarray, depth: int) -> np.ndarray:
    """The first keys (uint64) of the suffixes at `positions`."""
    keys = np.empty(len(positions), _U64)
    _load_keys(*text, depth, positions.astype(np.int64, copy=False), keys, 0, len(keys), 0)
    return keys


@njit(cache=True, nogil=True)
def in_order(word, per_word):
    """A little-endian word of tokens with its first token most significant."""
    if per_word == 4:
        outer = (word << _U64(48)) | (word >> _U64(48))
        return outer | ((word << _U64(16)) & _U64(0xFFFF00000000)) | ((word >> _U64(16)) & _U64(0xFFFF0000))
    return (word << _U64(32)) | (word >> _U64(32))


@njit(cache=True, nogil=True)
def _bits(n_tokens, per_word):
    return _U64(n_tokens * (16 if per_word == 4 else 32))


@njit(cache=True, nogil=True)
def key(words, last, n_tokens, per_word, position, taken, depth):
    """Tokens `taken` and following of the suffix at `position`, in 64 bits, the first most significant.

    Zeros stand for tokens from `depth` on and after the end of the text.
    """
    at = position + taken
    if at + per_word <= n_tokens:
        value = in_order(words[at], per_word)
    elif at < n_tokens:
        value = last << _bits(at - n_tokens + per_word, per_word)
    else:
        value = _U64(0)
    if depth - taken < per_word:
        value &= ~(~_U64(0) >> _bits(depth - taken, per_word))
    return value


@njit(cache=True, nogil=True)
def _load_keys(words, last, n_tokens, per_word, depth, positions, keys, start, stop, taken):
    for i in range(start, stop):
        keys[i] = key(words, last, n_tokens, per_word, positions[i], taken, depth)


@njit(cache=True, nogil=True)
def less(words, last, n_tokens, per_word, left, right, taken, depth):
    """Whether the suffix at `left` sorts before the one at `right`; their first `taken` tokens are equal."""
    later = max(left, right)
    whole = min(depth, n_tokens - later) - per_word + 1
    while taken < whole:
        a, b = words[left + taken], words[right + taken]
        if a != b:
            return in_order(a, per_word) < in_order(b, per_word)
        taken += per_word
    while taken < depth and later + taken < n_tokens:
        a = key(words, last, n_tokens, per_word, left, taken, depth)
        b = key(words, last, n_tokens, per_word, right, taken, depth)
        if a != b:
            return a < b
        taken += per_word
    return left > right if later + depth > n_tokens else left < right  # past the end, the later one is the shorter


@njit(cache=True, nogil=True)
def _sort(words, last, n_tokens, per_word, depth, positions, keys, spare_positions, spare_keys, runs):
    """Sort everything by the first key, then run after run by the next ones, depth first (while it is in cache).

    runs: room for the long runs that are still to do: start, stop, tokens known to be equal.
    """
    runs[0, 0], runs[0, 1], runs[0, 2] = 0, len(keys), 0
    todo = 1
    while todo:
        todo -= 1
        start, stop, taken = runs[todo, 0], runs[todo, 1], runs[todo, 2]
        if taken:
            _load_keys(words, last, n_tokens, per_word, depth, positions, keys, start, stop, taken)
        _radix_sort(keys, positions, spare_keys, spare_positions, start, stop)
        taken += per_word
        while start < stop:
            end = _run_end(keys, start, stop)
            first = _settle(n_tokens, depth, positions, start, end, taken)
            if end - first > SHORT_RUN:
                runs[todo, 0], runs[todo, 1], runs[todo, 2] = first, end, taken
                todo += 1
            elif end - first > 1:
                _load_keys(words, last, n_tokens, per_word, depth, positions, keys, first, end, taken)
                _merge_sort(
                    words, last, n_tokens, per_word, depth, keys, positions, spare_keys, spare_positions, first, end,
                    taken,
                )  # fmt: skip
            start = end


@njit(cache=True, nogil=True)
def _run_end(keys, start, stop):
    end = start + 1
    while end < stop and keys[end] == keys[start]:
        end += 1
    return end


@njit(cache=True, nogil=True)
def _settle(n_tokens, depth, positions, start, stop, taken):
    """Where in a run of suffixes equal in `taken` tokens (or ended before) those begin that are still to be sorted.

    Ended ones move to the front, the shortest first. Their keys were filled with zeros, so they stand among suffixes
    with the token 0 there; being the highest positions, they are the last ones of the run.
    """
    first, taken = start, min(taken, depth)
    while first < stop - 1 and positions[stop - 1] + taken > n_tokens:
        shorter = positions[stop - 1]
        for i in range(stop - 1, first, -1):
            positions[i] = positions[i - 1]
        positions[first] = shorter
        first += 1
    return stop if taken == depth else first


@njit(cache=True, nogil=True)
def _radix_sort(keys, positions, spare_keys, spare_positions, start, stop):
    """Stable sort of (key, position) pairs by key, byte after byte from the least one; constant bytes cost nothing."""
    if _run_end(keys, start, stop) == stop:
        return
    counts = _byte_counts(keys, start, stop)
    moved = False
    for byte in range(8):
        shift = _U64(8 * byte)
        if counts[byte, (keys[start] >> shift) & _U64(255)] < stop - start:
            if moved:
                _scatter(spare_keys, spare_positions, keys, positions, start, stop, counts, byte)
            else:
                _scatter(keys, positions, spare_keys, spare_positions, start, stop, counts, byte)
            moved = not moved
    if moved:
        _copy(spare_keys, spare_positions, keys, positions, start, stop)


@njit(cache=True, nogil=True)
def _byte_counts(keys, start, stop):
    counts = np.zeros((8, 256), np.int64)
    for i in range(start, stop):
        for byte in range(8):
            counts[byte, (keys[i] >> _U64(8 * byte)) & _U64(255)] += 1
    return counts


@njit(cache=True, nogil=True)
def _scatter(keys, positions, to_keys, to_positions, start, stop, counts, byte):
    begin = start
    for digit in range(256):
        counts[byte, digit], begin = begin, begin + counts[byte, digit]
    for i in range(start, stop):
        digit = (keys[i] >> _U64(8 * byte)) & _U64(255)
        place = counts[byte, digit]
        to_keys[place], to_positions[place] = keys[i], positions[i]
        counts[byte, digit] = place + 1


@njit(cache=True, nogil=True)
def _copy(keys, positions, to_keys, to_positions, start, stop):
    for i in range(start, stop):
        to_keys[i], to_positions[i] = keys[i], positions[i]


@njit(cache=True, nogil=True)
def _before(words, last, n_tokens, per_word, depth, left_key, left, right_key, right, taken):
    # Equal keys are compared once more by `less`, which knows where the text ends.
    if left_key != right_key:
        return left_key < right_key
    return less(words, last, n_tokens, per_word, left, right, taken, depth)


@njit(cache=True, nogil=True)
def _merge_sort(
    words, last, n_tokens, per_word, depth, keys, positions, spare_keys, spare_positions, start, stop, taken
):
    """Sort a run by its keys at `taken`, and suffixes with equal keys by their text."""
    for piece in range(start, stop, INSERTION):
        _insertion_sort(
            words, last, n_tokens, per_word, depth, keys, positions, piece, min(piece + INSERTION, stop), taken
        )
    width = INSERTION
    while width < stop - start:
        _copy(keys, positions, spare_keys, spare_positions, start, stop)
        for piece in range(start, stop, 2 * width):
            middle, end = min(piece + width, stop), min(piece + 2 * width, stop)
            _merge(
                words,
                last,
                n_tokens,
                per_word,
                depth,
                spare_keys,
                spare_positions,
                keys,
                positions,
                piece,
                middle,
                end,
                taken,
            )
        width *= 2


@njit(cache=True, nogil=True)
def _insertion_sort(words, last, n_tokens, per_word, depth, keys, positions, start, stop, taken):
    for i in range(start + 1, stop):
        new_key, new, j = keys[i], positions[i], i
        while j > start and _before(
            words, last, n_tokens, per_word, depth, new_key, new, keys[j - 1], positions[j - 1], taken
        ):
            keys[j], positions[j] = keys[j - 1], positions[j - 1]
            j -= 1
        keys[j], positions[j] = new_key, new


@njit(cache=True, nogil=True)
def _merge(words, last, n_tokens, per_word, depth, keys, positions, to_keys, to_positions, start, middle, stop, taken):
    left, right = start, middle
    for i in range(start, stop):
        rightward = left == middle or (
            right < stop
            and _before(
                words,
                last,
                n_tokens,
                per_word,
                depth,
                keys[right],
                positions[right],
                keys[left],
                positions[left],
                taken,
            )
        )
        chosen = right if rightward else left
        to_keys[i], to_positions[i] = keys[chosen], positions[chosen]
        left, right = left + (not rightward), right + rightward
