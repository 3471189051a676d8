"""Sorting suffixes of a token sequence by their first `depth` tokens.

Radix sort from the most significant end with cached keys (Karkkainen and Rantala 2008, Engineering Radix Sort for
Strings; Ng and Kakehi 2007): a key is the next 64 bits of a suffix, four uint16 tokens or two uint32. Suffixes with
equal keys are a run; a long run is sorted by its next keys, a short one by comparing text. A text of one repeated token
therefore costs depth / 4 keys a suffix at most.

The order: token by token up to `depth`; the end of the text sorts before any token; equal suffixes by position.
Every sort here is stable and starts from rising positions, so that equal suffixes need no care.
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
    words = np.ndarray(len(whole) - per_word + 1, "<u8", whole, strides=(tokens.itemsize,))
    words.setflags(write=False, align=False)
    last = 0
    for token in tokens[-per_word:].tolist():
        last = last << 8 * tokens.itemsize | token
    return Text(words, _U64(last), len(tokens), per_word)


def sort_suffixes(text: Text, positions: np.ndarray, keys: np.ndarray, depth: int) -> None:
    """Sort suffixes in place.

    positions: rising token positions, uint32 or uint64. keys: uint64, their `suffix_keys`; destroyed.
    Takes as much memory again as the two arrays have.
    """
    if len(positions) > 1:
        _sort(*text, positions, keys, np.empty_like(positions), np.empty_like(keys), depth)


def suffix_keys(text: Text, positions: np.ndarray, depth: int) -> np.ndarray:
    """The first keys (uint64) of the suffixes at `positions`."""
    keys = np.empty(len(positions), _U64)
    _load_keys(*text, positions, keys, 0, len(keys), 0, depth)
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
def _load_keys(words, last, n_tokens, per_word, positions, keys, start, stop, taken, depth):
    for i in range(start, stop):
        keys[i] = key(words, last, n_tokens, per_word, np.int64(positions[i]), taken, depth)


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
def _sort(words, last, n_tokens, per_word, positions, keys, spare_positions, spare_keys, depth):
    """Sort everything by the first key, then run after run by the next ones, depth first (while it is in cache)."""
    runs = np.empty((len(keys) // SHORT_RUN + 1, 3), np.int64)  # to do: start, stop, tokens known to be equal
    runs[0, 0], runs[0, 1], runs[0, 2] = 0, len(keys), 0
    todo = 1
    while todo:
        todo -= 1
        start, stop, taken = runs[todo, 0], runs[todo, 1], runs[todo, 2]
        if taken:
            _load_keys(words, last, n_tokens, per_word, positions, keys, start, stop, taken, depth)
        part = slice(start, stop)
        _radix_sort(keys[part], positions[part], spare_keys[part], spare_positions[part])
        todo = _split(
            words,
            last,
            n_tokens,
            per_word,
            positions,
            keys,
            spare_positions,
            spare_keys,
            start,
            stop,
            taken,
            depth,
            runs,
            todo,
        )


@njit(cache=True, nogil=True)
def _split(
    words, last, n_tokens, per_word, positions, keys, spare_positions, spare_keys, start, stop, taken, depth, runs, todo
):  # fmt: skip
    """Sort the short runs of equal keys; put the long ones on the list `runs`. Returns how long that is then."""
    following = taken + per_word
    while start < stop:
        end = _run_end(keys, start, stop)
        first = start if end - start == 1 else _ended_first(n_tokens, positions, start, end, min(following, depth))
        if end - first > 1 and following < depth:
            if end - first <= SHORT_RUN:
                _load_keys(words, last, n_tokens, per_word, positions, keys, first, end, following, depth)
                if end - first <= INSERTION:
                    _insertion_sort(words, last, n_tokens, per_word, positions, keys, first, end, following, depth)
                else:
                    part = slice(first, end)
                    _merge_sort(
                        words,
                        last,
                        n_tokens,
                        per_word,
                        positions[part],
                        keys[part],
                        spare_positions[part],
                        spare_keys[part],
                        following,
                        depth,
                    )
            else:
                runs[todo, 0], runs[todo, 1], runs[todo, 2] = first, end, following
                todo += 1
        start = end
    return todo


@njit(cache=True, nogil=True)
def _run_end(keys, start, stop):
    end = start + 1
    while end < stop and keys[end] == keys[start]:
        end += 1
    return end


@njit(cache=True, nogil=True)
def _ended_first(n_tokens, positions, start, stop, taken):
    """Move suffixes of less than `taken` tokens to the front of their run, the shortest first; where the rest begins.

    Their keys were filled with zeros, so they stand among suffixes with the token 0 there; being the highest
    positions, they are the last ones of the run, and never more than a key has tokens.
    """
    first = start
    while first < stop and np.int64(positions[stop - 1]) + taken > n_tokens:
        shorter = positions[stop - 1]
        for i in range(stop - 1, first, -1):
            positions[i] = positions[i - 1]
        positions[first] = shorter
        first += 1
    return first


@njit(cache=True, nogil=True)
def _radix_sort(keys, positions, spare_keys, spare_positions):
    """Stable sort of (key, position) pairs by key, byte after byte from the least one; constant bytes cost nothing."""
    if _run_end(keys, 0, len(keys)) == len(keys):
        return
    counts = _byte_counts(keys)
    moved = False
    for byte in range(8):
        shift = _U64(8 * byte)
        if counts[byte, (keys[0] >> shift) & _U64(255)] == len(keys):
            continue
        _scatter(keys, positions, spare_keys, spare_positions, counts[byte], shift)
        keys, spare_keys = spare_keys, keys
        positions, spare_positions = spare_positions, positions
        moved = not moved
    if moved:
        spare_keys[:], spare_positions[:] = keys, positions


@njit(cache=True, nogil=True)
def _byte_counts(keys):
    counts = np.zeros((8, 256), np.int64)
    for i in range(len(keys)):
        for byte in range(8):
            counts[byte, (keys[i] >> _U64(8 * byte)) & _U64(255)] += 1
    return counts


@njit(cache=True, nogil=True)
def _scatter(keys, positions, to_keys, to_positions, counts, shift):
    begin = 0
    for digit in range(256):
        counts[digit], begin = begin, begin + counts[digit]
    for i in range(len(keys)):
        digit = (keys[i] >> shift) & _U64(255)
        to_keys[counts[digit]], to_positions[counts[digit]] = keys[i], positions[i]
        counts[digit] += 1


@njit(cache=True, nogil=True)
def _pair_less(words, last, n_tokens, per_word, left_key, left, right_key, right, taken, depth):
    # Equal keys are compared once more by `less`, which knows where the text ends.
    if left_key != right_key:
        return left_key < right_key
    return less(words, last, n_tokens, per_word, np.int64(left), np.int64(right), taken, depth)


@njit(cache=True, nogil=True)
def _merge_sort(words, last, n_tokens, per_word, positions, keys, spare_positions, spare_keys, taken, depth):
    """Sort a run by its keys at `taken`, and suffixes with equal keys by their text."""
    count = len(keys)
    for start in range(0, count, INSERTION):
        _insertion_sort(
            words, last, n_tokens, per_word, positions, keys, start, min(start + INSERTION, count), taken, depth
        )
    width, moved = INSERTION, False
    while width < count:
        for start in range(0, count, 2 * width):
            middle, stop = min(start + width, count), min(start + 2 * width, count)
            _merge(
                words,
                last,
                n_tokens,
                per_word,
                positions,
                keys,
                spare_positions,
                spare_keys,
                start,
                middle,
                stop,
                taken,
                depth,
            )
        keys, spare_keys = spare_keys, keys
        positions, spare_positions = spare_positions, positions
        width, moved = 2 * width, not moved
    if moved:
        spare_positions[:] = positions


@njit(cache=True, nogil=True)
def _insertion_sort(words, last, n_tokens, per_word, positions, keys, start, stop, taken, depth):
    for i in range(start + 1, stop):
        new_key, new, j = keys[i], positions[i], i
        while j > start and _pair_less(
            words, last, n_tokens, per_word, new_key, new, keys[j - 1], positions[j - 1], taken, depth
        ):
            keys[j], positions[j] = keys[j - 1], positions[j - 1]
            j -= 1
        keys[j], positions[j] = new_key, new


@njit(cache=True, nogil=True)
def _merge(
    words, last, n_tokens, per_word, positions, keys, to_positions, to_keys, start, middle, stop, taken, depth
):  # fmt: skip
    left, right = start, middle
    for i in range(start, stop):
        rightward = left == middle or (
            right < stop
            and _pair_less(
                words,
                last,
                n_tokens,
                per_word,
                keys[right],
                positions[right],
                keys[left],
                positions[left],
                taken,
                depth,
            )
        )
        chosen = right if rightward else left
        to_keys[i], to_positions[i] = keys[chosen], positions[chosen]
        left, right = left + (not rightward), right + rightward
