"""New text, quotes and signatures: nothing is lost, and no input takes long."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.reply_extraction import load, ours
from threads.new_text import split_text

NEW = "Yes, that was me.\nIt was the new laptop."
OLD = "We saw a sign-in.\nWas this you?"
MARKED = "> We saw a sign-in.\n> Was this you?"

HEADINGS = {
    "Gmail, English": f"On Wed, Nov 25, 2026 at 9:00 AM Experts <x@experts.test> wrote:\n\n{MARKED}",
    "Gmail, wrapped": f"On Wed, Nov 25, 2026 at 9:00 AM Defender Experts <\nx@experts.test> wrote:\n\n{MARKED}",
    "Gmail, wrapped before wrote": f"On Wed, Nov 25, 2026 at 9:00 AM Experts <x@experts.test\n> wrote:\n\n{MARKED}",
    "Apple Mail": f"On 25 Nov 2026, at 09:00, Experts <x@experts.test> wrote:\n\n{MARKED}",
    "Gmail, German": f"Am Mi., 25. Nov. 2026 um 09:00 Uhr schrieb Experts <x@experts.test>:\n\n{MARKED}",
    "Thunderbird, German": f"Am 25.11.26 um 09:00 schrieb Experts:\n{MARKED}",
    "Gmail, Spanish": f"El mié, 25 nov 2026 a las 9:00, Experts (<x@experts.test>) escribió:\n\n{MARKED}",
    "Gmail, Portuguese": f"Em qua., 25 de nov. de 2026 às 09:00, Experts <x@experts.test>\nescreveu:\n\n{MARKED}",
    "Gmail, French": f"Le mer. 25 nov. 2026 à 09:00, Experts <x@experts.test> a écrit :\n\n{MARKED}",
    "Gmail, Italian": f"Il giorno mer 25 nov 2026 alle ore 09:00 Experts <x@experts.test> ha\nscritto:\n\n{MARKED}",
    "Gmail, Japanese": f"2026年11月25日(水) 9:00 Experts <x@experts.test>:\n\n{MARKED}",
    "Thunderbird, Japanese": f"On 2026/11/25 9:00, Experts wrote:\n{MARKED}",
    "Dutch": f"Op wo 25 nov. 2026 om 09:00 schreef Experts <x@experts.test>:\n\n{MARKED}",
    "Swedish": f"Den ons 25 nov. 2026 kl 09:00 skrev Experts <x@experts.test>:\n\n{MARKED}",
    "Outlook, English": f"From: Experts <x@experts.test>\nSent: Wednesday, November 25, 2026 9:00\nTo: Alex\nSubject: [INC-000001]\n\n{OLD}",
    "Outlook with a rule": f"________________________________\nFrom: Experts <x@experts.test>\nSent: Wednesday\nTo: Alex\nSubject: x\n\n{OLD}",
    "Outlook, German": f"Von: Experts <x@experts.test>\nGesendet: Mittwoch, 25. November 2026\nAn: Alex\nBetreff: x\n\n{OLD}",
    "Outlook, Spanish": f"De: Experts <x@experts.test>\nEnviado el: miércoles\nPara: Alex\nAsunto: x\n\n{OLD}",
    "Outlook, Portuguese": f"De: Experts <x@experts.test>\nEnviado: quarta-feira\nPara: Alex\nAssunto: x\n\n{OLD}",
    "Outlook, French": f"De : Experts <x@experts.test>\nEnvoyé : mercredi\nÀ : Alex\nObjet : x\n\n{OLD}",
    "Outlook, Japanese": f"差出人: Experts <x@experts.test>\n送信日時: 2026年11月25日\n宛先: Alex\n件名: x\n\n{OLD}",
    "Outlook, Japanese, wide colons": f"差出人:Experts\n送信日時:2026年\n宛先:Alex\n件名:x\n\n{OLD}",
    "bold Outlook on the web": f"*From:* Experts <x@experts.test>\n*Sent:* Wednesday\n*To:* Alex\n*Subject:* x\n\n{OLD}",
    "Original Message": f"-----Original Message-----\nFrom: Experts\nSent: now\n\n{OLD}",
    "Ursprüngliche Nachricht": f"-----Ursprüngliche Nachricht-----\nVon: Experts\n\n{OLD}",
    "元のメッセージ": f"----- 元のメッセージ -----\n{OLD}",
    "Zoho": f"---- On Wed, 25 Nov 2026 09:00:00 +0100 Experts <x@experts.test> wrote ----\n\n{OLD}",
    "only marks": MARKED,
}  # fmt: skip


@pytest.mark.parametrize("heading", HEADINGS.values(), ids=HEADINGS.keys())
def test_what_stands_above_a_quote_is_new(heading: str) -> None:
    split = split_text(f"{NEW}\n\n{heading}\n")
    assert split.new == NEW
    assert "Was this you?" in split.quoted


def test_answers_between_marked_lines_stay_new() -> None:
    text = "On Nov 25, 2026, X <x@y.test> wrote:\n> Was this you?\nYes.\n> Which device?\nA laptop.\n"
    split = split_text(text)
    assert split.new == "Yes.\nA laptop."
    assert split.quoted.startswith("On Nov 25")


def test_an_answer_below_an_unmarked_quote_heading_at_the_top_is_new() -> None:
    assert (
        split_text("On Nov 25, 2026, X <x@y.test> wrote:\n\nThe answer is below.").new
        == "The answer is below."
    )


@pytest.mark.parametrize(
    ("text", "new", "signature"),
    [
        ("Yes.\n-- \nAlex\nContoso", "Yes.", "-- \nAlex\nContoso"),
        ("Yes.\n\nSent from my iPhone", "Yes.", "Sent from my iPhone"),
        ("はい。\n\niPhoneから送信", "はい。", "iPhoneから送信"),
        ("Ja.\n\nVon meinem iPhone gesendet", "Ja.", "Von meinem iPhone gesendet"),
        ("Sí.\n\nEnviado desde mi iPhone\n\n> old", "Sí.", "Enviado desde mi iPhone"),
        ("Yes.\n-- \n" + "text\n" * 40, "Yes.\n-- \n" + "text\n" * 39 + "text", ""),
        ("Yes.\nThanks,\nAlex", "Yes.\nThanks,\nAlex", ""),
    ],
)
def test_signatures(text: str, new: str, signature: str) -> None:
    split = split_text(text)
    assert (split.new, split.signature) == (new, signature)


@pytest.mark.parametrize(
    "text",
    [
        "From: is what the field said, and I wrote: nothing.",
        "On this day\n\nI wrote something\n\nwhich was long.",
        "From: 10:00\nthe server logged errors.",
        "On 25 November I did this: restarted it.",
        "```\n# comment\n> prompt\n```\nDone.",
        "2026-11-25 10:00 INFO user logged in\n2026-11-25 10:01 INFO user logged out",
    ],
)
def test_what_only_looks_like_a_quote_stays_new(text: str) -> None:
    assert split_text(text).new == text


@given(st.text(alphabet="> -\n\r:@ab1On wrote_|\u2028\x0b", max_size=200))
def test_nothing_is_deleted(text: str) -> None:
    spans = split_text(text).spans
    assert "".join(text[s.start : s.end] for s in spans) == text
    assert all(a.end == b.start and a.kind is not b.kind for a, b in pairwise(spans))


HOSTILE = {
    text[:24]: text
    for text in (
        *(
            "On a a a ",
            "On a a a\n",
            "On 1 a\n",
            "-",
            "-----\n",
            ">",
            "> \n",
            "From: a\n",
            "\n",
            " \t",
            "1 a:\n",
        ),
        *("2026-11-25 10:00:00 INFO something happened at x@y: z\n", "On 1 wrote:\n\n", "<@", "*_- ", "- \n"),
        *("Regards\n", "-Alex\n\n", "This email is\n\n", "Sent from x\n\n", "On Mon 1 <a\n> b:\n", "```\n"),
        *("a@b 10:00\nb\nc\nd\ne\nf:\n", "10:00 2026 x@y z:\n> q\n", "1 x@y wrote\n", "\u200b\n", "A> x\n"),
        *(f"> {'x' * 70}\nabc\n", f"{'a 1 @ ' * 60}:\n", f"On 1 {'w ' * 180}:\n", "On 1 x\n" * 5 + "y@z:\n"),
        *(
            "Disclaimer\n\n",
            "confidential x\n\n",
            "__\n\n",
            "-- \nx\n",
            "x\n> y\n",
            "\u2028",
            "\r",
            "A" * 399 + ":\n",
        ),
    )
}


def seconds(text: str) -> float:
    """CPU time to split a text and read all of its kinds; the better of two, so that nothing else is counted."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        split = split_text(text)
        _ = (split.new, split.quoted, split.signature)
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=map(repr, HOSTILE))
def test_no_text_takes_long_and_ten_times_the_text_takes_ten_times_as_long(unit: str) -> None:
    small, large = (seconds((unit * (size // len(unit) + 1))[:size]) for size in (20_000, 200_000))
    assert large < 1  # a tenth of that where nothing else runs
    assert large < 30 * max(small, 0.001)  # ten, and what a busy machine adds; a square would be a hundred


def test_headings_below_many_lines_of_signature_take_time_that_grows_with_the_text() -> None:
    small, large = (
        seconds("-----BEGIN PGP SIGNED MESSAGE-----\n" * n + "On 2020-01-01 a@b.example wrote:\n> x\n" * n)
        for n in (500, 2_000)
    )
    assert large < 10 * max(small, 0.001)  # four times the text; a square would be sixteen


# Where another definition is meant: email_reply_trimmer counts quotes as text where no heading stands above them, a
# forwarded message as the sender's own words, and unmarked text below a heading never.
OTHER_DEFINITION = {
    "email_reply_trimmer/embedded_email_1.txt",
    "email_reply_trimmer/embedded_email_16.txt",
    "email_reply_trimmer/embedded_email_17.txt",
    "email_reply_trimmer/forwarded_message.txt",
    "email_reply_trimmer/quote_and_text.txt",
    "email_reply_trimmer/quote_only.txt",
    "alfonsrv/email_pl_1_1.txt",  # a forwarded message, too
}


def test_the_open_half_of_the_public_replies_is_split_as_expected(shared_data: Path) -> None:
    cases = [case for case in load(shared_data / "mail") if case.open]
    assert len(cases) > 100
    assert {f"{case.set}/{case.name}" for case in cases if not case.right(ours(case))} == OTHER_DEFINITION


@pytest.mark.parametrize(
    "postscript",
    ["PS: please call me", "P.S. please call me", "PS - please call me", "PPS: call me", "NB: please call me", "P.D.: llámeme"],
)
def test_a_postscript_below_the_name_is_text(postscript: str) -> None:
    assert postscript in split_text(f"It is off.\n\nBest,\nAlex\n\n{postscript}\n").new


def test_a_formula_in_two_languages_is_a_signature() -> None:
    split = split_text("Erledigt.\n\nMit freundlichen Grüßen / Best regards\nUwe Brandt\n")
    assert (split.new, split.signature) == ("Erledigt.", "Mit freundlichen Grüßen / Best regards\nUwe Brandt")
