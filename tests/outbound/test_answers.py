"""Answers are found where people write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outbound.answers import answers_in
from threads.new_text import split_text

QUESTIONS = (
    "Was this sign-in yours?",
    "Which device was used, and is it managed by you? Please give its name as it stands in the portal.",
    "Who else knows the password?",
)
QUOTED = """
On Wed, 25 Nov 2026 at 12:00, Defender Experts <defender-experts@experts.test> wrote:
> Hello Ana,
>
> Please answer these questions by replying to this mail:
>
> 1. Was this sign-in yours?
> 2. Which device was used, and is it managed by you? Please give its
>    name as it stands in the portal.
> 3. Who else knows the password?
>
> Ana, Defender Experts
"""


def found(text, questions=QUESTIONS):
    said = answers_in(split_text(text), questions)
    return [one.answer for one in said.answered], said.rest


@pytest.mark.parametrize(
    "text",
    [
        "1. Yes\n2. LT-42\n3. Nobody",
        "1) Yes\n2) LT-42\n3) Nobody",
        "(1) Yes\n(2) LT-42\n(3) Nobody",
        "1: Yes\n2: LT-42\n3: Nobody",
        "1 - Yes\n2 - LT-42\n3 - Nobody",
        "  1. Yes\n  2. LT-42\n  3. Nobody",
        "- 1. Yes\n- 2. LT-42\n- 3. Nobody",
        "**1.** Yes\n**2.** LT-42\n**3.** Nobody",
        "#1 Yes\n#2 LT-42\n#3 Nobody",
        "Q1: Yes\nQ2: LT-42\nQ3: Nobody",
        "Answer 1: Yes\nAnswer 2: LT-42\nAnswer 3: Nobody",
        "re 1: Yes\nre 2: LT-42\nre 3: Nobody",
        "１．Yes\n２．LT-42\n３．Nobody",
        "（１）Yes\n（２）LT-42\n（３）Nobody",
        "① Yes\n② LT-42\n③ Nobody",
        "問1 Yes\n問2 LT-42\n問3 Nobody",
        "1、Yes\n2、LT-42\n3、Nobody",
        "1番 Yes\n2番 LT-42\n3番 Nobody",
        "3. Nobody\n1. Yes\n2. LT-42",
        "1.\nYes\n2.\nLT-42\n\n3.\n\nNobody\n",
        "1) Yes 2) LT-42 3) Nobody",
        "1. Yes, 2. LT-42, 3. Nobody",
        "1. Was this sign-in yours? Yes\n2. which device was used, and is it managed by you? Please give its\nname as it stands in the portal.\nLT-42\n3. Who else knows the password?\nNobody",
        "1. Yes\r\n2. LT-42\r\n3. Nobody\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("below", ["", QUOTED])
def test_numbers_are_read_as_people_write_them(text, below):
    assert found(f"{text}\n{below}") == (["Yes", "LT-42", "Nobody"], "")


def test_what_stands_before_the_first_number_is_the_rest():
    answers, rest = found(f"Hi,\nsee below.\n\n1. Yes\n2. No\n{QUOTED}")
    assert answers == ["Yes", "No", None]
    assert rest == "Hi,\nsee below."


def test_answers_between_the_quoted_questions_belong_to_the_question_above():
    text = QUOTED.replace("yours?\n", "yours?\nYes, from my hotel.\n").replace(
        "portal.\n", "portal.\nLT-42\n 1. mine\n 2. managed\n"
    )
    answers, rest = found(text)
    assert answers == ["Yes, from my hotel.", "LT-42\n 1. mine\n 2. managed", None]
    assert rest == ""


def test_an_answer_below_the_whole_quote_is_not_one_to_the_last_question():
    answers, rest = found(f"{QUOTED.lstrip()}\nIt was me, from my hotel.\n")
    assert answers == [None, None, None]
    assert rest == "It was me, from my hotel."


def test_several_lines_and_a_list_set_in_belong_to_one_answer():
    answers, _rest = found("1. Yes.\nTwo of them:\n   1. LT-42\n   2. LT-43\n2. see above\n3. Nobody")
    assert answers == ["Yes.\nTwo of them:\n   1. LT-42\n   2. LT-43", "see above", "Nobody"]


@pytest.mark.parametrize(
    "line",
    [
        "10:30 it began",
        "1.5 hours",
        "2-3 devices",
        "4. of May",
        "0. nothing",
        "2026. was",
        "1,000 mails",
        "a1b2",
    ],
)
def test_a_number_that_is_none_of_the_questions_is_text(line):
    assert found(f"1. Yes\n{line}\n2. No")[0] == [f"Yes\n{line}", "No", None]


def test_one_question_is_answered_by_all_that_is_new():
    assert found(f"Yes, that was me.\n{QUOTED}", QUESTIONS[:1]) == (["Yes, that was me."], "")
    assert found("1. Yes", QUESTIONS[:1]) == (["Yes"], "")


def test_japanese_answers_are_found():
    questions = ("このサインインはお客様ご自身によるものですか。", "どのデバイスを使用しましたか。")
    assert found(
        "お世話になっております。\n\n１．はい、私です。\n２．どのデバイスを使用しましたか。\n会社のノートパソコンです。",
        questions,
    ) == (
        ["はい、私です。", "会社のノートパソコンです。"],
        "お世話になっております。",
    )


def test_a_reply_without_new_text_answers_nothing():
    said = answers_in(split_text(QUOTED), QUESTIONS)
    assert [one.answer for one in said.answered] == [None] * 3
    assert not said.complete
    assert answers_in(split_text("1. a\n2. b\n3. c"), QUESTIONS).complete
    assert answers_in(split_text("words"), ()).rest == "words"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "1. ",
                "2) ",
                "> 1. Was this",
                " sign-in yours?",
                "\n",
                "words ",
                "①",
                "\u3000",
                "> ",
                "\r\n",
                "3:",
                "問2",
            ]
        ),
        max_size=40,
    ).map("".join)
)
def test_no_new_word_is_lost(text):
    split = split_text(text)
    said = answers_in(split, ("Was this sign-in yours?", "b", "c"))
    told = " ".join([said.rest, *(one.answer or "" for one in said.answered)])
    assert told.count("words") == split.new.count("words")


def test_the_time_is_linear_in_the_reply():
    def cpu(size):
        text = "1. yes 2 " * size + "\n" + "1. a\n" * size + "> 1. Was\n" * size
        split = split_text(text)
        began = time.process_time()
        answers_in(split, QUESTIONS)
        return time.process_time() - began

    cpu(100)
    assert cpu(20_000) < 10 * max(cpu(5_000), 0.001)  # four times as long; a square would be sixteen


def test_a_long_question_is_not_read_again_for_each_line_that_repeats_its_number():
    split = split_text("> 1. Was\n" * 3_000)

    def cpu(length):
        taken = []
        for _ in range(3):
            began = time.process_time()
            answers_in(split, ["Was it so? " * length, "b"])
            taken.append(time.process_time() - began)
        return min(taken)

    assert cpu(400) < 4 * max(cpu(1), 0.002)  # of 4,000 letters, read 3,000 times: tenfold and more
