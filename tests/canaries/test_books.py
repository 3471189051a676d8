from hypothesis import given, settings
from hypothesis import strategies as st

from lib.canaries import books


@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet="the quick book\n.éñ日", max_size=80), count=st.integers(1, 30))
def test_first_tokens_is_the_text_that_these_tokens_spell(tokenizer, text, count):
    cut = books.first_tokens(tokenizer, text, count)
    ids = tokenizer.encode(text, add_special_tokens=False)
    spelled = tokenizer.decode(ids[:count], skip_special_tokens=False)
    assert text.startswith(cut)
    if len(ids) <= count:
        assert cut == text
    elif "\ufffd" not in spelled:
        assert cut == spelled
    else:  # the last token ends inside a character, which the cut keeps whole
        assert cut[:-1] == spelled.rstrip("\ufffd")


def test_count_tokens_counts_no_special_token(tokenizer):
    assert books.count_tokens(tokenizer, "a") == 1
    assert books.count_tokens(tokenizer, "a<|endoftext|>") > 2  # it is text there
    assert books.count_tokens(tokenizer, "") == 0


def test_choose_reads_no_more_than_it_needs():
    read = []

    def text_of(index):
        read.append(index)
        return "x" * index

    assert books.choose([3, 0, 5, 1, 9], text_of, lambda text: len(text) > 2, 2) == [3, 5]
    assert read == [3, 0, 5]
    assert books.choose([3, 0, 5], text_of, lambda text: len(text) > 2, 9) == [3, 5]
