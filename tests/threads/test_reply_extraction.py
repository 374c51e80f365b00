"""What the comparison of reply readers counts."""

from __future__ import annotations

from bench.reply_extraction import (
    FOLDERS,
    Case,
    Rate,
    Statement,
    digest_of,
    equals,
    is_open,
    lines_of,
    load,
    rate,
    words,
)


def test_answers_are_compared_by_their_words() -> None:
    case = Case("crisp", "x", "", open=True, truth=equals("Yes, that was me!"))
    assert case.right("yes  that\nWAS me")
    assert not case.right("yes that was")
    assert not case.right(None)


def test_a_statement_tells_of_words_side_by_side() -> None:
    side_by_side = digest_of(words("was me"))
    assert Statement("has", 2, side_by_side).holds(words("that was me"))
    assert not Statement("has", 2, side_by_side).holds(words("was that me"))
    assert Statement("lacks", 2, side_by_side).holds(words("was that me"))
    assert not Statement("lacks", 2, side_by_side).holds(words("that was me"))
    assert not Statement("has", 2, side_by_side).holds([])


def test_lines_are_counted_from_one() -> None:
    assert lines_of("a\nb\nc\nd", "1,3-4") == "a\nc\nd"


def test_a_rate_counts_the_cases_that_are_right() -> None:
    cases = [Case("crisp", name, "", open=True, truth=equals(name)) for name in ("a", "b")]
    assert rate(cases, dict(zip(cases, ["a", None], strict=True))) == Rate(1, 2)


def test_a_file_is_open_or_kept_by_its_bytes_alone() -> None:
    halves = [is_open(str(number).encode()) for number in range(1_000)]
    assert 400 < sum(halves) < 600
    assert halves == [is_open(str(number).encode()) for number in range(1_000)]


def test_both_halves_of_each_set_have_cases(shared_data) -> None:
    cases = load(shared_data / "mail")
    for name in FOLDERS:
        assert {case.open for case in cases if case.set == name} == {True, False}
        assert len({case.name for case in cases if case.set == name}) == sum(
            case.set == name for case in cases
        )
