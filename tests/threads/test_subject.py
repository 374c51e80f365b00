"""Subjects as the big mail programs write them lead to one base subject."""

from __future__ import annotations

import time

import pytest

from threads.subject import base_of, base_subject


@pytest.mark.parametrize(
    "prefix",
    [
        "Re: ", "RE: ", "re:", "Re : ", "Re[2]: ", "RE[12]: ", "Re(3): ", "Re^2: ", "Re*4: ", "RE [3]: ", "Re: Re: RE: ",
        "Fw: ", "FWD: ", "AW: ", "WG: ", "AW: AW: WG: ", "Antwort: ", "SV: ", "VS: ", "VB: ", "VL: ", "FS: ", "Antw: ", "Doorst: ",
        "RIF: ", "R: ", "I: ", "RV: ", "RES: ", "ENC: ", "TR: ", "Réf. : ", "Rép : ", "ODP: ", "PD: ", "YNT: ", "İLT: ",
        "Vá: ", "Továbbítás: ", "ΑΠ: ", "ΠΡΘ: ", "Σχετ: ", "Отв: ", "Ответ: ", "На: ", "Пересл: ", "Відп: ", "Odg: ", "BLS: ", "ATB: ",
        "回复: ", "回复：", "答复: ", "答复：", "转发: ", "回覆: ", "轉寄: ", "返信: ", "転送: ", "답장: ", "회신: ", "전달: ",
        "Trả lời: ", "ตอบกลับ: ", "ส่งต่อ: ", "رد: ", "תגובה: ", "הועבר: ",
        "[EXTERNAL] Re: ", "[EXT] AW: ", "*EXTERN* AW: ", "Re: [EXTERNAL] ", "(EXTERNAL) Re: ", "EXTERNAL: RE: ", "{External} Re: ",
        "***SPAM*** Re: ", "【外部】返信: ", "[社外] Re: ", "[INC-000001] Re: ", "Re: [INC-000001] ", "AW: [EXTERN] Re: [INC-000001] ",
        "Re: [list] [INC-000001] SV: ",
    ],
)  # fmt: skip
def test_prefixes_and_marks_are_taken_away(prefix: str) -> None:
    found = base_of(f"{prefix}Odd sign-in: 3 hosts")
    assert (found.text, found.answers) == ("Odd sign-in: 3 hosts", True)


@pytest.mark.parametrize(
    ("subject", "base", "answers"),
    [
        ("Odd sign-in", "Odd sign-in", False),
        ("[EXTERNAL] Odd sign-in", "Odd sign-in", False),
        ("Fwd: Odd (fwd) (FWD)", "Odd", True),
        ("[fwd: Odd]", "Odd", True),
        ("re: [fwd: [fwd: re: [Fwd: Odd]]]", "Odd", True),
        ("[foo] Fwd: [bar] Re: fw: b (fWd)  (fwd)", "b", True),
        ("[xyz]", "[xyz]", False),
        ("Re: [xyz]", "[xyz]", True),
        ("Re:", "", True),
        ("", "", False),
        ("Report: 3 hosts", "Report: 3 hosts", False),
        ("Result of the review", "Result of the review", False),
        ("Ad: Re: x", "Ad: Re: x", False),
        ("External audit of 2026", "External audit of 2026", False),
        ("Rückfrage: x", "Rückfrage: x", False),
        ("Re", "Re", False),
    ],
)
def test_what_is_no_prefix_stays(subject: str, base: str, answers: bool) -> None:
    found = base_of(subject)
    assert (found.text, found.answers) == (base, answers)


def test_for_people_something_is_always_left() -> None:
    assert base_subject("Re: ") == "Re:"
    assert base_subject("  Re:   Odd   sign-in ") == "Odd sign-in"


@pytest.mark.parametrize(
    "subject",
    [
        "[a] " * 500,
        "re:" * 700,
        "[fwd: " * 330 + "]" * 330,
        "*external " * 200,
        "(" * 2_000,
        "[EXT]" * 400,
        "(fwd)" * 400,
    ],
)
def test_hostile_subjects_take_no_time(subject: str) -> None:
    start = time.process_time()
    base_of(subject * 100)
    assert time.process_time() - start < 0.5
