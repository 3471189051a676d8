"""Variations that exist already, taken in turn."""

from lib.perturbations.stored import in_turn


def test_too_few_are_used_again_and_a_line_says_so(capsys) -> None:
    vary, attempts = in_turn([[[1], [2]], [[3], [4], [5]]], 3, "paraphrases")
    assert [vary(0, number, 0) for number in range(3)] == [[1], [2], [1]]
    assert [vary(1, number, 0) for number in range(3)] == [[3], [4], [5]]
    assert attempts == 1
    line = "1 of 2 canaries have fewer than 3 paraphrases: theirs are used again\n"
    assert capsys.readouterr().out == line


def test_enough_of_them_print_nothing(capsys) -> None:
    in_turn([[[1], [2]], [[3], [4]]], 2, "near-duplicates")
    assert capsys.readouterr().out == ""
